//! A service manager as the daemon sees it: who listens for its notices (sd_notify(3)).

use std::ffi::OsString;
use std::io::ErrorKind;
use std::os::unix::net::UnixDatagram;
use std::path::{Path, PathBuf};
use std::time::Duration;

use crate::wait;

/// Listens for notices.
#[derive(Debug)]
pub struct Manager {
    socket: UnixDatagram,
    path: PathBuf,
}

impl Manager {
    /// With its socket in `folder`.
    pub fn listen(folder: &Path) -> Self {
        let path = folder.join("notify");
        let socket = UnixDatagram::bind(&path).expect("a socket can be made");
        socket.set_nonblocking(true).expect("a socket can be told");
        Self { socket, path }
    }

    /// What the daemon has to find in its environment to tell us.
    pub fn env(&self) -> (&'static str, OsString) {
        ("NOTIFY_SOCKET", self.path.clone().into())
    }

    /// The notices since the last time, as far as they have come.
    pub fn heard(&self) -> Vec<String> {
        let mut heard = Vec::new();
        let mut buffer = [0; 4096];
        loop {
            match self.socket.recv(&mut buffer) {
                Ok(length) => {
                    let text = String::from_utf8_lossy(&buffer[..length]).into_owned();
                    heard.extend(text.lines().map(str::to_owned));
                }
                Err(error) if error.kind() == ErrorKind::WouldBlock => return heard,
                Err(error) => panic!("a socket of our own cannot be read: {error}"),
            }
        }
    }

    /// Waits for a notice; what came until then is passed over.
    #[track_caller]
    pub fn hears(&self, what: &str, limit: Duration, wanted: impl Fn(&str) -> bool) -> String {
        let mut all = Vec::new();
        let found = wait::within(limit, || {
            let heard = self.heard();
            let found = heard.iter().find(|notice| wanted(notice)).cloned();
            all.extend(heard);
            found
        });
        found.unwrap_or_else(|| panic!("the manager does not hear {what}; it heard {all:?}"))
    }
}
