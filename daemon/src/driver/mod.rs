//! The driver: the one task that owns the domain and the store.
//!
//! Everything that happens comes in here, one thing after the other; the domain answers with effects; what must be
//! kept is committed before anything else of the batch goes out. The rooms (session, links, engine, RPC) know the
//! driver only by the channels they were given.

mod backend;
mod carry;
mod convert;
mod delete;
mod destination;
mod folders;
mod hook;
mod keep;
mod log_lines;
mod looks;
mod network;
mod open;
mod paths;
mod refusals;
mod relays;
mod rules;
mod safety;
mod show;
mod spool;
mod summary;
mod views;

use std::collections::{HashMap, VecDeque};
use std::hash::{BuildHasher, RandomState};
use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use bytes::Bytes;
use tokio::sync::{mpsc, oneshot, watch};
use xbt_api::ApiError;
use xbt_core::Domain;
use xbt_core::effect::{CallId, LinkTag, Reply};
use xbt_core::fault::Fault;
use xbt_core::ids::{BareJid, ContentId, TransferId};
use xbt_core::input::{Command, Destination, Input};
use xbt_core::session::{ServerServices, SessionEvent};
use xbt_core::settings::Settings;
use xbt_core::time::{Mono, Now, Wall};
use xbt_link::{LinkEvent, LinkHandle, Rejected};
use xbt_mapping::MappingState;
use xbt_torrent::{Engine, Group};

use crate::hooks::Hooks;
use crate::rpc::EventRing;
use crate::supervisor::{self, Supervisor};
use xbt_store::Store;
use xbt_xmpp::SessionHandle;

pub use backend::DriverHandle;
use refusals::Refusals;

/// Calls that wait for the driver; a further caller waits for room.
const INBOX: usize = 256;

/// What the RPC room and the signals bring.
enum Message {
    /// A person's command.
    Command(Command, oneshot::Sender<Result<Reply, Fault>>),
    /// Somebody looks at the state.
    Look(Box<dyn FnOnce(&Driver) + Send>),
    /// The configuration was reloaded.
    Settings(Settings),
    /// It was to be, and is wrong.
    WrongConfig(ApiError),
    /// The session was replaced.
    Session(SessionHandle),
    /// Stop.
    Stop,
}

/// The rooms that the driver works with.
pub struct Rooms {
    /// What outlives the process.
    pub store: Store,
    /// The engine.
    pub engine: Engine,
    /// Links, unless no way is allowed.
    pub links: LinkHandle,
    /// What the router maps for us, unless it is not asked.
    pub mapping: Option<watch::Receiver<MappingState>>,
    /// What the configuration says about the network, for those who look.
    pub advertise: Vec<SocketAddr>,
    /// The XMPP session, unless there is no password.
    pub session: Option<SessionHandle>,
    /// For those who watch.
    pub ring: Arc<EventRing>,
    /// Where the person's commands reach us.
    pub socket: PathBuf,
    /// Where the store lies.
    pub state_dir: PathBuf,
    /// Where `xbtctl` leaves what it read from its standard input.
    pub spool: PathBuf,
    /// Hears how the driver is.
    pub supervisor: Supervisor,
}

/// Where the rooms' events arrive.
pub struct Sources {
    /// From the XMPP session (and its successors).
    pub session: mpsc::Receiver<SessionEvent>,
    /// From the link room.
    pub links: mpsc::Receiver<LinkEvent>,
    /// From the engine.
    pub engine: mpsc::Receiver<xbt_torrent::Event>,
}

/// See the module.
pub struct Driver {
    domain: Domain,
    rooms: Rooms,
    started: Instant,
    inbox: mpsc::Receiver<Message>,
    calls: HashMap<CallId, oneshot::Sender<Result<Reply, Fault>>>,
    next_call: u64,
    next_link: u64,
    /// What the executors found out by themselves; handled before anything else.
    again: VecDeque<Input>,
    /// Steps of each transfer that the log has told.
    told: HashMap<TransferId, u64>,
    log_lines: log_lines::LogLines,
    /// Numbers the groups of links, see [`Driver::group`].
    groups: RandomState,
    /// Other programs that read open contents.
    readers: open::Readers,
    /// Folders that are being looked at for offers.
    looks: looks::Looks,
    /// The person's commands that run or wait.
    hooks: Hooks,
    /// Received data that is being deleted.
    deletions: delete::Deletions,
    /// What the content whose end is being handled put into place; kept with the next commit.
    received: Option<(ContentId, Bytes)>,
    /// How many links were refused, by reason.
    refused: Refusals,
    /// What our server does for links; none before it has told.
    offers: Option<ServerServices>,
    /// Why the state cannot be written at the moment.
    state_error: Option<ApiError>,
    /// Why the configuration on the disk is not the one in force.
    config_error: Option<ApiError>,
    /// What came while it could not; at most [`INBOX`].
    held: VecDeque<Message>,
    /// When the session is asked next whether its connection stands, while there are links.
    next_look: tokio::time::Instant,
    /// Nothing is done any more.
    stopping: bool,
    /// Why, if nobody asked for it.
    fatal: Option<Fault>,
}

impl Driver {
    /// Puts the driver together; [`Driver::run`] does the rest.
    pub fn new(domain: Domain, rooms: Rooms, started: Instant) -> (Self, DriverHandle) {
        let (sender, inbox) = mpsc::channel(INBOX);
        let handle = DriverHandle::new(sender, rooms.ring.clone());
        let told = domain.transfers().map(|t| (t.id, t.steps)).collect();
        let driver = Self {
            domain,
            rooms,
            started,
            inbox,
            calls: HashMap::new(),
            next_call: 0,
            next_link: 0,
            again: VecDeque::new(),
            told,
            log_lines: log_lines::LogLines::default(),
            groups: RandomState::new(),
            readers: open::Readers::default(),
            looks: looks::Looks::default(),
            hooks: Hooks::default(),
            deletions: delete::Deletions::default(),
            received: None,
            refused: Refusals::default(),
            offers: None,
            state_error: None,
            config_error: None,
            held: VecDeque::new(),
            next_look: tokio::time::Instant::now(),
            stopping: false,
            fatal: None,
        };
        (driver, handle)
    }

    /// Works until it is told to stop.
    ///
    /// # Errors
    /// The state cannot be written, and waiting will not help.
    pub async fn run(mut self, mut sources: Sources) -> Result<(), Fault> {
        let candidates = self.rooms.links.candidates();
        self.handle(Input::Link(xbt_core::input::LinkEvent::Candidates(candidates))).await;
        self.handle(Input::Started).await;
        self.clear_abandoned().await;
        let mut network = self.rooms.links.network_changes();
        while !self.stopping {
            self.supervise();
            if let Some(message) = self.held.pop_front() {
                self.message(message).await;
                continue;
            }
            let wake = self.until_wake();
            tokio::select! {
                message = self.inbox.recv() => match message {
                    Some(message) => self.message(message).await,
                    None => break,
                },
                Some(event) = sources.session.recv() => self.session_event(event).await,
                Ok(()) = network.changed() => self.network_changed(),
                Some(event) = sources.links.recv() => self.link_event(event).await,
                Some(event) = sources.engine.recv() => self.engine_event(event).await,
                Some((ids, destination)) = self.looks.found() => self.destination_found(ids, destination).await,
                Some(ended) = self.hooks.ended() => self.hook_ended(ended).await,
                Some((content, deleted)) = self.deletions.ended() => self.deletion_ended(content, deleted).await,
                () = tokio::time::sleep(wake) => self.handle(Input::Tick).await,
                // What is due is told at the loop's beginning.
                () = supervisor::until(self.rooms.supervisor.next()) => {}
                () = tokio::time::sleep_until(self.next_look), if self.domain.has_links() => self.look_after_session(),
            }
        }
        self.fatal.map_or(Ok(()), Err)
    }

    /// How long until the domain wants to be woken; a day if never.
    fn until_wake(&self) -> Duration {
        let now = self.now().mono;
        let wait = self.domain.next_wake().map_or(86_400_000, |at| at.since(now));
        Duration::from_millis(wait)
    }

    /// Both clocks.
    fn now(&self) -> Now {
        let wall = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default().as_millis();
        let wall = Wall(i64::try_from(wall).unwrap_or(i64::MAX));
        Now { wall, mono: self.mono(), zone: destination::zone(wall) }
    }

    fn mono(&self) -> Mono {
        Mono(u64::try_from(self.started.elapsed().as_millis()).unwrap_or(u64::MAX))
    }

    async fn message(&mut self, message: Message) {
        match message {
            Message::Command(command, caller) => {
                let call = self.call();
                self.calls.insert(call, caller);
                self.handle(Input::Command(call, command)).await;
            }
            Message::Look(look) => look(self),
            Message::Settings(settings) => {
                self.config_error = None;
                self.handle(Input::Settings(settings)).await;
            }
            Message::WrongConfig(error) => self.config_error = Some(error),
            Message::Session(session) => self.use_session(session),
            Message::Stop => self.stopping = true,
        }
    }

    /// The links of a contact limit each other, and those with devices that it introduced count as its own. Keyed anew in each process, so no contact can choose an address that
    /// shares somebody else's limits.
    fn group(&self, contact: &BareJid) -> Group {
        Group(self.groups.hash_one(contact))
    }

    fn call(&mut self) -> CallId {
        self.next_call += 1;
        CallId(self.next_call)
    }

    /// Tells the domain and carries out what it wants, and what comes of that at once.
    async fn handle(&mut self, input: Input) {
        self.rooms.supervisor.changed();
        self.again.push_back(input);
        while !self.stopping
            && let Some(input) = self.again.pop_front()
        {
            let effects = self.domain.handle(input, self.now());
            self.carry_out(effects).await;
        }
    }

    async fn destination_found(&mut self, ids: Vec<TransferId>, destination: Destination) {
        for transfer in ids {
            self.handle(Input::Destination { transfer, destination: destination.clone() }).await;
        }
    }

    async fn session_event(&mut self, event: SessionEvent) {
        if let SessionEvent::Services(services) = &event {
            self.server_offers(services);
        }
        self.handle(Input::Session(event)).await;
    }

    async fn link_event(&mut self, event: LinkEvent) {
        use xbt_core::input::LinkEvent as Told;
        match event {
            LinkEvent::Ready { transfer, peer, introduced, stream, way, relay, reserved, attempts, .. } => {
                self.next_link += 1;
                let link = LinkTag(self.next_link);
                let attempts = convert::attempts(attempts);
                self.handle(Input::Link(if introduced {
                    Told::IntroducedUp { transfer, peer, link }
                } else {
                    Told::Up { transfer, link, way, relay, attempts }
                }))
                .await;
                // The domain has the last word: only a link that it took reaches the engine.
                if let Some(transfer) = self.domain.transfer_of_link(link) {
                    let (group, key) = (self.group(&transfer.contact), convert::key(transfer.content));
                    let tag = convert::engine_tag(link);
                    if introduced {
                        // What it brings is not the contact's fault.
                        let blamed = Group(self.groups.hash_one(peer));
                        self.rooms.engine.attach_introduced((group, blamed), key, tag, stream, reserved);
                    } else {
                        self.rooms.engine.attach_in_group(group, key, tag, stream, reserved);
                    }
                }
            }
            LinkEvent::Failed { transfer, introduced: Some(peer), .. } => {
                self.handle(Input::Link(Told::IntroducedFailed { transfer, peer })).await;
            }
            LinkEvent::Failed { transfer, introduced: None, attempts } => {
                let attempts = convert::attempts(attempts);
                self.handle(Input::Link(Told::Failed { transfer, attempts })).await;
            }
            LinkEvent::Plain { info_hash, stream, remote, reserved, slot } => {
                self.reader_came(info_hash, stream, reserved, slot, remote);
            }
            LinkEvent::CandidatesChanged(candidates) => {
                self.handle(Input::Link(Told::Candidates(candidates))).await;
            }
            LinkEvent::Rejected(Rejected { remote, reason, .. }) => {
                let reason = reason.code();
                if let Some(count) = self.refused.count(reason, Instant::now()) {
                    tracing::info!(%remote, reason, count, "links were refused");
                }
            }
        }
    }

    async fn engine_event(&mut self, event: xbt_torrent::Event) {
        if self.is_of_reader(&event) {
            return;
        }
        match convert::kept(&event) {
            Some((content, _)) if !self.domain.has_content(content) => return,
            Some((content, blob)) => {
                // Kept before the domain hears of it: what is announced as prepared can be seeded after a crash.
                match self.put_blob(content, &blob).await {
                    Ok(true) => {}
                    Ok(false) => return,
                    Err(error) => {
                        tracing::error!(%content, %error, "could not save the metadata");
                        self.handle(convert::not_kept(content, &error)).await;
                        return;
                    }
                }
            }
            None => {}
        }
        if let xbt_torrent::Event::Completed { key, received, .. } = &event
            && !received.is_empty()
        {
            self.received = Some((ContentId(key.0), received.clone()));
        }
        if let xbt_torrent::Event::LinkStalled { .. } = event {
            self.look_after_session();
        }
        if let Some(input) = convert::engine_event(event) {
            self.handle(Input::Torrent(input)).await;
        }
    }
}
