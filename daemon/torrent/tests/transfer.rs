//! Whole transfers between engines.
#![allow(clippy::unwrap_used, clippy::panic)]
mod common;
use common::*;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use xbt_torrent::{CloseReason, ContentKey, Data, Event, Sources, handshake::OUR_RESERVED};

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
    assert!(b.past.iter().any(|event| matches!(event, Event::Metadata { .. })));
    let has = |event: &Event| match event {
        Event::PeerProgress { has, uploaded, .. } => {
            (*has == prepared.size && *uploaded >= prepared.size).then_some(())
        }
        _ => None,
    };
    // Progress is told four times a second, so it may come before or after the last word.
    let (mut done, mut whole) = (false, false);
    let both = |event: &Event| {
        done |= matches!(event, Event::PeerDone { tag, .. } if *tag == to_b);
        whole |= has(event).is_some();
        (done && whole).then_some(())
    };
    a.wait("the other side has everything and says that it is in its place", both).await;
    assert!(!b.past.iter().any(|event| matches!(event, Event::PeerDone { .. })), "a sender has no such word to say");
    b.engine.detach(to_a);
    assert_eq!(b.closed(to_a).await, CloseReason::Detached);
    assert!(matches!(a.closed(to_b).await, CloseReason::Ended | CloseReason::Io(_)));
    assert_eq!(b.downloaded(), prepared.size);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_folder_of_2000_small_files_arrives_as_it_is() {
    let (mut a, mut b) = (Node::new(), Node::new());
    for index in 0..2000usize {
        write(&a.path(&format!("out/tree/d{}/f{index}", index % 37)), &noise(index * 7 % 5000, index as u64));
    }
    let prepared = a.seed(&a.path("out/tree")).await;
    assert_eq!(prepared.files, 2000);
    b.fetch(&prepared);
    join(&a, &b);
    let path = b.completed().await;
    assert!(tree(&path) == tree(&a.path("out/tree")));
}

#[tokio::test(flavor = "multi_thread")]
async fn contents_without_a_byte_arrive_too() {
    let (mut a, mut b) = (Node::new(), Node::new());
    let empty = write(&a.path("out/empty.txt"), b"");
    let prepared = a.seed(&empty).await;
    assert_eq!(prepared.size, 0);
    b.fetch(&prepared);
    join(&a, &b);
    assert_eq!(std::fs::read(b.completed().await).unwrap(), b"");

    let (mut a, mut b) = (Node::new(), Node::new());
    for name in ["x/1", "x/2", "y"] {
        write(&a.path("out/folder").join(name), b"");
    }
    write(&a.path("out/folder/x/some"), b"some");
    let prepared = a.seed(&a.path("out/folder")).await;
    b.fetch(&prepared);
    join(&a, &b);
    assert_eq!(tree(&b.completed().await), tree(&a.path("out/folder")));
}

#[tokio::test(flavor = "multi_thread")]
async fn several_paths_are_one_content_with_names_kept_apart() {
    let (mut a, mut b) = (Node::new(), Node::new());
    let paths =
        [write(&a.path("p/note.txt"), b"one"), write(&a.path("q/note.txt"), b"two"), a.path("r"), a.path("link")];
    write(&a.path("r/deep/x"), b"three");
    write(&a.path("target"), b"four");
    std::os::unix::fs::symlink(a.path("target"), a.path("link")).unwrap();
    let prepared = a.prepare(&paths).await.unwrap();
    assert_eq!(prepared.name, "note.txt and 3 more");
    a.engine.seed(KEY, prepared.clone());
    b.fetch(&prepared);
    join(&a, &b);
    let files = tree(&b.completed().await);
    let found: Vec<_> = files.iter().map(|(path, bytes)| (path.to_str().unwrap(), bytes.as_slice())).collect();
    let expected: [(&str, &[u8]); 4] =
        [("link", b"four"), ("note (2).txt", b"two"), ("note.txt", b"one"), ("r/deep/x", b"three")];
    assert_eq!(found, expected);
}

#[tokio::test(flavor = "multi_thread")]
async fn equal_trees_give_equal_hashes_wherever_they_lie() {
    let mut a = Node::new();
    // Modification times are part of a tree, in whole seconds.
    let time = std::time::SystemTime::UNIX_EPOCH + std::time::Duration::from_secs(1_700_000_000);
    for (copy, order) in [("one", [0, 1, 2, 3]), ("two", [3, 1, 0, 2])] {
        for index in order {
            let name = ["a/b", "a.txt", "a/a", "z\u{e9}"][index];
            let file = write(&a.path(copy).join("t").join(name), &noise(300_000 * (index + 1), index as u64));
            std::fs::File::options().append(true).open(file).unwrap().set_modified(time).unwrap();
        }
    }
    let one = a.prepare(&[a.path("one/t")]).await.unwrap();
    let two = a.prepare(&[a.path("two/t")]).await.unwrap();
    assert_eq!(one.info, two.info);
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_there_already_is_not_overwritten() {
    let (mut a, mut b) = (Node::new(), Node::new());
    let source = write(&a.path("a.txt"), b"new");
    let prepared = a.seed(&source).await;
    write(&b.destination().join("a.txt"), b"old");
    b.fetch(&prepared);
    join(&a, &b);
    let path = b.completed().await;
    assert_eq!(path, b.destination().join("a (2).txt"));
    assert_eq!(std::fs::read(b.destination().join("a.txt")).unwrap(), b"old");
    assert_eq!(std::fs::read(path).unwrap(), b"new");
}

#[tokio::test(flavor = "multi_thread")]
async fn two_links_at_once_share_the_work_and_waste_little() {
    let (mut a, mut b) = (Node::new(), Node::new());
    let source = write(&a.path("f"), &noise(12 << 20, 5));
    let prepared = a.seed(&source).await;
    b.fetch(&prepared);
    let links = [join(&a, &b), join(&a, &b)];
    b.arrives(&std::fs::read(&source).unwrap()).await;
    for (_, at_b) in links {
        b.detach(at_b).await;
    }
    assert!(b.downloaded() < prepared.size * 11 / 10, "{} of {}", b.downloaded(), prepared.size);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_fetch_goes_on_over_another_link_when_one_breaks() {
    let (mut a, mut b) = (Node::limited(8 << 20, 0), Node::new());
    let source = write(&a.path("f"), &noise(12 << 20, 6));
    let prepared = a.seed(&source).await;
    b.fetch(&prepared);
    let (at_a, at_b) = join(&a, &b);
    b.verified(2 << 20).await;
    a.engine.detach(at_a);
    b.closed(at_b).await;
    let (_, at_b) = join(&a, &b);
    b.arrives(&std::fs::read(&source).unwrap()).await;
    b.detach(at_b).await;
    assert!(b.downloaded() <= prepared.size + (1 << 20), "what was begun is not fetched twice");
}

#[tokio::test(flavor = "multi_thread")]
async fn receivers_help_each_other_so_the_sender_sends_little_more_than_once() {
    let mut a = Node::limited(3 << 20, 0);
    let source = write(&a.path("f"), &noise(12 << 20, 7));
    let prepared = a.seed(&source).await;
    let mut receivers = [Node::new(), Node::new()];
    let mut links = Vec::new();
    for receiver in &receivers {
        receiver.fetch(&prepared);
        links.push(join(&a, receiver).0);
    }
    let [one, two] = &receivers;
    join(one, two);
    for receiver in &mut receivers {
        receiver.arrives(&std::fs::read(&source).unwrap()).await;
    }
    for link in links {
        a.detach(link).await;
    }
    let sent = a.uploaded();
    assert!(sent < prepared.size * 3 / 2, "sent {sent} of {}", prepared.size);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_link_for_an_unknown_paused_or_forgotten_content_is_closed_with_its_reason() {
    let (mut a, b) = (Node::new(), Node::new());
    let (at_a, _) = join_keys(&a, ContentKey(99), &b, ContentKey(98));
    assert_eq!(a.closed(at_a).await, CloseReason::Unknown);
    let prepared = a.seed(&write(&a.path("f"), b"x")).await;
    a.engine.pause(KEY);
    let (at_a, _) = join(&a, &b);
    assert_eq!(a.closed(at_a).await, CloseReason::Paused);
    a.engine.resume(KEY);
    let (at_a, _) = join_keys(&a, KEY, &b, ContentKey(97));
    assert_eq!(a.closed(at_a).await, CloseReason::Ended);
    let (open, _far) = tokio::io::duplex(1 << 16);
    let at_a = tag();
    a.engine.attach(KEY, at_a, open, OUR_RESERVED);
    a.engine.forget(KEY, Data::Delete);
    assert_eq!(a.closed(at_a).await, CloseReason::Unknown);
    let (at_a, _) = join(&a, &b);
    assert_eq!(a.closed(at_a).await, CloseReason::Unknown);
    assert_eq!(std::fs::read(a.path("f")).unwrap(), b"x", "a source is never touched");
    a.engine.seed(KEY, prepared);
    let (open, _far) = tokio::io::duplex(1 << 16);
    let at_a = tag();
    a.engine.attach(KEY, at_a, open, OUR_RESERVED);
    a.engine.shutdown().await;
    assert_eq!(a.closed(at_a).await, CloseReason::Shutdown);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_prepared_content_is_seeded_after_a_restart_and_names_can_be_given() {
    let (mut a, mut b) = (Node::new(), Node::new());
    let source = write(&a.path("stdin.tmp"), &noise(700_000, 3));
    let sources = Sources { paths: vec![source.clone()], name: Some("dump.sql".into()), ..Sources::default() };
    a.engine.prepare(KEY, sources);
    let prepared = a
        .wait("prepared", |event| match event {
            Event::Prepared { prepared, .. } => Some(prepared.clone()),
            _ => None,
        })
        .await;
    let stored = prepared.to_bytes();
    a.restart();
    a.engine.seed(KEY, xbt_torrent::Prepared::from_bytes(&stored).unwrap());
    b.fetch_known(&prepared);
    join(&a, &b);
    assert_eq!(b.completed().await, b.destination().join("dump.sql"));
}

#[tokio::test(flavor = "multi_thread")]
async fn what_arrived_is_served_on_to_others() {
    let (mut a, mut b, mut c) = (Node::new(), Node::new(), Node::new());
    for index in 0..20u64 {
        write(&a.path(&format!("t/{index}")), &noise(50_000, index));
    }
    let prepared = a.seed(&a.path("t")).await;
    b.fetch(&prepared);
    join(&a, &b);
    b.completed().await;
    c.fetch(&prepared);
    join(&b, &c);
    assert!(tree(&c.completed().await) == tree(&a.path("t")));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_link_that_answers_nothing_does_not_hold_pieces_for_ever() {
    let (mut a, mut b) = (Node::new(), Node::new());
    let bytes = noise(4 << 20, 8);
    let prepared = a.seed(&write(&a.path("f"), &bytes)).await;
    b.fetch_known(&prepared);
    let (ours, mut far) = tokio::io::duplex(1 << 20);
    b.engine.attach(KEY, tag(), ours, [0; 8]);
    // All pieces, and unchoked: then silence.
    far.write_all(&[0, 0, 0, 3, 5, 0xff, 0xff, 0, 0, 0, 1, 1]).await.unwrap();
    let mut request = [0; 17];
    loop {
        far.read_exact(&mut request[..5]).await.unwrap();
        if request[..5] == [0, 0, 0, 13, 6] {
            break;
        }
        assert!(request[3] == 1, "no extension messages to who does not speak them: {request:?}");
    }
    join(&a, &b);
    b.arrives(&bytes).await;
    drop(far);
}

#[tokio::test(flavor = "multi_thread")]
async fn the_ends_of_links_are_told_however_slow_the_caller_is() {
    let mut a = Node::new();
    let mut expected = std::collections::HashSet::new();
    for _ in 0..3000 {
        let (open, _) = tokio::io::duplex(64);
        let tag = tag();
        a.engine.attach(ContentKey(5), tag, open, OUR_RESERVED);
        expected.insert(tag);
    }
    while !expected.is_empty() {
        let ended = a.wait("an end", |event| match event {
            Event::LinkClosed { tag, .. } => Some(*tag),
            _ => None,
        });
        let ended = ended.await;
        assert!(expected.remove(&ended), "told twice");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_dropped_engine_stops_and_saves() {
    let (mut a, mut b) = (Node::limited(8 << 20, 0), Node::new());
    let prepared = a.seed(&write(&a.path("f"), &noise(12 << 20, 8))).await;
    b.fetch(&prepared);
    let (at_a, at_b) = join(&a, &b);
    let verified = b.verified(3 << 20).await;
    let events = std::mem::replace(&mut b, Node::new());
    let Node { engine, events: receiver, past, folder } = events;
    drop(engine);
    let mut b = Node { engine: b.engine.clone(), events: receiver, past, folder };
    // The last handle may be gone before its contents are told.
    assert!(matches!(b.closed(at_b).await, CloseReason::Shutdown | CloseReason::Unknown));
    // Which of the two is seen depends on whether it was just writing.
    assert!(matches!(a.closed(at_a).await, CloseReason::Ended | CloseReason::Io(_)));
    // The channel ends when nothing of the engine is left, so what was to be saved is saved.
    while b.events.recv().await.is_some() {}
    b.past.clear();
    b.restart();
    a.engine.set_limits(0, 0);
    b.fetch(&prepared);
    let (_, at_b) = join(&a, &b);
    b.completed().await;
    b.detach(at_b).await;
    assert!(b.downloaded() <= prepared.size - verified);
}
