//! Answers to those who look: status, lists, everything about one transfer.

use std::path::PathBuf;

use tokio::task::block_in_place;
use xbt_api as api;
use xbt_core::contact::{Device, Trust};
use xbt_core::domain::{ContactView, Usage};
use xbt_core::ids::{BareJid, Fingerprint, FullJid, TransferId};
use xbt_core::session::Connection;
use xbt_core::transfer::{Direction, Incoming, Outgoing, Side, Transfer};
use xbt_torrent::{ContentKey, Engine};

use super::{Driver, convert, destination, safety, views};

/// How many ended transfers a list shows without `all`.
const ENDED_SHOWN: usize = 20;

/// Most files in the answer to `show`.
const FILES_SHOWN: usize = 1_000;

/// Bytes of text on one page of a list: even escaped, and with all that is not text, it fits a frame. Contacts choose
/// most of it, and must not be able to make a list that cannot be told.
const PAGE_TEXT: usize = api::MAX_RESPONSE_FRAME / 4;

type Result<T> = std::result::Result<T, api::ApiError>;

/// The bare JID that a person typed.
pub(super) fn address(text: &str) -> Result<BareJid> {
    xbt_xmpp::parse_bare(text).map_err(|error| {
        api::ApiError::new(api::codes::INVALID_JID, error.to_string(), "an address looks like bob@example.org")
    })
}

impl Driver {
    fn view(&self, transfer: &Transfer) -> api::Transfer {
        views::transfer(&self.domain, transfer, self.mono())
    }

    /// The transfers of a reply, in the order given.
    pub(super) fn views(&self, ids: &[TransferId]) -> Vec<api::Transfer> {
        ids.iter().filter_map(|id| self.domain.transfer(*id)).map(|t| self.view(t)).collect()
    }

    pub(super) fn list(&self, query: &api::ListQuery) -> api::ListPage {
        let matches = |t: &&Transfer| {
            query.direction.is_none_or(|d| d == views::direction(t))
                && (query.states.is_empty() || query.states.contains(&views::state(t)))
        };
        let oldest_ended = if query.all { None } else { self.oldest_ended_shown(&matches) };
        let shown = |t: &&Transfer| t.end().is_none() || query.all || oldest_ended.is_some_and(|id| t.id >= id);
        let limit = query.limit.unwrap_or(api::MAX_PAGE).min(api::MAX_PAGE) as usize;
        let after = TransferId(query.after_id.unwrap_or(0));
        let rest = self.domain.transfers_after(after).filter(matches).filter(shown);
        let (transfers, more) = fill(rest.map(|t| self.view(t)), limit, weight);
        api::ListPage { transfers, more, new_keys: self.new_keys(), requests: self.requests() }
    }

    /// The first of the last few transfers that have ended.
    fn oldest_ended_shown(&self, matches: &impl Fn(&&Transfer) -> bool) -> Option<TransferId> {
        self.domain.ended().rev().filter(matches).take(ENDED_SHOWN).last().map(|t| t.id)
    }

    /// Everything about a transfer but its files, which take time to be read, see [`Listing::files`].
    pub(super) fn show(&self, id: TransferId) -> Result<(api::TransferDetails, Listing)> {
        let transfer = self.domain.transfer(id).ok_or_else(|| {
            let hint = "'xbtctl list --all' shows the ones there are";
            api::ApiError::new(api::codes::NO_SUCH_TRANSFER, format!("there is no transfer {id}"), hint)
        })?;
        let live = self.domain.live_view(id, self.mono());
        let history = transfer.history.iter().map(|step| api::HistoryItem {
            at: views::time(step.at),
            state: step.state.clone(),
            reason: step.reason.clone(),
        });
        let peer = transfer.peer();
        let verified = peer.and_then(|peer| {
            let contact = self.domain.contact_of(&transfer.contact)?;
            let device = contact.devices.iter().find(|d| d.device.fingerprint == peer.fingerprint)?;
            Some(device.device.trust == Trust::Verified)
        });
        let listing = self.listing(transfer);
        let details = api::TransferDetails {
            transfer: self.view(transfer),
            file_list: Vec::new(),
            more_files: false,
            omitted: 0,
            history: history.collect(),
            relay: live.relay,
            attempts: live.attempts.iter().map(views::attempt).collect(),
            device: peer.map(|p| FullJid::new(transfer.contact.clone(), p.resource.clone()).to_string()),
            fingerprint: peer.map(|p| p.fingerprint.to_string()),
            verified: verified.unwrap_or(false),
            expires: transfer.expires.map(views::time),
            uploaded: live.uploaded,
            downloaded: live.downloaded,
            introduced: live.introduced as u64,
            limits: views::limits(transfer.limits),
            priority: views::priority(transfer.priority),
            magnet: self.domain.magnet(transfer).map(|magnet| magnet.to_string()),
        };
        Ok((details, listing))
    }

    fn listing(&self, transfer: &Transfer) -> Listing {
        let content = transfer.content;
        let stored = match (&transfer.side, transfer.end()) {
            (Side::Out { .. }, _) => self.blob(content).ok().flatten().map(Listing::Sent),
            (Side::In { .. }, None) => Some(Listing::Coming(self.rooms.engine.clone(), convert::key(content))),
            (Side::In { .. }, Some(_)) => {
                let record = block_in_place(|| self.rooms.store.received(content)).ok().flatten();
                record.map(|record| Listing::Received(record, transfer.name.clone()))
            }
        };
        stored.unwrap_or(Listing::Nothing)
    }

    pub(super) fn status(&self) -> api::Status {
        let now = self.mono();
        let (connection, connection_error, device) = match self.domain.connection() {
            Connection::Online { device, .. } => (api::Connection::Online, None, Some(device.to_string())),
            Connection::Connecting => (api::Connection::Connecting, None, None),
            Connection::Offline { reason, .. } => {
                let error = api::ApiError::new("offline", reason, "xbtd tries again automatically");
                (api::Connection::Offline, Some(error), None)
            }
            Connection::Refused { code, reason, hint, .. } => {
                (api::Connection::Refused, Some(api::ApiError::new(code, reason, hint)), None)
            }
        };
        let count =
            |(from, stanzas): (Option<&BareJid>, u64)| api::Discarded { from: from.map(ToString::to_string), stanzas };
        let rate = |direction: Direction| {
            let moving = self.domain.transfers().filter(|t| t.linked() && t.direction() == direction);
            moving.map(|t| self.domain.live_view(t.id, now).rate).sum()
        };
        let settings = self.domain.settings();
        let network = self.network();
        let mut refused: Vec<_> = self.refused.totals().map(|(reason, n)| (reason.to_owned(), n)).collect();
        refused.sort();
        api::Status {
            connection,
            connection_error,
            retry_in_s: self.domain.next_login(now).map(|ms| ms.div_ceil(1000)),
            jid: settings.account.to_string(),
            device,
            fingerprint: Some(settings.fingerprint.to_string()),
            listen: self.rooms.links.listening().iter().map(ToString::to_string).collect(),
            mapped: network.mapping.external.iter().cloned().collect(),
            version: env!("CARGO_PKG_VERSION").to_owned(),
            uptime_s: now.0 / 1000,
            upload_rate: rate(Direction::Out),
            download_rate: rate(Direction::In),
            limits: views::limits(self.domain.pace().limits),
            pace: Some(views::pace(&self.domain.pace())),
            new_keys: self.new_keys(),
            requests: self.requests(),
            links: self.domain.transfers().filter(|t| t.linked()).count() as u64,
            open: self.open(),
            counts: self.counts(),
            refused: refused.into_iter().collect(),
            state_error: self.state_error.clone(),
            config_error: self.config_error.clone(),
            discarded: self.domain.discarded().map(count).collect(),
            unproved: self.domain.unproved_stanzas().map(count).collect(),
            ledger: self.ledger(),
            network: Some(network),
            folders: None,
        }
    }

    /// Those that use most come first.
    fn ledger(&self) -> Vec<api::LedgerEntry> {
        let entry = |(contact, usage): (BareJid, Usage)| {
            let memory = self.rooms.engine.usage(self.group(&contact));
            api::LedgerEntry {
                offers: usage.offers,
                transfers: usage.transfers,
                links: usage.links,
                requests: usage.requests,
                reserved: usage.reserved,
                files: usage.files,
                automatic: usage.automatic,
                pieces: memory.pieces as u64,
                metadata: memory.metadata as u64,
                hooks: self.hooks.of(&contact) as u64,
                notices: usage.notices,
                contact: contact.to_string(),
            }
        };
        let mut all: Vec<_> = self.domain.ledger().into_iter().map(entry).collect();
        all.sort_by_key(|one| std::cmp::Reverse((one.transfers + one.offers, one.reserved)));
        all.truncate(api::MAX_LEDGER);
        all
    }

    /// Who asks to be a contact.
    fn requests(&self) -> Vec<String> {
        self.domain.asking().map(ToString::to_string).collect()
    }

    fn open(&self) -> api::Open {
        let (links, uploaded) = self.readers.counts();
        api::Open { contents: self.domain.open_contents() as u64, links, uploaded }
    }

    /// Contacts with keys to look at.
    fn new_keys(&self) -> Vec<String> {
        self.domain.unseen_keys().iter().map(ToString::to_string).collect()
    }

    /// Where the rules have these go that wait for an answer.
    pub(super) fn folders(&self, ids: &[TransferId]) -> Vec<Option<PathBuf>> {
        let wall = self.now().wall;
        ids.iter().map(|id| destination::folder(&self.domain, *id, wall)).collect()
    }

    fn counts(&self) -> api::Counts {
        let mut counts = api::Counts::default();
        for transfer in self.domain.transfers() {
            counts.total += 1;
            counts.paused += u64::from(transfer.paused.any());
            let kind = match &transfer.side {
                Side::Out { state, .. } => match state {
                    Outgoing::Preparing | Outgoing::Queued | Outgoing::Offered => &mut counts.waiting,
                    Outgoing::Connecting | Outgoing::Sending => &mut counts.active,
                    Outgoing::Ended(_) => &mut counts.ended,
                },
                Side::In { state, .. } => match state {
                    Incoming::Offered => &mut counts.asking,
                    Incoming::Connecting | Incoming::Receiving => &mut counts.active,
                    Incoming::Ended(_) => &mut counts.ended,
                },
            };
            *kind += 1;
        }
        counts
    }

    pub(super) fn contacts(&self) -> Vec<api::Contact> {
        self.domain.contacts().iter().map(|c| views::contact(&self.domain, c)).collect()
    }

    /// A contact that is on the roster.
    pub(super) fn listed(&self, jid: &BareJid) -> Option<api::Contact> {
        self.domain.contact_of(jid).filter(|c| c.contact.listed).map(|c| views::contact(&self.domain, &c))
    }

    /// A contact that is on the roster and knows, or is asked, that we want to see its presence.
    pub(super) fn added(&self, jid: &BareJid) -> Option<api::Contact> {
        let asked = |c: &ContactView<'_>| c.contact.listed && (c.contact.ask || c.contact.subscription.sees_contact());
        self.domain.contact_of(jid).filter(asked).map(|c| views::contact(&self.domain, &c))
    }

    /// Whom a person means: a bare JID, or a roster name where it is unambiguous.
    pub(super) fn resolve(&self, text: &str) -> Result<BareJid> {
        if text.contains('@') {
            return address(text);
        }
        let contacts = self.domain.contacts();
        let names: Vec<_> = contacts.iter().map(|c| (c.contact.jid.as_str(), c.contact.name.as_deref())).collect();
        let like = match api::named(&names, text) {
            api::Named::One(jid) => return address(jid),
            api::Named::Several(one, other) => {
                let message = format!("{one} and {other} are both called {text}");
                return Err(api::ApiError::new(api::codes::AMBIGUOUS_CONTACT, message, "name the address instead"));
            }
            api::Named::Nobody(like) => like,
        };
        let message = format!("no contact is called {text}");
        let hint = match like {
            Some(name) => format!("did you mean {name}? 'xbtctl contacts' lists them"),
            None => "'xbtctl contacts' lists them; an address looks like bob@example.org".to_owned(),
        };
        Err(api::ApiError::new(api::codes::UNKNOWN_CONTACT, message, hint))
    }

    /// Whom a send is for: as [`Self::resolve`], but an address nobody on the roster has and that is much like a contact's
    /// is taken for a slip.
    pub(super) fn recipient(&self, text: &str) -> Result<BareJid> {
        let jid = self.resolve(text)?;
        let contacts = self.domain.contacts();
        let known = jid == self.domain.settings().account || contacts.iter().any(|c| c.contact.jid == jid);
        let names: Vec<_> = contacts.iter().map(|c| (c.contact.jid.as_str(), c.contact.name.as_deref())).collect();
        match api::named(&names, jid.as_str()) {
            api::Named::Nobody(Some(like)) if !known => {
                let hint = format!("did you mean {like}? if not, add them: 'xbtctl contacts add {jid}'");
                let message = format!("{jid} is not on your contact list");
                Err(api::ApiError::new(api::codes::UNKNOWN_CONTACT, message, hint))
            }
            api::Named::One(_) | api::Named::Several(..) | api::Named::Nobody(_) => Ok(jid),
        }
    }

    /// Our key, and what is known of the keys of a contact that has shown any.
    pub(super) fn keys(&self, jid: &BareJid) -> Result<Keys> {
        let contact = self.domain.contact_of(jid).filter(|c| !c.devices.is_empty()).ok_or_else(|| {
            let message = format!("no key of {jid} is known yet");
            let hint = "it is known once both of you have been online at the same time";
            api::ApiError::new(api::codes::NO_DEVICE, message, hint)
        })?;
        Ok(Keys {
            own: self.domain.settings().fingerprint,
            contact: jid.clone(),
            devices: contact.devices.iter().map(|d| d.device.clone()).collect(),
            trust: if contact.contact.verified { api::Trust::Verified } else { api::Trust::Unverified },
        })
    }
}

/// What the files of a content are listed from, as far as it is here.
pub(super) enum Listing {
    Nothing,
    /// A content that was prepared, as stored.
    Sent(Vec<u8>),
    /// One that is being received.
    Coming(Engine, ContentKey),
    /// The record of what was received, and its name.
    Received(Vec<u8>, String),
}

impl Listing {
    /// The first files, whether there are more, and how many the sender left out. Parses up to 32 MiB that others wrote:
    /// never on the driver's task.
    pub(super) fn files(self) -> (Vec<api::FileInfo>, bool, u64) {
        let listing = match self {
            Self::Nothing => None,
            Self::Sent(blob) => {
                convert::prepared(&blob).ok().and_then(|prepared| xbt_torrent::list(prepared.info).ok())
            }
            Self::Coming(engine, content) => engine.listing(content),
            Self::Received(record, name) => {
                let listed = xbt_torrent::list_received(&record, &name, FILES_SHOWN);
                return listed.map(|(listing, more)| shown(listing, more)).unwrap_or_default();
            }
        };
        let listing = listing.unwrap_or_default();
        let more = listing.files.len() > FILES_SHOWN;
        shown(listing, more)
    }
}

fn shown(listing: xbt_torrent::Listing, more: bool) -> (Vec<api::FileInfo>, bool, u64) {
    let files = listing.files.into_iter().take(FILES_SHOWN);
    (files.map(|(path, size)| api::FileInfo { path, size }).collect(), more, listing.omitted)
}

/// Whether a text can be a contact's name.
pub(super) fn is_name(text: &str) -> Result<()> {
    if !text.contains('@') {
        return Ok(());
    }
    let hint = "what has an @ is always taken for an address; choose a name without";
    Err(api::ApiError::new(api::codes::BAD_REQUEST, format!("{text} cannot be a name"), hint))
}

/// What safety numbers are made of.
pub(super) struct Keys {
    own: Fingerprint,
    contact: BareJid,
    devices: Vec<Device>,
    trust: api::Trust,
}

impl Keys {
    /// With the number of each device; takes its time, see [`safety::number`].
    pub(super) fn verification(self) -> api::Verification {
        let devices = self.devices.into_iter().map(|device| api::DeviceVerification {
            safety_number: safety::number(self.own, device.fingerprint),
            resource: device.resource,
            fingerprint: device.fingerprint.to_string(),
            verified: device.trust == Trust::Verified,
            blocked: device.trust == Trust::Blocked,
            unseen: device.unseen,
        });
        api::Verification {
            jid: self.contact.to_string(),
            own_fingerprint: self.own.to_string(),
            devices: devices.collect(),
            trust: self.trust,
        }
    }

    /// The device of the contact with this safety number; takes its time.
    pub(super) fn device_with(&self, number: &str) -> Result<Fingerprint> {
        safety::device_with(self.own, &self.devices, number).ok_or_else(|| {
            let message = format!("no device of {} has this safety number", self.contact);
            let hint =
                "if it was read correctly, someone may be intercepting the connection; do not send anything secret";
            api::ApiError::new(api::codes::SAFETY_NUMBER_MISMATCH, message, hint)
        })
    }
}

/// As many rows as `limit` and [`PAGE_TEXT`] allow, at least one, and whether there are more.
fn fill<T>(mut rows: impl Iterator<Item = T>, limit: usize, weight: impl Fn(&T) -> usize) -> (Vec<T>, bool) {
    let (mut page, mut text) = (Vec::new(), 0);
    while page.len() < limit && text < PAGE_TEXT {
        let Some(row) = rows.next() else { return (page, false) };
        text += weight(&row);
        page.push(row);
    }
    (page, rows.next().is_some())
}

/// Bytes of text in a row that others may have chosen.
fn weight(row: &api::Transfer) -> usize {
    let error = row.error.as_ref().map_or(0, |error| error.message.len() + error.hint.len());
    let why = row.why.as_ref().map_or(0, |why| why.text.len());
    let optional = [&row.message, &row.path].into_iter().flatten().map(String::len).sum::<usize>();
    row.name.len() + row.contact.len() + error + why + optional
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_cannot_be_read_lists_no_file() {
        for listing in [Listing::Nothing, Listing::Sent(vec![0; 9]), Listing::Received(vec![0; 9], "a".into())] {
            assert_eq!(listing.files(), (Vec::new(), false, 0));
        }
    }

    #[test]
    fn a_page_of_long_texts_ends_before_it_outgrows_a_frame() {
        let rows = || std::iter::repeat_n(20_000usize, 1_000);
        let (page, more) = fill(rows(), 1_000, |row| *row);
        assert!(more && page.iter().sum::<usize>() < PAGE_TEXT + 20_000);
        assert_eq!(fill(rows(), 1_000, |_| 100), (rows().collect(), false));
        assert_eq!(fill(rows(), 10, |_| 100), (vec![20_000; 10], true));
        assert_eq!(fill(std::iter::once(usize::MAX >> 1), 1, |row| *row).0.len(), 1);
    }
}
