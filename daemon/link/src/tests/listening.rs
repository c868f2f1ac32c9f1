use super::*;

#[tokio::test]
async fn port_0_is_one_port_for_both_families_and_is_kept_if_it_is_free() {
    let identity = new_identity;
    let first = Device::start(identity(), config(&[V4, V6]));
    let port = first.handle.port().unwrap();
    assert!(first.handle.listening().iter().all(|address| address.port() == port));
    assert_eq!(first.handle.listening().len(), 2);
    // IPv6 first.
    assert!(first.handle.candidates()[0].address.is_ipv6());

    let kept = LinkConfig { kept_port: Some(port), ..config(&[V4, V6]) };
    let second = Device::start(identity(), kept.clone());
    assert_ne!(second.handle.port(), Some(port), "taken, so a new one was chosen");

    // Somebody else on this computer may get the port in between; not ten times, though.
    let mut room = first._room;
    let mut port = port;
    for _ in 0..10 {
        room.close().await;
        let next = Device::start(identity(), LinkConfig { kept_port: Some(port), ..kept.clone() });
        if next.handle.port() == Some(port) {
            return;
        }
        (room, port) = (next._room, next.handle.port().unwrap());
    }
    panic!("the port was never kept");
}

#[tokio::test]
async fn a_configured_port_that_is_taken_is_an_error() {
    let taken = std::net::TcpListener::bind(V4).unwrap();
    let address = taken.local_addr().unwrap().to_string();
    let (sender, _events) = mpsc::channel(1);
    let error = LinkRoom::start(new_identity(), config(&[&address]), sender).await.err().unwrap();
    assert_eq!(error.code(), "listen-failed");
    assert!(error.to_string().contains(&address), "{error}");
}

#[tokio::test]
async fn an_address_that_this_computer_does_not_have_is_left_out() {
    let device = Device::start(new_identity(), config(&["192.0.2.77:0", V4]));
    assert_eq!(device.handle.listening().len(), 1);
}

#[tokio::test]
async fn the_room_ends_when_nobody_takes_events() {
    let device = Device::start(new_identity(), config(&[V4]));
    let Device { _room: room, handle, events, .. } = device;
    drop(events);
    let peer = new_identity().fingerprint();
    // Fails at once and has to be told.
    handle.dial(request_for(TransferId(1), peer, HOLIDAY, Vec::new()));
    timeout(PATIENCE, room.close()).await.unwrap();
}

/// Set for the process that has a network of its own.
const OWN_NET: &str = "XBT_TEST_OWN_NET";

/// This test changes addresses, so it plays in a network namespace, which root or user namespaces give.
#[test]
fn a_new_address_of_an_interface_is_told() {
    if std::env::var_os(OWN_NET).is_some() {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        return runtime.block_on(a_new_address_is_told());
    }
    let unshare = |command: &[&str]| {
        let mut line = std::process::Command::new("unshare");
        line.args(["--net", "--map-root-user"]).args(command);
        line
    };
    if !unshare(&["true"]).status().is_ok_and(|status| status.success()) {
        eprintln!("did not run: it needs root or unprivileged user namespaces, and the package util-linux");
        return;
    }
    let me = std::env::current_exe().unwrap();
    // Without the crate, as test programs know it: a name that is spelled out would run no test once it moves.
    let (_, module) = module_path!().split_once("::").unwrap();
    let test = format!("{module}::a_new_address_of_an_interface_is_told");
    let mut inside = unshare(&[me.to_str().unwrap(), "--exact", &test, "--nocapture"]);
    assert!(inside.env(OWN_NET, "1").status().unwrap().success());
}

/// Whether somebody in this network listens for what the kernel tells of addresses (netlink(7)).
fn is_subscribed() -> bool {
    let table = std::fs::read_to_string("/proc/self/net/netlink").unwrap();
    let groups = table.lines().skip(1).filter_map(|line| line.split_whitespace().nth(3));
    groups.filter_map(|groups| u32::from_str_radix(groups, 16).ok()).any(|groups| groups != 0)
}

async fn a_new_address_is_told() {
    let ip = |arguments: &str| {
        assert!(std::process::Command::new("ip").args(arguments.split(' ')).status().unwrap().success(), "{arguments}");
    };
    let mut device = Device::start(new_identity(), config(&["0.0.0.0:0"]));
    assert!(device.handle.candidates().is_empty());
    // Not before the room listens, so that it is the kernel which tells it.
    timeout(PATIENCE, async {
        while !is_subscribed() {
            tokio::task::yield_now().await
        }
    })
    .await
    .unwrap();
    ip("link set lo up");
    ip("address add 192.0.2.9/24 dev lo");
    let expected = SocketAddr::new("192.0.2.9".parse().unwrap(), device.handle.port().unwrap());
    let LinkEvent::CandidatesChanged(told) = device.event().await else { panic!("something else") };
    assert_eq!(told, [host(expected)]);
    assert_eq!(device.handle.candidates(), told);
}
