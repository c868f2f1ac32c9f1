//! The domain: the one owner of all state. It takes inputs and answers with effects.
//!
//! The state is divided into parts with private fields. The rules are in the other files; they read the parts and change
//! them by their methods only, so what a part keeps holds whatever a rule does.
//!
//! | part | owns | keeps |
//! |---|---|---|
//! | `transfers` | transfers, tombstones, what the present input has changed | no row of another account is changed or found by its offer; the indexes; the bounds on tombstones and on transfers that came to nothing |
//! | `contents` | contents, and which are open | an info-hash is opened once, and shut with the last content that has it |
//! | `roster` | contacts, and strangers who ask to see our presence | the bound on such requests |
//! | `devices` | keys of devices | a key belongs to one contact |
//! | `proofs` | which key each device that is online has proved, epochs and numbers | a request counts once, and only from the device that the epoch was given to |
//! | `presence` | the connection, and the resources that are online | the bound on resources of a contact |
//! | `outbox` | requests to other devices | one for each device and subject; the bound on those in flight; a notice survives its transfer; a device that refuses offers is not flooded with them |
//! | `links` | links that the engine has | a link belongs to one transfer; one that ended before it was known is closed at once |
//! | `turns` | who has a link with a device, and who waits for one | the order in which they wait |
//! | `ledger` | notices of each contact that were held back | one notice of a contact at a time |
//! | `reach` | our addresses and what our server offers | which of it a contact learns: `our_reach` |
//! | `numbers` | ids and tokens | none is used twice |
//! | `pace`, `delete`, `discarded`, `clock` | limits by time, deletions, unreadable stanzas, timers | see there |
//!
//! What is known of a transfer only while the daemon runs (`live`) follows from the rest and is open to the rules.

mod ahead;
mod answer;
mod ask;
mod better;
mod clock;
mod command;
mod connect;
mod contents;
mod delete;
mod devices;
mod discarded;
mod ending;
mod forget;
mod hook;
mod introduce;
mod introduced;
mod ledger;
mod limit;
mod link;
mod links;
mod live;
mod login;
mod names;
mod numbers;
mod open;
mod outbox;
mod pace;
mod presence;
mod proofs;
mod reach;
mod request;
mod roster;
mod rules;
mod send;
mod session;
mod sets;
mod sync;
mod torrent;
mod transfers;
mod trust;
mod turns;
mod view;

#[cfg(test)]
mod tests;

use std::collections::{BTreeSet, HashMap};

use crate::contact::{Contact, Device};
use crate::effect::{Counters, Effect, Event, Persist};
use crate::ids::{FullJid, TransferId};
use crate::input::{Input, LinkEvent};
use crate::login::Login;
use crate::settings::Settings;
use crate::time::{Mono, Now};
use crate::transfer::{Content, Deletion, Tombstone, Transfer};

use clock::Timers;
use contents::Contents;
use delete::Deletions;
use devices::Devices;
use discarded::Discarded;
use ledger::Ledger;
use links::Links;
use live::Live;
use numbers::Numbers;
use outbox::Outbox;
use pace::Pace;
use presence::Presence;
use proofs::Proofs;
use reach::OwnReach;
use roster::Roster;
use sets::Sets;
use transfers::Transfers;
use turns::{Pair, Turns};

pub use ledger::Usage;
pub use live::LiveView;
pub use pace::PaceView;
pub use rules::Ruling;
pub use view::{ContactView, DeviceView};

/// Everything the store kept, as it comes back at start.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Rows {
    /// All transfers, also those of other accounts.
    pub transfers: Vec<Transfer>,
    /// What outlives removed transfers.
    pub tombstones: Vec<Tombstone>,
    /// What is sent.
    pub contents: Vec<Content>,
    /// Received data that is being deleted.
    pub deletions: Vec<Deletion>,
    /// The remembered rosters.
    pub contacts: Vec<Contact>,
    /// The known keys.
    pub devices: Vec<Device>,
    /// How each account was logged in.
    pub logins: Vec<Login>,
    /// The numbers that come next.
    pub counters: Counters,
}

/// A source of 128 random bits; in tests and in the simulation a deterministic one.
pub type Entropy = Box<dyn FnMut() -> u128 + Send>;

/// All state and all rules.
pub struct Domain {
    settings: Settings,
    entropy: Entropy,
    numbers: Numbers,
    transfers: Transfers,
    live: HashMap<TransferId, Live>,
    turns: Turns,
    contents: Contents,
    roster: Roster,
    devices: Devices,
    proofs: Proofs,
    presence: Presence,
    /// The strongest login of our account so far.
    login: Option<Login>,
    /// Stanzas that could not be read.
    discarded: Discarded,
    reach: OwnReach,
    outbox: Outbox,
    /// Devices with which a second `sync` is planned.
    confirming: BTreeSet<FullJid>,
    ledger: Ledger,
    links: Links,
    /// The transfers for which each device was introduced, by who introduced it.
    introduced: Sets<Pair>,
    deletions: Deletions,
    timers: Timers,
    pace: Pace,
    /// Of the input that is being handled.
    now: Now,
    effects: Vec<Effect>,
}

impl Domain {
    /// Takes the rows of the store. There are no effects before [`Input::Started`].
    pub fn new(settings: Settings, rows: Rows, entropy: Entropy) -> Self {
        let account = settings.account.clone();
        Self {
            settings,
            entropy,
            numbers: Numbers::new(rows.counters),
            transfers: Transfers::new(account.clone(), rows.transfers, rows.tombstones),
            live: HashMap::new(),
            turns: Turns::default(),
            contents: Contents::new(rows.contents),
            roster: Roster::new(account.clone(), rows.contacts),
            devices: Devices::new(&account, rows.devices),
            proofs: Proofs::default(),
            presence: Presence::default(),
            login: rows.logins.into_iter().find(|login| login.account == account),
            discarded: Discarded::default(),
            reach: OwnReach::default(),
            outbox: Outbox::default(),
            confirming: BTreeSet::new(),
            ledger: Ledger::default(),
            links: Links::default(),
            introduced: Sets::default(),
            deletions: Deletions::new(rows.deletions),
            timers: Timers::default(),
            pace: Pace::default(),
            now: Now::default(),
            effects: Vec::new(),
        }
    }

    /// Handles an input. Of the effects, everything to be written comes first.
    pub fn handle(&mut self, input: Input, now: Now) -> Vec<Effect> {
        self.now = now;
        match input {
            Input::Started => self.started(),
            Input::Session(event) => self.session(event),
            Input::Command(call, command) => self.command(call, command),
            Input::Torrent(event) => self.torrent(event),
            Input::Link(LinkEvent::Candidates(candidates)) => self.candidates_changed(candidates),
            Input::Link(LinkEvent::Up { transfer, link, way, relay, attempts }) => {
                self.link_up(transfer, link, (way, relay), attempts);
            }
            Input::Link(LinkEvent::Failed { transfer, attempts }) => self.link_failed(transfer, attempts),
            Input::Destination { transfer, destination } => self.destination_found(transfer, destination),
            Input::Hook { transfer, hook, outcome } => self.hook_ended(transfer, hook, outcome),
            Input::Link(LinkEvent::IntroducedUp { transfer, peer, link }) => self.introduced_up(transfer, peer, link),
            Input::Link(LinkEvent::IntroducedFailed { transfer, peer }) => self.introduced_failed(transfer, peer),
            Input::Tick => {}
            Input::Settings(settings) => self.reconfigure(settings),
        }
        self.keep_pace();
        self.run_timers();
        self.pump_outbox();
        self.forget_vain();
        self.open_and_shut();
        self.collect()
    }

    /// Applies a reloaded configuration. The identity changes only with a restart: all state belongs to one account.
    fn reconfigure(&mut self, settings: Settings) {
        let Settings { account, resource, fingerprint, .. } = self.settings.clone();
        self.settings = Settings { account, resource, fingerprint, ..settings };
        self.limit_as_configured();
        self.introductions_allowed();
    }

    /// When [`Input::Tick`] is wanted next.
    pub fn next_wake(&self) -> Option<Mono> {
        self.timers.next()
    }

    /// Rows that have changed come first, then the events about them, then the other effects.
    fn collect(&mut self) -> Vec<Effect> {
        let changed = self.transfers.take_changed();
        let rest = std::mem::take(&mut self.effects);
        let news: Vec<Effect> = changed.iter().map(|t| Effect::Emit(Event::Transfer(t.id))).collect();
        let rows = changed.into_iter().map(|t| Effect::Persist(Persist::Transfer(Box::new(t))));
        let (persists, others): (Vec<_>, Vec<_>) = rest.into_iter().partition(|e| matches!(e, Effect::Persist(_)));
        rows.chain(persists).chain(news).chain(others).collect()
    }

    fn push(&mut self, effect: Effect) {
        self.effects.push(effect);
    }

    fn persist(&mut self, change: Persist) {
        self.effects.push(Effect::Persist(change));
    }

    /// What is known of a transfer only while the daemon runs.
    fn live(&mut self, id: TransferId) -> &mut Live {
        self.live.entry(id).or_default()
    }
}
