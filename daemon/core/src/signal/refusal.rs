//! Why a request was refused, and what can be done about it.

use serde::{Deserialize, Serialize};

/// Why a request was refused (an IQ error).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Condition {
    /// You may not.
    Forbidden,
    /// There is no such offer.
    ItemNotFound,
    /// Another device has taken it.
    Conflict,
    /// Not now (type wait): paused, or not your turn.
    ResourceConstraint,
    /// It contradicts what was agreed.
    NotAcceptable,
    /// It could not be understood.
    BadRequest,
    /// As from a client without xbt.
    ServiceUnavailable,
    /// xbt, but not this request.
    FeatureNotImplemented,
    /// The other side's server cannot be found or reached.
    RemoteServerNotFound,
    /// The other side's server does not answer ours.
    RemoteServerTimeout,
    /// The other side is not online.
    RecipientUnavailable,
    /// A fault of a server or of a program.
    InternalServerError,
    /// Any other condition.
    Other,
}

impl Condition {
    /// The type that goes with it (RFC 6120, section 8.3.3).
    pub fn usual_type(self) -> ErrorType {
        match self {
            Self::Forbidden => ErrorType::Auth,
            Self::NotAcceptable | Self::BadRequest => ErrorType::Modify,
            Self::ResourceConstraint | Self::RemoteServerTimeout | Self::RecipientUnavailable => ErrorType::Wait,
            Self::ItemNotFound
            | Self::Conflict
            | Self::ServiceUnavailable
            | Self::FeatureNotImplemented
            | Self::RemoteServerNotFound
            | Self::InternalServerError
            | Self::Other => ErrorType::Cancel,
        }
    }
}

/// What the sender of a stanza can do about an error (RFC 6120, section 8.3.2).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum ErrorType {
    /// Try again with other credentials.
    Auth,
    /// Nothing.
    Cancel,
    /// Go on: it was only a warning.
    Continue,
    /// Change the request.
    Modify,
    /// Try again later.
    Wait,
}

/// The names of waits inside a refusal with [`Condition::ResourceConstraint`], so that programs need not parse prose.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Wait {
    /// The person on the other side paused it; that side reconnects on resume.
    Paused,
    /// Too many transfers between the two devices are under way; ask again.
    Turn,
    /// The other side is busy in another way; ask again.
    Busy,
    /// The request carried an epoch that the other side does not know (any more), or a number that it has seen: say
    /// `hello`, and ask again.
    Hello,
}

/// A refusal: a condition, and one sentence.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Refusal {
    /// For the program.
    pub condition: Condition,
    /// What can be done about it.
    pub kind: ErrorType,
    /// With [`Condition::ResourceConstraint`]: what is waited for.
    pub wait: Option<Wait>,
    /// For the person; may be empty when it came from outside.
    pub text: String,
}

impl Refusal {
    /// A refusal with a condition and a sentence.
    pub fn new(condition: Condition, text: impl Into<String>) -> Self {
        Self { condition, kind: condition.usual_type(), wait: None, text: text.into() }
    }

    /// "Not now."
    pub fn wait(wait: Wait, text: impl Into<String>) -> Self {
        Self { wait: Some(wait), ..Self::new(Condition::ResourceConstraint, text) }
    }

    /// Whether the same request may succeed later. A server answers for a device that has just gone with
    /// `service-unavailable`, and servers do not agree on the type of errors about other servers: Prosody and ejabberd
    /// say `cancel` where a restart of the other server is all that is needed.
    pub fn may_pass(&self) -> bool {
        self.kind == ErrorType::Wait
            || matches!(
                self.condition,
                Condition::ServiceUnavailable
                    | Condition::RemoteServerNotFound
                    | Condition::RemoteServerTimeout
                    | Condition::RecipientUnavailable
                    | Condition::InternalServerError
            )
    }

    /// The text, or what the condition says to a person.
    pub fn sentence(&self) -> &str {
        if !self.text.is_empty() {
            return &self.text;
        }
        match self.condition {
            Condition::RemoteServerNotFound => "our server cannot reach theirs",
            Condition::RemoteServerTimeout => "their server does not answer ours",
            Condition::RecipientUnavailable | Condition::ServiceUnavailable => "the device is gone",
            Condition::InternalServerError => "a server reports a fault of its own",
            Condition::ResourceConstraint => "the device is busy",
            Condition::Forbidden => "it is forbidden there",
            Condition::ItemNotFound => "it is unknown there",
            Condition::Conflict => "another device has it",
            Condition::NotAcceptable => "it is not acceptable there",
            Condition::BadRequest => "the request was not understood there",
            Condition::FeatureNotImplemented => "the program there does not support this request",
            Condition::Other => "the request was refused",
        }
    }
}
