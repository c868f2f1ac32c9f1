//! How many lines of the log one contact may cause: devices that come and go many times a second must not fill the disk.

use std::collections::HashMap;
use std::time::{Duration, Instant};

use xbt_core::ids::BareJid;

/// In the long run a contact may cause one line in this time.
const EACH: Duration = Duration::from_secs(1);
/// Lines at once, and again after half an hour of quiet.
const AT_ONCE: u32 = 2_000;
/// Beyond this many contacts, forget those whose allowance is whole.
const KEPT: usize = 1_024;

#[derive(Debug)]
struct Allowance {
    /// When it is whole again.
    whole: Instant,
    left_out: u64,
}

#[derive(Debug, Default)]
pub(super) struct LogLines(HashMap<BareJid, Allowance>);

impl LogLines {
    /// Whether a line about a contact may be logged; with it, how many were left out before.
    pub(super) fn admit(&mut self, contact: &BareJid, now: Instant) -> Option<u64> {
        if self.0.len() >= KEPT {
            self.0.retain(|_, allowance| allowance.whole > now);
        }
        let allowance = self.0.entry(contact.clone()).or_insert(Allowance { whole: now, left_out: 0 });
        let whole = allowance.whole.max(now) + EACH;
        if whole.duration_since(now) > EACH * AT_ONCE {
            allowance.left_out = allowance.left_out.saturating_add(1);
            return None;
        }
        allowance.whole = whole;
        Some(std::mem::take(&mut allowance.left_out))
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn a_contact_that_causes_lines_without_end_gets_few_and_others_all() {
        let (mut lines, start) = (LogLines::default(), Instant::now());
        let [bob, eve] = ["bob@b", "eve@e"].map(BareJid::from_normalised);
        let logged = (0..10_000).filter(|_| lines.admit(&eve, start).is_some()).count();
        assert_eq!(logged, AT_ONCE as usize);
        assert_eq!(lines.admit(&bob, start), Some(0));
        assert_eq!(lines.admit(&eve, start + EACH), Some(10_000 - u64::from(AT_ONCE)));
        assert_eq!(lines.admit(&eve, start + EACH), None);
    }
}
