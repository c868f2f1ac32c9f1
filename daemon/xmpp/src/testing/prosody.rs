//! A Prosody of our own: in a temporary folder, on ports from the kernel, with a certificate of our own authority.

use std::fs::{self, File};
use std::net::TcpListener;
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use rcgen::{BasicConstraints, CertificateParams, DnType, IsCa, Issuer, KeyPair};
use tempfile::TempDir;

use crate::{Secret, SessionConfig, Tls, parse_bare};

/// Prosody's own limit for a stanza of a client.
const MOST_BYTES: usize = 256 * 1024;

pub const PASSWORD: &str = "s3cret, = ü";

/// Killed when dropped.
pub struct Prosody {
    dir: TempDir,
    child: Option<Child>,
    pub starttls: u16,
    pub direct: u16,
    /// Of its SOCKS5 proxy.
    pub proxy65: u16,
    /// Whether it lets 10 kB/s through, as Prosody does by default.
    limited: bool,
    /// Bytes that a stanza of a client may have.
    most_bytes: usize,
}

impl Prosody {
    /// Runs with these accounts; those in `friends` have each other in their rosters with subscription both.
    pub fn start(accounts: &[&str], friends: &[&str]) -> Self {
        Self::start_with(accounts, friends, false, MOST_BYTES)
    }

    /// With Prosody's default limits.
    pub fn start_limited(accounts: &[&str], friends: &[&str]) -> Self {
        Self::start_with(accounts, friends, true, MOST_BYTES)
    }

    /// Takes no stanza with more bytes than this.
    pub fn start_narrow(accounts: &[&str], friends: &[&str], most_bytes: usize) -> Self {
        Self::start_with(accounts, friends, false, most_bytes)
    }

    fn start_with(accounts: &[&str], friends: &[&str], limited: bool, most_bytes: usize) -> Self {
        let dir = tempfile::tempdir().unwrap();
        // Held until all are chosen, so that they differ.
        let listeners = [(); 3].map(|()| TcpListener::bind("127.0.0.1:0").unwrap());
        let [starttls, direct, proxy65] = listeners.each_ref().map(|one| one.local_addr().unwrap().port());
        drop(listeners);
        let mut prosody = Self { dir, child: None, starttls, direct, proxy65, limited, most_bytes };
        prosody.write_files(friends);
        for account in accounts {
            prosody.register(account);
        }
        prosody.run();
        prosody
    }

    fn path(&self, name: &str) -> PathBuf {
        self.dir.path().join(name)
    }

    fn write_files(&self, friends: &[&str]) {
        fs::create_dir(self.path("certs")).unwrap();
        fs::create_dir(self.path("data")).unwrap();
        let (ca_key, key) = (KeyPair::generate().unwrap(), KeyPair::generate().unwrap());
        let mut ca = CertificateParams::new(vec![]).unwrap();
        ca.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        ca.distinguished_name.push(DnType::CommonName, "xbt test authority");
        fs::write(self.ca(), ca.self_signed(&ca_key).unwrap().pem()).unwrap();
        let server = CertificateParams::new(vec!["localhost".to_owned()]).unwrap();
        let server = server.signed_by(&key, &Issuer::new(ca, ca_key)).unwrap();
        fs::write(self.path("certs/localhost.crt"), server.pem()).unwrap();
        fs::write(self.path("certs/localhost.key"), key.serialize_pem()).unwrap();
        let members: String = friends.iter().map(|friend| format!("{friend}@localhost\n")).collect();
        fs::write(self.path("groups.txt"), format!("[Friends]\n{members}")).unwrap();
        let dir = self.dir.path().display();
        let config = format!(
            r#"
            run_as_root = true
            pidfile = "{dir}/prosody.pid"
            data_path = "{dir}/data"
            certificates = "{dir}/certs"
            interfaces = {{ "127.0.0.1" }}
            c2s_ports = {{ {} }}
            c2s_direct_tls_ports = {{ {} }}
            s2s_ports = {{ }}
            http_ports = {{ }}
            https_ports = {{ }}
            c2s_require_encryption = true
            c2s_stanza_size_limit = {}
            authentication = "internal_hashed"
            groups_file = "{dir}/groups.txt"
            log = {{ info = "{dir}/log" }}
            modules_enabled = {{ "roster"; "saslauth"; "tls"; "disco"; "ping"; "smacks"; "offline"; "groups";
                "external_services"; {} }}
            external_services = {{
                {{ type = "turn", transport = "udp", host = "turn.example", port = 3478 }};
                {{ type = "stun", transport = "tcp", host = "tcp.example", port = 3478 }};
                {{ type = "stun", transport = "udp", host = "stun.example", port = 3479 }};
            }}
            proxy65_ports = {{ {} }}
            VirtualHost "localhost"
            -- A domain with the other's certificate.
            VirtualHost "elsewhere.example"
                ssl = {{ certificate = "{dir}/certs/localhost.crt", key = "{dir}/certs/localhost.key" }}
            Component "proxy.localhost" "proxy65"
                proxy65_address = "127.0.0.1"
            "#,
            self.starttls,
            self.direct,
            self.most_bytes,
            if self.limited { r#""limits""# } else { "" },
            self.proxy65
        );
        fs::write(self.path("config.lua"), config).unwrap();
    }

    fn register(&self, account: &str) {
        let done = Command::new("prosodyctl")
            .arg("--config")
            .arg(self.path("config.lua"))
            .args(["register", account, "localhost", PASSWORD])
            .output()
            .unwrap();
        assert!(done.status.success(), "{}", String::from_utf8_lossy(&done.stdout));
    }

    /// Starts the server and waits until it listens.
    pub fn run(&mut self) {
        let output = File::options().create(true).append(true).open(self.path("output")).unwrap();
        let child = Command::new("prosody")
            .arg("-F")
            .arg("--config")
            .arg(self.path("config.lua"))
            .stdin(Stdio::null())
            .stdout(output.try_clone().unwrap())
            .stderr(output)
            .spawn()
            .unwrap();
        self.child = Some(child);
        let until = Instant::now() + Duration::from_secs(60);
        for port in [self.starttls, self.direct, self.proxy65] {
            while std::net::TcpStream::connect(("127.0.0.1", port)).is_err() {
                assert!(Instant::now() < until, "Prosody does not listen: {}", self.log());
                std::thread::sleep(Duration::from_millis(20));
            }
        }
    }

    /// As by `kill -9`.
    pub fn kill(&mut self) {
        if let Some(mut child) = self.child.take() {
            child.kill().unwrap();
            child.wait().unwrap();
        }
    }

    pub fn ca(&self) -> PathBuf {
        self.path("ca.pem")
    }

    pub fn log(&self) -> String {
        fs::read_to_string(self.path("log")).unwrap_or_default()
    }

    /// How often an account has logged in so far.
    pub fn logins(&self, account: &str) -> usize {
        self.log().matches(&format!("Authenticated as {account}@localhost")).count()
    }

    /// By StartTLS, with the right authority and password.
    pub fn config(&self, account: &str, resource: &str) -> SessionConfig {
        let jid = parse_bare(&format!("{account}@localhost")).unwrap();
        let mut config = SessionConfig::new(jid, resource, Secret::new(PASSWORD));
        config.server = Some(format!("127.0.0.1:{}", self.starttls));
        config.ca_file = Some(self.ca());
        config
    }

    pub fn direct_config(&self, account: &str, resource: &str) -> SessionConfig {
        let mut config = self.config(account, resource);
        config.server = Some(format!("127.0.0.1:{}", self.direct));
        config.tls = Tls::Direct;
        config
    }
}

impl Drop for Prosody {
    fn drop(&mut self) {
        if let Some(mut child) = self.child.take() {
            let _ = child.kill();
            let _ = child.wait();
        }
    }
}
