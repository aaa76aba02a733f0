//! What a server does at the location service for itself (chapter *Location service*, section *Servers*), and how it
//! takes wrong answers there.

use std::sync::Arc;

use antiphon_protocol::signed::server_object_handle;
use antiphon_spec::{
    error_code::ErrorCode,
    identity::ObjectHandle,
    message::location::{ContactRecord, ToDirectoryNode},
};

use super::stage::{Alone, Done, Stage, case, expect_equal, want};
use crate::{
    case::Failure,
    live::{LiveCase, World},
};

/// The cases of this file.
pub(super) const CASES: &[LiveCase] = &[
    case(
        "location/own-records",
        &["LOC-015", "LOC-016", "IDENT-003", "IDENT-004"],
        "A server that has started has one record of itself, with its authenticated port, under the well-known handle and under its own.",
        |world| Box::pin(own_records(world)),
    ),
    case(
        "location/boot-number",
        &["LOC-016", "LOC-015"],
        "A server is killed and started again, twice; the epoch of its records is greater each time, and one at both handles.",
        |world| Box::pin(boot_number(world)),
    ),
    case(
        "location/renews-own-records",
        &["LOC-015", "LOC-017"],
        "With leases of one second both records of a server are inserted again and again, always the same.",
        |world| Box::pin(renews_own_records(world)),
    ),
    case(
        "location/node-comes-later",
        &["LOC-015"],
        "The directory node is down when a server starts; once it is up, the server's records appear at both handles.",
        |world| Box::pin(node_comes_later(world)),
    ),
    case(
        "location/deletes-own-records",
        &["LOC-018"],
        "A server that is asked to go down deletes just its records, under both handles.",
        |world| Box::pin(deletes_own_records(world)),
    ),
    case(
        "location/says-that-it-goes-down",
        &["WIRE-056"],
        "A server that is asked to go down says shutting-down to a client, to another server and on the registration port.",
        |world| Box::pin(says_that_it_goes_down(world)),
    ),
    case(
        "location/answer-of-another-kind",
        &["WIRE-061"],
        "The directory node answers insert with issued: closed with unexpected-message; the record is then inserted on a new connection.",
        |world| Box::pin(wrong_answer(world, false)),
    ),
    case(
        "location/answer-to-nothing",
        &["WIRE-061"],
        "The directory node answers an ID of no request: closed with unexpected-message; the record is then inserted on a new connection.",
        |world| Box::pin(wrong_answer(world, true)),
    ),
    case(
        "location/node-restarts",
        &["LOC-015", "WIRE-051"],
        "The directory node cuts the connection while a user logs in: the server asks it again, and the login is answered.",
        |world| Box::pin(node_restarts(world)),
    ),
];

/// The handles under which a server is registered.
fn handles(stage: &Stage) -> [ObjectHandle; 2] {
    [ObjectHandle(*b"antiphon-servers"), server_object_handle(stage.name())]
}

/// The one record of the server under each of its handles; they have to be equal.
fn own_record(stage: &Stage) -> Result<ContactRecord, Failure> {
    let of = |handle| {
        let records = stage.node().records(handle).into_iter();
        records.filter(|record| record.server == *stage.name()).collect::<Vec<_>>()
    };
    let [all, own] = handles(stage).map(of);
    expect_equal("the records under both handles", &all, &own)?;
    let [record] = <[ContactRecord; 1]>::try_from(own)
        .map_err(|records| Failure::unexpected("one record", format!("{records:?}")))?;
    expect_equal("the address", &stage.address(), &record.address)?;
    Ok(record)
}

async fn own_records(world: Arc<World>) -> Done {
    let stage = Stage::shared(&world).await?;
    own_record(&stage).map(drop)
}

async fn boot_number(world: Arc<World>) -> Done {
    let mut stage = Stage::alone(&world, Alone::default()).await?;
    let mut epochs = vec![own_record(&stage)?.epoch];
    for _ in 0..2 {
        stage.kill().await;
        stage.restart(Alone::default()).await?;
        epochs.push(own_record(&stage)?.epoch);
    }
    if epochs.is_sorted_by(|a, b| a < b) {
        Ok(())
    } else {
        Err(Failure::unexpected("boot numbers that increase", format!("{epochs:?}")))
    }
}

async fn renews_own_records(world: Arc<World>) -> Done {
    let stage = Stage::alone(&world, Alone { lease: Some(1), ..Alone::default() }).await?;
    let record = own_record(&stage)?;
    for handle in handles(&stage) {
        let mut held = stage.node().hold(handle);
        for _ in 0..2 {
            let insert = held.next().await?;
            let renewed =
                want!(insert.request(), ToDirectoryNode::Insert(it) => it.record.clone(); "insert")?;
            expect_equal("the record", &record, &renewed)?;
            insert.carry_out();
        }
    }
    Ok(())
}

async fn node_comes_later(world: Arc<World>) -> Done {
    let stage = Stage::alone(&world, Alone { is_node_down: true, ..Alone::default() }).await?;
    stage.node().come_up();
    for handle in handles(&stage) {
        stage.node().inserted(handle, stage.name()).await?;
    }
    own_record(&stage).map(drop)
}

async fn deletes_own_records(world: Arc<World>) -> Done {
    let mut stage = Stage::alone(&world, Alone::default()).await?;
    own_record(&stage)?;
    let other = stage.played("other").await?;
    let [all, own] = handles(&stage);
    stage.node().put(all, other.record(1));
    stage.terminate().await?;
    stage.exited().await?;
    expect_equal("records under the well-known handle", &vec![other.record(1)], &stage.node().records(all))?;
    expect_equal("records under the own handle", &Vec::new(), &stage.node().records(own))
}

async fn says_that_it_goes_down(world: Arc<World>) -> Done {
    let mut stage = Stage::alone(&world, Alone::default()).await?;
    let user = stage.account().await?;
    let mut client = stage.logged_in(&user).await?;
    let mut peer = stage.played("other").await?.dial(&stage).await?;
    let mut registrar = stage.registrar().await?;
    stage.terminate().await?;
    client.closed_with(ErrorCode::ShuttingDown).await?;
    peer.closed_with(ErrorCode::ShuttingDown).await?;
    registrar.closed_with(ErrorCode::ShuttingDown).await?;
    stage.exited().await
}

async fn wrong_answer(world: Arc<World>, to_nothing: bool) -> Done {
    let stage = Stage::alone(&world, Alone::default()).await?;
    let user = stage.account().await?;
    let mut client = stage.client(&user).await?;
    let mut held = stage.node().hold(user.handle.id);
    client.ask_login().await?;
    let asked = held.next().await?;
    let closed = if to_nothing { asked.answer_to_nothing() } else { asked.answer_of_another_kind() };
    closed.closed_with(ErrorCode::UnexpectedMessage).await?;
    // It may ask again by itself, or refuse the login.
    drop(held);
    if !client.logged_in_or_refused(ErrorCode::LocationUnreachable).await? {
        client.log_in().await?;
    }
    Ok(())
}

async fn node_restarts(world: Arc<World>) -> Done {
    let stage = Stage::alone(&world, Alone::default()).await?;
    let user = stage.account().await?;
    stage.node().go_down();
    stage.node().come_up();
    let mut client = stage.client(&user).await?;
    client.ask_login().await?;
    if !client.logged_in_or_refused(ErrorCode::LocationUnreachable).await? {
        client.log_in().await?;
    }
    Ok(())
}
