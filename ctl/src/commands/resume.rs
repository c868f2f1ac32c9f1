//! `xbtctl resume ID…`

use crate::complete;
use crate::context::Context;
use crate::failure::Failure;
use crate::text::parse_id;

/// Which transfers.
#[derive(Debug, clap::Args)]
pub struct Args {
    /// IDs of transfers, as in 'xbtctl list'
    #[arg(required = true, value_name = "ID", value_parser = parse_id, add = complete::paused())]
    ids: Vec<u64>,
}

/// Goes on with paused transfers.
pub async fn run(context: &Context, args: Args) -> Result<(), Failure> {
    let changed = context.connect().await?.resume(args.ids).await?;
    context.changed(&changed, "resumed")
}
