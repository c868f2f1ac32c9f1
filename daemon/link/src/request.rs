//! What the rules ask of us.

pub use xbt_core::effect::{LinkFor as LinkId, Want as DialRequest};
