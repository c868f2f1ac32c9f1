//! `xbtctl accept ID… [-o DIR] [-w]`

use std::path::PathBuf;

use crate::complete;
use crate::context::Context;
use crate::failure::Failure;
use crate::paths::absolute;
use crate::text::{clean, parse_id, title};
use crate::wait::{Subscription, report};

/// Which offers, and where to.
#[derive(Debug, clap::Args)]
pub struct Args {
    /// IDs of offers, as in 'xbtctl list'
    #[arg(required = true, value_name = "ID", value_parser = parse_id, add = complete::offers())]
    ids: Vec<u64>,

    /// Receive into this folder instead of the configured one; it is made if it is missing. What is paused goes on there, with what
    /// has come
    #[arg(short = 'o', long, value_name = "DIR")]
    to: Option<PathBuf>,

    /// Wait until everything has arrived
    #[arg(short, long)]
    wait: bool,
}

/// Accepts offers.
pub async fn run(context: &Context, args: Args) -> Result<(), Failure> {
    let dir = args.to.as_deref().map(absolute).transpose()?;
    let client = context.connect().await?;
    if !args.wait {
        let accepted = client.accept(args.ids, dir).await?;
        return context.each(&accepted, |transfer| {
            let into = transfer.path.as_deref().map(|path| format!(", into {}", clean(path))).unwrap_or_default();
            format!("{} accepted: {}{into}", transfer.id, title(transfer))
        });
    }
    let subscription = Subscription::begin(&client).await?;
    let accepted = client.accept(args.ids, dir).await?;
    let ended = subscription.until_ended(context, accepted).await?;
    report(context, &ended)
}
