//! How `top` looks. Drawn from the model alone.

use ratatui::Frame;
use ratatui::layout::{Constraint, Layout, Rect};
use ratatui::style::{Color, Modifier, Style};
use ratatui::text::{Line, Span};
use ratatui::widgets::{Block, Borders, Cell, Paragraph, Row, Sparkline, Table, TableState};
use xbt_api::{Connection, Transfer, Way};

use super::model::{Model, Word};
use crate::describe;
use crate::describe::{state_text, tone};
use crate::out::Tone;
use crate::text::{arrow, bar, clean, duration, percent, rate, size, size_of, width};
use crate::time::Clock;

/// From this many columns on contacts stand beside the transfers.
const WIDE: u16 = 130;

/// From this many lines on contacts stand below the transfers, where they do not stand beside them.
const TALL: u16 = 24;

/// Lines of the contacts below, frame and heading included.
const BELOW: u16 = 6;

/// From this many lines on there is room for graphs.
const HIGH: u16 = 16;

/// Lines of the graphs, frame included.
const GRAPH: u16 = 6;

/// Columns of the list of contacts.
const CONTACTS: u16 = 38;

const KEYS: &str = " ↑↓ select  a accept  d decline  p pause/resume  c cancel  e ended  q quit";

/// Draws everything.
pub fn draw(frame: &mut Frame<'_>, model: &Model, colour: bool, clock: &Clock) {
    let paint = Paint { colour };
    let area = frame.area();
    let graphs = if area.height >= HIGH { GRAPH } else { 0 };
    let rows = [Constraint::Length(1), Constraint::Length(graphs), Constraint::Min(0), Constraint::Length(1)];
    let [head, graph, main, foot] = Layout::vertical(rows).areas(area);
    frame.render_widget(Paragraph::new(header(model, paint, clock)), head);
    if graphs > 0 {
        let [up, down] = Layout::horizontal([Constraint::Fill(1), Constraint::Fill(1)]).areas(graph);
        draw_graph(frame, up, "↑ up", model.history.iter().map(|rates| rates.up).collect(), paint.tone(Tone::Good));
        let rates = model.history.iter().map(|rates| rates.down).collect();
        draw_graph(frame, down, "↓ down", rates, paint.tone(Tone::Busy));
    }
    if area.width >= WIDE {
        let [left, right] = Layout::horizontal([Constraint::Min(0), Constraint::Length(CONTACTS)]).areas(main);
        draw_transfers(frame, left, model, paint);
        draw_contacts(frame, right, model, paint);
    } else {
        let below = if area.height >= TALL && !model.contacts().is_empty() { BELOW } else { 0 };
        let [transfers, contacts] = Layout::vertical([Constraint::Min(0), Constraint::Length(below)]).areas(main);
        draw_transfers(frame, transfers, model, paint);
        draw_contacts(frame, contacts, model, paint);
    }
    frame.render_widget(Paragraph::new(footer(model, paint)), foot);
}

/// Colours, where the person wants them.
#[derive(Clone, Copy)]
struct Paint {
    colour: bool,
}

impl Paint {
    fn tone(self, tone: Tone) -> Style {
        let style = Style::default();
        match tone {
            Tone::Strong => style.add_modifier(Modifier::BOLD),
            Tone::Faint => style.add_modifier(Modifier::DIM),
            Tone::Plain => style,
            Tone::Good | Tone::Bad | Tone::Busy | Tone::Attention if !self.colour => style,
            Tone::Good => style.fg(Color::Green),
            Tone::Bad => style.fg(Color::Red),
            Tone::Busy => style.fg(Color::Cyan),
            Tone::Attention => style.fg(Color::Yellow),
        }
    }
}

fn header(model: &Model, paint: Paint, clock: &Clock) -> Line<'static> {
    let Some(status) = &model.status else { return Line::from(" xbt  …") };
    let tone = match status.connection {
        Connection::Online => Tone::Good,
        Connection::Connecting => Tone::Busy,
        Connection::Offline => Tone::Attention,
        Connection::Refused => Tone::Bad,
    };
    let counts = status.counts;
    let mut line = vec![
        Span::styled(" xbt", paint.tone(Tone::Strong)),
        Span::raw(format!("  {}  ", clean(&status.jid))),
        Span::styled(status.connection.as_str(), paint.tone(tone)),
        Span::raw(format!("  {} active, {} waiting", counts.active, counts.waiting)),
    ];
    if counts.asking > 0 {
        line.push(Span::styled(format!(", {} to answer", counts.asking), paint.tone(Tone::Attention)));
    }
    if let Some(contact) = status.new_keys.first() {
        let more = match status.new_keys.len() - 1 {
            0 => String::new(),
            more => format!(" and {more} more"),
        };
        line.push(Span::styled(format!("  NEW KEY of {}{more}", clean(contact)), paint.tone(Tone::Bad)));
    }
    if let Some(error) =
        [&status.state_error, &status.connection_error, &status.config_error].into_iter().flatten().next()
    {
        line.push(Span::styled(format!("  {}", clean(&error.message)), paint.tone(Tone::Bad)));
    }
    if let Some(limits) = describe::in_force(status, clock) {
        line.push(Span::styled(format!("  {limits}"), paint.tone(Tone::Attention)));
    }
    let ways = model.ways();
    if !ways.is_empty() {
        let ways: Vec<_> = ways.iter().map(|(way, count)| format!("{count}× {way}")).collect();
        line.push(Span::styled(format!("  by {}", ways.join(", ")), paint.tone(Tone::Faint)));
    }
    Line::from(line)
}

fn footer(model: &Model, paint: Paint) -> Line<'static> {
    match &model.word {
        Word::Keys => Line::styled(KEYS, paint.tone(Tone::Faint)),
        Word::Good(text) => Line::styled(format!(" {}", clean(text)), paint.tone(Tone::Good)),
        Word::Bad(text) => Line::styled(format!(" {}", clean(text)), paint.tone(Tone::Bad)),
        Word::Question(text, ..) => Line::styled(format!(" {}", clean(text)), paint.tone(Tone::Attention)),
    }
}

fn draw_graph(frame: &mut Frame<'_>, area: Rect, name: &str, rates: Vec<u64>, style: Style) {
    let now = rates.last().copied().unwrap_or_default();
    let columns = usize::from(area.width.saturating_sub(2));
    // The present is at the right edge, also before the graph is full.
    let shown = rates.get(rates.len().saturating_sub(columns)..).unwrap_or_default();
    let mut data = vec![0; columns.saturating_sub(shown.len())];
    data.extend(shown);
    let peak = shown.iter().copied().max().unwrap_or_default();
    let title = format!(" {name} {} ", rate(now));
    let most = format!(" most {} ", rate(peak));
    let block = Block::default()
        .borders(Borders::ALL)
        .title(title)
        .title_top(Line::from(most).right_aligned())
        .border_style(Style::default().add_modifier(Modifier::DIM));
    frame.render_widget(Sparkline::default().block(block).data(data).max(peak.max(1)).style(style), area);
}

fn draw_transfers(frame: &mut Frame<'_>, area: Rect, model: &Model, paint: Paint) {
    let rows = model.rows();
    let (title, empty) = (format!(" transfers {} ", rows.len()), rows.is_empty());
    let block = Block::default().borders(Borders::TOP).title(title).border_style(paint.tone(Tone::Faint));
    if empty {
        let hint = " no transfers; send something with 'xbtctl send CONTACT PATH'";
        frame.render_widget(Paragraph::new(Line::styled(hint, paint.tone(Tone::Faint))).block(block), area);
        return;
    }
    // Only what can be seen is drawn, so that ten thousand cost no more than ten.
    let lines = usize::from(area.height.saturating_sub(2)).max(1);
    let selected = model.selected_row().unwrap_or_default();
    let first = selected.saturating_sub(lines.saturating_sub(1));
    let seen: Vec<&Transfer> = rows.iter().skip(first).take(lines).copied().collect();
    let columns = Columns::that_fit(area.width);
    let shown = seen.iter().map(|transfer| columns.row(transfer, paint));
    let heading =
        Row::new(columns.pick(["   ID", "", "CONTACT", "NAME", "      SIZE", "DONE", "STATE", "RATE", "LEFT", "WAY"]));
    // As wide as its content, up to a share of the screen; the state gets the rest.
    let natural = |share: u16, texts: &mut dyn Iterator<Item = String>| {
        let widest = texts.map(|text| width(&text)).max().unwrap_or_default();
        Constraint::Length(u16::try_from(widest).unwrap_or(u16::MAX).min((area.width / share).max(8)))
    };
    let widths = columns.pick([
        Constraint::Length(5),
        Constraint::Length(1),
        natural(6, &mut seen.iter().map(|transfer| clean(&transfer.contact))),
        natural(5, &mut seen.iter().map(|transfer| clean(&transfer.name))),
        Constraint::Length(10),
        Constraint::Length(if columns.bar { 15 } else { 4 }),
        Constraint::Fill(1),
        Constraint::Length(12),
        Constraint::Length(7),
        Constraint::Length(11),
    ]);
    let table = Table::new(shown, widths)
        .header(heading.style(paint.tone(Tone::Strong)))
        .block(block)
        // Reversed colours would be a patchwork.
        .row_highlight_style(
            Style::default().fg(Color::Reset).remove_modifier(Modifier::DIM).add_modifier(Modifier::REVERSED),
        );
    let mut state = TableState::default().with_selected(Some(selected - first));
    frame.render_stateful_widget(table, area, &mut state);
}

/// Without the percents, which have a column of their own.
fn state(transfer: &Transfer) -> String {
    state_text(transfer).replacen(&format!(" {}%", percent(transfer)), "", 1)
}

/// The columns for which there is room.
#[derive(Clone, Copy)]
struct Columns {
    /// Size, and how long it still takes.
    more: bool,
    /// A bar beside the percents.
    bar: bool,
    way: bool,
}

impl Columns {
    fn that_fit(width: u16) -> Self {
        Self { more: width >= 70, bar: width >= 100, way: width >= 120 }
    }

    /// What belongs to these columns, out of what belongs to all of them.
    fn pick<T>(self, all: [T; 10]) -> Vec<T> {
        let kept = [true, true, true, true, self.more, true, true, true, self.more, self.way];
        all.into_iter().zip(kept).filter_map(|(one, kept)| kept.then_some(one)).collect()
    }

    fn row(self, transfer: &Transfer, paint: Paint) -> Row<'static> {
        let progress = match (self.bar, transfer.state.has_ended() || transfer.done_bytes == 0) {
            (_, true) => String::new(),
            (true, false) => format!("{} {:>3}%", bar(transfer.done_bytes, transfer.size, 10), percent(transfer)),
            (false, false) => format!("{:>3}%", percent(transfer)),
        };
        let rate = if transfer.rate == 0 { String::new() } else { rate(transfer.rate) };
        let cells = [
            Cell::from(format!("{:>5}", transfer.id)),
            Cell::from(arrow(transfer.direction)),
            Cell::from(clean(&transfer.contact)),
            Cell::from(clean(&transfer.name)),
            Cell::from(format!("{:>10}", size_of(transfer))),
            Cell::from(progress).style(paint.tone(tone(transfer))),
            Cell::from(state(transfer)).style(paint.tone(tone(transfer))),
            Cell::from(rate),
            Cell::from(transfer.eta_s.map_or(String::new(), duration)),
            Cell::from(transfer.way.map_or("", Way::as_str)),
        ];
        let faint = if transfer.state.has_ended() { paint.tone(Tone::Faint) } else { Style::default() };
        Row::new(self.pick(cells)).style(faint)
    }
}

fn draw_contacts(frame: &mut Frame<'_>, area: Rect, model: &Model, paint: Paint) {
    // Beside the transfers a line parts them.
    let borders = if area.x > 0 { Borders::TOP | Borders::LEFT } else { Borders::TOP };
    let block = Block::default().borders(borders).title(" contacts ").border_style(paint.tone(Tone::Faint));
    let lines = usize::from(area.height.saturating_sub(2));
    let rows = model.contacts().into_iter().take(lines).map(|(jid, rates)| {
        let told = |bytes| if bytes == 0 { String::new() } else { format!("{:>10}", size(bytes)) };
        Row::new([clean(jid), told(rates.up), told(rates.down)])
    });
    let widths = [Constraint::Fill(1), Constraint::Length(10), Constraint::Length(10)];
    let heading = Row::new(["CONTACT", "      ↑ /s", "      ↓ /s"]).style(paint.tone(Tone::Strong));
    frame.render_widget(Table::new(rows.collect::<Vec<_>>(), widths).header(heading).block(block), area);
}
