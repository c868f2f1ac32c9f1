//! How far other devices are, as measured while connections with them were made.

use std::collections::HashMap;
use std::time::Duration;

use tokio::sync::watch;
use tokio::time::Instant;
use xbt_core::ids::Fingerprint;

/// How long a measurement holds: the device may move.
const LIFE: Duration = Duration::from_secs(10);

type Measured = HashMap<Fingerprint, (Instant, Duration)>;

/// See the module. Cheap to clone.
#[derive(Clone, Debug)]
pub(crate) struct RoundTrips(watch::Sender<Measured>);

impl Default for RoundTrips {
    fn default() -> Self {
        Self(watch::Sender::new(HashMap::new()))
    }
}

impl RoundTrips {
    /// Below this a line is short: TCP recovers from loss within a few of them, and a busy computer alone takes some
    /// milliseconds to answer.
    pub const SHORT: Duration = Duration::from_millis(20);

    /// A round trip to this device took at most that long. The shortest holds.
    pub fn measured(&self, peer: Fingerprint, took: Duration) {
        let now = Instant::now();
        self.0.send_modify(|all| {
            all.retain(|_, (at, _)| *at + LIFE > now);
            let shortest = all.get(&peer).map_or(took, |(_, before)| took.min(*before));
            all.insert(peer, (now, shortest));
        });
    }

    /// Waits until the line to this device has turned out to be short, and without end if it does not.
    pub async fn short(&self, peer: Fingerprint) {
        let is_short =
            |all: &Measured| all.get(&peer).is_some_and(|(at, took)| *took < Self::SHORT && at.elapsed() < LIFE);
        // The sender is ours, so it does not end.
        let _ = self.0.subscribe().wait_for(is_short).await;
    }

    /// Whether it is known to be long.
    #[cfg(test)]
    pub fn is_long(&self, peer: Fingerprint) -> bool {
        self.0.borrow().get(&peer).is_some_and(|(_, took)| *took >= Self::SHORT)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn the_shortest_measurement_of_the_last_seconds_says_whether_a_line_is_short() {
        let (near, far) = (Fingerprint([1; 32]), Fingerprint([2; 32]));
        let trips = RoundTrips::default();
        let short = |peer| {
            let trips = trips.clone();
            async move { tokio::time::timeout(Duration::from_secs(1), trips.short(peer)).await.is_ok() }
        };
        assert!(!short(near).await, "not known");
        trips.measured(near, Duration::from_millis(90));
        trips.measured(far, Duration::from_millis(90));
        assert!(trips.is_long(near) && !short(near).await);
        trips.measured(near, Duration::from_millis(1));
        trips.measured(near, Duration::from_millis(70));
        assert!(short(near).await && !trips.is_long(near));
        assert!(!short(far).await);
        tokio::time::advance(LIFE).await;
        assert!(!short(near).await, "too long ago");
    }
}
