//! Why a way was not even tried, in words a person can act on.

use xbt_core::signal::{CandidateKind, Reach};
use xbt_core::way::{Way, Ways};

use super::Attempt;
use super::outside::Outside;
use super::punched::Seen;
use super::target::way_to;
use super::wants::Want;

/// What is known on our side.
pub(super) struct Known<'a> {
    pub ways: Ways,
    pub outside: &'a Outside,
    pub seen: &'a Seen,
}

/// Says of a hole that could not be punched what our own router has to do with it.
pub(super) fn add(attempt: &mut Attempt, known: &Known<'_>) {
    if attempt.way == Way::PunchedUdp && attempt.code == "no-answer" && known.seen.symmetric {
        attempt.code = "symmetric-nat";
        attempt.reason =
            "no hole could be punched: our router gives every destination another port (a symmetric NAT)".to_owned();
    }
}

/// One attempt for each way better than `got` of which nothing was tried.
pub(super) fn untried(want: &Want, tried: &[Attempt], got: Option<Way>, known: &Known<'_>) -> Vec<Attempt> {
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
        return Some(("way-off", format!("the configuration does not allow {way} (`ways`)")));
    }
    let (ours, theirs) = (&want.ours, &want.theirs);
    let has = |reach: &Reach, way: Way| reach.candidates.iter().any(|candidate| way_to(candidate) == way);
    let reason = match way {
        Way::DirectTcp6 if !has(ours, way) && !has(theirs, way) => "neither side has an IPv6 address".to_owned(),
        Way::DirectTcp6 => format!("{who} has told no IPv6 address"),
        Way::DirectTcp4 if !has(ours, way) && !has(theirs, way) => "neither side has told an IPv4 address".to_owned(),
        Way::DirectTcp4 => format!("{who} has told no IPv4 address"),
        // Theirs is dialled by us, ours by them: it is known to exist, and they were not heard of.
        Way::MappedTcp4 if has(ours, way) => format!("{who} did not come to the port that our router maps"),
        Way::MappedTcp4 => {
            let our_side = known.outside.unmapped.clone();
            let our_side = our_side.unwrap_or_else(|| "our router maps no port".to_owned());
            format!("{our_side}; the router of {who} maps none either")
        }
        Way::PunchedUdp if !reflexive(ours) => match &known.seen.failure {
            Some(why) => format!("our address on the Internet is not known: {why}"),
            None => "our address on the Internet is not known: no STUN server has told it".to_owned(),
        },
        Way::PunchedUdp => format!("{who} has told no address for hole punching"),
        Way::Proxy65 => format!("neither our XMPP server nor that of {who} offers a SOCKS5 proxy (XEP-0065)"),
        Way::InBand if !theirs.in_band => format!("{who} does not take it in-band"),
        Way::InBand => return None,
    };
    Some(("not-told", reason))
}

fn reflexive(reach: &Reach) -> bool {
    reach.candidates.iter().any(|candidate| candidate.kind == CandidateKind::Reflexive)
}
