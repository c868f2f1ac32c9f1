//! A device with a key that was not seen before.

/// A device with a key that was not seen before.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NewKey {
    /// The bare JID of the contact, if it is known.
    pub contact: Option<String>,
    /// The first key of this contact.
    pub first: bool,
    /// The daemon refuses it.
    pub blocked: bool,
    /// What the daemon says.
    pub text: String,
}
