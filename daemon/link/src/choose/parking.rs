//! Authenticated links on which nothing has been agreed yet.

use tokio::time::Instant;
use tokio_util::task::AbortOnDropHandle;
use xbt_core::ids::Fingerprint;

use crate::BoxedStream;
use crate::addresses::candidates::Source;
use crate::choose::room::{Link, LinkInfo};
use crate::handshake::Handshake;

/// Links of one device that we want a link with.
const MOST_OF_WANTED: usize = 8;

/// Links of devices that nobody wants (yet), all together.
const MOST_UNKNOWN: usize = 32;

/// The same from one source.
const MOST_UNKNOWN_OF_SOURCE: usize = 4;

/// A parked link. Dropping it closes it.
pub(crate) struct Parked {
    pub id: u64,
    pub info: LinkInfo,
    pub since: Instant,
    pub until: Instant,
    pub state: State,
}

/// What goes on with a parked link.
pub(crate) enum State {
    /// Nothing; not a byte is read.
    Waiting(BoxedStream),
    /// Its peer is wanted and is the one to choose: we listen for its BitTorrent handshake.
    Heeding { _task: AbortOnDropHandle<()> },
    /// It asked for a content that is not granted; perhaps not yet.
    Early(BoxedStream, Handshake),
}

/// All parked links. Few enough (8 per wanted device and 32) to be looked through one by one.
#[derive(Default)]
pub(crate) struct Parking {
    links: Vec<Parked>,
    last_id: u64,
}

impl Parking {
    /// Takes a link in. Gives back the one that has no place any more, if it is too full: the oldest of the unknown
    /// ones; for a wanted device one with a worse way than the new one, or else the new one.
    pub fn admit(
        &mut self,
        link: Link,
        is_wanted: impl Fn(Fingerprint) -> bool,
        now: Instant,
        until: Instant,
    ) -> Option<LinkInfo> {
        let new = link.info.clone();
        let leaves = if is_wanted(new.peer) {
            let full = self.of_peer(new.peer).count() >= MOST_OF_WANTED;
            let worst = self.of_peer(new.peer).max_by_key(|parked| parked.info.way);
            match worst.filter(|_| full) {
                Some(worst) if worst.info.way <= new.way => return Some(new),
                worst => worst.map(|parked| parked.id),
            }
        } else {
            let source = new.remote.map(Source::of);
            let mut unknown = self.links.iter().filter(|parked| !is_wanted(parked.info.peer));
            let of_source = |parked: &&Parked| parked.info.remote.map(Source::of) == source;
            let (same, all) = (unknown.clone().filter(of_source).count(), unknown.clone().count());
            if same >= MOST_UNKNOWN_OF_SOURCE {
                unknown.find(of_source).map(|parked| parked.id)
            } else if all >= MOST_UNKNOWN {
                unknown.next().map(|parked| parked.id)
            } else {
                None
            }
        };
        self.last_id += 1;
        self.links.push(Parked { id: self.last_id, info: new, since: now, until, state: State::Waiting(link.stream) });
        leaves.and_then(|id| self.take(id)).map(|parked| parked.info)
    }

    pub fn iter(&self) -> impl Iterator<Item = &Parked> {
        self.links.iter()
    }

    pub fn of_peer(&self, peer: Fingerprint) -> impl Iterator<Item = &Parked> {
        self.links.iter().filter(move |parked| parked.info.peer == peer)
    }

    pub fn take(&mut self, id: u64) -> Option<Parked> {
        let position = self.links.iter().position(|parked| parked.id == id)?;
        Some(self.links.remove(position))
    }

    /// Puts one back that was taken, in its place among the others, which are ordered by age.
    pub fn put_back(&mut self, parked: Parked) {
        let position = self.links.partition_point(|other| other.id < parked.id);
        self.links.insert(position, parked);
    }

    pub fn close_of_peer(&mut self, peer: Fingerprint) {
        self.links.retain(|parked| parked.info.peer != peer);
    }

    pub fn take_expired(&mut self, now: Instant) -> Vec<Parked> {
        let (expired, kept) = std::mem::take(&mut self.links).into_iter().partition(|parked| parked.until <= now);
        self.links = kept;
        expired
    }
}
