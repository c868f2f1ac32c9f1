//! Which address STUN servers see of the very socket that holes are punched from (RFC 8489).

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use futures::StreamExt;
use futures::stream::FuturesUnordered;
use stun_types::message::TransactionId;
use tokio::sync::watch;
use tokio::task::AbortHandle;
use tokio::time::{sleep, timeout};

use super::bind::Socket;
use super::stun::{self, Answer};

/// Servers that are asked; further ones are not.
const MOST_SERVERS: usize = 4;

/// The first question is repeated after this time, each further one after twice as long (section 6.2.1).
const FIRST_REPEAT: Duration = Duration::from_millis(250);

/// All questions together.
const PATIENCE: Duration = Duration::from_secs(5);

/// What a second server gets once the first has answered.
const SECOND_OPINION: Duration = Duration::from_millis(750);

/// How often an answer is asked anew. Routers forget UDP after 30 s at the earliest.
const KEPT_FRESH: Duration = Duration::from_secs(20);

/// What STUN servers see of a socket.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Reflexive {
    /// Where datagrams of ours come from.
    pub address: SocketAddr,
    /// Whether two servers see the same. If not, the router gives every destination another port (a "symmetric" NAT),
    /// and a hole can only be punched to a peer that takes any port. None: only one has answered.
    pub stable: Option<bool>,
}

/// Why the address from outside is not known.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub(super) enum StunFailure {
    /// None was given, or none of a family that we have a socket for.
    #[error("there is no STUN server that could be asked")]
    NoServer,
    /// Within 5 s.
    #[error("no STUN server answered within {} s", PATIENCE.as_secs())]
    Silent,
    /// What came is no address of ours.
    #[error("the STUN server {server} sent an invalid answer")]
    Nonsense {
        /// Who.
        server: SocketAddr,
    },
    /// An error response.
    #[error("the STUN server {server} refused to answer (error {code})")]
    Refused {
        /// Who.
        server: SocketAddr,
        /// RFC 8489, section 14.8.
        code: u16,
    },
    /// No random numbers for a transaction.
    #[error("the system gives no random numbers")]
    NoRandomness,
}

impl StunFailure {
    /// A stable code for programs.
    pub fn code(&self) -> &'static str {
        match self {
            Self::NoServer => "stun-no-server",
            Self::Silent => "stun-no-answer",
            Self::Nonsense { .. } => "stun-bad-answer",
            Self::Refused { .. } => "stun-refused",
            Self::NoRandomness => "no-randomness",
        }
    }
}

/// Asks up to four servers at once, those of the first one's family. Bounded by 5 s; a second opinion is waited
/// for 750 ms.
pub(super) async fn reflexive(sockets: &[Socket], servers: &[SocketAddr]) -> Result<Reflexive, StunFailure> {
    let socket = servers.iter().find_map(|server| socket_for(sockets, *server)).ok_or(StunFailure::NoServer)?;
    let asked: Vec<SocketAddr> =
        servers.iter().filter(|server| is_served(socket, **server)).copied().take(MOST_SERVERS).collect();
    let questions: FuturesUnordered<_> = asked.into_iter().map(|server| ask(socket, server)).collect();
    match timeout(PATIENCE, two_of(questions)).await {
        Ok(result) => result,
        Err(_) => Err(StunFailure::Silent),
    }
}

async fn two_of<F>(mut questions: FuturesUnordered<F>) -> Result<Reflexive, StunFailure>
where
    F: Future<Output = Result<SocketAddr, StunFailure>>,
{
    let mut failure = StunFailure::NoServer;
    while let Some(result) = questions.next().await {
        match result {
            Ok(address) => {
                let stable = timeout(SECOND_OPINION, second(&mut questions)).await.ok().flatten();
                return Ok(Reflexive { address, stable: stable.map(|second| second == address) });
            }
            Err(error) => failure = error,
        }
    }
    Err(failure)
}

async fn second<F>(questions: &mut FuturesUnordered<F>) -> Option<SocketAddr>
where
    F: Future<Output = Result<SocketAddr, StunFailure>>,
{
    while let Some(result) = questions.next().await {
        if let Ok(address) = result {
            return Some(address);
        }
    }
    None
}

/// Repeats the question until it is answered; the caller bounds the time.
async fn ask(socket: &Socket, server: SocketAddr) -> Result<SocketAddr, StunFailure> {
    let id = transaction().ok_or(StunFailure::NoRandomness)?;
    let mut question = socket.shared.ask(server, id);
    let mut pause = FIRST_REPEAT;
    loop {
        socket.shared.send(server, &stun::request(id));
        match timeout(pause, question.answer()).await {
            Err(_) => pause *= 2,
            Ok(None) => return Err(StunFailure::Silent),
            Ok(Some(Answer::Seen(address))) if address.is_ipv6() == server.is_ipv6() => return Ok(address),
            Ok(Some(Answer::Seen(_) | Answer::Nonsense)) => return Err(StunFailure::Nonsense { server }),
            Ok(Some(Answer::Refused(code))) => return Err(StunFailure::Refused { server, code }),
        }
    }
}

/// An unguessable name for a question; none if the system has no random numbers.
pub(super) fn transaction() -> Option<TransactionId> {
    let mut bytes = [0; 16];
    getrandom::fill(&mut bytes).ok()?;
    Some(u128::from_ne_bytes(bytes).into())
}

/// The socket of an address' family.
pub(super) fn socket_for(sockets: &[Socket], address: SocketAddr) -> Option<&Socket> {
    sockets.iter().find(|socket| is_served(socket, address))
}

fn is_served(socket: &Socket, address: SocketAddr) -> bool {
    socket.local.is_ipv6() == address.is_ipv6()
}

/// The address to go by. A router that gives every server another port shows another one depending on who
/// answers first. None of them is of use, and a change would be announced to all contacts every 20 s.
pub(super) fn settled(
    last: Option<&Result<Reflexive, StunFailure>>,
    seen: Result<Reflexive, StunFailure>,
) -> Result<Reflexive, StunFailure> {
    match (last, &seen) {
        (Some(Ok(last)), Ok(now))
            if last.stable == Some(false) && now.stable != Some(true) && last.address.ip() == now.address.ip() =>
        {
            Ok(*last)
        }
        (Some(_) | None, _) => seen,
    }
}

/// An address from outside that is asked for every 20 s, which also keeps the router from forgetting it. Ends when dropped.
pub(super) struct Kept {
    latest: watch::Receiver<Option<Result<Reflexive, StunFailure>>>,
    task: AbortHandle,
}

impl Kept {
    /// Asks these servers every 20 s.
    pub fn start(sockets: Arc<[Socket]>, servers: Vec<SocketAddr>) -> Self {
        let (report, latest) = watch::channel(None);
        let task = tokio::spawn(async move {
            loop {
                let seen = reflexive(&sockets, &servers).await;
                report.send_if_modified(|last| {
                    let seen = settled(last.as_ref(), seen);
                    last.replace(seen.clone()) != Some(seen)
                });
                sleep(KEPT_FRESH).await;
            }
        });
        Self { latest, task: task.abort_handle() }
    }

    /// The latest answer; none before the first one. Marked as changed only when it is a different one.
    pub fn latest(&self) -> watch::Receiver<Option<Result<Reflexive, StunFailure>>> {
        self.latest.clone()
    }
}

impl Drop for Kept {
    fn drop(&mut self) {
        self.task.abort();
    }
}
