//! A server that takes short stanzas only.

use xbt_core::signal::{Answer, Condition, Offer, Outcome, Request};

use super::super::convert::tests::offer;
use super::Client;
use super::prosody::Prosody;

#[tokio::test]
async fn a_request_that_is_too_long_for_the_server_ends_one_stream_and_not_every_further_one() {
    let prosody = Prosody::start_narrow(&["alice", "bob"], &["alice", "bob"], 3_000);
    let (mut alice, alices) = Client::online(prosody.config("alice", "xbt-a")).await;
    let (mut bob, bobs) = Client::online(prosody.config("bob", "xbt-b")).await;
    alice.until_xbt(&bobs).await;
    bob.until_xbt(&alices).await;
    let long = || Request::Offer(Offer { message: Some("&".repeat(1_000)), ..offer() });

    alice.request(1, &bobs, long()).await;
    assert_eq!(alice.outcome(1).await, Outcome::Lost);
    alice.until_online(false).await;
    alice.until_xbt(&bobs).await;
    // The rules ask again.
    alice.request(2, &bobs, long()).await;
    let refused = alice.outcome(2).await;
    assert!(matches!(&refused, Outcome::Refused(r) if r.condition == Condition::NotAcceptable), "{refused:?}");

    alice.request(3, &bobs, Request::Offer(offer())).await;
    let (token, ..) = bob.until_requested().await;
    bob.answer(token, Ok(Answer::Acknowledged)).await;
    assert_eq!(alice.outcome(3).await, Outcome::Answered(Answer::Acknowledged));
    alice.session.close().await;
    bob.session.close().await;
}
