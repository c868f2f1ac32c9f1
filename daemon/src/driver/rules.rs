//! The standing rules as the RPC tells them.

use xbt_api as api;
use xbt_core::domain::ContactView;
use xbt_core::ids::BareJid;
use xbt_core::rule::Rule;
use xbt_core::session::Subscription;

use super::{Driver, destination, views};

impl Driver {
    /// All rules, and what they make of an offer of this contact now.
    pub(super) fn rules(&self, contact: Option<&str>) -> Result<api::Rules, api::ApiError> {
        let settings = self.domain.settings();
        let contact = contact.map(|text| self.resolve(text)).transpose()?;
        Ok(api::Rules {
            rules: (1..).zip(&settings.rules).map(|(number, rule)| told(number, rule)).collect(),
            from: settings.accept_from.clone(),
            max_size: settings.accept_max_size,
            folder: settings.folder.to_string(),
            contact: contact.map(|jid| api::RulesFor {
                heard: self.is_heard(&jid),
                ruling: views::ruling(&self.domain.ruling(&jid)),
                folder: destination::folder_for(&self.domain, &jid, self.now().wall).to_string_lossy().into_owned(),
                jid: jid.to_string(),
            }),
        })
    }

    /// The session turns away who neither sees us nor is seen by us, before the domain is asked.
    fn is_heard(&self, jid: &BareJid) -> bool {
        let apart = |known: ContactView<'_>| known.contact.subscription == Subscription::None;
        let own = *jid == self.domain.settings().account;
        self.domain.hears(jid) && (own || !self.domain.contact_of(jid).is_none_or(apart))
    }
}

fn told(number: u64, rule: &Rule) -> api::Rule {
    api::Rule {
        number,
        who: rule.who.clone(),
        accept: rule.accept.map(views::accept),
        max_size: rule.max_size,
        folder: rule.folder.as_ref().map(ToString::to_string),
    }
}
