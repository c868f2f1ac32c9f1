//! `xbtctl send CONTACT PATH… [-m TEXT] [-w] [--to CONTACT]… [--expire DUR] [--name NAME] [--open] [--skip-special]`

use std::path::{Path, PathBuf};

use xbt_api::{SendRequest, Transfer};

use super::{dry_run, moved};
use crate::complete;
use crate::context::Context;
use crate::describe::left_out;
use crate::failure::Failure;
use crate::paths::absolute;
use crate::spool::Spool;
use crate::text::{clean, files, parse_duration, size, title};
use crate::wait::{Subscription, report};

/// What to send to whom.
#[derive(Debug, clap::Args)]
pub struct Args {
    /// An address, or a name on your contact list
    #[arg(add = complete::contacts())]
    contact: String,

    /// Files and folders, which become one content; '-' is standard input (with --name)
    #[arg(required = true, value_name = "PATH")]
    paths: Vec<PathBuf>,

    /// Another recipient; can be repeated
    #[arg(long, value_name = "CONTACT", add = complete::contacts())]
    to: Vec<String>,

    /// Name of the content, instead of the last part of its path
    #[arg(long)]
    name: Option<String>,

    /// A message to the recipients
    #[arg(short, long, value_name = "TEXT")]
    message: Option<String>,

    /// Withdraw the offer after this time, such as 7d, 12h or 30m
    #[arg(long, value_name = "DUR", value_parser = parse_duration)]
    expire: Option<u64>,

    /// Also serve it, unencrypted, to any BitTorrent program that has the magnet link ('xbtctl show'), until every recipient
    /// has it
    #[arg(long)]
    open: bool,

    /// Skip what cannot be sent (sockets, pipes, devices, links that leave the folder) instead of refusing the send; both
    /// sides see how many were skipped
    #[arg(long)]
    skip_special: bool,

    /// Wait until every recipient has it
    #[arg(short, long)]
    wait: bool,

    /// Only show what would be sent to whom
    #[arg(long, conflicts_with = "wait")]
    dry_run: bool,
}

/// Queues a send.
pub async fn run(context: &Context, args: Args) -> Result<(), Failure> {
    let stdin_name = stdin_name(&args)?;
    let mut paths = Vec::new();
    if stdin_name.is_none() {
        for path in &args.paths {
            paths.push(absolute(path)?);
        }
    }
    // Before standard input is read, which may take long.
    let client = context.connect().await?;
    if args.dry_run {
        return dry_run::run(context, &client, request(args, paths)).await;
    }
    let mut spool = None;
    if let Some(name) = stdin_name {
        let read = Spool::read_stdin(name).await?;
        paths.push(absolute(read.path())?);
        spool = Some(read);
    }
    let subscription = if args.wait { Some(Subscription::begin(&client).await?) } else { None };
    let request = request(args, paths);
    if request.skip_special {
        let omitted = client.survey(request.paths.clone(), request.name.clone(), true).await?.omitted;
        left_out(omitted).iter().for_each(|text| context.out.note(text));
    }
    let queued = moved::asking(context, &client, &request.contacts, || client.send(request.clone())).await?;
    spool.iter_mut().for_each(Spool::keep);
    if let Some(subscription) = subscription {
        queued.iter().for_each(|transfer| context.out.note(&described(transfer)));
        let ended = subscription.until_ended(context, queued).await?;
        spool.iter_mut().for_each(Spool::release);
        return report(context, &ended);
    }
    print(context, &queued)
}

fn request(args: Args, paths: Vec<String>) -> SendRequest {
    let Args { contact, to, name, message, expire, open, skip_special, .. } = args;
    let contacts = std::iter::once(contact).chain(to).collect();
    SendRequest { contacts, paths, name, message, expire_s: expire, open, skip_special }
}

/// Prints what was queued.
pub fn print(context: &Context, queued: &[Transfer]) -> Result<(), Failure> {
    for transfer in queued {
        if context.out.json {
            context.out.json_line(transfer)?;
        } else if context.out.is_conversation() {
            context.out.line(&described(transfer))?;
        } else {
            // Only the number, so that `id=$(xbtctl send …)` works; the rest is a side remark.
            context.out.line(&transfer.id.to_string())?;
            context.out.note(&described(transfer));
        }
    }
    Ok(())
}

/// If standard input is to be sent: under which name.
fn stdin_name(args: &Args) -> Result<Option<&str>, Failure> {
    if !args.paths.iter().any(|path| path == Path::new("-")) {
        return Ok(None);
    }
    if args.paths.len() > 1 {
        return Err(Failure::usage("standard input cannot be sent together with files", "send it alone"));
    }
    match args.name.as_deref() {
        None => Err(Failure::usage("standard input has no name", "give it one with --name, such as --name notes.txt")),
        Some(name) if name.is_empty() || name == "." || name == ".." || name.contains(['/', '\0']) => {
            Err(Failure::usage("that is not a name for a file", "give a name without slashes"))
        }
        Some(name) => Ok(Some(name)),
    }
}

fn described(transfer: &Transfer) -> String {
    let mut text = format!("{} {}: {}", transfer.id, transfer.state, title(transfer));
    // Not known before the content has been looked through.
    if transfer.size > 0 {
        text += &format!(", {}, {}", files(transfer.files), size(transfer.size));
    }
    if let Some(why) = &transfer.why {
        text += &format!(" ({})", clean(&why.text));
    }
    text
}
