//! Answers to those who look: status, lists, everything about one transfer.

use std::path::PathBuf;

use xbt_api as api;
use xbt_core::contact::{Device, Trust};
use xbt_core::domain::ContactView;
use xbt_core::ids::{BareJid, Fingerprint, FullJid, TransferId};
use xbt_core::session::Connection;
use xbt_core::transfer::{Direction, Incoming, Outgoing, Side, Transfer};

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
        let listing = Listing { direction: transfer.direction(), blob: self.blob(transfer.content).ok().flatten() };
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
        let discarded = self.domain.discarded();
        let discarded =
            discarded.map(|(from, stanzas)| api::Discarded { from: from.map(ToString::to_string), stanzas }).collect();
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
            discarded,
            network: Some(network),
            folders: None,
        }
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
        if !text.contains('@') {
            let message = format!("no contact is called {text}");
            let hint = match like {
                Some(name) => format!("did you mean {name}? 'xbtctl contacts' lists them"),
                None => "'xbtctl contacts' lists them; an address looks like bob@example.org".to_owned(),
            };
            return Err(api::ApiError::new(api::codes::UNKNOWN_CONTACT, message, hint));
        }
        address(text)
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
            let hint = "it is known once one of you has offered the other something";
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
pub(super) struct Listing {
    direction: Direction,
    blob: Option<Vec<u8>>,
}

impl Listing {
    /// The first files, whether there are more, and how many the sender left out. Parses up to 32 MiB that others wrote:
    /// never on the driver's task.
    pub(super) fn files(self) -> (Vec<api::FileInfo>, bool, u64) {
        let info = self.blob.and_then(|blob| match self.direction {
            Direction::In => Some(blob.into()),
            Direction::Out => convert::prepared(&blob).ok().map(|prepared| prepared.info),
        });
        let Some(xbt_torrent::Listing { files, omitted, .. }) = info.and_then(|info| xbt_torrent::list(info).ok())
        else {
            return (Vec::new(), false, 0);
        };
        let more = files.len() > FILES_SHOWN;
        let shown = files.into_iter().take(FILES_SHOWN);
        (shown.map(|(path, size)| api::FileInfo { path, size }).collect(), more, omitted)
    }
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
    fn files_are_listed_as_far_as_the_metadata_can_be_read() {
        let info = b"d6:lengthi5e4:name1:a12:piece lengthi16384e6:pieces20:aaaaaaaaaaaaaaaaaaaae".to_vec();
        let listed = Listing { direction: Direction::In, blob: Some(info.clone()) }.files();
        assert_eq!(listed, (vec![api::FileInfo { path: "a".into(), size: 5 }], false, 0));
        for (direction, blob) in
            [(Direction::In, None), (Direction::In, Some(vec![0; 9])), (Direction::Out, Some(info))]
        {
            assert_eq!(Listing { direction, blob }.files(), (Vec::new(), false, 0));
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
