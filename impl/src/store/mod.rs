//! What has to last: SQLite behind one writer and a few readers, with versioned migrations.
//!
//! There is one writing connection in a process, so no transaction waits for a lock that another one holds. What a
//! call has returned is on disk: the write-ahead log is synced at every commit.

mod node;
mod server;

use std::{
    path::{Path, PathBuf},
    time::Duration,
};

use sqlx::{
    Sqlite, SqlitePool, Transaction,
    migrate::{MigrateError, Migrator},
    sqlite::{SqliteConnectOptions, SqliteJournalMode, SqlitePoolOptions, SqliteSynchronous},
};

pub(crate) use node::{Inserted, NodeStore};
pub(crate) use server::{Account, HomeTransaction, ServerStore};

/// Connections for reading: as many as a small machine has cores to use.
const READERS: u32 = 4;

/// How long a call waits for a connection before it fails.
const CONNECTION_DEADLINE: Duration = Duration::from_secs(10);

/// Why something was not stored or read.
#[derive(Debug, thiserror::Error)]
pub enum StoreError {
    /// The database cannot be opened.
    #[error("the database {} cannot be opened", path.display())]
    Open {
        /// The file.
        path: PathBuf,
        /// What the database says.
        source: sqlx::Error,
    },
    /// The database was made by another version, or is not one of this kind.
    #[error("the database {} cannot be brought to this version", path.display())]
    Migrate {
        /// The file.
        path: PathBuf,
        /// What the database says.
        source: MigrateError,
    },
    /// The database belongs to somebody else.
    #[error("the database {} belongs to {owner}", path.display())]
    OtherOwner {
        /// The file.
        path: PathBuf,
        /// The name inside.
        owner: String,
    },
    /// The database failed.
    #[error("the database failed")]
    Database(#[from] sqlx::Error),
    /// The database holds something that this program did not write.
    #[error("the database holds a {0} that cannot be read")]
    Damaged(&'static str),
    /// A number that the database cannot hold.
    #[error("a number is too great for the database")]
    TooGreat,
}

impl StoreError {
    /// What to do about it, where there is something to say.
    #[must_use]
    pub fn fix(&self) -> Option<&'static str> {
        match self {
            Self::Open { .. } => {
                Some("set `database` to a file in a folder that exists and that this user may write to")
            }
            Self::Migrate { .. } => {
                Some("use the program version that made the database or a later one, or another `database`")
            }
            Self::OtherOwner { .. } => Some("give every server and every node a `database` of its own"),
            Self::Database(_) | Self::Damaged(_) | Self::TooGreat => None,
        }
    }
}

/// The two ways into one database.
#[derive(Clone, Debug)]
struct Database {
    writer: SqlitePool,
    readers: SqlitePool,
}

impl Database {
    async fn open(path: &Path, migrator: &Migrator) -> Result<Self, StoreError> {
        let options = SqliteConnectOptions::new()
            .filename(path)
            .create_if_missing(true)
            .journal_mode(SqliteJournalMode::Wal)
            .synchronous(SqliteSynchronous::Full)
            .foreign_keys(true)
            .busy_timeout(CONNECTION_DEADLINE);
        let open = |source| StoreError::Open { path: path.to_owned(), source };
        make_private(path).map_err(|source| open(sqlx::Error::Io(source)))?;
        let pool = || SqlitePoolOptions::new().acquire_timeout(CONNECTION_DEADLINE).idle_timeout(None);
        let writer = pool().max_connections(1).connect_with(options.clone()).await.map_err(open)?;
        let migrated = migrator.run(&writer).await;
        migrated.map_err(|source| StoreError::Migrate { path: path.to_owned(), source })?;
        let readers = pool().max_connections(READERS).connect_with(options).await.map_err(open)?;
        Ok(Self { writer, readers })
    }

    /// Begins to write, with the lock taken at once.
    async fn write(&self) -> Result<Transaction<'static, Sqlite>, StoreError> {
        Ok(self.writer.begin_with("BEGIN IMMEDIATE").await?)
    }

    async fn close(&self) {
        self.readers.close().await;
        self.writer.close().await;
    }
}

/// Makes the file of a database that is not there yet, for its owner alone: whom a user denies is nobody else's business.
/// What SQLite puts beside the file gets the same mode.
fn make_private(path: &Path) -> std::io::Result<()> {
    let mut options = std::fs::OpenOptions::new();
    options.append(true).create(true);
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
    options.open(path).map(drop)
}

/// As the database holds it.
fn signed(number: u64) -> Result<i64, StoreError> {
    i64::try_from(number).map_err(|_| StoreError::TooGreat)
}

/// As the protocol has it.
fn unsigned(number: i64, what: &'static str) -> Result<u64, StoreError> {
    u64::try_from(number).map_err(|_| StoreError::Damaged(what))
}

/// An epoch that a peer chose, which may be any number of 64 bits: in the same order, as the signed integer that SQLite
/// has.
fn ordered(epoch: u64) -> i64 {
    (epoch ^ (1 << 63)).cast_signed()
}

/// The epoch of which [`ordered`] made this.
fn epoch_of(ordered: i64) -> u64 {
    ordered.cast_unsigned() ^ (1 << 63)
}

#[cfg(test)]
mod tests {
    use super::{epoch_of, ordered};

    #[test]
    fn every_epoch_is_kept_and_their_order_too() {
        let epochs =
            [0, 1, i64::MAX as u64 - 1, i64::MAX as u64, i64::MAX as u64 + 1, u64::MAX - 1, u64::MAX];
        assert_eq!(epochs.map(|epoch| epoch_of(ordered(epoch))), epochs);
        assert!(epochs.map(ordered).is_sorted());
    }
}
