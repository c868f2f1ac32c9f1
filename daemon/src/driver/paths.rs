//! Looking at what the person named before the domain hears of it: sources of a send, and folders to receive into.

use std::collections::HashMap;
use std::fs::{self, File};
use std::io::ErrorKind;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

use rustix::fs::{Access, access};
use xbt_api::Survey;
use xbt_core::fault::Fault;
use xbt_core::input::Destination;
use xbt_torrent::{Sources, codes};

use super::convert;

/// Looks through what is to be sent, and says what it is and what to call it. The engine has the last word, and hashes it
/// later; blocks as long as the disk takes.
///
/// # Errors
/// Why it cannot be sent: all that no content can hold, or the first path that is wrong otherwise.
pub(super) fn sources(
    paths: &[String],
    name: Option<&str>,
    skip_special: bool,
    exclude: Vec<String>,
) -> Result<Survey, Fault> {
    if let Some(name) = name.filter(|name| name.is_empty() || [".", ".."].contains(name) || name.contains(['/', '\0']))
    {
        let message = format!("{name:?} is not a name for a file or folder");
        return Err(Fault::new("bad-name", message, "give --name a name without slashes"));
    }
    for path in paths {
        source(Path::new(path))?;
    }
    let paths = paths.iter().map(PathBuf::from).collect();
    let sources = Sources { paths, name: name.map(str::to_owned), skip_special, exclude, ..Sources::default() };
    let found = xbt_torrent::survey(&sources).map_err(|error| match error.code {
        codes::SOURCE_EMPTY => Fault::new("path-not-sendable", error.message, error.hint),
        _ => convert::fault(error),
    })?;
    let xbt_torrent::Survey { name, size, files, omitted, excluded, unfinished } = found;
    Ok(Survey { name, files, size, omitted, excluded, unfinished })
}

fn source(path: &Path) -> Result<(), Fault> {
    let meta = fs::metadata(path).map_err(|error| unreadable(path, &error))?;
    if meta.is_file() {
        // Opened only to see whether it may be read.
        return File::open(path).map(drop).map_err(|error| unreadable(path, &error));
    }
    if !meta.is_dir() {
        let what = format!("{} is neither a file nor a folder", path.display());
        return Err(Fault::new("path-not-sendable", what, "send files and folders only"));
    }
    fs::read_dir(path).map(drop).map_err(|error| unreadable(path, &error))
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

/// Looks at a folder to receive into, and makes it where it is missing. `chosen`: the person named it. Of such a path only the last
/// folder is made: the rest may be a disk that is not mounted, or a slip.
pub(super) fn destination(folder: &Path, chosen: bool) -> Destination {
    let free = usable(folder, chosen).and_then(|()| {
        xbt_torrent::free_space(folder).map_err(|error| bad(folder, &format!("cannot be looked at: {error}")))
    });
    let disk = fs::metadata(folder).ok().map(|meta| meta.dev());
    let largest = xbt_torrent::largest_file(folder);
    Destination { folder: folder.to_string_lossy().into_owned(), free, disk, largest, chosen }
}

/// Looks at the folders that the rules chose; each is made where it is missing. None: nothing waits to be accepted, which
/// the rules tell the person in better words.
pub(super) fn destinations(folders: Vec<Option<PathBuf>>) -> Vec<Destination> {
    let mut seen: HashMap<PathBuf, Destination> = HashMap::new();
    let look = |folder: Option<PathBuf>| match folder {
        Some(folder) => seen.entry(folder).or_insert_with_key(|folder| destination(folder, false)).clone(),
        None => {
            let fault = Fault::new("wrong-state", "the offer has only just come", "try again");
            Destination { folder: String::new(), free: Err(fault), disk: None, largest: None, chosen: false }
        }
    };
    folders.into_iter().map(look).collect()
}

fn usable(folder: &Path, chosen: bool) -> Result<(), Fault> {
    if folder.to_str().is_none() {
        return Err(bad(folder, "has a name that is not UTF-8"));
    }
    let made = if chosen { fs::create_dir(folder) } else { fs::create_dir_all(folder) };
    match made {
        Ok(()) => {}
        Err(error) if error.kind() == ErrorKind::AlreadyExists => {}
        Err(error) if error.kind() == ErrorKind::NotFound => {
            return Err(bad(folder, "does not exist, and neither does the folder that it would lie in"));
        }
        Err(error) => return Err(bad(folder, &format!("cannot be made: {error}"))),
    }
    match fs::metadata(folder) {
        Ok(meta) if !meta.is_dir() => return Err(bad(folder, "is not a folder")),
        Ok(_) => {}
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
        sources(&[path.to_str().unwrap().to_owned()], None, false, Vec::new()).unwrap_err().code
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
            assert_eq!(sources(&["/".into()], Some(name), false, Vec::new()).unwrap_err().code, "bad-name");
        }
    }

    #[test]
    fn a_send_is_called_after_its_first_path_until_it_is_hashed() {
        let dir = tempfile::tempdir().unwrap();
        let paths: Vec<String> = ["a", "b", "c"].map(|n| dir.path().join(n).to_str().unwrap().to_owned()).into();
        paths.iter().for_each(|p| fs::write(p, p).unwrap());
        let found = |paths: &[String], name| sources(paths, name, false, Vec::new()).unwrap();
        assert_eq!(found(&paths[..1], None).name, "a");
        assert_eq!(found(&paths, Some("x")).name, "x");
        let all = found(&paths, None);
        assert_eq!((all.name.as_str(), all.files), ("a and 2 more", 3));
    }

    #[test]
    fn a_folder_to_receive_into_exists_and_can_be_written_or_is_made_if_configured() {
        let dir = tempfile::tempdir().unwrap();
        assert!(destination(dir.path(), true).free.unwrap() > 0);
        let missing = dir.path().join("a/b");
        assert_eq!(destination(&missing, true).free.unwrap_err().code, "bad-destination");
        assert!(destination(&dir.path().join("new"), true).free.is_ok() && dir.path().join("new").is_dir());
        assert!(destination(&missing, false).free.is_ok());
        let file = dir.path().join("file");
        fs::write(&file, "").unwrap();
        assert_eq!(destination(&file, true).free.unwrap_err().code, "bad-destination");
    }
}
