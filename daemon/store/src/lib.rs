//! What outlives the process: one SQLite database per state folder, written by one daemon at a time.
//!
//! The store keeps what [`Persist`] says and decides nothing. A batch is one transaction that is on the disk
//! (write-ahead log, `synchronous=FULL`) when [`Store::commit`] returns. What cannot be read stops the start with
//! a sentence for the person; it is never replaced, cut short or moved.
//!
//! All calls block for as long as the disk takes; call them where that is allowed.

mod error;
mod lock;
mod migrations;
mod open;
mod rows;
#[cfg(test)]
mod tests;

use std::path::{Path, PathBuf};

use rusqlite::{Connection, TransactionBehavior};
use xbt_core::domain::Rows;
use xbt_core::effect::Persist;
use xbt_core::ids::ContentId;

use self::error::Problem;
pub use self::error::StoreError;
use self::lock::Lock;
use self::open::Opened;
use self::rows::Tables;

/// Most bytes of one blob: the metadata of a content (at most [`xbt_core::limits::METADATA`]) and as much again.
pub const MAX_BLOB: usize = 2 * xbt_core::limits::METADATA as usize;

/// The open database of one state folder.
///
/// While it is open no other daemon can open the same state. Dropping it moves the log into the database.
#[derive(Debug)]
pub struct Store {
    // Closed before the lock is given up: fields are dropped in this order.
    connection: Connection,
    path: PathBuf,
    _lock: Lock,
}

impl Store {
    /// Opens `xbt.db` in the state folder; makes the folder (mode 0700) and the database (mode 0600) if there is none,
    /// and takes the folder and the file away from other users if they could get at them.
    ///
    /// # Errors
    ///
    /// `already-running` while another daemon has it open; `database-newer`, `database-damaged`, `not-a-database`,
    /// `database-unreadable` and `database-missing` (its log is there, the database is not) leave the files as
    /// they are; `state-dir-unusable`, `database-busy`, `disk-full`.
    pub fn open(state_dir: &Path) -> Result<Self, StoreError> {
        let Opened { connection, path, lock } = open::open(state_dir)?;
        Ok(Self { connection, path, _lock: lock })
    }

    /// Reads everything, as of one moment: transfers and contents by number, tombstones in the order in which they were
    /// last written, contacts and devices by their keys.
    ///
    /// # Errors
    ///
    /// `database-row-unreadable` names the table and the row; `database-damaged`, `database-unreadable`, `disk-full`
    /// (also reading needs a few KiB for the index of the log).
    pub fn load(&self) -> Result<Rows, StoreError> {
        // Ended by its drop; it only keeps the tables at one moment.
        let _moment = self.connection.unchecked_transaction().map_err(|e| Problem::sql(&self.path, e))?;
        let tables = self.tables();
        Ok(Rows {
            transfers: tables.all()?,
            tombstones: tables.all()?,
            contents: tables.all()?,
            deletions: tables.all()?,
            contacts: tables.all()?,
            devices: tables.all()?,
            logins: tables.all()?,
            counters: tables.counters()?,
        })
    }

    /// Carries all changes of a batch out, or none of them; they are on the disk when it returns.
    ///
    /// Counters only ever go up: a lower number than the one that is kept changes nothing.
    ///
    /// # Errors
    ///
    /// `disk-full`, `database-busy` and `database-unreadable` (an I/O error): nothing of the batch was kept, and the
    /// store can still be used. `number-too-large` beyond 2⁶³ − 1.
    pub fn commit(&mut self, batch: &[Persist]) -> Result<(), StoreError> {
        self.commit_received(batch, None)
    }

    /// Like [`commit`](Self::commit), and with the record of what was received of a content. It goes with the content,
    /// and is nothing if that is gone already.
    ///
    /// # Errors
    ///
    /// As for [`commit`](Self::commit).
    pub fn commit_received(
        &mut self,
        batch: &[Persist],
        received: Option<(ContentId, &[u8])>,
    ) -> Result<(), StoreError> {
        if batch.is_empty() && received.is_none() {
            return Ok(());
        }
        self.transact(|tables| {
            received.map_or(Ok(()), |(content, record)| tables.put_received(content, record))?;
            batch.iter().try_for_each(|change| tables.apply(change))
        })
    }

    /// Keeps what the engine needs to seed a content again, in place of what was kept before.
    /// It goes when the content is removed.
    ///
    /// # Errors
    ///
    /// `no-such-content` if the content is not (or no longer) in the store; `blob-too-large` beyond [`MAX_BLOB`]
    /// bytes; the others as for [`commit`](Self::commit).
    pub fn put_blob(&mut self, content: ContentId, blob: &[u8]) -> Result<(), StoreError> {
        if blob.len() > MAX_BLOB {
            return Err(Problem::BlobTooLarge { content, size: blob.len(), most: MAX_BLOB }.into());
        }
        self.transact(|tables| tables.put_blob(content, blob))
    }

    /// What [`put_blob`](Self::put_blob) kept.
    ///
    /// # Errors
    ///
    /// `database-damaged`, `database-unreadable`.
    pub fn blob(&self, content: ContentId) -> Result<Option<Vec<u8>>, StoreError> {
        Ok(self.tables().blob(content)?)
    }

    /// The record of received data that is to be deleted; none if it came before there were records.
    ///
    /// # Errors
    ///
    /// `database-damaged`, `database-unreadable`.
    pub fn record(&self, content: ContentId) -> Result<Option<Vec<u8>>, StoreError> {
        Ok(self.tables().record(content)?)
    }

    /// The record of what was received of a content.
    ///
    /// # Errors
    ///
    /// `database-damaged`, `database-unreadable`.
    pub fn received(&self, content: ContentId) -> Result<Option<Vec<u8>>, StoreError> {
        Ok(self.tables().received(content)?)
    }

    /// What this device chose once and keeps, such as its resource or its port.
    ///
    /// # Errors
    ///
    /// `database-damaged`, `database-unreadable`.
    pub fn setting(&self, key: &str) -> Result<Option<String>, StoreError> {
        Ok(self.tables().setting(key)?)
    }

    /// Inserts or replaces a setting.
    ///
    /// # Errors
    ///
    /// As for [`commit`](Self::commit).
    pub fn set_setting(&mut self, key: &str, value: &str) -> Result<(), StoreError> {
        self.transact(|tables| tables.put_setting(key, value))
    }

    fn tables(&self) -> Tables<'_> {
        Tables { connection: &self.connection, path: &self.path }
    }

    /// One transaction, which an error rolls back.
    fn transact(&mut self, work: impl FnOnce(Tables<'_>) -> Result<(), Problem>) -> Result<(), StoreError> {
        let sql = |error| Problem::sql(&self.path, error);
        let transaction = self.connection.transaction_with_behavior(TransactionBehavior::Immediate).map_err(sql)?;
        work(Tables { connection: &transaction, path: &self.path })?;
        Ok(transaction.commit().map_err(sql)?)
    }
}
