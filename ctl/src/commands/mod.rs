//! One file per command.

pub mod accept;
pub mod cancel;
pub mod completions;
pub mod contacts;
pub mod decline;
mod doctor;
mod dry_run;
pub mod limit;
pub mod list;
pub mod man;
pub mod pause;
pub mod remove;
pub mod resume;
pub mod rules;
pub mod send;
pub mod send_to;
pub mod setup;
pub mod show;
pub mod status;
mod top;
mod watch;

use std::cell::RefCell;
use std::path::{Path, PathBuf};

use xbt_api::{Client, Transfer};

use crate::cli::Command;
use crate::failure::Failure;
use crate::out::Out;
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
            // Whoever has never set anything up is not helped by how a daemon is started.
            if failure.is_unreachable() && self.socket.is_none() && setup::is_missing() {
                failure.errors.iter_mut().for_each(|error| error.hint = "begin with 'xbtctl setup'".to_owned());
            }
            failure
        })
    }

    /// Where the daemon listens.
    pub fn socket_path(&self) -> Result<PathBuf, Failure> {
        self.socket.clone().or_else(xbt_api::default_socket).ok_or_else(|| {
            Failure::usage(
                "the daemon's socket is not known",
                "give it with --socket or XBT_SOCKET: none of XDG_RUNTIME_DIR, XDG_STATE_HOME and HOME is set",
            )
        })
    }

    /// Remembers which transfers an interrupt leaves to themselves.
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
        for transfer in transfers {
            if self.out.json {
                self.out.json_line(transfer)?;
            } else {
                self.out.remark(&format!("{} {what}: {}", transfer.id, title(transfer)))?;
            }
        }
        Ok(())
    }
}

/// The path as seen from the root, symlinks as given: the daemon has another working directory.
pub fn absolute(path: &Path) -> Result<String, Failure> {
    let failed = |what: &str| Failure::usage(format!("the path '{}' {what}", path.display()), "");
    let absolute = std::path::absolute(path).map_err(|_| failed("is not a path"))?;
    // Without a trailing slash or dot, which would make the last part empty.
    let absolute: PathBuf = absolute.components().collect();
    absolute.into_os_string().into_string().map_err(|_| failed("is not valid UTF-8, so it cannot be sent"))
}

/// Runs a command.
pub async fn run(context: &Context, command: Command) -> Result<(), Failure> {
    match command {
        Command::Setup(args) => setup::run(context, args).await,
        Command::Status(args) => status::run(context, args).await,
        Command::Doctor => doctor::run(context).await,
        Command::Send(args) => send::run(context, args).await,
        Command::SendTo(args) => send_to::run(context, args).await,
        Command::List(args) => list::run(context, args).await,
        Command::Show(args) => show::run(context, args).await,
        Command::Accept(args) => accept::run(context, args).await,
        Command::Decline(args) => decline::run(context, args).await,
        Command::Cancel(args) => cancel::run(context, args).await,
        Command::Pause(args) => pause::run(context, args).await,
        Command::Resume(args) => resume::run(context, args).await,
        Command::Limit(args) => limit::run(context, args).await,
        Command::Remove(args) => remove::run(context, args).await,
        Command::Contacts(args) => contacts::run(context, args).await,
        Command::Rules(args) => rules::run(context, args).await,
        Command::Top => top::run(context).await,
        Command::Watch => watch::run(context).await,
        Command::Completions(args) => completions::run(context, args),
        Command::Man(args) => man::run(context, args),
    }
}
