//! `xbt-notify`: notifications of the desktop about what `xbtd` does. The daemon itself knows no desktop.
//!
//! [`desk`] holds the rules (which notifications there should be), [`words`] their texts, [`board`] what is shown of
//! them. [`follow`] follows the daemon, [`bus`] talks to the notification server.

mod board;
mod bus;
mod desk;
mod follow;
mod new_key;
mod note;
mod open;
mod uri;
mod words;

use std::path::PathBuf;
use std::process::ExitCode;
use std::time::{Duration, Instant};

use clap::Parser;
use clap::builder::{OsStringValueParser, TypedValueParser};
use tokio::signal::unix::{SignalKind, signal};
use tokio::sync::mpsc;
use tokio::time::{MissedTickBehavior, interval};
use xbt_api::{ApiError, Client};

use crate::board::{Board, Step};
use crate::bus::{Bus, BusError, Signal};
use crate::desk::{Desk, Intent};
use crate::follow::News;
use crate::note::{Abilities, Action, Note};

/// Updates that may wait; the daemon remembers more than that.
const QUEUE: usize = 64;

/// How often we look while time alone may change something.
const TICK: Duration = Duration::from_millis(500);

/// Between attempts while there is no notification server: the bus may try to start one each time.
const RETRY: Duration = Duration::from_secs(10);

/// Shows notifications about transfers, with buttons to accept and decline
#[derive(Debug, Parser)]
#[command(name = "xbt-notify", version)]
struct Args {
    /// The daemon's socket [default: $XDG_RUNTIME_DIR/xbt/xbtd.sock]
    #[arg(long, env = "XBT_SOCKET", hide_env_values = true, value_name = "PATH", value_parser = path())]
    socket: Option<PathBuf>,
}

/// Any path, also an empty one: an empty XBT_SOCKET means the same as none.
fn path() -> impl TypedValueParser<Value = PathBuf> {
    OsStringValueParser::new().map(PathBuf::from)
}

fn main() -> ExitCode {
    let args = Args::parse();
    let socket = args.socket.filter(|path| !path.as_os_str().is_empty()).or_else(xbt_api::find_socket);
    let Some(socket) = socket else {
        return failed("the daemon's socket path is unknown", "give it with --socket or XBT_SOCKET");
    };
    let runtime = match tokio::runtime::Builder::new_current_thread().enable_all().build() {
        Ok(runtime) => runtime,
        Err(error) => return failed(&format!("cannot start: {error}"), ""),
    };
    match runtime.block_on(run(socket)) {
        Ok(()) => ExitCode::SUCCESS,
        // One runs, as wished.
        Err(BusError::Second) => {
            eprintln!("{}", BusError::Second);
            ExitCode::SUCCESS
        }
        Err(error @ BusError::Session(_)) => {
            failed(&error.to_string(), "start it in a graphical session, where DBUS_SESSION_BUS_ADDRESS is set")
        }
    }
}

fn failed(message: &str, hint: &str) -> ExitCode {
    eprintln!("error: {message}");
    if !hint.is_empty() {
        eprintln!("hint: {hint}");
    }
    ExitCode::FAILURE
}

async fn run(socket: PathBuf) -> Result<(), BusError> {
    let mut bus = Bus::open().await?;
    let (sender, mut inbox) = mpsc::channel(QUEUE);
    tokio::spawn(follow::follow(socket, sender));
    let (refuse, mut refusals) = mpsc::channel(QUEUE);
    let signals = (signal(SignalKind::terminate()), signal(SignalKind::interrupt()));
    let (Ok(mut terminated), Ok(mut interrupted)) = signals else { return Ok(()) };
    let mut tick = interval(TICK);
    tick.set_missed_tick_behavior(MissedTickBehavior::Delay);
    let mut notifier =
        Notifier { desk: Desk::default(), board: Board::default(), abilities: None, retry: None, client: None, refuse };
    loop {
        tokio::select! {
            biased;
            _ = terminated.recv() => break,
            _ = interrupted.recv() => break,
            signal = bus.next() => match signal {
                Some(signal) => notifier.signal(&bus, signal).await,
                None => return Ok(()),
            },
            Some((id, error)) = refusals.recv() => notifier.desk.refused(id, error),
            Some(news) = inbox.recv() => {
                notifier.news(news);
                // Whatever came meanwhile is one change on the screen.
                while let Ok(news) = inbox.try_recv() {
                    notifier.news(news);
                }
            }
            _ = tick.tick(), if notifier.waits() => {}
        }
        notifier.update(&bus).await;
    }
    for id in notifier.board.lasting() {
        bus.close(id).await;
    }
    Ok(())
}

/// Brings what the daemon reports to the desktop.
struct Notifier {
    desk: Desk,
    board: Board,
    /// `None`: the notification server has not been asked yet, or is not there.
    abilities: Option<Abilities>,
    /// Not before this time, unless a server appears.
    retry: Option<Instant>,
    client: Option<Client>,
    refuse: mpsc::Sender<(u64, ApiError)>,
}

impl Notifier {
    fn news(&mut self, news: News) {
        let now = Instant::now();
        match news {
            News::Connected(client) => self.client = Some(client),
            News::Gone => self.client = None,
            News::Look(transfers) => self.desk.look(transfers, now),
            News::Names(names) => self.desk.names(names),
            News::Device(key) => self.desk.device(key),
            News::Login(refused) => self.desk.login(refused),
            News::Event(event) => self.desk.event(*event, now),
        }
    }

    async fn signal(&mut self, bus: &Bus, signal: Signal) {
        match signal {
            Signal::Changed => {
                self.abilities = None;
                self.retry = None;
                self.board.gone();
            }
            Signal::Closed(id) => {
                if let Some(key) = self.board.closed(id) {
                    self.desk.closed(key);
                }
            }
            Signal::Pressed(id, action) => {
                let Some((key, action)) = self.board.key(id).zip(Action::from_key(&action)) else { return };
                match self.desk.pressed(key, action) {
                    Some(Intent::Open(path)) => open::folder(bus, &path).await,
                    Some(intent @ (Intent::Accept(_) | Intent::Decline(_))) => self.answer(intent),
                    None => {}
                }
            }
        }
    }

    /// Passes on what the person asked for; one call for each offer at most.
    fn answer(&mut self, intent: Intent) {
        let (client, refuse) = (self.client.clone(), self.refuse.clone());
        tokio::spawn(async move {
            let (id, result) = match (intent, client) {
                (Intent::Accept(id), Some(client)) => (id, client.accept(vec![id], None).await),
                (Intent::Decline(id), Some(client)) => (id, client.decline(vec![id], None).await),
                (Intent::Accept(id) | Intent::Decline(id), None) => {
                    let error = ApiError::new(
                        xbt_api::codes::DAEMON_UNREACHABLE,
                        "the daemon is not running",
                        "start it with 'systemctl --user start xbtd', then try again",
                    );
                    let _ = refuse.send((id, error)).await;
                    return;
                }
                (Intent::Open(_), _) => return,
            };
            if let Err(error) = result {
                let _ = refuse.send((id, error.into())).await;
            }
        });
    }

    /// Whether time alone may change something.
    fn waits(&self) -> bool {
        self.retry.is_some() || self.board.holds_back() || self.desk.waits()
    }

    /// Brings what is shown up to date.
    async fn update(&mut self, bus: &Bus) {
        let now = Instant::now();
        if self.retry.is_some_and(|retry| now < retry) {
            return;
        }
        self.retry = None;
        for step in self.board.plan(&self.desk.wanted(now), now) {
            match step {
                Step::Close(id) => bus.close(id).await,
                Step::Show(key, note, replaces) => match self.show(bus, &note, replaces).await {
                    Ok(id) => self.board.shows(key, *note, id, now),
                    Err(error) => {
                        eprintln!("xbt-notify: the notification server cannot be used: {error}");
                        self.abilities = None;
                        self.retry = Some(now + RETRY);
                        return;
                    }
                },
            }
        }
    }

    async fn show(&mut self, bus: &Bus, note: &Note, replaces: u32) -> zbus::Result<u32> {
        let abilities = match self.abilities {
            Some(abilities) => abilities,
            // Not earlier, because the bus starts a server that is asked.
            None => *self.abilities.insert(bus.abilities().await?),
        };
        bus.show(note, replaces, abilities).await
    }
}
