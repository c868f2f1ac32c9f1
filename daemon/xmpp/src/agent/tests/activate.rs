//! Activating a bytestream at a proxy.

use tokio::sync::oneshot;

use super::*;
use crate::call::{RelayError, SessionCall};

#[test]
fn a_proxy_is_believed_if_it_is_the_one_that_was_asked() {
    let mut bench = Bench::new();
    let activate = |bench: &mut Bench| {
        let (reply, outcome) = oneshot::channel();
        let proxy = xbt_core::signal::Proxy { jid: "proxy.a".into(), host: "p".into(), port: 1 };
        let target = device("bob@b/1");
        bench.agent.take_call(SessionCall::Activate { proxy, stream_id: "s".into(), target, reply }, bench.now);
        (bench.iqs().remove(0), outcome)
    };
    let (asked, mut outcome) = activate(&mut bench);
    let text = String::from_utf8(xso::to_vec(&asked).unwrap()).unwrap();
    assert!(text.contains("sid='s'") && text.contains(">bob@b/1</"), "{text}");
    bench.feed(&format!("<iq type='result' id='{}' from='eve@e/1'/>", asked.id()));
    assert!(outcome.try_recv().is_err());
    bench.feed(&format!("<iq type='result' id='{}' from='proxy.a'/>", asked.id()));
    assert_eq!(outcome.try_recv(), Ok(Ok(())));
    for (condition, again) in [("item-not-found", true), ("not-allowed", true), ("forbidden", false)] {
        let (asked, mut outcome) = activate(&mut bench);
        bench.feed(&format!(
            "<iq type='error' id='{}' from='proxy.a'><error type='cancel'><{condition} \
             xmlns='urn:ietf:params:xml:ns:xmpp-stanzas'/></error></iq>",
            asked.id()
        ));
        let outcome = outcome.try_recv().unwrap();
        assert_eq!(matches!(outcome, Err(RelayError::NotReady { .. })), again, "{outcome:?}");
    }
}
