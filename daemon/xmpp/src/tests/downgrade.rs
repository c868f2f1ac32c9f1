//! Servers, or somebody in front of them, that offer less than before or break the rules of SCRAM.

use std::fs;

use xbt_core::login::{Authority, Login, Mechanism};
use xbt_core::session::{Connection, SessionCommand, SessionEvent};

use super::Client;
use super::feigned::{Feigned, mechanisms};
use super::prosody::Prosody;
use crate::SessionConfig;

impl Client {
    async fn until_logged_in(&mut self) -> Login {
        self.until(|event| match event {
            SessionEvent::LoggedIn(login) => Some(login.clone()),
            _ => None,
        })
        .await
    }

    async fn until_weaker(&mut self) -> (String, Login) {
        self.until(|event| match event {
            SessionEvent::Connection(Connection::Refused {
                code: "weaker-login", reason, weaker: Some(login), ..
            }) => Some((reason.clone(), (**login).clone())),
            _ => None,
        })
        .await
    }
}

fn known(config: &SessionConfig, mechanism: Mechanism) -> Login {
    Login { account: config.jid.clone(), mechanism, authority: None }
}

#[tokio::test]
async fn a_login_weaker_than_before_is_refused_before_anything_is_proved_until_it_is_allowed() {
    let server = Feigned::start().await;
    let mut config = server.config();
    config.known = Some(known(&config, Mechanism::ScramSha256));
    let mut client = Client::start(config);
    let peer = server.accept(&mechanisms(&["SCRAM-SHA-1", "PLAIN"])).await;
    let (reason, weaker) = client.until_weaker().await;
    assert!(reason.contains("SCRAM-SHA-1 instead of SCRAM-SHA-256"), "{reason}");
    assert_eq!(weaker.mechanism, Mechanism::ScramSha1);
    let told = peer.rest().await;
    assert!(!told.contains("<auth") && !told.contains("alice"), "{told}");
    client.handle.send(SessionCommand::AllowLogin(Box::new(weaker))).await;
    let mut peer = server.accept(&mechanisms(&["SCRAM-SHA-1", "PLAIN"])).await;
    assert_eq!(peer.auth().await.0, "SCRAM-SHA-1");
    client.session.close().await;
}

#[tokio::test]
async fn the_password_is_told_only_where_that_is_allowed() {
    let server = Feigned::start().await;
    let mut client = Client::start(server.config());
    let peer = server.accept(&mechanisms(&["PLAIN"])).await;
    assert_eq!(client.until_refused().await, "no-mechanism");
    let told = peer.rest().await;
    assert!(!told.contains("<auth"), "{told}");
    client.session.close().await;

    let client = Client::start(SessionConfig { least_mechanism: Mechanism::Plain, ..server.config() });
    let mut peer = server.accept(&mechanisms(&["PLAIN"])).await;
    assert_eq!(peer.auth().await.0, "PLAIN");
    client.session.close().await;
}

#[tokio::test]
async fn a_challenge_with_a_field_twice_or_too_much_work_is_not_answered() {
    for rounds in ["i=4096,i=1", "i=1,i=4096", "i=4294967295", "i=1"] {
        let server = Feigned::start().await;
        let mut client = Client::start(server.config());
        let mut peer = server.accept(&mechanisms(&["SCRAM-SHA-256"])).await;
        let (_, first) = peer.auth().await;
        let nonce = first.split_once("r=").unwrap().1;
        peer.challenge(&format!("r={nonce}x,s=c2FsdA==,{rounds}")).await;
        assert_eq!(client.until_refused().await, "login-failed", "{rounds}");
        let told = peer.rest().await;
        assert!(!told.contains("<response"), "{rounds}: {told}");
        client.session.close().await;
    }
}

#[tokio::test]
async fn a_server_that_has_proved_nothing_is_an_impostor() {
    let server = Feigned::start().await;
    let mut client = Client::start(server.config());
    let mut peer = server.accept(&mechanisms(&["SCRAM-SHA-512", "SCRAM-SHA-256"])).await;
    assert_eq!(peer.auth().await.0, "SCRAM-SHA-512");
    peer.send("<success xmlns='urn:ietf:params:xml:ns:xmpp-sasl'/>").await;
    assert_eq!(client.until_refused().await, "bad-server-signature");
    client.session.close().await;
}

#[tokio::test]
async fn a_server_without_channel_binding_hears_that_we_could_have_bound() {
    let server = Feigned::start().await;
    let client = Client::start(server.config());
    let mut peer = server.accept(&mechanisms(&["SCRAM-SHA-1"])).await;
    let (_, first) = peer.auth().await;
    assert!(first.starts_with("y,,"), "{first}");
    client.session.close().await;
}

#[tokio::test]
async fn another_authority_is_refused_until_it_is_allowed_and_one_that_was_chosen_is_not() {
    let (one, two) = (Prosody::start(&["alice"], &[]), Prosody::start(&["alice"], &[]));
    let both = tempfile::NamedTempFile::new().unwrap();
    let pem = [one.ca(), two.ca()].map(|path| fs::read_to_string(path).unwrap()).concat();
    fs::write(both.path(), pem).unwrap();

    let mut config = one.config("alice", "xbt-1");
    config.ca_file = Some(both.path().to_owned());
    let mut client = Client::start(config);
    let first = client.until_logged_in().await;
    assert_eq!(first.authority.as_ref().map(|a: &Authority| a.name.as_str()), Some("xbt test authority"));
    client.session.close().await;

    let mut config = two.config("alice", "xbt-1");
    config.known = Some(first.clone());
    // The person names this authority and no other.
    let (client, _) = Client::online(config.clone()).await;
    client.session.close().await;
    config.ca_file = Some(both.path().to_owned());
    let mut client = Client::start(config);
    let (reason, weaker) = client.until_weaker().await;
    assert!(reason.contains("another authority"), "{reason}");
    assert_eq!(two.logins("alice"), 1);
    client.handle.send(SessionCommand::AllowLogin(Box::new(weaker))).await;
    client.until_online(false).await;
    client.session.close().await;
}
