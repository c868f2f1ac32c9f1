//! Where signatures are made and checked: the rules see nothing but whose key signed, and with which stamp.

use tokio_xmpp::minidom::Element;
use tokio_xmpp::parsers::stanza_error::StanzaError;
use xbt_core::ids::{Fingerprint, FullJid};
use xbt_core::signal::{Answer, Condition, Outcome, Refusal, Request, Signed, Stamp, text};

use super::Agent;
use super::iq::{Reply, unavailable};
use crate::convert::signed::{Seal, answer_as_read, refusal_as_read, request_as_read, sealed, sealed_error, unsealed};
use crate::convert::{self, Expected};

/// An answer as it came in: the payload of a result, or a refusal with what the error held beside it.
pub(super) type CameIn = Result<Option<Element>, (Refusal, Option<Seal>)>;

impl Agent {
    /// A request in its envelope, and its text; none if it cannot be signed.
    pub(super) fn seal_request(&self, request: Request, to: &FullJid, stamp: Stamp) -> Option<(Element, Vec<u8>)> {
        let from = self.account.device()?;
        let (element, request) = request_as_read(request)
            .inspect_err(|error| tracing::error!(%error, "a request of ours cannot be read"))
            .ok()?;
        let text = text::request(&request, &from, to, stamp);
        let seal = Seal { stamp: Some(stamp), signature: self.signer.sign(&text)? };
        Some((sealed(seal, Some(element)), text))
    }

    /// Whose signature a request carries, and its text if it is valid.
    pub(super) fn verify_request(
        &self,
        request: &Request,
        from: &FullJid,
        seal: Option<Seal>,
    ) -> Option<(Signed, Vec<u8>)> {
        let (Seal { stamp, signature }, to) = (seal?, self.account.device()?);
        let stamp = stamp?;
        let text = text::request(request, from, &to, stamp);
        let key = self.signer.signed_by(&text, &signature)?;
        Some((Signed { key, stamp }, text))
    }

    /// An answer in its envelope. One to a request that was not signed decides nothing, and needs no signature.
    pub(super) fn seal_answer(&self, answer: Result<Answer, Refusal>, text: Option<&[u8]>) -> Reply {
        let seal = |answer: &Result<Answer, Refusal>| {
            let signature = self.signer.sign(&text::answer(text?, answer))?;
            Some(Seal { stamp: None, signature })
        };
        match answer {
            Ok(answer) => {
                let (element, answer) = answer_as_read(answer).map_err(|error| {
                    tracing::error!(%error, "an answer of ours cannot be read");
                    unavailable()
                })?;
                match seal(&Ok(answer)) {
                    Some(seal) => Ok(Some(sealed(seal, element))),
                    None => Ok(element),
                }
            }
            Err(refusal) => {
                let (error, refusal) = refusal_as_read(refusal);
                let seal = seal(&Err(refusal));
                Err(Box::new(seal.map_or_else(|| error.clone(), |seal| sealed_error(seal, error.clone()))))
            }
        }
    }

    /// What the rules learn about a request of theirs, which has this text, and who signed it.
    pub(super) fn outcome(&self, expected: Expected, text: &[u8], answer: CameIn) -> (Outcome, Option<Fingerprint>) {
        let (answer, seal) = match answer {
            Ok(payload) => {
                let (element, seal) = payload.map_or((None, None), unsealed);
                match convert::answer_in(expected, element) {
                    Ok(answer) => (Ok(answer), seal),
                    Err(error) => {
                        let refusal = Refusal::new(Condition::Other, format!("invalid answer: {error}"));
                        return (Outcome::Refused(refusal), None);
                    }
                }
            }
            Err((refusal, seal)) => (Err(refusal), seal),
        };
        let by = seal.and_then(|seal| self.signer.signed_by(&text::answer(text, &answer), &seal.signature));
        let outcome = match answer {
            Ok(answer) => Outcome::Answered(answer),
            Err(refusal) => Outcome::Refused(refusal),
        };
        (outcome, by)
    }
}

/// A refusal as it came in.
pub(super) fn refused(error: &StanzaError) -> (Refusal, Option<Seal>) {
    (convert::refusal_in(error), convert::signed::error_seal(error))
}
