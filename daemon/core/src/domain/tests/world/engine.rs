//! The engine and the link room: hashing, grants that find each other, links that carry a quarter at a time.

use std::collections::{BTreeMap, BTreeSet};

use crate::effect::{Data, DialRequest, LinkCommand, LinkId, LinkTag, TorrentCommand};
use crate::fault::Fault;
use crate::ids::{BareJid, ContentId, Fingerprint, InfoHash, TransferId};
use crate::input::{Attempt, Input, LinkEvent, TorrentEvent};
use crate::limits::LINKS_PER_DEVICE;
use crate::rate::{Priority, RateLimits};
use crate::signal::MAX_CANDIDATES;
use crate::transfer::{Deleted, Direction, Facts};
use crate::way::Way;

use super::{Event, Node, World, tag};

pub struct Fetch {
    pub facts: Facts,
    pub paused: bool,
    pub folder: String,
}

#[derive(Default)]
pub struct Engine {
    pub seeds: BTreeSet<ContentId>,
    pub fetches: BTreeMap<ContentId, Fetch>,
    /// Verified bytes on disk: they outlive a restart.
    pub partial: BTreeMap<ContentId, u64>,
    /// How often each content was hashed.
    pub prepared: BTreeMap<ContentId, u64>,
    /// What was moved into place.
    pub complete: BTreeMap<ContentId, u64>,
    pub preparing: BTreeSet<ContentId>,
    pub disk_full: bool,
    pub deleted: Vec<String>,
    /// What is to be deleted is, at once.
    pub deletes: bool,
    /// What stays each time.
    pub keeps: u64,
    /// What holds for the contents that are open, and for contacts.
    pub limited: BTreeMap<ContentId, (RateLimits, Priority)>,
    pub contacts: BTreeMap<BareJid, RateLimits>,
    pub all: RateLimits,
    /// What the link room answers plain BitTorrent for.
    pub open: BTreeSet<InfoHash>,
}

impl Engine {
    pub fn restart(&mut self) {
        self.seeds.clear();
        self.fetches.clear();
        self.preparing.clear();
        self.limited.clear();
        self.contacts.clear();
        self.open.clear();
    }
}

/// A device may have a link for a transfer.
pub struct Grant {
    pub peer: Fingerprint,
    pub info_hash: InfoHash,
    /// Counts the wants.
    pub number: u64,
    /// A new link is wanted; otherwise it stands for the one there is.
    fresh: bool,
    pub better_than: Option<Way>,
}

/// The ends of a link: the sender's first, if there is one.
pub struct Link {
    pub ends: [(Node, TransferId, ContentId, LinkTag); 2],
    /// Both ends receive.
    pub introduced: bool,
    /// Nothing comes through.
    pub stalled: bool,
}

const GRANT: u64 = 30_000;

impl World {
    pub fn torrent(&mut self, node: Node, command: TorrentCommand) {
        let engine = &mut self.at_mut(node).engine;
        match command {
            TorrentCommand::Prepare(content) => {
                *engine.prepared.entry(content.id).or_default() += 1;
                engine.preparing.insert(content.id);
                let name = content.paths.first().cloned().unwrap_or_default();
                if name.starts_with("missing") {
                    let fault = Fault::new("source-missing", "it is not there", "look for it");
                    let failed = TorrentEvent::PrepareFailed { content: content.id, fault };
                    return self.input_later(node, 50, Input::Torrent(failed));
                }
                let mut hash = [0; 20];
                name.bytes().enumerate().for_each(|(i, b)| hash[i % 20] ^= b.rotate_left(i as u32));
                hash[19] ^= node.0 as u8;
                let facts = Facts { info_hash: InfoHash(hash), size: self.size, files: 1, metadata_size: 100 };
                let done = TorrentEvent::Prepared { content: content.id, name, facts };
                self.input_later(node, 50, Input::Torrent(done));
            }
            TorrentCommand::CancelPrepare(content) => drop(engine.preparing.remove(&content)),
            TorrentCommand::Seed(content) => drop(engine.seeds.insert(content)),
            TorrentCommand::Fetch { content, facts, folder, .. } => {
                engine.partial.entry(content).or_default();
                engine.fetches.insert(content, Fetch { facts, paused: false, folder });
            }
            TorrentCommand::Pause(content) => {
                if let Some(fetch) = engine.fetches.get_mut(&content) {
                    fetch.paused = true;
                }
            }
            TorrentCommand::LimitContent { content, limits, priority } => {
                let open = engine.seeds.contains(&content) || engine.fetches.contains_key(&content);
                assert!(open || self.at(node).domain.transfers().any(|t| t.content == content && t.agreed()));
                self.at_mut(node).engine.limited.insert(content, (limits, priority));
            }
            TorrentCommand::LimitContact { contact, limits } => drop(engine.contacts.insert(contact, limits)),
            TorrentCommand::LimitAll(limits) => engine.all = limits,
            TorrentCommand::Detach(link) => self.close(link, "closed"),
            TorrentCommand::Forget(content, data) => {
                assert!(!engine.preparing.contains(&content) || !self.wanted(node, content), "hashing goes on");
                let engine = &mut self.at_mut(node).engine;
                engine.seeds.remove(&content);
                engine.fetches.remove(&content);
                engine.limited.remove(&content);
                if data == Data::Delete {
                    engine.partial.remove(&content);
                }
            }
            TorrentCommand::DeleteReceived(deletion) => {
                if engine.deletes {
                    engine.deleted.push(deletion.path);
                    let (content, kept) = (deletion.content, engine.keeps);
                    let deleted = Deleted { gone: 1, kept, named: Vec::new() };
                    self.handle(node, Input::Torrent(TorrentEvent::Deleted { content, deleted }));
                }
            }
        }
    }

    fn wanted(&self, node: Node, content: ContentId) -> bool {
        self.at(node).domain.transfers().any(|t| t.content == content && t.state_name() == "preparing")
    }

    pub fn link(&mut self, node: Node, command: LinkCommand) {
        match command {
            LinkCommand::Dial(want) => {
                let link_id = want.link_id();
                let DialRequest { peer, info_hash, theirs, better_than, .. } = *want;
                assert!(theirs.candidates.len() <= MAX_CANDIDATES);
                let number = self.count();
                let grant = Grant { peer, info_hash, number, fresh: true, better_than };
                self.at_mut(node).grants.insert(link_id, grant);
                self.later(GRANT, Event::GiveUp { node, link_id, grant: number });
                if let Some(other) = self.counterpart(node, link_id) {
                    let wait = 20 + self.random.below(50);
                    self.later(wait, Event::Join { a: (node, link_id), b: other });
                }
            }
            LinkCommand::Withdraw(link_id) => drop(self.at_mut(node).grants.remove(&link_id)),
            LinkCommand::Open(info_hash) => {
                let engine = &mut self.at_mut(node).engine;
                assert!(engine.open.insert(info_hash), "opened twice");
                assert!(!engine.seeds.is_empty(), "what is open is served");
            }
            LinkCommand::Shut(info_hash) => assert!(self.at_mut(node).engine.open.remove(&info_hash), "shut twice"),
        }
    }

    fn counterpart(&self, node: Node, link_id: LinkId) -> Option<(Node, LinkId)> {
        let me = self.at(node);
        let mine = me.grants.get(&link_id)?;
        let direction = me.domain.transfer(link_id.transfer)?.direction();
        let other = self.devices.iter().position(|d| d.settings.fingerprint == mine.peer)?;
        let fits = |(id, theirs): (&LinkId, &Grant)| {
            let fits = theirs.peer == me.settings.fingerprint && theirs.info_hash == mine.info_hash;
            let theirs = self.devices[other].domain.transfer(id.transfer).map(|t| t.direction());
            let introduced = link_id.introduced.is_some();
            let across = theirs.is_some_and(|t| (t != direction) != introduced);
            (fits && across && id.introduced.is_some() == introduced).then_some((Node(other), *id))
        };
        self.devices[other].grants.iter().find_map(fits)
    }

    pub fn join(&mut self, a: (Node, LinkId), b: (Node, LinkId)) {
        let fresh = |(node, id): (Node, LinkId)| self.at(node).grants.get(&id).map(|g| g.fresh);
        let (Some(one), Some(two)) = (fresh(a), fresh(b)) else { return };
        if !(one || two) || self.faults.no_links || self.counterpart(a.0, a.1) != Some(b) {
            return;
        }
        let takes = |(node, id): (Node, LinkId), way: &Way| {
            self.at(node).grants.get(&id).is_none_or(|g| g.better_than.is_none_or(|in_use| *way < in_use))
        };
        let ways: Vec<Way> = self.ways.iter().copied().filter(|way| takes(a, way) && takes(b, way)).collect();
        if ways.is_empty() {
            return;
        }
        let way = ways[self.random.below(ways.len() as u64) as usize];
        let sends = self.transfer(a.0, a.1.transfer).direction() == Direction::Out;
        let links = if sends { [a, b] } else { [b, a] };
        let introduced = a.1.introduced.is_some();
        let ends = links.map(|(node, LinkId { transfer, .. })| {
            (node, transfer, self.transfer(node, transfer).content, tag(self.count()))
        });
        for ((node, transfer, _, link), (_, link_id)) in ends.into_iter().zip(links) {
            self.at_mut(node).grants.get_mut(&link_id).unwrap().fresh = false;
            let up = match link_id.introduced {
                Some(peer) => {
                    self.at_mut(node).grants.remove(&link_id);
                    LinkEvent::IntroducedUp { transfer, peer, link }
                }
                None => LinkEvent::Up { transfer, link, way, relay: None, attempts: Vec::new() },
            };
            let wait = self.random.below(30);
            self.input_later(node, wait, Input::Link(up));
        }
        let number = self.count();
        let between = |l: &&Link| !l.introduced && l.ends.iter().all(|end| end.0 == a.0 || end.0 == b.0);
        let transfers: BTreeSet<_> = self
            .links
            .values()
            .filter(between)
            .map(|l| (l.ends[0].0, l.ends[0].1))
            .chain([(ends[0].0, ends[0].1)])
            .collect();
        // One more while the end of another is on its way.
        assert!(introduced || transfers.len() <= LINKS_PER_DEVICE, "{} links between two devices", transfers.len());
        self.links.insert(number, Link { ends, introduced, stalled: false });
        self.later(self.pace, Event::Carry { link: number });
    }

    pub fn give_up(&mut self, node: Node, link_id: LinkId, number: u64) {
        let LinkId { transfer, introduced } = link_id;
        let found = self.at(node).grants.get(&link_id).is_some_and(|g| g.number == number && g.fresh);
        if !found {
            return;
        }
        self.at_mut(node).grants.remove(&link_id);
        if let Some(peer) = introduced {
            return self.handle(node, Input::Link(LinkEvent::IntroducedFailed { transfer, peer }));
        }
        let attempts = vec![Attempt { way: Way::DirectTcp6, reason: "nobody answered".into() }];
        self.handle(node, Input::Link(LinkEvent::Failed { transfer, attempts }));
    }

    pub fn carry(&mut self, number: u64) {
        let Some(link) = self.links.get(&number) else { return };
        let [(from, _, sent, out_tag), (to, _, received, in_tag)] = link.ends;
        let (stalled, introduced, ends) = (link.stalled, link.introduced, link.ends);
        self.later(self.pace, Event::Carry { link: number });
        if stalled {
            return;
        }
        if introduced {
            self.share(ends[0], ends[1]);
            return self.share(ends[1], ends[0]);
        }
        let seeds = self.at(from).engine.seeds.contains(&sent);
        let receiver = &mut self.at_mut(to).engine;
        let Some(fetch) = receiver.fetches.get(&received).filter(|f| seeds && !f.paused) else { return };
        if receiver.disk_full {
            let fault = Fault::new("disk-full", "no space is left", "make room and resume it");
            let failed = TorrentEvent::Failed { content: received, fault };
            return self.handle(to, Input::Torrent(failed));
        }
        let (size, folder) = (fetch.facts.size, fetch.folder.clone());
        let verified = receiver.partial.entry(received).or_default();
        *verified = (*verified + size.div_ceil(4)).min(size);
        let verified = *verified;
        self.handle(to, Input::Torrent(TorrentEvent::Progress { content: received, verified }));
        let there = TorrentEvent::PeerProgress { link: out_tag, has: verified, uploaded: verified, downloaded: 0 };
        self.handle(from, Input::Torrent(there));
        // The last word on the link may come before the receiver's own domain has taken note, or never.
        let word = Input::Torrent(TorrentEvent::PeerDone { link: out_tag });
        match self.random.below(3) {
            0 if verified == size => self.handle(from, word),
            1 if verified == size => self.input_later(from, 30, word),
            _ => {}
        }
        self.complete_if_whole(to, received, (verified, size), &folder);
        let here = TorrentEvent::PeerProgress { link: in_tag, has: size, uploaded: 0, downloaded: verified };
        self.handle(to, Input::Torrent(here));
    }

    fn complete_if_whole(&mut self, to: Node, content: ContentId, (verified, size): (u64, u64), folder: &str) {
        if verified == size {
            let engine = &mut self.at_mut(to).engine;
            *engine.complete.entry(content).or_default() += 1;
            engine.partial.remove(&content);
            engine.fetches.remove(&content);
            let path = format!("{folder}/{content}");
            self.handle(to, Input::Torrent(TorrentEvent::Completed { content, path }));
        }
    }

    /// One receiver passes on what another lacks.
    fn share(&mut self, giver: (Node, TransferId, ContentId, LinkTag), taker: (Node, TransferId, ContentId, LinkTag)) {
        let there = self.at(giver.0).engine.partial.get(&giver.2).copied();
        let whole = self.at(giver.0).engine.complete.contains_key(&giver.2).then_some(u64::MAX);
        let (node, _, content, link) = taker;
        let engine = &mut self.at_mut(node).engine;
        let Some(fetch) = engine.fetches.get(&content).filter(|f| !f.paused && !engine.disk_full) else { return };
        let (size, folder) = (fetch.facts.size, fetch.folder.clone());
        let verified = engine.partial.entry(content).or_default();
        let more = (*verified + size.div_ceil(4)).min(size).min(there.or(whole).unwrap_or(0));
        if more <= *verified {
            return;
        }
        *verified = more;
        self.handle(node, Input::Torrent(TorrentEvent::Progress { content, verified: more }));
        let here = TorrentEvent::PeerProgress { link, has: more, uploaded: 0, downloaded: more };
        self.handle(node, Input::Torrent(here));
        self.complete_if_whole(node, content, (more, size), &folder);
    }

    /// A link ends, and both ends hear of it, each in its own time.
    pub fn close(&mut self, link: LinkTag, reason: &str) {
        let of = |l: &Link| l.ends.iter().any(|end| end.3 == link);
        let Some(number) = self.links.iter().find(|(_, l)| of(l)).map(|(n, _)| *n) else { return };
        let Some(gone) = self.links.remove(&number) else { return };
        for (node, _, _, link) in gone.ends {
            let wait = 1 + self.random.below(40);
            let closed = TorrentEvent::LinkClosed { link, reason: reason.to_owned() };
            self.input_later(node, wait, Input::Torrent(closed));
        }
    }

    /// Nothing comes over any link of a device any more, and the receivers see it.
    pub fn stall_links(&mut self, node: Node) {
        let of = |l: &&mut Link| !l.stalled && l.ends.iter().any(|end| end.0 == node);
        let mut stalled = Vec::new();
        for link in self.links.values_mut().filter(of) {
            link.stalled = true;
            stalled.push(link.ends[1]);
        }
        for (to, _, _, link) in stalled {
            self.input_later(to, 4_000, Input::Torrent(TorrentEvent::LinkStalled { link }));
        }
    }

    /// All links of a device break.
    pub fn lose_links(&mut self, node: Node) {
        let of = |l: &&Link| l.ends.iter().any(|end| end.0 == node);
        let lost: Vec<_> = self.links.values().filter(of).map(|l| l.ends[0].3).collect();
        lost.into_iter().for_each(|link| self.close(link, "the connection was lost"));
    }
}
