//! Tables that fit the terminal; in a pipe, every column in full.
//!
//! Own code because columns are cut or left out in an order that we choose, which table crates do not offer, and `list` prints ten
//! thousand rows through one buffer.

use std::borrow::Cow;
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
    text: Cow<'static, str>,
    /// In columns of the terminal, measured once.
    width: usize,
    tone: Tone,
}

impl Cell {
    /// Harmless text.
    pub fn new(text: impl Into<Cow<'static, str>>) -> Self {
        let text = text.into();
        Self { width: width(&text), text, tone: Tone::Plain }
    }

    /// In a colour.
    pub fn tone(mut self, tone: Tone) -> Self {
        self.tone = tone;
        self
    }

    /// Appends it to a line, cut or padded to `room` columns.
    fn put(&self, line: &mut String, room: usize, right: bool, paint: &impl Fn(&mut String, Tone, &str)) {
        let short = (self.width > room).then(|| shorten(&self.text, room));
        let (text, taken) = match &short {
            Some(short) => (short.as_str(), width(short)),
            None => (&*self.text, self.width),
        };
        let padding = std::iter::repeat_n(' ', room.saturating_sub(taken));
        if right {
            line.extend(padding);
            paint(line, self.tone, text);
        } else {
            paint(line, self.tone, text);
            line.extend(padding);
        }
    }
}

/// Prints rows below a heading, as wide as the terminal.
pub fn print<const N: usize>(out: &Out, columns: &[Column; N], rows: &[[Cell; N]]) -> io::Result<()> {
    let paint = |line: &mut String, tone, text: &str| out.paint_into(line, tone, text);
    lines(columns, rows, out.width(), paint, |line| out.line(line))
}

/// Gives each line to `take`, at most `room` columns wide if that is possible.
fn lines<const N: usize>(
    columns: &[Column; N],
    rows: &[[Cell; N]],
    room: Option<usize>,
    paint: impl Fn(&mut String, Tone, &str),
    mut take: impl FnMut(&str) -> io::Result<()>,
) -> io::Result<()> {
    let widths = widths(columns, rows, room);
    let heading: [Cell; N] = columns.map(|column| Cell::new(column.heading).tone(Tone::Strong));
    // One buffer for all lines: a list may have ten thousand.
    let mut line = String::new();
    for row in std::iter::once(&heading).chain(rows) {
        line.clear();
        let mut gap = "";
        for ((cell, column), width) in row.iter().zip(columns).zip(&widths) {
            let Some(width) = *width else { continue };
            line.push_str(gap);
            gap = GAP;
            cell.put(&mut line, width, column.right, &paint);
        }
        take(line.trim_end())?;
    }
    Ok(())
}

/// How wide each column is; none: left out.
fn widths<const N: usize>(columns: &[Column; N], rows: &[[Cell; N]], room: Option<usize>) -> [Option<usize>; N] {
    let mut natural = columns.map(|column| Some(width(column.heading)));
    for row in rows {
        for (width, cell) in natural.iter_mut().zip(row) {
            *width = width.map(|width| width.max(cell.width));
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

    fn painted<const N: usize>(
        columns: &[Column; N],
        rows: &[[Cell; N]],
        room: Option<usize>,
        paint: impl Fn(&mut String, Tone, &str),
    ) -> Vec<String> {
        let mut all = Vec::new();
        let taken = lines(columns, rows, room, paint, |line| {
            all.push(line.to_owned());
            Ok(())
        });
        assert!(taken.is_ok());
        all
    }

    fn plain<const N: usize>(columns: &[Column; N], rows: &[[Cell; N]], room: Option<usize>) -> Vec<String> {
        painted(columns, rows, room, |line, _, text| line.push_str(text))
    }

    fn table(room: Option<usize>) -> Vec<String> {
        let row = |id: &'static str, name: &'static str, state: &'static str, age: &'static str| {
            [id, name, state, age].map(Cell::new)
        };
        let rows = [
            row("7", "a rather long name of a holiday", "queued (bob is offline)", "3m ago"),
            row("12", "写真", "done", "2d ago"),
        ];
        plain(&COLUMNS, &rows, room)
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
        assert_eq!(plain(&COLUMNS, &rows, Some(80)), ["ID  NAME", " 1  x"]);
        let piped = plain(&COLUMNS, &rows, None);
        assert_eq!(piped, ["ID  NAME  STATE  AGE", " 1  x"]);
    }

    #[test]
    fn colours_take_no_room() {
        let rows = [["1", "x", "done", ""].map(Cell::new).map(|cell| cell.tone(Tone::Good))];
        let coloured = painted(&COLUMNS, &rows, Some(80), |line, _, text| *line += &format!("<{text}>"));
        assert_eq!(coloured, ["<ID>  <NAME>  <STATE>", " <1>  <x>     <done>"]);
    }
}
