-- Numbers without a sign are kept as signed integers; those that do not fit are refused.

-- The one row: which server this is, and how often it was started. Whoever writes locks it first.
CREATE TABLE server (
    one   BIGINT PRIMARY KEY CHECK (one = 1),
    name  TEXT   NOT NULL,
    boots BIGINT NOT NULL
);

CREATE TABLE accounts (
    user_id    BYTEA  PRIMARY KEY CHECK (length(user_id) = 16),
    -- One key, one account: a repeated registration finds it again.
    key_hash   BYTEA  NOT NULL UNIQUE CHECK (length(key_hash) = 32),
    created_at BIGINT NOT NULL
);

CREATE TABLE profiles (
    user_id   BYTEA  PRIMARY KEY REFERENCES accounts (user_id),
    -- The last login epoch that was given, and who holds it.
    epoch     BIGINT NOT NULL,
    holder    TEXT,
    version   BIGINT NOT NULL,
    -- The preferences in the encoding of the wire.
    messaging BYTEA  NOT NULL
);
