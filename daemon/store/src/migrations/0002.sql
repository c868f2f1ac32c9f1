-- Frozen: a test holds the hash of this file. A change of the schema is a new file.

-- What a fetch put into place, so that deleting it deletes nothing else (daemon/torrent/src/store/received.rs).
CREATE TABLE received (
    content INTEGER PRIMARY KEY REFERENCES contents (id) ON DELETE CASCADE,
    record  BLOB    NOT NULL
) STRICT;

-- Received data that is to go. Its content is gone already, so the record of what was received moves here; none where
-- the data came before there were records.
CREATE TABLE deletions (
    content INTEGER PRIMARY KEY,
    body    TEXT    NOT NULL,
    record  BLOB
) STRICT;
