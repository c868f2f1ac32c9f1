//! `xbtctl list [--all] [--in|--out] [--state S]…`

use clap::builder::{PossibleValuesParser, TypedValueParser};
use xbt_api::{Client, Direction, ListQuery, State, Transfer};

use super::Context;
use crate::failure::Failure;
use crate::out::Tone;
use crate::table::{self, Cell};
use crate::text::{arrow, clean, duration, percent, rate, shorten, size};

/// Longest reason in the column of states.
const MAX_WHY: usize = 40;

/// Which transfers.
#[derive(Debug, clap::Args)]
pub struct Args {
    /// All that have ended, not only the last 20
    #[arg(long)]
    all: bool,

    /// Only what contacts send
    #[arg(long = "in", conflicts_with = "outgoing")]
    incoming: bool,

    /// Only what is sent to contacts
    #[arg(long = "out")]
    outgoing: bool,

    /// Only transfers in this state; may be given several times
    #[arg(long = "state", value_name = "STATE", value_parser = state_parser())]
    states: Vec<State>,
}

fn state_parser() -> impl TypedValueParser<Value = State> {
    PossibleValuesParser::new(State::ALL.iter().map(|state| state.as_str()))
        .try_map(|word| State::from_word(&word).ok_or("not a state"))
}

/// Lists transfers.
pub async fn run(context: &Context, args: Args) -> Result<(), Failure> {
    let direction = match (args.incoming, args.outgoing) {
        (true, _) => Some(Direction::In),
        (_, true) => Some(Direction::Out),
        (false, false) => None,
    };
    let query = ListQuery { all: args.all, direction, states: args.states, after_id: None, limit: None };
    let transfers = all_pages(&context.connect().await?, query).await?;
    if context.out.json {
        context.out.json_array(&transfers)?;
    } else if transfers.is_empty() {
        context.out.note("no transfers");
    } else {
        let rows = transfers.iter().map(row).collect();
        let heading = ["ID", "", "CONTACT", "NAME", "SIZE", "STATE", "RATE"];
        table::print(&context.out, heading, rows, &[3, 2, 5])?;
    }
    Ok(())
}

async fn all_pages(client: &Client, mut query: ListQuery) -> Result<Vec<Transfer>, Failure> {
    let mut all = Vec::new();
    loop {
        let page = client.list(query.clone()).await?;
        let last = page.transfers.last().map(|transfer| transfer.id);
        all.extend(page.transfers);
        // Each page must lead further, or a faulty daemon would keep us here for ever.
        match last {
            Some(last) if page.more && query.after_id.is_none_or(|before| before < last) => query.after_id = Some(last),
            Some(_) | None => return Ok(all),
        }
    }
}

fn row(transfer: &Transfer) -> [Cell; 7] {
    let speed = match (transfer.rate, transfer.eta_s) {
        (0, _) => String::new(),
        (bytes, None) => rate(bytes),
        (bytes, Some(seconds)) => format!("{}, {} left", rate(bytes), duration(seconds)),
    };
    [
        Cell::right(transfer.id.to_string()),
        Cell::left(arrow(transfer.direction)),
        Cell::left(clean(&transfer.contact)),
        Cell::left(clean(&transfer.name)),
        Cell::right(size(transfer.size)),
        Cell::left(state_text(transfer)).tone(tone(transfer.state)),
        Cell::left(speed),
    ]
}

fn state_text(transfer: &Transfer) -> String {
    // Which of the active states a paused transfer is in says nothing.
    let moving = matches!(transfer.state, State::Connecting | State::Sending | State::Receiving);
    let mut text = if transfer.paused && moving { "paused".to_owned() } else { transfer.state.to_string() };
    match transfer.state {
        State::Preparing | State::Sending | State::Receiving => text += &format!(" {}%", percent(transfer)),
        State::Connecting if transfer.done_bytes > 0 => text += &format!(" {}%", percent(transfer)),
        State::Failed => {
            if let Some(error) = &transfer.error {
                text += &format!(" ({})", shorten(&clean(&error.message), MAX_WHY));
            }
        }
        State::Connecting
        | State::Queued
        | State::Offered
        | State::Done
        | State::Declined
        | State::Cancelled
        | State::Expired
        | State::Elsewhere => {}
    }
    if transfer.paused && !moving {
        text += ", paused";
    }
    if let Some(why) = &transfer.why {
        text += &format!(" ({})", shorten(&clean(&why.text), MAX_WHY));
    }
    text
}

/// The colour of a state.
pub fn tone(state: State) -> Tone {
    match state {
        State::Done => Tone::Good,
        State::Failed | State::Expired => Tone::Bad,
        State::Sending | State::Receiving | State::Connecting | State::Preparing => Tone::Busy,
        State::Offered => Tone::Attention,
        State::Queued | State::Declined | State::Cancelled | State::Elsewhere => Tone::Plain,
    }
}
