//! One address that wants to be reached: its mapping, or the search for one.

use std::net::{IpAddr, Ipv6Addr};
use std::sync::Arc;
use std::time::Duration;

use tokio::time::Instant;

use super::external::{External, judge};
use super::grant::{Ask, Grant};
use super::refusal::{Asked, Refusal, failure};
use super::route::{self, Way};
use super::schedule::{Series, renew_after};
use super::{Failure, Protocol, search};

/// One address that wants to be reached.
#[derive(Debug)]
pub(super) struct Want {
    /// A pinhole for this address; none: the IPv4 mapping.
    pub ipv6: Option<Ipv6Addr>,
    /// What is in force.
    pub grant: Option<Grant>,
    /// Why nothing is, or what is wrong with it.
    pub failures: Vec<Failure>,
    /// The router that was asked last.
    pub gateway: Option<IpAddr>,
    /// When to do something.
    pub due: Instant,
    /// Whether that is being done.
    pub busy: bool,
    series: Series,
    /// What we had outside, or would like to have.
    suggested: u16,
}

/// What came of asking.
#[derive(Debug)]
pub(super) struct Outcome {
    /// When asking began.
    pub began: Instant,
    /// The mapping, or which router refused it by which protocol.
    pub granted: Result<Grant, Vec<(Option<IpAddr>, Protocol, Refusal)>>,
    /// A renewal failed before the search began.
    pub lost: bool,
    /// The best router there is.
    pub gateway: Option<IpAddr>,
}

impl Want {
    /// Wants it from now on.
    pub fn new(ipv6: Option<Ipv6Addr>, ask: &Ask) -> Self {
        Self {
            ipv6,
            grant: None,
            failures: Vec::new(),
            gateway: None,
            due: Instant::now(),
            busy: false,
            series: Series::NEW,
            suggested: ask.port.get(),
        }
    }

    /// The network is another one: looks at once, and often again.
    pub fn anew(&mut self) {
        self.series = Series::NEW;
        self.due = Instant::now();
    }

    /// Renews, or searches. Changes nothing here, so that it may be given up at any time.
    pub fn work(&self, ask: Arc<Ask>) -> impl Future<Output = Outcome> + use<> {
        let (ipv6, held, suggested) = (self.ipv6, self.grant.clone(), self.suggested);
        async move { work(&ask, ipv6, held, suggested).await }
    }

    /// Takes what came of it. True if the router was found to have forgotten all mappings.
    pub fn take(&mut self, ask: &Ask, outcome: Outcome) -> bool {
        self.busy = false;
        self.gateway = outcome.granted.as_ref().map_or(outcome.gateway, |grant| Some(grant.way.gateway));
        let asked = |gateway| Asked { port: ask.port.get(), gateway, ipv6: self.ipv6 };
        match outcome.granted {
            Ok(grant) => {
                let forgot = self.forgot(&grant);
                self.say_granted(&grant);
                self.due = outcome.began + renew_after(grant.lifetime);
                self.series = Series::NEW;
                self.suggested = grant.external.port();
                let ip = grant.external.ip();
                let is_private = judge(ip) == External::Private;
                let private = is_private.then_some(Refusal::PrivateExternalAddress(ip));
                let about = asked(Some(grant.way.gateway));
                self.failures = private.iter().map(|refusal| failure(about, grant.protocol(), refusal)).collect();
                self.grant = Some(grant);
                forgot
            }
            Err(refusals) => {
                self.failures =
                    refusals.iter().map(|(ip, protocol, why)| failure(asked(*ip), *protocol, why)).collect();
                if outcome.lost {
                    self.series = Series::LOST;
                }
                self.grant = None;
                let gap = self.series.failed();
                // A gap counts from the start of a search, but asking all the time helps nobody.
                self.due = (outcome.began + gap).max(Instant::now() + Duration::from_secs(1));
                tracing::debug!(ipv6 = ?self.ipv6, ?refusals, next = ?gap, "no port mapping");
                false
            }
        }
    }

    fn forgot(&self, new: &Grant) -> bool {
        let old = self.grant.as_ref().filter(|old| old.way == new.way);
        let epochs = old.and_then(|old| old.epoch).zip(new.epoch);
        epochs.is_some_and(|(old, new)| old.broken_by(new))
    }

    fn say_granted(&self, grant: &Grant) {
        if self.grant.as_ref().is_none_or(|old| old.external != grant.external || old.protocol() != grant.protocol()) {
            let (protocol, external, lifetime) = (grant.protocol(), grant.external, grant.lifetime);
            tracing::info!(%protocol, %external, ?lifetime, router = %grant.way.gateway, "the router maps a port to us");
        }
    }
}

async fn work(ask: &Ask, ipv6: Option<Ipv6Addr>, held: Option<Grant>, suggested: u16) -> Outcome {
    let began = Instant::now();
    let ways = ipv6.map_or_else(route::ways_v4, route::ways_v6);
    let gateway = ways.first().map(|way| way.gateway);
    let mut lost = false;
    if let Some(held) = held.filter(|held| ways.contains(&held.way)) {
        match search::renew(ask, &held).await {
            Ok(grant) => return Outcome { began, granted: Ok(grant), lost, gateway },
            Err(error) => {
                let (protocol, external) = (held.protocol(), held.external);
                tracing::warn!(%protocol, %external, %error, "the router did not renew the port mapping; searching again");
                lost = true;
            }
        }
    }
    let granted = first_granted(ask, ipv6.is_some(), &ways, suggested).await;
    Outcome { began, granted, lost, gateway }
}

async fn first_granted(
    ask: &Ask,
    is_pinhole: bool,
    ways: &[Way],
    suggested: u16,
) -> Result<Grant, Vec<(Option<IpAddr>, Protocol, Refusal)>> {
    let mut all = Vec::new();
    for way in ways {
        let granted = match is_pinhole {
            true => search::pinhole(ask, *way).await,
            false => search::map(ask, *way, suggested).await,
        };
        match granted {
            Ok(grant) => return Ok(grant),
            Err(refusals) => all.extend(refusals.into_iter().map(|(p, why)| (Some(way.gateway), p, why))),
        }
    }
    if ways.is_empty() {
        let protocols: &[Protocol] = if is_pinhole { &[Protocol::Pcp, Protocol::Upnp] } else { &Protocol::ALL };
        all.extend(protocols.iter().map(|protocol| (None, *protocol, Refusal::NoGateway)));
    }
    Err(all)
}
