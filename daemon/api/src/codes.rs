//! The codes of [`crate::ApiError`] and of [`crate::Why`]: a stable list. Codes are added, never renamed.

macro_rules! codes {
    ($(#[$list_doc:meta])* $list:ident { $($(#[doc = $doc:literal])+ $name:ident = $code:literal;)+ }) => {
        $($(#[doc = $doc])+ pub const $name: &str = $code;)+

        $(#[$list_doc])*
        pub const $list: &[(&str, &str)] = &[$(($code, concat!($($doc),+))),+];
    };
}

codes! {
    /// What a call may be refused with, each with its meaning.
    CALL {
        /// The call itself makes no sense: an empty list, a relative path, a text that is too long.
        BAD_REQUEST = "bad-request";
        /// Too many calls of this connection are under way.
        BUSY = "busy";
        /// This daemon does not know the method.
        UNKNOWN_METHOD = "unknown-method";
        /// A fault of the daemon; its log says more.
        INTERNAL = "internal";
        /// The daemon is stopping.
        SHUTTING_DOWN = "shutting-down";
        /// No contact has this JID or name.
        UNKNOWN_CONTACT = "unknown-contact";
        /// Several contacts have this name.
        AMBIGUOUS_CONTACT = "ambiguous-contact";
        /// The text is not a bare JID.
        INVALID_JID = "invalid-jid";
        /// There is no transfer with this number.
        NO_SUCH_TRANSFER = "no-such-transfer";
        /// The transfer's state does not allow it: it has ended, or not begun.
        WRONG_STATE = "wrong-state";
        /// Only for incoming transfers, or only for outgoing ones.
        WRONG_DIRECTION = "wrong-direction";
        /// There is nothing at this path.
        PATH_NOT_FOUND = "path-not-found";
        /// The daemon may not read this path.
        PATH_NOT_READABLE = "path-not-readable";
        /// The path is, or holds, something that is neither file nor folder.
        PATH_NOT_SENDABLE = "path-not-sendable";
        /// Two of the paths have the same last name.
        DUPLICATE_NAME = "duplicate-name";
        /// The content has too many files, or its metadata would be too large.
        TOO_LARGE = "too-large";
        /// The folder to receive into does not exist or cannot be written.
        BAD_DESTINATION = "bad-destination";
        /// There is not enough room for the content.
        NO_SPACE = "no-space";
        /// No connection to the XMPP server, and the call cannot wait for one.
        NOT_CONNECTED = "not-connected";
        /// The XMPP server refused.
        SERVER_REFUSED = "server-refused";
        /// The contact has never shown a device that runs xbt, so there is no key to compare.
        NO_DEVICE = "no-device";
        /// The safety number is not the one of this contact.
        SAFETY_NUMBER_MISMATCH = "safety-number-mismatch";
    }
}

codes! {
    /// What a transfer may fail with, each with its meaning.
    FAILURE {
        /// The files are no longer what was offered.
        CONTENT_CHANGED = "content-changed";
        /// The files to send are gone.
        CONTENT_MISSING = "content-missing";
        /// What the sender delivers is not what it offered.
        METADATA_MISMATCH = "metadata-mismatch";
        /// The disk is full.
        DISK_FULL = "disk-full";
        /// Reading or writing a file failed.
        DISK_ERROR = "disk-error";
        /// The other side reports a fault.
        OTHER_SIDE_FAILED = "other-side-failed";
        /// A device shows a key that was never verified, for a contact that is.
        KEY_CHANGED = "key-changed";
        /// No link to any of the contact's devices could be made.
        NO_WAY = "no-way";
    }
}

codes! {
    /// Why a transfer waits ([`crate::Why`]), each with its meaning.
    WHY {
        /// None of the contact's devices is online.
        CONTACT_OFFLINE = "contact-offline";
        /// The contact is online, but has no device that runs xbt.
        NO_XBT = "no-xbt";
        /// The contact does not let us see its presence.
        NOT_SUBSCRIBED = "not-subscribed";
        /// Others are under way between the same devices; this one's turn comes.
        TURN = "turn";
        /// The content is still being hashed.
        PREPARING = "preparing";
        /// No connection to the XMPP server at the moment.
        OFFLINE = "offline";
        /// Paused by this side.
        PAUSED = "paused";
        /// Paused by the other side.
        PAUSED_BY_CONTACT = "paused-by-contact";
        /// A key of the contact has to be verified first.
        UNVERIFIED_KEY = "unverified-key";
    }
}

codes! {
    /// What only a client can meet, each with its meaning.
    CLIENT {
        /// The daemon does not run, or does not answer.
        DAEMON_UNREACHABLE = "daemon-unreachable";
        /// Daemon and client speak different versions of the protocol.
        PROTOCOL_MISMATCH = "protocol-mismatch";
        /// The command line is wrong.
        USAGE = "usage";
        /// Interrupted by the person.
        INTERRUPTED = "interrupted";
        /// Reading or writing on this side failed.
        LOCAL_IO = "local-io";
        /// The transfer was declined.
        DECLINED = "declined";
        /// The transfer was cancelled.
        CANCELLED = "cancelled";
        /// The offer has expired.
        EXPIRED = "expired";
        /// Another device of the same account took it.
        ELSEWHERE = "elsewhere";
        /// The transfer failed and the daemon did not say why.
        FAILED = "failed";
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_code_is_kebab_case_and_stands_in_one_list_once() {
        let mut seen = std::collections::HashSet::new();
        for (code, meaning) in [CALL, FAILURE, WHY, CLIENT].concat() {
            assert!(code.bytes().all(|b| b.is_ascii_lowercase() || b == b'-'), "{code}");
            assert!(seen.insert(code), "{code} twice");
            assert!(!meaning.trim().is_empty());
        }
    }
}
