//! Writes down what goes through a server's SOCKS5 proxy, which cannot do that itself.

use std::io::{Read, Write};
use std::net::{Shutdown, SocketAddr, SocketAddrV4, TcpListener, TcpStream};
use std::sync::{Arc, Mutex};
use std::thread;

use super::scene::Side;
use super::server::PROXY;
use super::space::Space;

/// Where it listens.
const PORT: u16 = 5001;

/// Stands before the proxy of alice's server from now on. It ends with the laboratory, whose sockets end then.
#[derive(Clone, Debug)]
pub struct Recorder {
    bytes: Arc<Mutex<Vec<u8>>>,
}

impl Recorder {
    /// Turns connections that come to the proxy over the public network to itself, and passes them on.
    pub fn start(public: &Space) -> Self {
        let proxy = SocketAddr::from(SocketAddrV4::new(Side::A.server().0, PROXY));
        public.sh(&format!(
            "nft 'table ip recorder {{ chain prerouting {{ type nat hook prerouting priority dstnat
             iifname br0 tcp dport {PROXY} redirect to :{PORT}
             }}; }}'"
        ));
        let listener = public.inside(|| TcpListener::bind(("0.0.0.0", PORT))).expect("the port is free");
        let recorder = Self { bytes: Arc::default() };
        let (all, space) = (recorder.bytes.clone(), public.clone());
        thread::spawn(move || {
            for client in listener.incoming().flatten() {
                let Ok(server) = space.inside(|| TcpStream::connect(proxy)) else { continue };
                let (Ok(client2), Ok(server2)) = (client.try_clone(), server.try_clone()) else { continue };
                for (from, to) in [(client, server), (server2, client2)] {
                    let all = all.clone();
                    thread::spawn(move || pass(from, to, &all));
                }
            }
        });
        recorder
    }

    /// All bytes so far, both directions, those of one direction in their order.
    pub fn bytes(&self) -> Vec<u8> {
        self.bytes.lock().expect("nobody panics with it").clone()
    }
}

fn pass(mut from: TcpStream, mut to: TcpStream, all: &Mutex<Vec<u8>>) {
    let mut buffer = vec![0; 1 << 16];
    while let Ok(read @ 1..) = from.read(&mut buffer) {
        all.lock().expect("nobody panics with it").extend_from_slice(&buffer[..read]);
        if to.write_all(&buffer[..read]).is_err() {
            break;
        }
    }
    // The other direction may still have something to say.
    let _ = to.shutdown(Shutdown::Write);
}
