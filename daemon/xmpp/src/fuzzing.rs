//! The private parsers, for the targets in `tests/fuzz` alone. Not an interface: it may change at any time.

use tokio_xmpp::minidom::Element;
use tokio_xmpp::parsers::stanza_error::StanzaError;
use xbt_core::session::ServerServices;
use xbt_core::signal::{Answer, Refusal, Request};

use super::payload::in_band;
use super::{agent, convert, login, stream};

/// Deepest element that the filter lets through.
pub const MAX_DEPTH: usize = stream::MAX_DEPTH;

/// What the filter lets through when the bytes arrive in chunks of `chunk` (at least 1), and how many stanzas it
/// discards.
pub fn filter(bytes: &[u8], chunk: usize) -> (Vec<u8>, usize) {
    let (mut filter, mut out) = (stream::Filter::new(), Vec::new());
    bytes.chunks(chunk.max(1)).for_each(|part| filter.feed(part, &mut out));
    let discarded = std::iter::from_fn(|| filter.take_discarded()).count();
    (out, discarded)
}

/// An element as the parser of the stream makes it; none if the text is not well-formed. Recursive, as that one is.
pub fn element(text: &[u8]) -> Option<Element> {
    std::str::from_utf8(text).ok()?.parse().ok()
}

/// The deepest level of an element, itself being 1.
pub fn depth(element: &Element) -> usize {
    1 + element.children().map(depth).max().unwrap_or(0)
}

/// Reads a request.
///
/// # Errors
/// The error for the sender if it is none.
pub fn request(element: Element) -> Result<Request, Refusal> {
    convert::request_in(element).map_err(convert::Invalid::into_refusal)
}

/// Writes a request.
pub fn put_request(request: Request) -> String {
    String::from(&convert::request_out(request))
}

/// Reads an element as each kind of answer that has a payload.
pub fn answers(element: &Element) -> Vec<Answer> {
    let kinds = [convert::Expected::Hello, convert::Expected::Connect, convert::Expected::Sync];
    kinds.into_iter().filter_map(|kind| convert::answer_in(kind, Some(element.clone())).ok()).collect()
}

/// Writes an answer; none if it is empty.
pub fn put_answer(answer: Answer) -> Option<String> {
    convert::answer_out(answer).map(|element| String::from(&element))
}

/// Takes something out of its envelope, and writes that again with what it says of the signature; none if it says nothing
/// that could be one.
pub fn envelope(element: Element) -> Option<(Option<Element>, String)> {
    let (inner, seal) = convert::signed::unsealed(element);
    let seal = seal?;
    Some((inner.clone(), String::from(&convert::signed::sealed(seal, inner))))
}

/// Reads an error; none if the element is no error of a stanza.
pub fn refusal(element: Element) -> Option<Refusal> {
    StanzaError::try_from(element).ok().map(|error| convert::refusal_in(&error))
}

/// Writes an error.
pub fn put_refusal(refusal: Refusal) -> String {
    String::from(&Element::from(convert::refusal_out(refusal)))
}

/// Reads an element of an in-band bytestream and writes it again, with the bytes that it carries; none if it is none.
pub fn in_band(element: &Element) -> Option<(String, Vec<u8>)> {
    if let Ok(data) = in_band::Data::try_from(element.clone()) {
        let bytes = data.data.clone();
        return Some((String::from(&Element::from(data)), bytes));
    }
    if let Ok(open) = in_band::Open::try_from(element.clone()) {
        return Some((String::from(&Element::from(open)), Vec::new()));
    }
    let close = in_band::Close::try_from(element.clone()).ok()?;
    Some((String::from(&Element::from(close)), Vec::new()))
}

/// What a server says that it does for links.
pub fn server_services(element: &Element) -> ServerServices {
    agent::server_services_in(element)
}

/// What is read of a SCRAM challenge in an exchange with this nonce: the server's nonce, the salt and the rounds; none
/// if it is refused.
pub fn scram_challenge(nonce: &str, challenge: &[u8]) -> Option<(String, Vec<u8>, u32)> {
    let mechanism = xbt_core::login::Mechanism::ScramSha256;
    let scram = login::Scram::begin(mechanism, login::Binding::None, "user", "pencil", nonce.to_owned())?;
    scram.read(challenge).ok().map(login::Challenge::into_parts)
}

/// Whether a last message of SCRAM proves something that only the right server can know.
pub fn scram_proof(last: &[u8]) -> bool {
    static EXPECTED: std::sync::OnceLock<Option<login::Expected>> = std::sync::OnceLock::new();
    let expected = EXPECTED.get_or_init(|| {
        let mechanism = xbt_core::login::Mechanism::ScramSha1;
        let scram = login::Scram::begin(mechanism, login::Binding::None, "user", "pencil", "abc".to_owned())?;
        scram.read(b"r=abcdef,s=c2FsdA==,i=4096").ok().map(|challenge| challenge.answer().1)
    });
    expected.as_ref().is_some_and(|expected| expected.check(last).is_ok())
}

/// Fewest and most rounds of key derivation that are agreed to.
pub const SCRAM_ROUNDS: std::ops::RangeInclusive<u32> = login::ROUNDS;
