-- How often a process was started with this database: the last one alone may write.
ALTER TABLE node ADD COLUMN starts BIGINT NOT NULL DEFAULT 0;

-- Forwarding pointers of children.
CREATE TABLE pointers (
    handle     BYTEA   NOT NULL CHECK (length(handle) = 16),
    node       TEXT   COLLATE "C" NOT NULL,
    -- Less 2^63, so that each number of 64 bits has its place in the order; the number likewise.
    epoch      BIGINT NOT NULL,
    number     BIGINT NOT NULL,
    address    TEXT    NOT NULL,
    expires_at BIGINT NOT NULL,
    PRIMARY KEY (handle, node)
);

CREATE INDEX pointers_by_expiry ON pointers (expires_at);

-- The node's own pointers, at its parent; without a lease, 0, where the parent may have none.
CREATE TABLE pointers_above (
    handle     BYTEA   PRIMARY KEY CHECK (length(handle) = 16),
    epoch      BIGINT NOT NULL,
    number     BIGINT NOT NULL,
    asked_at   BIGINT NOT NULL,
    expires_at BIGINT NOT NULL
);

-- Children that have to forget what they have.
CREATE TABLE superseded (
    handle     BYTEA   NOT NULL CHECK (length(handle) = 16),
    node       TEXT   COLLATE "C" NOT NULL,
    epoch      BIGINT NOT NULL,
    address    TEXT    NOT NULL,
    expires_at BIGINT NOT NULL,
    PRIMARY KEY (handle, node)
);
