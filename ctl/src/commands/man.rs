//! `xbtctl man [--dir DIR]`

use std::path::PathBuf;

use clap::CommandFactory;
use clap_mangen::Man;

use crate::cli::Cli;
use crate::context::Context;
use crate::failure::Failure;

/// Where to.
#[derive(Debug, clap::Args)]
pub struct Args {
    /// Write a page for every command into this folder
    #[arg(long, value_name = "DIR")]
    dir: Option<PathBuf>,
}

/// Prints the manual page, or writes all of them.
pub fn run(context: &Context, args: Args) -> Result<(), Failure> {
    match args.dir {
        Some(dir) => std::fs::create_dir_all(&dir)
            .and_then(|()| clap_mangen::generate_to(Cli::command(), &dir))
            .map_err(|error| Failure::local(format!("the pages cannot be written to {}: {error}", dir.display()))),
        None => {
            let mut page = Vec::new();
            Man::new(Cli::command()).render(&mut page)?;
            context.out.line(&String::from_utf8_lossy(&page))?;
            Ok(())
        }
    }
}
