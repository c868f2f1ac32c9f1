//! Makes names from outside safe to use as file names.
//!
//! Names that no honest sender can have on disk (empty, `.`, `..`, `/`, NUL) are refused. What is legal on Unix but
//! dangerous or useless to a person (control and bidirectional characters, names reserved by
//! Windows, a trailing dot, over-long names) is *defused*: replaced the same way every time, so that a resumed
//! fetch finds its files again.

/// The longest file name, in bytes, of every common file system.
pub const MAX_COMPONENT: usize = 255;
/// The longest relative path inside a content, in bytes. Leaves room for the destination below `PATH_MAX`.
pub const MAX_PATH: usize = 2048;
/// The deepest nesting inside a content.
pub const MAX_DEPTH: usize = 128;

/// Why a name was refused.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum NameError {
    /// Nothing there.
    #[error("a name is empty")]
    Empty,
    /// `.` or `..`.
    #[error("a name is “.” or “..”")]
    Dots,
    /// `/` or NUL inside.
    #[error("a name contains “/” or a zero byte")]
    Separator,
}

/// One path component made safe to create on disk, or a refusal.
///
/// The result is 1 to [`MAX_COMPONENT`] bytes; making it safe again changes nothing.
pub fn safe_component(name: &str) -> Result<String, NameError> {
    if name.is_empty() {
        return Err(NameError::Empty);
    }
    if name == "." || name == ".." {
        return Err(NameError::Dots);
    }
    if name.contains(['/', '\0']) {
        return Err(NameError::Separator);
    }
    let mut safe = fit(&defused(name), "");
    // Only now: cutting "com1", many spaces and "x.txt" leaves a reserved name.
    if is_reserved(&safe) {
        safe = fit(&format!("_{safe}"), "");
    }
    // What begins with something to be seen shows something.
    if safe.starts_with(|c: char| c.is_whitespace() || is_blank(c)) {
        safe = replace_first(&safe);
    }
    if safe.ends_with(['.', ' ']) {
        safe.pop();
        safe.push('_');
    }
    Ok(safe)
}

/// The name of a whole content made safe: as [`safe_component`], and it neither hides (`.bashrc`) nor looks like
/// an option or a home folder (`-rf`, `~x`), because it lands in a folder of the person's own choosing.
pub fn safe_name(name: &str) -> Result<String, NameError> {
    let safe = safe_component(name)?;
    Ok(if safe.starts_with(['.', '-', '~']) { replace_first(&safe) } else { safe })
}

/// The `attempt`-th name to try where nothing may be overwritten: `name.ext`, `name (2).ext`, `name (3).ext`, …
///
/// Never longer than [`MAX_COMPONENT`] bytes, given that `name` is not.
pub fn free_name(name: &str, attempt: u32) -> String {
    if attempt <= 1 {
        return name.to_owned();
    }
    fit(name, &format!(" ({attempt})"))
}

/// `name` with `mark` before its extension, the stem cut so that all of it fits [`MAX_COMPONENT`].
fn fit(name: &str, mark: &str) -> String {
    // An extension is short; "a.very long sentence" has none.
    let (stem, extension) = match name.rfind('.') {
        Some(at) if at > 0 && name.len() - at <= 16 => name.split_at(at),
        Some(_) | None => (name, ""),
    };
    let room = MAX_COMPONENT.saturating_sub(mark.len() + extension.len());
    let mut end = stem.len().min(room);
    while !stem.is_char_boundary(end) {
        end -= 1;
    }
    // A joiner whose other side was cut off joins nothing.
    let stem = stem[..end].trim_end_matches(is_joiner);
    format!("{stem}{mark}{extension}")
}

fn replace_first(name: &str) -> String {
    let mut rest = name.chars();
    rest.next();
    format!("_{}", rest.as_str())
}

/// With `_` for each character that is unsafe where it stands.
fn defused(name: &str) -> String {
    let mut before = None;
    let mut rest = name.chars().peekable();
    let mut safe = String::with_capacity(name.len());
    while let Some(c) = rest.next() {
        let joins = is_joiner(c) && before.is_some_and(is_joined) && rest.peek().copied().is_some_and(is_joined);
        safe.push(if is_unsafe(c) && !joins { '_' } else { c });
        before = Some(c);
    }
    safe
}

/// Characters that control a terminal, reorder text (so that `gpj.exe` reads as `exe.jpg`), break lines, cannot be
/// seen, or separate folders elsewhere. Beside the separator the same as in `xbt_api::text`, which is about what is shown.
fn is_unsafe(c: char) -> bool {
    c.is_control()
        || matches!(c,
            '\\' | '\u{61c}' | '\u{115f}' | '\u{1160}' | '\u{17b4}' | '\u{17b5}' | '\u{180e}' | '\u{200b}'..='\u{200f}'
            | '\u{2028}'..='\u{202e}' | '\u{2060}'..='\u{206f}' | '\u{2800}' | '\u{3164}' | '\u{feff}'
            | '\u{ffa0}' | '\u{fff0}'..='\u{fffb}' | '\u{fffe}' | '\u{ffff}' | '\u{1d173}'..='\u{1d17a}'
            | '\u{e0000}'..='\u{e007f}')
}

/// Zero width (non-)joiner: it belongs into emoji, and into words of some scripts.
fn is_joiner(c: char) -> bool {
    matches!(c, '\u{200c}' | '\u{200d}')
}

/// Characters beside which a joiner has a meaning: emoji with what modifies them, and the scripts of the Near East,
/// India and South East Asia.
fn is_joined(c: char) -> bool {
    let in_script = matches!(c, '\u{600}'..='\u{dff}' | '\u{f00}'..='\u{109f}' | '\u{1780}'..='\u{18af}' | '\u{11000}'..='\u{11fff}');
    let is_emoji = matches!(c, '\u{20e3}' | '\u{2190}'..='\u{2bff}' | '\u{fe0f}' | '\u{1f000}'..='\u{1faff}');
    (in_script || is_emoji) && !is_unsafe(c)
}

/// Characters that show nothing by themselves, and belong behind others.
fn is_blank(c: char) -> bool {
    matches!(c, '\u{ad}' | '\u{34f}' | '\u{180b}'..='\u{180f}' | '\u{fe00}'..='\u{fe0f}' | '\u{e0100}'..='\u{e01ef}')
}

/// Device names of Windows, with or without an extension: a disk may be carried there.
fn is_reserved(name: &str) -> bool {
    let stem = name.split('.').next().unwrap_or(name).trim_end().to_ascii_uppercase();
    match stem.as_str() {
        "CON" | "PRN" | "AUX" | "NUL" => true,
        other => match other.strip_prefix("COM").or_else(|| other.strip_prefix("LPT")) {
            Some(digit) => digit.len() == 1 && digit.as_bytes().first().is_some_and(|d| (b'1'..=b'9').contains(d)),
            None => false,
        },
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::panic)]
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn what_no_unix_name_can_be_is_refused() {
        assert_eq!(safe_component(""), Err(NameError::Empty));
        assert_eq!(safe_component("."), Err(NameError::Dots));
        assert_eq!(safe_component(".."), Err(NameError::Dots));
        assert_eq!(safe_component("a/b"), Err(NameError::Separator));
        assert_eq!(safe_component("a\0"), Err(NameError::Separator));
    }

    #[test]
    fn dangerous_names_are_defused_and_harmless_ones_kept() {
        let cases = [
            ("photo.jpg", "photo.jpg"),
            (".gitignore", ".gitignore"),
            ("12:30.txt", "12:30.txt"),
            ("a\u{202E}gpj.exe", "a_gpj.exe"),
            ("a\nb", "a_b"),
            ("..\\..\\x", ".._.._x"),
            ("con", "_con"),
            ("NUL.txt", "_NUL.txt"),
            ("Com1", "_Com1"),
            ("COM10", "COM10"),
            ("dot.", "dot_"),
            (" x ", "_x_"),
            ("...", ".._"),
            ("Icon\r", "Icon_"),
            ("a\u{7f}\u{1b}\u{fffe}", "a___"),
            ("\u{200b}", "_"),
            ("\u{3164}", "_"),
            ("\u{3164}.txt", "_.txt"),
            ("\u{2800}\u{2800}", "__"),
            ("\u{fe0f}", "_"),
            ("\u{3000}x", "_x"),
            ("👨\u{200d}👩\u{200d}👧.png", "👨\u{200d}👩\u{200d}👧.png"),
            ("می\u{200c}خواهم", "می\u{200c}خواهم"),
            ("pay\u{200d}pal", "pay_pal"),
            ("👨\u{200d}", "👨_"),
        ];
        for (name, safe) in cases {
            assert_eq!(safe_component(name).unwrap(), safe);
        }
        assert_eq!(safe_name(".bashrc").unwrap(), "_bashrc");
        assert_eq!(safe_name("-rf").unwrap(), "_rf");
        assert_eq!(safe_name("~root").unwrap(), "_root");
    }

    #[test]
    fn a_free_name_keeps_the_extension_and_the_length() {
        assert_eq!(free_name("a.txt", 1), "a.txt");
        assert_eq!(free_name("a.txt", 2), "a (2).txt");
        assert_eq!(free_name("folder", 3), "folder (3)");
        assert_eq!(free_name(".hidden", 2), ".hidden (2)");
        let long = format!("{}.txt", "é".repeat(125));
        let free = free_name(&long, 12);
        assert!(free.len() <= MAX_COMPONENT && free.ends_with(" (12).txt"), "{free}");
    }

    #[test]
    fn a_name_that_becomes_reserved_when_it_is_cut_is_defused() {
        let family = "👨\u{200d}".repeat(100);
        let safe = safe_component(&family).unwrap();
        assert!(safe.len() <= MAX_COMPONENT && !safe.ends_with('\u{200d}'), "{safe}");
        assert_eq!(safe_component(&safe).unwrap(), safe);
        let name = format!("com1{}x.txt", " ".repeat(260));
        let safe = safe_component(&name).unwrap();
        assert!(safe.starts_with("_com1 ") && safe.ends_with(" .txt") && safe.len() == MAX_COMPONENT, "{safe}");
        assert_eq!(safe_component(&safe).unwrap(), safe);
    }

    proptest! {
        #[test]
        fn a_safe_name_is_one_short_component_and_stays_as_it_is(name in "\\PC{0,300}|[\\x00-\\x7f]{0,40}|(con|aux|nul)[. ]{0,3}[a-z]{0,300}") {
            for rule in [safe_component, safe_name] {
                if let Ok(safe) = rule(&name) {
                    prop_assert!(!safe.is_empty() && safe.len() <= MAX_COMPONENT);
                    let bad = safe.contains(['/', '\0', '\n', '\u{202E}']);
                    prop_assert!(!bad);
                    prop_assert!(safe != "." && safe != "..");
                    prop_assert_eq!(rule(&safe).unwrap(), safe.clone());
                    prop_assert!(free_name(&safe, 7).len() <= MAX_COMPONENT);
                }
            }
        }
    }
}
