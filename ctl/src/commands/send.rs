//! `xbtctl send CONTACT|--group GROUP PATH… [-m TEXT] [-w] [--to CONTACT]… [--expire DUR] [--name NAME|--together] [--open] [--exclude GLOB]…
//! [--skip-special]`

use std::path::{Path, PathBuf};

use xbt_api::{Client, SendRequest, Transfer, codes};

use super::{dry_run, moved};
use crate::complete;
use crate::context::Context;
use crate::describe::{left_out, presence};
use crate::failure::Failure;
use crate::paths::absolute;
use crate::spool::Spool;
use crate::text::{clean, files, parse_duration, size, title};
use crate::wait::{Subscription, report};

/// What to send to whom.
#[derive(Debug, clap::Args)]
pub struct Args {
    /// An address, or a name on your contact list; not with --group
    #[arg(add = complete::contacts())]
    contact: String,

    /// Files and folders, each a transfer of its own; '-' is standard input (with --name)
    #[arg(required_unless_present = "group", value_name = "PATH")]
    paths: Vec<PathBuf>,

    /// Send to everybody in this group of your contact list
    #[arg(long, value_name = "GROUP")]
    group: Option<String>,

    /// Another recipient; can be repeated
    #[arg(long, value_name = "CONTACT", add = complete::contacts())]
    to: Vec<String>,

    /// Send it under this name, instead of the last part of its path; several paths together under it
    #[arg(long)]
    name: Option<String>,

    /// Send several paths as one folder
    #[arg(long)]
    together: bool,

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

    /// Leave out what matches, inside of folders; patterns are those of .gitignore, and more may stand in a folder's own
    /// .xbtignore. Can be repeated
    #[arg(long, value_name = "GLOB")]
    exclude: Vec<String>,

    /// Wait until every recipient has it
    #[arg(short, long)]
    wait: bool,

    /// Only show what would be sent to whom
    #[arg(long, conflicts_with = "wait")]
    dry_run: bool,
}

/// Queues a send.
pub async fn run(context: &Context, mut args: Args) -> Result<(), Failure> {
    if args.group.is_some() {
        // What stands first is no contact then.
        args.paths.insert(0, PathBuf::from(std::mem::take(&mut args.contact)));
    }
    let stdin_name = stdin_name(&args)?;
    let mut paths = Vec::new();
    if stdin_name.is_none() {
        for path in &args.paths {
            of_everybody(path)?;
            paths.push(absolute(path)?);
        }
    }
    // Before standard input is read, which may take long.
    let client = context.connect().await?;
    let contacts = recipients(context, &client, &args).await?;
    if args.dry_run {
        for request in requests(args, contacts, paths) {
            dry_run::run(context, &client, request).await?;
        }
        return Ok(());
    }
    let mut spool = None;
    if let Some(name) = stdin_name {
        let read = Spool::read_stdin(name).await?;
        paths.push(absolute(read.path())?);
        spool = Some(read);
    }
    let subscription = if args.wait { Some(Subscription::begin(&client).await?) } else { None };
    let queued = queue(context, &client, requests(args, contacts, paths)).await?;
    spool.iter_mut().for_each(Spool::keep);
    if let Some(subscription) = subscription {
        queued.iter().for_each(|transfer| context.out.note(&described(transfer)));
        let ended = subscription.until_ended(context, queued).await?;
        spool.iter_mut().for_each(Spool::release);
        return report(context, &ended);
    }
    print(context, &queued)
}

/// To whom it goes. Of a group it is said beforehand who that is, and who cannot be reached now.
async fn recipients(context: &Context, client: &Client, args: &Args) -> Result<Vec<String>, Failure> {
    let to = args.to.iter().cloned();
    let Some(group) = &args.group else { return Ok(std::iter::once(args.contact.clone()).chain(to).collect()) };
    let contacts = client.contacts().await?;
    let members: Vec<_> = contacts.iter().filter(|contact| contact.groups.contains(group)).collect();
    if members.is_empty() {
        let mut groups: Vec<String> =
            contacts.iter().flat_map(|contact| &contact.groups).map(|group| clean(group)).collect();
        groups.sort();
        groups.dedup();
        let message = format!("nobody on your contact list is in a group called {}", clean(group));
        let hint = if groups.is_empty() {
            "there are no groups".to_owned()
        } else {
            format!("there are: {}", groups.join(", "))
        };
        return Err(Failure::refused(codes::UNKNOWN_CONTACT, message, hint));
    }
    for contact in &members {
        context.out.note(&format!("to {} ({})", clean(&contact.jid), presence(contact).0));
    }
    Ok(members.into_iter().map(|contact| contact.jid.clone()).chain(to).collect())
}

/// One for each content.
fn requests(args: Args, contacts: Vec<String>, paths: Vec<String>) -> Vec<SendRequest> {
    let Args { name, together, message, expire, open, skip_special, exclude, .. } = args;
    let contents = match name.is_some() || together || paths.is_empty() {
        true => vec![paths],
        false => paths.into_iter().map(|path| vec![path]).collect(),
    };
    let one = SendRequest { contacts, paths: vec![], name, message, expire_s: expire, open, skip_special, exclude };
    contents.into_iter().map(|paths| SendRequest { paths, ..one.clone() }).collect()
}

/// Queues all of them, or none if one of them cannot be sent. Says what is left out.
async fn queue(context: &Context, client: &Client, requests: Vec<SendRequest>) -> Result<Vec<Transfer>, Failure> {
    for SendRequest { paths, name, skip_special, exclude, .. } in &requests {
        // Of a single file nothing is left out, and the daemon looks at it anyway.
        if requests.len() > 1 || paths.iter().any(|path| Path::new(path).is_dir()) {
            let found = client.survey(paths.clone(), name.clone(), *skip_special, exclude.clone()).await?;
            left_out(&found).iter().for_each(|text| context.out.note(text));
        }
    }
    let mut queued = Vec::new();
    for request in requests {
        match moved::asking(context, client, &request.contacts, || client.send(request.clone())).await {
            Ok(transfers) => queued.extend(transfers),
            Err(failure) => {
                print(context, &queued)?;
                return Err(failure);
            }
        }
    }
    Ok(queued)
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

/// What this program alone has open, such as `<(…)` of a shell, the daemon cannot read.
fn of_everybody(path: &Path) -> Result<(), Failure> {
    let own = ["/dev/fd", "/dev/stdin", "/proc/self"];
    if own.iter().any(|folder| path.starts_with(folder)) {
        let what = format!("'{}' can be read by this program only, not by the daemon", path.display());
        return Err(Failure::usage(what, "send standard input instead: 'COMMAND | xbtctl send CONTACT - --name NAME'"));
    }
    Ok(())
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
