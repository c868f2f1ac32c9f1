-- Frozen: a test holds the hash of this file. A change of the schema is a new file.
--
-- `body` is the row as JSON, and the truth. The other columns are copies of parts of it,
-- for indices and for people who look with sqlite3. Times are Unix milliseconds.

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

-- `seq` is the order in which they were written: what is "newest" must not hang on the wall clock.
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

-- What the engine needs to seed a content again.
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

-- The numbers that come next.
CREATE TABLE counters (
    name TEXT    PRIMARY KEY,
    next INTEGER NOT NULL CHECK (next >= 1)
) STRICT;

INSERT INTO counters (name, next) VALUES ('transfer', 1), ('content', 1);

CREATE TABLE settings (
    key   TEXT PRIMARY KEY,
    value TEXT NOT NULL
) STRICT;
