//! The pieces a link fetches: requested and received blocks, and the request window.

use std::collections::VecDeque;

use bytes::BytesMut;
use tokio::time::Instant;

use super::framing::{self, Block};
use super::window::{self, Window};
use crate::LinkTag;
use crate::event::CloseReason;
use crate::metainfo::BLOCK;
use crate::piece::PieceBuf;

/// Outstanding requests that other programs accept by default (BEP 10 `reqq`).
const DEFAULT_REQQ: usize = 250;
/// Unrequested bytes accepted, beyond cancelled requests.
const MAX_UNASKED: usize = 2 << 20;

pub(super) struct Downloads {
    tag: LinkTag,
    active: VecDeque<Active>,
    /// Bytes requested and not received.
    outstanding: usize,
    /// Bytes assigned and not requested.
    waiting: usize,
    window: Window,
    /// Requests the other side takes at once, as bytes.
    accepted: usize,
    choked: bool,
    /// Our capacity was reported to the swarm.
    asked: bool,
    /// Unrequested bytes still accepted; cancelled requests may be answered all the same.
    forgiven: usize,
    pub(super) received: u64,
    /// A whole block has arrived since [`Self::note_progress`].
    progressed: bool,
    /// Payload that came, requested or not.
    pub(super) heard: u64,
    /// The block that is being received, and how much of it is in its piece.
    current: Option<(Block, usize)>,
    /// When a request went out while nothing else was open.
    probe: Option<Instant>,
}

struct Active {
    piece: PieceBuf,
    asked: Vec<bool>,
    next: usize,
}

impl Downloads {
    pub(super) fn new(tag: LinkTag) -> Self {
        Self {
            tag,
            active: VecDeque::new(),
            outstanding: 0,
            waiting: 0,
            window: Window::new(Instant::now()),
            accepted: DEFAULT_REQQ * BLOCK,
            choked: true,
            asked: false,
            forgiven: MAX_UNASKED,
            received: 0,
            progressed: false,
            heard: 0,
            current: None,
            probe: None,
        }
    }

    /// The other side announced how many requests it accepts.
    pub(super) fn accepts(&mut self, requests: usize) {
        self.accepted = requests.clamp(1, window::MAX / BLOCK) * BLOCK;
    }

    /// Bytes per second, as far as known.
    pub(super) fn rate(&self) -> u64 {
        self.window.rate()
    }

    /// Follows the rate; called a few times per second.
    pub(super) fn tick(&mut self, now: Instant) {
        if self.outstanding == 0 && !self.window.has_news() {
            // Idle, not slow.
            self.window.paused(now);
            return;
        }
        self.window.follow(now);
    }

    /// Keeps the claims of this link's pieces to their memory if whole blocks have arrived, or if our own limit holds the
    /// link up. Called a few times per second.
    pub(super) fn note_progress(&mut self, held_up: bool) {
        if std::mem::take(&mut self.progressed) || held_up {
            self.active.iter().for_each(|active| active.piece.moved());
        }
    }

    /// Whether a request is outstanding.
    pub(super) fn is_open(&self) -> bool {
        self.outstanding > 0
    }

    /// Whether there is a rate to follow.
    pub(super) fn is_busy(&self) -> bool {
        self.outstanding + self.waiting > 0 || self.window.has_news()
    }

    /// Bytes of further pieces this link can take, once each time that it runs low.
    pub(super) fn capacity(&mut self) -> Option<usize> {
        let held = self.outstanding + self.waiting;
        if self.choked || self.asked || held >= self.window.bytes() {
            return None;
        }
        self.asked = true;
        Some(self.window.bytes() - held)
    }

    /// The swarm assigned pieces.
    pub(super) fn answered(&mut self) {
        self.asked = false;
    }

    pub(super) fn add(&mut self, piece: PieceBuf) {
        let asked = vec![false; piece.blocks()];
        self.waiting += missing(&piece);
        self.active.push_back(Active { piece, asked, next: 0 });
    }

    /// Requests blocks until the window is full. Returns whether any was requested.
    pub(super) fn fill(&mut self, out: &mut BytesMut) -> bool {
        let window = self.window.bytes().min(self.accepted);
        // In groups: a request for every block received would be a packet for every block.
        if self.choked || self.waiting == 0 || self.outstanding + window / 8 > window {
            return false;
        }
        if self.outstanding == 0 {
            let now = Instant::now();
            self.window.paused(now);
            self.probe = Some(now);
        }
        let before = self.outstanding;
        for active in &mut self.active {
            while self.outstanding < window
                && let Some(block) = active.take_next()
            {
                self.outstanding += block.len as usize;
                self.waiting -= block.len as usize;
                framing::put_block(out, framing::REQUEST, block);
            }
        }
        self.outstanding > before
    }

    /// A slice of a block came. `Some`: with it, its piece is complete.
    pub(super) fn data(&mut self, block: Block, at: usize, data: &[u8]) -> Result<Option<PieceBuf>, CloseReason> {
        self.window.received(data.len());
        self.heard += data.len() as u64;
        let number = block.begin as usize / BLOCK;
        let found =
            self.active.iter().position(|active| active.piece.index == block.piece && active.expects(block, number));
        // The rest of a block whose piece was given up meanwhile must not pass for a whole one, even if it has been
        // requested again.
        let begun = at == 0 || self.current == Some((block, at));
        self.current = None;
        let Some((position, active)) = found.filter(|_| begun).and_then(|at| Some((at, self.active.get_mut(at)?)))
        else {
            return self.unasked(data.len());
        };
        if let Some(asked) = self.probe.take() {
            self.window.answered(asked.elapsed());
        }
        self.received += data.len() as u64;
        active.piece.put(block.begin as usize + at, data);
        if at + data.len() < block.len as usize {
            self.current = Some((block, at + data.len()));
            return Ok(None);
        }
        active.piece.mark(number, self.tag);
        self.progressed = true;
        self.outstanding -= block.len as usize;
        Ok(if active.piece.is_full() { self.active.remove(position).map(|active| active.piece) } else { None })
    }

    fn unasked(&mut self, bytes: usize) -> Result<Option<PieceBuf>, CloseReason> {
        match self.forgiven.checked_sub(bytes) {
            Some(left) => {
                self.forgiven = left;
                Ok(None)
            }
            None => Err(CloseReason::Protocol("it sent data that was not requested")),
        }
    }

    /// The other side drops our requests (BEP 3): unfinished pieces go to other links.
    pub(super) fn choke(&mut self) -> Vec<PieceBuf> {
        self.choked = true;
        self.asked = false;
        self.forgive(self.outstanding);
        self.give_up_all()
    }

    pub(super) fn is_choked(&self) -> bool {
        self.choked
    }

    pub(super) fn unchoke(&mut self) {
        self.choked = false;
    }

    /// Gives up an unfinished piece; `None`: it is not here any more.
    pub(super) fn give_up(&mut self, index: u32, out: &mut BytesMut) -> Option<PieceBuf> {
        let at = self.active.iter().position(|active| active.piece.index == index)?;
        self.current = self.current.filter(|(block, _)| block.piece != index);
        let active = self.active.remove(at)?;
        let mut open = 0;
        for (number, asked) in active.asked.iter().enumerate() {
            if *asked && !active.piece.has_block(number) {
                open += active.piece.block_len(number);
                framing::put_block(out, framing::CANCEL, active.block(number));
            }
        }
        self.outstanding -= open;
        self.waiting -= missing(&active.piece) - open;
        self.forgive(open);
        Some(active.piece)
    }

    /// Gives up all unfinished pieces.
    pub(super) fn give_up_all(&mut self) -> Vec<PieceBuf> {
        self.outstanding = 0;
        self.waiting = 0;
        self.current = None;
        self.active.drain(..).map(|active| active.piece).collect()
    }

    /// Cancelled blocks may still be under way.
    fn forgive(&mut self, bytes: usize) {
        self.forgiven = (self.forgiven + bytes).min(MAX_UNASKED + 2 * window::MAX);
    }
}

fn missing(piece: &PieceBuf) -> usize {
    (0..piece.blocks()).filter(|number| !piece.has_block(*number)).map(|number| piece.block_len(number)).sum()
}

impl Active {
    fn block(&self, number: usize) -> Block {
        Block { piece: self.piece.index, begin: (number * BLOCK) as u32, len: self.piece.block_len(number) as u32 }
    }

    fn take_next(&mut self) -> Option<Block> {
        while self.next < self.piece.blocks() {
            let number = self.next;
            self.next += 1;
            if let Some(asked @ false) = self.asked.get_mut(number)
                && !self.piece.has_block(number)
            {
                *asked = true;
                return Some(self.block(number));
            }
        }
        None
    }

    fn expects(&self, block: Block, number: usize) -> bool {
        self.asked.get(number).copied().unwrap_or(false) && !self.piece.has_block(number) && block == self.block(number)
    }
}

#[cfg(test)]
mod tests;
