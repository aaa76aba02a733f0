//! What a server keeps: its boot number, accounts, and the home copies of profiles.

use antiphon_protocol::cbor;
use antiphon_spec::{
    account::profile::{Holder, HomeProfile},
    identity::{KeyHash, ObjectHandle, ServerName},
    message::server_server::{LoginEpoch, Profile, ProfileVersion},
    time::Timestamp,
};
use tokio_util::sync::CancellationToken;

use super::{
    Database, Migrations, StoreError,
    query::{Connected, Row, Transaction, locking, query},
    signed, unsigned,
};
use crate::config::DatabaseUrl;

pub(super) static MIGRATIONS: Migrations = Migrations {
    sqlite: sqlx::migrate!("migrations/sqlite/server"),
    postgres: sqlx::migrate!("migrations/postgres/server"),
};

/// The store of a server, as one process has opened it.
///
/// Every process that opens it counts one up; the count is the boot number. A process changes nothing once a later one
/// has opened the store: each transaction begins by locking the row with the count and comparing it, so that whatever
/// the later process reads is not changed behind its back.
#[derive(Clone, Debug)]
pub(crate) struct ServerStore {
    database: Database,
    boot: u64,
    superseded: CancellationToken,
}

/// An account, as its key finds it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Account {
    pub(crate) user: ObjectHandle,
    /// Whether it has ended, or is about to.
    pub(crate) has_ended: bool,
}

/// How an account stands, as the database holds it.
mod ending {
    pub(super) const NONE: i64 = 0;
    pub(super) const ASKED_FOR: i64 = 1;
    pub(super) const OVER: i64 = 2;
}

/// Most accounts that are read at once to be ended.
const ENDINGS_MAX: i64 = 64;

/// What came of the replacement of a key.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Rotated {
    /// The successor has the account.
    Account(Account),
    /// The key has no account, or has one that has ended.
    NoAccount,
    /// The key was replaced by another one, or the successor is not free.
    Refused,
}

/// The hash of a registration code: whoever reads the database has no codes to use.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct CodeHash(pub(crate) [u8; 32]);

impl ServerStore {
    /// Opens the store of a server of this name and counts the start.
    pub(crate) async fn open(url: &DatabaseUrl, name: &ServerName) -> Result<Self, StoreError> {
        let database = Database::open(url, &MIGRATIONS).await?;
        let mut transaction = database.write().await?;
        query("INSERT INTO server (one, name, boots) VALUES (1, $1, 0) ON CONFLICT (one) DO NOTHING")
            .bind(name.as_str())
            .execute(&mut transaction)
            .await?;
        let row = locking!("SELECT name, boots FROM server").fetch_one(&mut transaction).await?;
        let owner: String = row.try_get("name")?;
        if owner != name.as_str() {
            return Err(StoreError::OtherOwner { url: url.clone(), owner });
        }
        let boot = unsigned(row.try_get("boots")?, "boot number")?.saturating_add(1);
        query("UPDATE server SET boots = $1").bind(signed(boot)?).execute(&mut transaction).await?;
        transaction.commit().await?;
        Ok(Self { database, boot, superseded: CancellationToken::new() })
    }

    /// Which start of the server this is.
    pub(crate) fn boot(&self) -> u64 {
        self.boot
    }

    /// Looks whether a later process has opened the store.
    pub(crate) async fn check(&self) -> Result<(), StoreError> {
        let row = query("SELECT boots FROM server").fetch_one(&mut self.database.read().await?).await?;
        self.compare(&row)
    }

    /// Waits until it has been seen that a later process has opened the store.
    pub(crate) async fn superseded(&self) {
        self.superseded.cancelled().await;
    }

    fn compare(&self, row: &Row) -> Result<(), StoreError> {
        let (own, current) = (self.boot, unsigned(row.try_get("boots")?, "boot number")?);
        if own == current {
            return Ok(());
        }
        self.superseded.cancel();
        Err(StoreError::Superseded { own, current })
    }

    /// Begins to change something, as the only one who does.
    async fn write(&self) -> Result<Transaction, StoreError> {
        let mut transaction = self.database.write().await?;
        let row = locking!("SELECT boots FROM server").fetch_one(&mut transaction).await?;
        self.compare(&row)?;
        Ok(transaction)
    }

    /// Asks for the end of an account, beside the process that runs, if one does: that one carries it out. Says whether
    /// it has been carried out before.
    pub(crate) async fn ask_to_end(
        url: &DatabaseUrl,
        name: &ServerName,
        user: ObjectHandle,
    ) -> Result<bool, StoreError> {
        let database = Database::open(url, &MIGRATIONS).await?;
        let mut transaction = database.write().await?;
        let row = locking!("SELECT name FROM server").fetch_optional(&mut transaction).await?;
        let owner: String = row.ok_or(StoreError::NoSuchAccount(user))?.try_get("name")?;
        if owner != name.as_str() {
            return Err(StoreError::OtherOwner { url: url.clone(), owner });
        }
        let row = query("SELECT user_id, ending FROM accounts WHERE user_id = $1")
            .bind(user.0.as_slice())
            .fetch_optional(&mut transaction)
            .await?;
        let state: i64 = row.ok_or(StoreError::NoSuchAccount(user))?.try_get("ending")?;
        if state == ending::NONE {
            query("UPDATE accounts SET ending = $1 WHERE user_id = $2")
                .bind(ending::ASKED_FOR)
                .bind(user.0.as_slice())
                .execute(&mut transaction)
                .await?;
        }
        transaction.commit().await?;
        database.close().await;
        Ok(state == ending::OVER)
    }

    /// Some of the users whose accounts are to end.
    pub(crate) async fn to_end(&self) -> Result<Vec<ObjectHandle>, StoreError> {
        let rows = query("SELECT user_id, ending FROM accounts WHERE ending = 1 LIMIT $1")
            .bind(ENDINGS_MAX)
            .fetch_all(&mut self.database.read().await?)
            .await?;
        rows.iter().map(|row| account(row).map(|account| account.user)).collect()
    }

    pub(crate) async fn account(&self, key: &KeyHash) -> Result<Option<Account>, StoreError> {
        account_of(&mut self.database.read().await?, key).await
    }

    /// How many accounts were made with a registration code.
    pub(crate) async fn made_with(&self, code: &CodeHash) -> Result<u32, StoreError> {
        made_with(&mut self.database.read().await?, code).await
    }

    /// Makes an account for a key; the one that the key has already, if it has one. With a code for so many accounts, nothing
    /// if it is used up.
    pub(crate) async fn create_account(
        &self,
        key: &KeyHash,
        user: ObjectHandle,
        now: Timestamp,
        code: Option<(CodeHash, u32)>,
    ) -> Result<Option<Account>, StoreError> {
        let mut transaction = self.write().await?;
        // Whoever writes is alone, so that what is counted here stays true until the commit.
        if let Some((hash, accounts)) = &code
            && made_with(&mut transaction, hash).await? >= *accounts
        {
            drop(transaction);
            return self.account(key).await;
        }
        let made = query(
            "INSERT INTO accounts (user_id, key_hash, created_at, code_hash) VALUES ($1, $2, $3, $4)
             ON CONFLICT (key_hash) DO NOTHING",
        )
        .bind(user.0.as_slice())
        .bind(key.0.as_slice())
        .bind(signed(now.0)?)
        .bind(code.map(|(hash, _)| hash.0.to_vec()))
        .execute(&mut transaction)
        .await?;
        if made == 1 {
            write_profile(&mut transaction, user, &HomeProfile::default()).await?;
        }
        let row = query("SELECT user_id, ending FROM accounts WHERE key_hash = $1")
            .bind(key.0.as_slice())
            .fetch_one(&mut transaction)
            .await?;
        transaction.commit().await?;
        account(&row).map(Some)
    }

    /// Puts a key in the place of another one that has an account; once more, if that was done before.
    pub(crate) async fn rotate(&self, key: &KeyHash, successor: &KeyHash) -> Result<Rotated, StoreError> {
        let mut transaction = self.write().await?;
        let before = replaced_by(&mut transaction, key).await?;
        let standing = account_of(&mut transaction, key).await?;
        let taken = account_of(&mut transaction, successor).await?;
        let rotated = match (before, standing, taken) {
            (Some(before), _, Some(account)) if before == *successor && !account.has_ended => {
                Rotated::Account(account)
            }
            (Some(_), _, _) => Rotated::Refused,
            (None, None, _) => Rotated::NoAccount,
            (None, Some(account), _) if account.has_ended => Rotated::NoAccount,
            (None, Some(_), Some(_)) => Rotated::Refused,
            (None, Some(_), None) if replaced_by(&mut transaction, successor).await?.is_some() => {
                Rotated::Refused
            }
            (None, Some(account), None) => {
                query("UPDATE accounts SET key_hash = $1 WHERE user_id = $2")
                    .bind(successor.0.as_slice())
                    .bind(account.user.0.as_slice())
                    .execute(&mut transaction)
                    .await?;
                query("INSERT INTO replaced_keys (key_hash, successor) VALUES ($1, $2)")
                    .bind(key.0.as_slice())
                    .bind(successor.0.as_slice())
                    .execute(&mut transaction)
                    .await?;
                Rotated::Account(account)
            }
        };
        transaction.commit().await?;
        Ok(rotated)
    }

    /// Whether another key has replaced this one.
    pub(crate) async fn is_replaced(&self, key: &KeyHash) -> Result<bool, StoreError> {
        Ok(replaced_by(&mut self.database.read().await?, key).await?.is_some())
    }

    /// Begins to change profiles.
    pub(crate) async fn begin(&self) -> Result<HomeTransaction, StoreError> {
        Ok(HomeTransaction(self.write().await?))
    }

    pub(crate) async fn close(&self) {
        self.database.close().await;
    }
}

/// Changes of profiles that become durable together.
pub(crate) struct HomeTransaction(Transaction);

impl HomeTransaction {
    /// The home copy of a user's profile; nothing if there is no such account.
    pub(crate) async fn profile(&mut self, user: ObjectHandle) -> Result<Option<HomeProfile>, StoreError> {
        let row =
            query("SELECT epoch, holder, lease_end, version, messaging FROM profiles WHERE user_id = $1")
                .bind(user.0.as_slice())
                .fetch_optional(&mut self.0)
                .await?;
        row.map(|row| profile(&row)).transpose()
    }

    pub(crate) async fn persist(
        &mut self,
        user: ObjectHandle,
        profile: &HomeProfile,
    ) -> Result<(), StoreError> {
        write_profile(&mut self.0, user, profile).await
    }

    /// The account has ended: its profile goes, and only that it was there stays.
    pub(crate) async fn end(&mut self, user: ObjectHandle) -> Result<(), StoreError> {
        query("DELETE FROM profiles WHERE user_id = $1").bind(user.0.as_slice()).execute(&mut self.0).await?;
        query("UPDATE accounts SET ending = $1 WHERE user_id = $2")
            .bind(ending::OVER)
            .bind(user.0.as_slice())
            .execute(&mut self.0)
            .await?;
        Ok(())
    }

    pub(crate) async fn commit(self) -> Result<(), StoreError> {
        self.0.commit().await
    }
}

async fn account_of(connected: &mut impl Connected, key: &KeyHash) -> Result<Option<Account>, StoreError> {
    let row = query("SELECT user_id, ending FROM accounts WHERE key_hash = $1")
        .bind(key.0.as_slice())
        .fetch_optional(connected)
        .await?;
    row.map(|row| account(&row)).transpose()
}

/// The key that has replaced another one.
async fn replaced_by(connected: &mut impl Connected, key: &KeyHash) -> Result<Option<KeyHash>, StoreError> {
    let row = query("SELECT successor FROM replaced_keys WHERE key_hash = $1")
        .bind(key.0.as_slice())
        .fetch_optional(connected)
        .await?;
    let Some(row) = row else { return Ok(None) };
    let successor: Vec<u8> = row.try_get("successor")?;
    let successor = successor.try_into().map_err(|_| StoreError::Damaged("key hash"))?;
    Ok(Some(KeyHash(successor)))
}

async fn made_with(connected: &mut impl Connected, code: &CodeHash) -> Result<u32, StoreError> {
    let row = query("SELECT COUNT(*) AS made FROM accounts WHERE code_hash = $1")
        .bind(code.0.as_slice())
        .fetch_one(connected)
        .await?;
    let made = unsigned(row.try_get("made")?, "number of accounts")?;
    Ok(made.try_into().unwrap_or(u32::MAX))
}

async fn write_profile(
    transaction: &mut impl Connected,
    user: ObjectHandle,
    profile: &HomeProfile,
) -> Result<(), StoreError> {
    let HomeProfile { epoch, holder, profile: Profile { version, messaging } } = profile;
    let messaging = cbor::encode(messaging).map_err(|_| StoreError::Damaged("list of preferences"))?;
    query(
        "INSERT INTO profiles (user_id, epoch, holder, lease_end, version, messaging) VALUES ($1, $2, $3, $4, $5, $6)
         ON CONFLICT (user_id) DO UPDATE SET
             epoch = excluded.epoch, holder = excluded.holder, lease_end = excluded.lease_end,
             version = excluded.version, messaging = excluded.messaging",
    )
    .bind(user.0.as_slice())
    .bind(signed(epoch.0)?)
    .bind(holder.as_ref().map(|holder| holder.server.as_str()))
    .bind(holder.as_ref().map_or(Ok(0), |holder| signed(holder.lease_end.0))?)
    .bind(signed(version.0)?)
    .bind(messaging)
    .execute(transaction)
    .await?;
    Ok(())
}

fn account(row: &Row) -> Result<Account, StoreError> {
    let user: Vec<u8> = row.try_get("user_id")?;
    let user = user.try_into().map_err(|_| StoreError::Damaged("user ID"))?;
    let state: i64 = row.try_get("ending")?;
    Ok(Account { user: ObjectHandle(user), has_ended: state != ending::NONE })
}

fn profile(row: &Row) -> Result<HomeProfile, StoreError> {
    let holder: Option<String> = row.try_get("holder")?;
    let lease_end = Timestamp(unsigned(row.try_get("lease_end")?, "lease")?);
    let holder = holder.map(|name| match name.parse() {
        Ok(server) => Ok(Holder { server, lease_end }),
        Err(_) => Err(StoreError::Damaged("server name")),
    });
    let holder = holder.transpose()?;
    let messaging: Vec<u8> = row.try_get("messaging")?;
    let messaging = cbor::decode(&messaging).map_err(|_| StoreError::Damaged("list of preferences"))?;
    let version = ProfileVersion(unsigned(row.try_get("version")?, "version")?);
    let epoch = LoginEpoch(unsigned(row.try_get("epoch")?, "login epoch")?);
    Ok(HomeProfile { epoch, holder, profile: Profile { version, messaging } })
}
