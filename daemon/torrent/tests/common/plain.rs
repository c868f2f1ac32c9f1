//! Plain BitTorrent over TCP, as for contents that are open to everybody: what a caller of the engine does for it.

use std::net::SocketAddr;
use std::process::Stdio;
use std::time::Duration;

use tokio::io::{AsyncBufReadExt, AsyncReadExt, AsyncWriteExt, BufReader};
use tokio::net::{TcpListener, TcpStream};
use tokio::process::{Child, Command};
use tokio::time::timeout;
use xbt_torrent::handshake::Handshake;
use xbt_torrent::{Engine, Prepared};

use super::{KEY, tag};

const HANDSHAKE: Duration = Duration::from_secs(10);

/// Takes whoever knows the hash; anything else is closed. The address to come to.
pub async fn listen(engine: &Engine, info_hash: [u8; 20]) -> SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let engine = engine.clone();
    tokio::spawn(async move {
        while let Ok((mut stream, _)) = listener.accept().await {
            let engine = engine.clone();
            tokio::spawn(async move {
                let theirs = timeout(HANDSHAKE, Handshake::read(&mut stream)).await.ok()?.ok()?;
                if theirs.info_hash == info_hash {
                    Handshake::ours(info_hash, engine.peer_id()).write(&mut stream).await.ok()?;
                    engine.attach(KEY, tag(), stream, theirs.reserved);
                }
                Some(())
            });
        }
    });
    address
}

/// Goes to a program that may still be starting.
pub async fn dial(engine: &Engine, info_hash: [u8; 20], port: u16) {
    let dialled = async {
        loop {
            if once(engine, info_hash, port).await.is_some() {
                return;
            }
            tokio::time::sleep(Duration::from_millis(100)).await;
        }
    };
    timeout(super::PATIENCE, dialled).await.expect("the program takes a connection");
}

async fn once(engine: &Engine, info_hash: [u8; 20], port: u16) -> Option<()> {
    let mut stream = TcpStream::connect(("127.0.0.1", port)).await.ok()?;
    Handshake::ours(info_hash, engine.peer_id()).write(&mut stream).await.ok()?;
    let theirs = timeout(HANDSHAKE, Handshake::read(&mut stream)).await.ok()?.ok()?;
    (theirs.info_hash == info_hash).then(|| engine.attach(KEY, tag(), stream, theirs.reserved))
}

/// A tracker (BEP 3, 23) that tells everybody of one peer; its URL.
pub async fn tracker(peer: SocketAddr) -> String {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}/announce", listener.local_addr().unwrap());
    tokio::spawn(async move {
        while let Ok((mut stream, _)) = listener.accept().await {
            let mut request = vec![0; 4096];
            let _ = stream.read(&mut request).await;
            let mut body = b"d8:intervali1800e12:min intervali1800e5:peers6:\x7f\0\0\x01".to_vec();
            body.extend_from_slice(&peer.port().to_be_bytes());
            body.push(b'e');
            let head = format!("HTTP/1.1 200 OK\r\nContent-Length: {}\r\nConnection: close\r\n\r\n", body.len());
            let _ = stream.write_all(&[head.as_bytes(), &body].concat()).await;
            let _ = stream.shutdown().await;
        }
    });
    url
}

pub fn magnet(prepared: &Prepared) -> String {
    let digits: String = prepared.info_hash.iter().map(|byte| format!("{byte:02x}")).collect();
    format!("magnet:?xt=urn:btih:{digits}")
}

/// A torrent file (BEP 3) without a tracker.
pub fn torrent(prepared: &Prepared) -> Vec<u8> {
    [b"d4:info", &prepared.info[..], b"e"].concat()
}

/// A port that was free just now.
pub fn free_port() -> u16 {
    std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port()
}

/// Another program, ended with the test.
pub struct Program {
    child: Child,
    lines: tokio::io::Lines<BufReader<tokio::process::ChildStdout>>,
}

impl Program {
    pub fn start(program: &str, arguments: &[&str]) -> Self {
        let mut child = Command::new(program)
            .args(arguments)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .kill_on_drop(true)
            .spawn()
            .unwrap_or_else(|error| panic!("{program} cannot be run ({error}): `make setup` installs it"));
        let lines = BufReader::new(child.stdout.take().unwrap()).lines();
        Self { child, lines }
    }

    /// The next line it prints.
    pub async fn line(&mut self) -> String {
        timeout(super::PATIENCE, self.lines.next_line()).await.expect("it says something").unwrap().expect("it runs")
    }

    /// Takes what it prints, so that it never waits for us.
    pub fn drain(mut self) -> Running {
        let reading = tokio::spawn(async move { while let Ok(Some(_)) = self.lines.next_line().await {} });
        Running { child: self.child, _reading: reading }
    }
}

/// A program whose output nobody wants.
pub struct Running {
    child: Child,
    _reading: tokio::task::JoinHandle<()>,
}

impl Running {
    /// Waits until it ends well.
    pub async fn ended(mut self) {
        let status = timeout(super::PATIENCE, self.child.wait()).await.expect("it ends").unwrap();
        assert!(status.success(), "{status}");
    }
}
