//! Which addresses we have, which we tell, and which of theirs we dial.

pub(crate) mod candidates;
pub(crate) mod interfaces;
pub(crate) mod outside;
