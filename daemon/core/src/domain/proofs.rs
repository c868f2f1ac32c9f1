//! Which key each device has proved, and the epochs and numbers that keep requests fresh.
//!
//! A device proves its key to us by answering our `hello`, and we prove ours by answering its own. Both is void when it
//! goes offline, and after a fresh login of ours. Nothing of it outlives the daemon.

use std::collections::{BTreeMap, VecDeque};

use crate::ids::{BareJid, Fingerprint, FullJid};
use crate::limits::DEVICES_PER_CONTACT;
use crate::signal::{Epoch, Stamp};

/// What a device answered to our `hello`.
#[derive(Debug)]
struct Theirs {
    key: Fingerprint,
    epoch: Epoch,
    /// Of the last request of ours in this epoch.
    number: u64,
}

/// An epoch that we gave to a device for its requests.
#[derive(Clone, Copy, Debug)]
struct Given {
    /// The key that asked for it.
    key: Fingerprint,
    /// With what it asked.
    challenge: Epoch,
    epoch: Epoch,
    /// The highest number seen.
    highest: u64,
    /// Bit n: the number that is n below the highest has been seen.
    seen: u64,
}

impl Given {
    /// Whether the number is new: it counts from now on if so. What is far below the highest counts as seen.
    fn admit(&mut self, number: u64) -> bool {
        let Some(ahead) = number.checked_sub(self.highest) else {
            let bit =
                u32::try_from(self.highest - number).ok().and_then(|behind| 1u64.checked_shl(behind)).unwrap_or(0);
            let new = bit != 0 && number > 0 && self.seen & bit == 0;
            self.seen |= bit;
            return new;
        };
        if ahead == 0 {
            return false;
        }
        self.seen = u32::try_from(ahead).ok().and_then(|ahead| self.seen.checked_shl(ahead)).unwrap_or(0) | 1;
        self.highest = number;
        true
    }
}

/// One device.
#[derive(Debug, Default)]
struct Proof {
    theirs: Option<Theirs>,
    /// The epoch in use, and the one before: what is under way when a device asks for another one still counts.
    given: [Option<Given>; 2],
    /// The last ones that were asked for, at most [`PENDING`]. One takes the first place above with the first request that
    /// is stamped with it, so a `hello` that somebody sends again disturbs nothing: nobody uses what it is answered with.
    pending: VecDeque<Given>,
}

impl Proof {
    fn all(&self) -> impl Iterator<Item = &Given> {
        self.given.iter().flatten().chain(&self.pending)
    }
}

/// A `hello` may be doubled or answered late, and somebody on the way may send old ones again.
const PENDING: usize = 4;

/// See the module.
#[derive(Debug, Default)]
pub(super) struct Proofs(BTreeMap<FullJid, Proof>);

impl Proofs {
    /// The key that the device has proved since it came online.
    pub(super) fn key_of(&self, device: &FullJid) -> Option<Fingerprint> {
        self.0.get(device)?.theirs.as_ref().map(|theirs| theirs.key)
    }

    /// Where a device of the contact is that has proved this key.
    pub(super) fn device_with(&self, contact: &BareJid, key: Fingerprint) -> Option<&FullJid> {
        let first = FullJid::new(contact.clone(), "");
        let mut all = self.0.range(first..).take_while(|(device, _)| device.bare == *contact);
        all.find(|(_, proof)| proof.theirs.as_ref().is_some_and(|theirs| theirs.key == key)).map(|(device, _)| device)
    }

    /// The device has answered our `hello`. Returns whether it had proved another key before, or none.
    pub(super) fn proved(&mut self, device: &FullJid, key: Fingerprint, epoch: Epoch) -> bool {
        let proof = self.0.entry(device.clone()).or_default();
        let before = proof.theirs.replace(Theirs { key, epoch, number: 0 });
        before.is_none_or(|theirs| theirs.key != key)
    }

    /// The device does not know the epoch any more, or another key speaks from there: it is to prove its key again.
    pub(super) fn doubt(&mut self, device: &FullJid) {
        if let Some(proof) = self.0.get_mut(device) {
            proof.theirs = None;
        }
    }

    /// The stamp of the next request to a device that has proved its key.
    pub(super) fn stamp(&mut self, device: &FullJid) -> Option<Stamp> {
        let theirs = self.0.get_mut(device)?.theirs.as_mut()?;
        theirs.number += 1;
        Some(Stamp { epoch: theirs.epoch, number: theirs.number })
    }

    /// A device says `hello`, signed with this key: gives it an epoch, `new` unless this `hello` was answered before. At most
    /// [`DEVICES_PER_CONTACT`] devices of a contact have one.
    pub(super) fn give(&mut self, device: &FullJid, key: Fingerprint, challenge: Epoch, new: Epoch) -> Epoch {
        let first = FullJid::new(device.bare.clone(), "");
        let of_contact = || self.0.range(first.clone()..).take_while(|(other, _)| other.bare == device.bare);
        if !self.0.contains_key(device) && of_contact().count() >= DEVICES_PER_CONTACT {
            let unproved = of_contact().find(|(_, proof)| proof.theirs.is_none());
            if let Some(other) = unproved.or_else(|| of_contact().next()).map(|(other, _)| other.clone()) {
                self.0.remove(&other);
            }
        }
        let proof = self.0.entry(device.clone()).or_default();
        let mut all = proof.all();
        if let Some(before) = all.find(|given| given.key == key && given.challenge == challenge) {
            return before.epoch;
        }
        drop(all);
        if proof.pending.len() >= PENDING {
            proof.pending.pop_front();
        }
        proof.pending.push_back(Given { key, challenge, epoch: new, highest: 0, seen: 0 });
        new
    }

    /// Whether a request that this key signed is new. None: the stamp is of no epoch that the device has from us.
    pub(super) fn admit(&mut self, device: &FullJid, key: Fingerprint, stamp: Stamp) -> Option<bool> {
        let proof = self.0.get_mut(device)?;
        let fits = |given: &Given| given.key == key && given.epoch == stamp.epoch;
        if let Some(at) = proof.pending.iter().position(fits) {
            let [last, _] = proof.given;
            proof.given = [proof.pending.remove(at), last];
        }
        let given = proof.given.iter_mut().flatten().find(|given| fits(given))?;
        Some(given.admit(stamp.number))
    }

    /// Whether requests of this key, in this epoch, count.
    #[cfg(test)]
    pub(super) fn knows(&self, device: &FullJid, key: Fingerprint, epoch: Epoch) -> bool {
        self.0.get(device).is_some_and(|proof| proof.all().any(|given| given.key == key && given.epoch == epoch))
    }

    /// The device has gone.
    pub(super) fn left(&mut self, device: &FullJid) {
        self.0.remove(device);
    }

    pub(super) fn clear(&mut self) {
        self.0.clear();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn given() -> Given {
        Given { key: Fingerprint([1; 32]), challenge: Epoch([0; 16]), epoch: Epoch([1; 16]), highest: 0, seen: 0 }
    }

    #[test]
    fn each_number_counts_once_in_any_order_within_a_window() {
        let mut given = given();
        assert!(!given.admit(0), "a `hello` has it");
        let order = [3, 1, 2, 200, 137, 138, 199, 201, u64::MAX, u64::MAX - 63];
        for number in order {
            assert!(given.admit(number), "{number}");
            assert!(number != 137 || !given.admit(136), "too far behind");
        }
        for number in (0..=300).chain(order) {
            assert!(!given.admit(number), "{number}");
        }
    }

    #[test]
    fn an_epoch_is_of_one_device_and_one_key_and_a_hello_said_again_disturbs_nothing() {
        let mut proofs = Proofs::default();
        let device = |name: &str| FullJid::new(BareJid::from_normalised(name), "r");
        let (alice, bob, key, other) = (device("a"), device("b"), Fingerprint([1; 32]), Fingerprint([2; 32]));
        let stamp = |epoch, number| Stamp { epoch: Epoch([epoch; 16]), number };
        let give = |proofs: &mut Proofs, n| proofs.give(&alice, key, Epoch([100 + n; 16]), Epoch([n; 16]));
        give(&mut proofs, 1);
        assert_eq!(proofs.admit(&alice, other, stamp(1, 1)), None);
        assert_eq!(proofs.admit(&bob, key, stamp(1, 1)), None);
        assert_eq!(proofs.admit(&alice, key, stamp(9, 1)), None);
        assert_eq!(proofs.admit(&alice, key, stamp(1, 1)), Some(true));
        for epoch in 2..20 {
            give(&mut proofs, epoch); // again and again, and nobody heard the answers
            assert_eq!(proofs.admit(&alice, key, stamp(1, u64::from(epoch))), Some(true));
        }
        assert_eq!(proofs.admit(&alice, key, stamp(19, 1)), Some(true));
        assert_eq!(proofs.admit(&alice, key, stamp(1, 30)), Some(true), "it was under way");
        assert_eq!(proofs.admit(&alice, key, stamp(1, 2)), Some(false));
        assert_eq!(proofs.admit(&alice, key, stamp(12, 1)), None);
        for n in [1, 18, 19] {
            let again = proofs.give(&alice, key, Epoch([100 + n; 16]), Epoch([99; 16]));
            assert_eq!(again, Epoch([n; 16]), "the same answer to the same `hello`");
        }
        proofs.left(&alice);
        assert_eq!(proofs.admit(&alice, key, stamp(19, 2)), None);
    }
}
