//! Letting the sender in before it has answered: its key is known from the offer, and it dials what our `connect` tells
//! as soon as it has that. Its answer takes its way through two servers, which commonly hold a device's next stanza
//! back for as long as the last one was big; the link need not wait for it.

use crate::domain::Domain;
use crate::effect::{DialRequest, Effect, LinkCommand};
use crate::ids::{FullJid, TransferId};
use crate::signal::Reach;
use crate::transfer::Direction;

impl Domain {
    /// The receiver's `connect` goes out: whom it goes to is let in from now on. Nothing is dialled, for nothing is
    /// known yet of where.
    pub(super) fn let_in_ahead(&mut self, id: TransferId, device: &FullJid) {
        let Some(transfer) = self.transfers.get(&id) else { return };
        let first = transfer.direction() == Direction::In && transfer.agreed() && !transfer.linked();
        let Some(peer) = transfer.peer().filter(|_| first) else { return };
        let Some(info_hash) = transfer.facts.as_ref().map(|facts| facts.info_hash) else { return };
        let peer = peer.fingerprint;
        if self.live(id).granted.is_some() || !self.is_proved(device, peer) {
            return;
        }
        let Some(ours) = self.our_reach(id) else { return };
        self.has_own_now(id, info_hash, peer);
        self.live(id).ahead = Some(peer);
        let want = DialRequest {
            transfer: id,
            peer,
            introduced: false,
            info_hash,
            own: self.own_device(),
            device: device.clone(),
            theirs: Reach::default(),
            ours,
            delay: 0,
            better_than: None,
        };
        self.push(Effect::Link(LinkCommand::Dial(Box::new(want))));
    }

    /// There is a link: it counts as one of the pair from now on.
    pub(super) fn take_up_ahead(&mut self, id: TransferId) {
        if let Some(peer) = self.live.get_mut(&id).and_then(|live| live.ahead.take()) {
            self.grant(id, peer);
            self.leave_line(id);
        }
    }

    /// Nothing was agreed after all.
    pub(super) fn shut_out_ahead(&mut self, id: TransferId) {
        if self.live.get_mut(&id).and_then(|live| live.ahead.take()).is_some() {
            self.push(Effect::Link(LinkCommand::Withdraw(id.into())));
        }
    }
}
