use std::time::Duration;

use tokio::time::Instant;

use crate::grant::{Ask, Grant, Handle};
use crate::refusal::Refusal;
use crate::route::Way;
use crate::want::{Outcome, Want};
use crate::{Mapper, MapperConfig, MappingState, Protocol, harmless};

fn ask() -> Ask {
    let port = std::num::NonZeroU16::new(4711).unwrap();
    Ask { port, nonce: [0; 12], description: "xbt".into(), started: Instant::now() }
}

fn granted(ask: &Ask, epoch: u32) -> Outcome {
    let way = Way { gateway: "192.168.1.1".parse().unwrap(), scope: 0, own: "192.168.1.7".parse().unwrap() };
    let external = "203.0.113.7:4712".parse().unwrap();
    let lifetime = Duration::from_secs(120);
    let grant = Grant { way, external, lifetime, epoch: Some(ask.epoch(epoch)), handle: Handle::Pcp };
    Outcome { began: Instant::now(), granted: Ok(grant), lost: false, gateway: None }
}

fn refused(lost: bool) -> Outcome {
    let refusals = vec![(None, Protocol::Pcp, Refusal::NoAnswer)];
    Outcome { began: Instant::now(), granted: Err(refusals), lost, gateway: None }
}

fn seconds_left(want: &Want) -> u64 {
    (want.due - Instant::now()).as_secs_f64().round() as u64
}

#[test]
fn a_grant_is_renewed_in_its_time_and_a_router_that_restarted_is_noticed() {
    let ask = ask();
    let mut want = Want::new(None, &ask);
    assert!(!want.take(&ask, granted(&ask, 1000)));
    assert_eq!(seconds_left(&want), 54);
    assert_eq!(want.gateway, Some("192.168.1.1".parse().unwrap()));
    assert!(!want.take(&ask, granted(&ask, 1000)));
    assert!(want.take(&ask, granted(&ask, 3)));
}

#[test]
fn a_mapping_that_is_lost_is_told_no_more_and_searched_for() {
    let ask = ask();
    let mut want = Want::new(None, &ask);
    want.take(&ask, granted(&ask, 1000));
    want.take(&ask, refused(true));
    assert!(want.grant.is_none());
    assert_eq!(want.failures[0].code, "no-answer");
    assert_eq!(seconds_left(&want), 15);
    want.take(&ask, refused(false));
    assert_eq!(seconds_left(&want), 30);
    want.anew();
    want.take(&ask, refused(false));
    assert_eq!(seconds_left(&want), 5);
}

#[test]
fn descriptions_are_short_and_plain() {
    assert_eq!(harmless("xbt"), "xbt");
    assert_eq!(harmless("<xbt> of \u{fc}rs\n"), "xbt of rs");
    assert_eq!(harmless(&"x".repeat(100)).len(), 32);
}

#[tokio::test]
async fn without_a_port_nothing_is_mapped() {
    let (_network, changed) = tokio::sync::watch::channel(0);
    let ipv6 = vec!["2001:db8::1".parse().unwrap()];
    let config = MapperConfig { port: 0, ipv4: true, ipv6, description: "xbt".into(), nonce: None };
    let (mapper, state) = Mapper::start(config, changed);
    assert_eq!(*state.borrow(), MappingState::default());
    mapper.close().await;
}

#[tokio::test]
async fn with_nothing_wanted_nothing_is_searched_and_closing_takes_no_time() {
    let (network, changed) = tokio::sync::watch::channel(0);
    let config = MapperConfig { port: 4711, ipv4: false, ipv6: Vec::new(), description: "xbt".into(), nonce: None };
    let (mapper, state) = Mapper::start(config, changed);
    drop(network);
    tokio::task::yield_now().await;
    assert_eq!(*state.borrow(), MappingState::default());
    let began = Instant::now();
    mapper.close().await;
    assert!(began.elapsed() < Duration::from_secs(1));
}
