#![allow(clippy::unwrap_used)]

use jiff::Timestamp;
use xbt_api::{
    Address, AddressKind, ApiError, Connection, Folder, Folders, Limits, LimitsBy, Mapping, Network, Pace, Server,
    Status, Stun, Way,
};

use super::finding::{Finding, Level};
use super::judge::{Here, findings};
use crate::sample;
use crate::time::Clock;

const PORT: u16 = 51413;

fn here() -> Here {
    let now = "2026-11-22T21:00:00Z";
    let clock = Clock::at(now, Some(jiff::tz::TimeZone::UTC));
    Here { now: now.parse().unwrap(), clock, version: "0.1.0" }
}

fn told(kind: AddressKind, address: &str) -> Address {
    Address { kind, address: address.to_owned() }
}

fn folder(path: &str) -> Folder {
    Folder { path: path.into(), exists: true, writable: true, free: Some(50 << 30) }
}

/// Online, both public addresses, everything on.
fn public() -> Status {
    let network = Network {
        port: Some(PORT),
        addresses: vec![
            told(AddressKind::Host, "[2001:db8::5]:51413"),
            told(AddressKind::Host, "198.51.100.5:51413"),
            told(AddressKind::Reflexive, "198.51.100.5:51413"),
        ],
        mapping: Mapping { wanted: true, problem: Some("the router does not answer".into()), ..Mapping::default() },
        stun: Stun { addresses: vec!["198.51.100.5:51413".into()], symmetric: Some(false), ..Stun::default() },
        server: Some(Server {
            proxies: vec!["proxy.example.org".into()],
            stun: vec!["stun.example.org:3478".into()],
            external: Some("198.51.100.5".into()),
        }),
        ways: Way::ALL.to_vec(),
        in_band_max_size: 4 << 20,
        ..Network::default()
    };
    let folders = Folders { download: folder("/home/a/Downloads"), state: folder("/home/a/.local/state/xbt") };
    Status { network: Some(network), folders: Some(folders), ..sample::status() }
}

/// Online behind a symmetric router that maps nothing; the server offers nothing but STUN.
fn shut() -> Status {
    change(public(), |network| {
        network.addresses =
            vec![told(AddressKind::Host, "192.168.1.2:51413"), told(AddressKind::Reflexive, "203.0.113.7:40112")];
        network.mapping.problem = Some(
            "the router at 192.168.1.1 does not answer to UPnP, NAT-PMP or PCP: switch one of them on in its settings, or \
             forward TCP port 51413 by hand"
                .into(),
        );
        network.stun = Stun { addresses: vec!["203.0.113.7:40112".into()], symmetric: Some(true), ..Stun::default() };
        network.server.as_mut().unwrap().proxies.clear();
    })
}

fn change(mut status: Status, change: impl FnOnce(&mut Network)) -> Status {
    change(status.network.as_mut().unwrap());
    status
}

fn lines(status: &Status) -> Vec<String> {
    let told = |finding: &Finding| {
        let remedy = finding.remedy.as_ref().map(|remedy| format!(" → {remedy}")).unwrap_or_default();
        format!("{} {}: {}{remedy}", finding.level.word(), finding.check, finding.text)
    };
    findings(status, &here()).iter().map(told).collect()
}

/// The line of one check.
fn line(status: &Status, check: &str) -> String {
    let found = lines(status).into_iter().find(|line| line.split(' ').nth(1) == Some(&format!("{check}:")));
    found.unwrap_or_default()
}

#[test]
fn a_public_computer_with_a_good_server_is_well() {
    let expected = [
        "ok daemon: xbtd 0.1.0 runs, up for 1h 1m",
        "ok account: alice@example.org is online",
        "ok clock: it says 2026-11-22 21:00 UTC",
        "ok proxy: proxy.example.org relays when no direct way works",
        "ok stun: our XMPP server names stun.example.org:3478",
        "ok ways: the configuration allows all ways",
        "ok ipv6: 2001:db8::5 is public; a firewall may still block port 51413",
        "ok ipv4: 198.51.100.5 is public",
        "ok port: TCP port 51413 needs no mapping: no router translates addresses",
        "ok nat: no NAT: the public address is 198.51.100.5:51413",
        "ok reach: contacts reach this computer directly",
        "ok in-band: if no other way works, content up to 4.0 MiB goes through the XMPP server",
        "ok downloads: /home/a/Downloads has 50.0 GiB free",
        "ok state: /home/a/.local/state/xbt has 50.0 GiB free",
    ];
    assert_eq!(lines(&public()), expected);
}

#[test]
fn a_key_that_nobody_looked_at_and_limits_that_hold_now_are_told() {
    let pace = Pace { by: LimitsBy::Schedule, schedule: Some(1), until: Some("2026-11-22T23:30:00Z".into()) };
    let (limits, new_keys) = (Limits { upload: 1 << 20, download: 0 }, vec!["bob@example.org".to_owned()]);
    let status = Status { limits, new_keys, pace: Some(pace), ..public() };
    assert_eq!(line(&status, "limits"), "ok limits: everything is limited to 1.0 MiB/s up by schedule 1 until 23:30");
    let key = line(&status, "keys");
    assert!(key.starts_with("note keys: bob@example.org has a new key that you have not reviewed"), "{key}");
    assert!(key.ends_with("'xbtctl contacts verify bob@example.org'"), "{key}");
}

#[test]
fn behind_a_symmetric_router_that_maps_nothing_each_cause_is_named_with_its_remedy() {
    let network: Vec<_> = lines(&shut()).into_iter().filter(|line| !line.starts_with("ok ")).collect();
    let expected = [
        "note proxy: our XMPP server offers no SOCKS5 proxy (XEP-0065) for when no direct way works → ask its operator for \
         mod_proxy65 (Prosody and ejabberd have it); that of a contact's server serves as well",
        "note ipv6: this computer has no public IPv6 address → enable IPv6 in the router if the provider supports \
         it: it needs no port mapping",
        "note port: the router at 192.168.1.1 does not answer to UPnP, NAT-PMP or PCP: switch one of them on in its \
         settings, or forward TCP port 51413 by hand → for a port forwarded by hand: advertise = [\"203.0.113.7:51413\"] \
         in [network], and keep the port by listen = [\"[::]:51413\", \"0.0.0.0:51413\"]",
        "note nat: the router uses another port for every destination (symmetric NAT): hole punching is not possible → \
         have a port mapped or forwarded (see port), or set the router to \"open\" or \"cone\" NAT if it can",
        "problem reach: contacts behind routers reach this computer only through the XMPP server itself, slowly and up to \
         4.0 MiB → open a port (see port) on your side or theirs",
    ];
    assert_eq!(network, expected);
}

#[test]
fn what_reaches_this_computer_is_told_by_the_best_that_there_is() {
    let reach = |alter: &dyn Fn(&mut Network)| line(&change(shut(), alter), "reach");
    let with_proxy = |network: &mut Network| network.server.as_mut().unwrap().proxies.push("p".into());
    assert!(
        reach(&with_proxy).starts_with("note reach: contacts behind routers reach this computer only through a relay")
    );
    let cone = |network: &mut Network| network.stun.symmetric = Some(false);
    assert!(
        reach(&cone).starts_with("note reach: contacts behind routers reach this computer through a punched hole, u")
    );
    let both = |network: &mut Network| {
        with_proxy(network);
        cone(network);
    };
    assert!(reach(&both).starts_with("ok reach:"));
    let mapped = |network: &mut Network| network.mapping.external = Some("203.0.113.7:40000".into());
    assert_eq!(reach(&mapped), "ok reach: contacts reach this computer directly");
    let by_hand = |network: &mut Network| network.advertise = vec!["203.0.113.7:51413".into()];
    assert_eq!(reach(&by_hand), "ok reach: contacts reach this computer directly");
    let not_told = |network: &mut Network| network.server = None;
    assert_eq!(reach(&not_told), "", "the server may have a proxy");
    let nothing = |network: &mut Network| network.ways = vec![Way::DirectTcp4];
    assert!(reach(&nothing).starts_with("problem reach: contacts behind routers cannot reach this computer"));
    let only_in_band = |network: &mut Network| network.ways = vec![Way::InBand];
    assert!(reach(&only_in_band).ends_with("→ allow more `ways` in [network] if that is not intended"));
}

#[test]
fn a_port_is_told_by_who_opens_it() {
    let port = |alter: &dyn Fn(&mut Network)| line(&change(shut(), alter), "port");
    let mapped = |network: &mut Network| {
        network.mapping =
            Mapping { protocol: Some("upnp".into()), external: Some("203.0.113.7:40000".into()), ..Mapping::default() };
    };
    assert_eq!(port(&mapped), "ok port: the router forwards 203.0.113.7:40000 to this computer (upnp)");
    let by_hand = |network: &mut Network| network.advertise = vec!["203.0.113.7:51413".into()];
    assert_eq!(port(&by_hand), "ok port: 203.0.113.7:51413 is advertised to contacts, as configured");
    let asking =
        |network: &mut Network| network.mapping = Mapping { wanted: true, searching: true, ..Mapping::default() };
    assert!(port(&asking).starts_with("note port: asking the router for a port → try again"));
    let off = |network: &mut Network| network.mapping = Mapping::default();
    assert!(
        port(&off).contains("(`map_port`, `ways`) → set map_port = true in [network]; for a port forwarded by hand")
    );
    let provider = |network: &mut Network| network.addresses = vec![told(AddressKind::Host, "100.64.3.2:51413")];
    assert!(port(&provider).starts_with("note port:"), "a provider's own network is not the Internet");
}

#[test]
fn an_account_that_is_not_online_says_why_and_the_network_is_not_judged_by_the_server() {
    let error = ApiError::new("wrong-password", "the server refused the password", "run 'xbtctl setup'");
    let refused = Status { connection: Connection::Refused, connection_error: Some(error.clone()), ..shut() };
    let expected =
        "problem account: alice@example.org is not logged in: the server refused the password → run 'xbtctl setup'";
    assert_eq!(line(&refused, "account"), expected);
    assert_eq!((line(&refused, "proxy"), line(&refused, "reach")), (String::new(), String::new()));
    let offline =
        Status { connection: Connection::Offline, connection_error: Some(error), retry_in_s: Some(61), ..public() };
    assert!(line(&offline, "account").ends_with("run 'xbtctl setup', next in 1m 1s"));
}

#[test]
fn folders_ways_names_and_clocks_that_stand_in_the_way_are_told() {
    let mut status = change(public(), |network| network.ways = vec![Way::DirectTcp6, Way::DirectTcp4]);
    status.jid = "alice@nas.local".into();
    let folders = status.folders.as_mut().unwrap();
    folders.download = Folder { exists: false, writable: false, free: None, ..folder("/mnt/Downloads") };
    folders.state.free = Some(1 << 20);
    let is = |check: &str, start: &str| {
        let line = line(&status, check);
        assert!(line.starts_with(start), "{line}");
    };
    is(
        "downloads",
        "problem downloads: /mnt/Downloads does not exist and cannot be created → check its owner and mode, or",
    );
    is("state", "problem state: /home/a/.local/state/xbt has 1.0 MiB free → free some space");
    is("federation", "note federation: only people on nas.local can be reached");
    is("ways", "note ways: the configuration does not allow mapped-tcp4, punched-udp, proxy65, in-band → see `ways`");
    is("in-band", "");
    status.state_error = Some(ApiError::new("disk-full", "the state cannot be written", "make room"));
    assert_eq!(line(&status, "state"), "problem state: the state cannot be written → make room");
    status.config_error = Some(ApiError::new("config-unknown-key", "line 3: there is no key `limt`", "`limit`?"));
    let told =
        "problem configuration: the changed configuration is not in use: line 3: there is no key `limt` → `limit`?";
    assert_eq!(line(&status, "configuration"), told);
    let past = Here { now: Timestamp::UNIX_EPOCH, ..here() };
    let clock = findings(&public(), &past).into_iter().find(|finding| finding.check == "clock").unwrap();
    assert_eq!(clock.level, Level::Problem);
}

#[test]
fn a_daemon_of_yesterday_is_told_apart_from_a_bad_network() {
    let old = Status { network: None, folders: None, version: "0.0.9".into(), ..public() };
    assert_eq!(line(&old, "daemon"), "note daemon: xbtd 0.0.9 runs, xbtctl is 0.1.0 → systemctl --user restart xbtd");
    assert!(line(&old, "reach").starts_with("note reach: this daemon is older"));
    assert!(findings(&old, &here()).iter().all(|finding| finding.level != Level::Problem));
}
