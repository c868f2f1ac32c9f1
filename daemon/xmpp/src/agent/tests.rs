#![allow(clippy::unwrap_used, clippy::panic)]

use std::time::Duration;

use tokio_xmpp::parsers::iq::Iq;
use tokio_xmpp::parsers::stanza_error::DefinedCondition;
use xbt_core::ids::BareJid;
use xbt_core::session::{ServerServices, SessionCommand, Subscription};
use xbt_core::signal::{Answer, Epoch, Request, Stamp, Token};

use super::asked::{ANSWER_WITHIN, MOST_OF_ONE};
use super::sent::PATIENCE;
use super::*;
use crate::convert::tests::offer;
use crate::testing::Seals;

mod activate;
mod hostile;
mod in_band;
mod server_services;
mod signatures;

const ROSTER: &str = "<query xmlns='jabber:iq:roster'><item jid='bob@b' subscription='both' name='Bob'><group>G</group>\
                      </item><item jid='mallory@m' subscription='none' ask='subscribe'/></query>";

const STAMP: Stamp = Stamp { epoch: Epoch([4; 16]), number: 9 };

/// An agent with a clock, and a hand to feed it.
struct Bench {
    agent: Agent,
    now: Instant,
}

impl Bench {
    /// Logged in; the server does nothing for links.
    fn new() -> Self {
        let mut bench = Self::fresh();
        bench.refuse_all();
        bench.refuse_all();
        assert_eq!(bench.events(), [SessionEvent::Services(ServerServices::default())]);
        bench
    }

    /// Logged in; the questions about what the server does are under way.
    fn fresh() -> Self {
        let mut bench =
            Self { agent: Agent::new(jid::BareJid::new("alice@a").unwrap(), Arc::new(Seals(1))), now: Instant::now() };
        bench.agent.reset(jid::FullJid::new("alice@a/xbt").unwrap(), 7, bench.now);
        let Stanza::Iq(iq) = bench.agent.take_stanza().unwrap() else { panic!() };
        bench.feed(&format!("<iq type='result' id='{}'>{ROSTER}</iq>", iq.id()));
        let Some(Stanza::Presence(presence)) = bench.agent.take_stanza() else { panic!() };
        assert_eq!(presence.priority.0, -1);
        bench.events();
        bench
    }

    /// Answers every question with an error.
    fn refuse_all(&mut self) {
        for iq in self.iqs() {
            let from = iq.to().map(|to| format!(" from='{to}'")).unwrap_or_default();
            self.feed(&format!(
                "<iq type='error' id='{}'{from}><error type='cancel'><service-unavailable \
                 xmlns='urn:ietf:params:xml:ns:xmpp-stanzas'/></error></iq>",
                iq.id()
            ));
        }
    }

    fn feed(&mut self, xml: &str) {
        let xml = xml.replacen(' ', " xmlns='jabber:client' ", 1);
        self.agent.stanza(xso::from_bytes(xml.as_bytes()).unwrap(), self.now);
    }

    fn events(&mut self) -> Vec<SessionEvent> {
        std::iter::from_fn(|| self.agent.take_event()).collect()
    }

    fn iqs(&mut self) -> Vec<Iq> {
        std::iter::from_fn(|| self.agent.take_stanza())
            .filter_map(|stanza| match stanza {
                Stanza::Iq(iq) => Some(iq),
                Stanza::Message(_) | Stanza::Presence(_) => None,
            })
            .collect()
    }

    fn pass(&mut self, time: Duration) {
        self.now += time;
        self.agent.expire(self.now);
    }

    fn appears(&mut self, device: &str, ver: &str) {
        self.feed(&format!(
            "<presence from='{device}'><c xmlns='http://jabber.org/protocol/caps' hash='sha-1' node='n' ver='{ver}'/>\
             </presence>"
        ));
    }

    /// Answers a question for features with ours, or with some that do not fit the hash.
    fn explain(&mut self, question: &Iq, honest: bool) {
        let mut info = caps::ours();
        if !honest {
            info.features.insert("urn:example:more".into());
        }
        let payload = Some(info.into());
        let iq = Iq::Result { from: question.to().cloned(), to: None, id: question.id().to_owned(), payload };
        self.agent.stanza(iq.into(), self.now);
    }
}

fn our_ver() -> String {
    caps::advertised(&caps::ours()).unwrap().1.split_once('#').unwrap().1.to_owned()
}

fn device(text: &str) -> FullJid {
    address::full(&Jid::new(text).unwrap()).unwrap()
}

fn available(text: &str, xbt: bool) -> SessionEvent {
    SessionEvent::Available { device: device(text), xbt }
}

fn request(token: u64, to: &str) -> SessionCommand {
    SessionCommand::Request {
        token: Token(token),
        to: device(to),
        request: Request::Cancel { id: offer().id },
        stamp: STAMP,
    }
}

fn condition(iq: &Iq) -> &DefinedCondition {
    match iq {
        Iq::Error { error, .. } => &error.defined_condition,
        other => panic!("{other:?}"),
    }
}

#[test]
fn the_same_hash_is_asked_about_once_and_believed_only_if_it_fits() {
    let mut bench = Bench::new();
    for resource in ["1", "2", "3"] {
        bench.appears(&format!("bob@b/{resource}"), &our_ver());
    }
    let questions = bench.iqs();
    assert_eq!((questions.len(), bench.events()), (1, vec![]));
    // The first one lies: that is its own affair.
    bench.explain(&questions[0], false);
    assert_eq!(bench.events(), [available("bob@b/1", true)]);
    let questions = bench.iqs();
    assert_eq!(questions.len(), 1);
    bench.explain(&questions[0], true);
    assert_eq!(bench.events(), [available("bob@b/2", true), available("bob@b/3", true)]);
    bench.appears("bob@b/4", &our_ver());
    assert_eq!((bench.iqs().len(), bench.events()), (0, vec![available("bob@b/4", true)]));
    bench.feed("<presence from='bob@b/4' type='unavailable'/>");
    assert_eq!(bench.events(), [SessionEvent::Unavailable { device: device("bob@b/4") }]);
}

#[test]
fn a_device_that_does_not_explain_itself_has_no_xbt() {
    let mut bench = Bench::new();
    bench.appears("bob@b/1", &our_ver());
    bench.feed("<presence from='bob@b/plain'/>");
    assert_eq!(bench.events(), [available("bob@b/plain", false)]);
    bench.pass(PATIENCE);
    assert_eq!(bench.events(), [available("bob@b/1", false)]);
    bench.appears("bob@b/2", &our_ver());
    bench.feed("<presence from='bob@b/2' type='unavailable'/>");
    assert_eq!(bench.events(), [], "what was never told is not taken back");
}

#[test]
fn a_device_that_changes_its_features_or_sends_its_presence_again_is_reported_again() {
    let mut bench = Bench::new();
    bench.feed("<presence from='bob@b/1'/>");
    bench.appears("bob@b/1", &our_ver());
    let questions = bench.iqs();
    bench.explain(&questions[0], true);
    assert_eq!(bench.events(), [available("bob@b/1", false), available("bob@b/1", true)]);
    // Its server may have been away without a word.
    bench.appears("bob@b/1", &our_ver());
    bench.feed("<presence from='bob@b/1'><show>away</show></presence>");
    assert_eq!(bench.events(), [available("bob@b/1", true), available("bob@b/1", true)]);
    assert!(bench.iqs().is_empty(), "nothing is asked twice");
}

#[test]
fn presence_of_strangers_is_not_heard_and_that_of_own_devices_is() {
    let mut bench = Bench::new();
    for stranger in ["eve@e/1", "mallory@m/1", "alice@a/xbt"] {
        bench.feed(&format!("<presence from='{stranger}'/>"));
    }
    bench.feed("<presence from='bob@b'/>");
    bench.feed("<presence id='no-from'/>");
    assert_eq!(bench.events(), []);
    bench.feed("<presence from='alice@a/phone'/>");
    assert_eq!(bench.events(), [available("alice@a/phone", false)]);
}

#[test]
fn devices_and_questions_are_bounded() {
    let mut bench = Bench::new();
    for n in 0..200 {
        bench.feed(&format!("<presence from='bob@b/{n}'/>"));
        bench.appears(&format!("alice@a/{n}"), &format!("{n:0>4}"));
    }
    assert_eq!(bench.events().len(), 64);
    assert_eq!(bench.iqs().len(), 4);
    bench.pass(PATIENCE);
    assert_eq!(bench.iqs().len(), 4, "the next ones are asked when the first are given up");
}

#[test]
fn roster_pushes_count_only_from_the_own_account() {
    let mut bench = Bench::new();
    let push = |from: &str| {
        format!(
            "<iq type='set' id='p'{from}><query xmlns='jabber:iq:roster'><item jid='eve@e' subscription='both'/></query></iq>"
        )
    };
    for from in [" from='eve@e/1'", " from='bob@b'", " from='bob@b/1'", " from='alice@a/phone'", " from='b'"] {
        bench.feed(&push(from));
        assert_eq!(condition(&bench.iqs()[0]), &DefinedCondition::ServiceUnavailable, "{from}");
        assert_eq!(bench.events(), []);
    }
    for from in ["", " from='alice@a'"] {
        bench.feed(&push(from));
        assert!(matches!(&bench.iqs()[0], Iq::Result { .. }));
        assert!(
            matches!(&bench.events()[..], [SessionEvent::RosterChanged(item)] if item.subscription == Subscription::Both)
        );
    }
    bench.feed("<presence from='eve@e/1'/>");
    bench.feed(
        "<iq type='set' id='p'><query xmlns='jabber:iq:roster'><item jid='eve@e' subscription='remove'/></query></iq>",
    );
    let gone = SessionEvent::Unavailable { device: device("eve@e/1") };
    let removed = SessionEvent::RosterRemoved(BareJid::from_normalised("eve@e"));
    assert_eq!(bench.events(), [available("eve@e/1", false), gone, removed]);
}

#[test]
fn a_roster_item_whose_normal_form_is_no_address_is_left_out() {
    let mut bench = Bench::new();
    let item = format!("<item jid='alice@{}.org' subscription='both'/>", "ß".repeat(40));
    bench.feed(&format!("<iq type='set' id='p'><query xmlns='jabber:iq:roster'>{item}</query></iq>"));
    assert!(matches!(&bench.iqs()[0], Iq::Result { .. }));
    assert_eq!(bench.events(), []);
}

#[test]
fn renaming_a_contact_keeps_its_groups() {
    let mut bench = Bench::new();
    let jid = BareJid::from_normalised("bob@b");
    bench.agent.do_command(SessionCommand::AddContact { jid, name: None }, bench.now);
    let Some(Iq::Set { payload, .. }) = bench.iqs().into_iter().next() else { panic!() };
    let item = &roster_xml::Roster::try_from(payload).unwrap().items[0];
    assert_eq!((item.name.as_deref(), item.groups.len()), (Some("Bob"), 1));
}

#[test]
fn an_answer_counts_only_from_whom_it_was_asked_of() {
    let mut bench = Bench::new();
    bench.agent.do_command(request(1, "bob@b/1"), bench.now);
    let id = bench.iqs()[0].id().to_owned();
    for from in ["", " from='bob@b'", " from='bob@b/2'", " from='alice@a'", " from='eve@e/1'"] {
        bench.feed(&format!("<iq type='result' id='{id}'{from}/>"));
    }
    bench.feed("<iq type='result' id='other' from='bob@b/1'/>");
    assert_eq!(bench.events(), []);
    bench.feed(&format!("<iq type='result' id='{id}' from='bob@b/1'/>"));
    bench.feed(&format!("<iq type='result' id='{id}' from='bob@b/1'/>"));
    let outcome = Outcome::Answered(Answer::Acknowledged);
    assert_eq!(bench.events(), [SessionEvent::Answered { token: Token(1), outcome, by: None }]);
}

#[test]
fn every_request_is_answered_once_when_time_passes_or_the_stream_is_reset() {
    let mut bench = Bench::new();
    let lost = |token| SessionEvent::Answered { token: Token(token), outcome: Outcome::Lost, by: None };
    bench.agent.do_command(request(1, "bob@b/1"), bench.now);
    bench.pass(PATIENCE / 2);
    bench.agent.do_command(request(2, "bob@b/1"), bench.now);
    bench.pass(PATIENCE / 2);
    assert_eq!(bench.events(), [lost(1)]);
    assert_eq!(bench.agent.deadline(), Some(bench.now + PATIENCE / 2));
    bench.agent.reset(jid::FullJid::new("alice@a/xbt").unwrap(), 8, bench.now);
    assert_eq!(bench.events(), [lost(2)]);
    bench.agent.do_command_offline(request(3, "bob@b/1"));
    assert_eq!(bench.events(), [lost(3)]);
    for n in 0..2000 {
        bench.agent.do_command(request(n, "bob@b/1"), bench.now);
    }
    bench.pass(PATIENCE);
    assert_eq!(bench.events().len(), 2000);
}

#[test]
fn an_answer_that_breaks_the_rules_is_still_an_answer() {
    let mut bench = Bench::new();
    bench.agent.do_command(request(1, "bob@b/1"), bench.now);
    let id = bench.iqs()[0].id().to_owned();
    let header = |type_: &str, from: &str, id: &str| RawStanzaHeader {
        from: Some(from.into()),
        to: None,
        type_: Some(type_.into()),
        id: Some(id.into()),
    };
    bench.agent.bad_iq(header("error", "bob@b/1", &id), bench.now);
    let events = bench.events();
    assert!(
        matches!(&events[..], [SessionEvent::Answered { outcome: Outcome::Refused(r), .. }] if r.condition == Condition::Other)
    );
    bench.agent.bad_iq(header("get", "bob@b/1", "q"), bench.now);
    assert_eq!(condition(&bench.iqs()[0]), &DefinedCondition::BadRequest);
    bench.agent.bad_iq(header("get", "eve@e/1", "q"), bench.now);
    assert_eq!(condition(&bench.iqs()[0]), &DefinedCondition::ServiceUnavailable);
}

#[test]
fn requests_of_others_are_bounded_and_answered_late_rather_than_never() {
    let mut bench = Bench::new();
    let cancel = format!("<cancel xmlns='urn:x-xbt:1' id='{}'/>", offer().id);
    for n in 0..40 {
        bench.feed(&format!("<iq type='set' id='{n}' from='bob@b/{}'>{cancel}</iq>", n % 3));
    }
    assert_eq!(bench.events().len(), MOST_OF_ONE);
    let refused = bench.iqs();
    assert_eq!(refused.len(), 40 - MOST_OF_ONE);
    assert!(refused.iter().all(|iq| *condition(iq) == DefinedCondition::ResourceConstraint));
    bench.pass(ANSWER_WITHIN);
    let late = bench.iqs();
    assert_eq!(late.len(), MOST_OF_ONE);
    assert!(late.iter().all(|iq| *condition(iq) == DefinedCondition::InternalServerError));
    bench.feed(&format!("<iq type='set' id='x' from='bob@b'>{cancel}</iq>"));
    assert_eq!(condition(&bench.iqs()[0]), &DefinedCondition::ServiceUnavailable, "only devices have requests");
}

#[test]
fn messages_carbons_and_errors_have_no_effect() {
    let mut bench = Bench::new();
    let inner = "<message xmlns='jabber:client' from='bob@b/1' to='alice@a/phone' type='chat'><body>x</body></message>";
    for from in ["alice@a", "bob@b/1", "eve@e/1"] {
        bench.feed(&format!(
            "<message from='{from}' type='chat'><received xmlns='urn:xmpp:carbons:2'><forwarded \
             xmlns='urn:xmpp:forward:0'>{inner}</forwarded></received><request xmlns='urn:xmpp:receipts'/></message>"
        ));
        bench.feed(&format!("<message from='{from}' type='error' id='m'><body>x</body></message>"));
    }
    assert_eq!(bench.events(), []);
    assert!(bench.agent.take_stanza().is_none());
}

#[test]
fn without_a_roster_the_stream_is_given_up() {
    let mut agent = Agent::new(jid::BareJid::new("alice@a").unwrap(), Arc::new(Seals(1)));
    let now = Instant::now();
    agent.reset(jid::FullJid::new("alice@a/xbt").unwrap(), 7, now);
    agent.expire(now + PATIENCE);
    assert!(agent.take_broken().is_some());
}
