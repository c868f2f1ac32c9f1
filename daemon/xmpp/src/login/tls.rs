//! TLS towards the server: whom we trust, and the channel binding.

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use tokio::io::BufStream;
use tokio::net::TcpStream;
use tokio_rustls::rustls::pki_types::pem::PemObject;
use tokio_rustls::rustls::pki_types::{CertificateDer, ServerName};
use tokio_rustls::rustls::{self, ClientConfig, RootCertStore};
use tokio_rustls::{TlsConnector, client::TlsStream};

use super::authenticate::Channel;
use super::authority;
use crate::failure::Failure;
use crate::stream::{Guard, Io, Notices, Prompt};

/// How long the handshake may take.
const HANDSHAKE: Duration = Duration::from_secs(10);

/// The rules for the server's certificate.
#[derive(Clone)]
pub(crate) struct Trust {
    roots: Arc<RootCertStore>,
    config: Arc<ClientConfig>,
    /// The person named one authority, and no other is trusted.
    chosen: bool,
}

impl Trust {
    /// The system's authorities, or only those of `ca_file` (PEM).
    ///
    /// Reads files: not to be called on a thread that must not wait.
    pub(crate) fn load(ca_file: Option<&Path>) -> Result<Self, Failure> {
        let roots = match ca_file {
            Some(path) => own_authorities(path)?,
            None => system_authorities()?,
        };
        let chosen = ca_file.is_some() && roots.len() == 1;
        let roots = Arc::new(roots);
        Ok(Self { config: client_config(roots.clone())?, roots, chosen })
    }

    /// Whether the person named the one authority that is trusted.
    pub(crate) fn is_chosen(&self) -> bool {
        self.chosen
    }

    #[cfg(test)]
    pub(crate) fn config(&self) -> Arc<ClientConfig> {
        self.config.clone()
    }
}

fn client_config(roots: Arc<RootCertStore>) -> Result<Arc<ClientConfig>, Failure> {
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let mut config = ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .map_err(|error| Failure::passing(format!("TLS cannot be set up: {error}")))?
        .with_root_certificates(roots)
        .with_no_client_auth();
    // XEP-0368, section 2: one port may serve several protocols.
    config.alpn_protocols = vec![b"xmpp-client".to_vec()];
    Ok(Arc::new(config))
}

fn own_authorities(path: &Path) -> Result<RootCertStore, Failure> {
    let bad = |why: String| {
        Failure::refused(
            "bad-ca-file",
            format!("the certificates in {} cannot be used: {why}", path.display()),
            "set `ca_file` in [account] to a PEM file with the authority's certificate",
        )
    };
    let mut roots = RootCertStore::empty();
    for certificate in CertificateDer::pem_file_iter(path).map_err(|error| bad(error.to_string()))? {
        let certificate = certificate.map_err(|error| bad(error.to_string()))?;
        roots.add(certificate).map_err(|error| bad(error.to_string()))?;
    }
    if roots.is_empty() {
        return Err(bad("there are none".to_owned()));
    }
    Ok(roots)
}

fn system_authorities() -> Result<RootCertStore, Failure> {
    let mut roots = RootCertStore::empty();
    let found = rustls_native_certs::load_native_certs();
    roots.add_parsable_certificates(found.certs);
    if roots.is_empty() {
        return Err(Failure::refused(
            "no-certificates",
            "the system has no list of certificate authorities",
            "install the package `ca-certificates`, or set `ca_file` in [account]",
        ));
    }
    Ok(roots)
}

/// Encrypts a connection to the server of `domain` (which is what the certificate must name, RFC 6120, section 13.7.2).
pub(crate) async fn encrypt(trust: &Trust, domain: &str, tcp: TcpStream) -> Result<(Io, Channel, Notices), Failure> {
    let name = ServerName::try_from(domain.to_owned())
        .map_err(|_| Failure::passing(format!("“{domain}” is not a name that a certificate can have")))?;
    let handshake = TlsConnector::from(trust.config.clone()).connect(name, Prompt::new(tcp));
    let stream = tokio::time::timeout(HANDSHAKE, handshake)
        .await
        .map_err(|_| Failure::passing("the server did not complete the TLS handshake in time"))??;
    let chain = stream.get_ref().1.peer_certificates().unwrap_or_default();
    let channel = Channel { exporter: exporter(&stream), authority: authority::of(&trust.roots, chain) };
    let (guarded, notices) = Guard::new(stream);
    Ok((Box::new(BufStream::new(guarded)), channel, notices))
}

/// `tls-exporter` (RFC 9266) needs TLS 1.3; the older kinds of binding are not worth their problems.
fn exporter(stream: &TlsStream<Prompt>) -> Option<Vec<u8>> {
    let connection = stream.get_ref().1;
    if connection.protocol_version() != Some(rustls::ProtocolVersion::TLSv1_3) {
        return None;
    }
    match connection.export_keying_material(vec![0; 32], b"EXPORTER-Channel-Binding", None) {
        Ok(material) => Some(material),
        Err(error) => {
            tracing::debug!(%error, "no channel binding");
            None
        }
    }
}
