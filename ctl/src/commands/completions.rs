//! `xbtctl completions SHELL`

use clap::ValueEnum;
use clap_complete::env::{Bash, Elvish, EnvCompleter, Fish, Zsh};

use crate::complete::VARIABLE;
use crate::context::Context;
use crate::failure::Failure;

/// `@` parts words for bash, and then `bob@ex` could not be completed. It asks once, when the script is read.
const BASH_PRELUDE: &str = "COMP_WORDBREAKS=${COMP_WORDBREAKS//@/}";

/// A file in `$fpath` is run as the function itself at the first proposal, which must not be lost.
const ZSH_AFTERWARDS: &str = r#"if [ "${funcstack[1]}" = _xbtctl ]; then _clap_dynamic_completer_xbtctl "$@"; fi"#;

/// Which shell.
#[derive(Debug, clap::Args)]
pub struct Args {
    /// The shell to complete in
    #[arg(value_enum)]
    shell: Shell,
}

#[derive(Clone, Copy, Debug, ValueEnum)]
enum Shell {
    Bash,
    Elvish,
    Fish,
    Zsh,
}

/// Prints a script. It calls this program for every proposal, so it knows contacts and transfers.
pub fn run(context: &Context, args: Args) -> Result<(), Failure> {
    let (shell, before, after): (&dyn EnvCompleter, &str, &str) = match args.shell {
        Shell::Bash => (&Bash, BASH_PRELUDE, ""),
        Shell::Elvish => (&Elvish, "", ""),
        Shell::Fish => (&Fish, "", ""),
        Shell::Zsh => (&Zsh, "", ZSH_AFTERWARDS),
    };
    let mut script = Vec::new();
    shell.write_registration(VARIABLE, "xbtctl", "xbtctl", "xbtctl", &mut script)?;
    let script = String::from_utf8_lossy(&script);
    for part in [before, script.trim(), after].iter().filter(|part| !part.is_empty()) {
        context.out.line(part)?;
    }
    Ok(())
}
