//! `xbtctl limit [ID…] [--up RATE] [--down RATE] [--priority low|normal|high]`

use xbt_api::{LimitChange, Priority};

use crate::complete;
use crate::context::Context;
use crate::describe;
use crate::failure::Failure;
use crate::text::{parse_id, parse_rate};
use crate::time::Clock;

/// New limits, here and for contacts.
#[derive(Clone, Copy, Debug, clap::Args)]
pub struct Rates {
    /// Upload limit, such as '2 MiB/s'; 0 for none
    #[arg(long, value_name = "RATE", value_parser = parse_rate)]
    up: Option<u64>,

    /// Download limit; 0 for none
    #[arg(long, value_name = "RATE", value_parser = parse_rate)]
    down: Option<u64>,
}

/// Which transfers, and how fast.
#[derive(Debug, clap::Args)]
pub struct Args {
    /// IDs of transfers, as in 'xbtctl list'; without any, limits everything together, or shows those limits
    #[arg(value_name = "ID", value_parser = parse_id_or_unit, add = complete::open())]
    ids: Vec<u64>,

    #[command(flatten)]
    rates: Rates,

    /// Share of the limits: each step gets four times what the one below gets
    #[arg(long, value_enum)]
    priority: Option<Step>,
}

#[derive(Clone, Copy, Debug, clap::ValueEnum)]
enum Step {
    Low,
    Normal,
    High,
}

/// A number, but not the unit of a rate that was written in two words.
fn parse_id_or_unit(text: &str) -> Result<u64, String> {
    match text.trim_end_matches("/s") {
        "B" | "kB" | "KB" | "KiB" | "MB" | "MiB" | "GB" | "GiB" => {
            Err("a rate with a space in it is written in quotes: --up '5 MB/s', or --up 5MB/s".to_owned())
        }
        _ => parse_id(text),
    }
}

impl Rates {
    /// What is to change.
    pub fn change(self) -> LimitChange {
        LimitChange { upload: self.up, download: self.down }
    }

    /// Refused here, where it can be said in the words of the command line.
    pub fn needed(self) -> Result<LimitChange, Failure> {
        match self {
            Self { up: None, down: None } => {
                Err(Failure::usage("no limit given", "give --up or --down, such as --up '2 MiB/s'; 0 means none"))
            }
            Self { .. } => Ok(self.change()),
        }
    }
}

impl From<Step> for Priority {
    fn from(step: Step) -> Self {
        match step {
            Step::Low => Self::Low,
            Step::Normal => Self::Normal,
            Step::High => Self::High,
        }
    }
}

/// Changes limits.
pub async fn run(context: &Context, args: Args) -> Result<(), Failure> {
    let priority = args.priority.map(Priority::from);
    if args.ids.is_empty() {
        if priority.is_some() {
            return Err(Failure::usage("a priority needs a transfer", "name them: xbtctl limit ID… --priority …"));
        }
        return match args.rates {
            Rates { up: None, down: None } => show(context).await,
            rates => all(context, rates.change()).await,
        };
    }
    let change = if priority.is_some() { args.rates.change() } else { args.rates.needed()? };
    let changed = context.connect().await?.limit(args.ids, change, priority).await?;
    context.changed(&changed, "limited")
}

/// Without anything to change: what holds.
async fn show(context: &Context) -> Result<(), Failure> {
    let status = context.connect().await?.status().await?;
    if context.out.json {
        return Ok(context.out.json_line(&status.limits)?);
    }
    let told = describe::in_force(&status, &Clock::new(true)).unwrap_or_else(|| "not limited".to_owned());
    context.out.line(&format!("everything together: {told}"))?;
    context.out.note("xbtctl limit --up '2 MiB/s' changes it; 0 means none");
    Ok(())
}

async fn all(context: &Context, change: LimitChange) -> Result<(), Failure> {
    let limits = context.connect().await?.limit_all(change).await?;
    if context.out.json {
        return Ok(context.out.json_line(&limits)?);
    }
    let told = describe::limits(limits).unwrap_or_else(|| "no limit".to_owned());
    let until = "until the configuration is reloaded";
    Ok(context.out.remark(&format!("everything together: {told} ({until})"))?)
}
