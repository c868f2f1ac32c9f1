//! Where the socket is.

use std::env;
use std::ffi::OsString;
use std::fs;
use std::os::unix::fs::MetadataExt;
use std::path::PathBuf;

/// Where a daemon listens and a client looks when neither was told otherwise: `$XDG_RUNTIME_DIR/xbt/xbtd.sock`, or
/// `$XDG_STATE_HOME/xbt/xbtd.sock` (`~/.local/state/xbt/xbtd.sock`) in sessions without a runtime directory.
///
/// `None` when not even `HOME` is set. Only the environment is looked at, no file.
pub fn default_socket() -> Option<PathBuf> {
    socket_from(|name| env::var_os(name))
}

/// Where programs look for the daemon: [`default_socket`], but in sessions without a runtime directory (cron, `su`) first where a user
/// service listens, if it does.
pub fn find_socket() -> Option<PathBuf> {
    let told = env::var_os("XDG_RUNTIME_DIR").is_some_and(|dir| PathBuf::from(dir).is_absolute());
    let usual = || {
        let uid = fs::metadata("/proc/self").ok()?.uid();
        let socket = PathBuf::from(format!("/run/user/{uid}/xbt/xbtd.sock"));
        socket.exists().then_some(socket)
    };
    if told { None } else { usual() }.or_else(default_socket)
}

fn socket_from(env: impl Fn(&str) -> Option<OsString>) -> Option<PathBuf> {
    // The XDG base directory specification: relative paths in these variables are to be ignored.
    let absolute = |name: &str| env(name).map(PathBuf::from).filter(|path| path.is_absolute());
    let base = absolute("XDG_RUNTIME_DIR")
        .or_else(|| absolute("XDG_STATE_HOME"))
        .or_else(|| absolute("HOME").map(|home| home.join(".local/state")))?;
    Some(base.join("xbt/xbtd.sock"))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn with(vars: &[(&str, &str)]) -> Option<PathBuf> {
        socket_from(|name| vars.iter().find(|(key, _)| *key == name).map(|(_, value)| value.into()))
    }

    #[test]
    fn the_runtime_directory_comes_first_then_the_state_directory_then_home() {
        let all = [("XDG_RUNTIME_DIR", "/run/user/7"), ("XDG_STATE_HOME", "/s"), ("HOME", "/h")];
        assert_eq!(with(&all), Some("/run/user/7/xbt/xbtd.sock".into()));
        assert_eq!(with(&all[1..]), Some("/s/xbt/xbtd.sock".into()));
        assert_eq!(with(&all[2..]), Some("/h/.local/state/xbt/xbtd.sock".into()));
        assert_eq!(with(&[]), None);
    }

    #[test]
    fn empty_and_relative_directories_do_not_count() {
        assert_eq!(with(&[("XDG_RUNTIME_DIR", ""), ("HOME", "/h")]), Some("/h/.local/state/xbt/xbtd.sock".into()));
        assert_eq!(with(&[("XDG_RUNTIME_DIR", "run"), ("HOME", "h")]), None);
    }
}
