//! The bounds that the rules keep. `docs/security.md` explains them to people.

/// Active links between our device and one other; further transfers wait for their turn.
pub const LINKS_PER_DEVICE: usize = 4;

/// Other recipients that are introduced to one who receives a transfer. `docs/protocol.md` names this bound.
pub const INTRODUCED_PER_TRANSFER: usize = 8;

/// Offers of one contact that wait for an answer; more are put off.
pub const OFFERS_PER_CONTACT: usize = 256;

/// Transfers from one contact that have not ended, accepted ones included; more are put off.
pub const OPEN_PER_CONTACT: usize = 1_024;

/// Transfers from one contact that came to nothing and are listed all the same; the oldest go first.
pub const VAIN_PER_CONTACT: usize = 256;

/// Bytes of metadata that a file may need on average: its path, and what is carried beside its bytes.
pub const METADATA_PER_FILE: u64 = 1 << 10;

/// Bytes of metadata that empty folders may need.
pub const METADATA_FOR_FOLDERS: u64 = 4 << 20;

/// Requests that wait for an answer of one device; the others wait here.
pub const REQUESTS_PER_DEVICE: usize = 8;

/// Recipients of one send.
pub const RECIPIENTS: usize = 256;

/// Milliseconds within which what was accepted automatically counts against the quota of its contact: a day.
pub const QUOTA_TIME: i64 = 86_400_000;

/// Milliseconds after which what was accepted automatically expires if it never got a link: a week.
pub const UNLINKED_TIME: i64 = 7 * 86_400_000;

/// Milliseconds within which further notices about chat messages of one contact are told together.
pub const NOTICE_APART: u64 = 60_000;

/// Notices about chat messages of one contact that are told at once; those that follow within [`NOTICE_APART`] are told together.
pub const NOTICES_AT_ONCE: usize = 4;

/// Senders of chat messages whose notices are counted at once; further senders get none.
pub const NOTICE_SENDERS: usize = 256;

/// Tombstones that are kept; the oldest go first.
pub const TOMBSTONES: usize = 20_000;

/// Keys remembered of one contact; a further one is treated as blocked and not kept.
pub const DEVICES_PER_CONTACT: usize = 64;

/// Bytes of the name of a content on the wire.
pub const NAME: usize = 1_024;

/// Bytes of a word from person to person, and of the reason of a failure.
pub const MESSAGE: usize = 4_096;

/// Attempts to get a link that are remembered.
pub const ATTEMPTS: usize = 64;

/// Files of one content: what metadata of at most 32 MiB can reasonably name.
pub const FILES: u64 = 100_000;

/// Bytes of metadata.
pub const METADATA: u32 = 32 << 20;

/// First wait before a lost request or link is tried again, in milliseconds; it doubles up to [`RETRY_MAX`].
pub const RETRY_FIRST: u64 = 1_000;

/// Longest wait between two tries, in milliseconds.
pub const RETRY_MAX: u64 = 60_000;

/// Longest wait before an offer that a device or a server has put off is tried again, in milliseconds.
pub const PUT_OFF_MAX: u64 = 300_000;

/// Bytes of a chat message that are shown.
pub const CHAT_TEXT: usize = 1_024;

/// Senders of stanzas that could not be read whose stanzas are counted separately.
pub const DISCARDED_SENDERS: usize = 64;
