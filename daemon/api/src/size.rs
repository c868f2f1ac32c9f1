//! Sizes and rates as people write them: `1 GiB`, `1500 KB/s`, `0`. The same in the configuration and on the command
//! line.

/// The units that are understood, with their bytes. KB is 1000 and KiB is 1024, as IEC 80000-13 has it;
/// a bare `M` or a lower-case `b` (bits?) is refused because people mean different things by it.
const UNITS: [(&str, u64); 11] = [
    ("", 1),
    ("B", 1),
    ("kB", 1000),
    ("KB", 1000),
    ("KiB", 1 << 10),
    ("MB", 1_000_000),
    ("MiB", 1 << 20),
    ("GB", 1_000_000_000),
    ("GiB", 1 << 30),
    ("TB", 1_000_000_000_000),
    ("TiB", 1 << 40),
];

/// The largest size that is taken: it still fits a signed 64-bit column.
pub const MAX: u64 = i64::MAX as u64;

/// What is written wrongly in a size, for the middle of a sentence.
pub const EXPECTED: &str = "a number and one of B, KB, KiB, MB, MiB, GB, GiB, TB, TiB";

/// Reads a size in bytes. Fractions (`1.5 GiB`) are taken and rounded down to whole bytes.
pub fn parse_size(text: &str) -> Option<u64> {
    let text = text.trim();
    let digits = text.find(|c: char| !c.is_ascii_digit() && c != '.').unwrap_or(text.len());
    let (number, unit) = text.split_at(digits);
    let unit = unit.trim_start();
    let (_, factor) = UNITS.iter().find(|(name, _)| *name == unit)?;
    let bytes = scaled(number, *factor)?;
    (bytes <= MAX).then_some(bytes)
}

/// Reads a rate in bytes per second: a size, with or without `/s`.
pub fn parse_rate(text: &str) -> Option<u64> {
    let text = text.trim();
    match text.strip_suffix("/s") {
        // "2/s" has no unit: two of what?
        Some(size) if size.ends_with('B') => parse_size(size),
        Some(_) => None,
        None => parse_size(text),
    }
}

/// `number × factor` in whole bytes, without the rounding errors of floating point.
fn scaled(number: &str, factor: u64) -> Option<u64> {
    let (whole, fraction) = number.split_once('.').unwrap_or((number, "0"));
    // Nine digits are more than a byte of the largest unit needs, and cannot overflow below.
    if whole.is_empty() || fraction.is_empty() || fraction.len() > 9 || fraction.contains('.') {
        return None;
    }
    let whole: u64 = whole.parse().ok()?;
    let numerator: u128 = fraction.parse().ok()?;
    let denominator = 10_u128.pow(u32::try_from(fraction.len()).ok()?);
    let part = u64::try_from(numerator * u128::from(factor) / denominator).ok()?;
    whole.checked_mul(factor)?.checked_add(part)
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::panic)]
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn sizes_are_read_in_decimal_and_binary_units() {
        for (text, bytes) in [
            ("0", 0),
            ("1048576", 1 << 20),
            ("1 GiB", 1 << 30),
            ("1GiB", 1 << 30),
            (" 1500 KB ", 1_500_000),
            ("12 kB", 12_000),
            ("1.5 GiB", 3 << 29),
            ("0.1 MB", 100_000),
            ("0.0001 KB", 0),
            ("9223372036854775807", MAX),
        ] {
            assert_eq!(parse_size(text), Some(bytes), "{text}");
        }
    }

    #[test]
    fn what_could_mean_two_things_is_refused() {
        for text in [
            "",
            " ",
            "GiB",
            "1 M",
            "1 Mb",
            "1 mib",
            "1 Mbit",
            "-1",
            "+1",
            "1e9",
            "1,5 GiB",
            "1.",
            ".5 GiB",
            "1.2.3",
            "1 GiB/s",
            "1 GiB x",
            "∞",
            "9223372036854775808",
            "18446744073709551616",
            "99999999 TiB",
            "0.0000000001 KB",
        ] {
            assert_eq!(parse_size(text), None, "{text}");
        }
    }

    #[test]
    fn rates_are_sizes_with_or_without_per_second() {
        assert_eq!(parse_rate("2 MiB/s"), Some(2 << 20));
        assert_eq!(parse_rate("1500 KB/s"), Some(1_500_000));
        assert_eq!(parse_rate("2 MiB"), Some(2 << 20));
        assert_eq!(parse_rate("0"), Some(0));
        for text in ["2/s", "/s", "2 MiB/m", "2 MiB/s/s"] {
            assert_eq!(parse_rate(text), None, "{text}");
        }
    }

    proptest! {
        #[test]
        fn no_text_makes_the_parser_panic(text in "[0-9.]{0,24} ?[A-Za-z/]{0,5}|.*") {
            parse_size(&text);
            parse_rate(&text);
        }

        #[test]
        fn a_plain_number_of_bytes_is_read_as_it_stands(bytes in 0..=MAX) {
            prop_assert_eq!(parse_size(&bytes.to_string()), Some(bytes));
        }
    }
}
