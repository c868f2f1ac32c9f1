//! Where our files lie, after the XDG Base Directory Specification.

use std::fs::{self, DirBuilder};
use std::io::ErrorKind;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::{DirBuilderExt, MetadataExt};
use std::path::{Path, PathBuf};

use directories::BaseDirs;

use super::{Config, ConfigError};

/// Most bytes in the path of a Unix socket (`sun_path` without its final zero, unix(7)).
const MAX_SOCKET_PATH: usize = 107;

/// The paths that the daemon works with, all absolute.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Paths {
    /// Holds the database and the device key.
    pub state_dir: PathBuf,
    /// The control socket.
    pub socket: PathBuf,
    /// Where received files go, or what lies above all the folders they go to; not made by us before something is received.
    pub download_dir: PathBuf,
    /// Where `xbtctl` leaves what it read from its standard input, whatever the configuration says.
    pub spool: PathBuf,
}

/// The configuration file when none is named: `$XDG_CONFIG_HOME/xbt/xbtd.toml`.
///
/// Without a home directory it is `/etc/xbt/xbtd.toml`, so that the message about a missing file names a path.
pub fn default_path() -> PathBuf {
    let base = BaseDirs::new();
    base.map_or_else(|| PathBuf::from("/etc"), |base| base.config_dir().to_owned()).join("xbt/xbtd.toml")
}

/// What `~` stands for.
pub(super) fn home() -> Result<PathBuf, ConfigError> {
    base_dirs().map(|base| base.home_dir().to_owned())
}

fn base_dirs() -> Result<BaseDirs, ConfigError> {
    let hint = "set the environment variable HOME to an absolute path";
    BaseDirs::new()
        .filter(|base| base.home_dir().is_absolute())
        .ok_or_else(|| ConfigError::new("no-home", "your home directory is unknown", hint))
}

impl Paths {
    /// The paths of a configuration, in this environment. Makes nothing.
    ///
    /// # Errors
    /// There is no home directory, or the socket's path is too long for a socket.
    pub fn resolve(config: &Config) -> Result<Self, ConfigError> {
        let base = base_dirs()?;
        let state_home = base.state_dir().map_or_else(|| base.home_dir().join(".local/state"), Path::to_owned);
        Self::within(config, &state_home, base.runtime_dir())
    }

    fn within(config: &Config, state_home: &Path, runtime_dir: Option<&Path>) -> Result<Self, ConfigError> {
        let files = &config.files;
        let state_dir = files.state_dir.clone().unwrap_or_else(|| state_home.join("xbt"));
        let default_socket = || runtime_dir.map_or_else(|| state_dir.clone(), |dir| dir.join("xbt")).join("xbtd.sock");
        let socket = files.socket.clone().unwrap_or_else(default_socket);
        if socket.as_os_str().as_bytes().len() > MAX_SOCKET_PATH {
            let what = format!("the path of the socket, {}, is longer than {MAX_SOCKET_PATH} bytes", socket.display());
            let hint = "set `socket` in [files] to a shorter path";
            return Err(ConfigError::new("socket-path-too-long", what, hint));
        }
        Ok(Self {
            state_dir,
            socket,
            download_dir: PathBuf::from(files.download_dir.above()),
            spool: state_home.join("xbt/spool"),
        })
    }

    /// Makes the state directory and the socket's directory, readable by nobody else (0700), where they are missing.
    ///
    /// # Errors
    /// One cannot be made, or the state directory belongs to another user or can be written by others.
    pub fn create(&self) -> Result<(), ConfigError> {
        make_private(&self.state_dir)?;
        check_private(&self.state_dir)?;
        // Who may connect to the socket is the RPC room's care; here it only gets a place.
        self.socket.parent().map_or(Ok(()), make_private)
    }
}

fn make_private(dir: &Path) -> Result<(), ConfigError> {
    DirBuilder::new().recursive(true).mode(0o700).create(dir).map_err(|error| {
        let hint = match error.kind() {
            ErrorKind::PermissionDenied => "name a directory that you may write, in [files] of the configuration",
            ErrorKind::AlreadyExists => "there is something else of that name: move it away",
            // Foreign enum: for the rest the message itself says most.
            _ => "make it by hand, or name another one in [files] of the configuration",
        };
        bad(dir, &format!("cannot be made: {error}"), hint)
    })
}

/// The state directory holds the device's private key: nobody else may change what is in it.
fn check_private(dir: &Path) -> Result<(), ConfigError> {
    let meta = fs::metadata(dir)
        .map_err(|error| bad(dir, &format!("cannot be looked at: {error}"), "check its permissions"))?;
    if meta.uid() != rustix::process::geteuid().as_raw() {
        return Err(bad(dir, "belongs to another user", "name another `state_dir` in [files] of the configuration"));
    }
    if meta.mode() & 0o022 != 0 {
        return Err(bad(dir, "can be written by others", &format!("run chmod 700 '{}'", dir.display())));
    }
    Ok(())
}

fn bad(dir: &Path, what: &str, hint: &str) -> ConfigError {
    ConfigError::new("bad-directory", format!("the directory {} {what}", dir.display()), hint)
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::panic)]
    use std::fs::Permissions;
    use std::os::unix::fs::PermissionsExt;

    use super::*;

    fn config(files: &str) -> Config {
        let text = format!("[account]\njid = 'a@example.org'\n[files]\n{files}");
        Config::parse(&text, Path::new("xbtd.toml"), Path::new("/home/a")).unwrap()
    }

    fn mode(path: &Path) -> u32 {
        fs::metadata(path).unwrap().mode() & 0o7777
    }

    #[test]
    fn the_socket_is_in_the_runtime_directory_or_else_with_the_state() {
        let (state, run) = (Path::new("/s"), Path::new("/run/user/1"));
        let paths = Paths::within(&config(""), state, Some(run)).unwrap();
        assert_eq!(paths.state_dir, Path::new("/s/xbt"));
        assert_eq!(paths.socket, Path::new("/run/user/1/xbt/xbtd.sock"));
        assert_eq!(paths.download_dir, Path::new("/home/a/Downloads"));
        let paths = Paths::within(&config("state_dir = '~/x'"), state, None).unwrap();
        assert_eq!(paths.socket, Path::new("/home/a/x/xbtd.sock"));
        let paths = Paths::within(&config("socket = '/k'\nstate_dir = '/y'"), state, Some(run)).unwrap();
        assert_eq!((paths.state_dir.as_path(), paths.socket.as_path()), (Path::new("/y"), Path::new("/k")));
    }

    #[test]
    fn a_socket_path_that_no_socket_can_have_is_refused() {
        let fits = format!("socket = '/{}'", "x".repeat(106));
        let long = format!("socket = '/{}'", "x".repeat(107));
        assert!(Paths::within(&config(&fits), Path::new("/s"), None).is_ok());
        let error = Paths::within(&config(&long), Path::new("/s"), None).unwrap_err();
        assert_eq!(error.code, "socket-path-too-long");
    }

    #[test]
    fn directories_of_ours_are_made_for_nobody_else_and_others_are_left_alone() {
        let dir = tempfile::tempdir().unwrap();
        let root = dir.path().display();
        let text = format!("state_dir = '{root}/state/xbt'\nsocket = '{root}/run/xbt/s'\ndownload_dir = '{root}/d'");
        let paths = Paths::within(&config(&text), Path::new("/s"), None).unwrap();
        paths.create().unwrap();
        paths.create().unwrap();
        assert_eq!(mode(&paths.state_dir), 0o700);
        assert_eq!(mode(paths.socket.parent().unwrap()), 0o700);
        assert!(!paths.download_dir.exists());

        fs::set_permissions(&paths.state_dir, Permissions::from_mode(0o755)).unwrap();
        paths.create().unwrap();
        assert_eq!(mode(&paths.state_dir), 0o755);
    }

    #[test]
    fn a_state_directory_that_others_can_write_is_refused() {
        let dir = tempfile::tempdir().unwrap();
        fs::set_permissions(dir.path(), Permissions::from_mode(0o770)).unwrap();
        let text = format!("state_dir = '{}'", dir.path().display());
        let error = Paths::within(&config(&text), Path::new("/s"), None).unwrap().create().unwrap_err();
        assert_eq!(error.code, "bad-directory");
        assert!(error.hint.starts_with("run chmod 700"), "{error:?}");
    }

    #[test]
    fn a_file_where_a_directory_should_be_is_told() {
        let dir = tempfile::tempdir().unwrap();
        let file = dir.path().join("state");
        fs::write(&file, "").unwrap();
        let text = format!("state_dir = '{}'", file.display());
        let error = Paths::within(&config(&text), Path::new("/s"), None).unwrap().create().unwrap_err();
        assert_eq!(error.code, "bad-directory");
        assert!(error.message.contains("state cannot be made"), "{error:?}");
    }
}
