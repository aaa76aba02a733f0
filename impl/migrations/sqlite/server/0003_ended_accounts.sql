-- 0: the account stands; 1: an operator has asked for its end; 2: it has ended, and its profile is gone. The row stays, so
-- that neither the key nor the user ID gets another account.
ALTER TABLE accounts ADD COLUMN ending INTEGER NOT NULL DEFAULT 0;
CREATE INDEX accounts_to_end ON accounts (ending) WHERE ending = 1;
