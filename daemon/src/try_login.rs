//! `xbtd --try-login` and `--register`: one login with a configuration, to see whether it works, or a new account; for
//! `xbtctl setup`.

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use serde::Serialize;
use tokio::sync::mpsc;
use tokio::time::timeout;
use xbt_core::fault::Fault;
use xbt_core::ids::Fingerprint;
use xbt_core::session::{Connection, SessionEvent};
use xbt_core::signal::{Signature, Signer};

use crate::config::{self, Config};
use xbt_xmpp::{Session, SessionConfig};

/// Events that the session may be ahead; nobody here needs more than the first few.
const EVENTS: usize = 16;

/// A server with several addresses that do not answer takes this long to be given up.
const PATIENCE: Duration = Duration::from_secs(60);

/// Nobody is asked anything, so nothing is signed.
#[derive(Debug)]
struct Nothing;

impl Signer for Nothing {
    fn sign(&self, _: &[u8]) -> Option<Signature> {
        None
    }

    fn signed_by(&self, _: &[u8], _: &Signature) -> Option<Fingerprint> {
        None
    }
}

/// What became of the login, as the one JSON line on standard output.
#[derive(Debug, Serialize)]
#[serde(untagged)]
enum Report<'a> {
    Good { ok: bool, jid: &'a str },
    Bad { ok: bool, code: &'a str, message: &'a str, hint: &'a str },
}

/// Logs in once with the configuration in `file` and out again, within a minute; the account's JID.
///
/// No state is read or written, no socket is opened: a running daemon is not disturbed. The resource is a random one,
/// so that the device of this machine is not displaced.
///
/// # Errors
/// What is wrong with the configuration, or why the server did not let us in. Codes as in `status`, and
/// `server-unreachable` where trying again might help.
pub async fn try_login(file: &Path) -> Result<String, Fault> {
    let session = session(file).await?;
    let jid = session.jid.to_string();
    let (sender, mut events) = mpsc::channel(EVENTS);
    let (session, _commands) = Session::start(session, Arc::new(Nothing), sender);
    let result = timeout(PATIENCE, verdict(&mut events)).await;
    session.close().await;
    match result {
        Ok(verdict) => verdict.map(|()| jid),
        Err(_) => Err(unreachable("the server did not complete the login in time".to_owned())),
    }
}

/// Makes the account that is configured in `file`, with its password, within two minutes; the account's JID.
///
/// # Errors
/// What is wrong with the configuration, or why the server does not make it.
pub async fn register(file: &Path) -> Result<String, Fault> {
    let session = session(file).await?;
    match timeout(2 * PATIENCE, xbt_xmpp::register(&session)).await {
        Ok(result) => result.map(|()| session.jid.to_string()),
        Err(_) => Err(unreachable("the server did not complete the registration in time".to_owned())),
    }
}

async fn session(file: &Path) -> Result<SessionConfig, Fault> {
    config::check(file)?;
    let account = Config::load(file)?.account;
    let password = config::password(&account).await?;
    let resource = format!("xbt-try-{}", uuid::Uuid::new_v4().simple());
    Ok(SessionConfig {
        server: account.server.as_ref().map(ToString::to_string),
        tls: account.tls,
        ca_file: account.ca_file.clone(),
        least_mechanism: account.least_mechanism,
        ..SessionConfig::new(account.jid.clone(), resource, password)
    })
}

async fn verdict(events: &mut mpsc::Receiver<SessionEvent>) -> Result<(), Fault> {
    while let Some(event) = events.recv().await {
        // A session says nothing of interest before it is online.
        let SessionEvent::Connection(connection) = event else { continue };
        match connection {
            Connection::Connecting => {}
            Connection::Online { .. } => return Ok(()),
            Connection::Refused { code, reason, hint, .. } => return Err(Fault::new(code, reason, hint)),
            Connection::Offline { reason, .. } => return Err(unreachable(reason)),
        }
    }
    Err(unreachable("the login was broken off".to_owned()))
}

fn unreachable(reason: String) -> Fault {
    let hint = "check the domain after the @ and your network; if the server has another name, set `server`";
    Fault::new("server-unreachable", reason, hint)
}

/// The line that tells a program what became of the login.
pub fn report(result: &Result<String, Fault>) -> String {
    let report = match result {
        Ok(jid) => Report::Good { ok: true, jid },
        Err(Fault { code, message, hint }) => Report::Bad { ok: false, code, message, hint },
    };
    // Strings and a bool: this cannot fail.
    serde_json::to_string(&report).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_report_is_one_line_of_json() {
        assert_eq!(report(&Ok("a@b".into())), r#"{"ok":true,"jid":"a@b"}"#);
        let bad = report(&Err(Fault::new("wrong-password", "no\nway", "look")));
        assert_eq!(bad, r#"{"ok":false,"code":"wrong-password","message":"no\nway","hint":"look"}"#);
    }
}
