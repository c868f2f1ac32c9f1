//! The mapping of one address, or the search for it.

use std::net::{IpAddr, Ipv6Addr};
use std::sync::Arc;
use std::time::Duration;

use tokio::time::Instant;

use super::error::{MapError, Subject, failure};
use super::external::{External, judge};
use super::grant::{Client, Grant};
use super::route::{self, Uplink};
use super::schedule::{Series, renew_after};
use super::{Failure, Protocol, search};

/// A mapping that is wanted, and the one in force.
#[derive(Debug)]
pub(super) struct Mapping {
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
    /// The external port that we had, or would prefer.
    suggested: u16,
}

/// The outcome of a renewal or a search.
#[derive(Debug)]
pub(super) struct Outcome {
    /// When it began.
    pub began: Instant,
    /// The mapping, or which router refused it by which protocol.
    pub granted: Result<Grant, Vec<(Option<IpAddr>, Protocol, MapError)>>,
    /// A renewal failed before the search began.
    pub lost: bool,
    /// The best router there is.
    pub gateway: Option<IpAddr>,
}

impl Mapping {
    /// Wanted from now on.
    pub fn new(ipv6: Option<Ipv6Addr>, client: &Client) -> Self {
        Self {
            ipv6,
            grant: None,
            failures: Vec::new(),
            gateway: None,
            due: Instant::now(),
            busy: false,
            series: Series::NEW,
            suggested: client.port.get(),
        }
    }

    /// The network has changed: searches at once, and often again.
    pub fn anew(&mut self) {
        self.series = Series::NEW;
        self.due = Instant::now();
    }

    /// Renews, or searches. Changes nothing here, so that it may be dropped at any time.
    pub fn work(&self, client: Arc<Client>) -> impl Future<Output = Outcome> + use<> {
        let (ipv6, held, suggested) = (self.ipv6, self.grant.clone(), self.suggested);
        async move { work(&client, ipv6, held, suggested).await }
    }

    /// Takes the outcome. True if the router has forgotten all its mappings.
    pub fn take(&mut self, client: &Client, outcome: Outcome) -> bool {
        self.busy = false;
        self.gateway = outcome.granted.as_ref().map_or(outcome.gateway, |grant| Some(grant.uplink.gateway));
        let subject = |gateway| Subject { port: client.port.get(), gateway, ipv6: self.ipv6 };
        match outcome.granted {
            Ok(grant) => {
                let forgot = self.forgot(&grant);
                self.say_granted(&grant);
                self.due = outcome.began + renew_after(grant.lifetime);
                self.series = Series::NEW;
                self.suggested = grant.external.port();
                let ip = grant.external.ip();
                let is_private = judge(ip) == External::Private;
                let private = is_private.then_some(MapError::PrivateExternalAddress(ip));
                let about = subject(Some(grant.uplink.gateway));
                self.failures = private.iter().map(|error| failure(about, grant.protocol(), error)).collect();
                self.grant = Some(grant);
                forgot
            }
            Err(errors) => {
                self.failures =
                    errors.iter().map(|(ip, protocol, why)| failure(subject(*ip), *protocol, why)).collect();
                if outcome.lost {
                    self.series = Series::LOST;
                }
                self.grant = None;
                let gap = self.series.failed();
                // A gap counts from the start of a search, but there is always a pause.
                self.due = (outcome.began + gap).max(Instant::now() + Duration::from_secs(1));
                tracing::debug!(ipv6 = ?self.ipv6, ?errors, next = ?gap, "no port mapping");
                false
            }
        }
    }

    fn forgot(&self, new: &Grant) -> bool {
        let old = self.grant.as_ref().filter(|old| old.uplink == new.uplink);
        let epochs = old.and_then(|old| old.epoch).zip(new.epoch);
        epochs.is_some_and(|(old, new)| old.broken_by(new))
    }

    fn say_granted(&self, grant: &Grant) {
        if self.grant.as_ref().is_none_or(|old| old.external != grant.external || old.protocol() != grant.protocol()) {
            let (protocol, external, lifetime) = (grant.protocol(), grant.external, grant.lifetime);
            tracing::info!(%protocol, %external, ?lifetime, router = %grant.uplink.gateway, "the router mapped a port");
        }
    }
}

async fn work(client: &Client, ipv6: Option<Ipv6Addr>, held: Option<Grant>, suggested: u16) -> Outcome {
    let began = Instant::now();
    let uplinks = ipv6.map_or_else(route::uplinks_v4, route::uplinks_v6);
    let gateway = uplinks.first().map(|uplink| uplink.gateway);
    let mut lost = false;
    if let Some(held) = held.filter(|held| uplinks.contains(&held.uplink)) {
        match search::renew(client, &held).await {
            Ok(grant) => return Outcome { began, granted: Ok(grant), lost, gateway },
            Err(error) => {
                let (protocol, external) = (held.protocol(), held.external);
                tracing::warn!(%protocol, %external, %error, "the router did not renew the port mapping; searching again");
                lost = true;
            }
        }
    }
    let granted = first_granted(client, ipv6.is_some(), &uplinks, suggested).await;
    Outcome { began, granted, lost, gateway }
}

async fn first_granted(
    client: &Client,
    is_pinhole: bool,
    uplinks: &[Uplink],
    suggested: u16,
) -> Result<Grant, Vec<(Option<IpAddr>, Protocol, MapError)>> {
    let mut all = Vec::new();
    for uplink in uplinks {
        let granted = match is_pinhole {
            true => search::pinhole(client, *uplink).await,
            false => search::map(client, *uplink, suggested).await,
        };
        match granted {
            Ok(grant) => return Ok(grant),
            Err(errors) => all.extend(errors.into_iter().map(|(p, why)| (Some(uplink.gateway), p, why))),
        }
    }
    if uplinks.is_empty() {
        let protocols: &[Protocol] = if is_pinhole { &[Protocol::Pcp, Protocol::Upnp] } else { &Protocol::ALL };
        all.extend(protocols.iter().map(|protocol| (None, *protocol, MapError::NoGateway)));
    }
    Err(all)
}
