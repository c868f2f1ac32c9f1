//! Endgame: when every piece is assigned, idle links take over from slower ones.
//!
//! A piece has one owner (see `piece.rs`), so no block is requested twice: the piece is released with the blocks that
//! have come, and the missing ones are requested elsewhere.

use std::collections::HashMap;
use std::time::Duration;

use tokio::time::Instant;

use super::Swarm;
use crate::LinkTag;
use crate::link::LinkCommand;

/// A link keeps a piece at least this long.
const AT_LEAST: Duration = Duration::from_millis(500);
/// The same for a link of unknown rate.
const SILENT: Duration = Duration::from_secs(1);
/// Pieces reassigned to one idle link at a time.
const AT_ONCE: usize = 4;
/// The assumed rate of an idle link without one, in bytes/s.
const UNKNOWN: u64 = 256 << 10;

/// What a link has to fetch, and how fast it does.
struct Load {
    bytes: f64,
    rate: f64,
}

impl Load {
    fn seconds(&self) -> f64 {
        if self.rate > 0.0 { self.bytes / self.rate } else { f64::INFINITY }
    }
}

impl Swarm {
    /// Called four times a second.
    pub(super) fn endgame(&mut self) {
        let mut idle: Vec<(u64, LinkTag)> = self
            .peers
            .iter()
            .filter(|(_, peer)| peer.capacity > 0 && peer.snubbed.is_none())
            .map(|(tag, peer)| (peer.rate(), *tag))
            .collect();
        if idle.is_empty() {
            return;
        }
        idle.sort_unstable_by(|a, b| b.cmp(a));
        let mut loads = self.loads();
        for (rate, tag) in idle {
            let rate = if rate == 0 { UNKNOWN } else { rate };
            for _ in 0..AT_ONCE {
                if !self.reassign_to(tag, rate as f64, &mut loads) {
                    break;
                }
            }
        }
    }

    fn loads(&self) -> HashMap<LinkTag, Load> {
        let mut loads: HashMap<LinkTag, Load> = HashMap::new();
        for (piece, hold) in self.pieces.held() {
            let load = loads.entry(hold.tag).or_insert(Load { bytes: 0.0, rate: 0.0 });
            load.bytes += self.view.as_ref().map_or(0, |view| view.meta.piece_len(piece)) as f64;
            load.rate = self.peers.get(&hold.tag).map_or(0, super::Peer::rate) as f64;
        }
        loads
    }

    /// Reassigns the last piece of the link that will be busy longest, if the idle link needs much less time for it.
    fn reassign_to(&mut self, tag: LinkTag, rate: f64, loads: &mut HashMap<LinkTag, Load>) -> bool {
        let (Some(view), Some(has)) = (&self.view, self.peers.get(&tag).and_then(|peer| peer.has.as_ref())) else {
            return false;
        };
        let now = Instant::now();
        let candidates = self.pieces.held().filter(|(piece, hold)| {
            let age = now.duration_since(hold.since);
            let known = loads.get(&hold.tag).is_some_and(|load| load.rate > 0.0);
            let free = self.peers.get(&hold.tag).is_some_and(|peer| !peer.releasing.contains(piece));
            hold.tag != tag && has.has(*piece) && free && age >= if known { AT_LEAST } else { SILENT }
        });
        let key = |(piece, hold): &(u32, super::pieces::Hold)| {
            (loads.get(&hold.tag).map_or(0.0, Load::seconds), hold.since, *piece)
        };
        let worst = candidates.max_by(|a, b| {
            let (a, b) = (key(a), key(b));
            a.0.total_cmp(&b.0).then(a.1.cmp(&b.1)).then(a.2.cmp(&b.2))
        });
        let Some((piece, hold)) = worst else { return false };
        let len = view.meta.piece_len(piece) as f64;
        let Some(load) = loads.get_mut(&hold.tag).filter(|load| load.seconds() > 2.0 * len / rate + 0.5) else {
            return false;
        };
        load.bytes -= len;
        loads.entry(tag).or_insert(Load { bytes: 0.0, rate }).bytes += len;
        let Some(holder) = self.peers.get_mut(&hold.tag) else { return false };
        holder.releasing.insert(piece);
        let _ = holder.commands.send(LinkCommand::Release(piece));
        true
    }
}
