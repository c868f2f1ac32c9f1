//! The limits for everything together: what the configuration says, the schedule whose time it is, and what the person
//! said last.

use crate::domain::Domain;
use crate::domain::clock::{Timer, WALL_CHECK};
use crate::effect::{Effect, Event, TorrentCommand};
use crate::rate::{RateChange, RateLimits};
use crate::schedule::{Standing, standing};
use crate::time::{Wall, Zone};

/// See the module.
#[derive(Debug, Default)]
pub(super) struct Pace {
    /// Set by the person, until the configuration is reloaded.
    by_hand: RateChange,
    standing: Standing,
    /// For which moments `standing` was worked out.
    span: Option<(Wall, Wall, Zone)>,
    /// As set in the engine.
    in_force: Option<RateLimits>,
}

/// The limits for everything together, as people see them.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct PaceView {
    /// As they hold now.
    pub limits: RateLimits,
    /// The place of the schedule that holds, in the configuration's list.
    pub schedule: Option<usize>,
    /// When the schedules say something else.
    pub until: Option<Wall>,
    /// The person changed them by hand.
    pub by_hand: bool,
}

impl Domain {
    /// How fast everything together may go now, and why.
    pub fn pace(&self) -> PaceView {
        PaceView {
            limits: self.limits_now(),
            schedule: self.pace.standing.schedule,
            until: self.pace.standing.until,
            by_hand: self.pace.by_hand != RateChange::default(),
        }
    }

    fn limits_now(&self) -> RateLimits {
        let schedule = self.pace.standing.schedule.and_then(|at| self.settings.schedules.get(at));
        let scheduled = schedule.map(|s| s.change).unwrap_or_default();
        self.settings.limits.changed(scheduled).changed(self.pace.by_hand)
    }

    /// Looks at the schedules when their time has come. With every input: limits matter while something moves, and then
    /// inputs come all the time, so neither a wall clock that jumps nor a computer that slept is noticed late.
    pub(super) fn keep_pace(&mut self) {
        let (wall, zone) = (self.now.wall, self.now.zone);
        let stands =
            |(from, to, then): (Wall, Wall, Zone)| (from..to).contains(&wall) && then.offset_s == zone.offset_s;
        if self.settings.schedules.is_empty() || self.pace.span.is_some_and(stands) {
            return;
        }
        self.look_at_schedules();
        self.tell_limits(false);
    }

    pub(super) fn schedule_when_due(&mut self) {
        self.pace.span = None;
        self.keep_pace();
    }

    fn look_at_schedules(&mut self) {
        let (wall, zone) = (self.now.wall, self.now.zone);
        self.pace.standing = standing(&self.settings.schedules, wall, zone);
        self.pace.span = None;
        if self.settings.schedules.is_empty() {
            return;
        }
        let far = Wall(wall.0.saturating_add(WALL_CHECK));
        let until = [self.pace.standing.until, zone.until].into_iter().flatten().filter(|at| *at > wall);
        let until = until.min().map_or(far, |at| at.min(far));
        self.pace.span = Some((wall, until, zone));
        self.timers.set(self.now.mono.after(until.0.abs_diff(wall.0)), Timer::Schedule);
    }

    /// Tells the engine, and everybody if it is news.
    fn tell_limits(&mut self, anyway: bool) {
        let limits = self.limits_now();
        let before = self.pace.in_force.replace(limits).unwrap_or(self.settings.limits);
        if before != limits || anyway {
            self.push(Effect::Torrent(TorrentCommand::LimitAll(limits)));
        }
        if before != limits {
            self.push(Effect::Emit(Event::Limits));
        }
    }

    /// For everything together, until the configuration is taken over again.
    pub(super) fn limit_by_hand(&mut self, change: RateChange) {
        let RateChange { up, down } = self.pace.by_hand;
        self.pace.by_hand = RateChange { up: change.up.or(up), down: change.down.or(down) };
        self.tell_limits(true);
    }

    /// The configuration was taken over.
    pub(super) fn limit_as_configured(&mut self) {
        self.pace.by_hand = RateChange::default();
        self.look_at_schedules();
        self.tell_limits(true);
    }
}
