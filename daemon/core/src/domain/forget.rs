//! What contacts leave behind is bounded: failed transfers are removed automatically, the oldest first.

use crate::domain::Domain;
use crate::transfer::{Side, Transfer};

impl Domain {
    /// Keeps the newest [`VAIN_PER_CONTACT`](crate::limits::VAIN_PER_CONTACT) failed transfers of each contact.
    ///
    /// One that was accepted here leaves a tombstone, so that it does not come back. One that was never answered leaves
    /// none: its sender could make another at any time, and a flood must not push out the tombstones of others.
    pub(super) fn forget_vain(&mut self) {
        let mut tombstones = false;
        for id in self.transfers.take_surplus() {
            let accepted = |t: &Transfer| matches!(t.side, Side::In { folder: Some(_), .. });
            let with_tombstone = self.transfers.get(&id).is_some_and(accepted);
            tombstones |= with_tombstone;
            self.remove_ended(id, false, with_tombstone);
        }
        if tombstones {
            self.prune_tombstones();
        }
    }
}
