//! What contacts and their devices send: stanzas, names, links, metadata.

use std::collections::HashSet;

use xbt_fuzz::target;
use xbt_torrent::handshake::{Handshake, LENGTH};
use xbt_torrent::names::{MAX_COMPONENT, MAX_DEPTH, MAX_PATH, free_name, safe_component, safe_name};
use xbt_torrent::{Prepared, fuzzing as torrent};
use xbt_xmpp as xmpp;

const XML: &[&str] = &[
    "<a>",
    "</a>",
    "<b/>",
    "<a x='>'>",
    "<![CDATA[",
    "]]>",
    "<!--",
    "-->",
    "<?",
    "?>",
    "'",
    "\"",
    "<",
    ">",
    "/",
    "&#9;",
    "&#x85;",
    "&lt;",
    "<stream:stream>",
    "</stream:stream>",
    "<message>",
    "</message>",
    "<iq/>",
    "xmlns='x'",
    "é",
];
const SIGNAL: &[&str] = &[
    "<item xmlns='urn:x-xbt:1' id='0b5e1c2a-7d3f-4a6b-8c9d-0e1f2a3b4c5d' role='sender' state='open'/>",
    "<candidate xmlns='urn:x-xbt:1' kind='host' ip='::1' port='1'/>",
    "<candidate xmlns='urn:x-xbt:1' kind='reflexive' ip='192.0.2.1' port='0'/>",
    "<proxy xmlns='urn:x-xbt:1' jid='p' host='h' port='1'/>",
    "<in-band xmlns='urn:x-xbt:1'/>",
    "<signed xmlns='urn:x-xbt:1' key='AQEBAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQE='>",
    "</signed>",
    "epoch='AAECAwQFBgcICQoLDA0ODw==' ",
    "number='18446744073709551615' ",
    "stream-id='s' ",
    "better-than='in-band' ",
    "<name>n</name>",
    "<desc>d</desc>",
    "kind='btih' ",
    "expires='2026-01-01T00:00:00Z' ",
    "9999999999",
    "-",
    "&#10;",
    "&#x7f;",
    "\u{85}",
    "&#x202e;",
    "text",
    " ",
    "''",
    "<x/>",
];
const BENCODE: &[&str] = &[
    "d",
    "l",
    "e",
    "i0e",
    "i-1e",
    "i9223372036854775807e",
    "i999999999999999999e",
    "0:",
    "1:a",
    "2:..",
    "1:.",
    "3:a/b",
    "1:\\",
    "5:files",
    "6:length",
    "4:path",
    "12:piece length",
    "6:pieces",
    "d6:lengthi0e4:pathl1:aee",
];
const NAMES: &[&str] = &[
    ".",
    "..",
    "/",
    "\\",
    "\0",
    "\n",
    " ",
    "\u{202e}",
    "\u{2066}",
    "\u{85}",
    "\u{a0}",
    "\u{3000}",
    "con",
    "NUL",
    "com1",
    "é",
    ".txt",
    "-",
    "~",
    "\u{feff}",
    "xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx",
];

const STREAM: &[u8] = b"<stream:stream xmlns='jabber:client' xmlns:stream='http://etherx.jabber.org/streams'>";

/// The filter in front of the XML parser.
fn filter_holds(bytes: &[u8]) {
    let stream = [STREAM, bytes].concat();
    let whole = xmpp::fuzzing::filter(&stream, usize::MAX);
    for chunk in [1, 1 + bytes.len() % 61] {
        assert!(xmpp::fuzzing::filter(&stream, chunk) == whole, "chunks of {chunk} make a difference");
    }
    let (out, skipped) = whole;
    // A stream may begin anew, which no contact can bring about: only a server that means harm nests streams.
    if bytes.windows(14).any(|window| window == b"<stream:stream") {
        return;
    }
    let (again, discarded) = xmpp::fuzzing::filter(&out, 4096);
    assert!(again == out && discarded == 0, "what got through gets through");
    // The parser of the tree is recursive: what is too deep for it is the filter's business and not compared.
    if skipped > 0 {
        return; // an empty stanza stands for each
    }
    let openings = bytes.iter().filter(|byte| **byte == b'<').count();
    if openings > 800 {
        return;
    }
    if xmpp::fuzzing::element(bytes).is_some() {
        let element = xmpp::fuzzing::element(&out[STREAM.len()..]).expect("a stanza comes out whole");
        assert!(xmpp::fuzzing::depth(&element) < xmpp::fuzzing::MAX_DEPTH);
    }
}
target!(filter, XML, filter_holds);

/// Requests, answers and errors of our namespace. They come through the filter, as from a server.
fn signals_hold(bytes: &[u8]) {
    let (clean, _) = xmpp::fuzzing::filter(&[STREAM, bytes].concat(), usize::MAX);
    let Some(element) = xmpp::fuzzing::element(&clean[STREAM.len()..]) else { return };
    let read = |text: &str| xmpp::fuzzing::element(text.as_bytes()).expect("what we write is well-formed");
    let mut element = element;
    if let Some((inner, written)) = xmpp::fuzzing::envelope(element.clone()) {
        assert_eq!(xmpp::fuzzing::envelope(read(&written)), Some((inner.clone(), written)), "written once for all");
        let Some(inner) = inner else { return };
        element = inner;
    }
    match xmpp::fuzzing::request(element.clone()) {
        Ok(request) => {
            // What XML cannot carry is replaced once; then nothing changes any more.
            let again = xmpp::fuzzing::request(read(&xmpp::fuzzing::put_request(request.clone()))).expect("ours");
            assert_eq!(again.offer_id(), request.offer_id());
            assert_eq!(xmpp::fuzzing::request(read(&xmpp::fuzzing::put_request(again.clone()))), Ok(again));
        }
        Err(refusal) => assert!(refusal.text.len() <= 1200, "a refusal repeats little of what came"),
    }
    for answer in xmpp::fuzzing::answers(&element) {
        let text = xmpp::fuzzing::put_answer(answer.clone()).expect("an answer with a payload");
        assert!(xmpp::fuzzing::answers(&read(&text)).contains(&answer));
    }
    if let Some(refusal) = xmpp::fuzzing::refusal(element) {
        let again = xmpp::fuzzing::refusal(read(&xmpp::fuzzing::put_refusal(refusal.clone()))).expect("ours");
        assert_eq!((again.condition, again.wait), (refusal.condition, refusal.wait));
        assert!(again.text.len() <= 1024);
    }
}
target!(signals, SIGNAL, signals_hold);

/// The addresses of contacts.
fn address_holds(bytes: &[u8]) {
    let Ok(text) = std::str::from_utf8(bytes) else { return };
    if let Ok(jid) = xmpp::parse_bare(text) {
        assert_eq!(xmpp::parse_bare(jid.as_str()), Ok(jid.clone()), "a normalised address stays as it is");
        assert!(jid.as_str().contains('@') && !jid.as_str().contains('/'));
    }
}
target!(addresses, &["@", "/", ".", "é", "ß", "ſ", "K", "İ", "xn--", "\u{202e}", " ", "\u{301}"], address_holds);

/// The 68 bytes before a link.
fn handshake_holds(bytes: &[u8]) {
    let Some((head, _)) = bytes.split_first_chunk::<LENGTH>() else { return };
    let decoded = Handshake::decode(head);
    assert_eq!(decoded.map(|handshake| handshake.encode()), xbt_link::fuzzing::handshake(head), "both rooms agree");
    if let Some(handshake) = decoded {
        assert_eq!(handshake.encode(), *head);
    }
}
target!(handshake, &[], handshake_holds);

/// The messages on a link.
fn messages_hold(bytes: &[u8]) {
    let whole = torrent::link_messages(bytes, usize::MAX);
    for chunk in [1, 1 + bytes.len() % 61] {
        assert!(torrent::link_messages(bytes, chunk) == whole, "chunks of {chunk} make a difference");
    }
    let written = torrent::put_messages(&whole.0);
    assert!(written.len() <= bytes.len());
    assert!(torrent::link_messages(&written, usize::MAX) == (whole.0, None), "what was read can be written");
}
target!(messages, &["\0\0\0\u{1}", "\0\0\0\u{5}\u{4}", "\0\0\0\u{d}\u{6}", "\0\0\0\u{9}\u{7}"], messages_hold);

/// The payload of extension messages.
fn extension_holds(bytes: &[u8]) {
    if let Ok((id, size)) = torrent::extension_handshake(bytes) {
        assert_ne!(id, Some(0));
        assert!(size.is_none_or(|size| (1..=xbt_torrent::MAX_METADATA as u32).contains(&size)));
    }
    if let Ok(Some((_, data))) = torrent::metadata_block(bytes) {
        assert!(bytes.ends_with(data) && data.len() < bytes.len());
    }
}
target!(extension, BENCODE, extension_holds);

/// Info dictionaries.
fn metainfo_holds(bytes: &[u8]) {
    let Ok(meta) = torrent::metainfo(bytes) else { return };
    assert!(meta.hashed && i64::try_from(meta.size).is_ok() && safe_name(&meta.name).is_ok());
    let mut end = 0;
    let mut paths = HashSet::new();
    let mut folders = HashSet::new();
    for (path, offset, len) in &meta.files {
        assert_eq!(*offset, end, "files lie one behind the other");
        end += len;
        assert!(paths.insert(path.as_str()) && path.len() <= MAX_PATH, "{path}");
        if !meta.single {
            assert!(path.split('/').count() <= MAX_DEPTH);
            path.split('/').for_each(|part| assert_eq!(safe_component(part).as_deref(), Ok(part)));
            folders.extend(path.match_indices('/').map(|(at, _)| &path[..at]));
        }
    }
    assert_eq!(end, meta.size);
    for folder in &meta.folders {
        assert!(!meta.single && folder.len() <= MAX_PATH && folder.split('/').count() <= MAX_DEPTH);
        folder.split('/').for_each(|part| assert_eq!(safe_component(part).as_deref(), Ok(part)));
        folders.extend(folder.match_indices('/').map(|(at, _)| &folder[..at]).chain([folder.as_str()]));
    }
    assert!(paths.is_disjoint(&folders), "no file is also a folder");
    for (path, text) in &meta.links {
        assert!(!text.is_empty() && !text.starts_with('/') && !text.contains('\0'));
        let steps: Vec<&str> = text.split('/').filter(|step| !["", "."].contains(step)).collect();
        let up = steps.iter().take_while(|step| **step == "..").count();
        assert!(up <= path.matches('/').count() && !steps[up..].contains(&".."), "{path} -> {text}");
    }
    let mut end = 0;
    for (offset, len, segments) in meta.pieces {
        assert_eq!(offset, end, "pieces lie one behind the other");
        assert_eq!(segments.iter().map(|(_, _, len)| len).sum::<usize>(), len, "files cover a piece");
        for (file, from, len) in segments {
            assert!(len > 0 && from + len as u64 <= meta.files[file].2, "a part lies inside its file");
        }
        end += len as u64;
    }
    assert_eq!(end, meta.size);
}
target!(metainfo, BENCODE, metainfo_holds);

fn harmless(name: &str) {
    assert!(!name.is_empty() && name.len() <= MAX_COMPONENT && name != "." && name != "..");
    assert!(!name.contains(['/', '\\']) && !name.chars().any(char::is_control), "{name:?}");
    let bidi = |c| matches!(c, '\u{61c}' | '\u{200e}' | '\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}');
    assert!(
        !name.chars().any(bidi) && !name.ends_with(['.', ' ']) && !name.starts_with(char::is_whitespace),
        "{name:?}"
    );
    let stem = name.split('.').next().unwrap_or(name).trim_end().to_lowercase();
    assert!(!["con", "prn", "aux", "nul"].contains(&stem.as_str()), "{name:?}");
    let numbered = stem.strip_prefix("com").or_else(|| stem.strip_prefix("lpt"));
    assert!(!numbered.is_some_and(|digit| matches!(digit.as_bytes(), [b'1'..=b'9'])), "{name:?}");
}

/// Names of files and contents.
fn names_hold(bytes: &[u8]) {
    let text = String::from_utf8_lossy(bytes);
    for rule in [safe_component, safe_name] {
        let Ok(safe) = rule(&text) else { continue };
        harmless(&safe);
        assert_eq!(rule(&safe).as_ref(), Ok(&safe), "a safe name stays as it is");
        for attempt in [2, 100, u32::MAX] {
            let free = free_name(&safe, attempt);
            harmless(&free);
            assert_ne!(free, safe);
            assert_eq!(rule(&free), Ok(free.clone()), "a free name is safe");
        }
    }
    if let Ok(safe) = safe_name(&text) {
        assert!(!safe.starts_with(['.', '-', '~']));
    }
}
target!(names, NAMES, names_hold);

/// What is kept of a prepared content: damage of the database must not do harm.
fn prepared_holds(bytes: &[u8]) {
    if let Ok(prepared) = Prepared::from_bytes(bytes) {
        let kept = prepared.to_bytes();
        assert!(kept == bytes || bytes.starts_with(b"xbtprep1"), "one content has one form in this version");
        assert!(Prepared::from_bytes(&kept).is_ok_and(|again| again == prepared));
        let json = serde_json::to_string(&prepared).expect("JSON");
        assert!(serde_json::from_str::<Prepared>(&json).is_ok_and(|again| again == prepared));
    }
}
target!(prepared, &[], prepared_holds);
