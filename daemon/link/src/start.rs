//! Starting the room, and the handle to it.

use std::net::SocketAddr;
use std::sync::Arc;

use tokio::net::TcpListener;
use tokio::sync::{Notify, mpsc, watch};
use tokio::task::JoinSet;
use xbt_core::ids::InfoHash;
use xbt_core::signal::Candidate;
use xbt_core::way::Ways;

use crate::accept::acceptor::Acceptor;
use crate::accept::listen;
use crate::addresses::interfaces::{interfaces, watch};
use crate::addresses::local::Local;
use crate::addresses::outside::Outside;
use crate::choose::mailbox::{Command, Mailbox};
use crate::choose::room::{Inputs, Room, Setup};
use crate::error::LinkError;
use crate::event::LinkEvent;
use crate::identity::key::Identity;
use crate::identity::tls::Tls;
use crate::plain::Open;
use crate::times::Times;
use crate::ways::punched::observed::Seen;
use crate::ways::punched::socket::Strangers;
use crate::ways::relays::{CurrentRelays, Relays};
use crate::ways::round_trips::RoundTrips;
use crate::ways::surroundings::Surroundings;
use crate::ways::transport::{Network, Transports};
use crate::ways::{self, Parts, Started};
use xbt_core::effect::{DialRequest, LinkId};

/// What is reported to the room and waits; further reporters wait.
const INBOX: usize = 64;

/// What the configuration says about links.
#[derive(Clone, Debug)]
pub struct LinkConfig {
    /// Where to listen for links. IPv6 sockets are v6-only. Port 0: one port for all such addresses, chosen once.
    pub listen: Vec<SocketAddr>,
    /// The port that was chosen at an earlier start ([`LinkHandle::port`]). If it is taken now, a new one is chosen.
    pub kept_port: Option<u16>,
    /// Further addresses to offer, for example of a port that a person has forwarded.
    pub advertise: Vec<SocketAddr>,
    /// Which ways are allowed. Without direct and mapped ones no socket listens, and without direct ones no address of
    /// this computer is offered.
    pub ways: Ways,
    /// Ports of our own services: not dialed on any address of this computer, whatever a contact names.
    pub forbidden_ports: Vec<u16>,
    /// Who we are in the BitTorrent handshake.
    pub peer_id: [u8; 20],
}

/// Everything that runs for links. Dropping it ends it; [`LinkRoom::close`] also waits for that.
pub struct LinkRoom {
    tasks: JoinSet<()>,
    mailbox: Arc<Mailbox>,
    transports: Arc<Transports>,
}

/// To ask for links and for our own addresses. Cheap to clone.
#[derive(Clone, Debug)]
pub struct LinkHandle {
    mailbox: Arc<Mailbox>,
    listening: Arc<[SocketAddr]>,
    port: Option<u16>,
    candidates: watch::Receiver<Vec<Candidate>>,
    outside: Arc<watch::Sender<Outside>>,
    seen: watch::Receiver<Seen>,
    strangers: Strangers,
    relays: CurrentRelays,
    changes: watch::Receiver<u64>,
    open: Open,
}

impl LinkRoom {
    /// Listens, and reports to `events` from now on. It never waits for the receiver, and ends when that is gone.
    ///
    /// # Errors
    /// An address that cannot be listened on. One that this computer does not have is only left out, with a warning.
    pub async fn start(
        identity: Identity,
        config: LinkConfig,
        events: mpsc::Sender<LinkEvent>,
    ) -> Result<(Self, LinkHandle), LinkError> {
        Self::start_with(identity, config, events, Times::default())
    }

    /// The same with other times, for tests. Must be called inside a tokio runtime.
    pub(crate) fn start_with(
        identity: Identity,
        config: LinkConfig,
        events: mpsc::Sender<LinkEvent>,
        times: Times,
    ) -> Result<(Self, LinkHandle), LinkError> {
        let tls = Arc::new(Tls::new(&identity)?);
        let own = identity.fingerprint();
        let LinkConfig { listen, kept_port, advertise, ways, forbidden_ports, peer_id } = config;
        let listen = if ways.direct || ways.mapped { listen } else { Vec::new() };
        let listen::Bound { listeners, port } = listen::bind(&listen, kept_port)?;
        let listening: Vec<SocketAddr> = listeners.iter().filter_map(|socket| socket.local_addr().ok()).collect();
        tracing::info!(fingerprint = %own, ?listening, "listening for peers");

        let mut tasks = JoinSet::new();
        let found = interfaces();
        let local = Local { listening: listening.clone(), interfaces: found.clone(), forbidden_ports };
        let (see_interfaces, interfaces) = watch::channel(found);
        tasks.spawn(watch(see_interfaces));
        let (tell_outside, outside) = watch::channel(Outside::default());
        let (bring, incoming) = mpsc::channel(INBOX);
        let open = Open::default();
        let round_trips = RoundTrips::default();
        let acceptor = Acceptor {
            tls: tls.clone(),
            own,
            patience: times.tls,
            open: open.clone(),
            peer_id,
            events: events.clone(),
            incoming: bring.clone(),
            round_trips: round_trips.clone(),
        };
        accept_all(listeners, acceptor, &mut tasks);
        let (relays, offers) = (CurrentRelays::default(), Arc::new(Notify::new()));
        let surroundings = Surroundings {
            listening: listening.clone(),
            outside: outside.clone(),
            interfaces: interfaces.clone(),
            changed: offers.clone(),
        };
        let relays_now = relays.clone();
        let parts =
            Parts { tls, ways, times, advertise, surroundings, relays: relays_now, round_trips, incoming: bring };
        let Started { transports, seen, strangers } = ways::start(parts, &mut tasks);
        let transports = Arc::new(transports);

        let first = transports.offers(&Network { local: &local, outside: &Outside::default() });
        let (tell_candidates, candidates) = watch::channel(first);
        let (count_changes, changes) = watch::channel(0);
        let (report, reports) = mpsc::channel(INBOX);
        let mailbox = Arc::new(Mailbox::default());
        let room = Room::new(Setup {
            own,
            peer_id,
            ways,
            local,
            times,
            transports: transports.clone(),
            reports: report,
            candidates: tell_candidates,
            changes: count_changes,
        });
        let inputs = Inputs { mailbox: mailbox.clone(), incoming, reports, interfaces, outside, offers };
        tasks.spawn(room.run(inputs, events));

        let handle = LinkHandle {
            mailbox: mailbox.clone(),
            listening: listening.into(),
            port,
            candidates,
            outside: Arc::new(tell_outside),
            seen,
            strangers,
            relays,
            changes,
            open,
        };
        Ok((Self { tasks, mailbox, transports }, handle))
    }

    /// Ends everything and waits until the sockets are closed. TCP links that were handed over are not touched.
    pub async fn close(mut self) {
        self.mailbox.close();
        self.tasks.shutdown().await;
        self.transports.close().await;
    }
}

/// Passes connections of all sockets to the acceptor.
fn accept_all(listeners: Vec<TcpListener>, acceptor: Acceptor, tasks: &mut JoinSet<()>) {
    // Connections do not wait here but in the kernel's backlog.
    let (arrive, arriving) = mpsc::channel(1);
    for socket in listeners {
        tasks.spawn(listen::accept(socket, arrive.clone()));
    }
    tasks.spawn(acceptor.run(arriving));
}

impl Drop for LinkRoom {
    fn drop(&mut self) {
        self.mailbox.close();
    }
}

impl LinkHandle {
    /// Grants this content to this device, and looks for a link: [`LinkEvent::Ready`] or [`LinkEvent::Failed`] follows.
    /// Replaces an earlier request for the same link; an event of that one may already be on its way.
    pub fn dial(&self, request: DialRequest) {
        self.mailbox.post(request.link_id(), Command::Dial(Box::new(request)));
    }

    /// Withdraws the grant and stops looking. A link that was handed over is not touched; one that is on its way as an
    /// event may still come.
    pub fn cancel(&self, id: LinkId) {
        self.mailbox.post(id, Command::Cancel);
    }

    /// From now on plain BitTorrent is answered for this content: [`LinkEvent::Plain`].
    pub fn open(&self, info_hash: InfoHash) {
        self.open.open(info_hash);
    }

    /// From now on it is not. Connections that were handed over are not touched; one that is on its way as an event may
    /// still come.
    pub fn shut(&self, info_hash: InfoHash) {
        self.open.close(info_hash);
    }

    /// Changes what is known of us outside.
    pub fn outside(&self, change: impl FnOnce(&mut Outside)) {
        self.outside.send_if_modified(|outside| {
            let before = outside.clone();
            change(outside);
            *outside != before
        });
    }

    /// Counts the changes of this computer's addresses.
    pub fn network_changes(&self) -> watch::Receiver<u64> {
        self.changes.clone()
    }

    /// Uses these relays from now on.
    pub fn relay_through(&self, relays: Option<Arc<dyn Relays>>) {
        self.relays.set(relays);
    }

    /// Where others may reach us, IPv6 first, at most 16. Follows the interfaces.
    pub fn candidates(&self) -> Vec<Candidate> {
        self.candidates.borrow().clone()
    }

    /// How our UDP sockets are seen from outside.
    pub fn seen(&self) -> Seen {
        self.seen.borrow().clone()
    }

    /// What strangers sent over UDP: connections that were turned away after their first packet, and datagrams that were
    /// dropped.
    pub fn strangers(&self) -> (u64, u64) {
        self.strangers.counts()
    }

    /// The sockets that links come in by; wildcards as wildcards.
    pub fn listening(&self) -> Vec<SocketAddr> {
        self.listening.to_vec()
    }

    /// The port to keep for the next start: the one chosen for the addresses with port 0, or the first configured one.
    pub fn port(&self) -> Option<u16> {
        self.port
    }
}
