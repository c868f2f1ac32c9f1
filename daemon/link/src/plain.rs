//! Plain BitTorrent on the port for links, for contents marked open.
//!
//! Invariant: a connection without TLS gets a byte from us only once its handshake has named a content that is open. It
//! then is no link: no key is proved, and it is handed over as something else.

use std::collections::{HashMap, HashSet};
use std::hash::Hash;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use xbt_core::ids::InfoHash;

use crate::addresses::source::Source;
use crate::handshake::{Handshake, LENGTH};
use crate::rejection::Rejection;

/// How a BitTorrent handshake begins (BEP 3): the length of the protocol's name.
pub(crate) const FIRST: u8 = 0x13;

/// Plain connections, all together.
const MAX: usize = 128;

/// The same to one content. Half of what the engine takes, so that the contacts it was sent to always find room.
const MAX_OF_CONTENT: usize = 32;

/// The same from one source.
const MAX_OF_SOURCE: usize = 8;

/// What is open, and who reads it. Cheap to clone.
#[derive(Clone, Debug, Default)]
pub(crate) struct Open(Arc<Mutex<Readers>>);

#[derive(Debug, Default)]
struct Readers {
    open: HashSet<InfoHash>,
    of_content: HashMap<InfoHash, usize>,
    of_source: HashMap<Source, usize>,
    all: usize,
}

/// A slot for a plain connection, to be kept as long as the connection: dropping it frees the slot.
#[derive(Debug)]
pub struct Slot {
    open: Open,
    info_hash: InfoHash,
    source: Source,
}

impl Open {
    fn readers(&self) -> MutexGuard<'_, Readers> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub fn open(&self, info_hash: InfoHash) {
        self.readers().open.insert(info_hash);
    }

    pub fn close(&self, info_hash: InfoHash) {
        self.readers().open.remove(&info_hash);
    }

    /// A slot to read an open content, or why there is none.
    fn enter(&self, info_hash: InfoHash, source: Source) -> Result<Slot, Rejection> {
        let mut readers = self.readers();
        if !readers.open.contains(&info_hash) {
            return Err(Rejection::NotOpen);
        }
        let of_content = readers.of_content.get(&info_hash).copied().unwrap_or(0);
        let of_source = readers.of_source.get(&source).copied().unwrap_or(0);
        if readers.all >= MAX || of_content >= MAX_OF_CONTENT || of_source >= MAX_OF_SOURCE {
            return Err(Rejection::TooMany);
        }
        readers.all += 1;
        *readers.of_content.entry(info_hash).or_default() += 1;
        *readers.of_source.entry(source).or_default() += 1;
        Ok(Slot { open: self.clone(), info_hash, source })
    }
}

impl Drop for Slot {
    fn drop(&mut self) {
        let mut readers = self.open.readers();
        readers.all = readers.all.saturating_sub(1);
        decrement(&mut readers.of_content, &self.info_hash);
        decrement(&mut readers.of_source, &self.source);
    }
}

/// Entries that reach zero go, so that the maps do not grow.
fn decrement<K: Eq + Hash>(counts: &mut HashMap<K, usize>, key: &K) {
    if let Some(count) = counts.get_mut(key) {
        *count = count.saturating_sub(1);
        if *count == 0 {
            counts.remove(key);
        }
    }
}

/// Reads the handshake of a plain connection, and answers if it names an open content. The caller limits the time.
pub(crate) async fn handshake(
    open: &Open,
    peer_id: [u8; 20],
    stream: &mut TcpStream,
    remote: SocketAddr,
) -> Result<(Handshake, Slot), Rejection> {
    let mut bytes = [0; LENGTH];
    stream.read_exact(&mut bytes).await.map_err(|_| Rejection::BadHandshake)?;
    let theirs = Handshake::parse(&bytes).ok_or(Rejection::BadHandshake)?;
    if theirs.peer_id == peer_id {
        return Err(Rejection::OwnDevice);
    }
    let slot = open.enter(theirs.info_hash, Source::of(remote))?;
    let ours = Handshake::ours(theirs.info_hash, peer_id);
    stream.write_all(&ours.to_bytes()).await.map_err(|_| Rejection::BadHandshake)?;
    Ok((theirs, slot))
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    fn source(last: u8) -> Source {
        Source::of(([192, 0, 2, last], 1).into())
    }

    #[test]
    fn places_are_bounded_by_source_content_and_in_all_and_are_free_again_when_left() {
        let open = Open::default();
        let hash = |n: u8| InfoHash([n; 20]);
        assert_eq!(open.enter(hash(1), source(1)).unwrap_err(), Rejection::NotOpen);
        (1..=9).for_each(|n| open.open(hash(n)));
        let of_one: Vec<_> = (0..8).map(|_| open.enter(hash(1), source(1)).unwrap()).collect();
        assert_eq!(open.enter(hash(2), source(1)).unwrap_err(), Rejection::TooMany);
        let others: Vec<_> = (0..24).map(|n| open.enter(hash(1), source(2 + n / 8)).unwrap()).collect();
        assert_eq!(open.enter(hash(1), source(9)).unwrap_err(), Rejection::TooMany);
        let rest: Vec<_> = (0..96).map(|n| open.enter(hash(2 + n / 32), source(100 + n / 8)).unwrap()).collect();
        assert_eq!(open.enter(hash(9), source(99)).unwrap_err(), Rejection::TooMany);
        drop((of_one, others, rest));
        open.enter(hash(1), source(1)).unwrap();
        open.close(hash(1));
        assert_eq!(open.enter(hash(1), source(1)).unwrap_err(), Rejection::NotOpen);
        let readers = open.readers();
        assert!(readers.all == 0 && readers.of_content.is_empty() && readers.of_source.is_empty());
    }
}
