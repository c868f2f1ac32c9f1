//! Who allows only ways through servers tells nobody where they are.

use std::net::IpAddr;

use xbt_tests::lab::recorder::Recorder;
use xbt_tests::lab::{Lab, Scene, Side};

use super::{CONTENT, FAST, SLOW, begin, finish, takes};

/// The addresses of the two that this text tells.
fn told(text: &str) -> Vec<IpAddr> {
    let all = [Side::A, Side::B].into_iter().flat_map(Side::addresses);
    all.filter(|address| text.contains(&address.to_string())).collect()
}

#[test]
fn whoever_allows_direct_links_tells_addresses_in_stanzas() {
    let Some(lab) = Lab::open(Scene::default()) else { return };
    let (alice, bob) = lab.both();
    let (out, inn, source) = begin(&lab, &alice, &bob, 1 << 20);
    finish(&alice, &bob, out, inn, &source);
    let told = told(&lab.server(Side::A).stanzas());
    for side in [Side::A, Side::B] {
        let (four, six) = (IpAddr::from(side.public_v4()), IpAddr::from(side.public_v6()));
        assert!(told.contains(&four) && told.contains(&six), "the search finds what is there: {told:?}");
    }
}

#[test]
fn through_the_proxy_no_address_is_told_in_any_stanza_or_stream() {
    let Some(lab) = Lab::open(Scene { proxy: Some(Side::A), stun: true, ..Scene::default() }) else { return };
    lab.slow(Side::A, SLOW);
    let recorder = Recorder::start(lab.public());
    let [alice, bob] =
        [Side::A, Side::B].map(|side| lab.daemon(side).with("network.ways", vec!["proxy65", "in-band"]).online());
    let (out, inn, source) = begin(&lab, &alice, &bob, CONTENT);
    takes(&bob, inn, "proxy65");
    lab.slow(Side::A, FAST);
    finish(&alice, &bob, out, inn, &source);
    assert_eq!(told(&lab.server(Side::A).stanzas()), [] as [IpAddr; 0]);
    let streams = recorder.bytes();
    assert!(streams.len() as u64 > CONTENT, "all went by the recorder: {} bytes", streams.len());
    assert_eq!(told(&String::from_utf8_lossy(&streams)), [] as [IpAddr; 0]);
    for address in [Side::A, Side::B].into_iter().flat_map(Side::addresses) {
        // Four bytes come up by chance in so many; not so sixteen, nor four where the streams begin.
        let found = match address {
            IpAddr::V4(ip) => contains(&streams[..4096], &ip.octets()),
            IpAddr::V6(ip) => contains(&streams, &ip.octets()),
        };
        assert!(!found, "{address} went through the proxy");
    }
}

#[test]
fn in_band_no_address_is_told_in_any_stanza() {
    let Some(lab) = Lab::open(Scene { stun: true, ..Scene::default() }) else { return };
    let [alice, bob] =
        [Side::A, Side::B].map(|side| lab.daemon(side).with("network.ways", vec!["proxy65", "in-band"]).online());
    let (out, inn, source) = begin(&lab, &alice, &bob, 64 << 10);
    takes(&bob, inn, "in-band");
    finish(&alice, &bob, out, inn, &source);
    assert_eq!(told(&lab.server(Side::A).stanzas()), [] as [IpAddr; 0]);
}

fn contains(bytes: &[u8], part: &[u8]) -> bool {
    bytes.windows(part.len()).any(|window| window == part)
}
