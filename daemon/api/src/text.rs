//! Numbers and foreign text for people, the same in every program of ours that shows them.

use crate::{State, Transfer};

/// Foreign text made harmless for a terminal or a window: control characters and characters that change the order of others
/// (bidi controls), or that cannot be seen, become `�`.
pub fn clean(text: &str) -> String {
    if is_plain(text) {
        return text.to_owned();
    }
    text.chars().map(|c| if is_treacherous(c) { '\u{fffd}' } else { c }).collect()
}

/// Printable ASCII only, as nearly all text in a long list: nothing to look up for its characters.
pub fn is_plain(text: &str) -> bool {
    text.bytes().all(|byte| matches!(byte, b' '..=b'~'))
}

fn is_treacherous(c: char) -> bool {
    c.is_control()
        || matches!(c,
            '\u{061c}' | '\u{200b}'..='\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2060}'..='\u{206f}'
            | '\u{feff}' | '\u{fff9}'..='\u{fffb}' | '\u{e0000}'..='\u{e007f}')
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

/// `1 file`, `2 files`.
pub fn files(count: u64) -> String {
    if count == 1 { "1 file".to_owned() } else { format!("{count} files") }
}

/// Whole percents that are done; 100 only when everything is.
pub fn percent(transfer: &Transfer) -> u64 {
    if transfer.size == 0 {
        return if transfer.state == State::Done { 100 } else { 0 };
    }
    let percent = u128::from(transfer.done_bytes) * 100 / u128::from(transfer.size);
    u64::try_from(percent.min(100)).unwrap_or(100)
}

#[cfg(test)]
mod tests {
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
}
