//! Links that come and go.

use crate::domain::Domain;
use crate::effect::{Effect, LinkCommand, LinkId, LinkTag, TorrentCommand};
use crate::ids::TransferId;
use crate::input::Attempt;
use crate::transfer::{Accepted, Direction, Incoming, Outgoing, Side, Transfer};
use crate::way::Way;

/// A lost link is sought again at once by the receiver and a little later by the sender, in milliseconds.
const AFTER_LOSS: (u64, u64) = (200, 1_500);

impl Domain {
    /// The engine has a link for the transfer.
    pub(super) fn link_up(
        &mut self,
        id: TransferId,
        link: LinkTag,
        (way, relay): (Way, Option<String>),
        attempts: Vec<Attempt>,
    ) {
        let now = self.now.wall;
        self.take_up_ahead(id);
        let wanted = self.transfers.get(&id).is_some_and(|t| t.agreed() && !t.paused.by_us);
        if !wanted || self.live(id).granted.is_none() {
            self.push(Effect::Torrent(TorrentCommand::Detach(link)));
            return;
        }
        // A newer link replaces one whose end we have not noticed yet.
        if let Some(old) = self.live(id).link {
            self.links.remove(old);
            self.live(id).unlink();
            self.push(Effect::Torrent(TorrentCommand::Detach(old)));
        }
        self.links.add(link, id.into());
        let attempts = self.explained(id, attempts);
        let live = self.live(id);
        live.link = Some(link);
        live.way = Some(way);
        live.relay = relay;
        live.renewed = false;
        live.stream_id = None;
        live.attempts = attempts.into_iter().filter(|attempt| attempt.way < way).collect();
        let Some(transfer) = self.transfers.change(id) else { return };
        match &mut transfer.side {
            Side::Out { state, .. } => *state = Outgoing::Sending,
            Side::In { state, accepted, .. } => {
                *state = Incoming::Receiving;
                if *accepted == (Accepted::ByRule { linked: false }) {
                    *accepted = Accepted::ByRule { linked: true };
                    transfer.expires = None;
                }
            }
        }
        transfer.paused.by_contact = false;
        let state = transfer.state_name();
        transfer.note(now, state, Some(format!("link {way}")));
        self.look_for_better(id);
        self.introduce(id);
        if self.links.has_ended(link) {
            self.link_closed(link, "it closed immediately".into());
        }
    }

    /// No link came about; the link room has given the grant up.
    pub(super) fn link_failed(&mut self, id: TransferId, attempts: Vec<Attempt>) {
        let attempts = self.explained(id, attempts);
        let linked = self.transfers.get(&id).is_none_or(Transfer::linked);
        if linked {
            return self.nothing_better(id, attempts);
        }
        if self.live(id).ahead.take().is_some() {
            return; // our `connect` has not been answered yet: nothing has been tried
        }
        self.ungrant(id);
        self.live(id).attempts = attempts;
        self.seek_again(id, None);
        self.next_turn(id);
    }

    /// A link has ended.
    pub(super) fn link_closed(&mut self, link: LinkTag, reason: String) {
        let id = match self.links.ended(link) {
            Some(LinkId { transfer, introduced: None }) => transfer,
            Some(LinkId { transfer, introduced: Some(peer) }) => return self.introduced_closed(transfer, peer, link),
            None => return,
        };
        let live = self.live(id);
        if live.link != Some(link) {
            return;
        }
        live.unlink();
        let renewed = std::mem::take(&mut live.renewed);
        if !renewed {
            self.ungrant(id);
            self.push(Effect::Link(LinkCommand::Withdraw(id.into())));
        }
        if self.transfers.get(&id).is_none_or(|t| !t.agreed()) {
            return;
        }
        let now = self.now.wall;
        self.back_to_connecting(id);
        let done = self.live(id).done_bytes;
        if let Some(transfer) = self.transfers.change(id) {
            let whole =
                transfer.direction() == Direction::Out && transfer.facts.as_ref().is_some_and(|f| f.size <= done);
            // The receiver needs no link to verify the last pieces and say so.
            let reason = if whole {
                "all is sent; waiting to hear that it arrived".into()
            } else {
                format!("the link was lost: {reason}")
            };
            transfer.note(now, "connecting", Some(reason));
        }
        if renewed {
            return; // the next one is on its way, or the link room says that it failed
        }
        let (receiver, sender) = AFTER_LOSS;
        let wait = match self.transfers.get(&id).map(Transfer::direction) {
            Some(Direction::In) => receiver,
            Some(Direction::Out) | None => sender,
        };
        let again = self.live(id).backoff.fail();
        // The first loss is mended quickly; a link that is lost again and again is not hammered.
        self.seek_after(id, if again <= crate::limits::RETRY_FIRST { wait } else { again });
        self.next_turn(id);
    }

    /// Agreed, without a link.
    pub(super) fn back_to_connecting(&mut self, id: TransferId) {
        let Some(transfer) = self.transfers.change(id) else { return };
        match &mut transfer.side {
            Side::Out { state: state @ Outgoing::Sending, .. } => *state = Outgoing::Connecting,
            Side::In { state: state @ Incoming::Receiving, .. } => *state = Incoming::Connecting,
            Side::Out { .. } | Side::In { .. } => {}
        }
    }
}
