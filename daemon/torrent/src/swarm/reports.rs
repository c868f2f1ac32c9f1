//! What links report.

use tokio::time::Instant;

use super::Swarm;
use crate::LinkTag;
use crate::bitfield::Bitfield;
use crate::event::Event;
use crate::link::Report;
use crate::piece::PieceBuf;

impl Swarm {
    pub(super) async fn hear(&mut self, tag: LinkTag, report: Report) {
        // A link that was told to close may still talk; only unfinished pieces could matter, and they are dropped.
        let Some(peer) = self.peers.get_mut(&tag) else { return };
        match report {
            Report::CanTell(size) => {
                peer.can_tell = Some(size);
                self.seek_metadata().await;
            }
            Report::Has(bits) => self.has(tag, bits),
            Report::Have(more) => self.have(tag, more),
            Report::Interested(interested) => {
                peer.turn.wants(interested);
                self.fill_slots();
            }
            Report::Hungry(bytes) => {
                peer.hungry = bytes;
                self.feed(tag);
            }
            Report::Full(piece) => {
                peer.dropping.remove(&piece.index);
                peer.snubbed = None;
                self.verify(piece);
            }
            Report::GiveBack(pieces) => self.given_back(tag, pieces),
            Report::Leaving(pieces) => {
                peer.hungry = 0;
                self.given_back(tag, pieces);
            }
            Report::Stalled => {
                self.stalled(tag);
                self.metadata_stalled(tag).await;
            }
            Report::Metadata(bytes) => self.metadata_came(tag, bytes),
            Report::Untold => {
                peer.can_tell = None;
                self.teller = None;
                self.seek_metadata().await;
            }
            Report::Done => self.shared.emit(Event::PeerDone { key: self.key, tag }).await,
            Report::Unreadable(error) => self.unreadable(error).await,
            Report::Ended => self.lost(tag).await,
        }
    }

    fn has(&mut self, tag: LinkTag, bits: Bitfield) {
        let Some(peer) = self.peers.get_mut(&tag) else { return };
        self.pieces.counted(bits.iter());
        let new: Vec<u32> = bits.iter().filter(|piece| peer.has.as_ref().is_none_or(|has| !has.has(*piece))).collect();
        if let Some(old) = peer.has.replace(bits) {
            self.pieces.uncounted(&old);
        }
        self.taken(tag, &new);
        self.feed(tag);
    }

    fn have(&mut self, tag: LinkTag, more: Vec<u32>) {
        let Some(bits) = self.peers.get_mut(&tag).and_then(|peer| peer.has.as_mut()) else { return };
        let new: Vec<u32> = more.into_iter().filter(|piece| bits.set(*piece)).collect();
        self.pieces.counted(new.iter().copied());
        self.taken(tag, &new);
        self.feed(tag);
    }

    fn given_back(&mut self, tag: LinkTag, pieces: Vec<PieceBuf>) {
        for piece in pieces {
            if let Some(peer) = self.peers.get_mut(&tag) {
                peer.dropping.remove(&piece.index);
            }
            self.pieces.give_back(piece);
        }
        self.feed_all();
    }

    async fn lost(&mut self, tag: LinkTag) {
        let Some(peer) = self.peers.remove(&tag) else { return };
        if let Some(has) = &peer.has {
            self.pieces.uncounted(has);
        }
        self.untaken(peer.has.as_ref(), peer.shown.as_ref());
        // What it could not give back (orders it never saw) is free again.
        self.reclaim(tag);
        self.fill_slots();
        if self.peers.is_empty() {
            self.alone = Instant::now();
            self.shared.budget.trim();
        }
        if self.teller.is_some_and(|(teller, _)| teller == tag) {
            self.teller = None;
            self.seek_metadata().await;
        }
        self.feed_all();
    }
}
