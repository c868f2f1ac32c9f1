//! A wall clock of one process, which can be set.

use std::ffi::OsString;
use std::fs;
use std::path::{Path, PathBuf};

/// Where Debian's `faketime` has its library, for programs with threads.
fn library() -> Option<PathBuf> {
    let places = fs::read_dir("/usr/lib").ok()?.filter_map(Result::ok).map(|entry| entry.path());
    let places = places.chain(["/usr/lib", "/usr/local/lib"].map(PathBuf::from));
    places.map(|place| place.join("faketime/libfaketimeMT.so.1")).find(|file| file.is_file())
}

/// See the module.
#[derive(Debug)]
pub struct Clock {
    library: PathBuf,
    file: PathBuf,
}

impl Clock {
    /// A clock that is right; its file lies in `beside`. Panics, saying so, without the package `faketime`.
    pub fn new(beside: &Path) -> Self {
        let library = library().expect("this test needs the Debian package faketime, which `make setup` installs");
        let clock = Self { library, file: beside.join("clock") };
        clock.set("+0");
        clock
    }

    /// Sets it, while the process runs, to an offset from the right time: `-1d`, `+1y`, `+0`.
    pub fn set(&self, offset: &str) {
        // Written whole or not at all: the process reads it at any moment.
        let new = self.file.with_extension("new");
        fs::write(&new, format!("{offset}\n")).expect("the home can be written");
        fs::rename(&new, &self.file).expect("the home can be written");
    }

    /// What the process must find in its environment. Only the wall clock is false: monotonic time and the times of files are as they are.
    pub fn env(&self) -> Vec<(&'static str, OsString)> {
        vec![
            ("LD_PRELOAD", self.library.clone().into()),
            ("FAKETIME_TIMESTAMP_FILE", self.file.clone().into()),
            ("FAKETIME_NO_CACHE", "1".into()),
            ("FAKETIME_DONT_FAKE_MONOTONIC", "1".into()),
            ("DONT_FAKE_MONOTONIC", "1".into()),
            ("NO_FAKE_STAT", "1".into()),
        ]
    }
}
