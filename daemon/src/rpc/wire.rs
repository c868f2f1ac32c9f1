//! Between the socket and tarpc: frames, their bounds, and what tarpc must never see.
//!
//! tarpc turns a call's deadline into an `Instant` while it parses and panics when that overflows. So frames are read
//! into types of our own and deadlines brought down before a tarpc type is made. And where tarpc would end the connection
//! over a call that it does not know, the caller gets an answer.

use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};
use std::time::{Duration, Instant};

use bytes::Bytes;
use futures::{Sink, SinkExt, Stream, StreamExt};
use serde::Deserialize;
use serde_json::Value;
use tarpc::{ClientMessage, Request, Response, ServerError, trace};
use tokio::net::UnixStream;
use tokio::net::unix::{OwnedReadHalf, OwnedWriteHalf};
use tokio::sync::Notify;
use tokio::time::{Sleep, sleep};
use tokio_util::codec::{FramedRead, FramedWrite, LengthDelimitedCodec};
use xbt_api::{MAX_DEADLINE_S, MAX_REQUEST_FRAME, MAX_RESPONSE_FRAME, XbtRequest, XbtResponse};

/// Bytes of JSON that most transfers and contacts stay below.
const TRANSFER: usize = 640;
const CONTACT: usize = 320;

/// tarpc's transport over one connection.
#[derive(Debug)]
pub(super) struct Wire {
    read: FramedRead<OwnedReadHalf, LengthDelimitedCodec>,
    write: FramedWrite<OwnedWriteHalf, LengthDelimitedCodec>,
    /// The answer to a call that could not be understood. Nothing is read before it is written.
    refusal: Option<(u64, ServerError)>,
    /// Runs while the client does not read.
    stalled: Option<Pin<Box<Sleep>>>,
    max_stall: Duration,
    /// Told when the client will send nothing more.
    ended: Arc<Notify>,
}

impl Wire {
    pub(super) fn new(stream: UnixStream, max_stall: Duration, ended: Arc<Notify>) -> Self {
        let codec = |max| LengthDelimitedCodec::builder().max_frame_length(max).new_codec();
        let (read, write) = stream.into_split();
        Self {
            read: FramedRead::new(read, codec(MAX_REQUEST_FRAME)),
            write: FramedWrite::new(write, codec(MAX_RESPONSE_FRAME)),
            refusal: None,
            stalled: None,
            max_stall,
            ended,
        }
    }

    /// Gives up on a client that does not read.
    fn limit_stall(&mut self, cx: &mut Context<'_>, poll: Poll<io::Result<()>>) -> Poll<io::Result<()>> {
        if poll.is_ready() {
            self.stalled = None;
            return poll;
        }
        let max_stall = self.max_stall;
        let timer = self.stalled.get_or_insert_with(|| Box::pin(sleep(max_stall)));
        ready!(timer.as_mut().poll(cx));
        Poll::Ready(Err(io::Error::new(io::ErrorKind::TimedOut, "the client does not read its answers")))
    }
}

impl Stream for Wire {
    type Item = io::Result<ClientMessage<XbtRequest>>;

    fn poll_next(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        loop {
            if self.refusal.is_some() {
                ready!(self.as_mut().poll_ready(cx))?;
                if let Some((request_id, error)) = self.refusal.take() {
                    // tarpc flushes each time it has polled for messages.
                    self.as_mut().start_send(Response { request_id, message: Err(error) })?;
                }
            }
            let Some(frame) = ready!(self.read.poll_next_unpin(cx)?) else {
                self.ended.notify_one();
                return Poll::Ready(None);
            };
            match understand(&frame)? {
                Understood::Message(message) => return Poll::Ready(Some(Ok(message))),
                Understood::Refused(id, error) => self.refusal = Some((id, error)),
            }
        }
    }
}

impl Sink<Response<XbtResponse>> for Wire {
    type Error = io::Error;

    fn poll_ready(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let poll = SinkExt::<Bytes>::poll_ready_unpin(&mut self.write, cx);
        self.limit_stall(cx, poll)
    }

    fn start_send(mut self: Pin<&mut Self>, response: Response<XbtResponse>) -> io::Result<()> {
        let mut frame = Vec::with_capacity(likely_size(&response));
        serde_json::to_writer(&mut frame, &response)?;
        SinkExt::<Bytes>::start_send_unpin(&mut self.write, frame.into())
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let poll = SinkExt::<Bytes>::poll_flush_unpin(&mut self.write, cx);
        self.limit_stall(cx, poll)
    }

    fn poll_close(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let poll = SinkExt::<Bytes>::poll_close_unpin(&mut self.write, cx);
        self.limit_stall(cx, poll)
    }
}

/// Bytes that an answer will need, about: a long one that outgrows its memory again and again is copied as often.
fn likely_size(response: &Response<XbtResponse>) -> usize {
    match &response.message {
        Ok(XbtResponse::List(Ok(page))) => (page.transfers.len() + 1) * TRANSFER,
        Ok(XbtResponse::Contacts(Ok(contacts))) => (contacts.len() + 1) * CONTACT,
        Ok(_) | Err(_) => 1_024,
    }
}

/// `tarpc::ClientMessage`, before its parts are believed.
#[derive(Deserialize)]
enum Frame {
    Request(RawRequest),
    Cancel { request_id: u64 },
}

#[derive(Deserialize)]
struct RawRequest {
    #[serde(default)]
    context: RawContext,
    id: u64,
    message: Value,
}

#[derive(Deserialize, Default)]
struct RawContext {
    #[serde(default)]
    deadline: Option<RawDuration>,
    #[serde(default)]
    trace_context: Option<trace::Context>,
}

#[derive(Deserialize)]
struct RawDuration {
    secs: u64,
    #[serde(default)]
    nanos: u32,
}

/// What a frame holds.
#[derive(Debug)]
pub(super) enum Understood {
    Message(ClientMessage<XbtRequest>),
    /// A call (by its id) that makes no sense.
    Refused(u64, ServerError),
}

/// Reads a frame; an error means that the other side does not speak our language at all.
pub(super) fn understand(frame: &[u8]) -> io::Result<Understood> {
    let request = match serde_json::from_slice(frame)? {
        Frame::Request(request) => request,
        Frame::Cancel { request_id } => {
            let cancel = ClientMessage::Cancel { trace_context: trace::Context::default(), request_id };
            return Ok(Understood::Message(cancel));
        }
    };
    let message = match serde_json::from_value(request.message) {
        Ok(message) => message,
        Err(error) => {
            let refusal = ServerError::new(io::ErrorKind::InvalidInput, error.to_string());
            return Ok(Understood::Refused(request.id, refusal));
        }
    };
    // Begins with tarpc's default deadline of ten seconds.
    let mut context = tarpc::context::current();
    if let Some(RawDuration { secs, nanos }) = request.context.deadline {
        let longest = Duration::from_secs(MAX_DEADLINE_S);
        // First the seconds, so that the nanoseconds (at most 4.3 s) cannot overflow.
        let asked = Duration::new(secs.min(MAX_DEADLINE_S), nanos);
        context.deadline = Instant::now() + asked.min(longest);
    }
    if let Some(trace_context) = request.context.trace_context {
        context.trace_context = trace_context;
    }
    Ok(Understood::Message(ClientMessage::Request(Request { context, id: request.id, message })))
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::panic)]
    use xbt_api::METHODS;

    use super::*;

    fn request(json: &str) -> Request<XbtRequest> {
        match understand(json.as_bytes()).unwrap() {
            Understood::Message(ClientMessage::Request(request)) => request,
            other => panic!("not a request: {other:?}"),
        }
    }

    #[test]
    fn any_deadline_is_brought_down_to_the_longest() {
        for (secs, nanos) in [(u64::MAX, u32::MAX), (MAX_DEADLINE_S, u32::MAX), (1 << 40, 0)] {
            let json = format!(
                r#"{{"Request":{{"context":{{"deadline":{{"secs":{secs},"nanos":{nanos}}}}},"id":1,"message":{{"Hello":{{}}}}}}}}"#
            );
            assert!(request(&json).context.deadline <= Instant::now() + Duration::from_secs(MAX_DEADLINE_S));
        }
    }

    #[test]
    fn the_context_may_be_left_out() {
        let request = request(r#"{"Request":{"id":3,"message":{"Show":{"id":7}}}}"#);
        assert_eq!(request.id, 3);
        assert!(matches!(request.message, XbtRequest::Show { id: 7 }));
        assert!(request.context.deadline > Instant::now());
    }

    #[test]
    fn a_call_that_is_not_known_is_answered() {
        for message in [r#"{"Fly":{}}"#, r#"{"Show":{"id":-1}}"#, "null"] {
            let json = format!(r#"{{"Request":{{"id":5,"message":{message}}}}}"#);
            match understand(json.as_bytes()).unwrap() {
                Understood::Refused(5, error) => assert_eq!(error.kind, io::ErrorKind::InvalidInput),
                other => panic!("not refused: {other:?}"),
            }
        }
    }

    #[test]
    fn rubbish_is_an_error() {
        let deep = "[".repeat(100_000);
        for rubbish in ["", "{}", "\u{0}", r#"{"Request":{"id":-1}}"#, deep.as_str()] {
            assert!(understand(rubbish.as_bytes()).is_err(), "{rubbish:.20}");
        }
    }

    proptest::proptest! {
        #[test]
        fn no_frame_is_a_fault(bytes: Vec<u8>, secs: u64, nanos: u32, id: u64) {
            let _ = understand(&bytes);
            let deadline = format!(r#"{{"deadline":{{"secs":{secs},"nanos":{nanos}}}}}"#);
            let hello = format!(r#"{{"Request":{{"context":{deadline},"id":{id},"message":{{"Hello":{{}}}}}}}}"#);
            proptest::prop_assert_eq!(request(&hello).id, id);
        }
    }

    #[test]
    fn every_listed_method_is_known() {
        for method in METHODS {
            let error = serde_json::from_str::<XbtRequest>(&format!(r#"{{"{method}":7}}"#)).unwrap_err().to_string();
            assert!(!error.contains("unknown variant"), "{error}");
        }
        let error = serde_json::from_str::<XbtRequest>(r#"{"Fly":{}}"#).unwrap_err().to_string();
        assert_eq!(error.matches('`').count() / 2 - 1, METHODS.len(), "a method is missing in METHODS: {error}");
    }
}
