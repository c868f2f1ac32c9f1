//! A private Prosody.

use std::fmt::Write as _;
use std::fs;
use std::path::{Path, PathBuf};
use std::time::Duration;

use crate::certs;
use crate::net::Net;
use crate::ports::Port;
use crate::process::{Launch, Process, read_log, tail, tell};
use crate::programs;
use crate::wait;

/// The only domain of every test server.
pub const DOMAIN: &str = "localhost";

/// The modules of a stock Prosody that matter to clients.
const MODULES: &[&str] = &[
    "roster",
    "saslauth",
    "tls",
    "disco",
    "blocklist",
    "bookmarks",
    "carbons",
    "pep",
    "private",
    "smacks",
    "vcard4",
    "csi_simple",
    "ping",
    "time",
    "version",
    "uptime",
    "posix",
];

/// How a server is set up.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// It slows its clients down as an untouched installation does, to 10 kB/s.
    Stock,
    /// Its clients send as fast as they can.
    Unlimited,
    /// As untouched, but it writes every stanza into its log.
    Recorded,
}

/// A line of somebody's contact list.
#[derive(Clone, Debug)]
pub struct RosterLine<'a> {
    /// The local part of the contact's address.
    pub contact: &'a str,
    /// The name that the contact has there.
    pub name: &'a str,
    /// `none`, `to`, `from` or `both`.
    pub subscription: &'a str,
}

/// A real Prosody with its own folder, certificates and ports, which it keeps over stops and starts.
#[derive(Debug)]
pub struct Prosody {
    folder: PathBuf,
    plain: Port,
    direct: Port,
    net: Net,
    process: Option<Process>,
}

impl Prosody {
    /// Prepares a server in `folder`; [`Self::start`] starts it.
    pub fn prepare(folder: &Path, net: &Net, kind: Kind) -> Self {
        let prosody = Self {
            folder: folder.to_owned(),
            plain: Port::take(),
            direct: Port::take(),
            net: net.clone(),
            process: None,
        };
        for part in ["accounts", "roster"] {
            fs::create_dir_all(folder.join("data").join(DOMAIN).join(part)).expect("the folder can be written");
        }
        let certs = certs::server(DOMAIN);
        for (name, text) in [("ca.pem", &certs.ca), ("server.crt", &certs.cert), ("server.key", &certs.key)] {
            fs::write(folder.join(name), text).expect("the folder can be written");
        }
        fs::write(prosody.config(), prosody.config_text(kind)).expect("the folder can be written");
        prosody
    }

    /// Adds an account; before the first start.
    pub fn account(&self, user: &str, password: &str) {
        self.store("accounts", user, &format!("return {{ [\"password\"] = \"{password}\" }};\n"));
    }

    /// From the next start on it shows a certificate of an authority that nobody knows.
    pub fn show_another_certificate(&self) {
        for (name, kept) in [("server.crt", "kept.crt"), ("server.key", "kept.key")] {
            fs::rename(self.folder.join(name), self.folder.join(kept)).expect("our own files");
        }
        let certs = certs::server(DOMAIN);
        for (name, text) in [("server.crt", &certs.cert), ("server.key", &certs.key)] {
            fs::write(self.folder.join(name), text).expect("the folder can be written");
        }
    }

    /// From the next start on it shows its own certificate again.
    pub fn show_its_certificate(&self) {
        for (name, kept) in [("server.crt", "kept.crt"), ("server.key", "kept.key")] {
            fs::rename(self.folder.join(kept), self.folder.join(name)).expect("our own files");
        }
    }

    /// Lets anybody make an account (XEP-0077); before a start.
    pub fn let_people_register(&self) {
        let mut text = fs::read_to_string(self.config()).expect("our own file");
        text.push_str("\tmodules_enabled = { \"register_ibr\" }\n\tallow_registration = true\n");
        fs::write(self.config(), text).expect("the folder can be written");
    }

    /// From the next start on it offers no mechanism but PLAIN.
    pub fn offer_only_plain(&self) {
        let mut text = fs::read_to_string(self.config()).expect("our own file");
        text.push_str("\tdisable_sasl_mechanisms = { \"SCRAM-SHA-1\", \"SCRAM-SHA-1-PLUS\" }\n");
        fs::write(self.config(), text).expect("the folder can be written");
    }

    /// Sets an account's contact list; before the first start.
    pub fn roster(&self, user: &str, lines: &[RosterLine<'_>]) {
        let mut text = String::from("return {\n[false] = { [\"version\"] = 1; [\"pending\"] = {} };\n");
        for line in lines {
            writeln!(
                text,
                "[\"{}@{DOMAIN}\"] = {{ [\"subscription\"] = \"{}\"; [\"name\"] = \"{}\"; [\"groups\"] = {{}} }};",
                line.contact, line.subscription, line.name
            )
            .expect("a string can be written to");
        }
        text.push_str("};\n");
        self.store("roster", user, &text);
    }

    /// Starts it and waits until it takes connections.
    pub fn start(&mut self) {
        assert!(self.process.is_none(), "Prosody runs already");
        let mut process = Process::start(Launch {
            name: "Prosody",
            through: self.net.through(),
            program: &programs::prosody(),
            args: vec!["-F".into(), "--config".into(), self.config().into()],
            env: vec![("HOME", self.folder.clone().into())],
            folder: &self.folder,
            log: self.folder.join("prosody.out"),
        });
        wait::until("Prosody listens", wait::SOON, || {
            if let Some(status) = process.ended() {
                panic!("Prosody ended at once ({status}):\n{}\n{}", process.log(), tail(&self.log_file()));
            }
            let ports = listening(process.pid());
            (ports.contains(&self.plain.number()) && ports.contains(&self.direct.number())).then_some(())
        });
        self.process = Some(process);
    }

    /// Kills it with SIGKILL.
    pub fn kill9(&mut self) {
        self.process.take().expect("Prosody runs").kill9();
    }

    /// Its process, while it runs.
    pub fn pid(&self) -> u32 {
        self.process.as_ref().expect("Prosody runs").pid()
    }

    /// Stops it as an administrator would.
    pub fn stop(&mut self) {
        self.process.take().expect("Prosody runs").terminate(Duration::from_secs(15));
    }

    /// `127.0.0.1:port` for StartTLS.
    pub fn address(&self) -> String {
        format!("127.0.0.1:{}", self.plain.number())
    }

    /// `127.0.0.1:port` for TLS from the first byte.
    pub fn direct_address(&self) -> String {
        format!("127.0.0.1:{}", self.direct.number())
    }

    /// The certificate that clients have to trust.
    pub fn ca_file(&self) -> PathBuf {
        self.folder.join("ca.pem")
    }

    /// How often an account has logged in, over all starts. A stream that is resumed logs in, too.
    pub fn logins(&self, user: &str) -> usize {
        let line = format!("Authenticated as {user}@{DOMAIN}");
        self.log().lines().filter(|text| text.ends_with(&line)).count()
    }

    /// How many connections of clients there have been, over all starts.
    pub fn connections(&self) -> usize {
        self.log().lines().filter(|text| text.ends_with("Client connected")).count()
    }

    /// Its whole log, over all starts.
    pub fn log(&self) -> String {
        read_log(&self.log_file())
    }

    /// Everything that went through it in clear text, both directions, if it is [`Kind::Recorded`].
    pub fn stanzas(&self) -> String {
        stanzas(&self.log())
    }

    fn config(&self) -> PathBuf {
        self.folder.join("prosody.cfg.lua")
    }

    fn log_file(&self) -> PathBuf {
        self.folder.join("prosody.log")
    }

    fn store(&self, part: &str, user: &str, text: &str) {
        let path = self.folder.join("data").join(DOMAIN).join(part).join(format!("{user}.dat"));
        fs::write(path, text).expect("the folder can be written");
    }

    fn config_text(&self, kind: Kind) -> String {
        let folder = self.folder.display();
        let interfaces: Vec<_> = self.plain.addresses().iter().map(|address| format!("\"{address}\"")).collect();
        let mut modules: Vec<_> = MODULES.iter().map(|module| format!("\"{module}\"")).collect();
        if kind == Kind::Recorded {
            modules.push("\"stanza_debug\"".into());
        }
        let limits = match kind {
            Kind::Stock | Kind::Recorded => {
                modules.push("\"limits\"".into());
                "limits = { c2s = { rate = \"10kb/s\" } }"
            }
            Kind::Unlimited => "",
        };
        format!(
            r#"run_as_root = true -- in containers and namespaces tests are root; without this it would listen on nothing, silently
pidfile = "{folder}/prosody.pid"
data_path = "{folder}/data"
certificates = "{folder}"
interfaces = {{ {interfaces} }}
c2s_ports = {{ {plain} }}
c2s_direct_tls_ports = {{ {direct} }}
s2s_ports = {{ }}
modules_enabled = {{ {modules} }}
modules_disabled = {{ "s2s" }}
c2s_require_encryption = true
authentication = "internal_hashed"
storage = "internal"
{limits}
log = {{ debug = "{folder}/prosody.log" }}
VirtualHost "{DOMAIN}"
	ssl = {{ certificate = "{folder}/server.crt", key = "{folder}/server.key" }}
"#,
            interfaces = interfaces.join(", "),
            plain = self.plain.number(),
            direct = self.direct.number(),
            modules = modules.join(", "),
        )
    }
}

impl Drop for Prosody {
    fn drop(&mut self) {
        if std::thread::panicking() {
            tell(&format!("---- the end of Prosody's log ----\n{}", tail(&self.log_file())));
        }
    }
}

/// What is not the log's own words: the stanzas of `mod_stanza_debug`, also those of several lines.
pub fn stanzas(log: &str) -> String {
    let mut found = String::new();
    let mut inside = false;
    for line in log.lines() {
        if let Some((_, stanza)) = line.split_once("\tRECV: ").or_else(|| line.split_once("\tSEND: ")) {
            inside = true;
            found.push_str(stanza);
        } else if line.split('\t').nth(1).is_some_and(|level| matches!(level, "debug" | "info" | "warn" | "error")) {
            inside = false;
        } else if inside {
            found.push_str(line);
        }
        found.push('\n');
    }
    found
}

/// The TCP ports on which somebody listens in the network of a process. Unlike a trial connection this leaves no trace in the server's log.
fn listening(pid: u32) -> Vec<u16> {
    let table = |name| fs::read_to_string(format!("/proc/{pid}/net/{name}")).unwrap_or_default();
    let port = |line: &str| {
        let mut columns = line.split_whitespace().skip(1);
        let (local, state) = (columns.next()?, columns.nth(1)?);
        (state == "0A").then(|| u16::from_str_radix(local.rsplit_once(':')?.1, 16).ok()).flatten()
    };
    [table("tcp"), table("tcp6")].iter().flat_map(|text| text.lines()).filter_map(port).collect()
}

#[cfg(test)]
mod tests {
    #[test]
    fn only_stanzas_are_found_and_they_are_whole() {
        let log = "Nov 22 21:00:00 c2s1\tinfo\tClient at 11.0.0.11\nNov 22 21:00:00 c2s1\tdebug\tRECV: <iq>\nmore\n\
                   Nov 22 21:00:00 c2s1\tdebug\tReceived[c2s]: <iq>\nNov 22 21:00:00 c2s1\tdebug\tSEND: <a/>\n";
        let found: String = super::stanzas(log).split_whitespace().collect();
        assert_eq!(found, "<iq>more<a/>");
    }
}
