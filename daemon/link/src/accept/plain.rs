//! Plain BitTorrent on the port for links, for contents marked open.
//!
//! Invariant: who comes without TLS gets a byte from us only once its handshake has named a content that is open. What it
//! gets then is no link: nobody's key is proved, and it is handed over under a name of its own.

use std::collections::{HashMap, HashSet};
use std::hash::Hash;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use xbt_core::ids::InfoHash;

use crate::addresses::candidates::Source;
use crate::event::reason;
use crate::handshake::{Handshake, LENGTH};

/// How a BitTorrent handshake begins (BEP 3): the length of the protocol's name.
pub(crate) const FIRST: u8 = 0x13;

/// Plain connections, all together.
const MOST: usize = 128;

/// The same to one content. Half of what the engine takes, so that the contacts it was sent to always find room.
const MOST_OF_CONTENT: usize = 32;

/// The same from one source.
const MOST_OF_SOURCE: usize = 8;

/// What is open, and who reads it. Clones are the same. The lock is held for a look only.
#[derive(Clone, Debug, Default)]
pub(crate) struct Open(Arc<Mutex<Shelf>>);

#[derive(Debug, Default)]
struct Shelf {
    open: HashSet<InfoHash>,
    of_content: HashMap<InfoHash, usize>,
    of_source: HashMap<Source, usize>,
    all: usize,
}

/// One of the places for plain connections. Dropping it frees it, so it is kept as long as the connection.
#[derive(Debug)]
pub struct Place {
    open: Open,
    info_hash: InfoHash,
    source: Source,
}

impl Open {
    fn shelf(&self) -> MutexGuard<'_, Shelf> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub fn open(&self, info_hash: InfoHash) {
        self.shelf().open.insert(info_hash);
    }

    pub fn shut(&self, info_hash: InfoHash) {
        self.shelf().open.remove(&info_hash);
    }

    /// A place to read an open content, or why there is none.
    fn enter(&self, info_hash: InfoHash, source: Source) -> Result<Place, &'static str> {
        let mut shelf = self.shelf();
        if !shelf.open.contains(&info_hash) {
            return Err(reason::NOT_OPEN);
        }
        let of_content = shelf.of_content.get(&info_hash).copied().unwrap_or(0);
        let of_source = shelf.of_source.get(&source).copied().unwrap_or(0);
        if shelf.all >= MOST || of_content >= MOST_OF_CONTENT || of_source >= MOST_OF_SOURCE {
            return Err(reason::TOO_MANY);
        }
        shelf.all += 1;
        *shelf.of_content.entry(info_hash).or_default() += 1;
        *shelf.of_source.entry(source).or_default() += 1;
        Ok(Place { open: self.clone(), info_hash, source })
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        let mut shelf = self.open.shelf();
        shelf.all = shelf.all.saturating_sub(1);
        one_less(&mut shelf.of_content, &self.info_hash);
        one_less(&mut shelf.of_source, &self.source);
    }
}

/// Zeros are not kept, so the maps are as small as what they count.
fn one_less<K: Eq + Hash>(counts: &mut HashMap<K, usize>, key: &K) {
    if let Some(count) = counts.get_mut(key) {
        *count = count.saturating_sub(1);
        if *count == 0 {
            counts.remove(key);
        }
    }
}

/// Hears what a plain connection wants and answers its handshake if that is open, or says why not. Its time is bounded by
/// whoever calls.
pub(crate) async fn greet(
    open: &Open,
    peer_id: [u8; 20],
    stream: &mut TcpStream,
    remote: SocketAddr,
) -> Result<(Handshake, Place), &'static str> {
    let mut bytes = [0; LENGTH];
    stream.read_exact(&mut bytes).await.map_err(|_| reason::BAD_HANDSHAKE)?;
    let theirs = Handshake::parse(&bytes).ok_or(reason::BAD_HANDSHAKE)?;
    if theirs.peer_id == peer_id {
        return Err(reason::OWN_DEVICE);
    }
    let place = open.enter(theirs.info_hash, Source::of(remote))?;
    let ours = Handshake::ours(theirs.info_hash, peer_id);
    stream.write_all(&ours.to_bytes()).await.map_err(|_| reason::BAD_HANDSHAKE)?;
    Ok((theirs, place))
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
        assert_eq!(open.enter(hash(1), source(1)).unwrap_err(), reason::NOT_OPEN);
        (1..=9).for_each(|n| open.open(hash(n)));
        let of_one: Vec<_> = (0..8).map(|_| open.enter(hash(1), source(1)).unwrap()).collect();
        assert_eq!(open.enter(hash(2), source(1)).unwrap_err(), reason::TOO_MANY);
        let others: Vec<_> = (0..24).map(|n| open.enter(hash(1), source(2 + n / 8)).unwrap()).collect();
        assert_eq!(open.enter(hash(1), source(9)).unwrap_err(), reason::TOO_MANY);
        let rest: Vec<_> = (0..96).map(|n| open.enter(hash(2 + n / 32), source(100 + n / 8)).unwrap()).collect();
        assert_eq!(open.enter(hash(9), source(99)).unwrap_err(), reason::TOO_MANY);
        drop((of_one, others, rest));
        open.enter(hash(1), source(1)).unwrap();
        open.shut(hash(1));
        assert_eq!(open.enter(hash(1), source(1)).unwrap_err(), reason::NOT_OPEN);
        let shelf = open.shelf();
        assert!(shelf.all == 0 && shelf.of_content.is_empty() && shelf.of_source.is_empty());
    }
}
