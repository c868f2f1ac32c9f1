//! Which addresses we have, which we offer, and which of the other side's we dial.

pub(crate) mod candidates;
pub(crate) mod interfaces;
pub(crate) mod local;
pub(crate) mod outside;
pub(crate) mod scope;
pub(crate) mod source;
