#![allow(clippy::unwrap_used, clippy::panic)]

use tokio::net::TcpListener;
use xbt_core::ids::BareJid;

use super::*;

const SOON: Duration = Duration::from_secs(20);

fn jid(bare: &str) -> FullJid {
    FullJid::new(BareJid::from_normalised(bare), "foo")
}

fn proxy(port: u16) -> Proxy {
    Proxy { jid: "proxy.example".to_owned(), host: "127.0.0.1".to_owned(), port }
}

async fn meet(port: u16, patience: Duration) -> Result<TcpStream, Failure> {
    connect(
        &proxy(port),
        "vxf9n471bn46",
        &jid("requester@example.com"),
        &jid("target@example.org"),
        &|_| true,
        patience,
    )
    .await
}

/// A proxy that takes the greeting and the request and answers with these bytes.
async fn answering(greeting: &'static [u8], reply: &'static [u8]) -> (u16, tokio::task::JoinHandle<Vec<u8>>) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let port = listener.local_addr().unwrap().port();
    let task = tokio::spawn(async move {
        let (mut stream, _) = listener.accept().await.unwrap();
        let mut asked = vec![0; 3];
        stream.read_exact(&mut asked).await.unwrap();
        stream.write_all(greeting).await.unwrap();
        let mut request = vec![0; 47];
        if stream.read_exact(&mut request).await.is_ok() {
            asked.append(&mut request);
            stream.write_all(reply).await.unwrap();
            // Until the other end has gone.
            let _ = stream.read(&mut [0]).await;
        }
        asked
    });
    (port, task)
}

#[test]
fn a_bytestream_is_named_by_what_both_sides_know() {
    // SHA-1 of "vxf9n471bn46" + "requester@example.com/foo" + "target@example.org/foo", by another program.
    let name = hash("vxf9n471bn46", &jid("requester@example.com"), &jid("target@example.org"));
    assert_eq!(name, "3bb0a2f7d3daab5c6ba0de9c975fc12edc209123");
}

#[tokio::test]
async fn every_kind_of_address_is_read_to_its_end_and_not_further() {
    for reply in [
        b"\x05\x00\x00\x01\x7f\x00\x00\x01\x00\x50!".as_slice(),
        b"\x05\x00\x00\x03\x05proxy\x00\x50!",
        b"\x05\x00\x00\x03\x00\x00\x50!",
        b"\x05\x00\x00\x04\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x01\x00\x50!",
    ] {
        let (port, asked) = answering(b"\x05\x00", reply).await;
        let mut stream = meet(port, SOON).await.unwrap();
        assert_eq!(stream.read_u8().await.unwrap(), b'!');
        drop(stream);
        let asked = asked.await.unwrap();
        assert_eq!(asked[..8], [5, 1, 0, 5, 1, 0, 3, 40]);
        assert_eq!(asked[48..], [0, 0]);
    }
}

#[tokio::test]
async fn a_proxy_that_says_no_or_nonsense_is_told_as_such() {
    for (greeting, reply) in [
        (b"\x05\xff".as_slice(), b"".as_slice()),
        (b"\x05\x02", b""),
        (b"HT", b""),
        (b"\x05\x00", b"\x05\x01\x00\x03\x00\x00\x00"),
        (b"\x05\x00", b"\x04\x00\x00\x01"),
        (b"\x05\x00", b"\x05\x00\x00\x09"),
    ] {
        let (port, _task) = answering(greeting, reply).await;
        let failure = meet(port, SOON).await.unwrap_err();
        assert_eq!(failure.reason, Reason::ProxyRefused, "{}", failure.text);
    }
}

#[tokio::test]
async fn silence_and_closed_doors_are_told_apart() {
    let (port, _task) = answering(b"\x05", b"").await;
    assert_eq!(meet(port, Duration::from_millis(200)).await.unwrap_err().reason, Reason::NoAnswer);
    // Held without listening, so that nobody else gets it.
    let closed = tokio::net::TcpSocket::new_v4().unwrap();
    closed.bind("127.0.0.1:0".parse().unwrap()).unwrap();
    let port = closed.local_addr().unwrap().port();
    assert_eq!(meet(port, SOON).await.unwrap_err().reason, Reason::ConnectionRefused);
    for (host, port) in [("0.0.0.0", 5000), ("224.0.0.1", 5000), ("127.0.0.1", 631), ("::1", 22), ("127.0.0.1", 0)] {
        let proxy = Proxy { host: host.to_owned(), ..proxy(port) };
        let failure = connect(&proxy, "s", &jid("a@b"), &jid("c@d"), &|_| true, SOON).await.unwrap_err();
        assert_eq!(failure.reason, Reason::Unreachable, "{host}: {}", failure.text);
    }
}

#[tokio::test]
async fn a_proxy_that_may_not_be_dialled_is_not() {
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let proxy = proxy(listener.local_addr().unwrap().port());
    let failure = connect(&proxy, "s", &jid("a@b"), &jid("c@d"), &|_| false, SOON).await.unwrap_err();
    assert_eq!(failure.reason, Reason::Unreachable);
    let knocks = listener.into_std().unwrap().accept();
    assert_eq!(knocks.unwrap_err().kind(), std::io::ErrorKind::WouldBlock);
}
