//! Certificates: an authority with a server's certificate, and self-signed ones as devices have.

use rcgen::{
    BasicConstraints, CertificateParams, CertifiedIssuer, DnType, ExtendedKeyUsagePurpose, IsCa, KeyPair,
    KeyUsagePurpose, PKCS_ED25519,
};
use rustls::pki_types::{CertificateDer, PrivateKeyDer, PrivatePkcs8KeyDer};

/// A private authority and the certificate that it gave to a server; all PEM.
///
/// Two certificates, because clients refuse an authority's certificate as the server's own.
#[derive(Debug)]
pub struct ServerCerts {
    /// What clients have to trust.
    pub ca: String,
    /// The server's certificate.
    pub cert: String,
    /// The server's key.
    pub key: String,
}

/// Makes an authority and a certificate for a server of this domain.
pub fn server(domain: &str) -> ServerCerts {
    let mut params = CertificateParams::new(Vec::new()).expect("no names can be wrong");
    params.distinguished_name.push(DnType::CommonName, "xbt test authority");
    params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    params.key_usages = vec![KeyUsagePurpose::KeyCertSign];
    let ca = CertifiedIssuer::self_signed(params, KeyPair::generate().expect("the system has randomness"))
        .expect("the parameters are complete");
    let key = KeyPair::generate().expect("the system has randomness");
    let mut params = CertificateParams::new(vec![domain.to_owned()]).expect("it is a DNS name");
    params.distinguished_name.push(DnType::CommonName, domain);
    params.extended_key_usages = vec![ExtendedKeyUsagePurpose::ServerAuth];
    // ejabberd 23.01 sets an alarm clock for the last day, and fails with a day as far away as rcgen's own.
    params.not_after = rcgen::date_time_ymd(2049, 12, 31);
    let cert = params.signed_by(&key, &ca).expect("the parameters are complete");
    ServerCerts { ca: ca.pem(), cert: cert.pem(), key: key.serialize_pem() }
}

/// A self-signed Ed25519 certificate with its key, as every device has one.
pub fn device() -> (CertificateDer<'static>, PrivateKeyDer<'static>) {
    let key = KeyPair::generate_for(&PKCS_ED25519).expect("the system has randomness");
    let params = CertificateParams::new(vec!["xbt".to_owned()]).expect("xbt is a DNS name");
    let cert = params.self_signed(&key).expect("the parameters are complete");
    (cert.der().clone(), PrivatePkcs8KeyDer::from(key.serialize_der()).into())
}
