//! Who signed what, as the rules learn it.

use xbt_core::ids::Fingerprint;
use xbt_core::signal::{Refusal, Signed, Wait};

use super::*;
use crate::convert::tests::{connect, requests};

/// Alice, and Bob's device as another agent has it.
fn pair() -> (Bench, Bench) {
    let mut bob =
        Bench { agent: Agent::new(jid::BareJid::new("bob@b").unwrap(), Arc::new(Seals(2))), now: Instant::now() };
    bob.agent.reset(jid::FullJid::new("bob@b/1").unwrap(), 9, bob.now);
    let Stanza::Iq(iq) = bob.agent.take_stanza().unwrap() else { panic!() };
    let roster = "<query xmlns='jabber:iq:roster'><item jid='alice@a' subscription='both'/><item jid='carol@c' subscription='both'/></query>";
    bob.feed(&format!("<iq type='result' id='{}'>{roster}</iq>", iq.id()));
    bob.iqs();
    bob.events();
    (Bench::new(), bob)
}

/// The IQ as the servers pass it on.
fn passed_on(iq: &Iq, from: &str) -> Iq {
    let bytes = xso::to_vec(&iq.clone().with_from(Jid::new(from).unwrap())).unwrap();
    xso::from_bytes(&bytes).unwrap()
}

fn requested(bench: &mut Bench) -> (Token, Request, Option<Signed>) {
    match &bench.events()[..] {
        [SessionEvent::Requested { token, request, signed, .. }] => (*token, request.clone(), *signed),
        other => panic!("{other:?}"),
    }
}

fn ask(alice: &mut Bench, request: Request) -> Iq {
    let command = SessionCommand::Request { token: Token(1), to: device("bob@b/1"), request, stamp: STAMP };
    alice.agent.do_command(command, alice.now);
    alice.iqs().pop().unwrap()
}

const ALICE: Signed = Signed { key: Fingerprint([1; 32]), stamp: STAMP };

#[test]
fn every_request_comes_with_the_key_that_signed_it_and_its_stamp() {
    let (mut alice, mut bob) = pair();
    for request in requests() {
        let iq = ask(&mut alice, request.clone());
        bob.agent.stanza(passed_on(&iq, "alice@a/xbt").into(), bob.now);
        assert_eq!(requested(&mut bob).1, request);
        bob.agent.stanza(passed_on(&iq, "alice@a/xbt").into(), bob.now);
        assert_eq!(requested(&mut bob).2, Some(ALICE), "that it came before is for the rules to notice");
    }
}

#[test]
fn what_is_cut_or_cleaned_on_the_way_out_is_signed_as_it_is_read() {
    let (mut alice, mut bob) = pair();
    let name = "\u{1}\r".to_owned() + &"é".repeat(2_000);
    let iq = ask(&mut alice, Request::Offer(xbt_core::signal::Offer { name, ..offer() }));
    bob.agent.stanza(passed_on(&iq, "alice@a/xbt").into(), bob.now);
    assert_eq!(requested(&mut bob).2, Some(ALICE));
}

#[test]
fn a_request_that_was_changed_or_moved_is_not_signed() {
    let (mut alice, mut bob) = pair();
    let iq = ask(&mut alice, Request::Connect(connect()));
    for from in ["alice@a/evil", "carol@c/xbt"] {
        bob.agent.stanza(passed_on(&iq, from).into(), bob.now);
        assert_eq!(requested(&mut bob).2, None, "{from}");
    }
    let xml = String::from_utf8(xso::to_vec(&passed_on(&iq, "alice@a/xbt")).unwrap()).unwrap();
    let key = xml.split("key=").nth(1).unwrap()[1..45].to_owned();
    let other_key = key.replacen('A', "B", 1);
    let changes = [
        ("port='51413'", "port='51414'"),
        ("port=\"51413\"", "port=\"51414\""),
        ("introduce='true'", ""),
        ("introduce=\"true\"", ""),
        ("number='9'", "number='10'"),
        ("number=\"9\"", "number=\"10\""),
        (&*key, &*other_key),
        ("in-band", "no-band"),
    ];
    let mut changed = 0;
    for (before, after) in changes {
        let forged = xml.replace(before, after);
        if forged != xml {
            changed += 1;
            bob.agent.stanza(xso::from_bytes::<Iq>(forged.as_bytes()).unwrap().into(), bob.now);
            assert_eq!(requested(&mut bob).2, None, "{before}");
        }
    }
    assert_eq!(changed, 5);
    bob.agent.reset(jid::FullJid::new("bob@b/2").unwrap(), 9, bob.now);
    bob.events();
    let Stanza::Iq(roster) = bob.agent.take_stanza().unwrap() else { panic!() };
    bob.feed(&format!(
        "<iq type='result' id='{}'><query xmlns='jabber:iq:roster'><item jid='alice@a' subscription='both'/></query></iq>",
        roster.id()
    ));
    bob.events();
    bob.agent.stanza(passed_on(&iq, "alice@a/xbt").into(), bob.now);
    assert_eq!(requested(&mut bob).2, None, "it was for another device");
}

#[test]
fn an_envelope_that_makes_no_sense_is_as_good_as_none() {
    let mut bench = Bench::new();
    let cancel = format!("<cancel xmlns='urn:x-xbt:1' id='{}'/>", offer().id);
    let (key, signature, epoch) = ("AQ==".to_owned(), "A".repeat(86) + "==", "A".repeat(22) + "==");
    for envelope in [
        cancel.clone(),
        format!("<signed xmlns='urn:x-xbt:1'>{cancel}</signed>"),
        format!(
            "<signed xmlns='urn:x-xbt:1' key='{key}' signature='{signature}' epoch='{epoch}' number='1'>{cancel}</signed>"
        ),
        format!(
            "<signed xmlns='urn:x-xbt:1' key='!' signature='{signature}' epoch='{epoch}' number='-1'>{cancel}</signed>"
        ),
        format!(
            "<signed xmlns='urn:x-xbt:1' key='{key}' signature='{signature}' epoch='{epoch}'>{cancel}{cancel}</signed>"
        ),
    ] {
        bench.feed(&format!("<iq type='set' id='1' from='bob@b/1'>{envelope}</iq>"));
        let (token, _, signed) = requested(&mut bench);
        assert_eq!(signed, None, "{envelope}");
        let refusal = Refusal::new(Condition::Forbidden, "no");
        bench.agent.do_command(SessionCommand::Answer { token, answer: Err(refusal) }, bench.now);
        assert_eq!(condition(&bench.iqs()[0]), &DefinedCondition::Forbidden);
    }
    for empty in ["<signed xmlns='urn:x-xbt:1'/>".to_owned(), "<signed xmlns='urn:x-xbt:1'>x</signed>".to_owned()] {
        bench.feed(&format!("<iq type='set' id='1' from='bob@b/1'>{empty}</iq>"));
        assert_eq!(bench.events(), []);
        assert_eq!(condition(&bench.iqs()[0]), &DefinedCondition::BadRequest);
    }
}

#[test]
fn an_answer_counts_as_signed_for_the_one_request_that_it_answers() {
    let answers = [
        (Request::Hello, Ok(Answer::Hello(Epoch([5; 16])))),
        (Request::Connect(connect()), Ok(Answer::Connect(connect()))),
        (Request::Cancel { id: offer().id }, Ok(Answer::Acknowledged)),
        (Request::Cancel { id: offer().id }, Err(Refusal::new(Condition::Conflict, "taken"))),
        (Request::Connect(connect()), Err(Refusal::wait(Wait::Paused, "paused by bob\r"))),
    ];
    for (request, answer) in answers {
        let (mut alice, mut bob) = pair();
        let iq = ask(&mut alice, request.clone());
        bob.agent.stanza(passed_on(&iq, "alice@a/xbt").into(), bob.now);
        let token = requested(&mut bob).0;
        bob.agent.do_command(SessionCommand::Answer { token, answer: answer.clone() }, bob.now);
        let said = bob.iqs().pop().unwrap();
        // To another request it is none: the same words, another number.
        let stamp = Stamp { number: 10, ..STAMP };
        let again = SessionCommand::Request { token: Token(2), to: device("bob@b/1"), request, stamp };
        alice.agent.do_command(again, alice.now);
        let other = alice.iqs().pop().unwrap();
        let moved = passed_on(&said, "bob@b/1").with_id(other.id().to_owned());
        alice.agent.stanza(moved.into(), alice.now);
        let [SessionEvent::Answered { by: None, .. }] = &alice.events()[..] else { panic!("moved") };
        alice.agent.stanza(passed_on(&said, "bob@b/1").into(), alice.now);
        let events = alice.events();
        let [SessionEvent::Answered { outcome, by, .. }] = &events[..] else { panic!("{events:?}") };
        assert_eq!(*by, Some(Fingerprint([2; 32])), "{answer:?}");
        match (outcome, answer) {
            (Outcome::Answered(got), Ok(said)) => assert_eq!(*got, said),
            (Outcome::Refused(got), Err(said)) => assert_eq!((got.condition, got.wait), (said.condition, said.wait)),
            other => panic!("{other:?}"),
        }
    }
}

#[test]
fn another_version_is_refused_with_a_sentence_that_says_so() {
    let mut bench = Bench::new();
    for version in ["0", "2"] {
        bench.feed(&format!("<iq type='set' id='1' from='bob@b/1'><offer xmlns='urn:x-xbt:{version}'/></iq>"));
        let iqs = bench.iqs();
        let Iq::Error { error, .. } = &iqs[0] else { panic!() };
        assert_eq!(error.defined_condition, DefinedCondition::FeatureNotImplemented);
        let text = error.texts.values().next().unwrap();
        assert!(text.contains(&format!("version {version}")) && text.contains("version 1"), "{text}");
    }
    bench.feed("<iq type='set' id='1' from='eve@e/1'><offer xmlns='urn:x-xbt:0'/></iq>");
    assert_eq!(condition(&bench.iqs()[0]), &DefinedCondition::ServiceUnavailable, "strangers learn nothing");
}
