//! TLS 1.3 with both keys pinned: without certificate authorities, by the fingerprints that come over XMPP.

use std::io;
use std::sync::Arc;

use rustls::client::Resumption;
use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::crypto::{CryptoProvider, ring, verify_tls13_signature};
use rustls::pki_types::{CertificateDer, ServerName, UnixTime};
use rustls::server::danger::{ClientCertVerified, ClientCertVerifier};
use rustls::server::{NoServerSessionStorage, ParsedCertificate};
use rustls::sign::{CertifiedKey, SingleCertAndKey};
use rustls::{
    CertificateError, ClientConfig, DigitallySignedStruct, DistinguishedName, PeerMisbehaved, ServerConfig,
    SignatureScheme, version,
};
use tokio::io::{AsyncRead, AsyncWrite};
use tokio_rustls::{TlsAcceptor, TlsConnector, TlsStream};
use xbt_core::ids::Fingerprint;

use super::key::{Identity, fingerprint_of};
use crate::error::LinkError;

/// The protocol name of links (RFC 7301).
pub(crate) const ALPN: &[u8] = b"x-xbt/0";

/// Our end of every link: keys and configuration, ready to use.
#[derive(Debug)]
pub(crate) struct Tls {
    own: Fingerprint,
    provider: Arc<CryptoProvider>,
    key: Arc<CertifiedKey>,
    server: Arc<ServerConfig>,
}

impl Tls {
    pub fn new(identity: &Identity) -> Result<Self, LinkError> {
        let provider = Arc::new(provider());
        let private_key = identity.private_key().into();
        let key = provider.key_provider.load_private_key(private_key).map_err(cryptography)?;
        let key = Arc::new(CertifiedKey::new(vec![identity.certificate()], key));
        let mut server = ServerConfig::builder_with_provider(provider.clone())
            .with_protocol_versions(&[&version::TLS13])
            .map_err(cryptography)?
            .with_client_cert_verifier(Arc::new(AnyDevice))
            .with_cert_resolver(Arc::new(SingleCertAndKey::from(key.clone())));
        server.alpn_protocols = vec![ALPN.to_vec()];
        server.session_storage = Arc::new(NoServerSessionStorage {});
        server.send_tls13_tickets = 0;
        server.max_early_data_size = 0;
        Ok(Self { own: identity.fingerprint(), provider, key, server: Arc::new(server) })
    }

    /// Our own key's fingerprint.
    pub fn own(&self) -> Fingerprint {
        self.own
    }

    /// The configuration for devices that connect to us, over TCP or inside QUIC.
    pub fn server(&self) -> Arc<ServerConfig> {
        self.server.clone()
    }

    /// The configuration for connecting to the device with this fingerprint, and no other, over TCP or inside QUIC.
    ///
    /// # Errors
    /// None that a running daemon meets: its provider knows TLS 1.3.
    pub fn client(&self, peer: Fingerprint) -> io::Result<ClientConfig> {
        let mut config = ClientConfig::builder_with_provider(self.provider.clone())
            .with_protocol_versions(&[&version::TLS13])
            .map_err(io::Error::other)?
            .dangerous()
            .with_custom_certificate_verifier(Arc::new(OneDevice(peer)))
            .with_client_cert_resolver(Arc::new(SingleCertAndKey::from(self.key.clone())));
        config.alpn_protocols = vec![ALPN.to_vec()];
        config.resumption = Resumption::disabled();
        config.enable_sni = false;
        Ok(config)
    }

    /// Accepts a connection. Any device may come this far; its fingerprint says which one it is.
    pub async fn accept<S>(&self, stream: S) -> io::Result<(Fingerprint, TlsStream<S>)>
    where
        S: AsyncRead + AsyncWrite + Unpin,
    {
        let stream = TlsAcceptor::from(self.server.clone()).accept(stream).await?;
        let (_, session) = stream.get_ref();
        if session.alpn_protocol() != Some(ALPN) {
            return Err(invalid("no x-xbt/0"));
        }
        let peer = peer_of(session.peer_certificates().unwrap_or_default())?;
        Ok((peer, stream.into()))
    }

    /// Connects to the device with this fingerprint, and no other.
    ///
    /// # Errors
    /// See [`is_other_device`] for the one that matters most.
    pub async fn connect<S>(&self, peer: Fingerprint, stream: S) -> io::Result<TlsStream<S>>
    where
        S: AsyncRead + AsyncWrite + Unpin,
    {
        // Devices have keys, not names; with SNI off this one is neither sent nor checked.
        let name = ServerName::IpAddress(std::net::Ipv4Addr::UNSPECIFIED.into());
        let stream = TlsConnector::from(Arc::new(self.client(peer)?)).connect(name, stream).await?;
        if stream.get_ref().1.alpn_protocol() != Some(ALPN) {
            return Err(invalid("no x-xbt/0"));
        }
        Ok(stream.into())
    }
}

/// The device whose certificate this is, after a handshake that proved its key.
pub(crate) fn peer_of(chain: &[CertificateDer<'_>]) -> io::Result<Fingerprint> {
    let certificate = chain.first().ok_or(invalid("no certificate"))?;
    fingerprint_of_certificate(certificate).map_err(|_| invalid("no readable certificate"))
}

/// Whether the other end proved another key than the expected one.
pub(crate) fn is_other_device(error: &io::Error) -> bool {
    let Some(error) = error.get_ref().and_then(|inner| inner.downcast_ref::<rustls::Error>()) else { return false };
    *error == rustls::Error::InvalidCertificate(CertificateError::ApplicationVerificationFailure)
}

/// ring, with AES-128-GCM first: it is the fastest where the processor knows AES, and strong enough everywhere.
fn provider() -> CryptoProvider {
    let mut provider = ring::default_provider();
    provider.cipher_suites = vec![
        ring::cipher_suite::TLS13_AES_128_GCM_SHA256,
        ring::cipher_suite::TLS13_CHACHA20_POLY1305_SHA256,
        ring::cipher_suite::TLS13_AES_256_GCM_SHA384,
    ];
    provider
}

/// That the other end holds the key of its certificate. Every device has an Ed25519 key; no other kind is spoken.
fn verify_ed25519(
    message: &[u8],
    certificate: &CertificateDer<'_>,
    signed: &DigitallySignedStruct,
) -> Result<HandshakeSignatureValid, rustls::Error> {
    if signed.scheme != SignatureScheme::ED25519 {
        return Err(PeerMisbehaved::SignedHandshakeWithUnadvertisedSigScheme.into());
    }
    verify_tls13_signature(message, certificate, signed, &ring::default_provider().signature_verification_algorithms)
}

fn cryptography(error: rustls::Error) -> LinkError {
    LinkError::Cryptography { reason: error.to_string() }
}

fn invalid(what: &'static str) -> io::Error {
    io::Error::new(io::ErrorKind::InvalidData, what)
}

fn fingerprint_of_certificate(certificate: &CertificateDer<'_>) -> Result<Fingerprint, rustls::Error> {
    Ok(fingerprint_of(&ParsedCertificate::try_from(certificate)?.subject_public_key_info()))
}

fn no_tls12() -> rustls::Error {
    rustls::Error::General("links are TLS 1.3".to_owned())
}

/// Accepts the certificate of one device. That it holds the key is proved by the handshake's signature.
#[derive(Debug)]
struct OneDevice(Fingerprint);

impl ServerCertVerifier for OneDevice {
    fn verify_server_cert(
        &self,
        certificate: &CertificateDer<'_>,
        _intermediates: &[CertificateDer<'_>],
        _name: &ServerName<'_>,
        _ocsp: &[u8],
        _now: UnixTime,
    ) -> Result<ServerCertVerified, rustls::Error> {
        if fingerprint_of_certificate(certificate)? == self.0 {
            Ok(ServerCertVerified::assertion())
        } else {
            Err(CertificateError::ApplicationVerificationFailure.into())
        }
    }

    fn verify_tls12_signature(
        &self,
        _message: &[u8],
        _certificate: &CertificateDer<'_>,
        _signed: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        Err(no_tls12())
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signed: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        verify_ed25519(message, certificate, signed)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        vec![SignatureScheme::ED25519]
    }
}

/// Accepts every well-formed certificate: which devices are expected may not be known yet (a dial may be faster than
/// XMPP), so the fingerprint is judged later, before a byte is read.
#[derive(Debug)]
struct AnyDevice;

impl ClientCertVerifier for AnyDevice {
    fn root_hint_subjects(&self) -> &[DistinguishedName] {
        &[]
    }

    fn verify_client_cert(
        &self,
        certificate: &CertificateDer<'_>,
        _intermediates: &[CertificateDer<'_>],
        _now: UnixTime,
    ) -> Result<ClientCertVerified, rustls::Error> {
        fingerprint_of_certificate(certificate).map(|_| ClientCertVerified::assertion())
    }

    fn verify_tls12_signature(
        &self,
        _message: &[u8],
        _certificate: &CertificateDer<'_>,
        _signed: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        Err(no_tls12())
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signed: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        verify_ed25519(message, certificate, signed)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        vec![SignatureScheme::ED25519]
    }
}
