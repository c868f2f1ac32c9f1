//! Against routers that do what no real one can be made to do.

use std::net::{IpAddr, TcpListener as StdTcpListener, UdpSocket as StdUdpSocket};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use tokio::io::AsyncWriteExt;
use tokio::net::{TcpListener, UdpSocket};
use tokio::time::{Instant, sleep, timeout};

use super::lab::{ANOTHER, Lab, OWN, PATIENCE, PORT, ROUTER, at_home, start, within};
use super::message::granting;
use crate::Protocol;

/// A router that speaks PCP and grants what it is told to.
struct Pcp {
    external: IpAddr,
    lifetime: u32,
    epoch: u32,
    /// Requests, removals among them.
    heard: Vec<Vec<u8>>,
}

fn pcp(lab: &Lab, external: &str) -> Arc<Mutex<Pcp>> {
    let pcp = Pcp { external: external.parse().unwrap(), lifetime: 3600, epoch: 1000, heard: Vec::new() };
    let shared = Arc::new(Mutex::new(pcp));
    let socket = lab.router_socket(5351);
    socket.set_nonblocking(true).unwrap();
    let socket = UdpSocket::from_std(socket).unwrap();
    let router = Arc::clone(&shared);
    tokio::spawn(async move {
        let mut bytes = [0; 1100];
        while let Ok((length, from)) = socket.recv_from(&mut bytes).await {
            let request = &bytes[..length];
            if request[0] != 2 {
                continue;
            }
            let answer = {
                let mut pcp = router.lock().unwrap();
                pcp.heard.push(request.to_vec());
                let removes = request[4..8] == [0; 4];
                let lifetime = if removes { 0 } else { pcp.lifetime };
                granting(request, pcp.external, PORT, lifetime, pcp.epoch)
            };
            socket.send_to(&answer, from).await.unwrap();
        }
    });
    shared
}

#[test]
fn a_router_behind_another_router_is_mapped_and_told() {
    for external in ["10.9.8.7", "100.64.1.1", "192.168.178.20"] {
        let Some(lab) = Lab::new() else { return };
        at_home(lab, async |lab| {
            pcp(lab, external);
            let mut running = start(true, &[]);
            let state = running.until("a mapping", |state| !state.mapped.is_empty()).await;
            assert_eq!(state.mapped[0].external.ip(), external.parse::<IpAddr>().unwrap());
            assert_eq!(state.failures[0].code, "private-external-address");
            assert!(state.advice(PORT).unwrap().contains("is itself behind another router"));
            running.mapper.close().await;
        });
    }
}

#[test]
fn an_address_for_documentation_counts_as_public() {
    let Some(lab) = Lab::new() else { return };
    at_home(lab, async |lab| {
        pcp(lab, "203.0.113.9");
        let mut running = start(true, &[]);
        let state = running.until("a mapping", |state| !state.mapped.is_empty()).await;
        assert_eq!(state.mapped[0].protocol, Protocol::Pcp);
        assert_eq!(state.failures, []);
        running.mapper.close().await;
    });
}

#[test]
fn a_router_that_is_not_connected_is_told_as_that_and_nothing_stays_mapped() {
    let Some(lab) = Lab::new() else { return };
    at_home(lab, async |lab| {
        let router = pcp(lab, "0.0.0.0");
        let mut running = start(true, &[]);
        let state = running.until("failures", |state| state.failures.len() == 3).await;
        assert_eq!(state.failures[0].code, "no-external-address");
        let last = router.lock().unwrap().heard.last().unwrap().clone();
        assert_eq!(last[4..8], [0; 4], "removed");
        running.mapper.close().await;
    });
}

#[test]
fn a_router_that_announces_itself_is_asked_again_and_others_that_do_are_not() {
    let Some(lab) = Lab::new() else { return };
    at_home(lab, async |lab| {
        let router = pcp(lab, "203.0.113.9");
        let mut running = start(true, &[]);
        running.until("a mapping", |state| !state.mapped.is_empty()).await;
        let before = router.lock().unwrap().heard.len();
        let word = [0, 128, 0, 0, 0, 0, 0, 3, 203, 0, 113, 9];
        // Of another computer.
        let home = lab.home.clone();
        let liar = within(&home, || StdUdpSocket::bind((ANOTHER, 0)).unwrap());
        liar.send_to(&word, (OWN, 5350)).unwrap();
        timeout(Duration::from_millis(500), running.state.changed()).await.unwrap_err();
        assert_eq!(router.lock().unwrap().heard.len(), before);
        // Of the router.
        router.lock().unwrap().epoch = 3;
        let socket = lab.router_socket(0);
        socket.send_to(&word, "224.0.0.1:5350").unwrap();
        let deadline = Instant::now() + PATIENCE;
        while router.lock().unwrap().heard.len() == before {
            assert!(Instant::now() < deadline, "not asked again");
            sleep(Duration::from_millis(20)).await;
        }
        running.mapper.close().await;
    });
}

#[test]
fn without_a_router_that_is_said_and_one_that_comes_is_found_when_the_network_changes() {
    let Some(lab) = Lab::new() else { return };
    at_home(lab, async |lab| {
        let (home, router) = (lab.home.clone(), ROUTER);
        let ip =
            |line: String| assert!(std::process::Command::new("ip").args(line.split(' ')).status().unwrap().success());
        ip(format!("-n {home} route del default"));
        pcp(lab, "203.0.113.9");
        let mut running = start(true, &[]);
        let state = running.until("failures", |state| !state.failures.is_empty()).await;
        assert!(state.failures.iter().all(|failure| failure.code == "no-gateway"), "{state:#?}");
        ip(format!("-n {home} route add default via {router}"));
        running.network.send_modify(|count| *count += 1);
        running.until("a mapping", |state| !state.mapped.is_empty()).await;
        running.mapper.close().await;
    });
}

#[test]
fn what_an_unfinished_search_may_have_got_is_removed_at_the_end() {
    let Some(lab) = Lab::new() else { return };
    at_home(lab, async |lab| {
        let router = pcp(lab, "203.0.113.9");
        // The answer will not be awaited.
        let running = start(true, &[]);
        while router.lock().unwrap().heard.is_empty() {
            sleep(Duration::from_millis(1)).await;
        }
        running.mapper.close().await;
        let last = router.lock().unwrap().heard.last().unwrap().clone();
        assert_eq!(last[4..8], [0; 4], "removed");
    });
}

/// Answers a search with where its documents are, and then tells them without an end.
fn drip(lab: &Lab) {
    let (search, documents) = within(&lab.router, || {
        (StdUdpSocket::bind((ROUTER, 1900)).unwrap(), StdTcpListener::bind((ROUTER, 8080)).unwrap())
    });
    search.set_nonblocking(true).unwrap();
    documents.set_nonblocking(true).unwrap();
    let search = UdpSocket::from_std(search).unwrap();
    let documents = TcpListener::from_std(documents).unwrap();
    tokio::spawn(async move {
        let mut bytes = [0; 1500];
        while let Ok((_, from)) = search.recv_from(&mut bytes).await {
            let answer = format!("HTTP/1.1 200 OK\r\nLOCATION: http://{ROUTER}:8080/\r\n\r\n");
            search.send_to(answer.as_bytes(), from).await.unwrap();
        }
    });
    tokio::spawn(async move {
        while let Ok((mut stream, _)) = documents.accept().await {
            tokio::spawn(async move {
                let mut piece = "HTTP/1.1 200 OK\r\n\r\n<root>".to_owned();
                while stream.write_all(piece.as_bytes()).await.is_ok() {
                    piece = "<device>".to_owned();
                    sleep(Duration::from_millis(10)).await;
                }
            });
        }
    });
}

#[test]
fn a_router_whose_documents_have_no_end_is_given_up() {
    let Some(lab) = Lab::new() else { return };
    at_home(lab, async |lab| {
        drip(lab);
        let mut running = start(true, &[]);
        let state = running.until("failures", |state| state.failures.len() == 3).await;
        assert_eq!(state.failures[2].code, "no-answer");
        running.mapper.close().await;
    });
}
