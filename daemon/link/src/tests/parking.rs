//! The limits of what waits: links, commands and events.

use std::sync::Arc;

use tokio::time::Instant;

use super::*;
use crate::choose::mailbox::{Command, Mailbox};
use crate::choose::parking::Parking;
use crate::choose::pending::PendingEvents;
use crate::rejection::{Rejected, Rejection};
use crate::ways::link::{Link, LinkInfo};
use crate::ways::tcp::way_from;

fn link(peer: u8, remote: &str) -> Link {
    let remote: SocketAddr = remote.parse().unwrap();
    let peer = Fingerprint([peer; 32]);
    let info = LinkInfo { peer, way: way_from(remote.ip(), None), remote: Some(remote), dialed: None };
    Link { info, stream: Box::new(tokio::io::duplex(1).0) }
}

fn admit(parking: &mut Parking, link: Link) -> Option<SocketAddr> {
    let now = Instant::now();
    let expected = Fingerprint([0; 32]);
    parking.admit(link, |peer| peer == expected, now, now + PATIENCE).and_then(|gone| gone.remote)
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
fn a_command_replaces_the_one_before_it_and_none_is_lost() {
    let mailbox = Arc::new(Mailbox::default());
    let request = |transfer| request_for(TransferId(transfer), Fingerprint([0; 32]), HOLIDAY, Vec::new());
    for transfer in 0..1000 {
        mailbox.post(TransferId(transfer).into(), Command::Dial(Box::new(request(transfer))));
        mailbox.post(TransferId(transfer).into(), Command::Cancel);
    }
    mailbox.post(TransferId(7).into(), Command::Dial(Box::new(request(7))));
    let commands = mailbox.take();
    assert_eq!(commands.len(), 1000);
    assert!(
        matches!(commands[&TransferId(7).into()], Command::Dial(_))
            && matches!(commands[&TransferId(8).into()], Command::Cancel)
    );
    mailbox.close();
    mailbox.post(TransferId(7).into(), Command::Cancel);
    assert!(mailbox.take().is_empty());
}

#[test]
fn rejections_that_wait_are_reported_once_each_and_64_in_all() {
    let mut pending = PendingEvents::default();
    let rejected = |remote: String| Rejected { remote: remote.parse().unwrap(), reason: Rejection::BadTls, peer: None };
    for n in 0..1000 {
        pending.rejected(rejected(format!("10.0.{}.{}:{}", n / 200, n % 200, n + 1)));
        pending.rejected(rejected("192.0.2.1:1".to_owned()));
    }
    let failed = LinkEvent::Failed { transfer: TransferId(1), introduced: None, attempts: Vec::new() };
    pending.outcome(TransferId(1).into(), failed);
    assert!(matches!(pending.next(), Some(LinkEvent::Failed { .. })));
    assert_eq!(std::iter::from_fn(|| pending.next()).count(), 64);
    assert!(pending.is_empty());
}
