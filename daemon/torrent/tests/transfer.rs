//! Whole transfers between engines.
#![allow(clippy::unwrap_used, clippy::panic)]
mod common;
use common::*;

use xbt_torrent::{CloseReason, ContentKey, Data, Event, handshake::OUR_RESERVED};

#[tokio::test(flavor = "multi_thread")]
async fn a_file_arrives_byte_for_byte_under_its_name() {
    let (mut a, mut b) = (Node::new(), Node::new());
    let source = write(&a.path("out/film.mkv"), &noise(8 << 20, 1));
    let prepared = a.seed(&source).await;
    b.fetch(&prepared);
    let (to_b, to_a) = join(&a, &b);
    let path = b.completed().await;
    assert_eq!(path, b.destination().join("film.mkv"));
    assert!(std::fs::read(&path).unwrap() == std::fs::read(&source).unwrap());
    assert_eq!(std::fs::read_dir(b.destination()).unwrap().count(), 1, "nothing partial is left");
    assert!(b.past.iter().any(|event| matches!(event, Event::Metadata { info, .. } if *info == prepared.info)));
    let has = |event: &Event| match event {
        Event::PeerProgress { has, uploaded, .. } => {
            (*has == prepared.size && *uploaded >= prepared.size).then_some(())
        }
        _ => None,
    };
    a.wait("the other side has everything", has).await;
    b.engine.detach(to_a);
    assert_eq!(b.closed(to_a).await, CloseReason::Detached);
    assert_eq!(a.closed(to_b).await, CloseReason::Ended);
    assert_eq!(b.downloaded(), prepared.size);
}
