//! QUIC connections that share a simulated line, in virtual time: quinn's state machines without sockets, clocks or tasks.

use std::collections::VecDeque;
use std::net::{Ipv6Addr, SocketAddr};
use std::sync::Arc;
use std::time::{Duration, Instant};

use bytes::BytesMut;
use quinn_proto::{
    Connection, ConnectionHandle, DatagramEvent, Dir, Endpoint, Event, ReadError, StreamId, Transmit, TransportConfig,
    WriteError,
};

use crate::identity::key::Identity;
use crate::identity::tls::Tls;
use crate::ways::punched::quic;

/// What each direction does to packets.
#[derive(Clone, Copy, Debug)]
pub(super) struct Line {
    /// Megabits per second.
    pub rate: f64,
    /// One way, in milliseconds.
    pub delay: f64,
    /// In percent.
    pub loss: f64,
    /// How much may wait, in milliseconds at `rate`.
    pub queue: f64,
}

/// Datagrams that are handed over with one call.
const BATCH: usize = 10;

/// Timers of the runtime go off at the next whole millisecond.
const TICK: Duration = Duration::from_millis(1);

struct Way {
    line: Line,
    noise: u64,
    busy_until: Duration,
    flying: VecDeque<(Duration, usize, BytesMut)>,
    /// When packets came and how long each waited in the queue.
    waits: Vec<(Duration, Duration)>,
    /// Packets that found the queue full.
    dropped: u64,
}

impl Way {
    fn new(line: Line, seed: u64) -> Self {
        Self {
            line,
            noise: (seed + 1).wrapping_mul(0x9e37_79b9_7f4a_7c15),
            busy_until: Duration::ZERO,
            flying: VecDeque::new(),
            waits: Vec::new(),
            dropped: 0,
        }
    }

    fn take(&mut self, now: Duration, to: usize, bytes: &[u8]) {
        let start = self.busy_until.max(now);
        if start - now > millis(self.line.queue) {
            self.dropped += 1;
            return;
        }
        self.waits.push((now, start - now));
        self.busy_until = start + Duration::from_secs_f64((bytes.len() + 28) as f64 * 8.0 / (self.line.rate * 1e6));
        // xorshift
        self.noise ^= self.noise << 13;
        self.noise ^= self.noise >> 7;
        self.noise ^= self.noise << 17;
        if (self.noise >> 11) as f64 / (1u64 << 53) as f64 * 100.0 < self.line.loss {
            return;
        }
        self.flying.push_back((self.busy_until + millis(self.line.delay), to, bytes.into()));
    }
}

fn millis(number: f64) -> Duration {
    Duration::from_secs_f64(number / 1e3)
}

struct Host {
    endpoint: Endpoint,
    connection: Option<(ConnectionHandle, Connection)>,
    stream: Option<StreamId>,
    /// Bytes of content that the application has read.
    read: u64,
    /// From when on it sends as much as it may.
    sends_from: Option<Duration>,
}

/// Hosts in pairs: each even one sends to the next.
pub(super) struct Network {
    epoch: Instant,
    now: Duration,
    hosts: Vec<Host>,
    ways: [Way; 2],
}

impl Network {
    /// One pair for each configuration, which sends from then on.
    pub fn new(line: Line, pairs: Vec<(Arc<TransportConfig>, Duration)>) -> Self {
        let epoch = Instant::now();
        let mut hosts = Vec::new();
        for (transport, from) in pairs {
            let [(a, _), (b, key)] = [(); 2].map(|()| identity());
            let mut server = quic::server(&b).unwrap();
            server.transport_config(transport.clone());
            let mut client = quic::client(&a, key).unwrap();
            client.transport_config(transport);
            let config = Arc::new(quic::endpoint().unwrap());
            let mut sender = Endpoint::new(config.clone(), None, true, Some([7; 32]));
            let receiver = Endpoint::new(config, Some(Arc::new(server)), true, Some([9; 32]));
            let to = address(hosts.len() + 1);
            let connection = sender.connect(epoch, client, to, "0.0.0.0").unwrap();
            hosts.push(Host::new(sender, Some(connection), Some(from)));
            hosts.push(Host::new(receiver, None, None));
        }
        Self { epoch, now: Duration::ZERO, hosts, ways: [Way::new(line, 0x5eed), Way::new(line, 0xfeed)] }
    }

    /// Lets time pass.
    pub fn run(&mut self, until: Duration) {
        for host in 0..self.hosts.len() {
            self.work(host);
        }
        while let Some(next) = self.next().filter(|next| *next <= until) {
            self.now = self.now.max(next);
            for way in 0..2 {
                while let Some((_, to, bytes)) = self.ways[way].flying.pop_front_if(|(due, ..)| *due <= self.now) {
                    self.receive(to, bytes);
                    self.work(to);
                }
            }
            for host in 0..self.hosts.len() {
                let at = self.epoch + self.now;
                let due = self.timer(host).is_some_and(|due| due <= self.now);
                if let (true, Some((_, connection))) = (due, &mut self.hosts[host].connection) {
                    connection.handle_timeout(at);
                }
                if due {
                    self.work(host);
                }
            }
        }
        self.now = until;
    }

    /// The line is another one from now on.
    pub fn becomes(&mut self, line: Line) {
        self.ways.iter_mut().for_each(|way| way.line = line);
    }

    pub fn pairs(&self) -> usize {
        self.hosts.len() / 2
    }

    /// Bytes of content that the receiver of a pair has read.
    pub fn read(&self, pair: usize) -> u64 {
        self.hosts[pair * 2 + 1].read
    }

    /// What 19 of 20 packets of content waited in the queue at most, from then on.
    pub fn waited(&self, from: Duration) -> Duration {
        let mut waits: Vec<_> =
            self.ways[0].waits.iter().filter(|(at, _)| *at >= from).map(|(_, wait)| *wait).collect();
        waits.sort_unstable();
        waits[waits.len() * 19 / 20]
    }

    /// The share of the packets of content that found the queue full, in percent.
    pub fn dropped(&self) -> f64 {
        let way = &self.ways[0];
        way.dropped as f64 * 100.0 / (way.dropped as f64 + way.waits.len() as f64)
    }

    fn timer(&mut self, host: usize) -> Option<Duration> {
        let starts = self.hosts[host].sends_from.filter(|from| *from > self.now);
        let timer = self.hosts[host].connection.as_mut().and_then(|(_, connection)| connection.poll_timeout());
        let timer = timer.map(|at| {
            let at = at.saturating_duration_since(self.epoch);
            TICK * u32::try_from(at.as_nanos().div_ceil(TICK.as_nanos())).unwrap()
        });
        starts.into_iter().chain(timer).min()
    }

    fn next(&mut self) -> Option<Duration> {
        let timers: Vec<_> = (0..self.hosts.len()).filter_map(|host| self.timer(host)).collect();
        let arrivals = self.ways.iter().filter_map(|way| way.flying.front().map(|(due, ..)| *due));
        arrivals.chain(timers).min()
    }

    fn receive(&mut self, to: usize, bytes: BytesMut) {
        let now = self.epoch + self.now;
        let host = &mut self.hosts[to];
        let mut answer = Vec::new();
        match host.endpoint.handle(now, address(to ^ 1), None, None, bytes, &mut answer) {
            Some(DatagramEvent::ConnectionEvent(_, event)) => {
                if let Some((_, connection)) = &mut host.connection {
                    connection.handle_event(event);
                }
            }
            Some(DatagramEvent::NewConnection(incoming)) => {
                host.connection = host.endpoint.accept(incoming, now, &mut answer, None).ok();
            }
            Some(DatagramEvent::Response(_)) | None => {}
        }
    }

    /// Lets an application read and write, and a connection send, until nothing more happens.
    fn work(&mut self, at: usize) {
        let now = self.epoch + self.now;
        let host = &mut self.hosts[at];
        let Some((handle, connection)) = &mut host.connection else { return };
        while let Some(event) = connection.poll() {
            if let Event::ConnectionLost { reason } = event {
                panic!("a connection ended: {reason}");
            }
        }
        if host.sends_from.is_some_and(|from| from <= self.now) {
            write(connection, &mut host.stream);
        } else if host.sends_from.is_none() {
            host.read += read(connection, &mut host.stream);
        }
        while let Some(event) = connection.poll_endpoint_events() {
            if let Some(event) = host.endpoint.handle_event(*handle, event) {
                connection.handle_event(event);
            }
        }
        let mut datagrams = Vec::new();
        loop {
            let mut bytes = Vec::new();
            let Some(Transmit { size, segment_size, .. }) = connection.poll_transmit(now, BATCH, &mut bytes) else {
                break;
            };
            datagrams.extend(bytes[..size].chunks(segment_size.unwrap_or(size)).map(<[u8]>::to_vec));
            if host.sends_from.is_some_and(|from| from <= self.now) {
                write(connection, &mut host.stream);
            }
        }
        for datagram in datagrams {
            self.ways[at % 2].take(self.now, at ^ 1, &datagram);
        }
    }
}

impl Host {
    fn new(
        endpoint: Endpoint,
        connection: Option<(ConnectionHandle, Connection)>,
        sends_from: Option<Duration>,
    ) -> Self {
        Self { endpoint, connection, stream: None, read: 0, sends_from }
    }
}

fn write(connection: &mut Connection, stream: &mut Option<StreamId>) {
    if stream.is_none() {
        *stream = connection.streams().open(Dir::Bi);
    }
    let Some(id) = *stream else { return };
    loop {
        match connection.send_stream(id).write(&[0; 64 << 10]) {
            Ok(_) => {}
            Err(WriteError::Blocked) => return,
            Err(error) => panic!("{error}"),
        }
    }
}

fn read(connection: &mut Connection, stream: &mut Option<StreamId>) -> u64 {
    if stream.is_none() {
        *stream = connection.streams().accept(Dir::Bi);
    }
    let Some(id) = *stream else { return 0 };
    let mut count = 0;
    let mut stream = connection.recv_stream(id);
    let mut chunks = stream.read(false).unwrap();
    loop {
        match chunks.next(usize::MAX) {
            Ok(Some(chunk)) => count += chunk.bytes.len() as u64,
            Ok(None) | Err(ReadError::Blocked) => break,
            Err(error) => panic!("{error}"),
        }
    }
    let _ = chunks.finalize();
    count
}

fn address(host: usize) -> SocketAddr {
    (Ipv6Addr::LOCALHOST, 1000 + u16::try_from(host).unwrap()).into()
}

fn identity() -> (Tls, xbt_core::ids::Fingerprint) {
    let folder = tempfile::tempdir().unwrap();
    let identity = Identity::load_or_create(&folder.path().join("key")).unwrap();
    (Tls::new(&identity).unwrap(), identity.fingerprint())
}
