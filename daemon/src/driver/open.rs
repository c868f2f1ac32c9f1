//! Other BitTorrent programs that read contents marked open.

use std::collections::HashMap;
use std::net::SocketAddr;

use xbt_core::ids::InfoHash;
use xbt_link::{BoxedStream, Slot};
use xbt_torrent::{Event, LinkTag};

use super::{Driver, convert};

/// One of them.
#[derive(Debug)]
struct Reader {
    info_hash: InfoHash,
    /// Bytes of the content.
    size: u64,
    uploaded: u64,
    /// Free again with the connection.
    _slot: Slot,
}

/// All of them; the link room bounds their number.
#[derive(Debug, Default)]
pub(super) struct Readers {
    links: HashMap<LinkTag, Reader>,
    /// Payload bytes sent to those who have gone.
    past: u64,
}

impl Readers {
    /// How many there are, and payload bytes sent to all since the start.
    pub(super) fn counts(&self) -> (u64, u64) {
        let present: u64 = self.links.values().map(|reader| reader.uploaded).sum();
        (self.links.len() as u64, self.past.saturating_add(present))
    }
}

impl Driver {
    /// The link room has answered a plain handshake. The domain has the last word: what is not open any more is closed.
    pub(super) fn reader_came(
        &mut self,
        info_hash: InfoHash,
        stream: BoxedStream,
        reserved: [u8; 8],
        slot: Slot,
        remote: SocketAddr,
    ) {
        let Some((content, size)) = self.domain.open_content(info_hash) else { return };
        self.next_link += 1;
        let tag = LinkTag(self.next_link);
        tracing::debug!(%content, %remote, "another BitTorrent program reads an open content");
        self.readers.links.insert(tag, Reader { info_hash, size, uploaded: 0, _slot: slot });
        self.rooms.engine.attach(convert::key(content), tag, stream, reserved);
    }

    /// Cuts off everybody who reads this content.
    pub(super) fn shut(&mut self, info_hash: InfoHash) {
        self.rooms.links.shut(info_hash);
        let of = |(tag, reader): (&LinkTag, &Reader)| (reader.info_hash == info_hash).then_some(*tag);
        self.readers.links.iter().filter_map(of).for_each(|tag| self.rooms.engine.detach(tag));
    }

    /// Takes what the engine tells of a reader, of whom the domain knows nothing. False: it is about something else.
    pub(super) fn is_of_reader(&mut self, event: &Event) -> bool {
        match event {
            Event::PeerProgress { tag, has, uploaded, .. } => {
                let Some(reader) = self.readers.links.get_mut(tag) else { return false };
                reader.uploaded = *uploaded;
                // Who has everything makes room for others.
                if *has == reader.size && reader.size > 0 {
                    self.rooms.engine.detach(*tag);
                }
                true
            }
            Event::LinkClosed { tag, .. } => {
                let Some(reader) = self.readers.links.remove(tag) else { return false };
                self.readers.past = self.readers.past.saturating_add(reader.uploaded);
                true
            }
            Event::PeerDone { tag, .. } | Event::LinkStalled { tag, .. } => self.readers.links.contains_key(tag),
            Event::PrepareProgress { .. }
            | Event::Prepared { .. }
            | Event::PrepareFailed { .. }
            | Event::Metadata { .. }
            | Event::Renamed { .. }
            | Event::Progress { .. }
            | Event::Completed { .. }
            | Event::Failed { .. } => false,
        }
    }
}
