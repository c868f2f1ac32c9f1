//! What a real server does for links.

use std::time::{Duration, Instant};

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use xbt_core::ids::FullJid;
use xbt_core::session::{Connection, SessionCommand, SessionEvent};
use xbt_core::signal::{Answer, Outcome, Request};

use super::super::convert::tests::offer;
use super::prosody::Prosody;
use super::proxy::Proxy;
use super::{Client, SOON};
use crate::{InBandStream, SessionConfig, Silence};

#[tokio::test]
async fn the_servers_proxy_and_stun_server_are_found() {
    let prosody = Prosody::start(&["alice"], &[]);
    let (mut alice, _) = Client::online(prosody.config("alice", "xbt-a")).await;
    let found = alice
        .until(|event| match event {
            SessionEvent::Services(found) => Some(found.clone()),
            _ => None,
        })
        .await;
    let proxies: Vec<_> = found.proxies.iter().map(|p| (p.jid.as_str(), p.host.as_str(), p.port)).collect();
    assert_eq!(proxies, [("proxy.localhost", "127.0.0.1", prosody.proxy65)]);
    let stun: Vec<_> = found.stun.iter().map(|s| (s.host.as_str(), s.port)).collect();
    assert_eq!(stun, [("stun.example", 3479)]);
    alice.session.close().await;
}

/// A bytestream from the one to the other.
async fn joined(alice: &Client, alices: &FullJid, bob: &Client, bobs: &FullJid) -> (InBandStream, InBandStream) {
    let (one, other) = tokio::join!(
        alice.handle.open_in_band(bobs.clone(), "stream-1".to_owned()),
        bob.handle.expect_in_band(alices.clone(), "stream-1".to_owned()),
    );
    (one.unwrap(), other.unwrap())
}

/// Bytes that are not the same anywhere.
fn content(length: usize) -> Vec<u8> {
    (0..length as u64).map(|n| (n.wrapping_mul(0x9e37_79b9_7f4a_7c15) >> 32) as u8).collect()
}

async fn pair(prosody: &Prosody, alices: SessionConfig) -> (Client, FullJid, Client, FullJid) {
    let (mut alice, a) = Client::online(alices).await;
    let (mut bob, b) = Client::online(prosody.config("bob", "xbt-b")).await;
    alice.until_xbt(&b).await;
    bob.until_xbt(&a).await;
    (alice, a, bob, b)
}

#[tokio::test]
async fn in_band_bytes_arrive_in_both_directions_and_the_end_is_told() {
    let prosody = Prosody::start(&["alice", "bob"], &["alice", "bob"]);
    let (alice, a, bob, b) = pair(&prosody, prosody.config("alice", "xbt-a")).await;
    let (mut one, mut other) = joined(&alice, &a, &bob, &b).await;
    let sent = content(256 * 1024);
    let exchange = async {
        let (mut one_in, mut one_out) = tokio::io::split(&mut one);
        let (mut other_in, mut other_out) = tokio::io::split(&mut other);
        let (mut there, mut back) = (vec![0; sent.len()], vec![0; 50_000]);
        let all = tokio::try_join!(
            one_out.write_all(&sent),
            other_out.write_all(&sent[..50_000]),
            async { other_in.read_exact(&mut there).await.map(drop) },
            async { one_in.read_exact(&mut back).await.map(drop) },
        );
        all.unwrap();
        assert!(there == sent && back == sent[..50_000]);
    };
    tokio::time::timeout(SOON, exchange).await.unwrap();
    let (ended, rest) = tokio::join!(one.shutdown(), other.read_u8());
    ended.unwrap();
    assert_eq!(rest.unwrap_err().kind(), std::io::ErrorKind::UnexpectedEof);
    alice.session.close().await;
    bob.session.close().await;
}

#[tokio::test]
async fn an_in_band_stream_survives_connections_that_break() {
    let prosody = Prosody::start(&["alice", "bob"], &["alice", "bob"]);
    let wire = Proxy::to(prosody.starttls).await;
    let mut config = prosody.config("alice", "xbt-a");
    config.server = Some(format!("127.0.0.1:{}", wire.port));
    let (mut alice, a, bob, b) = pair(&prosody, config).await;
    let (mut one, mut other) = joined(&alice, &a, &bob, &b).await;
    let sent = content(300_000);
    let writing = async {
        for (number, part) in sent.chunks(100_000).enumerate() {
            one.write_all(part).await.unwrap();
            if number < 2 {
                wire.cut();
                alice.until_online(true).await;
            }
        }
    };
    let mut got = vec![0; sent.len()];
    let both = async { tokio::join!(writing, other.read_exact(&mut got)) };
    tokio::time::timeout(SOON, both).await.unwrap().1.unwrap();
    assert!(got == sent);
    alice.session.close().await;
    bob.session.close().await;
}

#[tokio::test]
async fn a_device_that_goes_offline_ends_its_streams() {
    let prosody = Prosody::start(&["alice", "bob"], &["alice", "bob"]);
    let (alice, a, bob, b) = pair(&prosody, prosody.config("alice", "xbt-a")).await;
    let (mut one, _other) = joined(&alice, &a, &bob, &b).await;
    bob.session.close().await;
    let error = tokio::time::timeout(SOON, one.read_u8()).await.unwrap().unwrap_err();
    assert_eq!(error.kind(), std::io::ErrorKind::ConnectionReset);
    let refused = alice.handle.open_in_band(b, "stream-2".to_owned()).await.unwrap_err();
    assert_eq!(refused.code(), "refused", "{refused}");
    alice.session.close().await;
}

/// With this only a change of the network makes the session look after its connection.
const UNNOTICED: Silence =
    Silence { asked_after: Duration::from_secs(3600), given_up_after: Duration::from_secs(3600) };

#[tokio::test]
async fn a_dead_connection_is_noticed_soon_after_the_network_has_changed() {
    let prosody = Prosody::start(&["alice"], &[]);
    let wire = Proxy::to(prosody.starttls).await;
    let mut config = prosody.config("alice", "xbt-a");
    config.server = Some(format!("127.0.0.1:{}", wire.port));
    config.silence = UNNOTICED;
    let (mut alice, _) = Client::online(config).await;
    // One that stands is kept: the answer to the question is in front of the one to this order.
    alice.handle.network_changed();
    alice
        .handle
        .send(xbt_core::session::SessionCommand::Request {
            token: xbt_core::signal::Token(1),
            to: FullJid::new(super::super::parse_bare("nobody@localhost").unwrap(), "x"),
            request: Request::Cancel { id: offer().id },
            stamp: xbt_core::signal::Stamp::challenge(1),
        })
        .await;
    alice.outcome(1).await;
    wire.freeze();
    alice.handle.network_changed();
    alice.until_offline().await;
    let offline = |event: &&SessionEvent| matches!(event, SessionEvent::Connection(Connection::Offline { .. }));
    assert_eq!(alice.seen.iter().filter(offline).count(), 1);
    wire.cut();
    alice.until_online(true).await;
    alice.session.close().await;
}

#[tokio::test]
async fn a_dead_connection_is_noticed_soon_however_much_waits_to_be_written() {
    let prosody = Prosody::start(&["alice"], &[]);
    let wire = Proxy::to(prosody.starttls).await;
    let mut config = prosody.config("alice", "xbt-a");
    config.server = Some(format!("127.0.0.1:{}", wire.port));
    config.silence = UNNOTICED;
    let (mut alice, _) = Client::online(config).await;
    wire.freeze();
    let frozen = Instant::now();
    // More than the system takes, and then more than the session and its handle do.
    let to = super::super::parse_bare("nobody@localhost").unwrap();
    let text = "x".repeat(4_000);
    let mut full = 0;
    while full < 20 && frozen.elapsed() < SOON {
        let courtesy = SessionCommand::Courtesy { to: to.clone(), text: text.clone(), offer: offer() };
        match alice.handle.try_send(courtesy) {
            Ok(()) => full = 0,
            Err(_) => {
                full += 1;
                tokio::time::sleep(Duration::from_millis(10)).await;
            }
        }
    }
    assert_eq!(full, 20, "its queue is full");
    alice.handle.network_changed();
    alice.until_offline().await;
    alice.session.close().await;
}

#[tokio::test]
async fn a_pause_before_the_next_attempt_ends_when_the_network_has_changed() {
    let mut prosody = Prosody::start(&["alice"], &[]);
    let (mut alice, _) = Client::online(prosody.config("alice", "xbt-a")).await;
    prosody.kill();
    let long = Duration::from_secs(4);
    let pause = alice
        .until(|event| match event {
            SessionEvent::Connection(Connection::Offline { retry_in: Some(pause), .. }) => {
                Some(Duration::from_millis(*pause)).filter(|pause| *pause > long)
            }
            _ => None,
        })
        .await;
    let since = Instant::now();
    // More than one change, as it happens, makes not more than one attempt.
    for _ in 0..3 {
        alice.handle.network_changed();
    }
    alice.until(|event| matches!(event, SessionEvent::Connection(Connection::Connecting)).then_some(())).await;
    assert!(since.elapsed() < pause, "{:?}", since.elapsed());
    prosody.run();
    alice.until_online(false).await;
    alice.session.close().await;
}

#[tokio::test]
#[ignore = "takes 40 seconds"]
async fn under_the_servers_usual_limits_signalling_is_not_held_up() {
    let prosody = Prosody::start_limited(&["alice", "bob"], &["alice", "bob"]);
    let (mut alice, a, mut bob, b) = pair(&prosody, prosody.config("alice", "xbt-a")).await;
    let (mut one, mut other) = joined(&alice, &a, &bob, &b).await;
    let sent = content(256 * 1024);
    let start = Instant::now();
    let asking = async {
        let mut longest = Duration::ZERO;
        for token in 0..10 {
            tokio::time::sleep(Duration::from_secs(3)).await;
            let asked = Instant::now();
            alice.request(token, &b, Request::Cancel { id: offer().id }).await;
            let (question, ..) = bob.until_requested().await;
            bob.answer(question, Ok(Answer::Acknowledged)).await;
            assert_eq!(alice.outcome(token).await, Outcome::Answered(Answer::Acknowledged));
            longest = longest.max(asked.elapsed());
        }
        longest
    };
    let mut got = vec![0; sent.len()];
    let reading = async {
        other.read_exact(&mut got).await.unwrap();
        start.elapsed()
    };
    let (written, took, longest) = tokio::join!(one.write_all(&sent), reading, asking);
    written.unwrap();
    assert!(got == sent);
    println!("256 KiB took {took:?}; the slowest answer {longest:?}");
    assert!(longest < Duration::from_secs(5), "{longest:?}");
}
