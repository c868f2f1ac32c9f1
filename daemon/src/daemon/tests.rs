//! The daemon as a whole, as far as no server is needed.

#![allow(clippy::unwrap_used)]

use std::path::{Path, PathBuf};
use std::sync::mpsc;
use std::time::Duration;

use super::{Config, Daemon, keep_until_restart, server_ports};
use crate::supervisor::Supervisor;

/// A configuration with further keys in `[account]` and `[network]`.
fn config(account: &str, network: &str) -> Config {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("xbtd.toml");
    let text = format!("[account]\njid = \"alice@example.org\"\n{account}\n[network]\n{network}\n");
    std::fs::write(&file, text).unwrap();
    Config::load(&file).unwrap()
}

/// The keys that wait for a restart, and what is taken over.
fn reloaded(old: &Config, new: &Config) -> (Vec<&'static str>, Config) {
    let mut new = new.clone();
    (keep_until_restart(old, &mut new), new)
}

#[test]
fn what_can_be_taken_over_is_and_what_waits_is_named() {
    let usual = config("", "");
    let (waiting, now) = reloaded(&usual, &config("", "map_port = false\nlisten = []\nupload_limit = 1000"));
    assert_eq!(waiting, ["network.listen", "network.map_port"]);
    assert_eq!((now.network.upload_limit, now.network.map_port), (1000, usual.network.map_port));
    assert_eq!(now.network.listen, usual.network.listen);
}

#[test]
fn ways_that_are_forbidden_while_the_daemon_runs_are_not_said_to_be_taken_over() {
    let usual = config("", "");
    let others = ["ways = [\"proxy65\", \"in-band\"]", "map_port = false", "advertise = [\"192.0.2.1:5000\"]"];
    assert!(others.into_iter().all(|other| reloaded(&usual, &config("", other)).0.len() == 1));
    assert!(reloaded(&usual, &config("", "upload_limit = 1000")).0.is_empty());
}

#[test]
fn another_port_of_the_server_needs_a_restart_because_links_are_kept_away_from_it() {
    let at = |server: &str| config(&format!("server = \"{server}\""), "");
    assert_eq!(reloaded(&at("localhost:15222"), &at("localhost:15223")).0, ["account.server"]);
    assert_eq!(reloaded(&config("", ""), &at("localhost:15222")).0, ["account.server"]);
    assert!(reloaded(&at("localhost:15222"), &at("xmpp.example.org:15222")).0.is_empty(), "a login is enough");
}

#[test]
fn contacts_cannot_have_us_dial_a_server_of_our_own() {
    assert!([5222, 5223, 5269].iter().all(|port| server_ports(None).contains(port)));
    assert!(server_ports(Some(15222)).contains(&15222));
}

/// Writes a configuration that needs no network; returns its file, the socket and the folder for the state.
fn alone(folder: &Path) -> (PathBuf, PathBuf, PathBuf) {
    let [file, socket, state, downloads] =
        ["xbtd.toml", "run/xbtd.sock", "state", "downloads"].map(|name| folder.join(name));
    let files = format!("state_dir = {state:?}\ndownload_dir = {downloads:?}\nsocket = {socket:?}");
    let network = "listen = [\"127.0.0.1:0\"]\nmap_port = false";
    let text = format!("[account]\njid = \"alice@localhost\"\n[files]\n{files}\n[network]\n{network}\n");
    std::fs::write(&file, text).unwrap();
    (file, socket, state)
}

#[tokio::test(flavor = "multi_thread")]
async fn a_state_that_can_never_be_written_ends_the_daemon_and_says_why() {
    let folder = tempfile::tempdir().unwrap();
    let (file, socket, state) = alone(folder.path());
    let mut daemon = Daemon::start(file.clone(), None, Supervisor::new(None, None)).await.unwrap();
    let failure = daemon.failure();
    let database = rusqlite::Connection::open(state.join("xbt.db")).unwrap();
    database.execute_batch("DROP TABLE transfers").unwrap();
    let client = xbt_api::Client::connect(&socket).await.unwrap();
    let path = file.display().to_string();
    let send =
        xbt_api::SendRequest { contacts: vec!["alice@localhost".into()], paths: vec![path], ..Default::default() };
    let refused = client.send(send).await.unwrap_err();
    let fault = failure.await;
    assert_eq!(fault.code, "database-failed", "{fault:?}");
    assert!(refused.to_string().contains(&fault.message), "{refused}");
    daemon.stop().await;
}

/// The fake manager bears a second of silence.
#[tokio::test(flavor = "multi_thread")]
async fn signs_of_life_end_while_the_driver_hangs_although_everything_else_goes_on() {
    let folder = tempfile::tempdir().unwrap();
    let (file, socket, _) = alone(folder.path());
    let (sender, heard) = mpsc::channel();
    let tell = move |state: &sd_notify::NotifyState<'_>| sender.send(state.to_string()).unwrap_or_default();
    let limit = Duration::from_secs(1);
    let daemon = Daemon::start(file, None, Supervisor::new(Some(Box::new(tell)), Some(limit))).await.unwrap();
    let sign = |patience: Duration| {
        let end = std::time::Instant::now() + patience;
        let left = || end.saturating_duration_since(std::time::Instant::now());
        std::iter::from_fn(|| heard.recv_timeout(left()).ok()).any(|notice| notice == "WATCHDOG=1")
    };
    let soon = Duration::from_secs(30);
    assert!(sign(soon) && sign(soon), "while nothing happens");
    let ((go, gone), (begun, hangs)) = (mpsc::channel(), mpsc::channel());
    let handle = daemon.handle.clone();
    let hung = tokio::spawn(async move { handle.hang(begun, gone).await });
    hangs.recv_timeout(soon).unwrap();
    let client = xbt_api::Client::connect(&socket).await.unwrap();
    let stuck = tokio::time::timeout(limit, client.status()).await;
    assert!(stuck.is_err(), "the driver hangs");
    let _ = heard.try_iter().count();
    assert!(!sign(2 * limit), "a hung loop is silent");
    // The socket is served by others.
    xbt_api::Client::connect(&socket).await.unwrap();
    go.send(()).unwrap();
    hung.await.unwrap().unwrap();
    assert!(sign(soon), "and lives again");
    daemon.stop().await;
}
