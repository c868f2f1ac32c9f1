//! What is reported of links that are ready, and of those that failed.

use tokio::time::Instant;
use xbt_core::way::Way;

use super::exchange::ExchangeError;
use super::explain::{self, Known};
use super::requests::Search;
use super::room::Room;
use crate::event::LinkEvent;
use crate::handshake::Handshake;
use crate::rejection::{Rejected, Rejection};
use crate::stream::BoxedStream;
use crate::ways::attempt::Attempt;
use crate::ways::link::LinkInfo;
use crate::ways::reason::Failure;
use crate::ways::target::Target;
use xbt_core::effect::LinkId;

impl Room {
    /// A link is bound to the content of a request, which ends.
    pub(super) fn ready(&mut self, id: LinkId, info: LinkInfo, stream: BoxedStream, theirs: Handshake) {
        let LinkInfo { peer, way, remote, ref dialed } = info;
        let relay = dialed.as_ref().and_then(|(_, target)| target.relay());
        tracing::debug!(%id, %peer, %way, ?remote, "a link is ready");
        let search = self.requests.0.remove(&id);
        let attempts = search.map(|search| self.attempts(&search, Some(way))).unwrap_or_default();
        self.known.insert(peer, Instant::now());
        let (transfer, introduced, reserved) = (id.transfer, id.introduced.is_some(), theirs.reserved);
        let ready = LinkEvent::Ready { transfer, peer, introduced, stream, way, remote, relay, reserved, attempts };
        self.pending.outcome(id, ready);
        self.close_unless_expected(peer);
    }

    /// Everything that was tried for a request, and why the other ways were not.
    pub(super) fn attempts(&self, search: &Search, got: Option<Way>) -> Vec<Attempt> {
        let known = Known { ways: self.setup.ways, transports: &self.setup.transports, outside: &self.outside };
        let tried = search.attempts().into_iter();
        let mut attempts: Vec<Attempt> = tried.map(|one| explain::advise(one, &search.request, &known)).collect();
        attempts.extend(explain::untried(&search.request, &attempts, got, &known));
        attempts
    }

    /// A link was turned away: reported, if the other side opened it.
    pub(super) fn reject(&mut self, info: &LinkInfo, reason: Rejection) {
        tracing::debug!(peer = %info.peer, remote = ?info.remote, reason = reason.code(), "a link was rejected");
        if let (None, Some(remote)) = (&info.dialed, info.remote) {
            self.pending.rejected(Rejected { remote, reason, peer: Some(info.peer) });
        }
    }

    /// A link ended before it was used: recorded for the target if we dialed, reported if what came was no BitTorrent.
    pub(super) fn lost(&mut self, info: &LinkInfo, error: &ExchangeError) {
        tracing::debug!(peer = %info.peer, remote = ?info.remote, %error, "a link was lost before it was used");
        if let Some((id, target)) = &info.dialed {
            let (now, redial) = (Instant::now(), self.setup.times.redial);
            if let Some(search) = self.requests.0.get_mut(id)
                && search.targets.contains(target)
            {
                let failure = Failure::new(error.reason(), format!("{target} {error}"));
                search.record(Attempt { way: info.way, ..Attempt::at(Target::clone(target), failure) });
                // What this round still tries would be worth less than this target once more.
                if search.round.is_some() {
                    search.round_over(now, redial);
                }
            }
            return;
        }
        match error {
            ExchangeError::NotBitTorrent | ExchangeError::OtherContent => self.reject(info, Rejection::BadHandshake),
            ExchangeError::Closed | ExchangeError::Silent(_) => {}
        }
    }
}
