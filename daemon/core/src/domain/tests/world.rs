//! Devices with their rules and rows, a server, engines and links, one clock and one queue of what is under way.

pub mod attacker;
pub mod engine;
pub mod person;
pub mod store;
pub mod xmpp;

use std::collections::{BTreeMap, BTreeSet, HashMap};

use crate::domain::Domain;
use crate::effect::{CallId, Effect, Event as News, LinkId, LinkTag, Persist, Reply};
use crate::fault::Fault;
use crate::folder::FolderPattern;
use crate::ids::{BareJid, Fingerprint, FullJid, TransferId};
use crate::input::{Destination, Input};
use crate::settings::{Settings, Subscriptions};
use crate::signal::{Candidate, CandidateKind, Condition, Epoch, ErrorType, Token};
use crate::time::{Mono, Now, Wall};
use crate::transfer::{End, Incoming, Side, Transfer};
use crate::way::{Way, Ways};

use engine::{Engine, Grant, Link};
use store::Store;
use xmpp::Pending;

/// SplitMix64: a few lines, and every run of a seed is the same.
pub struct Random(pub u64);

impl Random {
    pub fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let z = (self.0 ^ (self.0 >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        let z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }

    pub fn below(&mut self, limit: u64) -> u64 {
        self.next() % limit
    }

    pub fn chance(&mut self, percent: u64) -> bool {
        self.below(100) < percent
    }
}

/// A device, by its place in the world.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Node(pub usize);

/// What is under way.
#[derive(Clone, Debug)]
pub enum Event {
    /// An input for a device, void if it was started again meanwhile (or has lost its session, for what the server sends).
    Input { node: Node, life: (u64, Option<u64>), input: Box<Input> },
    /// A request reaches the device it is for, or nobody.
    Request { id: u64 },
    /// Nobody has answered a request.
    Unanswered { id: u64 },
    /// Two grants that fit become a link.
    Join { a: (Node, LinkId), b: (Node, LinkId) },
    /// A grant has found nobody.
    GiveUp { node: Node, link_id: LinkId, grant: u64 },
    /// A link carries the next part.
    Carry { link: u64 },
}

/// One device.
pub struct Device {
    pub settings: Settings,
    pub store: Store,
    pub domain: Domain,
    /// Counts the starts; what was under way to an earlier life is lost.
    pub life: u64,
    /// Has a session with the server.
    pub online: bool,
    /// Counts the sessions.
    pub session: u64,
    pub engine: Engine,
    pub grants: BTreeMap<LinkId, Grant>,
    pub replies: HashMap<CallId, Result<Reply, Fault>>,
    pub news: Vec<News>,
    /// What is found where the rules have an offer go.
    pub destination: Destination,
    /// The person's commands that should run.
    pub hooks: Vec<(TransferId, crate::hook::Hook)>,
    pub sent: Vec<crate::session::SessionCommand>,
    /// Requests that were handed in and must be answered once.
    pub asked: BTreeMap<Token, u64>,
    /// Loses what should go out from the next batch, and is started again.
    pub crash: bool,
    tokens: BTreeSet<Token>,
}

impl Device {
    pub fn jid(&self) -> FullJid {
        FullJid::new(self.settings.account.clone(), self.settings.resource.clone())
    }
}

/// How bad the world is: chances in percent.
#[derive(Clone, Copy, Debug, Default)]
pub struct Faults {
    pub lose: u64,
    pub double: u64,
    pub reorder: bool,
    /// Requests may come (once more) when their asker has long given up: only the next `sync` can mend that.
    pub late: bool,
    pub no_links: bool,
    /// How often somebody on the way sends again, moves or forges what is said.
    pub attacks: u64,
    /// Servers answer every request with this condition and type, as if its recipient could not be reached.
    pub error: Option<(Condition, ErrorType)>,
}

/// Everything.
pub struct World {
    pub random: Random,
    pub now: u64,
    pub devices: Vec<Device>,
    pub faults: Faults,
    pub roster: BTreeSet<(String, String)>,
    pub size: u64,
    /// The ways that links may take.
    pub ways: Vec<Way>,
    /// Milliseconds in which a link carries a quarter of a content.
    pub pace: u64,
    pub links: BTreeMap<u64, Link>,
    /// What each device's wall clock is wrong by.
    pub skew: Vec<i64>,
    queue: BTreeMap<(u64, u64), Event>,
    pending: BTreeMap<u64, Pending>,
    counter: u64,
    /// The latest delivery between two devices: without reordering nothing overtakes it.
    latest: BTreeMap<(Node, Node), u64>,
    /// What devices gave to those for whom a test speaks, and the last number in it.
    epochs: BTreeMap<(Node, FullJid, Fingerprint), (Epoch, u64)>,
    attacker: attacker::Attacker,
}

pub const DAY: u64 = 86_400_000;
pub const EPOCH: i64 = 1_800_000_000_000;

pub fn jid(name: &str) -> BareJid {
    BareJid::from_normalised(format!("{name}@example.org"))
}

impl World {
    pub fn new(seed: u64) -> Self {
        Self {
            random: Random(seed),
            now: 0,
            devices: Vec::new(),
            faults: Faults::default(),
            roster: BTreeSet::new(),
            size: 4_000,
            ways: vec![Way::DirectTcp6],
            pace: 100,
            links: BTreeMap::new(),
            skew: Vec::new(),
            queue: BTreeMap::new(),
            pending: BTreeMap::new(),
            counter: 0,
            latest: BTreeMap::new(),
            epochs: BTreeMap::new(),
            attacker: attacker::Attacker::default(),
        }
    }

    /// A new device; it is started and not yet online.
    pub fn device(&mut self, account: &str, resource: &str) -> Node {
        let node = Node(self.devices.len());
        let settings = Settings {
            account: jid(account),
            resource: resource.to_owned(),
            fingerprint: Fingerprint([node.0 as u8 + 1; 32]),
            accept_from: Vec::new(),
            verified_groups: false,
            accept_max_size: u64::MAX,
            accept_quota: 0,
            rules: Vec::new(),
            folder: FolderPattern::plain("/home/downloads"),
            subscriptions: Subscriptions::Ask,
            courtesy_message: true,
            ways: Ways::ALL,
            introduce: true,
            in_band_max_size: 1 << 20,
            limits: Default::default(),
            schedules: Vec::new(),
            hooks: Default::default(),
        };
        let domain = Domain::new(settings.clone(), Store::default().rows(), Box::new(|| 0));
        self.devices.push(Device {
            settings,
            store: Store::default(),
            domain,
            life: 0,
            online: false,
            session: 1,
            engine: Engine::default(),
            grants: BTreeMap::new(),
            replies: HashMap::new(),
            news: Vec::new(),
            destination: Destination {
                folder: "/home/downloads".into(),
                free: Ok(u64::MAX),
                disk: None,
                largest: None,
                chosen: false,
            },
            hooks: Vec::new(),
            sent: Vec::new(),
            asked: BTreeMap::new(),
            crash: false,
            tokens: BTreeSet::new(),
        });
        self.skew.push(0);
        self.start(node);
        node
    }

    pub fn at(&self, node: Node) -> &Device {
        &self.devices[node.0]
    }

    pub fn at_mut(&mut self, node: Node) -> &mut Device {
        &mut self.devices[node.0]
    }

    pub fn count(&mut self) -> u64 {
        self.counter += 1;
        self.counter
    }

    /// Drops the rules and whatever only lived in memory, and builds them again from the rows.
    pub fn restart(&mut self, node: Node) {
        self.logout(node);
        self.start(node);
    }

    fn start(&mut self, node: Node) {
        self.lose_links(node);
        let seed = self.random.next();
        let mut entropy = Random(seed);
        let entropy = Box::new(move || u128::from(entropy.next()) << 64 | u128::from(entropy.next()));
        let device = self.at_mut(node);
        device.life += 1;
        device.crash = false;
        device.grants.clear();
        device.engine.restart();
        device.asked.clear();
        device.tokens.clear();
        device.domain = Domain::new(device.settings.clone(), device.store.rows(), entropy);
        self.handle(node, Input::Started);
        let address = format!("192.0.2.{}:5000", node.0 + 1).parse().unwrap();
        let candidates = vec![Candidate { kind: CandidateKind::Host, address }];
        self.handle(node, Input::Link(crate::input::LinkEvent::Candidates(candidates)));
    }

    pub fn clock(&self, node: Node) -> Now {
        Now { wall: Wall(EPOCH + self.now as i64 + self.skew[node.0]), mono: Mono(self.now), zone: Default::default() }
    }

    /// Hands an input in at once.
    pub fn handle(&mut self, node: Node, input: Input) {
        let now = self.clock(node);
        let asked = match &input {
            Input::Session(crate::session::SessionEvent::Requested { token, .. }) => Some(*token),
            _ => None,
        };
        let told = std::env::var("XBT_TRACE").map(|_| format!("{:9} {node:?} {input:?}", self.now)).ok();
        let device = self.at_mut(node);
        let effects = device.domain.handle(input, now);
        if let Some(told) = told {
            eprintln!("{told}");
            effects.iter().for_each(|effect| eprintln!("            -> {effect:?}"));
        }
        let first_other = effects.iter().position(|e| !matches!(e, Effect::Persist(_))).unwrap_or(effects.len());
        let (rows, others) = effects.split_at(first_other);
        assert!(others.iter().all(|e| !matches!(e, Effect::Persist(_))), "rows come first");
        for effect in rows {
            let Effect::Persist(change) = effect else { unreachable!() };
            if let Persist::Transfer(row) = change {
                let done = matches!(row.side, Side::In { state: Incoming::Ended(End::Done), .. });
                assert!(!done || device.engine.complete.contains_key(&row.content), "done before all is in place");
            }
            device.store.apply(change.clone());
        }
        if let Some(token) = asked {
            let answers = others.iter().filter(|e| xmpp::answers(e, token)).count();
            assert_eq!(answers, 1, "a request is answered exactly once");
        }
        if device.crash {
            return self.restart(node);
        }
        for effect in others.iter().cloned() {
            self.carry_out(node, effect);
        }
    }

    fn carry_out(&mut self, node: Node, effect: Effect) {
        match effect {
            Effect::Persist(_) => {}
            Effect::Session(command) => self.session(node, command),
            Effect::Torrent(command) => self.torrent(node, command),
            Effect::Link(command) => self.link(node, command),
            Effect::Emit(news) => self.at_mut(node).news.push(news),
            Effect::Reply(call, reply) => {
                let before = self.at_mut(node).replies.insert(call, reply);
                assert!(before.is_none(), "a call is replied to once");
            }
            Effect::Destination(transfer) => {
                let destination = self.at(node).destination.clone();
                self.input_later(node, 5, Input::Destination { transfer, destination });
            }
            Effect::Hook(id, hook) => self.at_mut(node).hooks.push((id, hook)),
        }
    }

    pub fn later(&mut self, wait: u64, event: Event) {
        let number = self.count();
        self.queue.insert((self.now + wait, number), event);
    }

    pub fn input_later(&mut self, node: Node, wait: u64, input: Input) {
        let device = self.at(node);
        let session = matches!(input, Input::Session(_)).then_some(device.session);
        let life = (device.life, session);
        self.later(wait, Event::Input { node, life, input: Box::new(input) });
    }

    fn happen(&mut self, event: Event) {
        match event {
            Event::Input { node, life: (life, session), input } => {
                let device = self.at(node);
                if device.life == life && session.is_none_or(|s| s == device.session) {
                    self.handle(node, *input);
                }
            }
            Event::Request { id } => self.arrive(id),
            Event::Unanswered { id } => self.unanswered(id),
            Event::Join { a, b } => self.join(a, b),
            Event::GiveUp { node, link_id, grant } => self.give_up(node, link_id, grant),
            Event::Carry { link } => self.carry(link),
        }
    }

    /// Lets so many milliseconds go by.
    pub fn pass(&mut self, ms: u64) {
        let end = self.now + ms;
        let mut ticks_now = 0;
        loop {
            let queued = self.queue.first_key_value().map(|((at, _), _)| *at);
            let wake = self.devices.iter().filter_map(|d| d.domain.next_wake()).map(|m| m.0).min();
            let next = queued.into_iter().chain(wake).min().unwrap_or(u64::MAX);
            if next > end {
                break;
            }
            ticks_now = if next > self.now { 0 } else { ticks_now + 1 };
            assert!(ticks_now < 100_000, "the world spins");
            self.now = self.now.max(next);
            if queued == Some(next) {
                let (_, event) = self.queue.pop_first().unwrap();
                self.happen(event);
            } else {
                let due = |d: &Device| d.domain.next_wake().is_some_and(|at| at.0 <= next);
                let node = Node(self.devices.iter().position(due).unwrap());
                self.handle(node, Input::Tick);
                assert!(self.at(node).domain.next_wake().is_none_or(|at| at.0 > next), "a timer that never ends");
            }
        }
        self.now = end;
    }

    /// Long enough for everything that is not waiting for a person.
    pub fn settle(&mut self) {
        self.pass(10 * 60_000);
    }

    pub fn transfer(&self, node: Node, id: TransferId) -> &Transfer {
        self.at(node).domain.transfer(id).unwrap()
    }
}

/// For links made in the world.
pub fn tag(number: u64) -> LinkTag {
    LinkTag(number)
}
