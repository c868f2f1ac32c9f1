//! What must hold once nothing goes wrong any more.

use std::collections::BTreeMap;

use super::world::{Node, World};
use crate::ids::{BareJid, OfferId, TransferId};
use crate::transfer::{Direction, End, Outgoing, Side, Transfer};

/// One end of a transfer, also when only its tombstone is left.
struct Seat<'a> {
    node: Node,
    row: Option<&'a Transfer>,
    end: Option<End>,
}

impl Seat<'_> {
    fn done(&self) -> bool {
        self.end == Some(End::Done)
    }

    fn held(&self) -> bool {
        self.row.is_some_and(|t| t.paused.by_us)
    }
}

type Ends<'a> = BTreeMap<OfferId, (Vec<Seat<'a>>, Vec<Seat<'a>>)>;

fn ends(world: &World) -> Ends<'_> {
    let mut ends = Ends::new();
    for (place, device) in world.devices.iter().enumerate() {
        let mut seen: BTreeMap<(BareJid, OfferId, Direction), TransferId> = BTreeMap::new();
        for row in device.domain.transfers() {
            assert_eq!(Some(row), device.store.transfers.get(&row.id), "the store has what the rules know");
            let twice = seen.insert((row.contact.clone(), row.offer, row.direction()), row.id);
            assert!(twice.is_none(), "nothing is there twice");
            let both = ends.entry(row.offer).or_default();
            let side = if row.direction() == Direction::Out { &mut both.0 } else { &mut both.1 };
            side.push(Seat { node: Node(place), row: Some(row), end: row.end().cloned() });
        }
        for stone in device.store.tombstones.values() {
            assert!(!seen.contains_key(&(stone.contact.clone(), stone.offer, stone.direction)), "removed twice");
            let both = ends.entry(stone.offer).or_default();
            let side = if stone.direction == Direction::Out { &mut both.0 } else { &mut both.1 };
            side.push(Seat { node: Node(place), row: None, end: Some(stone.end.clone()) });
        }
    }
    ends
}

pub fn check(world: &World) {
    for (offer, (senders, receivers)) in ends(world) {
        assert_eq!(senders.len(), 1, "{offer} has one sender");
        let sender = &senders[0];
        let done = receivers.iter().filter(|r| r.done()).count();
        assert!(done <= 1, "{offer} was done twice");
        if sender.done() {
            assert_eq!(done, 1, "{offer} is done at the sender only");
        }
        // What the person there has taken off the list says nothing any more.
        if done == 1 && sender.row.is_some() {
            assert!(sender.done(), "{offer}: the sender does not know that it is done: {:#?}", sender.row);
        }
        for receiver in &receivers {
            pair(world, sender, receiver);
        }
        alone(world, sender, &receivers);
    }
    for device in &world.devices {
        for content in device.engine.complete.values() {
            assert!(*content >= 1);
        }
        assert!(device.domain.live_is_bounded(), "what only lives in memory is bounded");
        let ended = device.domain.transfers().filter(|t| t.end().is_some());
        assert!(device.domain.ended().eq(ended), "what has ended is found without a look at the rest");
    }
    let open = |(node, id): (Node, TransferId)| world.at(node).domain.transfer(id).is_some_and(Transfer::linked);
    assert!(world.links.values().all(|l| l.ends.iter().all(|end| open((end.0, end.1)))), "a link nobody needs");
}

/// A sender and one receiving device.
fn pair(world: &World, sender: &Seat<'_>, receiver: &Seat<'_>) {
    let say = || format!("sender {:#?}\nreceiver {:#?} at {:?}", sender.row, receiver.row, receiver.node);
    if receiver.done() {
        let path = match receiver.row.map(|t| &t.side) {
            Some(Side::In { path, .. }) => path.is_some(),
            Some(Side::Out { .. }) | None => true,
        };
        assert!(path, "done without a file");
    }
    let Some(row) = receiver.row.filter(|_| receiver.end.is_none()) else {
        if let (Some(out), None) = (sender.row, &sender.end)
            && let Some(peer) = out.peer()
        {
            let ended = world.at(receiver.node).settings.resource == peer.resource;
            assert!(!ended, "the receiver has ended it, the sender waits\n{}", say());
        }
        return;
    };
    assert!(sender.end.is_none(), "the sender has ended it, the receiver waits\n{}", say());
    let out = sender.row.unwrap();
    match row.state_name() {
        "offered" => assert!(out.peer().is_none(), "it is taken, and still on offer here\n{}", say()),
        "connecting" => {
            assert!(sender.held() || receiver.held(), "it does not go on\n{}", say());
            let told = |here: &Transfer, there: &Seat<'_>| here.paused.by_us || here.paused.by_contact == there.held();
            assert!(told(row, sender), "the receiver does not see the pause\n{}", say());
            if out.peer().is_some() {
                assert!(told(out, receiver), "the sender does not see the pause\n{}", say());
            }
        }
        _ => panic!("it should have ended\n{}", say()),
    }
}

/// The sender's side, with what the receivers think.
fn alone(world: &World, sender: &Seat<'_>, receivers: &[Seat<'_>]) {
    let Some(out) = sender.row.filter(|_| sender.end.is_none()) else { return };
    let Side::Out { state, acknowledged, taken_by, .. } = &out.side else { panic!("a sender sends") };
    let there = world.devices.iter().enumerate();
    let there = there.filter(|(i, d)| d.settings.account == out.contact && Node(*i) != sender.node).count();
    let say = || format!("{out:#?}\n{:#?}", receivers.iter().map(|r| r.row).collect::<Vec<_>>());
    match state {
        Outgoing::Queued if out.paused.by_us => {}
        Outgoing::Queued if taken_by.is_some() => {
            assert!(receivers.iter().any(Seat::held), "its turn has come\n{}", say());
        }
        Outgoing::Queued => assert_eq!(there, 0, "somebody is there to whom it can be offered\n{}", say()),
        Outgoing::Offered => {
            assert!(taken_by.is_none());
            if !out.paused.by_us {
                assert_eq!(acknowledged.len(), there, "all devices have it\n{}", say());
            }
            let open = receivers.iter().filter(|r| r.end.is_none()).count();
            assert!(open > 0 || out.paused.by_us, "nobody is left who could answer\n{}", say());
        }
        Outgoing::Connecting => {
            let held = sender.held() || receivers.iter().any(Seat::held);
            assert!(held, "it does not go on\n{}", say());
        }
        Outgoing::Preparing if out.paused.by_us => {}
        Outgoing::Preparing | Outgoing::Sending | Outgoing::Ended(_) => panic!("it should have ended\n{}", say()),
    }
}
