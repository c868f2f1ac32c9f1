//! The UDP socket that QUIC and STUN share: passes datagrams from expected addresses on to QUIC, and takes STUN out.
//!
//! Datagrams of strangers never reach QUIC: they get no answer and no state, and cost one look into a table. A STUN
//! answer counts only from the server that was asked, with the transaction of the question.

use std::collections::HashMap;
use std::fmt;
use std::io::{self, IoSliceMut};
use std::net::{IpAddr, SocketAddr};
use std::pin::Pin;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, RwLock};
use std::task::{Context, Poll, ready};

use quinn::udp::{RecvMeta, Transmit};
use quinn::{AsyncUdpSocket, UdpPoller};
use stun_types::message::TransactionId;
use tokio::sync::oneshot;

use super::stun::{self, Answer};

/// Counts what strangers sent. Cheap to clone; keeps no socket open.
#[derive(Clone, Debug, Default)]
pub(crate) struct Strangers(Option<Arc<SourceFilter>>);

impl Strangers {
    pub(super) fn at(filter: &Arc<SourceFilter>) -> Self {
        Self(Some(filter.clone()))
    }

    /// Connections that were turned away after their first packet, and datagrams of strangers that were dropped.
    pub fn counts(&self) -> (u64, u64) {
        let counts = |filter: &Arc<SourceFilter>| {
            [&filter.rejected, &filter.strangers].map(|count| count.load(Ordering::Relaxed))
        };
        self.0.as_ref().map_or((0, 0), |filter| counts(filter).into())
    }
}

/// The addresses that datagrams are taken from, each with the number of those who expect it.
#[derive(Debug, Default)]
pub(super) struct SourceFilter {
    allowed: RwLock<HashMap<IpAddr, usize>>,
    /// Connections that were turned away after their first packet.
    rejected: AtomicU64,
    /// Datagrams that were dropped because their sender is not expected.
    strangers: AtomicU64,
}

impl SourceFilter {
    /// Takes datagrams from these addresses, whatever the port, until the result is dropped.
    pub fn allow(self: &Arc<Self>, ips: impl Iterator<Item = IpAddr>) -> Allowed {
        let ips: Vec<IpAddr> = ips.map(|ip| ip.to_canonical()).collect();
        let mut allowed = self.allowed.write().unwrap_or_else(PoisonError::into_inner);
        for ip in &ips {
            *allowed.entry(*ip).or_default() += 1;
        }
        drop(allowed);
        Allowed { filter: self.clone(), ips }
    }

    /// Counts a connection that was turned away.
    pub fn reject(&self) {
        self.rejected.fetch_add(1, Ordering::Relaxed);
    }

    /// Drops everything from now on, as if the network were cut.
    #[cfg(test)]
    pub fn shut(&self) {
        self.allowed.write().unwrap_or_else(PoisonError::into_inner).clear();
    }

    fn allows(&self, remote: SocketAddr) -> bool {
        let allowed = self.allowed.read().unwrap_or_else(PoisonError::into_inner);
        allowed.contains_key(&remote.ip().to_canonical())
    }
}

/// Addresses that the [`SourceFilter`] passes, until this is dropped.
pub(super) struct Allowed {
    filter: Arc<SourceFilter>,
    ips: Vec<IpAddr>,
}

impl Drop for Allowed {
    fn drop(&mut self) {
        let mut allowed = self.filter.allowed.write().unwrap_or_else(PoisonError::into_inner);
        for ip in &self.ips {
            if let Some(count) = allowed.get_mut(ip) {
                *count -= 1;
                if *count == 0 {
                    allowed.remove(ip);
                }
            }
        }
    }
}

type Questions = HashMap<u128, (SocketAddr, oneshot::Sender<Answer>)>;

/// One UDP socket.
pub(super) struct SharedSocket {
    socket: Arc<dyn AsyncUdpSocket>,
    filter: Arc<SourceFilter>,
    /// What STUN servers were asked and have not answered; as many as there are [`Question`]s.
    questions: Mutex<Questions>,
}

impl SharedSocket {
    pub fn new(socket: Arc<dyn AsyncUdpSocket>, filter: Arc<SourceFilter>) -> Self {
        Self { socket, filter, questions: Mutex::default() }
    }

    /// Sends a datagram of STUN. One that the kernel does not take now is lost, as any other may be.
    pub fn send(&self, to: SocketAddr, stun: &[u8]) {
        let transmit = Transmit { destination: to, ecn: None, contents: stun, segment_size: None, src_ip: None };
        if let Err(error) = self.socket.try_send(&transmit) {
            tracing::trace!(%to, %error, "a datagram was not sent");
        }
    }

    /// Waits for this server's answer to a transaction from now on.
    pub fn ask(&self, server: SocketAddr, id: TransactionId) -> Question<'_> {
        let (answer, answered) = oneshot::channel();
        self.questions().insert(id.into(), (server, answer));
        Question { socket: self, id, answered }
    }

    fn questions(&self) -> MutexGuard<'_, Questions> {
        self.questions.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Whether what came is for QUIC. Several datagrams of one sender may come as one (GRO); of a mixture QUIC itself
    /// drops those without the fixed bit.
    fn is_for_quic(&self, datagrams: &[u8], meta: &RecvMeta) -> bool {
        let mut quic = false;
        for datagram in datagrams.chunks(meta.stride.max(1)) {
            if stun::is_stun(datagram) {
                self.answer(datagram, meta.addr);
            } else {
                quic = true;
            }
        }
        if quic && !self.filter.allows(meta.addr) {
            self.filter.strangers.fetch_add(1, Ordering::Relaxed);
            return false;
        }
        quic
    }

    fn answer(&self, datagram: &[u8], from: SocketAddr) {
        let Some(id) = stun::answered(datagram) else { return };
        let mut questions = self.questions();
        if questions.get(&id.into()).is_some_and(|(server, _)| is_same(*server, from))
            && let Some((_, answer)) = questions.remove(&id.into())
        {
            // The question may have been withdrawn.
            let _ = answer.send(stun::read(datagram));
        }
    }
}

/// The same address; scope and flow of IPv6 mean something on this computer only.
fn is_same(a: SocketAddr, b: SocketAddr) -> bool {
    a.ip().to_canonical() == b.ip().to_canonical() && a.port() == b.port()
}

/// A question on its way; withdrawn when dropped.
pub(super) struct Question<'a> {
    socket: &'a SharedSocket,
    id: TransactionId,
    answered: oneshot::Receiver<Answer>,
}

impl Question<'_> {
    /// The answer; none if the socket is gone.
    pub async fn answer(&mut self) -> Option<Answer> {
        (&mut self.answered).await.ok()
    }
}

impl Drop for Question<'_> {
    fn drop(&mut self) {
        self.socket.questions().remove(&self.id.into());
    }
}

impl fmt::Debug for SharedSocket {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SharedSocket").field("socket", &self.socket).finish_non_exhaustive()
    }
}

impl AsyncUdpSocket for SharedSocket {
    fn create_io_poller(self: Arc<Self>) -> Pin<Box<dyn UdpPoller>> {
        self.socket.clone().create_io_poller()
    }

    fn try_send(&self, transmit: &Transmit<'_>) -> io::Result<()> {
        self.socket.try_send(transmit)
    }

    fn poll_recv(
        &self,
        context: &mut Context<'_>,
        buffers: &mut [IoSliceMut<'_>],
        metas: &mut [RecvMeta],
    ) -> Poll<io::Result<usize>> {
        let count = match ready!(self.socket.poll_recv(context, buffers, metas)) {
            Ok(count) => count,
            Err(error) if is_passing(&error) => return Poll::Ready(Err(io::ErrorKind::ConnectionReset.into())),
            Err(error) => return Poll::Ready(Err(error)),
        };
        for (buffer, meta) in buffers.iter().zip(metas.iter_mut()).take(count) {
            if !self.is_for_quic(buffer.get(..meta.len).unwrap_or_default(), meta) {
                // QUIC finds nothing in it.
                meta.len = 0;
            }
        }
        Poll::Ready(Ok(count))
    }

    fn local_addr(&self) -> io::Result<SocketAddr> {
        self.socket.local_addr()
    }

    fn max_transmit_segments(&self) -> usize {
        self.socket.max_transmit_segments()
    }

    fn max_receive_segments(&self) -> usize {
        self.socket.max_receive_segments()
    }

    fn may_fragment(&self) -> bool {
        self.socket.may_fragment()
    }
}

/// An error about an earlier datagram; nothing is wrong with the socket. QUIC ends at any error but
/// `ConnectionReset`.
fn is_passing(error: &io::Error) -> bool {
    matches!(
        error.kind(),
        io::ErrorKind::ConnectionRefused
            | io::ErrorKind::HostUnreachable
            | io::ErrorKind::NetworkUnreachable
            | io::ErrorKind::NetworkDown
    )
}
