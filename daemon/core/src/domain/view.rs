//! What people may see of the state.

use crate::contact::{Contact, Device};
use crate::domain::{Domain, LiveView};
use crate::effect::LinkTag;
use crate::fault::Why;
use crate::ids::{BareJid, ContentId, FullJid, TransferId};
use crate::session::Connection;
use crate::settings::Settings;
use crate::time::Mono;
use crate::transfer::{Content, End, Outgoing, Side, Transfer};

/// A contact as it is listed.
#[derive(Clone, Debug)]
pub struct ContactView<'a> {
    /// What is remembered.
    pub contact: &'a Contact,
    /// Available resources, and whether they run xbt.
    pub online: Vec<(&'a FullJid, bool)>,
    /// Known devices.
    pub devices: Vec<DeviceView<'a>>,
    /// Asks to see our presence and waits for the person.
    pub asks: bool,
}

/// A device as it is listed.
#[derive(Clone, Debug)]
pub struct DeviceView<'a> {
    /// What is remembered.
    pub device: &'a Device,
    /// It is available now, and has proved its key.
    pub online: bool,
}

impl Domain {
    /// All transfers in the order of their numbers, also those of other accounts.
    pub fn transfers(&self) -> impl DoubleEndedIterator<Item = &Transfer> {
        self.transfers.iter()
    }

    /// Those that have ended, as [`Self::transfers`].
    pub fn ended(&self) -> impl DoubleEndedIterator<Item = &Transfer> {
        self.transfers.ended()
    }

    /// Those with higher numbers than this one; the first number is 1.
    pub fn transfers_after(&self, id: TransferId) -> impl Iterator<Item = &Transfer> {
        self.transfers.after(id)
    }

    /// One transfer.
    pub fn transfer(&self, id: TransferId) -> Option<&Transfer> {
        self.transfers.get(&id)
    }

    /// What is known of it only while the daemon runs.
    pub fn live_view(&self, id: TransferId, now: Mono) -> LiveView {
        let mut view = self.live.get(&id).map(|live| live.view(now)).unwrap_or_default();
        // What is done is whole, also after a restart.
        if let Some(Transfer { facts: Some(facts), .. }) =
            self.transfers.get(&id).filter(|t| t.end() == Some(&End::Done))
        {
            view.done_bytes = facts.size;
        }
        view
    }

    /// The transfer that a link is for, as long as that link is its present one, or one with an introduced device.
    pub fn transfer_of_link(&self, link: LinkTag) -> Option<&Transfer> {
        self.links.get(link).and_then(|link| self.transfers.get(&link.transfer))
    }

    /// Whether anything has a link now.
    pub fn has_links(&self) -> bool {
        self.links.transfers().next().is_some()
    }

    /// Whether the content is still of interest.
    pub fn has_content(&self, content: ContentId) -> bool {
        self.contents.get(content).is_some()
    }

    /// The content of a send.
    pub fn content(&self, transfer: &Transfer) -> Option<&Content> {
        self.contents.get(transfer.content)
    }

    /// The standing rules and who we are.
    pub fn settings(&self) -> &Settings {
        &self.settings
    }

    /// How the session stands.
    pub fn connection(&self) -> &Connection {
        self.presence.connection()
    }

    /// Milliseconds until the next login is tried, if one is planned.
    pub fn next_login(&self, now: Mono) -> Option<u64> {
        match self.presence.connection() {
            Connection::Offline { retry_in, .. } | Connection::Refused { retry_in, .. } => {
                retry_in.map(|ms| ms.saturating_sub(now.since(self.presence.since())))
            }
            Connection::Connecting | Connection::Online { .. } => None,
        }
    }

    /// Contacts that are on the roster, by JID.
    pub fn contacts(&self) -> Vec<ContactView<'_>> {
        self.roster.listed().map(|c| self.contact_view(c)).collect()
    }

    /// Those who ask to see our presence and are not on the roster.
    pub fn asking(&self) -> impl Iterator<Item = &BareJid> {
        self.roster.asking()
    }

    /// What is remembered of one contact.
    pub fn contact_of(&self, jid: &BareJid) -> Option<ContactView<'_>> {
        self.roster.get(jid).map(|c| self.contact_view(c))
    }

    fn contact_view<'a>(&'a self, contact: &'a Contact) -> ContactView<'a> {
        let online: Vec<_> = self.presence.of(&contact.jid).collect();
        let devices = self.devices.of(&contact.jid);
        let present = |d: &Device| {
            let place = self.proofs.device_with(&d.contact, d.fingerprint);
            place.is_some_and(|place| self.presence.runs_xbt(place))
        };
        let devices = devices.map(|device| DeviceView { device, online: present(device) }).collect();
        ContactView { contact, asks: self.roster.asks(&contact.jid), online, devices }
    }

    /// What a transfer waits for: only while it is queued or paused, or while its turn or device is waited for.
    pub fn why(&self, transfer: &Transfer, now: Mono) -> Option<Why> {
        if transfer.end().is_some() {
            return None;
        }
        if transfer.account != self.settings.account {
            let text = format!("it belongs to the account {}, which is not configured", transfer.account);
            return Some(Why::new("other-account", text));
        }
        self.why_paused(transfer).or_else(|| match &transfer.side {
            Side::Out { state: Outgoing::Preparing, .. } => Some(Why::new("preparing", "the content is being hashed")),
            Side::Out { state: Outgoing::Queued, taken_by: Some(_), .. } => Some(turn()),
            Side::Out { state: Outgoing::Queued, .. } => Some(self.why_queued(transfer, now)),
            Side::Out { .. } | Side::In { .. } => self.why_connecting(transfer),
        })
    }

    fn why_paused(&self, transfer: &Transfer) -> Option<Why> {
        let paused = &transfer.paused;
        match &paused.fault {
            Some(fault) if fault.code == "disk-full" => Some(Why::new("disk-full", fault.message.clone())),
            Some(fault) if fault.code == "engine-fault" => Some(Why::new("engine-fault", fault.message.clone())),
            Some(fault) => Some(Why::new("destination-unwritable", fault.message.clone())),
            None if paused.by_us => Some(Why::new("paused", "you paused it")),
            None if paused.by_contact => Some(Why::new("paused-by-contact", format!("{} paused it", transfer.contact))),
            None => None,
        }
    }

    fn why_queued(&self, transfer: &Transfer, now: Mono) -> Why {
        let jid = &transfer.contact;
        let own = *jid == self.settings.account;
        if !self.presence.is_online() {
            return Why::new("offline", "there is no connection to the XMPP server");
        }
        let contact = self.roster.get(jid).filter(|c| c.listed);
        if !own {
            match contact {
                None => return Why::new("not-in-roster", format!("{jid} is not on your contact list")),
                Some(c) if !c.subscription.sees_contact() => {
                    let mut text = format!("{jid} has not approved your contact request yet");
                    if !c.ask {
                        text += &format!("; ask them: 'xbtctl contacts add {jid}'");
                    }
                    return Why::new("not-subscribed", text);
                }
                Some(_) => {}
            }
        }
        let online: Vec<bool> = self.presence.of(jid).map(|(_, xbt)| xbt).collect();
        let devices = self.presence.xbt_devices(jid);
        if !devices.is_empty() && devices.iter().all(|device| self.is_blocked(device)) {
            let text = format!("the key of {jid} is new and blocked; compare it: 'xbtctl contacts verify {jid}'");
            return Why::new("key-blocked", text);
        }
        if online.contains(&true) {
            let refusal = self.live.get(&transfer.id).and_then(|l| l.refusal.as_deref());
            if let Some(text) = refusal {
                return Why::new("refused", format!("{jid} does not take the offer: {text}"));
            }
            return match self.outbox.put_off(jid) {
                Some((text, Some(at))) => {
                    let seconds = at.since(now).div_ceil(1_000);
                    Why::new("put-off", format!("the offer to {jid} is put off ({text}); next try in {seconds} s"))
                }
                Some((text, None)) => Why::new("put-off", format!("the offer to {jid} is tried again ({text})")),
                None => Why::new("offering", format!("the offer is on its way to {jid}")),
            };
        }
        if own {
            return Why::new("contact-offline", "no other device of yours runs xbt now");
        }
        match (online.is_empty(), contact.is_some_and(|c| c.has_xbt)) {
            (true, _) | (false, true) => Why::new("contact-offline", format!("{jid} is not online with xbt")),
            (false, false) => Why::new("no-xbt", format!("{jid} is online, but no device there runs xbt")),
        }
    }

    /// While a link is sought only what the person can act upon is said.
    fn why_connecting(&self, transfer: &Transfer) -> Option<Why> {
        if !transfer.agreed() || transfer.linked() {
            return None;
        }
        let peer = transfer.peer()?;
        let device = FullJid::new(transfer.contact.clone(), peer.resource.clone());
        let live = self.live.get(&transfer.id);
        if live.is_some_and(|l| l.turn.is_some()) {
            return Some(turn());
        }
        if !self.presence.is_online() {
            return Some(Why::new("offline", "there is no connection to the XMPP server"));
        }
        if !self.presence.runs_xbt(&device) {
            return Some(Why::new("contact-offline", format!("{device} is not online")));
        }
        let attempt = live.and_then(|l| l.attempts.last());
        attempt.map(|a| Why::new("no-way", format!("no link to {device} yet: {}", a.reason)))
    }
}

fn turn() -> Why {
    Why::new("turn", "it waits for one of the transfers between the two devices to end")
}

/// A number of bytes for people, in binary units with one decimal.
pub(super) fn bytes(number: u64) -> String {
    const UNITS: [&str; 6] = ["KiB", "MiB", "GiB", "TiB", "PiB", "EiB"];
    if number < 1024 {
        return format!("{number} B");
    }
    let mut value = number as f64 / 1024.0;
    let mut unit = 0;
    while value >= 1023.95 && unit + 1 < UNITS.len() {
        value /= 1024.0;
        unit += 1;
    }
    format!("{value:.1} {}", UNITS[unit])
}
