//! XMPP servers on the public network, on the usual ports, as untouched installations are.

use std::ffi::OsString;
use std::fs;
use std::net::{Ipv4Addr, SocketAddr};
use std::path::{Path, PathBuf};

use super::ejabberd;
use super::prosody;
use super::scene::{Scene, ServerKind, Side, public_v4, public_v6};
use super::space::Space;
use crate::certs;
use crate::process::{Process, read_log, tail, tell};
use crate::stage::password;
use crate::wait;

/// Where clients connect.
pub const CLIENTS: u16 = 5222;

/// Where a proxy (XEP-0065) listens.
pub const PROXY: u16 = 5000;

/// A server that runs.
#[derive(Debug)]
pub struct Server {
    kind: ServerKind,
    scene: Scene,
    side: Side,
    folder: PathBuf,
    /// None while it is dead.
    process: Option<Process>,
}

/// What one server is to be.
#[derive(Clone, Copy, Debug)]
pub(super) struct Wish<'a> {
    /// Whose.
    pub side: Side,
    /// Its folder.
    pub folder: &'a Path,
    /// Accounts that it has.
    pub users: &'a [(&'a str, Contact<'a>)],
    /// What its proxy calls itself, if it has one.
    pub proxy: Option<&'a str>,
    /// STUN servers to tell of; it takes two to tell a symmetric router.
    pub stun: Option<[Ipv4Addr; 2]>,
    /// Whether it talks to other servers.
    pub federated: bool,
}

/// The only person on somebody's contact list; both see each other.
#[derive(Clone, Copy, Debug)]
pub(super) struct Contact<'a> {
    /// The local part of the address.
    pub user: &'a str,
    /// The domain.
    pub domain: &'a str,
}

impl Server {
    /// Starts the server of a side and waits until it listens.
    pub fn start(public: &Space, scene: &Scene, side: Side) -> Self {
        let folder = public.folder().join(side.domain());
        fs::create_dir_all(&folder).expect("the laboratory can be written");
        let certs = certs::server(side.domain());
        let both = [certs.cert.as_str(), &certs.key].concat();
        for (name, text) in
            [("ca.pem", &certs.ca), ("server.crt", &certs.cert), ("server.key", &certs.key), ("server.pem", &both)]
        {
            fs::write(folder.join(name), text).expect("the laboratory can be written");
        }
        let kind = if side == Side::B { scene.federated.unwrap_or(scene.server) } else { scene.server };
        let mut server = Self { kind, scene: *scene, side, folder, process: None };
        server.start_again(public);
        server
    }

    /// Starts it with what it has kept.
    pub(super) fn start_again(&mut self, public: &Space) {
        assert!(self.process.is_none(), "it runs already");
        let (scene, side) = (&self.scene, self.side);
        let federated = scene.federated.is_some();
        let domain_of_bob = if federated { Side::B } else { Side::A }.domain();
        let alice = ("alice", Contact { user: "bob", domain: domain_of_bob });
        let bob = ("bob", Contact { user: "alice", domain: Side::A.domain() });
        let users: &[_] = match (federated, side) {
            (false, _) => &[alice, bob],
            (true, Side::A) => &[alice],
            (true, Side::B) => &[bob],
        };
        let proxy_name = if scene.proxy_by_name { proxy_domain(side) } else { side.server().0.to_string() };
        let wish = Wish {
            side,
            folder: &self.folder,
            users,
            proxy: (scene.proxy == Some(side)).then_some(proxy_name.as_str()),
            stun: scene.stun.then(|| [STUN, SECOND_STUN].map(public_v4)),
            federated,
        };
        let process = match self.kind {
            ServerKind::Prosody => prosody::start(public, &wish),
            ServerKind::Ejabberd => ejabberd::start(public, &wish),
        };
        self.listens(public, process);
    }

    /// Kills it with SIGKILL.
    pub(super) fn kill9(&mut self) {
        self.process.take().expect("it runs").kill9();
    }

    fn listens(&mut self, public: &Space, mut process: Process) {
        let address = SocketAddr::from((self.side.server().0, CLIENTS));
        wait::until("the XMPP server listens", wait::LONG, || {
            if let Some(status) = process.ended() {
                panic!("{:?} ended at once ({status}):\n{}\n{}", self.kind, process.log(), tail(&self.log_file()));
            }
            let ready = match self.kind {
                ServerKind::Prosody => true,
                ServerKind::Ejabberd => process.log().contains(ejabberd::READY),
            };
            let dial = || std::net::TcpStream::connect(address).is_ok();
            (ready && public.inside(dial)).then_some(())
        });
        self.process = Some(process);
    }

    /// The domain of its accounts.
    pub fn domain(&self) -> &'static str {
        self.side.domain()
    }

    /// What `account.server` says on a host that has IPv4, or only IPv6.
    pub fn address(&self, v4: bool) -> String {
        let (four, six) = self.side.server();
        if v4 { SocketAddr::from((four, CLIENTS)) } else { SocketAddr::from((six, CLIENTS)) }.to_string()
    }

    /// The certificate that clients have to trust.
    pub fn ca_file(&self) -> PathBuf {
        self.folder.join("ca.pem")
    }

    /// Everything that went through it in clear text, both directions. Prosody only.
    pub fn stanzas(&self) -> String {
        assert!(self.kind == ServerKind::Prosody, "only Prosody writes stanzas down");
        crate::prosody::stanzas(&read_log(&self.log_file()))
    }

    /// Its whole log.
    pub fn log(&self) -> String {
        read_log(&self.log_file())
    }

    fn log_file(&self) -> PathBuf {
        self.folder.join("server.log")
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        if std::thread::panicking() {
            tell(&format!("---- the end of the log of {} ----\n{}", self.domain(), tail(&self.log_file())));
        }
    }
}

/// The last number of the STUN server's address, which the XMPP servers tell.
pub const STUN: u8 = 3;

/// The last number of another address of the STUN server: who asks at both sees whether the router keeps ports.
pub const SECOND_STUN: u8 = 4;

/// Starts coturn as a STUN server and nothing else, on port 3478.
pub fn stun(public: &Space) -> Process {
    let (four, second) = (public_v4(STUN).to_string(), public_v4(SECOND_STUN).to_string());
    let six = public_v6(STUN).to_string();
    let [pid, database] = ["turnserver.pid", "turndb"].map(|name| public.folder().join(name).display().to_string());
    let args = [
        ["-n", "--no-cli", "--no-tls", "--no-dtls", "--stun-only", "--no-rfc5780", "--log-file=stdout"].as_slice(),
        &["-L", &four, "-L", &second, "-L", &six, "-p", "3478", "--pidfile", &pid, "--userdb", &database],
    ];
    public.start("coturn", "/usr/bin/turnserver", &args.concat(), vec![("HOME", OsString::from(public.folder()))])
}

/// The domain of a server's proxy.
pub fn proxy_domain(side: Side) -> String {
    format!("proxy.{}", side.domain())
}

/// The password of an account, for the servers' configurations.
pub(super) fn secret(user: &str) -> String {
    password(user)
}
