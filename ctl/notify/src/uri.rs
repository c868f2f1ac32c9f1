//! Paths as URIs.

use std::os::unix::ffi::OsStrExt;
use std::path::Path;

/// A path as a URI (RFC 8089).
pub fn of(path: &Path) -> String {
    let mut uri = "file://".to_owned();
    for byte in path.as_os_str().as_bytes() {
        match byte {
            b'A'..=b'Z' | b'a'..=b'z' | b'0'..=b'9' | b'-' | b'.' | b'_' | b'~' | b'/' => uri.push(char::from(*byte)),
            other => uri.push_str(&format!("%{other:02X}")),
        }
    }
    uri
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_path_becomes_a_uri_whatever_stands_in_it() {
        assert_eq!(of(Path::new("/home/a/Grüße 1#?%.txt")), "file:///home/a/Gr%C3%BC%C3%9Fe%201%23%3F%25.txt");
    }
}
