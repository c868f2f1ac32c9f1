//! The configuration that is written: the example with every key, with the person's own account in it.

use std::fs::{self, DirBuilder, OpenOptions};
use std::io::{self, Write};
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt};
use std::path::{Path, PathBuf};

use super::password::Place;
use crate::failure::Failure;

/// Every key with its default; what the person did not say stays a comment to be found later.
const EXAMPLE: &str = include_str!("../../../../config/xbtd.toml");

/// Most old configurations that are kept beside a new one.
const MAX_BACKUPS: usize = 100;

/// What the person said.
#[derive(Clone, Debug)]
pub struct Document {
    /// The account.
    pub jid: String,
    /// Instead of what DNS names.
    pub server: Option<String>,
    /// `starttls` or `direct`.
    pub tls: Option<String>,
    /// A SASL mechanism.
    pub least_mechanism: Option<String>,
    /// An absolute path.
    pub ca_file: Option<String>,
    /// If the desktop has another one than `~/Downloads`.
    pub download_dir: Option<String>,
}

impl Document {
    /// As TOML.
    pub fn text(&self, password: &Place) -> String {
        let (source, value) = password.setting();
        let mut settings = vec![("jid", Some(self.jid.clone()))];
        settings.push(("password_file", (source == "password_file").then(|| value.clone())));
        settings.push(("password_command", (source == "password_command").then_some(value)));
        settings.extend([
            ("server", self.server.clone()),
            ("tls", self.tls.clone()),
            ("least_mechanism", self.least_mechanism.clone()),
            ("ca_file", self.ca_file.clone()),
            // In that value a brace begins a word, unless it is written twice.
            ("download_dir", self.download_dir.as_ref().map(|dir| dir.replace('{', "{{").replace('}', "}}"))),
        ]);
        let mut text = String::new();
        for line in EXAMPLE.lines() {
            let key = line.trim_start_matches(['#', ' ']).split_once(" = ").map_or("", |(key, _)| key);
            // Once: the sections for rules have keys of the same names further below.
            let said = settings.iter().position(|(name, _)| *name == key).map(|at| settings.swap_remove(at));
            match said {
                Some((key, Some(value))) => text += &format!("{key} = {}", quoted(&value)),
                Some((_, None)) if !line.starts_with('#') => text += &format!("# {line}"),
                Some((_, None)) | None => text += line,
            }
            text.push('\n');
        }
        text
    }
}

/// JSON's escapes are TOML's, too; what is left over cannot be in an address or a path that gets here.
fn quoted(text: &str) -> String {
    serde_json::to_string(&text.replace('\u{7f}', "")).unwrap_or_default()
}

/// Where the desktop puts downloads (`XDG_DOWNLOAD_DIR` of xdg-user-dirs), if it is not `~/Downloads`.
pub fn own_download_dir() -> Option<String> {
    let home = std::env::var_os("HOME").map(PathBuf::from).filter(|home| home.is_absolute())?;
    let config = std::env::var_os("XDG_CONFIG_HOME").map(PathBuf::from).filter(|path| path.is_absolute());
    let dirs = fs::read_to_string(config.unwrap_or_else(|| home.join(".config")).join("user-dirs.dirs")).ok()?;
    download_dir_in(&dirs, &home)
}

fn download_dir_in(dirs: &str, home: &Path) -> Option<String> {
    let value = dirs.lines().find_map(|line| line.trim().strip_prefix("XDG_DOWNLOAD_DIR="))?.trim_matches('"');
    let path = match value.strip_prefix("$HOME/") {
        Some(rest) => home.join(rest),
        None => PathBuf::from(value),
    };
    let usual = path == home.join("Downloads") || path == home;
    path.is_absolute().then_some(())?;
    if usual { None } else { path.into_os_string().into_string().ok() }
}

/// Makes a folder, 0700, if it is not there.
pub fn make_private_folder(folder: &Path) -> Result<(), Failure> {
    DirBuilder::new().recursive(true).mode(0o700).create(folder).map_err(|error| not_made(folder, &error))
}

/// Makes a folder, 0700, that must not be there.
pub fn make_new_private_folder(folder: &Path) -> Result<(), Failure> {
    DirBuilder::new().mode(0o700).create(folder).map_err(|error| not_made(folder, &error))
}

fn not_made(folder: &Path, error: &io::Error) -> Failure {
    Failure::local(format!("the folder {} cannot be made: {error}", folder.display()))
}

/// Writes the configuration, 0600. With `replace` an older one is kept under another name, which is returned; without,
/// one that is there all the same is an error.
pub fn write(path: &Path, text: &str, replace: bool) -> Result<Option<PathBuf>, Failure> {
    let failed = |error: io::Error| Failure::local(format!("{} cannot be written: {error}", path.display()));
    let backup = if replace { Some(set_aside(path).map_err(failed)?) } else { None };
    let write = || -> io::Result<()> {
        let mut file = OpenOptions::new().write(true).create_new(true).mode(0o600).open(path)?;
        file.write_all(text.as_bytes())?;
        file.sync_all()
    };
    write().map_err(failed)?;
    Ok(backup)
}

/// Renames a file to the first free of `name.old`, `name.old2`, …
fn set_aside(path: &Path) -> io::Result<PathBuf> {
    for number in 1..=MAX_BACKUPS {
        let mut name = path.as_os_str().to_owned();
        name.push(if number == 1 { ".old".to_owned() } else { format!(".old{number}") });
        let name = PathBuf::from(name);
        // A link, unlike a renaming, never replaces what is there.
        match fs::hard_link(path, &name) {
            Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {}
            result => {
                result.and_then(|()| fs::remove_file(path))?;
                return Ok(name);
            }
        }
    }
    Err(io::Error::other("there are too many old copies"))
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    fn alice() -> Document {
        let jid = "alice@example.net".into();
        Document { jid, server: None, tls: None, least_mechanism: None, ca_file: None, download_dir: None }
    }

    fn settings(text: &str) -> Vec<&str> {
        text.lines().filter(|line| !line.starts_with('#') && !line.is_empty()).collect()
    }

    #[test]
    fn only_what_was_said_is_set_and_every_other_key_is_there_to_be_found() {
        let text = alice().text(&Place::File("/h/password".into()));
        let expected = [
            "[account]",
            "jid = \"alice@example.net\"",
            "password_file = \"/h/password\"",
            "[files]",
            "[network]",
            "[accept]",
            "[hooks]",
        ];
        assert_eq!(settings(&text), expected);
        assert_eq!(text.lines().count(), EXAMPLE.lines().count());
    }

    #[test]
    fn everything_that_can_be_said_is_set_once() {
        let document = Document {
            server: Some("[::1]:5222".into()),
            tls: Some("direct".into()),
            least_mechanism: Some("PLAIN".into()),
            ca_file: Some("/own \"ca\".pem".into()),
            download_dir: Some("/home/a/{Téléchargements}".into()),
            ..alice()
        };
        let text = document.text(&Place::SecretService { jid: "alice@example.net".into() });
        let expected = [
            "[account]",
            "jid = \"alice@example.net\"",
            "password_command = \"secret-tool lookup service xbt account 'alice@example.net'\"",
            "server = \"[::1]:5222\"",
            "tls = \"direct\"",
            "ca_file = \"/own \\\"ca\\\".pem\"",
            "least_mechanism = \"PLAIN\"",
            "[files]",
            "download_dir = \"/home/a/{{Téléchargements}}\"",
            "[network]",
            "[accept]",
            "[hooks]",
        ];
        assert_eq!(settings(&text), expected);
    }

    #[test]
    fn the_desktop_says_where_downloads_go_if_it_is_not_the_usual_place() {
        let dirs = |line: &str| download_dir_in(line, Path::new("/home/a"));
        assert_eq!(dirs("# x\nXDG_DOWNLOAD_DIR=\"$HOME/Téléchargements\"\n"), Some("/home/a/Téléchargements".into()));
        assert_eq!(dirs("XDG_DOWNLOAD_DIR=\"/data/in\""), Some("/data/in".into()));
        // "$HOME" alone says that there is none.
        for usual in ["XDG_DOWNLOAD_DIR=\"$HOME/Downloads\"", "XDG_DOWNLOAD_DIR=\"$HOME/\"", "", "XDG_DOWNLOAD_DIR=x"] {
            assert_eq!(dirs(usual), None, "{usual}");
        }
    }

    #[test]
    fn an_old_configuration_is_kept_whatever_stands_beside_it() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("xbtd.toml");
        assert_eq!(write(&path, "one", false).unwrap(), None);
        assert!(write(&path, "no", false).is_err());
        assert_eq!(write(&path, "two", true).unwrap(), Some(dir.path().join("xbtd.toml.old")));
        assert_eq!(write(&path, "three", true).unwrap(), Some(dir.path().join("xbtd.toml.old2")));
        let read = |name: &str| fs::read_to_string(dir.path().join(name)).unwrap();
        assert_eq!([read("xbtd.toml"), read("xbtd.toml.old"), read("xbtd.toml.old2")], ["three", "one", "two"]);
    }
}
