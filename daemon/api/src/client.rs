//! A client for Rust programs: connects, says hello, and makes typed calls with a deadline each.

use std::error::Error;
use std::io;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use tarpc::ChannelError;
use tarpc::client::RpcError;
use tarpc::context::Context;
use tarpc::tokio_util::codec::LengthDelimitedCodec;
use tokio::net::UnixStream;
use tokio::time::{sleep, timeout_at};

use crate::codec::Json;
use crate::{
    ApiError, Contact, Events, Hello, LimitChange, Limits, ListPage, ListQuery, Login, MAX_RESPONSE_FRAME, MAX_WAIT_MS,
    PROTOCOL, Priority, Removed, Rules, SendRequest, Status, Survey, Transfer, TransferDetails, Verification,
    XbtClient, codes,
};

/// How long connecting and the hello may take together.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(5);

/// How long an ordinary call may take: the daemon answers from memory.
const CALL_TIMEOUT: Duration = Duration::from_secs(15);

/// How long a call may take for which the daemon asks the XMPP server or looks through folders.
const SLOW_CALL_TIMEOUT: Duration = Duration::from_secs(60);

/// How long a call may take for which the daemon looks at, or deletes, up to 100,000 files.
const DISK_TIMEOUT: Duration = Duration::from_secs(300);

/// Between two attempts while the daemon's backlog is full.
const BACKLOG_PAUSE: Duration = Duration::from_millis(20);

/// Why a daemon cannot be talked to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Unreachable {
    /// Nobody listens at the path.
    NotRunning,
    /// The path belongs to another user.
    NotAllowed,
    /// It listens, but does not answer in time.
    Silent,
    /// It closed the connection.
    Gone,
}

/// Why a call has no result.
#[derive(Debug, thiserror::Error)]
pub enum ClientError {
    /// There is nobody to talk to.
    #[error("the daemon cannot be reached at {}", path.display())]
    Unreachable {
        /// Where it was looked for.
        path: PathBuf,
        /// What was found there.
        why: Unreachable,
    },
    /// Client and daemon do not understand each other.
    #[error("the daemon {daemon} does not speak this program's protocol {PROTOCOL}: {detail}")]
    Protocol {
        /// Version of the daemon, or `?`.
        daemon: String,
        /// What did not fit.
        detail: String,
    },
    /// The daemon refused.
    #[error(transparent)]
    Api(#[from] ApiError),
}

impl From<ClientError> for ApiError {
    fn from(error: ClientError) -> Self {
        let message = error.to_string();
        match error {
            ClientError::Unreachable { why, .. } => {
                let (tail, hint) = match why {
                    Unreachable::NotRunning => {
                        ("", "start it with 'systemctl --user start xbtd', or run 'xbtd' in a terminal")
                    }
                    Unreachable::NotAllowed => (": permission denied", "use the socket of your own daemon"),
                    Unreachable::Silent => {
                        (": it does not answer", "look at its log with 'journalctl --user -u xbtd', or restart it")
                    }
                    Unreachable::Gone => {
                        (": it closed the connection", "see with 'systemctl --user status xbtd' whether it still runs")
                    }
                };
                ApiError::new(codes::DAEMON_UNREACHABLE, message + tail, hint)
            }
            ClientError::Protocol { .. } => ApiError::new(
                codes::PROTOCOL_MISMATCH,
                message,
                "install xbtctl and xbtd of the same version and restart the daemon",
            ),
            ClientError::Api(error) => error,
        }
    }
}

/// A connection to a daemon of the same protocol. Cheap to clone; calls of all clones share the connection.
#[derive(Clone, Debug)]
pub struct Client {
    stub: XbtClient,
    path: PathBuf,
    hello: Hello,
}

macro_rules! calls {
    ($($(#[$doc:meta])+ $name:ident($($arg:ident: $ty:ty),*) -> $out:ty, $timeout:expr;)+) => {
        impl Client {
            $(
                $(#[$doc])+
                ///
                /// # Errors
                /// [`ClientError`]: no daemon, not understood, or refused.
                pub async fn $name(&self, $($arg: $ty),*) -> Result<$out, ClientError> {
                    let answer = self.stub.$name(deadline_in($timeout), $($arg),*).await;
                    Ok(answer.map_err(|error| self.explain(error))??)
                }
            )+
        }
    };
}

calls! {
    /// How the daemon stands.
    status() -> Status, CALL_TIMEOUT;
    /// Queues a send, one transfer per recipient.
    send(request: SendRequest) -> Vec<Transfer>, DISK_TIMEOUT;
    /// Looks through paths as a send does.
    survey(paths: Vec<String>, name: Option<String>, skip_special: bool, exclude: Vec<String>) -> Survey, DISK_TIMEOUT;
    /// One page of transfers.
    list(query: ListQuery) -> ListPage, CALL_TIMEOUT;
    /// Everything about one transfer.
    show(id: u64) -> TransferDetails, CALL_TIMEOUT;
    /// Accepts offers.
    accept(ids: Vec<u64>, dir: Option<String>) -> Vec<Transfer>, SLOW_CALL_TIMEOUT;
    /// Declines offers.
    decline(ids: Vec<u64>, message: Option<String>) -> Vec<Transfer>, CALL_TIMEOUT;
    /// Ends transfers.
    cancel(ids: Vec<u64>) -> Vec<Transfer>, CALL_TIMEOUT;
    /// Pauses transfers.
    pause(ids: Vec<u64>) -> Vec<Transfer>, CALL_TIMEOUT;
    /// Goes on with paused transfers.
    resume(ids: Vec<u64>) -> Vec<Transfer>, CALL_TIMEOUT;
    /// Changes limits and priority of transfers.
    limit(ids: Vec<u64>, limits: LimitChange, priority: Option<Priority>) -> Vec<Transfer>, CALL_TIMEOUT;
    /// Changes the limits for everything together, until the configuration is read again.
    limit_all(limits: LimitChange) -> Limits, CALL_TIMEOUT;
    /// Takes ended transfers off the list.
    remove(ids: Vec<u64>, delete_data: bool) -> Vec<u64>, DISK_TIMEOUT;
    /// The same, with what was received.
    delete(ids: Vec<u64>) -> Vec<Removed>, DISK_TIMEOUT;
    /// How the account is logged in.
    login() -> Login, CALL_TIMEOUT;
    /// Allows a login as weak as the one that was refused.
    login_allow_weaker() -> Login, CALL_TIMEOUT;
    /// The roster.
    contacts() -> Vec<Contact>, CALL_TIMEOUT;
    /// Puts somebody on the roster.
    contact_add(jid: String, name: Option<String>) -> Contact, SLOW_CALL_TIMEOUT;
    /// Takes a contact off the roster.
    contact_remove(jid: String) -> (), SLOW_CALL_TIMEOUT;
    /// Accepts what this contact offers without asking.
    contact_allow(jid: String) -> Contact, CALL_TIMEOUT;
    /// Asks again.
    contact_deny(jid: String) -> Contact, CALL_TIMEOUT;
    /// From now on this name means this contact.
    contact_call(jid: String, name: String) -> Contact, CALL_TIMEOUT;
    /// Changes the limits for all transfers with this contact together.
    contact_limit(jid: String, limits: LimitChange) -> Contact, CALL_TIMEOUT;
    /// The safety number to compare.
    contact_verify(jid: String) -> Verification, CALL_TIMEOUT;
    /// The person has compared the safety number.
    contact_confirm(jid: String, safety_number: String) -> Contact, CALL_TIMEOUT;
    /// The standing rules about offers.
    rules(contact: Option<String>) -> Rules, CALL_TIMEOUT;
}

impl Client {
    /// Connects to the daemon at `path` and makes sure that it speaks our protocol, within 5 s.
    ///
    /// # Errors
    /// [`ClientError::Unreachable`] or [`ClientError::Protocol`].
    pub async fn connect(path: &Path) -> Result<Self, ClientError> {
        let unreachable = |why| ClientError::Unreachable { path: path.to_owned(), why };
        let deadline = tokio::time::Instant::now() + CONNECT_TIMEOUT;
        let stream = match timeout_at(deadline, connect_patiently(path)).await {
            Err(_elapsed) => return Err(unreachable(Unreachable::Silent)),
            Ok(Err(error)) if error.kind() == io::ErrorKind::PermissionDenied => {
                return Err(unreachable(Unreachable::NotAllowed));
            }
            Ok(Err(_)) => return Err(unreachable(Unreachable::NotRunning)),
            Ok(Ok(stream)) => stream,
        };
        let framed = LengthDelimitedCodec::builder().max_frame_length(MAX_RESPONSE_FRAME).new_framed(stream);
        let transport = tarpc::serde_transport::new(framed, Json);
        let stub = XbtClient::new(tarpc::client::Config::default(), transport).spawn();
        let nobody = Hello { protocol: PROTOCOL, version: "?".into(), methods: Vec::new() };
        let mut client = Self { stub, path: path.to_owned(), hello: nobody };
        let hello = client.stub.hello(deadline_in(CONNECT_TIMEOUT)).await;
        client.hello = hello.map_err(|error| client.explain(error))??;
        if client.hello.protocol != PROTOCOL {
            let detail = format!("it speaks {}", client.hello.protocol);
            return Err(ClientError::Protocol { daemon: client.hello.version, detail });
        }
        Ok(client)
    }

    /// What the daemon said at the beginning.
    pub fn hello(&self) -> &Hello {
        &self.hello
    }

    /// What has happened after `after_seq`; waits up to `max_wait` (at most [`MAX_WAIT_MS`]) for something.
    ///
    /// # Errors
    /// [`ClientError`]: no daemon, not understood, or refused.
    pub async fn events(&self, after_seq: Option<u64>, max_wait: Duration) -> Result<Events, ClientError> {
        let wait = max_wait.min(Duration::from_millis(MAX_WAIT_MS));
        let wait_ms = u64::try_from(wait.as_millis()).unwrap_or(MAX_WAIT_MS);
        let answer = self.stub.events(deadline_in(wait + CALL_TIMEOUT), after_seq, wait_ms).await;
        Ok(answer.map_err(|error| self.explain(error))??)
    }

    fn explain(&self, error: RpcError) -> ClientError {
        let unreachable = |why| ClientError::Unreachable { path: self.path.clone(), why };
        let mismatch = |detail| ClientError::Protocol { daemon: self.hello.version.clone(), detail };
        match error {
            RpcError::DeadlineExceeded => unreachable(Unreachable::Silent),
            RpcError::Shutdown => unreachable(Unreachable::Gone),
            RpcError::Send(cause) => mismatch(cause.to_string()),
            RpcError::Channel(ChannelError::Read(cause)) => match unreadable(&*cause) {
                Some(detail) => mismatch(detail),
                None => unreachable(Unreachable::Gone),
            },
            RpcError::Channel(_) => unreachable(Unreachable::Gone),
            RpcError::Server(refusal) => match refusal.kind {
                io::ErrorKind::WouldBlock => ClientError::Api(ApiError::new(
                    codes::BUSY,
                    "the daemon has too many calls of this program under way",
                    "wait for one of them",
                )),
                io::ErrorKind::InvalidInput => mismatch(refusal.detail),
                _ => ClientError::Api(ApiError::new(codes::INTERNAL, refusal.detail, "look at the daemon's log")),
            },
        }
    }
}

/// Connects; while the daemon has no room in its backlog, tries again (the caller sets the limit).
async fn connect_patiently(path: &Path) -> io::Result<UnixStream> {
    loop {
        match UnixStream::connect(path).await {
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => sleep(BACKLOG_PAUSE).await,
            result => return result,
        }
    }
}

/// If the connection broke because something that arrived could not be understood: what was wrong with it.
fn unreadable(error: &(dyn Error + 'static)) -> Option<String> {
    let mut next = Some(error);
    while let Some(error) = next {
        if let Some(io) = error.downcast_ref::<io::Error>() {
            // Wrapped in one another by the layers of the transport; `source` would skip a layer.
            if io.kind() == io::ErrorKind::InvalidData {
                return Some(io.to_string());
            }
            next = match io.get_ref() {
                Some(inner) => Some(inner),
                None => io.source(),
            };
        } else {
            next = error.source();
        }
    }
    None
}

fn deadline_in(timeout: Duration) -> Context {
    let mut context = tarpc::context::current();
    context.deadline = Instant::now() + timeout;
    context
}
