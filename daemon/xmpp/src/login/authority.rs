//! Which certificate authority vouches for a server: rustls checks that one does, and does not tell which.

use ring::digest;
use tokio_rustls::rustls::RootCertStore;
use tokio_rustls::rustls::crypto::ring::default_provider;
use tokio_rustls::rustls::pki_types::{CertificateDer, TrustAnchor, UnixTime};
use webpki::{EndEntityCert, KeyUsage};
use xbt_core::login::Authority;

/// The authority that the chain of a server leads to; none if it leads to none that is trusted.
pub(super) fn of(roots: &RootCertStore, chain: &[CertificateDer<'_>]) -> Option<Authority> {
    let (server, between) = chain.split_first()?;
    let server = EndEntityCert::try_from(server).ok()?;
    let algorithms = default_provider().signature_verification_algorithms.all;
    let usage = KeyUsage::server_auth();
    let path = server.verify_for_usage(algorithms, &roots.roots, between, UnixTime::now(), usage, None, None).ok()?;
    Some(described(path.anchor()))
}

fn described(anchor: &TrustAnchor<'_>) -> Authority {
    let mut context = digest::Context::new(&digest::SHA256);
    context.update(&anchor.subject);
    context.update(&anchor.subject_public_key_info);
    let id = context.finish().as_ref().iter().map(|byte| format!("{byte:02x}")).collect();
    Authority { id, name: name(&anchor.subject) }
}

/// The common name, or else the organisation, in a DER-encoded distinguished name.
fn name(subject: &[u8]) -> String {
    // The identifiers 2.5.4.3 and 2.5.4.10.
    let found = [3, 10].into_iter().find_map(|attribute| value(subject, &[0x06, 0x03, 0x55, 0x04, attribute]));
    found.unwrap_or_else(|| "without a name".to_owned())
}

/// The string behind an attribute's identifier.
fn value(subject: &[u8], identifier: &[u8]) -> Option<String> {
    let at = subject.windows(identifier.len()).position(|window| window == identifier)?;
    let [tag, length, rest @ ..] = &subject[at + identifier.len()..] else { return None };
    // UTF8String, PrintableString, TeletexString, IA5String; short lengths, which names have.
    let text = matches!(tag, 0x0c | 0x13 | 0x14 | 0x16).then(|| rest.get(..usize::from(*length))).flatten()?;
    let text: String = String::from_utf8_lossy(text).chars().filter(|c| !c.is_control()).collect();
    Some(text).filter(|text| !text.is_empty())
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use rcgen::{BasicConstraints, CertificateParams, DnType, IsCa, Issuer, KeyPair};

    use super::*;

    fn authority(name: DnType, text: &str) -> (CertificateDer<'static>, Issuer<'static, KeyPair>) {
        let mut params = CertificateParams::new(vec![]).unwrap();
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        params.distinguished_name = rcgen::DistinguishedName::new();
        params.distinguished_name.push(name, text);
        let key = KeyPair::generate().unwrap();
        (params.self_signed(&key).unwrap().der().clone(), Issuer::new(params, key))
    }

    #[test]
    fn the_authority_at_the_end_of_the_chain_is_found_and_named() {
        let (one, one_signs) = authority(DnType::CommonName, "Trust & Co. – ü");
        let (two, two_signs) = authority(DnType::OrganizationName, "Nobody");
        let mut roots = RootCertStore::empty();
        roots.add(one).unwrap();
        roots.add(two).unwrap();
        let server = |issuer: &Issuer<'_, KeyPair>| {
            let params = CertificateParams::new(vec!["localhost".to_owned()]).unwrap();
            vec![params.signed_by(&KeyPair::generate().unwrap(), issuer).unwrap().der().clone()]
        };
        let first = of(&roots, &server(&one_signs)).unwrap();
        assert_eq!((first.name.as_str(), first.id.len()), ("Trust & Co. – ü", 64));
        assert_eq!(of(&roots, &server(&one_signs)), Some(first.clone()), "another certificate of the same authority");
        let second = of(&roots, &server(&two_signs)).unwrap();
        assert_eq!(second.name, "Nobody");
        assert_ne!(second.id, first.id);
        let (_, stranger) = authority(DnType::CommonName, "Trust & Co. – ü");
        assert_eq!(of(&roots, &server(&stranger)), None, "the same name with another key");
    }
}
