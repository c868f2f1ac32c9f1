//! `xbtctl pause ID…`

use crate::complete;
use crate::context::Context;
use crate::failure::Failure;
use crate::text::parse_id;

/// Which transfers.
#[derive(Debug, clap::Args)]
pub struct Args {
    /// IDs of transfers, as in 'xbtctl list'
    #[arg(required = true, value_name = "ID", value_parser = parse_id, add = complete::running())]
    ids: Vec<u64>,
}

/// Pauses transfers.
pub async fn run(context: &Context, args: Args) -> Result<(), Failure> {
    let changed = context.connect().await?.pause(args.ids).await?;
    context.changed(&changed, "paused")
}
