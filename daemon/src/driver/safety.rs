//! Safety numbers: what two people compare to know that nobody stands between their devices.

use std::num::NonZeroU32;

use ring::pbkdf2;
use xbt_core::contact::Device;
use xbt_core::ids::Fingerprint;

/// Groups of five digits: as short as it can be while nobody finds two keys that give one number to both sides
/// (`docs/decisions/0014-short-safety-numbers.md`).
const GROUPS: usize = 8;

/// Bytes that a group is made of: far more than five digits, so that all digits are as likely.
const BYTES: usize = 5;

/// What one guess costs whoever looks for such keys.
const ROUNDS: NonZeroU32 = NonZeroU32::MIN.saturating_add((1 << 16) - 1);

/// The number of a pair of devices: the same on both sides, 8 groups of 5 digits (about 133 bits).
///
/// PBKDF2-HMAC-SHA-256 (RFC 8018, section 5.2) of both fingerprints, the smaller first, with a label as salt; each group
/// is five bytes of it, as a number in network order, modulo 100,000. It takes some hundredths of a second on purpose:
/// call it where that blocks nobody.
pub(super) fn number(ours: Fingerprint, theirs: Fingerprint) -> String {
    let (first, second) = if ours <= theirs { (ours, theirs) } else { (theirs, ours) };
    let mut bytes = [0; GROUPS * BYTES];
    pbkdf2::derive(pbkdf2::PBKDF2_HMAC_SHA256, ROUNDS, b"xbt safety number", &[first.0, second.0].concat(), &mut bytes);
    let group = |five: &[u8]| five.iter().fold(0u64, |sum, byte| sum << 8 | u64::from(*byte)) % 100_000;
    let groups: Vec<String> = bytes.chunks_exact(BYTES).map(|five| format!("{:05}", group(five))).collect();
    groups.join(" ")
}

/// The device that has this number with us, however its digits are grouped.
pub(super) fn device_with(ours: Fingerprint, devices: &[Device], wanted: &str) -> Option<Fingerprint> {
    let digits = |text: &str| text.chars().filter(char::is_ascii_digit).collect::<String>();
    let wanted = digits(wanted);
    let keys = devices.iter().map(|device| device.fingerprint);
    keys.into_iter().find(|theirs| digits(&number(ours, *theirs)) == wanted)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn both_sides_have_the_same_number_and_another_key_another_one() {
        let (a, b, c) = (Fingerprint([1; 32]), Fingerprint([2; 32]), Fingerprint([3; 32]));
        assert_eq!(number(a, b), number(b, a));
        assert_ne!(number(a, b), number(a, c));
    }

    #[test]
    fn it_is_eight_groups_of_five_digits_and_stays_what_it_is() {
        let told = number(Fingerprint([1; 32]), Fingerprint([2; 32]));
        let groups: Vec<_> = told.split(' ').collect();
        assert!(groups.len() == 8 && groups.iter().all(|g| g.len() == 5 && g.bytes().all(|b| b.is_ascii_digit())));
        // Reckoned with Python's hashlib.pbkdf2_hmac.
        assert_eq!(told, "64753 42893 96053 97097 10990 35569 77117 30284");
    }
}
