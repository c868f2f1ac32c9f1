//! The bounds of what waits: links, orders and news.

use std::sync::Arc;

use tokio::time::Instant;

use super::*;
use crate::choose::mailbox::{Mailbox, Order};
use crate::choose::parking::Parking;
use crate::choose::pending::Outbox;
use crate::choose::room::{Link, LinkInfo};
use crate::event::{Refusal, reason};
use crate::ways::target::way_from;

fn link(peer: u8, remote: &str) -> Link {
    let remote: SocketAddr = remote.parse().unwrap();
    let peer = Fingerprint([peer; 32]);
    let info = LinkInfo { peer, way: way_from(remote.ip(), None), remote: Some(remote), dialled: None };
    Link { info, stream: Box::new(tokio::io::duplex(1).0) }
}

fn admit(parking: &mut Parking, link: Link) -> Option<SocketAddr> {
    let now = Instant::now();
    let wanted = Fingerprint([0; 32]);
    parking.admit(link, |peer| peer == wanted, now, now + PATIENCE).and_then(|gone| gone.remote)
}

#[test]
fn eight_links_of_a_wanted_device_are_kept_and_a_better_way_takes_the_place_of_a_worse_one() {
    let mut parking = Parking::default();
    for port in 1..=8 {
        assert_eq!(admit(&mut parking, link(0, &format!("192.0.2.1:{port}"))), None);
    }
    let ninth = "192.0.2.1:9".parse().unwrap();
    assert_eq!(admit(&mut parking, link(0, "192.0.2.1:9")), Some(ninth));
    assert!(admit(&mut parking, link(0, "[2001:db8::1]:1")).is_some_and(|gone| gone.is_ipv4()));
    assert_eq!(parking.of_peer(Fingerprint([0; 32])).count(), 8);
}

#[test]
fn unknown_devices_hold_32_links_in_all_and_never_one_of_a_wanted_device() {
    let mut parking = Parking::default();
    for port in 1..=8 {
        admit(&mut parking, link(0, &format!("192.0.2.1:{port}")));
    }
    for n in 1..=100 {
        let gone = admit(&mut parking, link(1, &format!("198.51.100.{n}:1")));
        let expected = (n > 32).then(|| format!("198.51.100.{}:1", n - 32).parse().unwrap());
        assert_eq!(gone, expected);
    }
    assert_eq!(parking.iter().count(), 40);
}

#[test]
fn an_order_replaces_the_one_before_it_and_none_is_lost() {
    let mailbox = Arc::new(Mailbox::default());
    let want = |transfer| want_of(TransferId(transfer), Fingerprint([0; 32]), HOLIDAY, Vec::new());
    for transfer in 0..1000 {
        mailbox.post(TransferId(transfer).into(), Order::Want(Box::new(want(transfer))));
        mailbox.post(TransferId(transfer).into(), Order::Unwant);
    }
    mailbox.post(TransferId(7).into(), Order::Want(Box::new(want(7))));
    let orders = mailbox.take();
    assert_eq!(orders.len(), 1000);
    assert!(
        matches!(orders[&TransferId(7).into()], Order::Want(_))
            && matches!(orders[&TransferId(8).into()], Order::Unwant)
    );
    mailbox.close();
    mailbox.post(TransferId(7).into(), Order::Unwant);
    assert!(mailbox.take().is_empty());
}

#[test]
fn refusals_that_nobody_takes_are_told_once_each_and_64_in_all() {
    let mut outbox = Outbox::default();
    let refusal = |remote: String| Refusal { remote: remote.parse().unwrap(), reason: reason::BAD_TLS, peer: None };
    for n in 0..1000 {
        outbox.refusal(refusal(format!("10.0.{}.{}:{}", n / 200, n % 200, n + 1)));
        outbox.refusal(refusal("192.0.2.1:1".to_owned()));
    }
    let failed = LinkEvent::Failed { transfer: TransferId(1), introduced: None, attempts: Vec::new() };
    outbox.outcome(TransferId(1).into(), failed);
    assert!(matches!(outbox.next(), Some(LinkEvent::Failed { .. })));
    assert_eq!(std::iter::from_fn(|| outbox.next()).count(), 64);
    assert!(outbox.is_empty());
}
