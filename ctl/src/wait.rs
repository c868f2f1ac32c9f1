//! Waiting for transfers to end, with progress bars on a terminal.

use std::collections::BTreeMap;
use std::time::Duration;

use indicatif::{MultiProgress, ProgressBar, ProgressDrawTarget, ProgressStyle};
use xbt_api::{ApiError, Client, ClientError, Direction, EventKind, State, Transfer, codes};

use crate::context::Context;
use crate::failure::Failure;
use crate::text::{clean, duration, rate, shorten, size, title, width};

/// How long to wait for an event before looking at the transfers anyway.
const MAX_WAIT: Duration = Duration::from_secs(30);

/// A place in the stream of events, taken before the command is given, so that nothing is missed.
#[derive(Debug)]
pub struct Subscription {
    client: Client,
    seq: u64,
}

impl Subscription {
    /// Begins now.
    pub async fn begin(client: &Client) -> Result<Self, Failure> {
        let seq = client.events(None, Duration::ZERO).await?.seq;
        Ok(Self { client: client.clone(), seq })
    }

    /// Waits until all have ended, and gives them back as they then are.
    pub async fn until_ended(mut self, context: &Context, transfers: Vec<Transfer>) -> Result<Vec<Transfer>, Failure> {
        let mut followed = Followed::new(context, transfers);
        context.waits_for(followed.open());
        while !followed.open().is_empty() {
            let news = self.client.events(Some(self.seq), MAX_WAIT).await?;
            self.seq = news.seq;
            if news.lagged || news.events.is_empty() {
                for id in followed.open() {
                    match self.client.show(id).await {
                        Ok(details) => followed.update(details.transfer),
                        Err(ClientError::Api(error)) if error.code == codes::NO_SUCH_TRANSFER => followed.removed(id),
                        Err(error) => return Err(error.into()),
                    }
                }
            }
            for event in news.events {
                match (event.kind, event.transfer) {
                    (EventKind::Removed, Some(transfer)) => {
                        let id = transfer.id;
                        followed.update(transfer);
                        followed.removed(id);
                    }
                    (_, Some(transfer)) => followed.update(transfer),
                    (_, None) => {}
                }
            }
            context.waits_for(followed.open());
        }
        Ok(followed.finish())
    }
}

/// Prints how transfers ended; an error if any did not end as `done`.
pub fn report(context: &Context, transfers: &[Transfer]) -> Result<(), Failure> {
    let mut errors = Vec::new();
    for transfer in transfers {
        if context.out.json {
            context.out.json_line(transfer)?;
        }
        match not_done(transfer.state) {
            None => {
                let at = transfer.path.as_deref().filter(|_| transfer.direction == Direction::In);
                let at = at.map(|path| format!(", in {}", clean(path))).unwrap_or_default();
                context.out.remark(&format!(
                    "{} done: {}, {}{at}",
                    transfer.id,
                    title(transfer),
                    size(transfer.size)
                ))?
            }
            Some((code, what)) => errors.push(error(transfer, code, what)),
        }
    }
    if errors.is_empty() { Ok(()) } else { Err(Failure::not_done(errors)) }
}

/// The code and words of an end other than `done`.
fn not_done(state: State) -> Option<(&'static str, &'static str)> {
    Some(match state {
        State::Done => return None,
        State::Declined => (codes::DECLINED, "was declined"),
        State::Cancelled => (codes::CANCELLED, "was cancelled"),
        State::Expired => (codes::EXPIRED, "has expired"),
        State::Elsewhere => (codes::ELSEWHERE, "was taken by another device"),
        State::Failed => (codes::FAILED, "has failed"),
        // Removed from the list before it ended.
        State::Preparing | State::Queued | State::Offered | State::Connecting | State::Sending | State::Receiving => {
            (codes::CANCELLED, "was removed")
        }
    })
}

fn error(transfer: &Transfer, code: &str, what: &str) -> ApiError {
    let mut message = format!("transfer {} ({}) {what}", transfer.id, title(transfer));
    let hint = format!("see 'xbtctl show {}'", transfer.id);
    match (&transfer.error, &transfer.message) {
        (Some(error), _) => {
            message += &format!(": {}", error.message);
            ApiError::new(&error.code, message, if error.hint.is_empty() { &hint } else { &error.hint })
        }
        (None, Some(word)) if transfer.state == State::Declined => {
            message += &format!(": {word}");
            ApiError::new(code, message, hint)
        }
        (None, _) => ApiError::new(code, message, hint),
    }
}

/// The transfers that are waited for, each with its bar.
struct Followed {
    /// In the order of the command.
    order: Vec<u64>,
    transfers: BTreeMap<u64, (Transfer, ProgressBar, bool)>,
    /// For all together, where there are several.
    total: Option<ProgressBar>,
}

impl Followed {
    fn new(context: &Context, transfers: Vec<Transfer>) -> Self {
        let target =
            if context.out.shows_progress() { ProgressDrawTarget::stderr() } else { ProgressDrawTarget::hidden() };
        let bars = MultiProgress::with_draw_target(target);
        let columns = terminal_columns();
        let titles: Vec<_> = transfers
            .iter()
            .map(|transfer| format!("{} {}", transfer.id, shorten(&title(transfer), columns / 2)))
            .collect();
        let widest = titles.iter().map(|title| width(title)).max().unwrap_or_default();
        let style = bar_style(columns);
        let order: Vec<_> = transfers.iter().map(|transfer| transfer.id).collect();
        let several = order.len() > 1;
        let mut followed = BTreeMap::new();
        for (transfer, title) in transfers.into_iter().zip(titles) {
            let bar = bars.add(ProgressBar::new(transfer.size.max(1)).with_style(style.clone()));
            bar.set_prefix(padded(&title, widest));
            draw(&bar, &transfer);
            let ended = transfer.state.has_ended();
            followed.insert(transfer.id, (transfer, bar, ended));
        }
        let total = several.then(|| {
            let bar = bars.add(ProgressBar::new(1).with_style(style));
            bar.set_prefix(padded("all of them", widest));
            bar
        });
        let followed = Self { order, transfers: followed, total };
        followed.draw_total();
        followed
    }

    /// Together, where there are several.
    fn draw_total(&self) {
        let Some(bar) = &self.total else { return };
        let all = || self.transfers.values().map(|(transfer, _, _)| transfer);
        let size: u64 = all().map(|transfer| transfer.size).fold(0, u64::saturating_add);
        let done: u64 = all().map(|transfer| transfer.done_bytes.min(transfer.size)).fold(0, u64::saturating_add);
        let speed = all().map(|transfer| transfer.rate).fold(0, u64::saturating_add);
        let ended = self.transfers.values().filter(|(_, _, ended)| *ended).count();
        bar.set_length(size.max(1));
        bar.set_position(done);
        let mut text = format!("{ended} of {} ended", self.transfers.len());
        if speed > 0 {
            text += &format!(" {}, {} left", rate(speed), duration(size.saturating_sub(done).div_ceil(speed)));
        }
        bar.set_message(text);
    }

    /// Those that have not ended.
    fn open(&self) -> Vec<u64> {
        self.transfers.iter().filter(|(_, (_, _, ended))| !ended).map(|(id, _)| *id).collect()
    }

    fn update(&mut self, new: Transfer) {
        if let Some((transfer, bar, ended)) = self.transfers.get_mut(&new.id)
            // An event may be older than the answer to the command.
            && !*ended
        {
            *ended = new.state.has_ended();
            draw(bar, &new);
            *transfer = new;
            self.draw_total();
        }
    }

    fn removed(&mut self, id: u64) {
        if let Some((_, _, ended)) = self.transfers.get_mut(&id) {
            *ended = true;
        }
    }

    fn finish(mut self) -> Vec<Transfer> {
        if let Some(bar) = &self.total {
            bar.finish_and_clear();
        }
        let finished = self.order.iter().filter_map(|id| self.transfers.remove(id));
        finished
            .map(|(transfer, bar, _)| {
                bar.finish_and_clear();
                transfer
            })
            .collect()
    }
}

/// How wide the terminal is that shows the bars.
fn terminal_columns() -> usize {
    let size = rustix::termios::tcgetwinsize(std::io::stderr());
    // Some terminals do not report a width.
    size.ok().map(|size| usize::from(size.ws_col)).filter(|columns| *columns > 0).unwrap_or(80).clamp(40, 200)
}

/// A narrow terminal has no room for long bars.
fn bar_style(columns: usize) -> ProgressStyle {
    let bar = if columns < 80 { 10 } else { 24 };
    let template = format!("{{prefix}} [{{bar:{bar}}}] {{percent:>3}}% {{wide_msg}}");
    ProgressStyle::with_template(&template).unwrap_or_else(|_| ProgressStyle::default_bar()).progress_chars("=> ")
}

fn padded(text: &str, columns: usize) -> String {
    format!("{text}{}", " ".repeat(columns.saturating_sub(width(text))))
}

fn draw(bar: &ProgressBar, transfer: &Transfer) {
    // A content may turn out larger than it was when the command was given.
    bar.set_length(transfer.size.max(1));
    bar.set_position(transfer.done_bytes);
    let mut text = transfer.state.to_string();
    match (&transfer.why, transfer.rate) {
        (Some(why), _) => text += &format!(" ({})", clean(&why.text)),
        (None, 0) => {}
        (None, bytes) => {
            text += &format!(" {}", rate(bytes));
            if let Some(seconds) = transfer.eta_s {
                text += &format!(", {} left", duration(seconds));
            }
        }
    }
    bar.set_message(text);
}
