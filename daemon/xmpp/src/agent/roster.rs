//! The roster (RFC 6121, section 2) and who may see whom (section 3).

use std::collections::BTreeMap;
use std::time::Instant;

use tokio_xmpp::minidom::Element;
use tokio_xmpp::parsers::roster as xml;
use xbt_core::ids::BareJid;
use xbt_core::session::{RosterItem, SessionEvent, Subscription};
use xbt_core::signal::Refusal;

use super::Agent;
use crate::convert::cut;
use crate::jid::listed;

/// Bytes of the longest name of a contact or group; groups of one contact that are kept.
const MAX_NAME: usize = 1023;
const MAX_GROUPS: usize = 64;

/// Most contacts that pushes add to; the first roster is bounded by the length of a stanza.
const MOST: usize = 20_000;

/// Who is a contact, as far as this room has to know.
#[derive(Debug, Default)]
pub(super) struct Roster(BTreeMap<BareJid, RosterItem>);

impl Roster {
    /// Whether at least one sees the other: who only asked is still a stranger.
    pub(super) fn is_contact(&self, jid: &BareJid) -> bool {
        self.0.get(jid).is_some_and(|item| item.subscription != Subscription::None)
    }

    pub(super) fn get(&self, jid: &BareJid) -> Option<&RosterItem> {
        self.0.get(jid)
    }
}

/// None if normalising does not yield an address: nothing could be sent there.
fn item(item: &xml::Item) -> Option<RosterItem> {
    let subscription = match item.subscription {
        xml::Subscription::None | xml::Subscription::Remove => Subscription::None,
        xml::Subscription::From => Subscription::From,
        xml::Subscription::To => Subscription::To,
        xml::Subscription::Both => Subscription::Both,
    };
    Some(RosterItem {
        jid: listed(&item.jid)?,
        name: item.name.as_deref().filter(|name| !name.is_empty()).map(|name| cut(name, MAX_NAME)),
        subscription,
        ask: item.ask == xml::Ask::Subscribe,
        groups: item.groups.iter().take(MAX_GROUPS).map(|group| cut(&group.0, MAX_NAME)).collect(),
    })
}

impl Agent {
    /// The answer to our question after a login.
    pub(super) fn roster_came(&mut self, answer: Result<Option<Element>, Refusal>, now: Instant) {
        let roster = answer.ok().flatten().and_then(|element| xml::Roster::try_from(element).ok());
        let Some(roster) = roster else {
            // Without it everybody would be a stranger.
            self.output.break_stream("the server does not send the roster");
            return;
        };
        tracing::debug!(contacts = roster.items.len(), "the roster is here");
        let items: Vec<RosterItem> = roster.items.iter().filter_map(item).collect();
        self.roster = Roster(items.iter().map(|item| (item.jid.clone(), item.clone())).collect());
        self.tell(SessionEvent::Roster(items));
        self.output.send(self.profile.presence());
        self.ask_features(now);
        self.search_services(true, now);
    }

    /// A push that was checked to come from our server: one item (RFC 6121, section 2.1.6).
    pub(super) fn pushed(&mut self, roster: xml::Roster, now: Instant) {
        let Some(pushed) = roster.items.first() else { return };
        let Some(item) = item(pushed) else { return };
        if pushed.subscription == xml::Subscription::Remove {
            self.roster.0.remove(&item.jid);
            self.forget(&item.jid);
            self.tell(SessionEvent::RosterRemoved(item.jid));
        } else {
            if self.roster.0.len() >= MOST && !self.roster.0.contains_key(&item.jid) {
                tracing::warn!("the roster is too long");
                return;
            }
            self.roster.0.insert(item.jid.clone(), item.clone());
            if item.subscription == Subscription::None {
                self.forget(&item.jid);
            }
            self.tell(SessionEvent::RosterChanged(item));
        }
        self.ask_features(now);
    }
}
