//! Options of every TCP stream.

use std::io;
use std::time::Duration;

use rustix::net::sockopt;
use tokio::net::TcpStream;

use crate::ways::round_trips::RoundTrips;

/// Idle links are probed after this time, at this interval, until this many probes are lost.
const KEEPALIVE_IDLE: Duration = Duration::from_secs(60);
const KEEPALIVE_INTERVAL: Duration = Duration::from_secs(15);
const KEEPALIVE_COUNT: u32 = 4;

/// A line with a round trip from this on is asked to carry TCP with BBR.
const FAR: Duration = RoundTrips::SHORT;

/// Asks the kernel for BBR, which random loss does not stop, where the line is long. Few systems let programs without
/// privileges have it; cubic stays otherwise.
pub(crate) fn for_distance(stream: &TcpStream, round_trip: Duration) {
    if round_trip >= FAR
        && let Err(error) = sockopt::set_tcp_congestion(stream, "bbr")
    {
        tracing::trace!(%error, "TCP stays with the congestion control of the system");
    }
}

/// Sends small packets at once, and notices when the other side has vanished.
pub(crate) fn prepare(stream: &TcpStream) -> io::Result<()> {
    stream.set_nodelay(true)?;
    sockopt::set_socket_keepalive(stream, true)?;
    sockopt::set_tcp_keepidle(stream, KEEPALIVE_IDLE)?;
    sockopt::set_tcp_keepintvl(stream, KEEPALIVE_INTERVAL)?;
    sockopt::set_tcp_keepcnt(stream, KEEPALIVE_COUNT)?;
    Ok(())
}
