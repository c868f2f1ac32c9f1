//! Numbers and foreign text, for people.

use unicode_width::{UnicodeWidthChar, UnicodeWidthStr};
use xbt_api::text::is_plain;
pub use xbt_api::text::{clean, duration, files, percent, rate, size};
use xbt_api::{Direction, State, Transfer, size as written};

/// How many columns of a terminal a text takes (UAX 11).
pub fn width(text: &str) -> usize {
    if is_plain(text) { text.len() } else { text.width() }
}

/// Cuts text that is wider than `max` columns.
pub fn shorten(text: &str, max: usize) -> String {
    if width(text) <= max {
        return text.to_owned();
    }
    let mut short = String::new();
    let mut room = max.saturating_sub(1);
    for c in text.chars() {
        let Some(left) = room.checked_sub(c.width().unwrap_or(0)) else { break };
        room = left;
        short.push(c);
    }
    short.push('…');
    short
}

/// `done` of `total` as a bar of `columns`, in eighths of a column.
pub fn bar(done: u64, total: u64, columns: usize) -> String {
    const PARTS: [&str; 8] = ["", "▏", "▎", "▍", "▌", "▋", "▊", "▉"];
    let eighths = columns as u128 * 8 * u128::from(done.min(total)) / u128::from(total.max(1));
    let eighths = usize::try_from(eighths).unwrap_or(columns * 8).min(columns * 8);
    let part = PARTS.get(eighths % 8).unwrap_or(&"");
    let filled = "█".repeat(eighths / 8) + part;
    let rest = columns.saturating_sub(width(&filled));
    filled + &"░".repeat(rest)
}

/// The number of a transfer, as a person types it.
pub fn parse_id(text: &str) -> Result<u64, String> {
    text.parse().map_err(|_| "expected the number of a transfer, as in 'xbtctl list'".to_owned())
}

/// A rate in bytes per second, as a person types it: `2 MiB/s`, `500KB`, `0`.
pub fn parse_rate(text: &str) -> Result<u64, String> {
    let bare = |text: &str| !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit() || byte == b'.');
    match written::parse_rate(text) {
        // Who writes a small number thinks of KiB or MiB.
        Some(bytes) if (1..1024).contains(&bytes) && bare(text.trim()) => Err(format!(
            "{text} of what? Write '{text} KiB/s' or '{text} MiB/s', in quotes because of the space; {text} bytes per second are '{text} B/s'"
        )),
        Some(bytes) => Ok(bytes),
        None => Err(format!("a rate is {} per second, such as '2 MiB/s'", written::EXPECTED)),
    }
}

/// The size of a transfer; an ellipsis until it is known.
pub fn size_of(transfer: &Transfer) -> String {
    if transfer.state == State::Preparing && transfer.size == 0 { "…".to_owned() } else { size(transfer.size) }
}

/// An arrow as seen from this side.
pub fn arrow(direction: Direction) -> &'static str {
    match direction {
        Direction::In => "←",
        Direction::Out => "→",
    }
}

/// `holiday → bob@example.org`, harmless.
pub fn title(transfer: &Transfer) -> String {
    format!("{} {} {}", clean(&transfer.name), arrow(transfer.direction), clean(&transfer.contact))
}

/// Reads `7d`, `12h`, `30m`, `45s`, `2w` or several of them in a row (`1d12h`); in seconds. Stricter than `jiff`, which also takes
/// signs, fractions, months and years.
pub fn parse_duration(text: &str) -> Result<u64, String> {
    const HELP: &str = "a duration is a number with a unit, such as 7d, 12h or 30m";
    let mut total: u64 = 0;
    let mut rest = text.trim();
    while !rest.is_empty() {
        let digits = rest.find(|c: char| !c.is_ascii_digit()).ok_or(HELP)?;
        let (number, tail) = rest.split_at(digits);
        let mut tail = tail.chars();
        let unit = match tail.next() {
            Some('s') => 1,
            Some('m') => 60,
            Some('h') => 3_600,
            Some('d') => 86_400,
            Some('w') => 604_800,
            Some(_) | None => return Err(HELP.to_owned()),
        };
        let number: u64 = number.parse().map_err(|_| HELP)?;
        total = number.checked_mul(unit).and_then(|seconds| total.checked_add(seconds)).ok_or("that is too long")?;
        rest = tail.as_str();
    }
    if total == 0 { Err(HELP.to_owned()) } else { Ok(total) }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn durations_are_read_with_their_units_only() {
        assert_eq!(parse_duration("7d"), Ok(604_800));
        assert_eq!(parse_duration("1d12h"), Ok(129_600));
        for wrong in ["", "7", "d", "0s", "-1d", "1y", "99999999999999999999d", "9999999999999999999w"] {
            assert!(parse_duration(wrong).is_err(), "{wrong}");
        }
    }

    #[test]
    fn a_small_rate_needs_its_unit() {
        assert_eq!((parse_rate("0"), parse_rate("2 MiB/s"), parse_rate("500 B/s")), (Ok(0), Ok(2 << 20), Ok(500)));
        assert_eq!(parse_rate("1048576"), Ok(1 << 20));
        assert!(parse_rate("500").unwrap_err().contains("'500 KiB/s'"));
    }

    #[test]
    fn a_bar_is_as_wide_as_it_was_asked_to_be() {
        for (done, total, expected) in
            [(0, 100, "░░░░"), (50, 100, "██░░"), (54, 100, "██▏░"), (100, 100, "████"), (7, 5, "████"), (0, 0, "░░░░")]
        {
            assert_eq!(bar(done, total, 4), expected);
        }
        assert_eq!(width(&bar(u64::MAX - 1, u64::MAX, 20)), 20);
    }

    #[test]
    fn long_text_is_cut() {
        assert_eq!(shorten("abcdef", 4), "abc…");
        assert_eq!(shorten("äöü", 3), "äöü");
        // Two columns each, and no half of one.
        assert_eq!(shorten("写真写真", 6), "写真…");
        assert_eq!(shorten("写真", 0), "…");
    }
}
