//! The schema, as numbered steps that are never edited once released.

use rusqlite::{Connection, TransactionBehavior};

/// Step n leads from version n - 1 to version n.
pub(super) const STEPS: &[&str] =
    &[include_str!("migrations/0001.sql"), include_str!("migrations/0002.sql"), include_str!("migrations/0003.sql")];

/// The version that this program writes, kept as SQLite's `user_version`.
pub(super) const VERSION: i64 = STEPS.len() as i64;

/// Brings a database from version `from` up to [`VERSION`], each step in a transaction of its own.
pub(super) fn migrate(connection: &mut Connection, from: i64) -> rusqlite::Result<()> {
    for (step, version) in STEPS.iter().zip(1_i64..).filter(|(_, version)| *version > from) {
        let transaction = connection.transaction_with_behavior(TransactionBehavior::Immediate)?;
        transaction.execute_batch(step)?;
        transaction.pragma_update(None, "user_version", version)?;
        transaction.commit()?;
    }
    Ok(())
}
