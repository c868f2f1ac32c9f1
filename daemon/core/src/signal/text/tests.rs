#![allow(clippy::unwrap_used)]
use std::collections::BTreeSet;

use super::*;
use crate::ids::{BareJid, Fingerprint, InfoHash};
use crate::signal::Epoch;

fn device(bare: &str, resource: &str) -> FullJid {
    FullJid::new(BareJid::from_normalised(bare), resource)
}

fn id() -> OfferId {
    "0b5e1c2a-7d3f-4a6b-8c9d-0e1f2a3b4c5d".parse().unwrap()
}

fn connect() -> Connect {
    let candidate = |kind, address: &str| Candidate { kind, address: address.parse().unwrap() };
    Connect {
        id: id(),
        info_hash: InfoHash([1; 20]),
        fingerprint: Fingerprint([2; 32]),
        reach: Reach {
            candidates: vec![
                candidate(CandidateKind::Host, "[2001:db8::1]:51413"),
                candidate(CandidateKind::Mapped, "192.0.2.1:6881"),
            ],
            proxies: vec![Proxy { jid: "proxy.a".into(), host: "host.a".into(), port: 5000 }],
            stream_id: Some("s1".into()),
            in_band: true,
        },
        delay: 45,
        better_than: Some(Way::InBand),
        introduce: true,
    }
}

fn offer() -> Offer {
    Offer {
        id: id(),
        info_hash: InfoHash([1; 20]),
        size: 9,
        files: 1,
        metadata_size: 7,
        expires: Some(5),
        name: "name".into(),
        message: Some("word".into()),
        fingerprint: Fingerprint([2; 32]),
    }
}

/// Each differs from the first of its kind in one thing.
fn requests() -> Vec<Request> {
    let (offer, connect) = (offer(), connect());
    let reach = connect.reach.clone();
    let other_id = OfferId::from_random(7);
    let reaches = [
        Reach { candidates: reach.candidates[..1].to_vec(), ..reach.clone() },
        Reach { candidates: reach.candidates.iter().rev().copied().collect(), ..reach.clone() },
        Reach { proxies: Vec::new(), ..reach.clone() },
        Reach { stream_id: None, ..reach.clone() },
        Reach { stream_id: Some("s2".into()), ..reach.clone() },
        Reach { in_band: false, ..reach },
    ];
    let item = SyncItem { id: id(), role: Role::Sender, state: SyncState::Open };
    let about = Introduction {
        id: id(),
        info_hash: InfoHash([1; 20]),
        fingerprint: Fingerprint([2; 32]),
        candidates: connect.reach.candidates.clone(),
    };
    let mut all = vec![
        Request::Hello,
        Request::Offer(offer.clone()),
        Request::Offer(Offer { id: other_id, ..offer.clone() }),
        Request::Offer(Offer { info_hash: InfoHash([9; 20]), ..offer.clone() }),
        Request::Offer(Offer { size: 8, ..offer.clone() }),
        Request::Offer(Offer { files: 2, ..offer.clone() }),
        Request::Offer(Offer { metadata_size: 8, ..offer.clone() }),
        Request::Offer(Offer { expires: None, ..offer.clone() }),
        Request::Offer(Offer { expires: Some(6), ..offer.clone() }),
        Request::Offer(Offer { name: "namew".into(), message: Some("ord".into()), ..offer.clone() }),
        Request::Offer(Offer { message: None, ..offer.clone() }),
        Request::Offer(Offer { fingerprint: Fingerprint([3; 32]), ..offer }),
        Request::Connect(connect.clone()),
        Request::Connect(Connect { delay: 46, ..connect.clone() }),
        Request::Connect(Connect { better_than: None, ..connect.clone() }),
        Request::Connect(Connect { better_than: Some(Way::Proxy65), ..connect.clone() }),
        Request::Connect(Connect { introduce: false, ..connect.clone() }),
        Request::Decline { id: id(), message: None },
        Request::Decline { id: id(), message: Some(String::new()) },
        Request::Cancel { id: id() },
        Request::Expired { id: id() },
        Request::Done { id: id() },
        Request::Done { id: other_id },
        Request::Taken { id: id() },
        Request::Failed { id: id(), reason: String::new() },
        Request::Failed { id: id(), reason: "disk".into() },
        Request::Introduce(about.clone()),
        Request::Introduce(Introduction { candidates: Vec::new(), ..about.clone() }),
        Request::Introduce(Introduction { fingerprint: Fingerprint([3; 32]), ..about }),
        Request::Sync(Vec::new()),
        Request::Sync(vec![item]),
        Request::Sync(vec![item, item]),
        Request::Sync(vec![SyncItem { role: Role::Receiver, ..item }]),
        Request::Sync(vec![SyncItem { state: SyncState::Done, ..item }]),
    ];
    all.extend(reaches.map(|reach| Request::Connect(Connect { reach, ..connect.clone() })));
    all
}

#[test]
fn no_two_requests_and_no_two_answers_have_the_same_text() {
    let stamp = |epoch, number| Stamp { epoch: Epoch([epoch; 16]), number };
    let (a, b) = (device("a@x", "1"), device("b@x", "2"));
    let mut texts = BTreeSet::new();
    let mut count = 0;
    for one in requests() {
        let text = request(&one, &a, &b, stamp(1, 1));
        let all = [
            request(&one, &b, &a, stamp(1, 1)),
            request(&one, &device("a@x", "12"), &device("b@x", ""), stamp(1, 1)),
            request(&one, &device("a@", "x1"), &b, stamp(1, 1)),
            request(&one, &a, &device("b@x", "3"), stamp(1, 1)),
            request(&one, &a, &b, stamp(2, 1)),
            request(&one, &a, &b, stamp(1, 2)),
            answer(&text, &Ok(Answer::Acknowledged)),
            answer(&text, &Ok(Answer::Hello(Epoch([1; 16])))),
            answer(&text, &Ok(Answer::Hello(Epoch([2; 16])))),
            answer(&text, &Ok(Answer::Connect(connect()))),
            answer(&text, &Ok(Answer::Sync(Vec::new()))),
            answer(&text, &Err(Refusal::new(Condition::Conflict, ""))),
            answer(&text, &Err(Refusal::new(Condition::Conflict, "why"))),
            answer(&text, &Err(Refusal { kind: ErrorType::Wait, ..Refusal::new(Condition::Conflict, "") })),
            answer(&text, &Err(Refusal::wait(Wait::Busy, ""))),
            answer(&text, &Err(Refusal::wait(Wait::Hello, ""))),
            text,
        ];
        count += all.len();
        texts.extend(all);
    }
    assert_eq!(texts.len(), count);
}

/// The example of `docs/protocol.md`, section 5.
#[test]
fn the_text_of_the_example_is_the_one_of_the_document() {
    let stamp = Stamp { epoch: Epoch(std::array::from_fn(|at| at as u8)), number: 3 };
    let (from, to) = (device("bob@example.org", "xbt-7c1f"), device("alice@example.org", "xbt-1f2e"));
    let text = request(&Request::Done { id: id() }, &from, &to, stamp);
    let mut expected = Vec::new();
    for field in [
        b"urn:x-xbt:1 request".as_slice(),
        b"done",
        b"bob@example.org",
        b"xbt-7c1f",
        b"alice@example.org",
        b"xbt-1f2e",
        &(0..16).collect::<Vec<u8>>(),
        &[0, 0, 0, 0, 0, 0, 0, 3],
        b"0b5e1c2a-7d3f-4a6b-8c9d-0e1f2a3b4c5d",
    ] {
        expected.extend([0, 0, 0, field.len() as u8]);
        expected.extend(field);
    }
    assert_eq!(text, expected);
}
