//! What links report.

use tokio::time::Instant;

use super::Swarm;
use crate::LinkTag;
use crate::bitfield::Bitfield;
use crate::event::Event;
use crate::link::Report;
use crate::piece::PieceBuf;

impl Swarm {
    pub(super) async fn on_report(&mut self, tag: LinkTag, report: Report) {
        // A closing link may still report; only unfinished pieces could matter, and they are dropped.
        let Some(peer) = self.peers.get_mut(&tag) else { return };
        match report {
            Report::HasMetadata(size) => {
                peer.metadata_size = Some(size);
                self.seek_metadata().await;
            }
            Report::Has(bits) => self.has(tag, bits),
            Report::Have(more) => self.have(tag, more),
            Report::Interested(interested) => {
                peer.choking.interested(interested);
                self.fill_unchoke_slots();
            }
            Report::Capacity(bytes) => {
                peer.capacity = bytes;
                self.assign_pieces(tag);
            }
            Report::PieceComplete(piece) => {
                peer.releasing.remove(&piece.index);
                peer.snubbed = None;
                self.verify(piece);
            }
            Report::Released(pieces) => self.released(tag, pieces),
            Report::Leaving(pieces) => {
                peer.capacity = 0;
                self.released(tag, pieces);
            }
            Report::Stalled => {
                self.stalled(tag);
                self.metadata_stalled(tag).await;
            }
            Report::Metadata(bytes) => self.metadata_came(tag, bytes),
            Report::MetadataRejected => {
                peer.metadata_size = None;
                self.metadata_peer = None;
                self.seek_metadata().await;
            }
            Report::Requested(piece) => self.requested(tag, piece),
            Report::Done => self.shared.emit(Event::PeerDone { key: self.key, tag }).await,
            Report::Unreadable(error) => self.unreadable(error).await,
            Report::Ended => self.lost(tag).await,
        }
    }

    fn has(&mut self, tag: LinkTag, bits: Bitfield) {
        let Some(peer) = self.peers.get_mut(&tag) else { return };
        self.pieces.add_availability(bits.iter());
        let new: Vec<u32> = bits.iter().filter(|piece| peer.has.as_ref().is_none_or(|has| !has.has(*piece))).collect();
        if let Some(old) = peer.has.replace(bits) {
            self.pieces.remove_availability(&old);
        }
        self.receiver_has(tag, &new);
        self.assign_pieces(tag);
    }

    fn have(&mut self, tag: LinkTag, more: Vec<u32>) {
        let Some(peer) = self.peers.get_mut(&tag) else { return };
        let Some(bits) = peer.has.as_mut() else { return };
        let new: Vec<u32> = more.into_iter().filter(|piece| bits.set(*piece)).collect();
        peer.requested.retain(|piece| !bits.has(*piece));
        self.pieces.add_availability(new.iter().copied());
        self.receiver_has(tag, &new);
        self.assign_pieces(tag);
    }

    fn released(&mut self, tag: LinkTag, pieces: Vec<PieceBuf>) {
        for piece in pieces {
            if let Some(peer) = self.peers.get_mut(&tag) {
                peer.releasing.remove(&piece.index);
            }
            self.pieces.release(piece);
        }
        self.assign_all();
    }

    async fn lost(&mut self, tag: LinkTag) {
        let Some(peer) = self.peers.remove(&tag) else { return };
        if let Some(has) = &peer.has {
            self.pieces.remove_availability(has);
        }
        self.receiver_gone(peer.has.as_ref(), peer.advertised.as_ref());
        self.suspect(&peer.requested);
        // Pieces it never saw the command for are free again.
        self.reclaim(tag);
        self.fill_unchoke_slots();
        if self.peers.is_empty() {
            self.no_links_since = Instant::now();
            self.shared.budget.trim();
        }
        if self.metadata_peer.is_some_and(|(metadata_peer, _)| metadata_peer == tag) {
            self.metadata_peer = None;
            self.seek_metadata().await;
        }
        self.assign_all();
    }
}
