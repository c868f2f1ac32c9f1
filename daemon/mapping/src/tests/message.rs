use std::net::IpAddr;

use proptest::prelude::*;

use crate::error::MapError;
use crate::message::{Answer, LENGTH, Request};

fn request() -> Request {
    let own: IpAddr = "192.168.1.7".parse().unwrap();
    Request { own, port: 4711, nonce: *b"twelve bytes", suggested: (None, 4711), lifetime: 3600 }
}

/// What a router answers that grants what was asked for.
pub(super) fn granting(request: &[u8], external: IpAddr, port: u16, lifetime: u32, epoch: u32) -> Vec<u8> {
    let mut answer = request.to_vec();
    answer[1] |= 0x80;
    answer[2..4].fill(0);
    answer[4..8].copy_from_slice(&lifetime.to_be_bytes());
    answer[8..12].copy_from_slice(&epoch.to_be_bytes());
    answer[12..24].fill(0);
    answer[42..44].copy_from_slice(&port.to_be_bytes());
    let external = match external {
        IpAddr::V4(ip) => ip.to_ipv6_mapped(),
        IpAddr::V6(ip) => ip,
    };
    answer[44..60].copy_from_slice(&external.octets());
    answer
}

fn granted(port: u16, lifetime: u32) -> Vec<u8> {
    granting(&request().encode(), "203.0.113.7".parse().unwrap(), port, lifetime, 99)
}

#[test]
fn a_request_has_the_bytes_of_the_rfc() {
    let bytes = request().encode();
    assert_eq!(bytes.len(), LENGTH);
    assert_eq!(bytes[..8], [2, 1, 0, 0, 0, 0, 0x0e, 0x10]);
    assert_eq!(bytes[8..24], [0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0xff, 0xff, 192, 168, 1, 7]);
    assert_eq!(bytes[24..36], *b"twelve bytes");
    assert_eq!(bytes[36..44], [6, 0, 0, 0, 0x12, 0x67, 0x12, 0x67]);
    assert_eq!(bytes[44..], [0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0xff, 0xff, 0, 0, 0, 0]);
}

#[test]
fn a_grant_is_read() {
    let external = "203.0.113.7:4712".parse().unwrap();
    let expected = Answer { lifetime: 120, epoch: 99, external };
    assert_eq!(request().decode(&granted(4712, 120)), Some(Ok(expected)));
}

#[test]
fn grants_of_nothing_are_refused() {
    for bytes in [granted(0, 120), granted(4711, 0)] {
        assert!(matches!(request().decode(&bytes), Some(Err(MapError::Nonsense(_)))));
    }
    let wide = granting(&request().encode(), "2001:db8::1".parse().unwrap(), 4711, 120, 1);
    assert!(matches!(request().decode(&wide), Some(Err(MapError::Nonsense(_)))));
}

#[test]
fn answers_to_others_are_passed_over() {
    let with = |index: usize, byte: u8| {
        let mut bytes = granted(4711, 120);
        bytes[index] = byte;
        bytes
    };
    // A request, another operation, another version, another nonce, another protocol, another port.
    for bytes in [with(1, 1), with(1, 0x82), with(0, 3), with(24, 0), with(36, 17), with(41, 0)] {
        assert_eq!(request().decode(&bytes), None);
    }
    assert_eq!(request().decode(&granted(4711, 120)[..59]), None);
    assert_eq!(request().decode(&[]), None);
}

#[test]
fn refusals_are_told_apart() {
    let with = |code: u8| {
        let mut bytes = granted(4711, 120);
        bytes[3] = code;
        request().decode(&bytes).unwrap().unwrap_err()
    };
    assert_eq!(with(1), MapError::Unsupported);
    assert_eq!(with(2), MapError::NotAuthorised);
    assert_eq!(with(7), MapError::NoExternalAddress);
    assert_eq!(with(8), MapError::NoResources);
    assert_eq!(with(10), MapError::NoResources);
    assert_eq!(with(11), MapError::Conflict);
    assert_eq!(with(12), MapError::Refused(12));
    assert_eq!(with(255), MapError::Refused(255));
}

#[test]
fn a_router_of_nat_pmp_alone_is_known_by_its_short_answer() {
    assert_eq!(request().decode(&[0, 0x81, 0, 1, 0, 0, 0, 9]), Some(Err(MapError::Unsupported)));
}

proptest! {
    #[test]
    fn no_datagram_does_harm(bytes in prop::collection::vec(any::<u8>(), 0..200)) {
        let _ = request().decode(&bytes);
    }

    #[test]
    fn no_changed_grant_does_harm(index in 0usize..60, byte: u8) {
        let mut bytes = granted(4711, 120);
        bytes[index] = byte;
        if let Some(Ok(answer)) = request().decode(&bytes) {
            prop_assert_ne!(answer.external.port(), 0);
            prop_assert_ne!(answer.lifetime, 0);
        }
    }
}
