//! A filter on the bytes that come from the server, in front of the XML parser.
//!
//! Any contact can make the server hand us any well-formed stanza. The parser and the element tree behind it are
//! recursive (a few thousand levels overflow the stack, which aborts the process) and end the stream at a single
//! attribute of more than 8 KiB, which would let one stanza log us out. So what is nested deeper than [`MAX_DEPTH`]
//! or stands in a tag longer than [`MAX_TAG`] is removed here, with everything inside it, and so are elements beyond
//! [`MAX_ELEMENTS`]; and a single stanza longer
//! than [`MAX_STANZA`] is an error that ends the connection.
//!
//! The filter needs no more than to find tags: it knows quotes, CDATA, comments and processing instructions, and
//! leaves everything else to the parser, which sees well-formed XML whenever the input was well-formed.

use std::io;
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

#[cfg(test)]
mod tests;

/// Deepest element that gets through; the stream element is 1, a stanza 2.
pub(super) const MAX_DEPTH: usize = 64;

/// Bytes of the longest tag that gets through; below the parser's own limit of 8192 for one attribute.
pub(super) const MAX_TAG: usize = 8000;

/// Bytes of the longest stanza. Servers limit what contacts send to some 256 KiB; a roster may be longer.
pub(super) const MAX_STANZA: usize = 1 << 20;

/// Most elements of one stanza that get through: each takes some hundred bytes of memory, and the shortest has four.
/// More than there are contacts in a roster of [`MAX_STANZA`].
pub(super) const MAX_ELEMENTS: usize = 32_768;

/// The names that count as stanzas (RFC 6120, section 8): even a removed one leaves its empty shell behind, because
/// both sides count stanzas (XEP-0198, section 4).
const STANZAS: [&[u8]; 3] = [b"message", b"presence", b"iq"];

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

/// A stanza was longer than [`MAX_STANZA`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct TooLong;

/// The filter itself: bytes in, bytes out, in chunks of any size.
pub(super) struct Filter {
    state: State,
    /// Open elements that got through.
    depth: usize,
    /// Open elements inside a removed one, itself included; 0: nothing is being removed.
    removed: usize,
    /// The tag so far, from `<`; cut at [`MAX_TAG`].
    tag: Vec<u8>,
    /// Bytes of the tag so far, also those that were cut.
    tag_len: usize,
    /// The last two bytes.
    last: [u8; 2],
    /// Bytes since the stanza began.
    stanza: usize,
    /// Elements of the stanza that got through.
    elements: usize,
}

impl Filter {
    pub(super) fn new() -> Self {
        Self {
            state: State::Text,
            depth: 0,
            removed: 0,
            tag: Vec::new(),
            tag_len: 0,
            last: [0; 2],
            stanza: 0,
            elements: 0,
        }
    }

    /// Appends to `out` what gets through. After [`TooLong`] the filter must not be used again.
    pub(super) fn feed(&mut self, input: &[u8], out: &mut Vec<u8>) -> Result<(), TooLong> {
        for &byte in input {
            self.step(byte, out);
            self.last = [self.last[1], byte];
            self.stanza += 1;
            if self.stanza > MAX_STANZA {
                return Err(TooLong);
            }
            if self.depth <= 1 && self.removed == 0 && self.state == State::Text {
                self.stanza = 0;
                self.elements = 0;
            }
        }
        Ok(())
    }

    fn step(&mut self, byte: u8, out: &mut Vec<u8>) {
        match self.state {
            State::Text => {
                if byte == b'<' {
                    self.tag.clear();
                    self.tag.push(byte);
                    self.tag_len = 1;
                    self.state = State::Tag { quote: None };
                } else if self.removed == 0 {
                    out.push(byte);
                }
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
        if self.removed == 0 {
            out.extend_from_slice(&self.tag);
        }
        self.state = next;
    }

    fn until(&mut self, byte: u8, ends: bool, out: &mut Vec<u8>) {
        if self.removed == 0 {
            out.push(byte);
        }
        if ends {
            self.state = State::Text;
        }
    }

    fn end_tag(&mut self, out: &mut Vec<u8>) {
        let closes = self.tag.get(1) == Some(&b'/');
        let is_empty = self.last[1] == b'/' && !closes;
        match (self.removed, closes) {
            (0, true) => {
                self.depth = self.depth.saturating_sub(1);
                if self.tag_len > MAX_TAG {
                    // Its element got through, so only white space makes it long; the `>` was cut off with that.
                    out.extend_from_slice(self.tag.trim_ascii_end());
                    out.push(b'>');
                } else {
                    out.extend_from_slice(&self.tag);
                }
            }
            (_, true) => self.removed -= 1,
            (0, false) => self.open(is_empty, out),
            (_, false) => self.removed += usize::from(!is_empty),
        }
    }

    /// An element begins outside of anything removed.
    fn open(&mut self, is_empty: bool, out: &mut Vec<u8>) {
        // A stream restart (after SASL) comes without the old stream's end. Only here: a contact may call an element
        // inside a stanza `stream:stream` as well.
        if self.depth <= 1 && self.name() == b"stream:stream" {
            self.depth = 0;
        }
        let too_long = self.tag_len > MAX_TAG;
        if !too_long && self.depth < MAX_DEPTH && self.elements < MAX_ELEMENTS {
            self.elements += 1;
            out.extend_from_slice(&self.tag);
            self.depth += usize::from(!is_empty);
            return;
        }
        if self.depth == 1 && STANZAS.contains(&self.name()) {
            out.push(b'<');
            out.extend_from_slice(self.name());
            out.extend_from_slice(b"/>");
        }
        self.removed = usize::from(!is_empty);
    }

    fn name(&self) -> &[u8] {
        let rest = self.tag.get(1..).unwrap_or_default();
        let end = rest.iter().position(|b| b" \t\r\n/>".contains(b)).unwrap_or(rest.len());
        &rest[..end]
    }
}

/// A byte stream whose reading side goes through a [`Filter`].
pub(super) struct Guard<I> {
    inner: I,
    filter: Filter,
    raw: Box<[u8]>,
    clean: Vec<u8>,
    /// How much of `clean` has been handed out.
    given: usize,
}

impl<I> Guard<I> {
    pub(super) fn new(inner: I) -> Self {
        Self { inner, filter: Filter::new(), raw: vec![0; 8192].into(), clean: Vec::new(), given: 0 }
    }

    /// Gives the stream back; what was read and not yet handed out is dropped.
    pub(super) fn into_inner(self) -> I {
        self.inner
    }
}

impl<I: AsyncRead + Unpin> AsyncRead for Guard<I> {
    fn poll_read(self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        let this = self.get_mut();
        while this.given == this.clean.len() {
            this.clean.clear();
            this.given = 0;
            let mut raw = ReadBuf::new(&mut this.raw);
            ready!(Pin::new(&mut this.inner).poll_read(cx, &mut raw))?;
            if raw.filled().is_empty() {
                return Poll::Ready(Ok(()));
            }
            if this.filter.feed(raw.filled(), &mut this.clean).is_err() {
                let text = format!("a stanza of more than {} KiB", MAX_STANZA / 1024);
                return Poll::Ready(Err(io::Error::new(io::ErrorKind::InvalidData, text)));
            }
        }
        let count = buf.remaining().min(this.clean.len() - this.given);
        buf.put_slice(&this.clean[this.given..this.given + count]);
        this.given += count;
        Poll::Ready(Ok(()))
    }
}

impl<I: AsyncWrite + Unpin> AsyncWrite for Guard<I> {
    fn poll_write(self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &[u8]) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.get_mut().inner).poll_write(cx, buf)
    }

    fn poll_flush(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.get_mut().inner).poll_flush(cx)
    }

    fn poll_shutdown(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.get_mut().inner).poll_shutdown(cx)
    }
}
