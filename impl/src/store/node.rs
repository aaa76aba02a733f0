//! What a directory node keeps: the handles that it issued, and contact records with their leases.

use std::path::Path;

use antiphon_spec::{
    identity::{ObjectHandle, ServerName},
    limits::CONTACT_RECORDS_MAX,
    message::{location::ContactRecord, server_server::LoginEpoch},
    time::Timestamp,
};
use sqlx::{Row as _, sqlite::SqliteRow};

use super::{Database, StoreError, epoch_of, ordered, signed, unsigned};
use crate::mutant::{Mutant, active};

static MIGRATIONS: sqlx::migrate::Migrator = sqlx::migrate!("migrations/node");

/// The store of a directory node.
#[derive(Clone, Debug)]
pub(crate) struct NodeStore(Database);

/// What became of an insertion.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Inserted {
    /// The record stands until its lease ends.
    Stands,
    /// The server has a record with a greater epoch there.
    Older,
    /// The server has as many records as it may have.
    Full,
}

impl NodeStore {
    pub(crate) async fn open(path: &Path, name: &ServerName) -> Result<Self, StoreError> {
        let database = Database::open(path, &MIGRATIONS).await?;
        sqlx::query("INSERT INTO node (one, name) VALUES (1, $1) ON CONFLICT (one) DO NOTHING")
            .bind(name.as_str())
            .execute(&database.writer)
            .await?;
        let owner: String = sqlx::query_scalar("SELECT name FROM node").fetch_one(&database.writer).await?;
        if owner != name.as_str() {
            return Err(StoreError::OtherOwner { path: path.to_owned(), owner });
        }
        Ok(Self(database))
    }

    /// Keeps a handle as issued; `false` if it had been issued before.
    pub(crate) async fn issue(&self, handle: ObjectHandle) -> Result<bool, StoreError> {
        let made = sqlx::query("INSERT INTO issued (handle) VALUES ($1) ON CONFLICT (handle) DO NOTHING")
            .bind(handle.0.as_slice())
            .execute(&self.0.writer)
            .await?;
        Ok(made.rows_affected() == 1)
    }

    /// Inserts a record, or renews it.
    pub(crate) async fn insert(
        &self,
        handle: ObjectHandle,
        record: &ContactRecord,
        now: Timestamp,
        expires_at: Timestamp,
        records_max: u64,
    ) -> Result<Inserted, StoreError> {
        let mut transaction = self.0.write().await?;
        let present = sqlx::query("SELECT epoch, expires_at FROM records WHERE handle = $1 AND server = $2")
            .bind(handle.0.as_slice())
            .bind(record.server.as_str())
            .fetch_optional(&mut *transaction)
            .await?;
        if let Some(row) = present {
            let stands = unsigned(row.try_get("expires_at")?, "lease")? > now.0;
            let newer = epoch_of(row.try_get("epoch")?) > record.epoch.0;
            if stands && newer && !active(Mutant::OlderRecordAccepted) {
                return Ok(Inserted::Older);
            }
        } else {
            let records = sqlx::query_scalar("SELECT records FROM usage WHERE server = $1")
                .bind(record.server.as_str())
                .fetch_optional(&mut *transaction)
                .await?;
            if unsigned(records.unwrap_or(0), "number of records")? >= records_max {
                return Ok(Inserted::Full);
            }
        }
        sqlx::query(
            "INSERT INTO records (handle, server, epoch, address, expires_at) VALUES ($1, $2, $3, $4, $5)
             ON CONFLICT (handle, server) DO UPDATE SET
                 epoch = excluded.epoch, address = excluded.address, expires_at = excluded.expires_at",
        )
        .bind(handle.0.as_slice())
        .bind(record.server.as_str())
        .bind(ordered(record.epoch.0))
        .bind(record.address.to_string())
        .bind(signed(expires_at.0)?)
        .execute(&mut *transaction)
        .await?;
        transaction.commit().await?;
        Ok(Inserted::Stands)
    }

    /// Deletes just this record.
    pub(crate) async fn delete(
        &self,
        handle: ObjectHandle,
        record: &ContactRecord,
    ) -> Result<(), StoreError> {
        let query = if active(Mutant::DeleteInexact) {
            sqlx::query("DELETE FROM records WHERE handle = $1 AND server = $2")
                .bind(handle.0.as_slice())
                .bind(record.server.as_str())
        } else {
            sqlx::query(
                "DELETE FROM records WHERE handle = $1 AND server = $2 AND epoch = $3 AND address = $4",
            )
            .bind(handle.0.as_slice())
            .bind(record.server.as_str())
            .bind(ordered(record.epoch.0))
            .bind(record.address.to_string())
        };
        query.execute(&self.0.writer).await?;
        Ok(())
    }

    /// The records of a handle whose lease has not ended, in the order of the answer.
    pub(crate) async fn find(
        &self,
        handle: ObjectHandle,
        now: Timestamp,
    ) -> Result<Vec<ContactRecord>, StoreError> {
        // SQLite compares texts bytewise, which is the order of the protocol.
        let rows = sqlx::query(
            "SELECT server, epoch, address FROM records WHERE handle = $1 AND expires_at > $2
             ORDER BY epoch DESC, server ASC LIMIT $3",
        )
        .bind(handle.0.as_slice())
        .bind(signed(now.0)?)
        .bind(signed(CONTACT_RECORDS_MAX as u64)?)
        .fetch_all(&self.0.readers)
        .await?;
        rows.iter().map(record).collect()
    }

    /// Forgets the records whose lease has ended, and says how many there were.
    pub(crate) async fn sweep(&self, now: Timestamp) -> Result<u64, StoreError> {
        let query = sqlx::query("DELETE FROM records WHERE expires_at <= $1").bind(signed(now.0)?);
        Ok(query.execute(&self.0.writer).await?.rows_affected())
    }

    pub(crate) async fn close(&self) {
        self.0.close().await;
    }
}

fn record(row: &SqliteRow) -> Result<ContactRecord, StoreError> {
    let (server, address): (String, String) = (row.try_get("server")?, row.try_get("address")?);
    Ok(ContactRecord {
        epoch: LoginEpoch(epoch_of(row.try_get("epoch")?)),
        server: server.parse().map_err(|_| StoreError::Damaged("server name"))?,
        address: address.parse().map_err(|_| StoreError::Damaged("contact address"))?,
    })
}

#[cfg(test)]
mod tests {
    //! Leases, order, exact deletion, and that records survive.

    use super::*;

    const HANDLE: ObjectHandle = ObjectHandle([1; 16]);
    const NOW: Timestamp = Timestamp(1_000);
    const LATER: Timestamp = Timestamp(1_300);

    fn record(server: &str, epoch: u64) -> ContactRecord {
        let address = "192.0.2.1:5000".parse().unwrap();
        ContactRecord { epoch: LoginEpoch(epoch), server: server.parse().unwrap(), address }
    }

    async fn open(folder: &Path) -> NodeStore {
        NodeStore::open(&folder.join("node.sqlite"), &"node".parse().unwrap()).await.unwrap()
    }

    async fn insert(store: &NodeStore, record: &ContactRecord) -> Inserted {
        store.insert(HANDLE, record, NOW, LATER, 2).await.unwrap()
    }

    #[tokio::test]
    async fn records_are_ordered_and_end_with_their_lease() {
        let folder = tempfile::tempdir().unwrap();
        let store = open(folder.path()).await;
        for record in [record("b", 1), record("a", 1), record("c", 2)] {
            assert_eq!(insert(&store, &record).await, Inserted::Stands);
        }
        store.close().await;
        let store = open(folder.path()).await;
        let found = store.find(HANDLE, NOW).await.unwrap();
        assert_eq!(found, [record("c", 2), record("a", 1), record("b", 1)]);
        assert_eq!(store.find(HANDLE, LATER).await.unwrap(), []);
        assert_eq!(store.sweep(Timestamp(LATER.0 - 1)).await.unwrap(), 0);
        assert_eq!(store.sweep(LATER).await.unwrap(), 3);
    }

    #[tokio::test]
    async fn the_greatest_epoch_of_a_server_stands() {
        let folder = tempfile::tempdir().unwrap();
        let store = open(folder.path()).await;
        assert_eq!(insert(&store, &record("a", 2)).await, Inserted::Stands);
        assert_eq!(insert(&store, &record("a", 1)).await, Inserted::Older);
        assert_eq!(insert(&store, &record("a", 3)).await, Inserted::Stands);
        assert_eq!(store.find(HANDLE, NOW).await.unwrap(), [record("a", 3)]);
        // An epoch whose lease is over binds nobody.
        let again = store.insert(HANDLE, &record("a", 1), LATER, Timestamp(2_000), 2).await.unwrap();
        assert_eq!(again, Inserted::Stands);
    }

    #[tokio::test]
    async fn only_the_very_record_is_deleted() {
        let folder = tempfile::tempdir().unwrap();
        let store = open(folder.path()).await;
        insert(&store, &record("a", 2)).await;
        store.delete(HANDLE, &record("a", 1)).await.unwrap();
        store.delete(HANDLE, &record("b", 2)).await.unwrap();
        let moved = ContactRecord { address: "192.0.2.1:5001".parse().unwrap(), ..record("a", 2) };
        store.delete(HANDLE, &moved).await.unwrap();
        assert_eq!(store.find(HANDLE, NOW).await.unwrap(), [record("a", 2)]);
        store.delete(HANDLE, &record("a", 2)).await.unwrap();
        assert_eq!(store.find(HANDLE, NOW).await.unwrap(), []);
    }

    #[tokio::test]
    async fn a_server_cannot_fill_the_node() {
        let folder = tempfile::tempdir().unwrap();
        let store = open(folder.path()).await;
        for (handle, inserted) in [(1, Inserted::Stands), (2, Inserted::Stands), (3, Inserted::Full)] {
            let handle = ObjectHandle([handle; 16]);
            assert_eq!(store.insert(handle, &record("a", 1), NOW, LATER, 2).await.unwrap(), inserted);
        }
        // Renewals go on, and what is deleted makes room.
        assert_eq!(insert(&store, &record("a", 1)).await, Inserted::Stands);
        store.delete(HANDLE, &record("a", 1)).await.unwrap();
        let third = ObjectHandle([3; 16]);
        let inserted = store.insert(third, &record("a", 1), NOW, LATER, 2).await.unwrap();
        assert_eq!(inserted, Inserted::Stands);
    }

    #[tokio::test]
    async fn a_handle_is_issued_once() {
        let folder = tempfile::tempdir().unwrap();
        let store = open(folder.path()).await;
        assert!(store.issue(HANDLE).await.unwrap());
        store.close().await;
        assert!(!open(folder.path()).await.issue(HANDLE).await.unwrap());
    }
}
