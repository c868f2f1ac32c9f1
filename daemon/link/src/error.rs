//! What can go wrong at the start.

use std::io;
use std::net::SocketAddr;
use std::path::PathBuf;

/// Why an identity could not be had, or links could not start.
#[derive(Debug, thiserror::Error)]
pub enum LinkError {
    /// The identity file is there and cannot be read.
    #[error("the identity key {} cannot be read", path.display())]
    IdentityUnreadable {
        /// The file.
        path: PathBuf,
        /// What the system said.
        source: io::Error,
    },
    /// The identity file is there and holds no Ed25519 key.
    #[error("the identity key {} is damaged", path.display())]
    IdentityDamaged {
        /// The file.
        path: PathBuf,
    },
    /// Other users of this computer may read the identity file.
    #[error("the identity key {} can be read by other users (mode {mode:04o})", path.display())]
    IdentityExposed {
        /// The file.
        path: PathBuf,
        /// Its permission bits.
        mode: u32,
    },
    /// A new identity could not be written.
    #[error("a new identity key could not be written to {}", path.display())]
    IdentityNotWritten {
        /// The file.
        path: PathBuf,
        /// What the system said.
        source: io::Error,
    },
    /// A key or certificate could not be made: no randomness, most likely.
    #[error("no identity key or certificate could be made: {reason}")]
    Cryptography {
        /// What the library said.
        reason: String,
    },
    /// A configured address could not be listened on.
    #[error("cannot listen on {address}")]
    Listen {
        /// The address as configured, with the port that was tried.
        address: SocketAddr,
        /// What the system said.
        source: io::Error,
    },
}

impl LinkError {
    /// A stable code for programs.
    pub fn code(&self) -> &'static str {
        match self {
            Self::IdentityUnreadable { .. } => "identity-unreadable",
            Self::IdentityDamaged { .. } => "identity-damaged",
            Self::IdentityExposed { .. } => "identity-exposed",
            Self::IdentityNotWritten { .. } => "identity-not-written",
            Self::Cryptography { .. } => "identity-not-made",
            Self::Listen { .. } => "listen-failed",
        }
    }

    /// What a person can do about it.
    pub fn hint(&self) -> String {
        match self {
            Self::IdentityUnreadable { path, .. } => {
                format!("make {} readable for the user that runs xbtd", path.display())
            }
            Self::IdentityDamaged { path } => format!(
                "restore {} from a backup; or move it away to become a new device, which contacts have to verify again",
                path.display()
            ),
            Self::IdentityExposed { path, .. } => {
                format!("chmod 600 {}; if someone may have copied it, move it away instead", path.display())
            }
            Self::IdentityNotWritten { path, .. } => {
                format!("see that the folder of {} can be written and the disk is not full", path.display())
            }
            Self::Cryptography { .. } => "see that the system can give random numbers, then start again".to_owned(),
            Self::Listen { .. } => "choose another address or port under [network] listen".to_owned(),
        }
    }
}

impl From<LinkError> for xbt_core::fault::Fault {
    fn from(error: LinkError) -> Self {
        let cause = std::error::Error::source(&error).map(|cause| format!(": {cause}")).unwrap_or_default();
        Self::new(error.code(), format!("{error}{cause}"), error.hint())
    }
}
