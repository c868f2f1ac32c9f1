//! The largest value of the last rounds.

use std::collections::VecDeque;

/// See the module. Holds only values that may still become the largest.
#[derive(Clone, Debug)]
pub(super) struct Largest {
    rounds: u64,
    values: VecDeque<(u64, f64)>,
}

impl Largest {
    /// Over this many rounds.
    pub fn of_last(rounds: u64) -> Self {
        Self { rounds, values: VecDeque::new() }
    }

    /// Adds a value; rounds never decrease.
    pub fn add(&mut self, round: u64, value: f64) {
        while self.values.back().is_some_and(|(_, last)| *last <= value) {
            self.values.pop_back();
        }
        // Of one round only the largest counts.
        if self.values.back().is_none_or(|(last, _)| *last != round) {
            self.values.push_back((round, value));
        }
        while self.values.front().is_some_and(|(first, _)| first + self.rounds <= round) {
            self.values.pop_front();
        }
    }

    /// None before the first value.
    pub fn get(&self) -> Option<f64> {
        self.values.front().map(|(_, value)| *value)
    }

    pub fn clear(&mut self) {
        self.values.clear();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_largest_value_stands_until_its_round_is_too_old() {
        let mut largest = Largest::of_last(3);
        assert_eq!(largest.get(), None);
        for (round, value, expected) in [(1, 5.0, 5.0), (1, 9.0, 9.0), (2, 7.0, 9.0), (3, 3.0, 9.0), (4, 4.0, 7.0)] {
            largest.add(round, value);
            assert_eq!(largest.get(), Some(expected), "round {round}");
        }
        largest.add(9, 1.0);
        assert_eq!(largest.get(), Some(1.0));
    }
}
