//! What every command gets: where to print, and the way to the daemon.

use std::cell::RefCell;
use std::path::PathBuf;

use xbt_api::{Client, Transfer};

use crate::failure::Failure;
use crate::out::Out;
use crate::paths;
use crate::text::title;

/// What every command gets.
#[derive(Debug)]
pub struct Context {
    /// Where to print.
    pub out: Out,
    socket: Option<PathBuf>,
    waiting: RefCell<Vec<u64>>,
}

impl Context {
    /// With the global options.
    pub fn new(out: Out, socket: Option<PathBuf>) -> Self {
        Self { out, socket: socket.filter(|path| !path.as_os_str().is_empty()), waiting: RefCell::default() }
    }

    /// Connects to the daemon.
    pub async fn connect(&self) -> Result<Client, Failure> {
        let connected = Client::connect(&self.socket_path()?).await;
        connected.map_err(|error| {
            let mut failure = Failure::from(error);
            // Before the first setup, a hint on starting the daemon would mislead.
            if failure.is_unreachable() && self.socket.is_none() && !paths::is_set_up() {
                failure.errors.iter_mut().for_each(|error| error.hint = "begin with 'xbtctl setup'".to_owned());
            }
            failure
        })
    }

    /// Where the daemon listens.
    pub fn socket_path(&self) -> Result<PathBuf, Failure> {
        self.socket.clone().or_else(xbt_api::find_socket).ok_or_else(|| {
            Failure::usage(
                "the daemon's socket path is unknown",
                "give it with --socket or XBT_SOCKET: XDG_RUNTIME_DIR, XDG_STATE_HOME and HOME are all unset",
            )
        })
    }

    /// Remembers which transfers continue after an interrupt.
    pub fn waits_for(&self, ids: Vec<u64>) {
        self.waiting.replace(ids);
    }

    /// What to say at Ctrl-C.
    pub fn interrupted(&self) -> Failure {
        let ids: Vec<String> = self.waiting.borrow().iter().map(u64::to_string).collect();
        match ids.as_slice() {
            [] => Failure::interrupted("interrupted", ""),
            [id] => Failure::interrupted(
                format!("interrupted; transfer {id} goes on"),
                format!("see 'xbtctl show {id}', or end it with 'xbtctl cancel {id}'"),
            ),
            [..] => Failure::interrupted(
                format!("interrupted; transfers {} go on", ids.join(", ")),
                "see 'xbtctl list', or end them with 'xbtctl cancel'",
            ),
        }
    }

    /// Prints transfers that a command has changed: what has become of each.
    pub fn changed(&self, transfers: &[Transfer], what: &str) -> Result<(), Failure> {
        self.each(transfers, |transfer| format!("{} {what}: {}", transfer.id, title(transfer)))
    }

    /// Prints transfers that a command has changed, each in these words.
    pub fn each(&self, transfers: &[Transfer], words: impl Fn(&Transfer) -> String) -> Result<(), Failure> {
        for transfer in transfers {
            if self.out.json {
                self.out.json_line(transfer)?;
            } else {
                self.out.remark(&words(transfer))?;
            }
        }
        Ok(())
    }
}
