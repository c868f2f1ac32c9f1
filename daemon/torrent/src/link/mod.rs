//! One link: a BitTorrent connection over a stream that the caller opened and authenticated.
//!
//! A link runs as two tasks, one for each half of the stream. The reading half owns the pieces it fetches; it
//! reports to its swarm by a bounded channel and takes commands by an unbounded one, which stays small: a swarm sends
//! at most one command per piece verified, one per piece assigned (the budget bounds those), and a handful besides.

mod commands;
mod download;
pub(crate) mod framing;
mod incoming;
mod messages;
pub(crate) mod metadata;
pub(crate) mod send_queue;
pub(crate) mod sending;
mod stall;
mod window;
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
use crate::limits::{Direction, Limits, Owed};
use crate::shared::Shared;
use crate::{ContentKey, LinkTag, PROGRESS_EVERY};

pub(crate) use messages::{Attach, LinkCommand, Report, Start, Stream, View};

use commands::close_reason;
use download::Downloads;
use framing::Decoder;
use metadata::Incoming;
use send_queue::SendQueue;
use sending::Sending;
use stall::Stall;
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
    send_queue: Arc<SendQueue>,
    decoder: Decoder,
    downloads: Downloads,
    /// Set once the metadata is known.
    view: Arc<OnceLock<View>>,
    /// What we have; may be served.
    ours: Bitfield,
    theirs: Theirs,
    /// We choke the other side.
    choking: bool,
    /// The other side is interested.
    interested: bool,
    /// `have` messages held back, because the other side has these pieces and more are to come.
    withheld: Vec<u32>,
    incoming: Option<Incoming>,
    metadata_id: Arc<AtomicU64>,
    /// The other side's id for `xbt_done`; `None`: not supported.
    done_id: Option<u8>,
    /// The other side has sent `xbt_done`.
    is_done: bool,
    /// Blocks of metadata that have come.
    metadata_blocks: u64,
    /// Blocks of metadata that the other side has requested.
    metadata_served: usize,
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
        let (up, down) = (attach.limits.direction(Direction::Up), attach.limits.direction(Direction::Down));
        let mut link = Self {
            key: start.key,
            tag: attach.tag,
            shared: start.shared.clone(),
            reports: start.reports,
            cancel: attach.cancel,
            send_queue: Arc::default(),
            decoder: Decoder::default(),
            downloads: Downloads::new(attach.tag),
            view: Arc::default(),
            ours: Bitfield::default(),
            theirs: Theirs::Raw(Vec::new(), Vec::new()),
            choking: !start.unchoked,
            interested: false,
            withheld: Vec::new(),
            incoming: None,
            metadata_id: Arc::default(),
            done_id: None,
            is_done: false,
            metadata_blocks: 0,
            metadata_served: 0,
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
            send_queue: link.send_queue.clone(),
            limits: up,
            allowed: 0,
            view: link.view.clone(),
            sending: link.sending.clone(),
            metadata_id: link.metadata_id.clone(),
        };
        let mut writer = tokio::spawn(writer.run());
        let mut commands = start.commands;
        let ended = match link.greet(start.ready, start.fetching) {
            Ok(()) => link.serve(reader, &mut commands, down, &mut writer).await,
            Err(reason) => reason,
        };
        link.leave(commands).await;
        link.end(ended, writer).await
    }

    /// The first messages: extension handshake, what we have, and whether the other side is served.
    fn greet(&mut self, ready: Option<(View, Bitfield)>, fetching: bool) -> Result<(), CloseReason> {
        let choking = self.choking;
        let size = ready.as_ref().map(|(view, _)| view.meta.info.len());
        let bits = ready.as_ref().map(|(_, ours)| ours.clone()).filter(|ours| ours.count() > 0);
        self.send_queue.control(|out| {
            if self.extended {
                metadata::put_handshake(out, size);
            }
            if let Some(bits) = bits {
                framing::put_message(out, framing::BITFIELD, bits.bytes());
            }
            if !choking {
                framing::put_plain(out, framing::UNCHOKE);
            }
            if fetching {
                framing::put_plain(out, framing::INTERESTED);
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
        commands: &mut mpsc::UnboundedReceiver<LinkCommand>,
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
            // An idle link runs no timer.
            let busy = self.is_busy();
            let step = tokio::select! {
                () = self.cancel.cancelled() => Err(CloseReason::Detached),
                command = commands.recv() => command.map_or(Err(CloseReason::Unknown), |command| self.on_command(command)),
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
                // A swarm that is gone sent its reason before.
                return close_reason(commands).unwrap_or(reason);
            }
        }
    }

    /// After every step: sends requests and reports.
    async fn report(&mut self) -> Result<(), CloseReason> {
        let mut requests = BytesMut::new();
        if self.downloads.fill(&mut requests) {
            self.send_queue.control(|out| out.extend_from_slice(&requests))?;
        }
        if matches!(self.theirs, Theirs::Known(_))
            && let Some(bytes) = self.downloads.capacity()
        {
            self.pending.push(Report::Capacity(bytes));
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
        self.downloads.note_progress(owing);
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

    /// Returns unfinished pieces first, so that another link can continue them.
    async fn leave(&mut self, mut commands: mpsc::UnboundedReceiver<LinkCommand>) {
        let mut pieces = self.downloads.give_up_all();
        commands.close();
        while let Ok(command) = commands.try_recv() {
            if let LinkCommand::Download(more) = command {
                pieces.extend(more);
            }
        }
        let _ = self.reports.send((self.tag, Report::Leaving(pieces))).await;
    }

    /// Ends the writer and reports the last progress.
    async fn end(mut self, mut reason: CloseReason, mut writer: JoinHandle<Stop>) -> CloseReason {
        self.send_queue.close();
        if !self.written {
            match timeout(FAREWELL, &mut writer).await {
                // The writer failed to read, which made the other side close: that is the true reason.
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
