//! What `top` knows, and what becomes of it: no terminal, no daemon, no clock.

use std::collections::{BTreeMap, VecDeque};

use ratatui::crossterm::event::KeyCode;
use xbt_api::{Direction, Event, EventKind, State, Status, Transfer, Way};

use crate::text::title;

/// Seconds that the graphs go back: as many columns as the widest screens have.
const HISTORY: usize = 400;

/// Ended transfers that are shown, newest first.
const MOST_ENDED: usize = 20;

/// What the person may tell the daemon to do with a transfer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Deed {
    Accept,
    Decline,
    Pause,
    Resume,
    Cancel,
}

impl Deed {
    /// What has been done once it is done.
    pub fn done(self) -> &'static str {
        match self {
            Self::Accept => "accepted",
            Self::Decline => "declined",
            Self::Pause => "paused",
            Self::Resume => "resumed",
            Self::Cancel => "cancelled",
        }
    }
}

/// What comes in.
#[derive(Clone, Debug)]
pub enum Input {
    /// The person pressed a key.
    Key(KeyCode),
    /// A second has passed and this is how the daemon stands.
    Status(Box<Status>),
    /// All transfers, anew.
    Transfers(Vec<Transfer>),
    /// Something happened.
    Event(Box<Event>),
    /// Events were missed.
    Lagged,
    /// What became of a request; what to tell the person.
    Answer(Result<String, String>),
}

/// What is to be done outside.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Request {
    /// Tell the daemon.
    Do(Deed, u64),
    /// Ask for all transfers.
    List,
    /// Leave.
    Quit,
}

/// A line at the bottom.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Word {
    /// The keys.
    Keys,
    /// Done.
    Good(String),
    /// Not done.
    Bad(String),
    /// Waits for `y`.
    Question(String, Deed, u64),
}

/// Bytes per second, both ways.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Rates {
    pub up: u64,
    pub down: u64,
}

/// All that `top` knows.
#[derive(Clone, Debug)]
pub struct Model {
    pub status: Option<Status>,
    transfers: BTreeMap<u64, Transfer>,
    /// Oldest first.
    pub history: VecDeque<Rates>,
    selected: Option<u64>,
    pub word: Word,
    pub shows_ended: bool,
}

impl Default for Model {
    fn default() -> Self {
        Self {
            status: None,
            transfers: BTreeMap::new(),
            history: VecDeque::new(),
            selected: None,
            word: Word::Keys,
            shows_ended: true,
        }
    }
}

impl Model {
    /// Takes something in.
    pub fn update(&mut self, input: Input) -> Option<Request> {
        match input {
            Input::Key(key) => return self.key(key),
            Input::Status(status) => {
                self.history.push_back(Rates { up: status.upload_rate, down: status.download_rate });
                while self.history.len() > HISTORY {
                    self.history.pop_front();
                }
                self.status = Some(*status);
            }
            Input::Transfers(transfers) => {
                self.transfers = transfers.into_iter().map(|transfer| (transfer.id, transfer)).collect();
            }
            Input::Event(event) => self.event(*event),
            Input::Lagged => return Some(Request::List),
            Input::Answer(Ok(done)) => self.word = Word::Good(done),
            Input::Answer(Err(why)) => self.word = Word::Bad(why),
        }
        None
    }

    fn event(&mut self, event: Event) {
        let Some(transfer) = event.transfer else { return };
        match event.kind {
            EventKind::Removed => {
                self.transfers.remove(&transfer.id);
            }
            EventKind::Transfer
            | EventKind::Connection
            | EventKind::Contact
            | EventKind::Device
            | EventKind::Notice => {
                self.transfers.insert(transfer.id, transfer);
                self.forget_old();
            }
        }
    }

    /// The daemon keeps thousands that have ended; here only those that can be seen count.
    fn forget_old(&mut self) {
        let ended: Vec<u64> = self.transfers.values().filter(|t| t.state.has_ended()).map(|t| t.id).collect();
        for id in ended.iter().take(ended.len().saturating_sub(MOST_ENDED)) {
            self.transfers.remove(id);
        }
    }

    fn key(&mut self, key: KeyCode) -> Option<Request> {
        if let Word::Question(_, deed, id) = std::mem::replace(&mut self.word, Word::Keys) {
            return matches!(key, KeyCode::Char('y' | 'Y')).then_some(Request::Do(deed, id));
        }
        match key {
            KeyCode::Char('q') | KeyCode::Esc => return Some(Request::Quit),
            KeyCode::Up | KeyCode::Char('k') => self.step(-1),
            KeyCode::Down | KeyCode::Char('j') => self.step(1),
            KeyCode::PageUp => self.step(-10),
            KeyCode::PageDown => self.step(10),
            KeyCode::Home => self.step(isize::MIN),
            KeyCode::End => self.step(isize::MAX),
            KeyCode::Char('e') => self.shows_ended = !self.shows_ended,
            KeyCode::Char('a') => return self.answer(Deed::Accept),
            KeyCode::Char('d') => return self.answer(Deed::Decline),
            KeyCode::Char('p') => return self.pause(),
            KeyCode::Char('c') => self.ask_cancel(),
            _ => {}
        }
        None
    }

    fn step(&mut self, by: isize) {
        let ids: Vec<u64> = self.rows().iter().map(|transfer| transfer.id).collect();
        let at = self.selected_row().unwrap_or_default();
        let at = at.saturating_add_signed(by).min(ids.len().saturating_sub(1));
        self.selected = ids.get(at).copied();
    }

    fn answer(&mut self, deed: Deed) -> Option<Request> {
        let transfer = self.current()?;
        if transfer.direction == Direction::In && transfer.state == State::Offered {
            return Some(Request::Do(deed, transfer.id));
        }
        self.word = Word::Bad(format!("{} is not an incoming offer", transfer.id));
        None
    }

    fn pause(&mut self) -> Option<Request> {
        let transfer = self.current()?;
        if transfer.state.has_ended() {
            self.word = Word::Bad(format!("{} has ended", transfer.id));
            return None;
        }
        Some(Request::Do(if transfer.paused { Deed::Resume } else { Deed::Pause }, transfer.id))
    }

    fn ask_cancel(&mut self) {
        let Some(transfer) = self.current() else { return };
        self.word = match transfer.state.has_ended() {
            true => Word::Bad(format!("{} has ended", transfer.id)),
            false => {
                let question = format!("Cancel {} {}? y/n", transfer.id, title(transfer));
                Word::Question(question, Deed::Cancel, transfer.id)
            }
        };
    }

    /// What is shown, in its order: what asks for an answer, what moves, what waits, what has ended (newest first).
    pub fn rows(&self) -> Vec<&Transfer> {
        let mut rows: Vec<_> =
            self.transfers.values().filter(|transfer| self.shows_ended || !transfer.state.has_ended()).collect();
        rows.sort_by_key(|transfer| {
            let ended = transfer.state.has_ended();
            (rank(transfer), if ended { u64::MAX - transfer.id } else { transfer.id })
        });
        rows
    }

    /// Where the selection is among the rows.
    pub fn selected_row(&self) -> Option<usize> {
        let rows = self.rows();
        let found = rows.iter().position(|transfer| Some(transfer.id) == self.selected);
        found.or(if rows.is_empty() { None } else { Some(0) })
    }

    fn current(&self) -> Option<&Transfer> {
        self.rows().get(self.selected_row()?).copied()
    }

    /// Who is sent to and received from at the moment, fastest first.
    pub fn contacts(&self) -> Vec<(&str, Rates)> {
        let mut contacts: BTreeMap<&str, Rates> = BTreeMap::new();
        for transfer in self.transfers.values().filter(|transfer| moves(transfer)) {
            let rates = contacts.entry(&transfer.contact).or_default();
            let rate = match transfer.direction {
                Direction::Out => &mut rates.up,
                Direction::In => &mut rates.down,
            };
            *rate = rate.saturating_add(transfer.rate);
        }
        let mut contacts: Vec<_> = contacts.into_iter().collect();
        contacts.sort_by_key(|(_, rates)| std::cmp::Reverse(rates.up.saturating_add(rates.down)));
        contacts
    }

    /// Ways in use, each with how many transfers go by it.
    pub fn ways(&self) -> Vec<(Way, usize)> {
        let mut ways: BTreeMap<Way, usize> = BTreeMap::new();
        for way in self.transfers.values().filter(|transfer| moves(transfer)).filter_map(|transfer| transfer.way) {
            *ways.entry(way).or_default() += 1;
        }
        ways.into_iter().collect()
    }
}

fn moves(transfer: &Transfer) -> bool {
    matches!(transfer.state, State::Sending | State::Receiving)
}

fn rank(transfer: &Transfer) -> u8 {
    match transfer.state {
        State::Offered if transfer.direction == Direction::In => 0,
        State::Sending | State::Receiving | State::Connecting => 1,
        State::Preparing | State::Queued | State::Offered => 2,
        State::Done | State::Declined | State::Cancelled | State::Expired | State::Elsewhere | State::Failed => 3,
    }
}
