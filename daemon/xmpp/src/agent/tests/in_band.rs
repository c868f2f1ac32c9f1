//! In-band bytestreams: what the other device may do, and what it must not get us into.

mod ends;

use std::io::ErrorKind;
use std::task::Poll;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::sync::oneshot;
use tokio::sync::oneshot::error::TryRecvError;

use super::*;
use crate::agent::in_band::{EARLY, MOST};
use crate::call::{RelayError, SessionCall};
use crate::{InBandStream, payload};

type Outcome = oneshot::Receiver<Result<InBandStream, RelayError>>;

/// "Hello, you!"
const HELLO: &str = "SGVsbG8sIHlvdSE=";

impl Bench {
    fn expect(&mut self, device_: &str, sid: &str) -> Outcome {
        let (reply, outcome) = oneshot::channel();
        let order = SessionCall::ExpectInBand { device: device(device_), stream_id: sid.to_owned(), reply };
        self.agent.take_call(order, self.now);
        outcome
    }

    fn open(&mut self, device_: &str, sid: &str) -> Outcome {
        let (reply, outcome) = oneshot::channel();
        let order = SessionCall::OpenInBand { device: device(device_), stream_id: sid.to_owned(), reply };
        self.agent.take_call(order, self.now);
        outcome
    }

    fn opens(&mut self, from: &str, sid: &str) {
        self.feed(&format!(
            "<iq type='set' id='o' from='{from}'><open xmlns='http://jabber.org/protocol/ibb' sid='{sid}' \
             block-size='4096' stanza='iq'/></iq>"
        ));
    }

    fn data(&mut self, from: &str, sid: &str, seq: u32, data: &str) {
        self.feed(&format!(
            "<iq type='set' id='d{seq}' from='{from}'><data xmlns='http://jabber.org/protocol/ibb' sid='{sid}' \
             seq='{seq}'>{data}</data></iq>"
        ));
    }

    /// A stream that bob has opened.
    fn opened(&mut self) -> InBandStream {
        let mut outcome = self.expect("bob@b/1", "s");
        self.opens("bob@b/1", "s");
        assert!(matches!(self.iqs()[..], [Iq::Result { .. }]));
        outcome.try_recv().unwrap().unwrap()
    }

    fn tend(&mut self) -> Vec<Iq> {
        self.agent.tend_in_band(self.now);
        self.iqs()
    }

    fn blocks(&mut self) -> Vec<Iq> {
        std::iter::from_fn(|| self.agent.take_block(self.now))
            .map(|stanza| match stanza {
                Stanza::Iq(iq) => iq,
                other => panic!("{other:?}"),
            })
            .collect()
    }

    fn acknowledge(&mut self, blocks: &[Iq]) {
        for block in blocks {
            let from = block.to().unwrap();
            self.feed(&format!("<iq type='result' id='{}' from='{from}'/>", block.id()));
        }
    }
}

/// One poll: what is there at once.
fn now<T>(future: impl Future<Output = T>) -> Poll<T> {
    let future = std::pin::pin!(future);
    future.poll(&mut std::task::Context::from_waker(std::task::Waker::noop()))
}

fn read(stream: &mut InBandStream) -> Poll<std::io::Result<Vec<u8>>> {
    let mut buffer = vec![0; 1 << 17];
    now(async {
        let count = stream.read(&mut buffer).await?;
        Ok(buffer[..count].to_vec())
    })
}

fn block(iq: &Iq) -> payload::in_band::Data {
    match iq.clone() {
        Iq::Set { payload, .. } => payload.try_into().unwrap(),
        other => panic!("{other:?}"),
    }
}

fn is_close(iq: &Iq) -> bool {
    matches!(iq, Iq::Set { payload, .. } if payload.is("close", payload::in_band::NS))
}

fn failed<T: std::fmt::Debug>(outcome: Poll<std::io::Result<T>>) -> ErrorKind {
    match outcome {
        Poll::Ready(Err(error)) => error.kind(),
        other => panic!("{other:?}"),
    }
}

#[test]
fn what_is_written_goes_out_in_blocks_a_few_at_a_time_and_small_writes_together() {
    let mut bench = Bench::new();
    let mut stream = bench.opened();
    for _ in 0..10 {
        assert!(now(stream.write_all(&[7; 10])).is_ready());
    }
    let first = bench.blocks();
    assert_eq!(first.iter().map(|iq| block(iq).data.len()).collect::<Vec<_>>(), [100]);
    assert!(now(stream.write_all(&[8; 100_000])).is_pending(), "the buffer is bounded");
    let second = bench.blocks();
    assert_eq!(second.iter().map(|iq| block(iq).data.len()).collect::<Vec<_>>(), [4096]);
    assert_eq!(bench.blocks().len(), 0, "two are under way");
    bench.acknowledge(&first);
    assert_eq!(block(&bench.blocks()[0]).seq, 2);
}

#[test]
fn after_block_65535_comes_block_0_in_both_directions() {
    let mut bench = Bench::new();
    let mut stream = bench.opened();
    bench.agent.in_band.wind_on(65_534);
    for seq in [65_534, 65_535, 0, 1] {
        bench.data("bob@b/1", "s", seq, HELLO);
        assert!(matches!(read(&mut stream), Poll::Ready(Ok(data)) if data == b"Hello, you!"));
        assert_eq!(bench.tend().len(), 1, "{seq}");
        assert!(now(stream.write_all(b"x")).is_ready());
        let blocks = bench.blocks();
        assert_eq!(u32::from(block(&blocks[0]).seq), seq);
        bench.acknowledge(&blocks);
    }
}

#[test]
fn a_block_is_acknowledged_when_it_was_read() {
    let mut bench = Bench::new();
    let mut stream = bench.opened();
    bench.data("bob@b/1", "s", 0, HELLO);
    bench.data("bob@b/1", "s", 1, HELLO);
    assert_eq!(bench.tend().len(), 0);
    let mut some = [0; 11];
    assert!(now(stream.read_exact(&mut some)).is_ready());
    let ids: Vec<String> = bench.tend().iter().map(|iq| iq.id().to_owned()).collect();
    assert_eq!(ids, ["d0"]);
    assert!(read(&mut stream).is_ready());
    assert_eq!(bench.tend()[0].id(), "d1");
}

#[test]
fn who_does_not_wait_for_acknowledgements_loses_the_stream_and_fills_nothing() {
    let mut bench = Bench::new();
    let mut stream = bench.opened();
    let full = "A".repeat(5460);
    let mut refused = 0;
    for seq in 0..1_000 {
        bench.data("bob@b/1", "s", seq, &full);
        refused += bench.iqs().iter().filter(|iq| matches!(iq, Iq::Error { .. })).count();
    }
    assert!(refused > 900);
    let mut got = 0;
    let end = loop {
        match read(&mut stream) {
            Poll::Ready(Ok(data)) => got += data.len(),
            other => break failed(other),
        }
    };
    assert!(got <= 64 * 1024 && end == ErrorKind::InvalidData, "{got}, {end:?}");
    assert_eq!(bench.agent.in_band.counts(), (0, 0, 0));
}

#[test]
fn a_stream_whose_rules_are_broken_ends() {
    let big = "A".repeat(5464 + 4);
    let broken = [
        (1, HELLO, DefinedCondition::UnexpectedRequest),
        (65_535, HELLO, DefinedCondition::UnexpectedRequest),
        (65_536, HELLO, DefinedCondition::BadRequest),
        (0, big.as_str(), DefinedCondition::BadRequest),
        (0, "no base64", DefinedCondition::BadRequest),
        (0, "QQ", DefinedCondition::BadRequest),
        (0, "QR==", DefinedCondition::BadRequest),
    ];
    for (seq, data, expected) in broken {
        let mut bench = Bench::new();
        let mut stream = bench.opened();
        bench.data("bob@b/1", "s", seq, data);
        let said = bench.iqs();
        assert_eq!(*condition(&said[0]), expected, "{seq} {data}");
        assert!(is_close(&said[1]));
        assert_eq!(failed(read(&mut stream)), ErrorKind::InvalidData);
        assert_eq!(failed(now(stream.write_all(b"x"))), ErrorKind::InvalidData);
    }
}

#[test]
fn only_the_two_ends_touch_a_stream() {
    let mut bench = Bench::new();
    let mut stream = bench.opened();
    for (from, expected) in [
        ("bob@b/2", DefinedCondition::ItemNotFound),
        ("alice@a/phone", DefinedCondition::ItemNotFound),
        ("bob@b", DefinedCondition::ServiceUnavailable),
        ("eve@e/1", DefinedCondition::ServiceUnavailable),
    ] {
        bench.data(from, "s", 0, HELLO);
        bench.feed(&format!(
            "<iq type='set' id='c' from='{from}'><close xmlns='http://jabber.org/protocol/ibb' sid='s'/></iq>"
        ));
        let said = bench.iqs();
        assert!(said.len() == 2 && said.iter().all(|iq| *condition(iq) == expected), "{from}: {said:?}");
    }
    bench.data("bob@b/1", "other", 0, HELLO);
    assert_eq!(*condition(&bench.iqs()[0]), DefinedCondition::ItemNotFound);
    assert!(read(&mut stream).is_pending());
    // Nor does anybody else acknowledge a block.
    assert!(now(stream.write_all(b"x")).is_ready());
    let id = bench.blocks()[0].id().to_owned();
    bench.feed(&format!("<iq type='result' id='{id}' from='eve@e/1'/>"));
    assert!(now(stream.shutdown()).is_pending() && bench.tend().is_empty());
}

#[test]
fn a_flood_of_opens_is_refused_and_leaves_nothing() {
    let mut bench = Bench::new();
    let mut kept = bench.expect("bob@b/1", "wanted");
    for number in 0..1_000 {
        bench.opens(&format!("bob@b/{}", number % 7), &format!("s{number}"));
        bench.opens("eve@e/1", &format!("s{number}"));
    }
    assert_eq!(bench.iqs().len(), 1_998);
    assert_eq!(bench.agent.in_band.counts(), (0, 2, 1));
    bench.pass(EARLY);
    assert_eq!(bench.iqs().len(), 2);
    assert!(matches!(kept.try_recv(), Err(TryRecvError::Empty)));
    bench.opens("bob@b/2", "wanted");
    bench.opens("bob@b/1", "wanted");
    assert!(kept.try_recv().unwrap().is_ok());
}

#[test]
fn what_comes_early_is_kept_for_a_moment_and_what_is_withdrawn_is_refused() {
    let mut bench = Bench::new();
    bench.opens("bob@b/1", "s");
    assert_eq!(bench.iqs().len(), 0);
    let mut outcome = bench.expect("bob@b/1", "s");
    assert!(matches!(bench.iqs()[..], [Iq::Result { .. }]));
    assert!(outcome.try_recv().unwrap().is_ok());
    bench.opens("bob@b/1", "gone");
    bench.feed("<iq type='set' id='c' from='bob@b/1'><close xmlns='http://jabber.org/protocol/ibb' sid='gone'/></iq>");
    assert_eq!(bench.iqs().len(), 1);
    assert!(bench.expect("bob@b/1", "gone").try_recv().is_err());
    drop(bench.expect("bob@b/1", "t"));
    bench.opens("bob@b/1", "t");
    bench.pass(EARLY);
    assert_eq!(*condition(&bench.iqs()[0]), DefinedCondition::NotAcceptable);
    bench.opens("bob@b/1", "");
    bench.feed(
        "<iq type='set' id='o' from='bob@b/1'><open xmlns='http://jabber.org/protocol/ibb' sid='u' block-size='4096' \
         stanza='message'/></iq>",
    );
    let said = bench.iqs();
    assert!(said.len() == 2 && said.iter().all(|iq| *condition(iq) == DefinedCondition::NotAcceptable));
}

#[test]
fn a_device_that_wants_smaller_blocks_gets_them() {
    let mut bench = Bench::new();
    let mut outcome = bench.open("bob@b/1", "mine");
    for size in [4096, 2048, 1024] {
        let Iq::Set { id, payload, .. } = bench.iqs().remove(0) else { panic!() };
        assert_eq!(payload::in_band::Open::try_from(payload).unwrap().block_size, size);
        let answer = if size == 1024 {
            format!("<iq type='result' id='{id}' from='bob@b/1'/>")
        } else {
            format!(
                "<iq type='error' id='{id}' from='bob@b/1'><error type='modify'><resource-constraint \
                 xmlns='urn:ietf:params:xml:ns:xmpp-stanzas'/></error></iq>"
            )
        };
        bench.feed(&answer);
    }
    let mut stream = outcome.try_recv().unwrap().unwrap();
    assert!(now(stream.write_all(&[0; 4000])).is_ready());
    assert!(bench.blocks().iter().all(|iq| block(iq).data.len() == 1024));
}

/// The streams among these outcomes.
fn open_ones(outcomes: &mut [Outcome]) -> Vec<InBandStream> {
    outcomes.iter_mut().filter_map(|outcome| outcome.try_recv().unwrap().ok()).collect()
}

#[test]
fn streams_are_bounded_of_all_and_of_one_contact_and_together_they_leave_room_for_signalling() {
    let mut bench = Bench::new();
    let devices = ["bob@b/1", "bob@b/2", "bob@b/1", "carol@c/1", "carol@c/1", "dave@d/1", "erin@e/1", "frank@f/1"];
    let mut outcomes: Vec<Outcome> =
        devices.iter().enumerate().map(|(n, device)| bench.open(device, &format!("s{n}"))).collect();
    let opens = bench.iqs();
    assert_eq!(opens.len(), MOST, "one of bob's and the last one have no place");
    bench.acknowledge(&opens);
    let mut streams = open_ones(&mut outcomes);
    assert_eq!(streams.len(), MOST);
    let mut sent = [0; 8];
    for _ in 0..200 {
        for stream in &mut streams {
            let _ = now(stream.write(&[0; 8192]));
        }
        let blocks = bench.blocks();
        assert!(blocks.len() <= 3);
        for block_ in &blocks {
            sent[block(block_).sid[1..].parse::<usize>().unwrap()] += 1;
        }
        bench.acknowledge(&blocks);
    }
    let turns = sent.iter().filter(|count| **count > 60).count();
    assert_eq!(turns, MOST, "each has its turn: {sent:?}");
}

#[test]
fn a_contact_that_acknowledges_nothing_does_not_hold_up_the_streams_of_others() {
    let mut bench = Bench::new();
    let mut outcomes = [bench.open("bob@b/1", "a"), bench.open("bob@b/2", "b"), bench.open("carol@c/1", "c")];
    let opens = bench.iqs();
    bench.acknowledge(&opens);
    let mut streams = open_ones(&mut outcomes);
    let mut arrived = 0;
    for _ in 0..10 {
        for stream in &mut streams {
            let _ = now(stream.write(&[0; 8192]));
        }
        let blocks = bench.blocks();
        let carols: Vec<Iq> = blocks.into_iter().filter(|iq| block(iq).sid == "c").collect();
        arrived += carols.len();
        bench.acknowledge(&carols);
    }
    assert!(arrived >= 10, "{arrived}");
}

#[test]
fn contacts_that_acknowledge_nothing_together_do_not_hold_up_the_stream_of_another() {
    let mut bench = Bench::new();
    let devices = ["bob@b/1", "bob@b/2", "dave@d/1", "dave@d/2", "carol@c/1"];
    let mut outcomes: Vec<Outcome> =
        devices.iter().enumerate().map(|(n, device)| bench.open(device, &format!("s{n}"))).collect();
    let opens = bench.iqs();
    bench.acknowledge(&opens);
    let mut streams = open_ones(&mut outcomes);
    assert_eq!(streams.len(), 5);
    for stream in &mut streams[..4] {
        let _ = now(stream.write(&[0; 8192]));
    }
    assert_eq!(bench.blocks().len(), 3);
    let mut arrived = 0;
    for _ in 0..10 {
        let _ = now(streams[4].write(&[0; 4096]));
        bench.pass(Duration::from_millis(500));
        let blocks = bench.blocks();
        assert!(blocks.iter().all(|iq| block(iq).sid == "s4"), "no more of the others");
        arrived += blocks.len();
        bench.acknowledge(&blocks);
    }
    assert_eq!(arrived, 5, "one at a time, once the others are overdue");
}

#[test]
fn a_contact_from_which_much_is_expected_leaves_places_to_others() {
    let mut bench = Bench::new();
    let of_bob: Vec<Outcome> = (0..20).map(|n| bench.expect(&format!("bob@b/{}", n % 3), &format!("s{n}"))).collect();
    let mut of_carol = bench.expect("carol@c/1", "s");
    assert!(matches!(of_carol.try_recv(), Err(TryRecvError::Empty)));
    drop(of_bob);
}

#[test]
fn a_slow_server_gets_one_block_at_a_time() {
    let mut bench = Bench::new();
    let mut stream = bench.opened();
    let _ = now(stream.write(&[0; 8192]));
    let blocks = bench.blocks();
    bench.pass(Duration::from_secs(3));
    bench.acknowledge(&blocks);
    let _ = now(stream.write(&[0; 8192]));
    assert_eq!((blocks.len(), bench.blocks().len()), (2, 1));
}
