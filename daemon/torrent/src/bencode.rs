//! A guard before the bencode codec.
//!
//! `librqbit-bencode` gives typed encoding and decoding, but its integers overflow (a panic in debug builds) on
//! long digits and it takes any order of keys. So everything from outside first passes [`value_len`], which
//! accepts canonical bencode only (BEP 3): then the codec cannot fail in those ways, and one value has one text.

use serde::Serialize;
use serde::de::DeserializeOwned;

/// Nesting beyond this is refused; real metadata has four levels.
const MAX_NESTING: usize = 24;
/// Digits of an integer: any 18 digits fit `i64`.
const MAX_DIGITS: usize = 18;

/// Why bytes are not canonical bencode.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("it is not canonical bencode")]
pub(crate) struct NotBencode;

/// The length of the one canonical value at the start of `bytes`.
pub(crate) fn value_len(bytes: &[u8]) -> Result<usize, NotBencode> {
    let mut scan = Scan { bytes, at: 0 };
    scan.value(0)?;
    Ok(scan.at)
}

/// Decodes a value that fills `bytes`, after the guard.
pub(crate) fn decode<'a, T: serde::Deserialize<'a>>(bytes: &'a [u8]) -> Result<T, NotBencode> {
    if value_len(bytes)? != bytes.len() {
        return Err(NotBencode);
    }
    librqbit_bencode::from_bytes(bytes).map_err(|_| NotBencode)
}

/// Decodes the value at the start of `bytes`, after the guard; returns what follows too.
pub(crate) fn decode_prefix<T: DeserializeOwned>(bytes: &[u8]) -> Result<(T, &[u8]), NotBencode> {
    let (value, rest) = bytes.split_at_checked(value_len(bytes)?).ok_or(NotBencode)?;
    Ok((librqbit_bencode::from_bytes(value).map_err(|_| NotBencode)?, rest))
}

/// Encodes with sorted keys.
pub(crate) fn encode<T: Serialize>(value: &T) -> Result<Vec<u8>, NotBencode> {
    let mut bytes = Vec::new();
    librqbit_bencode::bencode_serialize_to_writer(value, &mut bytes).map_err(|_| NotBencode)?;
    Ok(bytes)
}

struct Scan<'a> {
    bytes: &'a [u8],
    at: usize,
}

impl<'a> Scan<'a> {
    fn peek(&self) -> Result<u8, NotBencode> {
        self.bytes.get(self.at).copied().ok_or(NotBencode)
    }

    fn value(&mut self, depth: usize) -> Result<(), NotBencode> {
        if depth > MAX_NESTING {
            return Err(NotBencode);
        }
        match self.peek()? {
            b'i' => {
                self.at += 1;
                if self.peek()? == b'-' {
                    self.at += 1;
                    if self.peek()? == b'0' {
                        return Err(NotBencode);
                    }
                }
                self.number(b'e').map(|_| ())
            }
            b'l' => {
                self.at += 1;
                while self.peek()? != b'e' {
                    self.value(depth + 1)?;
                }
                self.at += 1;
                Ok(())
            }
            b'd' => self.dictionary(depth),
            _ => self.string().map(|_| ()),
        }
    }

    fn dictionary(&mut self, depth: usize) -> Result<(), NotBencode> {
        self.at += 1;
        let mut last: Option<&[u8]> = None;
        while self.peek()? != b'e' {
            let key = self.string()?;
            if last.is_some_and(|last| last >= key) {
                return Err(NotBencode);
            }
            last = Some(key);
            self.value(depth + 1)?;
        }
        self.at += 1;
        Ok(())
    }

    fn string(&mut self) -> Result<&'a [u8], NotBencode> {
        let length = usize::try_from(self.number(b':')?).map_err(|_| NotBencode)?;
        let end = self.at.checked_add(length).ok_or(NotBencode)?;
        let text = self.bytes.get(self.at..end).ok_or(NotBencode)?;
        self.at = end;
        Ok(text)
    }

    /// Digits without leading zeros, up to and including `end`.
    fn number(&mut self, end: u8) -> Result<u64, NotBencode> {
        let start = self.at;
        let mut value = 0u64;
        loop {
            let byte = self.peek()?;
            let digits = self.at - start;
            self.at += 1;
            if byte == end && digits > 0 {
                let zero_led = digits > 1 && self.bytes.get(start) == Some(&b'0');
                return if zero_led { Err(NotBencode) } else { Ok(value) };
            }
            if !byte.is_ascii_digit() || digits >= MAX_DIGITS {
                return Err(NotBencode);
            }
            value = value * 10 + u64::from(byte - b'0');
        }
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::panic)]
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn canonical_values_pass_and_others_do_not() {
        for good in ["i0e", "i-5e", "3:abc", "le", "de", "d1:ai1e1:bl2:xxi3eee", "0:"] {
            assert_eq!(value_len(good.as_bytes()), Ok(good.len()), "{good}");
        }
        assert_eq!(value_len(b"i1etail"), Ok(3));
        for bad in [
            "",
            "i",
            "ie",
            "i-e",
            "i-0e",
            "i01e",
            "i9999999999999999999e",
            "5:abc",
            "01:a",
            "d1:bi1e1:ai1ee",
            "d1:ai1e1:ai1ee",
            "d1:a",
            "l",
            "x",
            "99999999999999999999:a",
            "di1ei1ee",
        ] {
            assert!(value_len(bad.as_bytes()).is_err(), "{bad}");
        }
        assert!(value_len("l".repeat(100_000).as_bytes()).is_err());
    }

    proptest! {
        #[test]
        fn any_bytes_are_answered_without_a_panic(bytes in proptest::collection::vec(any::<u8>(), 0..200)) {
            let _ = value_len(&bytes);
            let _ = decode::<librqbit_bencode::BencodeValueOwned>(&bytes);
        }

        #[test]
        fn nearly_bencode_is_answered_without_a_panic(text in "[dlie0-9:a-c-]{0,60}") {
            let _ = decode::<librqbit_bencode::BencodeValueOwned>(text.as_bytes());
        }
    }
}
