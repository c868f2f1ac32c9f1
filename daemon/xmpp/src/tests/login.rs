//! Logging in, being refused, losing the server and finding it again.

use std::time::{Duration, Instant};

use xbt_core::session::{Connection, SessionEvent};
use xbt_core::signal::{Answer, Outcome, Request};

use super::Client;
use super::feigned::Feigned;
use super::prosody::{PASSWORD, Prosody};
use super::proxy::Proxy;
use crate::Silence;
use crate::{Secret, Tls};

fn request() -> Request {
    Request::Sync(Vec::new())
}

#[tokio::test]
async fn a_login_works_by_starttls_and_by_direct_tls_and_ends_when_closed() {
    let prosody = Prosody::start(&["alice"], &[]);
    for config in [prosody.config("alice", "xbt-1"), prosody.direct_config("alice", "xbt-1")] {
        let (client, device) = Client::online(config).await;
        assert_eq!(device.to_string(), "alice@localhost/xbt-1");
        client.session.close().await;
    }
    assert_eq!(prosody.logins("alice"), 2);
    assert!(!format!("{:?}", prosody.config("alice", "x")).contains(PASSWORD));
}

#[tokio::test]
async fn a_wrong_password_is_told_once_and_tried_once() {
    let prosody = Prosody::start(&["alice"], &[]);
    let proxy = Proxy::to(prosody.starttls).await;
    let mut config = prosody.config("alice", "xbt-1");
    config.password = Secret::new("wrong");
    config.server = Some(format!("127.0.0.1:{}", proxy.port));
    let mut client = Client::start(config);
    assert_eq!(client.until_refused().await, "wrong-password");
    let nobody = xbt_core::ids::FullJid::new(super::super::parse_bare("bob@localhost").unwrap(), "x");
    client.request(1, &nobody, request()).await;
    assert_eq!(client.outcome(1).await, Outcome::Lost);
    // A login of somebody else, begun later and complete, is the time in which a second try would have come.
    let (other, _) = Client::online(prosody.config("alice", "xbt-2")).await;
    assert_eq!(proxy.connections(), 1);
    assert_eq!(client.seen.iter().filter(|e| matches!(e, SessionEvent::Connection(Connection::Connecting))).count(), 1);
    other.session.close().await;
    client.session.close().await;
}

#[tokio::test]
async fn a_certificate_of_another_authority_or_for_another_name_is_refused() {
    let (prosody, other) = (Prosody::start(&["alice"], &[]), Prosody::start(&[], &[]));
    let mut foreign = prosody.config("alice", "xbt-1");
    foreign.ca_file = Some(other.ca());
    let mut misnamed = prosody.config("alice", "xbt-1");
    misnamed.jid = super::super::parse_bare("alice@elsewhere.example").unwrap();
    for config in [foreign, misnamed] {
        let mut client = Client::start(config);
        assert_eq!(client.until_refused().await, "bad-certificate");
        client.session.close().await;
    }
    assert_eq!(prosody.logins("alice"), 0);
    let mut missing = prosody.config("alice", "xbt-1");
    missing.ca_file = Some("/nonexistent/ca.pem".into());
    assert_eq!(Client::start(missing).until_refused().await, "bad-ca-file");
}

#[tokio::test]
async fn a_server_without_encryption_is_refused_before_anything_is_told() {
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let prosody_config = {
        let jid = super::super::parse_bare("alice@localhost").unwrap();
        let mut config = super::super::SessionConfig::new(jid, "xbt-1", Secret::new(PASSWORD));
        config.server = Some(listener.local_addr().unwrap().to_string());
        config.tls = Tls::StartTls;
        config
    };
    let server = tokio::spawn(async move {
        let features = "<stream:features><mechanisms xmlns='urn:ietf:params:xml:ns:xmpp-sasl'>\
                        <mechanism>PLAIN</mechanism></mechanisms></stream:features>";
        feigned_server(&listener, features).await
    });
    let mut client = Client::start(prosody_config);
    assert_eq!(client.until_refused().await, "no-encryption");
    let told = server.await.unwrap();
    assert!(!told.contains("auth") && !told.contains("alice"), "{told}");
}

#[tokio::test]
async fn after_a_server_restart_there_is_one_login_and_requests_under_way_are_lost() {
    let mut prosody = Prosody::start(&["alice", "bob"], &["alice", "bob"]);
    let (mut alice, _) = Client::online(prosody.config("alice", "xbt-a")).await;
    let (mut bob, bobs) = Client::online(prosody.config("bob", "xbt-b")).await;
    alice.until_xbt(&bobs).await;
    for restart in 1..=2 {
        alice.request(restart, &bobs, request()).await;
        bob.until_requested().await;
        prosody.kill();
        alice.until_offline().await;
        alice.request(100 + restart, &bobs, request()).await;
        assert_eq!(alice.outcome(100 + restart).await, Outcome::Lost);
        prosody.run();
        assert_eq!(alice.outcome(restart).await, Outcome::Lost);
        alice.until_online(false).await;
        alice.until_xbt(&bobs).await;
        let logins = usize::try_from(restart).unwrap() + 1;
        assert_eq!((prosody.logins("alice"), prosody.logins("bob")), (logins, logins), "{}", prosody.log());
    }
    alice.session.close().await;
    bob.session.close().await;
}

#[tokio::test]
async fn a_server_that_comes_later_is_found() {
    let mut prosody = Prosody::start(&["alice"], &[]);
    prosody.kill();
    let mut client = Client::start(prosody.config("alice", "xbt-1"));
    client.until_offline().await;
    prosody.run();
    client.until_online(false).await;
    client.session.close().await;
}

#[tokio::test]
async fn two_daemons_with_one_resource_slow_down() {
    let prosody = Prosody::start(&["alice"], &[]);
    let (one, _) = Client::online(prosody.config("alice", "same")).await;
    let (mut two, _) = Client::online(prosody.config("alice", "same")).await;
    // The first comes back and displaces the second, which says so and waits.
    let (reason, retry_in) = two
        .until(|event| match event {
            SessionEvent::Connection(Connection::Offline { reason, retry_in }) => Some((reason.clone(), *retry_in)),
            _ => None,
        })
        .await;
    assert!(reason.contains("resource"), "{reason}");
    assert!(retry_in.unwrap() >= 500);
    one.session.close().await;
    two.session.close().await;
}

#[tokio::test]
async fn a_broken_connection_is_resumed_and_nothing_is_lost() {
    let prosody = Prosody::start(&["alice", "bob"], &["alice", "bob"]);
    let proxy = Proxy::to(prosody.starttls).await;
    let mut config = prosody.config("alice", "xbt-a");
    config.server = Some(format!("127.0.0.1:{}", proxy.port));
    let (mut alice, alices) = Client::online(config).await;
    let (mut bob, bobs) = Client::online(prosody.config("bob", "xbt-b")).await;
    alice.until_xbt(&bobs).await;
    bob.until_xbt(&alices).await;
    for round in 1..=3 {
        alice.request(round, &bobs, request()).await;
        let (token, ..) = bob.until_requested().await;
        bob.request(round, &alices, request()).await;
        let (own, ..) = alice.until_requested().await;
        proxy.cut();
        alice.until_offline().await;
        // Answered on both sides while the wire is cut.
        bob.answer(token, Ok(Answer::Sync(Vec::new()))).await;
        alice.answer(own, Ok(Answer::Sync(Vec::new()))).await;
        assert_eq!(alice.until_online(true).await, alices);
        assert_eq!(alice.outcome(round).await, Outcome::Answered(Answer::Sync(Vec::new())));
        assert_eq!(bob.outcome(round).await, Outcome::Answered(Answer::Sync(Vec::new())));
    }
    let rosters = alice.seen.iter().filter(|event| matches!(event, SessionEvent::Roster(_))).count();
    let gone = bob.seen.iter().any(|event| matches!(event, SessionEvent::Unavailable { .. }));
    assert_eq!((rosters, gone), (1, false));
    alice.session.close().await;
    bob.session.close().await;
}

/// Plays a server up to the features, then says `last`, and gives what it was told.
async fn feigned_server(listener: &tokio::net::TcpListener, last: &str) -> String {
    use tokio::io::{AsyncReadExt, AsyncWriteExt};
    let (mut stream, _) = listener.accept().await.unwrap();
    let header = "<?xml version='1.0'?><stream:stream from='localhost' id='1' version='1.0' xmlns='jabber:client' \
                  xmlns:stream='http://etherx.jabber.org/streams'>";
    stream.write_all(format!("{header}{last}").as_bytes()).await.unwrap();
    let mut all = String::new();
    // A reset instead of an orderly end is as good.
    let _ = stream.read_to_string(&mut all).await;
    all
}

fn elsewhere(port: u16) -> String {
    format!(
        "<stream:error><see-other-host xmlns='urn:ietf:params:xml:ns:xmpp-streams'>127.0.0.1:{port}\
         </see-other-host></stream:error></stream:stream>"
    )
}

#[tokio::test]
async fn a_server_that_sends_us_elsewhere_is_followed_once() {
    let prosody = Prosody::start(&["alice"], &[]);
    let feigned = Feigned::start().await;
    let both = tempfile::NamedTempFile::new().unwrap();
    let config = feigned.config();
    let pem = [prosody.ca(), config.ca_file.clone().unwrap()].map(|path| std::fs::read_to_string(path).unwrap());
    std::fs::write(both.path(), pem.concat()).unwrap();
    let mut client = Client::start(crate::SessionConfig { ca_file: Some(both.path().to_owned()), ..config });
    // To itself, twice: the second time it is a failure like any other.
    feigned.accept(&elsewhere(feigned.port())).await;
    feigned.accept(&elsewhere(feigned.port())).await;
    client.until_offline().await;
    feigned.accept(&elsewhere(prosody.direct)).await;
    client.until_online(false).await;
    client.session.close().await;
}

#[tokio::test]
async fn nobody_is_followed_elsewhere_before_the_connection_is_encrypted() {
    let (first, other) = (bound().await, bound().await);
    let jid = super::super::parse_bare("alice@localhost").unwrap();
    let mut config = super::super::SessionConfig::new(jid, "xbt-1", Secret::new(PASSWORD));
    config.server = Some(first.local_addr().unwrap().to_string());
    let mut client = Client::start(config);
    feigned_server(&first, &elsewhere(other.local_addr().unwrap().port())).await;
    client.until_offline().await;
    // The next attempt is made where the first one was.
    tokio::select! {
        _ = feigned_server(&first, "</stream:stream>") => {}
        _ = other.accept() => panic!("it was followed"),
    }
    client.session.close().await;
}

async fn bound() -> tokio::net::TcpListener {
    tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap()
}

#[tokio::test]
async fn a_server_that_falls_silent_is_asked_for_a_sign_of_life_and_then_given_up() {
    let prosody = Prosody::start(&["alice"], &[]);
    let proxy = Proxy::to(prosody.starttls).await;
    let mut config = prosody.config("alice", "xbt-a");
    config.server = Some(format!("127.0.0.1:{}", proxy.port));
    let silence = Silence { asked_after: Duration::from_secs(2), given_up_after: Duration::from_secs(3) };
    config.silence = silence;
    let (mut alice, _) = Client::online(config).await;
    proxy.freeze();
    let silent = Instant::now();
    let offline = |event: &SessionEvent| match event {
        SessionEvent::Connection(Connection::Offline { reason, .. }) => Some(reason.clone()),
        _ => None,
    };
    assert_eq!(alice.until(offline).await, "the server does not answer");
    assert!(silent.elapsed() >= silence.given_up_after, "it was asked first, and had time to answer");
}

#[test]
fn a_dead_server_is_noticed_within_fifty_seconds() {
    let Silence { asked_after, given_up_after } = Silence::default();
    assert!(asked_after + given_up_after <= Duration::from_secs(50));
}
