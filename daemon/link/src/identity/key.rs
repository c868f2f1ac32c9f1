//! The device's identity: an Ed25519 key that lasts, and a certificate made of it at each start.

use std::fmt;
use std::fs::{self, DirBuilder, File, OpenOptions};
use std::io::{self, Read, Write};
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt, PermissionsExt};
use std::path::{Path, PathBuf};

use rcgen::{CertificateParams, DnType, KeyPair, PKCS_ED25519, PublicKeyData};
use rustls::pki_types::{CertificateDer, PrivatePkcs8KeyDer};
use sha2::{Digest, Sha256};
use xbt_core::ids::Fingerprint;

use crate::error::LinkError;

/// A PKCS#8 Ed25519 key has 48 or 83 bytes; anything much longer is not one and is not read to its end.
const MAX_KEY_FILE: u64 = 4096;

/// Who this device is: an Ed25519 key and a self-signed certificate.
///
/// Only the key lasts. The certificate says nothing but the key (no name, no date that means anything), so it is made
/// anew at each start; other devices look at the key alone.
pub struct Identity {
    key: KeyPair,
    certificate: CertificateDer<'static>,
    fingerprint: Fingerprint,
}

impl fmt::Debug for Identity {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Identity").field("fingerprint", &self.fingerprint).finish_non_exhaustive()
    }
}

impl Identity {
    /// Reads the key from `path` (PKCS#8, DER), or makes one there (mode 0600) if there is no such file.
    ///
    /// # Errors
    /// A file that cannot be read, holds no Ed25519 key or can be read by others is an error and stays as it is:
    /// a new key would be a new device, which is for a person to decide.
    pub fn load_or_create(path: &Path) -> Result<Self, LinkError> {
        if let Some(key) = load(path)? {
            return Self::from_key(key);
        }
        let key = KeyPair::generate_for(&PKCS_ED25519).map_err(cryptography)?;
        match create(path, &key.serialize_der()) {
            Ok(()) => Self::from_key(key),
            // Another process was faster; its key is the one that lasts.
            Err(error) if error.kind() == io::ErrorKind::AlreadyExists => match load(path)? {
                Some(key) => Self::from_key(key),
                None => Err(LinkError::IdentityNotWritten { path: path.to_owned(), source: error }),
            },
            Err(source) => Err(LinkError::IdentityNotWritten { path: path.to_owned(), source }),
        }
    }

    fn from_key(key: KeyPair) -> Result<Self, LinkError> {
        let mut params = CertificateParams::new(Vec::new()).map_err(cryptography)?;
        params.distinguished_name.push(DnType::CommonName, "xbt");
        let certificate = params.self_signed(&key).map_err(cryptography)?.der().clone();
        let fingerprint = fingerprint_of(&key.subject_public_key_info());
        Ok(Self { key, certificate, fingerprint })
    }

    /// SHA-256 of the DER SubjectPublicKeyInfo (RFC 5280, section 4.1).
    pub fn fingerprint(&self) -> Fingerprint {
        self.fingerprint
    }

    pub(crate) fn certificate(&self) -> CertificateDer<'static> {
        self.certificate.clone()
    }

    pub(crate) fn private_key(&self) -> PrivatePkcs8KeyDer<'static> {
        self.key.serialize_der().into()
    }
}

/// The fingerprint of a DER SubjectPublicKeyInfo.
pub(crate) fn fingerprint_of(spki: &[u8]) -> Fingerprint {
    Fingerprint(Sha256::digest(spki).into())
}

fn cryptography(error: rcgen::Error) -> LinkError {
    LinkError::Cryptography { reason: error.to_string() }
}

/// The key in the file; none if there is no file.
fn load(path: &Path) -> Result<Option<KeyPair>, LinkError> {
    let unreadable = |source| LinkError::IdentityUnreadable { path: path.to_owned(), source };
    let file = match File::open(path) {
        Ok(file) => file,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
        Err(error) => return Err(unreadable(error)),
    };
    let mode = file.metadata().map_err(unreadable)?.permissions().mode() & 0o7777;
    if mode & 0o077 != 0 {
        return Err(LinkError::IdentityExposed { path: path.to_owned(), mode });
    }
    let mut der = Vec::new();
    file.take(MAX_KEY_FILE).read_to_end(&mut der).map_err(unreadable)?;
    match KeyPair::from_pkcs8_der_and_sign_algo(&der.into(), &PKCS_ED25519) {
        Ok(key) => Ok(Some(key)),
        Err(_) => Err(LinkError::IdentityDamaged { path: path.to_owned() }),
    }
}

/// Writes a new file that is either whole or not there, and never takes the place of another one.
///
/// A hard link and not a rename: it fails where something is already there, also on NFS, which knows no
/// `RENAME_NOREPLACE`.
fn create(path: &Path, der: &[u8]) -> io::Result<()> {
    let folder = match path.parent() {
        Some(folder) if !folder.as_os_str().is_empty() => folder,
        Some(_) | None => Path::new("."),
    };
    DirBuilder::new().recursive(true).mode(0o700).create(folder)?;
    let partial = partial_name(path)?;
    let written = (|| {
        let mut file = OpenOptions::new().write(true).create_new(true).mode(0o600).open(&partial)?;
        file.write_all(der)?;
        file.sync_all()?;
        fs::hard_link(&partial, path)
    })();
    let removed = fs::remove_file(&partial);
    written?;
    removed?;
    File::open(folder)?.sync_all()
}

/// A unique name beside `path`.
fn partial_name(path: &Path) -> io::Result<PathBuf> {
    let mut name = path.file_name().ok_or(io::ErrorKind::InvalidInput)?.to_owned();
    let random = getrandom::u64().map_err(io::Error::other)?;
    name.push(format!(".{random:016x}.partial"));
    Ok(path.with_file_name(name))
}
