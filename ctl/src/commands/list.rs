//! `xbtctl list [--all] [--in|--out] [--state S]…`

use clap::builder::{PossibleValuesParser, TypedValueParser};
use tokio::task::yield_now;
use xbt_api::{Client, Direction, ListPage, ListQuery, State, Transfer};

use super::Context;
use super::contacts::new_key;
use crate::failure::Failure;
use crate::out::Tone;
use crate::table::{self, Cell, Column};
use crate::text::{arrow, clean, duration, percent, rate, size_of};
use crate::time::Clock;

const COLUMNS: [Column; 8] = [
    Column::new("ID").right(),
    Column::new(""),
    Column::new("CONTACT").elastic(3),
    Column::new("NAME").elastic(1),
    Column::new("SIZE").right().spare(3),
    Column::new("STATE").elastic(2),
    Column::new("RATE").spare(2),
    Column::new("CHANGED").spare(1),
];

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
    let client = context.connect().await?;
    if context.out.json {
        return Ok(context.out.json_array(&all_pages(&client, query).await?)?);
    }
    let clock = Clock::new(false);
    let (mut rows, mut new_keys) = (Vec::new(), Vec::new());
    each_page(&client, query, |page| {
        rows.extend(page.transfers.iter().map(|transfer| row(transfer, &clock)));
        new_keys = page.new_keys;
    })
    .await?;
    if rows.is_empty() {
        context.out.note("no transfers");
    } else {
        table::print(&context.out, &COLUMNS, &rows)?;
        context.out.flush()?;
    }
    new_keys.iter().for_each(|contact| context.out.note(&new_key(contact)));
    Ok(())
}

/// Every page of an answer.
pub async fn all_pages(client: &Client, query: ListQuery) -> Result<Vec<Transfer>, Failure> {
    let mut all = Vec::new();
    each_page(client, query, |page| all.extend(page.transfers)).await?;
    Ok(all)
}

/// Hands on every page of an answer, each while the daemon works on the next.
async fn each_page(client: &Client, mut query: ListQuery, mut take: impl FnMut(ListPage)) -> Result<(), Failure> {
    let mut page = client.list(query.clone()).await?;
    loop {
        let last = page.transfers.last().map(|transfer| transfer.id);
        match last {
            // Each page must lead further, or a faulty daemon would keep us here for ever.
            Some(last) if page.more && query.after_id.is_none_or(|before| before < last) => query.after_id = Some(last),
            Some(_) | None => {
                take(page);
                return Ok(());
            }
        }
        let taken = async {
            // The connection's task brings the call on its way first.
            yield_now().await;
            take(page);
        };
        let (next, ()) = tokio::join!(client.list(query.clone()), taken);
        page = next?;
    }
}

fn row(transfer: &Transfer, clock: &Clock) -> [Cell; 8] {
    [
        Cell::new(transfer.id.to_string()),
        Cell::new(arrow(transfer.direction)),
        Cell::new(clean(&transfer.contact)),
        Cell::new(clean(&transfer.name)),
        Cell::new(size_of(transfer)),
        Cell::new(state_text(transfer)).tone(tone(transfer)),
        Cell::new(speed(transfer)),
        Cell::new(clock.ago(&transfer.updated)).tone(Tone::Faint),
    ]
}

/// `10.7 MiB/s, 1m 50s left`, or nothing while nothing moves.
pub fn speed(transfer: &Transfer) -> String {
    match (transfer.rate, transfer.eta_s) {
        (0, _) => String::new(),
        (bytes, None) => rate(bytes),
        (bytes, Some(seconds)) => format!("{}, {} left", rate(bytes), duration(seconds)),
    }
}

/// `sending 50%`, `queued (bob is offline)`.
pub fn state_text(transfer: &Transfer) -> String {
    // Which of the active states a paused transfer is in says nothing.
    let moving = matches!(transfer.state, State::Connecting | State::Sending | State::Receiving);
    let mut text = String::with_capacity(64);
    text += if transfer.paused && moving { "paused" } else { transfer.state.as_str() };
    match transfer.state {
        State::Preparing | State::Sending | State::Receiving => text += &format!(" {}%", percent(transfer)),
        State::Connecting if transfer.done_bytes > 0 => text += &format!(" {}%", percent(transfer)),
        State::Failed => {
            if let Some(error) = &transfer.error {
                text.extend([" (", &clean(&error.message), ")"]);
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
        text.extend([" (", &clean(&why.text), ")"]);
    }
    text
}

/// The colour of a transfer's state.
pub fn tone(transfer: &Transfer) -> Tone {
    match transfer.state {
        State::Done => Tone::Good,
        State::Failed | State::Expired => Tone::Bad,
        State::Offered if transfer.direction == Direction::In => Tone::Attention,
        State::Sending | State::Receiving | State::Connecting | State::Preparing if transfer.paused => Tone::Faint,
        State::Sending | State::Receiving | State::Connecting | State::Preparing => Tone::Busy,
        State::Queued | State::Offered => Tone::Plain,
        State::Declined | State::Cancelled | State::Elsewhere => Tone::Faint,
    }
}
