//! The ways to another device, each behind [`Transport`].
//!
//! A further way is a file or folder here, and a line in [`start`].

pub(crate) mod attempt;
pub(crate) mod direct_udp;
pub(crate) mod in_band;
pub(crate) mod link;
pub(crate) mod proxy65;
pub(crate) mod punched;
pub(crate) mod reason;
pub(crate) mod relays;
pub(crate) mod round_trips;
pub(crate) mod surroundings;
pub(crate) mod target;
pub(crate) mod tcp;
pub(crate) mod transport;

#[cfg(test)]
pub(crate) mod tests;

use std::net::SocketAddr;
use std::sync::Arc;

use tokio::sync::{mpsc, watch};
use tokio::task::JoinSet;
use xbt_core::way::Ways;

use self::direct_udp::DirectUdp;
use self::in_band::InBand;
use self::proxy65::Proxy65;
use self::punched::Punched;
use self::punched::observed::Seen;
use self::punched::socket::Strangers;
use self::relays::CurrentRelays;
use self::round_trips::RoundTrips;
use self::surroundings::Surroundings;
use self::tcp::Tcp;
use self::transport::{Transport, Transports};
use crate::identity::tls::Tls;
use crate::times::Times;
use crate::ways::link::Incoming;

/// What the ways are made of.
pub(crate) struct Parts {
    pub tls: Arc<Tls>,
    pub ways: Ways,
    pub times: Times,
    pub advertise: Vec<SocketAddr>,
    pub surroundings: Surroundings,
    pub relays: CurrentRelays,
    pub round_trips: RoundTrips,
    /// Where links go that other devices open.
    pub incoming: mpsc::Sender<Incoming>,
}

/// The ways that are allowed, and what they know about us.
pub(crate) struct Started {
    pub transports: Transports,
    pub seen: watch::Receiver<Seen>,
    pub strangers: Strangers,
}

/// The table of all ways, in the order in which their targets are tried.
pub(crate) fn start(parts: Parts, tasks: &mut JoinSet<()>) -> Started {
    let Parts { tls, ways, times, advertise, surroundings, relays, round_trips, incoming } = parts;
    let mut seen = watch::channel(Seen::default()).1;
    let mut strangers = Strangers::default();
    let mut transports: Vec<Box<dyn Transport>> = Vec::new();
    if ways.direct || ways.mapped {
        let round_trips = round_trips.clone();
        transports.push(Box::new(Tcp { tls: tls.clone(), ways, advertise, round_trips, patience: times.tls }));
    }
    if ways.punched {
        let punched = Punched::start(&tls, times.punch, incoming.clone(), surroundings, tasks);
        (seen, strangers) = (punched.seen(), punched.strangers());
        if ways.direct
            && let Some(punch) = punched.punch()
        {
            transports.push(Box::new(DirectUdp { punch, own: tls.own(), round_trips, patience: times.punch }));
        }
        transports.push(Box::new(punched));
    }
    if ways.proxy65 {
        transports.push(Box::new(Proxy65 { tls: tls.clone(), relays: relays.clone(), ways, times }));
    }
    if ways.in_band {
        transports.push(Box::new(InBand { tls, relays, incoming, times }));
    }
    Started { transports: Transports(transports), seen, strangers }
}
