//! What a server says before we know that it is the right one.

use xbt_fuzz::target;
use xbt_xmpp::fuzzing;

const SCRAM: &[&str] = &[
    ",",
    "=",
    "r=abc",
    "r=abcdef",
    "s=c2FsdA==",
    "i=4096",
    "i=1",
    "i=4294967295",
    "i=00",
    "m=x",
    "e=other-error",
    "v=AAAA",
    "h=",
    "\0",
    "\u{85}",
    "é",
    "====",
];

/// Both messages of a SCRAM exchange.
fn sasl_holds(bytes: &[u8]) {
    if let Some((nonce, salt, rounds)) = fuzzing::scram_challenge("abc", bytes) {
        assert!(nonce.starts_with("abc") && nonce.len() > 3 && !nonce.contains(','), "{nonce}");
        assert!(!salt.is_empty() && fuzzing::SCRAM_ROUNDS.contains(&rounds), "{rounds}");
        let text = std::str::from_utf8(bytes).expect("text");
        // Whichever of two equal fields another reader takes, it takes the same.
        let mut names: Vec<&str> = text.split(',').filter_map(|field| field.split_once('=')).map(|f| f.0).collect();
        let count = names.len();
        names.sort_unstable();
        names.dedup();
        assert_eq!((names.len(), count), (count, text.split(',').count()), "{text}");
    }
    assert!(!fuzzing::scram_proof(bytes), "nobody guesses 160 bits");
}
target!(sasl, SCRAM, sasl_holds);
