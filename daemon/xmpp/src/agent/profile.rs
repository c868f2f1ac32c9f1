//! What we tell others about this device: presence, features (XEP-0030, XEP-0115), version (XEP-0092).

use tokio_xmpp::parsers::caps::Caps;
use tokio_xmpp::parsers::disco::DiscoInfoResult;
use tokio_xmpp::parsers::presence::{Presence, Show};
use tokio_xmpp::parsers::version::VersionResult;

use crate::caps;

/// What our presence says to people.
const STATUS: &str = "xbt: files only";

/// The same for as long as the program runs.
pub(super) struct Profile {
    info: DiscoInfoResult,
    /// Our `<c/>` and its node.
    caps: Option<(Caps, String)>,
}

impl Profile {
    pub(super) fn new() -> Self {
        let info = caps::ours();
        Self { caps: caps::advertised(&info), info }
    }

    /// Available, but never for chat. People see that no person sits here.
    pub(super) fn presence(&self) -> Presence {
        let mut presence = Presence::available().with_priority(-1).with_show(Show::Xa);
        presence.set_status("en", STATUS);
        if let Some((caps, _)) = &self.caps {
            presence.add_payload(caps.clone());
        }
        presence
    }

    /// The same answer with and without the node that our presence names (XEP-0115, section 6.2); none for another.
    pub(super) fn disco_info(&self, node: Option<String>) -> Option<DiscoInfoResult> {
        let ours = self.caps.as_ref().map(|(_, ours)| ours);
        (node.is_none() || node.as_ref() == ours).then(|| DiscoInfoResult { node, ..self.info.clone() })
    }
}

/// Without the operating system, which concerns no one.
pub(super) fn version() -> VersionResult {
    VersionResult { name: "xbtd".to_owned(), version: env!("CARGO_PKG_VERSION").to_owned(), os: None }
}
