//! `xbtctl`: queues sends, lists transfers, answers offers. A thin client of `xbtd`: one file per command.

mod ask;
mod cli;
mod commands;
mod complete;
mod context;
mod describe;
mod failure;
mod format;
mod json;
mod out;
mod paging;
mod paths;
#[cfg(test)]
mod reference;
#[cfg(test)]
mod sample;
mod spool;
mod table;
mod text;
mod time;
mod wait;

use std::process::ExitCode;

use clap::{CommandFactory, Parser};
use clap_complete::CompleteEnv;
use tokio::signal::ctrl_c;

use crate::cli::Cli;
use crate::context::Context;
use crate::failure::Failure;
use crate::out::Out;

fn main() -> ExitCode {
    // A shell that asks for proposals is answered here, and that is all.
    CompleteEnv::with_factory(Cli::command).var(complete::VARIABLE).complete();
    let cli = match Cli::try_parse() {
        Ok(cli) => cli,
        Err(error) => return cli::explain_usage(&error),
    };
    let out = Out::new(cli.json, cli.quiet, cli.color);
    // Nothing here needs more than one thread.
    let runtime = match tokio::runtime::Builder::new_current_thread().enable_all().build() {
        Ok(runtime) => runtime,
        Err(error) => return out.fail(&Failure::local(format!("cannot start: {error}"))),
    };
    let context = Context::new(out, cli.socket);
    let result = runtime.block_on(async {
        tokio::select! {
            // The interrupt wins over a result that comes at the same moment.
            biased;
            _ = ctrl_c() => Err(context.interrupted()),
            result = commands::run(&context, cli.command) => result,
        }
    });
    // Reading stdin cannot be interrupted; the thread that does it ends with the process.
    runtime.shutdown_background();
    match result.and_then(|()| Ok(context.out.flush()?)) {
        Ok(()) => ExitCode::SUCCESS,
        Err(failure) => context.out.fail(&failure),
    }
}
