//! A query, written once: text with numbered places, values of three types that both databases have, rows of either.

use std::{
    future::Future,
    time::{Duration, Instant},
};

use sqlx::{
    Decode, Encode, Executor, IntoArguments, PgConnection, Postgres, Row as _, Sqlite, SqliteConnection,
    Type, pool::PoolConnection, postgres::PgRow, sqlite::SqliteRow,
};

use super::StoreError;
use crate::monitoring::metrics;

/// A query with the values of its places `$1`, `$2` and so on.
#[derive(Debug)]
pub(super) struct Query {
    sqlite: &'static str,
    postgres: &'static str,
    values: Vec<Value>,
}

/// What can stand in a place.
#[derive(Debug)]
pub(super) enum Value {
    Bytes(Option<Vec<u8>>),
    Text(Option<String>),
    Integer(i64),
}

/// A query that both databases understand.
pub(super) fn query(text: &'static str) -> Query {
    Query::of(text, text)
}

/// A query for rows that nobody else may change, or lock in this way, until the transaction ends.
///
/// SQLite has no words for it and needs none: a transaction that writes has the whole database to itself.
macro_rules! locking {
    ($text:literal) => {
        $crate::store::query::Query::of($text, concat!($text, " FOR UPDATE"))
    };
}
pub(super) use locking;

impl Query {
    pub(super) fn of(sqlite: &'static str, postgres: &'static str) -> Self {
        Self { sqlite, postgres, values: Vec::new() }
    }

    /// The value of the next place.
    pub(super) fn bind(mut self, value: impl Into<Value>) -> Self {
        self.values.push(value.into());
        self
    }

    /// Carries it out and says how many rows it changed.
    pub(super) async fn execute(self, on: &mut impl Connected) -> Result<u64, StoreError> {
        timed(metrics::query, async {
            Ok(match on.connection() {
                Connection::Sqlite(connection) => {
                    let done = connection.execute(bound(self.sqlite, self.values)).await?;
                    done.rows_affected()
                }
                Connection::Postgres(connection) => {
                    let done = connection.execute(bound(self.postgres, self.values)).await?;
                    done.rows_affected()
                }
            })
        })
        .await
    }

    /// Carries it out and returns the row, if there is one.
    pub(super) async fn fetch_optional(self, on: &mut impl Connected) -> Result<Option<Row>, StoreError> {
        timed(metrics::query, async {
            Ok(match on.connection() {
                Connection::Sqlite(connection) => {
                    let row = connection.fetch_optional(bound(self.sqlite, self.values)).await?;
                    row.map(Row::Sqlite)
                }
                Connection::Postgres(connection) => {
                    let row = connection.fetch_optional(bound(self.postgres, self.values)).await?;
                    row.map(Row::Postgres)
                }
            })
        })
        .await
    }

    /// Carries it out and returns the row that there has to be.
    pub(super) async fn fetch_one(self, on: &mut impl Connected) -> Result<Row, StoreError> {
        self.fetch_optional(on).await?.ok_or(StoreError::Database(sqlx::Error::RowNotFound))
    }

    /// Carries it out and returns all rows: for queries whose text or table bounds their number.
    pub(super) async fn fetch_all(self, on: &mut impl Connected) -> Result<Vec<Row>, StoreError> {
        timed(metrics::query, async {
            Ok(match on.connection() {
                Connection::Sqlite(connection) => {
                    let rows = connection.fetch_all(bound(self.sqlite, self.values)).await?;
                    rows.into_iter().map(Row::Sqlite).collect()
                }
                Connection::Postgres(connection) => {
                    let rows = connection.fetch_all(bound(self.postgres, self.values)).await?;
                    rows.into_iter().map(Row::Postgres).collect()
                }
            })
        })
        .await
    }
}

/// Has it told how long something took, and whether it was done.
async fn timed<T>(
    tell: fn(bool, Duration),
    work: impl Future<Output = Result<T, StoreError>>,
) -> Result<T, StoreError> {
    let since = Instant::now();
    let result = work.await;
    tell(result.is_ok(), since.elapsed());
    result
}

/// The query of one of the two libraries.
fn bound<D>(text: &'static str, values: Vec<Value>) -> sqlx::query::Query<'static, D, D::Arguments>
where
    D: sqlx::Database,
    D::Arguments: IntoArguments<D>,
    for<'t> Option<Vec<u8>>: Encode<'t, D> + Type<D>,
    for<'t> Option<String>: Encode<'t, D> + Type<D>,
    for<'t> i64: Encode<'t, D> + Type<D>,
{
    values.into_iter().fold(sqlx::query(text), |query, value| match value {
        Value::Bytes(bytes) => query.bind(bytes),
        Value::Text(text) => query.bind(text),
        Value::Integer(number) => query.bind(number),
    })
}

impl From<Option<Vec<u8>>> for Value {
    fn from(bytes: Option<Vec<u8>>) -> Self {
        Self::Bytes(bytes)
    }
}

impl From<&[u8]> for Value {
    fn from(bytes: &[u8]) -> Self {
        Self::Bytes(Some(bytes.to_vec()))
    }
}

impl From<Vec<u8>> for Value {
    fn from(bytes: Vec<u8>) -> Self {
        Self::Bytes(Some(bytes))
    }
}

impl From<&str> for Value {
    fn from(text: &str) -> Self {
        Self::Text(Some(text.to_owned()))
    }
}

impl From<String> for Value {
    fn from(text: String) -> Self {
        Self::Text(Some(text))
    }
}

impl From<Option<&str>> for Value {
    fn from(text: Option<&str>) -> Self {
        Self::Text(text.map(str::to_owned))
    }
}

impl From<i64> for Value {
    fn from(number: i64) -> Self {
        Self::Integer(number)
    }
}

/// A row of either database.
pub(super) enum Row {
    Sqlite(SqliteRow),
    Postgres(PgRow),
}

impl Row {
    /// The value of a column: bytes, text or an integer, as in [`Value`].
    pub(super) fn try_get<T>(&self, column: &str) -> Result<T, StoreError>
    where
        T: for<'r> Decode<'r, Sqlite> + Type<Sqlite> + for<'r> Decode<'r, Postgres> + Type<Postgres>,
    {
        Ok(match self {
            Self::Sqlite(row) => row.try_get(column)?,
            Self::Postgres(row) => row.try_get(column)?,
        })
    }
}

/// A connection of either database, lent for one query.
pub(super) enum Connection<'c> {
    Sqlite(&'c mut SqliteConnection),
    Postgres(&'c mut PgConnection),
}

/// What a query can be carried out on.
pub(super) trait Connected: Send {
    fn connection(&mut self) -> Connection<'_>;
}

/// A connection for reading, which goes back when it is dropped.
pub(super) enum Reader {
    Sqlite(PoolConnection<Sqlite>),
    Postgres(PoolConnection<Postgres>),
}

impl Connected for Reader {
    fn connection(&mut self) -> Connection<'_> {
        match self {
            Self::Sqlite(connection) => Connection::Sqlite(connection),
            Self::Postgres(connection) => Connection::Postgres(connection),
        }
    }
}

/// Changes that become durable together when they are committed, or not at all.
pub(super) enum Transaction {
    Sqlite(sqlx::Transaction<'static, Sqlite>),
    Postgres(sqlx::Transaction<'static, Postgres>),
}

impl Transaction {
    /// Makes the changes durable.
    pub(super) async fn commit(self) -> Result<(), StoreError> {
        timed(metrics::commit, async {
            match self {
                Self::Sqlite(transaction) => transaction.commit().await?,
                Self::Postgres(transaction) => transaction.commit().await?,
            }
            Ok(())
        })
        .await
    }
}

impl Connected for Transaction {
    fn connection(&mut self) -> Connection<'_> {
        match self {
            Self::Sqlite(transaction) => Connection::Sqlite(transaction),
            Self::Postgres(transaction) => Connection::Postgres(transaction),
        }
    }
}
