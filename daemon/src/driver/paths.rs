//! Looking at what the person named before the domain hears of it: sources of a send, and folders to receive into.

use std::collections::HashMap;
use std::fs::{self, File};
use std::io::ErrorKind;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

use rustix::fs::{Access, access};
use xbt_core::fault::Fault;
use xbt_core::input::Destination;

/// Folders below a source that are looked into while searching for the first file.
const MAX_FOLDERS: usize = 10_000;

/// Checks that a send can begin and says what to call it until it has been hashed.
///
/// # Errors
/// The first path that cannot be sent, and why. Deeper faults are found when the content is hashed.
pub(super) fn sources(paths: &[String], name: Option<&str>) -> Result<String, Fault> {
    if let Some(name) = name.filter(|name| name.is_empty() || [".", ".."].contains(name) || name.contains(['/', '\0']))
    {
        let message = format!("{name:?} is not a name for a file or folder");
        return Err(Fault::new("bad-name", message, "give --name a name without slashes"));
    }
    for path in paths {
        source(Path::new(path))?;
    }
    let first = paths.first().map(Path::new).and_then(Path::file_name).map(|n| n.to_string_lossy().into_owned());
    let first = first.unwrap_or_else(|| "/".into());
    Ok(match (name, paths.len()) {
        (Some(name), _) => name.to_owned(),
        (None, 0 | 1) => first,
        (None, many) => format!("{first} and {} more", many - 1),
    })
}

fn source(path: &Path) -> Result<(), Fault> {
    let shown = path.display();
    let meta = fs::metadata(path).map_err(|error| unreadable(path, &error))?;
    if meta.is_file() {
        // Opened only to see whether it may be read.
        return File::open(path).map(drop).map_err(|error| unreadable(path, &error));
    }
    if !meta.is_dir() {
        let what = format!("{shown} is neither a file nor a folder");
        return Err(Fault::new("path-not-sendable", what, "send files and folders only"));
    }
    if has_file(path)? {
        return Ok(());
    }
    Err(Fault::new(
        "path-not-sendable",
        format!("the folder {shown} has no files in it"),
        "put something into it first",
    ))
}

/// Whether there is any file below a folder.
fn has_file(folder: &Path) -> Result<bool, Fault> {
    let mut folders = vec![folder.to_owned()];
    for _ in 0..MAX_FOLDERS {
        let Some(next) = folders.pop() else { return Ok(false) };
        for entry in fs::read_dir(&next).map_err(|error| unreadable(&next, &error))? {
            let entry = entry.map_err(|error| unreadable(&next, &error))?;
            let kind = entry.file_type().map_err(|error| unreadable(&entry.path(), &error))?;
            if !kind.is_dir() {
                return Ok(true);
            }
            folders.push(entry.path());
        }
    }
    Ok(true)
}

fn unreadable(path: &Path, error: &std::io::Error) -> Fault {
    let shown = path.display();
    match error.kind() {
        ErrorKind::NotFound | ErrorKind::NotADirectory => {
            Fault::new("path-not-found", format!("{shown} does not exist"), "check the spelling of the path")
        }
        _ => Fault::new(
            "path-not-readable",
            format!("{shown} cannot be read: {error}"),
            "the daemon runs as you; make sure that you may read it",
        ),
    }
}

/// Looks at a folder to receive into. `make`: it is the configured one, which is made where it is missing.
pub(super) fn destination(folder: &Path, make: bool) -> Destination {
    let free = usable(folder, make).and_then(|()| {
        xbt_torrent::free_space(folder).map_err(|error| bad(folder, &format!("cannot be looked at: {error}")))
    });
    let disk = fs::metadata(folder).ok().map(|meta| meta.dev());
    Destination { folder: folder.to_string_lossy().into_owned(), free, disk }
}

/// Looks at the folders that the rules chose; each is made where it is missing. None: nothing waits to be accepted, which
/// the rules tell the person in better words.
pub(super) fn destinations(folders: Vec<Option<PathBuf>>) -> Vec<Destination> {
    let mut seen: HashMap<PathBuf, Destination> = HashMap::new();
    let look = |folder: Option<PathBuf>| match folder {
        Some(folder) => seen.entry(folder).or_insert_with_key(|folder| destination(folder, true)).clone(),
        None => {
            let fault = Fault::new("wrong-state", "the offer has only just come", "try again");
            Destination { folder: String::new(), free: Err(fault), disk: None }
        }
    };
    folders.into_iter().map(look).collect()
}

fn usable(folder: &Path, make: bool) -> Result<(), Fault> {
    if folder.to_str().is_none() {
        return Err(bad(folder, "has a name that is not UTF-8"));
    }
    if make {
        fs::create_dir_all(folder).map_err(|error| bad(folder, &format!("cannot be made: {error}")))?;
    }
    match fs::metadata(folder) {
        Ok(meta) if !meta.is_dir() => return Err(bad(folder, "is not a folder")),
        Ok(_) => {}
        Err(error) if error.kind() == ErrorKind::NotFound => return Err(bad(folder, "does not exist")),
        Err(error) => return Err(bad(folder, &format!("cannot be looked at: {error}"))),
    }
    access(folder, Access::WRITE_OK | Access::EXEC_OK)
        .map_err(|error| bad(folder, &format!("cannot be written: {error}")))
}

fn bad(folder: &Path, what: &str) -> Fault {
    let hint = "name a folder that you may write with --to";
    Fault::new("bad-destination", format!("the folder {} {what}", folder.display()), hint)
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    fn code(path: &Path) -> String {
        sources(&[path.to_str().unwrap().to_owned()], None).unwrap_err().code
    }

    #[test]
    fn what_cannot_be_sent_is_refused_with_a_hint() {
        let dir = tempfile::tempdir().unwrap();
        assert_eq!(code(&dir.path().join("missing")), "path-not-found");
        fs::create_dir_all(dir.path().join("empty/inside")).unwrap();
        assert_eq!(code(&dir.path().join("empty")), "path-not-sendable");
        let socket = dir.path().join("socket");
        let _listener = std::os::unix::net::UnixListener::bind(&socket).unwrap();
        assert_eq!(code(&socket), "path-not-sendable");
        for name in ["", ".", "..", "../x", "a/b"] {
            assert_eq!(sources(&["/".into()], Some(name)).unwrap_err().code, "bad-name");
        }
    }

    #[test]
    fn a_send_is_called_after_its_first_path_until_it_is_hashed() {
        let dir = tempfile::tempdir().unwrap();
        let paths: Vec<String> = ["a", "b", "c"].map(|n| dir.path().join(n).to_str().unwrap().to_owned()).into();
        paths.iter().for_each(|p| fs::write(p, p).unwrap());
        assert_eq!(sources(&paths[..1], None).unwrap(), "a");
        assert_eq!(sources(&paths, None).unwrap(), "a and 2 more");
        assert_eq!(sources(&paths, Some("x")).unwrap(), "x");
    }

    #[test]
    fn a_folder_to_receive_into_exists_and_can_be_written_or_is_made_if_configured() {
        let dir = tempfile::tempdir().unwrap();
        assert!(destination(dir.path(), false).free.unwrap() > 0);
        let missing = dir.path().join("a/b");
        assert_eq!(destination(&missing, false).free.unwrap_err().code, "bad-destination");
        assert!(destination(&missing, true).free.is_ok());
        let file = dir.path().join("file");
        fs::write(&file, "").unwrap();
        assert_eq!(destination(&file, false).free.unwrap_err().code, "bad-destination");
    }
}
