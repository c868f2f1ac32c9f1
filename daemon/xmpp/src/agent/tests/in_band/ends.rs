//! How in-band bytestreams end, and what is left of them.

use super::*;
use crate::agent::sent::BLOCK_PATIENCE;

#[test]
fn the_end_waits_until_everything_was_taken() {
    let mut bench = Bench::new();
    let mut stream = bench.opened();
    assert!(now(stream.write_all(&[1; 5000])).is_ready());
    assert!(now(stream.shutdown()).is_pending());
    let blocks = bench.blocks();
    assert_eq!((blocks.len(), bench.tend().len()), (2, 0));
    bench.acknowledge(&blocks);
    assert!(is_close(&bench.tend()[0]));
    assert!(matches!(now(stream.shutdown()), Poll::Ready(Ok(()))));
    assert!(matches!(read(&mut stream), Poll::Ready(Ok(data)) if data.is_empty()));
    assert_eq!(failed(now(stream.write_all(b"x"))), ErrorKind::BrokenPipe);
}

#[test]
fn the_other_sides_end_leaves_what_has_arrived() {
    let mut bench = Bench::new();
    let mut stream = bench.opened();
    bench.data("bob@b/1", "s", 0, HELLO);
    bench.feed("<iq type='set' id='c' from='bob@b/1'><close xmlns='http://jabber.org/protocol/ibb' sid='s'/></iq>");
    assert_eq!(bench.iqs().iter().filter(|iq| matches!(iq, Iq::Result { .. })).count(), 2);
    assert!(matches!(read(&mut stream), Poll::Ready(Ok(data)) if !data.is_empty()));
    assert!(matches!(read(&mut stream), Poll::Ready(Ok(data)) if data.is_empty()));
    assert!(matches!(now(stream.shutdown()), Poll::Ready(Ok(()))));
}

#[test]
fn a_dropped_stream_sends_what_it_has_and_takes_what_comes() {
    let mut bench = Bench::new();
    let mut stream = bench.opened();
    assert!(now(stream.write_all(b"last words")).is_ready());
    drop(stream);
    bench.data("bob@b/1", "s", 0, HELLO);
    let blocks = bench.blocks();
    assert_eq!((blocks.len(), bench.tend().len()), (1, 1));
    bench.acknowledge(&blocks);
    assert!(is_close(&bench.tend()[0]));
    assert_eq!(bench.agent.in_band.counts(), (0, 0, 0));
}

#[test]
fn silence_absence_and_a_new_login_end_streams_with_an_error() {
    let mut bench = Bench::new();
    let mut stream = bench.opened();
    assert!(now(stream.write_all(b"x")).is_ready());
    bench.blocks();
    bench.pass(BLOCK_PATIENCE);
    assert_eq!(failed(read(&mut stream)), ErrorKind::TimedOut);
    assert!(is_close(&bench.iqs()[0]));

    let mut stream = bench.opened();
    bench.feed("<presence from='bob@b/2' type='unavailable'/>");
    assert!(read(&mut stream).is_pending());
    bench.feed("<presence from='bob@b/1' type='unavailable'/>");
    assert_eq!(failed(read(&mut stream)), ErrorKind::ConnectionReset);

    let mut stream = bench.opened();
    let (mut opening, mut expecting) = (bench.open("bob@b/1", "mine"), bench.expect("bob@b/1", "yours"));
    bench.agent.reset(jid::FullJid::new("alice@a/xbt").unwrap(), 8, bench.now);
    assert_eq!(failed(read(&mut stream)), ErrorKind::ConnectionReset);
    for outcome in [&mut opening, &mut expecting] {
        assert!(matches!(outcome.try_recv(), Ok(Err(RelayError::Offline))));
    }
}

#[test]
fn the_end_of_the_session_is_the_end_of_its_streams() {
    let mut bench = Bench::new();
    let mut stream = bench.opened();
    bench.data("bob@b/1", "s", 0, HELLO);
    drop(bench);
    assert!(matches!(read(&mut stream), Poll::Ready(Ok(data)) if data == b"Hello, you!"));
    assert_eq!(failed(read(&mut stream)), ErrorKind::ConnectionReset);
    assert_eq!(failed(now(stream.write_all(&[1]))), ErrorKind::ConnectionReset);
}

#[test]
fn a_device_that_refuses_or_is_silent_is_told_as_such() {
    let mut bench = Bench::new();
    let mut outcome = bench.open("bob@b/1", "mine");
    bench.refuse_all();
    assert!(matches!(outcome.try_recv(), Ok(Err(RelayError::Refused { .. }))));
    let mut outcome = bench.open("bob@b/1", "mine");
    bench.iqs();
    bench.pass(PATIENCE);
    assert!(matches!(outcome.try_recv(), Ok(Err(RelayError::NoAnswer(_)))));
    assert!(is_close(&bench.iqs()[0]));
}
