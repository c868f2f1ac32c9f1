//! What every way has in common.

use std::collections::HashSet;
use std::net::SocketAddr;
use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration;

use futures::future::join_all;
use xbt_core::ids::Fingerprint;
use xbt_core::signal::Candidate;
use xbt_core::way::Way;

use super::reason::Failure;
use super::target::Target;
use crate::addresses::candidates::merge;
use crate::addresses::local::Local;
use crate::addresses::outside::Outside;
use crate::stream::BoxedStream;
use xbt_core::effect::DialRequest;

/// A future of a [`Transport`].
pub(crate) type Future<'a, T> = Pin<Box<dyn std::future::Future<Output = T> + Send + 'a>>;

/// Keeps something alive until it is dropped.
pub(crate) type Guard = Box<dyn Send>;

/// What is known of the network between us and the others.
pub(crate) struct Network<'a> {
    pub local: &'a Local,
    pub outside: &'a Outside,
}

/// When a target may be tried.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Start {
    /// So long after the request came.
    After(Duration),
    /// At once, and nothing else waits for it.
    Beside,
    /// For relays, which cost the bandwidth of others: better ways have this head start, for as long as one of them is
    /// under way.
    Behind(Duration),
}

/// One try at a target.
pub(crate) struct Dial<'a> {
    pub request: &'a DialRequest,
    pub target: &'a Target,
    /// This computer's sockets and addresses.
    pub local: &'a Local,
    /// What an address gets until it is connected.
    pub patience: Duration,
}

/// A stream to the device that the request names, encrypted and with its key proved.
pub(crate) struct Opened {
    pub stream: BoxedStream,
    /// The other end, where the way has one.
    pub remote: Option<SocketAddr>,
}

/// One means to reach other devices: one or more of the [`Way`]s that people know.
pub(crate) trait Transport: Send + Sync {
    /// The ways that its links take. Each way belongs to one transport.
    fn ways(&self) -> &'static [Way];

    /// The addresses by which the other side may reach us.
    fn offers(&self, _network: &Network<'_>) -> Vec<Candidate> {
        Vec::new()
    }

    /// What can be tried for a request, in this order.
    fn targets(&self, request: &DialRequest) -> Vec<Target>;

    /// Why a target must not be dialed, as the end of a sentence.
    fn objection(&self, _target: &Target, _request: &DialRequest, _local: &Local) -> Option<&'static str> {
        None
    }

    /// When its targets may be tried.
    fn start(&self, request: &DialRequest) -> Start;

    /// Lets the other side open a link by this way, until the guard is dropped. Called for requests that have a target
    /// of this way.
    fn expect(&self, _request: &Arc<DialRequest>, _local: &Local) -> Option<Guard> {
        None
    }

    /// Whether this side opens the link; else it only waits for the other side to do so.
    fn opens(&self, _peer: Fingerprint) -> bool {
        true
    }

    /// Connects. No link and no failure: the other side opens it.
    fn connect<'a>(&'a self, dial: Dial<'a>) -> Future<'a, Result<Option<Opened>, Failure>>;

    /// Adds to a failure what may have caused it, and what can be done about it.
    fn advise(&self, failure: Failure, _target: &Target, _request: &DialRequest) -> Failure {
        failure
    }

    /// Why a way had no target, as a sentence.
    fn untried(&self, way: Way, request: &DialRequest, outside: &Outside) -> Option<String>;

    /// Closes all its links, with notice to the other sides.
    fn close(&self) -> Future<'_, ()> {
        Box::pin(std::future::ready(()))
    }
}

/// All transports that the configuration allows, in the order in which their targets are tried.
pub(crate) struct Transports(pub Vec<Box<dyn Transport>>);

impl Transports {
    /// The transport that a way belongs to.
    pub fn of(&self, way: Way) -> Option<&dyn Transport> {
        self.0.iter().find(|transport| transport.ways().contains(&way)).map(AsRef::as_ref)
    }

    /// How we may be reached, for the other side.
    pub fn offers(&self, network: &Network<'_>) -> Vec<Candidate> {
        merge(self.0.iter().flat_map(|transport| transport.offers(network)).collect())
    }

    /// Everything that can be tried for a request, each target once.
    pub fn targets(&self, request: &DialRequest) -> Vec<Target> {
        let mut seen = HashSet::new();
        let is_better = |target: &Target| request.better_than.is_none_or(|in_use| target.way < in_use);
        let all = self.0.iter().flat_map(|transport| transport.targets(request)).filter(is_better);
        all.filter(|target| seen.insert(target.clone())).collect()
    }

    /// Lets the other side open links by the ways of these targets.
    pub fn expect(&self, request: &Arc<DialRequest>, targets: &[Target], local: &Local) -> Vec<Guard> {
        let has_target = |way: &dyn Transport| targets.iter().any(|target| way.ways().contains(&target.way));
        let all = self.0.iter().map(AsRef::as_ref).filter(|way| has_target(*way));
        all.filter_map(|way| way.expect(request, local)).collect()
    }

    /// Ends all links that depend on us.
    pub async fn close(&self) {
        join_all(self.0.iter().map(|transport| transport.close())).await;
    }
}
