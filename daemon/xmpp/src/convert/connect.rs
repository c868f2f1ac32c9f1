//! Requests that tell addresses: `<connect/>` and `<introduce/>`.

use std::net::SocketAddr;

use tokio_xmpp::jid::Jid;
use xbt_core::signal::{
    Candidate, CandidateKind, Connect, Introduction, MAX_CANDIDATES, MAX_PROXIES, MAX_STREAM_ID, Proxy, Reach,
};
use xbt_core::way::Way;

use super::super::payload as wire;
use super::{Invalid, MAX_SERVICE, bounded, id_in};

pub(super) fn connect_in(connect: wire::Connect) -> Result<Connect, Invalid> {
    let stream_id = connect.stream_id.map(|id| bounded("stream-id", id, MAX_STREAM_ID)).transpose()?;
    let reach = Reach {
        candidates: candidates_in(connect.candidates),
        proxies: connect.proxies.into_iter().filter_map(proxy_in).take(MAX_PROXIES).collect(),
        in_band: connect.in_band.is_some() && stream_id.is_some(),
        stream_id: stream_id.filter(|id| !id.is_empty()),
    };
    Ok(Connect {
        id: id_in(&connect.id)?,
        info_hash: connect.info_hash.parse().map_err(|error| Invalid::of("info-hash", error))?,
        fingerprint: connect.fingerprint.parse().map_err(|error| Invalid::of("fingerprint", error))?,
        reach,
        delay: connect.delay.unwrap_or_default(),
        // An unknown way is one of a later version: there is a link, and ours may be better.
        better_than: connect.better_than.map(|name| Way::from_name(&name).unwrap_or(Way::InBand)),
        // Only a plain yes tells others where somebody is.
        introduce: matches!(connect.introduce.as_deref(), Some("true" | "1")),
    })
}

pub(super) fn introduction_in(introduce: wire::Introduce) -> Result<Introduction, Invalid> {
    Ok(Introduction {
        id: id_in(&introduce.id)?,
        info_hash: introduce.info_hash.parse().map_err(|error| Invalid::of("info-hash", error))?,
        fingerprint: introduce.fingerprint.parse().map_err(|error| Invalid::of("fingerprint", error))?,
        candidates: candidates_in(introduce.candidates),
    })
}

/// What makes no sense is left out, and so is what a later version knows: the others are still good.
fn candidates_in(candidates: Vec<wire::Candidate>) -> Vec<Candidate> {
    let candidates = candidates.into_iter().filter_map(|candidate| {
        let kind = match candidate.kind.as_str() {
            "host" => CandidateKind::Host,
            "mapped" => CandidateKind::Mapped,
            "reflexive" => CandidateKind::Reflexive,
            _ => return None,
        };
        (candidate.port != 0).then(|| Candidate { kind, address: SocketAddr::new(candidate.ip, candidate.port) })
    });
    candidates.take(MAX_CANDIDATES).collect()
}

/// A proxy that makes no sense is left out: the others are still good.
fn proxy_in(proxy: wire::Proxy) -> Option<Proxy> {
    let wire::Proxy { jid, host, port } = proxy;
    let sensible = |text: &str| !text.is_empty() && text.len() <= MAX_SERVICE;
    let is_service = Jid::new(&jid).is_ok_and(|jid| jid.node().is_none());
    (sensible(&jid) && sensible(&host) && port != 0 && is_service).then_some(Proxy { jid, host, port })
}

pub(super) fn connect_out(connect: Connect) -> wire::Connect {
    let Reach { candidates, proxies, stream_id, in_band } = connect.reach;
    wire::Connect {
        id: connect.id.to_string(),
        info_hash: connect.info_hash.to_string(),
        fingerprint: connect.fingerprint.to_string(),
        stream_id,
        delay: (connect.delay != 0).then_some(connect.delay),
        better_than: connect.better_than.map(|way| way.to_string()),
        introduce: connect.introduce.then(|| "true".to_owned()),
        candidates: candidates_out(candidates),
        proxies: proxies
            .into_iter()
            .take(MAX_PROXIES)
            .map(|proxy| wire::Proxy { jid: proxy.jid, host: proxy.host, port: proxy.port })
            .collect(),
        in_band: in_band.then_some(wire::InBand),
    }
}

pub(super) fn introduction_out(introduction: Introduction) -> wire::Introduce {
    wire::Introduce {
        id: introduction.id.to_string(),
        info_hash: introduction.info_hash.to_string(),
        fingerprint: introduction.fingerprint.to_string(),
        candidates: candidates_out(introduction.candidates),
    }
}

fn candidates_out(candidates: Vec<Candidate>) -> Vec<wire::Candidate> {
    let candidates = candidates.into_iter().take(MAX_CANDIDATES).map(|candidate| wire::Candidate {
        kind: match candidate.kind {
            CandidateKind::Host => "host".to_owned(),
            CandidateKind::Mapped => "mapped".to_owned(),
            CandidateKind::Reflexive => "reflexive".to_owned(),
        },
        ip: candidate.address.ip(),
        port: candidate.address.port(),
    });
    candidates.collect()
}
