//! `xbtctl remove ID…|--done|--failed|--older DUR [--delete-data [--yes]]`

use serde_json::json;
use xbt_api::{Client, ClientError, Direction, ListQuery, MAX_IDS, Removed, State, Transfer, codes};

use crate::ask;
use crate::complete;
use crate::context::Context;
use crate::failure::Failure;
use crate::paging::all_pages;
use crate::text::{clean, parse_duration, parse_id, size, title};
use crate::time::Clock;

/// From this size on a deletion asks.
const LARGE: u64 = 1 << 30;

/// Which transfers.
#[derive(Debug, clap::Args)]
pub struct Args {
    /// IDs of ended transfers, as in 'xbtctl list'
    #[arg(required_unless_present_any = ["done", "failed", "older"], value_name = "ID", value_parser = parse_id, add = complete::ended())]
    ids: Vec<u64>,

    /// All that are done
    #[arg(long, conflicts_with = "ids")]
    done: bool,

    /// All that failed, expired, or were declined, cancelled or taken by another device
    #[arg(long, conflicts_with = "ids")]
    failed: bool,

    /// All that ended longer ago than this, such as 30d; with --done or --failed only those
    #[arg(long, conflicts_with = "ids", value_name = "DUR", value_parser = parse_duration)]
    older: Option<u64>,

    /// Also delete the received files, except what changed since
    #[arg(long)]
    delete_data: bool,

    /// Do not ask before the data of several transfers, or 1 GiB and more, is deleted
    #[arg(long, requires = "delete_data")]
    yes: bool,
}

/// Takes ended transfers off the list.
pub async fn run(context: &Context, args: Args) -> Result<(), Failure> {
    let client = context.connect().await?;
    let ids = match args.ids.is_empty() {
        true => chosen(&client, &args).await?,
        false => args.ids,
    };
    if ids.is_empty() {
        context.out.note("nothing to remove");
        return Ok(());
    }
    if args.delete_data && !args.yes {
        confirm(&client, &ids).await?;
    }
    for ids in ids.chunks(MAX_IDS) {
        if args.delete_data {
            client.delete(ids.to_vec()).await?.iter().try_for_each(|removed| print(context, removed))?;
            continue;
        }
        for id in client.remove(ids.to_vec(), false).await? {
            if context.out.json {
                context.out.json_line(&json!({ "id": id, "removed": true }))?;
            } else {
                context.out.remark(&format!("{id} removed"))?;
            }
        }
    }
    Ok(())
}

/// Those that the options mean; with --delete-data incoming ones only.
async fn chosen(client: &Client, args: &Args) -> Result<Vec<u64>, Failure> {
    let all = !args.done && !args.failed;
    let wanted = |state: State| match state {
        State::Done => all || args.done,
        state => state.has_ended() && (all || args.failed),
    };
    let states = State::ALL.iter().copied().filter(|state| wanted(*state)).collect();
    let direction = args.delete_data.then_some(Direction::In);
    let query = ListQuery { all: true, direction, states, after_id: None, limit: None };
    let clock = Clock::new(false);
    let old = |transfer: &Transfer| args.older.is_none_or(|age| clock.is_older(&transfer.updated, age));
    Ok(all_pages(client, query).await?.iter().filter(|one| old(one)).map(|one| one.id).collect())
}

/// Asks before much is deleted.
async fn confirm(client: &Client, ids: &[u64]) -> Result<(), Failure> {
    let (mut bytes, mut last) = (0u64, None);
    for id in ids {
        match client.show(*id).await {
            Ok(details) => {
                bytes = bytes.saturating_add(details.transfer.size);
                last = Some(details.transfer);
            }
            // The removal reports it.
            Err(ClientError::Api(error)) if error.code == codes::NO_SUCH_TRANSFER => return Ok(()),
            Err(error) => return Err(error.into()),
        }
    }
    let what = match (ids, &last) {
        ([_], Some(_)) if bytes < LARGE => return Ok(()),
        ([_], Some(transfer)) => format!("{}, {}", title(transfer), size(bytes)),
        _ => format!("what came with {} transfers, {}", ids.len(), size(bytes)),
    };
    if !ask::is_possible() {
        return Err(Failure::usage(format!("this would delete {what}"), "add --yes if you mean it"));
    }
    match ask::yes(&format!("Delete {what}?")).await? {
        true => Ok(()),
        false => Err(Failure::interrupted("nothing was removed", "")),
    }
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
