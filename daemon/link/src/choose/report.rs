//! What tasks report to the room.

use crate::choose::exchange::ExchangeError;
use crate::handshake::Handshake;
use crate::stream::BoxedStream;
use crate::ways::attempt::Attempt;
use crate::ways::link::{Link, LinkInfo};
use xbt_core::effect::LinkId;

/// What became of an exchange of handshakes.
pub(crate) type Exchanged = Result<(BoxedStream, Handshake), ExchangeError>;

/// What tasks report to the room.
pub(crate) enum Report {
    /// We opened a link.
    Opened(Link),
    /// A target has failed.
    Failed { id: LinkId, round: u64, attempt: Attempt },
    /// All targets have been tried.
    RoundOver { id: LinkId, round: u64 },
    /// The other device has sent its handshake on a parked link, or the link has ended.
    Received { link: u64, outcome: Exchanged },
    /// The exchange of handshakes for a request is over.
    Exchanged { id: LinkId, exchange: u64, info: LinkInfo, outcome: Exchanged },
}
