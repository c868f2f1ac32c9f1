//! Safety numbers: what two people compare to know that nobody stands between their devices.

use sha2::{Digest, Sha256};
use xbt_core::ids::Fingerprint;

/// The number of a pair of devices: the same on both sides, 12 groups of 5 digits (about 200 bits).
///
/// It is made from the SHA-256 of both fingerprints, the smaller first, and a label; each group is five bytes
/// of two rounds of that hash, modulo 100,000.
pub(super) fn number(ours: Fingerprint, theirs: Fingerprint) -> String {
    let (first, second) = if ours <= theirs { (ours, theirs) } else { (theirs, ours) };
    let round =
        |label: &[u8]| Sha256::new().chain_update(label).chain_update(first.0).chain_update(second.0).finalize();
    let bytes: Vec<u8> = round(b"xbt safety number 1").into_iter().chain(round(b"xbt safety number 2")).collect();
    let group = |five: &[u8]| five.iter().fold(0u64, |sum, byte| sum << 8 | u64::from(*byte)) % 100_000;
    let groups: Vec<String> = bytes.chunks_exact(5).take(12).map(|five| format!("{:05}", group(five))).collect();
    groups.join(" ")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn both_sides_have_the_same_number_and_another_key_another_one() {
        let (a, b, c) = (Fingerprint([1; 32]), Fingerprint([2; 32]), Fingerprint([3; 32]));
        assert_eq!(number(a, b), number(b, a));
        assert_ne!(number(a, b), number(a, c));
        assert_eq!(number(a, b).len(), 12 * 5 + 11);
    }
}
