//! Whose session this is, and who may speak for the account.

use tokio_xmpp::jid::{self, Jid};
use xbt_core::ids::{BareJid, FullJid};

use crate::jid as address;

/// The account, and this device of it.
#[derive(Debug)]
pub(super) struct Account {
    jid: jid::BareJid,
    /// As bound by the server; none before the first login.
    device: Option<jid::FullJid>,
}

impl Account {
    pub(super) fn new(jid: jid::BareJid) -> Self {
        Self { jid, device: None }
    }

    /// The server bound a resource.
    pub(super) fn bind(&mut self, device: jid::FullJid) {
        self.device = Some(device);
    }

    /// Our address as bound by the server.
    pub(super) fn device(&self) -> Option<FullJid> {
        self.device.as_ref().and_then(|device| address::full(&device.clone().into()))
    }

    pub(super) fn bare(&self) -> BareJid {
        BareJid::from_normalised(self.jid.to_string())
    }

    /// The address of our server.
    pub(super) fn server(&self) -> Jid {
        jid::BareJid::from_parts(None, self.jid.domain()).into()
    }

    /// Whether an address is the account's or that of one of its devices.
    pub(super) fn is_ours(&self, jid: &Jid) -> bool {
        jid.to_bare() == self.jid
    }

    /// Whether an address is that of this very device.
    pub(super) fn is_this_device(&self, jid: &Jid) -> bool {
        self.device.as_ref().is_some_and(|device| jid.try_as_full().is_ok_and(|jid| jid == device))
    }

    /// Whether a stanza speaks for the account itself, not for one of its devices; our server may leave the name out.
    pub(super) fn is_account(&self, from: Option<&Jid>) -> bool {
        from.is_none_or(|from| from.try_as_full().is_err() && self.is_ours(from))
    }

    /// Whether a stanza comes from our own server on behalf of the account.
    pub(super) fn is_account_or_server(&self, from: Option<&Jid>) -> bool {
        let is_server =
            |jid: &Jid| jid.node().is_none() && jid.resource().is_none() && jid.domain() == self.jid.domain();
        self.is_account(from) || from.is_some_and(|from| self.is_this_device(from) || is_server(from))
    }
}
