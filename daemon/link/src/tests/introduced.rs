//! Links with devices that were introduced for a transfer, beside its own.

use super::*;

fn introduced(transfer: u64, peer: &Device, candidates: Vec<Candidate>) -> DialRequest {
    DialRequest { introduced: true, ..request_for(TransferId(transfer), peer.fingerprint, HOLIDAY, candidates) }
}

/// The next link, and whether it is one with an introduced device.
async fn next(device: &mut Device) -> (Fingerprint, bool) {
    loop {
        match device.event().await {
            LinkEvent::Ready { peer, introduced, .. } => return (peer, introduced),
            LinkEvent::Rejected(_) | LinkEvent::CandidatesChanged(_) | LinkEvent::Plain { .. } => {}
            other @ LinkEvent::Failed { .. } => panic!("{other:?}"),
        }
    }
}

#[tokio::test]
async fn a_transfer_has_its_own_link_and_one_with_each_introduced_device() {
    let mut bob = Device::start(new_identity(), config(&[V4]));
    let mut others: Vec<Device> = (0..3).map(|_| Device::start(new_identity(), config(&[V4]))).collect();
    bob.dial(1, &others[0], HOLIDAY, Vec::new());
    for other in &others[1..] {
        bob.handle.dial(introduced(1, other, vec![host(other.address())]));
    }
    others[0].dial(7, &bob, HOLIDAY, vec![host(bob.address())]);
    for other in &others[1..] {
        other.handle.dial(introduced(7, &bob, vec![host(bob.address())]));
    }
    let mut got = Vec::new();
    for _ in 0..3 {
        got.push(next(&mut bob).await);
    }
    got.sort();
    let mut expected: Vec<_> = others.iter().enumerate().map(|(n, other)| (other.fingerprint, n > 0)).collect();
    expected.sort();
    assert_eq!(got, expected);
    for (number, other) in others.iter_mut().enumerate() {
        assert_eq!(next(other).await, (bob.fingerprint, number > 0));
    }
}

#[tokio::test]
async fn giving_up_an_introduced_device_leaves_the_transfers_own_want_alone() {
    let (mut small, mut large) = pair(&[V4]);
    let gone = new_identity().fingerprint();
    let request = DialRequest { introduced: true, ..request_for(TransferId(1), gone, HOLIDAY, Vec::new()) };
    small.handle.dial(request.clone());
    small.dial(1, &large, HOLIDAY, vec![host(large.address())]);
    small.handle.cancel(request.link_id());
    large.dial(1, &small, HOLIDAY, Vec::new());
    linked(&mut small, &mut large).await;
}

#[tokio::test]
async fn an_introduced_device_that_asks_for_another_content_is_refused() {
    let (small, mut large) = pair_with(&[V4], short());
    // The one with the smaller key chooses what to ask for; it was granted one content and wants another.
    large.handle.dial(introduced(1, &small, Vec::new()));
    small.dial(1, &large, LETTER, vec![host(large.address())]);
    assert_eq!(large.rejected().await, ("not-granted", Some(small.fingerprint)));
}

#[tokio::test]
async fn only_the_key_that_the_sender_named_gets_the_link_that_the_engine_is_given() {
    let (mut small, mut large) = pair_with(&[V4], Times { parked: short().parked, ..times() });
    let carol = Device::start(new_identity(), config(&[V4]));
    large.handle.dial(introduced(1, &small, Vec::new()));
    carol.dial(3, &large, HOLIDAY, vec![host(large.address())]);
    assert_eq!(large.rejected().await, ("unknown-device", Some(carol.fingerprint)), "the content alone opens no door");
    small.handle.dial(introduced(7, &large, vec![host(large.address())]));
    assert_eq!(next(&mut large).await, (small.fingerprint, true));
    assert_eq!(next(&mut small).await, (large.fingerprint, true));
}

#[tokio::test]
async fn whoever_answers_at_the_address_with_another_key_than_the_named_one_gets_no_link() {
    let (mut small, large) = pair_with(&[V4], short());
    let carol = Device::start(new_identity(), config(&[V4]));
    carol.dial(3, &small, HOLIDAY, Vec::new());
    small.handle.dial(introduced(7, &large, vec![host(carol.address())]));
    loop {
        match small.event().await {
            LinkEvent::Failed { transfer, introduced, attempts } => {
                assert_eq!((transfer, introduced), (TransferId(7), Some(large.fingerprint)));
                assert_eq!(attempts[0].failure.reason.code(), "wrong-device");
                break;
            }
            LinkEvent::Rejected(_) | LinkEvent::CandidatesChanged(_) => {}
            other @ (LinkEvent::Ready { .. } | LinkEvent::Plain { .. }) => panic!("{other:?}"),
        }
    }
}
