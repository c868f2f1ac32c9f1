//! Meeting at a SOCKS5 proxy of an XMPP server (XEP-0065, section 6; RFC 1928).
//!
//! Both sides connect and name the same hash; the proxy joins the two when the side that named the proxy asks it to over
//! XMPP. Prosody takes each of our messages only if it comes as one, and answers a hash with the same hash.

use std::fmt::Write as _;
use std::io;
use std::net::{IpAddr, SocketAddr};
use std::time::Duration;

use ring::digest::{SHA1_FOR_LEGACY_USE_ONLY, digest};
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio::net::{TcpStream, lookup_host};
use tokio::time::{Instant, timeout, timeout_at};
use xbt_core::ids::FullJid;
use xbt_core::signal::Proxy;

use crate::ways::reason::{Failure, Reason};

/// An address gets at least this long before the next one is tried, if time allows.
const MIN_CONNECT: Duration = Duration::from_secs(2);

/// Addresses of a proxy that are tried, at most.
const MAX_ADDRESSES: usize = 8;

/// Ports of a computer's own services (RFC 6335, section 6).
const FIRST_USER_PORT: u16 = 1024;

const VERSION: u8 = 5;
const NO_AUTHENTICATION: u8 = 0;
const CONNECT: u8 = 1;
const NAME: u8 = 3;

/// Connects to the proxy, at the addresses that may be dialed, and names the bytestream. Nothing may be sent on the
/// stream before it is activated.
pub(crate) async fn connect(
    proxy: &Proxy,
    stream_id: &str,
    requester: &FullJid,
    target: &FullJid,
    may_dial: &(dyn Fn(SocketAddr) -> bool + Sync),
    patience: Duration,
) -> Result<TcpStream, Failure> {
    let until = Instant::now() + patience;
    let silent = || {
        let text = format!("the proxy {} did not answer within {} s", proxy.jid, patience.as_secs_f32());
        Failure::new(Reason::NoAnswer, text)
    };
    let name = hash(stream_id, requester, target);
    let exchange = async {
        let mut stream = reach(proxy, may_dial, until).await?;
        agree(&mut stream, &name).await.map_err(|error| refused(proxy, &error))?;
        Ok(stream)
    };
    timeout_at(until, exchange).await.map_err(|_| silent())?
}

/// The name of a bytestream at a proxy: lower-case hexadecimal (XEP-0065, section 5.3.2).
fn hash(stream_id: &str, requester: &FullJid, target: &FullJid) -> String {
    let text = format!("{stream_id}{requester}{target}");
    digest(&SHA1_FOR_LEGACY_USE_ONLY, text.as_bytes()).as_ref().iter().fold(String::new(), |mut hex, byte| {
        // Writing to a `String` cannot fail.
        let _ = write!(hex, "{byte:02x}");
        hex
    })
}

/// A connection to the first of the proxy's addresses that takes one, IPv6 before IPv4.
async fn reach(
    proxy: &Proxy,
    may_dial: &(dyn Fn(SocketAddr) -> bool + Sync),
    until: Instant,
) -> Result<TcpStream, Failure> {
    let Proxy { jid, host, port } = proxy;
    let unknown = |why: String| Failure::new(Reason::Unreachable, format!("the proxy {jid} cannot be found: {why}"));
    let found = lookup_host((host.as_str(), *port)).await.map_err(|error| unknown(format!("{host}: {error}")))?;
    let mut addresses: Vec<SocketAddr> =
        found.filter(|address| is_allowed(address) && may_dial(*address)).take(MAX_ADDRESSES).collect();
    addresses.sort_by_key(SocketAddr::is_ipv4);
    let mut last = unknown(format!("{host} has no address that may be used"));
    let mut left = u32::try_from(addresses.len()).unwrap_or(u32::MAX);
    for address in addresses {
        let share = until.saturating_duration_since(Instant::now()) / left;
        left = left.saturating_sub(1).max(1);
        last = match timeout(share.max(MIN_CONNECT), TcpStream::connect(address)).await {
            Ok(Ok(stream)) => match stream.set_nodelay(true) {
                Ok(()) => return Ok(stream),
                Err(error) => failed(jid, address, &error),
            },
            Ok(Err(error)) => failed(jid, address, &error),
            Err(_) => no_answer(jid, address),
        };
    }
    Err(last)
}

/// A contact may name any host as a proxy: no address that belongs to no host, and no service of this computer.
fn is_allowed(address: &SocketAddr) -> bool {
    let ip = address.ip().to_canonical();
    let is_no_host = ip.is_unspecified() || ip.is_multicast() || matches!(ip, IpAddr::V4(v4) if v4.is_broadcast());
    !is_no_host && address.port() != 0 && !(ip.is_loopback() && address.port() < FIRST_USER_PORT)
}

fn no_answer(jid: &str, address: SocketAddr) -> Failure {
    Failure::new(Reason::NoAnswer, format!("the proxy {jid} does not answer at {address}"))
}

fn failed(jid: &str, address: SocketAddr, error: &io::Error) -> Failure {
    let (reason, text) = match error.kind() {
        io::ErrorKind::ConnectionRefused => {
            (Reason::ConnectionRefused, format!("the proxy {jid} refused the connection: nothing listens at {address}"))
        }
        io::ErrorKind::NetworkUnreachable | io::ErrorKind::HostUnreachable | io::ErrorKind::AddrNotAvailable => {
            (Reason::Unreachable, format!("the proxy {jid} ({address}) cannot be reached from this network"))
        }
        io::ErrorKind::TimedOut => return no_answer(jid, address),
        _ => (Reason::IoError, format!("the proxy {jid} ({address}) could not be dialled ({error})")),
    };
    Failure { reason, text }
}

fn refused(proxy: &Proxy, error: &io::Error) -> Failure {
    let text = match error.kind() {
        io::ErrorKind::InvalidData => format!("the proxy {} refused: {error}", proxy.jid),
        _ => format!("the proxy {} closed the connection ({error})", proxy.jid),
    };
    Failure::new(Reason::ProxyRefused, text)
}

/// The exchange of RFC 1928, sections 3 to 6. Reads not one byte more than the replies have.
pub(crate) async fn agree(stream: &mut (impl AsyncRead + AsyncWrite + Unpin), name: &str) -> io::Result<()> {
    stream.write_all(&[VERSION, 1, NO_AUTHENTICATION]).await?;
    let mut chosen = [0; 2];
    stream.read_exact(&mut chosen).await?;
    if chosen != [VERSION, NO_AUTHENTICATION] {
        return Err(invalid("it wants a login, or is no SOCKS5 proxy"));
    }
    let length = u8::try_from(name.len()).map_err(|_| invalid("the name is too long"))?;
    let mut request = vec![VERSION, CONNECT, 0, NAME, length];
    request.extend_from_slice(name.as_bytes());
    request.extend_from_slice(&[0, 0]);
    stream.write_all(&request).await?;
    let mut reply = [0; 4];
    stream.read_exact(&mut reply).await?;
    match reply {
        [VERSION, 0, _, kind] => skip_address(stream, kind).await,
        [VERSION, code, ..] => Err(invalid(&format!("it says no (code {code})"))),
        _ => Err(invalid("it is no SOCKS5 proxy")),
    }
}

/// Reads past the address at the end of a reply.
async fn skip_address(stream: &mut (impl AsyncRead + Unpin), kind: u8) -> io::Result<()> {
    let length = match kind {
        1 => 4,
        NAME => usize::from(stream.read_u8().await?),
        4 => 16,
        _ => return Err(invalid("its reply is invalid")),
    };
    let mut rest = [0; 255 + 2];
    // At most 255 and the two bytes of the port.
    if let Some(rest) = rest.get_mut(..length + 2) {
        stream.read_exact(rest).await?;
    }
    Ok(())
}

fn invalid(what: &str) -> io::Error {
    io::Error::new(io::ErrorKind::InvalidData, what)
}

#[cfg(test)]
mod tests;
