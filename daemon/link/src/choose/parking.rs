//! Authenticated links on which nothing has been agreed yet.

use tokio::time::Instant;
use tokio_util::task::AbortOnDropHandle;
use xbt_core::ids::Fingerprint;

use crate::addresses::source::Source;
use crate::handshake::Handshake;
use crate::stream::BoxedStream;
use crate::ways::link::{Link, LinkInfo};

/// Links of one device that a request names.
const MAX_OF_EXPECTED: usize = 8;

/// Links of devices that no request names (yet), all together.
const MAX_UNKNOWN: usize = 32;

/// The same from one source.
const MAX_UNKNOWN_OF_SOURCE: usize = 4;

/// A parked link. Dropping it closes it.
pub(crate) struct Parked {
    pub id: u64,
    pub info: LinkInfo,
    pub since: Instant,
    pub until: Instant,
    pub state: State,
}

/// The state of a parked link.
pub(crate) enum State {
    /// Not a byte is read.
    Waiting(BoxedStream),
    /// A request names its peer, which is the one to choose: we wait for its BitTorrent handshake.
    Receiving { _task: AbortOnDropHandle<()> },
    /// It asked for a content that is not granted, or not yet.
    Early(BoxedStream, Handshake),
}

/// All parked links. Few enough (8 per expected device and 32) to be searched one by one.
#[derive(Default)]
pub(crate) struct Parking {
    links: Vec<Parked>,
    last_id: u64,
}

impl Parking {
    /// Parks a link. Returns the one that had to go, if there were too many: the oldest of the unknown ones; for an
    /// expected device one with a worse way than the new one, or else the new one.
    pub fn admit(
        &mut self,
        link: Link,
        is_expected: impl Fn(Fingerprint) -> bool,
        now: Instant,
        until: Instant,
    ) -> Option<LinkInfo> {
        let new = link.info.clone();
        let evicted = if is_expected(new.peer) {
            let full = self.of_peer(new.peer).count() >= MAX_OF_EXPECTED;
            let worst = self.of_peer(new.peer).max_by_key(|parked| parked.info.way);
            match worst.filter(|_| full) {
                Some(worst) if worst.info.way <= new.way => return Some(new),
                worst => worst.map(|parked| parked.id),
            }
        } else {
            let source = new.remote.map(Source::of);
            let mut unknown = self.links.iter().filter(|parked| !is_expected(parked.info.peer));
            let of_source = |parked: &&Parked| parked.info.remote.map(Source::of) == source;
            let (same, all) = (unknown.clone().filter(of_source).count(), unknown.clone().count());
            if same >= MAX_UNKNOWN_OF_SOURCE {
                unknown.find(of_source).map(|parked| parked.id)
            } else if all >= MAX_UNKNOWN {
                unknown.next().map(|parked| parked.id)
            } else {
                None
            }
        };
        self.last_id += 1;
        self.links.push(Parked { id: self.last_id, info: new, since: now, until, state: State::Waiting(link.stream) });
        evicted.and_then(|id| self.take(id)).map(|parked| parked.info)
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

    /// Puts a taken link back among the others, which are ordered by age.
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
