//! The ways to another device.

pub(crate) mod in_band;
pub(crate) mod proxy65;
pub(crate) mod punched;
pub(crate) mod relays;
pub(crate) mod target;
pub(crate) mod tcp;
