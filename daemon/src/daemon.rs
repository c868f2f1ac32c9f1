//! The daemon as a whole: the rooms are put together, reloaded and stopped here and nowhere else.

use std::os::unix::net::UnixListener;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use tokio::sync::{mpsc, oneshot};
use tokio::task::JoinHandle;
use tokio::time::timeout;
use xbt_api::ApiError;
use xbt_core::Domain;
use xbt_core::fault::Fault;
use xbt_core::ids::Fingerprint;
use xbt_core::rate::RateLimits;
use xbt_core::session::{Connection, SessionEvent};
use xbt_core::settings::{self, Settings};
use xbt_core::way::Ways;
use xbt_link::{Identity, IdentitySigner, LinkConfig, LinkHandle, LinkRoom};
use xbt_torrent::{Engine, EngineConfig};

use crate::config::{self, AcceptFrom, Account, Config, Files, Network, Paths, Secret, Subscriptions, Way};
use crate::driver::{Driver, DriverHandle, Rooms, Sources};
use crate::mapped_port::MappedPort;
use crate::rpc::{self, Backend, EventRing};
use crate::supervisor::Supervisor;
use xbt_store::Store;
use xbt_xmpp::{Refusals, Session, SessionConfig};

/// Events of one room that the driver has not taken yet; the room waits beyond that.
const EVENTS: usize = 256;

/// The driver finishes what it has in hand.
const DRIVER_STOP: Duration = Duration::from_secs(1);

/// A running daemon.
pub struct Daemon {
    config_file: PathBuf,
    config: Config,
    resource: String,
    fingerprint: Fingerprint,
    signer: Arc<IdentitySigner>,
    handle: DriverHandle,
    driver: JoinHandle<()>,
    failure: oneshot::Receiver<Fault>,
    engine: Engine,
    links: LinkRoom,
    mapped_port: Option<MappedPort>,
    session: Option<Session>,
    session_events: mpsc::Sender<SessionEvent>,
    stop_rpc: oneshot::Sender<()>,
    rpc: JoinHandle<()>,
}

impl Daemon {
    /// Starts all rooms. When it returns the socket listens; the XMPP server is still to be reached. `socket`: one that
    /// the service manager listens on for us, in place of our own.
    ///
    /// # Errors
    /// What stands in the way, as a person should be told.
    pub async fn start(
        config_file: PathBuf,
        socket: Option<UnixListener>,
        supervisor: Supervisor,
    ) -> Result<Self, Fault> {
        let started = Instant::now();
        crate::files::raise_limit();
        // A password file that others can read is told here, where the person looks, and not in the log only.
        config::check(&config_file)?;
        let config = Config::load(&config_file)?;
        let paths = Paths::resolve(&config)?;
        paths.create()?;
        // The store comes first: its lock tells whether another daemon works on this state.
        let mut store = Store::open(&paths.state_dir)?;
        let rows = store.load()?;
        let listener = listen(&paths, socket)?;
        let identity = Identity::load_or_create(&paths.state_dir.join("identity.der"))?;
        let fingerprint = identity.fingerprint();
        let signer = Arc::new(IdentitySigner::new(&identity)?);
        let resource = resource(&mut store)?;

        let (engine, engine_events) = Engine::start(EngineConfig {
            state_dir: paths.state_dir.join("engine"),
            upload_limit: config.network.upload_limit,
            download_limit: config.network.download_limit,
        })
        .map_err(|e| Fault::new(e.code, e.message, e.hint))?;
        let (links, link_handle, link_events) = start_links(identity, &config, &mut store, engine.peer_id()).await?;
        let mapped_port = map_port(&config, &mut store, &link_handle)?;
        let (session_events, session_inbox) = mpsc::channel(EVENTS);

        let ring = Arc::new(EventRing::new(event_start()));
        let settings = settings(&config, &resource, fingerprint);
        let domain = Domain::new(settings, rows, Box::new(|| uuid::Uuid::new_v4().as_u128()));
        let rooms = Rooms {
            store,
            engine: engine.clone(),
            links: link_handle,
            mapping: mapped_port.as_ref().map(MappedPort::state),
            advertise: config.network.advertise.clone(),
            session: None,
            ring,
            socket: paths.socket.clone(),
            state_dir: paths.state_dir.clone(),
            spool: paths.spool.clone(),
            supervisor,
        };
        let (driver, handle) = Driver::new(domain, rooms, started);
        let sources = Sources { session: session_inbox, links: link_events, engine: engine_events };
        let (driver, failure) = drive(driver, sources);

        let socket = listener.path().display().to_string();
        let (stop_rpc, stopped) = oneshot::channel();
        let backend = handle.clone();
        let rpc = tokio::spawn(async move {
            let stop = async {
                // An error means that the daemon is gone, which is a reason to stop as well.
                let _ = stopped.await;
            };
            if let Err(error) = rpc::serve(listener, backend, stop).await {
                tracing::error!(%error, "no longer serving the socket");
            }
        });
        tracing::info!(jid = %config.account.jid, %fingerprint, socket, "xbtd is ready");
        Ok(Self {
            config_file,
            config,
            resource,
            fingerprint,
            signer,
            handle,
            driver,
            failure,
            engine,
            links,
            mapped_port,
            session: None,
            session_events,
            stop_rpc,
            rpc,
        })
    }

    /// Logs in to the XMPP server, in place of an earlier session. Whatever goes wrong `status` tells.
    pub async fn connect(&mut self) {
        if let Some(old) = self.session.take() {
            old.close().await;
        }
        let account = &self.config.account;
        let password = self.password().await;
        let config = SessionConfig {
            server: account.server.as_ref().map(ToString::to_string),
            tls: account.tls,
            ca_file: account.ca_file.clone(),
            least_mechanism: account.least_mechanism,
            known: self.handle.known_login().await,
            ..SessionConfig::new(account.jid.clone(), &self.resource, password)
        };
        let (session, handle) = Session::start(config, self.signer.clone(), self.session_events.clone());
        self.handle.session(handle).await;
        self.session = Some(session);
    }

    /// The account's password, as soon as it can be had: a keyring may be locked, a disk not yet mounted.
    async fn password(&self) -> Secret {
        let mut refusals = Refusals::default();
        loop {
            let error = match config::password(&self.config.account).await {
                Ok(password) => return password,
                Err(error) => error,
            };
            let pause = refusals.next(getrandom::u32().unwrap_or_default());
            tracing::error!(%error, hint = error.hint, retry_in = ?pause, "cannot log in without a password");
            let (code, reason, hint) = (error.code, error.message, error.hint);
            let retry_in = u64::try_from(pause.as_millis()).ok();
            let refused = Connection::Refused { code, reason, hint, retry_in, weaker: None };
            // An error means that the driver has ended.
            let _ = self.session_events.send(SessionEvent::Connection(refused)).await;
            tokio::time::sleep(pause).await;
        }
    }

    /// Reads the configuration again (SIGHUP). What is wrong with it is told, and the old one stays. Returns whether
    /// [`Daemon::connect`] is to follow: the account was changed, or the last login was refused and may work now.
    pub async fn reload(&mut self) -> bool {
        let config = match Config::load(&self.config_file) {
            Ok(config) => config,
            Err(error) => {
                tracing::error!(%error, hint = error.hint, "configuration not reloaded");
                self.handle.wrong_config(ApiError::new(error.code, error.to_string(), error.hint)).await;
                return false;
            }
        };
        let mut config = config;
        let waiting = keep_until_restart(&self.config, &mut config);
        let changed = config.account != self.config.account;
        self.config = config;
        self.handle.settings(settings(&self.config, &self.resource, self.fingerprint)).await;
        tracing::info!("configuration reloaded");
        if !waiting.is_empty() {
            let message = format!("these need a restart of the daemon, all else holds now: {}", waiting.join(", "));
            tracing::warn!("{message}");
            let error = ApiError::new("config-needs-restart", message, "systemctl --user restart xbtd");
            self.handle.wrong_config(error).await;
        }
        let refused = self.handle.status().await.is_ok_and(|now| now.connection == xbt_api::Connection::Refused);
        changed || refused
    }

    /// Waits for a fault that ends the driver, without which nothing goes on. To be called once.
    pub fn failure(&mut self) -> impl Future<Output = Fault> + use<> {
        let (_, never) = oneshot::channel();
        let failure = std::mem::replace(&mut self.failure, never);
        async move {
            failure.await.unwrap_or_else(|_| {
                let hint = "this is a fault of xbt: please report it with the log";
                Fault::new("internal", "the daemon's main task has ended", hint)
            })
        }
    }

    /// Stops all rooms, the important ones first; bounded to less than five seconds.
    pub async fn stop(self) {
        tracing::info!("stopping");
        // Errors mean that the room has ended already.
        let _ = self.stop_rpc.send(());
        self.handle.stop().await;
        let driver = timeout(DRIVER_STOP, self.driver);
        let session = async {
            if let Some(session) = self.session {
                session.close().await;
            }
        };
        let mapped_port = async {
            if let Some(mapped_port) = self.mapped_port {
                mapped_port.close().await;
            }
        };
        let _ = tokio::join!(driver, session, mapped_port, self.engine.shutdown());
        self.links.close().await;
        let _ = timeout(DRIVER_STOP, self.rpc).await;
    }
}

/// Puts back what the rooms were started with and keep, and names the keys that were changed. Ways belong here although the rules
/// would take them over: a person who forbids one must not believe that it is not used any more while the link room still dials by it.
fn keep_until_restart(old: &Config, new: &mut Config) -> Vec<&'static str> {
    fn keep<T: PartialEq + Clone>(key: &'static str, old: &T, new: &mut T) -> Option<&'static str> {
        let changed = old != new;
        new.clone_from(old);
        changed.then_some(key)
    }
    // Every key is named, so that a new one has to choose.
    let Config { account, files, network, accept: _, rules: _, schedules: _, hooks: _ } = new;
    let other_account = account.jid != old.account.jid;
    if other_account {
        // Its server and password belong to it.
        account.clone_from(&old.account);
    }
    let Account { jid: _, server, password: _, tls: _, ca_file: _, least_mechanism: _ } = account;
    // The link room does not dial the server's port, see `server_ports`; another host is just logged in to.
    let port = |server: &Option<config::Server>| server.as_ref().map(|server| server.port);
    let other_port = port(server) != port(&old.account.server);
    if other_port {
        server.clone_from(&old.account.server);
    }
    let Files { state_dir, socket, download_dir: _ } = files;
    let Network { listen, map_port, advertise, ways, in_band_max_size: _, upload_limit: _, download_limit: _ } =
        network;
    let keys = [
        other_account.then_some("account.jid"),
        other_port.then_some("account.server"),
        keep("files.state_dir", &old.files.state_dir, state_dir),
        keep("files.socket", &old.files.socket, socket),
        keep("network.listen", &old.network.listen, listen),
        keep("network.map_port", &old.network.map_port, map_port),
        keep("network.advertise", &old.network.advertise, advertise),
        keep("network.ways", &old.network.ways, ways),
    ];
    keys.into_iter().flatten().collect()
}

/// Runs the driver. Should a fault end it, the channel says which.
fn drive(driver: Driver, sources: Sources) -> (JoinHandle<()>, oneshot::Receiver<Fault>) {
    let (failed, failure) = oneshot::channel();
    let driver = tokio::spawn(async move {
        if let Err(fault) = driver.run(sources).await {
            // An error means that the daemon is stopping anyway.
            let _ = failed.send(fault);
        }
    });
    (driver, failure)
}

/// Our own socket, or the one that was handed over.
fn listen(paths: &Paths, handed: Option<UnixListener>) -> Result<rpc::Listener, Fault> {
    let listener = match handed {
        Some(socket) => rpc::adopt(socket),
        None => rpc::bind(&paths.socket),
    };
    let listener = listener.map_err(|e| Fault::new("socket-unusable", e.to_string(), e.hint()))?;
    if listener.path() != paths.socket {
        let (systemd, configured) = (listener.path().display(), paths.socket.display());
        tracing::warn!("listening on {systemd}, which systemd passed on; the configuration says {configured}");
    }
    Ok(listener)
}

/// What the configuration tells the rules.
fn settings(config: &Config, resource: &str, fingerprint: Fingerprint) -> Settings {
    let accept_from = config.accept.from.iter().map(|who| match who {
        AcceptFrom::Contact(jid) => jid.to_string(),
        AcceptFrom::Group(name) => name.clone(),
    });
    Settings {
        account: config.account.jid.clone(),
        resource: resource.to_owned(),
        fingerprint,
        accept_from: accept_from.collect(),
        verified_groups: config.accept.verified_groups,
        accept_max_size: config.accept.max_size,
        accept_quota: config.accept.quota,
        rules: config.rules.clone(),
        folder: config.files.download_dir.clone(),
        subscriptions: match config.accept.subscriptions {
            Subscriptions::Added => settings::Subscriptions::Added,
            Subscriptions::Ask => settings::Subscriptions::Ask,
        },
        courtesy_message: config.accept.courtesy_message,
        ways: ways(&config.network.ways),
        introduce: config.accept.introduce,
        in_band_max_size: config.network.in_band_max_size,
        limits: RateLimits { up: config.network.upload_limit, down: config.network.download_limit },
        schedules: config.schedules.clone(),
        hooks: config.hooks.clone(),
    }
}

fn ways(allowed: &[Way]) -> Ways {
    Ways {
        direct: allowed.contains(&Way::Direct),
        mapped: allowed.contains(&Way::Mapped),
        punched: allowed.contains(&Way::Punched),
        proxy65: allowed.contains(&Way::Proxy65),
        in_band: allowed.contains(&Way::InBand),
    }
}

/// Random at first start and then kept: how contacts know this device while it is online.
fn resource(store: &mut Store) -> Result<String, Fault> {
    const KEY: &str = "resource";
    if let Some(resource) = store.setting(KEY)? {
        return Ok(resource);
    }
    let random = uuid::Uuid::new_v4().simple().to_string();
    let resource = format!("xbt-{}", random.split_at(12).0);
    store.set_setting(KEY, &resource)?;
    Ok(resource)
}

type Links = (LinkRoom, LinkHandle, mpsc::Receiver<xbt_link::LinkEvent>);

/// The port for links is chosen once and kept, so that a person can forward it on the router.
async fn start_links(
    identity: Identity,
    config: &Config,
    store: &mut Store,
    peer_id: [u8; 20],
) -> Result<Links, Fault> {
    const KEY: &str = "link-port";
    let kept = store.setting(KEY)?;
    let link_config = LinkConfig {
        listen: config.network.listen.clone(),
        kept_port: kept.as_deref().and_then(|port| port.parse().ok()),
        advertise: config.network.advertise.clone(),
        ways: ways(&config.network.ways),
        forbidden_ports: server_ports(config.account.server.as_ref().map(|server| server.port)),
        peer_id,
    };
    let (sender, events) = mpsc::channel(EVENTS);
    let (room, handle) = LinkRoom::start(identity, link_config, sender).await?;
    let port = handle.port().map(|port| port.to_string());
    if let Some(port) = port.filter(|port| kept.as_ref() != Some(port)) {
        store.set_setting(KEY, &port)?;
    }
    Ok((room, handle, events))
}

/// Where an XMPP server listens that may run on this very computer: no contact is to make us knock there.
///
/// Those registered for clients and servers (RFC 6120, section 14.7; XEP-0368), what Prosody and ejabberd listen on for
/// HTTP, file proxies and administration if nothing else is said, and the configured one.
fn server_ports(configured: Option<u16>) -> Vec<u16> {
    [5000, 5222, 5223, 5269, 5270, 5280, 5281, 5443, 5582, 7777].into_iter().chain(configured).collect()
}

/// Asks routers for our port, unless the person does not want it or nothing is listened on.
fn map_port(config: &Config, store: &mut Store, links: &LinkHandle) -> Result<Option<MappedPort>, Fault> {
    const KEY: &str = "mapping-nonce";
    let wanted = config.network.map_port && config.network.ways.contains(&Way::Mapped);
    if !wanted || links.port().is_none() {
        return Ok(None);
    }
    let kept = store.setting(KEY)?.and_then(|hex| u128::from_str_radix(&hex, 16).ok());
    let number = kept.unwrap_or_else(|| uuid::Uuid::new_v4().as_u128());
    if kept.is_none() {
        store.set_setting(KEY, &format!("{number:032x}"))?;
    }
    let mut nonce = [0; 12];
    nonce.iter_mut().zip(number.to_be_bytes()).for_each(|(to, from)| *to = from);
    Ok(Some(MappedPort::start(links.clone(), nonce)))
}

/// Event numbers of this run are above those of all earlier ones.
fn event_start() -> u64 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    u64::try_from(since.as_millis()).unwrap_or(u64::MAX)
}

#[cfg(test)]
mod tests;
