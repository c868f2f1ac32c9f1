//! Where symbolic links lead.
//!
//! Invariant: from what [`inside`] accepts, no chain of such links leaves the content. `..` occurs at the beginning only,
//! where it goes up from the real folder that holds the link, at most to the root; from there on every step is a name,
//! so a further link that is met on the way begins, for its part, at a real folder inside.

/// The longest text of a link, in bytes: `PATH_MAX` without its end.
pub(crate) const MAX_TARGET: usize = 4095;

/// Where a link with this text in this folder leads, as components from the root; none if it may lead outside.
pub(crate) fn inside<'a>(folder: &[&'a str], text: &'a str) -> Option<Vec<&'a str>> {
    if text.is_empty() || text.len() > MAX_TARGET || text.starts_with('/') || text.contains('\0') {
        return None;
    }
    let mut at = folder.to_vec();
    let mut named = false;
    for step in text.split('/') {
        match step {
            "" | "." => {}
            ".." if named => return None,
            ".." => drop(at.pop()?),
            name => {
                named = true;
                at.push(name);
            }
        }
    }
    Some(at)
}

/// The shortest text that leads from a folder to a place.
pub(crate) fn relative<A: AsRef<str>, B: AsRef<str>>(folder: &[A], to: &[B]) -> String {
    let common = folder.iter().zip(to).take_while(|(a, b)| a.as_ref() == b.as_ref()).count();
    let up = folder.iter().skip(common).map(|_| "..");
    let steps: Vec<&str> = up.chain(to.iter().skip(common).map(AsRef::as_ref)).collect();
    if steps.is_empty() { ".".to_owned() } else { steps.join("/") }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::panic)]
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn a_link_stays_inside_or_is_refused() {
        let at = |folder: &[&'static str], text| inside(folder, text).map(|to| to.join("/"));
        assert_eq!(at(&["a", "b"], "../c").unwrap(), "a/c");
        assert_eq!(at(&["a", "b"], "./..//../c/d/").unwrap(), "c/d");
        assert_eq!(at(&["a"], "..").unwrap(), "");
        assert_eq!(at(&[], "f").unwrap(), "f");
        for (folder, text) in [
            (&[][..], ".."),
            (&["a"], "../../x"),
            (&["a"], "/etc/passwd"),
            (&["a"], ""),
            // Where `b` is a link to the root, this is outside.
            (&["a"], "b/../x"),
        ] {
            assert_eq!(at(folder, text), None, "{text}");
        }
    }

    proptest! {
        #[test]
        fn the_shortest_text_leads_to_the_same_place(folder in proptest::collection::vec("[ab]", 0..4), to in proptest::collection::vec("[ab]", 0..4)) {
            let folder: Vec<&str> = folder.iter().map(String::as_str).collect();
            let to: Vec<&str> = to.iter().map(String::as_str).collect();
            let text = relative(&folder, &to);
            prop_assert_eq!(inside(&folder, &text), Some(to));
        }
    }
}
