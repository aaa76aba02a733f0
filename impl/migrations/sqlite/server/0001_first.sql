-- Numbers without a sign are kept as the signed integers that SQLite has; those that do not fit are refused.

-- The one row: which server this is, and how often it was started.
CREATE TABLE server (
    one   INTEGER PRIMARY KEY CHECK (one = 1),
    name  TEXT    NOT NULL,
    boots INTEGER NOT NULL
) STRICT;

CREATE TABLE accounts (
    user_id    BLOB    PRIMARY KEY CHECK (length(user_id) = 16),
    -- One key, one account: a repeated registration finds it again.
    key_hash   BLOB    NOT NULL UNIQUE CHECK (length(key_hash) = 32),
    created_at INTEGER NOT NULL
) STRICT, WITHOUT ROWID;

CREATE TABLE profiles (
    user_id   BLOB    PRIMARY KEY REFERENCES accounts (user_id),
    -- The last login epoch that was given, and who holds it.
    epoch     INTEGER NOT NULL,
    holder    TEXT,
    version   INTEGER NOT NULL,
    -- The preferences in the encoding of the wire.
    messaging BLOB    NOT NULL
) STRICT, WITHOUT ROWID;
