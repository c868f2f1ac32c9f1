#![allow(clippy::unwrap_used, clippy::panic)]

use super::*;

const MIB: usize = 1 << 20;

fn by(owner: u64, content: u64) -> Claimant {
    Claimant { owner: Group(owner), content: ContentKey(content) }
}

/// The budget without its memory.
#[derive(Default)]
struct Played {
    claims: Claims,
    used: usize,
    held: HashMap<u64, Vec<(u64, usize, Arc<Progress>)>>,
}

impl Played {
    fn take(&mut self, who: Claimant, len: usize, now: u64) -> bool {
        let fits =
            self.claims.reserved(who, now).is_some_and(|reserved| self.used + len + reserved <= super::super::LIMIT);
        if fits || self.used == 0 {
            let (id, progress) = self.claims.granted(who, 0, len, now);
            self.used += len;
            self.held.entry(who.content.0).or_default().push((id, len, progress));
            return true;
        }
        self.claims.waits(who, len, now);
        false
    }

    /// As much as it can get.
    fn fill(&mut self, who: Claimant, len: usize, now: u64) {
        while self.take(who, len, now) {}
        self.claims.waits_no_more(who.content);
    }

    fn held(&self, content: u64) -> usize {
        self.held.get(&content).map_or(0, |held| held.iter().map(|(_, len, _)| len).sum())
    }

    fn moved(&self, content: u64, now: u64, filled: usize) {
        self.held[&content].iter().for_each(|(_, _, progress)| progress.moved(now, filled));
    }

    /// What `content` waits for is asked for; others obey.
    fn reclaim(&mut self, content: u64, now: u64) {
        self.claims.revoke_for(ContentKey(content), super::super::LIMIT - self.used, now);
        for held in self.held.values_mut() {
            for (id, len, _) in held.extract_if(.., |(_, _, progress)| progress.is_revoked()) {
                self.claims.ended(id);
                self.used -= len;
            }
        }
    }
}

#[test]
fn who_is_alone_may_have_everything() {
    let mut played = Played::default();
    played.fill(by(1, 1), 4 * MIB, 0);
    assert_eq!(played.held(1), 32 * MIB);
}

#[test]
fn a_stalled_claim_goes_to_who_waits_and_does_not_come_back_at_once() {
    let mut played = Played::default();
    played.fill(by(1, 1), 16 * MIB, 0);
    assert!(!played.take(by(2, 2), MIB, 0));
    played.reclaim(2, STALL - 1);
    assert_eq!(played.held(1), 16 * MIB, "beyond its share");
    played.reclaim(2, STALL);
    assert!(played.take(by(2, 2), MIB, STALL));
    played.claims.waits_no_more(ContentKey(2));
    assert!(!played.take(by(1, 1), 16 * MIB, STALL + PENALTY.0 - 1), "not while others hold some");
    assert!(played.take(by(1, 1), MIB, STALL + PENALTY.0));
}

#[test]
fn nothing_is_taken_back_while_nobody_waits_or_what_is_free_suffices() {
    let mut played = Played::default();
    assert!(played.take(by(1, 1), 16 * MIB, 0));
    assert!(!played.claims.revoke_for(ContentKey(1), 0, 100_000));
    played.claims.waits(by(2, 2), MIB, 0);
    played.reclaim(2, 100_000);
    assert_eq!(played.held(1), 16 * MIB);
}

#[test]
fn what_drips_loses_what_is_beyond_its_share_the_slowest_first() {
    let mut played = Played::default();
    assert!(played.take(by(1, 1), 16 * MIB, 0) && played.take(by(1, 2), 16 * MIB, 0));
    assert!(!played.take(by(2, 3), 256 << 10, 0));
    played.moved(1, 3_000, 2 * MIB);
    played.moved(2, 3_000, MIB);
    played.reclaim(3, PATIENCE);
    assert_eq!((played.held(1), played.held(2)), (16 * MIB, 0));
    played.fill(by(2, 3), 256 << 10, PATIENCE);
    assert_eq!(played.held(3), 16 * MIB, "a share");
    assert!(!played.take(by(2, 3), 256 << 10, PATIENCE));
    played.moved(1, 9_000, 3 * MIB);
    played.reclaim(3, 9_000);
    assert_eq!(played.held(1), 16 * MIB, "what is within a share stays while it makes progress");
}

#[test]
fn contents_of_one_owner_do_not_starve_each_other() {
    let mut played = Played::default();
    played.fill(by(1, 1), 4 * MIB, 0);
    assert!(!played.take(by(1, 2), 4 * MIB, 0));
    played.moved(1, PATIENCE, MIB);
    played.reclaim(2, PATIENCE);
    assert!(played.take(by(1, 2), 4 * MIB, PATIENCE));
}

#[test]
fn a_buffer_that_comes_back_goes_to_who_waits_within_its_share() {
    let mut played = Played::default();
    played.fill(by(1, 1), 4 * MIB, 0);
    assert!(!played.take(by(2, 2), 4 * MIB, 1));
    let (id, len, _) = played.held.get_mut(&1).unwrap().pop().unwrap();
    played.claims.ended(id);
    played.used -= len;
    assert!(!played.take(by(1, 1), 4 * MIB, 2));
    assert!(played.take(by(2, 2), 4 * MIB, 3));
}

#[test]
fn many_contents_of_one_owner_get_no_more_than_one() {
    let mut played = Played::default();
    (1..=8).for_each(|content| played.fill(by(1, content), 4 * MIB, 0));
    assert!(!played.take(by(2, 9), 4 * MIB, 0));
    (1..=7).for_each(|content| played.claims.waits(by(1, content), 4 * MIB, 0));
    played.moved(1, PATIENCE, MIB);
    for now in [PATIENCE, PATIENCE + 1, PATIENCE + 2, PATIENCE + 3] {
        played.reclaim(9, now);
        assert!(played.take(by(2, 9), 4 * MIB, now));
        assert!(!played.take(by(2, 9), 4 * MIB, now) || now > PATIENCE);
    }
    assert!(played.held(9) >= 16 * MIB);
}

#[test]
fn what_is_complete_is_not_taken_back() {
    let mut played = Played::default();
    played.fill(by(1, 1), 16 * MIB, 0);
    played.held[&1].iter().for_each(|(_, _, progress)| progress.complete());
    assert!(!played.take(by(2, 2), MIB, 0));
    played.reclaim(2, 100_000);
    assert_eq!(played.held(1), 32 * MIB);
}

#[test]
fn a_penalty_doubles_until_a_piece_verifies() {
    let mut claims = Claims::default();
    let mut now = 0;
    let lose = |claims: &mut Claims, now: u64| {
        let (id, _) = claims.granted(by(1, 1), 0, MIB, now);
        claims.waits(by(2, 2), MIB, now);
        assert!(claims.revoke_for(ContentKey(2), 0, now + STALL));
        claims.ended(id);
        claims.waits_no_more(ContentKey(2));
    };
    lose(&mut claims, now);
    now += STALL + PENALTY.0;
    assert!(!claims.is_penalized(ContentKey(1), now));
    lose(&mut claims, now);
    assert!(claims.is_penalized(ContentKey(1), now + STALL + PENALTY.0));
    claims.verified(ContentKey(1));
    assert!(!claims.is_penalized(ContentKey(1), now + STALL));
}
