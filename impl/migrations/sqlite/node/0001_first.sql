-- Numbers without a sign are kept as the signed integers that SQLite has; those that do not fit are refused.

-- The one row: which node this is.
CREATE TABLE node (
    one  INTEGER PRIMARY KEY CHECK (one = 1),
    name TEXT    NOT NULL
) STRICT;

-- Every handle that was ever issued.
CREATE TABLE issued (
    handle BLOB PRIMARY KEY CHECK (length(handle) = 16)
) STRICT, WITHOUT ROWID;

CREATE TABLE records (
    handle     BLOB    NOT NULL CHECK (length(handle) = 16),
    server     TEXT    NOT NULL,
    -- Less 2^63, so that each number of 64 bits has its place in the order.
    epoch      INTEGER NOT NULL,
    address    TEXT    NOT NULL,
    -- The last second of the lease, since 1970.
    expires_at INTEGER NOT NULL,
    PRIMARY KEY (handle, server)
) STRICT, WITHOUT ROWID;

CREATE INDEX records_by_expiry ON records (expires_at);

-- How many records each server has, so that none can fill the node.
CREATE TABLE usage (
    server  TEXT    PRIMARY KEY,
    records INTEGER NOT NULL
) STRICT, WITHOUT ROWID;

CREATE TRIGGER record_inserted AFTER INSERT ON records BEGIN
    INSERT INTO usage (server, records) VALUES (NEW.server, 1)
    ON CONFLICT (server) DO UPDATE SET records = records + 1;
END;

CREATE TRIGGER record_deleted AFTER DELETE ON records BEGIN
    UPDATE usage SET records = records - 1 WHERE server = OLD.server;
END;
