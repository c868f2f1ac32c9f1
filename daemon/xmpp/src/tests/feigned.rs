//! A server that says what a test wants, over TLS with a certificate of its own authority.

use std::sync::Arc;

use rcgen::{BasicConstraints, CertificateParams, DnType, IsCa, Issuer, KeyPair};
use tempfile::TempDir;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio_rustls::TlsAcceptor;
use tokio_rustls::rustls::ServerConfig;
use tokio_rustls::rustls::crypto::ring::default_provider;
use tokio_rustls::rustls::pki_types::PrivatePkcs8KeyDer;
use tokio_rustls::server::TlsStream;

use super::SOON;
use super::prosody::PASSWORD;
use crate::{Secret, SessionConfig, Tls, parse_bare};

const HEADER: &str = "<?xml version='1.0'?><stream:stream from='localhost' id='1' version='1.0' \
                      xmlns='jabber:client' xmlns:stream='http://etherx.jabber.org/streams'>";

pub(super) struct Feigned {
    listener: TcpListener,
    acceptor: TlsAcceptor,
    dir: TempDir,
}

impl Feigned {
    pub(super) async fn start() -> Self {
        let (ca_key, key) = (KeyPair::generate().unwrap(), KeyPair::generate().unwrap());
        let mut ca = CertificateParams::new(vec![]).unwrap();
        ca.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        ca.distinguished_name.push(DnType::CommonName, "Feigned authority");
        let dir = tempfile::tempdir().unwrap();
        std::fs::write(dir.path().join("ca.pem"), ca.self_signed(&ca_key).unwrap().pem()).unwrap();
        let certificate = CertificateParams::new(vec!["localhost".to_owned()]).unwrap();
        let certificate = certificate.signed_by(&key, &Issuer::new(ca, ca_key)).unwrap().der().clone();
        let config = ServerConfig::builder_with_provider(Arc::new(default_provider()))
            .with_safe_default_protocol_versions()
            .unwrap()
            .with_no_client_auth()
            .with_single_cert(vec![certificate], PrivatePkcs8KeyDer::from(key.serialize_der()).into())
            .unwrap();
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        Self { listener, acceptor: TlsAcceptor::from(Arc::new(config)), dir }
    }

    pub(super) fn port(&self) -> u16 {
        self.listener.local_addr().unwrap().port()
    }

    /// Of an account there, by direct TLS.
    pub(super) fn config(&self) -> SessionConfig {
        let mut config = SessionConfig::new(parse_bare("alice@localhost").unwrap(), "xbt-1", Secret::new(PASSWORD));
        config.server = Some(format!("127.0.0.1:{}", self.port()));
        config.tls = Tls::Direct;
        config.ca_file = Some(self.dir.path().join("ca.pem"));
        config
    }

    /// The next client, which is told these features.
    pub(super) async fn accept(&self, features: &str) -> Peer {
        let (tcp, _) = self.listener.accept().await.unwrap();
        let stream = self.acceptor.accept(tcp).await.unwrap();
        let mut peer = Peer { stream, got: String::new() };
        peer.until("<stream:stream").await;
        peer.send(&format!("{HEADER}{features}")).await;
        peer
    }
}

/// Features with these SASL mechanisms.
pub(super) fn mechanisms(names: &[&str]) -> String {
    let names: String = names.iter().map(|name| format!("<mechanism>{name}</mechanism>")).collect();
    format!(
        "<stream:features><mechanisms xmlns='urn:ietf:params:xml:ns:xmpp-sasl'>{names}</mechanisms></stream:features>"
    )
}

pub(super) struct Peer {
    stream: TlsStream<TcpStream>,
    got: String,
}

impl Peer {
    pub(super) async fn send(&mut self, text: &str) {
        // The client may have gone, which is what some tests want.
        let _ = self.stream.write_all(text.as_bytes()).await;
        let _ = self.stream.flush().await;
    }

    /// Everything so far, up to and including `needle`.
    pub(super) async fn until(&mut self, needle: &str) -> String {
        let read = async {
            let mut buffer = vec![0; 4096];
            loop {
                if let Some(at) = self.got.find(needle) {
                    let rest = self.got.split_off(at + needle.len());
                    return std::mem::replace(&mut self.got, rest);
                }
                let count = self.stream.read(&mut buffer).await.unwrap();
                assert!(count > 0, "closed without {needle}: {}", self.got);
                self.got.push_str(&String::from_utf8_lossy(&buffer[..count]));
            }
        };
        tokio::time::timeout(SOON, read).await.expect("it comes")
    }

    /// Everything until the client closes the connection.
    pub(super) async fn rest(mut self) -> String {
        let mut rest = Vec::new();
        // A reset instead of an orderly end is as good.
        let _ = tokio::time::timeout(SOON, self.stream.read_to_end(&mut rest)).await.expect("it ends");
        format!("{}{}", self.got, String::from_utf8_lossy(&rest))
    }

    /// The `<auth/>` of the client: mechanism and data.
    pub(super) async fn auth(&mut self) -> (String, String) {
        use base64::Engine;
        let element = self.until("</auth>").await;
        let mechanism = element.split(['\'', '"']).find(|part| part.starts_with("SCRAM") || *part == "PLAIN").unwrap();
        let data = element.rsplit('>').nth(1).unwrap().strip_suffix("</auth").unwrap();
        let data = base64::engine::general_purpose::STANDARD.decode(data).unwrap();
        (mechanism.to_owned(), String::from_utf8(data).unwrap())
    }

    pub(super) async fn challenge(&mut self, text: &str) {
        use base64::Engine;
        let data = base64::engine::general_purpose::STANDARD.encode(text);
        self.send(&format!("<challenge xmlns='urn:ietf:params:xml:ns:xmpp-sasl'>{data}</challenge>")).await;
    }
}
