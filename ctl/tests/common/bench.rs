//! A home with a fake daemon in it, in which `xbtctl` runs.

use std::path::PathBuf;
use std::process::{ExitStatus, Stdio};
use std::sync::{Arc, MutexGuard};
use std::time::Duration;

use futures::{StreamExt, future};
use tarpc::server::{BaseChannel, Channel};
use tempfile::TempDir;
use tokio::process::{Child, Command};
use tokio::sync::watch;
use tokio::task::JoinHandle;
use tokio_serde::formats::Json;
use xbt_api::Xbt;

use super::{FakeDaemon, World};

/// A running fake daemon and a home of its own.
pub struct Bench {
    pub dir: TempDir,
    pub daemon: FakeDaemon,
    server: JoinHandle<()>,
}

/// What a run of `xbtctl` gave.
pub struct Ran {
    pub status: ExitStatus,
    pub out: String,
    pub err: String,
}

impl Ran {
    pub fn code(&self) -> i32 {
        self.status.code().unwrap_or(-1)
    }

    /// Standard output as one JSON value.
    pub fn json(&self) -> serde_json::Value {
        serde_json::from_str(&self.out).unwrap_or_else(|error| panic!("{error}: {}", self.out))
    }

    /// The error on standard error.
    pub fn json_error(&self) -> serde_json::Value {
        let value: serde_json::Value =
            serde_json::from_str(&self.err).unwrap_or_else(|error| panic!("{error}: {}", self.err));
        value["error"].clone()
    }
}

impl Bench {
    pub async fn new() -> Self {
        let dir = tempfile::tempdir().unwrap();
        let daemon = FakeDaemon { world: Arc::default(), happened: watch::Sender::new(0) };
        let socket = dir.path().join("xbtd.sock");
        let incoming = tarpc::serde_transport::unix::listen(&socket, Json::default).await.unwrap();
        let server = tokio::spawn({
            let daemon = daemon.clone();
            incoming.filter_map(|connection| future::ready(connection.ok())).for_each_concurrent(
                None,
                move |transport| {
                    let calls = BaseChannel::with_defaults(transport).execute(daemon.clone().serve());
                    calls.for_each_concurrent(None, |call| call)
                },
            )
        });
        Self { dir, daemon, server }
    }

    pub fn world(&self) -> MutexGuard<'_, World> {
        self.daemon.world.lock().unwrap()
    }

    pub fn socket(&self) -> PathBuf {
        self.dir.path().join("xbtd.sock")
    }

    /// The daemon goes, connections and all.
    pub fn kill_daemon(&self) {
        self.server.abort();
    }

    pub fn command(&self, arguments: &[&str]) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_xbtctl"));
        command
            .args(arguments)
            .env_clear()
            .env("XBT_SOCKET", self.socket())
            .env("XDG_STATE_HOME", self.dir.path().join("state"))
            .current_dir(self.dir.path())
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .kill_on_drop(true);
        command
    }

    pub async fn run(&self, arguments: &[&str]) -> Ran {
        finish(self.command(arguments).spawn().unwrap()).await
    }
}

pub async fn finish(child: Child) -> Ran {
    let output = tokio::time::timeout(Duration::from_secs(20), child.wait_with_output()).await;
    let output = output.expect("xbtctl does not end").unwrap();
    Ran {
        status: output.status,
        out: String::from_utf8(output.stdout).unwrap(),
        err: String::from_utf8(output.stderr).unwrap(),
    }
}
