//! Why there is no link by a way, in words a person can act on.

use std::net::{IpAddr, SocketAddr};

use xbt_core::effect::Want;
use xbt_core::signal::{CandidateKind, Reach};
use xbt_core::way::{Way, Ways};

use crate::Attempt;
use crate::addresses::outside::Outside;
use crate::ways::punched::observed::Seen;
use crate::ways::target::{Target, way_to};

/// What is known on our side.
pub(crate) struct Known<'a> {
    pub ways: Ways,
    pub outside: &'a Outside,
    pub seen: &'a Seen,
}

/// Codes of attempts, the most telling first: who answered wrongly tells more than who did not answer, and that more
/// than what was never tried.
const TELLING: [&str; 20] = [
    "wrong-device",
    "bad-tls",
    "bad-handshake",
    "own-device",
    "closed",
    "proxy-refused",
    "refused",
    "not-activated",
    "connection-refused",
    "symmetric-nat",
    "too-many-relays",
    "bad-relay",
    "no-answer",
    "io-error",
    "unreachable",
    "not-dialled",
    "offline",
    "not-told",
    "way-off",
    "passed-over",
];

const SYMMETRIC: &str = "no hole could be punched: our router gives every destination another port (a symmetric NAT); an \
                         open TCP port at either side helps";

/// One attempt for each way, the best way first: of many the one that tells a person most.
pub fn most_telling(attempts: Vec<Attempt>) -> Vec<Attempt> {
    let rank = |attempt: &Attempt| TELLING.iter().position(|code| *code == attempt.code).unwrap_or(TELLING.len());
    let of = |way: Way| attempts.iter().filter(|attempt| attempt.way == way).min_by_key(|attempt| rank(attempt));
    Way::ALL.into_iter().filter_map(of).cloned().collect()
}

/// Says of what was tried what may have been in its way, and what can be done about it.
pub(crate) fn add(attempt: &mut Attempt, want: &Want, known: &Known<'_>) {
    let who = &want.device.bare;
    let address = match &attempt.target {
        Some(Target::Address(candidate)) => Some(candidate.address),
        Some(Target::Punch | Target::Proxy { .. } | Target::InBand) | None => None,
    };
    let port = address.map_or(0, |address| address.port());
    let more = match (attempt.way, attempt.code) {
        (Way::DirectTcp6 | Way::DirectTcp4, "no-answer") => {
            format!("ask {who} to open TCP port {port} in router and firewall")
        }
        (Way::MappedTcp4, "no-answer") => {
            format!("the router of {who} should pass this port on, and does not")
        }
        (Way::DirectTcp6 | Way::DirectTcp4 | Way::MappedTcp4, "connection-refused") => {
            format!("ask {who} whether the port is forwarded to the right computer")
        }
        (Way::DirectTcp6, "unreachable") => "this computer has no way to IPv6 addresses".to_owned(),
        (Way::DirectTcp6 | Way::DirectTcp4, "not-dialled") if address.is_some_and(is_private) => {
            let address = address.map(|address| address.ip().to_string()).unwrap_or_default();
            attempt.reason = format!("{who} is in another local network: {address} leads nowhere from here");
            return;
        }
        (Way::PunchedUdp, "no-answer") if known.seen.symmetric == Some(true) => {
            attempt.code = "symmetric-nat";
            attempt.reason = SYMMETRIC.to_owned();
            return;
        }
        (Way::PunchedUdp, "no-answer") => {
            format!("the router of {who} may give every destination another port (a symmetric NAT), or UDP is blocked")
        }
        (Way::Proxy65, "not-activated") => format!("a firewall at {who} may not let it out"),
        (Way::Proxy65, "connection-refused" | "unreachable" | "proxy-refused") => match &attempt.target {
            Some(Target::Proxy { ours: true, .. }) => "tell the operator of our XMPP server".to_owned(),
            Some(Target::Proxy { .. } | Target::Address(_) | Target::Punch | Target::InBand) | None => {
                format!("{who} may tell the operator of their XMPP server")
            }
        },
        (Way::PunchedUdp, "unreachable") => "one side has IPv4 only and the other IPv6 only".to_owned(),
        (Way::DirectTcp6 | Way::DirectTcp4 | Way::MappedTcp4 | Way::PunchedUdp | Way::Proxy65 | Way::InBand, _) => {
            return;
        }
    };
    attempt.reason = format!("{}; {more}", attempt.reason);
}

fn is_private(address: SocketAddr) -> bool {
    match address.ip().to_canonical() {
        IpAddr::V4(ip) => ip.is_private(),
        IpAddr::V6(ip) => ip.is_unique_local(),
    }
}

/// One attempt for each way better than `got` of which nothing was tried.
pub(crate) fn untried(want: &Want, tried: &[Attempt], got: Option<Way>, known: &Known<'_>) -> Vec<Attempt> {
    let better = |way: &Way| got.is_none_or(|got| *way < got) && !tried.iter().any(|attempt| attempt.way == *way);
    let untried = Way::ALL.into_iter().filter(better);
    untried
        .filter_map(|way| {
            let (code, reason) = why(way, want, known)?;
            Some(Attempt { target: None, way, code, reason })
        })
        .collect()
}

fn why(way: Way, want: &Want, known: &Known<'_>) -> Option<(&'static str, String)> {
    let who = &want.device.bare;
    if !known.ways.allows(way) {
        return Some(("way-off", "our configuration does not allow it (`ways`)".to_owned()));
    }
    let (ours, theirs) = (&want.ours, &want.theirs);
    let has = |reach: &Reach, way: Way| reach.candidates.iter().any(|candidate| way_to(candidate) == way);
    let reason = match way {
        Way::DirectTcp6 if !has(ours, way) && !has(theirs, way) => "neither side has an IPv6 address".to_owned(),
        Way::DirectTcp6 => format!("{who} has told no IPv6 address"),
        Way::DirectTcp4 if !has(ours, way) && !has(theirs, way) => {
            "neither side has an IPv4 address to tell".to_owned()
        }
        Way::DirectTcp4 => format!("{who} has told no IPv4 address"),
        // Theirs is dialled by us, ours by them: it is known to exist, and they were not heard of.
        Way::MappedTcp4 if has(ours, way) => format!("{who} did not come to the port that our router maps"),
        Way::MappedTcp4 => {
            let our_side = known.outside.unmapped.clone();
            let our_side = our_side.unwrap_or_else(|| "no port is mapped at our side".to_owned());
            format!("{our_side}; the router of {who} maps none either")
        }
        Way::PunchedUdp if !reflexive(ours) => match &known.seen.failure {
            Some((_, why)) => format!("our address on the Internet is not known: {why}"),
            None => "our address on the Internet is not known: no STUN server has told it".to_owned(),
        },
        Way::PunchedUdp => {
            format!("{who} has told no address for hole punching: their XMPP server may name no STUN server")
        }
        Way::Proxy65 => format!("neither our XMPP server nor that of {who} offers a SOCKS5 proxy (XEP-0065)"),
        Way::InBand if !theirs.in_band => format!("{who} takes nothing in-band (`ways`)"),
        Way::InBand => return None,
    };
    Some(("not-told", reason))
}

fn reflexive(reach: &Reach) -> bool {
    reach.candidates.iter().any(|candidate| candidate.kind == CandidateKind::Reflexive)
}

#[cfg(test)]
mod tests {

    use xbt_core::ids::{BareJid, Fingerprint, FullJid, InfoHash, TransferId};
    use xbt_core::signal::Candidate;

    use super::*;

    /// What a person reads of an attempt that ended with this code.
    fn told(target: Target, code: &'static str, symmetric: Option<bool>) -> String {
        let device = |who: &str| FullJid::new(BareJid::from_normalised(who), "xbt");
        let want = Want {
            transfer: TransferId(1),
            introduced: false,
            peer: Fingerprint([1; 32]),
            info_hash: InfoHash([0; 20]),
            own: device("alice@example.org"),
            device: device("bob@example.org"),
            theirs: Reach::default(),
            ours: Reach::default(),
            delay: 0,
            better_than: None,
        };
        let (outside, seen) = (Outside::default(), Seen { symmetric, ..Seen::default() });
        let mut attempt = Attempt { way: target.way(), target: Some(target), code, reason: "…".to_owned() };
        add(&mut attempt, &want, &Known { ways: Ways::ALL, outside: &outside, seen: &seen });
        attempt.reason
    }

    fn address(kind: CandidateKind, address: SocketAddr) -> Target {
        Target::Address(Candidate { kind, address })
    }

    #[test]
    fn a_person_reads_what_stood_in_the_way_and_what_to_do() {
        let public = SocketAddr::from(([203, 0, 113, 7], 51413));
        let private = SocketAddr::from(([192, 168, 1, 2], 51413));
        let (host, mapped) = (CandidateKind::Host, CandidateKind::Mapped);
        let proxy = |ours| {
            let proxy = xbt_core::signal::Proxy { jid: "p".into(), host: "p".into(), port: 1 };
            Target::Proxy { proxy, ours }
        };
        let all = [
            (
                address(host, public),
                "no-answer",
                "…; ask bob@example.org to open TCP port 51413 in router and firewall",
            ),
            (
                address(mapped, public),
                "no-answer",
                "…; the router of bob@example.org should pass this port on, and does not",
            ),
            (
                address(host, public),
                "connection-refused",
                "…; ask bob@example.org whether the port is forwarded to the right computer",
            ),
            (
                address(host, private),
                "not-dialled",
                "bob@example.org is in another local network: 192.168.1.2 leads nowhere from here",
            ),
            (
                Target::Punch,
                "no-answer",
                "…; the router of bob@example.org may give every destination another port (a symmetric NAT), or UDP is blocked",
            ),
            (proxy(true), "connection-refused", "…; tell the operator of our XMPP server"),
            (proxy(false), "proxy-refused", "…; bob@example.org may tell the operator of their XMPP server"),
            (proxy(true), "not-activated", "…; a firewall at bob@example.org may not let it out"),
            (Target::InBand, "offline", "…"),
        ];
        for (target, code, expected) in all {
            assert_eq!(told(target, code, None), expected);
        }
        assert_eq!(told(Target::Punch, "no-answer", Some(true)), SYMMETRIC);
    }

    fn attempt(way: Way, code: &'static str) -> Attempt {
        Attempt { target: None, way, code, reason: code.to_owned() }
    }

    #[test]
    fn each_way_has_one_reason_the_best_way_first_and_the_most_telling_reason_of_many() {
        let many = vec![
            attempt(Way::InBand, "way-off"),
            attempt(Way::DirectTcp4, "passed-over"),
            attempt(Way::DirectTcp4, "not-dialled"),
            attempt(Way::DirectTcp4, "no-answer"),
            attempt(Way::DirectTcp4, "unreachable"),
            attempt(Way::Proxy65, "a code of tomorrow"),
            attempt(Way::Proxy65, "passed-over"),
            attempt(Way::DirectTcp6, "not-told"),
        ];
        let told: Vec<_> = most_telling(many).into_iter().map(|one| (one.way, one.code)).collect();
        let expected = [
            (Way::DirectTcp6, "not-told"),
            (Way::DirectTcp4, "no-answer"),
            (Way::Proxy65, "passed-over"),
            (Way::InBand, "way-off"),
        ];
        assert_eq!(told, expected);
    }
}
