#![allow(clippy::unwrap_used, clippy::panic)]

use proptest::prelude::*;
use tokio_xmpp::parsers::iq::Iq;
use xbt_core::ids::{Fingerprint, InfoHash, OfferId};
use xbt_core::signal::{Candidate, CandidateKind, Connect, Introduction, MAX_CANDIDATES, Proxy, Reach};
use xbt_core::way::Way;

use super::*;

const ID: &str = "0b5e1c2a-7d3f-4a6b-8c9d-0e1f2a3b4c5d";
const HASH: &str = "00112233445566778899aabbccddeeff00112233";
const KEY: &str = "00112233445566778899aabbccddeeff00112233445566778899aabbccddeeff";

pub(crate) fn offer() -> Offer {
    Offer {
        id: ID.parse().unwrap(),
        info_hash: HASH.parse().unwrap(),
        size: 1 << 40,
        files: 12,
        metadata_size: 4711,
        expires: Some(1_767_225_600_000),
        name: "a <b> & \"c\" é.iso".into(),
        message: Some("for you".into()),
        fingerprint: KEY.parse().unwrap(),
    }
}

pub(crate) fn connect() -> Connect {
    let candidate = |kind, address: &str| Candidate { kind, address: address.parse().unwrap() };
    Connect {
        id: ID.parse().unwrap(),
        info_hash: HASH.parse().unwrap(),
        fingerprint: KEY.parse().unwrap(),
        reach: Reach {
            candidates: vec![
                candidate(CandidateKind::Host, "[2001:db8::1]:51413"),
                candidate(CandidateKind::Mapped, "192.0.2.1:6881"),
                candidate(CandidateKind::Reflexive, "192.0.2.1:40000"),
            ],
            proxies: vec![Proxy { jid: "proxy.example.org".into(), host: "192.0.2.9".into(), port: 5000 }],
            stream_id: Some("5f2c".into()),
            in_band: true,
        },
        delay: 40,
        better_than: Some(Way::Proxy65),
        introduce: true,
    }
}

fn introduction() -> Introduction {
    let Connect { id, info_hash, fingerprint, reach, .. } = connect();
    Introduction { id, info_hash, fingerprint, candidates: reach.candidates }
}

pub(crate) fn requests() -> Vec<Request> {
    let id: OfferId = ID.parse().unwrap();
    let item = |role, state| SyncItem { id, role, state };
    vec![
        Request::Hello,
        Request::Offer(offer()),
        Request::Offer(Offer { expires: None, message: None, ..offer() }),
        Request::Connect(connect()),
        Request::Connect(Connect {
            reach: Reach::default(),
            delay: 0,
            better_than: None,
            introduce: false,
            ..connect()
        }),
        Request::Decline { id, message: Some("no, thanks".into()) },
        Request::Decline { id, message: None },
        Request::Cancel { id },
        Request::Expired { id },
        Request::Done { id },
        Request::Failed { id, reason: "disk full".into() },
        Request::Taken { id },
        Request::Introduce(introduction()),
        Request::Introduce(Introduction { candidates: Vec::new(), ..introduction() }),
        Request::Sync(vec![item(Role::Sender, SyncState::Open), item(Role::Receiver, SyncState::Unknown)]),
        Request::Sync(vec![]),
    ]
}

/// Through real XML and back.
fn over_the_wire(element: Element) -> Element {
    let iq = Iq::Set { from: None, to: None, id: "1".into(), payload: element };
    let bytes = xso::to_vec(&iq).unwrap();
    match xso::from_bytes::<Iq>(&bytes).unwrap() {
        Iq::Set { payload, .. } => payload,
        other => panic!("{other:?}"),
    }
}

fn parsed(xml: &str) -> Result<Request, Invalid> {
    request_in(xml.replacen(' ', " xmlns='urn:x-xbt:1' ", 1).parse().unwrap())
}

fn offer_xml(attributes: &str, children: &str) -> String {
    format!(
        "<offer id='{ID}' kind='btih' info-hash='{HASH}' size='1' files='1' metadata-size='1' {attributes}>\
         <name>n</name><fingerprint>{KEY}</fingerprint>{children}</offer>"
    )
}

#[test]
fn every_request_and_answer_survives_the_wire() {
    for request in requests() {
        assert_eq!(request_in(over_the_wire(request_out(request.clone()))), Ok(request));
    }
    let items = vec![SyncItem { id: ID.parse().unwrap(), role: Role::Receiver, state: SyncState::Done }];
    for (expected, answer) in [
        (Expected::Hello, Answer::Hello(Epoch([7; 16]))),
        (Expected::Connect, Answer::Connect(connect())),
        (Expected::Sync, Answer::Sync(items)),
    ] {
        let element = over_the_wire(answer_out(answer.clone()).unwrap());
        assert_eq!(answer_in(expected, Some(element)), Ok(answer));
    }
    assert_eq!(answer_out(Answer::Acknowledged), None);
    assert_eq!(answer_in(Expected::Nothing, None), Ok(Answer::Acknowledged));
    assert!(answer_in(Expected::Connect, None).is_err());
}

#[test]
fn a_cancel_says_whether_the_offer_has_lapsed_and_unknown_reasons_are_none() {
    let id: OfferId = ID.parse().unwrap();
    let xml = String::from(&request_out(Request::Expired { id }));
    assert_eq!(xml, format!("<cancel xmlns='urn:x-xbt:1' id='{ID}' reason='expired'/>"));
    assert_eq!(String::from(&request_out(Request::Cancel { id })), format!("<cancel xmlns='urn:x-xbt:1' id='{ID}'/>"));
    assert_eq!(parsed(&format!("<cancel id='{ID}' reason='weather'/>")), Ok(Request::Cancel { id }));
}

#[test]
fn an_offer_looks_as_the_specification_says() {
    let xml = String::from(&request_out(Request::Offer(Offer { name: "photo.jpg".into(), ..offer() })));
    let expected = format!(
        "<offer xmlns='urn:x-xbt:1' id='{ID}' kind='btih' info-hash='{HASH}' size='1099511627776' files='12' \
         metadata-size='4711' expires='2026-01-01T00:00:00Z'><name>photo.jpg</name><desc>for you</desc>\
         <fingerprint>{KEY}</fingerprint></offer>"
    );
    let same: Element = expected.parse().unwrap();
    assert_eq!(xml.parse::<Element>().unwrap(), same);
}

#[test]
fn only_a_plain_yes_lets_others_know_where_somebody_is() {
    for (said, expected) in
        [("introduce='true'", true), ("introduce='1'", true), ("introduce='yes'", false), ("", false)]
    {
        let xml = format!("<connect id='{ID}' info-hash='{HASH}' {said}><fingerprint>{KEY}</fingerprint></connect>");
        let Ok(Request::Connect(connect)) = parsed(&xml) else { panic!("{said}") };
        assert_eq!(connect.introduce, expected, "{said}");
    }
}

#[test]
fn an_introduction_is_bounded_and_what_is_unknown_in_it_is_left_out() {
    let candidate = |kind: &str, port: u16| format!("<candidate kind='{kind}' ip='192.0.2.1' port='{port}'/>");
    let many: String = (1..=40).map(|port| candidate("host", port)).collect();
    let odd = candidate("carrier-pigeon", 1) + &candidate("host", 0);
    let xml = |id: &str, inside: &str| {
        format!(
            "<introduce id='{id}' info-hash='{HASH}' more='x'><fingerprint>{KEY}</fingerprint>{inside}<x/></introduce>"
        )
    };
    let Ok(Request::Introduce(introduction)) = parsed(&xml(ID, &(odd + &many))) else { panic!("it is good") };
    assert_eq!(introduction.candidates.len(), MAX_CANDIDATES);
    assert!(introduction.candidates.iter().all(|c| c.address.port() != 0));
    assert!(matches!(parsed(&xml("1", "")), Err(Invalid::Malformed(_))));
    let no_key = format!("<introduce id='{ID}' info-hash='{HASH}'/>");
    assert!(matches!(parsed(&no_key), Err(Invalid::Malformed(_))));
}

#[test]
fn every_refusal_survives_the_wire() {
    let conditions = [
        Condition::Forbidden,
        Condition::ItemNotFound,
        Condition::Conflict,
        Condition::ResourceConstraint,
        Condition::NotAcceptable,
        Condition::BadRequest,
        Condition::ServiceUnavailable,
        Condition::FeatureNotImplemented,
        Condition::Other,
    ];
    let mut refusals: Vec<Refusal> = conditions.into_iter().map(|c| Refusal::new(c, "because")).collect();
    refusals.extend([Wait::Paused, Wait::Turn, Wait::Busy].into_iter().map(|wait| Refusal::wait(wait, "")));
    for refusal in refusals {
        let bytes = xso::to_vec(&refusal_out(refusal.clone())).unwrap();
        assert_eq!(refusal_in(&xso::from_bytes::<StanzaError>(&bytes).unwrap()), refusal);
    }
}

#[test]
fn what_a_later_version_adds_is_ignored() {
    let xml = offer_xml("colour='red'", "<preview/><other xmlns='urn:else'>x</other>");
    assert!(matches!(parsed(&xml), Ok(Request::Offer(_))), "{:?}", parsed(&xml));
    let xml = format!(
        "<connect id='{ID}' info-hash='{HASH}'><fingerprint>{KEY}</fingerprint>\
         <candidate kind='punched' ip='192.0.2.1' port='1'/><candidate kind='host' ip='192.0.2.1' port='0'/>\
         <candidate kind='host' ip='::1' port='2'/></connect>"
    );
    let Ok(Request::Connect(connect)) = parsed(&xml) else { panic!("{:?}", parsed(&xml)) };
    assert_eq!(connect.reach.candidates.len(), 1);
}

#[test]
fn hostile_requests_are_refused_as_bad() {
    let long = "x".repeat(MAX_NAME + 1);
    let items = format!("<item id='{ID}' role='sender' state='open'/>").repeat(MAX_SYNC_ITEMS + 1);
    let cases = [
        "<offer />".to_owned(),
        offer_xml("", "").replace(ID, "1"),
        offer_xml("", "").replace(ID, &ID.to_uppercase()),
        offer_xml("", "").replace(&format!("'{HASH}'"), "'00'"),
        offer_xml("", "").replace("size='1'", "size='-1'"),
        offer_xml("", "").replace(" files='1'", " files='0'"),
        offer_xml("", "").replace(" metadata-size='1'", " metadata-size='4294967296'"),
        offer_xml("", "").replace("<name>n</name>", ""),
        offer_xml("", "").replace("<name>n</name>", "<name/>"),
        offer_xml("", "").replace("<name>n</name>", &format!("<name>{long}</name>")),
        offer_xml("", "<name>second</name>"),
        offer_xml("", &format!("<desc>{}</desc>", "x".repeat(MAX_MESSAGE + 1))),
        offer_xml("expires='tomorrow'", ""),
        offer_xml("expires='99999-01-01T00:00:00Z'", ""),
        offer_xml("", "").replace(KEY, "no key"),
        format!("<connect id='{ID}' info-hash='{HASH}'/>"),
        format!(
            "<connect id='{ID}' info-hash='{HASH}'><fingerprint>{KEY}</fingerprint>\
             <candidate kind='host' ip='bob.example' port='1'/></connect>"
        ),
        format!("<sync >{items}</sync>"),
        format!("<sync ><item id='{ID}' role='boss' state='open'/></sync>"),
        format!("<sync ><item id='{ID}' role='sender' state='asleep'/></sync>"),
        format!("<failed id='{ID}' reason='{long}'/>"),
        "<done />".to_owned(),
    ];
    for xml in cases {
        let result = parsed(&xml);
        assert!(matches!(result, Err(Invalid::Malformed(_))), "{xml:.300}: {result:?}");
    }
}

#[test]
fn unknown_requests_and_contents_are_not_implemented() {
    assert!(matches!(parsed("<dance />"), Err(Invalid::Unknown(_))));
    assert!(matches!(parsed(&offer_xml("", "").replace("btih", "ipfs")), Err(Invalid::Unknown(_))));
}

#[test]
fn at_most_sixteen_candidates_are_kept() {
    let many = "<candidate kind='host' ip='192.0.2.1' port='1'/>".repeat(100);
    let xml = format!("<connect id='{ID}' info-hash='{HASH}'><fingerprint>{KEY}</fingerprint>{many}</connect>");
    let Ok(Request::Connect(connect)) = parsed(&xml) else { panic!() };
    assert_eq!(connect.reach.candidates.len(), MAX_CANDIDATES);
}

#[test]
fn outgoing_text_is_cut_between_characters_and_made_fit_for_xml() {
    let name = format!("{}é", "x".repeat(MAX_NAME - 1));
    let Request::Offer(out) =
        request_in(over_the_wire(request_out(Request::Offer(Offer { name, ..offer() })))).unwrap()
    else {
        panic!()
    };
    assert_eq!(out.name, "x".repeat(MAX_NAME - 1));
    assert_eq!(sendable("a\u{1}\u{7f}\r\u{ffff}\n\tb", 100), "a\u{fffd}\u{fffd}\u{fffd}\u{fffd}\n\tb");
}

fn any_text() -> impl Strategy<Value = String> {
    prop_oneof![".{1,40}", prop::collection::vec(any::<char>(), 1..40).prop_map(|chars| chars.into_iter().collect())]
}

proptest! {
    #[test]
    fn any_offer_that_we_make_can_be_sent_and_read(
        bits: u128, hash: [u8; 20], key: [u8; 32], size: u64, files in 1u64.., metadata_size: u32,
        expires in prop::option::of(-1_000_000_000_000i64..100_000_000_000_000), name in any_text(),
        message in prop::option::of(any_text()),
    ) {
        let sent = Offer {
            id: OfferId::from_random(bits), info_hash: InfoHash(hash), size, files, metadata_size, expires,
            name, message, fingerprint: Fingerprint(key),
        };
        let Ok(Request::Offer(got)) = request_in(over_the_wire(request_out(Request::Offer(sent.clone())))) else {
            return Err(TestCaseError::fail("not read"));
        };
        let expected = Offer {
            name: sendable(&sent.name, MAX_NAME),
            message: sent.message.as_ref().map(|text| sendable(text, MAX_MESSAGE)),
            ..sent
        };
        prop_assert_eq!(got, expected);
    }

    #[test]
    fn no_element_panics(
        name in "(offer|connect|sync|failed|decline|wait|item)",
        attributes in prop::collection::vec(("(id|kind|info-hash|size|files|metadata-size|expires|reason)", ".{0,50}"), 0..8),
        children in prop::collection::vec(("(name|desc|fingerprint|candidate|item)", ".{0,50}"), 0..8),
    ) {
        let mut element = Element::builder(&name, wire::NS);
        for (key, value) in attributes {
            let key: tokio_xmpp::minidom::rxml::NcName = key.as_str().try_into().unwrap();
            element = element.attr(key, sendable(&value, 100));
        }
        for (key, value) in children {
            element = element.append(Element::builder(key, wire::NS).append(sendable(&value, 100)));
        }
        let element = element.build();
        let _ = request_in(element.clone());
        let _ = answer_in(Expected::Connect, Some(element.clone()));
        let _ = answer_in(Expected::Sync, Some(element));
    }

    #[test]
    fn no_bytes_panic(bytes in prop::collection::vec(any::<u8>(), 0..500)) {
        let _ = xso::from_bytes::<wire::Request>(&bytes);
        let _ = xso::from_bytes::<StanzaError>(&bytes).map(|error| refusal_in(&error));
    }
}
