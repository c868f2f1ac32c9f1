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
    let safe: String = name.chars().map(|c| if is_unsafe(c) { '_' } else { c }).collect();
    let mut safe = fit(&safe, "");
    // Only now: cutting "com1", many spaces and "x.txt" leaves a reserved name.
    if is_reserved(&safe) {
        safe = fit(&format!("_{safe}"), "");
    }
    if safe.starts_with(char::is_whitespace) {
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
    format!("{}{mark}{extension}", &stem[..end])
}

fn replace_first(name: &str) -> String {
    let mut rest = name.chars();
    rest.next();
    format!("_{}", rest.as_str())
}

/// Characters that control a terminal, reorder text (so that `gpj.exe` reads as `exe.jpg`), break lines, or
/// separate folders elsewhere.
fn is_unsafe(c: char) -> bool {
    c.is_control()
        || matches!(c, '\\' | '\u{061C}' | '\u{200E}' | '\u{200F}' | '\u{2028}' | '\u{2029}' | '\u{FEFF}')
        || matches!(c, '\u{202A}'..='\u{202E}' | '\u{2066}'..='\u{2069}')
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
