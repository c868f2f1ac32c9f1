//! Foreign types stop here: the engine's and the link room's on one side, the domain's on the other.

use std::path::PathBuf;

use bytes::Bytes;
use xbt_core::effect::{Data, LinkTag};
use xbt_core::fault::Fault;
use xbt_core::ids::{ContentId, InfoHash};
use xbt_core::input::{Attempt, Input, TorrentEvent};
use xbt_core::rate::Priority;
use xbt_core::transfer::{Content, Facts};
use xbt_torrent::{ContentKey, EngineError, Event, Fetch, Group, Prepared, Sources};

use xbt_store::StoreError;

pub(super) fn key(content: ContentId) -> ContentKey {
    ContentKey(content.0)
}

fn content(key: ContentKey) -> ContentId {
    ContentId(key.0)
}

pub(super) fn engine_tag(link: LinkTag) -> xbt_torrent::LinkTag {
    xbt_torrent::LinkTag(link.0)
}

pub(super) fn data(data: Data) -> xbt_torrent::Data {
    match data {
        Data::Keep => xbt_torrent::Data::Keep,
        Data::Delete => xbt_torrent::Data::Delete,
    }
}

pub(super) fn priority(priority: Priority) -> xbt_torrent::Priority {
    match priority {
        Priority::Low => xbt_torrent::Priority::Low,
        Priority::Normal => xbt_torrent::Priority::Normal,
        Priority::High => xbt_torrent::Priority::High,
    }
}

pub(super) fn sources(content: Content) -> Sources {
    let paths = content.paths.into_iter().map(PathBuf::from).collect();
    // An open content has another info-hash than the same files sent to contacts only, and other programs may find
    // further peers for it.
    let Content { name, open, skip_special, exclude, .. } = content;
    Sources { paths, name, private: !open, skip_special, exclude }
}

pub(super) fn fetch(owner: Group, partial_id: String, facts: &Facts, name: String, folder: String) -> Fetch {
    Fetch {
        owner,
        info_hash: facts.info_hash.0,
        name,
        size: facts.size,
        files: facts.files,
        metadata_size: facts.metadata_size,
        destination: folder.into(),
        partial_id,
        info: None,
    }
}

/// One reason for each way, the best way first.
pub(super) fn attempts(attempts: Vec<xbt_link::Attempt>) -> Vec<Attempt> {
    let told = |attempt: xbt_link::Attempt| Attempt { way: attempt.way, reason: attempt.failure.text };
    xbt_link::most_telling(attempts).into_iter().map(told).collect()
}

pub(super) fn fault(error: EngineError) -> Fault {
    Fault::new(error.code, error.message, error.hint)
}

pub(super) fn store_fault(error: &StoreError) -> Fault {
    Fault::new(error.code(), error.message(), error.hint())
}

pub(super) fn no_metadata() -> Fault {
    Fault::new("bad-state", "what is needed to send this content again is not in the state any more", "send it again")
}

/// What the store kept, as the engine takes it.
pub(super) fn prepared(blob: &[u8]) -> Result<Prepared, Fault> {
    Prepared::from_bytes(blob).map_err(fault)
}

/// The name of a content in its offer, made safe as the receiver does it, which compares both: what XML cannot carry is
/// replaced in the same way everywhere.
fn offered(name: String) -> String {
    // The engine has refused names that cannot be made safe.
    xbt_torrent::names::safe_component(&name).unwrap_or(name)
}

/// What an event brings that must be in the store before the domain hears of it.
pub(super) fn kept(event: &Event) -> Option<(ContentId, Bytes)> {
    match event {
        Event::Prepared { key, stored, .. } => Some((content(*key), stored.clone())),
        Event::Metadata { .. }
        | Event::PrepareProgress { .. }
        | Event::PrepareFailed { .. }
        | Event::Renamed { .. }
        | Event::Progress { .. }
        | Event::PeerProgress { .. }
        | Event::PeerDone { .. }
        | Event::LinkStalled { .. }
        | Event::Completed { .. }
        | Event::Failed { .. }
        | Event::LinkClosed { .. } => None,
    }
}

/// The domain hears of a preparation that could not be kept as of one that failed.
pub(super) fn not_kept(content: ContentId, error: &StoreError) -> Input {
    Input::Torrent(TorrentEvent::PrepareFailed { content, fault: store_fault(error) })
}

/// What the domain hears of an event.
pub(super) fn engine_event(event: Event) -> Option<TorrentEvent> {
    Some(match event {
        Event::PrepareProgress { key, bytes, total } => {
            TorrentEvent::PrepareProgress { content: content(key), bytes, total }
        }
        Event::Prepared { key, prepared, .. } => TorrentEvent::Prepared {
            content: content(key),
            facts: Facts {
                info_hash: InfoHash(prepared.info_hash),
                size: prepared.size,
                files: prepared.files,
                metadata_size: u32::try_from(prepared.info.len()).unwrap_or(u32::MAX),
            },
            name: offered(prepared.name),
        },
        Event::PrepareFailed { key, error } => {
            TorrentEvent::PrepareFailed { content: content(key), fault: fault(error) }
        }
        // The engine keeps it; there is nothing to decide.
        Event::Metadata { .. } => return None,
        Event::Renamed { key, renamed } => TorrentEvent::Renamed { content: content(key), renamed },
        Event::Progress { key, verified } => TorrentEvent::Progress { content: content(key), verified },
        Event::PeerProgress { tag, has, uploaded, downloaded, .. } => {
            TorrentEvent::PeerProgress { link: LinkTag(tag.0), has, uploaded, downloaded }
        }
        // The record of it is kept by the driver.
        Event::Completed { key, path, received: _ } => {
            TorrentEvent::Completed { content: content(key), path: path.to_string_lossy().into_owned() }
        }
        Event::PeerDone { tag, .. } => TorrentEvent::PeerDone { link: LinkTag(tag.0) },
        Event::LinkStalled { tag, .. } => TorrentEvent::LinkStalled { link: LinkTag(tag.0) },
        Event::Failed { key, error } => TorrentEvent::Failed { content: content(key), fault: fault(error) },
        Event::LinkClosed { tag, reason, .. } => {
            TorrentEvent::LinkClosed { link: LinkTag(tag.0), reason: reason.to_string() }
        }
    })
}
