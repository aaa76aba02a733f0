-- The hash of the registration code with which the account was made; nothing if with none. A code is used up when as many
-- accounts have it as the configuration says.
ALTER TABLE accounts ADD COLUMN code_hash BYTEA;
CREATE INDEX accounts_by_code ON accounts (code_hash) WHERE code_hash IS NOT NULL;
