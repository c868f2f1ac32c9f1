//! The way "direct TCP", dialling side.

use std::io;
use std::net::SocketAddr;
use std::time::Duration;

use tokio::net::TcpStream;
use tokio::time::timeout;
use xbt_core::ids::Fingerprint;

use crate::accept::listen::prepare;
use crate::identity::tls::{Tls, is_other_device};
use crate::{BoxedStream, Times};

/// Connects, and proves that the device there is the wanted one.
///
/// # Errors
/// A code and a sentence for [`crate::Attempt`].
pub(crate) async fn dial(
    tls: &Tls,
    peer: Fingerprint,
    address: SocketAddr,
    connect: Duration,
    times: &Times,
) -> Result<BoxedStream, (&'static str, String)> {
    let silent = |time: Duration| ("no-answer", format!("{address} did not answer within {} s", time.as_secs_f32()));
    let stream = timeout(connect, TcpStream::connect(address)).await.map_err(|_| silent(connect))?;
    let stream = stream.and_then(|stream| prepare(&stream).map(|()| stream)).map_err(|e| refused(address, &e))?;
    match timeout(times.tls, tls.connect(peer, stream)).await {
        Ok(Ok(stream)) => Ok(Box::new(stream)),
        Ok(Err(error)) if is_other_device(&error) => {
            Err(("wrong-device", format!("{address} is another device than the one that was to be reached")))
        }
        Ok(Err(error)) if is_closed(&error) => Err(("closed", format!("{address} closed the connection"))),
        Ok(Err(error)) => Err(("bad-tls", format!("{address} does not speak xbt's encryption ({error})"))),
        Err(_) => Err(silent(times.tls)),
    }
}

fn refused(address: SocketAddr, error: &io::Error) -> (&'static str, String) {
    match error.kind() {
        io::ErrorKind::ConnectionRefused => {
            ("connection-refused", format!("{address} refused the connection: nothing listens there"))
        }
        io::ErrorKind::NetworkUnreachable | io::ErrorKind::HostUnreachable | io::ErrorKind::AddrNotAvailable => {
            ("unreachable", format!("{address} cannot be reached from this network"))
        }
        io::ErrorKind::TimedOut => ("no-answer", format!("{address} did not answer")),
        _ => ("io-error", format!("{address} could not be dialled ({error})")),
    }
}

fn is_closed(error: &io::Error) -> bool {
    matches!(error.kind(), io::ErrorKind::UnexpectedEof | io::ErrorKind::ConnectionReset | io::ErrorKind::BrokenPipe)
}
