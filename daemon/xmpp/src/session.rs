//! The session as the program holds it.

use std::sync::Arc;

use tokio::sync::{Notify, mpsc, oneshot};
use tokio::task::JoinHandle;
use xbt_core::fault::Fault;
use xbt_core::session::SessionEvent;
use xbt_core::signal::Signer;

use crate::failure::{Failure, Refused};
use crate::task::{self, GOODBYE};
use crate::{SessionConfig, SessionHandle, login};

/// Commands that may wait for the session.
const COMMANDS: usize = 256;

/// One account, logged in and kept logged in by a task of its own. Ends when it is closed or dropped, or when the
/// receiver of the events is gone.
#[derive(Debug)]
pub struct Session {
    stop: oneshot::Sender<()>,
    task: JoinHandle<()>,
}

impl Session {
    /// Begins to log in. What happens comes through `events`.
    ///
    /// Every [`Request`](xbt_core::session::SessionCommand::Request) gets exactly one [`SessionEvent::Answered`]: lost
    /// after 20 s, at once while there is no connection, and when the stream is reset. A session that ends answers nothing more. The session
    /// keeps events that the receiver has not taken, so sender and receiver may be one task; after 4096 of them it
    /// takes neither stanzas nor commands.
    ///
    /// What is asked and answered is signed by `signer`.
    ///
    /// Must be called inside a tokio runtime.
    pub fn start(
        config: SessionConfig,
        signer: Arc<dyn Signer>,
        events: mpsc::Sender<SessionEvent>,
    ) -> (Self, SessionHandle) {
        let (stop, stopped) = oneshot::channel();
        let (calls, inbox) = mpsc::channel(COMMANDS);
        let network = Arc::new(Notify::new());
        let task = tokio::spawn(task::run(config, signer, events, (inbox, network.clone()), stopped));
        (Self { stop, task }, SessionHandle::new(calls, network))
    }

    /// Tells the contacts and the server that we go, within two seconds.
    pub async fn close(self) {
        let Self { stop, mut task } = self;
        drop(stop);
        if tokio::time::timeout(GOODBYE, &mut task).await.is_err() {
            task.abort();
        }
    }
}

/// Makes the account of `config`, with its password, where the server lets anybody do that (XEP-0077). Within a minute
/// or so; nothing is tried twice.
///
/// # Errors
/// Why there is no account now, with a code: `account-exists`, `registration-closed`, `registration-form`,
/// `registration-refused`, or as for a login.
pub async fn register(config: &SessionConfig) -> Result<(), Fault> {
    login::register(config).await.map_err(|failure| match failure {
        Failure::Refused(Refused { code, reason, hint, .. }) => Fault::new(code, reason, hint),
        other @ (Failure::Passing(_) | Failure::Stubborn(_) | Failure::Elsewhere(_)) => {
            let hint = "check the domain after the @ and your network; if the server has another name, set `server`";
            Fault::new("server-unreachable", other.to_string(), hint)
        }
    })
}
