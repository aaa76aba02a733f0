-- Keys that another one has replaced. They get no certificate any more, whatever becomes of their successors.
CREATE TABLE replaced_keys (
    key_hash  BLOB PRIMARY KEY CHECK (length(key_hash) = 32),
    successor BLOB NOT NULL CHECK (length(successor) = 32)
) STRICT, WITHOUT ROWID;
