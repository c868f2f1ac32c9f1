//! Why a router did not map, in code and in words.

use std::io;
use std::net::{IpAddr, Ipv6Addr};

use super::{Failure, Protocol};

/// Why a router did not do what we asked it for.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub(super) enum MapError {
    /// No route that leads through a router.
    #[error("no router")]
    NoGateway,
    /// No answer.
    #[error("no answer")]
    NoAnswer,
    /// The router says that it does not do this.
    #[error("not supported")]
    Unsupported,
    /// The router does not let us.
    #[error("not authorised")]
    NotAuthorised,
    /// The router's table is full.
    #[error("no resources")]
    NoResources,
    /// Another computer has the port, and no other is free.
    #[error("conflict")]
    Conflict,
    /// The router has no connection to the internet.
    #[error("no external address")]
    NoExternalAddress,
    /// Granted, but in a network behind another router.
    #[error("private external address {0}")]
    PrivateExternalAddress(IpAddr),
    /// Refused for another reason, by its number in that protocol.
    #[error("refused with code {0}")]
    Refused(u16),
    /// An answer outside of what the protocol allows.
    #[error("nonsense: {0}")]
    Nonsense(&'static str),
    /// The system did not let us client.
    #[error("{0}")]
    Io(io::ErrorKind),
}

impl MapError {
    /// From a socket towards the router. A port that is closed is no answer to us.
    pub fn from_socket(error: &io::Error) -> Self {
        match error.kind() {
            io::ErrorKind::ConnectionRefused | io::ErrorKind::TimedOut | io::ErrorKind::ConnectionReset => {
                Self::NoAnswer
            }
            kind => Self::Io(kind),
        }
    }

    /// Stable; the documentation lists them.
    pub fn code(&self) -> &'static str {
        match self {
            Self::NoGateway => "no-gateway",
            Self::NoAnswer => "no-answer",
            Self::Unsupported => "unsupported",
            Self::NotAuthorised => "not-authorised",
            Self::NoResources => "no-resources",
            Self::Conflict => "conflict",
            Self::NoExternalAddress => "no-external-address",
            Self::PrivateExternalAddress(_) => "private-external-address",
            Self::Refused(_) => "refused",
            Self::Nonsense(_) => "bad-answer",
            Self::Io(_) => "io-error",
        }
    }
}

/// What a text is about.
#[derive(Clone, Copy, Debug)]
pub(super) struct Subject {
    /// The port that listens.
    pub port: u16,
    /// The router, where there is one.
    pub gateway: Option<IpAddr>,
    /// The own address that wants a pinhole; none: the IPv4 mapping.
    pub ipv6: Option<Ipv6Addr>,
}

/// Tells a error: what happened and what to do.
pub(super) fn failure(subject: Subject, protocol: Protocol, error: &MapError) -> Failure {
    Failure { protocol, code: error.code(), reason: reason(subject, protocol, error), ipv6: subject.ipv6 }
}

fn reason(subject: Subject, protocol: Protocol, error: &MapError) -> String {
    let name = protocol.name();
    let router = router(subject.gateway);
    let by_hand = by_hand(subject);
    match error {
        MapError::NoGateway => no_gateway(subject),
        MapError::NoAnswer => format!("{router} does not answer to {name}: switch it on in its settings, or {by_hand}"),
        MapError::Unsupported => format!("{router} does not speak {name}: it needs another protocol, or {by_hand}"),
        MapError::NotAuthorised => {
            format!("{router} does not let this computer map ports by {name}: enable it in its settings, or {by_hand}")
        }
        MapError::NoResources => {
            format!("{router} has no room for another mapping: remove some in its settings, or {by_hand}")
        }
        MapError::Conflict => {
            let port = subject.port;
            format!(
                "{router} has given TCP port {port} to another computer and offers no other: set another port, or {by_hand}"
            )
        }
        MapError::NoExternalAddress => {
            format!("{router} has no address on the internet (asked by {name}): check whether it is connected")
        }
        MapError::PrivateExternalAddress(ip) => format!(
            "{router} is itself behind another router (its own address, {ip}, is a private one), so the mapping does not \
             reach the internet: map the port on the other router too, or ask the provider for a public address"
        ),
        MapError::Refused(code) => {
            format!("{router} refused the mapping ({name} code {code}): see its settings, or {by_hand}")
        }
        MapError::Nonsense(what) => format!("{router} gave an answer by {name} that {what}: {by_hand}"),
        MapError::Io(kind) => format!("{router} cannot be asked by {name} ({kind}): see this computer's firewall"),
    }
}

fn router(gateway: Option<IpAddr>) -> String {
    gateway.map_or_else(|| "the router".to_owned(), |ip| format!("the router at {ip}"))
}

fn by_hand(Subject { port, ipv6, .. }: Subject) -> String {
    match ipv6 {
        None => format!("forward TCP port {port} by hand"),
        Some(ip) => format!("let TCP port {port} in to {ip} by hand"),
    }
}

fn no_gateway(subject: Subject) -> String {
    let family = if subject.ipv6.is_some() { "IPv6" } else { "IPv4" };
    format!("this computer has no {family} router: check whether it is connected to a network")
}

/// All failures about one address as one sentence; none when there are none. What is said of every protocol is said
/// once.
pub(super) fn summary(subject: Subject, failures: &[&Failure]) -> Option<String> {
    let first = failures.first()?;
    // A refusal says more than silence.
    let telling: Vec<_> = failures.iter().filter(|f| !matches!(f.code, "no-answer" | "unsupported")).collect();
    if let Some(failure) = telling.first() {
        return Some(failure.reason.clone());
    }
    let [_, _, ..] = failures else { return Some(first.reason.clone()) };
    // From the most widely known name to the least.
    let names: Vec<_> = failures.iter().rev().map(|failure| failure.protocol.name()).collect();
    let (last, others) = names.split_last()?;
    Some(format!(
        "{} does not answer to {} or {last}: switch one of them on in its settings, or {}",
        router(subject.gateway),
        others.join(", "),
        by_hand(subject)
    ))
}
