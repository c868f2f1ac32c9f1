//! Where the server of a domain is: SRV records (RFC 6120, section 3.2; XEP-0368), or what the configuration says.

use std::net::{IpAddr, SocketAddr};
use std::time::Duration;

use futures::stream::{FuturesUnordered, StreamExt};
use hickory_resolver::TokioResolver;
use hickory_resolver::net::NetError;
use hickory_resolver::proto::rr::RData;
use tokio::net::TcpStream;

use crate::Tls;
use crate::failure::Failure;

/// Port of StartTLS where nothing else is said (RFC 6120, section 14.7).
const PORT: u16 = 5222;
/// Port of direct TLS by custom; XEP-0368 knows none without SRV.
const DIRECT_PORT: u16 = 5223;
/// Most servers of one domain, and most addresses of one server, that are tried in one attempt.
const MOST: usize = 8;
/// Pause before the next address is tried beside the ones under way (RFC 8305, section 5).
const STAGGER: Duration = Duration::from_millis(250);
/// Bound on one look-up, and on reaching any of a server's addresses.
const TIMEOUT: Duration = Duration::from_secs(10);

/// One place where the server may be.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Target {
    pub host: String,
    pub port: u16,
    pub tls: Tls,
    /// DNS says nothing of an XMPP server, so the domain's own host is tried.
    pub guessed: bool,
}

/// One SRV record with the kind of TLS that its service name implies.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Record {
    priority: u16,
    weight: u16,
    target: Target,
}

/// A `host:port`, `host`, `address` or `[address]:port` from the configuration or from the server.
pub(crate) fn fixed(text: &str, tls: Tls) -> Result<Target, Failure> {
    let default = match tls {
        Tls::StartTls => PORT,
        Tls::Direct => DIRECT_PORT,
    };
    let bad = || {
        Failure::refused(
            "bad-server",
            format!("“{text}” is not the address of a server"),
            "write `server = \"host\"`, \"host:port\", \"192.0.2.1:5222\" or \"[2001:db8::1]:5222\"",
        )
    };
    if let Ok(address) = text.parse::<SocketAddr>() {
        return Ok(Target { host: address.ip().to_string(), port: address.port(), tls, guessed: false });
    }
    if let Ok(ip) = text.trim_matches(['[', ']']).parse::<IpAddr>() {
        return Ok(Target { host: ip.to_string(), port: default, tls, guessed: false });
    }
    let (host, port) = match text.rsplit_once(':') {
        Some((host, port)) => (host, port.parse().map_err(|_| bad())?),
        None => (text, default),
    };
    let host = idna::domain_to_ascii(host).map_err(|_| bad())?;
    if host.is_empty() || host.contains([':', '/', ' ', '@']) {
        return Err(bad());
    }
    Ok(Target { host, port, tls, guessed: false })
}

/// The places where `domain` (in ASCII) is served, best first, at most [`MOST`].
///
/// [`Tls::StartTls`] also takes the records for direct TLS, which is no weaker; [`Tls::Direct`] takes only those.
pub(crate) async fn targets(domain: &str, tls: Tls) -> Result<Vec<Target>, Failure> {
    if domain.parse::<IpAddr>().is_ok() || domain == "localhost" {
        return Ok(vec![fixed(domain, tls)?]);
    }
    let resolver = TokioResolver::builder_tokio()
        .and_then(|builder| builder.build())
        .map_err(|error| Failure::passing(format!("names cannot be resolved: {error}")))?;
    let direct = service(&resolver, "_xmpps-client._tcp", domain, Tls::Direct);
    let records = match tls {
        Tls::Direct => direct.await,
        Tls::StartTls => {
            let (direct, starttls) =
                tokio::join!(direct, service(&resolver, "_xmpp-client._tcp", domain, Tls::StartTls));
            [starttls, direct].concat()
        }
    };
    if records.is_empty() {
        return Ok(vec![Target { guessed: true, ..fixed(domain, tls)? }]);
    }
    let targets: Vec<_> = ordered(records, random).into_iter().filter(|t| t.host != ".").take(MOST).collect();
    if targets.is_empty() {
        return Err(Failure::Stubborn(format!("{domain} says that it has no XMPP service")));
    }
    Ok(targets)
}

/// Uniform below `bound`.
fn random(bound: u32) -> u32 {
    // Without randomness the load is spread worse, nothing else.
    getrandom::u32().unwrap_or_default() % bound.max(1)
}

/// The SRV records of one service. That there are none is no error, nor is a resolver that does not answer: the plain
/// host may still be found by other means (`/etc/hosts`, mDNS), and its certificate says whether it is the right one.
async fn service(resolver: &TokioResolver, name: &str, domain: &str, tls: Tls) -> Vec<Record> {
    let query = format!("{name}.{domain}.");
    let answer = match tokio::time::timeout(TIMEOUT, resolver.srv_lookup(query.as_str())).await {
        Ok(Ok(answer)) => answer,
        Ok(Err(error)) => {
            log_missing(&query, &error);
            return Vec::new();
        }
        Err(_) => {
            tracing::debug!(query, "no answer to an SRV query");
            return Vec::new();
        }
    };
    let records = answer.answers().iter().filter_map(|record| match &record.data {
        RData::SRV(srv) => Some(Record {
            priority: srv.priority,
            weight: srv.weight,
            target: Target { host: host_of(&srv.target.to_utf8()), port: srv.port, tls, guessed: false },
        }),
        _ => None,
    });
    records.take(4 * MOST).collect()
}

fn log_missing(query: &str, error: &NetError) {
    if error.is_no_records_found() {
        tracing::debug!(query, "no SRV records");
    } else {
        tracing::debug!(query, %error, "SRV look-up failed");
    }
}

/// Without the dot at the end, except for the root itself (RFC 2782: "no such service").
fn host_of(name: &str) -> String {
    match name.trim_end_matches('.') {
        "" => ".".to_owned(),
        host => host.to_owned(),
    }
}

/// RFC 2782: by priority; within one, at random in proportion to the weights. `random(n)` is uniform below n.
fn ordered(mut records: Vec<Record>, mut random: impl FnMut(u32) -> u32) -> Vec<Target> {
    // Stable: with equal priority what stood first has the first chance; weight 0 comes first by the RFC.
    records.sort_by_key(|record| (record.priority, record.weight != 0));
    let mut targets = Vec::with_capacity(records.len());
    while let Some(priority) = records.first().map(|record| record.priority) {
        let group = records.iter().take_while(|record| record.priority == priority).count();
        let sum: u32 = records.iter().take(group).map(|record| u32::from(record.weight)).sum();
        let mut rest = random(sum + 1);
        let chosen = records.iter().take(group).position(|record| {
            let weight = u32::from(record.weight);
            let hit = rest <= weight;
            rest = rest.saturating_sub(weight);
            hit
        });
        targets.push(records.remove(chosen.unwrap_or(0)).target);
    }
    targets
}

/// Reaches one of the addresses of a host: several are tried side by side, staggered, IPv6 and IPv4 in turn.
pub(crate) async fn dial(target: &Target) -> Result<TcpStream, Failure> {
    let Target { host, port, guessed, .. } = target;
    let no_records = if *guessed { "DNS names no XMPP server for this domain, and " } else { "" };
    let found = tokio::time::timeout(TIMEOUT, tokio::net::lookup_host((host.as_str(), *port))).await;
    let addresses = match found {
        Ok(Ok(addresses)) => interleaved(addresses.collect()),
        Ok(Err(error)) => return Err(unresolved(host, &error).await),
        Err(_) => return Err(Failure::passing(format!("the name {host} could not be resolved in time"))),
    };
    match tokio::time::timeout(TIMEOUT, first_of(addresses)).await {
        Ok(Ok(stream)) => {
            // Requests are small and each waits for its answer.
            if let Err(error) = stream.set_nodelay(true) {
                tracing::debug!(%error, "set_nodelay");
            }
            Ok(stream)
        }
        Ok(Err(Some(error))) => Err(Failure::passing(format!("{no_records}{host}:{port} cannot be reached: {error}"))),
        Ok(Err(None)) => Err(Failure::passing(format!("{host} has no address"))),
        Err(_) => Err(Failure::passing(format!("{no_records}{host}:{port} does not answer"))),
    }
}

/// A machine without network also fails to resolve. Only when a name server says that the name does not exist is it
/// tried less often; even then not never, for captive portals and split DNS say that too.
async fn unresolved(host: &str, error: &std::io::Error) -> Failure {
    let nowhere = match TokioResolver::builder_tokio().and_then(|builder| builder.build()) {
        Ok(resolver) => {
            let query = format!("{host}.");
            match tokio::time::timeout(TIMEOUT, resolver.lookup_ip(query.as_str())).await {
                Ok(Err(error)) => error.is_nx_domain(),
                Ok(Ok(_)) | Err(_) => false,
            }
        }
        Err(_) => false,
    };
    if nowhere {
        Failure::Stubborn(format!("there is no server named {host}; check the JID and the server"))
    } else {
        Failure::passing(format!("the name {host} could not be resolved: {error}"))
    }
}

/// One address family after the other in turn, the first one first; at most [`MOST`].
fn interleaved(addresses: Vec<SocketAddr>) -> Vec<SocketAddr> {
    let first_is_v6 = addresses.first().is_some_and(SocketAddr::is_ipv6);
    let (mut first, mut second): (Vec<_>, Vec<_>) =
        addresses.into_iter().partition(|address| address.is_ipv6() == first_is_v6);
    first.reverse();
    second.reverse();
    let mut mixed = Vec::new();
    while mixed.len() < MOST && !(first.is_empty() && second.is_empty()) {
        mixed.extend(first.pop());
        mixed.extend(second.pop());
    }
    mixed
}

async fn first_of(addresses: Vec<SocketAddr>) -> Result<TcpStream, Option<std::io::Error>> {
    let mut left = addresses.into_iter();
    let mut attempts = FuturesUnordered::new();
    let mut last_error = None;
    loop {
        match left.next() {
            Some(address) => attempts.push(TcpStream::connect(address)),
            None if attempts.is_empty() => return Err(last_error),
            None => {}
        }
        let stagger = tokio::time::sleep(if left.len() == 0 { TIMEOUT } else { STAGGER });
        tokio::select! {
            Some(result) = attempts.next() => match result {
                Ok(stream) => return Ok(stream),
                Err(error) => last_error = Some(error),
            },
            () = stagger => {}
        }
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    fn record(priority: u16, weight: u16, host: &str) -> Record {
        Record { priority, weight, target: Target { host: host.into(), port: 1, tls: Tls::StartTls, guessed: false } }
    }

    fn hosts(targets: Vec<Target>) -> String {
        targets.into_iter().map(|target| target.host).collect()
    }

    #[test]
    fn srv_records_come_by_priority_and_then_by_weight() {
        let records = || vec![record(20, 0, "d"), record(10, 0, "a"), record(10, 60, "b"), record(10, 40, "c")];
        assert_eq!(hosts(ordered(records(), |_| 0)), "abcd");
        assert_eq!(hosts(ordered(records(), |bound| bound - 1)), "cbad");
        assert_eq!(hosts(ordered(records(), |_| 1)), "bcad");
    }

    #[test]
    fn a_fixed_server_is_a_host_or_an_address_with_or_without_port() {
        for (text, host, port) in [
            ("xmpp.example.org", "xmpp.example.org", 5222),
            ("xmpp.example.org:5333", "xmpp.example.org", 5333),
            ("Bücher.example", "xn--bcher-kva.example", 5222),
            ("192.0.2.1:1", "192.0.2.1", 1),
            ("2001:db8::1", "2001:db8::1", 5222),
            ("[2001:db8::1]:7", "2001:db8::1", 7),
            ("[2001:db8::1]", "2001:db8::1", 5222),
        ] {
            let target = fixed(text, Tls::StartTls).unwrap();
            assert_eq!((target.host.as_str(), target.port), (host, port), "{text}");
        }
        assert_eq!(fixed("a", Tls::Direct).unwrap().port, 5223);
        for bad in ["", ":1", "a:b", "a:70000", "a b", "http://a"] {
            assert!(matches!(fixed(bad, Tls::StartTls), Err(Failure::Refused(_))), "{bad}");
        }
    }

    #[test]
    fn address_families_take_turns() {
        let addresses = ["[::1]:1", "[::2]:1", "[::3]:1", "1.1.1.1:1"].map(|text| text.parse().unwrap());
        let mixed: Vec<String> = interleaved(addresses.to_vec()).iter().map(ToString::to_string).collect();
        assert_eq!(mixed, ["[::1]:1", "1.1.1.1:1", "[::2]:1", "[::3]:1"]);
    }

    #[tokio::test]
    async fn a_dead_address_does_not_hide_a_living_one() {
        let living = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let dead = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap().local_addr().unwrap();
        let stream = first_of(vec![dead, living.local_addr().unwrap()]).await.unwrap();
        assert_eq!(stream.peer_addr().unwrap(), living.local_addr().unwrap());
        assert!(first_of(vec![dead]).await.unwrap_err().is_some());
    }
}
