//! `xbtctl limit [ID…] [--up RATE] [--down RATE] [--priority low|normal|high]`

use xbt_api::{LimitChange, Priority};

use crate::complete;
use crate::context::Context;
use crate::describe;
use crate::failure::Failure;
use crate::text::{parse_id, parse_rate};

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
    /// IDs of transfers, as in 'xbtctl list'; without any, limits everything together
    #[arg(value_name = "ID", value_parser = parse_id, add = complete::open())]
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
        return all(context, args.rates.needed()?).await;
    }
    let change = if priority.is_some() { args.rates.change() } else { args.rates.needed()? };
    let changed = context.connect().await?.limit(args.ids, change, priority).await?;
    context.changed(&changed, "limited")
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
