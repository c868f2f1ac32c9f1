//! The private parser of frames, for the targets in `tests/fuzz` alone. Not an interface: it may change at any time.

use std::io;
use std::time::{Duration, Instant};

use tarpc::ClientMessage;
use xbt_api::XbtRequest;

use super::wire::{Understood, understand};

/// What a frame holds.
#[derive(Debug)]
pub enum Frame {
    /// A call: its id, the time for it, and what is called.
    Call(u64, Duration, XbtRequest),
    /// A call (by its id) is to end.
    Cancel(u64),
    /// A call (by its id) that makes no sense.
    Refused(u64),
}

/// Reads a frame as the server does.
///
/// # Errors
/// The other side does not speak the language; the connection would end.
pub fn frame(bytes: &[u8]) -> io::Result<Frame> {
    Ok(match understand(bytes)? {
        Understood::Message(ClientMessage::Request(request)) => {
            let time = request.context.deadline.saturating_duration_since(Instant::now());
            Frame::Call(request.id, time, request.message)
        }
        Understood::Message(ClientMessage::Cancel { request_id, .. }) => Frame::Cancel(request_id),
        Understood::Message(_) => return Err(io::ErrorKind::Unsupported.into()),
        Understood::Refused(id, _) => Frame::Refused(id),
    })
}
