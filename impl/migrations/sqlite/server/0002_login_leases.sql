-- When the lease of the login epoch ends, in seconds since 1970: 0 for one of before there were leases, which its holder
-- may renew like any that has ended.
ALTER TABLE profiles ADD COLUMN lease_end INTEGER NOT NULL DEFAULT 0;
