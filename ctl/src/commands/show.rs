//! `xbtctl show ID`

use std::io;

use xbt_api::{Priority, TransferDetails, Way};

use crate::complete;
use crate::context::Context;
use crate::describe::{self, speed, tone};
use crate::failure::Failure;
use crate::out::{Out, Tone};
use crate::text::{bar, clean, files, parse_id, percent, size, size_of, title};
use crate::time::Clock;

/// Columns of the bar.
const BAR: usize = 24;

/// Which transfer.
#[derive(Debug, clap::Args)]
pub struct Args {
    /// ID of a transfer, as in 'xbtctl list'
    #[arg(value_name = "ID", value_parser = parse_id, add = complete::any())]
    id: u64,
}

/// Shows everything about one transfer.
pub async fn run(context: &Context, args: Args) -> Result<(), Failure> {
    let details = context.connect().await?.show(args.id).await?;
    if context.out.json {
        context.out.json_line(&details)?;
    } else {
        let clock = Clock::new(context.out.is_terminal());
        summary(&context.out, &details, &clock)?;
        connection(&context.out, &details)?;
        contents(&context.out, &details, &clock)?;
    }
    Ok(())
}

fn optional(out: &Out, key: &str, value: Option<&str>) -> io::Result<()> {
    value.map_or(Ok(()), |value| out.field(key, &clean(value)))
}

fn summary(out: &Out, details: &TransferDetails, clock: &Clock) -> io::Result<()> {
    let transfer = &details.transfer;
    out.line(&out.paint(Tone::Strong, &format!("{} {}", transfer.id, title(transfer))))?;
    let mut state = out.paint(tone(transfer), transfer.state.as_str());
    if transfer.paused {
        state += ", paused";
    }
    if let Some(why) = &transfer.why {
        state += &format!(" ({})", clean(&why.text));
    }
    out.field("state", &state)?;
    if let Some(error) = &transfer.error {
        out.field("error", &format!("{} [{}]", clean(&error.message), clean(&error.code)))?;
        if !error.hint.is_empty() {
            out.field("hint", &clean(&error.hint))?;
        }
    }
    out.field("size", &format!("{}, {}", size_of(transfer), files(transfer.files)))?;
    if details.omitted > 0 {
        out.field("left out", &format!("{} that could not be sent", details.omitted))?;
    }
    let mut moved = format!("{} ({}%)", size(transfer.done_bytes), percent(transfer));
    if out.is_terminal() && !transfer.state.has_ended() {
        moved = format!("{} {moved}", out.paint(tone(transfer), &bar(transfer.done_bytes, transfer.size, BAR)));
    }
    out.field("moved", &moved)?;
    if transfer.rate > 0 {
        out.field("rate", &speed(transfer))?;
    }
    let limits = describe::limits(details.limits);
    limits.map_or(Ok(()), |limits| out.field("limits", &limits))?;
    if details.priority != Priority::Normal {
        out.field("priority", details.priority.as_str())?;
    }
    optional(out, "message", transfer.message.as_deref())?;
    optional(out, "path", transfer.path.as_deref())?;
    optional(out, "info-hash", transfer.info_hash.as_deref())?;
    optional(out, "magnet", details.magnet.as_deref())?;
    out.field("created", &clock.moment(&transfer.created))?;
    out.field("updated", &clock.moment(&transfer.updated))?;
    details.expires.as_deref().map_or(Ok(()), |expires| out.field("expires", &clock.moment(expires)))
}

/// What a way means, for people.
fn explained(way: Way) -> &'static str {
    match way {
        Way::DirectUdp6 => "direct, by QUIC over IPv6",
        Way::DirectUdp4 => "direct, by QUIC over IPv4",
        Way::DirectTcp6 => "direct, over IPv6",
        Way::DirectTcp4 => "direct, over IPv4",
        Way::MappedTcp4 => "direct, through a port that a router forwards",
        Way::PunchedUdp => "direct, through holes punched into the routers",
        Way::Proxy65 => "relayed (encrypted) by the proxy of an XMPP server",
        Way::InBand => "relayed (encrypted, slow) by the XMPP servers",
    }
}

/// Whether a third party relays the content.
fn is_relay(way: Way) -> bool {
    match way {
        Way::DirectUdp6 | Way::DirectUdp4 | Way::DirectTcp6 | Way::DirectTcp4 | Way::MappedTcp4 | Way::PunchedUdp => {
            false
        }
        Way::Proxy65 | Way::InBand => true,
    }
}

fn connection(out: &Out, details: &TransferDetails) -> io::Result<()> {
    if let Some(way) = details.transfer.way {
        let by = details.relay.as_deref().map(|relay| format!(" ({})", clean(relay))).unwrap_or_default();
        out.field("way", &format!("{way}: {}{by}", explained(way)))?;
    }
    match details.introduced {
        0 => {}
        1 => out.field("helped by", "another recipient")?,
        many => out.field("helped by", &format!("{many} other recipients"))?,
    }
    let ended = details.transfer.state.has_ended();
    let mut heading = if details.transfer.way.is_none() && !ended { "no link:" } else { "better ways:" };
    for attempt in &details.attempts {
        out.line(&format!("{heading:<15} not {}: {}", attempt.way, clean(&attempt.reason)))?;
        heading = "";
    }
    if !ended && details.transfer.way.is_none_or(is_relay) && !details.attempts.is_empty() {
        out.field("hint", "'xbtctl doctor' says what you can do about it")?;
    }
    optional(out, "device", details.device.as_deref())?;
    if let Some(fingerprint) = &details.fingerprint {
        let trust = if details.verified { "verified" } else { "not verified" };
        out.field("fingerprint", &format!("{} ({trust})", clean(fingerprint)))?;
    }
    Ok(())
}

fn contents(out: &Out, details: &TransferDetails, clock: &Clock) -> io::Result<()> {
    if !details.history.is_empty() {
        out.line(&out.paint(Tone::Strong, "history:"))?;
    }
    for item in &details.history {
        let reason = item.reason.as_deref().map_or(String::new(), |reason| format!(" ({})", clean(reason)));
        let at = out.paint(Tone::Faint, &clock.time_and_date(&item.at));
        out.line(&format!("  {at}  {}{reason}", clean(&item.state)))?;
    }
    if !details.file_list.is_empty() {
        out.line(&out.paint(Tone::Strong, "files:"))?;
    }
    for file in &details.file_list {
        out.line(&format!("  {:>10}  {}", size(file.size), clean(&file.path)))?;
    }
    if details.more_files {
        out.line("  … and more")?;
    }
    Ok(())
}
