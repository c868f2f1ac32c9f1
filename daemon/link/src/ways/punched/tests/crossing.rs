//! Which connection comes about, and which does not.

use tokio_util::task::AbortOnDropHandle;

use super::*;

/// Something that only the two ends of one connection know.
fn secret(device: &Device, peer: &Device) -> [u8; 16] {
    let (connection, _) = device.punch.connections.connection(peer.fingerprint).expect("a connection");
    let mut secret = [0; 16];
    connection.export_keying_material(&mut secret, b"EXPORTER-test", b"").unwrap();
    secret
}

#[tokio::test]
async fn two_that_connect_at_once_get_one_usable_connection() {
    for bind in [[V4], [V6]] {
        let (small, mut large) = connected(&bind).await;
        let (_ours, _theirs) = converse(&small, &mut large).await;
        assert_eq!(secret(&small, &large), secret(&large, &small));
    }
}

#[tokio::test]
async fn both_families_and_many_addresses_make_one_connection() {
    let (small, mut large) = connected(&[V4, V6]).await;
    assert_eq!(secret(&small, &large), secret(&large, &small));
    let (_ours, _theirs) = converse(&small, &mut large).await;
    let spare = || {
        let open = |device: &Device| device.punch.sockets.iter().map(|s| s.endpoint.open_connections()).sum::<usize>();
        open(&small) > 1 || open(&large) > 1
    };
    until("no spare connection", || !spare()).await;
    let _again = converse(&small, &mut large).await;
}

#[tokio::test]
async fn one_side_that_gets_through_is_enough() {
    let dead: SocketAddr = "127.0.0.1:9".parse().unwrap();
    for small_reaches in [true, false] {
        let (small, mut large) = pair(&[V4]);
        let reached = |device: &Device, reaches: bool| if reaches { device.punch.local() } else { vec![dead] };
        let (to_large, to_small) = (reached(&large, small_reaches), reached(&small, !small_reaches));
        let (one, other) = tokio::join!(
            small.punch.connect(large.fingerprint, &to_large, PATIENCE),
            large.punch.connect(small.fingerprint, &to_small, PATIENCE),
        );
        one.unwrap();
        other.unwrap();
        let _streams = converse(&small, &mut large).await;
    }
}

#[tokio::test]
async fn one_that_begins_seconds_later_still_gets_through() {
    let (small, mut large) = pair(&[V4]);
    let late = async {
        // Nobody expects the other yet: its packets are dropped, as by a router.
        until("packets of a stranger", || large.punch.strangers().counts().1 > 2).await;
        large.connect(&small).await
    };
    let (one, other) = tokio::join!(small.connect(&large), late);
    one.unwrap();
    other.unwrap();
    let _streams = converse(&small, &mut large).await;
}

#[tokio::test]
async fn another_device_at_the_address_is_not_talked_to() {
    let (small, large) = pair(&[V4]);
    let carol = Device::start(&new_identity(), &[V4]);
    let _expected = carol.expect(&small);
    let short = Duration::from_secs(1);
    let Failure { reason, text } =
        small.punch.connect(large.fingerprint, &carol.punch.local(), short).await.expect_err("another device");
    assert_eq!(reason, Reason::WrongDevice, "{text}");
    assert!(!small.punch.is_connected(large.fingerprint) && !small.punch.is_connected(carol.fingerprint));
    until("a refusal", || carol.punch.strangers().counts().0 > 0).await;
}

#[tokio::test]
async fn a_key_that_is_not_expected_is_refused_even_from_an_expected_address() {
    let (small, large) = pair(&[V4]);
    let carol = Device::start(&new_identity(), &[V4]);
    let _expected = large.expect(&small);
    // It goes on trying until then, and says at the end how it was refused.
    let short = Duration::from_secs(5);
    let Failure { reason, text } =
        carol.punch.connect(large.fingerprint, &large.punch.local(), short).await.expect_err("not expected");
    assert_eq!((reason, text.contains("does not expect")), (Reason::Closed, true), "{text}");
    assert!(!large.punch.is_connected(carol.fingerprint));
    assert!(large.punch.strangers().counts().0 > 0);
}

#[tokio::test]
async fn strangers_get_no_answer_and_a_withdrawn_expectation_makes_strangers() {
    let (small, large) = pair(&[V4]);
    drop(large.expect(&small));
    let short = Duration::from_millis(600);
    let Failure { reason, .. } =
        small.punch.connect(large.fingerprint, &large.punch.local(), short).await.expect_err("no answer");
    assert_eq!(reason, Reason::NoAnswer);
    let dropped = || large.punch.strangers().counts().1;
    until("strangers are counted", || dropped() > 0).await;
    let before = dropped();

    // Neither QUIC of another version, nor a short packet, nor anything else is answered.
    let socket = tokio::net::UdpSocket::bind(V4).await.unwrap();
    let mut version = vec![0xc0, 0xde, 0xad, 0xbe, 0xef, 8, 1, 2, 3, 4, 5, 6, 7, 8, 0];
    version.resize(1250, 0);
    for packet in [version, vec![0x41; 200], vec![0; 100], b"x".to_vec()] {
        socket.send_to(&packet, large.punch.local()[0]).await.unwrap();
    }
    until("all of them have come", || dropped() >= before + 4).await;
    let answer = socket.try_recv_from(&mut [0; 2000]);
    assert!(answer.is_err(), "{answer:?}");
}

#[tokio::test]
async fn who_lost_the_connection_makes_a_new_one_that_takes_its_place() {
    let (a, b) = two_identities();
    for restarts_small in [true, false] {
        let (mut small, mut large) = (Device::start(&a, &[V4]), Device::start(&b, &[V4]));
        let (one, other) = tokio::join!(small.connect(&large), large.connect(&small));
        one.and(other).unwrap();
        small.punch.connections.age(large.fingerprint);
        // As after a crash: nothing is said to the other side.
        let lost = if restarts_small { &mut small } else { &mut large };
        let silenced = std::mem::replace(lost, Device::start(if restarts_small { &a } else { &b }, &[V4]));
        std::mem::forget(silenced);
        let (one, other) = tokio::join!(small.connect(&large), large.connect(&small));
        one.and(other).unwrap();
        let same = || {
            let both = small.punch.is_connected(large.fingerprint) && large.punch.is_connected(small.fingerprint);
            both && secret(&small, &large) == secret(&large, &small)
        };
        until("one new connection", same).await;
        let _streams = converse(&small, &mut large).await;
    }
}

#[tokio::test]
async fn a_closed_device_is_noticed_at_once() {
    let (small, mut large) = connected(&[V4]).await;
    let (ours, mut theirs) = converse(&small, &mut large).await;
    small.punch.clone().close().await;
    let mut rest = Vec::new();
    assert!(timeout(PATIENCE, theirs.read_to_end(&mut rest)).await.unwrap().is_err());
    until("no connection", || !large.punch.is_connected(small.fingerprint)).await;
    drop(ours);
}

#[tokio::test]
async fn a_taken_port_falls_back_to_another_one() {
    let taken = std::net::UdpSocket::bind(V4).unwrap();
    let address = taken.local_addr().unwrap();
    let device = Device::start(&new_identity(), &[&address.to_string()]);
    assert_eq!(device.punch.local().len(), 1);
    assert_ne!(device.punch.local()[0], address);
    assert_eq!(device.punch.local()[0].ip(), address.ip());
}

#[tokio::test]
async fn an_address_of_a_family_without_socket_is_unreachable() {
    let (small, large) = pair(&[V4]);
    let v6: SocketAddr = "[::1]:9000".parse().unwrap();
    let Failure { reason, .. } = small.punch.connect(large.fingerprint, &[v6], PATIENCE).await.expect_err("no IPv6");
    assert_eq!(reason, Reason::Unreachable);
}

#[tokio::test]
async fn handshakes_that_do_not_end_are_few_and_do_not_last() {
    let (small, mut large) = pair(&[V4]);
    let _expected = large.expect(&small);
    // Somebody at an expected address who speaks and does not listen.
    let relay = tokio::net::UdpSocket::bind(V4).await.unwrap();
    let relay_address = relay.local_addr().unwrap();
    let to = large.punch.local()[0];
    let relaying = tokio::spawn(async move {
        let mut bytes = [0; 2000];
        while let Ok((length, from)) = relay.recv_from(&mut bytes).await {
            if from != to {
                let _ = relay.send_to(&bytes[..length], to).await;
            }
        }
    });
    let config = quic::client(small.punch.connections.tls(), large.fingerprint).unwrap();
    let dial = |_| small.punch.sockets[0].endpoint.connect_with(config.clone(), relay_address, "0.0.0.0").unwrap();
    let dials: Vec<_> = (0..24).map(dial).collect();
    until("too many", || large.punch.strangers().counts().0 >= 8).await;
    assert_eq!(large.punch.sockets[0].endpoint.open_connections(), 16);
    relaying.abort();
    drop(dials);
    until("room again", || large.punch.sockets[0].endpoint.open_connections() == 0).await;
    let (one, other) = tokio::join!(small.connect(&large), large.connect(&small));
    one.and(other).unwrap();
    let _streams = converse(&small, &mut large).await;
}

#[tokio::test]
async fn a_dropped_device_gives_its_port_back_and_says_farewell() {
    let (small, mut large) = connected(&[V4]).await;
    let (_ours, mut theirs) = converse(&small, &mut large).await;
    let address = small.punch.local()[0];
    drop((small, _ours));
    assert!(timeout(PATIENCE, theirs.read_u8()).await.expect("a farewell").is_err());
    until("the port is free", || std::net::UdpSocket::bind(address).is_ok()).await;
}

/// Passes datagrams between two devices that both know it as the other one, until dropped.
async fn between(a: &Device, b: &Device) -> (SocketAddr, AbortOnDropHandle<()>) {
    let socket = tokio::net::UdpSocket::bind(V4).await.unwrap();
    let address = socket.local_addr().unwrap();
    let (a, b) = (a.punch.local()[0], b.punch.local()[0]);
    let task = tokio::spawn(async move {
        let mut bytes = [0; 2000];
        while let Ok((length, from)) = socket.recv_from(&mut bytes).await {
            let _ = socket.send_to(&bytes[..length], if from == a { b } else { a }).await;
        }
    });
    (address, AbortOnDropHandle::new(task))
}

#[tokio::test]
async fn a_connection_on_which_nothing_comes_any_more_is_soon_not_opened_links_on() {
    let (small, mut large) = pair(&[V4]);
    let (address, passing) = between(&small, &large).await;
    let at = [address];
    let (one, other) = tokio::join!(
        small.punch.connect(large.fingerprint, &at, PATIENCE),
        large.punch.connect(small.fingerprint, &at, PATIENCE),
    );
    one.and(other).unwrap();
    let _ours = small.say(&large, b"hello").await;
    let _theirs = large.arrived().await;
    // A quiet one is no dead one.
    let quiet = std::time::Instant::now();
    while quiet.elapsed() < 2 * quic::SILENT {
        assert!(small.punch.is_connected(large.fingerprint) && large.punch.is_connected(small.fingerprint));
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    drop(passing);
    until("no connection", || !small.punch.is_connected(large.fingerprint)).await;
    assert!(small.punch.open(large.fingerprint).await.is_none());
}
