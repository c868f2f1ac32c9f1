//! Why there is no link by a way, in words a person can act on.

use xbt_core::way::{Way, Ways};

use crate::addresses::outside::Outside;
use crate::ways::attempt::Attempt;
use crate::ways::reason::{Failure, Reason};
use crate::ways::transport::Transports;
use xbt_core::effect::DialRequest;

/// What is known on our side.
pub(crate) struct Known<'a> {
    pub ways: Ways,
    pub transports: &'a Transports,
    pub outside: &'a Outside,
}

/// Adds to an attempt what may have caused its failure, and what can be done about it.
pub(crate) fn advise(attempt: Attempt, request: &DialRequest, known: &Known<'_>) -> Attempt {
    match (known.transports.of(attempt.way), &attempt.target) {
        (Some(transport), Some(target)) => {
            let failure = transport.advise(attempt.failure, target, request);
            Attempt { failure, ..attempt }
        }
        (Some(_) | None, _) => attempt,
    }
}

/// One attempt for each way better than `got` of which nothing was tried.
pub(crate) fn untried(request: &DialRequest, tried: &[Attempt], got: Option<Way>, known: &Known<'_>) -> Vec<Attempt> {
    let is_better = |way: &Way| got.is_none_or(|got| *way < got) && !tried.iter().any(|attempt| attempt.way == *way);
    let untried = Way::ALL.into_iter().filter(|way| !way.is_variant()).filter(is_better);
    untried.filter_map(|way| Some(Attempt { target: None, way, failure: why(way, request, known)? })).collect()
}

fn why(way: Way, request: &DialRequest, known: &Known<'_>) -> Option<Failure> {
    match known.transports.of(way).filter(|_| known.ways.allows(way)) {
        Some(transport) => {
            let text = transport.untried(way, request, known.outside)?;
            Some(Failure::new(Reason::NotOffered, text))
        }
        None => Some(Failure::new(Reason::WayOff, "our configuration does not allow it (`ways`)")),
    }
}
