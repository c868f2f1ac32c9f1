//! `xbtctl pause ID…`

use super::Context;
use crate::failure::Failure;

/// Which transfers.
#[derive(Debug, clap::Args)]
pub struct Args {
    /// Numbers of transfers, as 'xbtctl list' shows them
    #[arg(required = true, value_name = "ID")]
    ids: Vec<u64>,
}

/// Pauses transfers.
pub async fn run(context: &Context, args: Args) -> Result<(), Failure> {
    let changed = context.connect().await?.pause(args.ids).await?;
    context.changed(&changed, "paused")
}
