//! The XMPP session: the only place that knows stanzas.
//!
//! It logs one account in and keeps it logged in, and translates between `docs/protocol.md` and the words of
//! [`xbt_core::signal`]. Only `convert` knows both sides.
//!
//! | file | concern |
//! |---|---|
//! | `dns`, `tls`, `login`, `connect` | from a configuration to an authenticated stream |
//! | `guard` | keeps what would break the XML parser away from it |
//! | `wire`, `sm` | binding, stream management, reading and writing |
//! | `agent` | stanzas and commands to stanzas and events, without I/O |
//! | `payload`, `convert` | our own elements |
//! | `relay`, `in_band` | proxies and bytestreams, as links use them |
//! | `register` | making a new account |
//! | `session`, `backoff`, `failure` | what happens when, and what is told about it |
//! | `clock` | notices when the wall clock is set |
//!
//! **The log.** The library's logger prints whole stanzas at the level `trace`, those of the login (and so the
//! password) among them. Whoever sets up logging must add [`LOG_LIMITS`] behind whatever the user asks for. This room
//! logs no password and no content of messages.

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::{Notify, mpsc, oneshot};
use tokio::task::JoinHandle;
use xbt_core::fault::Fault;
use xbt_core::ids::BareJid;
use xbt_core::session::{SessionCommand, SessionEvent};

use crate::config::{Secret, Tls};
use relay::Order;

mod agent;
pub(crate) mod backoff;
mod caps;
mod clock;
mod connect;
mod convert;
mod dns;
mod failure;
#[cfg(feature = "fuzzing")]
#[doc(hidden)]
pub mod fuzzing;
mod guard;
mod in_band;
mod jid;
mod login;
mod payload;
mod probe;
mod prompt;
mod register;
mod relay;
mod session;
mod sm;
#[cfg(test)]
pub(crate) mod tests;
mod tls;
mod wire;

pub use in_band::InBandStream;
pub use jid::{InvalidJid, parse_bare};
pub use relay::RelayError;

/// Directives for a `tracing_subscriber::EnvFilter` that keep passwords and messages out of the log.
pub const LOG_LIMITS: [&str; 4] = ["tokio_xmpp=info", "xmpp_parsers=info", "rxml=info", "minidom=info"];

/// Commands that may wait for the session.
const COMMANDS: usize = 256;

/// How long [`Session::close`] may take.
const GOODBYE: Duration = Duration::from_secs(2);

/// What a session needs to know.
#[derive(Clone, Debug)]
pub struct SessionConfig {
    /// The account.
    pub jid: BareJid,
    /// Asked of the server; made at random at the first start of the device and then kept.
    pub resource: String,
    /// The account's password.
    pub password: Secret,
    /// `host`, `host:port` or an address, instead of the domain's SRV records. The certificate must still be the
    /// domain's.
    pub server: Option<String>,
    /// How the connection is encrypted.
    pub tls: Tls,
    /// PEM file with the only authorities to be trusted; none: those of the system.
    pub ca_file: Option<PathBuf>,
    /// Whether the password itself may be told to the server, inside TLS, if it knows no better way.
    pub allow_plain: bool,
    /// How long the server may be silent.
    pub silence: Silence,
}

/// A silent server is asked for a sign of life after the first span, and given up when the second has passed as well.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Silence {
    /// 45 s usually.
    pub asked_after: Duration,
    /// 20 s usually: a dead server is noticed within 65 s.
    pub given_up_after: Duration,
}

impl Default for Silence {
    fn default() -> Self {
        Self { asked_after: Duration::from_secs(30), given_up_after: Duration::from_secs(15) }
    }
}

impl SessionConfig {
    /// An account with a password, and what is usual for the rest.
    pub fn new(jid: BareJid, resource: impl Into<String>, password: Secret) -> Self {
        Self {
            jid,
            resource: resource.into(),
            password,
            server: None,
            tls: Tls::StartTls,
            ca_file: None,
            allow_plain: true,
            silence: Silence::default(),
        }
    }
}

/// One account, logged in and kept logged in by a task of its own. Ends when it is closed or dropped, or when nobody
/// receives the events any more.
#[derive(Debug)]
pub struct Session {
    stop: oneshot::Sender<()>,
    task: JoinHandle<()>,
}

impl Session {
    /// Begins to log in. What happens comes through `events`.
    ///
    /// Every [`SessionCommand::Request`] gets exactly one [`SessionEvent::Answered`]: lost after 20 s, at once while
    /// there is no connection, and when the stream is reset. A session that ends answers nothing more. The session
    /// keeps events that the receiver has not taken, so sender and receiver may be one task; after 4096 of them it
    /// takes neither stanzas nor commands.
    ///
    /// Must be called inside a tokio runtime.
    pub fn start(config: SessionConfig, events: mpsc::Sender<SessionEvent>) -> (Self, SessionHandle) {
        let (stop, stopped) = oneshot::channel();
        let (orders, inbox) = mpsc::channel(COMMANDS);
        let network = Arc::new(Notify::new());
        let task = tokio::spawn(session::run(config, events, (inbox, network.clone()), stopped));
        (Self { stop, task }, SessionHandle { orders, network })
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
    register::register(config).await.map_err(|failure| match failure {
        failure::Failure::Refused(failure::Refused { code, reason, hint, .. }) => Fault::new(code, reason, hint),
        other @ (failure::Failure::Passing(_) | failure::Failure::Stubborn(_) | failure::Failure::Elsewhere(_)) => {
            let hint = "check the domain after the @ and your network; if the server has another name, set `server`";
            Fault::new("server-unreachable", other.to_string(), hint)
        }
    })
}

/// Sends commands to a session, and asks it for relays.
#[derive(Clone, Debug)]
pub struct SessionHandle {
    orders: mpsc::Sender<Order>,
    /// Rung when the computer has other addresses.
    network: Arc<Notify>,
}

impl SessionHandle {
    /// Waits for a place in the queue. A command to a session that has ended is dropped.
    pub async fn send(&self, command: SessionCommand) {
        self.order(Order::Command(command)).await;
    }

    async fn order(&self, order: Order) {
        if self.orders.send(order).await.is_err() {
            tracing::debug!("an order for a session that has ended");
        }
    }

    /// Does not wait.
    ///
    /// # Errors
    /// Gives the command back if the queue (256 commands) is full or the session has ended.
    #[expect(clippy::result_large_err, reason = "the caller gets its command back")]
    pub fn try_send(&self, command: SessionCommand) -> Result<(), SessionCommand> {
        match self.orders.try_reserve() {
            Ok(place) => {
                place.send(Order::Command(command));
                Ok(())
            }
            Err(_) => Err(command),
        }
    }
}
