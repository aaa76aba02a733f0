-- Numbers without a sign are kept as signed integers; those that do not fit are refused.

-- The one row: which node this is. Whoever writes locks it first.
CREATE TABLE node (
    one  BIGINT PRIMARY KEY CHECK (one = 1),
    name TEXT   NOT NULL
);

-- Every handle that was ever issued.
CREATE TABLE issued (
    handle BYTEA PRIMARY KEY CHECK (length(handle) = 16)
);

CREATE TABLE records (
    handle     BYTEA  NOT NULL CHECK (length(handle) = 16),
    -- Compared bytewise, which is the order of the protocol.
    server     TEXT   COLLATE "C" NOT NULL,
    -- Less 2^63, so that each number of 64 bits has its place in the order.
    epoch      BIGINT NOT NULL,
    address    TEXT   NOT NULL,
    -- The last second of the lease, since 1970.
    expires_at BIGINT NOT NULL,
    PRIMARY KEY (handle, server)
);

CREATE INDEX records_by_expiry ON records (expires_at);

-- How many records each server has, so that none can fill the node.
CREATE TABLE usage (
    server  TEXT   PRIMARY KEY,
    records BIGINT NOT NULL
);

CREATE FUNCTION record_inserted() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    INSERT INTO usage (server, records) VALUES (NEW.server, 1)
    ON CONFLICT (server) DO UPDATE SET records = usage.records + 1;
    RETURN NULL;
END;
$$;

CREATE FUNCTION record_deleted() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    UPDATE usage SET records = records - 1 WHERE server = OLD.server;
    RETURN NULL;
END;
$$;

CREATE TRIGGER record_inserted AFTER INSERT ON records FOR EACH ROW EXECUTE FUNCTION record_inserted();

CREATE TRIGGER record_deleted AFTER DELETE ON records FOR EACH ROW EXECUTE FUNCTION record_deleted();
