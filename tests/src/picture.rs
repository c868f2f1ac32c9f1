//! Pictures of terminals: what was on them, as SVG that moves as they did.

use std::collections::BTreeMap;
use std::fmt::Write;
use std::time::Duration;

use vt100::{Cell, Color, Screen};

/// Width of a column and height of a line, in units of the picture.
const CELL: (f64, f64) = (8.4, 18.0);
/// Room around a terminal, and above it for its name.
const MARGIN: f64 = 14.0;
/// Height of the bar with the name.
const BAR: f64 = 26.0;
/// How long the last sight stays before a moving picture begins anew.
const REST: Duration = Duration::from_secs(4);
const BACKGROUND: &str = "#16181d";
const FOREGROUND: &str = "#d5d8df";
/// The sixteen colours that programs call by number.
const COLOURS: [&str; 16] = [
    "#3b4048", "#e5707a", "#8fc379", "#e0b96b", "#67a9ea", "#c67bdd", "#58b7c2", "#c8ccd4", "#727987", "#f08d95",
    "#a6d692", "#efcc87", "#86bff5", "#d898ea", "#7fd0da", "#ffffff",
];

/// One terminal in the picture and how it looked at which time.
#[derive(Debug)]
pub struct Pane {
    name: String,
    lines: u16,
    columns: u16,
    /// For each line of the terminal: what it showed, from when on.
    seen: Vec<Vec<(Duration, String)>>,
}

impl Pane {
    /// A terminal of this size, with nothing on it yet.
    pub fn new(name: &str, lines: u16, columns: u16) -> Self {
        Self { name: name.to_owned(), lines, columns, seen: vec![Vec::new(); usize::from(lines)] }
    }

    /// Takes what is on the terminal at a time, which must not lie before the one of the last call.
    pub fn take(&mut self, at: Duration, screen: &Screen) {
        for (number, seen) in (0_u16..).zip(&mut self.seen) {
            let line = line(screen, number, self.columns);
            if seen.last().is_none_or(|(_, last)| *last != line) {
                seen.push((at, line));
            }
        }
    }

    fn size(&self) -> (f64, f64) {
        (f64::from(self.columns) * CELL.0 + 2.0 * MARGIN, f64::from(self.lines) * CELL.1 + MARGIN + BAR)
    }
}

/// Draws terminals, one below the other. A picture without movement is that of panes that were looked at once.
pub fn draw(panes: &[Pane]) -> String {
    let gap = MARGIN / 2.0;
    let width = panes.iter().map(|pane| pane.size().0).fold(0.0, f64::max);
    let height = panes.iter().map(|pane| pane.size().1 + gap).sum::<f64>() - gap;
    let moves = panes.iter().flat_map(|pane| &pane.seen).any(|seen| seen.len() > 1);
    let last = panes.iter().flat_map(|pane| &pane.seen).flatten().map(|(at, _)| *at).max().unwrap_or_default();
    let length = moves.then(|| last + REST);
    let mut svg = format!(
        "<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 {width:.0} {height:.0}\" width=\"{width:.0}\" \
         font-family=\"'DejaVu Sans Mono','Liberation Mono',Menlo,Consolas,monospace\" font-size=\"14\" \
         fill=\"{FOREGROUND}\" xml:space=\"preserve\">\n"
    );
    let mut top = 0.0;
    for pane in panes {
        let (_, high) = pane.size();
        let _ = writeln!(svg, "<g transform=\"translate(0 {top:.0})\">");
        let _ = writeln!(svg, "<rect width=\"{width:.0}\" height=\"{high:.0}\" rx=\"8\" fill=\"{BACKGROUND}\"/>");
        let _ = writeln!(
            svg,
            "<text x=\"{:.0}\" y=\"18\" text-anchor=\"middle\" fill=\"#8b919d\">{}</text>",
            width / 2.0,
            escaped(&pane.name)
        );
        for (number, seen) in (1_u16..).zip(&pane.seen) {
            lines(&mut svg, BAR + f64::from(number) * CELL.1 - 5.0, seen, length);
        }
        svg += "</g>\n";
        top += high + gap;
    }
    svg + "</svg>\n"
}

/// One line of a terminal: each thing that it showed, while it showed it.
fn lines(svg: &mut String, y: f64, seen: &[(Duration, String)], length: Option<Duration>) {
    for (index, (from, text)) in seen.iter().enumerate().filter(|(_, (_, text))| !text.is_empty()) {
        let until = seen.get(index + 1).map(|(at, _)| *at);
        let Some(length) = length.filter(|_| seen.len() > 1) else {
            let _ = writeln!(svg, "<g transform=\"translate(0 {y:.1})\">{text}</g>");
            continue;
        };
        // Where nothing moves (print, old viewers) the last sight is what is shown.
        let (at, still) = (|time: Duration| time.as_secs_f64() / length.as_secs_f64(), until.is_none());
        let mut moments = BTreeMap::from([(0, ("hidden", 0.0))]);
        moments.insert(u8::from(!from.is_zero()), ("visible", at(*from)));
        if let Some(until) = until {
            moments.insert(2, ("hidden", at(until)));
        }
        let values: Vec<_> = moments.values().map(|(value, _)| *value).collect();
        let times: Vec<_> = moments.values().map(|(_, time)| format!("{time:.4}")).collect();
        let _ = writeln!(
            svg,
            "<g transform=\"translate(0 {y:.1})\" visibility=\"{}\">{text}<animate attributeName=\"visibility\" \
             calcMode=\"discrete\" dur=\"{:.1}s\" repeatCount=\"indefinite\" values=\"{}\" keyTimes=\"{}\"/></g>",
            if still { "visible" } else { "hidden" },
            length.as_secs_f64(),
            values.join(";"),
            times.join(";")
        );
    }
}

/// How one cell looks, apart from what stands in it.
#[derive(Clone, PartialEq, Eq, Debug)]
struct Look {
    front: String,
    back: Option<String>,
    bold: bool,
}

/// One line of a screen as SVG, its baseline being 0; empty if nothing is on it.
fn line(screen: &Screen, number: u16, columns: u16) -> String {
    let mut runs: Vec<(u16, Look, String, u16)> = Vec::new();
    let mut column = 0;
    while column < columns {
        let Some(cell) = screen.cell(number, column) else { break };
        let (look, wide) = (look(cell), if cell.is_wide() { 2 } else { 1 });
        let text = if cell.has_contents() { cell.contents() } else { " " };
        match runs.last_mut() {
            Some((start, last, run, width)) if *last == look && *start + *width == column => {
                *run += text;
                *width += wide;
            }
            _ => runs.push((column, look, text.to_owned(), wide)),
        }
        column += wide;
    }
    let mut svg = String::new();
    for (start, look, text, width) in runs {
        let (x, wide) = (MARGIN + f64::from(start) * CELL.0, f64::from(width) * CELL.0);
        if let Some(back) = look.back {
            let (y, high) = (5.0 - CELL.1, CELL.1);
            let _ = write!(svg, "<rect x=\"{x:.1}\" y=\"{y}\" width=\"{wide:.1}\" height=\"{high}\" fill=\"{back}\"/>");
        }
        // Spaces at the ends would only make the file larger.
        let (kept, blank) = (text.trim_end(), text.len() - text.trim_start().len());
        if kept.is_empty() {
            continue;
        }
        let kept = &kept[blank..];
        let (x, columns) = (x + f64::from(u16::try_from(blank).unwrap_or_default()) * CELL.0, kept.chars().count());
        let fill = if look.front == FOREGROUND { String::new() } else { format!(" fill=\"{}\"", look.front) };
        let weight = if look.bold { " font-weight=\"bold\"" } else { "" };
        let length = f64::from(u16::try_from(columns).unwrap_or_default()) * CELL.0;
        let _ = write!(svg, "<text x=\"{x:.1}\" textLength=\"{length:.1}\"{fill}{weight}>{}</text>", escaped(kept));
    }
    svg
}

fn look(cell: &Cell) -> Look {
    let (front, back) = (colour(cell.fgcolor()), colour(cell.bgcolor()));
    let front = if cell.dim() { front.or(Some("#8b919d".into())) } else { front };
    let (front, back) = if cell.inverse() {
        (back.unwrap_or_else(|| BACKGROUND.into()), Some(front.unwrap_or_else(|| FOREGROUND.into())))
    } else {
        (front.unwrap_or_else(|| FOREGROUND.into()), back)
    };
    Look { front, back, bold: cell.bold() }
}

/// `None`: as the terminal has it.
fn colour(colour: Color) -> Option<String> {
    match colour {
        Color::Default => None,
        Color::Rgb(red, green, blue) => Some(format!("#{red:02x}{green:02x}{blue:02x}")),
        Color::Idx(index) => Some(match (index, index.saturating_sub(16)) {
            (0..=15, _) => COLOURS[usize::from(index)].into(),
            // The cube of 6 × 6 × 6 colours of xterm.
            (16..=231, cube) => {
                let part = |value: u8| if value == 0 { 0 } else { 55 + 40 * value };
                format!("#{:02x}{:02x}{:02x}", part(cube / 36), part(cube / 6 % 6), part(cube % 6))
            }
            (232.., _) => format!("#{0:02x}{0:02x}{0:02x}", 8 + 10 * (index - 232)),
        }),
    }
}

fn escaped(text: &str) -> String {
    text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;")
}
