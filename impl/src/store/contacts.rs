//! What a directory node keeps under each handle, as the machine of the location service has it.

use std::collections::BTreeMap;

use antiphon_spec::{
    identity::{ContactAddress, ObjectHandle, ServerName},
    limits::LOCATION_LEASE,
    location::{Above, Entry, Holder, Kept, Superseded},
    message::{location::PointerNumber, server_server::LoginEpoch},
    time::Timestamp,
};

use super::{
    NodeStore, StoreError, epoch_of, ordered,
    query::{Row, Transaction, query},
    signed, unsigned,
};

/// Most handles of one sweep; the next one takes the others.
const SWEPT_MAX: u64 = 1_000;

impl NodeStore {
    /// All that is kept under a handle.
    pub(crate) async fn contacts(&self, handle: ObjectHandle) -> Result<Kept, StoreError> {
        // One query for all tables: most handles have a row in one of them.
        let rows = query(
            "SELECT CAST(0 AS BIGINT) AS kind, server AS name, epoch, CAST(0 AS BIGINT) AS number, address,
                 CAST(0 AS BIGINT) AS asked_at, expires_at FROM records WHERE handle = $1
             UNION ALL SELECT 1, node, epoch, number, address, 0, expires_at FROM pointers WHERE handle = $1
             UNION ALL SELECT 2, '', epoch, number, '', asked_at, expires_at FROM pointers_above WHERE handle = $1
             UNION ALL SELECT 3, node, epoch, 0, address, 0, expires_at FROM superseded WHERE handle = $1",
        )
        .bind(handle.0.as_slice())
        .fetch_all(&mut self.0.read().await?)
        .await?;
        let mut kept = Kept::default();
        for row in &rows {
            let number = || Ok::<_, StoreError>(PointerNumber(epoch_of(row.try_get("number")?)));
            match row.try_get::<i64>("kind")? {
                0 => {
                    kept.entries.insert(Holder::Server(name(row)?), entry(row, PointerNumber(0))?);
                }
                1 => {
                    kept.entries.insert(Holder::Node(name(row)?), entry(row, number()?)?);
                }
                2 => {
                    kept.above = Some(Above {
                        epoch: epoch(row)?,
                        number: number()?,
                        asked_at: Timestamp(unsigned(row.try_get("asked_at")?, "time")?),
                        lease_end: Some(lease_end(row)?).filter(|end| *end > Timestamp(0)),
                    });
                }
                _ => {
                    let (epoch, address, lease_end) = (epoch(row)?, address(row)?, lease_end(row)?);
                    kept.superseded.insert(name(row)?, Superseded { epoch, address, lease_end });
                }
            }
        }
        Ok(kept)
    }

    /// Keeps what has changed, all of it or nothing.
    pub(crate) async fn keep(&self, changes: &[Changed]) -> Result<(), StoreError> {
        let mut writing = self.write().await?;
        for changed in changes {
            changed.keep(&mut writing).await?;
        }
        writing.commit().await
    }

    /// Whether a server has fewer records than this.
    pub(crate) async fn has_room(&self, server: &ServerName, records_max: u64) -> Result<bool, StoreError> {
        let usage = query("SELECT records FROM usage WHERE server = $1")
            .bind(server.as_str())
            .fetch_optional(&mut self.0.read().await?)
            .await?;
        let records = usage.map_or(Ok(0), |row| row.try_get("records"))?;
        Ok(unsigned(records, "number of records")? < records_max)
    }

    /// Handles under which a lease has ended.
    pub(crate) async fn ended(&self, now: Timestamp) -> Result<Vec<ObjectHandle>, StoreError> {
        let rows = query(
            "SELECT handle FROM records WHERE expires_at <= $1 UNION
             SELECT handle FROM pointers WHERE expires_at <= $1 UNION
             SELECT handle FROM pointers_above WHERE asked_at <= $2 LIMIT $3",
        )
        .bind(signed(now.0)?)
        // Then the parent has it no more, whatever came of the request.
        .bind(signed(now.0.saturating_sub(LOCATION_LEASE.as_secs()))?)
        .bind(signed(SWEPT_MAX)?)
        .fetch_all(&mut self.0.read().await?)
        .await?;
        rows.iter().map(handle_of).collect()
    }
}

/// What was kept under a handle, and what is to be.
#[derive(Debug)]
pub(crate) struct Changed {
    pub(crate) handle: ObjectHandle,
    pub(crate) before: Kept,
    pub(crate) after: Kept,
}

impl Changed {
    async fn keep(&self, transaction: &mut Transaction) -> Result<(), StoreError> {
        let Self { handle, before, after } = self;
        for holder in gone(&before.entries, &after.entries) {
            let (text, name) = match holder {
                Holder::Server(name) => ("DELETE FROM records WHERE handle = $1 AND server = $2", name),
                Holder::Node(name) => ("DELETE FROM pointers WHERE handle = $1 AND node = $2", name),
            };
            query(text).bind(handle.0.as_slice()).bind(name.as_str()).execute(transaction).await?;
        }
        for (holder, entry) in new(&before.entries, &after.entries) {
            match holder {
                Holder::Server(name) => keep_record(*handle, name, entry, transaction).await?,
                Holder::Node(name) => keep_pointer(*handle, name, entry, transaction).await?,
            }
        }
        if before.above != after.above {
            keep_above(*handle, after.above, transaction).await?;
        }
        for node in gone(&before.superseded, &after.superseded) {
            query("DELETE FROM superseded WHERE handle = $1 AND node = $2")
                .bind(handle.0.as_slice())
                .bind(node.as_str())
                .execute(transaction)
                .await?;
        }
        for (node, superseded) in new(&before.superseded, &after.superseded) {
            query(
                "INSERT INTO superseded (handle, node, epoch, address, expires_at) VALUES ($1, $2, $3, $4, $5)
                 ON CONFLICT (handle, node) DO UPDATE SET
                     epoch = excluded.epoch, address = excluded.address, expires_at = excluded.expires_at",
            )
            .bind(handle.0.as_slice())
            .bind(node.as_str())
            .bind(ordered(superseded.epoch.0))
            .bind(superseded.address.to_string())
            .bind(signed(superseded.lease_end.0)?)
            .execute(transaction)
            .await?;
        }
        Ok(())
    }
}

async fn keep_record(
    handle: ObjectHandle,
    server: &ServerName,
    entry: &Entry,
    transaction: &mut Transaction,
) -> Result<(), StoreError> {
    query(
        "INSERT INTO records (handle, server, epoch, address, expires_at) VALUES ($1, $2, $3, $4, $5)
         ON CONFLICT (handle, server) DO UPDATE SET
             epoch = excluded.epoch, address = excluded.address, expires_at = excluded.expires_at",
    )
    .bind(handle.0.as_slice())
    .bind(server.as_str())
    .bind(ordered(entry.epoch.0))
    .bind(entry.address.to_string())
    .bind(signed(entry.lease_end.0)?)
    .execute(transaction)
    .await
    .map(drop)
}

async fn keep_pointer(
    handle: ObjectHandle,
    node: &ServerName,
    entry: &Entry,
    transaction: &mut Transaction,
) -> Result<(), StoreError> {
    query(
        "INSERT INTO pointers (handle, node, epoch, number, address, expires_at) VALUES ($1, $2, $3, $4, $5, $6)
         ON CONFLICT (handle, node) DO UPDATE SET
             epoch = excluded.epoch, number = excluded.number, address = excluded.address,
             expires_at = excluded.expires_at",
    )
    .bind(handle.0.as_slice())
    .bind(node.as_str())
    .bind(ordered(entry.epoch.0))
    .bind(ordered(entry.number.0))
    .bind(entry.address.to_string())
    .bind(signed(entry.lease_end.0)?)
    .execute(transaction)
    .await
    .map(drop)
}

async fn keep_above(
    handle: ObjectHandle,
    above: Option<Above>,
    transaction: &mut Transaction,
) -> Result<(), StoreError> {
    let Some(above) = above else {
        let gone = query("DELETE FROM pointers_above WHERE handle = $1").bind(handle.0.as_slice());
        return gone.execute(transaction).await.map(drop);
    };
    query(
        "INSERT INTO pointers_above (handle, epoch, number, asked_at, expires_at) VALUES ($1, $2, $3, $4, $5)
         ON CONFLICT (handle) DO UPDATE SET
             epoch = excluded.epoch, number = excluded.number, asked_at = excluded.asked_at,
             expires_at = excluded.expires_at",
    )
    .bind(handle.0.as_slice())
    .bind(ordered(above.epoch.0))
    .bind(ordered(above.number.0))
    .bind(signed(above.asked_at.0)?)
    .bind(signed(above.lease_end.map_or(0, |end| end.0))?)
    .execute(transaction)
    .await
    .map(drop)
}

/// The keys that are there no more.
fn gone<'a, K: Ord, V>(before: &'a BTreeMap<K, V>, after: &'a BTreeMap<K, V>) -> impl Iterator<Item = &'a K> {
    before.keys().filter(|key| !after.contains_key(key))
}

/// What is new, or another than before.
fn new<'a, K: Ord, V: PartialEq>(
    before: &'a BTreeMap<K, V>,
    after: &'a BTreeMap<K, V>,
) -> impl Iterator<Item = (&'a K, &'a V)> {
    after.iter().filter(|(key, value)| before.get(key) != Some(value))
}

fn entry(row: &Row, number: PointerNumber) -> Result<Entry, StoreError> {
    Ok(Entry { epoch: epoch(row)?, address: address(row)?, number, lease_end: lease_end(row)? })
}

fn name(row: &Row) -> Result<ServerName, StoreError> {
    row.try_get::<String>("name")?.parse().map_err(|_| StoreError::Damaged("name"))
}

fn epoch(row: &Row) -> Result<LoginEpoch, StoreError> {
    Ok(LoginEpoch(epoch_of(row.try_get("epoch")?)))
}

fn address(row: &Row) -> Result<ContactAddress, StoreError> {
    row.try_get::<String>("address")?.parse().map_err(|_| StoreError::Damaged("contact address"))
}

fn lease_end(row: &Row) -> Result<Timestamp, StoreError> {
    Ok(Timestamp(unsigned(row.try_get("expires_at")?, "lease")?))
}

fn handle_of(row: &Row) -> Result<ObjectHandle, StoreError> {
    let bytes: Vec<u8> = row.try_get("handle")?;
    bytes.try_into().map(ObjectHandle).map_err(|_| StoreError::Damaged("handle"))
}
