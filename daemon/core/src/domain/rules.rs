//! What the standing rules say about an offer, and where it goes.

use crate::domain::Domain;
use crate::effect::{Effect, Event};
use crate::folder::FolderPattern;
use crate::hook::Hook;
use crate::ids::{BareJid, TransferId};
use crate::input::Destination;
use crate::rule::{Accept, Named, Rule, named};
use crate::transfer::{End, Facts, Incoming, Side, Transfer};

/// What the rules say about the offers of a contact.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Ruling<'a> {
    /// The place of the rule that fits, in the configuration's list.
    pub rule: Option<usize>,
    /// What becomes of an offer up to that size.
    pub accept: Accept,
    /// Bytes up to which `Always` counts; larger offers are asked about.
    pub max_size: u64,
    /// Where it goes unless the person names a folder.
    pub folder: &'a FolderPattern,
}

impl Ruling<'_> {
    /// What becomes of an offer. `size` is that of the files, or of the metadata where that is more.
    pub fn of(&self, size: u64) -> Accept {
        match self.accept {
            Accept::Always if size > self.max_size => Accept::Ask,
            other => other,
        }
    }
}

impl Domain {
    /// The first rule that fits the contact, and for what it leaves open the settings for everybody.
    pub fn ruling(&self, contact: &BareJid) -> Ruling<'_> {
        let known = self.roster.get(contact);
        let fitting = |(at, rule): (usize, &Rule)| Some((at, rule.fits(contact, known)?));
        let (rule, by) = self.settings.rules.iter().enumerate().find_map(fitting).unzip();
        let said = rule.and_then(|at| self.settings.rules.get(at));
        // The server decides who is in a group.
        let counts =
            |by: Named| by != Named::Group || !self.settings.verified_groups || self.roster.is_verified(contact);
        let from = named(&self.settings.accept_from, contact, known).is_some_and(counts);
        let usual = if from || known.is_some_and(|c| c.allowed) { Accept::Always } else { Accept::Ask };
        let accept = said.and_then(|rule| rule.accept).map(|accept| match accept {
            Accept::Always if !by.is_some_and(counts) => Accept::Ask,
            other => other,
        });
        Ruling {
            rule,
            accept: accept.unwrap_or(usual),
            max_size: said.and_then(|rule| rule.max_size).unwrap_or(self.settings.accept_max_size),
            folder: said.and_then(|rule: &Rule| rule.folder.as_ref()).unwrap_or(&self.settings.folder),
        }
    }

    /// What becomes of the offer by the rules.
    pub fn ruled(&self, contact: &BareJid, facts: Option<&Facts>) -> Accept {
        self.ruling(contact).of(facts.map_or(u64::MAX, Facts::cost))
    }

    /// A new offer: the rules decide, or the person is asked.
    pub(super) fn rule_on(&mut self, id: TransferId) {
        let Some(transfer) = self.transfers.get(&id) else { return };
        match self.ruled(&transfer.contact, transfer.facts.as_ref()) {
            Accept::Always => {
                self.run_hook(id, Hook::Offer);
                self.push(Effect::Destination(id));
            }
            Accept::Ask => self.run_hook(id, Hook::Offer),
            Accept::Never => self.finish(id, End::Declined { message: None }, Some("declined by a rule".into())),
        }
    }

    /// The folder for an offer that the rules accept is known. Somebody may have answered meanwhile, or changed the rules.
    pub(super) fn destination_found(&mut self, id: TransferId, destination: Destination) {
        if self.accepts_by_rule(id)
            && let Err(fault) = self.accept_by_rule(id, destination)
        {
            self.push(Effect::Emit(Event::NotAccepted { transfer: id, reason: fault.message }));
        }
    }

    fn accepts_by_rule(&self, id: TransferId) -> bool {
        let waits = |t: &&Transfer| matches!(t.side, Side::In { state: Incoming::Offered, .. });
        let transfer = self.transfers.get(&id).filter(waits);
        transfer.is_some_and(|t| self.ruled(&t.contact, t.facts.as_ref()) == Accept::Always)
    }

    /// An offer that is still unanswered when the daemon starts: the rules may have changed.
    pub(super) fn rule_on_again(&mut self, id: TransferId) {
        if self.accepts_by_rule(id) {
            self.push(Effect::Destination(id));
        }
    }
}
