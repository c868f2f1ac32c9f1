//! Whoever stands at the door with something else than a link.

use std::sync::Arc;

use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::pki_types::{CertificateDer, ServerName, UnixTime};
use rustls::sign::{CertifiedKey, SingleCertAndKey};
use rustls::{ClientConfig, DigitallySignedStruct, ServerConfig, SignatureScheme, SupportedProtocolVersion, version};
use tokio::net::TcpStream;
use tokio_rustls::client::TlsStream;
use tokio_rustls::{TlsAcceptor, TlsConnector};

use super::log::Log;
use super::*;
use crate::handshake::Handshake;
use crate::identity::tls::ALPN;

/// Trusts everybody; for strangers.
#[derive(Debug)]
struct Anybody;

impl ServerCertVerifier for Anybody {
    fn verify_server_cert(
        &self,
        _: &CertificateDer<'_>,
        _: &[CertificateDer<'_>],
        _: &ServerName<'_>,
        _: &[u8],
        _: UnixTime,
    ) -> Result<ServerCertVerified, rustls::Error> {
        Ok(ServerCertVerified::assertion())
    }

    fn verify_tls12_signature(
        &self,
        _: &[u8],
        _: &CertificateDer<'_>,
        _: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        Ok(HandshakeSignatureValid::assertion())
    }

    fn verify_tls13_signature(
        &self,
        _: &[u8],
        _: &CertificateDer<'_>,
        _: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        Ok(HandshakeSignatureValid::assertion())
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        vec![SignatureScheme::ED25519]
    }
}

/// A client of one's own making.
fn client(identity: Option<&Identity>, version: &'static SupportedProtocolVersion, alpn: &[u8]) -> TlsConnector {
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let config = ClientConfig::builder_with_provider(provider)
        .with_protocol_versions(&[version])
        .unwrap()
        .dangerous()
        .with_custom_certificate_verifier(Arc::new(Anybody));
    let mut config = match identity {
        Some(identity) => {
            config.with_client_auth_cert(vec![identity.certificate()], identity.private_key().into()).unwrap()
        }
        None => config.with_no_client_auth(),
    };
    if !alpn.is_empty() {
        config.alpn_protocols = vec![alpn.to_vec()];
    }
    TlsConnector::from(Arc::new(config))
}

/// Mallory's key with the certificate of another device, which is no secret.
fn forged(victim: &Identity, mallory: &Identity) -> Arc<SingleCertAndKey> {
    let key = rustls::crypto::ring::sign::any_eddsa_type(&mallory.private_key()).unwrap();
    Arc::new(CertifiedKey::new(vec![victim.certificate()], key).into())
}

/// Connects; with TLS 1.3 the client learns of a refusal only when it reads.
async fn connect(connector: TlsConnector, address: SocketAddr) -> std::io::Result<TlsStream<TcpStream>> {
    let stream = TcpStream::connect(address).await?;
    connector.connect("x.invalid".try_into().unwrap(), stream).await
}

/// Reads until the other side ends it: nothing may come before that.
async fn is_closed_without_a_byte(stream: &mut TlsStream<TcpStream>) {
    let mut heard = Vec::new();
    let _ = timeout(PATIENCE, stream.read_to_end(&mut heard)).await.unwrap();
    assert!(heard.is_empty(), "heard {heard:?}");
}

#[tokio::test]
async fn carol_with_the_right_info_hash_is_refused_and_nothing_she_says_is_read() {
    // Carol is the one who would speak, were she wanted.
    let (carol, large) = two_identities();
    let bob = new_identity();
    let mut large = Device::start_with(large, config(&[V4]), short());
    let candidates = Vec::new();
    large.handle.dial(request_for(TransferId(1), bob.fingerprint(), HOLIDAY, candidates));
    let mut stream = connect(client(Some(&carol), &version::TLS13, ALPN), large.address()).await.unwrap();
    // Far more than all buffers on the way hold: it can only be written to its end if it is read.
    let flood = tokio::spawn(async move {
        stream.write_all(&Handshake::ours(HOLIDAY, [0; 20]).to_bytes()).await?;
        stream.write_all(&vec![0; 64 << 20]).await
    });
    assert_eq!(large.rejected().await, ("unknown-device", Some(carol.fingerprint())));
    assert!(timeout(PATIENCE, flood).await.unwrap().unwrap().is_err());
}

#[tokio::test]
async fn who_shows_a_wanted_certificate_without_its_key_is_refused() {
    let (victim, mallory) = (new_identity(), new_identity());
    let mut device = Device::start(new_identity(), config(&[V4]));
    let peer = victim.fingerprint();
    device.handle.dial(request_for(TransferId(1), peer, HOLIDAY, Vec::new()));
    let mut client = ClientConfig::builder_with_provider(Arc::new(rustls::crypto::ring::default_provider()))
        .with_protocol_versions(&[&version::TLS13])
        .unwrap()
        .dangerous()
        .with_custom_certificate_verifier(Arc::new(Anybody))
        .with_client_cert_resolver(forged(&victim, &mallory));
    client.alpn_protocols = vec![ALPN.to_vec()];
    let mut stream = connect(TlsConnector::from(Arc::new(client)), device.address()).await.unwrap();
    is_closed_without_a_byte(&mut stream).await;
    assert_eq!(device.rejected().await, ("bad-tls", None));
}

#[tokio::test]
async fn who_answers_with_a_wanted_certificate_without_its_key_is_not_talked_to() {
    let (victim, mallory) = (new_identity(), new_identity());
    let mut server = ServerConfig::builder_with_provider(Arc::new(rustls::crypto::ring::default_provider()))
        .with_protocol_versions(&[&version::TLS13])
        .unwrap()
        .with_no_client_auth()
        .with_cert_resolver(forged(&victim, &mallory));
    server.alpn_protocols = vec![ALPN.to_vec()];
    let listener = tokio::net::TcpListener::bind(V4).await.unwrap();
    let candidates = vec![host(listener.local_addr().unwrap())];
    let acceptor = TlsAcceptor::from(Arc::new(server));
    tokio::spawn(async move {
        while let Ok((stream, _)) = listener.accept().await {
            assert!(acceptor.accept(stream).await.is_err(), "the forged key was believed");
        }
    });
    let mut device = Device::start_with(new_identity(), config(&[V4]), short());
    let peer = victim.fingerprint();
    device.handle.dial(request_for(TransferId(1), peer, HOLIDAY, candidates));
    assert_eq!(device.failed().await.1[0].failure.reason.code(), "bad-tls");
}

#[tokio::test]
async fn strangers_hold_four_links_of_one_address_at_most() {
    let mut device = Device::start_with(new_identity(), config(&[V4]), short());
    let carol = new_identity();
    let mut streams = Vec::new();
    for _ in 0..5 {
        streams.push(connect(client(Some(&carol), &version::TLS13, ALPN), device.address()).await.unwrap());
    }
    assert_eq!(device.rejected().await, ("too-many", Some(carol.fingerprint())));
    for stream in &mut streams {
        is_closed_without_a_byte(stream).await;
    }
    assert_eq!(device.rejected().await, ("unknown-device", Some(carol.fingerprint())));
}

#[tokio::test]
async fn who_speaks_no_tls_13_or_no_xbt_or_shows_no_key_is_refused() {
    let mut device = Device::start(new_identity(), config(&[V4]));
    let carol = new_identity();
    for connector in [
        client(Some(&carol), &version::TLS12, ALPN),
        client(None, &version::TLS13, ALPN),
        client(Some(&carol), &version::TLS13, b"h2"),
        client(Some(&carol), &version::TLS13, b""),
    ] {
        if let Ok(mut stream) = connect(connector, device.address()).await {
            is_closed_without_a_byte(&mut stream).await;
        }
        assert_eq!(device.rejected().await, ("bad-tls", None));
    }
}

#[tokio::test]
async fn what_is_not_tls_is_refused_and_what_is_silent_is_not_waited_for() {
    let mut device = Device::start_with(new_identity(), config(&[V6]), short());
    let mut garbage = TcpStream::connect(device.address()).await.unwrap();
    garbage.write_all(b"GET / HTTP/1.1\r\n\r\n").await.unwrap();
    assert_eq!(device.rejected().await, ("bad-tls", None));
    let mut silent = TcpStream::connect(device.address()).await.unwrap();
    assert_eq!(device.rejected().await, ("too-slow", None));
    assert_eq!(timeout(PATIENCE, silent.read(&mut [0; 1])).await.unwrap().unwrap(), 0);
}

#[tokio::test]
async fn a_wanted_device_that_speaks_no_bittorrent_is_refused() {
    let (small, large) = two_identities();
    let mut large = Device::start(large, config(&[V4]));
    let peer = small.fingerprint();
    large.handle.dial(request_for(TransferId(1), peer, HOLIDAY, Vec::new()));
    let mut stream = connect(client(Some(&small), &version::TLS13, ALPN), large.address()).await.unwrap();
    stream.write_all(&[b'x'; 68]).await.unwrap();
    assert_eq!(large.rejected().await, ("bad-handshake", Some(peer)));
    is_closed_without_a_byte(&mut stream).await;
}

#[tokio::test]
async fn our_own_key_coming_back_is_refused() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("key");
    let (identity, twin) = (Identity::load_or_create(&path).unwrap(), Identity::load_or_create(&path).unwrap());
    let mut device = Device::start(identity, config(&[V4]));
    let mut stream = connect(client(Some(&twin), &version::TLS13, ALPN), device.address()).await.unwrap();
    is_closed_without_a_byte(&mut stream).await;
    assert_eq!(device.rejected().await, ("own-device", Some(twin.fingerprint())));
}

#[tokio::test]
async fn a_thousand_half_open_connections_do_not_stop_a_good_link() {
    let (mut small, mut large) = pair_with(&[V4], Times { tls: short().tls, ..times() });
    let address = large.address();
    let mut half_open = Vec::new();
    for _ in 0..500 {
        half_open.push(TcpStream::connect(address).await.unwrap());
    }
    assert_eq!(large.rejected().await, ("too-many", None));
    small.dial(1, &large, HOLIDAY, vec![host(address)]);
    large.dial(2, &small, HOLIDAY, Vec::new());
    let flood = tokio::spawn(async move {
        // More of them while the good one is on its way.
        for _ in 0..500 {
            half_open.push(TcpStream::connect(address).await.unwrap());
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
        half_open
    });
    linked(&mut small, &mut large).await;
    drop(flood);
}

#[tokio::test]
async fn a_flood_from_one_address_does_not_touch_who_comes_from_another() {
    let mut device = Device::start_with(new_identity(), config(&[V4, V6]), short());
    let candidates = device.handle.candidates();
    let slow = TcpStream::connect(candidates[0].address).await.unwrap();
    let mut flood = Vec::new();
    for _ in 0..200 {
        flood.push(TcpStream::connect(candidates[1].address).await.unwrap());
    }
    assert_eq!(device.rejected().await, ("too-many", None));
    let carol = new_identity();
    let connector = client(Some(&carol), &version::TLS13, ALPN);
    let mut stream = connector.connect("x.invalid".try_into().unwrap(), slow).await.unwrap();
    while device.rejected().await != ("unknown-device", Some(carol.fingerprint())) {}
    is_closed_without_a_byte(&mut stream).await;
}

#[tokio::test]
async fn unwant_closes_the_links_that_waited() {
    let (log, _reading) = Log::read();
    let (small, large) = two_identities();
    let large = Device::start(large, config(&[V4]));
    let (transfer, peer) = (TransferId(1), small.fingerprint());
    large.handle.dial(request_for(transfer, peer, HOLIDAY, Vec::new()));
    let mut stream = connect(client(Some(&small), &version::TLS13, ALPN), large.address()).await.unwrap();
    // Half a handshake.
    stream.write_all(&[0x13; 30]).await.unwrap();
    log.says("a link is requested", 1).await;
    log.says(AUTHENTICATED, 1).await;
    large.handle.cancel(transfer.into());
    is_closed_without_a_byte(&mut stream).await;
}

#[tokio::test]
async fn a_link_that_was_given_up_before_it_was_wanted_is_not_handed_over() {
    let (log, _reading) = Log::read();
    let (small, large) = two_identities();
    let mut large = Device::start(large, config(&[V4]));
    let mut stream = connect(client(Some(&small), &version::TLS13, ALPN), large.address()).await.unwrap();
    stream.write_all(&Handshake::ours(HOLIDAY, [0; 20]).to_bytes()).await.unwrap();
    stream.shutdown().await.unwrap();
    drop(stream);
    let mut good = Device::start(small, config(&[V4]));
    good.dial(2, &large, HOLIDAY, vec![host(large.address())]);
    log.says(AUTHENTICATED, 3).await;
    assert!(good.events.try_recv().is_err());
    large.dial(1, &good, HOLIDAY, Vec::new());
    linked(&mut good, &mut large).await;
}

#[tokio::test]
async fn a_parked_link_that_its_other_end_had_closed_is_no_grant() {
    let (log, _reading) = Log::read();
    let (small, large) = two_identities();
    let mut small = Device::start(small, config(&[V4]));
    let mut dead = connect(client(Some(&large), &version::TLS13, ALPN), small.address()).await.unwrap();
    // As if it were an answer, before there was a question.
    dead.write_all(&Handshake::ours(HOLIDAY, [0; 20]).to_bytes()).await.unwrap();
    dead.shutdown().await.unwrap();
    drop(dead);
    log.says(AUTHENTICATED, 1).await;
    let peer = large.fingerprint();
    small.handle.dial(request_for(TransferId(1), peer, HOLIDAY, Vec::new()));
    log.says("a link was lost before it was used", 1).await;
    assert!(small.events.try_recv().is_err());
    let mut good = connect(client(Some(&large), &version::TLS13, ALPN), small.address()).await.unwrap();
    let mut asked = [0; 68];
    timeout(PATIENCE, good.read_exact(&mut asked)).await.unwrap().unwrap();
    good.write_all(&asked).await.unwrap();
    small.ready().await;
}

#[tokio::test]
async fn the_one_who_chooses_waits_a_little_for_a_better_way() {
    let (small, large) = two_identities();
    let patient = Times { better_way: PATIENCE, ..times() };
    let mut small = Device::start_with(small, config(&[V4, V6]), patient);
    let peer = large.fingerprint();
    small.handle.dial(request_for(TransferId(1), peer, HOLIDAY, Vec::new()));
    let (v4, v6) = (small.handle.candidates()[1].address, small.handle.candidates()[0].address);
    let mut worse = connect(client(Some(&large), &version::TLS13, ALPN), v4).await.unwrap();
    let mut better = connect(client(Some(&large), &version::TLS13, ALPN), v6).await.unwrap();
    let mut asked = [0; 68];
    timeout(PATIENCE, better.read_exact(&mut asked)).await.unwrap().unwrap();
    assert_eq!(Handshake::parse(&asked).unwrap().info_hash, HOLIDAY);
    better.write_all(&asked).await.unwrap();
    assert_eq!(small.ready().await.way, Way::DirectTcp6);
    is_closed_without_a_byte(&mut worse).await;
}

#[tokio::test]
async fn a_link_that_does_not_answer_gives_way_to_the_next() {
    let (small, large) = two_identities();
    let mut small = Device::start_with(small, config(&[V4]), Times { answer: short().answer, ..times() });
    let peer = large.fingerprint();
    small.handle.dial(request_for(TransferId(1), peer, HOLIDAY, Vec::new()));
    let mut asked = [0; 68];
    let mut mute = connect(client(Some(&large), &version::TLS13, ALPN), small.address()).await.unwrap();
    timeout(PATIENCE, mute.read_exact(&mut asked)).await.unwrap().unwrap();
    let mut good = connect(client(Some(&large), &version::TLS13, ALPN), small.address()).await.unwrap();
    timeout(PATIENCE, good.read_exact(&mut asked)).await.unwrap().unwrap();
    good.write_all(&asked).await.unwrap();
    // What follows the handshake belongs to the owner of the link.
    good.write_all(b"more").await.unwrap();
    let mut more = [0; 4];
    small.ready().await.stream.read_exact(&mut more).await.unwrap();
    assert_eq!(&more, b"more");
}

#[tokio::test]
async fn who_does_not_choose_takes_the_link_that_is_spoken_on_even_if_it_is_no_better() {
    let (small, large) = two_identities();
    let mut large = Device::start(large, config(&[V4]));
    let better_than = Some(Way::DirectTcp6);
    let request = DialRequest { better_than, ..request_for(TransferId(1), small.fingerprint(), HOLIDAY, Vec::new()) };
    large.handle.dial(request);
    // The chooser takes the link in use for dead, and has no other way than this one.
    let mut stream = connect(client(Some(&small), &version::TLS13, ALPN), large.address()).await.unwrap();
    stream.write_all(&Handshake::ours(HOLIDAY, [0; 20]).to_bytes()).await.unwrap();
    assert_eq!(large.ready().await.way, Way::DirectTcp4);
}
