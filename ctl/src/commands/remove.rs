//! `xbtctl remove ID… [--delete-data]`

use serde_json::json;
use xbt_api::Removed;

use crate::complete;
use crate::context::Context;
use crate::failure::Failure;
use crate::text::{clean, parse_id};

/// Which transfers.
#[derive(Debug, clap::Args)]
pub struct Args {
    /// IDs of ended transfers, as in 'xbtctl list'
    #[arg(required = true, value_name = "ID", value_parser = parse_id, add = complete::ended())]
    ids: Vec<u64>,

    /// Also delete the received files, except what changed since
    #[arg(long)]
    delete_data: bool,
}

/// Takes ended transfers off the list.
pub async fn run(context: &Context, args: Args) -> Result<(), Failure> {
    let client = context.connect().await?;
    if args.delete_data {
        return client.delete(args.ids).await?.iter().try_for_each(|removed| print(context, removed));
    }
    for id in client.remove(args.ids, false).await? {
        if context.out.json {
            context.out.json_line(&json!({ "id": id, "removed": true }))?;
        } else {
            context.out.remark(&format!("{id} removed"))?;
        }
    }
    Ok(())
}

/// What was deleted, and what was kept.
fn print(context: &Context, removed: &Removed) -> Result<(), Failure> {
    let Removed { id, deleted, kept, stays } = removed;
    if context.out.json {
        let told = json!({ "id": id, "removed": true, "deleted": deleted, "kept": kept, "stays": stays });
        return Ok(context.out.json_line(&told)?);
    }
    if *kept == 0 {
        return Ok(context.out.remark(&format!("{id} removed, {deleted} deleted"))?);
    }
    context.out.remark(&format!("{id} removed, {deleted} deleted, {kept} kept:"))?;
    for one in stays {
        context.out.remark(&format!("  {} {}", clean(&one.path), clean(&one.why)))?;
    }
    match kept.saturating_sub(stays.len() as u64) {
        0 => Ok(()),
        more => Ok(context.out.remark(&format!("  … and {more} more"))?),
    }
}
