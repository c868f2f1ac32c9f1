//! The addresses of this computer's interfaces, and their changes.

use std::io;
use std::net::IpAddr;
use std::time::Duration;

use rustix::io::Errno;
use rustix::net::{AddressFamily, SocketFlags, SocketType, netlink};
use tokio::net::UdpSocket;
use tokio::sync::watch;
use tokio::time::sleep;

/// `RTMGRP_IPV4_IFADDR | RTMGRP_IPV6_IFADDR` of rtnetlink(7): addresses that come and go.
const ADDRESS_GROUPS: u32 = 0x10 | 0x100;

/// A network that comes up brings several changes at once.
const SETTLE: Duration = Duration::from_millis(500);

/// How often we look where the kernel does not notify us.
const POLL: Duration = Duration::from_secs(10);

/// One address of an interface.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Interface {
    /// As the system calls it, `eth0`.
    pub name: String,
    /// Its address.
    pub ip: IpAddr,
    /// Bits of the address that are those of its network.
    pub prefix: u8,
}

/// All addresses of all interfaces, in the system's order; none where they cannot be read.
pub(crate) fn interfaces() -> Vec<Interface> {
    match if_addrs::get_if_addrs() {
        Ok(found) => {
            found.into_iter().map(|i| Interface { ip: i.ip(), prefix: prefix(&i.addr), name: i.name }).collect()
        }
        Err(error) => {
            tracing::warn!(%error, "the addresses of this computer cannot be read");
            Vec::new()
        }
    }
}

fn prefix(address: &if_addrs::IfAddr) -> u8 {
    match address {
        if_addrs::IfAddr::V4(v4) => v4.prefixlen,
        if_addrs::IfAddr::V6(v6) => v6.prefixlen,
    }
}

impl Interface {
    /// Whether an address is one of the network that this interface is in.
    pub fn reaches(&self, ip: IpAddr) -> bool {
        let same = |a: u128, b: u128, bits: u32, prefix: u8| {
            let rest = bits.saturating_sub(u32::from(prefix));
            a.checked_shr(rest) == b.checked_shr(rest)
        };
        match (self.ip, ip) {
            (IpAddr::V4(own), IpAddr::V4(ip)) => same(own.to_bits().into(), ip.to_bits().into(), 32, self.prefix),
            (IpAddr::V6(own), IpAddr::V6(ip)) => same(own.to_bits(), ip.to_bits(), 128, self.prefix),
            (IpAddr::V4(_), IpAddr::V6(_)) | (IpAddr::V6(_), IpAddr::V4(_)) => false,
        }
    }
}

/// Keeps `current` up to date; never returns.
pub(crate) async fn watch(current: watch::Sender<Vec<Interface>>) {
    let events = match subscribe() {
        Ok(events) => Some(events),
        Err(error) => {
            tracing::debug!(%error, "the kernel does not notify us of address changes; looking every 10 s");
            None
        }
    };
    loop {
        // First for what changed between the first look and the subscription.
        let now = interfaces();
        current.send_if_modified(|known| {
            let changed = *known != now;
            if changed {
                *known = now;
            }
            changed
        });
        match &events {
            Some(events) => match wait(events).await {
                Ok(()) => sleep(SETTLE).await,
                Err(error) => {
                    tracing::debug!(%error, "the kernel does not notify us of address changes");
                    sleep(POLL).await;
                }
            },
            None => sleep(POLL).await,
        }
    }
}

/// A netlink socket that is notified of address changes. It is no UDP socket, but is polled and read like one, and tokio
/// offers no other safe way to do that for such a family.
fn subscribe() -> io::Result<UdpSocket> {
    let flags = SocketFlags::NONBLOCK | SocketFlags::CLOEXEC;
    // No protocol number is number 0, NETLINK_ROUTE.
    let socket = rustix::net::socket_with(AddressFamily::NETLINK, SocketType::RAW, flags, None)?;
    rustix::net::bind(&socket, &netlink::SocketAddrNetlink::new(0, ADDRESS_GROUPS))?;
    UdpSocket::from_std(socket.into())
}

/// Waits for at least one message and discards all of them: that something changed is enough.
async fn wait(events: &UdpSocket) -> io::Result<()> {
    let mut message = [0; 4096];
    loop {
        events.readable().await?;
        let mut any = false;
        loop {
            match events.try_recv(&mut message) {
                Ok(_) => any = true,
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => break,
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                // Some messages were lost: something changed.
                Err(error) if error.raw_os_error() == Some(Errno::NOBUFS.raw_os_error()) => any = true,
                Err(error) => return Err(error),
            }
        }
        if any {
            return Ok(());
        }
    }
}
