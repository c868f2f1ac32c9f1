PRAGMA application_id = 2019718244;
PRAGMA user_version = 3;
CREATE TABLE transfers (
    id        INTEGER PRIMARY KEY,
    offer     TEXT    NOT NULL,
    account   TEXT    NOT NULL,
    contact   TEXT    NOT NULL,
    direction TEXT    NOT NULL,
    content   INTEGER NOT NULL,
    state     TEXT    NOT NULL,
    created   INTEGER NOT NULL,
    updated   INTEGER NOT NULL,
    body      TEXT    NOT NULL
) STRICT;
CREATE INDEX transfers_by_contact ON transfers (account, contact, offer);
CREATE INDEX transfers_by_content ON transfers (content);
CREATE TABLE tombstones (
    seq       INTEGER PRIMARY KEY,
    account   TEXT    NOT NULL,
    contact   TEXT    NOT NULL,
    offer     TEXT    NOT NULL,
    direction TEXT    NOT NULL,
    state     TEXT    NOT NULL,
    at        INTEGER NOT NULL,
    body      TEXT    NOT NULL,
    UNIQUE (account, contact, offer, direction)
) STRICT;
CREATE TABLE contents (
    id   INTEGER PRIMARY KEY,
    body TEXT    NOT NULL
) STRICT;
CREATE TABLE blobs (
    content INTEGER PRIMARY KEY REFERENCES contents (id) ON DELETE CASCADE,
    blob    BLOB    NOT NULL
) STRICT;
CREATE TABLE contacts (
    account      TEXT    NOT NULL,
    jid          TEXT    NOT NULL,
    subscription TEXT    NOT NULL,
    listed       INTEGER NOT NULL,
    verified     INTEGER NOT NULL,
    body         TEXT    NOT NULL,
    PRIMARY KEY (account, jid)
) STRICT;
CREATE TABLE devices (
    account     TEXT    NOT NULL,
    contact     TEXT    NOT NULL,
    fingerprint TEXT    NOT NULL,
    resource    TEXT    NOT NULL,
    trust       TEXT    NOT NULL,
    first_seen  INTEGER NOT NULL,
    body        TEXT    NOT NULL,
    PRIMARY KEY (account, contact, fingerprint)
) STRICT;
CREATE TABLE counters (
    name TEXT    PRIMARY KEY,
    next INTEGER NOT NULL CHECK (next >= 1)
) STRICT;
CREATE TABLE settings (
    key   TEXT PRIMARY KEY,
    value TEXT NOT NULL
) STRICT;
CREATE TABLE received (
    content INTEGER PRIMARY KEY REFERENCES contents (id) ON DELETE CASCADE,
    record  BLOB    NOT NULL
) STRICT;
CREATE TABLE deletions (
    content INTEGER PRIMARY KEY,
    body    TEXT    NOT NULL,
    record  BLOB
) STRICT;
INSERT INTO transfers VALUES (1, '00000000-0000-4000-8000-000000000001', 'alice@example.org', 'bob@example.org', 'out', 1, 'sending', 1790000000000, -1, '{"id":1,"offer":"00000000-0000-4000-8000-000000000001","account":"alice@example.org","contact":"bob@example.org","content":1,"side":{"out":{"state":"sending","acknowledged":["xbt-1","xbt-2"],"taken_by":{"resource":"xbt-1","fingerprint":"0101010101010101010101010101010101010101010101010101010101010101"},"courtesy":true}},"name":"holiday ‮\n''); DROP TABLE transfers; --","facts":{"info_hash":"0707070707070707070707070707070707070707","size":18446744073709551615,"files":12,"metadata_size":4294967295},"message":"look: 🏖 \u0000","paused":{"by_us":true,"fault":null,"by_contact":true},"limits":{"up":0,"down":0},"priority":"normal","expires":9223372036854775807,"created":1790000000000,"updated":-1,"history":[{"at":1,"state":"preparing","reason":"bob is away"},{"at":2,"state":"queued","reason":"bob is away"},{"at":3,"state":"offered","reason":"bob is away"},{"at":4,"state":"connecting","reason":"bob is away"}]}');
INSERT INTO transfers VALUES (2, '00000000-0000-4000-8000-000000000002', 'alice@example.org', 'bob@example.org', 'in', 2, 'failed', 1790000000000, -1, '{"id":2,"offer":"00000000-0000-4000-8000-000000000002","account":"alice@example.org","contact":"bob@example.org","content":2,"side":{"in":{"state":{"ended":{"failed":{"code":"disk-full","message":"No space is left.","hint":"Make room."}}},"from":{"resource":"xbt-2","fingerprint":"0202020202020202020202020202020202020202020202020202020202020202"},"folder":"/home/a/Downloads","path":null}},"name":"holiday ‮\n''); DROP TABLE transfers; --","facts":{"info_hash":"0707070707070707070707070707070707070707","size":18446744073709551615,"files":12,"metadata_size":4294967295},"message":"look: 🏖 \u0000","paused":{"by_us":true,"fault":null,"by_contact":true},"limits":{"up":0,"down":0},"priority":"normal","expires":9223372036854775807,"created":1790000000000,"updated":-1,"history":[{"at":1,"state":"preparing","reason":"bob is away"},{"at":2,"state":"queued","reason":"bob is away"},{"at":3,"state":"offered","reason":"bob is away"},{"at":4,"state":"connecting","reason":"bob is away"}]}');
INSERT INTO tombstones VALUES (2, 'alice@example.org', 'bob@example.org', '00000000-0000-4000-8000-000000000002', 'in', 'declined', 5, '{"account":"alice@example.org","contact":"bob@example.org","offer":"00000000-0000-4000-8000-000000000002","direction":"in","end":{"declined":{"message":"no, thank you"}},"at":5}');
INSERT INTO tombstones VALUES (3, 'alice@example.org', 'bob@example.org', '00000000-0000-4000-8000-000000000003', 'out', 'declined', 5, '{"account":"alice@example.org","contact":"bob@example.org","offer":"00000000-0000-4000-8000-000000000003","direction":"out","end":{"declined":{"message":"no, thank you"}},"at":5}');
INSERT INTO contents VALUES (1, '{"id":1,"paths":["/home/a/holiday"],"name":"holiday","open":false}');
INSERT INTO blobs VALUES (1, X'626C6F62');
INSERT INTO contacts VALUES ('alice@example.org', 'bob@example.org', 'both', 0, 0, '{"account":"alice@example.org","jid":"bob@example.org","name":"Bob","subscription":"Both","ask":false,"groups":["Friends"],"listed":false,"has_xbt":false,"verified":false,"allowed":false,"limits":{"up":0,"down":0}}');
INSERT INTO devices VALUES ('alice@example.org', 'bob@example.org', '0101010101010101010101010101010101010101010101010101010101010101', 'xbt-1', 'blind', 9, '{"account":"alice@example.org","contact":"bob@example.org","fingerprint":"0101010101010101010101010101010101010101010101010101010101010101","resource":"xbt-1","first_seen":9,"trust":"blind","unseen":false}');
INSERT INTO counters VALUES ('transfer', 4);
INSERT INTO counters VALUES ('content', 3);
INSERT INTO settings VALUES ('port', '51413');
INSERT INTO deletions VALUES (2, '{"content":2,"transfer":2,"path":"/home/b/holiday"}', X'7265636F7264');
