//! Prosody on the public network, which writes every stanza into its log.

use std::ffi::OsString;
use std::fs;

use super::scene::{Side, public_v4};
use super::server::{PROXY, Wish, proxy_domain, secret};
use super::space::Space;
use crate::process::Process;

/// Writes its configuration and accounts, and starts it.
pub(super) fn start(public: &Space, wish: &Wish<'_>) -> Process {
    // As Prosody names the folders of its domains.
    let store = wish.folder.join("data").join(wish.side.domain().replace('.', "%2e"));
    for part in ["accounts", "roster"] {
        fs::create_dir_all(store.join(part)).expect("the laboratory can be written");
    }
    for (user, contact) in wish.users {
        let account = format!("return {{ [\"password\"] = \"{}\" }};\n", secret(user));
        let roster = format!(
            "return {{\n[false] = {{ [\"version\"] = 1; [\"pending\"] = {{}} }};\n[\"{}@{}\"] = \
             {{ [\"subscription\"] = \"both\"; [\"groups\"] = {{}} }};\n}};\n",
            contact.user, contact.domain
        );
        for (part, text) in [("accounts", account), ("roster", roster)] {
            fs::write(store.join(part).join(format!("{user}.dat")), text).expect("the laboratory can be written");
        }
    }
    let file = wish.folder.join("prosody.cfg.lua");
    fs::write(&file, config(public, wish)).expect("the laboratory can be written");
    let name = format!("prosody-{}", wish.side.host());
    let config = file.display().to_string();
    let env = vec![("HOME", OsString::from(wish.folder))];
    public.start(&name, "/usr/bin/prosody", &["-F", "--config", &config], env)
}

fn config(public: &Space, wish: &Wish<'_>) -> String {
    let folder = wish.folder.display();
    let (four, six) = wish.side.server();
    let domain = wish.side.domain();
    let service = |address| format!("{{ type = \"stun\", transport = \"udp\", host = \"{address}\", port = 3478 }}");
    let stun = wish.stun.map_or_else(String::new, |addresses| {
        format!("external_services = {{ {} }}", addresses.map(service).join(", "))
    });
    let proxy = wish.proxy.map_or_else(String::new, |name| {
        format!("Component \"{}\" \"proxy65\"\n\tproxy65_address = \"{name}\"\n", proxy_domain(wish.side))
    });
    let (off, on) = if wish.federated { ("", r#""s2s", "dialback", "#) } else { (r#""s2s""#, "") };
    let names = public.folder();
    format!(
        r#"run_as_root = true
pidfile = "{folder}/prosody.pid"
data_path = "{folder}/data"
certificates = "{folder}"
interfaces = {{ "{four}", "{six}" }}
proxy65_ports = {{ {PROXY} }}
modules_enabled = {{ {on}"roster", "saslauth", "tls", "disco", "blocklist", "bookmarks", "carbons", "pep", "private", "smacks",
	"vcard4", "csi_simple", "ping", "time", "version", "uptime", "posix", "limits", "external_services", "stanza_debug" }}
modules_disabled = {{ {off} }}
limits = {{ c2s = {{ rate = "10kb/s" }}, s2sin = {{ rate = "30kb/s" }} }}
c2s_require_encryption = true
s2s_require_encryption = true
s2s_secure_auth = false
authentication = "internal_hashed"
storage = "internal"
unbound = {{ resolvconf = "{names}/resolv.conf", hoststxt = "{names}/hosts" }}
{stun}
log = {{ debug = "{folder}/server.log" }}
VirtualHost "{domain}"
	ssl = {{ certificate = "{folder}/server.crt", key = "{folder}/server.key" }}
{proxy}"#,
        names = names.display(),
    )
}

/// The text of `/etc/hosts` for everybody.
pub(super) fn hosts() -> String {
    let mut text = String::from("127.0.0.1 localhost\n::1 localhost\n");
    for side in [Side::A, Side::B] {
        let (four, six) = side.server();
        for address in [four.to_string(), six.to_string()] {
            text.push_str(&format!("{address} {} {}\n", side.domain(), proxy_domain(side)));
        }
    }
    text.push_str(&format!("{} stun.test\n", public_v4(super::server::STUN)));
    text
}
