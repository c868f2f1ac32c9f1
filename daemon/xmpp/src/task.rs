//! The task of a session: log in, serve, lose the connection, wait, again.

use std::collections::VecDeque;
use std::sync::Arc;
use std::time::{Duration, Instant};

use tokio::sync::{Notify, mpsc, oneshot};
use tokio_xmpp::jid::BareJid;
use tokio_xmpp::parsers::presence::Presence;
use xbt_core::login::Login;
use xbt_core::session::{Connection, SessionCommand, SessionEvent};
use xbt_core::signal::{Outcome, Signer};

use super::agent::Agent;
use super::backoff::{self, Backoff, Refusals};
use super::call::SessionCall;
use super::clock::Clock;
use super::failure::{Failure, Lost, Refused};
use super::stream::{Begin, BoundStream, Incoming, Management, StanzaLimit};
use super::{SessionConfig, jid as address, login};

/// How long a goodbye may take.
pub(super) const GOODBYE: Duration = Duration::from_secs(2);

/// Events that may wait for their receiver before nothing more is taken in.
const MOST_EVENTS: usize = 4096;

/// Between two attempts that did not wait because the network had changed: it changes in several steps.
const CALM: Duration = Duration::from_secs(1);

/// The program does not want the session any more.
#[derive(Debug)]
struct Stopped;

/// Where the session meets the program.
struct Ends {
    events: mpsc::Sender<SessionEvent>,
    calls: mpsc::Receiver<SessionCall>,
    /// Whether there may be more calls.
    open: bool,
    /// Rung when the computer has other addresses.
    network: Arc<Notify>,
    /// Resolves when the session is to end, also when its owner is gone.
    stop: oneshot::Receiver<()>,
}

/// Runs until stopped.
pub(super) async fn run(
    config: SessionConfig,
    signer: Arc<dyn Signer>,
    events: mpsc::Sender<SessionEvent>,
    (calls, network): (mpsc::Receiver<SessionCall>, Arc<Notify>),
    stop: oneshot::Receiver<()>,
) {
    let ends = Ends { events, calls, open: true, network, stop };
    let Stopped = match address::from_bare(&config.jid) {
        Ok(account) if account.node().is_some() => {
            SessionTask::new(account, signer, config.known.clone(), ends).live(&config).await
        }
        Ok(_) | Err(_) => {
            let reason = format!("“{}” is not the address of an account", config.jid);
            let hint = "correct `jid` in [account]".to_owned();
            let refused = Refused { code: "bad-jid", reason, hint, is_final: true, weaker: None };
            hopeless(ends, VecDeque::new(), refused).await
        }
    };
    tracing::debug!("the session has ended");
}

/// After a refusal for good: nothing is tried again, every request is lost.
async fn hopeless(mut ends: Ends, mut waiting: VecDeque<SessionEvent>, refused: Refused) -> Stopped {
    let Refused { code, reason, hint, .. } = refused;
    tracing::error!(code, hint, "{reason}");
    let refused = Connection::Refused { code, reason, hint, retry_in: None, weaker: None };
    waiting.push_back(SessionEvent::Connection(refused));
    loop {
        let room = waiting.len() < MOST_EVENTS;
        tokio::select! {
            _ = &mut ends.stop => return Stopped,
            permit = ends.events.reserve(), if !waiting.is_empty() => match (permit, waiting.pop_front()) {
                (Ok(permit), Some(event)) => permit.send(event),
                (Ok(_), None) => {}
                (Err(_), _) => return Stopped,
            },
            call = ends.calls.recv(), if ends.open && room => match call {
                Some(SessionCall::Command(SessionCommand::Request { token, .. })) => {
                    waiting.push_back(SessionEvent::Answered { token, outcome: Outcome::Lost, by: None });
                }
                Some(_) => {}
                None => ends.open = false,
            },
        }
    }
}

/// Why there is no connection.
enum Offline {
    Lost(String),
    Refused(Refused),
}

struct SessionTask {
    account: BareJid,
    agent: Agent,
    ends: Ends,
    /// What a lost stream needs to go on.
    previous: Option<Management>,
    trust: Option<login::Trust>,
    /// The strongest login so far.
    known: Option<Login>,
    limit: StanzaLimit,
    /// When a pause was last cut short.
    hurried: Option<Instant>,
}

impl SessionTask {
    fn new(account: BareJid, signer: Arc<dyn Signer>, known: Option<Login>, ends: Ends) -> Self {
        let agent = Agent::new(account.clone(), signer);
        let limit = StanzaLimit::default();
        Self { agent, account, ends, previous: None, trust: None, known, limit, hurried: None }
    }

    async fn live(mut self, config: &SessionConfig) -> Stopped {
        let mut backoff = Backoff::default();
        let mut refusals = Refusals::default();
        let mut refused = false;
        // Where a see-other-host sends us, and whether we have followed one since the last good login.
        let mut elsewhere: Option<String> = None;
        let mut followed = false;
        loop {
            // A refusal stays in sight while it is tried again.
            if !refused {
                self.tell(Connection::Connecting);
            }
            let attempt = match self.log_in(config, elsewhere.take()).await {
                Err(Stopped) => return Stopped,
                // What was begun in the old network is begun again.
                Ok(None) => continue,
                Ok(Some(attempt)) => attempt,
            };
            refused = matches!(&attempt, Err(Failure::Refused(_)));
            let (offline, pause) = match attempt {
                Ok((stream, begin)) => {
                    refusals = Refusals::default();
                    let since = Instant::now();
                    self.limit.announce(stream.most_bytes());
                    self.begun(begin, since);
                    let lost = match self.serve(stream).await {
                        Ok(lost) => lost,
                        Err(Stopped) => return Stopped,
                    };
                    // A server that sends us elsewhere as soon as we are there gets no second chance.
                    elsewhere = lost.elsewhere.filter(|_| !std::mem::replace(&mut followed, true));
                    followed &= elsewhere.is_some();
                    backoff.lost(since, Instant::now());
                    (Offline::Lost(lost.reason), backoff.next(Instant::now(), random()))
                }
                Err(Failure::Refused(refused)) if refused.is_final => return self.refused(refused).await,
                Err(Failure::Refused(refused)) => (Offline::Refused(refused), refusals.next(random())),
                Err(Failure::Elsewhere(host)) if !followed => {
                    tracing::info!(host, "the server redirects to another host");
                    (elsewhere, followed) = (Some(host), true);
                    continue;
                }
                Err(failure @ (Failure::Passing(_) | Failure::Elsewhere(_))) => {
                    followed = false;
                    (Offline::Lost(failure.to_string()), backoff.next(Instant::now(), random()))
                }
                Err(Failure::Stubborn(reason)) => {
                    (Offline::Lost(reason), backoff::jittered(backoff::LONGEST, random()))
                }
            };
            match self.pause(offline, pause).await {
                Ok(Some(())) => {}
                // The failures were those of another network, or of another time.
                Ok(None) => (backoff, refusals) = Default::default(),
                Err(Stopped) => return Stopped,
            }
        }
    }

    fn tell(&mut self, connection: Connection) {
        self.agent.tell(SessionEvent::Connection(connection));
    }

    async fn refused(mut self, refused: Refused) -> Stopped {
        self.agent.abandon();
        let waiting = std::iter::from_fn(|| self.agent.take_event()).collect();
        hopeless(self.ends, waiting, refused).await
    }

    /// `None`: cut short, the network or the clock has changed.
    async fn pause(&mut self, offline: Offline, pause: Duration) -> Result<Option<()>, Stopped> {
        let retry_in = u64::try_from(pause.as_millis()).ok();
        self.tell(match offline {
            Offline::Lost(reason) => {
                tracing::info!(retry_in = ?pause, "offline: {reason}");
                Connection::Offline { reason, retry_in }
            }
            Offline::Refused(Refused { code, reason, hint, weaker, is_final: _ }) => {
                tracing::warn!(code, hint, retry_in = ?pause, "{reason}");
                Connection::Refused { code, reason, hint, retry_in, weaker }
            }
        });
        self.offline(tokio::time::sleep(pause)).await
    }

    /// One attempt, while calls are still taken. `None`: broken off, the network has changed.
    async fn log_in(
        &mut self,
        config: &SessionConfig,
        preferred: Option<String>,
    ) -> Result<Option<Result<(BoundStream, Begin), Failure>>, Stopped> {
        let account = self.account.clone();
        let (trust, known) = (self.trust.clone(), self.known.clone());
        let mut previous = self.previous.take();
        let attempt = async {
            let trust = match trust {
                Some(trust) => trust,
                None => load_trust(config).await?,
            };
            let fresh = login::log_in(config, &account, &trust, known.as_ref(), preferred.as_deref()).await?;
            let login = fresh.login.clone();
            let begun = login::in_time("binding", BoundStream::begin(fresh, &config.resource, previous.take())).await?;
            Ok((trust, login, begun))
        };
        let result = self.offline(attempt).await?;
        // Still there if the attempt failed before the server was asked.
        self.previous = previous;
        Ok(result.map(|result| {
            result.map(|(trust, login, begun)| {
                self.trust = Some(trust);
                self.remember(login);
                begun
            })
        }))
    }

    /// The session has compared it with what was known, so it is no weaker.
    fn remember(&mut self, login: Login) {
        if self.known.as_ref() != Some(&login) {
            self.known = Some(login.clone());
            self.agent.tell(SessionEvent::LoggedIn(login));
        }
    }

    fn begun(&mut self, begin: Begin, now: Instant) {
        let resumed = matches!(begin, Begin::Resumed);
        if let Begin::Bound(device) = begin {
            self.agent.reset(device, random(), now);
        } else {
            self.agent.resumed(now);
        }
        if let Some(device) = self.agent.device() {
            tracing::debug!(%device, resumed, "online");
            self.tell(Connection::Online { device, resumed });
        }
    }

    /// Serves a stream until it is lost.
    async fn serve(&mut self, mut stream: BoundStream) -> Result<Lost, Stopped> {
        let lost = match self.exchange(&mut stream).await {
            Ok(lost) => lost,
            Err(Stopped) => {
                stream.push(Presence::unavailable().into());
                if tokio::time::timeout(GOODBYE, stream.close()).await.is_err() {
                    tracing::debug!("no time for a proper goodbye");
                }
                return Err(Stopped);
            }
        };
        if lost.policy && self.limit.learn(stream.longest_unacked()) {
            tracing::warn!(most = self.limit.most(), "the server takes no longer stanzas");
        }
        self.previous = stream.into_management().filter(|previous| lost.resumable && previous.resume().is_some());
        if self.previous.is_none() {
            self.agent.abandon();
        }
        Ok(lost)
    }

    async fn exchange(&mut self, stream: &mut BoundStream) -> Result<Lost, Stopped> {
        let bell = self.agent.bell();
        loop {
            let now = Instant::now();
            self.agent.tend_in_band(now);
            while let Some(stanza) = self.agent.take_stanza() {
                match self.limit.forbids(&stanza) {
                    false => stream.push(stanza),
                    true => self.agent.too_long(stanza, now),
                }
            }
            while let Some(block) = self.agent.take_block(now) {
                match self.limit.forbids(&block) {
                    false => stream.push_later(block),
                    true => self.agent.too_long(block, now),
                }
            }
            if let Some(reason) = self.agent.take_broken() {
                return Ok(Lost::for_good(reason));
            }
            let room = self.agent.events_waiting() < MOST_EVENTS;
            let answers = self.agent.deadline().map(|due| stream.busy_until().map_or(due, |busy| due.max(busy)));
            let deadline = [answers, self.agent.block_overdue(now)].into_iter().flatten().min();
            tokio::select! {
                _ = &mut self.ends.stop => return Err(Stopped),
                permit = self.ends.events.reserve(), if self.agent.events_waiting() > 0 => {
                    deliver(permit, &mut self.agent)?;
                }
                call = self.ends.calls.recv(), if self.ends.open && room && stream.has_room() => match call {
                    Some(SessionCall::Command(SessionCommand::AllowLogin(login))) => self.known = Some(*login),
                    Some(call) => self.agent.take_call(call, Instant::now()),
                    None => self.ends.open = false,
                },
                () = self.ends.network.notified() => {
                    if let Err(lost) = stream.check() {
                        return Ok(lost);
                    }
                }
                () = bell.notified() => {}
                incoming = stream.next(), if room => match incoming {
                    Ok(Incoming::Stanza(stanza)) => self.agent.stanza(*stanza, Instant::now()),
                    Ok(Incoming::BadIq(header)) => self.agent.bad_iq(header, Instant::now()),
                    Ok(Incoming::Discarded(discarded)) => self.agent.discarded(&discarded),
                    Err(lost) => return Ok(lost),
                },
                now = due(deadline), if deadline.is_some() => {
                    if stream.busy_until().is_none_or(|busy| busy <= now) {
                        self.agent.expire(now);
                    }
                }
            }
        }
    }

    /// Does some work while there is no stream; calls are answered, events delivered. `None`: the work was left because
    /// the network has changed, or the clock was set, which happens once in [`CALM`] at most.
    async fn offline<T>(&mut self, work: impl Future<Output = T>) -> Result<Option<T>, Stopped> {
        tokio::pin!(work);
        let clock = Clock::watch();
        let mut hurry = None;
        loop {
            let room = self.agent.events_waiting() < MOST_EVENTS;
            let deadline = self.agent.deadline();
            tokio::select! {
                _ = &mut self.ends.stop => return Err(Stopped),
                done = &mut work => return Ok(Some(done)),
                now = due(hurry), if hurry.is_some() => {
                    self.hurried = Some(now);
                    return Ok(None);
                }
                permit = self.ends.events.reserve(), if self.agent.events_waiting() > 0 => {
                    deliver(permit, &mut self.agent)?;
                }
                call = self.ends.calls.recv(), if self.ends.open && room => match call {
                    Some(SessionCall::Command(SessionCommand::AllowLogin(login))) => {
                        self.known = Some(*login);
                        hurry = Some(Instant::now());
                    }
                    Some(call) => self.agent.take_call_offline(call),
                    None => self.ends.open = false,
                },
                () = clock.set() => {
                    let now = Instant::now();
                    hurry.get_or_insert(self.hurried.map_or(now, |last| now.max(last + CALM)));
                }
                () = self.ends.network.notified() => {
                    let now = Instant::now();
                    hurry.get_or_insert(self.hurried.map_or(now, |last| now.max(last + CALM)));
                }
                now = due(deadline), if deadline.is_some() => self.agent.expire(now),
            }
        }
    }
}

type Permit<'a> = Result<mpsc::Permit<'a, SessionEvent>, mpsc::error::SendError<()>>;

fn deliver(permit: Permit<'_>, agent: &mut Agent) -> Result<(), Stopped> {
    let permit = permit.map_err(|_| Stopped)?;
    if let Some(event) = agent.take_event() {
        permit.send(event);
    }
    Ok(())
}

/// Whom we trust; read once for a session.
async fn load_trust(config: &SessionConfig) -> Result<login::Trust, Failure> {
    let ca_file = config.ca_file.clone();
    match tokio::task::spawn_blocking(move || login::Trust::load(ca_file.as_deref())).await {
        Ok(result) => result,
        Err(_) => Err(Failure::passing("the certificates could not be read")),
    }
}

/// Waits for a deadline, if there is one.
async fn due(deadline: Option<Instant>) -> Instant {
    match deadline {
        Some(deadline) => tokio::time::sleep_until(deadline.into()).await,
        None => std::future::pending().await,
    }
    Instant::now()
}

/// For what need not be unpredictable: without a source of randomness, pauses are merely not spread.
fn random() -> u32 {
    getrandom::u32().unwrap_or_default()
}
