//! Trials: what is tried again and again with chances that a seed decides, so that what fails can be tried once more.

use std::env;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use crate::content::Noise;
use crate::process::tell;

/// How many rounds, instead of the few that are quick.
const ROUNDS: &str = "XBT_ROUNDS";

/// The seed of the first round, instead of one from the clock.
const SEED: &str = "XBT_SEED";

/// Seconds since 1970: no round begins after that.
const UNTIL: &str = "XBT_UNTIL";

/// Rounds of one test. While the test fails it prints what to type to see that round again.
#[derive(Debug)]
pub struct Trial {
    test: &'static str,
    seed: u64,
    rounds: u64,
    next: u64,
}

/// One round and its chances.
#[derive(Debug)]
pub struct Round {
    /// Counted from 0.
    pub number: u64,
    noise: Noise,
}

impl Trial {
    /// For the test of this name (as cargo calls it), with `quick` rounds unless the environment wants more or less.
    pub fn new(test: &'static str, quick: u64) -> Self {
        let seed = number(SEED).unwrap_or_else(|| now().as_nanos() as u64 & 0xFFFF_FFFF);
        Self { test, seed, rounds: number(ROUNDS).unwrap_or(quick), next: 0 }
    }

    /// The chances of something that has no rounds.
    pub fn noise(&self) -> Chance {
        Chance(Noise::new(self.seed))
    }
}

impl Iterator for Trial {
    type Item = Round;

    fn next(&mut self) -> Option<Round> {
        let late = number(UNTIL).is_some_and(|until| now().as_secs() >= until && self.next > 0);
        if self.next >= self.rounds || late {
            println!("{}: {} rounds, first seed {}", self.test, self.next, self.seed);
            return None;
        }
        let number = self.next;
        let seed = self.seed + number;
        println!("{}: round {number}, seed {seed}", self.test);
        self.next += 1;
        Some(Round { number, noise: Noise::new(seed) })
    }
}

impl Drop for Trial {
    fn drop(&mut self) {
        if std::thread::panicking() {
            let seed = self.seed + self.next.saturating_sub(1);
            tell(&format!(
                "---- failed in round {}; to see it again: {SEED}={seed} {ROUNDS}=1 cargo test -p xbt-tests --test e2e -- --exact {} ----",
                self.next.saturating_sub(1),
                self.test
            ));
        }
    }
}

/// What a seed decides.
#[derive(Debug)]
pub struct Chance(Noise);

impl Chance {
    /// A number below `bound`.
    pub fn below(&mut self, bound: u64) -> u64 {
        self.0.number() % bound.max(1)
    }

    /// True once in `often`.
    pub fn once_in(&mut self, often: u64) -> bool {
        self.below(often) == 0
    }

    /// A span below `most`.
    pub fn span(&mut self, most: Duration) -> Duration {
        Duration::from_micros(self.below(most.as_micros() as u64))
    }

    /// Lets a span below `most` pass: the moment is what is tried.
    pub fn pause(&mut self, most: Duration) {
        std::thread::sleep(self.span(most));
    }
}

impl Round {
    /// The chances of this round.
    pub fn chance(&self) -> Chance {
        Chance(self.noise.clone())
    }
}

/// A number in the environment.
pub fn number(name: &str) -> Option<u64> {
    let text = env::var(name).ok()?;
    Some(text.parse().unwrap_or_else(|_| panic!("{name} must be a number, not {text:?}")))
}

fn now() -> Duration {
    SystemTime::now().duration_since(UNIX_EPOCH).expect("it is later than 1970")
}
