//! Commands of the person: run without a terminal, bounded in time and output, ended with all that they started.

use std::io;
use std::process::{ExitStatus, Stdio};
use std::time::Duration;

use rustix::process::{Pid, Signal, kill_process_group};
use tokio::io::{AsyncRead, AsyncReadExt};
use tokio::process::{Child, Command};

/// Most bytes that are kept of what a command prints, on each of its two outputs.
const MAX_OUTPUT: usize = 64 * 1024;

/// How long what a command printed may take to arrive once it has ended.
const DRAIN_TIME: Duration = Duration::from_secs(1);

/// What a command left behind.
pub(crate) struct Output {
    pub status: ExitStatus,
    pub stdout: Vec<u8>,
    pub stderr: Vec<u8>,
}

/// Why there is no output.
#[derive(Debug, thiserror::Error)]
pub(crate) enum RunError {
    /// It could not be started.
    #[error("cannot be run: {0}")]
    Start(io::Error),
    /// It was started, and what it does cannot be seen.
    #[error("could not be followed: {0}")]
    Follow(io::Error),
    /// It took too long, and was killed.
    #[error("took longer than {} s and was killed", .0.as_secs())]
    TooLong(Duration),
}

/// Kills a process group when it is dropped, unless its leader has been waited for: then the number may already be
/// somebody else's.
struct Group(Option<Pid>);

impl Drop for Group {
    fn drop(&mut self) {
        if let Some(group) = self.0.take() {
            // An error means that nobody of it is left.
            let _ = kill_process_group(group, Signal::KILL);
        }
    }
}

/// Runs a command until it ends. When its time is over, or the future is dropped, it is killed, and with it everything
/// that it started and that has not left its process group. What it leaves running once it has ended is its own affair.
///
/// # Errors
/// It cannot be started or followed, or takes too long.
pub(crate) async fn run(command: &mut Command, time: Duration) -> Result<Output, RunError> {
    command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
    // Its own group, so that a pipeline can be ended as a whole.
    let mut child = command.process_group(0).kill_on_drop(true).spawn().map_err(RunError::Start)?;
    let mut group = Group(child.id().and_then(|id| Pid::from_raw(id.cast_signed())));
    match tokio::time::timeout(time, output(&mut child, &mut group)).await {
        Ok(output) => output.map_err(RunError::Follow),
        Err(_) => {
            drop(group);
            let _ = child.wait().await;
            Err(RunError::TooLong(time))
        }
    }
}

async fn output(child: &mut Child, group: &mut Group) -> io::Result<Output> {
    let (out, err) = (child.stdout.take(), child.stderr.take());
    let (mut stdout, mut stderr) = (Vec::new(), Vec::new());
    let status = {
        let reading = async { tokio::try_join!(keep(out, &mut stdout), keep(err, &mut stderr)) };
        tokio::pin!(reading);
        tokio::select! {
            read = &mut reading => {
                read?;
                let status = child.wait().await;
                group.0 = None;
                status?
            }
            status = child.wait() => {
                group.0 = None;
                // An agent that the command left running may hold the pipes open for ever.
                if let Ok(read) = tokio::time::timeout(DRAIN_TIME, &mut reading).await {
                    read?;
                }
                status?
            }
        }
    };
    Ok(Output { status, stdout, stderr })
}

/// Keeps the beginning of a stream; the rest is read and dropped, so that its writer does not fail or wait.
async fn keep(stream: Option<impl AsyncRead + Unpin>, kept: &mut Vec<u8>) -> io::Result<()> {
    let Some(mut stream) = stream else { return Ok(()) };
    let mut chunk = [0; 4096];
    loop {
        let read = stream.read(&mut chunk).await?;
        if read == 0 {
            return Ok(());
        }
        let room = MAX_OUTPUT.saturating_sub(kept.len()).min(read);
        kept.extend(chunk.iter().take(room));
    }
}

/// The last thing that a command complained about, for the end of a sentence: one line of at most 200 characters.
pub(crate) fn last_line(stderr: &[u8]) -> String {
    let text = String::from_utf8_lossy(stderr);
    match text.lines().rfind(|line| !line.trim().is_empty()) {
        Some(line) => {
            let line: String = line.trim().chars().take(200).map(|c| if c.is_control() { ' ' } else { c }).collect();
            format!(": {line}")
        }
        None => String::new(),
    }
}
