//! Proving who we are (RFC 6120, section 6; RFC 5802; RFC 9266).
//!
//! Own code rather than the library's, because that one sends the password in PLAIN as soon as a channel binding
//! cannot be used, and does not check that the server knows the password too.

use std::collections::BTreeSet;
use std::time::Duration;

use futures::{SinkExt, StreamExt};
use sasl::client::mechanisms::{Plain, Scram};
use sasl::client::{Mechanism, MechanismError};
use sasl::common::scram::{Sha1, Sha256};
use sasl::common::{ChannelBinding, Credentials};
use tokio_xmpp::parsers::{sasl as stanza, sasl_cb, stream_features::StreamFeatures};
use tokio_xmpp::xmlstream::{InitiatingStream, ReadError, XmppStream, XmppStreamElement};

use crate::failure::Failure;
use crate::stream::Io;

/// Fewest and most rounds of key derivation that a server may ask for: fewer would make a stolen exchange cheap to
/// guess from, more would only keep us busy. RFC 5802 says at least 4096; servers use 10,000 to 600,000.
const ROUNDS: std::ops::RangeInclusive<u32> = 4096..=5_000_000;

/// Longest derivation.
const PATIENCE: Duration = Duration::from_secs(30);

/// Who we are. No `Debug`: holds the password.
pub(crate) struct Identity<'a> {
    pub user: &'a str,
    pub password: &'a str,
    pub allow_plain: bool,
}

type Chosen = Box<dyn Mechanism + Send + Sync>;

/// Chooses the strongest mechanism that both sides have: SCRAM with channel binding, SCRAM, and PLAIN last if allowed.
fn choose(
    identity: &Identity<'_>,
    offered: &BTreeSet<String>,
    binding: ChannelBinding,
) -> Result<Option<Chosen>, MechanismError> {
    let with = |user: &str, password: &str, binding: ChannelBinding| {
        Credentials::default().with_username(user).with_password(password).with_channel_binding(binding)
    };
    let has_plus = offered.iter().any(|name| name.ends_with("-PLUS"));
    let can_bind = !matches!(binding, ChannelBinding::None | ChannelBinding::Unsupported);
    // RFC 5802, section 6: "y" says that we could have bound, so that a server that does offer it notices if
    // somebody removed the offer on the way.
    let unbound = if can_bind && !has_plus { ChannelBinding::Unsupported } else { ChannelBinding::None };
    let user = escaped(identity.user);
    let password = prepared(identity.password);
    let scram = |binding: ChannelBinding| with(&user, &password, binding);
    let mut mechanisms: Vec<Chosen> = Vec::new();
    if can_bind {
        mechanisms.push(Box::new(Scram::<Sha256>::from_credentials(scram(binding.clone()))?));
        mechanisms.push(Box::new(Scram::<Sha1>::from_credentials(scram(binding))?));
    }
    mechanisms.push(Box::new(Scram::<Sha256>::from_credentials(scram(unbound.clone()))?));
    mechanisms.push(Box::new(Scram::<Sha1>::from_credentials(scram(unbound))?));
    if identity.allow_plain {
        mechanisms.push(Box::new(Plain::from_credentials(with(
            identity.user,
            identity.password,
            ChannelBinding::None,
        ))?));
    }
    Ok(mechanisms.into_iter().find(|mechanism| offered.contains(mechanism.name())))
}

/// RFC 5802, section 5.1: `,` and `=` mean something there. The mechanism does not escape them.
fn escaped(user: &str) -> String {
    user.replace('=', "=3D").replace(',', "=2C")
}

/// RFC 5802, section 2.2: passwords are compared after SASLprep, which the mechanism leaves out. What SASLprep
/// forbids is sent as it is, as other clients do.
fn prepared(password: &str) -> String {
    stringprep::saslprep(password).map_or_else(|_| password.to_owned(), |prepared| prepared.into_owned())
}

/// Channel binding as far as the server says that it can do it (XEP-0440). One that lists nothing may know only kinds
/// that TLS 1.3 does not have (ejabberd 23.01), and its refusal looks the same as a wrong password.
fn usable(binding: ChannelBinding, features: &StreamFeatures) -> ChannelBinding {
    match &features.sasl_cb {
        Some(listed) if listed.types.contains(&sasl_cb::Type::TlsExporter) => binding,
        Some(_) | None => ChannelBinding::None,
    }
}

/// Logs in and asks for the new stream that follows.
pub(crate) async fn authenticate(
    mut stream: XmppStream<Io>,
    features: &StreamFeatures,
    identity: &Identity<'_>,
    binding: ChannelBinding,
) -> Result<InitiatingStream<Io>, Failure> {
    let offered = &features.sasl_mechanisms;
    let mut mechanism =
        choose(identity, offered, usable(binding, features)).map_err(broken)?.ok_or_else(|| none_fits(offered))?;
    tracing::debug!(mechanism = mechanism.name(), ?offered, "logging in");
    let first = mechanism.initial();
    let exchange = Exchange::new(&first);
    let auth = stanza::Auth { mechanism: mechanism.name().parse().map_err(|_| none_fits(offered))?, data: first };
    stream.send(&XmppStreamElement::Sasl(stanza::Nonza::Auth(auth))).await?;
    loop {
        match next(&mut stream).await? {
            stanza::Nonza::Challenge(challenge) => {
                exchange.check(&challenge.data)?;
                let (answered, data) = respond(mechanism, challenge.data).await?;
                mechanism = answered;
                let response = stanza::Response { data };
                stream.send(&XmppStreamElement::Sasl(stanza::Nonza::Response(response))).await?;
            }
            stanza::Nonza::Success(success) => {
                if mechanism.name().starts_with("SCRAM") {
                    mechanism.success(&success.data).map_err(|_| impostor())?;
                }
                return Ok(stream.initiate_reset());
            }
            stanza::Nonza::Failure(failure) => return Err(Failure::from_sasl(&failure.defined_condition)),
            stanza::Nonza::Abort(_) | stanza::Nonza::Auth(_) | stanza::Nonza::Response(_) => {
                return Err(Failure::passing("the server answered the login with something else"));
            }
        }
    }
}

/// Deriving a key takes a while on purpose, so not on the thread that serves everything else.
async fn respond(mut mechanism: Chosen, challenge: Vec<u8>) -> Result<(Chosen, Vec<u8>), Failure> {
    let work = tokio::task::spawn_blocking(move || {
        let response = mechanism.response(&challenge);
        (mechanism, response)
    });
    match tokio::time::timeout(PATIENCE, work).await {
        Ok(Ok((mechanism, response))) => Ok((mechanism, response.map_err(broken)?)),
        Ok(Err(_)) | Err(_) => Err(Failure::passing("the login took too long")),
    }
}

async fn next(stream: &mut XmppStream<Io>) -> Result<stanza::Nonza, Failure> {
    loop {
        let element = stream.next().await.ok_or_else(|| Failure::passing("the server closed the connection"))?;
        match element.and_then(|element| element.into_read_error()) {
            Ok(XmppStreamElement::Sasl(nonza)) => return Ok(nonza),
            Ok(XmppStreamElement::StreamError(error)) => return Err(Failure::from_stream_error(&error.0)),
            Ok(_) => return Err(Failure::passing("the server answered the login with something else")),
            Err(ReadError::SoftTimeout) => {}
            Err(error) => return Err(error.into()),
        }
    }
}

/// What the mechanism does not check of the server's challenge itself.
struct Exchange {
    nonce: Option<String>,
}

impl Exchange {
    fn new(first: &[u8]) -> Self {
        let nonce = std::str::from_utf8(first).ok().and_then(|text| text.split(',').find_map(|f| f.strip_prefix("r=")));
        Self { nonce: nonce.map(str::to_owned) }
    }

    /// RFC 5802, section 5.1: the server's nonce must begin with ours, else an old exchange could be replayed to us;
    /// and the number of rounds must be sane.
    fn check(&self, challenge: &[u8]) -> Result<(), Failure> {
        let Some(ours) = &self.nonce else { return Ok(()) };
        let text = std::str::from_utf8(challenge).unwrap_or_default();
        let field = |name: &str| text.split(',').find_map(|field| field.strip_prefix(name));
        if !field("r=").is_some_and(|nonce| nonce.starts_with(ours.as_str()) && nonce.len() > ours.len()) {
            return Err(impostor());
        }
        match field("i=").map(str::parse) {
            Some(Ok(rounds)) if ROUNDS.contains(&rounds) => Ok(()),
            Some(_) | None => Err(Failure::refused(
                "login-failed",
                "the server asks for a login that is not safe (number of SCRAM rounds)",
                "ask the server's operator",
            )),
        }
    }
}

fn broken(error: MechanismError) -> Failure {
    Failure::refused(
        "login-failed",
        format!("the login failed: {error}"),
        "this looks like a fault of the server or of xbtd; please report it",
    )
}

fn impostor() -> Failure {
    Failure::refused(
        "bad-server-signature",
        "the server could not prove that it knows the password",
        "someone may be intercepting the connection; do not log in over this network",
    )
}

fn none_fits(offered: &BTreeSet<String>) -> Failure {
    let offered = offered.iter().take(10).map(|name| name.chars().take(30).collect::<String>());
    let list = offered.collect::<Vec<_>>().join(", ");
    Failure::refused(
        "no-mechanism",
        format!("the server offers no way to log in that xbtd may use (it offers: {list})"),
        "ask the server's operator for SCRAM, or allow PLAIN",
    )
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    fn chosen(offered: &[&str], binding: ChannelBinding, allow_plain: bool) -> Option<(String, String)> {
        let offered = offered.iter().map(|name| (*name).to_owned()).collect();
        let identity = Identity { user: "a=b,c", password: "secret", allow_plain };
        choose(&identity, &offered, binding).unwrap().map(|mut mechanism| {
            let first = String::from_utf8(mechanism.initial()).unwrap();
            (mechanism.name().to_owned(), first)
        })
    }

    fn exporter() -> ChannelBinding {
        ChannelBinding::TlsExporter(vec![7; 32])
    }

    #[test]
    fn the_strongest_common_mechanism_is_chosen() {
        let all = ["PLAIN", "SCRAM-SHA-1", "SCRAM-SHA-1-PLUS", "SCRAM-SHA-256", "SCRAM-SHA-256-PLUS"];
        let name = |offered: &[&str], binding| chosen(offered, binding, true).map(|(name, _)| name);
        assert_eq!(name(&all, exporter()).as_deref(), Some("SCRAM-SHA-256-PLUS"));
        assert_eq!(name(&all, ChannelBinding::None).as_deref(), Some("SCRAM-SHA-256"));
        assert_eq!(name(&all[..2], exporter()).as_deref(), Some("SCRAM-SHA-1"));
        assert_eq!(name(&all[..3], exporter()).as_deref(), Some("SCRAM-SHA-1-PLUS"));
        assert_eq!(name(&all[..1], exporter()).as_deref(), Some("PLAIN"));
    }

    #[test]
    fn plain_is_never_used_where_it_is_not_allowed() {
        assert_eq!(chosen(&["PLAIN"], exporter(), false), None);
        assert_eq!(chosen(&["ANONYMOUS", "EXTERNAL"], exporter(), true), None);
    }

    #[test]
    fn a_removed_offer_of_channel_binding_can_be_noticed() {
        let first = |offered: &[&str], binding| chosen(offered, binding, true).unwrap().1;
        assert!(first(&["SCRAM-SHA-1"], exporter()).starts_with("y,,n=a=3Db=2Cc,r="));
        assert!(first(&["SCRAM-SHA-1"], ChannelBinding::None).starts_with("n,,"));
        assert!(first(&["SCRAM-SHA-1", "SCRAM-SHA-1-PLUS"], exporter()).starts_with("p=tls-exporter,,"));
    }

    #[test]
    fn a_foreign_nonce_or_a_silly_number_of_rounds_is_refused() {
        let exchange = Exchange::new(b"n,,n=user,r=abc");
        assert!(exchange.check(b"r=abcdef,s=c2FsdA==,i=4096").is_ok());
        for bad in ["r=abc,s=,i=4096", "r=xbcdef,s=,i=4096", "s=,i=4096", "r=abcdef,s=,i=1", "r=abcdef,s=,i=4294967295"]
        {
            assert!(exchange.check(bad.as_bytes()).is_err(), "{bad}");
        }
    }
}
