//! Looks at a laboratory without any of our own programs, to see that it is what it says.

use std::io;
use std::net::{IpAddr, Ipv4Addr, SocketAddr, SocketAddrV4, TcpListener, TcpStream, UdpSocket};
use std::time::Duration;

use super::scene::{Mapping, Side, public_v4};
use super::server::STUN;
use super::space::Space;
use crate::wait;

/// A round trip in the laboratory takes well below a millisecond.
const ANSWER: Duration = Duration::from_millis(200);

/// How often a request is repeated: the program may be about to start.
const TRIES: usize = 15;

/// RFC 8489, section 5.
const COOKIE: [u8; 4] = [0x21, 0x12, 0xA4, 0x42];

/// A UDP socket on the network of a namespace.
pub fn udp(space: &Space) -> UdpSocket {
    let socket = space.inside(|| UdpSocket::bind("0.0.0.0:0")).expect("there is a free port");
    socket.set_read_timeout(Some(ANSWER)).expect("not zero");
    socket
}

/// The address that a STUN server (`last` is the last number of its address) sees this socket at.
pub fn mapped(socket: &UdpSocket, last: u8) -> Option<SocketAddrV4> {
    let id = *b"xbt-lab-prob";
    let request = [&[0, 1, 0, 0][..], &COOKIE, &id].concat();
    let server = SocketAddrV4::new(public_v4(last), 3478);
    let answer = ask(socket, server, &request, |bytes| bytes.get(8..20) == Some(&id))?;
    // XOR-MAPPED-ADDRESS (RFC 8489, section 14.2).
    let mut rest = answer.get(20..)?;
    while let [kind0, kind1, length0, length1, more @ ..] = rest {
        let length = usize::from(u16::from_be_bytes([*length0, *length1]));
        let value = more.get(..length)?;
        if [*kind0, *kind1] == [0x00, 0x20] && value.get(1) == Some(&1) {
            let port = u16::from_be_bytes([value[2] ^ COOKIE[0], value[3] ^ COOKIE[1]]);
            let ip: [u8; 4] = std::array::from_fn(|at| value[4 + at] ^ COOKIE[at]);
            return Some(SocketAddrV4::new(Ipv4Addr::from(ip), port));
        }
        rest = more.get(length.div_ceil(4) * 4..)?;
    }
    None
}

/// The address that the STUN server sees a host at.
pub fn seen_at(space: &Space) -> Option<SocketAddrV4> {
    mapped(&udp(space), STUN)
}

/// Whether a side's router answers a question of this protocol.
pub fn answers(space: &Space, side: Side, protocol: Mapping) -> bool {
    let socket = udp(space);
    let gateway = SocketAddrV4::new(side.gateway(), 5351);
    match protocol {
        Mapping::NatPmp => ask(&socket, gateway, &[0, 0], |bytes| bytes.starts_with(&[0, 128, 0, 0])).is_some(),
        Mapping::Pcp => {
            // ANNOUNCE (RFC 6887, section 14.1): only the header, with our own address mapped into IPv6.
            let own = side.private_v4().to_ipv6_mapped().octets();
            let request = [&[2, 0, 0, 0, 0, 0, 0, 0][..], &own].concat();
            ask(&socket, gateway, &request, |bytes| bytes.starts_with(&[2, 128])).is_some()
        }
        Mapping::Upnp => {
            let group = SocketAddrV4::new(Ipv4Addr::new(239, 255, 255, 250), 1900);
            let search = "M-SEARCH * HTTP/1.1\r\nHOST: 239.255.255.250:1900\r\nMAN: \"ssdp:discover\"\r\nMX: 1\r\n\
                          ST: urn:schemas-upnp-org:device:InternetGatewayDevice:1\r\n\r\n";
            ask(&socket, group, search.as_bytes(), |bytes| bytes.starts_with(b"HTTP/1.1 200")).is_some()
        }
    }
}

/// Maps a TCP port by NAT-PMP (RFC 6886, section 3.3); the port that the router chose.
pub fn map_tcp(space: &Space, side: Side, port: u16) -> Option<u16> {
    let [high, low] = port.to_be_bytes();
    let request = [0, 2, 0, 0, high, low, high, low, 0, 0, 2, 0];
    let gateway = SocketAddrV4::new(side.gateway(), 5351);
    let answer = ask(&udp(space), gateway, &request, |bytes| bytes.starts_with(&[0, 130, 0, 0]))?;
    Some(u16::from_be_bytes([*answer.get(10)?, *answer.get(11)?]))
}

/// Whether a TCP connection from one namespace to an address of another comes up; somebody listens on `port` there.
pub fn tcp_reaches(from: &Space, to: &Space, listen: IpAddr, address: SocketAddr) -> bool {
    // A program that another test is just starting has a copy of what was closed here, until it runs.
    let bind = || to.inside(|| TcpListener::bind((listen, address.port()))).ok();
    let listener = wait::until("the port is free", wait::SOON, bind);
    let reached = from.inside(|| TcpStream::connect_timeout(&address, Duration::from_secs(1)).is_ok());
    drop(listener);
    reached
}

/// Whether two hosts reach each other by UDP when each writes to where STUN saw the other.
pub fn punches(a: &Space, b: &Space) -> bool {
    let (a, b) = (udp(a), udp(b));
    let (Some(at_a), Some(at_b)) = (mapped(&a, STUN), mapped(&b, STUN)) else { return false };
    let mut heard = (false, false);
    let hears = |socket: &UdpSocket, word: &[u8]| {
        let mut buffer = [0; 64];
        matches!(socket.recv_from(&mut buffer), Ok((read, _)) if &buffer[..read] == word)
    };
    for _ in 0..5 {
        // A router may refuse with an error that the system tells at the next call; that is no answer.
        let _ = (a.send_to(b"from a", at_b), b.send_to(b"from b", at_a));
        heard.0 |= hears(&a, b"from b");
        heard.1 |= hears(&b, b"from a");
    }
    heard == (true, true)
}

fn ask(socket: &UdpSocket, to: SocketAddrV4, request: &[u8], fits: impl Fn(&[u8]) -> bool) -> Option<Vec<u8>> {
    let mut buffer = [0; 2048];
    for _ in 0..TRIES {
        assert!(!wait::interrupted(), "interrupted");
        if socket.send_to(request, to).is_err() {
            continue;
        }
        match socket.recv(&mut buffer) {
            Ok(read) if fits(&buffer[..read]) => return Some(buffer[..read].to_vec()),
            Ok(_) => (),
            Err(error) if matches!(error.kind(), io::ErrorKind::WouldBlock | io::ErrorKind::TimedOut) => (),
            Err(_) => std::thread::sleep(ANSWER), // refused at once: nobody listens yet
        }
    }
    None
}
