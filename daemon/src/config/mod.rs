//! The configuration: one TOML file, read into types that are valid by construction.
//!
//! `config/xbtd.toml` documents every key; the table behind it is in `keys`. Whatever is wrong with the file is
//! told as one sentence with file and line, and a hint.

mod document;
mod error;
mod keys;
#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod manual;
mod password;
mod paths;
mod read;
#[cfg(test)]
mod tests;

use std::fmt;
use std::fs::File;
use std::io::{ErrorKind, Read};
use std::net::SocketAddr;
use std::path::{Path, PathBuf};

use xbt_core::folder::FolderPattern;
use xbt_core::hook::Hooks;
use xbt_core::ids::BareJid;
use xbt_core::login::Mechanism;
use xbt_core::rule::Rule;
use xbt_core::schedule::Schedule;

use crate::ownership::others_may_write;

pub use error::ConfigError;
pub use keys::example;
pub use password::password;
pub use paths::{Paths, default_path};
pub use xbt_xmpp::{Secret, Tls};

/// Most bytes of a configuration file.
const MAX_FILE: u64 = 256 * 1024;

/// Everything that stands in the configuration file, with the defaults for what does not.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Config {
    /// The XMPP account.
    pub account: Account,
    /// Where things lie.
    pub files: Files,
    /// How links are made.
    pub network: Network,
    /// What is accepted without asking.
    pub accept: Accept,
    /// `[[rule]]`: what holds for some contacts instead.
    pub rules: Vec<Rule>,
    /// `[[schedule]]`: other limits at some times.
    pub schedules: Vec<Schedule>,
    /// `[hooks]`: the person's own commands.
    pub hooks: Hooks,
}

/// `[account]`: the XMPP account.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Account {
    /// Our address; it has a local part.
    pub jid: BareJid,
    /// Where the password comes from; none: from the systemd credential `xbt-password`.
    pub password: Option<PasswordSource>,
    /// The server to connect to instead of the one that DNS names.
    pub server: Option<Server>,
    /// How TLS starts.
    pub tls: Tls,
    /// A PEM file with the only authorities to be trusted; none: those of the system.
    pub ca_file: Option<PathBuf>,
    /// Logins by anything weaker are refused.
    pub least_mechanism: Mechanism,
}

/// Where the password comes from.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum PasswordSource {
    /// `password_command`: a shell command.
    Command(String),
    /// `password_file`: an absolute path.
    File(PathBuf),
}

/// A server given by hand.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Server {
    /// A host name, or an IP address (IPv6 without brackets).
    pub host: String,
    /// As given, or the customary one for the kind of TLS (5222, 5223).
    pub port: u16,
}

impl fmt::Display for Server {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.host.contains(':') {
            true => write!(f, "[{}]:{}", self.host, self.port),
            false => write!(f, "{}:{}", self.host, self.port),
        }
    }
}

/// `[files]`: where things lie; absolute paths. [`Paths`] fills in what is not given.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Files {
    /// Where received files go.
    pub download_dir: FolderPattern,
    /// Where the daemon keeps its state.
    pub state_dir: Option<PathBuf>,
    /// The control socket.
    pub socket: Option<PathBuf>,
}

/// `[network]`: how links are made.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Network {
    /// Where links are accepted, no address twice; port 0: a port that is chosen once and kept.
    pub listen: Vec<SocketAddr>,
    /// Whether routers are asked to map the port.
    pub map_port: bool,
    /// Further addresses to tell contacts; none is unspecified, multicast or has port 0.
    pub advertise: Vec<SocketAddr>,
    /// The ways that may be used; at least one, none twice.
    pub ways: Vec<Way>,
    /// Contents up to this many bytes may go in-band.
    pub in_band_max_size: u64,
    /// Bytes per second sent, all links together; 0: no limit.
    pub upload_limit: u64,
    /// Bytes per second received, all links together; 0: no limit.
    pub download_limit: u64,
}

/// A way by which a device may be reached.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Way {
    /// TCP to an address of one of its interfaces, or a configured one.
    Direct,
    /// TCP to a port that its router maps.
    Mapped,
    /// QUIC over a hole punched through both routers.
    Punched,
    /// A SOCKS5 bytestream through the XMPP server's proxy (XEP-0065).
    Proxy65,
    /// Inside the XMPP stream (XEP-0047).
    InBand,
}

/// `[accept]`: what is accepted without asking, and what others get to see.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Accept {
    /// Whose offers.
    pub from: Vec<AcceptFrom>,
    /// Only up to this many bytes.
    pub max_size: u64,
    /// Bytes of one contact within a day; 0: no limit.
    pub quota: u64,
    /// Who may see our presence.
    pub subscriptions: Subscriptions,
    /// Whether a contact who has never run xbt gets a chat message.
    pub courtesy_message: bool,
    /// Being in a group is enough only for contacts that were verified.
    pub verified_groups: bool,
    /// Whether recipients of one content are told each other's addresses.
    pub introduce: bool,
}

/// Whose offers are accepted without asking.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum AcceptFrom {
    /// A contact; written with an `@`.
    Contact(BareJid),
    /// Every contact in a roster group.
    Group(String),
}

/// Who may see our presence.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Subscriptions {
    /// Contacts that the person added: their requests are approved, others wait.
    Added,
    /// The person is asked about each request.
    Ask,
}

impl Config {
    /// Reads the configuration from a file of at most 256 KiB.
    ///
    /// # Errors
    /// The file is missing, cannot be read, or something in it is wrong.
    pub fn load(path: &Path) -> Result<Self, ConfigError> {
        let text = read_file(path)?;
        Self::parse(&text, path, &paths::home()?)
    }
}

/// For `xbtd --check-config`: reads the file and says in one line what was understood.
///
/// A password file is looked at; a password command is not run.
///
/// # Errors
/// As [`Config::load`], and what is wrong with the password file.
pub fn check(path: &Path) -> Result<String, ConfigError> {
    let config = Config::load(path)?;
    let paths = Paths::resolve(&config)?;
    let password = match &config.account.password {
        Some(PasswordSource::Command(_)) => "a command".to_owned(),
        Some(PasswordSource::File(file)) => {
            password::read_file(file)?;
            file.display().to_string()
        }
        None => format!("the systemd credential {}", password::CREDENTIAL),
    };
    let jid = &config.account.jid;
    let (download, socket) = (&config.files.download_dir, paths.socket.display());
    let file = path.display();
    let automatic = automatic(&config).map_or(String::new(), |all| format!(", {all}"));
    Ok(format!("{file} is fine: {jid}, password from {password}, downloads to {download}{automatic}, socket {socket}"))
}

/// What happens by itself, in numbers.
fn automatic(config: &Config) -> Option<String> {
    let hooks = [&config.hooks.on_offer, &config.hooks.on_complete].into_iter().flatten().count();
    let counts = [(config.rules.len(), "rule"), (config.schedules.len(), "schedule"), (hooks, "command")];
    let told = counts.into_iter().filter(|(count, _)| *count > 0);
    let told: Vec<_> =
        told.map(|(count, what)| format!("{count} {what}{}", if count == 1 { "" } else { "s" })).collect();
    (!told.is_empty()).then(|| told.join(", "))
}

fn read_file(path: &Path) -> Result<String, ConfigError> {
    let unreadable = |why: String| {
        let what = format!("{} cannot be read: {why}", path.display());
        ConfigError::new("config-unreadable", what, "it must be a text file that you may read")
    };
    let file = match File::open(path) {
        Ok(file) => file,
        Err(error) if error.kind() == ErrorKind::NotFound => return Err(missing(path)),
        Err(error) => return Err(unreadable(error.to_string())),
    };
    if file.metadata().is_ok_and(|meta| meta.is_file() && others_may_write(&meta)) {
        let what = format!("the configuration {} can be written by others", path.display());
        let hint = format!("make it yours: chown \"$(id -u)\" and chmod go-w '{}'", path.display());
        return Err(ConfigError::new("config-permissions", what, hint));
    }
    let mut text = String::new();
    file.take(MAX_FILE + 1).read_to_string(&mut text).map_err(|error| unreadable(error.to_string()))?;
    if text.len() as u64 > MAX_FILE {
        return Err(unreadable(format!("it is larger than {} KiB", MAX_FILE / 1024)));
    }
    Ok(text)
}

fn missing(path: &Path) -> ConfigError {
    let hint = "run 'xbtctl setup', or write one that says at least, in a section [account]: \
                jid = \"you@example.org\" and password_file = \"~/.config/xbt/password\" \
                (the example file xbtd.toml explains every key)";
    ConfigError::new("config-missing", format!("there is no configuration at {}", path.display()), hint)
}
