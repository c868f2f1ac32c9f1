//! `docs/rpc.md` says what the server does: each request in it is sent, each answer in it compared.

use std::path::Path;

use serde_json::Value;
use tokio::net::UnixStream;
use xbt_api::{Direction, METHODS, State, codes};

use super::connections::{read_frame, write_frame};
use super::fake::{Server, transfer};
use crate::rpc::Limits;

fn document() -> String {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../docs/rpc.md");
    std::fs::read_to_string(path).unwrap()
}

/// The JSON examples, in their order.
fn examples(document: &str) -> Vec<Value> {
    let blocks = document.split("```json\n").skip(1).map(|rest| rest.split("```").next().unwrap());
    blocks.map(|block| serde_json::from_str(block).unwrap_or_else(|error| panic!("{error} in {block}"))).collect()
}

fn populate(server: &Server) {
    for id in 1..=2 {
        let mut offer = transfer(id, "bob@example.org", "photos");
        offer.direction = Direction::In;
        offer.state = State::Offered;
        offer.why = None;
        offer.info_hash = Some("0123456789abcdef0123456789abcdef01234567".into());
        offer.message = Some("from last summer".into());
        offer.path = None;
        server.fake.transfers.lock().unwrap().push(offer);
    }
}

#[tokio::test]
async fn the_documented_examples_are_what_the_server_says() {
    let server = Server::start(Limits::default());
    populate(&server);
    let mut stream = UnixStream::connect(&server.path).await.unwrap();
    let mut pending = None;
    let mut wrong = Vec::new();
    let mut answered = std::collections::BTreeSet::new();
    for mut example in examples(&document()) {
        if let Some(request) = example.get("Request") {
            assert_eq!(pending, None, "two requests in a row");
            let method = request["message"].as_object().unwrap().keys().next().unwrap().clone();
            write_frame(&mut stream, &example.to_string()).await;
            let answer = read_frame(&mut stream).await;
            answered.insert(method);
            pending = Some(answer);
        } else if example.get("Cancel").is_none() {
            let mut answer = pending.take().expect("an answer without its request");
            // Changes with every release.
            for value in [&mut answer, &mut example] {
                if let Some(version) = value.pointer_mut("/message/Ok/Hello/Ok/version") {
                    *version = Value::Null;
                }
            }
            if answer != example {
                wrong.push(format!("{answer}"));
            }
        }
    }
    assert!(wrong.is_empty(), "the server really says:\n{}", wrong.join("\n"));
    for method in METHODS {
        assert!(answered.contains(*method), "{method} has no example");
    }
}

#[test]
fn every_code_is_documented_with_its_meaning() {
    let document = document();
    for (code, meaning) in [codes::CALL, codes::FAILURE, codes::WHY, codes::CLIENT].concat() {
        let row = format!("| `{code}` | {} |", meaning.trim().trim_end_matches('.').replace("[`crate::Why`]", "why"));
        assert!(document.contains(&row), "missing: {row}");
    }
}
