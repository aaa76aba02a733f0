//! What a server keeps: its boot number, accounts, and the home copies of profiles.

use std::path::Path;

use antiphon_protocol::cbor;
use antiphon_spec::{
    account::profile::{Holder, HomeProfile},
    identity::{KeyHash, ObjectHandle, ServerName},
    message::server_server::{LoginEpoch, Profile, ProfileVersion},
    time::Timestamp,
};
use sqlx::{Row as _, Sqlite, Transaction, sqlite::SqliteRow};

use super::{Database, StoreError, signed, unsigned};

static MIGRATIONS: sqlx::migrate::Migrator = sqlx::migrate!("migrations/server");

/// The store of a server.
#[derive(Clone, Debug)]
pub(crate) struct ServerStore(Database);

/// An account, as its key finds it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Account {
    pub(crate) user: ObjectHandle,
}

impl ServerStore {
    pub(crate) async fn open(path: &Path, name: &ServerName) -> Result<Self, StoreError> {
        let database = Database::open(path, &MIGRATIONS).await?;
        sqlx::query("INSERT INTO server (one, name, boots) VALUES (1, $1, 0) ON CONFLICT (one) DO NOTHING")
            .bind(name.as_str())
            .execute(&database.writer)
            .await?;
        let owner: String = sqlx::query_scalar("SELECT name FROM server").fetch_one(&database.writer).await?;
        if owner != name.as_str() {
            return Err(StoreError::OtherOwner { path: path.to_owned(), owner });
        }
        Ok(Self(database))
    }

    /// Counts a start of the server, and says which it is: the boot number.
    pub(crate) async fn boot(&self) -> Result<u64, StoreError> {
        let boots = sqlx::query_scalar("UPDATE server SET boots = boots + 1 RETURNING boots");
        unsigned(boots.fetch_one(&self.0.writer).await?, "boot number")
    }

    pub(crate) async fn account(&self, key: &KeyHash) -> Result<Option<Account>, StoreError> {
        let row = sqlx::query("SELECT user_id FROM accounts WHERE key_hash = $1")
            .bind(key.0.as_slice())
            .fetch_optional(&self.0.readers)
            .await?;
        row.map(|row| account(&row)).transpose()
    }

    /// Makes an account for a key; the one that the key has already, if it has one.
    pub(crate) async fn create_account(
        &self,
        key: &KeyHash,
        user: ObjectHandle,
        now: Timestamp,
    ) -> Result<Account, StoreError> {
        let mut transaction = self.0.write().await?;
        let made = sqlx::query(
            "INSERT INTO accounts (user_id, key_hash, created_at) VALUES ($1, $2, $3)
             ON CONFLICT (key_hash) DO NOTHING",
        )
        .bind(user.0.as_slice())
        .bind(key.0.as_slice())
        .bind(signed(now.0)?)
        .execute(&mut *transaction)
        .await?;
        if made.rows_affected() == 1 {
            write_profile(&mut transaction, user, &HomeProfile::default()).await?;
        }
        let row = sqlx::query("SELECT user_id FROM accounts WHERE key_hash = $1")
            .bind(key.0.as_slice())
            .fetch_one(&mut *transaction)
            .await?;
        transaction.commit().await?;
        account(&row)
    }

    /// Begins to change profiles.
    pub(crate) async fn begin(&self) -> Result<HomeTransaction, StoreError> {
        Ok(HomeTransaction(self.0.write().await?))
    }

    pub(crate) async fn close(&self) {
        self.0.close().await;
    }
}

/// Changes of profiles that become durable together.
pub(crate) struct HomeTransaction(Transaction<'static, Sqlite>);

impl HomeTransaction {
    /// The home copy of a user's profile; nothing if there is no such account.
    pub(crate) async fn profile(&mut self, user: ObjectHandle) -> Result<Option<HomeProfile>, StoreError> {
        let row = sqlx::query(
            "SELECT epoch, holder, lease_end, version, messaging FROM profiles WHERE user_id = $1",
        )
        .bind(user.0.as_slice())
        .fetch_optional(&mut *self.0)
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

    pub(crate) async fn commit(self) -> Result<(), StoreError> {
        Ok(self.0.commit().await?)
    }
}

async fn write_profile(
    transaction: &mut Transaction<'static, Sqlite>,
    user: ObjectHandle,
    profile: &HomeProfile,
) -> Result<(), StoreError> {
    let HomeProfile { epoch, holder, profile: Profile { version, messaging } } = profile;
    let messaging = cbor::encode(messaging).map_err(|_| StoreError::Damaged("list of preferences"))?;
    sqlx::query(
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
    .execute(&mut **transaction)
    .await?;
    Ok(())
}

fn account(row: &SqliteRow) -> Result<Account, StoreError> {
    let user: Vec<u8> = row.try_get("user_id")?;
    let user = user.try_into().map_err(|_| StoreError::Damaged("user ID"))?;
    Ok(Account { user: ObjectHandle(user) })
}

fn profile(row: &SqliteRow) -> Result<HomeProfile, StoreError> {
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

#[cfg(test)]
mod tests {
    //! What was returned is there after the store is opened again.

    use super::*;

    const KEY: KeyHash = KeyHash([3; 32]);
    const USER: ObjectHandle = ObjectHandle([1; 16]);

    fn name() -> ServerName {
        "a.example".parse().unwrap()
    }

    #[tokio::test]
    async fn an_account_is_made_once_for_a_key() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("a.sqlite");
        let store = ServerStore::open(&path, &name()).await.unwrap();
        assert_eq!(store.account(&KEY).await.unwrap(), None);
        let made = store.create_account(&KEY, USER, Timestamp(1)).await.unwrap();
        let again = store.create_account(&KEY, ObjectHandle([2; 16]), Timestamp(2)).await.unwrap();
        assert_eq!((made, again), (Account { user: USER }, Account { user: USER }));
        let mut transaction = store.begin().await.unwrap();
        assert_eq!(transaction.profile(USER).await.unwrap(), Some(HomeProfile::default()));
        assert_eq!(transaction.profile(ObjectHandle([2; 16])).await.unwrap(), None);
        // Dropped without a commit.
        drop(transaction);
        store.close().await;
        let store = ServerStore::open(&path, &name()).await.unwrap();
        assert_eq!(store.account(&KEY).await.unwrap(), Some(Account { user: USER }));
        store.close().await;
    }

    #[tokio::test]
    async fn profiles_and_boot_numbers_survive() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("a.sqlite");
        let holder = Some(Holder { server: name(), lease_end: Timestamp(300) });
        let changed = HomeProfile { epoch: LoginEpoch(7), holder, ..HomeProfile::default() };
        let store = ServerStore::open(&path, &name()).await.unwrap();
        assert_eq!(store.boot().await.unwrap(), 1);
        store.create_account(&KEY, USER, Timestamp(1)).await.unwrap();
        let mut transaction = store.begin().await.unwrap();
        transaction.persist(USER, &changed).await.unwrap();
        transaction.commit().await.unwrap();
        store.close().await;
        let store = ServerStore::open(&path, &name()).await.unwrap();
        assert_eq!(store.boot().await.unwrap(), 2);
        assert_eq!(store.begin().await.unwrap().profile(USER).await.unwrap(), Some(changed));
        store.close().await;
    }

    #[tokio::test]
    async fn a_database_has_one_owner() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("a.sqlite");
        ServerStore::open(&path, &name()).await.unwrap().close().await;
        let error = ServerStore::open(&path, &"b.example".parse().unwrap()).await.unwrap_err();
        assert!(matches!(error, StoreError::OtherOwner { .. }), "{error}");
    }
}
