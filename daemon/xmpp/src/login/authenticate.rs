//! Proving who we are (RFC 6120, section 6; RFC 5802; RFC 9266).
//!
//! Own code rather than the library's, because that one sends the password in PLAIN as soon as a channel binding
//! cannot be used, and does not check that the server knows the password too.

use std::collections::BTreeSet;
use std::time::Duration;

use base64::Engine;
use base64::engine::general_purpose::STANDARD_NO_PAD;
use futures::{SinkExt, StreamExt};
use tokio_xmpp::parsers::ns;
use tokio_xmpp::parsers::{sasl as stanza, sasl_cb, stream_features::StreamFeatures};
use tokio_xmpp::xmlstream::{InitiatingStream, ReadError, XmppStream, XmppStreamElement};
use xbt_core::login::{Authority, Login, Mechanism, Weaker};
use xso::AsXml;
use xso::text::Base64;

use super::scram::{Binding, Broken, Challenge, Expected, Scram};
use crate::failure::{Failure, Refused};
use crate::stream::Io;

/// Longest derivation.
const PATIENCE: Duration = Duration::from_secs(30);

/// Who we are, and what a login has to be like. No `Debug`: holds the password.
pub(crate) struct Identity<'a> {
    pub account: &'a xbt_core::ids::BareJid,
    pub user: &'a str,
    pub password: &'a str,
    /// Nothing weaker is used.
    pub least: Mechanism,
    /// The strongest login so far.
    pub known: Option<Login>,
}

/// The element that begins a login; the library's does not know all mechanisms.
#[derive(AsXml)]
#[xml(namespace = ns::SASL, name = "auth")]
struct Auth {
    #[xml(attribute)]
    mechanism: String,
    #[xml(text = Base64)]
    data: Vec<u8>,
}

/// What the connection gives to a login.
pub(crate) struct Channel {
    /// For channel binding (`tls-exporter`); none if TLS is too old for it.
    pub exporter: Option<Vec<u8>>,
    /// Who vouches for the server.
    pub authority: Option<Authority>,
}

/// The strongest mechanism that both sides have, and what is said of channel binding.
fn choose(least: Mechanism, features: &StreamFeatures, exporter: Option<&Vec<u8>>) -> Option<(Mechanism, Binding)> {
    let offered = &features.sasl_mechanisms;
    // XEP-0440. A server that lists nothing may know only kinds that TLS 1.3 does not have (ejabberd 23.01), and its
    // refusal looks the same as a wrong password.
    let usable = exporter
        .filter(|_| features.sasl_cb.as_ref().is_some_and(|listed| listed.types.contains(&sasl_cb::Type::TlsExporter)));
    let fits = |mechanism: &Mechanism| {
        *mechanism >= least && offered.contains(mechanism.as_str()) && (!mechanism.binds() || usable.is_some())
    };
    let mechanism = Mechanism::ALL.into_iter().rev().find(fits)?;
    let binding = match (usable, exporter) {
        (Some(exporter), _) if mechanism.binds() => Binding::Exporter(exporter.clone()),
        (_, Some(_)) if !offered.iter().any(|name| name.ends_with("-PLUS")) => Binding::NotOffered,
        (_, Some(_) | None) => Binding::None,
    };
    Some((mechanism, binding))
}

/// Logs in and asks for the new stream that follows. Also what there is to remember of it.
pub(crate) async fn authenticate(
    mut stream: XmppStream<Io>,
    features: &StreamFeatures,
    identity: &Identity<'_>,
    channel: Channel,
) -> Result<(InitiatingStream<Io>, Login), Failure> {
    let offered = &features.sasl_mechanisms;
    let (mechanism, binding) = choose(identity.least, features, channel.exporter.as_ref())
        .ok_or_else(|| none_fits(offered, identity.least))?;
    let login = Login { account: identity.account.clone(), mechanism, authority: channel.authority };
    if let Some(Err(weaker)) = identity.known.as_ref().map(|known| known.check(&login)) {
        return Err(too_weak(&weaker, login));
    }
    tracing::debug!(%mechanism, "logging in");
    match Scram::begin(mechanism, binding, identity.user, identity.password, nonce()?) {
        Some(scram) => prove(&mut stream, mechanism, scram).await?,
        None => tell(&mut stream, identity).await?,
    }
    Ok((stream.initiate_reset(), login))
}

/// By SCRAM. Returns once the server has proved that it knows the password too.
async fn prove(stream: &mut XmppStream<Io>, mechanism: Mechanism, scram: Scram) -> Result<(), Failure> {
    send_auth(stream, mechanism, scram.first_message()).await?;
    let challenge = match next(stream).await? {
        stanza::Nonza::Challenge(challenge) => scram.read(&challenge.data).map_err(|why| unsafe_exchange(&why))?,
        // Nobody is logged in who has proved nothing.
        stanza::Nonza::Success(_) => return Err(impostor()),
        other => return Err(unexpected(other)),
    };
    let (data, expected) = answer(challenge).await?;
    stream.send(&XmppStreamElement::Sasl(stanza::Nonza::Response(stanza::Response { data }))).await?;
    let last = match next(stream).await? {
        stanza::Nonza::Success(success) => success.data,
        // RFC 6120, section 6.3.10: some servers send their last word as a challenge before an empty success.
        stanza::Nonza::Challenge(challenge) => {
            expected.check(&challenge.data).map_err(|_| impostor())?;
            let empty = stanza::Response { data: Vec::new() };
            stream.send(&XmppStreamElement::Sasl(stanza::Nonza::Response(empty))).await?;
            return match next(stream).await? {
                stanza::Nonza::Success(_) => Ok(()),
                other => Err(unexpected(other)),
            };
        }
        other => return Err(unexpected(other)),
    };
    expected.check(&last).map_err(|_| impostor())
}

/// By PLAIN (RFC 4616): the password itself, where the person allows it.
async fn tell(stream: &mut XmppStream<Io>, identity: &Identity<'_>) -> Result<(), Failure> {
    let data = format!("\0{}\0{}", identity.user, identity.password).into_bytes();
    send_auth(stream, Mechanism::Plain, data).await?;
    match next(stream).await? {
        stanza::Nonza::Success(_) => Ok(()),
        other => Err(unexpected(other)),
    }
}

async fn send_auth(stream: &mut XmppStream<Io>, mechanism: Mechanism, data: Vec<u8>) -> Result<(), Failure> {
    Ok(stream.send(&Auth { mechanism: mechanism.as_str().to_owned(), data }).await?)
}

/// Deriving a key takes a while on purpose, so not on the thread that serves everything else.
async fn answer(challenge: Challenge) -> Result<(Vec<u8>, Expected), Failure> {
    let work = tokio::task::spawn_blocking(move || challenge.answer());
    match tokio::time::timeout(PATIENCE, work).await {
        Ok(Ok(answered)) => Ok(answered),
        Ok(Err(_)) | Err(_) => Err(Failure::passing("the login took too long")),
    }
}

/// 144 random bits, in letters that RFC 5802 allows.
fn nonce() -> Result<String, Failure> {
    let mut bits = [0; 18];
    getrandom::fill(&mut bits).map_err(|_| Failure::passing("this computer has no random numbers"))?;
    Ok(STANDARD_NO_PAD.encode(bits))
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

fn unexpected(nonza: stanza::Nonza) -> Failure {
    match nonza {
        stanza::Nonza::Failure(failure) => Failure::from_sasl(&failure.defined_condition),
        stanza::Nonza::Abort(_)
        | stanza::Nonza::Auth(_)
        | stanza::Nonza::Challenge(_)
        | stanza::Nonza::Response(_)
        | stanza::Nonza::Success(_) => Failure::passing("the server answered the login with something else"),
    }
}

fn unsafe_exchange(why: &Broken) -> Failure {
    match why {
        Broken::Nonce | Broken::Proof => impostor(),
        Broken::Malformed | Broken::Extension | Broken::Rounds => Failure::refused(
            "login-failed",
            format!("the server's part of the login cannot be trusted: {why}"),
            "ask the server's operator",
        ),
    }
}

fn impostor() -> Failure {
    Failure::refused(
        "bad-server-signature",
        "the server could not prove that it knows the password",
        "someone may be intercepting the connection; do not log in over this network",
    )
}

fn too_weak(weaker: &Weaker, login: Login) -> Failure {
    Failure::Refused(Refused {
        code: "weaker-login",
        reason: weaker.to_string(),
        hint: "someone may be intercepting the connection; if you know why the server has changed, \
               'xbtctl login --allow-weaker' allows it once"
            .to_owned(),
        is_final: false,
        weaker: Some(Box::new(login)),
    })
}

fn none_fits(offered: &BTreeSet<String>, least: Mechanism) -> Failure {
    // Names of mechanisms are capitals, digits, `-` and `_` (RFC 4422, section 3.1).
    let is_name = |name: &&String| name.len() <= 20 && name.bytes().all(|b| b.is_ascii_graphic());
    let list = offered.iter().filter(is_name).take(10).cloned().collect::<Vec<_>>().join(", ");
    let weaker = Mechanism::ALL.into_iter().rev().find(|m| *m < least && offered.contains(m.as_str()));
    let hint = match weaker {
        Some(weaker) => {
            format!("ask the server's operator for more, or set `least_mechanism = \"{weaker}\"` in [account]")
        }
        None => "ask the server's operator for SCRAM".to_owned(),
    };
    Failure::refused(
        "no-mechanism",
        format!("the server offers no way to log in that xbtd may use (it offers: {list})"),
        hint,
    )
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    const ALL: [&str; 7] = [
        "PLAIN",
        "SCRAM-SHA-1",
        "SCRAM-SHA-1-PLUS",
        "SCRAM-SHA-256",
        "SCRAM-SHA-256-PLUS",
        "SCRAM-SHA-512",
        "SCRAM-SHA-512-PLUS",
    ];

    fn features(offered: &[&str], listed: bool) -> StreamFeatures {
        let types = [sasl_cb::Type::TlsExporter].into_iter().collect();
        StreamFeatures {
            sasl_mechanisms: offered.iter().map(|name| (*name).to_owned()).collect(),
            sasl_cb: listed.then_some(sasl_cb::SaslChannelBinding { types }),
            ..StreamFeatures::default()
        }
    }

    /// The mechanism, and the flag of channel binding.
    fn chosen(offered: &[&str], listed: bool, exporter: bool, least: Mechanism) -> Option<(Mechanism, char)> {
        let exporter = exporter.then(|| vec![7; 32]);
        let (mechanism, binding) = choose(least, &features(offered, listed), exporter.as_ref())?;
        let flag = match binding {
            Binding::None => 'n',
            Binding::NotOffered => 'y',
            Binding::Exporter(_) => 'p',
        };
        Some((mechanism, flag))
    }

    #[test]
    fn the_strongest_common_mechanism_is_chosen() {
        let name = |offered: &[&str], exporter| chosen(offered, true, exporter, Mechanism::Plain).map(|(name, _)| name);
        assert_eq!(name(&ALL, true), Some(Mechanism::ScramSha512Plus));
        assert_eq!(name(&ALL, false), Some(Mechanism::ScramSha512));
        assert_eq!(name(&ALL[..4], true), Some(Mechanism::ScramSha1Plus));
        assert_eq!(name(&ALL[..2], true), Some(Mechanism::ScramSha1));
        assert_eq!(name(&ALL[..1], true), Some(Mechanism::Plain));
        assert_eq!(name(&["ANONYMOUS", "EXTERNAL"], true), None);
    }

    #[test]
    fn nothing_below_the_least_mechanism_is_used() {
        assert_eq!(chosen(&ALL[..1], true, true, Mechanism::ScramSha1), None);
        assert_eq!(chosen(&["PLAIN", "SCRAM-SHA-1"], true, true, Mechanism::ScramSha256), None);
        assert_eq!(chosen(&ALL, true, false, Mechanism::ScramSha1Plus), None);
        let Failure::Refused(refused) = none_fits(&features(&["PLAIN"], false).sasl_mechanisms, Mechanism::ScramSha1)
        else {
            unreachable!()
        };
        assert!(refused.hint.contains("least_mechanism = \"PLAIN\""), "{}", refused.hint);
    }

    #[test]
    fn a_removed_offer_of_channel_binding_can_be_noticed() {
        let flag = |offered: &[&str], listed, exporter| chosen(offered, listed, exporter, Mechanism::Plain).unwrap().1;
        assert_eq!(flag(&["SCRAM-SHA-1"], true, true), 'y');
        assert_eq!(flag(&["SCRAM-SHA-1"], false, true), 'y', "we could bind");
        assert_eq!(flag(&["SCRAM-SHA-1"], true, false), 'n', "we could not");
        assert_eq!(flag(&["SCRAM-SHA-1", "SCRAM-SHA-1-PLUS"], true, true), 'p');
        assert_eq!(flag(&["SCRAM-SHA-1", "SCRAM-SHA-1-PLUS"], false, true), 'n', "in a way that both know");
    }
}
