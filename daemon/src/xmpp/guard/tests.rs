#![allow(clippy::unwrap_used, clippy::panic)]

use proptest::prelude::*;

use super::*;

const HEADER: &str = "<?xml version='1.0'?><stream:stream xmlns='jabber:client' x='>'>";

fn filtered(input: &[u8], chunk: usize) -> Result<Vec<u8>, TooLong> {
    let mut filter = Filter::new();
    let mut out = Vec::new();
    for piece in input.chunks(chunk) {
        filter.feed(piece, &mut out)?;
    }
    Ok(out)
}

fn nested(levels: usize) -> String {
    format!("{}{}", "<a>".repeat(levels), "</a>".repeat(levels))
}

#[test]
fn ordinary_stanzas_pass_unchanged_in_chunks_of_any_size() {
    let text = format!(
        "{HEADER}<success/>{HEADER}<message a='/>' b=\"'>\"><b>t&lt;<c/>x</b><![CDATA[<x><y>]]><!-- <z> --></message> \
         <iq/>{}",
        nested(MAX_DEPTH - 1)
    );
    for chunk in [1, 2, 3, 7, 1000] {
        assert_eq!(String::from_utf8(filtered(text.as_bytes(), chunk).unwrap()).unwrap(), text, "chunk {chunk}");
    }
}

#[test]
fn what_is_nested_too_deep_is_removed_and_what_follows_is_not() {
    let deep = format!("{HEADER}<message>{}<body>x</body></message><iq/>", nested(23_000));
    let kept = format!("{HEADER}<message>{}<body>x</body></message><iq/>", nested(MAX_DEPTH - 2));
    for chunk in [1, 4096] {
        assert_eq!(String::from_utf8(filtered(deep.as_bytes(), chunk).unwrap()).unwrap(), kept, "chunk {chunk}");
    }
}

#[test]
fn of_a_stanza_with_very_many_elements_the_first_get_through_and_the_next_stanza_does() {
    let text = format!("{HEADER}<message>{}<b>x</b></message><iq><c/></iq>", "<a/>".repeat(200_000));
    let out = String::from_utf8(filtered(text.as_bytes(), 4096).unwrap()).unwrap();
    assert_eq!(out.matches("<a/>").count(), MAX_ELEMENTS - 1);
    assert!(out.ends_with("</message><iq><c/></iq>") && !out.contains("<b>"));
}

#[test]
fn a_stream_element_inside_a_stanza_does_not_reset_the_depth() {
    let levels = 500;
    let text = format!(
        "{HEADER}<message>{}{}</message>",
        "<stream:stream xmlns:stream='x'>".repeat(levels),
        "</stream:stream>".repeat(levels)
    );
    let out = String::from_utf8(filtered(text.as_bytes(), 100).unwrap()).unwrap();
    assert_eq!(out.matches("</stream:stream>").count(), MAX_DEPTH - 2);
}

#[test]
fn a_tag_that_the_parser_would_choke_on_is_removed_with_what_is_inside() {
    let long = "x".repeat(MAX_TAG + 1000);
    let text = format!("{HEADER}<message><q a='{long}'><r>s</r></q><body>x</body></message>");
    assert_eq!(filtered(text.as_bytes(), 64).unwrap(), format!("{HEADER}<message><body>x</body></message>").as_bytes());
}

#[test]
fn an_end_tag_that_is_long_by_white_space_still_ends_its_element() {
    let text = format!("{HEADER}<message><body>x</body{}></message><iq/>", " ".repeat(MAX_TAG));
    let kept = format!("{HEADER}<message><body>x</body></message><iq/>");
    assert_eq!(filtered(text.as_bytes(), 64).unwrap(), kept.as_bytes());
}

#[test]
fn a_stanza_that_is_removed_as_a_whole_leaves_an_empty_one_to_be_counted() {
    let long = "x".repeat(MAX_TAG);
    let text = format!("{HEADER}<iq id='{long}'><r>s</r></iq><message/>");
    assert_eq!(filtered(text.as_bytes(), 64).unwrap(), format!("{HEADER}<iq/><message/>").as_bytes());
}

#[test]
fn a_stanza_that_is_too_long_is_an_error_and_many_short_ones_are_not() {
    let body = "x".repeat(MAX_STANZA / 4);
    let stanza = format!("<message><body>{body}</body></message>");
    assert!(filtered(format!("{HEADER}{}", stanza.repeat(8)).as_bytes(), 8192).is_ok());
    let stanza = format!("{HEADER}<message><body>{}", body.repeat(5));
    assert_eq!(filtered(stanza.as_bytes(), 8192), Err(TooLong));
    let removed = format!("{HEADER}<message>{}{}", "<a>".repeat(100), body.repeat(5));
    assert_eq!(filtered(removed.as_bytes(), 8192), Err(TooLong));
}

fn xml_like() -> impl Strategy<Value = Vec<u8>> {
    let piece = prop_oneof![
        Just("<a>"),
        Just("</a>"),
        Just("<b/>"),
        Just("<stream:stream>"),
        Just("<![CDATA["),
        Just("]]>"),
        Just("<!--"),
        Just("-->"),
        Just("<?"),
        Just("?>"),
        Just("'"),
        Just("\""),
        Just("<a x='>'>"),
        Just("/"),
        Just(">"),
        Just("<"),
        Just("text"),
        Just("!"),
        Just("é"),
    ];
    prop::collection::vec(piece, 0..400).prop_map(|pieces| pieces.concat().into_bytes())
}

/// The deepest nesting of a well-formed text without quotes, CDATA or comments.
fn depth_of(text: &str) -> usize {
    let mut depth = 0usize;
    let mut deepest = 0;
    for tag in text.split('<').skip(1) {
        if tag.starts_with('/') {
            depth -= 1;
        } else {
            depth += 1;
            deepest = deepest.max(depth);
        }
    }
    deepest
}

proptest! {
    #[test]
    fn no_bytes_panic_and_chunks_make_no_difference(
        bytes in prop_oneof![xml_like(), prop::collection::vec(any::<u8>(), 0..2000)],
        chunk in 1usize..50,
    ) {
        prop_assert_eq!(filtered(&bytes, chunk), filtered(&bytes, usize::MAX));
    }

    #[test]
    fn nothing_deeper_than_the_limit_comes_out(shape in prop::collection::vec(0usize..200, 1..20)) {
        let stanzas: String = shape.iter().map(|&levels| nested(levels)).collect();
        let out = String::from_utf8(filtered(format!("<stream:stream>{stanzas}").as_bytes(), 13).unwrap()).unwrap();
        prop_assert!(depth_of(&out) <= MAX_DEPTH);
        prop_assert_eq!(out.matches("<a>").count(), out.matches("</a>").count());
    }
}
