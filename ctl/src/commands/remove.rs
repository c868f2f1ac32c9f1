//! `xbtctl remove ID… [--delete-data]`

use serde_json::json;

use super::Context;
use crate::complete;
use crate::failure::Failure;
use crate::text::parse_id;

/// Which transfers.
#[derive(Debug, clap::Args)]
pub struct Args {
    /// Numbers of transfers that have ended, as 'xbtctl list' shows them
    #[arg(required = true, value_name = "ID", value_parser = parse_id, add = complete::ended())]
    ids: Vec<u64>,

    /// Also delete the files that were received
    #[arg(long)]
    delete_data: bool,
}

/// Takes ended transfers off the list.
pub async fn run(context: &Context, args: Args) -> Result<(), Failure> {
    let removed = context.connect().await?.remove(args.ids, args.delete_data).await?;
    for id in removed {
        if context.out.json {
            context.out.json_line(&json!({ "id": id, "removed": true }))?;
        } else {
            context.out.remark(&format!("{id} removed"))?;
        }
    }
    Ok(())
}
