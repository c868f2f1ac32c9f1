//! `xbtctl list [--all] [--in|--out] [--state S]…`

use clap::builder::{PossibleValuesParser, TypedValueParser};
use xbt_api::{Direction, ListQuery, State, Transfer};

use crate::context::Context;
use crate::describe::{new_key, request, speed, state_text, tone};
use crate::failure::Failure;
use crate::out::Tone;
use crate::paging::{all_pages, each_page};
use crate::table::{self, Cell, Column};
use crate::text::{arrow, clean, size_of};
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
    /// All ended transfers, not only the last 20
    #[arg(long)]
    all: bool,

    /// Only incoming transfers
    #[arg(long = "in", conflicts_with = "outgoing")]
    incoming: bool,

    /// Only outgoing transfers
    #[arg(long = "out")]
    outgoing: bool,

    /// Only transfers in this state; can be repeated
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
    let (mut rows, mut new_keys, mut requests) = (Vec::new(), Vec::new(), Vec::new());
    each_page(&client, query, |page| {
        rows.extend(page.transfers.iter().map(|transfer| row(transfer, &clock)));
        (new_keys, requests) = (page.new_keys, page.requests);
    })
    .await?;
    if rows.is_empty() {
        context.out.note("no transfers");
    } else {
        table::print(&context.out, &COLUMNS, &rows)?;
        context.out.flush()?;
    }
    new_keys.iter().for_each(|contact| context.out.note(&new_key(contact)));
    requests.iter().for_each(|contact| context.out.note(&request(contact)));
    Ok(())
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
