//! `make bench`: xbt beside everything that people use, in one run. Let nothing else run, and build it for release.
#![allow(clippy::panic, reason = "a fault ends the measurement by unwinding, which cleans up")]

use std::env;
use std::path::PathBuf;
use std::process::ExitCode;
use std::thread;
use std::time::Duration;

use xbt_tests::bench::parts::{Effort, PARTS};
use xbt_tests::bench::{bars, report::Report};
use xbt_tests::wait;

fn main() -> ExitCode {
    let only = env::var("ONLY").unwrap_or_default();
    let wanted: Vec<&str> = only.split(',').filter(|name| !name.is_empty()).collect();
    if let Some(unknown) = wanted.iter().find(|name| PARTS.iter().all(|(part, _)| part != *name)) {
        let parts: Vec<_> = PARTS.iter().map(|(part, _)| *part).collect();
        eprintln!("error: there is no part {unknown:?}\nhint: ONLY takes some of {}", parts.join(","));
        return ExitCode::from(2);
    }
    let parts: Vec<_> = PARTS.into_iter().filter(|(name, _)| wanted.is_empty() || wanted.contains(name)).collect();
    let quick = env::var_os("QUICK").is_some_and(|value| !value.is_empty());
    let effort = Effort { rounds: if quick { 1 } else { 5 }, quick };
    // The work has a thread of its own, so that an interrupt can end it by unwinding, which stops the programs and removes the files.
    let work = thread::spawn(move || {
        let folder = PathBuf::from(env::args_os().nth(1).unwrap_or_else(|| "target/bench".into()));
        let mut report = Report::new(&folder);
        for (name, part) in parts {
            let value = part(effort);
            report.add(name, value);
        }
        bars::judge(&mut report);
    });
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
    if let Ok(runtime) = runtime {
        runtime.block_on(async {
            let mut tick = tokio::time::interval(Duration::from_millis(50));
            while !work.is_finished() {
                tokio::select! {
                    _ = tokio::signal::ctrl_c() => wait::interrupt(),
                    _ = tick.tick() => (),
                }
            }
        });
    }
    match work.join() {
        Ok(()) => ExitCode::SUCCESS,
        Err(_) if wait::interrupted() => ExitCode::from(130),
        Err(_) => ExitCode::FAILURE,
    }
}
