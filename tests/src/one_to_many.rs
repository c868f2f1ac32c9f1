//! One sender with a limit and several recipients: how long until all have everything, and what the sender sent.

use std::path::Path;
use std::time::{Duration, Instant};

use crate::content;
use crate::ctl::text;
use crate::daemon::{Daemon, jid};
use crate::stage::{Stage, recipient};

/// Longer than the slowest that is of interest: everybody served alone, one after the other.
const LONG: Duration = Duration::from_secs(600);

/// What was measured.
#[derive(Clone, Copy, Debug)]
pub struct Shared {
    /// From the first accept until the last recipient had everything verified and in place.
    pub took: Duration,
    /// Payload bytes that left the sender.
    pub uploaded: u64,
    /// The content's bytes.
    pub size: u64,
    /// The sender's limit in bytes per second.
    pub rate: u64,
}

impl Shared {
    /// `took` in units of the time that sending it once takes.
    pub fn times(&self) -> f64 {
        self.took.as_secs_f64() * self.rate as f64 / self.size as f64
    }
}

/// A crowd with a sender that is limited to `rate` bytes per second, everybody online.
pub fn crowd(recipients: usize, rate: u64) -> (Stage, Daemon, Vec<Daemon>) {
    let stage = Stage::crowd(recipients);
    let alice = stage.person("alice").with("network.upload_limit", format!("{rate} B/s")).online();
    let others: Vec<Daemon> = (1..=recipients).map(|number| stage.online(&recipient(number))).collect();
    (1..=recipients).for_each(|number| alice.ctl.sees(&jid(&recipient(number))));
    (stage, alice, others)
}

/// Sends one file to all of them in one send; the numbers of the transfers at the sender, and at each recipient.
pub fn send_to_all(alice: &Daemon, others: &[Daemon], source: &Path) -> (Vec<u64>, Vec<u64>) {
    let jids: Vec<String> = (1..=others.len()).map(|number| jid(&recipient(number))).collect();
    let mut args = vec!["send", jids[0].as_str()];
    jids[1..].iter().for_each(|jid| args.extend(["--to", jid]));
    args.push(text(source));
    let sent = alice.ctl.json_lines(&args).iter().map(crate::ctl::id).collect();
    let name = source.file_name().and_then(|name| name.to_str()).expect("a name of our own");
    (sent, others.iter().map(|one| one.ctl.offer(name)).collect())
}

/// Sends `size` random bytes at `rate` bytes per second to so many recipients who do not know each other.
///
/// # Panics
/// When anybody does not get what was sent.
pub fn one_to_many(recipients: usize, size: u64, rate: u64) -> Shared {
    let (stage, alice, others) = crowd(recipients, rate);
    let source = stage.file("shared.bin", size);
    let (sent, got) = send_to_all(&alice, &others, &source);
    let begun = Instant::now();
    let accept = |(one, id): (&Daemon, &u64)| one.ctl.spawn(&["accept", &id.to_string(), "--wait"]);
    let running: Vec<_> = others.iter().zip(&got).map(accept).collect();
    for one in running {
        let ran = one.ends_within(LONG);
        assert_eq!(ran.code, Some(0), "{ran:?}");
    }
    let took = begun.elapsed();
    sent.iter().for_each(|id| drop(alice.ctl.reaches(*id, "done")));
    let uploaded = sent.iter().filter_map(|id| alice.ctl.show(*id)["uploaded"].as_u64()).sum();
    for one in &others {
        assert_eq!(content::hash(&one.downloads().join("shared.bin")), content::hash(&source), "{}", one.name());
    }
    Shared { took, uploaded, size, rate }
}
