//! Somebody who was not invited and dials all the same.

use std::io::{self, ErrorKind, Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::sync::Arc;
use std::time::Duration;

use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::crypto::{CryptoProvider, verify_tls13_signature};
use rustls::pki_types::{CertificateDer, PrivateKeyDer, ServerName, UnixTime};
use rustls::{ClientConfig, ClientConnection, DigitallySignedStruct, Error, SignatureScheme, StreamOwned};

use crate::{certs, wait};

/// The protocol name of links.
pub const ALPN: &[u8] = b"x-xbt/0";

/// What a stranger shows at the door.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Shows {
    /// A self-signed Ed25519 certificate of its own, as a device would.
    OwnKey,
    /// No certificate.
    NoKey,
    /// BitTorrent in the clear, without TLS.
    NoTls,
}

/// What a stranger got.
#[derive(Debug, PartialEq, Eq)]
pub struct Reply {
    /// Bytes of BitTorrent.
    pub bytes: Vec<u8>,
    /// Whether the other side ended the connection.
    pub closed: bool,
}

/// Dials, sends a BitTorrent handshake for `info_hash`, and waits up to `patience` for what comes back.
pub fn dial(address: SocketAddr, shows: Shows, info_hash: [u8; 20], patience: Duration) -> Reply {
    let tcp = TcpStream::connect(address).expect("somebody listens there");
    tcp.set_read_timeout(Some(Duration::from_millis(50))).expect("not zero");
    let hello = hello(info_hash);
    match shows {
        Shows::NoTls => talk(tcp, &hello, patience),
        Shows::OwnKey | Shows::NoKey => {
            let name = ServerName::from(address.ip());
            let tls = ClientConnection::new(Arc::new(config((shows == Shows::OwnKey).then(certs::device))), name)
                .expect("a good configuration");
            talk(StreamOwned::new(tls, tcp), &hello, patience)
        }
    }
}

/// Dials without TLS; the BitTorrent handshake with which the other side answers ours.
///
/// # Errors
/// It did not answer.
pub fn greeting(address: SocketAddr, info_hash: [u8; 20]) -> io::Result<[u8; 68]> {
    let mut tcp = TcpStream::connect(address)?;
    tcp.set_read_timeout(Some(wait::SOON))?;
    tcp.write_all(&hello(info_hash))?;
    let mut theirs = [0; 68];
    tcp.read_exact(&mut theirs)?;
    Ok(theirs)
}

/// The 20 bytes of an info-hash in hex.
pub fn info_hash(hex: &str) -> [u8; 20] {
    assert_eq!(hex.len(), 40, "an info-hash has 40 hex digits: {hex}");
    std::array::from_fn(|at| u8::from_str_radix(&hex[2 * at..2 * at + 2], 16).expect("hex digits"))
}

fn hello(info_hash: [u8; 20]) -> Vec<u8> {
    let mut hello = b"\x13BitTorrent protocol\0\0\0\0\0\x10\0\0".to_vec(); // with the extension protocol (BEP 10)
    hello.extend(info_hash);
    hello.extend(b"-XX0000-an-intruder!");
    hello
}

fn talk(mut stream: impl Read + Write, hello: &[u8], patience: Duration) -> Reply {
    let mut bytes = Vec::new();
    // In TLS 1.3 a refusal of our certificate arrives only after our handshake is done, so writing may still succeed.
    let mut to_send = hello;
    let closed = wait::within(patience, || {
        match stream.write(to_send) {
            Ok(sent) => to_send = &to_send[sent..],
            Err(error) if is_wait(error.kind()) => (),
            Err(_) => return Some(()),
        }
        let mut buffer = [0; 4096];
        match stream.read(&mut buffer) {
            Ok(0) => Some(()),
            Ok(read) => {
                bytes.extend_from_slice(&buffer[..read]);
                None
            }
            Err(error) if is_wait(error.kind()) => None,
            Err(_) => Some(()),
        }
    });
    Reply { bytes, closed: closed.is_some() }
}

fn is_wait(kind: ErrorKind) -> bool {
    matches!(kind, ErrorKind::WouldBlock | ErrorKind::TimedOut | ErrorKind::Interrupted)
}

/// What a device with this identity (its certificate and key), or somebody without one, dials with.
pub fn config(identity: Option<(CertificateDer<'static>, PrivateKeyDer<'static>)>) -> ClientConfig {
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let builder = ClientConfig::builder_with_provider(provider.clone())
        .with_protocol_versions(&[&rustls::version::TLS13])
        .expect("ring knows TLS 1.3")
        .dangerous()
        .with_custom_certificate_verifier(Arc::new(AnyServer(provider)));
    let mut config = if let Some((cert, key)) = identity {
        builder.with_client_auth_cert(vec![cert], key).expect("the key belongs to the certificate")
    } else {
        builder.with_no_client_auth()
    };
    config.alpn_protocols = vec![ALPN.to_vec()];
    config
}

/// An intruder does not care whom it reached.
#[derive(Debug)]
struct AnyServer(Arc<CryptoProvider>);

impl ServerCertVerifier for AnyServer {
    fn verify_server_cert(
        &self,
        _: &CertificateDer<'_>,
        _: &[CertificateDer<'_>],
        _: &ServerName<'_>,
        _: &[u8],
        _: UnixTime,
    ) -> Result<ServerCertVerified, Error> {
        Ok(ServerCertVerified::assertion())
    }

    fn verify_tls12_signature(
        &self,
        _: &[u8],
        _: &CertificateDer<'_>,
        _: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        Err(Error::General("links are TLS 1.3".into()))
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        cert: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        verify_tls13_signature(message, cert, signature, &self.0.signature_verification_algorithms)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.0.signature_verification_algorithms.supported_schemes()
    }
}
