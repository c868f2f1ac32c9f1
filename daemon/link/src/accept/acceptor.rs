//! The acceptor: connections on which no key is proved yet.
//!
//! Anyone on the Internet may connect, so their number is bounded, in all and from one source. When it is full, a new
//! connection replaces the oldest (of the same source, if that one is full): an honest device needs two round trips,
//! half-open connections stay until they time out.
//!
//! Links and plain BitTorrent come to the same port; the first byte tells them apart.

use std::collections::VecDeque;
use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;
use std::time::Duration;

use tokio::net::TcpStream;
use tokio::sync::mpsc;
use tokio::task::{AbortHandle, JoinSet};
use tokio::time::{Instant, timeout_at};
use xbt_core::ids::Fingerprint;

use crate::addresses::source::Source;
use crate::event::LinkEvent;
use crate::handshake::Handshake;
use crate::identity::tls::Tls;
use crate::plain::{self, Open};
use crate::rejection::{Rejected, Rejection};
use crate::tcp_options::{for_distance, prepare};
use crate::ways::link::{Incoming, Link, LinkInfo};
use crate::ways::round_trips::RoundTrips;
use crate::ways::tcp::way_from;

/// How a TLS record with a handshake begins (RFC 8446, section 5.1).
const TLS: u8 = 0x16;

/// TLS handshakes under way.
const MAX: usize = 64;

/// TLS handshakes under way from one source.
const MAX_OF_SOURCE: usize = 16;

/// See the module.
pub(crate) struct Acceptor {
    pub tls: Arc<Tls>,
    pub own: Fingerprint,
    pub patience: Duration,
    pub open: Open,
    pub peer_id: [u8; 20],
    /// For plain connections.
    pub events: mpsc::Sender<LinkEvent>,
    pub incoming: mpsc::Sender<Incoming>,
    /// Learns how far a device is.
    pub round_trips: RoundTrips,
}

struct Pending {
    source: Source,
    remote: SocketAddr,
    task: AbortHandle,
}

impl Acceptor {
    /// Accepts connections until the sockets are gone.
    pub async fn run(self, mut arriving: mpsc::Receiver<(TcpStream, SocketAddr)>) {
        let acceptor = Arc::new(self);
        let mut handshakes = JoinSet::new();
        let mut pending: VecDeque<Pending> = VecDeque::new();
        loop {
            tokio::select! {
                Some(ended) = handshakes.join_next_with_id() => {
                    let id = match ended {
                        Ok((id, ())) => id,
                        Err(error) => error.id(),
                    };
                    pending.retain(|one| one.task.id() != id);
                }
                connection = arriving.recv() => {
                    let Some((stream, remote)) = connection else { return };
                    let source = Source::of(remote);
                    acceptor.make_room(&mut pending, source);
                    let task = handshakes.spawn(acceptor.clone().accept(stream, remote));
                    pending.push_back(Pending { source, remote, task });
                }
            }
        }
    }

    fn make_room(&self, pending: &mut VecDeque<Pending>, source: Source) {
        let of_source = pending.iter().filter(|one| one.source == source).count();
        let evicted = if of_source >= MAX_OF_SOURCE {
            pending.iter().position(|one| one.source == source)
        } else if pending.len() >= MAX {
            Some(0)
        } else {
            None
        };
        if let Some(one) = evicted.and_then(|position| pending.remove(position)) {
            one.task.abort();
            self.reject(one.remote, Rejection::TooMany, None);
        }
    }

    async fn accept(self: Arc<Self>, stream: TcpStream, remote: SocketAddr) {
        let local = stream.local_addr().ok().map(|address| address.ip());
        if let Err(error) = prepare(&stream) {
            tracing::debug!(%remote, %error, "a connection closed immediately");
            return;
        }
        let deadline = Instant::now() + self.patience;
        let mut first = [0];
        match timeout_at(deadline, stream.peek(&mut first)).await {
            Err(_) => self.reject(remote, Rejection::TooSlow, None),
            Ok(Ok(1)) if first == [TLS] => self.accept_link(stream, (remote, local), deadline).await,
            Ok(Ok(1)) if first == [plain::FIRST] => self.accept_plain(stream, remote, deadline).await,
            Ok(Ok(_) | Err(_)) => self.reject(remote, Rejection::BadTls, None),
        }
    }

    async fn accept_plain(&self, mut stream: TcpStream, remote: SocketAddr, deadline: Instant) {
        match timeout_at(deadline, plain::handshake(&self.open, self.peer_id, &mut stream, remote)).await {
            Err(_) => self.reject(remote, Rejection::TooSlow, None),
            Ok(Err(reason)) => {
                tracing::debug!(%remote, reason = reason.code(), "plain BitTorrent was refused");
                self.reject(remote, reason, None);
            }
            Ok(Ok((Handshake { reserved, info_hash, .. }, slot))) => {
                let stream = Box::new(stream);
                // The owner is gone: the stream is closed.
                let _ = self.events.send(LinkEvent::Plain { info_hash, stream, remote, reserved, slot }).await;
            }
        }
    }

    async fn accept_link(&self, stream: TcpStream, (remote, local): (SocketAddr, Option<IpAddr>), deadline: Instant) {
        let begun = Instant::now();
        match timeout_at(deadline, self.tls.accept(stream)).await {
            Err(_) => self.reject(remote, Rejection::TooSlow, None),
            Ok(Err(error)) => {
                tracing::debug!(%remote, %error, "no link: the TLS handshake failed");
                self.reject(remote, Rejection::BadTls, None);
            }
            Ok(Ok((peer, _))) if peer == self.own => self.reject(remote, Rejection::OwnDevice, Some(peer)),
            Ok(Ok((peer, stream))) => {
                // The other side's half of the handshake comes a round trip after ours.
                self.round_trips.measured(peer, begun.elapsed());
                for_distance(stream.get_ref().0, begun.elapsed());
                let info = LinkInfo { peer, way: way_from(remote.ip(), local), remote: Some(remote), dialed: None };
                // The owner is gone: the link is closed.
                let _ = self.incoming.send(Incoming::Link(Link { info, stream: Box::new(stream) })).await;
            }
        }
    }

    /// For counters only, so not worth waiting for.
    fn reject(&self, remote: SocketAddr, reason: Rejection, peer: Option<Fingerprint>) {
        let _ = self.incoming.try_send(Incoming::Rejected(Rejected { remote, reason, peer }));
    }
}
