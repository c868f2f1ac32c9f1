//! What later logins of the account must not fall below.

use crate::domain::Domain;
use crate::effect::{Effect, Persist, Reply};
use crate::fault::Fault;
use crate::login::Login;
use crate::session::{Connection, SessionCommand};

impl Domain {
    /// The strongest login of our account so far.
    pub fn login(&self) -> Option<&Login> {
        self.login.as_ref()
    }

    /// What the login would have been that was refused as weaker than that.
    pub fn refused_login(&self) -> Option<&Login> {
        match self.presence.connection() {
            Connection::Refused { weaker, .. } => weaker.as_deref(),
            Connection::Connecting | Connection::Online { .. } | Connection::Offline { .. } => None,
        }
    }

    /// The session has compared it with the one before.
    pub(super) fn logged_in(&mut self, login: Login) {
        if login.account == self.settings.account && self.login.as_ref() != Some(&login) {
            self.login = Some(login.clone());
            self.persist(Persist::Login(login));
        }
    }

    /// What was refused is what is remembered from now on, so nothing weaker than the person has seen passes.
    pub(super) fn allow_weaker_login(&mut self) -> Result<Reply, Fault> {
        let Some(login) = self.refused_login().cloned() else {
            return Err(Fault::new(
                "no-weaker-login",
                "no login was refused for being weaker than before",
                "'xbtctl status' says how the connection stands",
            ));
        };
        self.logged_in(login.clone());
        self.push(Effect::Session(SessionCommand::AllowLogin(Box::new(login))));
        Ok(Reply::Done)
    }
}
