//! Between our elements and the core's words. Everything that comes in is checked here; everything that goes out is
//! made fit to be sent.

use tokio_xmpp::minidom::Element;
use tokio_xmpp::parsers::stanza_error::{DefinedCondition, ErrorType, StanzaError};
use xbt_core::signal::{
    self, Answer, Condition, Epoch, MAX_SYNC_ITEMS, Offer, Refusal, Request, Role, SyncItem, SyncState, Wait,
};

use super::payload as wire;
use connect::{connect_in, connect_out, introduction_in, introduction_out};

mod connect;
pub(super) mod signed;

#[cfg(test)]
pub(super) mod tests;

/// Bytes of the longest name of a content.
pub(super) const MAX_NAME: usize = 1024;
/// Bytes of the longest word from person to person.
pub(super) const MAX_MESSAGE: usize = 4096;
/// Bytes of the longest reason of a failure, and of the longest text of a refusal.
pub(super) const MAX_REASON: usize = 1024;
/// Bytes of the longest name of a service or its host (RFC 1035: a domain name has up to 253).
pub(super) const MAX_SERVICE: usize = 255;

/// The reason of a `<cancel/>` for an offer that has lapsed.
const EXPIRED: &str = "expired";

/// Something from outside that is not as it should be.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub(super) enum Invalid {
    /// The sender made a mistake.
    #[error("{0}")]
    Malformed(String),
    /// Perhaps from a later version.
    #[error("{0}")]
    Unknown(String),
}

impl Invalid {
    fn of(what: &str, why: impl std::fmt::Display) -> Self {
        Self::Malformed(format!("{what}: {why}"))
    }

    /// The error for the sender.
    pub(super) fn into_refusal(self) -> Refusal {
        match self {
            Self::Malformed(text) => Refusal::new(Condition::BadRequest, text),
            Self::Unknown(text) => Refusal::new(Condition::FeatureNotImplemented, text),
        }
    }
}

// ---- in ----

/// Reads a request of our namespace.
pub(super) fn request_in(element: Element) -> Result<Request, Invalid> {
    let request = match wire::Request::try_from(element) {
        Ok(request) => request,
        Err(tokio_xmpp::FromElementError::Mismatch(element)) => {
            return Err(Invalid::Unknown(format!("unknown request “{}”", cut(element.name(), 50))));
        }
        Err(tokio_xmpp::FromElementError::Invalid(error)) => {
            return Err(Invalid::Malformed(cut(&error.to_string(), MAX_REASON)));
        }
    };
    Ok(match request {
        wire::Request::Hello(wire::Hello { .. }) => Request::Hello,
        wire::Request::Offer(offer) => Request::Offer(offer_in(offer)?),
        wire::Request::Connect(connect) => Request::Connect(connect_in(connect)?),
        wire::Request::Decline(decline) => {
            Request::Decline { id: id_in(&decline.id)?, message: message_in(decline.desc)? }
        }
        wire::Request::Cancel(cancel) if cancel.reason.as_deref() == Some(EXPIRED) => {
            Request::Expired { id: id_in(&cancel.id)? }
        }
        // Whatever other reason a later version may know.
        wire::Request::Cancel(cancel) => Request::Cancel { id: id_in(&cancel.id)? },
        wire::Request::Done(done) => Request::Done { id: id_in(&done.id)? },
        wire::Request::Failed(failed) => Request::Failed {
            id: id_in(&failed.id)?,
            reason: bounded("reason", failed.reason.unwrap_or_default(), MAX_REASON)?,
        },
        wire::Request::Taken(taken) => Request::Taken { id: id_in(&taken.id)? },
        wire::Request::Introduce(introduce) => Request::Introduce(introduction_in(introduce)?),
        wire::Request::Sync(sync) => Request::Sync(sync_in(sync)?),
    })
}

/// Which answer a request of ours must get.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Expected {
    /// An empty result; anything inside is ignored.
    Nothing,
    /// A `<hello/>` with an epoch.
    Hello,
    /// A `<connect/>`.
    Connect,
    /// A `<sync/>`.
    Sync,
}

impl Expected {
    pub(super) fn to(request: &Request) -> Self {
        match request {
            Request::Hello => Self::Hello,
            Request::Connect(_) => Self::Connect,
            Request::Sync(_) => Self::Sync,
            Request::Offer(_)
            | Request::Decline { .. }
            | Request::Cancel { .. }
            | Request::Expired { .. }
            | Request::Done { .. }
            | Request::Failed { .. }
            | Request::Taken { .. }
            | Request::Introduce(_) => Self::Nothing,
        }
    }
}

/// Reads the payload of a result.
pub(super) fn answer_in(expected: Expected, element: Option<Element>) -> Result<Answer, Invalid> {
    let element = || element.ok_or_else(|| Invalid::Malformed("the answer is empty".to_owned()));
    let invalid = |error: tokio_xmpp::FromElementError| Invalid::of("answer", cut(&error.to_string(), MAX_REASON));
    match expected {
        Expected::Nothing => Ok(Answer::Acknowledged),
        Expected::Hello => {
            let hello = wire::Hello::try_from(element()?).map_err(invalid)?;
            let epoch = hello.epoch.as_deref().and_then(signed::base64_in);
            Ok(Answer::Hello(Epoch(epoch.ok_or_else(|| Invalid::of("epoch", "not 16 bytes in Base64"))?)))
        }
        Expected::Connect => Ok(Answer::Connect(connect_in(wire::Connect::try_from(element()?).map_err(invalid)?)?)),
        Expected::Sync => Ok(Answer::Sync(sync_in(wire::Sync::try_from(element()?).map_err(invalid)?)?)),
    }
}

/// Reads an error.
pub(super) fn refusal_in(error: &StanzaError) -> Refusal {
    let condition = match &error.defined_condition {
        DefinedCondition::Forbidden => Condition::Forbidden,
        DefinedCondition::ItemNotFound => Condition::ItemNotFound,
        DefinedCondition::Conflict => Condition::Conflict,
        DefinedCondition::ResourceConstraint => Condition::ResourceConstraint,
        DefinedCondition::NotAcceptable => Condition::NotAcceptable,
        DefinedCondition::BadRequest => Condition::BadRequest,
        DefinedCondition::ServiceUnavailable => Condition::ServiceUnavailable,
        DefinedCondition::FeatureNotImplemented => Condition::FeatureNotImplemented,
        DefinedCondition::RemoteServerNotFound => Condition::RemoteServerNotFound,
        DefinedCondition::RemoteServerTimeout => Condition::RemoteServerTimeout,
        DefinedCondition::RecipientUnavailable => Condition::RecipientUnavailable,
        DefinedCondition::InternalServerError => Condition::InternalServerError,
        _ => Condition::Other,
    };
    let kind = match error.type_ {
        ErrorType::Auth => signal::ErrorType::Auth,
        ErrorType::Cancel => signal::ErrorType::Cancel,
        ErrorType::Continue => signal::ErrorType::Continue,
        ErrorType::Modify => signal::ErrorType::Modify,
        ErrorType::Wait => signal::ErrorType::Wait,
    };
    let inner = error.other.clone().and_then(|element| signed::unsealed(element).0);
    let wait = inner.and_then(|element| wire::Wait::try_from(element).ok());
    let wait =
        wait.filter(|_| condition == Condition::ResourceConstraint).and_then(|wait| match wait.reason.as_str() {
            "paused" => Some(Wait::Paused),
            "turn" => Some(Wait::Turn),
            "busy" => Some(Wait::Busy),
            "hello" => Some(Wait::Hello),
            _ => None,
        });
    let text = error.texts.get("en").or_else(|| error.texts.values().next());
    Refusal { condition, kind, wait, text: text.map(|text| cut(text, MAX_REASON)).unwrap_or_default() }
}

fn offer_in(offer: wire::Offer) -> Result<Offer, Invalid> {
    if let Some(kind) = offer.kind.filter(|kind| kind != wire::KIND) {
        return Err(Invalid::Unknown(format!("unknown kind of content “{}”", cut(&kind, 50))));
    }
    if offer.files == 0 {
        return Err(Invalid::Malformed("files: must be at least 1".to_owned()));
    }
    if offer.name.is_empty() {
        return Err(Invalid::Malformed("name: is empty".to_owned()));
    }
    let expires = offer.expires.map(|text| {
        let time: jiff::Timestamp = text.parse().map_err(|_| Invalid::of("expires", "not an RFC 3339 time"))?;
        Ok(time.as_millisecond())
    });
    Ok(Offer {
        id: id_in(&offer.id)?,
        info_hash: offer.info_hash.parse().map_err(|error| Invalid::of("info-hash", error))?,
        size: offer.size,
        files: offer.files,
        metadata_size: offer.metadata_size,
        expires: expires.transpose()?,
        name: bounded("name", offer.name, MAX_NAME)?,
        message: message_in(offer.desc)?,
        fingerprint: offer.fingerprint.parse().map_err(|error| Invalid::of("fingerprint", error))?,
    })
}

fn sync_in(sync: wire::Sync) -> Result<Vec<SyncItem>, Invalid> {
    if sync.items.len() > MAX_SYNC_ITEMS {
        return Err(Invalid::Malformed(format!("more than {MAX_SYNC_ITEMS} items")));
    }
    sync.items.iter().map(item_in).collect()
}

fn item_in(item: &wire::Item) -> Result<SyncItem, Invalid> {
    let role = match item.role.as_str() {
        "sender" => Role::Sender,
        "receiver" => Role::Receiver,
        other => return Err(Invalid::Malformed(format!("unknown role “{}”", cut(other, 50)))),
    };
    let state = match item.state.as_str() {
        "open" => SyncState::Open,
        "accepted" => SyncState::Accepted,
        "done" => SyncState::Done,
        "declined" => SyncState::Declined,
        "cancelled" => SyncState::Cancelled,
        "expired" => SyncState::Expired,
        "taken" => SyncState::Taken,
        "failed" => SyncState::Failed,
        "unknown" => SyncState::Unknown,
        other => return Err(Invalid::Malformed(format!("unknown state “{}”", cut(other, 50)))),
    };
    Ok(SyncItem { id: id_in(&item.id)?, role, state })
}

fn id_in(text: &str) -> Result<xbt_core::ids::OfferId, Invalid> {
    text.parse().map_err(|error| Invalid::of("id", error))
}

fn message_in(text: Option<String>) -> Result<Option<String>, Invalid> {
    text.filter(|text| !text.is_empty()).map(|text| bounded("desc", text, MAX_MESSAGE)).transpose()
}

fn bounded(what: &str, text: String, max: usize) -> Result<String, Invalid> {
    if text.len() > max { Err(Invalid::of(what, format!("longer than {max} bytes"))) } else { Ok(text) }
}

// ---- out ----

/// Writes a request.
pub(super) fn request_out(request: Request) -> Element {
    match request {
        Request::Hello => wire::Hello { epoch: None }.into(),
        Request::Offer(offer) => offer_out(offer).into(),
        Request::Connect(connect) => connect_out(connect).into(),
        Request::Decline { id, message } => {
            wire::Decline { id: id.to_string(), desc: message.map(|text| sendable(&text, MAX_MESSAGE)) }.into()
        }
        Request::Cancel { id } => wire::Cancel { id: id.to_string(), reason: None }.into(),
        Request::Expired { id } => wire::Cancel { id: id.to_string(), reason: Some(EXPIRED.to_owned()) }.into(),
        Request::Done { id } => wire::Done { id: id.to_string() }.into(),
        Request::Failed { id, reason } => {
            wire::Failed { id: id.to_string(), reason: Some(sendable(&reason, MAX_REASON)) }.into()
        }
        Request::Taken { id } => wire::Taken { id: id.to_string() }.into(),
        Request::Introduce(introduction) => introduction_out(introduction).into(),
        Request::Sync(items) => sync_out(items).into(),
    }
}

/// Writes the payload of a result.
pub(super) fn answer_out(answer: Answer) -> Option<Element> {
    match answer {
        Answer::Acknowledged => None,
        Answer::Hello(epoch) => Some(wire::Hello { epoch: Some(signed::base64_out(&epoch.0)) }.into()),
        Answer::Connect(connect) => Some(connect_out(connect).into()),
        Answer::Sync(items) => Some(sync_out(items).into()),
    }
}

/// Writes an error.
pub(super) fn refusal_out(refusal: Refusal) -> StanzaError {
    let condition = match refusal.condition {
        Condition::Forbidden => DefinedCondition::Forbidden,
        Condition::ItemNotFound => DefinedCondition::ItemNotFound,
        Condition::Conflict => DefinedCondition::Conflict,
        Condition::ResourceConstraint => DefinedCondition::ResourceConstraint,
        Condition::NotAcceptable => DefinedCondition::NotAcceptable,
        Condition::BadRequest => DefinedCondition::BadRequest,
        Condition::ServiceUnavailable => DefinedCondition::ServiceUnavailable,
        Condition::FeatureNotImplemented => DefinedCondition::FeatureNotImplemented,
        Condition::RemoteServerNotFound => DefinedCondition::RemoteServerNotFound,
        Condition::RemoteServerTimeout => DefinedCondition::RemoteServerTimeout,
        Condition::RecipientUnavailable => DefinedCondition::RecipientUnavailable,
        Condition::InternalServerError => DefinedCondition::InternalServerError,
        Condition::Other => DefinedCondition::UndefinedCondition,
    };
    let kind = match refusal.kind {
        signal::ErrorType::Auth => ErrorType::Auth,
        signal::ErrorType::Cancel => ErrorType::Cancel,
        signal::ErrorType::Continue => ErrorType::Continue,
        signal::ErrorType::Modify => ErrorType::Modify,
        signal::ErrorType::Wait => ErrorType::Wait,
    };
    let mut error = error_out(kind, condition, &refusal.text);
    error.other = refusal.wait.filter(|_| refusal.condition == Condition::ResourceConstraint).map(|wait| {
        let reason = match wait {
            Wait::Paused => "paused",
            Wait::Turn => "turn",
            Wait::Busy => "busy",
            Wait::Hello => "hello",
        };
        wire::Wait { reason: reason.to_owned() }.into()
    });
    error
}

/// Any error, with a sentence unless it is empty.
pub(super) fn error_out(kind: ErrorType, condition: DefinedCondition, text: &str) -> StanzaError {
    let text = sendable(text, MAX_REASON);
    let texts = (!text.is_empty()).then(|| ("en".to_owned(), text));
    StanzaError { type_: kind, by: None, defined_condition: condition, texts: texts.into_iter().collect(), other: None }
}

/// Writes an offer.
pub(super) fn offer_out(offer: Offer) -> wire::Offer {
    // A time outside of what can be written is so far off that it is as good as none.
    let expires = offer.expires.and_then(|time| jiff::Timestamp::from_millisecond(time).ok());
    wire::Offer {
        id: offer.id.to_string(),
        kind: Some(wire::KIND.to_owned()),
        info_hash: offer.info_hash.to_string(),
        size: offer.size,
        files: offer.files,
        metadata_size: offer.metadata_size,
        expires: expires.map(|time| time.to_string()),
        name: sendable(&offer.name, MAX_NAME),
        desc: offer.message.map(|text| sendable(&text, MAX_MESSAGE)),
        fingerprint: offer.fingerprint.to_string(),
    }
}

fn sync_out(items: Vec<SyncItem>) -> wire::Sync {
    debug_assert!(items.len() <= MAX_SYNC_ITEMS, "the rules page their syncs");
    let items = items.into_iter().take(MAX_SYNC_ITEMS).map(|item| wire::Item {
        id: item.id.to_string(),
        role: match item.role {
            Role::Sender => "sender".to_owned(),
            Role::Receiver => "receiver".to_owned(),
        },
        state: match item.state {
            SyncState::Open => "open",
            SyncState::Accepted => "accepted",
            SyncState::Done => "done",
            SyncState::Declined => "declined",
            SyncState::Cancelled => "cancelled",
            SyncState::Expired => "expired",
            SyncState::Taken => "taken",
            SyncState::Failed => "failed",
            SyncState::Unknown => "unknown",
        }
        .to_owned(),
    });
    wire::Sync { items: items.collect() }
}

/// Cuts text to `max` bytes at the border of a character.
pub(super) fn cut(text: &str, max: usize) -> String {
    let end = text.char_indices().map(|(at, c)| at + c.len_utf8()).take_while(|&end| end <= max).last();
    text.get(..end.unwrap_or(0)).unwrap_or_default().to_owned()
}

/// Text that XML 1.0 can carry: a file name on Linux may hold control characters, and one of them would make the
/// whole stanza impossible to send. They become U+FFFD.
pub(super) fn sendable(text: &str, max: usize) -> String {
    let clean: String = text
        .chars()
        .map(|c| match c {
            '\t' | '\n' | ' '..='\u{7e}' | '\u{a0}'..='\u{fffd}' | '\u{10000}'..='\u{10ffff}' => c,
            _ => char::REPLACEMENT_CHARACTER,
        })
        .collect();
    cut(&clean, max)
}
