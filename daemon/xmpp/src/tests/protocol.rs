//! The examples of `docs/protocol.md` are what this program speaks.

use tokio_xmpp::Stanza;
use tokio_xmpp::parsers::caps::Caps;
use tokio_xmpp::parsers::iq::Iq;
use tokio_xmpp::parsers::stanza_error::ErrorType;

use super::super::convert::{self, Expected, signed};
use super::super::{caps, payload};

fn examples() -> Vec<Stanza> {
    let text = include_str!("../../../../docs/protocol.md");
    let blocks = text.split("```xml\n").skip(1).map(|rest| rest.split("```").next().unwrap());
    let in_stream = |block: &str| block.replacen(' ', " xmlns='jabber:client' ", 1);
    blocks.map(|block| xso::from_bytes(in_stream(block.trim()).as_bytes()).expect(block)).collect()
}

#[test]
fn every_example_is_understood_and_every_request_has_one() {
    let mut requests = Vec::new();
    let mut results = 0;
    for example in examples() {
        match example {
            // What is said for relays, partly to others than devices.
            Stanza::Iq(Iq::Set { payload, .. }) if payload.ns() != payload::NS => match payload.name() {
                "open" => assert_eq!(payload::in_band::Open::try_from(payload).unwrap().block_size, 4096),
                _ => assert!(payload::bytestreams::Query::try_from(payload).unwrap().activate.is_some()),
            },
            Stanza::Iq(Iq::Set { payload, .. }) => {
                let (payload, _) = signed::unsealed(payload);
                let payload = payload.unwrap();
                requests.push(payload.name().to_owned());
                convert::request_in(payload).unwrap();
            }
            Stanza::Iq(Iq::Result { payload, .. }) => {
                let payload = payload.and_then(|payload| signed::unsealed(payload).0);
                let expected = match payload.as_ref().map(|payload| payload.name()) {
                    None => Expected::Nothing,
                    Some("hello") => Expected::Hello,
                    Some("connect") => Expected::Connect,
                    Some(_) => Expected::Sync,
                };
                convert::answer_in(expected, payload).unwrap();
                results += 1;
            }
            Stanza::Iq(Iq::Error { error, .. }) => {
                assert!(convert::refusal_in(&error).wait.is_some() && error.type_ == ErrorType::Wait);
            }
            Stanza::Iq(other) => panic!("{other:?}"),
            Stanza::Presence(presence) => {
                let shown = Caps::try_from(presence.payloads[0].clone()).unwrap();
                let (ours, _) = caps::advertised(&caps::ours()).unwrap();
                assert_eq!((presence.priority.0, &shown.node, &shown.ver), (-1, &ours.node, &ours.ver));
            }
            Stanza::Message(message) => {
                let offer = message.payloads.into_iter().find(|element| element.is("offer", payload::NS));
                convert::request_in(offer.unwrap()).unwrap();
            }
        }
    }
    requests.sort();
    requests.dedup();
    let all = ["cancel", "connect", "decline", "done", "failed", "hello", "introduce", "offer", "sync", "taken"];
    assert_eq!(requests, all);
    assert_eq!(results, 5);
}
