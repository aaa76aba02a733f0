//! What a directory node keeps: whose database it is, and the handles that it issued.
//!
//! One process at a time may write: what it knows of a handle while somebody waits is in its memory.

use antiphon_spec::identity::{ObjectHandle, ServerName};

use super::{
    Database, Migrations, StoreError,
    query::{Transaction, locking, query},
    unsigned,
};
use crate::config::DatabaseUrl;

pub(super) static MIGRATIONS: Migrations = Migrations {
    sqlite: sqlx::migrate!("migrations/sqlite/node"),
    postgres: sqlx::migrate!("migrations/postgres/node"),
};

/// The store of a directory node.
#[derive(Clone, Debug)]
pub(crate) struct NodeStore(pub(super) Database, u64);

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
        query("UPDATE node SET starts = starts + 1").execute(&mut transaction).await?;
        let row = query("SELECT starts FROM node").fetch_one(&mut transaction).await?;
        let starts = unsigned(row.try_get("starts")?, "number of starts")?;
        transaction.commit().await?;
        Ok(Self(database, starts))
    }

    /// How often a process was started with the database, this one included.
    pub(crate) const fn starts(&self) -> u64 {
        self.1
    }

    /// Looks whether a later process has opened the store.
    pub(crate) async fn check(&self) -> Result<(), StoreError> {
        let row = query("SELECT starts FROM node").fetch_one(&mut self.0.read().await?).await?;
        let current = unsigned(row.try_get("starts")?, "number of starts")?;
        if current == self.starts() {
            Ok(())
        } else {
            Err(StoreError::Superseded { own: self.starts(), current })
        }
    }

    /// Begins to change something, as the only one who does.
    pub(super) async fn write(&self) -> Result<Transaction, StoreError> {
        let mut transaction = self.0.write().await?;
        let row = locking!("SELECT starts FROM node").fetch_one(&mut transaction).await?;
        let current = unsigned(row.try_get("starts")?, "number of starts")?;
        if current != self.starts() {
            return Err(StoreError::Superseded { own: self.starts(), current });
        }
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

    pub(crate) async fn close(&self) {
        self.0.close().await;
    }
}
