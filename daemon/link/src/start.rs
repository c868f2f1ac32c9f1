//! Starting the room, and the handle to it.

use std::net::SocketAddr;
use std::sync::Arc;

use tokio::sync::{mpsc, watch};
use tokio::task::JoinSet;
use xbt_core::effect::{LinkFor, Want};
use xbt_core::ids::InfoHash;
use xbt_core::signal::Candidate;
use xbt_core::way::Ways;

use crate::accept::acceptor::Door;
use crate::accept::listen;
use crate::accept::plain::Open;
use crate::addresses::candidates::{Ourselves, candidates};
use crate::addresses::interfaces::{interfaces, watch};
use crate::addresses::outside::Outside;
use crate::choose::dial::Dialler;
use crate::choose::mailbox::{Mailbox, Order};
use crate::choose::room::{Room, Setup};
use crate::identity::tls::Tls;
use crate::ways::punched::observed::{self as punched, Seen};
use crate::ways::punched::{Arrived, Punch, Strangers};
use crate::ways::relays::{Relays, Session};
use crate::{Identity, LinkError, LinkEvent, Times};

/// Reports of tasks that the room has not seen; whoever has a further one waits.
const INBOX: usize = 64;

/// What the configuration says about links.
#[derive(Clone, Debug)]
pub struct LinkConfig {
    /// Where links are taken. IPv6 sockets are v6-only. Port 0: one port for all such addresses, chosen once.
    pub listen: Vec<SocketAddr>,
    /// The port that was chosen at an earlier start ([`LinkHandle::port`]). If it is taken now, a new one is chosen.
    pub kept_port: Option<u16>,
    /// Further addresses to tell contacts, for example of a port that a person has forwarded.
    pub advertise: Vec<SocketAddr>,
    /// Which ways are allowed. Without direct and mapped ones nothing is listened on, and without direct ones no address
    /// of this computer is told.
    pub ways: Ways,
    /// Ports of our own services: not dialled on any address of this computer, whatever a contact says.
    pub forbidden_ports: Vec<u16>,
    /// Who we are in the BitTorrent handshake.
    pub peer_id: [u8; 20],
}

/// The running room. Dropping it ends it; [`LinkRoom::close`] also waits for that.
pub struct LinkRoom {
    tasks: JoinSet<()>,
    mailbox: Arc<Mailbox>,
    punch: Option<Punch>,
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
    session: Session,
    changes: watch::Receiver<u64>,
    open: Open,
}

impl LinkRoom {
    /// Listens, and from now on tells `events`. The room never waits for whoever takes them, and ends when nobody does.
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
    pub(super) fn start_with(
        identity: Identity,
        config: LinkConfig,
        events: mpsc::Sender<LinkEvent>,
        times: Times,
    ) -> Result<(Self, LinkHandle), LinkError> {
        let tls = Arc::new(Tls::new(&identity)?);
        let LinkConfig { listen, kept_port, advertise, ways, forbidden_ports, peer_id } = config;
        let listen = if ways.direct || ways.mapped { listen } else { Vec::new() };
        let listen::Bound { listeners, port } = listen::bind(&listen, kept_port)?;
        let listening: Vec<SocketAddr> = listeners.iter().filter_map(|socket| socket.local_addr().ok()).collect();
        tracing::info!(fingerprint = %identity.fingerprint(), ?listening, "links are taken");

        let found = interfaces();
        let (outside, seen_outside) = watch::channel(Outside::default());
        let (tell_seen, seen) = watch::channel(Seen::default());
        let nothing = (&Outside::default(), &Seen::default());
        let first = candidates(&listening, &found, &advertise, nothing, ways);
        let (tell_candidates, candidates) = watch::channel(first);
        let ourselves = Ourselves { listening: listening.clone(), interfaces: found.clone(), forbidden_ports };
        let (see_interfaces, seen_interfaces) = watch::channel(found);
        // Full: tasks wait with what they report, and the door with letting in.
        let (report, inbox) = mpsc::channel(INBOX);
        // Nothing waits here: the kernel's backlog does.
        let (bring, arriving) = mpsc::channel(1);
        let mailbox = Arc::new(Mailbox::default());
        let own = identity.fingerprint();

        let mut tasks = JoinSet::new();
        for socket in listeners {
            tasks.spawn(listen::accept(socket, bring.clone()));
        }
        let open = Open::default();
        let door = Door {
            tls: tls.clone(),
            own,
            patience: times.tls,
            open: open.clone(),
            peer_id,
            events: events.clone(),
            inbox: report.clone(),
        };
        tasks.spawn(door.keep(arriving));
        tasks.spawn(watch(see_interfaces));
        let (bring_links, links) = mpsc::channel(1);
        let punch = if ways.punched { start_punch(&tls, &listening, bring_links) } else { None };
        if let Some(punch) = punch.clone() {
            tasks.spawn(punched::hand_over(links, report.clone()));
            tasks.spawn(punched::look(punch, seen_outside.clone(), seen_interfaces.clone(), tell_seen));
        }
        let (count_changes, changes) = watch::channel(0);
        let session = Session::default();
        let dialler = Arc::new(Dialler::new(own, tls, times, session.clone(), punch.clone(), report.clone()));
        let setup = Setup {
            own,
            peer_id,
            ways,
            advertise,
            ourselves,
            times,
            dialler,
            report,
            candidates: tell_candidates,
            changes: count_changes,
        };
        tasks.spawn(Room::new(setup).live(
            mailbox.clone(),
            inbox,
            seen_interfaces,
            (seen_outside, seen.clone()),
            events,
        ));

        let outside = Arc::new(outside);
        let listening = listening.into();
        let strangers = punch.as_ref().map(Punch::strangers).unwrap_or_default();
        let handle = LinkHandle {
            mailbox: mailbox.clone(),
            listening,
            port,
            candidates,
            outside,
            seen,
            strangers,
            session,
            changes,
            open,
        };
        Ok((Self { tasks, mailbox, punch }, handle))
    }

    /// Ends everything and waits until the sockets are closed. Links that were handed over are not touched.
    pub async fn close(mut self) {
        self.mailbox.close();
        self.tasks.shutdown().await;
        if let Some(punch) = self.punch.take() {
            punch.close().await;
        }
    }
}

/// Without a UDP socket there are the other ways.
fn start_punch(tls: &Arc<Tls>, listening: &[SocketAddr], links: mpsc::Sender<Arrived>) -> Option<Punch> {
    match Punch::start(tls.clone(), &punched::sockets(listening), links) {
        Ok(punch) => Some(punch),
        Err(error) => {
            tracing::warn!(%error, "no UDP socket, so no hole punching");
            None
        }
    }
}

impl Drop for LinkRoom {
    fn drop(&mut self) {
        self.mailbox.close();
    }
}

impl LinkHandle {
    /// Grants this content to this device, and looks for a link: [`LinkEvent::Ready`] or [`LinkEvent::Failed`] follows.
    /// Takes the place of an earlier want for the same purpose; an event of that one may already be on its way.
    pub fn want(&self, want: Want) {
        self.mailbox.post(want.purpose(), Order::Want(Box::new(want)));
    }

    /// Withdraws the grant and stops looking. A link that was handed over is not touched; one that is on its way as
    /// an event may still come.
    pub fn unwant(&self, purpose: LinkFor) {
        self.mailbox.post(purpose, Order::Unwant);
    }

    /// From now on plain BitTorrent is answered for this content: [`LinkEvent::Plain`].
    pub fn open(&self, info_hash: InfoHash) {
        self.open.open(info_hash);
    }

    /// No more. Connections that were handed over are not touched; one that is on its way as an event may still come.
    pub fn shut(&self, info_hash: InfoHash) {
        self.open.shut(info_hash);
    }

    /// What routers and servers have told about us has changed.
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

    /// Relays go through this session from now on.
    pub fn relay_through(&self, session: Option<Arc<dyn Relays>>) {
        self.session.set(session);
    }

    /// Where others may reach us, IPv6 first, at most 16. Follows the interfaces.
    pub fn candidates(&self) -> Vec<Candidate> {
        self.candidates.borrow().clone()
    }

    /// How our UDP sockets are seen from outside.
    pub fn seen(&self) -> Seen {
        self.seen.borrow().clone()
    }

    /// What came over UDP from nobody who was expected: connections that were turned away after their first packet, and
    /// datagrams that were dropped.
    pub fn strangers(&self) -> (u64, u64) {
        self.strangers.counts()
    }

    /// The sockets that links are taken on; wildcards as wildcards.
    pub fn listening(&self) -> Vec<SocketAddr> {
        self.listening.to_vec()
    }

    /// The port to keep for the next start: the one chosen for the addresses with port 0, or the first configured one.
    pub fn port(&self) -> Option<u16> {
        self.port
    }
}
