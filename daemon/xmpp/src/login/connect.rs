//! From a configuration to an authenticated, encrypted stream that is not yet bound to a resource.
//!
//! Every step has a time limit; nothing is ever sent in plain text but the request for StartTLS.

use std::borrow::Cow;
use std::net::IpAddr;
use std::time::Duration;

use futures::{SinkExt, StreamExt};
use tokio::io::BufStream;
use tokio::net::TcpStream;
use tokio_xmpp::jid::BareJid;
use tokio_xmpp::parsers::stream_features::StreamFeatures;
use tokio_xmpp::parsers::{ns, starttls};
use tokio_xmpp::xmlstream::{InitiatingStream, StreamHeader, Timeouts, XmppStream, XmppStreamElement, initiate_stream};

use super::authenticate::{self, Channel, Identity};
use super::dns::{self, Target};
use super::tls::{self, Trust};
use crate::failure::Failure;
use crate::stream::{Fresh, Guard, Io, Notices, Prompt};
use crate::{SessionConfig, Silence, Tls};
use xbt_core::login::Login;

/// Bound on each exchange over the stream: opening it, StartTLS, login, opening it again.
pub(crate) const STEP: Duration = Duration::from_secs(15);

/// How long a server may be silent.
fn timeouts(silence: Silence) -> Timeouts {
    Timeouts { read_timeout: silence.asked_after, response_timeout: silence.given_up_after }
}

/// Runs one step of a login within [`STEP`].
pub(crate) async fn in_time<T, E: Into<Failure>>(
    what: &str,
    step: impl Future<Output = Result<T, E>>,
) -> Result<T, Failure> {
    match tokio::time::timeout(STEP, step).await {
        Ok(result) => result.map_err(Into::into),
        Err(_) => Err(Failure::passing(format!("the server did not answer in time ({what})"))),
    }
}

/// Tries the servers of the account in turn, best first; `preferred` (from a see-other-host) before all of them. `known`
/// is the strongest login so far.
///
/// # Errors
/// What stopped the login: [`Failure::Refused`] ends the search at once, else the last server's failure counts.
pub(crate) async fn log_in(
    config: &SessionConfig,
    account: &BareJid,
    trust: &Trust,
    known: Option<&Login>,
    preferred: Option<&str>,
) -> Result<Fresh, Failure> {
    let (domain, targets) = targets(config, account, preferred).await?;
    let mut last = Failure::passing("the domain has no XMPP server");
    for target in targets {
        tracing::debug!(host = target.host, port = target.port, tls = ?target.tls, "connecting");
        match log_in_at(config, account, &domain, (trust, known), &target).await {
            Ok(fresh) => return Ok(fresh),
            Err(failure @ (Failure::Refused(_) | Failure::Elsewhere(_))) => return Err(failure),
            Err(failure) => {
                tracing::debug!(host = target.host, port = target.port, %failure, "no login there");
                last = failure;
            }
        }
    }
    Err(last)
}

/// The account's domain in ASCII, and where it is served.
async fn targets(
    config: &SessionConfig,
    account: &BareJid,
    preferred: Option<&str>,
) -> Result<(String, Vec<Target>), Failure> {
    let domain = idna::domain_to_ascii(account.domain().as_str())
        .map_err(|_| Failure::Stubborn(format!("“{}” is not a domain", account.domain())))?;
    let targets = match (preferred, &config.server) {
        (Some(host), _) => vec![dns::fixed(host, config.tls)?],
        (None, Some(server)) => vec![dns::fixed(server, config.tls)?],
        (None, None) => dns::targets(&domain, config.tls).await?,
    };
    Ok((domain, targets))
}

/// An encrypted stream that is not authenticated, to the first server of the domain that gives one.
pub(crate) async fn open_first(
    config: &SessionConfig,
    account: &BareJid,
    trust: &Trust,
) -> Result<XmppStream<Io>, Failure> {
    let (domain, targets) = targets(config, account, None).await?;
    let mut last = Failure::passing("the domain has no XMPP server");
    for target in targets {
        match open(config, account, &domain, trust, &target).await {
            Ok(opened) => return Ok(opened.stream),
            Err(failure @ Failure::Refused(_)) => return Err(failure),
            Err(failure) => last = failure,
        }
    }
    Err(last)
}

/// An encrypted stream before the login.
struct Opened {
    stream: XmppStream<Io>,
    features: StreamFeatures,
    channel: Channel,
    local: Option<IpAddr>,
    notices: Notices,
}

async fn log_in_at(
    config: &SessionConfig,
    account: &BareJid,
    domain: &str,
    (trust, known): (&Trust, Option<&Login>),
    target: &Target,
) -> Result<Fresh, Failure> {
    let Opened { stream, features, channel, local, notices } = open(config, account, domain, trust, target).await?;
    let mut known = known.cloned();
    if let Some(known) = known.as_mut().filter(|_| trust.is_chosen()) {
        // The only authority that the person trusts is the right one.
        known.authority.clone_from(&channel.authority);
    }
    let (stream, login) = prove(config, account, stream, &features, (channel, known)).await?;
    let pending = in_time("opening the stream", stream.send_header(header(account))).await?;
    let (features, stream) = in_time("features", pending.recv_features()).await?;
    if !features.can_bind() {
        return Err(Failure::passing("the server offers no resource binding"));
    }
    Ok(Fresh { stream, login, local, features, notices })
}

async fn open(
    config: &SessionConfig,
    account: &BareJid,
    domain: &str,
    trust: &Trust,
    target: &Target,
) -> Result<Opened, Failure> {
    let tcp = dns::dial(target).await?;
    let local = tcp.local_addr().ok().map(|address| address.ip());
    let tcp = match target.tls {
        Tls::Direct => tcp,
        Tls::StartTls => in_time("StartTLS", start_tls(account, tcp, config.silence)).await?,
    };
    let (io, channel, notices) = tls::encrypt(trust, domain, tcp).await?;
    let pending = in_time(
        "opening the stream",
        initiate_stream(io, ns::JABBER_CLIENT, header(account), timeouts(config.silence)),
    );
    let pending = pending.await?;
    let (features, stream) = in_time("features", pending.recv_features()).await?;
    Ok(Opened { stream, features, channel, local, notices })
}

async fn prove(
    config: &SessionConfig,
    account: &BareJid,
    stream: XmppStream<Io>,
    features: &StreamFeatures,
    (channel, known): (Channel, Option<Login>),
) -> Result<(InitiatingStream<Io>, Login), Failure> {
    let user = account.node().map(|node| node.as_str()).unwrap_or_default();
    let (account, least) = (&config.jid, config.least_mechanism);
    let identity = Identity { account, user, password: config.password.expose(), least, known };
    // Longer than the other steps: the exchange holds a slow key derivation, which has its own limit.
    match tokio::time::timeout(3 * STEP, authenticate::authenticate(stream, features, &identity, channel)).await {
        Ok(result) => result,
        Err(_) => Err(Failure::passing("the server did not complete the login in time")),
    }
}

fn header(account: &BareJid) -> StreamHeader<'_> {
    // No `from`: RFC 6120, section 4.7.1 wants it only once the stream is encrypted, and no server needs it.
    StreamHeader { to: Some(Cow::Borrowed(account.domain().as_str())), from: None, id: None }
}

/// Asks for encryption (RFC 6120, section 5).
async fn start_tls(account: &BareJid, tcp: TcpStream, silence: Silence) -> Result<TcpStream, Failure> {
    // Before the login there are no stanzas that could be discarded.
    let (guarded, _) = Guard::new(Prompt::new(tcp));
    let io = BufStream::new(guarded);
    let pending = initiate_stream(io, ns::JABBER_CLIENT, header(account), timeouts(silence)).await?;
    let (features, mut stream): (_, XmppStream<_>) = pending.recv_features().await.map_err(in_plain_text)?;
    if !features.can_starttls() {
        return Err(Failure::refused(
            "no-encryption",
            "the server offers no encryption",
            "xbtd never logs in without; ask the server's operator, or try `tls = \"direct\"`",
        ));
    }
    stream.send(&XmppStreamElement::Starttls(starttls::Nonza::Request(starttls::Request))).await?;
    let answer = stream.next().await.ok_or_else(|| Failure::passing("the server closed the connection"))?;
    match answer.and_then(|element| element.into_read_error())? {
        // What came in plain text behind it is dropped with the buffer (CVE-2011-0411).
        XmppStreamElement::Starttls(starttls::Nonza::Proceed(_)) => {
            Ok(stream.into_inner().into_inner().into_inner().into_inner())
        }
        XmppStreamElement::StreamError(error) => Err(in_plain_text(Failure::from_stream_error(&error.0))),
        _ => Err(Failure::passing("the server refused to encrypt")),
    }
}

/// Before TLS anybody on the way may have said it: nobody is followed elsewhere.
fn in_plain_text(failure: impl Into<Failure>) -> Failure {
    match failure.into() {
        Failure::Elsewhere(_) => Failure::passing("somebody redirects us to another server before it is encrypted"),
        other => other,
    }
}
