//! What a send would be about, looked up without sending: `send --dry-run`.
//!
//! The daemon's own rules (`daemon/torrent/src/prepare`) decide when it comes to it; these tell the same for what people
//! meet: links inside folders, special files, what cannot be read, empty folders.

use std::fs::{self, File, Metadata};
use std::io;
use std::path::{Path, PathBuf};

use xbt_api::{ApiError, codes};

/// More cannot be sent as one content either.
const MOST_FILES: u64 = 1_000_000;

/// Folders inside folders.
const DEEPEST: usize = 64;

/// What is in the paths.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Survey {
    /// What the content is called.
    pub name: String,
    /// How many files.
    pub files: u64,
    /// Bytes of all together.
    pub size: u64,
}

/// Looks through paths as the daemon would.
///
/// # Errors
/// The first thing that could not be sent.
pub fn survey(paths: &[String], name: Option<&str>) -> Result<Survey, ApiError> {
    let mut survey = Survey::default();
    for (index, path) in paths.iter().map(Path::new).enumerate() {
        // What the person names may be a link; what lies inside may not.
        let real = fs::canonicalize(path).map_err(|error| unreadable(path, &error))?;
        let metadata = fs::metadata(&real).map_err(|error| unreadable(path, &error))?;
        if index == 0 {
            let own = path.file_name().or_else(|| real.file_name()).unwrap_or_default();
            survey.name = own.to_string_lossy().into_owned();
        }
        survey.add(real, &metadata)?;
    }
    if survey.files == 0 {
        let message = format!("there is no file in {}", paths.join(", "));
        return Err(ApiError::new(codes::SOURCE_EMPTY, message, "empty folders cannot be sent"));
    }
    match (name, paths.len()) {
        (Some(name), _) => survey.name = name.to_owned(),
        (None, 1) => {}
        (None, count) => survey.name += &format!(" and {} more", count - 1),
    }
    Ok(survey)
}

impl Survey {
    fn add(&mut self, root: PathBuf, metadata: &Metadata) -> Result<(), ApiError> {
        if !metadata.is_dir() {
            return self.add_file(&root, metadata);
        }
        let mut folders = vec![(root, 0)];
        while let Some((folder, depth)) = folders.pop() {
            if depth > DEEPEST {
                return Err(ApiError::new(codes::BAD_NAME, format!("{} lies too deep", folder.display()), ""));
            }
            let entries = fs::read_dir(&folder).map_err(|error| unreadable(&folder, &error))?;
            for entry in entries {
                let entry = entry.map_err(|error| unreadable(&folder, &error))?;
                let (path, metadata) = (entry.path(), entry.metadata());
                let metadata = metadata.map_err(|error| unreadable(&path, &error))?;
                if path.to_str().is_none() {
                    let message = format!("{} has a name that is not UTF-8", path.display());
                    return Err(ApiError::new(codes::BAD_NAME, message, "rename it"));
                }
                match metadata.is_dir() {
                    true => folders.push((path, depth + 1)),
                    false => self.add_file(&path, &metadata)?,
                }
            }
        }
        Ok(())
    }

    fn add_file(&mut self, path: &Path, metadata: &Metadata) -> Result<(), ApiError> {
        if !metadata.is_file() {
            let what =
                if metadata.is_symlink() { "a symbolic link inside a folder" } else { "neither file nor folder" };
            let message = format!("{} is {what}", path.display());
            return Err(ApiError::new(codes::SPECIAL_FILE, message, "leave it out, or pack it into an archive"));
        }
        File::open(path).map_err(|error| unreadable(path, &error))?;
        self.files += 1;
        self.size = self.size.saturating_add(metadata.len());
        if self.files > MOST_FILES {
            let message = format!("there are more than {MOST_FILES} files");
            return Err(ApiError::new(codes::TOO_MANY_FILES, message, "pack them into an archive and send that"));
        }
        Ok(())
    }
}

fn unreadable(path: &Path, error: &io::Error) -> ApiError {
    let path = path.display();
    match error.kind() {
        io::ErrorKind::NotFound => {
            ApiError::new(codes::PATH_NOT_FOUND, format!("there is nothing at {path}"), "check the path")
        }
        _ => {
            ApiError::new(codes::PATH_NOT_READABLE, format!("{path} cannot be read: {error}"), "check its permissions")
        }
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn files_are_counted_and_what_cannot_be_sent_is_named() {
        let dir = tempfile::tempdir().unwrap();
        let at = |name: &str| dir.path().join(name).to_str().unwrap().to_owned();
        fs::create_dir_all(at("trip/day/empty")).unwrap();
        fs::write(at("trip/a.jpg"), "12345").unwrap();
        fs::write(at("trip/day/b.jpg"), "123").unwrap();
        std::os::unix::fs::symlink(at("trip"), at("link")).unwrap();
        let found = |name: &str| Ok(Survey { name: name.into(), files: 2, size: 8 });
        assert_eq!(survey(&[at("trip")], None), found("trip"));
        // A link that the person names is followed, under the name that the person used.
        assert_eq!(survey(&[at("link")], None), found("link"));
        let both = survey(&[at("trip/a.jpg"), at("trip/day")], None).unwrap();
        assert_eq!((both.name.as_str(), both.files), ("a.jpg and 1 more", 2));
        assert_eq!(survey(&[at("trip")], Some("x")), found("x"));
        let code = |name: &str| survey(&[at(name)], None).unwrap_err().code;
        assert_eq!((code("nothing").as_str(), code("trip/day/empty").as_str()), ("path-not-found", "source-empty"));
        std::os::unix::fs::symlink("/etc", at("trip/day/inside")).unwrap();
        assert_eq!(code("trip"), "special-file");
    }
}
