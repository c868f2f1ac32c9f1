use std::net::SocketAddr;

use super::*;
use crate::addresses::candidates::{host as host_candidates, merge};
use crate::addresses::interfaces::Interface;
use crate::addresses::local::Local;
use crate::addresses::source::Source;

fn address(text: &str) -> SocketAddr {
    text.parse().unwrap()
}

fn addresses(texts: &[&str]) -> Vec<SocketAddr> {
    texts.iter().map(|text| address(text)).collect()
}

fn interface(name: &str, ip: &str) -> Interface {
    network(name, ip, 24)
}

fn network(name: &str, ip: &str, prefix: u8) -> Interface {
    Interface { name: name.to_owned(), ip: ip.parse().unwrap(), prefix }
}

fn told(listening: &[&str], interfaces: &[Interface], advertise: &[&str]) -> Vec<String> {
    let told = merge(host_candidates(&addresses(listening), interfaces, &addresses(advertise)));
    told.iter().map(|candidate| candidate.address.to_string()).collect()
}

#[test]
fn a_wildcard_stands_for_what_others_can_reach_and_ipv6_comes_first() {
    let interfaces = [
        interface("lo", "127.0.0.1"),
        interface("lo", "::1"),
        interface("eth0", "192.0.2.5"),
        interface("eth0", "fe80::1"),
        interface("eth0", "fd00::5"),
        interface("eth0", "2001:db8::5"),
        interface("wlan0", "169.254.3.4"),
        interface("docker0", "172.17.0.1"),
        interface("br-1f2e3d", "172.18.0.1"),
        interface("br0", "198.51.100.1"),
        interface("virbr0", "192.168.122.1"),
    ];
    assert_eq!(
        told(&["[::]:4711", "0.0.0.0:4711"], &interfaces, &["203.0.113.7:51413", "192.0.2.5:4711"]),
        ["[2001:db8::5]:4711", "[fd00::5]:4711", "192.0.2.5:4711", "198.51.100.1:4711", "203.0.113.7:51413",]
    );
    assert_eq!(told(&["0.0.0.0:9"], &interfaces, &[]), ["192.0.2.5:9", "198.51.100.1:9"]);
}

#[test]
fn loopback_is_told_only_where_it_is_listed() {
    let interfaces = [interface("lo", "127.0.0.1"), interface("eth0", "192.0.2.5")];
    assert_eq!(told(&["127.0.0.1:9"], &interfaces, &[]), ["127.0.0.1:9"]);
    assert_eq!(told(&[], &interfaces, &[]), Vec::<String>::new());
}

#[test]
fn at_most_sixteen_are_told_and_many_of_one_kind_do_not_crowd_out_the_others() {
    let mut interfaces: Vec<Interface> = (0..40).map(|n| interface("eth0", &format!("2001:db8::{n:x}"))).collect();
    interfaces.push(interface("eth0", "192.0.2.5"));
    let told = told(&["[::]:9", "0.0.0.0:9"], &interfaces, &["203.0.113.7:1"]);
    assert_eq!(told.len(), 16);
    assert_eq!(told[14..], ["192.0.2.5:9", "203.0.113.7:1"]);
}

#[test]
fn addresses_that_are_no_device_or_local_are_not_dialled() {
    let interfaces: Vec<Interface> = ["127.0.0.1", "192.0.2.5", "2001:db8::5"].map(|ip| interface("eth0", ip)).into();
    let listening = addresses(&["0.0.0.0:4711", "[::]:4711"]);
    let local = Local { listening, interfaces: interfaces.clone(), forbidden_ports: vec![5222] };
    for bad in [
        "192.0.2.9:0",
        "0.0.0.0:9",
        "0.1.2.3:9",
        "[::]:9",
        "224.0.0.1:9",
        "[ff02::1]:9",
        "255.255.255.255:9",
        "127.0.0.1:9",
        "127.3.2.1:9",
        "[::1]:9",
        "[::ffff:127.0.0.1]:9",
        "[fe80::1]:9",
        "169.254.1.1:9",
        "192.0.2.5:4711",
        "[2001:db8::5]:4711",
        "192.0.2.5:5222",
        "192.0.2.5:22",
        "[::ffff:192.0.2.5]:5222",
    ] {
        assert!(local.objection(address(bad)).is_some(), "{bad}");
    }
    for good in ["192.0.2.9:4711", "192.0.2.9:5222", "192.0.2.5:4712", "[2001:db8::6]:9", "[fe80::1%3]:9"] {
        assert_eq!(local.objection(address(good)), None, "{good}");
    }
    let on_loopback = Local { listening: addresses(&["127.0.0.1:4711"]), interfaces, forbidden_ports: vec![5222] };
    assert_eq!(on_loopback.objection(address("127.0.0.1:4712")), None);
    assert!(on_loopback.objection(address("127.0.0.1:4711")).is_some());
    assert!(on_loopback.objection(address("127.0.0.2:5222")).is_some());
}

#[test]
fn a_private_address_is_dialled_only_in_a_network_of_our_own() {
    let interfaces =
        vec![network("eth0", "192.168.7.5", 24), network("wlan0", "10.1.2.3", 8), network("eth0", "fd00:1::5", 64)];
    let local = Local { interfaces, ..Local::default() };
    for good in ["192.168.7.9:9", "10.200.0.1:9", "[fd00:1::6]:9", "203.0.113.1:9", "[2001:db8::1]:9"] {
        assert_eq!(local.objection(address(good)), None, "{good}");
    }
    for bad in ["192.168.8.9:9", "172.16.0.1:9", "[fd00:2::6]:9"] {
        assert_eq!(local.objection(address(bad)), Some("is a private address of another network"), "{bad}");
    }
}

#[test]
fn what_routers_and_servers_know_is_offered_as_what_it_is_and_crowds_nothing_out() {
    let interfaces: Vec<Interface> = (0..40).map(|n| interface("eth0", &format!("2001:db8::{n:x}"))).collect();
    let mut offers = host_candidates(&addresses(&["[::]:9"]), &interfaces, &[]);
    offers.push(Candidate { kind: CandidateKind::Mapped, address: address("203.0.113.7:4711") });
    offers.push(Candidate { kind: CandidateKind::Reflexive, address: address("203.0.113.7:40000") });
    let kinds: Vec<CandidateKind> = merge(offers).iter().map(|candidate| candidate.kind).collect();
    assert_eq!((kinds.len(), &kinds[14..]), (16, &[CandidateKind::Mapped, CandidateKind::Reflexive][..]));
}

#[test]
fn one_ipv6_network_is_one_source() {
    let source = |text| Source::of(address(text));
    assert_eq!(source("[2001:db8::1]:1"), source("[2001:db8::ffff:1]:2"));
    assert_ne!(source("[2001:db8::1]:1"), source("[2001:db8:0:1::1]:1"));
    assert_eq!(source("192.0.2.1:1"), source("[::ffff:192.0.2.1]:2"));
    assert_ne!(source("192.0.2.1:1"), source("192.0.2.2:1"));
}
