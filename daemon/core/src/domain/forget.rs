//! What contacts leave behind is bounded: offers that came to nothing go by themselves, the oldest first.

use crate::domain::Domain;
use crate::transfer::{Side, Transfer};

impl Domain {
    /// Keeps the newest [`VAIN_PER_CONTACT`](crate::limits::VAIN_PER_CONTACT) transfers that came to nothing of each contact of whom there are more now.
    ///
    /// One that was accepted here leaves a tombstone, so that it does not come back. One that nobody here ever answered
    /// leaves none: who made it could make another at any time, and a flood must not push out the tombstones of others.
    pub(super) fn forget_vain(&mut self) {
        let mut stones = false;
        for id in self.transfers.take_surplus() {
            let accepted = |t: &Transfer| matches!(t.side, Side::In { folder: Some(_), .. });
            let with_stone = self.transfers.get(&id).is_some_and(accepted);
            stones |= with_stone;
            self.bury(id, false, with_stone);
        }
        if stones {
            self.prune_tombstones();
        }
    }
}
