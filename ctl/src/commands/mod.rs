//! One file per command.

pub mod accept;
pub mod cancel;
pub mod completions;
pub mod contacts;
pub mod decline;
mod doctor;
mod dry_run;
pub mod limit;
pub mod list;
pub mod login;
pub mod man;
mod moved;
pub mod pause;
pub mod remove;
pub mod resume;
pub mod rules;
pub mod send;
pub mod send_to;
pub mod setup;
pub mod show;
pub mod status;
mod top;
mod watch;

use crate::cli::Command;
use crate::context::Context;
use crate::failure::Failure;

/// Runs a command.
pub async fn run(context: &Context, command: Command) -> Result<(), Failure> {
    match command {
        Command::Setup(args) => setup::run(context, args).await,
        Command::Status(args) => status::run(context, args).await,
        Command::Doctor => doctor::run(context).await,
        Command::Send(args) => send::run(context, args).await,
        Command::SendTo(args) => send_to::run(context, args).await,
        Command::List(args) => list::run(context, args).await,
        Command::Show(args) => show::run(context, args).await,
        Command::Accept(args) => accept::run(context, args).await,
        Command::Decline(args) => decline::run(context, args).await,
        Command::Cancel(args) => cancel::run(context, args).await,
        Command::Pause(args) => pause::run(context, args).await,
        Command::Resume(args) => resume::run(context, args).await,
        Command::Limit(args) => limit::run(context, args).await,
        Command::Remove(args) => remove::run(context, args).await,
        Command::Contacts(args) => contacts::run(context, args).await,
        Command::Rules(args) => rules::run(context, args).await,
        Command::Top => top::run(context).await,
        Command::Login(args) => login::run(context, args).await,
        Command::Watch => watch::run(context).await,
        Command::Completions(args) => completions::run(context, args),
        Command::Man(args) => man::run(context, args),
    }
}
