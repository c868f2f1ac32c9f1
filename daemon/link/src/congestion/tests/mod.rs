//! The controller on quinn's own state machines, over simulated lines in virtual time.

#![allow(clippy::unwrap_used, clippy::panic)]

mod line;

use std::sync::Arc;
use std::time::Duration;

use quinn_proto::TransportConfig;
use quinn_proto::congestion::CubicConfig;

use self::line::{Line, Network};
use crate::ways::punched::quic;

const fn line(rate: f64, round_trip: f64, loss: f64) -> Line {
    Line { rate, delay: round_trip / 2.0, loss, queue: 500.0 }
}

fn ours() -> Arc<TransportConfig> {
    let mut transport = quic::transport().unwrap();
    // Which streams set for themselves while they send.
    transport.send_window(quic::send_window(u64::MAX / 4));
    Arc::new(transport)
}

fn cubic() -> Arc<TransportConfig> {
    let mut transport = quic::transport().unwrap();
    transport.send_window(quic::send_window(u64::MAX / 4));
    transport.congestion_controller_factory(Arc::new(CubicConfig::default()));
    Arc::new(transport)
}

const fn seconds(seconds: u64) -> Duration {
    Duration::from_secs(seconds)
}

/// The share of the line that content takes, in percent, for each connection between these moments.
fn shares(network: &mut Network, line: Line, from: u64, until: u64) -> Vec<f64> {
    network.run(seconds(from));
    let before: Vec<u64> = (0..network.pairs()).map(|pair| network.read(pair)).collect();
    network.run(seconds(until));
    let bits = |pair: usize| (network.read(pair) - before[pair]) as f64 * 8.0;
    (0..network.pairs()).map(|pair| bits(pair) / (line.rate * 1e6 * (until - from) as f64) * 100.0).collect()
}

/// With the beginning.
fn share(line: Line, transport: Arc<TransportConfig>, until: u64) -> f64 {
    shares(&mut Network::new(line, vec![(transport, Duration::ZERO)]), line, 0, until)[0]
}

#[test]
fn a_line_that_loses_packets_is_filled_as_one_that_does_not() {
    for (line, least) in [
        (line(100.0, 100.0, 0.0), 80.0),
        (line(100.0, 100.0, 0.1), 80.0),
        (line(100.0, 100.0, 1.0), 80.0),
        (line(50.0, 40.0, 2.0), 85.0),
        (line(5.0, 20.0, 1.0), 90.0),
    ] {
        let share = share(line, ours(), 8);
        assert!(share >= least, "{line:?}: {share:.1} %");
    }
}

#[test]
fn a_line_that_loses_one_packet_in_ten_still_carries_most_of_what_it_can() {
    let line = line(20.0, 60.0, 10.0);
    let share = shares(&mut Network::new(line, vec![(ours(), Duration::ZERO)]), line, 10, 30)[0];
    assert!(share >= 55.0, "{share:.1} %");
}

#[test]
fn cubic_which_takes_loss_for_congestion_leaves_such_a_line_empty() {
    let share = share(line(100.0, 100.0, 1.0), cubic(), 8);
    assert!(share < 5.0, "else this controller is not needed: {share:.1} %");
}

#[test]
fn a_long_fast_line_is_filled_within_seconds() {
    for (rate, round_trip, from) in [(500.0, 100.0, 2), (300.0, 300.0, 5)] {
        let line = line(rate, round_trip, 0.0);
        let share = shares(&mut Network::new(line, vec![(ours(), Duration::ZERO)]), line, from, from + 4)[0];
        assert!(share >= 90.0, "{line:?}: {share:.1} %");
    }
}

#[test]
fn a_short_queue_that_overflows_is_no_random_loss() {
    for queue in [10.0, 30.0] {
        let line = Line { queue, ..line(20.0, 40.0, 0.0) };
        let mut network = Network::new(line, vec![(ours(), Duration::ZERO)]);
        let share = shares(&mut network, line, 2, 12)[0];
        assert!(share >= 85.0, "queue {queue}: {share:.1} %");
        assert!(network.dropped() < 5.0, "queue {queue}: {:.1} % dropped", network.dropped());
    }
}

#[test]
fn the_queue_stays_short_enough_for_a_call_beside_it() {
    let line = line(20.0, 40.0, 0.0);
    let mut network = Network::new(line, vec![(ours(), Duration::ZERO)]);
    network.run(seconds(15));
    let waited = network.waited(seconds(1));
    assert!(waited <= Duration::from_millis(30), "19 of 20 packets wait at most {waited:?}");
}

#[test]
fn a_cubic_flow_beside_it_keeps_at_least_two_fifths() {
    for queue in [20.0, 100.0, 500.0] {
        let line = Line { queue, ..line(20.0, 40.0, 0.0) };
        for (ours_from, cubic_from) in [(0, 5), (5, 0)] {
            let pairs = vec![(ours(), seconds(ours_from)), (cubic(), seconds(cubic_from))];
            let shares = shares(&mut Network::new(line, pairs), line, 15, 45);
            assert!(shares[1] >= 40.0, "queue {queue}, begins at {cubic_from} s: {shares:.0?}");
            assert!(shares[0] >= 3.0, "queue {queue}, begins at {ours_from} s: {shares:.0?}");
        }
    }
}

#[test]
fn two_connections_share_a_line() {
    let line = line(20.0, 40.0, 0.5);
    let pairs = vec![(ours(), Duration::ZERO), (ours(), seconds(4))];
    let shares = shares(&mut Network::new(line, pairs), line, 10, 30);
    assert!(shares.iter().all(|share| (25.0..70.0).contains(share)), "{shares:.0?}");
}

#[test]
fn a_line_that_becomes_faster_or_slower_is_followed() {
    let line = line(10.0, 40.0, 0.5);
    let mut network = Network::new(line, vec![(ours(), Duration::ZERO)]);
    network.run(seconds(5));
    network.becomes(Line { rate: 80.0, ..line });
    let faster = Line { rate: 80.0, ..line };
    let share = shares(&mut network, faster, 15, 20)[0];
    assert!(share >= 80.0, "{share:.1} % ten seconds after");
    network.becomes(line);
    let share = shares(&mut network, line, 22, 30)[0];
    assert!(share >= 80.0, "{share:.1} % two seconds after");
    let waited = network.waited(seconds(24));
    assert!(waited <= Duration::from_millis(40), "{waited:?}");
}

#[test]
fn a_longer_route_is_noticed() {
    let line = line(20.0, 20.0, 0.1);
    let mut network = Network::new(line, vec![(ours(), Duration::ZERO)]);
    network.run(seconds(5));
    let longer = Line { delay: 75.0, ..line };
    network.becomes(longer);
    let share = shares(&mut network, longer, 25, 35)[0];
    assert!(share >= 80.0, "{share:.1} %");
}

#[test]
fn a_line_that_was_dead_for_a_while_is_filled_again() {
    let line = line(20.0, 40.0, 0.1);
    let mut network = Network::new(line, vec![(ours(), Duration::ZERO)]);
    network.run(seconds(5));
    network.becomes(Line { loss: 100.0, ..line });
    network.run(seconds(8));
    network.becomes(line);
    let share = shares(&mut network, line, 14, 20)[0];
    assert!(share >= 80.0, "{share:.1} %");
}

#[test]
fn a_line_on_which_hardly_a_packet_fits_is_filled() {
    let line = Line { queue: 100.0, ..line(1.0, 4.0, 0.0) };
    let mut network = Network::new(line, vec![(ours(), Duration::ZERO)]);
    let share = shares(&mut network, line, 2, 12)[0];
    assert!(share >= 85.0, "{share:.1} %");
    assert!(network.waited(seconds(2)) <= Duration::from_millis(60), "{:?}", network.waited(seconds(2)));
}
