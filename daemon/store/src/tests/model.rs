//! Any sequence of changes leaves the same rows as in a plain model of them.

use proptest::prelude::*;
use xbt_core::effect::Counters;
use xbt_core::ids::{ContentId, TransferId};

use super::*;

#[derive(Default)]
struct Model {
    transfers: BTreeMap<TransferId, Transfer>,
    tombstones: Vec<Tombstone>,
    contents: BTreeMap<ContentId, Content>,
    deletions: BTreeMap<ContentId, Deletion>,
    contacts: BTreeMap<BareJid, Contact>,
    devices: BTreeMap<Fingerprint, Device>,
    logins: BTreeMap<BareJid, Login>,
    counters: Counters,
}

impl Model {
    fn apply(&mut self, change: &Persist) {
        match change.clone() {
            Persist::Transfer(transfer) => drop(self.transfers.insert(transfer.id, *transfer)),
            Persist::RemoveTransfer(id) => drop(self.transfers.remove(&id)),
            Persist::Tombstone(new) => {
                self.tombstones.retain(|old| (old.offer, old.direction) != (new.offer, new.direction));
                self.tombstones.push(new);
            }
            Persist::PruneTombstones(keep) => drop(self.tombstones.drain(..self.tombstones.len().saturating_sub(keep))),
            Persist::Content(content) => drop(self.contents.insert(content.id, content)),
            Persist::RemoveContent(id) => drop(self.contents.remove(&id)),
            Persist::Delete(new) => drop(self.deletions.entry(new.content).or_insert(new)),
            Persist::Deleted(id) => drop(self.deletions.remove(&id)),
            Persist::Contact(contact) => drop(self.contacts.insert(contact.jid.clone(), contact)),
            Persist::Device(device) => drop(self.devices.insert(device.fingerprint, device)),
            Persist::Login(login) => drop(self.logins.insert(login.account.clone(), login)),
            Persist::Counters(Counters { transfer, content }) => {
                self.counters.transfer = self.counters.transfer.max(transfer);
                self.counters.content = self.counters.content.max(content);
            }
        }
    }

    fn rows(self) -> Rows {
        Rows {
            transfers: self.transfers.into_values().collect(),
            tombstones: self.tombstones,
            contents: self.contents.into_values().collect(),
            deletions: self.deletions.into_values().collect(),
            contacts: self.contacts.into_values().collect(),
            devices: self.devices.into_values().collect(),
            logins: self.logins.into_values().collect(),
            counters: self.counters,
        }
    }
}

/// Few keys, so that they meet; any text beside them.
fn change() -> impl Strategy<Value = Persist> {
    let id = || 1..6_u64;
    let a_transfer = (id(), ".*", any::<i64>(), any::<Option<u64>>()).prop_map(|(id, name, updated, size)| {
        let facts = size.map(|size| Facts { info_hash: InfoHash([1; 20]), size, files: 1, metadata_size: 2 });
        Persist::Transfer(Box::new(Transfer { name, updated: Wall(updated), facts, ..transfer(id) }))
    });
    let a_tombstone = (id(), any::<bool>(), any::<i64>()).prop_map(|(id, out, at)| {
        let direction = if out { Direction::Out } else { Direction::In };
        Persist::Tombstone(Tombstone { direction, at: Wall(at), ..tombstone(id) })
    });
    prop_oneof![
        a_transfer,
        id().prop_map(|id| Persist::RemoveTransfer(TransferId(id))),
        a_tombstone,
        prop_oneof![0..4_usize, Just(usize::MAX)].prop_map(Persist::PruneTombstones),
        (id(), proptest::collection::vec(".*", 0..3))
            .prop_map(|(id, paths)| Persist::Content(Content { paths, ..content(id) })),
        id().prop_map(|id| Persist::RemoveContent(ContentId(id))),
        (id(), ".*").prop_map(|(id, path)| Persist::Delete(Deletion { path, ..deletion(id) })),
        id().prop_map(|id| Persist::Deleted(ContentId(id))),
        ("[a-c]", any::<Option<String>>(), any::<bool>()).prop_map(|(jid, name, verified)| Persist::Contact(Contact {
            name,
            verified,
            ..contact(&jid)
        })),
        (0..4_u8, ".*").prop_map(|(n, resource)| Persist::Device(Device { resource, ..device(n) })),
        ("[a-c]", 0..7_usize).prop_map(|(account, n)| Persist::Login(login(&account, Mechanism::ALL[n]))),
        (1..99_u64, 1..i64::MAX as u64)
            .prop_map(|(transfer, content)| Persist::Counters(Counters { transfer, content })),
    ]
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 48, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn any_changes_leave_the_same_rows_as_in_the_model(
        batches in proptest::collection::vec(proptest::collection::vec(change(), 0..12), 0..6),
    ) {
        let folder = tempfile::tempdir().unwrap();
        let mut store = Store::open(folder.path()).unwrap();
        let mut model = Model::default();
        for batch in &batches {
            store.commit(batch).unwrap();
            batch.iter().for_each(|change| model.apply(change));
        }
        let rows = model.rows();
        prop_assert_eq!(&store.load().unwrap(), &rows);
        drop(store);
        prop_assert_eq!(load(folder.path()), rows);
    }
}
