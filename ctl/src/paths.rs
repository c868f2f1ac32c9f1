//! Paths on this computer: what a person names, the XDG base directories, installed programs.

use std::path::{Path, PathBuf};

use crate::failure::Failure;

/// The path as seen from the root, symlinks as given: the daemon has another working directory.
pub fn absolute(path: &Path) -> Result<String, Failure> {
    let failed = |what: &str| Failure::usage(format!("the path '{}' {what}", path.display()), "");
    let absolute = std::path::absolute(path).map_err(|_| failed("is not a path"))?;
    // Without a trailing slash or dot, which would make the last part empty.
    let absolute: PathBuf = absolute.components().collect();
    absolute.into_os_string().into_string().map_err(|_| failed("is not valid UTF-8, so it cannot be sent"))
}

/// `$XDG_CONFIG_HOME`, or its default.
pub fn config_home() -> Result<PathBuf, Failure> {
    let home = variable("XDG_CONFIG_HOME").or_else(|| variable("HOME").map(|home| home.join(".config")));
    home.ok_or_else(|| Failure::usage("the configuration folder is unknown", "set HOME, or give --config"))
}

/// `$XDG_STATE_HOME`, or its default.
pub fn state_home() -> Option<PathBuf> {
    variable("XDG_STATE_HOME").or_else(|| variable("HOME").map(|home| home.join(".local/state")))
}

/// Relative paths in XDG variables are to be ignored (XDG Base Directory Specification).
fn variable(name: &str) -> Option<PathBuf> {
    std::env::var_os(name).map(PathBuf::from).filter(|path| path.is_absolute())
}

/// Whether there is a configuration where the daemon looks for it, as far as can be seen.
pub fn is_set_up() -> bool {
    config_home().map_or(true, |home| home.join("xbt/xbtd.toml").try_exists().unwrap_or(true))
}

/// Where a program is, if it is installed.
pub fn in_path(name: &str) -> Option<PathBuf> {
    let path = std::env::var_os("PATH")?;
    std::env::split_paths(&path).map(|folder| folder.join(name)).find(|path| path.is_file())
}
