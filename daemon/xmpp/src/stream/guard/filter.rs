//! Cuts the stream of a server into its stanzas and lets through those that we can take.
//!
//! The filter needs no more than to find tags: it knows quotes, CDATA, comments and processing instructions. What a
//! server writes is well nested, because it writes trees; so the end of a stanza is found also where the parser would
//! refuse something in it.

use std::borrow::Cow;
use std::collections::VecDeque;

use super::check::check;

/// Deepest element of a stanza that gets through; the stream element is 1, a stanza 2. The element tree behind the
/// parser is recursive: a few thousand levels overflow the stack, which aborts the process.
pub(crate) const MAX_DEPTH: usize = 64;

/// Bytes of the longest tag that gets through; below the parser's own limit of 8192 for one attribute.
pub(super) const MAX_TAG: usize = 8000;

/// Bytes of the longest stanza. Servers limit what others send to some 256 or 512 KiB.
pub(super) const MAX_STANZA: usize = 1 << 20;

/// Most elements of one stanza: each takes some hundred bytes of memory, and the shortest has four.
pub(super) const MAX_ELEMENTS: usize = 32_768;

/// The same for the result of an IQ to our own account: the roster of 20,000 contacts comes as one stanza of some 4 MiB.
pub(super) const MAX_RESULT: usize = 8 << 20;
/// See [`MAX_RESULT`].
pub(super) const MAX_RESULT_ELEMENTS: usize = 131_072;

/// The names that count as stanzas (RFC 6120, section 8).
const STANZAS: [&str; 3] = ["message", "presence", "iq"];

/// Attributes that the shell of a discarded IQ keeps, so that its sender can be answered (RFC 6120, section 8.3).
const ANSWERABLE: [&str; 3] = ["type", "id", "from"];

/// A stanza that was not let through.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Discarded {
    /// `message`, `presence`, `iq`, or another element of the server's.
    pub name: String,
    /// Its `from` as written, where it could be read; up to [`MAX_TAG`] bytes.
    pub from: Option<String>,
    /// What is wrong with it, for the log.
    pub why: String,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum State {
    /// Between tags.
    Text,
    /// Inside `<…>`, with the quote that is open, if any.
    Tag { quote: Option<u8> },
    /// Inside `<?…?>`.
    Instruction,
    /// After `<!`, kind not yet known.
    Declaration,
    /// Inside `<![CDATA[…]]>`.
    CharacterData,
    /// Inside `<!--…-->`.
    Comment,
}

/// The child of the stream element that is being read.
#[derive(Default)]
struct Stanza {
    /// Its start tag, at most [`MAX_TAG`] bytes.
    start: Vec<u8>,
    /// All of it so far; empty once something is wrong with it.
    bytes: Vec<u8>,
    /// Bytes that it may have.
    most_bytes: usize,
    elements: usize,
    /// Elements that it may have.
    most_elements: usize,
    wrong: Option<String>,
}

impl Stanza {
    fn begin(start: &[u8]) -> Self {
        let is_result = name(start) == b"iq" && attribute(start, "type") == Some("result");
        // Only our own account's, which no sender but our server can claim: `from` is absent or the bare JID of `to`.
        let is_ours = match (attribute(start, "from"), attribute(start, "to")) {
            (None, _) => true,
            (Some(from), Some(to)) => {
                to.strip_prefix(from).is_some_and(|rest| rest.is_empty() || rest.starts_with('/'))
            }
            (Some(_), None) => false,
        };
        let (most_bytes, most_elements) =
            if is_result && is_ours { (MAX_RESULT, MAX_RESULT_ELEMENTS) } else { (MAX_STANZA, MAX_ELEMENTS) };
        Self { start: start.to_vec(), most_bytes, most_elements, ..Self::default() }
    }

    fn discard(&mut self, why: impl FnOnce() -> String) {
        if self.wrong.is_none() {
            self.wrong = Some(why());
            self.bytes = Vec::new();
        }
    }

    fn name(&self) -> &str {
        std::str::from_utf8(name(&self.start)).unwrap_or_default()
    }

    fn push(&mut self, bytes: &[u8]) {
        let most = self.most_bytes;
        if self.bytes.len() + bytes.len() > most {
            self.discard(|| format!("it is longer than {} KiB", most / 1024));
        }
        if self.wrong.is_none() {
            self.bytes.extend_from_slice(bytes);
        }
    }
}

/// The filter itself: bytes in, bytes out, in chunks of any size. A stanza comes out when its end has come in.
pub(crate) struct Filter {
    state: State,
    /// Open elements.
    depth: usize,
    /// The start tag of the stream, for the prefixes that it declares.
    header: Vec<u8>,
    stanza: Stanza,
    /// The tag so far, from `<`; cut at [`MAX_TAG`].
    tag: Vec<u8>,
    /// Bytes of the tag so far, also those that were cut.
    tag_len: usize,
    /// The last two bytes.
    last: [u8; 2],
    /// The last byte was a carriage return.
    carriage_return: bool,
    discarded: VecDeque<Discarded>,
}

impl Filter {
    pub(crate) fn new() -> Self {
        Self {
            state: State::Text,
            depth: 0,
            header: Vec::new(),
            stanza: Stanza::default(),
            tag: Vec::new(),
            tag_len: 0,
            last: [0; 2],
            carriage_return: false,
            discarded: VecDeque::new(),
        }
    }

    /// Appends to `out` what gets through.
    pub(crate) fn feed(&mut self, input: &[u8], out: &mut Vec<u8>) {
        let input = self.with_line_feeds(input);
        let mut rest = &*input;
        while let Some(&byte) = rest.first() {
            let text = match self.state {
                State::Text => rest.iter().position(|&byte| byte == b'<').unwrap_or(rest.len()),
                _ => 0,
            };
            if text > 0 {
                self.keep(&rest[..text], out);
                rest = &rest[text..];
            } else {
                self.step(byte, out);
                self.last = [self.last[1], byte];
                rest = &rest[1..];
            }
        }
    }

    /// Line ends as an XML processor has to hand them on (XML 1.0, section 2.11). The parser refuses some carriage
    /// returns, and servers write them as they are.
    fn with_line_feeds<'a>(&mut self, input: &'a [u8]) -> Cow<'a, [u8]> {
        let was = std::mem::replace(&mut self.carriage_return, input.last() == Some(&b'\r'));
        if !was && !input.contains(&b'\r') {
            return Cow::Borrowed(input);
        }
        let before = std::iter::once(if was { b'\r' } else { 0 }).chain(input.iter().copied());
        let kept = before.zip(input).filter(|(before, byte)| !(*before == b'\r' && **byte == b'\n'));
        kept.map(|(_, &byte)| if byte == b'\r' { b'\n' } else { byte }).collect()
    }

    /// What was discarded since the last call.
    pub(crate) fn take_discarded(&mut self) -> Option<Discarded> {
        self.discarded.pop_front()
    }

    /// Whether the stream is in the middle of a stanza.
    pub(crate) fn is_within_stanza(&self) -> bool {
        self.depth > 1
    }

    /// Bytes of the stanza that is being read.
    #[cfg(test)]
    pub(super) fn kept(&self) -> usize {
        self.stanza.bytes.len()
    }

    /// Passes bytes on: with their stanza, or at once outside of stanzas, where only white space and the declaration of
    /// a new stream have a place (RFC 6120, section 11).
    fn keep(&mut self, bytes: &[u8], out: &mut Vec<u8>) {
        match (self.depth, self.state) {
            (0, _) | (1, State::Instruction) => out.extend_from_slice(bytes),
            (1, _) => out.extend(bytes.iter().filter(|byte| byte.is_ascii_whitespace())),
            _ => self.stanza.push(bytes),
        }
    }

    fn step(&mut self, byte: u8, out: &mut Vec<u8>) {
        match self.state {
            // `feed` has passed on what is not `<`.
            State::Text => {
                self.tag.clear();
                self.tag.push(byte);
                self.tag_len = 1;
                self.state = State::Tag { quote: None };
            }
            State::Tag { quote } => self.in_tag(byte, quote, out),
            State::Declaration => self.in_declaration(byte, out),
            State::Instruction => self.until(byte, byte == b'>' && self.last[1] == b'?', out),
            State::CharacterData => self.until(byte, byte == b'>' && self.last == *b"]]", out),
            State::Comment => self.until(byte, byte == b'>' && self.last == *b"--", out),
        }
    }

    fn in_tag(&mut self, byte: u8, quote: Option<u8>, out: &mut Vec<u8>) {
        self.tag_len += 1;
        if self.tag.len() < MAX_TAG {
            self.tag.push(byte);
        }
        match (quote, byte) {
            (None, b'?') if self.tag_len == 2 => self.leave_tag(State::Instruction, out),
            (None, b'!') if self.tag_len == 2 => self.state = State::Declaration,
            (None, b'>') => {
                self.state = State::Text;
                self.end_tag(out);
            }
            (None, b'"' | b'\'') => self.state = State::Tag { quote: Some(byte) },
            (Some(open), _) if open == byte => self.state = State::Tag { quote: None },
            (None | Some(_), _) => {}
        }
    }

    /// `<!` begins CDATA, a comment, or something that the parser refuses.
    fn in_declaration(&mut self, byte: u8, out: &mut Vec<u8>) {
        self.tag.push(byte);
        const CDATA: &[u8] = b"<![CDATA[";
        const COMMENT: &[u8] = b"<!--";
        if self.tag == CDATA {
            self.leave_tag(State::CharacterData, out);
        } else if self.tag == COMMENT {
            self.leave_tag(State::Comment, out);
        } else if !CDATA.starts_with(&self.tag) && !COMMENT.starts_with(&self.tag) {
            self.leave_tag(State::Text, out);
        }
    }

    fn leave_tag(&mut self, next: State, out: &mut Vec<u8>) {
        let tag = std::mem::take(&mut self.tag);
        self.state = next;
        self.keep(&tag, out);
        self.tag = tag;
    }

    fn until(&mut self, byte: u8, ends: bool, out: &mut Vec<u8>) {
        self.keep(&[byte], out);
        if ends {
            self.state = State::Text;
        }
    }

    fn end_tag(&mut self, out: &mut Vec<u8>) {
        let tag = std::mem::take(&mut self.tag);
        let closes = tag.get(1) == Some(&b'/');
        let is_empty = self.last[1] == b'/' && !closes;
        // A stream restart (after SASL) comes without the old stream's end. Only here: a contact may call an element
        // inside a stanza `stream:stream` as well.
        if self.depth <= 1 && name(&tag) == b"stream:stream" {
            self.depth = usize::from(!is_empty);
            self.header.clone_from(&tag);
            out.extend_from_slice(&tag);
        } else if closes && self.depth <= 1 {
            // Only the stream can end here.
            if tag.starts_with(b"</stream:stream") {
                self.depth = 0;
                out.extend_from_slice(&tag);
            }
        } else {
            self.tag_of_stanza(&tag, closes, is_empty, out);
        }
        self.tag = tag;
    }

    fn tag_of_stanza(&mut self, tag: &[u8], closes: bool, is_empty: bool, out: &mut Vec<u8>) {
        if self.depth <= 1 {
            self.depth = 1; // also where there is no stream yet, which the parser will refuse
            self.stanza = Stanza::begin(tag);
        }
        if self.tag_len > MAX_TAG {
            self.stanza.discard(|| format!("one of its tags is longer than {MAX_TAG} bytes"));
        }
        self.stanza.push(tag);
        if closes {
            self.depth -= 1;
        } else {
            let most = self.stanza.most_elements;
            self.stanza.elements += 1;
            if self.stanza.elements > most {
                self.stanza.discard(|| format!("it has more than {most} elements"));
            }
            if self.depth >= MAX_DEPTH {
                self.stanza.discard(|| format!("it is nested deeper than {MAX_DEPTH} levels"));
            }
            self.depth += usize::from(!is_empty);
        }
        if self.depth == 1 {
            self.end_stanza(out);
        }
    }

    fn end_stanza(&mut self, out: &mut Vec<u8>) {
        let mut stanza = std::mem::take(&mut self.stanza);
        if stanza.wrong.is_none()
            && let Err(error) = check(&self.header, &stanza.bytes)
        {
            stanza.discard(|| error.to_string());
        }
        let Some(why) = stanza.wrong.take() else {
            out.extend_from_slice(&stanza.bytes);
            return;
        };
        let from = attribute(&stanza.start, "from").map(str::to_owned);
        if STANZAS.contains(&stanza.name()) {
            out.extend_from_slice(&self.shell(&stanza));
        }
        self.discarded.push_back(Discarded { name: stanza.name().to_owned(), from, why });
    }

    /// An empty stanza for one that is discarded.
    fn shell(&self, stanza: &Stanza) -> Vec<u8> {
        let name = stanza.name();
        // Without its sender and type, a message or presence says nothing.
        if name == "iq" {
            // An answer that cannot be read is no success.
            let value = |key| match attribute(&stanza.start, key)? {
                "result" if key == "type" => Some("error"),
                value => Some(value),
            };
            let kept = ANSWERABLE.iter().filter_map(|key| Some(format!(" {key}='{}'", value(key)?)));
            let shell = format!("<iq{}/>", kept.collect::<String>()).into_bytes();
            if check(&self.header, &shell).is_ok() {
                return shell;
            }
        }
        format!("<{name}/>").into_bytes()
    }
}

/// The name in a start or end tag, as written.
fn name(tag: &[u8]) -> &[u8] {
    let rest = tag.get(1..).unwrap_or_default();
    let end = rest.iter().position(|b| b" \t\r\n/>".contains(b)).unwrap_or(rest.len());
    &rest[..end]
}

/// The value of an attribute, as written; none where it holds what could end a value, or is not text.
fn attribute<'a>(tag: &'a [u8], key: &str) -> Option<&'a str> {
    let mut rest = tag.get(1 + name(tag).len()..)?;
    loop {
        let equals = rest.iter().position(|&b| b == b'=')?;
        let (this, after) = (rest[..equals].trim_ascii(), rest[equals + 1..].trim_ascii_start());
        let (&quote, after) = after.split_first().filter(|(quote, _)| b"'\"".contains(quote))?;
        let end = after.iter().position(|&b| b == quote)?;
        if this == key.as_bytes() {
            let value = std::str::from_utf8(&after[..end]).ok()?;
            return Some(value).filter(|value| !value.contains(['\'', '"', '<']));
        }
        rest = &after[end + 1..];
    }
}
