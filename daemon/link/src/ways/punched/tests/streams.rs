//! Links as streams of one connection.

use std::time::Instant;

use super::*;

#[tokio::test]
async fn seven_streams_at_once_and_an_eighth_when_one_has_ended() {
    let (small, mut large) = connected(&[V4]).await;
    let mut open = Vec::new();
    for _ in 0..7 {
        open.push(converse(&small, &mut large).await);
    }
    assert!(small.punch.open(large.fingerprint).await.is_none());
    open.pop();
    open.push(converse(&small, &mut large).await);
}

#[tokio::test]
async fn the_larger_side_can_open_streams_too() {
    let (mut small, large) = connected(&[V4]).await;
    let _streams = converse(&large, &mut small).await;
}

#[tokio::test]
async fn what_was_written_before_a_stream_is_dropped_arrives_and_then_its_end() {
    let (small, mut large) = connected(&[V4]).await;
    let (mut ours, mut theirs) = converse(&small, &mut large).await;
    let bytes = vec![7; 100_000];
    ours.write_all(&bytes).await.unwrap();
    drop(ours);
    let mut got = Vec::new();
    timeout(PATIENCE, theirs.read_to_end(&mut got)).await.unwrap().unwrap();
    assert_eq!(got, bytes);
    // And what the other side still writes is refused.
    let refused = async { while theirs.write_all(&[0; 1000]).await.is_ok() {} };
    timeout(PATIENCE, refused).await.expect("an error");
}

#[tokio::test]
async fn a_stream_that_nobody_reads_leaves_the_others_alone() {
    let (small, mut large) = connected(&[V4]).await;
    let (mut stuck, _unread) = converse(&small, &mut large).await;
    let (mut ours, mut theirs) = converse(&small, &mut large).await;
    let filling = tokio::spawn(async move { while stuck.write_all(&[0; 65536]).await.is_ok() {} });
    let writing = tokio::spawn(async move {
        ours.write_all(&vec![1; 20 << 20]).await.unwrap();
        ours
    });
    read(&mut theirs, 20 << 20).await;
    writing.await.unwrap();
    filling.abort();
}

#[tokio::test]
async fn a_connection_without_streams_ends_and_one_with_a_silent_stream_does_not() {
    // Long enough for a stream to begin in it on a busy computer.
    let idle = Duration::from_secs(1);
    let (small, mut large) = pair_with(&[V4], Some(idle));
    let (one, other) = tokio::join!(small.connect(&large), large.connect(&small));
    one.and(other).unwrap();
    let (mut ours, mut theirs) = converse(&small, &mut large).await;
    // Silent for much longer than it takes to be idle.
    assert!(timeout(idle * 2, read(&mut theirs, 1)).await.is_err());
    ours.write_all(b"!").await.unwrap();
    assert_eq!(read(&mut theirs, 1).await, b"!");
    drop((ours, theirs));
    until("no connection", || {
        !small.punch.is_connected(large.fingerprint) && !large.punch.is_connected(small.fingerprint)
    })
    .await;
    assert!(small.punch.open(large.fingerprint).await.is_none());
}

#[tokio::test]
async fn knocks_between_the_packets_of_a_connection_do_no_harm() {
    let (small, mut large) = connected(&[V4]).await;
    let (mut ours, mut theirs) = converse(&small, &mut large).await;
    let (socket, to) = (small.punch.sockets[0].shared.clone(), large.punch.local()[0]);
    let knocking = tokio::spawn(async move {
        loop {
            socket.send(to, &stun::indication(7.into()));
            tokio::task::yield_now().await;
        }
    });
    let bytes: Vec<u8> = (0..5_u32 << 20).map(|number| number.to_le_bytes()[1]).collect();
    let sent = bytes.clone();
    let writing = tokio::spawn(async move {
        ours.write_all(&sent).await.unwrap();
        ours
    });
    assert!(read(&mut theirs, bytes.len()).await == bytes);
    writing.await.unwrap();
    knocking.abort();
}

#[tokio::test]
async fn a_cut_path_is_noticed_on_both_sides() {
    let (small, mut large) = connected(&[V4]).await;
    let (mut ours, mut theirs) = converse(&small, &mut large).await;
    let begun = Instant::now();
    small.punch.connections.filter.shut();
    large.punch.connections.filter.shut();
    // One side has something to say, the other only waits.
    ours.write_all(&[0; 50_000]).await.unwrap();
    let waiting = async {
        let mut rest = Vec::new();
        (theirs.read_to_end(&mut rest).await.is_err(), begun.elapsed())
    };
    let mut byte = [0];
    let saying = async { (ours.read(&mut byte).await.is_err(), begun.elapsed()) };
    let (waited, said) = timeout(PATIENCE, async { tokio::join!(waiting, saying) }).await.unwrap();
    println!("noticed by the one who speaks after {:?}, by the one who waits after {:?}", said.1, waited.1);
    assert!(waited.0 && said.0);
}

/// Not a test of time, which depends on the computer: says how fast one stream is.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "a measurement"]
async fn speed_of_one_stream() {
    const TOTAL: usize = 1 << 30;
    let (small, mut large) = connected(&[V4]).await;
    let (mut ours, mut theirs) = converse(&small, &mut large).await;
    let begun = Instant::now();
    let writing = tokio::spawn(async move {
        let block = vec![1; 16384];
        for _ in 0..TOTAL / block.len() {
            ours.write_all(&block).await.unwrap();
        }
        ours
    });
    let mut block = vec![0; 65536];
    let mut got = 0;
    while got < TOTAL {
        got += theirs.read(&mut block).await.unwrap();
    }
    let seconds = begun.elapsed().as_secs_f64();
    let (live, _) = small.punch.connections.connection(large.fingerprint).unwrap();
    println!("{:.0} MiB/s; {:?}", (TOTAL >> 20) as f64 / seconds, live.stats().path);
    writing.await.unwrap();
}
