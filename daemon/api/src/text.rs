//! Numbers and foreign text for people, the same in every program of ours that shows them.

use crate::{State, Transfer};

/// Foreign text made harmless for a terminal or a window: control characters and characters that change the order of others
/// (bidi controls), or that cannot be seen, become `�`. Joiners stay where they join: in emoji, and in scripts that need
/// them.
pub fn clean(text: &str) -> String {
    if is_plain(text) {
        return text.to_owned();
    }
    let mut cleaned = String::with_capacity(text.len());
    each(text, |c, harmful| cleaned.push(if harmful { '\u{fffd}' } else { c }));
    cleaned
}

/// Foreign text for a log, where nothing may be lost and no line may be made: what [`clean`] would replace is escaped as in
/// `\n` and `\u{202e}`.
pub fn escaped(text: &str) -> String {
    if is_plain(text) {
        return text.to_owned();
    }
    let mut line = String::with_capacity(text.len());
    each(text, |c, harmful| if harmful { line.extend(c.escape_default()) } else { line.push(c) });
    line
}

/// Goes through a text, and says of each character whether it is harmful where it stands.
fn each(text: &str, mut see: impl FnMut(char, bool)) {
    let mut before = None;
    let mut rest = text.chars().peekable();
    while let Some(c) = rest.next() {
        let mut is_between = || before.is_some_and(is_joined) && rest.peek().copied().is_some_and(is_joined);
        see(c, is_treacherous(c) && !(matches!(c, '\u{200c}' | '\u{200d}') && is_between()));
        before = Some(c);
    }
}

/// Characters beside which a joiner (U+200C, U+200D) has a meaning: emoji with what modifies them, and the scripts of the
/// Near East, India and South East Asia.
fn is_joined(c: char) -> bool {
    let in_script = matches!(c, '\u{600}'..='\u{dff}' | '\u{f00}'..='\u{109f}' | '\u{1780}'..='\u{18af}' | '\u{11000}'..='\u{11fff}');
    let is_emoji = matches!(c, '\u{20e3}' | '\u{2190}'..='\u{2bff}' | '\u{fe0f}' | '\u{1f000}'..='\u{1faff}');
    (in_script || is_emoji) && !is_treacherous(c)
}

/// Printable ASCII only, as nearly all text in a long list: nothing to look up for its characters.
pub fn is_plain(text: &str) -> bool {
    text.bytes().all(|byte| matches!(byte, b' '..=b'~'))
}

/// Whether a character controls a terminal, breaks lines, reorders text, or takes no place that can be seen. The same
/// as in `xbt_torrent::names`, which is about names on a disk.
pub fn is_treacherous(c: char) -> bool {
    c.is_control()
        || matches!(c,
            '\u{61c}' | '\u{115f}' | '\u{1160}' | '\u{17b4}' | '\u{17b5}' | '\u{180e}' | '\u{200b}'..='\u{200f}'
            | '\u{2028}'..='\u{202e}' | '\u{2060}'..='\u{206f}' | '\u{2800}' | '\u{3164}' | '\u{feff}'
            | '\u{ffa0}' | '\u{fff0}'..='\u{fffb}' | '\u{fffe}' | '\u{ffff}' | '\u{1d173}'..='\u{1d17a}'
            | '\u{e0000}'..='\u{e007f}')
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
        assert_eq!(clean("a\u{3164}b\u{2800}c\u{ffa0}\u{fffe}"), "a\u{fffd}b\u{fffd}c\u{fffd}\u{fffd}");
    }

    #[test]
    fn joiners_stay_where_they_join_and_nowhere_else() {
        for whole in
            ["👨\u{200d}👩\u{200d}👧", "❤\u{fe0f}\u{200d}🔥", "🏳\u{fe0f}\u{200d}🌈", "می\u{200c}خواهم", "क्\u{200d}ष"]
        {
            assert_eq!(clean(whole), whole);
        }
        for (hides, shown) in [
            ("pay\u{200d}pal", "pay\u{fffd}pal"),
            ("👨\u{200d}", "👨\u{fffd}"),
            ("\u{200c}", "\u{fffd}"),
            ("👨\u{200d}\u{200d}👩", "👨\u{fffd}\u{fffd}👩"),
        ] {
            assert_eq!(clean(hides), shown);
        }
    }

    #[test]
    fn a_line_of_a_log_stays_one_line_and_loses_nothing() {
        assert_eq!(escaped("a\nb\r\u{9b}c\u{202e}ü"), "a\\nb\\r\\u{9b}c\\u{202e}ü");
        assert_eq!(escaped("plain"), "plain");
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
