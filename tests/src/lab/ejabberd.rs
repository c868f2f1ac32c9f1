//! ejabberd on the public network: the Erlang program that `ejabberdctl foreground` would start, without the shell script
//! around it, which would leave it behind when it is killed, and without a node name, so that nothing else is needed.

use std::ffi::OsString;
use std::fmt::Write as _;
use std::fs;

use super::server::{CLIENTS, PROXY, Wish, proxy_domain, secret};
use super::space::Space;
use crate::process::Process;

/// What it prints when its accounts are there.
pub(super) const READY: &str = "the accounts are there";

/// Where other servers connect.
const SERVERS: u16 = 5269;

/// Debian's script, which knows where ejabberd's libraries are.
const SCRIPT: &str = "/usr/sbin/ejabberdctl";

/// Writes its configuration, starts it, and lets it make its accounts.
pub(super) fn start(public: &Space, wish: &Wish<'_>) -> Process {
    let script = fs::read_to_string(SCRIPT).unwrap_or_else(|error| panic!("{SCRIPT}: {error}: run tests/setup.sh"));
    let libraries = script
        .lines()
        .find_map(|line| line.trim().strip_prefix("ERL_LIBS="))
        .map(|value| value.trim_matches(['\'', '"']).to_owned())
        .expect("ejabberdctl says where its libraries are");
    let file = wish.folder.join("ejabberd.yml");
    fs::write(&file, config(wish)).expect("the laboratory can be written");
    let database = wish.folder.join("db");
    fs::create_dir_all(&database).expect("the laboratory can be written");
    let at = |name: &str| wish.folder.join(name).into_os_string();
    let env: Vec<(&str, OsString)> = vec![
        ("HOME", wish.folder.into()),
        ("ERL_LIBS", libraries.into()),
        ("ERL_CRASH_DUMP", at("erl_crash.dump")),
        ("EJABBERD_CONFIG_PATH", file.into()),
        ("EJABBERD_LOG_PATH", at("server.log")),
    ];
    let database = format!("{:?}", database.display().to_string());
    let accounts = accounts(wish);
    let args = ["+K", "true", "-noinput", "-mnesia", "dir", &database, "-s", "ejabberd", "-eval", &accounts];
    public.start("ejabberd", "/usr/bin/erl", &args, env)
}

/// Erlang that makes the accounts and their contact lists.
fn accounts(wish: &Wish<'_>) -> String {
    let domain = wish.side.domain();
    let mut text = String::new();
    for (user, contact) in wish.users {
        let (name, at) = (contact.user, contact.domain);
        // At a second start the account is there.
        write!(
            text,
            "_ = ejabberd_auth:try_register(<<\"{user}\">>, <<\"{domain}\">>, <<\"{}\">>),
             ok = mod_admin_extra:add_rosteritem(<<\"{user}\">>, <<\"{domain}\">>, <<\"{name}\">>, <<\"{at}\">>,
                <<\"\">>, <<\"\">>, <<\"both\">>), ",
            secret(user)
        )
        .expect("a string can be written to");
    }
    text + &format!("io:format(\"{READY}~n\").")
}

fn config(wish: &Wish<'_>) -> String {
    let folder = wish.folder.display();
    let proxy = wish.proxy.map_or_else(String::new, |name| {
        let host = proxy_domain(wish.side);
        format!("  mod_proxy65:\n    host: {host}\n    hostname: {name}\n    ip: \"::\"\n    port: {PROXY}\n")
    });
    let (four, six) = wish.side.server();
    // Two servers may share the network's namespace, so each listens on its own addresses.
    let listener = |port: u16, what: &str| {
        [four.to_string(), six.to_string()]
            .map(|ip| format!("  -\n    port: {port}\n    ip: \"{ip}\"\n{what}"))
            .concat()
    };
    let clients = listener(
        CLIENTS,
        "    module: ejabberd_c2s\n    max_stanza_size: 262144\n    shaper: c2s_shaper\n    access: c2s\n    \
         starttls_required: true\n",
    );
    let (servers, dialback) = if wish.federated {
        let what = "    module: ejabberd_s2s_in\n    max_stanza_size: 524288\n";
        (listener(SERVERS, what), "  mod_s2s_dialback: {}\n")
    } else {
        (String::new(), "")
    };
    let service = |address| {
        format!(
            "      -\n        host: {address}\n        port: 3478\n        type: stun\n        transport: udp\n        \
             restricted: false\n"
        )
    };
    let stun = wish.stun.map_or_else(String::new, |addresses| {
        format!("  mod_stun_disco:\n    services:\n{}", addresses.map(service).concat())
    });
    format!(
        r#"loglevel: info
hosts:
  - {domain}
certfiles:
  - {folder}/server.pem
listen:
{clients}{servers}s2s_use_starttls: required
s2s_dns_timeout: 2
s2s_dns_retries: 1
auth_password_format: scram
acl:
  local:
    user_regexp: ""
access_rules:
  c2s:
    allow: all
  local:
    allow: local
shaper:
  normal:
    rate: 3000
    burst_size: 20000
shaper_rules:
  c2s_shaper: normal
modules:
  mod_adhoc: {{}}
  mod_admin_extra: {{}}
  mod_blocking: {{}}
  mod_caps: {{}}
  mod_carboncopy: {{}}
  mod_client_state: {{}}
  mod_disco: {{}}
  mod_last: {{}}
  mod_offline: {{}}
  mod_ping: {{}}
  mod_privacy: {{}}
  mod_private: {{}}
  mod_pubsub:
    plugins: [flat, pep]
  mod_roster:
    versioning: true
  mod_sic: {{}}
  mod_stream_mgmt:
    resend_on_timeout: if_offline
  mod_vcard:
    search: false
  mod_version: {{}}
{proxy}{stun}{dialback}"#,
        domain = wish.side.domain(),
    )
}
