//! The twin of a change: a row of the same length is replaced and made durable, with the settings of the server's store.

use std::{path::Path, str::FromStr as _};

use antiphon_tests::Store;
use sqlx::{
    PgPool, SqlitePool,
    postgres::{PgConnectOptions, PgPoolOptions},
    sqlite::{SqliteConnectOptions, SqliteJournalMode, SqlitePoolOptions, SqliteSynchronous},
};

/// As many as a server has.
const CONNECTIONS: u32 = 8;

#[derive(Clone)]
pub(crate) enum Bare {
    Sqlite(SqlitePool),
    Postgres(PgPool),
}

impl Bare {
    /// A new database beside those of the town, with a row for each user.
    pub(crate) async fn open(store: &Store, folder: &Path, rows: i64) -> Self {
        let (table, row) = (
            "CREATE TABLE profiles (number BIGINT PRIMARY KEY, version BIGINT NOT NULL, profile TEXT NOT NULL)",
            "INSERT INTO profiles (number, version, profile) VALUES ($1, 0, '')",
        );
        match store {
            Store::Sqlite => {
                let options = SqliteConnectOptions::new()
                    .filename(folder.join("bare.sqlite"))
                    .create_if_missing(true)
                    .journal_mode(SqliteJournalMode::Wal)
                    .synchronous(SqliteSynchronous::Full);
                let pool = SqlitePoolOptions::new().max_connections(1).connect_with(options).await;
                let pool = pool.expect("a file can be made");
                sqlx::query(table).execute(&pool).await.expect("a table can be made");
                for number in 0..rows {
                    sqlx::query(row).bind(number).execute(&pool).await.expect("a row can be made");
                }
                Self::Sqlite(pool)
            }
            Store::Postgres(postgres) => {
                let options = PgConnectOptions::from_str(&postgres.database()).expect("a URL");
                let pool = PgPoolOptions::new().max_connections(CONNECTIONS).connect_with(options).await;
                let pool = pool.expect("the database is there");
                sqlx::query(table).execute(&pool).await.expect("a table can be made");
                for number in 0..rows {
                    sqlx::query(row).bind(number).execute(&pool).await.expect("a row can be made");
                }
                Self::Postgres(pool)
            }
        }
    }

    /// Replaces a user's row.
    pub(crate) async fn change(&self, number: i64, profile: &str) {
        let text = "UPDATE profiles SET version = version + 1, profile = $2 WHERE number = $1";
        let changed = match self {
            Self::Sqlite(pool) => {
                let done = sqlx::query(text).bind(number).bind(profile).execute(pool).await;
                done.map(|done| done.rows_affected())
            }
            Self::Postgres(pool) => {
                let done = sqlx::query(text).bind(number).bind(profile).execute(pool).await;
                done.map(|done| done.rows_affected())
            }
        };
        assert_eq!(changed.expect("the database works"), 1);
    }
}
