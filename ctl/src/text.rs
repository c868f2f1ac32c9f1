//! Numbers and foreign text, for people.

use unicode_width::{UnicodeWidthChar, UnicodeWidthStr};
use xbt_api::{Direction, State, Transfer, size as written};

/// Foreign text made harmless for a terminal: control characters and characters that change the order of others (bidi
/// controls), or that cannot be seen, become `�`.
pub fn clean(text: &str) -> String {
    if is_plain(text) {
        return text.to_owned();
    }
    text.chars().map(|c| if is_treacherous(c) { '\u{fffd}' } else { c }).collect()
}

fn is_treacherous(c: char) -> bool {
    c.is_control()
        || matches!(c,
            '\u{061c}' | '\u{200b}'..='\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2060}'..='\u{206f}'
            | '\u{feff}' | '\u{fff9}'..='\u{fffb}' | '\u{e0000}'..='\u{e007f}')
}

/// How many columns of a terminal a text takes (UAX 11).
pub fn width(text: &str) -> usize {
    if is_plain(text) { text.len() } else { text.width() }
}

/// Printable ASCII only, as nearly all text in a long list: nothing to look up for its characters.
fn is_plain(text: &str) -> bool {
    text.bytes().all(|byte| matches!(byte, b' '..=b'~'))
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

/// Bytes in binary units: `1.2 GiB`.
pub fn size(bytes: u64) -> String {
    const UNITS: [&str; 6] = ["KiB", "MiB", "GiB", "TiB", "PiB", "EiB"];
    if bytes < 1_024 {
        return format!("{bytes} B");
    }
    // In whole tenths: a long list has many sizes, and floating point takes its time to print.
    let tenths = |power: u32| (u128::from(bytes) * 10 + (1 << (10 * power - 1))) >> (10 * power);
    // What would be rounded to 1024.0 is one of the next unit.
    let fits = (1..).zip(UNITS).map(|(power, unit)| (tenths(power), unit)).find(|(tenths, _)| *tenths < 10_240);
    let (tenths, unit) = fits.unwrap_or((0, "?"));
    format!("{}.{} {unit}", tenths / 10, tenths % 10)
}

/// Bytes per second.
pub fn rate(bytes_per_second: u64) -> String {
    format!("{}/s", size(bytes_per_second))
}

/// Seconds as the two largest units: `1d 3h`, `2m 5s`.
pub fn duration(seconds: u64) -> String {
    let (days, hours, minutes) = (seconds / 86_400, seconds / 3_600 % 24, seconds / 60 % 60);
    match (days, hours, minutes) {
        (0, 0, 0) => format!("{seconds}s"),
        (0, 0, _) => format!("{minutes}m {}s", seconds % 60),
        (0, _, _) => format!("{hours}h {minutes}m"),
        _ => format!("{days}d {hours}h"),
    }
}

/// Whole percents that are done; 100 only when everything is.
pub fn percent(transfer: &Transfer) -> u64 {
    if transfer.size == 0 {
        return if transfer.state == State::Done { 100 } else { 0 };
    }
    let percent = u128::from(transfer.done_bytes) * 100 / u128::from(transfer.size);
    u64::try_from(percent.min(100)).unwrap_or(100)
}

/// The number of a transfer, as a person types it.
pub fn parse_id(text: &str) -> Result<u64, String> {
    text.parse().map_err(|_| "a transfer has a number, which 'xbtctl list' shows".to_owned())
}

/// A rate in bytes per second, as a person types it: `2 MiB/s`, `500KB`, `0`.
pub fn parse_rate(text: &str) -> Result<u64, String> {
    written::parse_rate(text)
        .ok_or_else(|| format!("a rate is {} for each second, such as '2 MiB/s'", written::EXPECTED))
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

/// `1 file`, `2 files`.
pub fn files(count: u64) -> String {
    if count == 1 { "1 file".to_owned() } else { format!("{count} files") }
}

/// Reads `7d`, `12h`, `30m`, `45s`, `2w` or several of them in a row (`1d12h`); in seconds.
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
    fn treacherous_characters_do_not_reach_the_terminal() {
        assert_eq!(clean("a\u{1b}[31mb\r\nc"), "a\u{fffd}[31mb\u{fffd}\u{fffd}c");
        assert_eq!(clean("photo\u{202e}gpj.exe\u{2066}\u{200b}"), "photo\u{fffd}gpj.exe\u{fffd}\u{fffd}");
        assert_eq!(clean("\u{9b}31m"), "\u{fffd}31m");
        assert_eq!(clean("Grüße, 写真 👍"), "Grüße, 写真 👍");
    }

    #[test]
    fn sizes_are_in_binary_units() {
        for (bytes, text) in [
            (0, "0 B"),
            (1_023, "1023 B"),
            (1_024, "1.0 KiB"),
            (1_288_490_188, "1.2 GiB"),
            (1_048_524, "1023.9 KiB"),
            (1_048_525, "1.0 MiB"),
            (1_048_575, "1.0 MiB"),
            (u64::MAX, "16.0 EiB"),
        ] {
            assert_eq!(size(bytes), text);
        }
    }

    #[test]
    fn durations_are_short() {
        for (seconds, text) in [(0, "0s"), (59, "59s"), (125, "2m 5s"), (3_600, "1h 0m"), (97_200, "1d 3h")] {
            assert_eq!(duration(seconds), text);
        }
    }

    #[test]
    fn durations_are_read_with_their_units_only() {
        assert_eq!(parse_duration("7d"), Ok(604_800));
        assert_eq!(parse_duration("1d12h"), Ok(129_600));
        for wrong in ["", "7", "d", "0s", "-1d", "1y", "99999999999999999999d", "9999999999999999999w"] {
            assert!(parse_duration(wrong).is_err(), "{wrong}");
        }
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
