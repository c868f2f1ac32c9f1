//! The addresses of this computer's interfaces, and word of their changes.

use std::io;
use std::net::IpAddr;
use std::time::Duration;

use rustix::net::{AddressFamily, RecvFlags, SocketFlags, SocketType, netlink};
use tokio::io::unix::AsyncFd;
use tokio::sync::watch;
use tokio::time::sleep;

/// `RTMGRP_IPV4_IFADDR | RTMGRP_IPV6_IFADDR` of rtnetlink(7): addresses that come and go.
const ADDRESS_GROUPS: u32 = 0x10 | 0x100;

/// A network that comes up brings several changes at once.
const SETTLE: Duration = Duration::from_millis(500);

/// How often we look where the kernel does not tell us.
const POLL: Duration = Duration::from_secs(10);

/// One address of an interface.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Interface {
    /// As the system calls it, `eth0`.
    pub name: String,
    /// Its address.
    pub ip: IpAddr,
}

/// All addresses of all interfaces, in the system's order. Where the system does not tell: none.
pub(super) fn interfaces() -> Vec<Interface> {
    match if_addrs::get_if_addrs() {
        Ok(found) => found.into_iter().map(|i| Interface { ip: i.ip(), name: i.name }).collect(),
        Err(error) => {
            tracing::warn!(%error, "the addresses of this computer cannot be read");
            Vec::new()
        }
    }
}

/// Keeps `current` up to date until nobody looks at it any more.
pub(super) async fn watch(current: watch::Sender<Vec<Interface>>) {
    let events = match subscribe() {
        Ok(events) => Some(events),
        Err(error) => {
            tracing::debug!(%error, "no word of address changes from the kernel; looking every 10 s");
            None
        }
    };
    while !current.is_closed() {
        match &events {
            Some(events) => {
                if wait(events).await.is_err() {
                    sleep(POLL).await;
                }
                sleep(SETTLE).await;
            }
            None => sleep(POLL).await,
        }
        let now = interfaces();
        current.send_if_modified(|known| {
            let changed = *known != now;
            if changed {
                *known = now;
            }
            changed
        });
    }
}

/// A netlink socket that is told of address changes.
fn subscribe() -> io::Result<AsyncFd<rustix::fd::OwnedFd>> {
    let flags = SocketFlags::NONBLOCK | SocketFlags::CLOEXEC;
    // No protocol number is number 0, NETLINK_ROUTE.
    let socket = rustix::net::socket_with(AddressFamily::NETLINK, SocketType::RAW, flags, None)?;
    rustix::net::bind(&socket, &netlink::SocketAddrNetlink::new(0, ADDRESS_GROUPS))?;
    Ok(AsyncFd::register(socket)?)
}

/// Waits for at least one message and throws all of them away: that something changed is all we want to know.
async fn wait(events: &AsyncFd<rustix::fd::OwnedFd>) -> io::Result<()> {
    let mut message = [0; 4096];
    let mut ready = events.readable().await?;
    loop {
        match rustix::net::recv(events, &mut message[..], RecvFlags::empty()) {
            // ENOBUFS: so many changes that some were lost; look anyway.
            Ok(_) | Err(rustix::io::Errno::INTR | rustix::io::Errno::NOBUFS) => {}
            Err(rustix::io::Errno::AGAIN) => {
                ready.clear_ready();
                return Ok(());
            }
            Err(error) => return Err(error.into()),
        }
    }
}
