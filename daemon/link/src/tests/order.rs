//! Whose link is taken, in every order of events.

use xbt_core::signal::Proxy;

use super::log::Log;
use super::*;
use crate::times::Times;
use crate::ways::relays::{Opening, Relays};

#[tokio::test]
async fn the_smaller_fingerprint_speaks_on_the_link_that_the_larger_dialled() {
    let (mut small, mut large) = pair(&[V4]);
    small.dial(1, &large, HOLIDAY, Vec::new());
    large.dial(2, &small, HOLIDAY, vec![host(small.address())]);
    let (one, other) = linked(&mut small, &mut large).await;
    assert_eq!((one.transfer, other.transfer), (TransferId(1), TransferId(2)));
    assert_eq!((one.way, other.way), (Way::DirectTcp4, Way::DirectTcp4));
    assert_eq!((one.reserved[5], other.reserved[5]), (0x10, 0x10));
}

#[tokio::test]
async fn the_smaller_fingerprint_speaks_on_the_link_that_it_dialled_itself() {
    let (mut small, mut large) = pair(&[V4]);
    small.dial(1, &large, HOLIDAY, vec![host(large.address())]);
    large.dial(2, &small, HOLIDAY, Vec::new());
    linked(&mut small, &mut large).await;
}

#[tokio::test]
async fn dials_that_cross_end_in_one_and_the_same_link() {
    for _ in 0..10 {
        let (mut small, mut large) = pair(&[V4, V6]);
        let (of_small, of_large) = (small.handle.candidates(), large.handle.candidates());
        small.dial(1, &large, HOLIDAY, of_large);
        large.dial(2, &small, HOLIDAY, of_small);
        let (one, other) = linked(&mut small, &mut large).await;
        assert_eq!((one.way, other.way), (Way::DirectTcp6, Way::DirectTcp6));
    }
}

#[tokio::test]
async fn ipv4_is_taken_where_ipv6_leads_nowhere() {
    let (mut small, mut large) = pair(&[V4]);
    let nowhere = tokio::net::TcpListener::bind(V6).await.unwrap();
    // Connects, and then never says a word.
    small.dial(1, &large, HOLIDAY, vec![host(nowhere.local_addr().unwrap()), host(large.address())]);
    large.dial(2, &small, HOLIDAY, Vec::new());
    let (one, _) = linked(&mut small, &mut large).await;
    assert_eq!(one.way, Way::DirectTcp4);
}

#[tokio::test]
async fn a_link_that_comes_before_it_is_wanted_is_parked_and_then_taken() {
    for chooser_is_late in [true, false] {
        let (log, _reading) = Log::read();
        let (small, large) = pair(&[V4]);
        let (mut early, mut late) = if chooser_is_late { (large, small) } else { (small, large) };
        early.dial(1, &late, HOLIDAY, vec![host(late.address())]);
        log.says(AUTHENTICATED, 2).await;
        assert!(early.events.try_recv().is_err(), "nothing comes of it yet");
        late.dial(2, &early, HOLIDAY, Vec::new());
        linked(&mut early, &mut late).await;
    }
}

#[tokio::test]
async fn a_known_device_that_asks_for_its_next_content_too_early_waits_until_it_is_granted() {
    let (log, _reading) = Log::read();
    let (mut small, mut large) = pair(&[V4]);
    // The larger one listens to the smaller one because of one content, and is asked for another.
    large.dial(1, &small, HOLIDAY, Vec::new());
    small.dial(2, &large, LETTER, vec![host(large.address())]);
    log.says("asked for a content that is not granted, or not yet", 1).await;
    assert!(small.events.try_recv().is_err());
    large.dial(3, &small, LETTER, Vec::new());
    let (_, other) = linked(&mut small, &mut large).await;
    assert_eq!(other.transfer, TransferId(3));
}

#[tokio::test]
async fn several_transfers_between_two_devices_get_a_link_each() {
    let (mut small, mut large) = pair(&[V4, V6]);
    let content = |n: u8| InfoHash([n; 20]);
    for n in 1..=4 {
        small.dial(n.into(), &large, content(n), large.handle.candidates());
        large.dial(n.into(), &small, content(n), small.handle.candidates());
    }
    let (mut ones, mut others) = (Vec::new(), Vec::new());
    for _ in 1..=4 {
        ones.push(small.ready().await);
        others.push(large.ready().await);
    }
    assert_eq!(transfers(&ones), BTreeSet::from([1, 2, 3, 4]));
    for one in &mut ones {
        let other = others.iter_mut().find(|other| other.transfer == one.transfer).unwrap();
        talk(&mut one.stream, &mut other.stream).await;
    }
}

#[tokio::test]
async fn a_new_want_of_the_same_transfer_brings_new_candidates() {
    let (mut small, mut large) = pair(&[V4]);
    let dead = tokio::net::TcpListener::bind(V4).await.unwrap();
    large.dial(2, &small, HOLIDAY, Vec::new());
    small.dial(1, &large, HOLIDAY, vec![host(dead.local_addr().unwrap())]);
    let _knocked = timeout(PATIENCE, dead.accept()).await.unwrap().unwrap();
    small.dial(1, &large, HOLIDAY, vec![host(large.address())]);
    linked(&mut small, &mut large).await;
}

#[tokio::test]
async fn after_a_link_has_ended_the_same_transfer_gets_a_new_one() {
    let (mut small, mut large) = pair(&[V4, V6]);
    for _ in 0..3 {
        small.dial(1, &large, HOLIDAY, large.handle.candidates());
        large.dial(2, &small, HOLIDAY, small.handle.candidates());
        linked(&mut small, &mut large).await;
    }
}

#[tokio::test]
async fn a_device_that_begins_to_listen_later_is_still_found() {
    let (log, _reading) = Log::read();
    let (small, large) = two_identities();
    let (_reserved, address) = reserved();
    let mut small = Device::start(small, config(&[V4]));
    let peer = large.fingerprint();
    small.handle.dial(request_for(TransferId(1), peer, HOLIDAY, vec![host(address)]));
    log.says("no link", 1).await;
    assert!(small.events.try_recv().is_err(), "it goes on trying");
    let mut large = Device::start(large, config(&[&address.to_string()]));
    large.dial(2, &small, HOLIDAY, Vec::new());
    linked(&mut small, &mut large).await;
}

#[tokio::test]
async fn a_lost_link_is_dialled_again_although_another_candidate_still_hangs() {
    let (small, large) = two_identities();
    let mut small = Device::start_with(small, config(&[V4, V6]), Times { tls: PATIENCE * 10, ..times() });
    let mut large = Device::start_with(large, config(&[V4]), Times { early: short().early, ..times() });
    let hangs = tokio::net::TcpListener::bind(V6).await.unwrap();
    // Known, so the first link is refused in the end because its content is not granted.
    large.dial(1, &small, HOLIDAY, Vec::new());
    small.dial(2, &large, LETTER, vec![host(hangs.local_addr().unwrap()), host(large.address())]);
    assert_eq!(large.rejected().await, ("not-granted", Some(small.fingerprint)));
    large.dial(3, &small, LETTER, Vec::new());
    linked(&mut small, &mut large).await;
}

/// One end of an in-band bytestream, for the first caller.
pub(super) struct InBandEnd(pub(super) std::sync::Mutex<Option<tokio::io::DuplexStream>>);

impl InBandEnd {
    fn take(&self) -> Opening<BoxedStream> {
        let end = self.0.lock().unwrap().take();
        Box::pin(async move {
            match end {
                Some(end) => Ok(Box::new(end) as BoxedStream),
                None => std::future::pending().await,
            }
        })
    }
}

impl Relays for InBandEnd {
    fn activate(&self, _: Proxy, _: String, _: FullJid) -> Opening<()> {
        Box::pin(std::future::pending())
    }

    fn open_in_band(&self, _: FullJid, _: String) -> Opening<BoxedStream> {
        self.take()
    }

    fn expect_in_band(&self, _: FullJid, _: String) -> Opening<BoxedStream> {
        self.take()
    }
}

#[tokio::test]
async fn many_addresses_that_swallow_everything_leave_relays_their_turn() {
    let (small, large) = two_identities();
    let times = Times { tls: PATIENCE, before_in_band: Duration::from_millis(500), ..times() };
    let (mut small, mut large) =
        (Device::start_with(small, config(&[V4]), times), Device::start_with(large, config(&[V4]), times));
    let mut swallowing = Vec::new();
    for _ in 0..6 {
        swallowing.push(tokio::net::TcpListener::bind(V4).await.unwrap());
    }
    let dead: Vec<Candidate> = swallowing.iter().map(|socket| host(socket.local_addr().unwrap())).collect();
    let (one, other) = tokio::io::duplex(1 << 16);
    for (device, end) in [(&small, one), (&large, other)] {
        device.handle.relay_through(Some(std::sync::Arc::new(InBandEnd(Some(end).into()))));
    }
    for (transfer, device, other) in [(1, &small, &large), (2, &large, &small)] {
        let reach = Reach { stream_id: Some("s".into()), in_band: true, ..Reach::default() };
        let theirs = Reach { candidates: dead.clone(), ..reach.clone() };
        let request = request_for(TransferId(transfer), other.fingerprint, HOLIDAY, Vec::new());
        device.handle.dial(DialRequest { ours: reach, theirs, ..request });
    }
    let (one, _) = linked(&mut small, &mut large).await;
    assert_eq!(one.way, Way::InBand);
}
