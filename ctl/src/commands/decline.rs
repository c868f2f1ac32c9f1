//! `xbtctl decline ID… [-m TEXT]`

use crate::complete;
use crate::context::Context;
use crate::failure::Failure;
use crate::text::parse_id;

/// Which offers, and what to say.
#[derive(Debug, clap::Args)]
pub struct Args {
    /// IDs of offers, as in 'xbtctl list'
    #[arg(required = true, value_name = "ID", value_parser = parse_id, add = complete::offers())]
    ids: Vec<u64>,

    /// A message to the sender
    #[arg(short, long, value_name = "TEXT")]
    message: Option<String>,
}

/// Declines offers.
pub async fn run(context: &Context, args: Args) -> Result<(), Failure> {
    let changed = context.connect().await?.decline(args.ids, args.message).await?;
    context.changed(&changed, "declined")
}
