//! Whether the parser of the stream will take a stanza: asked of the same parser, on the stanza alone.

use xso::exports::rxml::error::{EndOrError, ErrorContext};
use xso::exports::rxml::{Error, Parse, Parser};

/// Ends the stream that `header` began.
const FOOTER: &[u8] = b"</stream:stream>";

/// Bytes that the parser is given at once.
const PIECE: usize = 4096;

/// Parses `stanza` inside a stream that begins with `header`, which may declare prefixes that the stanza uses.
///
/// # Errors
/// Why the parser refuses it.
pub(super) fn check(header: &[u8], stanza: &[u8]) -> Result<(), Error> {
    let mut parser = Parser::default();
    // In pieces: the parser searches all that it is given for the end of a text, again for each token.
    for mut piece in [header, stanza].into_iter().flat_map(|part| part.chunks(PIECE)) {
        match parser.parse_all(&mut piece, false, drop) {
            Ok(()) | Err(EndOrError::NeedMoreData) => {}
            Err(EndOrError::Error(error)) => return Err(error),
        }
    }
    let mut footer = FOOTER;
    match parser.parse_all(&mut footer, true, drop) {
        Ok(()) => Ok(()),
        Err(EndOrError::NeedMoreData) => Err(Error::InvalidEof(Some(ErrorContext::Element))),
        Err(EndOrError::Error(error)) => Err(error),
    }
}
