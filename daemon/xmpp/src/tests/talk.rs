//! Two sessions, and a session with other clients.

use xbt_core::session::{SessionCommand, SessionEvent, Subscription};
use xbt_core::signal::{Answer, Condition, Epoch, Outcome, Refusal, Request, Role, SyncItem, SyncState, Wait};

use super::super::convert::tests::{connect, offer, requests};
use super::super::parse_bare;
use super::Client;
use super::prosody::Prosody;
use super::raw::Raw;

#[tokio::test]
async fn two_sessions_exchange_every_request_and_answer() {
    let prosody = Prosody::start(&["alice", "bob"], &["alice", "bob"]);
    let (mut alice, alices) = Client::online(prosody.config("alice", "xbt-a")).await;
    let (mut bob, bobs) = Client::online(prosody.direct_config("bob", "xbt-b")).await;
    alice.until_xbt(&bobs).await;
    bob.until_xbt(&alices).await;
    let item = SyncItem { id: offer().id, role: Role::Receiver, state: SyncState::Done };
    for (n, request) in requests().into_iter().enumerate() {
        let n = u64::try_from(n).unwrap();
        alice.request(n, &bobs, request.clone()).await;
        let (token, from, got) = bob.until_requested().await;
        assert_eq!((from, got), (alices.clone(), request.clone()));
        let answer = match request {
            Request::Hello => Answer::Hello(Epoch([5; 16])),
            Request::Connect(_) => Answer::Connect(connect()),
            Request::Sync(_) => Answer::Sync(vec![item]),
            _ => Answer::Acknowledged,
        };
        bob.answer(token, Ok(answer.clone())).await;
        assert_eq!(alice.outcome(n).await, Outcome::Answered(answer));
    }
    for refusal in [Refusal::wait(Wait::Turn, "not your turn"), Refusal::new(Condition::Forbidden, "no")] {
        bob.request(7, &alices, Request::Connect(connect())).await;
        let (token, ..) = alice.until_requested().await;
        alice.answer(token, Err(refusal.clone())).await;
        assert_eq!(bob.outcome(7).await, Outcome::Refused(refusal));
    }
    bob.session.close().await;
    alice.until(|event| matches!(event, SessionEvent::Unavailable { device } if *device == bobs).then_some(())).await;
    alice.request(8, &bobs, Request::Cancel { id: offer().id }).await;
    let gone = alice.outcome(8).await;
    assert!(matches!(&gone, Outcome::Refused(r) if r.condition == Condition::ServiceUnavailable), "{gone:?}");
    alice.session.close().await;
}

#[tokio::test]
async fn a_stranger_and_a_client_without_xbt_get_service_unavailable_and_the_account_itself_does_not() {
    let prosody = Prosody::start(&["alice", "eve"], &[]);
    let (mut alice, alices) = Client::online(prosody.config("alice", "xbt-a")).await;
    let (mut eve, _) = Client::online(prosody.config("eve", "xbt-e")).await;
    for (n, request) in requests().into_iter().enumerate() {
        let n = u64::try_from(n).unwrap();
        eve.request(n, &alices, request).await;
        let outcome = eve.outcome(n).await;
        assert!(
            matches!(&outcome, Outcome::Refused(r) if r.condition == Condition::ServiceUnavailable && r.text.is_empty())
        );
    }
    let mut raw = Raw::log_in(&prosody, "eve", "raw").await;
    let to = alices.to_string();
    for (type_, payload) in [
        ("get", "<query xmlns='http://jabber.org/protocol/disco#info'/>"),
        ("get", "<ping xmlns='urn:xmpp:ping'/>"),
        ("set", "<query xmlns='jabber:iq:roster'><item jid='eve@localhost' subscription='both'/></query>"),
        ("set", "<dance xmlns='urn:x-xbt:1'/>"),
        ("get", "<offer xmlns='urn:x-xbt:1'/>"),
    ] {
        let answer = raw.ask(&to, "q", type_, payload).await;
        assert!(answer.contains("<service-unavailable"), "{payload}: {answer}");
    }
    // Presence sent straight to us by a stranger is not heard.
    raw.send(&format!("<presence to='{to}'/>")).await;
    let mut own = Raw::log_in(&prosody, "alice", "chat").await;
    let answer = own.ask(&to, "q", "get", "<ping xmlns='urn:xmpp:ping'/>").await;
    assert!(answer.contains("result"), "{answer}");
    own.send("<presence/>").await;
    alice
        .until(|event| match event {
            SessionEvent::Available { device, xbt } => {
                assert_eq!(device.to_string(), "alice@localhost/chat");
                assert!(!xbt);
                Some(())
            }
            _ => None,
        })
        .await;
    assert!(!alice.seen.iter().any(|event| matches!(event, SessionEvent::Requested { .. })));
    alice.session.close().await;
    eve.session.close().await;
}

#[tokio::test]
async fn a_contacts_questions_are_answered_also_those_we_do_not_know() {
    let prosody = Prosody::start(&["alice", "bob"], &["alice", "bob"]);
    let (mut alice, alices) = Client::online(prosody.config("alice", "xbt-a")).await;
    let mut bob = Raw::log_in(&prosody, "bob", "raw").await;
    bob.send("<presence/>").await;
    let presence = bob.until("</presence>").await;
    assert!(presence.contains("<priority>-1</priority>"), "{presence}");
    let ver = presence.split("ver='").nth(1).and_then(|rest| rest.split('\'').next()).unwrap().to_owned();
    let to = alices.to_string();
    for (type_, payload, wanted) in [
        ("get", "<ping xmlns='urn:xmpp:ping'/>".to_owned(), "result"),
        ("get", "<query xmlns='jabber:iq:version'/>".to_owned(), "<name>xbtd</name>"),
        ("get", "<query xmlns='http://jabber.org/protocol/disco#info'/>".to_owned(), "urn:x-xbt:1"),
        (
            "get",
            format!("<query xmlns='http://jabber.org/protocol/disco#info' node='urn:x-xbt:1:xbtd#{ver}'/>"),
            "urn:x-xbt:1",
        ),
        ("get", "<query xmlns='http://jabber.org/protocol/disco#info' node='else'/>".to_owned(), "item-not-found"),
        ("get", "<query xmlns='http://jabber.org/protocol/disco#items'/>".to_owned(), "result"),
        ("get", "<query xmlns='urn:example:unknown'/>".to_owned(), "service-unavailable"),
        ("set", "<query xmlns='urn:example:unknown'/>".to_owned(), "service-unavailable"),
        ("set", "<query xmlns='jabber:iq:roster'><item jid='x@y'/></query>".to_owned(), "service-unavailable"),
        ("set", "<dance xmlns='urn:x-xbt:1'/>".to_owned(), "feature-not-implemented"),
        ("get", "<offer xmlns='urn:x-xbt:1'/>".to_owned(), "feature-not-implemented"),
        ("set", "<offer xmlns='urn:x-xbt:1' id='1'/>".to_owned(), "bad-request"),
        ("set", "<cancel xmlns='urn:x-xbt:1' id='1'/>".to_owned(), "bad-request"),
    ] {
        let answer = bob.ask(&to, "q1", type_, &payload).await;
        assert!(answer.contains(wanted), "{payload}: {answer}");
    }
    // Nobody answers this one in time: still one answer.
    let cancel = format!("<cancel xmlns='urn:x-xbt:1' id='{}'/>", offer().id);
    let answer = bob.ask(&to, "slow", "set", &cancel).await;
    assert!(answer.contains("internal-server-error") && answer.contains("wait"), "{answer}");
    let (token, ..) = alice.until_requested().await;
    alice.answer(token, Ok(Answer::Acknowledged)).await;
    let answer = bob.ask(&to, "next", "get", "<ping xmlns='urn:xmpp:ping'/>").await;
    assert!(answer.contains("next") && !answer.contains("slow"), "the late answer is dropped: {answer}");
    alice.session.close().await;
}

#[tokio::test]
async fn contacts_are_added_asked_approved_renamed_and_removed() {
    let prosody = Prosody::start(&["alice", "bob"], &[]);
    let (mut alice, alices) = Client::online(prosody.config("alice", "xbt-a")).await;
    let (mut bob, bobs) = Client::online(prosody.config("bob", "xbt-b")).await;
    let (a, b) = (parse_bare("alice@localhost").unwrap(), parse_bare("bob@localhost").unwrap());
    let add = |jid: &xbt_core::ids::BareJid, name: &str| SessionCommand::AddContact {
        jid: jid.clone(),
        name: Some(name.to_owned()),
    };
    alice.handle.send(add(&b, "Bob")).await;
    bob.until(|event| (*event == SessionEvent::SubscriptionRequested(a.clone())).then_some(())).await;
    bob.handle.send(SessionCommand::ApproveSubscription(a.clone())).await;
    alice
        .until(|event| match event {
            SessionEvent::RosterChanged(item) if item.subscription == Subscription::To => {
                assert_eq!((&item.jid, item.name.as_deref()), (&b, Some("Bob")));
                Some(())
            }
            _ => None,
        })
        .await;
    alice.until_xbt(&bobs).await;
    bob.handle.send(add(&a, "Alice")).await;
    alice.until(|event| (*event == SessionEvent::SubscriptionRequested(b.clone())).then_some(())).await;
    alice.handle.send(SessionCommand::ApproveSubscription(b.clone())).await;
    bob.until_xbt(&alices).await;
    alice.handle.send(add(&b, "Robert")).await;
    alice
        .until(|event| match event {
            SessionEvent::RosterChanged(item) if item.name.as_deref() == Some("Robert") => {
                assert_eq!(item.subscription, Subscription::Both);
                Some(())
            }
            _ => None,
        })
        .await;
    alice.handle.send(SessionCommand::RemoveContact(b.clone())).await;
    alice.until(|event| (*event == SessionEvent::RosterRemoved(b.clone())).then_some(())).await;
    assert!(alice.seen.contains(&SessionEvent::Unavailable { device: bobs.clone() }));
    alice.request(1, &bobs, Request::Cancel { id: offer().id }).await;
    let outcome = alice.outcome(1).await;
    assert!(matches!(&outcome, Outcome::Refused(r) if r.condition == Condition::ServiceUnavailable), "{outcome:?}");
    alice.session.close().await;
    bob.session.close().await;
}

#[tokio::test]
async fn offline_messages_and_courtesy_stay_for_the_chat_client() {
    let prosody = Prosody::start(&["alice", "bob"], &["alice", "bob"]);
    let mut chat = Raw::log_in(&prosody, "bob", "chat").await;
    chat.send("<message to='alice@localhost' type='chat'><body>for alice, not for xbtd</body></message>").await;
    let (alice, alices) = Client::online(prosody.config("alice", "xbt-a")).await;
    let to = alices.to_string();
    // Answered after our presence has had its effect.
    chat.send("<presence/>").await;
    chat.until("<priority>-1</priority>").await;
    chat.send("<message to='alice@localhost' type='chat'><body>second</body></message>").await;
    let pong = chat.ask(&to, "p", "get", "<ping xmlns='urn:xmpp:ping'/>").await;
    assert!(pong.contains("result") && !pong.contains("<message"), "no receipt, no bounce: {pong}");
    let mut alices_chat = Raw::log_in(&prosody, "alice", "chat").await;
    alices_chat.send("<presence/>").await;
    alices_chat.until("for alice, not for xbtd").await;
    alices_chat.until("second").await;
    let courtesy = SessionCommand::Courtesy {
        to: parse_bare("bob@localhost").unwrap(),
        text: "Alice wants to send you a file.\u{1}".to_owned(),
        offer: offer(),
    };
    alice.handle.send(courtesy).await;
    let message = chat.until("</message>").await;
    for part in ["type='chat'", "Alice wants to send you a file.", "urn:xmpp:fallback:0", "urn:xmpp:hints", "btih"] {
        assert!(message.contains(part), "{part}: {message}");
    }
    alice.session.close().await;
}
