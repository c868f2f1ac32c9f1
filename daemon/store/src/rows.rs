//! Between rows and the types of the rules: SQL on one side, `xbt_core` on the other.

use std::path::Path;

use rusqlite::types::ValueRef;
use rusqlite::{Connection, params};
use serde::Serialize;
use serde::de::DeserializeOwned;
use xbt_core::contact::{Contact, Device, Trust};
use xbt_core::effect::{Counters, Persist};
use xbt_core::ids::ContentId;
use xbt_core::login::Login;
use xbt_core::session::Subscription;
use xbt_core::transfer::{Content, Deletion, Direction, Tombstone, Transfer};

use super::error::Problem;

/// A type that a table keeps, one value a row.
pub(super) trait Row: Serialize + DeserializeOwned {
    const TABLE: &'static str;
    /// Gives two columns, key and body, in the order in which the rows are handed out.
    const SELECT: &'static str;
    /// The key as the first column says it.
    fn key(&self) -> String;
}

impl Row for Transfer {
    const TABLE: &'static str = "transfers";
    const SELECT: &'static str = "SELECT CAST(id AS TEXT), body FROM transfers ORDER BY id";

    fn key(&self) -> String {
        self.id.to_string()
    }
}

impl Row for Tombstone {
    const TABLE: &'static str = "tombstones";
    const SELECT: &'static str =
        "SELECT account || ' ' || contact || ' ' || offer || ' ' || direction, body FROM tombstones ORDER BY seq";

    fn key(&self) -> String {
        format!("{} {} {} {}", self.account, self.contact, self.offer, direction(self.direction))
    }
}

impl Row for Content {
    const TABLE: &'static str = "contents";
    const SELECT: &'static str = "SELECT CAST(id AS TEXT), body FROM contents ORDER BY id";

    fn key(&self) -> String {
        self.id.to_string()
    }
}

impl Row for Deletion {
    const TABLE: &'static str = "deletions";
    const SELECT: &'static str = "SELECT CAST(content AS TEXT), body FROM deletions ORDER BY content";

    fn key(&self) -> String {
        self.content.to_string()
    }
}

impl Row for Contact {
    const TABLE: &'static str = "contacts";
    const SELECT: &'static str = "SELECT account || ' ' || jid, body FROM contacts ORDER BY account, jid";

    fn key(&self) -> String {
        format!("{} {}", self.account, self.jid)
    }
}

impl Row for Device {
    const TABLE: &'static str = "devices";
    const SELECT: &'static str = "SELECT account || ' ' || contact || ' ' || fingerprint, body FROM devices \
                                  ORDER BY account, contact, fingerprint";

    fn key(&self) -> String {
        format!("{} {} {}", self.account, self.contact, self.fingerprint)
    }
}

impl Row for Login {
    const TABLE: &'static str = "settings";
    const SELECT: &'static str =
        "SELECT substr(key, 7), value FROM settings WHERE key GLOB 'login *' ORDER BY substr(key, 7)";

    fn key(&self) -> String {
        self.account.to_string()
    }
}

const COUNTER: &str = "SELECT next FROM counters WHERE name = ?1";
const BLOB: &str = "SELECT blob FROM blobs WHERE content = ?1";
const RECEIVED: &str = "SELECT record FROM received WHERE content = ?1";
const RECORD: &str = "SELECT record FROM deletions WHERE content = ?1";
const SETTING: &str = "SELECT value FROM settings WHERE key = ?1";

/// The tables of an open database; the path is for messages.
#[derive(Clone, Copy)]
pub(super) struct Tables<'a> {
    pub(super) connection: &'a Connection,
    pub(super) path: &'a Path,
}

impl Tables<'_> {
    /// Whether all tables and columns that are read are there.
    pub(super) fn check(self) -> rusqlite::Result<()> {
        let rows =
            [Transfer::SELECT, Tombstone::SELECT, Content::SELECT, Contact::SELECT, Device::SELECT, Login::SELECT];
        rows.into_iter()
            .chain([Deletion::SELECT, COUNTER, BLOB, RECEIVED, RECORD, SETTING])
            .try_for_each(|sql| self.connection.prepare_cached(sql).map(drop))
    }

    /// All rows of a type; one that cannot be read is an error, never left out.
    pub(super) fn all<T: Row>(self) -> Result<Vec<T>, Problem> {
        let sql = |error| Problem::sql(self.path, error);
        let mut statement = self.connection.prepare_cached(T::SELECT).map_err(sql)?;
        let mut rows = statement.query([]).map_err(sql)?;
        let mut all = Vec::new();
        while let Some(row) = rows.next().map_err(sql)? {
            let key = text(row.get_ref(0).map_err(sql)?);
            let unreadable = |detail: String| self.unreadable(T::TABLE, &key, detail);
            let body = row.get_ref(1).map_err(sql)?.as_str().map_err(|e| unreadable(e.to_string()))?;
            let value: T = serde_json::from_str(body).map_err(|e| unreadable(e.to_string()))?;
            if value.key() != key {
                return Err(unreadable(format!("its body is the one of {:?}", value.key())));
            }
            all.push(value);
        }
        Ok(all)
    }

    /// The numbers that come next.
    pub(super) fn counters(self) -> Result<Counters, Problem> {
        let next = |name: &str| {
            let missing = |e: rusqlite::Error| match e {
                rusqlite::Error::QueryReturnedNoRows => self.unreadable("counters", name, "it is missing".to_owned()),
                other => Problem::sql(self.path, other),
            };
            let next: i64 = self.one(COUNTER, name).map_err(missing)?;
            u64::try_from(next).map_err(|e| self.unreadable("counters", name, e.to_string()))
        };
        Ok(Counters { transfer: next("transfer")?, content: next("content")? })
    }

    /// The blob of a content.
    pub(super) fn blob(self, content: ContentId) -> Result<Option<Vec<u8>>, Problem> {
        let Ok(id) = i64::try_from(content.0) else { return Ok(None) };
        self.maybe(self.one(BLOB, id))
    }

    /// The record of what is to be deleted.
    pub(super) fn record(self, content: ContentId) -> Result<Option<Vec<u8>>, Problem> {
        let Ok(id) = i64::try_from(content.0) else { return Ok(None) };
        Ok(self.maybe(self.one::<Option<Vec<u8>>>(RECORD, id))?.flatten())
    }

    /// The record of what was received of a content.
    pub(super) fn received(self, content: ContentId) -> Result<Option<Vec<u8>>, Problem> {
        let Ok(id) = i64::try_from(content.0) else { return Ok(None) };
        self.maybe(self.one(RECEIVED, id))
    }

    /// A setting.
    pub(super) fn setting(self, key: &str) -> Result<Option<String>, Problem> {
        self.maybe(self.one(SETTING, key))
    }

    fn one<T: rusqlite::types::FromSql>(self, sql: &str, key: impl rusqlite::ToSql) -> rusqlite::Result<T> {
        self.connection.prepare_cached(sql)?.query_row([key], |row| row.get(0))
    }

    fn maybe<T>(self, found: rusqlite::Result<T>) -> Result<Option<T>, Problem> {
        match found {
            Ok(value) => Ok(Some(value)),
            Err(rusqlite::Error::QueryReturnedNoRows) => Ok(None),
            Err(error) => Err(Problem::sql(self.path, error)),
        }
    }

    fn unreadable(self, table: &'static str, row: &str, detail: String) -> Problem {
        Problem::Row { path: self.path.to_owned(), table, row: row.to_owned(), detail }
    }

    /// Carries one change out, within the transaction of its batch.
    pub(super) fn apply(self, change: &Persist) -> Result<(), Problem> {
        match change {
            Persist::Transfer(transfer) => self.put_transfer(transfer),
            Persist::RemoveTransfer(id) => self.run("DELETE FROM transfers WHERE id = ?1", [number(id.0)?]),
            Persist::Tombstone(tombstone) => self.put_tombstone(tombstone),
            Persist::PruneTombstones(keep) => self.run(
                "DELETE FROM tombstones WHERE seq <= (SELECT seq FROM tombstones ORDER BY seq DESC LIMIT 1 OFFSET ?1)",
                [i64::try_from(*keep).unwrap_or(i64::MAX)],
            ),
            // No `REPLACE` here: it deletes the old row, and the blob with it.
            Persist::Content(content) => self.run(
                "INSERT INTO contents (id, body) VALUES (?1, ?2) ON CONFLICT (id) DO UPDATE SET body = excluded.body",
                params![number(content.id.0)?, body(content)?],
            ),
            // Not replaced: done twice, the record would be gone with its content.
            Persist::Delete(deletion) => self.run(
                "INSERT OR IGNORE INTO deletions (content, body, record) \
                 VALUES (?1, ?2, (SELECT record FROM received WHERE content = ?1))",
                params![number(deletion.content.0)?, body(deletion)?],
            ),
            Persist::Deleted(id) => self.run("DELETE FROM deletions WHERE content = ?1", [number(id.0)?]),
            // Blob and record go with it: foreign keys that cascade.
            Persist::RemoveContent(id) => self.run("DELETE FROM contents WHERE id = ?1", [number(id.0)?]),
            Persist::Contact(contact) => self.put_contact(contact),
            Persist::Device(device) => self.put_device(device),
            Persist::Login(login) => self.put_setting(&format!("login {}", login.account), &body(login)?),
            Persist::Counters(Counters { transfer, content }) => {
                self.put_counter("transfer", *transfer)?;
                self.put_counter("content", *content)
            }
        }
    }

    fn put_transfer(self, transfer: &Transfer) -> Result<(), Problem> {
        self.run(
            "REPLACE INTO transfers (id, offer, account, contact, direction, content, state, created, updated, body) \
             VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10)",
            params![
                number(transfer.id.0)?,
                transfer.offer.to_string(),
                transfer.account.as_str(),
                transfer.contact.as_str(),
                direction(transfer.direction()),
                number(transfer.content.0)?,
                transfer.state_name(),
                transfer.created.0,
                transfer.updated.0,
                body(transfer)?,
            ],
        )
    }

    fn put_tombstone(self, tombstone: &Tombstone) -> Result<(), Problem> {
        // `REPLACE` gives the row a new `seq`: written again, it is the newest.
        self.run(
            "REPLACE INTO tombstones (account, contact, offer, direction, state, at, body) \
             VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7)",
            params![
                tombstone.account.as_str(),
                tombstone.contact.as_str(),
                tombstone.offer.to_string(),
                direction(tombstone.direction),
                tombstone.end.name(),
                tombstone.at.0,
                body(tombstone)?,
            ],
        )
    }

    fn put_contact(self, contact: &Contact) -> Result<(), Problem> {
        let subscription = match contact.subscription {
            Subscription::None => "none",
            Subscription::To => "to",
            Subscription::From => "from",
            Subscription::Both => "both",
        };
        self.run(
            "REPLACE INTO contacts (account, jid, subscription, listed, verified, body) VALUES (?1, ?2, ?3, ?4, ?5, ?6)",
            params![
                contact.account.as_str(),
                contact.jid.as_str(),
                subscription,
                contact.listed,
                contact.verified,
                body(contact)?,
            ],
        )
    }

    fn put_device(self, device: &Device) -> Result<(), Problem> {
        let trust = match device.trust {
            Trust::Unverified => "unverified",
            Trust::Verified => "verified",
            Trust::Blocked => "blocked",
        };
        self.run(
            "REPLACE INTO devices (account, contact, fingerprint, resource, trust, first_seen, body) \
             VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7)",
            params![
                device.account.as_str(),
                device.contact.as_str(),
                device.fingerprint.to_string(),
                device.resource,
                trust,
                device.first_seen.0,
                body(device)?,
            ],
        )
    }

    fn put_counter(self, name: &str, next: u64) -> Result<(), Problem> {
        // Never back: a number that was given out once must not be given out again, whoever asks for it.
        self.run("UPDATE counters SET next = max(next, ?2) WHERE name = ?1", params![name, number(next)?])
    }

    /// Writes the blob of a content, if there is such a content.
    pub(super) fn put_blob(self, content: ContentId, blob: &[u8]) -> Result<(), Problem> {
        let id = number(content.0)?;
        let sql = "REPLACE INTO blobs (content, blob) SELECT id, ?2 FROM contents WHERE id = ?1";
        let written = self
            .connection
            .prepare_cached(sql)
            .and_then(|mut statement| statement.execute(params![id, blob]))
            .map_err(|error| Problem::sql(self.path, error))?;
        if written == 0 { Err(Problem::NoSuchContent { content }) } else { Ok(()) }
    }

    /// Writes the record of what was received, if there is such a content.
    pub(super) fn put_received(self, content: ContentId, record: &[u8]) -> Result<(), Problem> {
        self.run(
            "REPLACE INTO received (content, record) SELECT id, ?2 FROM contents WHERE id = ?1",
            params![number(content.0)?, record],
        )
    }

    /// Writes a setting.
    pub(super) fn put_setting(self, key: &str, value: &str) -> Result<(), Problem> {
        self.run("REPLACE INTO settings (key, value) VALUES (?1, ?2)", [key, value])
    }

    fn run(self, sql: &str, values: impl rusqlite::Params) -> Result<(), Problem> {
        self.connection
            .prepare_cached(sql)
            .and_then(|mut statement| statement.execute(values))
            .map(drop)
            .map_err(|error| Problem::sql(self.path, error))
    }
}

fn body<T: Row>(row: &T) -> Result<String, Problem> {
    serde_json::to_string(row).map_err(|source| Problem::Encode { table: T::TABLE, source })
}

/// SQLite's numbers are signed; ours count up from 1 and never get there.
fn number(number: u64) -> Result<i64, Problem> {
    i64::try_from(number).map_err(|_| Problem::Number { number })
}

fn direction(direction: Direction) -> &'static str {
    match direction {
        Direction::Out => "out",
        Direction::In => "in",
    }
}

fn text(value: ValueRef<'_>) -> String {
    String::from_utf8_lossy(value.as_bytes().unwrap_or_default()).into_owned()
}
