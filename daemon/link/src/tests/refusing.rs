//! Links that must not come about, and what is reported of them.

use xbt_core::signal::Proxy;

use super::*;

#[tokio::test]
async fn a_content_that_is_not_granted_is_refused_even_to_a_known_device() {
    let (mut small, mut large) = pair_with(&[V4], short());
    large.dial(1, &small, HOLIDAY, Vec::new());
    small.dial(2, &large, LETTER, vec![host(large.address())]);
    assert_eq!(large.rejected().await, ("not-granted", Some(small.fingerprint)));
    let (transfer, attempts) = small.failed().await;
    assert_eq!((transfer, attempts[0].failure.reason.code()), (TransferId(2), "closed"));
}

#[tokio::test]
async fn a_grant_is_for_one_device_only() {
    let (mut small, mut large) = pair_with(&[V4], short());
    let mut carol = Device::start_with(new_identity(), config(&[V4]), short());
    small.dial(1, &large, HOLIDAY, Vec::new());
    large.dial(2, &small, HOLIDAY, Vec::new());
    carol.dial(3, &large, HOLIDAY, vec![host(large.address())]);
    carol.dial(4, &small, HOLIDAY, vec![host(small.address())]);
    assert_eq!(large.rejected().await, ("unknown-device", Some(carol.fingerprint)));
    assert_eq!(small.rejected().await, ("unknown-device", Some(carol.fingerprint)));
    carol.failed().await;
}

#[tokio::test]
async fn another_device_at_the_address_is_not_talked_to() {
    let (mut small, large) = pair_with(&[V4], short());
    let mut carol = Device::start(new_identity(), config(&[V4]));
    small.dial(1, &large, HOLIDAY, vec![host(carol.address())]);
    let (_, attempts) = small.failed().await;
    assert_eq!((attempts[0].failure.reason.code(), attempts[0].way), ("wrong-device", Way::DirectTcp4));
    assert!(attempts[0].failure.text.contains("another device"), "{}", attempts[0].failure.text);
    assert_eq!(carol.rejected().await.0, "bad-tls");
}

#[tokio::test]
async fn each_candidate_that_failed_says_why() {
    let (mut small, large) = pair_with(&[V4], short());
    let silent = tokio::net::TcpListener::bind(V4).await.unwrap();
    let (_closed, closed_address) = reserved();
    let web = tokio::net::TcpListener::bind(V4).await.unwrap();
    let web_address = web.local_addr().unwrap();
    tokio::spawn(async move {
        while let Ok((mut stream, _)) = web.accept().await {
            let _ = stream.write_all(b"HTTP/1.1 400 Bad Request\r\n\r\n").await;
        }
    });
    let candidates = vec![
        host("224.0.0.1:9".parse().unwrap()),
        host(silent.local_addr().unwrap()),
        host(closed_address),
        host(web_address),
        host(small.address()),
    ];
    // Told twice, dialled once; and what is beyond sixteen is not looked at.
    let mut told = [candidates.clone(), candidates.clone(), candidates.clone(), vec![candidates[0]]].concat();
    told.push(host(large.address()));
    small.dial(1, &large, HOLIDAY, told);
    let (_, attempts) = small.failed().await;
    let (attempts, untried): (Vec<_>, Vec<_>) = attempts.into_iter().partition(|attempt| attempt.target.is_some());
    let targets: Vec<_> = attempts.iter().filter_map(|attempt| attempt.target.clone()).collect();
    assert_eq!(targets, candidates.iter().copied().map(Target::address).collect::<Vec<_>>());
    assert!(!untried.is_empty() && untried.iter().all(|attempt| !attempt.failure.text.is_empty()));
    let codes: Vec<_> = attempts.iter().map(|attempt| attempt.failure.reason.code()).collect();
    assert_eq!(codes, ["not-dialled", "no-answer", "connection-refused", "bad-tls", "not-dialled"]);
    let silent = format!("{} did not answer within 3 s; ask bob@example.org to open TCP port", candidates[1].address);
    assert!(attempts[1].failure.text.starts_with(&silent), "{}", attempts[1].failure.text);
}

#[tokio::test]
async fn nothing_is_dialled_or_granted_any_more_after_unwant() {
    let (small, mut large) = pair_with(&[V4], short());
    let dead = tokio::net::TcpListener::bind(V4).await.unwrap();
    large.dial(1, &small, HOLIDAY, vec![host(dead.local_addr().unwrap())]);
    let (mut dialled, _) = timeout(PATIENCE, dead.accept()).await.unwrap().unwrap();
    large.handle.cancel(TransferId(1).into());
    // The dial in progress ends: what comes after its greeting is the end of the stream.
    let mut greeting = Vec::new();
    timeout(PATIENCE, dialled.read_to_end(&mut greeting)).await.unwrap().unwrap();
    // And the grant has gone with it. (Known, so the link waits; but it gets no answer.)
    small.dial(2, &large, HOLIDAY, vec![host(large.address())]);
    let mut small = small;
    assert_eq!(small.failed().await.0, TransferId(2));
    let knocks = dead.into_std().unwrap().accept();
    assert_eq!(knocks.unwrap_err().kind(), std::io::ErrorKind::WouldBlock);
    while let Ok(event) = large.events.try_recv() {
        assert!(matches!(event, LinkEvent::Rejected(_) | LinkEvent::CandidatesChanged(_)), "{event:?}");
    }
}

#[tokio::test]
async fn there_is_no_link_to_ourselves() {
    let mut alice = Device::start(new_identity(), config(&[V4]));
    let peer = alice.fingerprint;
    let candidates = vec![host(alice.address())];
    alice.handle.dial(request_for(TransferId(1), peer, HOLIDAY, candidates));
    assert_eq!(alice.failed().await.1[0].failure.reason.code(), "own-device");
}

#[tokio::test]
async fn where_no_way_is_allowed_nothing_is_listened_on_and_wants_fail_at_once() {
    let (small, large) = two_identities();
    let large = Device::start(large, config(&[V4]));
    let off = LinkConfig { ways: Ways::NONE, advertise: vec!["192.0.2.1:9".parse().unwrap()], ..config(&[V4]) };
    let mut small = Device::start(small, off);
    assert!(small.handle.listening().is_empty() && small.handle.candidates().is_empty());
    small.dial(1, &large, HOLIDAY, large.handle.candidates());
    assert_eq!(small.failed().await.1[0].failure.reason.code(), "way-off");
}

#[tokio::test]
async fn where_only_relays_are_allowed_a_contact_cannot_have_us_come_to_a_proxy_of_its_own() {
    let ways = Ways { proxy65: true, in_band: true, ..Ways::NONE };
    let (small, large) = two_identities();
    let mut small = Device::start_with(small, LinkConfig { ways, ..config(&[V4]) }, short());
    assert!(small.handle.listening().is_empty() && small.handle.port().is_none());
    let reach = Reach { stream_id: Some("s".into()), ..Reach::default() };
    let proxy = Proxy { jid: "proxy.bob.example".into(), host: "127.0.0.1".into(), port: 5000 };
    let theirs = Reach { proxies: vec![proxy], ..reach.clone() };
    let request = request_for(TransferId(1), large.fingerprint(), HOLIDAY, Vec::new());
    small.handle.dial(DialRequest { ours: reach, theirs, ..request });
    let (_, attempts) = small.failed().await;
    let attempt = attempts.iter().find(|attempt| attempt.way == Way::Proxy65).unwrap();
    assert_eq!(attempt.failure.reason.code(), "not-dialled", "{attempt:?}");
    assert!(attempt.failure.text.contains("would learn our address"), "{attempt:?}");
}
