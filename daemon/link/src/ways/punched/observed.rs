//! The room's side of hole punching: the address that is told, and links that come out of a hole.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::time::Duration;

use futures::StreamExt;
use futures::stream::FuturesUnordered;
use tokio::net::lookup_host;
use tokio::sync::{mpsc, watch};
use tokio::time::{Instant, sleep_until, timeout};
use xbt_core::ids::Fingerprint;
use xbt_core::session::StunServer;
use xbt_core::way::Way;

use crate::BoxedStream;
use crate::addresses::outside::Outside;
use crate::choose::room::{Link, LinkInfo, Message};
use crate::ways::punched::{Arrived, Kept, Punch, Reflexive, StunFailure};
use crate::ways::relays::Reason;

/// Finding the addresses of one STUN server.
const LOOKUP: Duration = Duration::from_secs(5);

/// From one look for STUN servers that could not be found to the next: where a network comes up, names are the last
/// thing that works.
const LOOK_AGAIN: Duration = Duration::from_secs(30);

/// How our UDP sockets are seen from outside.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Seen {
    /// One of each address family at most.
    pub addresses: Vec<SocketAddr>,
    /// Whether our router gives every destination another port (a "symmetric" NAT), so that others cannot know where to
    /// knock. None: not known, because fewer than two servers have answered.
    pub symmetric: Option<bool>,
    /// Why there is no address: a stable code (`stun-no-server`, `stun-no-answer`, `stun-bad-answer`, `stun-refused`,
    /// `no-randomness`) and a sentence.
    pub failure: Option<(&'static str, String)>,
}

/// Where the UDP sockets are bound: beside the TCP ones, or anywhere if nothing is listened on.
pub(crate) fn sockets(listening: &[SocketAddr]) -> Vec<SocketAddr> {
    if !listening.is_empty() {
        return listening.to_vec();
    }
    [IpAddr::from(Ipv6Addr::UNSPECIFIED), Ipv4Addr::UNSPECIFIED.into()].map(|ip| SocketAddr::new(ip, 0)).to_vec()
}

/// Punches, and for the side that speaks first opens a link through the hole. For the other side there is none to be
/// had: it comes by [`hand_over`].
pub(crate) async fn connect(
    punch: &Punch,
    own: Fingerprint,
    peer: Fingerprint,
    addresses: &[SocketAddr],
    patience: Duration,
) -> Result<Option<(BoxedStream, SocketAddr)>, Reason> {
    punch.connect(peer, addresses, patience).await?;
    if own > peer {
        return Ok(None);
    }
    let link = punch.open(peer).await;
    let closed = || ("closed", "the hole that was punched closed at once".to_owned());
    link.map(Some).ok_or_else(closed)
}

/// Brings the links that other devices open to the room.
pub(crate) async fn hand_over(mut arrivals: mpsc::Receiver<Arrived>, room: mpsc::Sender<Message>) {
    while let Some(Arrived { peer, remote, stream }) = arrivals.recv().await {
        let info = LinkInfo { peer, way: Way::PunchedUdp, remote: Some(remote), dialled: None };
        if room.send(Message::Arrived(Link { info, stream })).await.is_err() {
            return;
        }
    }
}

/// Keeps `seen` up to date: asks the STUN servers that our XMPP server names, others when it names others, and all
/// anew when our own addresses change.
pub(crate) async fn look<T>(
    punch: Punch,
    outside: watch::Receiver<Outside>,
    interfaces: watch::Receiver<T>,
    seen: watch::Sender<Seen>,
) {
    let families = async |servers: Vec<StunServer>| families(&servers).await;
    look_with((families, LOOK_AGAIN), punch, outside, interfaces, seen).await;
}

/// The same with another way to find the servers' addresses, and another time until it is tried again, for tests.
async fn look_with<T>(
    (families, look_again): (impl AsyncFn(Vec<StunServer>) -> Vec<Vec<SocketAddr>>, Duration),
    punch: Punch,
    mut outside: watch::Receiver<Outside>,
    mut interfaces: watch::Receiver<T>,
    seen: watch::Sender<Seen>,
) {
    loop {
        let (servers, asked) = {
            let outside = outside.borrow_and_update();
            (outside.stun.clone(), outside.asked)
        };
        interfaces.mark_unchanged();
        let kept: Vec<Kept> = families(servers.clone()).await.into_iter().map(|group| punch.keep(group)).collect();
        let mut latest: Vec<_> = kept.iter().map(Kept::latest).collect();
        if kept.is_empty() && asked {
            let failure = "our XMPP server names no STUN server (XEP-0215) that could be found".to_owned();
            let code = StunFailure::NoServer.code();
            tell(&seen, Seen { failure: Some((code, failure)), ..Seen::default() });
        }
        let look_again = Instant::now() + look_again;
        loop {
            let mut answers: FuturesUnordered<_> = latest.iter_mut().map(|one| one.changed()).collect();
            let again = tokio::select! {
                Some(result) = answers.next() => result.is_err(),
                changed = outside.changed() => match changed {
                    Ok(()) => outside.borrow().stun != servers || outside.borrow().asked != asked,
                    Err(_) => return,
                },
                changed = interfaces.changed() => match changed {
                    Ok(()) => true,
                    Err(_) => return,
                },
                () = sleep_until(look_again), if kept.is_empty() && !servers.is_empty() => true,
            };
            drop(answers);
            if again {
                break;
            }
            let answers: Vec<_> = latest.iter().filter_map(|one| one.borrow().clone()).collect();
            if !answers.is_empty() {
                tell(&seen, summary(&answers));
            }
        }
    }
}

fn tell(seen: &watch::Sender<Seen>, now: Seen) {
    seen.send_if_modified(|last| {
        let changed = *last != now;
        if changed {
            tracing::debug!(?now, "our UDP sockets from outside");
            *last = now;
        }
        changed
    });
}

/// What the answers of all families come to.
fn summary(answers: &[Result<Reflexive, StunFailure>]) -> Seen {
    let found: Vec<&Reflexive> = answers.iter().flatten().collect();
    let failure = answers.iter().find_map(|answer| answer.as_ref().err()).filter(|_| found.is_empty());
    Seen {
        addresses: found.iter().map(|reflexive| reflexive.address).collect(),
        symmetric: found.iter().filter_map(|reflexive| reflexive.stable).map(|stable| !stable).max(),
        failure: failure.map(|failure| (failure.code(), failure.to_string())),
    }
}

/// The servers' addresses, IPv6 ones and IPv4 ones apart.
async fn families(servers: &[StunServer]) -> Vec<Vec<SocketAddr>> {
    let mut found: Vec<SocketAddr> = Vec::new();
    for server in servers {
        match timeout(LOOKUP, lookup_host((server.host.as_str(), server.port))).await {
            Ok(Ok(addresses)) => found.extend(addresses),
            Ok(Err(error)) => tracing::debug!(host = %server.host, %error, "a STUN server was not found"),
            Err(_) => tracing::debug!(host = %server.host, "a STUN server was not found in time"),
        }
    }
    found.retain(|server| is_asked(*server));
    let (v6, v4): (Vec<SocketAddr>, Vec<SocketAddr>) = found.into_iter().partition(SocketAddr::is_ipv6);
    [v6, v4].into_iter().filter(|group| !group.is_empty()).collect()
}

/// Whether a STUN server may be there. Our own XMPP server chooses these addresses, and a home's or company's own may
/// well name one on our network; but what only this computer hears, or more than one, tells nobody where we are.
fn is_asked(server: SocketAddr) -> bool {
    let ip = server.ip().to_canonical();
    let of_many = match ip {
        IpAddr::V4(v4) => v4.is_broadcast() || v4.is_link_local() || v4.octets()[0] == 0,
        IpAddr::V6(v6) => v6.is_unicast_link_local(),
    };
    server.port() != 0 && !(ip.is_unspecified() || ip.is_loopback() || ip.is_multicast() || of_many)
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::panic)]

    use std::sync::Arc;

    use super::*;
    use crate::Identity;
    use crate::identity::tls::Tls;

    #[tokio::test]
    async fn servers_whose_names_lead_nowhere_are_looked_for_again() {
        let folder = tempfile::tempdir().unwrap();
        let tls = Tls::new(&Identity::load_or_create(&folder.path().join("key")).unwrap()).unwrap();
        let (arrivals, _arrived) = mpsc::channel(1);
        let punch = Punch::start(Arc::new(tls), &["127.0.0.1:0".parse().unwrap()], arrivals).unwrap();
        let named = vec![StunServer { host: "stun.example".to_owned(), port: 3478 }];
        let (_outside, outside) = watch::channel(Outside { stun: named, asked: true, ..Outside::default() });
        let (_interfaces, interfaces) = watch::channel(());
        let (tell, _seen) = watch::channel(Seen::default());
        let (looked, mut looks) = mpsc::channel(8);
        let families = async |_: Vec<StunServer>| {
            looked.send(()).await.unwrap();
            Vec::new()
        };
        let looking = look_with((families, Duration::from_millis(20)), punch, outside, interfaces, tell);
        let twice = async {
            looks.recv().await.unwrap();
            timeout(LOOKUP, looks.recv()).await.expect("a second look").unwrap();
        };
        tokio::select! {
            () = looking => panic!("it ends with the daemon only"),
            () = twice => {}
        }
    }

    #[test]
    fn a_server_may_name_stun_servers_on_our_network_but_none_on_this_computer_or_of_nobody() {
        let is_asked = |address: &str| is_asked(address.parse().unwrap());
        for address in ["192.0.2.1:3478", "192.168.1.1:3478", "10.0.0.1:3478", "[2001:db8::1]:3478", "[fd00::1]:1"] {
            assert!(is_asked(address), "{address}");
        }
        for address in [
            "127.0.0.1:3478",
            "[::ffff:127.0.0.1]:3478",
            "[::1]:3478",
            "0.0.0.0:3478",
            "0.1.2.3:3478",
            "224.0.0.1:3478",
            "255.255.255.255:3478",
            "169.254.0.1:3478",
            "[ff02::1]:3478",
            "[fe80::1]:3478",
            "192.0.2.1:0",
        ] {
            assert!(!is_asked(address), "{address}");
        }
    }

    #[test]
    fn one_family_without_an_answer_does_not_hide_the_other() {
        let address: SocketAddr = "203.0.113.7:4711".parse().unwrap();
        let found = Ok(Reflexive { address, stable: Some(false) });
        let seen = summary(&[Err(StunFailure::Silent), found]);
        assert_eq!(seen, Seen { addresses: vec![address], symmetric: Some(true), failure: None });
        let seen = summary(&[Err(StunFailure::Silent)]);
        assert!(seen.addresses.is_empty() && seen.symmetric.is_none());
        let (code, text) = seen.failure.unwrap();
        assert!(code == "stun-no-answer" && text.contains("no STUN server answered"));
    }
}
