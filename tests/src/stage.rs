//! A server, people who know each other, and a folder for everything.

use std::env;
use std::path::{Path, PathBuf};

use tempfile::TempDir;
use toml::Table;

use crate::chat::ChatClient;
use crate::content;
use crate::daemon::{Daemon, jid};
use crate::net::Net;
use crate::prosody::{Kind, Prosody, RosterLine};

/// People who have each other on their contact lists and see each other. Their names there are their own, capitalised.
pub const FRIENDS: &[&str] = &["alice", "bob", "dave"];

/// On everybody's contact list, but lets nobody see when she is online.
pub const SHY: &str = "erin";

/// Has an account and is on nobody's contact list.
pub const OUTSIDER: &str = "mallory";

/// A private Prosody with accounts, and a temporary folder that goes with it (kept if `XBT_TEST_KEEP` is set).
///
/// Drop daemons before it; a `let` for the stage before those of the daemons does that.
#[derive(Debug)]
pub struct Stage {
    /// The server.
    pub prosody: Prosody,
    net: Net,
    folder: TempDir,
}

impl Stage {
    /// On the machine's own network, with a server that limits its clients as an untouched installation does.
    pub fn new() -> Self {
        Self::build(|_| Net::machine(), Kind::Stock, &friends())
    }

    /// Like [`Self::new`], with a server that lets its clients send as fast as they can.
    pub fn unlimited() -> Self {
        Self::build(|_| Net::machine(), Kind::Unlimited, &friends())
    }

    /// In a network of its own, whose bytes are counted.
    pub fn counted() -> Self {
        Self::build(Net::private, Kind::Stock, &friends())
    }

    /// Alice and so many others ([`recipient`]) who know her and nobody else, with a server like that of
    /// [`Self::new`] which writes every stanza down ([`Prosody::stanzas`]).
    pub fn crowd(recipients: usize) -> Self {
        let others: Vec<String> = (1..=recipients).map(recipient).collect();
        let mut people: Vec<_> = others.iter().map(|one| (one.clone(), vec!["alice".to_owned()])).collect();
        people.push(("alice".to_owned(), others));
        Self::build(|_| Net::machine(), Kind::Recorded, &people)
    }

    fn build(net: impl FnOnce(&Path) -> Net, kind: Kind, people: &[(String, Vec<String>)]) -> Self {
        let mut folder = tempfile::Builder::new().prefix("xbt-").tempdir().expect("a temporary folder can be made");
        folder.disable_cleanup(env::var_os("XBT_TEST_KEEP").is_some());
        let net = net(folder.path());
        let server = folder.path().join("prosody");
        let mut prosody = Prosody::prepare(&server, &net, kind);
        for (user, others) in people {
            prosody.account(user, &password(user));
            let names: Vec<_> = others.iter().map(|other| (other, capitalised(other))).collect();
            let mut lines: Vec<_> =
                names.iter().map(|(contact, name)| RosterLine { contact, name, subscription: "both" }).collect();
            lines.push(RosterLine { contact: SHY, name: "Erin", subscription: "none" });
            prosody.roster(user, &lines);
        }
        for user in [SHY, OUTSIDER] {
            prosody.account(user, &password(user));
        }
        prosody.start();
        Self { prosody, net, folder }
    }

    /// A device of an account that has not been started; `device` tells several of one account apart.
    pub fn device(&self, user: &str, device: &str) -> Daemon {
        let name = if device.is_empty() { user.to_owned() } else { format!("{user}-{device}") };
        let mut account = Table::new();
        account.insert("jid".into(), jid(user).into());
        account.insert("server".into(), self.prosody.address().into());
        account.insert("ca_file".into(), self.prosody.ca_file().to_string_lossy().as_ref().into());
        Daemon::prepare(&name, &self.folder.path().join(&name), &self.net, account, &password(user))
    }

    /// The only device of an account, not started.
    pub fn person(&self, user: &str) -> Daemon {
        self.device(user, "")
    }

    /// The only device of an account, started and online.
    #[track_caller]
    pub fn online(&self, user: &str) -> Daemon {
        self.person(user).online()
    }

    /// An ordinary chat client of an account, logged in and available.
    pub fn chat(&self, user: &str) -> ChatClient {
        ChatClient::login(&self.prosody, user, &password(user))
    }

    /// The same at a resource of the account, whose present user is thrown out.
    pub fn chat_at(&self, user: &str, resource: &str) -> ChatClient {
        ChatClient::login_at(&self.prosody, user, &password(user), resource)
    }

    /// The network that everything is in.
    pub fn net(&self) -> &Net {
        &self.net
    }

    /// The folder of the stage.
    pub fn folder(&self) -> &Path {
        self.folder.path()
    }

    /// Makes a file of random bytes to send.
    pub fn file(&self, name: &str, size: u64) -> PathBuf {
        let path = self.source(name);
        content::file(&path, size, size ^ 0x5EED);
        path
    }

    /// Makes a folder of random files to send.
    pub fn tree(&self, name: &str, files: u64, total: u64) -> PathBuf {
        let path = self.source(name);
        content::folder(&path, files, total, total ^ files);
        path
    }

    /// A path among the things to send.
    pub fn source(&self, name: &str) -> PathBuf {
        let folder = self.folder.path().join("sources");
        std::fs::create_dir_all(&folder).expect("the stage can be written");
        folder.join(name)
    }
}

impl Default for Stage {
    fn default() -> Self {
        Self::new()
    }
}

/// The password of an account.
pub fn password(user: &str) -> String {
    format!("secret-of-{user}")
}

/// The account of one of a [`Stage::crowd`], counted from 1.
pub fn recipient(number: usize) -> String {
    format!("recipient{number}")
}

fn friends() -> Vec<(String, Vec<String>)> {
    let others = |user: &str| FRIENDS.iter().filter(|other| **other != user).map(|other| (*other).to_owned()).collect();
    FRIENDS.iter().map(|user| ((*user).to_owned(), others(user))).collect()
}

fn capitalised(name: &str) -> String {
    name[..1].to_uppercase() + &name[1..]
}
