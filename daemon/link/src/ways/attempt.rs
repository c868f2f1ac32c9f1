//! What became of a target, or why a way had none.

use xbt_core::way::Way;

use super::reason::Failure;
use super::target::Target;

/// What became of one target, or why there was none for a way.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Attempt {
    /// What was, or should have been, tried.
    pub target: Option<Target>,
    /// The way it would have been.
    pub way: Way,
    /// Why there is no link.
    pub failure: Failure,
}

impl Attempt {
    /// A target that failed.
    pub(crate) fn at(target: Target, failure: Failure) -> Self {
        Self { way: target.way, target: Some(target), failure }
    }
}

/// One attempt for each way, the best way first: of several the one with the most telling reason.
pub fn most_telling(attempts: Vec<Attempt>) -> Vec<Attempt> {
    let of = |way: Way| attempts.iter().filter(|one| one.way == way).min_by_key(|one| one.failure.reason);
    Way::ALL.into_iter().filter_map(of).cloned().collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ways::reason::Reason;

    fn attempt(way: Way, reason: Reason) -> Attempt {
        Attempt { target: None, way, failure: Failure::new(reason, "…") }
    }

    #[test]
    fn each_way_has_one_reason_the_best_way_first_and_the_most_telling_reason_of_many() {
        let many = vec![
            attempt(Way::InBand, Reason::WayOff),
            attempt(Way::DirectTcp4, Reason::PassedOver),
            attempt(Way::DirectTcp4, Reason::NotDialed),
            attempt(Way::DirectTcp4, Reason::NoAnswer),
            attempt(Way::DirectTcp4, Reason::Unreachable),
            attempt(Way::Proxy65, Reason::PassedOver),
            attempt(Way::DirectTcp6, Reason::NotOffered),
        ];
        let told: Vec<_> = most_telling(many).into_iter().map(|one| (one.way, one.failure.reason)).collect();
        let expected = [
            (Way::DirectTcp6, Reason::NotOffered),
            (Way::DirectTcp4, Reason::NoAnswer),
            (Way::Proxy65, Reason::PassedOver),
            (Way::InBand, Reason::WayOff),
        ];
        assert_eq!(told, expected);
    }
}
