//! PCP's MAP request and its answer, as bytes (RFC 6887, sections 7 and 11).

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};

use super::error::MapError;

/// Ties a mapping to its client: only the same nonce changes or removes it.
pub(super) type Nonce = [u8; 12];

/// Header and MAP payload; we send no options.
pub(super) const LENGTH: usize = 24 + 36;
/// No PCP message is longer (section 7).
pub(super) const LONGEST: usize = 1100;

const VERSION: u8 = 2;
const MAP: u8 = 1;
const ANSWER: u8 = 0x80;
const TCP: u8 = 6;

/// A request for one TCP port.
#[derive(Clone, Copy, Debug)]
pub(super) struct Request {
    /// Our address, the same as the source address of the datagram.
    pub own: IpAddr,
    /// The port that listens.
    pub port: u16,
    /// Who we are.
    pub nonce: Nonce,
    /// What we would prefer outside. No address: any.
    pub suggested: (Option<IpAddr>, u16),
    /// Seconds; 0 removes the mapping.
    pub lifetime: u32,
}

/// What a router granted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Answer {
    /// Seconds, as received.
    pub lifetime: u32,
    /// Seconds since the router last forgot its mappings.
    pub epoch: u32,
    /// Where we are reached.
    pub external: SocketAddr,
}

/// An address in 16 bytes (section 5).
fn wide(ip: IpAddr) -> [u8; 16] {
    match ip {
        IpAddr::V4(ip) => ip.to_ipv6_mapped().octets(),
        IpAddr::V6(ip) => ip.octets(),
    }
}

impl Request {
    /// The request's datagram.
    pub fn encode(&self) -> [u8; LENGTH] {
        let any: IpAddr = match self.own {
            IpAddr::V4(_) => Ipv4Addr::UNSPECIFIED.into(),
            IpAddr::V6(_) => Ipv6Addr::UNSPECIFIED.into(),
        };
        let (suggested, suggested_port) = self.suggested;
        let mut bytes = [0; LENGTH];
        bytes[0] = VERSION;
        bytes[1] = MAP;
        bytes[4..8].copy_from_slice(&self.lifetime.to_be_bytes());
        bytes[8..24].copy_from_slice(&wide(self.own));
        bytes[24..36].copy_from_slice(&self.nonce);
        bytes[36] = TCP;
        bytes[40..42].copy_from_slice(&self.port.to_be_bytes());
        bytes[42..44].copy_from_slice(&suggested_port.to_be_bytes());
        bytes[44..60].copy_from_slice(&wide(suggested.unwrap_or(any)));
        bytes
    }

    /// Reads a datagram from the router's address. None: it is no answer to this request, and the true one may still
    /// come.
    pub fn decode(&self, bytes: &[u8]) -> Option<Result<Answer, MapError>> {
        // A router that knows NAT-PMP only says so in NAT-PMP's shorter form (RFC 6886, section 3.5).
        if let [0, operation, 0, 1, ..] = bytes
            && operation & ANSWER != 0
        {
            return Some(Err(MapError::Unsupported));
        }
        let (header, payload) = bytes.split_at_checked(24)?;
        if header[0] != VERSION || header[1] != ANSWER | MAP {
            return None;
        }
        let (lifetime, epoch) = (number(&header[4..8]), number(&header[8..12]));
        if payload.len() < 36 {
            // Errors may come without what was asked for; a grant may not.
            return (header[3] != 0).then(|| Err(refused(header[3])));
        }
        let about_us = payload[..12] == self.nonce && payload[12] == TCP && payload[16..18] == self.port.to_be_bytes();
        if !about_us {
            return None;
        }
        if header[3] != 0 {
            return Some(Err(refused(header[3])));
        }
        let port = u16::from_be_bytes([payload[18], payload[19]]);
        let mut ip = [0; 16];
        ip.copy_from_slice(&payload[20..36]);
        let external = SocketAddr::new(IpAddr::V6(ip.into()).to_canonical(), port);
        Some(self.checked(Answer { lifetime, epoch, external }))
    }

    fn checked(&self, answer: Answer) -> Result<Answer, MapError> {
        if self.lifetime == 0 {
            return Ok(answer);
        }
        if answer.lifetime == 0 {
            return Err(MapError::Nonsense("grants a mapping for no time"));
        }
        if answer.external.port() == 0 {
            return Err(MapError::Nonsense("grants port 0"));
        }
        if answer.external.is_ipv4() != self.own.is_ipv4() {
            return Err(MapError::Nonsense("grants an address of the other IP version"));
        }
        Ok(answer)
    }
}

fn number(bytes: &[u8]) -> u32 {
    bytes.iter().fold(0, |sum, byte| sum << 8 | u32::from(*byte))
}

/// Result codes of section 7.4.
fn refused(code: u8) -> MapError {
    match code {
        1 | 4 | 5 | 9 => MapError::Unsupported,
        2 => MapError::NotAuthorised,
        7 => MapError::NoExternalAddress,
        8 | 10 => MapError::NoResources,
        11 => MapError::Conflict,
        other => MapError::Refused(other.into()),
    }
}
