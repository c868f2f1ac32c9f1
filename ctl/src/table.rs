//! Tables that fit the terminal. Where no terminal is, every column is there in full.

use std::io;

use crate::out::{Out, Tone};
use crate::text::{shorten, width};

/// Between two columns.
const GAP: &str = "  ";

/// What an elastic column is cut down to before a column is left out, and after that.
const COMFORTABLE: usize = 20;
const LEAST: usize = 8;

/// One column.
#[derive(Clone, Copy, Debug)]
pub struct Column {
    heading: &'static str,
    right: bool,
    /// Cut where the terminal is too narrow, the lowest number first.
    elastic: Option<u8>,
    /// Left out where the terminal is too narrow, the lowest number first.
    spare: Option<u8>,
}

impl Column {
    /// A column that is never cut.
    pub const fn new(heading: &'static str) -> Self {
        Self { heading, right: false, elastic: None, spare: None }
    }

    /// Of numbers.
    pub const fn right(mut self) -> Self {
        self.right = true;
        self
    }

    /// May be cut; the lowest turn first.
    pub const fn elastic(mut self, turn: u8) -> Self {
        self.elastic = Some(turn);
        self
    }

    /// May be left out; the lowest turn first.
    pub const fn spare(mut self, turn: u8) -> Self {
        self.spare = Some(turn);
        self
    }
}

/// One cell.
#[derive(Clone, Debug)]
pub struct Cell {
    text: String,
    tone: Tone,
}

impl Cell {
    /// Harmless text.
    pub fn new(text: impl Into<String>) -> Self {
        Self { text: text.into(), tone: Tone::Plain }
    }

    /// In a colour.
    pub fn tone(mut self, tone: Tone) -> Self {
        self.tone = tone;
        self
    }
}

/// Prints rows below a heading, as wide as the terminal.
pub fn print<const N: usize>(out: &Out, columns: &[Column; N], rows: &[[Cell; N]]) -> io::Result<()> {
    let lines = lines(columns, rows, out.width(), |tone, text| out.paint(tone, text));
    lines.iter().try_for_each(|line| out.line(line))
}

/// The lines, at most `room` columns wide if that is possible.
fn lines<const N: usize>(
    columns: &[Column; N],
    rows: &[[Cell; N]],
    room: Option<usize>,
    paint: impl Fn(Tone, &str) -> String,
) -> Vec<String> {
    let widths = widths(columns, rows, room);
    let heading: [Cell; N] = columns.map(|column| Cell::new(column.heading).tone(Tone::Strong));
    let line = |row: &[Cell; N]| {
        let shown = row.iter().zip(columns).zip(&widths).filter_map(|((cell, column), width)| {
            let width = (*width)?;
            let text = shorten(&cell.text, width);
            let padding = " ".repeat(width.saturating_sub(crate::text::width(&text)));
            let text = paint(cell.tone, &text);
            Some(if column.right { padding + &text } else { text + &padding })
        });
        shown.collect::<Vec<_>>().join(GAP).trim_end().to_owned()
    };
    std::iter::once(&heading).chain(rows).map(line).collect()
}

/// How wide each column is; none: left out.
fn widths<const N: usize>(columns: &[Column; N], rows: &[[Cell; N]], room: Option<usize>) -> [Option<usize>; N] {
    let mut natural = columns.map(|column| Some(width(column.heading)));
    for row in rows {
        for (width, cell) in natural.iter_mut().zip(row) {
            *width = width.map(|width| width.max(crate::text::width(&cell.text)));
        }
    }
    let Some(room) = room else { return natural };
    // On a terminal a column that says nothing only takes room.
    for (index, width) in natural.iter_mut().enumerate() {
        if rows.iter().all(|row| row.get(index).is_none_or(|cell| cell.text.is_empty())) {
            *width = None;
        }
    }
    loop {
        let mut widths = natural;
        if squeeze(&mut widths, columns, room, COMFORTABLE) {
            return widths;
        }
        let spare = columns.iter().enumerate().filter(|(index, _)| natural.get(*index).is_some_and(Option::is_some));
        let next = spare.filter_map(|(index, column)| Some((column.spare?, index))).min();
        let Some(dropped) = next.and_then(|(_, index)| natural.get_mut(index)) else {
            squeeze(&mut widths, columns, room, LEAST);
            return widths;
        };
        *dropped = None;
    }
}

/// Cuts elastic columns in their turns, none below `least`; whether the rest fits.
fn squeeze<const N: usize>(widths: &mut [Option<usize>; N], columns: &[Column; N], room: usize, least: usize) -> bool {
    let total = |widths: &[Option<usize>; N]| {
        let shown = widths.iter().flatten();
        shown.clone().sum::<usize>() + GAP.len() * shown.count().saturating_sub(1)
    };
    let mut turns: Vec<_> =
        columns.iter().enumerate().filter_map(|(index, column)| Some((column.elastic?, index))).collect();
    turns.sort_unstable();
    for (_, index) in turns {
        let excess = total(widths).saturating_sub(room);
        if let Some(Some(width)) = widths.get_mut(index) {
            *width = width.saturating_sub(excess).max(least.min(*width));
        }
    }
    total(widths) <= room
}

#[cfg(test)]
mod tests {
    use super::*;

    const COLUMNS: [Column; 4] = [
        Column::new("ID").right(),
        Column::new("NAME").elastic(1),
        Column::new("STATE").elastic(2),
        Column::new("AGE").spare(1),
    ];

    fn table(room: Option<usize>) -> Vec<String> {
        let row = |id: &str, name: &str, state: &str, age: &str| [id, name, state, age].map(Cell::new);
        let rows = [
            row("7", "a rather long name of a holiday", "queued (bob is offline)", "3m ago"),
            row("12", "写真", "done", "2d ago"),
        ];
        lines(&COLUMNS, &rows, room, |_, text| text.to_owned())
    }

    #[test]
    fn without_a_terminal_every_column_is_there_in_full() {
        let expected = [
            "ID  NAME                             STATE                    AGE",
            " 7  a rather long name of a holiday  queued (bob is offline)  3m ago",
            "12  写真                             done                     2d ago",
        ];
        assert_eq!(table(None), expected);
        assert_eq!(table(Some(68)), expected);
    }

    #[test]
    fn elastic_columns_give_way_first_then_spare_ones_then_all_comfort() {
        let expected = [
            "ID  NAME                      STATE                    AGE",
            " 7  a rather long name of a…  queued (bob is offline)  3m ago",
            "12  写真                      done                     2d ago",
        ];
        assert_eq!(table(Some(61)), expected);
        let expected = [
            "ID  NAME                 STATE",
            " 7  a rather long name…  queued (bob is offl…",
            "12  写真                 done",
        ];
        assert_eq!(table(Some(45)), expected);
        let expected = ["ID  NAME      STATE", " 7  a rathe…  queued …", "12  写真      done"];
        assert_eq!(table(Some(22)), expected);
        assert_eq!(table(Some(1)), expected);
    }

    #[test]
    fn on_a_terminal_a_column_that_says_nothing_is_left_out() {
        let rows = [["1", "x", "", ""].map(Cell::new)];
        assert_eq!(lines(&COLUMNS, &rows, Some(80), |_, text| text.to_owned()), ["ID  NAME", " 1  x"]);
        let piped = lines(&COLUMNS, &rows, None, |_, text| text.to_owned());
        assert_eq!(piped, ["ID  NAME  STATE  AGE", " 1  x"]);
    }

    #[test]
    fn colours_take_no_room() {
        let rows = [["1", "x", "done", ""].map(Cell::new).map(|cell| cell.tone(Tone::Good))];
        let painted = lines(&COLUMNS, &rows, Some(80), |_, text| format!("<{text}>"));
        assert_eq!(painted, ["<ID>  <NAME>  <STATE>", " <1>  <x>     <done>"]);
    }
}
