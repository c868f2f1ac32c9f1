//! `xbtd`: see `xbtd --help` and the manual page.

use std::io::Write;
use std::path::PathBuf;
use std::pin::pin;
use std::process::ExitCode;

use clap::Parser;
use tokio::signal::unix::{SignalKind, signal};
use xbt_core::fault::Fault;
use xbtd::config;
use xbtd::daemon::Daemon;
use xbtd::supervisor::{self, Supervisor};
use xbtd::try_login;

/// The xbt daemon: sends files to XMPP contacts and receives them.
///
/// Runs in the foreground and logs to stderr. SIGTERM and SIGINT stop it, SIGHUP reloads the configuration. XBT_LOG
/// filters the log, for example XBT_LOG=debug.
#[derive(Parser)]
#[command(name = "xbtd", version)]
struct Args {
    /// The configuration file [default: $XDG_CONFIG_HOME/xbt/xbtd.toml]
    #[arg(long, value_name = "FILE")]
    config: Option<PathBuf>,
    /// Check the configuration and exit
    #[arg(long)]
    check_config: bool,
    /// Log in once with the configuration, print the result as one line of JSON, and exit
    #[arg(long, conflicts_with = "check_config")]
    try_login: bool,
    /// Create the configured account at its server, print the result as one line of JSON, and exit
    #[arg(long, conflicts_with_all = ["check_config", "try_login"])]
    register: bool,
}

fn main() -> ExitCode {
    let args = Args::parse();
    let file = args.config.unwrap_or_else(config::default_path);
    if args.try_login {
        return once(try_login::try_login(&file));
    }
    if args.register {
        return once(try_login::register(&file));
    }
    let result = if args.check_config {
        config::check(&file).map(|summary| println!("{summary}")).map_err(Fault::from)
    } else {
        serve(file)
    };
    match result {
        Ok(()) => ExitCode::SUCCESS,
        Err(fault) => {
            eprintln!("error: {}", fault.message);
            if !fault.hint.is_empty() {
                eprintln!("hint: {}", fault.hint);
            }
            ExitCode::FAILURE
        }
    }
}

/// Prints one line on standard output, for programs.
fn once(attempt: impl Future<Output = Result<String, Fault>>) -> ExitCode {
    let system = |error: std::io::Error| {
        Fault::new("system", format!("the daemon cannot run: {error}"), "the system is short of something")
    };
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().map_err(system);
    let result = runtime.and_then(|runtime| runtime.block_on(attempt));
    // Without a reader the exit code still tells.
    let _ = writeln!(std::io::stdout(), "{}", try_login::report(&result));
    if result.is_ok() { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}

fn serve(file: PathBuf) -> Result<(), Fault> {
    xbtd::log::init()?;
    let system = |error: std::io::Error| {
        let hint = "the system is short of something; its log may say of what";
        Fault::new("system", format!("the daemon cannot run: {error}"), hint)
    };
    // Before the runtime opens files of its own.
    let socket = supervisor::inherited_socket().map_err(|error| {
        let hint = "see `ListenStream` in the socket unit: it has to name one path";
        Fault::new("socket-unusable", format!("the socket that systemd hands over cannot be used: {error}"), hint)
    })?;
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build().map_err(system)?;
    let result = runtime.block_on(async {
        let mut stop = signal(SignalKind::terminate()).map_err(system)?;
        let mut interrupt = signal(SignalKind::interrupt()).map_err(system)?;
        let mut reload = signal(SignalKind::hangup()).map_err(system)?;
        let mut daemon = Daemon::start(file, socket, Supervisor::from_env()).await?;
        supervisor::ready();
        let mut failure = pin!(daemon.failure());
        let mut result = Ok(());
        let mut connecting = true;
        loop {
            tokio::select! {
                fault = &mut failure => {
                    result = Err(fault);
                    break;
                }
                () = daemon.connect(), if connecting => connecting = false,
                _ = stop.recv() => break,
                _ = interrupt.recv() => break,
                _ = reload.recv() => connecting |= daemon.reload().await,
            }
        }
        supervisor::stopping();
        daemon.stop().await;
        result
    });
    // What still blocks (a slow disk) must not hold the end up.
    runtime.shutdown_background();
    result
}
