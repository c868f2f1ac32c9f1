//! The sending half of a link: reads ahead from the disk while it writes.

use std::io;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use serde::Serialize;
use tokio::io::{AsyncWrite, AsyncWriteExt};
use tokio::task::JoinHandle;
use tokio::time::{Instant, timeout};

use super::View;
use super::framing::{self, Block};
use super::send_queue::{Request, SendQueue};
use super::sending::Sending;
use crate::bencode;
use crate::error::EngineError;
use crate::limits::Limits;
use crate::metainfo::BLOCK;

/// Silence after which a keep-alive is sent.
const KEEP_ALIVE: Duration = Duration::from_secs(20);
/// How long an orderly end of the stream may take.
const FAREWELL: Duration = Duration::from_millis(500);

/// Why the writer ended.
pub(super) enum Stop {
    Closed,
    Io(io::Error),
    Store(EngineError),
}

pub(super) struct Writer<W> {
    pub(super) stream: W,
    pub(super) send_queue: Arc<SendQueue>,
    pub(super) limits: Limits,
    /// Bytes charged to the limits and not sent yet. Charged in whole slices, whose size is this link's share.
    pub(super) allowed: usize,
    pub(super) view: Arc<std::sync::OnceLock<View>>,
    pub(super) sending: Arc<Sending>,
    /// The other side's id for metadata messages; 0: none.
    pub(super) metadata_id: Arc<AtomicU64>,
}

/// Framed messages, read and ready to go.
struct Batch {
    /// Reused without being cleared, so it may be longer than the batch.
    bytes: Vec<u8>,
    ends: Vec<Message>,
}

/// A message of a batch.
#[derive(Clone, Copy)]
struct Message {
    /// Where it ends.
    end: usize,
    /// How many of its last bytes count against the limits.
    limited: usize,
    /// They are content, not metadata.
    is_content: bool,
}

impl Message {
    fn payload(self) -> usize {
        if self.is_content { self.limited } else { 0 }
    }
}

impl<W: AsyncWrite + Unpin> Writer<W> {
    pub(super) async fn run(mut self) -> Stop {
        let stop = self.write_all().await;
        // A half-written message cannot be taken back, but an idle stream ends properly (TLS: close_notify).
        let _ = timeout(FAREWELL, self.stream.shutdown()).await;
        stop
    }

    async fn write_all(&mut self) -> Stop {
        let mut ahead: Option<JoinHandle<Result<Batch, EngineError>>> = None;
        let mut spare = Vec::new();
        let mut wrote = Instant::now();
        loop {
            if let Err(error) = self.write_control(&mut wrote).await {
                return Stop::Io(error);
            }
            if self.send_queue.is_closed() {
                return Stop::Closed;
            }
            let reading = ahead.take().or_else(|| self.read_ahead(&mut spare));
            self.limits.moves(reading.is_some());
            let Some(reading) = reading else {
                tokio::select! {
                    () = self.send_queue.ready() => {}
                    () = tokio::time::sleep_until(wrote + KEEP_ALIVE) => {
                        if let Err(error) = self.keep_alive(&mut wrote).await {
                            return Stop::Io(error);
                        }
                    }
                }
                continue;
            };
            let batch = match reading.await {
                Ok(Ok(batch)) => batch,
                Ok(Err(error)) => return Stop::Store(error),
                Err(error) => return Stop::Io(io::Error::other(error)),
            };
            ahead = self.read_ahead(&mut spare);
            if let Err(error) = self.write_batch(&batch, &mut wrote).await {
                return Stop::Io(error);
            }
            spare = batch.bytes;
        }
    }

    async fn write_control(&mut self, wrote: &mut Instant) -> io::Result<()> {
        let control = self.send_queue.take_control();
        if !control.is_empty() {
            self.sending.write(&mut self.stream, &control).await?;
            *wrote = Instant::now();
        }
        Ok(())
    }

    async fn keep_alive(&mut self, wrote: &mut Instant) -> io::Result<()> {
        self.sending.write(&mut self.stream, &[0; 4]).await?;
        *wrote = Instant::now();
        Ok(())
    }

    /// Starts reading the next requested blocks, if any. The blocking pool bounds how many reads run at once; each
    /// link has at most one running and one being written, of 256 KiB each.
    fn read_ahead(&self, spare: &mut Vec<u8>) -> Option<JoinHandle<Result<Batch, EngineError>>> {
        let requests = self.send_queue.take_requests();
        let view = self.view.get()?.clone();
        if requests.is_empty() {
            return None;
        }
        let buffer = std::mem::take(spare);
        let metadata_id = self.metadata_id.load(Ordering::Relaxed) as u8;
        Some(tokio::task::spawn_blocking(move || read_batch(&view, &requests, buffer, metadata_id)))
    }

    /// In one write without a limit; otherwise in slices as the limit allows, with small messages between blocks.
    async fn write_batch(&mut self, batch: &Batch, wrote: &mut Instant) -> io::Result<()> {
        if self.limits.slice().is_none() {
            let end = batch.ends.last().map_or(0, |last| last.end);
            self.sending.write(&mut self.stream, batch.bytes.get(..end).unwrap_or_default()).await?;
            self.sending.sent(batch.ends.iter().map(|message| message.payload()).sum());
        } else {
            let mut start = 0;
            for message in &batch.ends {
                self.write_limited(batch.bytes.get(start..message.end).unwrap_or_default(), *message, wrote).await?;
                start = message.end;
                self.write_control(wrote).await?;
                if self.send_queue.is_closed() {
                    return Ok(());
                }
            }
        }
        *wrote = Instant::now();
        Ok(())
    }

    /// Only the bytes that count do so: content, and metadata, which everybody may read of an open content.
    async fn write_limited(&mut self, bytes: &[u8], message: Message, wrote: &mut Instant) -> io::Result<()> {
        let (head, mut rest) = bytes.split_at(bytes.len() - message.limited);
        self.sending.write(&mut self.stream, head).await?;
        while !rest.is_empty() {
            let slice = self.limits.slice().unwrap_or(rest.len());
            if self.allowed == 0 {
                self.limits.settled(self.limits.charge(slice)).await;
                self.allowed = slice;
            }
            let (part, after) = rest.split_at(self.allowed.min(slice).min(rest.len()));
            self.allowed = self.allowed.min(slice) - part.len();
            self.sending.write(&mut self.stream, part).await?;
            *wrote = Instant::now();
            if message.is_content {
                self.sending.sent(part.len());
            }
            rest = after;
        }
        Ok(())
    }
}

/// Blocks are framed where they are read to: one read per run of neighbours, no copy afterwards.
fn read_batch(view: &View, requests: &[Request], bytes: Vec<u8>, metadata_id: u8) -> Result<Batch, EngineError> {
    let mut batch = Batch { bytes, ends: Vec::with_capacity(requests.len()) };
    let mut run: Vec<Block> = Vec::new();
    for request in requests {
        match *request {
            Request::Block(block) => {
                let end = run.last().map(|last| position(view, last) + u64::from(last.len));
                if end.is_some_and(|end| end != position(view, &block)) {
                    batch.read(view, &mut run)?;
                }
                run.push(block);
            }
            Request::Metadata(block) => {
                batch.read(view, &mut run)?;
                batch.metadata(view, block, metadata_id);
            }
        }
    }
    batch.read(view, &mut run)?;
    Ok(batch)
}

fn position(view: &View, block: &Block) -> u64 {
    view.meta.piece_offset(block.piece) + u64::from(block.begin)
}

/// Header of a metadata message (BEP 9).
#[derive(Serialize)]
struct MetadataHead {
    msg_type: u8,
    piece: u32,
    #[serde(skip_serializing_if = "Option::is_none")]
    total_size: Option<u64>,
}

impl Batch {
    /// Room for `len` further bytes, with any content.
    fn room(&mut self, len: usize) -> &mut [u8] {
        let start = self.ends.last().map_or(0, |last| last.end);
        if self.bytes.len() < start + len {
            self.bytes.resize(start + len, 0);
        }
        self.bytes.get_mut(start..start + len).unwrap_or_default()
    }

    /// Frames and reads a run of neighbours.
    fn read(&mut self, view: &View, run: &mut Vec<Block>) -> Result<(), EngineError> {
        let Some(first) = run.first() else { return Ok(()) };
        let offset = position(view, first);
        let total: usize = run.iter().map(|block| HEAD + block.len as usize).sum();
        let mut end = self.ends.last().map_or(0, |last| last.end);
        let mut rest = self.room(total);
        let mut slots = Vec::with_capacity(run.len());
        for block in run.iter() {
            let (head, tail) = rest.split_at_mut(HEAD);
            head.copy_from_slice(&framing::piece_head(*block));
            let (slot, tail) = tail.split_at_mut(block.len as usize);
            slots.push(slot);
            rest = tail;
        }
        view.store.read(&view.meta, offset, &mut slots)?;
        for block in run.drain(..) {
            end += HEAD + block.len as usize;
            self.ends.push(Message { end, limited: block.len as usize, is_content: true });
        }
        Ok(())
    }

    /// Metadata if we have that block, a reject otherwise.
    fn metadata(&mut self, view: &View, block: u32, id: u8) {
        let info = &view.meta.info;
        let start = block as usize * BLOCK;
        let part = info.get(start..info.len().min(start + BLOCK)).unwrap_or_default();
        let head = if part.is_empty() {
            MetadataHead { msg_type: 2, piece: block, total_size: None }
        } else {
            MetadataHead { msg_type: 1, piece: block, total_size: Some(info.len() as u64) }
        };
        // Encoding three numbers cannot fail; if it did, silence is as good as a reject.
        let head = bencode::encode(&head).unwrap_or_default();
        let length = (2 + head.len() + part.len()) as u32;
        let message = [&length.to_be_bytes()[..], &[framing::EXTENDED, id], &head, part].concat();
        let end = self.ends.last().map_or(0, |last| last.end);
        self.room(message.len()).copy_from_slice(&message);
        self.ends.push(Message { end: end + message.len(), limited: part.len(), is_content: false });
    }
}

/// Bytes before a block's payload.
const HEAD: usize = 13;
