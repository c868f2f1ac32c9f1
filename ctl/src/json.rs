//! JSON that a person may read too: characters that control a terminal or reorder text are escaped in it, which changes
//! nothing for a program.

use std::io::{self, Write};

use serde::Serialize;
use serde_json::ser::Formatter;
use xbt_api::text::{is_plain, is_treacherous};

/// Writes a value on one line, without a line end.
pub fn write(writer: impl Write, value: &impl Serialize) -> io::Result<()> {
    let mut serializer = serde_json::Serializer::with_formatter(writer, Escaping);
    value.serialize(&mut serializer).map_err(io::Error::from)
}

/// The same as text.
pub fn text(value: &impl Serialize) -> String {
    let mut text = Vec::new();
    // Fails only for maps whose keys are no strings, which are not written here.
    if write(&mut text, value).is_err() {
        return String::new();
    }
    String::from_utf8(text).unwrap_or_default()
}

struct Escaping;

impl Formatter for Escaping {
    fn write_string_fragment<W: ?Sized + Write>(&mut self, writer: &mut W, fragment: &str) -> io::Result<()> {
        if is_plain(fragment) {
            return writer.write_all(fragment.as_bytes());
        }
        let mut plain = 0;
        for (at, c) in fragment.char_indices().filter(|(_, c)| is_treacherous(*c)) {
            writer.write_all(fragment.get(plain..at).unwrap_or_default().as_bytes())?;
            for unit in c.encode_utf16(&mut [0; 2]) {
                write!(writer, "\\u{unit:04x}")?;
            }
            plain = at + c.len_utf8();
        }
        writer.write_all(fragment.get(plain..).unwrap_or_default().as_bytes())
    }
}

#[cfg(test)]
mod tests {
    use super::text;

    #[test]
    fn what_is_treacherous_is_escaped_and_read_back_as_it_was() {
        let hostile = "a\u{9b}31m\u{202e}\u{7f}\n\u{e0041}\u{200b}ü👍";
        let json = text(&hostile);
        assert_eq!(json, "\"a\\u009b31m\\u202e\\u007f\\n\\udb40\\udc41\\u200bü👍\"");
        assert_eq!(serde_json::from_str::<String>(&json).ok().as_deref(), Some(hostile));
    }
}
