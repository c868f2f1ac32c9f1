//! From a document to a [`Config`]: every value is checked here, once.

mod rules;

use std::collections::HashSet;
use std::hash::Hash;
use std::net::{IpAddr, Ipv6Addr, SocketAddr};
use std::path::{Path, PathBuf};

use xbt_core::ids::BareJid;
use xbt_core::login::Mechanism;
use xbt_xmpp::{InvalidJid, parse_bare_or_server};

use super::document::{Document, Entry};
use super::keys;
use super::{
    Accept, AcceptFrom, Account, Config, ConfigError, Files, Network, PasswordSource, Server, Subscriptions, Tls, Way,
};

/// Most addresses in `listen` and in `advertise`: no more candidates than that are ever told or taken.
const MAX_ADDRESSES: usize = xbt_core::signal::MAX_CANDIDATES;

/// Where values come from: the file, then the defaults.
struct Reader<'d> {
    given: &'d Document<'d>,
    defaults: &'d Document<'d>,
    home: &'d Path,
}

impl Config {
    /// Reads the configuration from text. `file` is for messages; `home` is what `~` stands for.
    ///
    /// # Errors
    /// The first thing that is wrong.
    pub fn parse(text: &str, file: &Path, home: &Path) -> Result<Self, ConfigError> {
        let given = Document::parse(text, file)?;
        let default_text = keys::defaults();
        let defaults = Document::parse(&default_text, Path::new("built-in defaults"))?;
        let reader = Reader { given: &given, defaults: &defaults, home };
        Ok(Self {
            account: reader.account()?,
            files: reader.files()?,
            network: reader.network()?,
            accept: reader.accept()?,
            rules: reader.rules()?,
            schedules: reader.schedules()?,
            hooks: reader.hooks()?,
        })
    }
}

impl<'d> Reader<'d> {
    fn get(&self, section: &'static str, key: &'static str) -> Result<Entry<'d>, ConfigError> {
        self.given.get(section, key).or_else(|| self.defaults.get(section, key)).ok_or_else(|| {
            let what = format!("{}: `{key}` in [{section}] is missing", self.given.file().display());
            let hint = "at least these two are needed in [account]: jid = \"you@example.org\" and \
                        password_file = \"~/.config/xbt/password\" (or password_command)";
            ConfigError::new("config-missing-key", what, hint)
        })
    }

    fn path(&self, section: &'static str, key: &'static str) -> Result<Option<PathBuf>, ConfigError> {
        self.given.get(section, key).map(|entry| entry.path(self.home)).transpose()
    }

    fn account(&self) -> Result<Account, ConfigError> {
        let tls = self.get("account", "tls")?.tls()?;
        let server = self.given.get("account", "server");
        Ok(Account {
            jid: self.get("account", "jid")?.own_jid()?,
            password: self.password()?,
            server: server.map(|entry| entry.server(tls)).transpose()?,
            tls,
            ca_file: self.path("account", "ca_file")?,
            least_mechanism: self.get("account", "least_mechanism")?.mechanism()?,
        })
    }

    fn password(&self) -> Result<Option<PasswordSource>, ConfigError> {
        let file = self.path("account", "password_file")?;
        let Some(entry) = self.given.get("account", "password_command") else {
            return Ok(file.map(PasswordSource::File));
        };
        if file.is_some() {
            let hint = "keep the one that you use, and take out the other";
            return Err(
                entry.conflict("and `password_file` are both there, but the password comes from one place", hint)
            );
        }
        let command = entry.string()?;
        if command.trim().is_empty() || command.contains('\0') {
            return Err(
                entry.bad("is not a command", "write a shell command such as \"pass show xmpp\", or remove the key")
            );
        }
        Ok(Some(PasswordSource::Command(command.to_owned())))
    }

    fn files(&self) -> Result<Files, ConfigError> {
        Ok(Files {
            download_dir: self.get("files", "download_dir")?.folder(self.home)?,
            state_dir: self.path("files", "state_dir")?,
            socket: self.path("files", "socket")?,
        })
    }

    fn network(&self) -> Result<Network, ConfigError> {
        let key = |name| self.get("network", name);
        Ok(Network {
            listen: key("listen")?.distinct(MAX_ADDRESSES, Entry::listen_address)?,
            map_port: key("map_port")?.bool()?,
            advertise: key("advertise")?.distinct(MAX_ADDRESSES, Entry::advertised_address)?,
            ways: key("ways")?.ways()?,
            in_band_max_size: key("in_band_max_size")?.size()?,
            upload_limit: key("upload_limit")?.rate()?,
            download_limit: key("download_limit")?.rate()?,
        })
    }

    fn accept(&self) -> Result<Accept, ConfigError> {
        let key = |name| self.get("accept", name);
        key("strangers")?.strangers()?;
        Ok(Accept {
            from: key("from")?.list()?.iter().map(Entry::accept_from).collect::<Result<_, _>>()?,
            max_size: key("max_size")?.size()?,
            quota: key("quota")?.size()?,
            subscriptions: key("subscriptions")?
                .word(&[("added", Subscriptions::Added), ("ask", Subscriptions::Ask)])?,
            courtesy_message: key("courtesy_message")?.bool()?,
            verified_groups: key("verified_groups")?.bool()?,
            introduce: key("introduce")?.bool()?,
        })
    }
}

impl Entry<'_> {
    fn tls(&self) -> Result<Tls, ConfigError> {
        if matches!(self.string()?, "none" | "off" | "plain" | "") {
            return Err(
                self.not("possible", "a password is never sent in plain text: write \"starttls\" or \"direct\"")
            );
        }
        self.word(&[("starttls", Tls::StartTls), ("direct", Tls::Direct)])
    }

    fn mechanism(&self) -> Result<Mechanism, ConfigError> {
        self.word(&Mechanism::ALL.map(|mechanism| (mechanism.as_str(), mechanism)))
    }

    /// Checks the one value that there is.
    fn strangers(&self) -> Result<(), ConfigError> {
        if self.string()? == "ask" {
            let hint =
                "take the key out, and add the people whose offers you want: 'xbtctl contacts add bob@example.org'";
            return Err(self.bad("is not supported: offers from outside the contact list are ignored", hint));
        }
        self.word(&[("ignore", ())])
    }

    fn own_jid(&self) -> Result<BareJid, ConfigError> {
        let (jid, has_local_part) = self.bare_jid()?;
        match has_local_part {
            true => Ok(jid),
            false => Err(self.not("an account", "write it like this: alice@example.org")),
        }
    }

    /// A bare JID, and whether it has a local part.
    fn bare_jid(&self) -> Result<(BareJid, bool), ConfigError> {
        let jid = parse_bare_or_server(self.string()?).map_err(|error| match error {
            InvalidJid::HasResource(_) => {
                self.not("an address without a device", "leave out the / and what follows it".to_owned())
            }
            InvalidJid::Malformed { reason: why, .. } | InvalidJid::NoLocalPart(why) => {
                self.not("an XMPP address", format!("write it like this: alice@example.org ({why})"))
            }
        })?;
        let has_local_part = jid.as_str().contains('@');
        Ok((jid, has_local_part))
    }

    /// `host`, `host:port`, `[v6]` or `[v6]:port`.
    fn server(&self, tls: Tls) -> Result<Server, ConfigError> {
        let text = self.string()?;
        let wrong = || self.not("a server", "write host, host:port or [IPv6 address]:port");
        let (host, port) = match text.strip_prefix('[') {
            Some(rest) => {
                let (host, rest) = rest.split_once(']').ok_or_else(wrong)?;
                let address: Ipv6Addr = host.parse().map_err(|_| wrong())?;
                let port = if rest.is_empty() { None } else { Some(rest.strip_prefix(':').ok_or_else(wrong)?) };
                (address.to_string(), port)
            }
            None => {
                let (host, port) = text.split_once(':').map_or((text, None), |(host, port)| (host, Some(port)));
                if !is_host(host) {
                    return Err(wrong());
                }
                (host.to_owned(), port)
            }
        };
        let port = match (port, tls) {
            (Some(digits), _) => digits.parse().ok().filter(|port| *port != 0).ok_or_else(wrong)?,
            (None, Tls::StartTls) => 5222,
            (None, Tls::Direct) => 5223,
        };
        Ok(Server { host, port })
    }

    fn ways(&self) -> Result<Vec<Way>, ConfigError> {
        const WORDS: [(&str, Way); 5] = [
            ("direct", Way::Direct),
            ("mapped", Way::Mapped),
            ("punched", Way::Punched),
            ("proxy65", Way::Proxy65),
            ("in-band", Way::InBand),
        ];
        let ways = self.distinct(WORDS.len(), |entry| entry.word(&WORDS))?;
        match ways.is_empty() {
            true => Err(self.bad("is empty: no contact could be reached", "name at least one way, such as \"direct\"")),
            false => Ok(ways),
        }
    }

    /// A list without repetitions of at most `most` values.
    fn distinct<T: Copy + Eq + Hash>(
        &self,
        most: usize,
        read: impl Fn(&Self) -> Result<T, ConfigError>,
    ) -> Result<Vec<T>, ConfigError> {
        let mut seen = HashSet::new();
        let mut values = Vec::new();
        for entry in self.list()? {
            let value = read(&entry)?;
            if !seen.insert(value) {
                return Err(entry.bad("names one thing twice", "take out the second one"));
            }
            if values.len() == most {
                return Err(entry.bad("is too long", format!("at most {most} are allowed")));
            }
            values.push(value);
        }
        Ok(values)
    }

    fn address(&self, example: &str) -> Result<SocketAddr, ConfigError> {
        let hint = || format!("write an IP address and a port, such as {example}");
        self.string()?.parse().map_err(|_| self.not("an address with a port", hint()))
    }

    fn listen_address(&self) -> Result<SocketAddr, ConfigError> {
        let address = self.address("\"0.0.0.0:51413\" or \"[::]:51413\"")?;
        match is_multicast(address.ip()) {
            true => Err(self.not("an address of this machine", "name one of its own addresses, 0.0.0.0 or [::]")),
            false => Ok(address),
        }
    }

    fn advertised_address(&self) -> Result<SocketAddr, ConfigError> {
        let address = self.address("\"203.0.113.7:51413\"")?;
        match address.port() == 0 || address.ip().is_unspecified() || is_multicast(address.ip()) {
            true => Err(self.not("an address that others can dial", "name the outside address and its port")),
            false => Ok(address),
        }
    }

    fn accept_from(&self) -> Result<AcceptFrom, ConfigError> {
        let text = self.string()?;
        if text.contains('@') {
            return Ok(AcceptFrom::Contact(self.bare_jid()?.0));
        }
        match text.trim().is_empty() {
            true => Err(self.not("a contact or a group", "write \"bob@example.org\" or the name of a group")),
            false => Ok(AcceptFrom::Group(text.to_owned())),
        }
    }
}

fn is_multicast(ip: IpAddr) -> bool {
    ip.to_canonical().is_multicast()
}

/// A host name (RFC 1123) or an IPv4 address. Names in other scripts are written in their ASCII form.
fn is_host(text: &str) -> bool {
    let label = |label: &str| {
        let plain = |b: u8| b.is_ascii_alphanumeric() || b == b'-' || b == b'_';
        (1..=63).contains(&label.len()) && label.bytes().all(plain) && !label.starts_with('-') && !label.ends_with('-')
    };
    text.len() <= 253 && text.strip_suffix('.').unwrap_or(text).split('.').all(label)
}
