//! SOCKS5 bytestreams (XEP-0065): both sides meet at the proxy of an XMPP server.

mod flush;
pub(crate) mod socks;

use std::sync::Arc;
use std::time::Duration;

use tokio::time::timeout;
use xbt_core::ids::Fingerprint;
use xbt_core::signal::{Proxy, Reach};
use xbt_core::way::{Way, Ways};

use self::flush::Flushed;
use super::reason::{Failure, Reason};
use super::relays::{CurrentRelays, as_client, as_server};
use super::target::{Target, Via};
use super::transport::{self, Dial, Opened, Start, Transport};
use crate::addresses::local::Local;
use crate::addresses::outside::Outside;
use crate::identity::tls::Tls;
use crate::stream::BoxedStream;
use crate::tcp_options::prepare;
use crate::times::Times;
use xbt_core::effect::DialRequest;

/// See the module.
pub(crate) struct Proxy65 {
    pub tls: Arc<Tls>,
    pub relays: CurrentRelays,
    pub ways: Ways,
    pub times: Times,
}

impl Transport for Proxy65 {
    fn ways(&self) -> &'static [Way] {
        &[Way::Proxy65]
    }

    fn targets(&self, request: &DialRequest) -> Vec<Target> {
        targets((self.tls.own(), request.peer), (&request.ours, &request.theirs))
    }

    fn objection(&self, target: &Target, request: &DialRequest, _local: &Local) -> Option<&'static str> {
        let (server, is_activated_by_us) = server_of(target)?;
        let is_ours = || request.ours.proxies.iter().any(|own| own.jid == server.jid);
        let is_strange = self.ways.only_relays() && !is_activated_by_us && !is_ours();
        is_strange.then_some("is named only by the contact and would learn our address")
    }

    fn start(&self, _request: &DialRequest) -> Start {
        Start::Behind(self.times.before_proxy)
    }

    fn connect<'a>(&'a self, dial: Dial<'a>) -> transport::Future<'a, Result<Option<Opened>, Failure>> {
        Box::pin(async move {
            let Some(proxy) = server_of(dial.target) else { return Ok(None) };
            let stream = self.meet(dial.request, proxy, dial.local).await?;
            Ok(Some(Opened { stream, remote: None }))
        })
    }

    fn advise(&self, failure: Failure, target: &Target, request: &DialRequest) -> Failure {
        advise(failure, target, request)
    }

    fn untried(&self, _way: Way, request: &DialRequest, _outside: &Outside) -> Option<String> {
        let who = &request.device.bare;
        Some(format!("neither our XMPP server nor that of {who} offers a SOCKS5 proxy (XEP-0065)"))
    }
}

fn server_of(target: &Target) -> Option<(&Proxy, bool)> {
    match &target.via {
        Via::Relay { server, ours } => Some((server, *ours)),
        Via::Address(_) | Via::Way => None,
    }
}

fn name_of(proxy: &Proxy) -> String {
    format!("the proxy {}", proxy.jid)
}

/// The proxies of both sides. Of one that both name only the mention of the device with the smaller fingerprint counts,
/// so that they do not meet there twice.
fn targets((own, peer): (Fingerprint, Fingerprint), (ours, theirs): (&Reach, &Reach)) -> Vec<Target> {
    if ours.stream_id.is_none() || theirs.stream_id.is_none() {
        return Vec::new();
    }
    let names = |reach: &Reach, proxy: &Proxy| reach.proxies.iter().any(|other| other.jid == proxy.jid);
    let counts =
        |mine: bool| move |proxy: &&Proxy| !(names(ours, proxy) && names(theirs, proxy)) || (own < peer) == mine;
    // Where our own server names it too, we go where our server says.
    let as_we_know_it = |proxy: &Proxy| ours.proxies.iter().find(|own| own.jid == proxy.jid).unwrap_or(proxy).clone();
    let of = |reach: &Reach, mine: bool| -> Vec<Target> {
        let target = |server: Proxy| {
            let name = name_of(&server);
            Target { way: Way::Proxy65, name, via: Via::Relay { server, ours: mine } }
        };
        reach.proxies.iter().filter(counts(mine)).map(as_we_know_it).map(target).collect()
    };
    [of(ours, true), of(theirs, false)].concat()
}

impl Proxy65 {
    /// Meets the other device at a proxy. `ours`: we activate the bytestream.
    pub(crate) async fn meet(
        &self,
        request: &DialRequest,
        (proxy, ours): (&Proxy, bool),
        local: &Local,
    ) -> Result<BoxedStream, Failure> {
        let reach = if ours { &request.ours } else { &request.theirs };
        let stream_id = reach.stream_id.clone().unwrap_or_default();
        let (requester, target) = if ours { (&request.own, &request.device) } else { (&request.device, &request.own) };
        // Our own server is trusted to name a proxy; a contact could name anything that we can reach.
        let may_dial = |address| ours || local.objection(address).is_none();
        let stream = socks::connect(proxy, &stream_id, requester, target, &may_dial, self.times.connect).await?;
        let name = name_of(proxy);
        prepare(&stream)
            .map_err(|error| Failure::new(Reason::IoError, format!("{name} is no longer reachable ({error})")))?;
        let patience: Duration = self.times.relay;
        if ours {
            let activated = self.relays.get()?.activate(proxy.clone(), stream_id, request.device.clone());
            let silent = || {
                Failure::new(Reason::NotActivated, format!("{name}: the other device did not connect to it in time"))
            };
            timeout(patience, activated).await.map_err(|_| silent())??;
            let stream = as_client(&self.tls, request.peer, stream, patience, &name).await?;
            Ok(Box::new(Flushed::new(stream)))
        } else {
            let stream = as_server(&self.tls, request.peer, stream, patience, &name).await?;
            Ok(Box::new(Flushed::new(stream)))
        }
    }
}

fn advise(failure: Failure, target: &Target, request: &DialRequest) -> Failure {
    let who = &request.device.bare;
    match failure.reason {
        Reason::NotActivated => failure.with_advice(format!("a firewall at {who} may not let it out")),
        Reason::ConnectionRefused | Reason::Unreachable | Reason::ProxyRefused => match server_of(target) {
            Some((_, true)) => failure.with_advice("tell the operator of our XMPP server"),
            Some((_, false)) | None => failure.with_advice(format!("{who} may tell the operator of their XMPP server")),
        },
        _ => failure,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ways::tests::request;

    const SMALL: Fingerprint = Fingerprint([1; 32]);
    const LARGE: Fingerprint = Fingerprint([2; 32]);

    fn proxy(jid: &str) -> Proxy {
        Proxy { jid: jid.into(), host: "192.0.2.9".into(), port: 5000 }
    }

    fn reach(proxies: &[&str]) -> Reach {
        let proxies = proxies.iter().map(|jid| proxy(jid)).collect();
        Reach { proxies, stream_id: Some("s".into()), ..Reach::default() }
    }

    fn sees(own: Fingerprint, peer: Fingerprint, ours: &Reach, theirs: &Reach) -> Vec<(Proxy, bool)> {
        let found = targets((own, peer), (ours, theirs));
        found.iter().filter_map(|target| server_of(target).map(|(server, ours)| (server.clone(), ours))).collect()
    }

    #[test]
    fn both_sides_of_a_pair_meet_at_the_same_proxies_and_each_is_activated_by_one() {
        let (small, large) = (reach(&["both", "a"]), reach(&["b", "both"]));
        let jids = |found: Vec<(Proxy, bool)>| -> Vec<(String, bool)> {
            let mut found: Vec<_> = found.into_iter().map(|(proxy, ours)| (proxy.jid, ours)).collect();
            found.sort();
            found
        };
        let small_sees = jids(sees(SMALL, LARGE, &small, &large));
        assert_eq!(small_sees, [("a".into(), true), ("b".into(), false), ("both".into(), true)]);
        let large_sees = jids(sees(LARGE, SMALL, &large, &small));
        let turned: Vec<_> = large_sees.into_iter().map(|(jid, ours)| (jid, !ours)).collect();
        assert_eq!(small_sees, turned);
    }

    #[test]
    fn a_proxy_that_our_own_server_names_is_where_our_server_says() {
        let (ours, mut theirs) = (reach(&["both"]), reach(&["both"]));
        theirs.proxies[0].host = "198.51.100.66".into();
        assert_eq!(sees(LARGE, SMALL, &ours, &theirs), [(proxy("both"), false)]);
    }

    #[test]
    fn a_person_reads_who_can_do_something_about_a_proxy() {
        let advice = |ours, reason| {
            let target =
                Target { way: Way::Proxy65, name: String::new(), via: Via::Relay { server: proxy("p"), ours } };
            advise(Failure::new(reason, "…"), &target, &request()).text
        };
        assert_eq!(advice(true, Reason::ConnectionRefused), "…; tell the operator of our XMPP server");
        assert_eq!(
            advice(false, Reason::ProxyRefused),
            "…; bob@example.org may tell the operator of their XMPP server"
        );
        assert_eq!(advice(true, Reason::NotActivated), "…; a firewall at bob@example.org may not let it out");
    }
}
