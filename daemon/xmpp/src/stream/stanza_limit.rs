//! How long a stanza of ours may be.
//!
//! A server closes the stream on a stanza that is too long (RFC 6120, section 13.12), and would do so after every login,
//! because a request that was not answered is sent again. So what it does not take is not sent a second time.

use tokio_xmpp::Stanza;

/// Shorter stanzas are never the reason: RFC 6120 asks servers to take 10,000 bytes, but some are configured lower.
const SHORTEST: usize = 1024;

/// The limit of the server that we are logged in to, as far as it is known.
#[derive(Debug, Default)]
pub(crate) struct StanzaLimit {
    announced: Option<usize>,
    learned: Option<usize>,
}

impl StanzaLimit {
    /// What the server says in its stream features, in bytes (XEP-0478). Below what makes sense, it is ignored.
    pub(crate) fn announce(&mut self, most: Option<u32>) {
        self.announced = most.and_then(|most| usize::try_from(most).ok()).filter(|most| *most >= SHORTEST);
    }

    /// The server closed the stream for a violation of its policy when the longest stanza that it had not acknowledged
    /// was this long. `true`: that may have been the reason.
    pub(crate) fn learn(&mut self, longest: usize) -> bool {
        let suspicious = longest > SHORTEST && self.most().is_none_or(|most| longest <= most);
        if suspicious {
            self.learned = Some(longest - 1);
        }
        suspicious
    }

    /// Bytes that a stanza may have; none if that is not known.
    pub(crate) fn most(&self) -> Option<usize> {
        self.announced.into_iter().chain(self.learned).min()
    }

    /// Whether the server is known to refuse this stanza.
    pub(crate) fn forbids(&self, stanza: &Stanza) -> bool {
        self.most().is_some_and(|most| length(stanza) > most)
    }
}

/// Bytes of a stanza as written, or a few more: its namespace need not be declared inside the stream.
pub(super) fn length(stanza: &Stanza) -> usize {
    xso::to_vec(stanza).map_or(0, |written| written.len())
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;
    use tokio_xmpp::jid::Jid;
    use tokio_xmpp::parsers::message::{Lang, Message};

    fn message(text: &str) -> Stanza {
        Message::chat(Jid::new("bob@localhost").unwrap()).with_body(Lang::new(), text.to_owned()).into()
    }

    #[test]
    fn a_stanza_that_closed_the_stream_is_not_sent_again_and_shorter_ones_are() {
        let mut limit = StanzaLimit::default();
        let long = message(&"&".repeat(1000));
        assert!(length(&long) > 5000, "as escaped");
        assert!(!limit.forbids(&long));
        assert!(limit.learn(length(&long)));
        assert!(limit.forbids(&long));
        assert!(!limit.forbids(&message(&"&".repeat(999))));
    }

    #[test]
    fn a_violation_without_a_long_stanza_teaches_nothing() {
        let mut limit = StanzaLimit::default();
        assert!(!limit.learn(SHORTEST));
        assert_eq!(limit.most(), None);
    }

    #[test]
    fn the_lower_of_what_was_announced_and_learned_counts() {
        let mut limit = StanzaLimit::default();
        limit.announce(Some(10_000));
        assert_eq!(limit.most(), Some(10_000));
        limit.learn(5_000);
        assert_eq!(limit.most(), Some(4_999));
        limit.announce(Some(12));
        assert_eq!(limit.most(), Some(4_999));
    }
}
