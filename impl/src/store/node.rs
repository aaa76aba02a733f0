//! What a directory node keeps: the handles that it issued, and contact records with their leases.

use antiphon_spec::{
    identity::{ObjectHandle, ServerName},
    limits::CONTACT_RECORDS_MAX,
    message::{location::ContactRecord, server_server::LoginEpoch},
    time::Timestamp,
};

use super::{
    Database, Migrations, StoreError, epoch_of, ordered,
    query::{Row, Transaction, locking, query},
    signed, unsigned,
};
use crate::{
    config::DatabaseUrl,
    mutant::{Mutant, active},
};

pub(super) static MIGRATIONS: Migrations = Migrations {
    sqlite: sqlx::migrate!("migrations/sqlite/node"),
    postgres: sqlx::migrate!("migrations/postgres/node"),
};

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
    /// Opens the store of a node of this name.
    pub(crate) async fn open(url: &DatabaseUrl, name: &ServerName) -> Result<Self, StoreError> {
        let database = Database::open(url, &MIGRATIONS).await?;
        let mut transaction = database.write().await?;
        query("INSERT INTO node (one, name) VALUES (1, $1) ON CONFLICT (one) DO NOTHING")
            .bind(name.as_str())
            .execute(&mut transaction)
            .await?;
        let row = query("SELECT name FROM node").fetch_one(&mut transaction).await?;
        let owner: String = row.try_get("name")?;
        if owner != name.as_str() {
            return Err(StoreError::OtherOwner { url: url.clone(), owner });
        }
        transaction.commit().await?;
        Ok(Self(database))
    }

    /// Begins to change something, as the only one who does.
    async fn write(&self) -> Result<Transaction, StoreError> {
        let mut transaction = self.0.write().await?;
        locking!("SELECT one FROM node").fetch_one(&mut transaction).await?;
        Ok(transaction)
    }

    /// Keeps a handle as issued; `false` if it had been issued before.
    pub(crate) async fn issue(&self, handle: ObjectHandle) -> Result<bool, StoreError> {
        let mut transaction = self.write().await?;
        let made = query("INSERT INTO issued (handle) VALUES ($1) ON CONFLICT (handle) DO NOTHING")
            .bind(handle.0.as_slice())
            .execute(&mut transaction)
            .await?;
        transaction.commit().await?;
        Ok(made == 1)
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
        let mut transaction = self.write().await?;
        let present = query("SELECT epoch, expires_at FROM records WHERE handle = $1 AND server = $2")
            .bind(handle.0.as_slice())
            .bind(record.server.as_str())
            .fetch_optional(&mut transaction)
            .await?;
        if let Some(row) = present {
            let stands = unsigned(row.try_get("expires_at")?, "lease")? > now.0;
            let newer = epoch_of(row.try_get("epoch")?) > record.epoch.0;
            if stands && newer && !active(Mutant::OlderRecordAccepted) {
                return Ok(Inserted::Older);
            }
        } else {
            let usage = query("SELECT records FROM usage WHERE server = $1")
                .bind(record.server.as_str())
                .fetch_optional(&mut transaction)
                .await?;
            let records = usage.map_or(Ok(0), |row| row.try_get("records"))?;
            if unsigned(records, "number of records")? >= records_max {
                return Ok(Inserted::Full);
            }
        }
        query(
            "INSERT INTO records (handle, server, epoch, address, expires_at) VALUES ($1, $2, $3, $4, $5)
             ON CONFLICT (handle, server) DO UPDATE SET
                 epoch = excluded.epoch, address = excluded.address, expires_at = excluded.expires_at",
        )
        .bind(handle.0.as_slice())
        .bind(record.server.as_str())
        .bind(ordered(record.epoch.0))
        .bind(record.address.to_string())
        .bind(signed(expires_at.0)?)
        .execute(&mut transaction)
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
            query("DELETE FROM records WHERE handle = $1 AND server = $2")
                .bind(handle.0.as_slice())
                .bind(record.server.as_str())
        } else {
            query("DELETE FROM records WHERE handle = $1 AND server = $2 AND epoch = $3 AND address = $4")
                .bind(handle.0.as_slice())
                .bind(record.server.as_str())
                .bind(ordered(record.epoch.0))
                .bind(record.address.to_string())
        };
        let mut transaction = self.write().await?;
        query.execute(&mut transaction).await?;
        transaction.commit().await
    }

    /// The records of a handle whose lease has not ended, in the order of the answer.
    pub(crate) async fn find(
        &self,
        handle: ObjectHandle,
        now: Timestamp,
    ) -> Result<Vec<ContactRecord>, StoreError> {
        // Both databases compare these texts bytewise, which is the order of the protocol.
        let rows = query(
            "SELECT server, epoch, address FROM records WHERE handle = $1 AND expires_at > $2
             ORDER BY epoch DESC, server ASC LIMIT $3",
        )
        .bind(handle.0.as_slice())
        .bind(signed(now.0)?)
        .bind(signed(CONTACT_RECORDS_MAX as u64)?)
        .fetch_all(&mut self.0.read().await?)
        .await?;
        rows.iter().map(record).collect()
    }

    /// Forgets the records whose lease has ended, and says how many there were.
    pub(crate) async fn sweep(&self, now: Timestamp) -> Result<u64, StoreError> {
        let mut transaction = self.write().await?;
        let query = query("DELETE FROM records WHERE expires_at <= $1").bind(signed(now.0)?);
        let forgotten = query.execute(&mut transaction).await?;
        transaction.commit().await?;
        Ok(forgotten)
    }

    pub(crate) async fn close(&self) {
        self.0.close().await;
    }
}

fn record(row: &Row) -> Result<ContactRecord, StoreError> {
    let (server, address): (String, String) = (row.try_get("server")?, row.try_get("address")?);
    Ok(ContactRecord {
        epoch: LoginEpoch(epoch_of(row.try_get("epoch")?)),
        server: server.parse().map_err(|_| StoreError::Damaged("server name"))?,
        address: address.parse().map_err(|_| StoreError::Damaged("contact address"))?,
    })
}
