//! Against miniupnpd, the program of many routers.

use std::time::Duration;

use tokio::time::{Instant, sleep};

use super::lab::{ANOTHER, Lab, OUTSIDE, OWN6, PORT, ROUTER, Running, Speaks, at_home, start, start_as};
use crate::grant::Client;
use crate::{MappingState, Protocol, pcp, route};

const ALL: Speaks = Speaks { upnp: true, nat_pmp: true, pcp: true };
const UPNP: Speaks = Speaks { upnp: true, nat_pmp: false, pcp: false };

fn is_mapped(state: &MappingState) -> bool {
    !state.mapped.is_empty()
}

/// Starts the router and a mapper, and waits for the mapping of our port.
async fn mapped_by(lab: &mut Lab, speaks: Speaks, more: &str) -> (Running, MappingState) {
    lab.start_router(speaks, more);
    let mut running = start(true, &[]);
    let state = running.until("a mapping", is_mapped).await;
    (running, state)
}

/// The router grants by this protocol, the mapping is in its rules, and at the end is not.
fn maps_by(speaks: Speaks, protocol: Protocol) {
    let Some(lab) = Lab::new() else { return };
    at_home(lab, async |lab| {
        let (running, state) = mapped_by(lab, speaks, "").await;
        assert_eq!(state.mapped.len(), 1);
        assert_eq!(state.mapped[0].protocol, protocol);
        assert_eq!(state.mapped[0].external, format!("{OUTSIDE}:{PORT}").parse().unwrap());
        assert_eq!(state.mapped[0].internal_port, PORT);
        assert_eq!(state.gateway, Some(ROUTER.parse().unwrap()));
        assert_eq!(state.failures, []);
        assert!(!state.searching);
        assert!(lab.forwards(PORT), "{}", lab.rules());
        assert_eq!(lab.rules().matches("dnat ip to").count(), 1, "{}", lab.rules());
        running.mapper.close().await;
        assert!(!lab.forwards(PORT), "{}", lab.rules());
    });
}

#[test]
fn a_router_that_speaks_all_maps_by_pcp_alone() {
    maps_by(ALL, Protocol::Pcp);
}

#[test]
fn a_router_without_pcp_maps_by_nat_pmp() {
    maps_by(Speaks { pcp: false, ..ALL }, Protocol::NatPmp);
}

#[test]
fn a_router_with_upnp_alone_maps_by_upnp() {
    maps_by(UPNP, Protocol::Upnp);
}

#[test]
fn a_router_of_the_first_version_of_upnp_maps_too() {
    let Some(lab) = Lab::new() else { return };
    at_home(lab, async |lab| {
        let (running, state) = mapped_by(lab, UPNP, "force_igd_desc_v1=yes").await;
        assert_eq!(state.mapped[0].protocol, Protocol::Upnp);
        running.mapper.close().await;
        assert!(!lab.forwards(PORT), "{}", lab.rules());
    });
}

#[test]
fn a_router_that_appears_later_is_found_within_thirty_seconds() {
    let Some(lab) = Lab::new() else { return };
    at_home(lab, async |lab| {
        let mut running = start(true, &[]);
        let state = running.until("silence", |state| state.failures.len() == 3).await;
        assert!(state.failures.iter().all(|failure| failure.code == "no-answer"), "{state:#?}");
        let advice = state.advice(PORT).unwrap();
        assert!(advice.starts_with("the router at 192.168.77.1 does not answer to UPnP, NAT-PMP or PCP"), "{advice}");
        // UPnP alone: nothing announces it in a way that we hear.
        lab.start_router(UPNP, "");
        running.until("a mapping", is_mapped).await;
        running.mapper.close().await;
    });
}

#[test]
fn a_mapping_that_a_restarted_router_forgot_is_back_when_it_announces_itself() {
    let Some(lab) = Lab::new() else { return };
    at_home(lab, async |lab| {
        let (running, _) = mapped_by(lab, ALL, "").await;
        lab.break_router();
        assert!(!lab.forwards(PORT));
        lab.start_router(ALL, "");
        lab.until_forwards(PORT, true).await;
        running.mapper.close().await;
        lab.until_forwards(PORT, false).await;
    });
}

#[test]
fn a_mapping_by_upnp_is_found_again_when_the_network_changes() {
    let Some(lab) = Lab::new() else { return };
    at_home(lab, async |lab| {
        let (mut running, _) = mapped_by(lab, UPNP, "").await;
        // Its service has another port from now on.
        lab.break_router();
        lab.start_router(UPNP, "");
        running.network.send_modify(|count| *count += 1);
        // That closing takes it away is tested above: here the router may still be answering when it is seen.
        lab.until_forwards(PORT, true).await;
        running.until("a mapping", is_mapped).await;
    });
}

#[test]
fn a_router_that_is_gone_is_told_as_silent() {
    let Some(lab) = Lab::new() else { return };
    at_home(lab, async |lab| {
        let (mut running, _) = mapped_by(lab, ALL, "").await;
        lab.break_router();
        running.network.send_modify(|count| *count += 1);
        let state = running.until("silence", |state| state.mapped.is_empty() && state.failures.len() == 3).await;
        assert!(state.failures.iter().all(|failure| failure.code == "no-answer"), "{state:#?}");
        running.mapper.close().await;
    });
}

#[test]
fn a_port_that_another_computer_has_is_mapped_to_another_port_outside() {
    for protocol in [Protocol::Pcp, Protocol::Upnp] {
        let Some(lab) = Lab::new() else { return };
        at_home(lab, async |lab| {
            lab.start_router(ALL, "");
            lab.map_for_another();
            if protocol == Protocol::Upnp {
                lab.nft("add rule inet filter input udp dport 5351 drop");
            }
            let mut running = start(true, &[]);
            let state = running.until("a mapping", is_mapped).await;
            let external = state.mapped[0].external.port();
            assert_eq!(state.mapped[0].protocol, protocol);
            assert_ne!(external, PORT);
            assert!(lab.forwards(external), "{}", lab.rules());
            running.mapper.close().await;
            assert!(!lab.forwards(external), "{}", lab.rules());
            assert!(lab.rules().contains(ANOTHER), "{}", lab.rules());
        });
    }
}

#[test]
fn what_a_crash_left_behind_is_ours_again_and_no_hindrance_to_others() {
    for (nonce, protocol) in [([7; 12], Some(Protocol::Pcp)), ([8; 12], None)] {
        let Some(lab) = Lab::new() else { return };
        at_home(lab, async |lab| {
            lab.start_router(ALL, "");
            let client = Client {
                port: PORT.try_into().unwrap(),
                nonce: [7; 12],
                description: "xbt".into(),
                started: Instant::now(),
            };
            pcp::map(&client, route::uplinks_v4()[0], (None, PORT)).await.unwrap();
            assert!(lab.forwards(PORT), "{}", lab.rules());
            let mut running = start_as(Some(nonce), true, &[]);
            let state = running.until("a mapping", is_mapped).await;
            assert!(protocol.is_none_or(|protocol| state.mapped[0].protocol == protocol), "{state:?}");
            assert_eq!(lab.rules().matches("dnat ip to").count(), 1, "{}", lab.rules());
            running.mapper.close().await;
            assert!(!lab.forwards(PORT), "{}", lab.rules());
        });
    }
}

#[test]
fn a_router_whose_rules_forbid_it_is_told_as_that() {
    let Some(lab) = Lab::new() else { return };
    at_home(lab, async |lab| {
        // By UPnP alone: asked by PCP, miniupnpd tries all ports before it says so.
        lab.start_router(UPNP, "deny 0-65535 192.168.77.2/32 0-65535");
        let mut running = start(true, &[]);
        let is_forbidden = |state: &MappingState| state.failures.iter().any(|failure| failure.code == "not-authorised");
        let state = running.until("word that it is forbidden", is_forbidden).await;
        assert_eq!(state.mapped, []);
        let advice = state.advice(PORT).unwrap();
        assert!(advice.contains("does not let this computer map ports by UPnP"), "{advice}");
        assert!(!lab.forwards(PORT), "{}", lab.rules());
        running.mapper.close().await;
    });
}

#[test]
fn pcp_opens_a_pinhole_for_our_ipv6_address() {
    // Without UPnP, which takes over where a busy machine answers PCP too late.
    pinhole(Speaks { upnp: false, ..ALL }, Protocol::Pcp);
}

#[test]
fn upnp_opens_a_pinhole_for_our_ipv6_address() {
    pinhole(UPNP, Protocol::Upnp);
}

fn pinhole(speaks: Speaks, protocol: Protocol) {
    let Some(lab) = Lab::new() else { return };
    at_home(lab, async |lab| {
        lab.route_ipv6();
        lab.start_router(speaks, "ipv6_disable=no");
        let mut running = start(false, &[OWN6]);
        let state = running.until("a pinhole", is_mapped).await;
        assert_eq!(state.mapped[0].protocol, protocol);
        assert_eq!(state.mapped[0].external, format!("[{OWN6}]:{PORT}").parse().unwrap());
        assert!(lab.lets_in_ipv6(), "{}", lab.rules());
        running.mapper.close().await;
        assert!(!lab.lets_in_ipv6(), "{}", lab.rules());
    });
}

#[test]
fn a_pinhole_of_an_address_that_we_have_no_more_is_removed() {
    let Some(lab) = Lab::new() else { return };
    at_home(lab, async |lab| {
        lab.route_ipv6();
        let (mut running, _) = mapped_by(lab, ALL, "").await;
        running.mapper.set_ipv6(vec![OWN6.parse().unwrap()]);
        running.until("a pinhole", |state| state.mapped.len() == 2).await;
        assert!(lab.lets_in_ipv6() && lab.forwards(PORT), "{}", lab.rules());
        running.mapper.set_ipv6(Vec::new());
        running.until("no pinhole", |state| state.mapped.len() == 1).await;
        assert!(!lab.lets_in_ipv6() && lab.forwards(PORT), "{}", lab.rules());
        running.mapper.close().await;
    });
}

#[test]
#[ignore = "takes two minutes: waits for renewals"]
fn a_mapping_outlives_its_lifetime() {
    let Some(lab) = Lab::new() else { return };
    at_home(lab, async |lab| {
        let (running, _) = mapped_by(lab, ALL, "min_lifetime=60\nmax_lifetime=120").await;
        let end = Instant::now() + Duration::from_secs(150);
        while Instant::now() < end {
            assert!(lab.forwards(PORT), "{}", lab.rules());
            sleep(Duration::from_secs(1)).await;
        }
        running.mapper.close().await;
        lab.until_forwards(PORT, false).await;
    });
}
