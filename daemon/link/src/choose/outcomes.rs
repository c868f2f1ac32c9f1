//! What is told of links that came to nothing.

use tokio::time::Instant;

use super::room::{LinkInfo, Room};
use crate::choose::exchange::TalkError;
use crate::event::{Refusal, reason};
use crate::{Attempt, Target};

impl Room {
    /// A link was not taken: told, if somebody else brought it.
    pub(crate) fn refuse(&mut self, info: &LinkInfo, reason: &'static str) {
        tracing::debug!(peer = %info.peer, remote = ?info.remote, reason, "a link was refused");
        if let (None, Some(remote)) = (&info.dialled, info.remote) {
            self.outbox.refusal(Refusal { remote, reason, peer: Some(info.peer) });
        }
    }

    /// A link ended before it was taken: kept with the target if we dialled, told if what came was no BitTorrent.
    pub(crate) fn lost(&mut self, info: &LinkInfo, error: &TalkError) {
        tracing::debug!(peer = %info.peer, remote = ?info.remote, %error, "a link came to nothing");
        if let Some((purpose, target)) = &info.dialled {
            let (now, redial) = (Instant::now(), self.setup.times.redial);
            if let Some(wanted) = self.wants.0.get_mut(purpose)
                && wanted.targets.contains(target)
            {
                let (target, reason) = (Some(Target::clone(target)), format!("{target} {error}"));
                wanted.note(Attempt { target, way: info.way, code: error.code(), reason });
                // What this round still tries would be worth less than this target once more.
                if wanted.round.is_some() {
                    wanted.round_over(now, redial);
                }
            }
            return;
        }
        match error {
            TalkError::NotBitTorrent | TalkError::OtherContent => self.refuse(info, reason::BAD_HANDSHAKE),
            TalkError::Closed | TalkError::Silent(_) => {}
        }
    }
}
