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
        /// The name meant another contact when it was last used; the message has both addresses.
        NAME_MOVED = "name-moved";
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
        /// A send goes to nobody, or to too many.
        BAD_RECIPIENTS = "bad-recipients";
        /// An open send, where the configuration allows relays only.
        NOT_REACHABLE = "not-reachable";
        /// The transfer belongs to an account that is not configured now.
        ACCOUNT_NOT_CONFIGURED = "other-account";
        /// The other side paused it, so only the other side can resume it.
        HELD_BY_CONTACT = "paused-by-contact";
        /// The folder to receive into does not exist or cannot be written.
        BAD_DESTINATION = "bad-destination";
        /// There is not enough room for the content.
        NO_SPACE = "no-space";
        /// The disk cannot hold the content, whatever room it has: a file is too large for FAT.
        UNSUITABLE_DISK = "destination-unsuitable";
        /// No connection to the XMPP server, and the call cannot wait for one.
        NOT_CONNECTED = "not-connected";
        /// The XMPP server refused.
        SERVER_REFUSED = "server-refused";
        /// No login was refused for being weaker than before, so there is none to allow.
        NO_WEAKER_LOGIN = "no-weaker-login";
        /// The contact has never shown a device that runs xbt, so there is no key to compare.
        NO_DEVICE = "no-device";
        /// The safety number is not the one of this contact.
        SAFETY_NUMBER_MISMATCH = "safety-number-mismatch";
    }
}

codes! {
    /// What a transfer may fail with, each with its meaning.
    FAILURE {
        /// A file is no longer what was offered: it was edited, replaced, cut or has vanished.
        SOURCE_CHANGED = "source-changed";
        /// A path to send is gone.
        SOURCE_MISSING = "source-missing";
        /// A file to send cannot be read.
        SOURCE_UNREADABLE = "source-unreadable";
        /// There is no file in what is to be sent.
        SOURCE_EMPTY = "source-empty";
        /// The content holds a socket, pipe, device or file of the kernel's, or a symbolic link that leads out of it.
        SPECIAL_FILE = "special-file";
        /// A pattern of what is left out cannot be used.
        BAD_PATTERN = "bad-pattern";
        /// A name cannot be sent: it is not UTF-8, too long, or stands twice.
        BAD_NAME = "bad-name";
        /// The content has too many files.
        TOO_MANY_FILES = "too-many-files";
        /// The content cannot be described in 32 MiB of metadata.
        TOO_LARGE = "too-large";
        /// What the sender delivers is not what it offered.
        METADATA_MISMATCH = "metadata-mismatch";
        /// What the sender delivers breaks a rule.
        BAD_METADATA = "bad-metadata";
        /// What the daemon kept of it cannot be used any more.
        BAD_STATE = "bad-state";
        /// A fault of the daemon itself stopped it; its log says more.
        ENGINE_FAULT = "engine-fault";
        /// The other side reports a fault.
        OTHER_SIDE_FAILED = "other-side-failed";
        /// The sender's device refused the link.
        REFUSED = "refused";
        /// The sender does not offer it any more.
        WITHDRAWN = "withdrawn";
    }
}

codes! {
    /// Why a transfer waits ([`crate::Why`]), each with its meaning.
    WHY {
        /// None of the contact's devices that run xbt is online.
        CONTACT_OFFLINE = "contact-offline";
        /// The contact is online, but has no device that runs xbt.
        NO_XBT = "no-xbt";
        /// The contact is not on the roster any more.
        NOT_IN_ROSTER = "not-in-roster";
        /// The contact does not let us see its presence.
        NOT_SUBSCRIBED = "not-subscribed";
        /// The offer is on its way.
        OFFERING = "offering";
        /// The contact is verified, and its device has shown a key that is not.
        KEY_BLOCKED = "key-blocked";
        /// The contact's device, or a server on the way to it, does not take the offer now; it is tried again.
        PUT_OFF = "put-off";
        /// The contact's device does not take the offer.
        OFFER_REFUSED = "refused";
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
        /// The disk is full; there is something to resume once there is room.
        DISK_FULL = "disk-full";
        /// The folder cannot be written; there is something to resume once it can.
        DESTINATION_UNWRITABLE = "destination-unwritable";
        /// The folder's disk cannot hold it, whatever room it has; `Accept` with another folder goes on.
        DESTINATION_UNSUITABLE = "destination-unsuitable";
        /// A fault of the daemon itself stopped it; it can be resumed.
        STOPPED_BY_FAULT = "engine-fault";
        /// The link is sought, and what was tried last failed.
        NO_WAY = "no-way";
        /// The transfer belongs to an account that is not configured now.
        OTHER_ACCOUNT = "other-account";
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
        /// There is a configuration already, and nobody allowed to replace it.
        CONFIG_EXISTS = "config-exists";
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
    fn every_code_is_kebab_case_and_stands_in_its_list_once() {
        for list in [CALL, FAILURE, WHY, CLIENT] {
            let mut seen = std::collections::HashSet::new();
            for (code, meaning) in list {
                assert!(code.bytes().all(|b| b.is_ascii_lowercase() || b == b'-'), "{code}");
                assert!(seen.insert(code), "{code} twice");
                assert!(!meaning.trim().is_empty());
            }
        }
    }
}
