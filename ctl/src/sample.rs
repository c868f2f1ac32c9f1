//! What the tests of this crate draw, and what its fake daemon tells.

use std::collections::BTreeMap;

use xbt_api::{Connection, Contact, Counts, Direction, Event, EventKind, State, Status, Subscription, Transfer, Trust};

/// A holiday for Bob.
pub fn transfer(id: u64, state: State) -> Transfer {
    let time = || "2026-01-31T12:00:00Z".to_owned();
    Transfer {
        id,
        direction: Direction::Out,
        contact: "bob@example.org".into(),
        name: "holiday".into(),
        files: 12,
        size: 1_288_490_188,
        state,
        paused: false,
        done_bytes: 0,
        rate: 0,
        eta_s: None,
        info_hash: None,
        way: None,
        message: None,
        why: None,
        error: None,
        path: None,
        created: time(),
        updated: time(),
    }
}

/// Something that happened.
pub fn event(kind: EventKind, transfer: Option<Transfer>) -> Event {
    Event { seq: 1, at: "2026-01-31T12:00:00Z".into(), kind, transfer, text: String::new() }
}

/// A daemon that is online and sends.
pub fn status() -> Status {
    Status {
        connection: Connection::Online,
        connection_error: None,
        retry_in_s: None,
        jid: "alice@example.org".into(),
        device: Some("alice@example.org/xbt-1f2e".into()),
        fingerprint: None,
        listen: vec!["192.0.2.1:51413".into()],
        mapped: vec![],
        version: "0.1.0".into(),
        uptime_s: 3_700,
        upload_rate: 1_024,
        download_rate: 0,
        limits: Default::default(),
        pace: None,
        new_keys: Vec::new(),
        requests: Vec::new(),
        links: 1,
        open: xbt_api::Open::default(),
        counts: Counts { total: 3, active: 1, ..Counts::default() },
        refused: BTreeMap::new(),
        state_error: None,
        config_error: None,
        discarded: Vec::new(),
        ledger: Vec::new(),
        unproved: Vec::new(),
        network: None,
        folders: None,
    }
}

/// Somebody who is online with xbt.
pub fn contact(jid: &str, name: &str) -> Contact {
    Contact {
        jid: jid.to_owned(),
        name: Some(name.to_owned()),
        subscription: Subscription::Both,
        asked: false,
        groups: vec![],
        online: true,
        xbt: true,
        devices: vec![],
        trust: Trust::Unverified,
        allowed: false,
        ruling: None,
        limits: Default::default(),
    }
}
