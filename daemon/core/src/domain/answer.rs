//! What a person does with an offer: accept or decline.

use std::collections::BTreeMap;

use crate::domain::Domain;
use crate::domain::command::{has_ended, wrong_state};
use crate::domain::view::bytes;
use crate::effect::{Effect, Reply, TorrentCommand};
use crate::fault::Fault;
use crate::ids::{ContentId, TransferId};
use crate::input::Destination;
use crate::transfer::{Accepted, End, Incoming, Side, Transfer};

impl Domain {
    /// The person accepts.
    pub(super) fn accept(&mut self, ids: Vec<TransferId>, destinations: Vec<Destination>) -> Result<Reply, Fault> {
        self.accept_as(ids, destinations, Accepted::ByPerson)
    }

    /// A standing rule accepts.
    pub(super) fn accept_by_rule(&mut self, id: TransferId, destination: Destination) -> Result<Reply, Fault> {
        self.within_quota(id)?;
        self.accept_as(vec![id], vec![destination], Accepted::ByRule { linked: false })
    }

    fn accept_as(
        &mut self,
        ids: Vec<TransferId>,
        destinations: Vec<Destination>,
        accepted: Accepted,
    ) -> Result<Reply, Fault> {
        let elsewhere = destinations.iter().all(|destination| destination.chosen);
        self.checked(&ids, |t| match (&t.side, t.end()) {
            (Side::Out { .. }, _) => Err(is_a_send(t)),
            (Side::In { .. }, Some(end)) => Err(has_ended(t, end, "it cannot be accepted any more")),
            (Side::In { state: Incoming::Offered, .. }, None) => Ok(()),
            (Side::In { .. }, None) if elsewhere && t.paused.by_us => Ok(()),
            (Side::In { .. }, None) => {
                let hint = format!("pause it, and 'xbtctl accept {} -o DIR' takes it to another folder", t.id);
                Err(wrong_state(t, "has been accepted already", hint))
            }
        })?;
        let takes: BTreeMap<TransferId, Destination> = ids.into_iter().zip(destinations).collect();
        for (id, destination) in &takes {
            self.has_room(&takes, destination)?;
            self.can_hold(*id, destination)?;
        }
        for (id, destination) in &takes {
            self.take(*id, destination, accepted);
        }
        Ok(Reply::Transfers(takes.into_keys().collect()))
    }

    /// What is accepted must fit beside what is already on its way onto the same disk.
    fn has_room(&self, takes: &BTreeMap<TransferId, Destination>, destination: &Destination) -> Result<(), Fault> {
        let free = destination.free.clone()?;
        let size = |t: &Transfer| t.facts.as_ref().map_or(0, |f| f.size);
        let beside = |other: &&Destination| other.folder == destination.folder || is_same(other.disk, destination.disk);
        let asked = takes.iter().filter(|(_, other)| beside(other)).filter_map(|(id, _)| self.transfers.get(id));
        let asked = asked.fold(0u64, |sum, t| sum.saturating_add(size(t)));
        let disk = |t: &Transfer| self.live.get(&t.id).and_then(|live| live.disk);
        let coming = self.transfers.iter().filter(|t| !takes.contains_key(&t.id)).filter(|t| match &t.side {
            Side::In { folder: Some(folder), .. } => {
                self.reserves_space(t) && (*folder == destination.folder || is_same(disk(t), destination.disk))
            }
            Side::In { .. } | Side::Out { .. } => false,
        });
        // Sparse files take their space only as pieces arrive, so what is still missing is not in `free`.
        let missing = |t: &Transfer| size(t).saturating_sub(self.live.get(&t.id).map_or(0, |l| l.done_bytes));
        let coming = coming.fold(0u64, |sum, t| sum.saturating_add(missing(t)));
        if asked.saturating_add(coming) <= free {
            return Ok(());
        }
        let mut message =
            format!("{} are needed in {}, and {} are free there", bytes(asked), destination.folder, bytes(free));
        if coming > 0 {
            message.push_str(&format!(", of which {} are for other transfers", bytes(coming)));
        }
        Err(Fault::new("no-space", message, "make room, or choose another folder with --to"))
    }

    /// A file that is larger than its disk can hold is refused before it is fetched. What is in a folder is not known yet.
    fn can_hold(&self, id: TransferId, destination: &Destination) -> Result<(), Fault> {
        let single = self.transfers.get(&id).and_then(|t| t.facts.as_ref()).filter(|facts| facts.files == 1);
        match (single, destination.largest) {
            (Some(facts), Some(largest)) if facts.size > largest => {
                let folder = &destination.folder;
                let message =
                    format!("the disk of {folder} cannot hold a file of {}, as FAT cannot", bytes(facts.size));
                Err(Fault::new("destination-unsuitable", message, "choose another folder with --to"))
            }
            (Some(_) | None, _) => Ok(()),
        }
    }

    fn take(&mut self, id: TransferId, destination: &Destination, by: Accepted) {
        let now = self.now.wall;
        let Some(transfer) = self.transfers.change(id) else { return };
        if transfer.agreed() {
            return self.take_elsewhere(id, destination);
        }
        if let Side::In { state, folder: to, accepted, .. } = &mut transfer.side {
            *state = Incoming::Connecting;
            *to = Some(destination.folder.clone());
            *accepted = by;
        }
        let how = match by {
            Accepted::ByPerson => "accepted here",
            Accepted::ByRule { .. } => "accepted by a rule",
        };
        transfer.note(now, "connecting", Some(how.into()));
        self.transfers.refile(id);
        self.live(id).disk = destination.disk;
        if by != Accepted::ByPerson {
            self.expire_without_link(id);
        }
        self.fetch(id);
        self.seek_link(id);
    }

    /// Goes on in another folder with what was paused here; the engine takes along what has come.
    fn take_elsewhere(&mut self, id: TransferId, destination: &Destination) {
        let now = self.now.wall;
        let Some(transfer) = self.transfers.change(id) else { return };
        if let Side::In { folder, .. } = &mut transfer.side {
            *folder = Some(destination.folder.clone());
        }
        let state = transfer.state_name();
        transfer.note(now, state, Some(format!("accepted again, into {}", destination.folder)));
        self.transfers.refile(id);
        self.live(id).disk = destination.disk;
        self.release(id);
    }

    /// Has the engine receive it (again). Idempotent.
    pub(super) fn fetch(&mut self, id: TransferId) {
        if let Some(command) = self.transfers.get(&id).and_then(fetch_command) {
            self.push(Effect::Torrent(command));
            self.limit_content(id);
        }
    }

    /// For a content of which the engine still has partial data at start: whether the transfer has ended without it,
    /// so that a crash came between the end and the clearing away. Says how to name the data to the engine.
    pub fn abandoned(&self, content: ContentId) -> Option<TorrentCommand> {
        let owner = self.transfers.iter().find(|t| t.content == content)?;
        owner.end().filter(|end| !matches!(end, End::Done)).and_then(|_| fetch_command(owner))
    }

    pub(super) fn decline(&mut self, ids: Vec<TransferId>, message: Option<String>) -> Result<Reply, Fault> {
        let ids = self.checked(&ids, |t| match (&t.side, t.end()) {
            (Side::Out { .. }, _) => Err(is_a_send(t)),
            (Side::In { .. }, Some(end)) => Err(has_ended(t, end, "it cannot be declined any more")),
            (Side::In { state: Incoming::Offered, .. }, None) => Ok(()),
            (Side::In { .. }, None) => {
                Err(wrong_state(t, "has been accepted already", format!("'xbtctl cancel {}' ends it", t.id)))
            }
        })?;
        for id in &ids {
            self.finish(*id, End::Declined { message: message.clone() }, Some("declined here".into()));
        }
        Ok(Reply::Transfers(ids))
    }
}

/// What the engine must know to receive it; none for a send or an offer that was not accepted.
fn fetch_command(transfer: &Transfer) -> Option<TorrentCommand> {
    let (Side::In { folder: Some(folder), .. }, Some(facts)) = (&transfer.side, &transfer.facts) else { return None };
    Some(TorrentCommand::Fetch {
        content: transfer.content,
        contact: transfer.contact.clone(),
        // Two daemons of one person may share the folder, so the number alone would not do.
        partial_id: format!("{}-{}", transfer.id, transfer.offer),
        facts: facts.clone(),
        name: transfer.name.clone(),
        folder: folder.clone(),
    })
}

/// Both are known, and the same.
fn is_same(one: Option<u64>, other: Option<u64>) -> bool {
    one.is_some() && one == other
}

fn is_a_send(transfer: &Transfer) -> Fault {
    let what = format!("transfer {} is a send of yours", transfer.id);
    Fault::new("wrong-direction", what, format!("'xbtctl cancel {}' ends it", transfer.id))
}
