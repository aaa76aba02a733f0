//! Contact records: who may insert and delete them, which one stands, and how long.

use antiphon_spec::{
    error_code::ErrorCode,
    identity::ObjectHandle,
    limits::CONTACT_RECORDS_MAX,
    message::{location::ContactRecord, server_server::LoginEpoch},
};

use super::{
    case,
    stage::{Asker, Done, Lease, Stage, expect_equal},
};
use crate::{case::Failure, live::LiveCase, process::PATIENCE};

/// The cases of this file.
pub(super) const CASES: &[LiveCase] = &[
    case(
        "directory/insert-and-find",
        &["LOC-006", "LOC-011"],
        None,
        "A server inserts a record, is told its lease, and another server finds the record.",
        |world| Box::pin(async move { insert_and_find(&Stage::shared(&world).await?).await }),
    ),
    case(
        "directory/find-nothing",
        &["LOC-012"],
        None,
        "Nobody has a record under the handle: an empty answer, no refusal.",
        |world| Box::pin(async move { find_nothing(&Stage::shared(&world).await?).await }),
    ),
    case(
        "directory/well-known-handle",
        &["IDENT-003", "LOC-004", "LOC-011"],
        None,
        "Two servers insert themselves under the well-known handle; both are found.",
        |world| Box::pin(async move { well_known(&Stage::shared(&world).await?).await }),
    ),
    case(
        "directory/insert-for-another-server",
        &["LOC-003"],
        Some("directory/insert-and-find"),
        "A server inserts a record of another server: forbidden, and nothing stands.",
        |world| Box::pin(async move { foreign_insert(&Stage::shared(&world).await?).await }),
    ),
    case(
        "directory/delete-for-another-server",
        &["LOC-003"],
        Some("directory/delete"),
        "A server deletes the record of another server: forbidden, and the record stands.",
        |world| Box::pin(async move { foreign_delete(&Stage::shared(&world).await?).await }),
    ),
    case(
        "directory/greater-epoch-replaces",
        &["LOC-004"],
        None,
        "A record of a greater epoch takes the place of the same server's older one.",
        |world| Box::pin(async move { greater_epoch(&Stage::shared(&world).await?).await }),
    ),
    case(
        "directory/lower-epoch-is-refused",
        &["LOC-005"],
        Some("directory/greater-epoch-replaces"),
        "A record of a lower epoch than the server's own that stands: entry-exists, and the newer one stands.",
        |world| Box::pin(async move { lower_epoch(&Stage::shared(&world).await?).await }),
    ),
    case(
        "directory/greatest-epochs",
        &["LOC-006", "LOC-005", "LOC-011"],
        None,
        "Records with the greatest epochs of 64 bits are inserted, ordered and deleted like all others.",
        |world| Box::pin(async move { greatest_epochs(&Stage::alone(&world, Lease(300)).await?).await }),
    ),
    case(
        "directory/order-of-records",
        &["LOC-011"],
        None,
        "Records come with the greatest epoch first, and those of one epoch by their servers' names.",
        |world| Box::pin(async move { order(&Stage::alone(&world, Lease(300)).await?).await }),
    ),
    case(
        "directory/at-most-32-records",
        &["LOC-011", "LIM-001"],
        None,
        "Of 33 servers' records under one handle the first 32 in the order of the answer are told.",
        |world| Box::pin(async move { at_most(&Stage::alone(&world, Lease(300)).await?).await }),
    ),
    case(
        "directory/delete",
        &["LOC-009", "LOC-010"],
        None,
        "The record that was inserted is deleted.",
        |world| Box::pin(async move { delete(&Stage::shared(&world).await?).await }),
    ),
    case(
        "directory/delete-of-another-epoch",
        &["LOC-009", "LOC-010"],
        Some("directory/delete"),
        "A delete with another epoch is answered and deletes nothing.",
        |world| {
            Box::pin(async move {
                inexact_delete(&Stage::shared(&world).await?, |record| {
                    record.epoch = LoginEpoch(record.epoch.0 - 1)
                })
                .await
            })
        },
    ),
    case(
        "directory/delete-of-a-later-epoch",
        &["LOC-009"],
        Some("directory/delete"),
        "A delete with a later epoch deletes nothing.",
        |world| {
            Box::pin(async move {
                inexact_delete(&Stage::shared(&world).await?, |record| {
                    record.epoch = LoginEpoch(record.epoch.0 + 1)
                })
                .await
            })
        },
    ),
    case(
        "directory/delete-of-another-address",
        &["LOC-009", "LOC-010"],
        Some("directory/delete"),
        "A delete with another address is answered and deletes nothing.",
        |world| {
            Box::pin(async move {
                inexact_delete(&Stage::shared(&world).await?, |record| {
                    record.address.0.set_port(record.address.0.port() - 1)
                })
                .await
            })
        },
    ),
    case(
        "directory/delete-of-nothing",
        &["LOC-010"],
        None,
        "A delete of a record that never was is answered all the same.",
        |world| Box::pin(async move { delete_nothing(&Stage::shared(&world).await?).await }),
    ),
    case(
        "directory/lease-ends",
        &["LOC-007", "LOC-006"],
        None,
        "A record whose lease of a second has ended is told no more.",
        |world| Box::pin(async move { lease_ends(&Stage::alone(&world, Lease(1)).await?).await }),
    ),
    case(
        "directory/lease-is-renewed",
        &["LOC-008"],
        Some("directory/lease-ends"),
        "Of two records with a lease of two seconds, the one that is inserted again stands when the other has ended.",
        |world| Box::pin(async move { lease_is_renewed(&Stage::alone(&world, Lease(2)).await?).await }),
    ),
    case(
        "directory/records-survive-a-crash",
        &["LOC-013", "LOC-014"],
        None,
        "A node that is killed right after its answers still has what was inserted, and not what was deleted.",
        |world| Box::pin(async move { crash(Stage::alone(&world, Lease(300)).await?).await }),
    ),
];

/// Under this handle servers stand beside each other, whatever their epochs.
const WELL_KNOWN: ObjectHandle = ObjectHandle(*b"antiphon-servers");

async fn insert_and_find(stage: &Stage) -> Done {
    let (mut one, mut other) = (stage.server().await?, stage.server().await?);
    let (handle, record) = (stage.handle()?, one.record(7));
    let lease = one.insert(handle, &record).await?;
    if !(1..=300).contains(&lease) {
        return Err(Failure::unexpected("a lease of 1 to 300 seconds", lease));
    }
    expect_equal("the records", &vec![record], &other.find(handle).await?)
}

async fn find_nothing(stage: &Stage) -> Done {
    let found = stage.server().await?.find(stage.handle()?).await?;
    expect_equal("the records", &Vec::<ContactRecord>::new(), &found)
}

async fn well_known(stage: &Stage) -> Done {
    let handle = WELL_KNOWN;
    let (mut one, mut other) = (stage.server().await?, stage.server().await?);
    // Epochs far above those of the servers of other cases: these two come first.
    let records = [one.record(u64::MAX / 2), other.record(u64::MAX / 2 - 1)];
    one.insert(handle, &records[0]).await?;
    other.insert(handle, &records[1]).await?;
    let found = one.find(handle).await?;
    expect_equal("the first two records", &records.to_vec(), &found.into_iter().take(2).collect())
}

async fn foreign_insert(stage: &Stage) -> Done {
    let (mut one, other) = (stage.server().await?, stage.server().await?);
    let handle = stage.handle()?;
    one.insert_refused(handle, &other.record(1), ErrorCode::Forbidden).await?;
    expect_equal("the records", &Vec::new(), &one.find(handle).await?)
}

async fn foreign_delete(stage: &Stage) -> Done {
    let (mut one, mut other) = (stage.server().await?, stage.server().await?);
    let (handle, record) = (stage.handle()?, other.record(1));
    other.insert(handle, &record).await?;
    one.delete_refused(handle, &record, ErrorCode::Forbidden).await?;
    expect_equal("the records", &vec![record], &one.find(handle).await?)
}

async fn greater_epoch(stage: &Stage) -> Done {
    let mut server = stage.server().await?;
    let handle = stage.handle()?;
    server.insert(handle, &server.record(3)).await?;
    let mut newer = server.record(4);
    newer.address.0.set_port(newer.address.0.port() - 1);
    server.insert(handle, &newer).await?;
    expect_equal("the records", &vec![newer], &server.find(handle).await?)
}

async fn lower_epoch(stage: &Stage) -> Done {
    let mut server = stage.server().await?;
    let (handle, newer) = (stage.handle()?, server.record(4));
    server.insert(handle, &newer).await?;
    server.insert_refused(handle, &server.record(3), ErrorCode::EntryExists).await?;
    expect_equal("the records", &vec![newer], &server.find(handle).await?)
}

async fn greatest_epochs(stage: &Stage) -> Done {
    let (mut one, mut other) = (stage.server().await?, stage.server().await?);
    let handle = WELL_KNOWN;
    let (greatest, half) = (one.record(u64::MAX), other.record(1 << 63));
    one.insert(handle, &one.record(1)).await?;
    one.insert(handle, &greatest).await?;
    other.insert(handle, &half).await?;
    one.insert_refused(handle, &one.record(u64::MAX - 1), ErrorCode::EntryExists).await?;
    expect_equal("the records", &vec![greatest.clone(), half.clone()], &one.find(handle).await?)?;
    one.delete(handle, &greatest).await?;
    expect_equal("the records", &vec![half], &one.find(handle).await?)
}

async fn order(stage: &Stage) -> Done {
    let handle = WELL_KNOWN;
    let mut records = Vec::new();
    for epoch in [5, 9, 5, 7, 9] {
        let mut server = stage.server().await?;
        let record = server.record(epoch);
        server.insert(handle, &record).await?;
        records.push(record);
    }
    sort(&mut records);
    expect_equal("the records", &records, &stage.server().await?.find(handle).await?)
}

async fn at_most(stage: &Stage) -> Done {
    let handle = WELL_KNOWN;
    let mut records = Vec::new();
    for number in 0..=CONTACT_RECORDS_MAX {
        let mut server = stage.server().await?;
        // The first to come is the last in the order of the answer.
        let record = server.record(1 + number as u64);
        server.insert(handle, &record).await?;
        records.push(record);
    }
    sort(&mut records);
    records.truncate(CONTACT_RECORDS_MAX);
    expect_equal("the records", &records, &stage.server().await?.find(handle).await?)
}

/// The order of the answer.
fn sort(records: &mut [ContactRecord]) {
    records.sort_by(|a, b| b.epoch.cmp(&a.epoch).then_with(|| a.server.as_str().cmp(b.server.as_str())));
}

async fn delete(stage: &Stage) -> Done {
    let mut server = stage.server().await?;
    let (handle, record) = (stage.handle()?, server.record(2));
    server.insert(handle, &record).await?;
    server.delete(handle, &record).await?;
    expect_equal("the records", &Vec::new(), &server.find(handle).await?)
}

async fn inexact_delete(stage: &Stage, change: fn(&mut ContactRecord)) -> Done {
    let mut server = stage.server().await?;
    let (handle, record) = (stage.handle()?, server.record(2));
    server.insert(handle, &record).await?;
    let mut inexact = record.clone();
    change(&mut inexact);
    server.delete(handle, &inexact).await?;
    expect_equal("the records", &vec![record], &server.find(handle).await?)
}

async fn delete_nothing(stage: &Stage) -> Done {
    let mut server = stage.server().await?;
    let record = server.record(2);
    server.delete(stage.handle()?, &record).await?;
    server.probe().await
}

/// Asks until a record is told no more; inserts another one again each time, if there is one.
async fn until_gone(
    server: &mut Asker,
    handle: ObjectHandle,
    renewed: Option<(ObjectHandle, &ContactRecord)>,
) -> Done {
    let gone = async {
        loop {
            if let Some((handle, record)) = renewed {
                server.insert(handle, record).await?;
            }
            if server.find(handle).await?.is_empty() {
                return Ok(());
            }
        }
    };
    let gone = tokio::time::timeout(PATIENCE, gone).await;
    gone.unwrap_or_else(|_| Err(Failure::unexpected("the end of the record's lease", "it is told still")))
}

async fn lease_ends(stage: &Stage) -> Done {
    let mut server = stage.server().await?;
    let (handle, record) = (stage.handle()?, server.record(1));
    expect_equal("the lease", &1, &server.insert(handle, &record).await?)?;
    until_gone(&mut server, handle, None).await
}

async fn lease_is_renewed(stage: &Stage) -> Done {
    let mut server = stage.server().await?;
    let (renewed, left) = (stage.handle()?, stage.handle()?);
    let record = server.record(1);
    // The one that is renewed is the older one: without its renewals it would end first.
    server.insert(renewed, &record).await?;
    server.insert(left, &record).await?;
    until_gone(&mut server, left, Some((renewed, &record))).await?;
    expect_equal("the records", &vec![record], &server.find(renewed).await?)
}

async fn crash(mut stage: Stage) -> Done {
    let mut server = stage.server().await?;
    let (stands, deleted) = (stage.handle()?, stage.handle()?);
    let record = server.record(1);
    server.insert(deleted, &record).await?;
    server.insert(stands, &record).await?;
    server.delete(deleted, &record).await?;
    stage.kill_and_start_again().await?;
    let mut server = stage.server().await?;
    expect_equal("the records", &vec![record], &server.find(stands).await?)?;
    expect_equal("the records that were deleted", &Vec::new(), &server.find(deleted).await?)
}
