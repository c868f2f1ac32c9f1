//! How many dials go on at once.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};

use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use xbt_core::ids::BareJid;

/// Permits for dials. One contact never holds all of them, however many devices and transfers it has: the addresses that
/// it names may swallow every dial until it times out.
pub(crate) struct Permits {
    max_of_contact: usize,
    all: Arc<Semaphore>,
    /// Contacts with dials under way or waiting.
    of_contact: Mutex<HashMap<BareJid, Arc<Semaphore>>>,
}

/// A permit, until dropped.
pub(crate) struct Permit {
    _of_contact: OwnedSemaphorePermit,
    _of_all: OwnedSemaphorePermit,
}

impl Permits {
    /// For all contacts, and for one.
    pub fn new((max, max_of_contact): (usize, usize)) -> Self {
        Self { max_of_contact, all: Arc::new(Semaphore::new(max)), of_contact: Mutex::default() }
    }

    /// Waits for a permit: first for one of the contact, so that its other dials block no other contact. Never none,
    /// because the semaphores are not closed.
    pub async fn acquire(&self, contact: &BareJid) -> Option<Permit> {
        let of_contact = self.of(contact).acquire_owned().await.ok()?;
        let of_all = self.all.clone().acquire_owned().await.ok()?;
        Some(Permit { _of_contact: of_contact, _of_all: of_all })
    }

    fn of(&self, contact: &BareJid) -> Arc<Semaphore> {
        // Nothing panics while the lock is held, so a poisoned map is good.
        let mut map = self.of_contact.lock().unwrap_or_else(PoisonError::into_inner);
        map.retain(|_, semaphore| Arc::strong_count(semaphore) > 1);
        map.entry(contact.clone()).or_insert_with(|| Arc::new(Semaphore::new(self.max_of_contact))).clone()
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use futures::FutureExt;

    use super::*;

    fn jid(name: &str) -> BareJid {
        BareJid::from_normalised(format!("{name}@example.org"))
    }

    #[test]
    fn a_contact_whose_dials_do_not_end_leaves_permits_to_others() {
        let permits = Permits::new((5, 2));
        let mut taken: Vec<Permit> = Vec::new();
        while let Some(permit) = permits.acquire(&jid("mallory")).now_or_never() {
            taken.extend(permit);
        }
        assert_eq!(taken.len(), 2);
        let bobs = permits.acquire(&jid("bob")).now_or_never().flatten();
        assert!(bobs.is_some());
        taken.pop();
        assert!(permits.acquire(&jid("mallory")).now_or_never().is_some());
    }

    #[test]
    fn all_together_are_bounded_and_contacts_without_dials_are_forgotten() {
        let permits = Permits::new((5, 2));
        let taken: Vec<_> =
            (0..20).filter_map(|n| permits.acquire(&jid(&n.to_string())).now_or_never().flatten()).collect();
        assert_eq!(taken.len(), 5);
        drop(taken);
        assert!(permits.acquire(&jid("bob")).now_or_never().is_some());
        assert_eq!(permits.of_contact.lock().unwrap().len(), 1);
    }
}
