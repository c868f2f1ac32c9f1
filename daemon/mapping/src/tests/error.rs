use std::net::IpAddr;

use crate::error::{MapError, Subject, failure};
use crate::{Failure, MappingState, Protocol};

fn asked() -> Subject {
    Subject { port: 4711, gateway: Some("192.168.1.1".parse().unwrap()), ipv6: None }
}

fn state(failures: Vec<Failure>) -> MappingState {
    MappingState { gateway: asked().gateway, failures, ..MappingState::default() }
}

fn silent(protocol: Protocol) -> Failure {
    failure(asked(), protocol, &MapError::NoAnswer)
}

#[test]
fn a_router_that_answers_nothing_is_told_in_one_sentence_that_says_what_to_do() {
    let state = state(Protocol::ALL.into_iter().map(silent).collect());
    assert_eq!(
        state.advice(4711).unwrap(),
        "the router at 192.168.1.1 does not answer to UPnP, NAT-PMP or PCP: switch one of them on in its settings, or \
         forward TCP port 4711 by hand"
    );
}

#[test]
fn a_refusal_is_told_before_silence() {
    let refused = failure(asked(), Protocol::Upnp, &MapError::NotAuthorised);
    let advice = state(vec![silent(Protocol::Pcp), silent(Protocol::NatPmp), refused]).advice(4711).unwrap();
    assert!(advice.contains("does not let this computer map ports by UPnP"), "{advice}");
}

#[test]
fn without_a_router_the_advice_says_so_once() {
    let asked = Subject { gateway: None, ..asked() };
    let failures = Protocol::ALL.into_iter().map(|protocol| failure(asked, protocol, &MapError::NoGateway)).collect();
    let advice = state(failures).advice(4711).unwrap();
    assert_eq!(advice, "this computer has no IPv4 router: check whether it is connected to a network");
}

#[test]
fn nothing_wrong_needs_no_advice() {
    assert_eq!(state(Vec::new()).advice(4711), None);
}

#[test]
fn the_ipv4_mapping_is_told_before_pinholes() {
    let pinhole = Subject { ipv6: Some("2001:db8::5".parse().unwrap()), ..asked() };
    let pinhole = failure(pinhole, Protocol::Pcp, &MapError::NotAuthorised);
    let advice = state(vec![pinhole.clone(), silent(Protocol::Pcp)]).advice(4711).unwrap();
    assert!(advice.contains("forward TCP port 4711"), "{advice}");
    let advice = state(vec![pinhole]).advice(4711).unwrap();
    assert!(advice.contains("let TCP port 4711 in to 2001:db8::5"), "{advice}");
}

#[test]
fn a_router_behind_a_router_is_named_as_that() {
    let ip: IpAddr = "100.64.3.4".parse().unwrap();
    let failure = failure(asked(), Protocol::Pcp, &MapError::PrivateExternalAddress(ip));
    assert_eq!(failure.code, "private-external-address");
    assert!(failure.reason.contains("is itself behind another router"), "{}", failure.reason);
    assert!(failure.reason.contains("100.64.3.4"), "{}", failure.reason);
}
