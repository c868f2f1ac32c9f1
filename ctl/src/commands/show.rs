//! `xbtctl show ID`

use std::io;

use xbt_api::{TransferDetails, Way};

use super::Context;
use super::list::tone;
use crate::failure::Failure;
use crate::out::Out;
use crate::text::{clean, duration, files, parse_id, percent, rate, size, title};

/// Which transfer.
#[derive(Debug, clap::Args)]
pub struct Args {
    /// Number of a transfer, as 'xbtctl list' shows it
    #[arg(value_name = "ID", value_parser = parse_id)]
    id: u64,
}

/// Shows everything about one transfer.
pub async fn run(context: &Context, args: Args) -> Result<(), Failure> {
    let details = context.connect().await?.show(args.id).await?;
    if context.out.json {
        context.out.json_line(&details)?;
    } else {
        summary(&context.out, &details)?;
        connection(&context.out, &details)?;
        contents(&context.out, &details)?;
    }
    Ok(())
}

/// One line of `key: value`.
pub fn field(out: &Out, key: &str, value: &str) -> io::Result<()> {
    out.line(&format!("{:<13} {value}", format!("{key}:")))
}

fn optional(out: &Out, key: &str, value: Option<&str>) -> io::Result<()> {
    value.map_or(Ok(()), |value| field(out, key, &clean(value)))
}

fn summary(out: &Out, details: &TransferDetails) -> io::Result<()> {
    let transfer = &details.transfer;
    out.line(&format!("{} {}", transfer.id, title(transfer)))?;
    let mut state = out.paint(tone(transfer.state), transfer.state.as_str());
    if transfer.paused {
        state += ", paused";
    }
    if let Some(why) = &transfer.why {
        state += &format!(" ({})", clean(&why.text));
    }
    field(out, "state", &state)?;
    if let Some(error) = &transfer.error {
        field(out, "error", &format!("{} [{}]", clean(&error.message), clean(&error.code)))?;
        if !error.hint.is_empty() {
            field(out, "hint", &clean(&error.hint))?;
        }
    }
    field(out, "size", &format!("{}, {}", size(transfer.size), files(transfer.files)))?;
    field(out, "moved", &format!("{} ({}%)", size(transfer.done_bytes), percent(transfer)))?;
    if transfer.rate > 0 {
        let left = transfer.eta_s.map_or(String::new(), |seconds| format!(", {} left", duration(seconds)));
        field(out, "rate", &(rate(transfer.rate) + &left))?;
    }
    optional(out, "message", transfer.message.as_deref())?;
    optional(out, "path", transfer.path.as_deref())?;
    optional(out, "info-hash", transfer.info_hash.as_deref())?;
    field(out, "created", &clean(&transfer.created))?;
    field(out, "updated", &clean(&transfer.updated))?;
    optional(out, "expires", details.expires.as_deref())
}

fn connection(out: &Out, details: &TransferDetails) -> io::Result<()> {
    optional(out, "way", details.transfer.way.map(Way::as_str))?;
    for better in &details.better_ways {
        field(out, "", &format!("not {}: {}", better.way, clean(&better.reason)))?;
    }
    optional(out, "device", details.device.as_deref())?;
    if let Some(fingerprint) = &details.fingerprint {
        let trust = if details.verified { "verified" } else { "not verified" };
        field(out, "fingerprint", &format!("{} ({trust})", clean(fingerprint)))?;
    }
    Ok(())
}

fn contents(out: &Out, details: &TransferDetails) -> io::Result<()> {
    if !details.history.is_empty() {
        out.line("history:")?;
    }
    for item in &details.history {
        let reason = item.reason.as_deref().map_or(String::new(), |reason| format!(" ({})", clean(reason)));
        out.line(&format!("  {}  {}{reason}", clean(&item.at), clean(&item.state)))?;
    }
    if !details.file_list.is_empty() {
        out.line("files:")?;
    }
    for file in &details.file_list {
        out.line(&format!("  {:>10}  {}", size(file.size), clean(&file.path)))?;
    }
    if details.more_files {
        out.line("  … and more")?;
    }
    Ok(())
}
