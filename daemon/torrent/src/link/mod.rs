//! One link: a BitTorrent connection over a stream that somebody else opened and authenticated.
//!
//! A link runs as two tasks, one for each half of the stream. The reading half owns the pieces it fetches; it
//! reports to its swarm by a bounded channel and takes orders from it by an unbounded one, which stays small: a
//! swarm sends a link at most one order per piece verified, per piece assigned (the budget bounds those), and a
//! handful in a content's life.

mod download;
mod incoming;
mod messages;
pub(crate) mod metadata;
mod orders;
pub(crate) mod outbox;
pub(crate) mod sending;
mod stall;
pub(crate) mod wire;
mod writer;

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, OnceLock};
use std::time::Duration;

use bytes::BytesMut;
use tokio::io::{AsyncReadExt, ReadHalf};
use tokio::sync::mpsc;
use tokio::task::JoinHandle;
use tokio::time::{Instant, MissedTickBehavior, interval, sleep_until, timeout};
use tokio_util::sync::CancellationToken;

use crate::bitfield::Bitfield;
use crate::event::{CloseReason, Event};
use crate::handshake;
use crate::limits::{Limits, Owed, Way};
use crate::shared::Shared;
use crate::{ContentKey, LinkTag, PROGRESS_EVERY};

pub(crate) use messages::{Attach, Order, Report, Start, Stream, View};

use download::Downloads;
use metadata::Incoming;
use orders::last_word;
use outbox::Outbox;
use sending::Sending;
use stall::Stall;
use wire::Decoder;
use writer::{Stop, Writer};

/// A link with nothing received for this long is closed.
const SILENCE: Duration = Duration::from_secs(60);
/// How long the writing half may take to end.
const FAREWELL: Duration = Duration::from_millis(600);
/// Bytes read from a stream at once.
const READ: usize = 256 << 10;

/// Runs a link until it ends and reports its end.
pub(crate) async fn run(attach: Attach, start: Start) {
    let (key, tag, shared, reports) = (start.key, attach.tag, start.shared.clone(), start.reports.clone());
    let reason = Link::run(attach, start).await;
    // Fails only if the swarm is gone, which then needs no report.
    let _ = reports.send((tag, Report::Ended)).await;
    shared.link_closed(key, tag, reason).await;
}

struct Link {
    key: ContentKey,
    tag: LinkTag,
    shared: Arc<Shared>,
    reports: mpsc::Sender<(LinkTag, Report)>,
    cancel: CancellationToken,
    outbox: Arc<Outbox>,
    decoder: Decoder,
    downloads: Downloads,
    /// Set once the metadata is known.
    view: Arc<OnceLock<View>>,
    /// What we have; may be served.
    ours: Bitfield,
    theirs: Theirs,
    /// The other side is not served.
    choking: bool,
    /// The other side wants what we have.
    interested: bool,
    /// Pieces that the other side was not told we have, because it has them and others are still to come.
    withheld: Vec<u32>,
    incoming: Option<Incoming>,
    metadata_id: Arc<AtomicU64>,
    /// The other side's id for hearing that we have everything; `None`: it does not want to.
    done_id: Option<u8>,
    /// It has said itself that it has.
    is_done: bool,
    /// Blocks of metadata that have come.
    metadata_blocks: u64,
    /// Blocks of metadata that the other side has asked for.
    told_metadata: usize,
    /// The other side has sent its bitfield.
    bitfield_came: bool,
    sending: Arc<Sending>,
    /// Reports that wait for the end of a read.
    pending: Vec<Report>,
    told: (u64, u64, u64),
    stall: Stall,
    /// The writing half has ended and its reason is known.
    written: bool,
    /// The other side speaks the extension protocol.
    extended: bool,
    rate: Arc<AtomicU64>,
}

/// What the other side has.
enum Theirs {
    /// As sent, while the number of pieces is not known.
    Raw(Vec<u8>, Vec<u32>),
    Known(Bitfield),
}

impl Link {
    async fn run(attach: Attach, start: Start) -> CloseReason {
        let (reader, stream) = tokio::io::split(attach.stream);
        let (up, down) = (attach.limits.way(Way::Up), attach.limits.way(Way::Down));
        let mut link = Self {
            key: start.key,
            tag: attach.tag,
            shared: start.shared.clone(),
            reports: start.reports,
            cancel: attach.cancel,
            outbox: Arc::default(),
            decoder: Decoder::default(),
            downloads: Downloads::new(attach.tag),
            view: Arc::default(),
            ours: Bitfield::default(),
            theirs: Theirs::Raw(Vec::new(), Vec::new()),
            choking: !start.serving,
            interested: false,
            withheld: Vec::new(),
            incoming: None,
            metadata_id: Arc::default(),
            done_id: None,
            is_done: false,
            metadata_blocks: 0,
            told_metadata: 0,
            bitfield_came: false,
            sending: start.sending,
            pending: Vec::new(),
            told: (0, 0, 0),
            stall: Stall::default(),
            written: false,
            extended: handshake::speaks_extended(attach.reserved),
            rate: start.rate,
        };
        let writer = Writer {
            stream,
            outbox: link.outbox.clone(),
            limits: up,
            allowed: 0,
            view: link.view.clone(),
            sending: link.sending.clone(),
            metadata_id: link.metadata_id.clone(),
        };
        let mut writer = tokio::spawn(writer.run());
        let mut orders = start.orders;
        let ended = match link.greet(start.ready, start.fetching) {
            Ok(()) => link.serve(reader, &mut orders, down, &mut writer).await,
            Err(reason) => reason,
        };
        link.leave(orders).await;
        link.end(ended, writer).await
    }

    /// The first messages: extension handshake, what we have, and whether the other side is served.
    fn greet(&mut self, ready: Option<(View, Bitfield)>, fetching: bool) -> Result<(), CloseReason> {
        let choking = self.choking;
        let size = ready.as_ref().map(|(view, _)| view.meta.info.len());
        let bits = ready.as_ref().map(|(_, ours)| ours.clone()).filter(|ours| ours.count() > 0);
        self.outbox.control(|out| {
            if self.extended {
                metadata::put_handshake(out, size);
            }
            if let Some(bits) = bits {
                wire::put_message(out, wire::BITFIELD, bits.bytes());
            }
            if !choking {
                wire::put_plain(out, wire::UNCHOKE);
            }
            if fetching {
                wire::put_plain(out, wire::INTERESTED);
            }
        })?;
        if let Some((view, ours)) = ready {
            self.ours = ours;
            self.know(view)?;
        }
        Ok(())
    }

    async fn serve(
        &mut self,
        mut reader: ReadHalf<Box<dyn Stream>>,
        orders: &mut mpsc::UnboundedReceiver<Order>,
        mut limits: Limits,
        writer: &mut JoinHandle<Stop>,
    ) -> CloseReason {
        let mut buffer = vec![0u8; READ];
        let mut tick = interval(PROGRESS_EVERY);
        tick.set_missed_tick_behavior(MissedTickBehavior::Delay);
        let (mut heard, mut owed) = (Instant::now(), Owed::default());
        loop {
            limits.moves(self.downloads.is_open());
            let owing = !owed.is_nothing();
            let most = limits.slice().unwrap_or(READ).min(READ);
            let (space, _) = buffer.split_at_mut(most);
            // An idle link is woken by what happens, not by the time.
            let busy = self.is_busy();
            let step = tokio::select! {
                () = self.cancel.cancelled() => Err(CloseReason::Detached),
                order = orders.recv() => order.map_or(Err(CloseReason::Unknown), |order| self.obey(order)),
                stop = &mut *writer => return self.writer_stopped(stop),
                _ = tick.tick(), if busy => self.tick(heard, owing),
                () = sleep_until(heard + SILENCE), if !busy && !owing => Err(CloseReason::Silent),
                () = limits.settled(owed), if owing => {
                    owed = Owed::default();
                    heard = Instant::now();
                    Ok(())
                }
                read = reader.read(space), if !owing => match read {
                    Ok(0) => Err(CloseReason::Ended),
                    Ok(count) => {
                        heard = Instant::now();
                        let before = self.downloads.received;
                        let taken = self.take(space.get(..count).unwrap_or_default());
                        owed = limits.charge((self.downloads.received - before) as usize);
                        taken
                    }
                    Err(error) => Err(CloseReason::Io(error.to_string())),
                },
            };
            if let Err(reason) = step {
                return reason;
            }
            if let Err(reason) = self.report().await {
                // A swarm that is gone said why before it went.
                return last_word(orders).unwrap_or(reason);
            }
        }
    }

    /// After every step: asks for what may be asked for, and sends what the swarm should know.
    async fn report(&mut self) -> Result<(), CloseReason> {
        let mut requests = BytesMut::new();
        if self.downloads.fill(&mut requests) {
            self.outbox.control(|out| out.extend_from_slice(&requests))?;
        }
        if matches!(self.theirs, Theirs::Known(_))
            && let Some(bytes) = self.downloads.appetite()
        {
            self.pending.push(Report::Hungry(bytes));
        }
        for report in std::mem::take(&mut self.pending) {
            tokio::select! {
                sent = self.reports.send((self.tag, report)) => sent.map_err(|_| CloseReason::Unknown)?,
                () = self.cancel.cancelled() => return Err(CloseReason::Detached),
            }
        }
        Ok(())
    }

    fn tick(&mut self, heard: Instant, owing: bool) -> Result<(), CloseReason> {
        let now = Instant::now();
        if !owing && now.duration_since(heard) >= SILENCE {
            return Err(CloseReason::Silent);
        }
        if owing {
            // It is we who do not read.
            self.stall.held_up(now);
        }
        self.downloads.tick(now);
        self.rate.store(self.downloads.rate(), Ordering::Relaxed);
        self.watch(now);
        let progress = self.progress();
        if progress != self.told && self.shared.try_emit(self.progress_event(progress)) {
            self.told = progress;
        }
        Ok(())
    }

    /// Has, uploaded, downloaded.
    fn progress(&self) -> (u64, u64, u64) {
        let has = match (&self.theirs, self.view.get()) {
            (Theirs::Known(theirs), Some(view)) => view.meta.bytes_of(theirs),
            (Theirs::Known(_) | Theirs::Raw(..), _) => 0,
        };
        (has, self.sending.uploaded(), self.downloads.received)
    }

    fn progress_event(&self, (has, uploaded, downloaded): (u64, u64, u64)) -> Event {
        Event::PeerProgress { key: self.key, tag: self.tag, has, uploaded, downloaded }
    }

    fn writer_stopped(&mut self, stop: Result<Stop, tokio::task::JoinError>) -> CloseReason {
        self.written = true;
        match stop {
            Ok(Stop::Closed) => CloseReason::Detached,
            Ok(Stop::Io(error)) => CloseReason::Io(error.to_string()),
            Ok(Stop::Store(error)) => {
                let reason = CloseReason::Stopped(error.message.clone());
                self.pending.push(Report::Unreadable(error));
                reason
            }
            Err(error) => CloseReason::Io(error.to_string()),
        }
    }

    /// Gives back what is unfinished, first of all: another link may go on with it now.
    async fn leave(&mut self, mut orders: mpsc::UnboundedReceiver<Order>) {
        let mut pieces = self.downloads.give_up_all();
        orders.close();
        while let Ok(order) = orders.try_recv() {
            if let Order::Fetch(more) = order {
                pieces.extend(more);
            }
        }
        let _ = self.reports.send((self.tag, Report::Leaving(pieces))).await;
    }

    /// Says goodbye and tells the last state.
    async fn end(mut self, mut reason: CloseReason, mut writer: JoinHandle<Stop>) -> CloseReason {
        self.outbox.close();
        if !self.written {
            match timeout(FAREWELL, &mut writer).await {
                // The other side saw the end of a writer that could not read: that is the true reason.
                Ok(stop @ Ok(Stop::Store(_))) => reason = self.writer_stopped(stop),
                Ok(_) => {}
                Err(_) => writer.abort(),
            }
        }
        for report in std::mem::take(&mut self.pending) {
            let _ = self.reports.send((self.tag, report)).await;
        }
        let progress = self.progress();
        if progress != self.told {
            self.shared.emit(self.progress_event(progress)).await;
        }
        reason
    }
}
