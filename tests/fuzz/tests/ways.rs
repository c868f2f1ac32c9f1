//! What servers, routers and proxies say on the way to a link.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use xbt_fuzz::target;
use xbt_xmpp as xmpp;

const RELAYS: &[&str] = &[
    "sid='s' ",
    "seq='65535' ",
    "block-size='4096' ",
    "stanza='message' ",
    "<streamhost xmlns='http://jabber.org/protocol/bytestreams' jid='p' host='::1' port='1'/>",
    "<service xmlns='urn:xmpp:extdisco:2' type='stun' host='h' transport='udp'/>",
    "<ip xmlns='urn:xmpp:sic:1'>192.0.2.1</ip>",
    "port='0' ",
    "host=' ' ",
    "QQ==",
    "=",
    "&#10;",
    " ",
    "\u{85}",
];

/// In-band bytestreams, and what a server does for links. They come through the filter, as from a server.
fn relays_hold(bytes: &[u8]) {
    let (clean, _) = xmpp::fuzzing::filter(bytes, usize::MAX);
    let Some(element) = xmpp::fuzzing::element(&clean) else { return };
    if let Some((text, bytes)) = xmpp::fuzzing::in_band(&element) {
        assert!(bytes.len() <= clean.len());
        let again = xmpp::fuzzing::element(text.as_bytes()).expect("what we write is well-formed");
        assert_eq!(xmpp::fuzzing::in_band(&again), Some((text, bytes)), "what was read can be written");
    }
    let found = xmpp::fuzzing::server_services(&element);
    let places = found.proxies.iter().map(|p| (&p.host, p.port)).chain(found.stun.iter().map(|s| (&s.host, s.port)));
    for (host, port) in places {
        assert!(port != 0 && !host.is_empty() && host.len() <= 255);
        assert!(!host.contains(|c: char| c.is_whitespace() || c.is_control()), "{host:?}");
        assert!(host.parse::<IpAddr>().is_ok_and(|ip| !ip.is_unspecified()) || host.parse::<IpAddr>().is_err());
    }
    assert!(found.proxies.iter().all(|proxy| !proxy.jid.is_empty() && proxy.jid.len() <= 255));
    assert!(found.external.is_none_or(|ip| !ip.is_unspecified() && !ip.is_multicast()));
}
target!(relays, RELAYS, relays_hold);

/// Answers of STUN servers.
fn stun_holds(bytes: &[u8]) {
    if let Some(address) = xbt_link::fuzzing::stun(bytes) {
        assert!(address.port() != 0 && !address.ip().is_unspecified() && !address.ip().is_multicast());
        assert!(bytes.len() >= 20 + 12, "a header and an address");
    }
}
target!(stun, &["\u{1}\u{1}", "\0 \0\u{8}", "\0\u{9}\0\u{4}", "\0\u{1}\0\u{8}", "\0\u{2}"], stun_holds);

/// Answers of routers by PCP.
fn pcp_holds(bytes: &[u8]) {
    for own in [IpAddr::from(Ipv4Addr::LOCALHOST), Ipv6Addr::LOCALHOST.into()] {
        if let Some((external, lifetime)) = xbt_mapping::fuzzing::pcp(bytes, own, 7200) {
            assert!(external.port() != 0 && lifetime != 0 && external.is_ipv4() == own.is_ipv4());
            assert!(bytes.len() >= 60);
        }
        // A mapping that is removed has neither.
        xbt_mapping::fuzzing::pcp(bytes, own, 0);
    }
}
target!(pcp, &["\u{2}", "\0\0\u{1c} ", "twelve bytes", "\u{6}\0\0\0\u{12}g"], pcp_holds);

/// Answers of SOCKS5 proxies.
fn socks_holds(bytes: &[u8]) {
    let Some(read) = xbt_link::fuzzing::socks(bytes) else { return };
    assert_eq!(bytes[..4], [5, 0, 5, 0]);
    let length = match bytes[5] {
        1 => 4,
        3 => 1 + usize::from(bytes[6]),
        4 => 16,
        other => panic!("no kind of address: {other}"),
    };
    assert_eq!(read, 2 + 4 + length + 2, "read to the end and no further");
}
target!(socks, &["\u{5}\0", "\u{5}\0\0\u{3}", "\u{5}\0\0\u{1}", "\u{5}\0\0\u{4}"], socks_holds);
