//! Finds transfers without looking at all of them. Holds only rows of the configured account, except in `over`.

use std::collections::BTreeSet;

use crate::domain::sets::Sets;
use crate::ids::{BareJid, ContentId, TransferId};
use crate::transfer::{Direction, End, Incoming, Side, Transfer};

/// See the module.
#[derive(Debug, Default)]
pub(super) struct Index {
    /// All transfers of a content.
    pub(super) content: Sets<ContentId>,
    /// The transfers with a contact that have not ended.
    pub(super) open: Sets<BareJid>,
    /// The offers of a contact that wait for an answer.
    pub(super) unanswered: Sets<BareJid>,
    /// The transfers from a contact that have not ended.
    pub(super) incoming: Sets<BareJid>,
    /// The transfers from a contact that came to nothing, without those that a person here declined.
    pub(super) vain: Sets<BareJid>,
    /// The sends to a contact that we gave up after a device had taken them, and of which that device has not yet said
    /// how they stand there: it may have had everything.
    pub(super) unsure: Sets<BareJid>,
    /// What has ended, of all accounts: only for lists, which show the last few.
    pub(super) over: BTreeSet<TransferId>,
}

impl Index {
    /// Files a transfer where its state belongs.
    pub(super) fn file(&mut self, transfer: &Transfer) {
        let Transfer { id, contact, .. } = transfer;
        let open = transfer.end().is_none();
        let incoming = transfer.direction() == Direction::In;
        let offered = matches!(transfer.side, Side::In { state: Incoming::Offered, .. });
        self.content.insert(transfer.content, *id);
        self.open.place(contact, *id, open);
        self.incoming.place(contact, *id, open && incoming);
        self.unanswered.place(contact, *id, offered);
        self.vain.place(contact, *id, is_vain(transfer));
        self.unsure.place(contact, *id, transfer.is_unsure());
        self.note_over(transfer);
    }

    /// All that is noted of a row of another account.
    pub(super) fn note_over(&mut self, transfer: &Transfer) {
        if transfer.end().is_some() {
            self.over.insert(transfer.id);
        }
    }

    /// The row is gone.
    pub(super) fn remove(&mut self, transfer: &Transfer) {
        let Transfer { id, contact, .. } = transfer;
        for set in [&mut self.open, &mut self.incoming, &mut self.unanswered, &mut self.vain, &mut self.unsure] {
            set.remove(contact, *id);
        }
        self.over.remove(id);
        self.content.remove(&transfer.content, *id);
    }
}

fn is_vain(transfer: &Transfer) -> bool {
    match (&transfer.side, transfer.end()) {
        (Side::In { .. }, Some(end)) => match end {
            End::Cancelled | End::Expired | End::Elsewhere | End::Failed(_) => true,
            End::Done | End::Declined { .. } => false,
        },
        (Side::In { .. }, None) | (Side::Out { .. }, _) => false,
    }
}
