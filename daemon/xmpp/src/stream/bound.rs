//! A bound stream: resource binding, stream management with resumption, and one loop that reads and writes at once.
//!
//! Built on the library's XML stream and not on its `StanzaStream`, which retries indefinitely without saying why, asks
//! again and again for a resumption that the server has refused, reconnects without a pause after a conflict, and
//! panics where the server is in the wrong. Here every loss has a reason, and the caller decides what follows.

use std::collections::VecDeque;
use std::future::poll_fn;
use std::io;
use std::net::IpAddr;
use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::{Duration, Instant};

use futures::{Sink, SinkExt, Stream, StreamExt};
use tokio::time::Sleep;
use tokio_xmpp::Stanza;
use tokio_xmpp::jid::FullJid;
use tokio_xmpp::parsers::bind::{BindQuery, BindResponse};
use tokio_xmpp::parsers::iq::Iq;
use tokio_xmpp::parsers::ping::Ping;
use tokio_xmpp::parsers::{ns, sm};
use tokio_xmpp::xmlstream::{
    FallibleStreamElement, RawStanzaHeader, ReadError, StreamElementError, XmppStream, XmppStreamElement,
};

use super::guard::{Discarded, Notices};
use super::probe::Probe;
use super::sm::Management;
use super::{Fresh, Io};
use crate::failure::{Failure, Lost};

/// Stanzas that may wait to be written before nothing more is taken from the network or from the program.
pub(crate) const MOST_WAITING: usize = 256;

/// How long the server may refuse to take bytes.
const STALLED: Duration = Duration::from_secs(60);

/// After a part of a stanza, how long answers that are overdue may be behind the rest of it.
const BEHIND: Duration = Duration::from_secs(20);

/// Stanzas that may come between binding and the answer about stream management.
const MOST_EARLY: usize = 64;

/// Id of the liveness probe where there is no stream management.
const PROBE: &str = "xbt-alive";

/// What came in.
pub(crate) enum Incoming {
    Stanza(Box<Stanza>),
    /// An IQ that breaks its own rules (no payload, an unknown error condition, …), by its header.
    BadIq(RawStanzaHeader),
    /// A stanza that could not be read at all.
    Discarded(Discarded),
}

/// How a stream began.
pub(crate) enum Begin {
    /// All state is new.
    Bound(FullJid),
    /// The previous stream goes on.
    Resumed,
}

/// A stream that is ready for stanzas.
pub(crate) struct BoundStream {
    stream: XmppStream<Io>,
    waiting: VecDeque<Box<Stanza>>,
    /// What goes out when nothing else waits.
    later: VecDeque<Box<Stanza>>,
    early: VecDeque<Incoming>,
    notices: Notices,
    /// When the last part of a stanza came whose end has not come yet.
    part: Option<Instant>,
    management: Option<Management>,
    /// The server asked for our count.
    owes_ack: bool,
    /// We want the server's count.
    wants_ack: bool,
    /// Without stream management: the server is asked for a sign of life.
    wants_ping: bool,
    /// Runs while bytes cannot be written.
    stalled: Option<Pin<Box<Sleep>>>,
    probe: Probe,
    most_bytes: Option<u32>,
}

impl BoundStream {
    /// Goes on with the previous stream where the server allows it, else binds a new one: on this same connection, so
    /// that a restarted server sees one login.
    pub(crate) async fn begin(
        fresh: Fresh,
        resource: &str,
        previous: Option<Management>,
    ) -> Result<(Self, Begin), Failure> {
        let mut stream = Self::new(fresh.stream, fresh.local, fresh.notices);
        stream.most_bytes = fresh.features.limits.and_then(|limits| limits.max_bytes).map(Into::into);
        let managed = fresh.features.stream_management.is_some();
        let resume = previous.and_then(|previous| previous.resume().map(|resume| (previous, resume)));
        if let Some((mut previous, resume)) = resume.filter(|_| managed) {
            stream.send_nonza(sm::Nonza::Resume(resume)).await?;
            if let Some(h) = stream.resumption().await? {
                stream.waiting = previous.resumed(h).map_err(|error| Failure::passing(error.to_string()))?;
                stream.management = Some(previous);
                return Ok((stream, Begin::Resumed));
            }
        }
        let device = stream.bind(resource).await?;
        if managed {
            stream.enable().await?;
        }
        Ok((stream, Begin::Bound(device)))
    }

    fn new(stream: XmppStream<Io>, local: Option<IpAddr>, notices: Notices) -> Self {
        Self {
            stream,
            waiting: VecDeque::new(),
            later: VecDeque::new(),
            early: VecDeque::new(),
            notices,
            part: None,
            management: None,
            owes_ack: false,
            wants_ack: false,
            wants_ping: false,
            stalled: None,
            probe: Probe::new(local),
            most_bytes: None,
        }
    }

    async fn send_nonza(&mut self, nonza: sm::Nonza) -> Result<(), Failure> {
        Ok(self.stream.send(&XmppStreamElement::SM(nonza)).await?)
    }

    /// The next element during negotiation; stanzas are put aside. `None`: a `<failed/>` of stream management.
    ///
    /// The parser wants an attribute `h` on that one, which XEP-0198 does not require and Prosody does not send.
    async fn negotiated(&mut self) -> Result<Option<XmppStreamElement>, Failure> {
        loop {
            let element = self.stream.next().await.ok_or_else(|| Failure::passing("the connection broke"))?;
            match element {
                Ok(FallibleStreamElement::Ok(XmppStreamElement::StreamError(error))) => {
                    return Err(Failure::from_stream_error(&error.0));
                }
                Ok(FallibleStreamElement::Ok(XmppStreamElement::SM(sm::Nonza::Failed(_)))) => return Ok(None),
                Ok(FallibleStreamElement::Ok(element)) => return Ok(Some(element)),
                Ok(FallibleStreamElement::Err(StreamElementError::InvalidNonza { qname, .. }))
                    if qname.0.as_str() == ns::SM && qname.1.as_str() == "failed" =>
                {
                    return Ok(None);
                }
                // Anybody can have one sent to us as soon as our resource is bound.
                Ok(FallibleStreamElement::Err(StreamElementError::InvalidStanza { name, header, error, .. })) => {
                    tracing::debug!(%name, from = header.from, %error, "an invalid stanza");
                    if name.to_ncname().as_str() == "iq" {
                        self.put_aside(Incoming::BadIq(header));
                    }
                }
                Ok(FallibleStreamElement::Err(error)) => {
                    return Err(Failure::passing(format!("the server sent an invalid answer: {error}")));
                }
                Err(ReadError::SoftTimeout) => {}
                Err(error) => return Err(error.into()),
            }
        }
    }

    /// The server's count if it resumed the stream.
    async fn resumption(&mut self) -> Result<Option<u32>, Failure> {
        match self.negotiated().await? {
            Some(XmppStreamElement::SM(sm::Nonza::Resumed(resumed))) => Ok(Some(resumed.h)),
            Some(_) => Err(Failure::passing("the server answered the resumption with something else")),
            None => Ok(None),
        }
    }

    async fn bind(&mut self, resource: &str) -> Result<FullJid, Failure> {
        const ID: &str = "bind";
        let bind = Stanza::Iq(Iq::from_set(ID, BindQuery::new(Some(resource.to_owned()))));
        self.stream.send(&bind).await?;
        let answer = loop {
            match self.negotiated().await? {
                Some(XmppStreamElement::Stanza(Stanza::Iq(iq))) if iq.id() == ID => break iq,
                Some(XmppStreamElement::Stanza(_)) => {}
                _ => return Err(Failure::passing("the server answered the binding with something else")),
            }
        };
        match answer {
            Iq::Result { payload: Some(payload), .. } => BindResponse::try_from(payload)
                .map(FullJid::from)
                .map_err(|error| Failure::passing(format!("the server sent an invalid resource binding: {error}"))),
            Iq::Error { error, .. } => {
                Err(Failure::passing(format!("the server refused our resource: {:?}", error.defined_condition)))
            }
            _ => Err(Failure::passing("the server answered the binding with something else")),
        }
    }

    async fn enable(&mut self) -> Result<(), Failure> {
        self.send_nonza(sm::Nonza::Enable(sm::Enable { max: None, resume: true })).await?;
        loop {
            match self.negotiated().await? {
                Some(XmppStreamElement::SM(sm::Nonza::Enabled(enabled))) => {
                    self.management = Some(Management::new(&enabled));
                    return Ok(());
                }
                // Sent before the server counts, so not counted.
                Some(XmppStreamElement::Stanza(stanza)) => self.put_aside(Incoming::Stanza(Box::new(stanza))),
                None => return Ok(()),
                Some(_) => return Err(Failure::passing("the server answered <enable/> with something else")),
            }
        }
    }

    /// Keeps what comes before the stream is ready. More than [`MOST_EARLY`] are lost: a flood must not stop the login.
    fn put_aside(&mut self, incoming: Incoming) {
        if self.early.len() < MOST_EARLY {
            self.early.push_back(incoming);
        }
    }

    /// Whether more may be handed to [`Self::push`].
    pub(crate) fn has_room(&self) -> bool {
        self.waiting.len() < MOST_WAITING
    }

    /// Queues a stanza. What answers an incoming stanza is always taken: [`Self::next`] reads nothing while there is
    /// no room, so the queue stays within twice its bound.
    pub(crate) fn push(&mut self, stanza: Stanza) {
        self.waiting.push_back(Box::new(stanza));
    }

    /// Queues a stanza behind all that are pushed before it is written. The caller bounds their number.
    pub(crate) fn push_later(&mut self, stanza: Stanza) {
        self.later.push_back(Box::new(stanza));
    }

    /// Asks the server for a sign of life; if none comes in time [`Self::next`] says so.
    pub(crate) fn check(&mut self) -> Result<(), Lost> {
        self.ask_for_life();
        self.probe.begin()
    }

    /// Until when an overdue answer may still be behind a stanza that is arriving.
    pub(crate) fn busy_until(&self) -> Option<Instant> {
        self.part.map(|at| at + BEHIND)
    }

    fn ask_for_life(&mut self) {
        let managed = self.management.is_some();
        (self.wants_ack, self.wants_ping) = (managed, !managed);
    }

    /// Writes what waits and waits for what comes. May be dropped at any time and called again.
    pub(crate) async fn next(&mut self) -> Result<Incoming, Lost> {
        poll_fn(|cx| self.poll(cx)).await
    }

    /// Bytes of the longest stanza that the server has not acknowledged; 0 if it acknowledges none.
    pub(crate) fn longest_unacked(&self) -> usize {
        self.management.as_ref().map_or(0, Management::longest_unacked)
    }

    /// Bytes that a stanza may have, if the server says so (XEP-0478).
    pub(crate) fn most_bytes(&self) -> Option<u32> {
        self.most_bytes
    }

    /// What is needed to go on over another connection.
    pub(crate) fn into_management(self) -> Option<Management> {
        let Self { management, waiting, later, .. } = self;
        management.map(|mut management| {
            management.put_aside(waiting.into_iter().chain(later));
            management
        })
    }

    /// Writes what waits, ends the stream and waits for the server's end.
    pub(crate) async fn close(mut self) {
        let written = poll_fn(|cx| match self.poll_write(cx) {
            Ok(()) if self.waiting.is_empty() => Poll::Ready(true),
            Ok(()) => Poll::Pending,
            Err(_) => Poll::Ready(false),
        });
        if written.await && self.stream.shutdown().await.is_ok() {
            while let Some(Ok(_)) = self.stream.next().await {}
        }
    }

    fn poll(&mut self, cx: &mut Context<'_>) -> Poll<Result<Incoming, Lost>> {
        if let Some(incoming) = self.early.pop_front() {
            return Poll::Ready(Ok(incoming));
        }
        if let Poll::Ready(Some(discarded)) = self.notices.poll_discarded(cx) {
            return Poll::Ready(Ok(Incoming::Discarded(discarded)));
        }
        loop {
            if let Err(lost) = self.poll_write(cx) {
                return Poll::Ready(Err(lost));
            }
            if !self.has_room() {
                // Nothing is read now, so that the server takes bytes must do for a sign of life.
                return self.poll_probe(cx);
            }
            let element = match Pin::new(&mut self.stream).poll_next(cx) {
                Poll::Pending => {
                    if self.notices.take_arriving() {
                        self.part = Some(Instant::now());
                        self.probe.heard();
                    }
                    return self.poll_probe(cx);
                }
                Poll::Ready(None) => {
                    return Poll::Ready(Err(Lost::from_io(&io::ErrorKind::UnexpectedEof.into())));
                }
                Poll::Ready(Some(element)) => element,
            };
            match self.read(element) {
                Ok(Some(incoming)) => return Poll::Ready(Ok(incoming)),
                Ok(None) => {}
                Err(lost) => return Poll::Ready(Err(lost)),
            }
        }
    }

    fn poll_probe<T>(&mut self, cx: &mut Context<'_>) -> Poll<Result<T, Lost>> {
        match self.probe.poll(cx) {
            Ok(()) => Poll::Pending,
            Err(lost) => Poll::Ready(Err(lost)),
        }
    }

    fn read(&mut self, element: Result<FallibleStreamElement, ReadError>) -> Result<Option<Incoming>, Lost> {
        if element.is_ok() {
            // Its own parts have arrived with it.
            self.notices.take_arriving();
            self.part = None;
            self.probe.heard();
        }
        match element {
            Ok(FallibleStreamElement::Ok(XmppStreamElement::Stanza(stanza))) => {
                self.count();
                Ok(Some(Incoming::Stanza(Box::new(stanza))))
            }
            Ok(FallibleStreamElement::Ok(XmppStreamElement::SM(nonza))) => self.managed(nonza).map(|()| None),
            Ok(FallibleStreamElement::Ok(XmppStreamElement::StreamError(error))) => {
                Err(Lost::from_stream_error(&error.0))
            }
            Ok(FallibleStreamElement::Ok(
                XmppStreamElement::Sasl(_) | XmppStreamElement::Starttls(_) | XmppStreamElement::ComponentHandshake(_),
            )) => Err(Lost::for_good("the server sent an unexpected element")),
            Ok(FallibleStreamElement::Err(StreamElementError::InvalidStanza { name, header, error, .. })) => {
                tracing::debug!(%name, from = header.from, %error, "a stanza that breaks the rules");
                self.count();
                Ok((name.to_ncname().as_str() == "iq").then_some(Incoming::BadIq(header)))
            }
            Ok(FallibleStreamElement::Err(error @ StreamElementError::InvalidNonza { .. })) => {
                Err(Lost::for_good(format!("the server sent what cannot be read: {error}")))
            }
            Err(ReadError::SoftTimeout) => {
                self.ask_for_life();
                Ok(None)
            }
            Err(ReadError::HardError(error)) => Err(Lost::from_io(&error)),
            Err(ReadError::ParseError(error)) => {
                Err(Lost::for_good(format!("the server sent what cannot be read: {error}")))
            }
            Err(ReadError::StreamFooterReceived) => Err(Lost::for_good("the server closed the stream")),
        }
    }

    fn count(&mut self) {
        if let Some(management) = &mut self.management {
            management.received();
        }
    }

    fn managed(&mut self, nonza: sm::Nonza) -> Result<(), Lost> {
        match (nonza, &mut self.management) {
            (sm::Nonza::Req(_), Some(_)) => self.owes_ack = true,
            (sm::Nonza::Ack(ack), Some(management)) => management.acked(ack.h)?,
            (other, _) => tracing::debug!(?other, "ignored"),
        }
        Ok(())
    }

    /// Writes as much as the connection takes.
    fn poll_write(&mut self, cx: &mut Context<'_>) -> Result<(), Lost> {
        let before = self.waiting.len() + self.later.len();
        let done = self.poll_drain(cx)?;
        if done {
            self.stalled = None;
            return Ok(());
        }
        // What was full has taken something: the server is making room.
        if self.stalled.is_some() && self.waiting.len() + self.later.len() < before {
            self.stalled = None;
            self.probe.heard();
        }
        let alarm = self.stalled.get_or_insert_with(|| Box::pin(tokio::time::sleep(STALLED)));
        match alarm.as_mut().poll(cx) {
            Poll::Ready(()) => Err(Lost::from_io(&io::ErrorKind::TimedOut.into())),
            Poll::Pending => Ok(()),
        }
    }

    /// Whether everything has been written and flushed.
    fn poll_drain(&mut self, cx: &mut Context<'_>) -> Result<bool, Lost> {
        let broken = |error: io::Error| Lost::from_io(&error);
        loop {
            let mut stream = Pin::new(&mut self.stream);
            if Sink::<&Stanza>::poll_ready(stream.as_mut(), cx).map_err(broken)?.is_pending() {
                return Ok(false);
            }
            if std::mem::take(&mut self.wants_ping) {
                stream.start_send(&Stanza::Iq(Iq::from_get(PROBE, Ping))).map_err(broken)?;
            } else if let Some(stanza) = self.waiting.pop_front().or_else(|| self.later.pop_front()) {
                self.write(stanza)?;
            } else if let Some(nonza) = self.due() {
                Pin::new(&mut self.stream).start_send(&XmppStreamElement::SM(nonza)).map_err(broken)?;
            } else {
                break;
            }
        }
        let flushed = Sink::<&Stanza>::poll_flush(Pin::new(&mut self.stream), cx).map_err(broken)?;
        Ok(flushed.is_ready())
    }

    fn due(&mut self) -> Option<sm::Nonza> {
        let management = self.management.as_ref()?;
        if std::mem::take(&mut self.owes_ack) {
            return Some(sm::Nonza::Ack(management.ack()));
        }
        std::mem::take(&mut self.wants_ack).then_some(sm::Nonza::Req(sm::R))
    }

    fn write(&mut self, stanza: Box<Stanza>) -> Result<(), Lost> {
        if let Err(error) = Pin::new(&mut self.stream).start_send(&*stanza) {
            // Only what XML cannot carry ends here, and that is cleaned before; nothing of it has been written.
            tracing::warn!(%error, "a stanza could not be written");
            return Ok(());
        }
        if let Some(management) = &mut self.management {
            management.sent(stanza)?;
            self.wants_ack = true;
        }
        Ok(())
    }
}
