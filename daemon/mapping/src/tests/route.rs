use std::net::{Ipv4Addr, Ipv6Addr};

use proptest::prelude::*;

use crate::route::{default_v4, default_v6};

/// As the kernel writes an address of `/proc/net/route`.
fn kernel(ip: &str) -> String {
    format!("{:08X}", u32::from_ne_bytes(ip.parse::<Ipv4Addr>().unwrap().octets()))
}

fn v4(line: &str) -> String {
    format!("Iface\tDestination\tGateway \tFlags\tRefCnt\tUse\tMetric\tMask\t\tMTU\tWindow\tIRTT\n{line}")
}

#[test]
fn ipv4_routers_are_found_in_the_kernels_table_the_best_first() {
    let table = v4(&format!(
        "wlan0\t00000000\t{}\t0003\t0\t0\t600\t00000000\t0\t0\t0\n\
         eth0\t00000000\t{}\t0003\t0\t0\t100\t00000000\t0\t0\t0\n\
         eth0\t{}\t00000000\t0001\t0\t0\t100\t00FFFFFF\t0\t0\t0\n",
        kernel("192.168.1.1"),
        kernel("10.0.0.138"),
        kernel("10.0.0.0"),
    ));
    let found = default_v4(&table);
    let gateways: Vec<String> = found.iter().map(|route| route.gateway.to_string()).collect();
    assert_eq!(gateways, ["10.0.0.138", "192.168.1.1"]);
    assert_eq!(found[0].interface, "eth0");
}

#[test]
fn a_tunnel_that_is_the_default_has_no_router() {
    assert!(default_v4(&v4("tun0\t00000000\t00000000\t0001\t0\t0\t50\t00000000\t0\t0\t0\n")).is_empty());
}

#[test]
fn ipv6_routers_are_found_in_the_kernels_table() {
    let none = "0".repeat(32);
    let router = "fe80000000000000021122fffe334455";
    let table = format!(
        "{none} 00 {none} 00 {router} 00000400 00000001 00000000 00450003     eth0\n\
         {none} 00 {none} 00 {none} ffffffff 00000001 00000000 00200200       lo\n\
         20010db8000000000000000000000000 40 {none} 00 {none} 00000100 00000001 00000000 00000001     eth0\n"
    );
    let found = default_v6(&table);
    assert_eq!(found.len(), 1);
    assert_eq!(found[0].gateway, "fe80::211:22ff:fe33:4455".parse::<Ipv6Addr>().unwrap());
    assert_eq!(found[0].interface, "eth0");
}

proptest! {
    #[test]
    fn no_table_does_harm(table in "[ 0-9a-fA-Fxg\t\n]{0,300}") {
        default_v4(&table);
        default_v6(&table);
    }
}
