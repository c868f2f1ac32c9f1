//! What can go wrong with the store, in words for people.

use std::io;
use std::path::{Path, PathBuf};

use rusqlite::ErrorCode;
use rusqlite::ffi::SQLITE_IOERR_SHMSIZE;
use xbt_core::fault::Fault;
use xbt_core::ids::ContentId;

/// Why the store cannot be opened, read or written: a stable code, one sentence, and a hint.
#[derive(Debug, thiserror::Error)]
#[error(transparent)]
pub struct StoreError(#[from] Box<Problem>);

impl StoreError {
    /// Stable, in kebab case.
    pub fn code(&self) -> &'static str {
        self.0.code()
    }

    /// Whether the same may work later, with nothing changed but the world: a disk with room again, a lock given up.
    pub fn may_pass(&self) -> bool {
        matches!(*self.0, Problem::DiskFull { .. } | Problem::Busy { .. } | Problem::Unreadable { .. })
    }

    /// What happened, one sentence.
    pub fn message(&self) -> String {
        self.0.to_string()
    }

    /// What to do about it, one sentence.
    pub fn hint(&self) -> String {
        self.0.hint()
    }
}

impl From<Problem> for StoreError {
    fn from(problem: Problem) -> Self {
        Self(Box::new(problem))
    }
}

impl From<StoreError> for Fault {
    fn from(error: StoreError) -> Self {
        Fault::new(error.code(), error.message(), error.hint())
    }
}

/// The same, typed.
#[derive(Debug, thiserror::Error)]
pub(super) enum Problem {
    #[error("another xbtd {}uses the state in {}", pid.map(|pid| format!("(process {pid}) ")).unwrap_or_default(), folder.display())]
    AlreadyRunning { folder: PathBuf, pid: Option<u32> },
    #[error("{} cannot be used as the folder for the state: {source}", path.display())]
    Folder { path: PathBuf, source: io::Error },
    #[error("the database {} cannot be read and written: {detail}", path.display())]
    Unreadable { path: PathBuf, detail: String },
    #[error("the database {} is missing, but {} with the latest changes is still there", path.display(), log.display())]
    Missing { path: PathBuf, log: PathBuf },
    #[error("{} is not a database of xbt: {detail}", path.display())]
    NotADatabase { path: PathBuf, detail: String },
    #[error("the database {} has version {found}, written by a newer xbtd; this one knows versions up to {known}", path.display())]
    Newer { path: PathBuf, found: i64, known: i64 },
    #[error("the database {} is damaged: {detail}", path.display())]
    Damaged { path: PathBuf, detail: String },
    #[error("row {row:?} of table {table} in the database {} cannot be read: {detail}", path.display())]
    Row { path: PathBuf, table: &'static str, row: String, detail: String },
    #[error("there is no space left for the database {}", path.display())]
    DiskFull { path: PathBuf },
    #[error("another program keeps the database {} locked", path.display())]
    Busy { path: PathBuf },
    #[error("the database {} failed: {source}", path.display())]
    Failed { path: PathBuf, source: rusqlite::Error },
    #[error("what is needed to seed content {content} again has {size} bytes, more than the {most} that are kept")]
    BlobTooLarge { content: ContentId, size: usize, most: usize },
    #[error("content {content} is not in the store")]
    NoSuchContent { content: ContentId },
    #[error("the number {number} is larger than the store can keep")]
    Number { number: u64 },
    #[error("a row of table {table} cannot be written: {source}")]
    Encode { table: &'static str, source: serde_json::Error },
}

impl Problem {
    /// What SQLite says about the database at `path`.
    pub(super) fn sql(path: &Path, error: rusqlite::Error) -> Self {
        let path = path.to_owned();
        if error.sqlite_error().is_some_and(|e| e.extended_code == SQLITE_IOERR_SHMSIZE) {
            // The index of the log could not grow: SQLite's other way to say that the disk is full.
            return Self::DiskFull { path };
        }
        match error.sqlite_error_code() {
            Some(ErrorCode::DiskFull) => Self::DiskFull { path },
            Some(ErrorCode::DatabaseBusy | ErrorCode::DatabaseLocked) => Self::Busy { path },
            Some(ErrorCode::DatabaseCorrupt | ErrorCode::NotADatabase) => {
                Self::Damaged { path, detail: error.to_string() }
            }
            Some(
                ErrorCode::CannotOpen | ErrorCode::PermissionDenied | ErrorCode::ReadOnly | ErrorCode::SystemIoFailure,
            ) => Self::Unreadable { path, detail: error.to_string() },
            // The other codes of SQLite (a foreign enum) speak of faults of ours: none of them is expected.
            Some(_) | None => Self::Failed { path, source: error },
        }
    }

    /// What the system says about the database at `path`.
    pub(super) fn io(path: &Path, error: &io::Error) -> Self {
        let path = path.to_owned();
        match error.kind() {
            io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded => Self::DiskFull { path },
            _ => Self::Unreadable { path, detail: error.to_string() },
        }
    }

    fn code(&self) -> &'static str {
        match self {
            Self::AlreadyRunning { .. } => "already-running",
            Self::Folder { .. } => "state-dir-unusable",
            Self::Unreadable { .. } => "database-unreadable",
            Self::Missing { .. } => "database-missing",
            Self::NotADatabase { .. } => "not-a-database",
            Self::Newer { .. } => "database-newer",
            Self::Damaged { .. } => "database-damaged",
            Self::Row { .. } => "database-row-unreadable",
            Self::DiskFull { .. } => "disk-full",
            Self::Busy { .. } => "database-busy",
            Self::Failed { .. } => "database-failed",
            Self::BlobTooLarge { .. } => "blob-too-large",
            Self::NoSuchContent { .. } => "no-such-content",
            Self::Number { .. } => "number-too-large",
            Self::Encode { .. } => "row-unwritable",
        }
    }

    fn hint(&self) -> String {
        match self {
            Self::AlreadyRunning { pid: Some(pid), .. } => {
                format!(
                    "stop it first (`systemctl --user stop xbtd`, or `kill {pid}`), or give this one another state_dir"
                )
            }
            Self::AlreadyRunning { pid: None, .. } => {
                "stop it first (`systemctl --user stop xbtd`), or give this one another state_dir".to_owned()
            }
            Self::Folder { path, .. } => {
                format!("make {} a folder that only you can enter, or set state_dir to another one", path.display())
            }
            Self::Unreadable { path, .. } => {
                format!("make {} a file that you own and can read and write; nothing in it was changed", path.display())
            }
            Self::Missing { path, log } => format!(
                "put {} back beside it; or, to begin with an empty list, move {} to another folder",
                path.display(),
                log.display()
            ),
            Self::NotADatabase { path, .. } | Self::Damaged { path, .. } => format!(
                "nothing in it was changed; move it (and {0}-wal, if that is there) to another folder, then put a backup in its place or begin with an empty list",
                path.display()
            ),
            Self::Newer { .. } => {
                "start the newer xbtd, or set state_dir to another folder; nothing was changed".to_owned()
            }
            Self::Row { path, table, .. } => format!(
                "mend or delete the row with `sqlite3 {}` (table {table}), or put a backup in the database's place; the row is still there",
                path.display()
            ),
            Self::DiskFull { path } => format!(
                "make room on the file system of {}; the change was not kept",
                path.parent().unwrap_or(path).display()
            ),
            Self::Busy { path } => format!("close the program that has {} open, such as sqlite3", path.display()),
            Self::Failed { .. } | Self::Number { .. } | Self::Encode { .. } => {
                "this is a fault of xbt: please report it with the log".to_owned()
            }
            Self::BlobTooLarge { .. } => "send fewer files at once".to_owned(),
            Self::NoSuchContent { .. } => "it was removed in the meantime: nothing is to be done".to_owned(),
        }
    }
}
