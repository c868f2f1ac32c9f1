//! Names on the roster. The server keeps the roster, so it decides whom a name means; the person finds out when that has
//! changed since they last used the name.

use crate::domain::Domain;
use crate::effect::Reply;
use crate::fault::Fault;
use crate::ids::BareJid;

impl Domain {
    /// The person names a contact; it must be the one that they meant by this name before, or they must know that it is
    /// not.
    pub(super) fn use_name(&mut self, name: &str, jid: BareJid, confirmed: bool) -> Result<Reply, Fault> {
        let folded = name.to_lowercase();
        let before = self.roster.iter().find(|contact| contact.called.contains(&folded));
        if let Some(before) = before.filter(|before| before.jid != jid && !confirmed) {
            return Err(Fault::new(
                "name-moved",
                format!("{name} is {jid} now; it was {} when you last used it", before.jid),
                format!(
                    "your contact list has changed; if not by you, your server may have changed it. Give the address, or \
                     say whom you mean from now on: 'xbtctl contacts call {jid} NAME'"
                ),
            ));
        }
        self.call(name, &jid);
        Ok(Reply::Done)
    }

    /// From now on the name means this contact and no other.
    pub(super) fn call(&mut self, name: &str, jid: &BareJid) {
        let folded = name.to_lowercase();
        let others = self.roster.iter().filter(|c| c.jid != *jid && c.called.contains(&folded));
        for mut other in others.cloned().collect::<Vec<_>>() {
            other.called.retain(|called| *called != folded);
            self.save_contact(other);
        }
        let mut contact = self.roster.known(jid);
        if !contact.called.contains(&folded) {
            contact.called.push(folded);
            self.save_contact(contact);
        }
    }
}
