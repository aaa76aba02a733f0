-- How often a process was started with this database: the last one alone may write.
ALTER TABLE node ADD COLUMN starts INTEGER NOT NULL DEFAULT 0;

-- Forwarding pointers of children.
CREATE TABLE pointers (
    handle     BLOB    NOT NULL CHECK (length(handle) = 16),
    node       TEXT    NOT NULL,
    -- Less 2^63, so that each number of 64 bits has its place in the order; the number likewise.
    epoch      INTEGER NOT NULL,
    number     INTEGER NOT NULL,
    address    TEXT    NOT NULL,
    expires_at INTEGER NOT NULL,
    PRIMARY KEY (handle, node)
) STRICT, WITHOUT ROWID;

CREATE INDEX pointers_by_expiry ON pointers (expires_at);

-- The node's own pointers, at its parent; without a lease, 0, where the parent may have none.
CREATE TABLE pointers_above (
    handle     BLOB    PRIMARY KEY CHECK (length(handle) = 16),
    epoch      INTEGER NOT NULL,
    number     INTEGER NOT NULL,
    asked_at   INTEGER NOT NULL,
    expires_at INTEGER NOT NULL
) STRICT, WITHOUT ROWID;

-- Children that have to forget what they have.
CREATE TABLE superseded (
    handle     BLOB    NOT NULL CHECK (length(handle) = 16),
    node       TEXT    NOT NULL,
    epoch      INTEGER NOT NULL,
    address    TEXT    NOT NULL,
    expires_at INTEGER NOT NULL,
    PRIMARY KEY (handle, node)
) STRICT, WITHOUT ROWID;
