//! Real databases in temporary folders.
#![allow(clippy::unwrap_used, clippy::panic)]

mod crash;
mod frozen;
mod full;
mod keep;
mod model;
mod start;

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;

use xbt_core::contact::{Contact, Device, Trust};
use xbt_core::effect::Counters;
use xbt_core::fault::Fault;
use xbt_core::ids::{BareJid, ContentId, Fingerprint, InfoHash, OfferId, TransferId};
use xbt_core::login::{Authority, Login, Mechanism};
use xbt_core::rate::{Priority, RateLimits};
use xbt_core::session::Subscription;
use xbt_core::time::Wall;
use xbt_core::transfer::{
    Content, Deletion, Direction, End, Facts, Incoming, Outgoing, Paused, Peer, Side, Step, Tombstone, Transfer,
};

use super::{Persist, Rows, Store};

fn jid(name: &str) -> BareJid {
    BareJid::from_normalised(format!("{name}@example.org"))
}

fn peer(n: u8) -> Peer {
    Peer { resource: format!("xbt-{n}"), fingerprint: Fingerprint([n; 32]) }
}

/// A transfer with something in every field; even numbers come in, odd ones go out.
fn transfer(id: u64) -> Transfer {
    let side = if id.is_multiple_of(2) {
        let state = Incoming::Ended(End::Failed(Fault::new("disk-full", "No space is left.", "Make room.")));
        Side::In {
            state,
            from: peer(2),
            folder: Some("/home/a/Downloads".to_owned()),
            path: None,
            accepted: Default::default(),
        }
    } else {
        let acknowledged = ["xbt-1".to_owned(), "xbt-2".to_owned()].into();
        Side::Out { state: Outgoing::Sending, acknowledged, taken_by: Some(peer(1)), courtesy: true }
    };
    let step = |at, state: &str| Step { at: Wall(at), state: state.to_owned(), reason: Some("bob is away".to_owned()) };
    Transfer {
        id: TransferId(id),
        offer: OfferId::from_random(u128::from(id)),
        account: jid("alice"),
        contact: jid("bob"),
        content: ContentId(id),
        side,
        name: "holiday \u{202e}\n'); DROP TABLE transfers; --".to_owned(),
        facts: Some(Facts { info_hash: InfoHash([7; 20]), size: u64::MAX, files: 12, metadata_size: u32::MAX }),
        message: Some("look: \u{1f3d6} \0".to_owned()),
        paused: Paused { by_us: true, fault: None, by_contact: true },
        // Those of rows from before there were limits.
        limits: RateLimits::default(),
        priority: Priority::Normal,
        hook_due: false,
        expires: Some(Wall(i64::MAX)),
        created: Wall(1_790_000_000_000),
        updated: Wall(-1),
        history: vec![step(1, "preparing"), step(2, "queued"), step(3, "offered"), step(4, "connecting")],
        // As in rows from before they were counted.
        steps: 0,
    }
}

fn tombstone(n: u64) -> Tombstone {
    Tombstone {
        account: jid("alice"),
        contact: jid("bob"),
        offer: OfferId::from_random(u128::from(n)),
        direction: if n.is_multiple_of(2) { Direction::In } else { Direction::Out },
        end: End::Declined { message: Some("no, thank you".to_owned()) },
        at: Wall(5),
    }
}

fn content(id: u64) -> Content {
    Content {
        id: ContentId(id),
        paths: vec!["/home/a/holiday".to_owned()],
        name: Some("holiday".to_owned()),
        open: false,
        skip_special: false,
        exclude: Vec::new(),
    }
}

fn deletion(id: u64) -> Deletion {
    Deletion { content: ContentId(id), transfer: TransferId(id), path: "/home/b/holiday".to_owned() }
}

fn contact(name: &str) -> Contact {
    let groups = vec!["Friends".to_owned()];
    Contact {
        name: Some("Bob".to_owned()),
        subscription: Subscription::Both,
        groups,
        ..Contact::new(jid("alice"), jid(name))
    }
}

fn device(n: u8) -> Device {
    let Peer { resource, fingerprint } = peer(n);
    Device {
        account: jid("alice"),
        contact: jid("bob"),
        fingerprint,
        resource,
        first_seen: Wall(9),
        trust: Trust::Unverified,
        unseen: false,
    }
}

fn login(account: &str, mechanism: Mechanism) -> Login {
    let authority = Some(Authority { id: "c0ffee".to_owned(), name: "Trust & Co.".to_owned() });
    Login { account: jid(account), mechanism, authority }
}

fn put(id: u64) -> Persist {
    Persist::Transfer(Box::new(transfer(id)))
}

/// One change of each kind, so that the rows are not empty afterwards.
fn one_of_each() -> Vec<Persist> {
    vec![
        put(1),
        put(2),
        put(3),
        Persist::RemoveTransfer(TransferId(3)),
        Persist::Tombstone(tombstone(1)),
        Persist::Tombstone(tombstone(2)),
        Persist::Tombstone(tombstone(3)),
        Persist::PruneTombstones(2),
        Persist::Content(content(1)),
        Persist::Content(content(2)),
        Persist::Delete(deletion(2)),
        Persist::Delete(deletion(1)),
        Persist::Deleted(ContentId(1)),
        Persist::RemoveContent(ContentId(2)),
        Persist::Contact(contact("bob")),
        Persist::Device(device(1)),
        Persist::Login(login("alice", Mechanism::ScramSha1)),
        Persist::Counters(Counters { transfer: 4, content: 3 }),
    ]
}

fn their_rows() -> Rows {
    Rows {
        transfers: vec![transfer(1), transfer(2)],
        tombstones: vec![tombstone(2), tombstone(3)],
        contents: vec![content(1)],
        deletions: vec![deletion(2)],
        contacts: vec![contact("bob")],
        devices: vec![device(1)],
        logins: vec![login("alice", Mechanism::ScramSha1)],
        counters: Counters { transfer: 4, content: 3 },
    }
}

/// What a store in this folder holds.
fn load(folder: &Path) -> Rows {
    Store::open(folder).unwrap().load().unwrap()
}

/// A folder with a database that was closed in order and holds `n` transfers.
fn filled(n: u64) -> tempfile::TempDir {
    let folder = tempfile::tempdir().unwrap();
    let mut store = Store::open(folder.path()).unwrap();
    store.commit(&(1..=n).map(put).collect::<Vec<_>>()).unwrap();
    folder
}

/// The database and its logs, byte for byte.
fn bytes(folder: &Path) -> BTreeMap<String, Vec<u8>> {
    let entries = fs::read_dir(folder).unwrap().map(|entry| entry.unwrap());
    let files = entries.map(|entry| (entry.file_name().into_string().unwrap(), entry.path()));
    // The index of the log (`-shm`) is scratch memory, and the lock is no database.
    let kept = files.filter(|(name, path)| path.is_file() && !name.ends_with("-shm") && !name.ends_with(".lock"));
    kept.map(|(name, path)| (name, fs::read(path).unwrap())).collect()
}
