#![allow(clippy::unwrap_used, clippy::panic)]

use proptest::prelude::*;

use super::filter::{MAX_ELEMENTS, MAX_RESULT, MAX_STANZA, MAX_TAG};
use super::*;

const HEADER: &str =
    "<?xml version='1.0'?><stream:stream xmlns='jabber:client' xmlns:stream='http://etherx.jabber.org/streams' x='>'>";

/// What comes out, and what was discarded.
fn filtered(input: &[u8], chunk: usize) -> (String, Vec<Discarded>) {
    let mut filter = Filter::new();
    let mut out = Vec::new();
    let mut discarded = Vec::new();
    for piece in input.chunks(chunk) {
        filter.feed(piece, &mut out);
        discarded.extend(std::iter::from_fn(|| filter.take_discarded()));
    }
    (String::from_utf8_lossy(&out).into_owned(), discarded)
}

/// What is left of `stanza`, which is discarded; what follows it comes through.
fn shell_of(stanza: impl AsRef<[u8]>) -> String {
    let fence = "<iq type='result' id='fence'/>";
    let text = [HEADER.as_bytes(), stanza.as_ref(), fence.as_bytes()].concat();
    let (out, discarded) = filtered(&text, 4096);
    assert_eq!(discarded.len(), 1, "{discarded:?}");
    assert!(!discarded[0].why.is_empty());
    out.strip_prefix(HEADER).unwrap().strip_suffix(fence).unwrap().to_owned()
}

fn nested(levels: usize) -> String {
    format!("{}{}", "<a>".repeat(levels), "</a>".repeat(levels))
}

#[test]
fn ordinary_stanzas_pass_unchanged_in_chunks_of_any_size() {
    let text = format!(
        "{HEADER}<success/>{HEADER}<message a='/>' b=\"'>\"><b>t&lt;<c/>x</b><![CDATA[<x><y>]]></message> \
         <iq/><message>{}</message>",
        nested(MAX_DEPTH - 2)
    );
    for chunk in [1, 2, 3, 7, 1000] {
        assert_eq!(filtered(text.as_bytes(), chunk), (text.clone(), Vec::new()), "chunk {chunk}");
    }
}

#[test]
fn what_has_no_place_between_stanzas_does_not_come_out() {
    let text = format!("{HEADER}<iq/>x\n<!-- c --></x><![CDATA[y]]> <iq/>");
    assert_eq!(filtered(text.as_bytes(), 5).0, format!("{HEADER}<iq/>\n   <iq/>"));
}

#[test]
fn a_stanza_comes_out_whole_as_soon_as_its_end_is_in() {
    let (mut filter, mut out) = (Filter::new(), Vec::new());
    filter.feed(format!("{HEADER}<message><body>x</body></message").as_bytes(), &mut out);
    assert_eq!(out, HEADER.as_bytes());
    filter.feed(b">", &mut out);
    assert!(out.ends_with(b"<body>x</body></message>"));
}

#[test]
fn a_stanza_that_the_parser_refuses_leaves_an_empty_one_to_be_counted() {
    let bad: [&[u8]; 11] = [
        b"<message><x xmlns='urn:h'>\x01</x></message>",
        b"<message><x xmlns='urn:h'>\xff\xfe</x></message>",
        b"<message><x xmlns='urn:h'>\xef\xbf\xbf</x></message>",
        b"<message><x xmlns='urn:h'>&unknown;</x></message>",
        b"<message><x xmlns='urn:h'>&#1;</x></message>",
        b"<message><x xmlns='urn:h' p:a='1'/></message>",
        b"<message><p:x/></message>",
        b"<message><x xmlns:p=''/></message>",
        b"<message><x xmlns='urn:h' a='1' a='2'/></message>",
        b"<message><x xmlns='urn:h'><!-- c --></x></message>",
        b"<message><x xmlns='urn:h'><?pi?></x></message>",
    ];
    for stanza in bad {
        assert_eq!(shell_of(stanza), "<message/>", "{}", String::from_utf8_lossy(stanza));
        let presence = String::from_utf8_lossy(stanza).replace("message", "presence");
        if std::str::from_utf8(stanza).is_ok() {
            assert_eq!(shell_of(presence), "<presence/>");
        }
    }
}

#[test]
fn the_sender_of_a_discarded_iq_can_be_answered() {
    let bad = "<x xmlns='urn:h' a='1\u{1}2'/>";
    let asked = format!("<iq from='bob@b/r&apos;1' to='alice@a/x' id=\"7\" type='set'>{bad}</iq>");
    assert_eq!(shell_of(asked), "<iq type='set' id='7' from='bob@b/r&apos;1'/>");
    // What would make the shell itself unreadable is left out with everything else.
    for unusable in ["id='&x;'", "id='\u{fffe}'", "id='\u{1}'"] {
        assert_eq!(shell_of(format!("<iq from='bob@b' {unusable} type='get'>{bad}</iq>")), "<iq/>", "{unusable}");
    }
}

#[test]
fn an_answer_that_cannot_be_read_is_no_success() {
    let bad = "<x xmlns='urn:h' a='1\u{1}2'/>";
    let answer = format!("<iq from='bob@b/r' id='7' type='result'>{bad}</iq>");
    assert_eq!(shell_of(answer), "<iq type='error' id='7' from='bob@b/r'/>");
}

#[test]
fn only_our_own_account_may_send_what_is_as_long_as_a_roster() {
    let body = "<a/>".repeat(MAX_ELEMENTS + 1);
    for from in ["bob@b", "alice@a.example/other", "alice@", "a"] {
        let answer = format!("<iq from='{from}' to='alice@a.example/x' id='7' type='result'>{body}</iq>");
        assert!(shell_of(answer).contains("type='error'"), "{from}");
    }
    for from in ["", "from='alice@a.example' "] {
        let text = format!("{HEADER}<iq {from}to='alice@a.example/x' id='7' type='result'>{body}</iq>");
        assert_eq!(filtered(text.as_bytes(), 8192).1, [], "{from}");
    }
}

#[test]
fn a_discarded_stanza_names_its_sender() {
    let text = format!("{HEADER}<presence type='subscribe' from='eve@e'><x xmlns='urn:h' a='&x;'/></presence>");
    let (out, discarded) = filtered(text.as_bytes(), 10);
    assert!(out.ends_with("<presence/>"));
    assert_eq!((discarded[0].name.as_str(), discarded[0].from.as_deref()), ("presence", Some("eve@e")));
}

#[test]
fn carriage_returns_become_line_feeds_as_xml_wants_it() {
    let text = format!("{HEADER}<message><x a='1\r2\r'>\r\n\r\r\n</x></message>");
    let expected = format!("{HEADER}<message><x a='1\n2\n'>\n\n\n</x></message>");
    for chunk in [1, 2, 3, 5, 1000] {
        assert_eq!(filtered(text.as_bytes(), chunk), (expected.clone(), Vec::new()), "chunk {chunk}");
    }
}

#[test]
fn prefixes_that_the_stream_declares_may_be_used() {
    let header = HEADER.replace("x='>'", "xmlns:db='jabber:server:dialback'");
    let text = format!("{header}<message><db:x/></message>");
    assert_eq!(filtered(text.as_bytes(), 100), (text.clone(), Vec::new()));
}

#[test]
fn what_is_nested_too_deep_has_too_many_elements_or_too_long_tags_costs_one_stanza() {
    let long = "x".repeat(MAX_TAG + 1000);
    for stanza in [
        format!("<message>{}<body>x</body></message>", nested(23_000)),
        format!("<message>{}</message>", nested(MAX_DEPTH - 1)),
        format!("<message>{}</message>", "<a/>".repeat(MAX_ELEMENTS)),
        format!("<message><q a='{long}'><r>s</r></q><body>x</body></message>"),
        format!("<message id='{long}'/>"),
        format!("<message><body>x</body{}></message>", " ".repeat(MAX_TAG)),
        format!("<message>{}", "<stream:stream xmlns:stream='x'>".repeat(500))
            + &"</stream:stream>".repeat(500)
            + "</message>",
    ] {
        assert_eq!(shell_of(&stanza), "<message/>", "{}", &stanza[..60]);
    }
}

#[test]
fn a_stanza_that_is_too_long_is_skipped_without_being_kept() {
    let body = "x".repeat(MAX_STANZA / 4);
    assert_eq!(shell_of(format!("<message><body>{}</body></message>", body.repeat(5))), "<message/>");
    let stanza = format!("<message><body>{body}</body></message>");
    assert!(filtered(format!("{HEADER}{}", stanza.repeat(8)).as_bytes(), 8192).1.is_empty());

    let (mut filter, mut out) = (Filter::new(), Vec::new());
    filter.feed(format!("{HEADER}<iq type='result' id='1'><query>").as_bytes(), &mut out);
    let before = out.len();
    for _ in 0..2 * MAX_RESULT / body.len() {
        filter.feed(body.as_bytes(), &mut out);
        assert!(filter.kept() <= MAX_RESULT + body.len());
    }
    assert_eq!((filter.kept(), out.len()), (0, before));
}

#[test]
fn the_roster_of_twenty_thousand_contacts_comes_in() {
    let item = "<item jid='somebody.with.a.name@chat.example.org' name='Somebody With A Name' subscription='both'>\
                <group>Friends of the family</group><group>Everybody</group></item>";
    let text = format!(
        "{HEADER}<iq type='result' id='r'><query xmlns='jabber:iq:roster'>{}</query></iq>",
        item.repeat(20_000)
    );
    assert!(text.len() > 3 << 20);
    assert_eq!(filtered(text.as_bytes(), 8192), (text, Vec::new()));
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

/// What servers write of what others sent: well nested, quoted, and with text of any kind between.
fn serialised() -> impl Strategy<Value = String> {
    let text = prop_oneof![
        3 => "[a-z &;#x0-9\r\n\t]{0,12}".prop_map(|text| text.replace('&', "&amp;")),
        1 => any::<String>().prop_map(|text| text.replace(['<', '&', '\'', '"'], "")),
        1 => Just("&#13;".to_owned()),
        1 => Just("&nbsp;".to_owned()),
        1 => Just("\u{1}\u{b}\u{fffe}".to_owned()),
    ];
    let name =
        prop_oneof![Just("x"), Just("p:x"), Just("xml:x"), Just("stream:error"), Just("1"), Just(":"), Just("body")];
    let key =
        prop_oneof![Just("a"), Just("xmlns"), Just("xmlns:p"), Just("p:a"), Just("xml:lang"), Just("b"), Just("from")];
    let attributes = prop::collection::vec((key, text.clone()), 0..4);
    let leaf = text.clone();
    let tree = leaf.prop_recursive(6, 40, 5, move |inner| {
        (name.clone(), attributes.clone(), prop::collection::vec(inner, 0..5)).prop_map(|(name, attributes, inside)| {
            let attributes: String = attributes.iter().map(|(key, value)| format!(" {key}='{value}'")).collect();
            format!("<{name}{attributes}>{}</{name}>", inside.concat())
        })
    });
    (prop_oneof![Just("message"), Just("presence"), Just("iq")], text, tree)
        .prop_map(|(name, id, inside)| format!("<{name} id='{id}' type='get' from='a@b'>{inside}</{name}>"))
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
    fn the_parser_takes_everything_that_comes_out(stanzas in prop::collection::vec(serialised(), 1..6)) {
        let count = stanzas.len();
        let (out, _) = filtered(format!("{HEADER}{}", stanzas.concat()).as_bytes(), 13);
        let mut parser = xso::exports::rxml::Parser::default();
        let mut depth = 0usize;
        let mut seen = 0;
        let text = format!("{out}</stream:stream>");
        let parsed = xso::exports::rxml::Parse::parse_all(&mut parser, &mut text.as_bytes(), true, |event| match event {
            xso::exports::rxml::Event::StartElement(..) => {
                seen += usize::from(depth == 1);
                depth += 1;
            }
            xso::exports::rxml::Event::EndElement(_) => depth -= 1,
            xso::exports::rxml::Event::XmlDeclaration(..) | xso::exports::rxml::Event::Text(..) => {}
        });
        prop_assert!(parsed.is_ok(), "{parsed:?} {out}");
        prop_assert_eq!(seen, count, "every stanza is counted: {}", out);
    }
}

type Guarded = tokio_xmpp::xmlstream::XmppStream<tokio::io::BufStream<Guard<tokio::io::DuplexStream>>>;

/// A stream whose server has said its features and `stanzas`, read as the session does.
async fn begun(stanzas: &str) -> Result<(Guarded, Notices, tokio::io::DuplexStream), String> {
    use tokio::io::AsyncWriteExt;
    use tokio_xmpp::xmlstream::{StreamHeader, Timeouts, initiate_stream};

    let (near, mut far) = tokio::io::duplex(1 << 20);
    let text = format!("{HEADER}<stream:features/>{stanzas}").replace("x='>'", "version='1.0' id='s'");
    far.write_all(text.as_bytes()).await.map_err(|error| error.to_string())?;
    let (guard, notices) = Guard::new(near);
    let io = tokio::io::BufStream::new(guard);
    let header = StreamHeader { to: None, from: None, id: None };
    let pending = initiate_stream(io, "jabber:client", header, Timeouts::tight()).await.map_err(|e| e.to_string())?;
    let (_, stream): (_, Guarded) = pending.recv_features().await.map_err(|e| format!("{e:?}"))?;
    Ok((stream, notices, far))
}

/// How many stanzas come before the fence behind them.
async fn stanzas_before_the_fence(stanzas: &str) -> Result<usize, String> {
    use futures::StreamExt;
    use tokio_xmpp::xmlstream::{FallibleStreamElement, XmppStreamElement};

    let fence = "<message id='fence' type='headline'/>";
    let (mut stream, _notices, _far) = begun(&format!("{stanzas}{fence}")).await?;
    let mut seen = 0;
    loop {
        let element = stream.next().await.ok_or("the stream has ended")?.map_err(|error| format!("{error:?}"))?;
        if let FallibleStreamElement::Ok(XmppStreamElement::Stanza(tokio_xmpp::Stanza::Message(message))) = &element
            && message.id.as_ref().is_some_and(|id| id.0 == "fence")
        {
            return Ok(seen);
        }
        seen += 1;
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]
    #[test]
    fn the_session_outlives_everything_that_comes_out(stanzas in prop::collection::vec(serialised(), 1..6)) {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        let seen = runtime.block_on(stanzas_before_the_fence(&stanzas.concat()));
        prop_assert_eq!(seen, Ok(stanzas.len()), "{}", stanzas.concat());
    }
}

#[tokio::test(start_paused = true)]
async fn a_stanza_that_takes_minutes_to_arrive_is_not_taken_for_silence() {
    use futures::StreamExt;
    use tokio::io::AsyncWriteExt;

    let (mut stream, notices, mut far) = begun("").await.unwrap();
    assert!(!notices.take_arriving());
    let slow = tokio::spawn(async move {
        for part in ["<message id='slow' ", "type='headline'>", "<body>one ", "two ", "three</body>", "</message>"] {
            far.write_all(part.as_bytes()).await.unwrap();
            // Less than the 60 s after which the stream is asked for a sign of life, more than that in all.
            tokio::time::sleep(std::time::Duration::from_secs(40)).await;
        }
        far
    });
    let element = stream.next().await.unwrap();
    assert!(element.is_ok(), "{element:?}");
    assert!(notices.take_arriving());
    drop(slow.await.unwrap());
}
