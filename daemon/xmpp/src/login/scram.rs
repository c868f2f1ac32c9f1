//! SCRAM (RFC 5802, RFC 7677) as a client speaks it, without I/O.
//!
//! Own code, because the library reads a message into a map: of a field that stands twice the last one counts for it,
//! so a check of the first one says nothing. Here a message has the fields that the RFC gives it, in their order, each
//! once, or it is refused; and nothing is computed before it has been read whole.

use std::num::NonZeroU32;
use std::ops::RangeInclusive;

use base64::Engine;
use base64::engine::general_purpose::STANDARD as BASE64;
use ring::{digest, hmac, pbkdf2};
use xbt_core::login::Mechanism;

/// Fewest and most rounds of key derivation that a server may ask for. Fewer make a stolen exchange cheap to guess
/// from (RFC 5802 says at least 4096); more only keep us busy, and servers use 4096 to 600,000.
pub(crate) const ROUNDS: RangeInclusive<u32> = 4096..=2_000_000;

/// Longest message of a server.
const LONGEST: usize = 4096;

/// Longest salt, and longest nonce.
const MOST: usize = 1024;

/// A message of the server that is none, or is not safe.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub(crate) enum Broken {
    /// It is not what the RFC says, or has a field twice.
    #[error("it is malformed")]
    Malformed,
    /// It wants an extension that we do not know, and says that we must.
    #[error("it needs an extension that xbtd does not know")]
    Extension,
    /// Too few or too many.
    #[error("its number of rounds is not between {} and {}", ROUNDS.start(), ROUNDS.end())]
    Rounds,
    /// It repeats an old exchange, or is the answer to another one.
    #[error("it does not answer this login")]
    Nonce,
    /// The server does not know the password.
    #[error("the proof of the server is wrong")]
    Proof,
}

/// What is said of channel binding (RFC 5802, section 6).
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Binding {
    /// `n`: we cannot, or only in ways that the server does not know.
    None,
    /// `y`: we could, but the server offers no mechanism for it. One that does offer some notices by this that
    /// somebody removed them on the way.
    NotOffered,
    /// `p=tls-exporter` (RFC 9266).
    Exporter(Vec<u8>),
}

impl Binding {
    fn header(&self) -> &'static str {
        match self {
            Self::None => "n,,",
            Self::NotOffered => "y,,",
            Self::Exporter(_) => "p=tls-exporter,,",
        }
    }

    fn data(&self) -> &[u8] {
        match self {
            Self::None | Self::NotOffered => &[],
            Self::Exporter(data) => data,
        }
    }
}

/// The hash function of a mechanism.
struct Hash {
    digest: &'static digest::Algorithm,
    hmac: hmac::Algorithm,
    pbkdf2: pbkdf2::Algorithm,
}

impl Hash {
    /// None for a mechanism that is not SCRAM.
    fn of(mechanism: Mechanism) -> Option<Self> {
        Some(match mechanism {
            Mechanism::Plain => return None,
            Mechanism::ScramSha1 | Mechanism::ScramSha1Plus => Self {
                digest: &digest::SHA1_FOR_LEGACY_USE_ONLY,
                hmac: hmac::HMAC_SHA1_FOR_LEGACY_USE_ONLY,
                pbkdf2: pbkdf2::PBKDF2_HMAC_SHA1,
            },
            Mechanism::ScramSha256 | Mechanism::ScramSha256Plus => {
                Self { digest: &digest::SHA256, hmac: hmac::HMAC_SHA256, pbkdf2: pbkdf2::PBKDF2_HMAC_SHA256 }
            }
            Mechanism::ScramSha512 | Mechanism::ScramSha512Plus => {
                Self { digest: &digest::SHA512, hmac: hmac::HMAC_SHA512, pbkdf2: pbkdf2::PBKDF2_HMAC_SHA512 }
            }
        })
    }

    fn sign(&self, key: &[u8], message: &[u8]) -> hmac::Tag {
        hmac::sign(&hmac::Key::new(self.hmac, key), message)
    }
}

/// An exchange that has begun. No `Debug`: holds the password.
pub(crate) struct Scram {
    hash: Hash,
    binding: Binding,
    password: String,
    nonce: String,
    /// `client-first-message-bare`.
    first: String,
}

/// A challenge that was read and is fit to be answered. No `Debug`: holds the password.
pub(crate) struct Challenge {
    scram: Scram,
    text: String,
    nonce: String,
    salt: Vec<u8>,
    rounds: NonZeroU32,
}

/// What the server has to prove before it is believed.
pub(crate) struct Expected {
    key: hmac::Key,
    message: Vec<u8>,
}

impl Scram {
    /// Begins, with a nonce of printable ASCII without commas; none for a mechanism that is not SCRAM.
    pub(crate) fn begin(
        mechanism: Mechanism,
        binding: Binding,
        user: &str,
        password: &str,
        nonce: String,
    ) -> Option<Self> {
        let hash = Hash::of(mechanism)?;
        // RFC 5802, section 5.1: these two mean something in a message.
        let user = user.replace('=', "=3D").replace(',', "=2C");
        let first = format!("n={user},r={nonce}");
        Some(Self { hash, binding, password: prepared(password), nonce, first })
    }

    /// The message that opens the exchange.
    pub(crate) fn first_message(&self) -> Vec<u8> {
        format!("{}{}", self.binding.header(), self.first).into_bytes()
    }

    /// Reads `server-first-message`. Computes nothing.
    pub(crate) fn read(self, challenge: &[u8]) -> Result<Challenge, Broken> {
        let text = printable(challenge)?.to_owned();
        let [nonce, salt, rounds] = fields(&text, ['r', 's', 'i'])?;
        let is_ours = nonce.len() > self.nonce.len() && nonce.starts_with(&self.nonce) && nonce.len() <= MOST;
        if !is_ours {
            return Err(Broken::Nonce);
        }
        let salt = BASE64.decode(salt).map_err(|_| Broken::Malformed)?;
        if salt.is_empty() || salt.len() > MOST {
            return Err(Broken::Malformed);
        }
        let rounds = positive(rounds)?;
        if !ROUNDS.contains(&rounds.get()) {
            return Err(Broken::Rounds);
        }
        let nonce = nonce.to_owned();
        Ok(Challenge { scram: self, text, nonce, salt, rounds })
    }
}

impl Challenge {
    #[cfg(feature = "fuzzing")]
    pub(crate) fn into_parts(self) -> (String, Vec<u8>, u32) {
        (self.nonce, self.salt, self.rounds.get())
    }

    /// The answer, and what the server has to prove in turn. Takes a while on purpose: not for a thread that must not
    /// wait.
    pub(crate) fn answer(self) -> (Vec<u8>, Expected) {
        let Self { scram: Scram { hash, binding, password, first, .. }, text, nonce, salt, rounds } = self;
        let mut salted = vec![0; hash.digest.output_len()];
        pbkdf2::derive(hash.pbkdf2, rounds, &salt, password.as_bytes(), &mut salted);
        let bound = [binding.header().as_bytes(), binding.data()].concat();
        let without_proof = format!("c={},r={nonce}", BASE64.encode(bound));
        let message = format!("{first},{text},{without_proof}").into_bytes();
        let client_key = hash.sign(&salted, b"Client Key");
        let stored_key = digest::digest(hash.digest, client_key.as_ref());
        let signature = hash.sign(stored_key.as_ref(), &message);
        let proof: Vec<u8> = client_key.as_ref().iter().zip(signature.as_ref()).map(|(key, sign)| key ^ sign).collect();
        let server_key = hash.sign(&salted, b"Server Key");
        let expected = Expected { key: hmac::Key::new(hash.hmac, server_key.as_ref()), message };
        (format!("{without_proof},p={}", BASE64.encode(proof)).into_bytes(), expected)
    }
}

impl Expected {
    /// Reads `server-final-message`.
    pub(crate) fn check(&self, last: &[u8]) -> Result<(), Broken> {
        let [proof] = fields(printable(last)?, ['v'])?;
        let proof = BASE64.decode(proof).map_err(|_| Broken::Malformed)?;
        hmac::verify(&self.key, &self.message, &proof).map_err(|_| Broken::Proof)
    }
}

/// RFC 5802, section 2.2: passwords are compared after SASLprep. What that forbids is sent as it is, as other clients
/// do.
fn prepared(password: &str) -> String {
    stringprep::saslprep(password).map_or_else(|_| password.to_owned(), |prepared| prepared.into_owned())
}

/// A message has no control characters (RFC 5802, section 7), and is short.
fn printable(message: &[u8]) -> Result<&str, Broken> {
    let text = std::str::from_utf8(message).map_err(|_| Broken::Malformed)?;
    if text.len() > LONGEST || text.chars().any(char::is_control) { Err(Broken::Malformed) } else { Ok(text) }
}

/// The values of the fields that a message begins with. Extensions may follow; no field may stand twice.
fn fields<const N: usize>(text: &str, wanted: [char; N]) -> Result<[&str; N], Broken> {
    let mut seen = Vec::new();
    let mut values = [""; N];
    for (place, field) in text.split(',').enumerate() {
        let (name, value) = field.split_once('=').ok_or(Broken::Malformed)?;
        let mut letters = name.chars();
        let (Some(name), None) = (letters.next(), letters.next()) else { return Err(Broken::Malformed) };
        if !name.is_ascii_alphabetic() || value.is_empty() || seen.contains(&name) {
            return Err(Broken::Malformed);
        }
        if name == 'm' {
            return Err(Broken::Extension);
        }
        seen.push(name);
        match wanted.get(place) {
            Some(wanted) if *wanted == name => values[place] = value,
            Some(_) => return Err(Broken::Malformed),
            None => {}
        }
    }
    if seen.len() < N { Err(Broken::Malformed) } else { Ok(values) }
}

/// `posit-number`: digits, the first of them not 0.
fn positive(digits: &str) -> Result<NonZeroU32, Broken> {
    if digits.starts_with('0') || !digits.bytes().all(|digit| digit.is_ascii_digit()) {
        return Err(Broken::Malformed);
    }
    // What does not fit is a number all the same, and too large.
    digits.parse().map_err(|_| Broken::Rounds)
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    fn begun(mechanism: Mechanism, binding: Binding, nonce: &str) -> Scram {
        Scram::begin(mechanism, binding, "user", "pencil", nonce.to_owned()).unwrap()
    }

    /// Why a challenge is not answered.
    fn refused(challenge: &str) -> Option<Broken> {
        begun(Mechanism::ScramSha1, Binding::None, "abc").read(challenge.as_bytes()).err()
    }

    #[test]
    fn the_examples_of_the_rfcs_come_out() {
        for (mechanism, nonce, challenge, answer, last) in [
            (
                Mechanism::ScramSha1,
                "fyko+d2lbbFgONRv9qkxdawL",
                "r=fyko+d2lbbFgONRv9qkxdawL3rfcNHYJY1ZVvWVs7j,s=QSXCR+Q6sek8bf92,i=4096",
                "c=biws,r=fyko+d2lbbFgONRv9qkxdawL3rfcNHYJY1ZVvWVs7j,p=v0X8v3Bz2T0CJGbJQyF0X+HI4Ts=",
                "v=rmF9pqV8S7suAoZWja4dJRkFsKQ=",
            ),
            (
                Mechanism::ScramSha256,
                "rOprNGfwEbeRWgbNEkqO",
                "r=rOprNGfwEbeRWgbNEkqO%hvYDpWUa2RaTCAfuxFIlj)hNlF$k0,s=W22ZaJ0SNY7soEsUEjb6gQ==,i=4096",
                "c=biws,r=rOprNGfwEbeRWgbNEkqO%hvYDpWUa2RaTCAfuxFIlj)hNlF$k0,\
                 p=dHzbZapWIk4jUhN+Ute9ytag9zjfMHgsqmmiz7AndVQ=",
                "v=6rriTRBi23WpRR/wtup+mMhUZUn/dB5nLTJRsjl95G4=",
            ),
            // By Python's hashlib, as no RFC has one.
            (
                Mechanism::ScramSha512,
                "rOprNGfwEbeRWgbNEkqO",
                "r=rOprNGfwEbeRWgbNEkqO%hvYDpWUa2RaTCAfuxFIlj)hNlF$k0,s=W22ZaJ0SNY7soEsUEjb6gQ==,i=4096",
                "c=biws,r=rOprNGfwEbeRWgbNEkqO%hvYDpWUa2RaTCAfuxFIlj)hNlF$k0,\
                 p=gMGXRcevScNtxZ6/8lQYpGtnsNAc3mGcmNomv+xnoOMw+3R2xNJdMNnzMlTN8PPC6wdp6dybEmDYXYTxwnYPJQ==",
                "v=ZQnYEgWQMFmmsM8aQMF0nDDCy/AgCzkwk8CmMZYcMg0vSVlKDanekLtifDSeVGT4+5ZxXnJq199RVG2rR7N7Zw==",
            ),
        ] {
            let (said, expected) = begun(mechanism, Binding::None, nonce).read(challenge.as_bytes()).unwrap().answer();
            assert_eq!(String::from_utf8(said).unwrap(), answer);
            assert_eq!(expected.check(last.as_bytes()), Ok(()));
        }
    }

    #[test]
    fn a_server_has_to_prove_that_it_knows_the_password() {
        let challenge = b"r=abcdef,s=c2FsdA==,i=4096";
        let (_, expected) = begun(Mechanism::ScramSha512, Binding::None, "abc").read(challenge).unwrap().answer();
        for last in ["", "v=", "v=AAAA", "e=other-error", "v=AAAA,v=AAAA", "x=1,v=AAAA", "v"] {
            assert!(expected.check(last.as_bytes()).is_err(), "{last}");
        }
    }

    #[test]
    fn the_binding_is_said_first_and_proved_with_the_answer() {
        let challenge = b"r=abcdef,s=c2FsdA==,i=4096";
        for (binding, header, proved) in [
            (Binding::None, "n,,n=user,r=abc", "c=biws,"),
            (Binding::NotOffered, "y,,n=user,r=abc", "c=eSws,"),
            (Binding::Exporter(vec![7]), "p=tls-exporter,,n=user,r=abc", "c=cD10bHMtZXhwb3J0ZXIsLAc=,"),
        ] {
            let scram = begun(Mechanism::ScramSha256, binding, "abc");
            assert_eq!(scram.first_message(), header.as_bytes());
            let (answer, _) = scram.read(challenge).unwrap().answer();
            assert!(answer.starts_with(proved.as_bytes()), "{}", answer.escape_ascii());
        }
    }

    #[test]
    fn characters_with_a_meaning_are_escaped_in_the_name() {
        let scram = Scram::begin(Mechanism::ScramSha1, Binding::None, "a=b,c", "", "abc".to_owned()).unwrap();
        assert_eq!(scram.first_message(), b"n,,n=a=3Db=2Cc,r=abc");
    }

    #[test]
    fn a_challenge_with_a_field_twice_or_out_of_place_is_refused() {
        assert_eq!(refused("r=abcdef,s=c2FsdA==,i=4096"), None);
        assert_eq!(refused("r=abcdef,s=c2FsdA==,i=4096,h=bmV3,x=1"), None, "extensions are not for us");
        for bad in [
            "r=abcdef,s=c2FsdA==,i=4096,i=1",
            "r=abcdef,s=c2FsdA==,i=4096,i=4096",
            "r=abcdef,s=c2FsdA==,i=4096,r=abcdef",
            "r=abcdef,s=c2FsdA==,i=4096,x=1,x=2",
            "r=abcdef,i=4096,s=c2FsdA==",
            "s=c2FsdA==,r=abcdef,i=4096",
            "r=abcdef,s=c2FsdA==",
            "r=abcdef,s=,i=4096",
            "r=abcdef,s=c2FsdA,i=4096",
            "r=abcdef,s=c2 FsdA==,i=4096",
            "r=abcdef,s=c2FsdA==,i=+4096",
            "r=abcdef,s=c2FsdA==,i=04096",
            "r=abcdef,s=c2FsdA==,i=4096 ",
            "r=abcdef,s=c2FsdA==,i=4096,",
            "r=abcdef,s=c2FsdA==,i=4096,xy=1",
            "r=abcdef,s=c2FsdA==,i=4096,1=1",
            "r=abc\ndef,s=c2FsdA==,i=4096",
            "e=other-error",
            "",
        ] {
            assert_eq!(refused(bad), Some(Broken::Malformed), "{bad}");
        }
        assert_eq!(refused("m=x,r=abcdef,s=c2FsdA==,i=4096"), Some(Broken::Extension));
        assert_eq!(refused(&format!("r=abcdef,s=c2FsdA==,i=4096,x={}", "x".repeat(5000))), Some(Broken::Malformed));
    }

    #[test]
    fn too_few_and_too_many_rounds_are_refused_before_any_work() {
        for rounds in ["1", "4095", "2000001", "4294967295", "4294967296", "99999999999999999999999"] {
            assert_eq!(refused(&format!("r=abcdef,s=c2FsdA==,i={rounds}")), Some(Broken::Rounds), "{rounds}");
        }
    }

    #[test]
    fn an_answer_to_another_exchange_is_refused() {
        for nonce in ["abc", "ab", "xabcdef", "ABCdef"] {
            assert_eq!(refused(&format!("r={nonce},s=c2FsdA==,i=4096")), Some(Broken::Nonce), "{nonce}");
        }
    }
}
