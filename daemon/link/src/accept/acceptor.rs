//! The door: everybody who has connected and not yet proved a key.
//!
//! Anybody on the Internet may stand here, so their number is bounded, in all and from one source. Who comes when it is
//! full takes the place of the one who has stood longest (of the same source, if that one is full): an honest
//! device needs two round trips, half-open connections stand for ever.
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

use crate::LinkEvent;
use crate::accept::listen::prepare;
use crate::accept::plain::{self, Open};
use crate::addresses::candidates::Source;
use crate::choose::room::{Link, LinkInfo, Message};
use crate::event::{Refusal, reason};
use crate::handshake::Handshake;
use crate::identity::tls::Tls;
use crate::ways::target::way_from;

/// How a TLS record with a handshake begins (RFC 8446, section 5.1).
const TLS: u8 = 0x16;

/// TLS handshakes under way.
const MOST: usize = 64;

/// TLS handshakes under way from one source.
const MOST_OF_SOURCE: usize = 16;

/// What the door needs.
pub(crate) struct Door {
    pub tls: Arc<Tls>,
    pub own: Fingerprint,
    pub patience: Duration,
    pub open: Open,
    pub peer_id: [u8; 20],
    /// Plain connections are nothing that the room decides on.
    pub events: mpsc::Sender<LinkEvent>,
    pub inbox: mpsc::Sender<Message>,
}

struct Standing {
    source: Source,
    remote: SocketAddr,
    task: AbortHandle,
}

impl Door {
    /// Takes connections in until there is nobody who brings them.
    pub async fn keep(self, mut arriving: mpsc::Receiver<(TcpStream, SocketAddr)>) {
        let door = Arc::new(self);
        let mut handshakes = JoinSet::new();
        let mut standing: VecDeque<Standing> = VecDeque::new();
        loop {
            tokio::select! {
                Some(ended) = handshakes.join_next_with_id() => {
                    let id = match ended {
                        Ok((id, ())) => id,
                        Err(error) => error.id(),
                    };
                    standing.retain(|one| one.task.id() != id);
                }
                connection = arriving.recv() => {
                    let Some((stream, remote)) = connection else { return };
                    let source = Source::of(remote);
                    door.make_room(&mut standing, source);
                    let task = handshakes.spawn(door.clone().take_in(stream, remote));
                    standing.push_back(Standing { source, remote, task });
                }
            }
        }
    }

    fn make_room(&self, standing: &mut VecDeque<Standing>, source: Source) {
        let of_source = standing.iter().filter(|one| one.source == source).count();
        let leaves = if of_source >= MOST_OF_SOURCE {
            standing.iter().position(|one| one.source == source)
        } else if standing.len() >= MOST {
            Some(0)
        } else {
            None
        };
        if let Some(one) = leaves.and_then(|position| standing.remove(position)) {
            one.task.abort();
            self.refuse(one.remote, reason::TOO_MANY, None);
        }
    }

    async fn take_in(self: Arc<Self>, stream: TcpStream, remote: SocketAddr) {
        let local = stream.local_addr().ok().map(|address| address.ip());
        if let Err(error) = prepare(&stream) {
            tracing::debug!(%remote, %error, "a connection was gone at once");
            return;
        }
        let deadline = Instant::now() + self.patience;
        let mut first = [0];
        match timeout_at(deadline, stream.peek(&mut first)).await {
            Err(_) => self.refuse(remote, reason::TOO_SLOW, None),
            Ok(Ok(1)) if first == [TLS] => self.take_in_link(stream, (remote, local), deadline).await,
            Ok(Ok(1)) if first == [plain::FIRST] => self.take_in_plain(stream, remote, deadline).await,
            Ok(Ok(_) | Err(_)) => self.refuse(remote, reason::BAD_TLS, None),
        }
    }

    async fn take_in_plain(&self, mut stream: TcpStream, remote: SocketAddr, deadline: Instant) {
        match timeout_at(deadline, plain::greet(&self.open, self.peer_id, &mut stream, remote)).await {
            Err(_) => self.refuse(remote, reason::TOO_SLOW, None),
            Ok(Err(reason)) => {
                tracing::debug!(%remote, reason, "plain BitTorrent was refused");
                self.refuse(remote, reason, None);
            }
            Ok(Ok((Handshake { reserved, info_hash, .. }, place))) => {
                let stream = Box::new(stream);
                // Nobody takes events any more: the stream is closed.
                let _ = self.events.send(LinkEvent::Plain { info_hash, stream, remote, reserved, place }).await;
            }
        }
    }

    async fn take_in_link(&self, stream: TcpStream, (remote, local): (SocketAddr, Option<IpAddr>), deadline: Instant) {
        match timeout_at(deadline, self.tls.accept(stream)).await {
            Err(_) => self.refuse(remote, reason::TOO_SLOW, None),
            Ok(Err(error)) => {
                tracing::debug!(%remote, %error, "no link: the TLS handshake failed");
                self.refuse(remote, reason::BAD_TLS, None);
            }
            Ok(Ok((peer, _))) if peer == self.own => self.refuse(remote, reason::OWN_DEVICE, Some(peer)),
            Ok(Ok((peer, stream))) => {
                let info = LinkInfo { peer, way: way_from(remote.ip(), local), remote: Some(remote), dialled: None };
                // The room has gone: so does the link.
                let _ = self.inbox.send(Message::Arrived(Link { info, stream: Box::new(stream) })).await;
            }
        }
    }

    /// Only counted: if the room is busy, counting it is not worth waiting for.
    fn refuse(&self, remote: SocketAddr, reason: &'static str, peer: Option<Fingerprint>) {
        let _ = self.inbox.try_send(Message::Refused(Refusal { remote, reason, peer }));
    }
}
