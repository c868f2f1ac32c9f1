//! The bounds of what a call may hold, all in one place: behind here nothing is empty, relative or too long.

use xbt_api::{
    ApiError, LimitChange, ListQuery, MAX_IDS, MAX_MESSAGE, MAX_NAME, MAX_PAGE, MAX_PATH, MAX_PATHS, MAX_PATTERNS,
    MAX_RECIPIENTS, SendRequest, State, codes, size,
};

/// Longest life of an offer: ten years.
const MAX_EXPIRE_S: u64 = 10 * 366 * 24 * 3_600;

fn bad(message: impl Into<String>, hint: &str) -> ApiError {
    ApiError::new(codes::BAD_REQUEST, message, hint)
}

/// Ids: at least one, not too many, each once.
pub(super) fn ids(mut ids: Vec<u64>) -> Result<Vec<u64>, ApiError> {
    if ids.is_empty() {
        return Err(bad("no transfer is named", "name at least one transfer by its number"));
    }
    if ids.len() > MAX_IDS {
        return Err(bad(format!("more than {MAX_IDS} transfers are named"), "name them in several calls"));
    }
    let mut seen = std::collections::HashSet::with_capacity(ids.len());
    ids.retain(|id| seen.insert(*id));
    Ok(ids)
}

/// A JID, a name, a safety number.
pub(super) fn name(what: &str, text: &str) -> Result<(), ApiError> {
    if text.is_empty() {
        return Err(bad(format!("the {what} is empty"), ""));
    }
    if text.len() > MAX_NAME {
        return Err(bad(format!("the {what} is longer than {MAX_NAME} bytes"), ""));
    }
    Ok(())
}

/// Bytes of a text inside XML. XMPP servers need not take stanzas of more than 10,000 bytes (RFC 6120, section 13.12).
fn escaped(text: &str) -> usize {
    let bytes = |c: char| match c {
        '&' => "&amp;".len(),
        '<' | '>' => "&lt;".len(),
        other => other.len_utf8(),
    };
    text.chars().map(bytes).sum()
}

/// A word from person to person.
pub(super) fn message(text: Option<&str>) -> Result<(), ApiError> {
    match text {
        Some(text) if escaped(text) > MAX_MESSAGE => {
            let most = format!("the message is longer than {MAX_MESSAGE} bytes (<, > and & take four or five each)");
            Err(bad(most, "send a longer text as a file"))
        }
        Some(_) | None => Ok(()),
    }
}

/// New limits: something is to change, also where only these are given, and every rate is one that is kept.
pub(super) fn limits(limits: LimitChange, with_more: bool) -> Result<(), ApiError> {
    let rates = [limits.upload, limits.download];
    if !with_more && rates.iter().all(Option::is_none) {
        return Err(bad("no limit given", "give at least one; 0 means none"));
    }
    if rates.into_iter().flatten().any(|rate| rate > size::MAX) {
        return Err(bad(format!("a limit of more than {} bytes per second", size::MAX), "0 means none"));
    }
    Ok(())
}

/// A path of this machine.
pub(super) fn path(path: &str) -> Result<(), ApiError> {
    if !path.starts_with('/') {
        return Err(bad("a path is not absolute", "the daemon does not know the caller's working directory"));
    }
    if path.len() > MAX_PATH || path.contains('\0') {
        return Err(bad("a path is too long or holds a null character", ""));
    }
    Ok(())
}

/// Paths of one content.
pub(super) fn paths(paths: &[String]) -> Result<(), ApiError> {
    if paths.is_empty() {
        return Err(bad("no path is named", "name at least one"));
    }
    if paths.len() > MAX_PATHS {
        return Err(bad(format!("more than {MAX_PATHS} paths"), "put them into one folder and send that"));
    }
    paths.iter().try_for_each(|each| path(each))
}

/// Patterns of what is left out.
pub(super) fn patterns(patterns: &[String]) -> Result<(), ApiError> {
    if patterns.len() > MAX_PATTERNS {
        return Err(bad(format!("more than {MAX_PATTERNS} patterns"), "write them into the folder's .xbtignore"));
    }
    if patterns.iter().any(|pattern| pattern.is_empty() || pattern.len() > MAX_NAME || pattern.contains('\n')) {
        return Err(bad("a pattern is empty, too long or of more than one line", ""));
    }
    Ok(())
}

/// Everything about a send that can be said without looking at the files.
pub(super) fn send(request: &SendRequest) -> Result<(), ApiError> {
    if request.contacts.is_empty() || request.paths.is_empty() {
        return Err(bad("a send needs at least one contact and one path", ""));
    }
    if request.contacts.len() > MAX_RECIPIENTS {
        return Err(bad(format!("more than {MAX_RECIPIENTS} recipients"), "send to them in several calls"));
    }
    request.contacts.iter().try_for_each(|contact| name("contact", contact))?;
    paths(&request.paths)?;
    patterns(&request.exclude)?;
    request.name.as_deref().map_or(Ok(()), |text| name("name", text))?;
    message(request.message.as_deref())?;
    match request.expire_s {
        Some(seconds) if seconds == 0 || seconds > MAX_EXPIRE_S => {
            Err(bad("an offer must expire in the future, within ten years", "name a time such as 7d or 12h"))
        }
        Some(_) | None => Ok(()),
    }
}

/// A query with a page size.
pub(super) fn list(mut query: ListQuery) -> Result<ListQuery, ApiError> {
    if query.states.len() > State::ALL.len() {
        return Err(bad("more states than there are", "name each state once"));
    }
    query.limit = Some(query.limit.unwrap_or(MAX_PAGE).clamp(1, MAX_PAGE));
    Ok(query)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_message_counts_as_it_is_written_in_a_stanza() {
        assert!(message(Some(&"x".repeat(MAX_MESSAGE))).is_ok());
        assert!(message(Some(&"x".repeat(MAX_MESSAGE + 1))).is_err());
        assert!(message(Some(&"&".repeat(MAX_MESSAGE / 5))).is_ok());
        assert!(message(Some(&"&".repeat(MAX_MESSAGE / 5 + 1))).is_err());
        assert!(message(Some(&"<ä".repeat(MAX_MESSAGE / 6))).is_ok());
    }
}
