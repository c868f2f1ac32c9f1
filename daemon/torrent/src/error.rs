//! Errors: a code for programs, a sentence and a hint for people.

use std::io;
use std::path::Path;

/// What happened, and what a person can do about it.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{message}")]
pub struct EngineError {
    /// A stable kebab-case code; see the constants in [`codes`].
    pub code: &'static str,
    /// One sentence: what happened.
    pub message: String,
    /// What to do.
    pub hint: String,
}

/// Every code the engine uses.
pub mod codes {
    /// A source file is not what it was when it was prepared.
    pub const SOURCE_CHANGED: &str = "source-changed";
    /// A path given to `prepare` does not exist.
    pub const SOURCE_MISSING: &str = "source-missing";
    /// A source cannot be read.
    pub const SOURCE_UNREADABLE: &str = "source-unreadable";
    /// Nothing to send: no path, or folders without files.
    pub const SOURCE_EMPTY: &str = "source-empty";
    /// A source holds a socket, pipe or device, or a symbolic link that leads out of it.
    pub const SPECIAL_FILE: &str = "special-file";
    /// A name is not UTF-8, too long, or clashes with another.
    pub const BAD_NAME: &str = "bad-name";
    /// A pattern of what is left out cannot be used.
    pub const BAD_PATTERN: &str = "bad-pattern";
    /// More than [`crate::MAX_FILES`] files.
    pub const TOO_MANY_FILES: &str = "too-many-files";
    /// The content is too large to be described in [`crate::MAX_METADATA`] bytes.
    pub const TOO_LARGE: &str = "too-large";
    /// `cancel_prepare` was called.
    pub const CANCELLED: &str = "cancelled";
    /// No room in the destination, or a quota is used up.
    pub const DISK_FULL: &str = "disk-full";
    /// The destination cannot be written.
    pub const DESTINATION_UNWRITABLE: &str = "destination-unwritable";
    /// The destination's disk cannot hold the content, whatever room it has: its file system has other rules.
    pub const DESTINATION_UNSUITABLE: &str = "destination-unsuitable";
    /// The metadata is sound but is not what was offered.
    pub const METADATA_MISMATCH: &str = "metadata-mismatch";
    /// The metadata breaks a rule.
    pub const BAD_METADATA: &str = "bad-metadata";
    /// Stored state (a `Prepared` blob, the state folder) cannot be used.
    pub const BAD_STATE: &str = "bad-state";
    /// A bug in the engine: a job panicked.
    pub const ENGINE_FAULT: &str = "engine-fault";
}

impl EngineError {
    /// Puts an error together; `code` is one of [`codes`].
    pub fn new(code: &'static str, message: impl Into<String>, hint: impl Into<String>) -> Self {
        Self { code, message: message.into(), hint: hint.into() }
    }

    /// A job panicked, so its outcome is unknown. `remedy` is what to try first.
    pub(crate) fn lost_job(remedy: &str) -> Self {
        let hint = format!("{remedy}; if that does not help, report the fault with the daemon's log");
        Self::new(codes::ENGINE_FAULT, "a fault of xbt stopped this content", hint)
    }

    /// An error of reading a source.
    pub(crate) fn source(path: &Path, error: &io::Error) -> Self {
        let path = path.display();
        match error.kind() {
            io::ErrorKind::NotFound => {
                Self::new(codes::SOURCE_MISSING, format!("{path} does not exist"), "check the path")
            }
            io::ErrorKind::PermissionDenied => Self::new(
                codes::SOURCE_UNREADABLE,
                format!("{path} may not be read"),
                "give the account that runs xbtd permission to read it",
            ),
            _ => Self::new(
                codes::SOURCE_UNREADABLE,
                format!("{path} cannot be read: {error}"),
                "check the disk and try again",
            ),
        }
    }

    /// An error of writing below the destination.
    pub(crate) fn destination(path: &Path, error: &io::Error) -> Self {
        let path = path.display();
        match error.kind() {
            io::ErrorKind::StorageFull => Self::new(
                codes::DISK_FULL,
                format!("the disk that holds {path} is full"),
                "make room there, then resume",
            ),
            io::ErrorKind::QuotaExceeded => Self::new(
                codes::DISK_FULL,
                format!("the disk quota that {path} counts against is used up"),
                "make room there, then resume",
            ),
            io::ErrorKind::PermissionDenied | io::ErrorKind::ReadOnlyFilesystem => Self::new(
                codes::DESTINATION_UNWRITABLE,
                format!("{path} may not be written"),
                "choose another folder, or give xbtd permission to write there",
            ),
            io::ErrorKind::NotFound => Self::new(
                codes::DESTINATION_UNWRITABLE,
                format!("{path} no longer exists"),
                "bring the folder back (is its disk mounted?), then resume",
            ),
            _ => Self::new(
                codes::DESTINATION_UNWRITABLE,
                format!("{path} cannot be written: {error}"),
                "check the folder and the disk, then resume",
            ),
        }
    }

    /// Metadata that breaks a rule.
    pub(crate) fn bad_metadata(what: impl std::fmt::Display) -> Self {
        Self::new(
            codes::BAD_METADATA,
            format!("the description of the content is not acceptable: {what}"),
            "ask the sender to send it again with a current xbt",
        )
    }

    /// Metadata that is not what the offer said.
    pub(crate) fn mismatch(what: impl std::fmt::Display) -> Self {
        Self::new(
            codes::METADATA_MISMATCH,
            format!("the content is not what was offered: {what}"),
            "ask the sender about it before you accept a new offer",
        )
    }
}
