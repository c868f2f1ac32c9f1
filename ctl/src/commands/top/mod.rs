//! `xbtctl top`: everything that moves, on the whole screen.
//!
//! [`model`] decides, [`view`] draws; here are the terminal, the keyboard and the daemon.

mod model;
#[cfg(test)]
mod tests;
mod view;

use std::io::{self, IsTerminal};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use ratatui::DefaultTerminal;
use ratatui::crossterm::event::{self, Event as TerminalEvent, KeyCode, KeyEventKind, KeyModifiers};
use tokio::signal::unix::{SignalKind, signal};
use tokio::sync::mpsc;
use tokio::time::{Instant, MissedTickBehavior, interval};
use xbt_api::{Client, ClientError, ListQuery, MAX_WAIT_MS};

use self::model::{Deed, Input, Model, Request};
use crate::context::Context;
use crate::failure::Failure;
use crate::out::is_dumb;
use crate::paging;
use crate::time::Clock;

/// Capacity of the inbox.
const QUEUE: usize = 64;

/// Between two looks at the daemon's rates.
const SECOND: Duration = Duration::from_secs(1);

/// Longest that the thread at the keyboard takes to notice the end.
const KEY_WAIT: Duration = Duration::from_millis(100);

/// At most so often the screen is drawn.
const FRAME: Duration = Duration::from_millis(50);

/// What the tasks around the loop bring.
type News = Result<Option<Input>, Failure>;

/// Shows everything until the person leaves, or the daemon goes.
pub async fn run(context: &Context) -> Result<(), Failure> {
    if context.out.json {
        return Err(Failure::usage("top has no JSON output", "use 'xbtctl watch --json'"));
    }
    if !io::stdout().is_terminal() || !io::stdin().is_terminal() {
        return Err(Failure::usage("top needs a terminal", "use 'xbtctl list' or 'xbtctl watch' here"));
    }
    if is_dumb() {
        return Err(Failure::usage(
            "this terminal (TERM=dumb) cannot show top",
            "use 'xbtctl list' or 'xbtctl watch' here",
        ));
    }
    let client = context.connect().await?;
    let (sender, mut inbox) = mpsc::channel(QUEUE);
    tokio::spawn(follow(client.clone(), sender.clone()));
    tokio::spawn(look(client.clone(), sender.clone()));
    tokio::spawn(until_told_to_end(sender.clone()));
    let mut screen = Screen::open(sender.clone())?;
    let colour = context.out.is_coloured();
    let mut model = Model::default();
    loop {
        screen.terminal.draw(|frame| view::draw(frame, &model, colour, &Clock::new(true))).map_err(Failure::from)?;
        let drawn = Instant::now();
        let Some(news) = inbox.recv().await else { return Ok(()) };
        let mut next = Some(news);
        // All that came meanwhile is drawn at once.
        while let Some(news) = next {
            let request = news?.and_then(|input| model.update(input));
            match request {
                Some(Request::Quit) => return Ok(()),
                Some(Request::List) => list_all(client.clone(), sender.clone()),
                Some(Request::Do(deed, id)) => {
                    tokio::spawn(tell(client.clone(), sender.clone(), deed, id));
                }
                None => {}
            }
            next = match inbox.try_recv() {
                Ok(news) => Some(news),
                Err(_) => tokio::time::timeout_at(drawn + FRAME, inbox.recv()).await.ok().flatten(),
            };
        }
    }
}

/// A window that is closed and a system that shuts down end programs; the terminal is given back all the same.
async fn until_told_to_end(sender: mpsc::Sender<News>) {
    let (Ok(mut terminated), Ok(mut hung_up)) = (signal(SignalKind::terminate()), signal(SignalKind::hangup())) else {
        return;
    };
    tokio::select! {
        _ = terminated.recv() => {}
        _ = hung_up.recv() => {}
    }
    let _ = sender.send(Err(Failure::interrupted("ended by a signal", ""))).await;
}

/// What happens, as it happens.
async fn follow(client: Client, sender: mpsc::Sender<News>) {
    let mut seq = None;
    loop {
        let news = match client.events(seq, Duration::from_millis(MAX_WAIT_MS)).await {
            Ok(news) => news,
            Err(error) => {
                // An error means that the receiver is gone.
                let _ = sender.send(Err(error.into())).await;
                return;
            }
        };
        // What was before the first event is asked for only now, so that nothing falls in between.
        let lagged = (news.lagged || seq.is_none()).then_some(Input::Lagged);
        seq = Some(news.seq);
        let events = news.events.into_iter().map(|event| Input::Event(Box::new(event)));
        for input in lagged.into_iter().chain(events) {
            if sender.send(Ok(Some(input))).await.is_err() {
                return;
            }
        }
    }
}

/// The daemon's rates, every second.
async fn look(client: Client, sender: mpsc::Sender<News>) {
    let mut second = interval(SECOND);
    second.set_missed_tick_behavior(MissedTickBehavior::Delay);
    loop {
        second.tick().await;
        let status = client.status().await.map(|status| Some(Input::Status(Box::new(status))));
        let failed = status.is_err();
        if sender.send(status.map_err(Failure::from)).await.is_err() || failed {
            return;
        }
    }
}

fn list_all(client: Client, sender: mpsc::Sender<News>) {
    tokio::spawn(async move {
        let transfers = paging::all_pages(&client, ListQuery::default()).await;
        let _ = sender.send(transfers.map(|transfers| Some(Input::Transfers(transfers)))).await;
    });
}

async fn tell(client: Client, sender: mpsc::Sender<News>, deed: Deed, id: u64) {
    let ids = vec![id];
    let result = match deed {
        Deed::Accept => client.accept(ids, None).await,
        Deed::Decline => client.decline(ids, None).await,
        Deed::Pause => client.pause(ids).await,
        Deed::Resume => client.resume(ids).await,
        Deed::Cancel => client.cancel(ids).await,
    };
    let news = match result {
        Ok(_) => Ok(Some(Input::Answer(Ok(format!("{id} {}", deed.done()))))),
        Err(ClientError::Api(error)) => Ok(Some(Input::Answer(Err(error.message)))),
        Err(error) => Err(error.into()),
    };
    let _ = sender.send(news).await;
}

/// The terminal while it is ours. Whatever ends us, it is given back as it was.
struct Screen {
    terminal: DefaultTerminal,
    closed: Arc<AtomicBool>,
}

impl Screen {
    fn open(sender: mpsc::Sender<News>) -> Result<Self, Failure> {
        let terminal =
            ratatui::try_init().map_err(|error| Failure::local(format!("cannot use the terminal: {error}")))?;
        let closed = Arc::new(AtomicBool::new(false));
        let screen = Self { terminal, closed: Arc::clone(&closed) };
        std::thread::spawn(move || keyboard(&closed, &sender));
        Ok(screen)
    }
}

impl Drop for Screen {
    fn drop(&mut self) {
        self.closed.store(true, Ordering::Relaxed);
        ratatui::restore();
    }
}

/// Reads keys until the screen is closed; a resize only triggers a redraw.
fn keyboard(closed: &AtomicBool, sender: &mpsc::Sender<News>) {
    while !closed.load(Ordering::Relaxed) {
        let input = match event::poll(KEY_WAIT).and_then(|ready| if ready { event::read().map(Some) } else { Ok(None) })
        {
            Ok(None) => continue,
            Ok(Some(TerminalEvent::Key(key))) if key.kind == KeyEventKind::Release => continue,
            // The terminal is in raw mode, where Ctrl-C is a key like others.
            Ok(Some(TerminalEvent::Key(key)))
                if key.code == KeyCode::Char('c') && key.modifiers.contains(KeyModifiers::CONTROL) =>
            {
                Some(Input::Key(KeyCode::Char('q')))
            }
            Ok(Some(TerminalEvent::Key(key))) => Some(Input::Key(key.code)),
            Ok(Some(_)) => None,
            Err(error) => {
                let gone = Failure::local(format!("cannot read the keyboard: {error}"));
                let _ = sender.blocking_send(Err(gone));
                return;
            }
        };
        if sender.blocking_send(Ok(input)).is_err() {
            return;
        }
    }
}
