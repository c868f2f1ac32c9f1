//! What the person leaves out: patterns given with a send, and those in `.xbtignore`.
//!
//! The patterns are those of `.gitignore`, relative to the folder that is sent. `.xbtignore` is read at its top only, and
//! left out as well: it names what others shall not see.

use std::ffi::OsStr;
use std::fs::File;
use std::io::Read;
use std::os::fd::OwnedFd;
use std::path::Path;

use ignore::gitignore::{Gitignore, GitignoreBuilder};
use rustix::fs::{Mode, OFlags};
use rustix::io::Errno;

use crate::error::{EngineError, codes};

/// The file with patterns at the top of a folder.
pub(super) const FILE: &str = ".xbtignore";
/// The most bytes in it.
const MAX_BYTES: u64 = 64 << 10;
/// The most patterns in all.
const MAX_PATTERNS: usize = 4_096;

pub(super) struct Exclude(Gitignore);

impl Exclude {
    pub(super) fn none() -> Self {
        Self(Gitignore::empty())
    }

    /// For what is in `folder`. The given patterns come last, so that they win.
    pub(super) fn new(folder: &OwnedFd, path: &Path, given: &[String]) -> Result<Self, EngineError> {
        let written = read(folder, &path.join(FILE))?;
        if written.is_none() && given.is_empty() {
            return Ok(Self::none());
        }
        let mut builder = GitignoreBuilder::new("");
        let lines = written.as_deref().unwrap_or_default().lines().chain(given.iter().map(String::as_str));
        for (number, line) in lines.enumerate() {
            if number == MAX_PATTERNS {
                return Err(bad(format!("there are more than {MAX_PATTERNS} patterns of what is left out")));
            }
            builder.add_line(None, line).map_err(|error| bad(format!("{line:?} is no pattern: {error}")))?;
        }
        builder
            .build()
            .map(Self)
            .map_err(|error| bad(format!("the patterns of what is left out are too large: {error}")))
    }

    /// Whether the entry `name` of the folder `below` is left out.
    pub(super) fn matches(&self, below: &str, name: &OsStr, folder: bool) -> bool {
        !self.0.is_empty() && self.0.matched(Path::new(below).join(name), folder).is_ignore()
    }
}

fn read(folder: &OwnedFd, path: &Path) -> Result<Option<String>, EngineError> {
    let fail = |error: std::io::Error| EngineError::source(path, &error);
    let flags = OFlags::RDONLY | OFlags::NOFOLLOW | OFlags::NONBLOCK | OFlags::CLOEXEC | OFlags::NOCTTY;
    let file = match rustix::fs::openat(folder, FILE, flags, Mode::empty()) {
        Ok(file) => File::from(file),
        Err(Errno::NOENT) => return Ok(None),
        Err(error) => return Err(fail(error.into())),
    };
    let mut text = String::new();
    if !file.metadata().map_err(fail)?.is_file() {
        return Err(bad(format!("{} is not a file", path.display())));
    }
    match file.take(MAX_BYTES + 1).read_to_string(&mut text) {
        Ok(read) if read as u64 <= MAX_BYTES => Ok(Some(text)),
        Ok(_) => Err(bad(format!("{} has more than {MAX_BYTES} bytes", path.display()))),
        Err(error) if error.kind() == std::io::ErrorKind::InvalidData => {
            Err(bad(format!("{} is not UTF-8", path.display())))
        }
        Err(error) => Err(fail(error)),
    }
}

fn bad(message: String) -> EngineError {
    EngineError::new(codes::BAD_PATTERN, message, "patterns are written as in .gitignore")
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::panic)]
    use super::*;

    #[test]
    fn patterns_are_those_of_gitignore_and_the_given_ones_win() {
        let home = tempfile::tempdir().unwrap();
        let open = || OwnedFd::from(File::open(home.path()).unwrap());
        let given = ["!keep.o".to_owned(), "/top".to_owned()];
        std::fs::write(home.path().join(FILE), "# objects\n*.o\nbuild/\n").unwrap();
        let exclude = Exclude::new(&open(), home.path(), &given).unwrap();
        let out = |below: &str, name: &str, folder| exclude.matches(below, OsStr::new(name), folder);
        assert!(out("", "a.o", false) && out("deep/er", "a.o", false));
        assert!(out("", "build", true) && !out("", "build", false) && out("deep", "build", true));
        assert!(out("", "top", false) && !out("deep", "top", false));
        assert!(!out("", "keep.o", false) && !out("", "a.c", false));
        let bad = ["a{b".to_owned()];
        assert_eq!(Exclude::new(&open(), home.path(), &bad).err().unwrap().code, codes::BAD_PATTERN);
        std::fs::write(home.path().join(FILE), vec![b'a'; 70_000]).unwrap();
        assert_eq!(Exclude::new(&open(), home.path(), &[]).err().unwrap().code, codes::BAD_PATTERN);
    }
}
