//! `xbtctl limit [ID…] [--up RATE] [--down RATE] [--priority low|normal|high]`

use xbt_api::{LimitChange, Limits, LimitsBy, Priority, Status};

use super::Context;
use crate::complete;
use crate::failure::Failure;
use crate::text::{parse_id, parse_rate, rate};
use crate::time::Clock;

/// New limits, here and for contacts.
#[derive(Clone, Copy, Debug, clap::Args)]
pub struct Rates {
    /// For what goes out, such as '2 MiB/s'; 0: none
    #[arg(long, value_name = "RATE", value_parser = parse_rate)]
    up: Option<u64>,

    /// For what comes in; 0: none
    #[arg(long, value_name = "RATE", value_parser = parse_rate)]
    down: Option<u64>,
}

/// Which transfers, and how fast.
#[derive(Debug, clap::Args)]
pub struct Args {
    /// Numbers of transfers, as 'xbtctl list' shows them; none: everything together, until the daemon reads its
    /// configuration again
    #[arg(value_name = "ID", value_parser = parse_id, add = complete::open())]
    ids: Vec<u64>,

    #[command(flatten)]
    rates: Rates,

    /// Their part in what transfers share: each step is four times the one below
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
                Err(Failure::usage("no limit is given", "give --up or --down, such as --up '2 MiB/s'; 0 means none"))
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

/// Limits for people; nothing if there are none.
pub fn told(limits: Limits) -> Option<String> {
    let one = |limit: u64, way: &str| (limit > 0).then(|| format!("{} {way}", rate(limit)));
    let both: Vec<_> = [one(limits.upload, "up"), one(limits.download, "down")].into_iter().flatten().collect();
    (!both.is_empty()).then(|| both.join(", "))
}

/// The limits for everything together, who set them and until when, as part of a sentence; nothing if there are none.
pub fn in_force(status: &Status, clock: &Clock) -> Option<String> {
    let told = told(status.limits)?;
    let Some(pace) = &status.pace else { return Some(format!("limited to {told}")) };
    let (by, until) = match (pace.by, pace.schedule) {
        (LimitsBy::Hand, _) => (" by hand".to_owned(), None),
        (LimitsBy::Schedule, Some(number)) => (format!(" by schedule {number}"), pace.until.as_deref()),
        (LimitsBy::Schedule | LimitsBy::Configuration, _) => (String::new(), pace.until.as_deref()),
    };
    let until = until.map(|until| format!(" until {}", clock.today_or_date(until))).unwrap_or_default();
    Some(format!("limited to {told}{by}{until}"))
}

/// Changes limits.
pub async fn run(context: &Context, args: Args) -> Result<(), Failure> {
    let priority = args.priority.map(Priority::from);
    if args.ids.is_empty() {
        if priority.is_some() {
            return Err(Failure::usage("a priority is one of transfers", "name them: xbtctl limit ID… --priority …"));
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
    let told = told(limits).unwrap_or_else(|| "no limit".to_owned());
    let until = "until the daemon reads its configuration again";
    Ok(context.out.remark(&format!("everything together: {told} ({until})"))?)
}

#[cfg(test)]
mod tests {
    use xbt_api::Pace;

    use super::*;
    use crate::sample;

    #[test]
    fn limits_in_force_are_told_with_who_set_them_and_until_when() {
        let clock = Clock::at("2026-01-31T12:00:00Z", Some(jiff::tz::TimeZone::UTC));
        let told = |upload, by, schedule, until: &str| {
            let pace = Pace { by, schedule, until: Some(until.to_owned()) };
            in_force(&Status { limits: Limits { upload, download: 0 }, pace: Some(pace), ..sample::status() }, &clock)
        };
        let (today, tomorrow) = ("2026-01-31T18:00:00Z", "2026-02-01T06:00:00Z");
        let expected = "limited to 1.0 MiB/s up by schedule 2 until 18:00";
        assert_eq!(told(1 << 20, LimitsBy::Schedule, Some(2), today).as_deref(), Some(expected));
        let expected = "limited to 1.0 MiB/s up until 2026-02-01 06:00";
        assert_eq!(told(1 << 20, LimitsBy::Configuration, None, tomorrow).as_deref(), Some(expected));
        let expected = "limited to 1.0 MiB/s up by hand";
        assert_eq!(told(1 << 20, LimitsBy::Hand, Some(2), today).as_deref(), Some(expected));
        assert_eq!(told(0, LimitsBy::Schedule, Some(2), today), None);
    }

    #[test]
    fn only_limits_that_are_set_are_told() {
        let limits = |upload, download| told(Limits { upload, download });
        assert_eq!(limits(0, 0), None);
        assert_eq!(limits(1 << 20, 0).as_deref(), Some("1.0 MiB/s up"));
        assert_eq!(limits(1, 2_048).as_deref(), Some("1 B/s up, 2.0 KiB/s down"));
    }
}
