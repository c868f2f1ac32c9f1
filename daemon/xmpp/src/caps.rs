//! Entity capabilities (XEP-0115): what we are, and who else runs xbt.

use std::collections::{HashMap, VecDeque};

use tokio_xmpp::parsers::caps::{Caps, compute_disco, hash_caps};
use tokio_xmpp::parsers::disco::{DiscoInfoResult, Identity};
use tokio_xmpp::parsers::hashes::Algo;
use tokio_xmpp::parsers::ns;

use super::payload;

/// Names our software in the hash's node; an address that never changes, not one to be opened.
const NODE: &str = "urn:x-xbt:1:xbtd";

/// Most hashes that are remembered; the oldest goes first.
const MOST: usize = 1024;

/// Names a set of features: a hash function and its value.
pub(super) type Hash = (String, Vec<u8>);

/// Our answer to a question for features.
pub(super) fn ours() -> DiscoInfoResult {
    let features = [ns::DISCO_INFO, ns::DISCO_ITEMS, ns::CAPS, ns::PING, ns::VERSION, payload::NS];
    DiscoInfoResult {
        node: None,
        identities: vec![Identity {
            category: "client".to_owned(),
            // XEP-0115 and the registrar know no kind for a file program; "bot" is what runs without a person.
            type_: "bot".to_owned(),
            lang: None,
            name: Some("xbtd".to_owned()),
        }],
        features: features.into_iter().map(str::to_owned).collect(),
        extensions: Vec::new(),
    }
}

/// Our `<c/>` and the node under which the features are also asked for.
pub(super) fn advertised(info: &DiscoInfoResult) -> Option<(Caps, String)> {
    let caps = Caps::new(NODE, hash_caps(&compute_disco(info), Algo::Sha_1).ok()?);
    let node = node_of(&caps);
    Some((caps, node))
}

/// `node#ver`, as XEP-0115, section 6.2 wants it in a query.
pub(super) fn node_of(caps: &Caps) -> String {
    tokio_xmpp::parsers::caps::query_caps(caps.clone()).node.unwrap_or_default()
}

/// How a `<c/>` names its features; none where we cannot compute the hash and so must ask each device.
pub(super) fn hash_of(caps: &Caps) -> Option<Hash> {
    match &caps.hash {
        Algo::Sha_1 => Some(("sha-1".to_owned(), caps.ver.clone())),
        Algo::Sha_256 => Some(("sha-256".to_owned(), caps.ver.clone())),
        _ => None,
    }
}

/// Whether the features are really those that the hash names (XEP-0115, section 5.4).
pub(super) fn verified(hash: &Hash, info: &DiscoInfoResult) -> bool {
    // `<` separates the values in what is hashed: with one inside a value, two different answers have one hash, and
    // an attacker could make every xbt believe that a program does not know xbt (XEP-0115, section 8).
    let parts = |identity: &Identity| {
        let Identity { category, type_, lang, name } = identity;
        format!("{category}{type_}{}{}", lang.as_deref().unwrap_or_default(), name.as_deref().unwrap_or_default())
    };
    let in_forms = info
        .extensions
        .iter()
        .flat_map(|form| &form.fields)
        .any(|field| field.values.iter().chain(&field.var).any(|text| text.contains('<')));
    let ambiguous = in_forms
        || info.features.iter().any(|feature| feature.contains('<'))
        || info.identities.iter().any(|identity| parts(identity).contains('<'));
    let algo = match hash.0.as_str() {
        "sha-1" => Algo::Sha_1,
        "sha-256" => Algo::Sha_256,
        _ => return false,
    };
    !ambiguous && hash_caps(&compute_disco(info), algo).is_ok_and(|computed| computed.hash == hash.1)
}

/// Whether these are the features of xbt.
pub(super) fn speaks_xbt(info: &DiscoInfoResult) -> bool {
    info.features.contains(payload::NS)
}

/// Verified hashes, and whether what they name runs xbt.
#[derive(Debug, Default)]
pub(super) struct Known {
    xbt: HashMap<Hash, bool>,
    order: VecDeque<Hash>,
}

impl Known {
    pub(super) fn get(&self, hash: &Hash) -> Option<bool> {
        self.xbt.get(hash).copied()
    }

    pub(super) fn insert(&mut self, hash: Hash, xbt: bool) {
        if self.xbt.insert(hash.clone(), xbt).is_none() {
            self.order.push_back(hash);
        }
        if self.order.len() > MOST
            && let Some(oldest) = self.order.pop_front()
        {
            self.xbt.remove(&oldest);
        }
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn our_own_hash_verifies_and_a_changed_answer_does_not() {
        let mut info = ours();
        let (caps, node) = advertised(&info).unwrap();
        let hash = hash_of(&caps).unwrap();
        assert!(node.starts_with("urn:x-xbt:1:xbtd#"));
        assert!(verified(&hash, &info) && speaks_xbt(&info));
        info.features.remove(payload::NS);
        assert!(!verified(&hash, &info));
    }

    #[test]
    fn an_answer_made_to_collide_is_not_believed() {
        let honest = ours();
        let hash = hash_of(&advertised(&honest).unwrap().0).unwrap();
        let mut forged = honest.clone();
        let last = forged.features.pop_last().unwrap();
        let before = forged.features.pop_last().unwrap();
        forged.features.insert(format!("{before}<{last}"));
        assert_eq!(compute_disco(&forged), compute_disco(&honest));
        assert!(!verified(&hash, &forged));
    }

    #[test]
    fn the_memory_is_bounded() {
        let mut known = Known::default();
        for n in 0..MOST + 10 {
            known.insert(("sha-1".into(), n.to_be_bytes().to_vec()), true);
        }
        assert_eq!((known.xbt.len(), known.order.len()), (MOST, MOST));
        assert_eq!(known.get(&("sha-1".into(), 0usize.to_be_bytes().to_vec())), None);
    }
}
