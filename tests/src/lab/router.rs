//! Routers: address translation by nftables, and Debian's miniupnpd.

use std::fs;

use super::scene::{Mapping, Nat, Router, Side};
use super::space::Space;
use crate::ctl::text;
use crate::process::{Process, tell};

/// A router that runs. `eth0` is its public side, `eth1` the private one.
#[derive(Debug)]
pub struct RunningRouter {
    /// Its namespace.
    pub space: Space,
    side: Side,
    kind: Router,
    upnp: Option<Process>,
}

impl RunningRouter {
    /// Sets the rules up; the interfaces are there.
    pub fn start(space: Space, side: Side, kind: Router) -> Self {
        let mut router = Self { space, side, kind, upnp: None };
        router.load(kind.mapping);
        if let Some(mapping) = kind.mapping {
            router.open(mapping);
        }
        router
    }

    /// Starts miniupnpd now.
    pub fn start_mapping(&mut self, mapping: Mapping) {
        self.load(Some(mapping));
        self.open(mapping);
    }

    /// Stops miniupnpd and forgets all mappings and all connections, as a router that starts anew does. Nor does it
    /// take what comes from inside in mid-connection for the beginning of one, by which a connection would live on.
    pub fn forget(&mut self) {
        self.upnp = None;
        self.space.sh("sysctl -q -w net.netfilter.nf_conntrack_tcp_loose=0");
        self.load(None);
        self.flush();
    }

    /// Forgets all connections.
    pub fn flush(&self) {
        self.space.sh("conntrack -F 2>/dev/null");
    }

    /// Gets another public address, as after a new dial-up, and forgets all connections.
    pub fn renumber(&self, last: u8) {
        let (old, new) = (self.side.router_v4(), super::scene::public_v4(last));
        let gateway = Side::A.server().0;
        self.space.sh(&format!(
            "ip addr del {old}/24 dev eth0; ip addr add {new}/24 dev eth0; ip route replace default via {gateway}"
        ));
        self.flush();
    }

    /// Its tables and its miniupnpd's rules, for whoever looks for a fault.
    pub fn report(&self) -> String {
        self.space.try_sh("nft list ruleset; conntrack -L 2>/dev/null || true").1
    }

    fn load(&self, mapping: Option<Mapping>) {
        let file = self.space.folder().join("rules.nft");
        fs::write(&file, rules(self.side, self.kind, mapping)).expect("the laboratory can be written");
        self.space.sh(&format!("nft -f '{}'", file.display()));
    }

    fn open(&mut self, mapping: Mapping) {
        let folder = self.space.folder();
        let on = |protocols: &[Mapping]| if protocols.contains(&mapping) { "yes" } else { "no" };
        let conf = format!(
            "ext_ifname=eth0\nlistening_ip=eth1\nhttp_port=0\nipv6_disable=yes\nsecure_mode=yes\n\
             enable_upnp={}\nenable_natpmp={}\nmin_lifetime=120\nmax_lifetime=86400\n\
             uuid=9af2eeae-996f-43d3-8dbd-f7556185cee{}\nallow 1024-65535 0.0.0.0/0 1024-65535\n",
            on(&[Mapping::Upnp]),
            on(&[Mapping::NatPmp, Mapping::Pcp]),
            self.side.host(), // both are hex digits
        );
        let file = folder.join("miniupnpd.conf");
        fs::write(&file, conf).expect("the laboratory can be written");
        let pid = folder.join("miniupnpd.pid");
        let args = ["-d", "-f", text(&file), "-P", text(&pid)];
        self.upnp = Some(self.space.start("miniupnpd", "/usr/sbin/miniupnpd", &args, Vec::new()));
    }
}

impl Drop for RunningRouter {
    fn drop(&mut self) {
        if std::thread::panicking() {
            tell(&format!("---- the tables of {} ----\n{}", self.space.name(), self.report()));
        }
    }
}

/// The whole rule set. That of miniupnpd has the names of tables and chains that it expects.
fn rules(side: Side, kind: Router, mapping: Option<Mapping>) -> String {
    let host = side.private_v4();
    // The first byte of a request is the version: 0 in NAT-PMP (RFC 6886, section 3), 2 in PCP (RFC 6887, section 7.1).
    let deaf = match mapping {
        Some(Mapping::NatPmp) => "udp dport 5351 @th,64,8 2 drop",
        Some(Mapping::Pcp) => "udp dport 5351 @th,64,8 0 drop",
        Some(Mapping::Upnp) | None => "",
    };
    let udp = if kind.udp { "" } else { "meta l4proto udp drop" };
    let (prerouting, how) = match kind.nat {
        Nat::FullCone => {
            (format!("iifname eth0 meta l4proto {{ tcp, udp }} th dport 1024-65535 dnat ip to {host}"), "masquerade")
        }
        Nat::PortRestricted => (String::new(), "masquerade"),
        Nat::Symmetric => (String::new(), "masquerade fully-random"),
    };
    // What is not asked for is dropped, also what is for the router itself: a refusal or a noted connection would change
    // what becomes of a later packet of the other direction.
    format!(
        "flush ruleset
         table inet filter {{
         chain input {{ type filter hook input priority 0; policy accept;
           iifname eth0 ct state established,related accept
           iifname eth0 drop
           {deaf}
         }}
         chain forward {{ type filter hook forward priority 0; policy drop;
           {udp}
           ct state established,related accept
           iifname eth1 accept
           ct status dnat accept
           jump miniupnpd
         }}
         chain prerouting {{ type nat hook prerouting priority dstnat;
           jump prerouting_miniupnpd
           {prerouting}
         }}
         chain postrouting {{ type nat hook postrouting priority srcnat;
           jump postrouting_miniupnpd
           oifname eth0 {how}
         }}
         chain miniupnpd {{ }}
         chain prerouting_miniupnpd {{ }}
         chain postrouting_miniupnpd {{ }}
         }}\n"
    )
}
