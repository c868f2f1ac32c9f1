//! `make pictures`: records what the documents show of a terminal, with real daemons and a private Prosody.
#![allow(clippy::panic, clippy::unwrap_used, reason = "a recording that goes wrong ends by unwinding, which cleans up")]

use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::{Duration, Instant};
use std::{env, fs, thread};

use xbt_tests::content::MIB;
use xbt_tests::daemon::jid;
use xbt_tests::picture::{Pane, draw};
use xbt_tests::terminal::Terminal;
use xbt_tests::{Daemon, Stage, programs};

/// Time between two looks at the terminals.
const FRAME: Duration = Duration::from_millis(150);
/// Time between two keys of a person who types.
const KEY: Duration = Duration::from_millis(55);

fn main() {
    let folder = PathBuf::from(env::args_os().nth(1).expect("pictures FOLDER"));
    fs::create_dir_all(&folder).expect("the folder can be made");
    hand_over(&folder.join("hand-over.svg"));
    stills(&folder);
}

/// A send from one terminal to the other, as the README shows it.
fn hand_over(path: &Path) {
    let stage = Stage::unlimited();
    let alice = stage.person("alice").with("network.upload_limit", "32 MiB/s").online();
    let bob = stage.online("bob");
    holiday(&alice, 48, 3 * MIB);
    let mut film = Film::new(&[(&alice, 7, "alice"), (&bob, 8, "bob")]);
    film.types(0, "xbtctl send Bob Pictures/holiday -m \"Enjoy!\" --wait");
    bob.ctl.offer("holiday");
    film.goes_on(1.2);
    film.types(1, "xbtctl list");
    film.goes_on(1.5);
    film.types(1, "xbtctl accept 1 --wait");
    film.until(1, "done");
    film.until(0, "done");
    film.types(1, "ls Downloads/holiday | head -3");
    film.goes_on(0.6);
    film.write(path);
}

/// Single sights: a list, a detailed look, the whole screen.
fn stills(folder: &Path) {
    let stage = Stage::unlimited();
    let alice = stage.person("alice").with("network.upload_limit", "12 MiB/s").online();
    let (bob, dave) = (stage.online("bob"), stage.online("dave"));
    holiday(&alice, 8, 40 * MIB);
    fs::write(alice.home().join("minutes.pdf"), vec![7; 180_000]).unwrap();
    for (to, path) in [("bob", "minutes.pdf"), ("bob", "Pictures/holiday"), ("dave", "Pictures/holiday")] {
        alice.ctl.ok(&["send", &jid(to), path]);
    }
    let minutes = bob.ctl.offer("minutes.pdf");
    bob.ctl.accept(minutes);
    bob.ctl.reaches(minutes, "done");
    for person in [&bob, &dave] {
        let offer = person.ctl.offer("holiday");
        person.ctl.accept(offer);
        person.ctl.reaches(offer, "receiving");
    }
    dave.ctl.ok(&["send", &jid("alice"), &stage.file("song.flac", 31 * MIB).to_string_lossy()]);
    alice.ctl.offer("song.flac");
    let mut dave = dave;
    dave.stop();
    still(&alice, 10, "list", "song.flac", &folder.join("list.svg"));
    still(&alice, 32, "show 2", "IMG_4108", &folder.join("show.svg"));
    let mut film = Film::new(&[(&alice, 24, "alice")]);
    film.types(0, "xbtctl top");
    film.until(0, "sending");
    // The graphs need a past.
    thread::sleep(Duration::from_secs(8));
    film.panes = vec![Pane::new("xbtctl top", 24, COLUMNS)];
    film.look();
    film.write(&folder.join("top.svg"));
}

fn still(person: &Daemon, lines: u16, command: &str, until: &str, path: &Path) {
    let mut film = Film::new(&[(person, lines, "alice")]);
    film.types(0, &format!("xbtctl {command}"));
    film.until(0, until);
    film.goes_on(0.5);
    film.panes = vec![Pane::new("alice", lines, COLUMNS)];
    film.look();
    film.write(path);
}

/// `files` photographs.
fn holiday(person: &Daemon, files: u64, size: u64) {
    fs::create_dir(person.home().join("Pictures")).unwrap();
    let folder = person.home().join("Pictures/holiday");
    fs::create_dir(&folder).unwrap();
    for number in 1..=files {
        let size = size + number * number * 12_319 % MIB;
        xbt_tests::content::file(&folder.join(format!("IMG_{:04}.jpg", 4100 + number)), size, number);
    }
}

const COLUMNS: u16 = 100;

/// Terminals that are being looked at.
struct Film {
    seats: Vec<Terminal>,
    panes: Vec<Pane>,
    start: Instant,
}

impl Film {
    fn new(people: &[(&Daemon, u16, &str)]) -> Self {
        let seats: Vec<_> = people.iter().map(|(person, lines, name)| shell(person, *lines, name)).collect();
        for seat in &seats {
            seat.sees("$");
        }
        let panes = people.iter().map(|(_, lines, name)| Pane::new(name, *lines, COLUMNS)).collect();
        let mut film = Self { seats, panes, start: Instant::now() };
        film.look();
        film
    }

    fn look(&mut self) {
        let at = self.start.elapsed();
        for (seat, pane) in self.seats.iter().zip(&mut self.panes) {
            pane.take(at, &seat.cells());
        }
    }

    fn types(&mut self, seat: usize, line: &str) {
        for key in line.chars() {
            self.seats[seat].types(&key.to_string());
            thread::sleep(KEY);
            self.look();
        }
        self.goes_on(0.3);
        self.seats[seat].types("\r");
        self.goes_on(0.3);
    }

    fn goes_on(&mut self, seconds: f64) {
        let end = Instant::now() + Duration::from_secs_f64(seconds);
        while Instant::now() < end {
            thread::sleep(FRAME);
            self.look();
        }
    }

    /// Looks on until a terminal shows something.
    fn until(&mut self, seat: usize, text: &str) {
        for _ in 0..400 {
            if self.seats[seat].sight().contains(text) {
                return;
            }
            self.goes_on(0.15);
        }
        panic!("{text:?} never appeared:\n{}", self.seats[seat].sight());
    }

    fn write(self, path: &Path) {
        let svg = draw(&self.panes);
        println!("{}: {} KiB", path.display(), svg.len() / 1024);
        fs::write(path, svg).expect("the picture can be written");
    }
}

/// A shell in which `xbtctl` is known, with a short prompt.
fn shell(person: &Daemon, lines: u16, name: &str) -> Terminal {
    let known = person.ctl.command(&[]);
    let mut command = Command::new("bash");
    command.args(["--norc", "--noprofile", "-i"]);
    command.current_dir(person.home());
    command.envs(known.get_envs().filter_map(|(name, value)| Some((name, value?))));
    let path = env::var("PATH").unwrap_or_default();
    // Only colours, so that the line editor knows how wide it is.
    command.env("PS1", format!("\\[\\e[1;36m\\]{name}\\[\\e[0m\\] $ "));
    command.env("PATH", format!("{}:{path}", programs::folder().display()));
    Terminal::sized(&command, lines, COLUMNS)
}
