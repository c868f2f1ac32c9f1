//! The socket file: made private, never taken from a living daemon, removed at the end; or systemd's, which stays.

use std::fs::{self, DirBuilder, File, Metadata, OpenOptions, Permissions};
use std::io;
use std::os::unix::fs::{DirBuilderExt, FileTypeExt, MetadataExt, OpenOptionsExt, PermissionsExt};
use std::os::unix::net::UnixListener as StdListener;
use std::path::{Path, PathBuf};

use rustix::fs::FlockOperation;
use rustix::io::Errno;
use rustix::net::{AddressFamily, SocketAddrUnix, SocketFlags, SocketType};
use tokio::net::UnixListener;

/// Why the socket cannot be had.
#[derive(Debug, thiserror::Error)]
pub enum RpcError {
    /// The path has no directory, or is too long for a socket (107 bytes).
    #[error("{} cannot be the path of a socket", .0.display())]
    BadPath(PathBuf),
    /// The directory cannot be made or looked at.
    #[error("the directory {} cannot be used: {cause}", path.display())]
    Directory {
        /// Which.
        path: PathBuf,
        /// What the system says.
        cause: io::Error,
    },
    /// Somebody else could put a socket of their own there.
    #[error("the directory {} is not safe for a socket: {problem}", path.display())]
    UnsafeDirectory {
        /// Which.
        path: PathBuf,
        /// What is wrong with it.
        problem: &'static str,
    },
    /// What was handed over is no socket of ours.
    #[error("the socket that systemd hands over cannot be used: {problem}")]
    Handed {
        /// What is wrong with it.
        problem: String,
    },
    /// A daemon listens there.
    #[error("a daemon already listens at {}", .0.display())]
    InUse(PathBuf),
    /// There is something that is not ours to remove.
    #[error("{} exists and is not a socket", .0.display())]
    NotASocket(PathBuf),
    /// Anything else.
    #[error("the socket {} cannot be made: {cause}", path.display())]
    Socket {
        /// Which.
        path: PathBuf,
        /// What the system says.
        cause: io::Error,
    },
}

impl RpcError {
    /// What to do about it.
    pub fn hint(&self) -> &'static str {
        match self {
            Self::BadPath(_) => "set 'files.socket' to an absolute path of at most 107 bytes",
            Self::Directory { .. } => "make the directory yourself, or set 'files.socket' to another place",
            Self::UnsafeDirectory { .. } => "give the socket a directory of its own with mode 0700",
            Self::Handed { .. } => "the socket unit has to name one path, with SocketMode=0600 and DirectoryMode=0700",
            Self::InUse(_) => "stop the other daemon first, or set 'files.socket' to another place",
            Self::NotASocket(_) => "move it away, or set 'files.socket' to another place",
            Self::Socket { .. } => "set 'files.socket' to a place on a local file system",
        }
    }
}

/// A bound socket that listens. Its file is removed when it, or the server that took it, ends; unless it is systemd's.
#[derive(Debug)]
pub struct Listener {
    socket: StdListener,
    path: PathBuf,
    file: Option<SocketFile>,
}

/// The socket's file and the right to it.
#[derive(Debug)]
pub(super) struct SocketFile {
    path: PathBuf,
    /// Device and inode: what was made here, should somebody have put something else in its place.
    identity: (u64, u64),
    /// Held by whoever serves at this path, from before it looks until after it has removed the file. The lock file
    /// itself stays: removing it would let two daemons hold locks on two files of the same name.
    _lock: File,
}

impl Drop for SocketFile {
    fn drop(&mut self) {
        if fs::symlink_metadata(&self.path).is_ok_and(|found| (found.dev(), found.ino()) == self.identity) {
            // Nothing can be done about a failure, and the next daemon replaces the file.
            let _ = fs::remove_file(&self.path);
        }
    }
}

impl Listener {
    /// Where it listens.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// For the runtime: the socket, and what removes its file when dropped.
    pub(super) fn into_parts(self) -> Result<(UnixListener, Option<SocketFile>), RpcError> {
        let socket = self.socket.set_nonblocking(true).and_then(|()| UnixListener::from_std(self.socket));
        match socket {
            Ok(socket) => Ok((socket, self.file)),
            Err(cause) => Err(RpcError::Socket { path: self.path, cause }),
        }
    }
}

/// Listens at `path` with mode 0600, in a directory that is made with mode 0700 if it is missing. A socket file that a
/// dead daemon left behind is replaced.
///
/// # Errors
/// [`RpcError`]; nothing was changed, apart from directories and the lock file.
pub fn bind(path: &Path) -> Result<Listener, RpcError> {
    // Also finds out whether the path fits into a socket address.
    let address = SocketAddrUnix::new(path).map_err(|_| RpcError::BadPath(path.to_owned()))?;
    let directory = path.parent().filter(|_| path.is_absolute()).ok_or_else(|| RpcError::BadPath(path.to_owned()))?;
    prepare_directory(directory)?;
    let failed = |cause: io::Error| RpcError::Socket { path: path.to_owned(), cause };
    let lock = lock(path)?;
    make_room(path, &address)?;
    let socket = StdListener::bind(path).map_err(failed)?;
    // Until here others might connect, if the directory lets them; they are turned away by their user.
    fs::set_permissions(path, Permissions::from_mode(0o600)).map_err(failed)?;
    let made = fs::symlink_metadata(path).map_err(failed)?;
    let file = SocketFile { path: path.to_owned(), identity: (made.dev(), made.ino()), _lock: lock };
    Ok(Listener { socket, path: path.to_owned(), file: Some(file) })
}

/// Takes a socket that systemd listens on for us: its file is systemd's to remove, and only has to be as private as our
/// own would be.
///
/// # Errors
/// [`RpcError`], if others could connect, or put a socket of their own in its place.
pub fn adopt(socket: StdListener) -> Result<Listener, RpcError> {
    let unusable = |problem: &str| RpcError::Handed { problem: problem.to_owned() };
    if !rustix::net::sockopt::socket_acceptconn(&socket).unwrap_or(false) {
        return Err(unusable("no process listens on it"));
    }
    let address = socket.local_addr().map_err(|error| unusable(&error.to_string()))?;
    let path = address.as_pathname().ok_or_else(|| unusable("it has no path"))?.to_owned();
    let directory = path.parent().filter(|_| path.is_absolute()).ok_or_else(|| unusable("its path is not absolute"))?;
    let found = fs::metadata(directory).map_err(|cause| RpcError::Directory { path: directory.to_owned(), cause })?;
    // A system unit's directory is root's, who could do anything anyway.
    check_directory(directory, &found, &[0, rustix::process::geteuid().as_raw()])?;
    match fs::symlink_metadata(&path) {
        Ok(file) if file.mode() & 0o077 != 0 => return Err(unusable("other users may connect to it")),
        Ok(_) => {}
        // The directory keeps even us out, and so everybody else.
        Err(error) if error.kind() == io::ErrorKind::PermissionDenied => {}
        Err(cause) => return Err(RpcError::Socket { path, cause }),
    }
    Ok(Listener { socket, path, file: None })
}

fn prepare_directory(path: &Path) -> Result<(), RpcError> {
    let failed = |cause| RpcError::Directory { path: path.to_owned(), cause };
    DirBuilder::new().recursive(true).mode(0o700).create(path).map_err(failed)?;
    let found = fs::metadata(path).map_err(failed)?;
    check_directory(path, &found, &[rustix::process::geteuid().as_raw()])
}

fn check_directory(path: &Path, found: &Metadata, owners: &[u32]) -> Result<(), RpcError> {
    let unsafe_because = |problem| Err(RpcError::UnsafeDirectory { path: path.to_owned(), problem });
    if !owners.contains(&found.uid()) {
        return unsafe_because("it belongs to another user");
    }
    if found.mode() & 0o022 != 0 {
        return unsafe_because("other users may write to it");
    }
    Ok(())
}

fn lock(path: &Path) -> Result<File, RpcError> {
    let mut name = path.as_os_str().to_owned();
    name.push(".lock");
    let failed = |cause| RpcError::Socket { path: path.to_owned(), cause };
    let file = OpenOptions::new()
        .create(true)
        .truncate(false)
        .write(true)
        .mode(0o600)
        .custom_flags(rustix::fs::OFlags::NOFOLLOW.bits().cast_signed())
        .open(name)
        .map_err(failed)?;
    match rustix::fs::flock(&file, FlockOperation::NonBlockingLockExclusive) {
        Ok(()) => Ok(file),
        Err(Errno::WOULDBLOCK) => Err(RpcError::InUse(path.to_owned())),
        Err(error) => Err(failed(error.into())),
    }
}

/// Removes the socket of a dead daemon; leaves everything else alone.
fn make_room(path: &Path, address: &SocketAddrUnix) -> Result<(), RpcError> {
    let failed = |cause| RpcError::Socket { path: path.to_owned(), cause };
    match fs::symlink_metadata(path) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(()),
        Err(error) => return Err(failed(error)),
        Ok(found) if !found.file_type().is_socket() => return Err(RpcError::NotASocket(path.to_owned())),
        Ok(_) => {}
    }
    // The lock says that no xbtd is there; but it may be a program that knows nothing of the lock.
    let probe = rustix::net::socket_with(
        AddressFamily::UNIX,
        SocketType::STREAM,
        SocketFlags::CLOEXEC | SocketFlags::NONBLOCK,
        None,
    )
    .map_err(|error| failed(error.into()))?;
    match rustix::net::connect(&probe, address) {
        Err(Errno::CONNREFUSED) => fs::remove_file(path).map_err(failed),
        // Full backlog: alive.
        Ok(()) | Err(Errno::AGAIN) => Err(RpcError::InUse(path.to_owned())),
        Err(error) => Err(failed(error.into())),
    }
}
