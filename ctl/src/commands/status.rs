//! `xbtctl status [--format LINE]`

use std::io;

use xbt_api::{Connection, Discarded, LimitsBy, Network, Status};

use crate::context::Context;
use crate::describe::{self, new_key, request};
use crate::failure::Failure;
use crate::format::{KEYS, format};
use crate::out::{Out, Tone};
use crate::text::{clean, duration, rate, size};
use crate::time::Clock;

/// How to show it.
#[derive(Debug, clap::Args)]
pub struct Args {
    /// Print a custom line, such as '{connection} {active} {rate_up}'
    #[arg(long, value_name = "LINE", long_help = FORMAT_HELP, conflicts_with = "json")]
    format: Option<String>,
}

const FORMAT_HELP: &str = "\
Print a custom line, such as '{connection} {active} {rate_up}'

Between braces: connection, jid, device, version; active, waiting, asking (offers to answer), paused, ended, total (numbers \
(numbers of transfers); links; rate_up, rate_down; bytes_up, bytes_down (per second, plain numbers). Write {{ or }} for a plain brace.";

/// Shows how the daemon stands.
pub async fn run(context: &Context, args: Args) -> Result<(), Failure> {
    if let Some(template) = &args.format {
        let status = context.connect().await?.status().await?;
        let line = format(template, &status).map_err(|key| not_a_key(&key))?;
        return Ok(context.out.line(&line)?);
    }
    let status = context.connect().await?.status().await?;
    if context.out.json {
        context.out.json_line(&status)?;
    } else {
        connection(&context.out, &status)?;
        daemon(&context.out, &status)?;
    }
    Ok(())
}

fn not_a_key(key: &str) -> Failure {
    let message = match key {
        "" => "unmatched brace in --format".to_owned(),
        key => format!("--format has no key {{{key}}}"),
    };
    Failure::usage(message, format!("known keys: {KEYS}; write {{{{ or }}}} for a plain brace"))
}

fn connection(out: &Out, status: &Status) -> io::Result<()> {
    let tone = match status.connection {
        Connection::Online => Tone::Good,
        Connection::Connecting => Tone::Busy,
        Connection::Offline => Tone::Attention,
        Connection::Refused => Tone::Bad,
    };
    let mut text = out.paint(tone, status.connection.as_str());
    if let Some(seconds) = status.retry_in_s {
        text += &format!(", next attempt in {}", duration(seconds));
    }
    out.field("connection", &text)?;
    if let Some(error) = &status.connection_error {
        out.field("reason", &format!("{} [{}]", clean(&error.message), clean(&error.code)))?;
        if !error.hint.is_empty() {
            out.field("hint", &clean(&error.hint))?;
        }
    }
    out.field("account", &clean(&status.jid))?;
    if let Some(device) = &status.device {
        out.field("device", &clean(device))?;
    }
    if let Some(fingerprint) = &status.fingerprint {
        out.field("fingerprint", &clean(fingerprint))?;
    }
    for contact in &status.requests {
        out.field("REQUEST", &out.paint(Tone::Attention, &request(contact)))?;
    }
    for contact in &status.new_keys {
        out.field("NEW KEY", &out.paint(Tone::Bad, &new_key(contact)))?;
    }
    Ok(())
}

/// How contacts reach us, in a line for each way in.
fn seen_from_outside(network: &Network) -> Vec<(&'static str, String)> {
    let mapping = &network.mapping;
    let mapped = match (&mapping.external, &mapping.problem) {
        (Some(external), _) => format!("{external} ({})", mapping.protocol.as_deref().unwrap_or("by hand")),
        (None, Some(problem)) => format!("none ({problem})"),
        (None, None) if mapping.searching => "asking the router".to_owned(),
        (None, None) => "none".to_owned(),
    };
    let stun = &network.stun;
    let public = match (stun.addresses.is_empty(), &stun.problem) {
        (false, _) if stun.symmetric == Some(true) => {
            format!("{} (symmetric NAT: no hole punching)", stun.addresses.join(", "))
        }
        (false, _) => stun.addresses.join(", "),
        (true, Some(problem)) => format!("unknown ({problem})"),
        (true, None) => "unknown".to_owned(),
    };
    let proxies = network.server.as_ref().map_or(&[] as &[String], |server| &server.proxies);
    let relays = if proxies.is_empty() { "none (our server offers no proxy)".to_owned() } else { proxies.join(", ") };
    vec![("mapped port", mapped), ("public address", public), ("relays", relays)]
}

/// The limits for everything, with their origin and end; none if there are none now and none are scheduled.
fn limits(status: &Status, clock: &Clock) -> Option<String> {
    let told = describe::limits(status.limits);
    let Some(pace) = &status.pace else { return told };
    let why = match (pace.by, pace.schedule) {
        (LimitsBy::Hand, _) => "set with 'xbtctl limit' until the configuration is reloaded".to_owned(),
        (LimitsBy::Schedule, Some(number)) => format!("schedule {number} of the configuration"),
        (LimitsBy::Schedule | LimitsBy::Configuration, _) => String::new(),
    };
    let until = pace.until.as_deref().filter(|_| pace.by != LimitsBy::Hand);
    let until = until.map(|until| format!("until {}", clock.time_and_date(until)));
    if told.is_none() && why.is_empty() && until.is_none() {
        return None;
    }
    let notes: Vec<String> = [Some(why).filter(|why| !why.is_empty()), until].into_iter().flatten().collect();
    let told = told.unwrap_or_else(|| "none".to_owned());
    Some(if notes.is_empty() { told } else { format!("{told} ({})", notes.join(", ")) })
}

fn daemon(out: &Out, status: &Status) -> io::Result<()> {
    let errors = [("state", &status.state_error), ("configuration", &status.config_error)];
    for (name, error) in errors.into_iter().filter_map(|(name, error)| Some((name, error.as_ref()?))) {
        let text = format!("{} [{}]", clean(&error.message), clean(&error.code));
        out.field(name, &out.paint(Tone::Bad, &text))?;
        if !error.hint.is_empty() {
            out.field("hint", &clean(&error.hint))?;
        }
    }
    let skipped = [("unreadable", &status.discarded, "skipped"), ("not signed", &status.unproved, "without effect")];
    for (name, all, end) in skipped {
        for Discarded { from, stanzas } in all {
            let who = from.as_deref().map_or("an unknown sender".to_owned(), clean);
            let what = if *stanzas == 1 { "one stanza".to_owned() } else { format!("{stanzas} stanzas") };
            out.field(name, &format!("{what} from {who}, {end}"))?;
        }
    }
    let list = |addresses: &[String]| match addresses {
        [] => "none".to_owned(),
        addresses => clean(&addresses.join(", ")),
    };
    out.field("listening", &list(&status.listen))?;
    if let Some(network) = &status.network {
        for (name, text) in seen_from_outside(network) {
            out.field(name, &clean(&text))?;
        }
    }
    let rates = format!(
        "{} up, {} down, {} {}",
        rate(status.upload_rate),
        rate(status.download_rate),
        status.links,
        if status.links == 1 { "link" } else { "links" }
    );
    out.field("rates", &rates)?;
    if let Some(limits) = limits(status, &Clock::new(out.is_terminal())) {
        out.field("limits", &limits)?;
    }
    let open = status.open;
    if open.contents > 0 {
        let contents = if open.contents == 1 { "content" } else { "contents" };
        let readers = if open.links == 1 { "connection" } else { "connections" };
        let text = format!(
            "{} {contents}, read by {} {readers} of other programs; they have got {}",
            open.contents,
            open.links,
            size(open.uploaded)
        );
        out.field("open", &text)?;
    }
    let counts = status.counts;
    let numbers = [
        (counts.active, "active"),
        (counts.waiting, "waiting"),
        (counts.asking, "to answer"),
        (counts.paused, "paused"),
        (counts.ended, "ended"),
    ];
    let numbers: Vec<String> = numbers.iter().map(|(count, what)| format!("{count} {what}")).collect();
    out.field("transfers", &format!("{} ({})", counts.total, numbers.join(", ")))?;
    out.field("version", &format!("{}, up for {}", clean(&status.version), duration(status.uptime_s)))
}
