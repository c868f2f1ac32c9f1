//! Who holds piece buffers, who waits for one, and which buffers are taken back.
//!
//! Without contention one owner may hold the whole budget. Once a content waits:
//!
//! * The buffer of the content that has waited longest within its share is reserved: buffers that are returned are not
//!   granted to others first. The share of an owner is the budget divided by the number of owners that hold buffers or
//!   wait for one; the share of a content is an equal part of its owner's. A content without buffers is within its share.
//! * A claim for which no whole block has arrived for [`STALL`] is revoked.
//! * If that does not suffice, claims beyond the share of their owner or content are revoked after [`PATIENCE`], those
//!   that fill most slowly first.
//!
//! A content that lost a claim gets no new one for [`PENALTY`], unless no other content holds or wants a buffer. The
//! penalty doubles each time until one of its pieces verifies, so a peer gains nothing by taking and stalling in turn.
//!
//! No I/O; times are in milliseconds.

use std::collections::{BTreeSet, HashMap};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering};

use crate::{ContentKey, Group};

/// A claim without a new whole block for this long, in ms, is stalled.
const STALL: u64 = 5_000;
/// A content waits this long, in ms, before claims beyond a share are taken back, and keeps each at least this long.
const PATIENCE: u64 = 2_000;
/// First and longest time, in ms, for which a content that lost a claim stands back.
const PENALTY: (u64, u64) = (10_000, 320_000);

/// For whom a buffer is: a content and its owner.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Claimant {
    pub(crate) owner: Group,
    pub(crate) content: ContentKey,
}

/// How one claim gets on; shared with its buffer.
#[derive(Debug, Default)]
pub(super) struct Progress {
    /// When a whole block last came, or we ourselves held it up.
    at: AtomicU64,
    /// Bytes of whole blocks.
    filled: AtomicUsize,
    /// To be given back.
    revoked: AtomicBool,
    /// Complete: it is returned once it has been verified and written.
    complete: AtomicBool,
}

impl Progress {
    pub(super) fn moved(&self, now: u64, filled: usize) {
        self.at.store(now, Ordering::Relaxed);
        self.filled.store(filled, Ordering::Relaxed);
    }

    pub(super) fn complete(&self) {
        self.complete.store(true, Ordering::Relaxed);
    }

    pub(super) fn is_revoked(&self) -> bool {
        self.revoked.load(Ordering::Relaxed)
    }
}

struct Claim {
    by: Claimant,
    piece: u32,
    len: usize,
    since: u64,
    progress: Arc<Progress>,
    /// Its content knows that it is revoked.
    told: bool,
}

struct Wait {
    owner: Group,
    len: usize,
    since: u64,
}

#[derive(Default)]
struct Penalty {
    until: u64,
    length: u64,
}

/// Bytes held by one content.
struct Use {
    owner: Group,
    bytes: usize,
    count: usize,
}

#[derive(Default)]
pub(super) struct Claims {
    next: u64,
    claims: HashMap<u64, Claim>,
    uses: HashMap<ContentKey, Use>,
    waiting: HashMap<ContentKey, Wait>,
    penalties: HashMap<ContentKey, Penalty>,
}

impl Claims {
    /// Bytes that a content must leave free for one that takes precedence; `None`: it must wait.
    pub(super) fn reserved(&self, by: Claimant, now: u64) -> Option<usize> {
        let others =
            || self.waiting.iter().filter(|(content, _)| **content != by.content && !self.is_penalized(**content, now));
        if self.is_penalized(by.content, now) {
            let alone = others().next().is_none() && self.uses.keys().all(|content| *content == by.content);
            return alone.then_some(0);
        }
        let ours = self.waiting.get(&by.content).map(|wait| (wait.since, wait.len));
        let first = others()
            .map(|(content, wait)| (Claimant { owner: wait.owner, content: *content }, wait))
            .filter(|(other, wait)| self.is_within_share(*other, wait.len, by))
            .min_by_key(|(_, wait)| wait.since);
        let Some((other, wait)) = first else { return Some(0) };
        let before = ours.is_some_and(|(since, len)| since < wait.since && self.is_within_share(by, len, other));
        Some(if before { 0 } else { wait.len })
    }

    pub(super) fn granted(&mut self, by: Claimant, piece: u32, len: usize, now: u64) -> (u64, Arc<Progress>) {
        let progress = Arc::new(Progress::default());
        progress.moved(now, 0);
        self.next += 1;
        let held = self.uses.entry(by.content).or_insert(Use { owner: by.owner, bytes: 0, count: 0 });
        held.bytes += len;
        held.count += 1;
        self.claims.insert(self.next, Claim { by, piece, len, since: now, progress: progress.clone(), told: false });
        (self.next, progress)
    }

    pub(super) fn ended(&mut self, id: u64) {
        let Some(claim) = self.claims.remove(&id) else { return };
        if let Some(held) = self.uses.get_mut(&claim.by.content) {
            held.bytes -= claim.len;
            held.count -= 1;
            if held.count == 0 {
                self.uses.remove(&claim.by.content);
            }
        }
    }

    /// A content waits for `len` bytes. It keeps its place if it waited before.
    pub(super) fn waits(&mut self, by: Claimant, len: usize, now: u64) {
        let wait = self.waiting.entry(by.content).or_insert(Wait { owner: by.owner, len, since: now });
        wait.len = len;
    }

    pub(super) fn waits_no_more(&mut self, content: ContentKey) {
        self.waiting.remove(&content);
    }

    /// A piece of the content has verified.
    pub(super) fn verified(&mut self, content: ContentKey) {
        self.penalties.remove(&content);
    }

    /// Bytes of all contents of an owner.
    pub(super) fn held_by(&self, owner: Group) -> usize {
        self.uses.values().filter(|held| held.owner == owner).map(|held| held.bytes).sum()
    }

    pub(super) fn forget(&mut self, content: ContentKey) {
        self.waiting.remove(&content);
        self.penalties.remove(&content);
    }

    /// Revokes claims of other contents until a content that waits can have its buffer. `free`: bytes not in use. Returns
    /// whether any was revoked.
    pub(super) fn revoke_for(&mut self, content: ContentKey, free: usize, now: u64) -> bool {
        let Some((owner, len, since)) = self.waiting.get(&content).map(|wait| (wait.owner, wait.len, wait.since))
        else {
            return false;
        };
        if self.is_penalized(content, now) {
            return false;
        }
        let coming: usize =
            self.claims.values().filter(|claim| claim.progress.is_revoked()).map(|claim| claim.len).sum();
        let mut missing = len.saturating_sub(free + coming);
        let before = missing;
        for id in self.stalled(content, now) {
            missing = missing.saturating_sub(self.revoke(id, missing, now));
        }
        if now.saturating_sub(since) >= PATIENCE {
            for id in self.beyond_share(Claimant { owner, content }, len, missing, now) {
                missing = missing.saturating_sub(self.revoke(id, missing, now));
            }
        }
        missing < before
    }

    /// The revoked pieces of a content, each once.
    pub(super) fn revoked(&mut self, content: ContentKey) -> Vec<u32> {
        let revoked = |claim: &&mut Claim| claim.by.content == content && claim.progress.is_revoked() && !claim.told;
        let tell = |claim: &mut Claim| {
            claim.told = true;
            claim.piece
        };
        self.claims.values_mut().filter(revoked).map(tell).collect()
    }

    /// Revokes a claim if bytes are still missing. Returns how many that frees.
    fn revoke(&mut self, id: u64, missing: usize, now: u64) -> usize {
        let Some(claim) = self.claims.get(&id).filter(|_| missing > 0) else { return 0 };
        claim.progress.revoked.store(true, Ordering::Relaxed);
        let penalty = self.penalties.entry(claim.by.content).or_default();
        // Several claims lost at once count once.
        if penalty.until <= now {
            penalty.length = (penalty.length * 2).clamp(PENALTY.0, PENALTY.1);
            penalty.until = now + penalty.length;
        }
        claim.len
    }

    /// The stalled claims of other contents, the longest stalled first.
    fn stalled(&self, content: ContentKey, now: u64) -> Vec<u64> {
        let since = |claim: &Claim| claim.progress.at.load(Ordering::Relaxed);
        let mut stalled: Vec<_> = self
            .revocable(content)
            .map(|(id, claim)| (since(claim), id))
            .filter(|(since, _)| now.saturating_sub(*since) >= STALL)
            .collect();
        stalled.sort_unstable();
        stalled.into_iter().map(|(_, id)| id).collect()
    }

    /// Claims of about `missing` bytes that are beyond a share, the slowest first, as far as `by` is within its own share.
    fn beyond_share(&self, by: Claimant, len: usize, mut missing: usize, now: u64) -> Vec<u64> {
        let pace = |claim: &Claim| {
            let filled = claim.progress.filled.load(Ordering::Relaxed) as u64;
            filled * 1000 / now.saturating_sub(claim.since).max(1)
        };
        let mut slowest: Vec<_> = self
            .revocable(by.content)
            .filter(|(_, claim)| now.saturating_sub(claim.since) >= PATIENCE)
            .map(|(id, claim)| (pace(claim), id, claim))
            .collect();
        slowest.sort_unstable_by_key(|(pace, id, _)| (*pace, *id));
        // By owner; contents of the same owner are told apart.
        let who = |holder: Claimant| (holder.owner, (holder.owner == by.owner).then_some(holder.content));
        let mut excess: HashMap<_, usize> = HashMap::new();
        for (content, held) in &self.uses {
            let holder = Claimant { owner: held.owner, content: *content };
            if self.is_within_share(by, len, holder) {
                let beyond = self.held(holder, by).saturating_sub(self.share(holder, by));
                excess.insert(who(holder), beyond);
            }
        }
        // What has been revoked is about to be returned.
        for claim in self.claims.values().filter(|claim| claim.progress.is_revoked()) {
            excess.entry(who(claim.by)).and_modify(|excess| *excess = excess.saturating_sub(claim.len));
        }
        let mut chosen = Vec::new();
        for (_, id, claim) in slowest {
            let Some(excess) = excess.get_mut(&who(claim.by)).filter(|excess| **excess > 0 && missing > 0) else {
                continue;
            };
            *excess = excess.saturating_sub(claim.len);
            missing = missing.saturating_sub(claim.len);
            chosen.push(id);
        }
        chosen
    }

    /// Claims of other contents that are neither complete nor revoked.
    fn revocable(&self, content: ContentKey) -> impl Iterator<Item = (u64, &Claim)> {
        let here = |progress: &Progress| !progress.is_revoked() && !progress.complete.load(Ordering::Relaxed);
        self.claims
            .iter()
            .filter(move |(_, claim)| claim.by.content != content && here(&claim.progress))
            .map(|(id, claim)| (*id, claim))
    }

    fn is_penalized(&self, content: ContentKey, now: u64) -> bool {
        self.penalties.get(&content).is_some_and(|penalty| now < penalty.until)
    }

    /// Whether `by` may claim `len` bytes more before `other` does: by their owners' shares, or by their own if they have
    /// the same owner.
    fn is_within_share(&self, by: Claimant, len: usize, other: Claimant) -> bool {
        let held = self.held(by, other);
        held == 0 || held + len <= self.share(by, other)
    }

    fn held(&self, by: Claimant, other: Claimant) -> usize {
        if by.owner == other.owner {
            return self.uses.get(&by.content).map_or(0, |held| held.bytes);
        }
        self.held_by(by.owner)
    }

    fn share(&self, by: Claimant, other: Claimant) -> usize {
        let held = self.uses.iter().map(|(content, held)| (held.owner, *content));
        let waiting = self.waiting.iter().map(|(content, wait)| (wait.owner, *content));
        let present: BTreeSet<_> = held.chain(waiting).collect();
        let owners: BTreeSet<_> = present.iter().map(|(owner, _)| owner).collect();
        let share = super::LIMIT / owners.len().max(1);
        if by.owner != other.owner {
            return share;
        }
        share / present.iter().filter(|(owner, _)| *owner == by.owner).count().max(1)
    }
}

#[cfg(test)]
mod tests;
