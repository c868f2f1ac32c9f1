//! What a contact may send to bring us down.

use std::fmt::Write;

use xbt_core::session::{Connection, SessionEvent};
use xbt_core::signal::Request;

use super::super::convert::tests::offer;
use super::Client;
use super::prosody::Prosody;
use super::raw::Raw;

#[tokio::test]
async fn xml_nested_deep_and_attributes_too_long_do_not_end_the_session() {
    let prosody = Prosody::start(&["alice", "bob"], &["alice", "bob"]);
    let (mut alice, alices) = Client::online(prosody.config("alice", "xbt-a")).await;
    let to = alices.to_string();
    let mut bob = Raw::log_in(&prosody, "bob", "raw").await;
    bob.send("<presence/>").await;
    let deep = format!("{}{}", "<a>".repeat(10_000), "</a>".repeat(10_000));
    let long = "x".repeat(20_000);
    let mut all = String::new();
    write!(all, "<message to='{to}' type='headline'><x xmlns='u'>{deep}</x></message>").unwrap();
    write!(all, "<presence to='{to}'><x xmlns='u'>{deep}</x></presence>").unwrap();
    write!(all, "<message to='{to}' type='headline'><x xmlns='u' a='{long}'><y/></x></message>").unwrap();
    write!(all, "<message to='{to}' id='{long}' type='headline'><x xmlns='u'/></message>").unwrap();
    write!(all, "<iq to='{to}' id='many' type='set'><sync xmlns='urn:x-xbt:1'>{}</sync></iq>", {
        format!("<item id='{}' role='sender' state='open'/>", offer().id).repeat(1000)
    })
    .unwrap();
    bob.send(&all).await;
    let answer = bob.until("bad-request").await;
    assert!(answer.contains("many"));
    let answer = bob.ask(&to, "deep", "set", &format!("<offer xmlns='urn:x-xbt:1'>{deep}</offer>")).await;
    assert!(answer.contains("bad-request"), "{answer}");
    let answer = bob.ask(&to, "ping", "get", "<ping xmlns='urn:xmpp:ping'/>").await;
    assert!(answer.contains("result"), "{answer}");
    bob.send(&format!("<iq to='{to}' id='c' type='set'><cancel xmlns='urn:x-xbt:1' id='{}'/></iq>", offer().id)).await;
    assert_eq!(alice.until_requested().await.2, Request::Cancel { id: offer().id });
    assert!(!alice.seen.iter().any(|e| matches!(e, SessionEvent::Connection(Connection::Offline { .. }))));
    assert_eq!(prosody.logins("alice"), 1);
    alice.session.close().await;
}
