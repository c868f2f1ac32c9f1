//! What links need of the XMPP session.

use std::sync::Arc;
use std::time::Duration;

use tokio::time::Instant;
use xbt_core::ids::FullJid;
use xbt_core::session::{Connection, ServerServices};
use xbt_core::signal::Proxy;
use xbt_link::{BoxedStream, Failure, Opening, Reason, Relays};

use super::Driver;
use xbt_xmpp::{RelayError, SessionHandle};

/// How often the session is asked whether its connection stands, while there are links.
const LOOK: Duration = Duration::from_secs(4);

impl Driver {
    /// The session was replaced.
    pub(super) fn use_session(&mut self, session: SessionHandle) {
        self.rooms.links.relay_through(Some(Arc::new(SessionRelays(session.clone()))));
        self.rooms.session = Some(session);
    }

    /// What our server does for links.
    pub(super) fn server_offers(&mut self, services: &ServerServices) {
        self.offers = Some(services.clone());
        self.rooms.links.outside(|outside| {
            outside.stun.clone_from(&services.stun);
            outside.asked = true;
        });
    }

    /// What swallows a link may swallow the XMPP stream as well, and no other link comes about without that: while there
    /// are links, a dead stream is noticed within seconds.
    pub(super) fn look_after_session(&mut self) {
        self.next_look = Instant::now() + LOOK;
        // One that is known to be dead is brought back in its own time.
        if matches!(self.domain.connection(), Connection::Online { .. }) {
            self.network_changed();
        }
    }

    /// The computer has other addresses: the session finds out whether its connection still stands.
    pub(super) fn network_changed(&self) {
        if let Some(session) = &self.rooms.session {
            session.network_changed();
        }
    }
}

/// The relays that are reached through this session.
struct SessionRelays(SessionHandle);

impl Relays for SessionRelays {
    fn activate(&self, proxy: Proxy, stream_id: String, target: FullJid) -> Opening<()> {
        let session = self.0.clone();
        Box::pin(async move { session.activate_once_met(proxy, stream_id, target).await.map_err(failure) })
    }

    fn open_in_band(&self, device: FullJid, stream_id: String) -> Opening<BoxedStream> {
        let session = self.0.clone();
        Box::pin(async move { session.open_in_band(device, stream_id).await.map(boxed).map_err(failure) })
    }

    fn expect_in_band(&self, device: FullJid, stream_id: String) -> Opening<BoxedStream> {
        let session = self.0.clone();
        Box::pin(async move { session.expect_in_band(device, stream_id).await.map(boxed).map_err(failure) })
    }
}

fn boxed(stream: xbt_xmpp::InBandStream) -> BoxedStream {
    Box::new(stream)
}

fn failure(error: RelayError) -> Failure {
    let reason = match &error {
        RelayError::Offline => Reason::Offline,
        RelayError::NoAnswer(_) => Reason::NoAnswer,
        RelayError::NotReady { .. } => Reason::NotActivated,
        RelayError::Refused { .. } => Reason::Refused,
        RelayError::TooMany => Reason::TooManyRelays,
        RelayError::BadName(_) => Reason::BadRelay,
    };
    Failure::new(reason, error.to_string())
}

#[cfg(test)]
mod tests;
