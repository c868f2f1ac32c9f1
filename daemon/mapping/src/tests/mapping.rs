use std::time::Duration;

use tokio::time::Instant;

use crate::error::MapError;
use crate::grant::{Client, Grant, Handle};
use crate::mapping::{Mapping, Outcome};
use crate::route::Uplink;
use crate::{Mapper, MapperConfig, MappingState, Protocol, harmless};

fn client() -> Client {
    let port = std::num::NonZeroU16::new(4711).unwrap();
    Client { port, nonce: [0; 12], description: "xbt".into(), started: Instant::now() }
}

fn granted(client: &Client, epoch: u32) -> Outcome {
    let uplink = Uplink { gateway: "192.168.1.1".parse().unwrap(), scope: 0, own: "192.168.1.7".parse().unwrap() };
    let external = "203.0.113.7:4712".parse().unwrap();
    let lifetime = Duration::from_secs(120);
    let grant = Grant { uplink, external, lifetime, epoch: Some(client.epoch(epoch)), handle: Handle::Pcp };
    Outcome { began: Instant::now(), granted: Ok(grant), lost: false, gateway: None }
}

fn refused(lost: bool) -> Outcome {
    let errors = vec![(None, Protocol::Pcp, MapError::NoAnswer)];
    Outcome { began: Instant::now(), granted: Err(errors), lost, gateway: None }
}

fn seconds_left(mapping: &Mapping) -> u64 {
    (mapping.due - Instant::now()).as_secs_f64().round() as u64
}

#[test]
fn a_grant_is_renewed_in_its_time_and_a_router_that_restarted_is_noticed() {
    let client = client();
    let mut mapping = Mapping::new(None, &client);
    assert!(!mapping.take(&client, granted(&client, 1000)));
    assert_eq!(seconds_left(&mapping), 54);
    assert_eq!(mapping.gateway, Some("192.168.1.1".parse().unwrap()));
    assert!(!mapping.take(&client, granted(&client, 1000)));
    assert!(mapping.take(&client, granted(&client, 3)));
}

#[test]
fn a_mapping_that_is_lost_is_told_no_more_and_searched_for() {
    let client = client();
    let mut mapping = Mapping::new(None, &client);
    mapping.take(&client, granted(&client, 1000));
    mapping.take(&client, refused(true));
    assert!(mapping.grant.is_none());
    assert_eq!(mapping.failures[0].code, "no-answer");
    assert_eq!(seconds_left(&mapping), 15);
    mapping.take(&client, refused(false));
    assert_eq!(seconds_left(&mapping), 30);
    mapping.anew();
    mapping.take(&client, refused(false));
    assert_eq!(seconds_left(&mapping), 5);
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

#[tokio::test(start_paused = true)]
async fn with_nothing_wanted_nothing_is_searched_and_closing_takes_no_time() {
    let (network, changed) = tokio::sync::watch::channel(0);
    let config = MapperConfig { port: 4711, ipv4: false, ipv6: Vec::new(), description: "xbt".into(), nonce: None };
    let (mapper, state) = Mapper::start(config, changed);
    drop(network);
    tokio::task::yield_now().await;
    assert_eq!(*state.borrow(), MappingState::default());
    let began = Instant::now();
    mapper.close().await;
    assert_eq!(began.elapsed(), Duration::ZERO);
}
