//! What has to last: SQLite or PostgreSQL, as the configuration says, with versioned migrations.
//!
//! Every query is written once and means the same on both ([`query`]). The migrations alone stand twice, because types
//! and triggers have other names there. What a call has returned is on disk: both databases sync their log at every
//! commit.
//!
//! Whoever writes is alone. On SQLite there is one writing connection in a process, and a transaction takes the
//! database's lock when it begins. On PostgreSQL, which may stand behind several processes, a transaction begins by
//! locking the one row that says whose database it is ([`query::locking`]), and only then reads what it changes.

mod contacts;
mod node;
mod query;
mod server;
mod tls;

#[cfg(test)]
mod tests;

use std::{path::Path, str::FromStr as _, sync::Arc, time::Duration};

use sqlx::{
    PgPool, SqlitePool,
    migrate::{MigrateError, Migrator},
    postgres::{PgConnectOptions, PgPoolOptions, PgSslMode},
    sqlite::{SqliteConnectOptions, SqliteJournalMode, SqlitePoolOptions, SqliteSynchronous},
};

use antiphon_spec::identity::ObjectHandle;
use tracing::info;

use self::{
    query::{Reader, Transaction},
    tls::Tunnel,
};
use crate::config::{DatabaseUrl, PostgresUrl, Way};

pub(crate) use contacts::Changed;
pub(crate) use node::NodeStore;
pub(crate) use server::{Account, CodeHash, HomeTransaction, Rotated, ServerStore};

/// Connections of SQLite for reading: as many as a small machine has cores to use.
const READERS: u32 = 4;

/// Connections of PostgreSQL: one that writes, and some that read or wait. A database takes 100 by default, which is
/// enough for ten processes.
const CONNECTIONS: u32 = 8;

/// How long a call waits for a connection before it fails.
const CONNECTION_DEADLINE: Duration = Duration::from_secs(10);

/// What each connection of PostgreSQL is told. A commit is durable whatever the database's configuration says. The
/// row that the writer has locked is free again soon, even if the writer's machine stands still or is cut off; who waits
/// for it doesn't wait for ever.
const SESSION: [(&str, &str); 4] = [
    ("synchronous_commit", "on"),
    ("idle_in_transaction_session_timeout", "10s"),
    ("lock_timeout", "20s"),
    ("statement_timeout", "30s"),
];

/// Why something was not stored or read.
#[derive(Debug, thiserror::Error)]
pub enum StoreError {
    /// The database cannot be opened.
    #[error("the database {url} cannot be opened")]
    Open {
        /// The database.
        url: DatabaseUrl,
        /// What it says.
        source: sqlx::Error,
    },
    /// The database was made by another version, or is not one of this kind.
    #[error("the database {url} cannot be brought to this version")]
    Migrate {
        /// The database.
        url: DatabaseUrl,
        /// What it says.
        source: MigrateError,
    },
    /// The database belongs to somebody else.
    #[error("the database {url} belongs to {owner}")]
    OtherOwner {
        /// The database.
        url: DatabaseUrl,
        /// The name inside.
        owner: String,
    },
    /// A later process has opened the database under the same name.
    #[error("another process has taken this one's place: it is start {current}, this one was start {own}")]
    Superseded {
        /// The boot number of this process.
        own: u64,
        /// The boot number of the last process.
        current: u64,
    },
    /// The database failed.
    #[error("the database failed")]
    Database(#[from] sqlx::Error),
    /// The database holds something that this program did not write.
    #[error("the database holds a {0} that cannot be read")]
    Damaged(&'static str),
    /// Nobody has this account.
    #[error("there is no account with the user ID {0}")]
    NoSuchAccount(ObjectHandle),
    /// A number that the database cannot hold.
    #[error("a number is too great for the database")]
    TooGreat,
}

impl StoreError {
    /// What to do about it, where there is something to say.
    #[must_use]
    pub fn fix(&self) -> Option<&'static str> {
        match self {
            Self::Open { url: DatabaseUrl::Sqlite(_), .. } => {
                Some("set `database` to a file in a folder that exists and that this user may write to")
            }
            Self::Open { url: DatabaseUrl::Postgres(_), .. } => Some(
                "see that PostgreSQL runs where `database` says, that the database and the user exist there, that \
                 the password is in PGPASSWORD or in the file that PGPASSFILE names, and that `sslrootcert` vouches for \
                 its certificate",
            ),
            Self::Migrate { .. } => {
                Some("use the program version that made the database or a later one, or another `database`")
            }
            Self::OtherOwner { .. } => Some("give every server and every node a `database` of its own"),
            Self::Superseded { .. } => Some("run one process at a time under one name"),
            Self::NoSuchAccount(_) => Some("name a user of this server, and its configuration file"),
            Self::Database(_) | Self::Damaged(_) | Self::TooGreat => None,
        }
    }

    /// Whether nothing was done only because of what others did at the same time, so that it can be done again.
    ///
    /// The lock of the one row leaves nothing to conflict on PostgreSQL itself; databases that speak its protocol may
    /// still answer so.
    pub(crate) fn is_conflict(&self) -> bool {
        /// `serialization_failure` and `deadlock_detected`.
        const CONFLICTS: [&str; 2] = ["40001", "40P01"];
        let Self::Database(sqlx::Error::Database(error)) = self else { return false };
        error.code().is_some_and(|code| CONFLICTS.contains(&code.as_ref()))
    }
}

/// The migrations of one kind of store, for each database.
#[derive(Debug)]
struct Migrations {
    sqlite: Migrator,
    postgres: Migrator,
}

/// The ways into one database.
#[derive(Clone, Debug)]
enum Database {
    Sqlite {
        writer: SqlitePool,
        readers: SqlitePool,
    },
    Postgres {
        pool: PgPool,
        // Lives as long as the connections that go through it.
        _tunnel: Option<Arc<Tunnel>>,
    },
}

impl Database {
    /// Opens the database and brings it to this version.
    async fn open(url: &DatabaseUrl, migrations: &Migrations) -> Result<Self, StoreError> {
        let open = |source| StoreError::Open { url: url.clone(), source };
        let migrate = |source| StoreError::Migrate { url: url.clone(), source };
        let database = match url {
            DatabaseUrl::Sqlite(path) => {
                make_private(path).map_err(|source| open(sqlx::Error::Io(source)))?;
                let options = sqlite(path);
                let pool = || {
                    SqlitePoolOptions::new()
                        .acquire_timeout(CONNECTION_DEADLINE)
                        .idle_timeout(None)
                        // A file doesn't go away as a server of a database does.
                        .test_before_acquire(false)
                };
                let writer = pool().max_connections(1).connect_with(options.clone()).await.map_err(open)?;
                migrations.sqlite.run(&writer).await.map_err(migrate)?;
                let readers = pool().max_connections(READERS).connect_with(options).await.map_err(open)?;
                Self::Sqlite { writer, readers }
            }
            DatabaseUrl::Postgres(url) => {
                let options = postgres(url).map_err(open)?;
                let (tunnel, options) = tunnelled(url, options).map_err(open)?;
                let pool =
                    PgPoolOptions::new().acquire_timeout(CONNECTION_DEADLINE).max_connections(CONNECTIONS);
                // If the way through the tunnel ended early, it knows why, and the pool doesn't.
                let why = |source| tunnel.as_ref().and_then(Tunnel::failure).unwrap_or(source);
                let pool = pool.connect_with(options).await.map_err(|source| open(why(source)))?;
                migrations.postgres.run(&pool).await.map_err(migrate)?;
                Self::Postgres { pool, _tunnel: tunnel.map(Arc::new) }
            }
        };
        // The same for both databases.
        let version = migrations.sqlite.iter().map(|migration| migration.version).max().unwrap_or_default();
        info!(database = %url, version, "the database is open, with the tables of this version");
        Ok(database)
    }

    async fn read(&self) -> Result<Reader, StoreError> {
        Ok(match self {
            Self::Sqlite { readers, .. } => Reader::Sqlite(readers.acquire().await?),
            Self::Postgres { pool, .. } => Reader::Postgres(pool.acquire().await?),
        })
    }

    /// Begins to write. The first query has to be a [`query::locking`] one of the row that says whose database it is:
    /// on PostgreSQL it is what waits for the other writers, and what comes behind it sees all that they have done.
    async fn write(&self) -> Result<Transaction, StoreError> {
        Ok(match self {
            Self::Sqlite { writer, .. } => Transaction::Sqlite(writer.begin_with("BEGIN IMMEDIATE").await?),
            Self::Postgres { pool, .. } => {
                Transaction::Postgres(pool.begin_with("BEGIN ISOLATION LEVEL READ COMMITTED").await?)
            }
        })
    }

    async fn close(&self) {
        match self {
            Self::Sqlite { writer, readers } => {
                readers.close().await;
                writer.close().await;
            }
            Self::Postgres { pool, .. } => pool.close().await,
        }
    }
}

fn sqlite(path: &Path) -> SqliteConnectOptions {
    SqliteConnectOptions::new()
        .filename(path)
        .create_if_missing(true)
        .journal_mode(SqliteJournalMode::Wal)
        .synchronous(SqliteSynchronous::Full)
        .foreign_keys(true)
        .busy_timeout(CONNECTION_DEADLINE)
}

fn postgres(url: &PostgresUrl) -> Result<PgConnectOptions, sqlx::Error> {
    // What the library would do about TLS depends on how it was built and on the environment; [`Tunnel`] does not.
    let url = url.as_str().split('?').next().unwrap_or_default();
    let options = PgConnectOptions::from_str(url)?.ssl_mode(PgSslMode::Disable);
    Ok(options.application_name("antiphon").options(SESSION))
}

/// Digs the tunnel that the URL asks for, and changes the options to go through it.
fn tunnelled(
    url: &PostgresUrl,
    options: PgConnectOptions,
) -> Result<(Option<Tunnel>, PgConnectOptions), sqlx::Error> {
    match url.way() {
        Way::Open => Ok((None, options)),
        Way::Tls { authorities } => {
            let tunnel = Tunnel::dig(options.get_host(), options.get_port(), authorities);
            let tunnel = tunnel.map_err(|error| sqlx::Error::Tls(Box::new(error)))?;
            let options = options.socket(tunnel.folder());
            Ok((Some(tunnel), options))
        }
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

/// An epoch that a peer chose, which may be any number of 64 bits: in the same order, as the signed integer that
/// both databases have.
fn ordered(epoch: u64) -> i64 {
    (epoch ^ (1 << 63)).cast_signed()
}

/// The epoch of which [`ordered`] made this.
fn epoch_of(ordered: i64) -> u64 {
    ordered.cast_unsigned() ^ (1 << 63)
}
