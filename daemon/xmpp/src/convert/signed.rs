//! `<signed/>`: the envelope of requests and answers, and what stands in an error beside its text.
//!
//! Text is signed as the other side reads it: names are cut and cleaned before they are sent, so what goes out is read
//! back first.

use tokio_xmpp::minidom::Element;
use tokio_xmpp::parsers::stanza_error::StanzaError;
use xbt_core::signal::{Answer, Epoch, Refusal, Request, Signature, Stamp};
use xso::text::{Base64, TextCodec};

use super::super::payload as wire;
use super::{Expected, Invalid, answer_in, answer_out, refusal_in, refusal_out, request_in, request_out};

/// What an envelope says beside what is in it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in super::super) struct Seal {
    /// Of a request.
    pub stamp: Option<Stamp>,
    pub signature: Signature,
}

/// Puts something into an envelope; an answer may be empty.
pub(in super::super) fn sealed(seal: Seal, inner: Option<Element>) -> Element {
    let Seal { stamp, signature } = seal;
    let signed = wire::Signed {
        key: Some(base64_out(&signature.key)),
        signature: Some(base64_out(&signature.bytes)),
        epoch: stamp.map(|stamp| base64_out(&stamp.epoch.0)),
        number: stamp.map(|stamp| stamp.number.to_string()),
        inner: inner.into_iter().collect(),
    };
    signed.into()
}

/// Takes something out of its envelope. Without an envelope, or with one that makes no sense, there is no seal: it
/// carries no valid signature.
pub(in super::super) fn unsealed(element: Element) -> (Option<Element>, Option<Seal>) {
    if !element.is("signed", wire::NS) {
        return (Some(element), None);
    }
    let Ok(signed) = wire::Signed::try_from(element) else { return (None, None) };
    let seal = seal_in(&signed).filter(|_| signed.inner.len() <= 1);
    (signed.inner.into_iter().next(), seal)
}

fn seal_in(signed: &wire::Signed) -> Option<Seal> {
    let stamp = match (&signed.epoch, &signed.number) {
        (None, None) => None,
        (Some(epoch), number) => {
            let number = number.as_ref().map_or(Some(0), |number| number.parse().ok())?;
            Some(Stamp { epoch: Epoch(base64_in(epoch)?), number })
        }
        (None, Some(_)) => return None,
    };
    let signature = Signature { key: base64_in(signed.key.as_ref()?)?, bytes: base64_in(signed.signature.as_ref()?)? };
    Some(Seal { stamp, signature })
}

/// An error with a signature. What would stand in it as an application-specific condition goes into the envelope.
pub(in super::super) fn sealed_error(seal: Seal, mut error: StanzaError) -> StanzaError {
    error.other = Some(sealed(seal, error.other.take()));
    error
}

/// What an error says about who made it.
pub(in super::super) fn error_seal(error: &StanzaError) -> Option<Seal> {
    error.other.clone().and_then(|element| unsealed(element).1)
}

/// The request, and as it will be read.
///
/// # Errors
/// It cannot be read: nothing that the rules make.
pub(in super::super) fn request_as_read(request: Request) -> Result<(Element, Request), Invalid> {
    let element = request_out(request);
    Ok((element.clone(), request_in(element)?))
}

/// The same of an answer.
///
/// # Errors
/// As there.
pub(in super::super) fn answer_as_read(answer: Answer) -> Result<(Option<Element>, Answer), Invalid> {
    let expected = match answer {
        Answer::Acknowledged => Expected::Nothing,
        Answer::Hello(_) => Expected::Hello,
        Answer::Connect(_) => Expected::Connect,
        Answer::Sync(_) => Expected::Sync,
    };
    let element = answer_out(answer);
    Ok((element.clone(), answer_in(expected, element)?))
}

/// The same of a refusal.
pub(in super::super) fn refusal_as_read(refusal: Refusal) -> (StanzaError, Refusal) {
    let error = refusal_out(refusal);
    let read = refusal_in(&error);
    (error, read)
}

pub(super) fn base64_in<const N: usize>(text: &str) -> Option<[u8; N]> {
    let bytes = TextCodec::<Vec<u8>>::decode(&Base64, text.to_owned()).ok()?;
    bytes.try_into().ok()
}

pub(super) fn base64_out(bytes: &[u8]) -> String {
    let bytes = bytes.to_vec();
    TextCodec::<Vec<u8>>::encode(&Base64, &bytes).ok().flatten().map(Into::into).unwrap_or_default()
}
