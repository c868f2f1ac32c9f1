//! What all ways try for one request, and in which order.

#![allow(clippy::unwrap_used)]

use xbt_core::ids::{BareJid, Fingerprint, FullJid, InfoHash, TransferId};
use xbt_core::signal::{Candidate, CandidateKind, Proxy, Reach};
use xbt_core::way::Way;

use super::*;
use crate::addresses::local::Local;
use crate::addresses::outside::Outside;
use crate::identity::key::Identity;
use crate::ways::transport::Network;
use xbt_core::effect::DialRequest;

/// A request of Alice's for a link with Bob.
pub(crate) fn request() -> DialRequest {
    let device = |jid: &str| FullJid::new(BareJid::from_normalised(jid), "xbt");
    DialRequest {
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
    }
}

fn started(ways: Ways) -> (Transports, JoinSet<()>) {
    let folder = tempfile::tempdir().unwrap();
    let tls = Arc::new(Tls::new(&Identity::load_or_create(&folder.path().join("key")).unwrap()).unwrap());
    let surroundings = Surroundings {
        listening: vec!["127.0.0.1:0".parse().unwrap()],
        outside: watch::channel(Outside::default()).1,
        interfaces: watch::channel(Vec::new()).1,
        changed: Arc::default(),
    };
    let parts = Parts {
        tls,
        ways,
        times: Times::default(),
        advertise: Vec::new(),
        surroundings,
        relays: CurrentRelays::default(),
        round_trips: RoundTrips::default(),
        incoming: mpsc::channel(1).0,
    };
    let mut tasks = JoinSet::new();
    let transports = start(parts, &mut tasks).transports;
    (transports, tasks)
}

fn candidate(kind: CandidateKind, address: &str) -> Candidate {
    Candidate { kind, address: address.parse().unwrap() }
}

fn proxy(jid: &str) -> Proxy {
    Proxy { jid: jid.into(), host: "192.0.2.9".into(), port: 5000 }
}

#[tokio::test]
async fn only_allowed_ways_and_only_better_ones_than_the_one_in_use_are_tried() {
    let candidates = vec![
        candidate(CandidateKind::Host, "192.0.2.1:1"),
        candidate(CandidateKind::Mapped, "192.0.2.1:2"),
        candidate(CandidateKind::Reflexive, "192.0.2.1:3"),
    ];
    let both = Reach { candidates, proxies: vec![proxy("p")], stream_id: Some("s".into()), in_band: true };
    let tries = |ways, better_than| -> Vec<Way> {
        let request = DialRequest { ours: both.clone(), theirs: both.clone(), better_than, ..request() };
        started(ways).0.targets(&request).iter().map(|target| target.way).collect()
    };
    use Way::{DirectTcp4, DirectUdp4, InBand, MappedTcp4, Proxy65, PunchedUdp};
    assert_eq!(tries(Ways::ALL, None), [DirectTcp4, MappedTcp4, DirectUdp4, PunchedUdp, Proxy65, InBand]);
    assert_eq!(tries(Ways::ALL, Some(Proxy65)), [DirectTcp4, MappedTcp4, DirectUdp4, PunchedUdp]);
    assert_eq!(tries(Ways { proxy65: true, in_band: true, ..Ways::NONE }, None), [Proxy65, InBand]);
    assert_eq!(tries(Ways::NONE, None), []);
}

#[tokio::test]
async fn a_proxy_that_a_contact_names_again_and_again_is_met_once() {
    let reach = |proxies: Vec<Proxy>| Reach { proxies, stream_id: Some("s".into()), ..Reach::default() };
    let mut named = ["both", "both", "a", "a"].map(proxy).to_vec();
    named[1].host = "198.51.100.66".into();
    let (ways, _tasks) = started(Ways { proxy65: true, ..Ways::NONE });
    for peer in [Fingerprint([0; 32]), Fingerprint([255; 32])] {
        let (ours, theirs) = (reach(vec![proxy("both")]), reach(named.clone()));
        let targets = ways.targets(&DialRequest { peer, ours, theirs, ..request() });
        assert_eq!(targets.len(), 2, "{targets:?}");
    }
}

#[tokio::test]
async fn only_allowed_ways_offer_something() {
    let address = "203.0.113.7:4711".parse().unwrap();
    let outside = Outside { mapped: vec![address], ..Outside::default() };
    let local = Local { listening: vec![address], ..Local::default() };
    let offers = |ways| -> Vec<CandidateKind> {
        let offers = started(ways).0.offers(&Network { local: &local, outside: &outside });
        offers.iter().map(|candidate| candidate.kind).collect()
    };
    assert_eq!(offers(Ways::ALL), [CandidateKind::Host, CandidateKind::Mapped]);
    assert_eq!(offers(Ways { mapped: true, ..Ways::NONE }), [CandidateKind::Mapped]);
    assert_eq!(offers(Ways { punched: true, proxy65: true, in_band: true, ..Ways::NONE }), []);
    let seen = Seen { addresses: vec![address], ..Seen::default() };
    assert_eq!(punched::offers(&seen), [Candidate { kind: CandidateKind::Reflexive, address }]);
}
