//! Where the programs under test lie.

use std::env;
use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::time::SystemTime;

use crate::process::path;

/// The daemon, as built together with this test.
pub fn xbtd() -> PathBuf {
    built("xbtd")
}

/// The command line client, as built together with this test.
pub fn xbtctl() -> PathBuf {
    built("xbtctl")
}

/// The program that shows notifications, as built together with this test.
pub fn xbt_notify() -> PathBuf {
    built("xbt-notify")
}

/// The system's Prosody, or else the one that `tests/setup-demo.sh` has fetched beside the programs.
pub fn prosody() -> PathBuf {
    let places = path();
    let installed = env::split_paths(&places).map(|place| place.join("prosody"));
    let fetched = folder().parent().map(|target| target.join("prosody/prosody"));
    let is_program =
        |file: &PathBuf| fs::metadata(file).is_ok_and(|data| data.is_file() && data.permissions().mode() & 0o111 != 0);
    installed
        .chain(fetched)
        .find(is_program)
        .expect("Prosody is missing: run `make setup`, or `make demo`, or install the package prosody")
}

/// The folder of the programs: `target/<profile>`, where this program lies (or, for a test, the folder above its own).
pub fn folder() -> PathBuf {
    let me = env::current_exe().expect("a running program has a path");
    let near = me.parent().expect("a program lies in a folder");
    if near.ends_with("deps") { near.parent().expect("deps lies in a folder").to_owned() } else { near.to_owned() }
}

/// The name of the cargo profile that this program was built with, for the reader of a measurement.
pub fn profile() -> String {
    folder().file_name().map_or_else(|| "unknown".into(), |name| name.to_string_lossy().into_owned())
}

fn built(name: &str) -> PathBuf {
    let path = folder().join(name);
    assert!(
        path.is_file(),
        "{} is missing: run `make test`, or `cargo build --workspace` before the tests",
        path.display()
    );
    if let Some(newer) = newer_source(&path) {
        panic!(
            "{} is older than {}: run `make test`, or `cargo build --workspace` before the tests",
            path.display(),
            newer.display()
        );
    }
    path
}

/// A source of the program that changed after the program was built, by the list that cargo leaves beside it.
fn newer_source(program: &Path) -> Option<PathBuf> {
    let built = modified(program)?;
    let list = fs::read_to_string(program.with_extension("d")).ok()?;
    let (_, sources) = list.split_once(": ")?;
    let sources = sources.trim_end().replace("\\ ", "\0");
    sources
        .split(' ')
        .map(|source| PathBuf::from(source.replace('\0', " ")))
        .find(|source| modified(source).is_some_and(|changed| changed > built))
}

fn modified(path: &Path) -> Option<SystemTime> {
    fs::metadata(path).and_then(|data| data.modified()).ok()
}
