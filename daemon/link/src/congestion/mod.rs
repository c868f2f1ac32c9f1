//! Congestion control for QUIC that random loss does not stop (`docs/decisions/0019-congestion-control.md`).
//!
//! Wi-Fi and mobile lines lose packets that no queue has dropped. Cubic and NewReno take each of these for congestion:
//! at a round trip of 100 ms, one lost packet in a hundred leaves them 2 % of a line of 100 Mbit/s. The controller here
//! follows what arrives instead, as BBR does: the highest rate of delivery and the shortest round trip say how much fits
//! on the line, and a little more than that is kept under way.
//!
//! - `delivery`: how fast packets arrive;
//! - `filter`: the largest value of the last rounds;
//! - `model`: what follows from it, without clock or I/O.

mod delivery;
mod filter;
mod model;

#[cfg(test)]
mod tests;

use std::any::Any;
use std::sync::Arc;
use std::time::{Duration, Instant};

use quinn::congestion::{Controller, ControllerFactory, ControllerMetrics};
use quinn_proto::RttEstimator;

use self::model::Model;

/// Makes a controller for each path.
#[derive(Debug)]
pub(crate) struct LossTolerant;

impl ControllerFactory for LossTolerant {
    fn build(self: Arc<Self>, now: Instant, current_mtu: u16) -> Box<dyn Controller> {
        Box::new(Path { began: now, model: Model::new(current_mtu.into()) })
    }
}

/// The model on quinn's clock.
#[derive(Clone, Debug)]
struct Path {
    began: Instant,
    model: Model,
}

impl Path {
    fn at(&self, time: Instant) -> Duration {
        time.saturating_duration_since(self.began)
    }
}

impl Controller for Path {
    fn on_sent(&mut self, now: Instant, _bytes: u64, _last_packet_number: u64) {
        self.model.sent(self.at(now));
    }

    fn on_ack(&mut self, now: Instant, sent: Instant, bytes: u64, _app_limited: bool, _rtt: &RttEstimator) {
        self.model.acked(self.at(now), self.at(sent), bytes);
    }

    fn on_end_acks(&mut self, now: Instant, in_flight: u64, app_limited: bool, _largest_packet_num_acked: Option<u64>) {
        self.model.update(self.at(now), in_flight, app_limited);
    }

    fn on_congestion_event(&mut self, _now: Instant, _sent: Instant, is_persistent_congestion: bool, lost_bytes: u64) {
        match (is_persistent_congestion, lost_bytes) {
            (true, _) => self.model.restart(),
            (false, 0) => self.model.marked(),
            (false, bytes) => self.model.lost(bytes),
        }
    }

    fn on_mtu_update(&mut self, new_mtu: u16) {
        self.model.set_mtu(new_mtu.into());
    }

    fn window(&self) -> u64 {
        self.model.window()
    }

    fn metrics(&self) -> ControllerMetrics {
        let mut metrics = ControllerMetrics::default();
        metrics.congestion_window = self.window();
        metrics
    }

    fn clone_box(&self) -> Box<dyn Controller> {
        Box::new(self.clone())
    }

    fn initial_window(&self) -> u64 {
        self.model.initial_window()
    }

    fn into_any(self: Box<Self>) -> Box<dyn Any> {
        self
    }
}
