use std::net::IpAddr;

use crate::external::{External, judge};

fn all(addresses: &[&str], worth: External) {
    for address in addresses {
        let ip: IpAddr = address.parse().unwrap();
        assert_eq!(judge(ip), worth, "{address}");
    }
}

#[test]
fn addresses_of_the_internet_are_public() {
    all(&["8.8.8.8", "1.0.0.1", "100.63.255.255", "100.128.0.0", "172.32.0.1", "2001:4860::8888"], External::Public);
}

#[test]
fn addresses_of_documentation_and_of_laboratories_are_public() {
    all(&["203.0.113.7", "198.51.100.1", "192.0.2.1", "198.18.0.1", "2001:db8::1"], External::Public);
}

#[test]
fn addresses_behind_another_router_are_private() {
    all(
        &["10.0.0.1", "172.16.0.1", "172.31.255.255", "192.168.1.2", "100.64.0.1", "100.127.255.255", "192.0.0.2"],
        External::Private,
    );
    all(&["169.254.1.1", "fd00::1", "::ffff:10.0.0.1"], External::Private);
}

#[test]
fn what_no_router_can_have_is_no_address() {
    all(&["0.0.0.0", "0.1.2.3", "127.0.0.1", "224.0.0.1", "240.0.0.1", "255.255.255.255"], External::None);
    all(&["::", "::1", "ff02::1", "fe80::1", "::ffff:0.0.0.0"], External::None);
}
