//! Tables that fit the terminal.

use std::io;

use crate::out::{Out, Tone};
use crate::text::shorten;

/// Between two columns.
const GAP: &str = "  ";

/// The least that a column is cut down to.
const MIN_WIDTH: usize = 10;

/// One cell.
#[derive(Debug)]
pub struct Cell {
    text: String,
    tone: Tone,
    right: bool,
}

impl Cell {
    /// Text that begins at the left.
    pub fn left(text: impl Into<String>) -> Self {
        Self { text: text.into(), tone: Tone::Plain, right: false }
    }

    /// A number.
    pub fn right(text: impl Into<String>) -> Self {
        Self { text: text.into(), tone: Tone::Plain, right: true }
    }

    /// In a colour.
    pub fn tone(mut self, tone: Tone) -> Self {
        self.tone = tone;
        self
    }

    fn width(&self) -> usize {
        self.text.chars().count()
    }
}

/// Prints rows below a heading. On a terminal that is too narrow the columns in `elastic` are cut, first one first.
pub fn print<const N: usize>(out: &Out, heading: [&str; N], rows: Vec<[Cell; N]>, elastic: &[usize]) -> io::Result<()> {
    let mut widths = heading.map(|text| text.chars().count());
    for row in &rows {
        for (width, cell) in widths.iter_mut().zip(row) {
            *width = cell.width().max(*width);
        }
    }
    if let Some(columns) = terminal_width() {
        squeeze(&mut widths, elastic, columns);
    }
    // A heading stands where its column's values do.
    let mut heading = heading.map(|text| Cell::left(text).tone(Tone::Strong));
    if let Some(first) = rows.first() {
        heading.iter_mut().zip(first).for_each(|(heading, cell)| heading.right = cell.right);
    }
    for row in std::iter::once(&heading).chain(&rows) {
        let cells: Vec<String> = row.iter().zip(widths).map(|(cell, width)| render(out, cell, width)).collect();
        out.line(&cells.join(GAP))?;
    }
    Ok(())
}

fn squeeze(widths: &mut [usize], elastic: &[usize], columns: usize) {
    for column in elastic {
        let total = widths.iter().sum::<usize>() + GAP.len() * widths.len().saturating_sub(1);
        let excess = total.saturating_sub(columns);
        if let Some(width) = widths.get_mut(*column) {
            *width = width.saturating_sub(excess).max(MIN_WIDTH.min(*width));
        }
    }
}

fn render(out: &Out, cell: &Cell, width: usize) -> String {
    let text = shorten(&cell.text, width);
    let padding = " ".repeat(width.saturating_sub(text.chars().count()));
    let text = out.paint(cell.tone, &text);
    if cell.right { padding + &text } else { text + &padding }
}

fn terminal_width() -> Option<usize> {
    let size = rustix::termios::tcgetwinsize(io::stdout()).ok()?;
    Some(usize::from(size.ws_col)).filter(|columns| *columns > 0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn elastic_columns_give_way_in_their_order_but_not_entirely() {
        let mut widths = [5, 40, 30];
        squeeze(&mut widths, &[1, 2], 60);
        assert_eq!(widths, [5, 21, 30]);
        squeeze(&mut widths, &[1, 2], 20);
        assert_eq!(widths, [5, 10, 10]);
        squeeze(&mut widths, &[0], 1);
        assert_eq!(widths, [5, 10, 10]);
    }
}
