//! Whether the connection still stands after the network has changed.

use std::io;
use std::net::IpAddr;
use std::pin::Pin;
use std::task::Context;
use std::time::Duration;

use tokio::time::Sleep;

use crate::failure::Lost;

/// How long the server may take to say anything. A stream that is busy with in-band data is answered on behind it, some
/// two seconds late under the usual limits.
const PATIENCE: Duration = Duration::from_secs(5);

/// The local end of a connection, and the question under way.
#[derive(Debug)]
pub(crate) struct Probe {
    local: Option<IpAddr>,
    alarm: Option<Pin<Box<Sleep>>>,
}

impl Probe {
    pub(crate) fn new(local: Option<IpAddr>) -> Self {
        Self { local, alarm: None }
    }

    /// Begins to wait for a sign of life.
    ///
    /// # Errors
    /// The connection is dead for sure: it uses an address that this computer no longer has.
    pub(crate) fn begin(&mut self) -> Result<(), Lost> {
        if self.local.is_some_and(is_gone) {
            let error = io::Error::new(io::ErrorKind::AddrNotAvailable, "this computer has another address now");
            return Err(Lost::from_io(&error));
        }
        self.alarm.get_or_insert_with(|| Box::pin(tokio::time::sleep(PATIENCE)));
        Ok(())
    }

    /// Something came from the server, or it took what it had held up.
    pub(crate) fn heard(&mut self) {
        self.alarm = None;
    }

    /// To be called when nothing has come, and only then: what waits to be read is a sign of life. Where nothing is read
    /// because too much waits to be written, also what is taken is one.
    pub(crate) fn poll(&mut self, cx: &mut Context<'_>) -> Result<(), Lost> {
        let rang = self.alarm.as_mut().is_some_and(|alarm| alarm.as_mut().poll(cx).is_ready());
        if rang { Err(Lost::from_io(&io::ErrorKind::TimedOut.into())) } else { Ok(()) }
    }
}

/// Whether no interface has the address; false if that cannot be found out.
fn is_gone(local: IpAddr) -> bool {
    let local = local.to_canonical();
    if_addrs::get_if_addrs().is_ok_and(|interfaces| !interfaces.iter().any(|interface| interface.ip() == local))
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn an_address_that_is_gone_is_a_lost_connection_that_can_be_resumed() {
        // TEST-NET-1: no computer has it.
        let mut probe = Probe::new("192.0.2.1".parse().ok());
        let lost = probe.begin().unwrap_err();
        assert!(lost.resumable, "{lost:?}");
    }
}
