//! The rules about this computer, the daemon and the account.

use jiff::Timestamp;
use xbt_api::{Connection, Folder, Network, Status, Way};

use super::finding::Finding;
use super::reach;
use crate::describe;
use crate::text::{duration, size};
use crate::time::Clock;

/// Less room than this is a problem, and than that worth a word, in bytes.
const TOO_LITTLE: u64 = 100 << 20;
const LITTLE: u64 = 1 << 30;

/// 2026-01-01: no clock that goes right says less. Certificates cannot be checked with a wrong one.
const FIRST_DAY: i64 = 1_767_225_600;

/// What is known without the daemon.
#[derive(Clone, Debug)]
pub(super) struct Here {
    /// This computer's clock.
    pub now: Timestamp,
    /// How points in time are printed.
    pub clock: Clock,
    /// Our own version.
    pub version: &'static str,
}

/// All findings about a daemon that answers, in the order in which a person should read them.
pub(super) fn findings(status: &Status, here: &Here) -> Vec<Finding> {
    let mut findings = vec![daemon(status, here), account(status), clock(here)];
    findings.extend(status.config_error.as_ref().map(|error| {
        let text = format!("the changed configuration is not in use: {}", error.message);
        Finding::problem("configuration", text, error.hint.as_str())
    }));
    findings.extend(status.new_keys.iter().map(|contact| new_key(contact)));
    findings.extend(
        describe::in_force(status, &here.clock).map(|told| Finding::ok("limits", format!("everything is {told}"))),
    );
    match &status.network {
        Some(network) => {
            if let Some(server) = network.server.as_ref().filter(|_| status.connection == Connection::Online) {
                findings.extend(server_offers(server, &network.ways));
            }
            findings.extend(federation(&status.jid));
            findings.push(ways(&network.ways));
            findings.extend(reach::findings(network, status.connection == Connection::Online));
            findings.extend(in_band(network));
        }
        None => {
            let text = "this daemon is older than xbtctl and reports nothing about its network";
            findings.push(Finding::note("reach", text, "systemctl --user restart xbtd"));
        }
    }
    if let Some(folders) = &status.folders {
        findings.push(folder("downloads", &folders.download, "`download_dir`"));
        findings.push(state(status, &folders.state));
    } else {
        let text = "the disk does not respond";
        findings.push(Finding::note("downloads", text, "try again; a network drive may hang"));
    }
    findings
}

fn daemon(status: &Status, here: &Here) -> Finding {
    let (theirs, uptime) = (&status.version, duration(status.uptime_s));
    if theirs == here.version {
        return Finding::ok("daemon", format!("xbtd {theirs} runs, up for {uptime}"));
    }
    let text = format!("xbtd {theirs} runs, xbtctl is {}", here.version);
    Finding::note("daemon", text, "systemctl --user restart xbtd")
}

fn account(status: &Status) -> Finding {
    let jid = &status.jid;
    let error = status.connection_error.as_ref();
    let (message, hint) = error.map_or(("", ""), |error| (error.message.as_str(), error.hint.as_str()));
    match status.connection {
        Connection::Online => Finding::ok("account", format!("{jid} is online")),
        Connection::Connecting => {
            Finding::note("account", format!("{jid} is logging in"), "try again in a few seconds")
        }
        Connection::Offline => {
            let again = status.retry_in_s.map(|seconds| format!(", next in {}", duration(seconds))).unwrap_or_default();
            Finding::problem("account", format!("{jid} is offline: {message}"), format!("{hint}{again}"))
        }
        Connection::Refused => Finding::problem("account", format!("{jid} is not logged in: {message}"), hint),
    }
}

fn clock(here: &Here) -> Finding {
    let now = here.now.strftime("%Y-%m-%d %H:%M UTC");
    if here.now.as_second() < FIRST_DAY {
        let text = format!("this computer's clock says {now}: no certificate can be checked");
        return Finding::problem("clock", text, "set it and keep it synchronised: timedatectl set-ntp true");
    }
    Finding::ok("clock", format!("it says {now}"))
}

fn new_key(contact: &str) -> Finding {
    let text = format!("{contact} has a new key that you have not reviewed");
    Finding::note("keys", text, format!("ask whether it is theirs, then run 'xbtctl contacts verify {contact}'"))
}

fn server_offers(server: &xbt_api::Server, ways: &[Way]) -> Vec<Finding> {
    let mut findings = Vec::new();
    if ways.contains(&Way::Proxy65) {
        findings.push(match server.proxies.as_slice() {
            [] => Finding::note(
                "proxy",
                "our XMPP server offers no SOCKS5 proxy (XEP-0065) for when no direct way works",
                "ask its operator for mod_proxy65 (Prosody and ejabberd have it); that of a contact's server serves as well",
            ),
            proxies => Finding::ok("proxy", format!("{} relays when no direct way works", proxies.join(", "))),
        });
    }
    if ways.contains(&Way::PunchedUdp) {
        findings.push(match server.stun.as_slice() {
            [] => Finding::note(
                "stun",
                "our XMPP server offers no STUN (XEP-0215), so hole punching is not possible",
                "ask its operator for STUN (Prosody: mod_external_services, ejabberd: mod_stun_disco)",
            ),
            servers => Finding::ok("stun", format!("our XMPP server names {}", servers.join(", "))),
        });
    }
    findings
}

/// Names that only one's own network knows (RFC 6761, RFC 6762, RFC 8375) and names without a dot.
fn federation(jid: &str) -> Option<Finding> {
    let domain = jid.rsplit_once('@').map_or(jid, |(_, domain)| domain);
    let last = domain.rsplit('.').next().unwrap_or(domain);
    let is_local = !domain.contains('.') || ["local", "localhost", "lan", "internal", "home", "arpa"].contains(&last);
    let is_address = domain.parse::<std::net::IpAddr>().is_ok();
    (is_local || is_address).then(|| {
        let text = format!("only people on {domain} can be reached: other servers cannot find that name");
        Finding::note("federation", text, "to reach others, use an account on a server with a public name")
    })
}

fn ways(allowed: &[Way]) -> Finding {
    // What is the same but for the protocol follows from the others.
    let named = Way::ALL.iter().filter(|way| !matches!(way, Way::DirectUdp6 | Way::DirectUdp4));
    let missing: Vec<_> = named.filter(|way| !allowed.contains(way)).map(|way| way.as_str()).collect();
    match (allowed, missing.as_slice()) {
        ([], _) => Finding::problem("ways", "the configuration allows no way at all", "see `ways` in [network]"),
        (_, []) => Finding::ok("ways", "the configuration allows all ways"),
        (_, missing) => {
            let text = format!("the configuration does not allow {}", missing.join(", "));
            Finding::note("ways", text, "see `ways` in [network] if that is not intended")
        }
    }
}

fn in_band(network: &Network) -> Option<Finding> {
    let limit = size(network.in_band_max_size);
    let text = format!("if no other way works, content up to {limit} goes through the XMPP server");
    network.ways.contains(&Way::InBand).then(|| Finding::ok("in-band", text))
}

fn folder(check: &'static str, folder: &Folder, key: &str) -> Finding {
    let path = &folder.path;
    if !folder.writable {
        let what = if folder.exists { "cannot be written" } else { "does not exist and cannot be created" };
        return Finding::problem(
            check,
            format!("{path} {what}"),
            format!("check its owner and mode, or set {key} in [files]"),
        );
    }
    let free = folder.free.map(size).unwrap_or_default();
    match folder.free {
        Some(bytes) if bytes < TOO_LITTLE => Finding::problem(
            check,
            format!("{path} has {free} free"),
            format!("free some space, or set {key} in [files]"),
        ),
        Some(bytes) if bytes < LITTLE => {
            Finding::note(check, format!("{path} has {free} free"), format!("free some space, or set {key} in [files]"))
        }
        Some(_) => Finding::ok(check, format!("{path} has {free} free")),
        None => Finding::ok(check, format!("{path} can be written")),
    }
}

fn state(status: &Status, state: &Folder) -> Finding {
    match &status.state_error {
        Some(error) => Finding::problem("state", error.message.as_str(), error.hint.as_str()),
        None => folder("state", state, "`state_dir`"),
    }
}
