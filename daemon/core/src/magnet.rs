//! Magnet links (BEP 9) with addresses of peers (`x.pe`).

use std::fmt;
use std::net::SocketAddr;

use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, utf8_percent_encode};

use crate::ids::InfoHash;

/// What needs no escape in a value (RFC 3986, section 2.3).
const ESCAPED: &AsciiSet = &NON_ALPHANUMERIC.remove(b'-').remove(b'.').remove(b'_').remove(b'~');

/// What another BitTorrent program needs to fetch a content from us. Its text form is the link.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Magnet {
    /// Which content (`xt`).
    pub info_hash: InfoHash,
    /// What it is called (`dn`).
    pub name: Option<String>,
    /// Bytes of its files together (`xl`).
    pub size: Option<u64>,
    /// Who has it (`x.pe`).
    pub peers: Vec<SocketAddr>,
}

impl fmt::Display for Magnet {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "magnet:?xt=urn:btih:{}", self.info_hash)?;
        if let Some(name) = &self.name {
            write!(f, "&dn={}", utf8_percent_encode(name, ESCAPED))?;
        }
        if let Some(size) = self.size {
            write!(f, "&xl={size}")?;
        }
        // Brackets and colons as they are, which every program reads.
        self.peers.iter().try_for_each(|peer| write!(f, "&x.pe={peer}"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_magnet_link_names_the_content_and_where_it_is_and_escapes_what_people_call_it() {
        let magnet = Magnet {
            info_hash: InfoHash([0xab; 20]),
            name: Some("Kätzchen & Hund=1?#%".into()),
            size: Some(7),
            peers: vec![
                ([192, 0, 2, 1], 51413).into(),
                "[2001:db8::1]:6881".parse().unwrap_or_else(|_| unreachable!()),
            ],
        };
        let hash = "ab".repeat(20);
        let expected = format!(
            "magnet:?xt=urn:btih:{hash}&dn=K%C3%A4tzchen%20%26%20Hund%3D1%3F%23%25&xl=7&x.pe=192.0.2.1:51413\
             &x.pe=[2001:db8::1]:6881"
        );
        assert_eq!(magnet.to_string(), expected);
        let bare = Magnet { name: None, size: None, peers: Vec::new(), ..magnet };
        assert_eq!(bare.to_string(), format!("magnet:?xt=urn:btih:{hash}"));
    }
}
