//! What ways learn of their surroundings, as it changes.

use std::net::SocketAddr;
use std::sync::Arc;

use tokio::sync::{Notify, watch};

use crate::addresses::interfaces::Interface;
use crate::addresses::outside::Outside;

/// What ways learn of their surroundings.
#[derive(Clone)]
pub(crate) struct Surroundings {
    /// The sockets that links come in by.
    pub listening: Vec<SocketAddr>,
    pub outside: watch::Receiver<Outside>,
    pub interfaces: watch::Receiver<Vec<Interface>>,
    /// To be notified when a way offers something else.
    pub changed: Arc<Notify>,
}
