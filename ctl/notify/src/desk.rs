//! Which notifications there should be: rules without a bus, a daemon or a clock.

use std::collections::{BTreeMap, HashMap, VecDeque};
use std::path::PathBuf;
use std::time::{Duration, Instant};

use xbt_api::{ApiError, Direction, Event, EventKind, State, Transfer};

use crate::new_key::NewKey;
use crate::note::{Action, Key, Note};
use crate::words;

/// Offers with a notification each; further ones share one.
const MAX_OFFERS: usize = 3;

/// Progress notifications at a time.
const MAX_PROGRESS: usize = 3;

/// A transfer that ends sooner has no progress notification.
const SHORT: Duration = Duration::from_secs(3);

/// Ends of transfers that are shown one by one within [`BURST`]; further ones are counted together.
const MAX_ENDED: usize = 4;

/// See [`MAX_ENDED`].
const BURST: Duration = Duration::from_secs(10);

/// Ends that keep their notification.
const KEPT_ENDED: usize = 32;

/// Transfers that are remembered; the oldest are forgotten first.
const MAX_SEEN: usize = 4_096;

/// Devices that are shown at a time.
const MAX_DEVICES: usize = 3;

/// What is known of a transfer.
#[derive(Debug)]
struct Seen {
    transfer: Transfer,
    /// When it began to move.
    moving: Option<Instant>,
    /// The person has closed its offer, or answered it.
    answered: bool,
    /// The person has closed its progress.
    muted: bool,
    /// Why it could not be accepted.
    trouble: Option<ApiError>,
}

/// What a person asked for by pressing a button.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Intent {
    /// Accept an offer.
    Accept(u64),
    /// Decline an offer.
    Decline(u64),
    /// Show a received file or folder to the person.
    Open(PathBuf),
}

/// Everything that may be shown.
#[derive(Debug, Default)]
pub struct Desk {
    /// Whether the first look is over: what ended before it is not shown.
    looked: bool,
    /// The highest number that was seen.
    highest: u64,
    seen: BTreeMap<u64, Seen>,
    names: HashMap<String, String>,
    /// Ends that are shown, oldest first.
    ended: VecDeque<(u64, Instant, Note)>,
    /// Ends that are only counted: successful, other.
    counted: (u64, u64),
    devices: VecDeque<NewKey>,
    first_device: Option<String>,
    more_devices: u64,
    notice: Option<String>,
    /// Why the server refuses the login.
    refused: Option<ApiError>,
}

impl Desk {
    /// Names of contacts by their addresses.
    pub fn names(&mut self, names: HashMap<String, String>) {
        self.names = names;
    }

    /// All open transfers, and some that have ended: at the start, and whenever events were missed.
    pub fn look(&mut self, transfers: Vec<Transfer>, now: Instant) {
        let (first, highest) = (!self.looked, self.highest);
        let listed: std::collections::HashSet<u64> = transfers.iter().map(|transfer| transfer.id).collect();
        // What was open and is no longer listed has ended long ago, or was removed.
        self.seen.retain(|id, seen| seen.transfer.state.has_ended() || listed.contains(id));
        for transfer in transfers {
            let since = self.seen.contains_key(&transfer.id) || transfer.id > highest;
            if transfer.state.has_ended() && (first || !since) {
                self.highest = self.highest.max(transfer.id);
            } else {
                self.transfer(transfer, now);
            }
        }
        self.looked = true;
    }

    /// Something happened.
    pub fn event(&mut self, event: Event, now: Instant) {
        match (event.kind, event.transfer) {
            (EventKind::Transfer, Some(transfer)) => self.transfer(transfer, now),
            (EventKind::Notice, _) => self.notice = Some(event.text),
            // More is known of devices: see `device`.
            (
                EventKind::Transfer
                | EventKind::Removed
                | EventKind::Connection
                | EventKind::Contact
                | EventKind::Device,
                _,
            ) => {}
        }
    }

    /// A device has a new key.
    pub fn device(&mut self, key: NewKey) {
        if let (true, Some(contact)) = (key.first, &key.contact) {
            self.first_device = Some(contact.clone());
            return;
        }
        self.devices.push_back(key);
        if self.devices.len() > MAX_DEVICES {
            self.devices.pop_front();
            self.more_devices = self.more_devices.saturating_add(1);
        }
    }

    /// Why the server refuses the login; none if it does not.
    pub fn login(&mut self, refused: Option<ApiError>) {
        self.refused = refused;
    }

    fn transfer(&mut self, transfer: Transfer, now: Instant) {
        let id = transfer.id;
        self.highest = self.highest.max(id);
        let before = self.seen.get(&id).map(|seen| seen.transfer.state);
        if before.is_some_and(State::has_ended) {
            return;
        }
        let moves = transfer.state == State::Receiving && !transfer.paused;
        if transfer.state.has_ended() {
            self.end(&transfer, before, now);
        }
        let seen = self.seen.entry(id).or_insert_with(|| Seen {
            transfer: transfer.clone(),
            moving: None,
            answered: false,
            muted: false,
            trouble: None,
        });
        seen.transfer = transfer;
        seen.moving = moves.then(|| seen.moving.unwrap_or(now));
        while self.seen.len() > MAX_SEEN {
            self.seen.pop_first();
        }
    }

    /// Shows how it ended, if that is news for the person.
    fn end(&mut self, transfer: &Transfer, before: Option<State>, now: Instant) {
        let who = self.who(&transfer.contact);
        let moved = matches!(before, Some(State::Connecting | State::Sending | State::Receiving));
        let note = match (transfer.state, transfer.direction) {
            (State::Done, _) => words::done(transfer, who),
            (State::Failed, _) => words::failed(transfer, who),
            (State::Declined, Direction::Out) => words::declined(transfer, who),
            (State::Expired, Direction::Out) => words::expired(transfer, who),
            (State::Cancelled, _) if moved => words::cancelled(transfer, who),
            // Done by the person, or an offer that is simply gone.
            (State::Declined | State::Expired | State::Cancelled | State::Elsewhere, _) => return,
            (
                State::Preparing
                | State::Queued
                | State::Offered
                | State::Connecting
                | State::Sending
                | State::Receiving,
                _,
            ) => return,
        };
        let recent = self.ended.iter().filter(|(_, at, _)| now.duration_since(*at) < BURST).count();
        if recent >= MAX_ENDED {
            let count = if transfer.state == State::Done { &mut self.counted.0 } else { &mut self.counted.1 };
            *count = count.saturating_add(1);
            return;
        }
        self.ended.push_back((transfer.id, now, note));
        if self.ended.len() > KEPT_ENDED {
            self.ended.pop_front();
        }
    }

    fn who<'a>(&'a self, jid: &'a str) -> &'a str {
        self.names.get(jid).map_or(jid, String::as_str)
    }

    /// The notifications that there should be now.
    pub fn wanted(&self, now: Instant) -> BTreeMap<Key, Note> {
        let mut wanted = BTreeMap::new();
        let (own, others) = self.offers();
        for seen in own {
            let note = words::offer(&seen.transfer, self.who(&seen.transfer.contact), seen.trouble.as_ref());
            wanted.insert(Key::Transfer(seen.transfer.id), note);
        }
        if !others.is_empty() {
            let some: Vec<_> = others.iter().take(MAX_OFFERS).map(|seen| &seen.transfer).collect();
            let some: Vec<_> = some.into_iter().map(|transfer| (transfer, self.who(&transfer.contact))).collect();
            wanted.insert(Key::Offers, words::offers(others.len(), &some));
        }
        let moving = self.seen.values().filter(|seen| {
            !seen.muted && seen.moving.is_some_and(|since| now.saturating_duration_since(since) >= SHORT)
        });
        for seen in moving.take(MAX_PROGRESS) {
            let note = words::progress(&seen.transfer, self.who(&seen.transfer.contact));
            wanted.insert(Key::Transfer(seen.transfer.id), note);
        }
        for (id, _, note) in &self.ended {
            wanted.insert(Key::Transfer(*id), note.clone());
        }
        if self.counted != (0, 0) {
            wanted.insert(Key::Ended, words::ended(self.counted.0, self.counted.1));
        }
        if !self.devices.is_empty() {
            let keys: Vec<_> =
                self.devices.iter().map(|key| (key, key.contact.as_deref().map(|contact| self.who(contact)))).collect();
            wanted.insert(Key::Devices, words::devices(&keys, self.more_devices));
        }
        if let Some(contact) = &self.first_device {
            wanted.insert(Key::FirstDevice, words::first_device(contact, self.who(contact)));
        }
        if let Some(error) = &self.refused {
            wanted.insert(Key::Login, words::login_refused(error));
        }
        if let Some(text) = &self.notice {
            wanted.insert(Key::Notice, words::notice(text));
        }
        wanted
    }

    /// The open offers: those with a notification each, and the others.
    fn offers(&self) -> (Vec<&Seen>, Vec<&Seen>) {
        let open = |seen: &&Seen| {
            seen.transfer.state == State::Offered && seen.transfer.direction == Direction::In && !seen.answered
        };
        let mut own: Vec<_> = self.seen.values().filter(open).collect();
        let others = own.split_off(own.len().min(MAX_OFFERS));
        (own, others)
    }

    /// Whether time alone may change what is wanted.
    pub fn waits(&self) -> bool {
        self.seen.values().any(|seen| seen.moving.is_some())
    }

    /// The person has pressed something.
    pub fn pressed(&mut self, key: Key, action: Action) -> Option<Intent> {
        let Key::Transfer(id) = key else { return None };
        let seen = self.seen.get_mut(&id)?;
        let open = seen.transfer.state == State::Offered && seen.transfer.direction == Direction::In;
        match action {
            Action::Accept | Action::Decline if !open || seen.answered => None,
            Action::Accept => {
                seen.answered = true;
                Some(Intent::Accept(id))
            }
            Action::Decline => {
                seen.answered = true;
                Some(Intent::Decline(id))
            }
            Action::Open if seen.transfer.state == State::Done && seen.transfer.direction == Direction::In => {
                seen.transfer.path.clone().map(|path| Intent::Open(path.into()))
            }
            Action::Open => None,
        }
    }

    /// The daemon refused what the person asked for.
    pub fn refused(&mut self, id: u64, error: ApiError) {
        if let Some(seen) = self.seen.get_mut(&id) {
            seen.answered = false;
            seen.trouble = Some(error);
        }
    }

    /// The person, or the server, has closed a notification.
    pub fn closed(&mut self, key: Key) {
        match key {
            Key::Transfer(id) => {
                self.ended.retain(|(ended, _, _)| *ended != id);
                if let Some(seen) = self.seen.get_mut(&id) {
                    match seen.transfer.state {
                        State::Offered => seen.answered = true,
                        State::Connecting | State::Receiving => seen.muted = true,
                        State::Preparing | State::Queued | State::Sending => {}
                        State::Done
                        | State::Declined
                        | State::Cancelled
                        | State::Expired
                        | State::Elsewhere
                        | State::Failed => {}
                    }
                }
            }
            Key::Offers => {
                let (_, others) = self.offers();
                let others: Vec<_> = others.iter().map(|seen| seen.transfer.id).collect();
                for id in others {
                    if let Some(seen) = self.seen.get_mut(&id) {
                        seen.answered = true;
                    }
                }
            }
            Key::Ended => self.counted = (0, 0),
            Key::Devices => {
                self.devices.clear();
                self.more_devices = 0;
            }
            Key::FirstDevice => self.first_device = None,
            Key::Login => self.refused = None,
            Key::Notice => self.notice = None,
        }
    }
}

#[cfg(test)]
mod tests;
