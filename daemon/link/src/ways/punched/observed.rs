//! How our UDP sockets are seen from outside, kept up to date.

use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;
use std::time::Duration;

use futures::StreamExt;
use futures::stream::FuturesUnordered;
use tokio::net::lookup_host;
use tokio::sync::{Notify, watch};
use tokio::time::{Instant, sleep_until, timeout};
use xbt_core::session::StunServer;

use super::punch::Punch;
use super::reflexive::{Kept, Reflexive, StunFailure};
use crate::addresses::outside::Outside;

/// Looking up the addresses of one STUN server.
const LOOKUP: Duration = Duration::from_secs(5);

/// Between lookups of STUN servers that could not be found: while a network comes up, names are the last thing that
/// works.
const LOOKUP_RETRY: Duration = Duration::from_secs(30);

/// How our UDP sockets are seen from outside.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Seen {
    /// One of each address family at most.
    pub addresses: Vec<SocketAddr>,
    /// Whether our router gives every destination another port (a "symmetric" NAT), so that no peer can know ours.
    /// None: not known, because fewer than two servers have answered.
    pub symmetric: Option<bool>,
    /// Why there is no address: a stable code (`stun-no-server`, `stun-no-answer`, `stun-bad-answer`, `stun-refused`,
    /// `no-randomness`) and a sentence.
    pub failure: Option<(&'static str, String)>,
}

/// Where changes go.
pub(super) type Report = (watch::Sender<Seen>, Arc<Notify>);

/// Asks the STUN servers that our XMPP server names, others when it names others, and all anew when our own addresses
/// change.
pub(super) async fn observe<T>(
    punch: Punch,
    outside: watch::Receiver<Outside>,
    interfaces: watch::Receiver<T>,
    report: Report,
) {
    let families = async |servers: Vec<StunServer>| families(&servers).await;
    observe_with((families, LOOKUP_RETRY), punch, outside, interfaces, report).await;
}

/// The same with another lookup of the servers' addresses, and another pause between lookups, for tests.
async fn observe_with<T>(
    (families, retry): (impl AsyncFn(Vec<StunServer>) -> Vec<Vec<SocketAddr>>, Duration),
    punch: Punch,
    mut outside: watch::Receiver<Outside>,
    mut interfaces: watch::Receiver<T>,
    report: Report,
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
            let failure = "our XMPP server offers no STUN".to_owned();
            let code = StunFailure::NoServer.code();
            publish(&report, Seen { failure: Some((code, failure)), ..Seen::default() });
        }
        let retry_at = Instant::now() + retry;
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
                () = sleep_until(retry_at), if kept.is_empty() && !servers.is_empty() => true,
            };
            drop(answers);
            if again {
                break;
            }
            let answers: Vec<_> = latest.iter().filter_map(|one| one.borrow().clone()).collect();
            if !answers.is_empty() {
                publish(&report, summary(&answers));
            }
        }
    }
}

fn publish((seen, changed): &Report, now: Seen) {
    let is_new = seen.send_if_modified(|last| {
        let changed = *last != now;
        if changed {
            tracing::debug!(?now, "our UDP sockets from outside");
            *last = now;
        }
        changed
    });
    if is_new {
        changed.notify_one();
    }
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
    found.retain(|server| may_be_asked(*server));
    let (v6, v4): (Vec<SocketAddr>, Vec<SocketAddr>) = found.into_iter().partition(SocketAddr::is_ipv6);
    [v6, v4].into_iter().filter(|group| !group.is_empty()).collect()
}

/// Whether a STUN server may be at this address. Our own XMPP server names it, and that of a home or company may well
/// name one on our network; but a server on this very computer, or several at once, cannot say how others see us.
fn may_be_asked(server: SocketAddr) -> bool {
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

    use tokio::sync::mpsc;

    use super::*;
    use crate::identity::key::Identity;
    use crate::identity::tls::Tls;

    #[tokio::test]
    async fn servers_that_are_not_found_are_looked_up_again() {
        let folder = tempfile::tempdir().unwrap();
        let tls = Tls::new(&Identity::load_or_create(&folder.path().join("key")).unwrap()).unwrap();
        let (arrivals, _arrived) = mpsc::channel(1);
        let punch = Punch::start(Arc::new(tls), &["127.0.0.1:0".parse().unwrap()], arrivals).unwrap();
        let named = vec![StunServer { host: "stun.example".to_owned(), port: 3478 }];
        let (_outside, outside) = watch::channel(Outside { stun: named, asked: true, ..Outside::default() });
        let (_interfaces, interfaces) = watch::channel(());
        let (report, _seen) = watch::channel(Seen::default());
        let (looked, mut looks) = mpsc::channel(8);
        let families = async |_: Vec<StunServer>| {
            looked.send(()).await.unwrap();
            Vec::new()
        };
        let observing =
            observe_with((families, Duration::from_millis(20)), punch, outside, interfaces, (report, Arc::default()));
        let twice = async {
            looks.recv().await.unwrap();
            timeout(LOOKUP, looks.recv()).await.expect("a second look").unwrap();
        };
        tokio::select! {
            () = observing => panic!("it ends with the daemon only"),
            () = twice => {}
        }
    }

    #[test]
    fn a_server_may_name_stun_servers_on_our_network_but_none_on_this_computer_or_of_nobody() {
        let may_be_asked = |address: &str| may_be_asked(address.parse().unwrap());
        for address in ["192.0.2.1:3478", "192.168.1.1:3478", "10.0.0.1:3478", "[2001:db8::1]:3478", "[fd00::1]:1"] {
            assert!(may_be_asked(address), "{address}");
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
            assert!(!may_be_asked(address), "{address}");
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
