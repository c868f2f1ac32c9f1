//! Tests against real parts.
