//! What the engine tells, and what is unfinished at start.

use crate::domain::Domain;
use crate::effect::{Effect, Event, LinkTag, TorrentCommand};
use crate::fault::Fault;
use crate::ids::{ContentId, FullJid, TransferId};
use crate::input::TorrentEvent;
use crate::transfer::{Direction, End, Incoming, Outgoing, Side, Transfer};

/// Faults of the engine after which `resume` goes on: what the person can mend, and a job that panicked.
const MENDABLE: [&str; 4] = ["disk-full", "destination-unwritable", "destination-unsuitable", "engine-fault"];

/// How many paths with other names are told.
const RENAMED: usize = 5;

impl Domain {
    pub(super) fn torrent(&mut self, event: TorrentEvent) {
        match event {
            TorrentEvent::PrepareProgress { content, bytes, .. } => {
                let preparing = |t: &Transfer| matches!(t.side, Side::Out { state: Outgoing::Preparing, .. });
                for id in self.transfers_of(content, preparing) {
                    self.progress(id, bytes);
                }
            }
            TorrentEvent::Prepared { content, name, facts } => self.prepared(content, name, facts),
            TorrentEvent::PrepareFailed { content, fault } | TorrentEvent::Failed { content, fault } => {
                self.content_failed(content, &fault);
            }
            TorrentEvent::Renamed { content, renamed } => self.renamed(content, &renamed),
            TorrentEvent::Progress { content, verified } => {
                for id in self.transfers_of(content, |t| t.direction() == Direction::In && t.end().is_none()) {
                    self.progress(id, verified);
                }
            }
            TorrentEvent::PeerProgress { link, has, uploaded, downloaded } => {
                let Some(id) = self.links.own(link) else {
                    return self.introduced_moved(link, uploaded, downloaded);
                };
                self.live(id).moved(uploaded, downloaded);
                if self.transfers.get(&id).is_some_and(|t| t.direction() == Direction::Out) {
                    self.progress(id, has);
                }
            }
            TorrentEvent::Completed { content, path } => self.completed(content, path),
            TorrentEvent::Deleted { content, deleted } => self.deleted(content, deleted),
            TorrentEvent::PeerDone { link } => self.peer_done(link),
            TorrentEvent::LinkStalled { link } => self.link_stalled(link),
            TorrentEvent::LinkClosed { link, reason } => self.link_closed(link, reason),
        }
    }

    /// Tells once which names are others here.
    fn renamed(&mut self, content: ContentId, renamed: &[(String, String)]) {
        let named: Vec<String> = renamed.iter().take(RENAMED).map(|(sent, here)| format!("{sent} is {here}")).collect();
        let mut text = format!("the disk refuses some names: {}", named.join(", "));
        if renamed.len() > RENAMED {
            text += &format!(", and {} more have other names", renamed.len() - RENAMED);
        }
        let now = self.now.wall;
        for id in self.transfers_of(content, |t| t.direction() == Direction::In && t.end().is_none()) {
            let Some(transfer) = self.transfers.change(id) else { continue };
            if !transfer.history.iter().any(|step| step.reason.as_ref() == Some(&text)) {
                let state = transfer.state_name();
                transfer.note(now, state, Some(text.clone()));
                self.push(Effect::Emit(Event::Transfer(id)));
            }
        }
    }

    fn progress(&mut self, id: TransferId, bytes: u64) {
        let now = self.now.mono;
        let live = self.live(id);
        let more = bytes > live.done_bytes;
        live.progress(now, bytes);
        if more && live.link.is_some() {
            live.backoff.reset(); // the link is good for something
        }
        self.push(Effect::Emit(Event::Transfer(id)));
    }

    fn completed(&mut self, content: ContentId, at: String) {
        for id in self.transfers_of(content, |t| t.agreed() && t.direction() == Direction::In) {
            let size = self.transfers.get(&id).and_then(|t| t.facts.as_ref()).map_or(0, |f| f.size);
            self.live(id).done_bytes = size;
            if let Some(Transfer { side: Side::In { path, .. }, .. }) = self.transfers.change(id) {
                *path = Some(at.clone());
            }
            self.finish(id, End::Done, Some("received and verified".into()));
        }
    }

    /// The receiver's last word came over its link, which is authenticated. `done` by way of the server says the same later.
    fn peer_done(&mut self, link: LinkTag) {
        let Some(id) = self.links.own(link) else { return };
        let Some(sent) = self.transfers.get(&id).filter(|t| t.direction() == Direction::Out) else { return };
        if let Some(peer) = sent.peer() {
            let device = FullJid::new(sent.contact.clone(), peer.resource.clone());
            self.receiver_done(id, &device);
        }
    }

    fn content_failed(&mut self, content: ContentId, fault: &Fault) {
        for id in self.transfers_of(content, |t| t.end().is_none()) {
            let incoming = self.transfers.get(&id).is_some_and(|t| t.direction() == Direction::In);
            if incoming && MENDABLE.contains(&fault.code.as_str()) {
                self.hold(id, Some(fault.clone()));
            } else {
                self.finish(id, End::Failed(fault.clone()), Some(fault.message.clone()));
            }
        }
    }

    /// The rows are back: what was unfinished is taken up again.
    pub(super) fn started(&mut self) {
        self.limit_contacts_at_start();
        self.open_at_start();
        self.hooks_at_start();
        self.delete_at_start();
        let ours = self.transfers.ours().filter(|t| t.end().is_none());
        let open: Vec<TransferId> = ours.map(|t| t.id).collect();
        let mut preparing: Vec<ContentId> = Vec::new();
        for id in open {
            self.watch_expiry(id);
            self.back_to_connecting_at_start(id);
            let Some(transfer) = self.transfers.get(&id) else { continue };
            match &transfer.side {
                Side::Out { state: Outgoing::Preparing, .. } if !preparing.contains(&transfer.content) => {
                    preparing.push(transfer.content);
                }
                Side::In { state: Incoming::Offered, .. } => self.rule_on_again(id),
                Side::In { state: Incoming::Connecting, .. } => {
                    let (held, content) = (transfer.paused.by_us, transfer.content);
                    self.fetch(id);
                    if held {
                        self.push(Effect::Torrent(TorrentCommand::Pause(content)));
                    }
                }
                Side::Out { .. } | Side::In { .. } => {}
            }
        }
        for content in preparing.iter().filter_map(|id| self.contents.get(*id).cloned()).collect::<Vec<_>>() {
            self.push(Effect::Torrent(TorrentCommand::Prepare(content)));
        }
    }

    /// No link outlives the daemon.
    fn back_to_connecting_at_start(&mut self, id: TransferId) {
        if self.transfers.get(&id).is_some_and(Transfer::linked) {
            let now = self.now.wall;
            self.back_to_connecting(id);
            if let Some(transfer) = self.transfers.change(id) {
                transfer.note(now, "connecting", Some("the daemon was started again".into()));
            }
        }
    }
}
