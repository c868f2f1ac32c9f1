//! `xbtctl completions SHELL`

use clap::CommandFactory;
use clap_complete::Shell;

use super::Context;
use crate::cli::Cli;
use crate::failure::Failure;

/// Which shell.
#[derive(Debug, clap::Args)]
pub struct Args {
    /// The shell to complete in
    #[arg(value_enum)]
    shell: Shell,
}

/// Prints a completion script.
pub fn run(context: &Context, args: Args) -> Result<(), Failure> {
    // Into memory first: the generator panics when it cannot write.
    let mut script = Vec::new();
    clap_complete::generate(args.shell, &mut Cli::command(), "xbtctl", &mut script);
    context.out.line(&String::from_utf8_lossy(&script))?;
    Ok(())
}
