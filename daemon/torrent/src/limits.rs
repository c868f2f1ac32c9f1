//! The limits that hold for a link together: the engine's, its group's and its content's.
//!
//! Fair between contents: the slice a link moves under a common limit is divided by the number of active links of its
//! content and weighted by the content's priority. As waiting links are served in turn, each content gets its share,
//! however many links it has.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};

use crate::limit::{Limiter, Ticket};

/// A content's share of a contended limit: each step is four times the one below.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Priority {
    /// A quarter of a normal share.
    Low,
    /// An equal share.
    #[default]
    Normal,
    /// Four times a normal share.
    High,
}

impl Priority {
    /// In quarters.
    fn weight(self) -> u64 {
        match self {
            Self::Low => 1,
            Self::Normal => 4,
            Self::High => 16,
        }
    }
}

/// A limit for each direction.
pub(crate) struct Pair {
    pub(crate) up: Limiter,
    pub(crate) down: Limiter,
}

impl Pair {
    pub(crate) fn new(up: u64, down: u64) -> Self {
        Self { up: Limiter::new(up), down: Limiter::new(down) }
    }

    pub(crate) fn set(&self, up: u64, down: u64) {
        self.up.set(up);
        self.down.set(down);
    }

    pub(crate) fn is_set(&self) -> bool {
        self.up.is_set() || self.down.is_set()
    }

    fn of(&self, direction: Direction) -> &Limiter {
        match direction {
            Direction::Up => &self.up,
            Direction::Down => &self.down,
        }
    }
}

/// A content's own limits and its share of the common ones.
pub(crate) struct ContentLimits {
    pub(crate) own: Pair,
    weight: AtomicU64,
    /// Active links, up and down.
    moving: [AtomicUsize; 2],
}

impl Default for ContentLimits {
    fn default() -> Self {
        let weight = AtomicU64::new(Priority::Normal.weight());
        Self { own: Pair::new(0, 0), weight, moving: Default::default() }
    }
}

impl ContentLimits {
    pub(crate) fn set_priority(&self, priority: Priority) {
        self.weight.store(priority.weight(), Ordering::Relaxed);
    }
}

/// A direction.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Direction {
    Up,
    Down,
}

/// Everything that limits one link.
#[derive(Clone)]
pub(crate) struct LinkLimits {
    pub(crate) engine: Arc<Pair>,
    pub(crate) group: Option<Arc<Pair>>,
    pub(crate) content: Arc<ContentLimits>,
}

impl LinkLimits {
    pub(crate) fn direction(&self, direction: Direction) -> Limits {
        Limits { link: self.clone(), direction, moving: false }
    }
}

/// What limits one link in one direction.
pub(crate) struct Limits {
    link: LinkLimits,
    direction: Direction,
    moving: bool,
}

/// Tickets to wait for.
#[derive(Clone, Copy, Default)]
pub(crate) struct Owed {
    engine: Option<Ticket>,
    group: Option<Ticket>,
    content: Option<Ticket>,
}

impl Owed {
    pub(crate) fn is_nothing(&self) -> bool {
        self.engine.is_none() && self.group.is_none() && self.content.is_none()
    }
}

impl Limits {
    /// How much to move before paying again; `None`: no limit.
    pub(crate) fn slice(&self) -> Option<usize> {
        let (engine, group, content) = self.limiters();
        let shared = [engine.slice(), group.and_then(Limiter::slice)].into_iter().flatten().min();
        let part = shared.map(|slice| {
            let links = self.count().load(Ordering::Relaxed).max(1) as u64;
            (slice * self.link.content.weight.load(Ordering::Relaxed) / 4 / links).max(1)
        });
        part.into_iter().chain(content.slice()).min().map(|slice| slice as usize)
    }

    /// Notes that `bytes` moved or are about to.
    pub(crate) fn charge(&self, bytes: usize) -> Owed {
        let (engine, group, content) = self.limiters();
        Owed {
            engine: engine.charge(bytes),
            group: group.and_then(|group| group.charge(bytes)),
            content: content.charge(bytes),
        }
    }

    /// Waits until nothing of it is owed. Cancel-safe.
    pub(crate) async fn settled(&self, owed: Owed) {
        let (engine, group, content) = self.limiters();
        if let Some(ticket) = owed.engine {
            engine.settled(ticket).await;
        }
        if let (Some(group), Some(ticket)) = (group, owed.group) {
            group.settled(ticket).await;
        }
        if let Some(ticket) = owed.content {
            content.settled(ticket).await;
        }
    }

    /// Whether the link is active, and so has a share.
    pub(crate) fn moves(&mut self, moving: bool) {
        if self.moving != moving {
            self.moving = moving;
            match moving {
                true => self.count().fetch_add(1, Ordering::Relaxed),
                false => self.count().fetch_sub(1, Ordering::Relaxed),
            };
        }
    }

    fn limiters(&self) -> (&Limiter, Option<&Limiter>, &Limiter) {
        let LinkLimits { engine, group, content } = &self.link;
        (
            engine.of(self.direction),
            group.as_ref().map(|group| group.of(self.direction)),
            content.own.of(self.direction),
        )
    }

    fn count(&self) -> &AtomicUsize {
        let [up, down] = &self.link.content.moving;
        match self.direction {
            Direction::Up => up,
            Direction::Down => down,
        }
    }
}

impl Drop for Limits {
    fn drop(&mut self) {
        self.moves(false);
    }
}
