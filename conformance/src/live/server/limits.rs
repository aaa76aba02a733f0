//! Peers that ask for much (chapter *Limits*): they are answered or refused, and others are served all the while.

use std::{collections::BTreeSet, sync::Arc};

use antiphon_spec::{
    error_code::ErrorCode,
    message::{
        client_server::{FromServer, Lookup, ToServer},
        common::RequestId,
        server_server::{CheckOut, FromPeerServer, ProfileVersion, ToPeerServer},
    },
};

use super::stage::{Done, Stage, case, expect_equal, profile, want};
use crate::{
    case::Failure,
    live::{LiveCase, World},
};

/// The cases of this file.
pub(super) const CASES: &[LiveCase] = &[
    case(
        "limits/lookups-without-a-pause",
        &["LIM-004", "WIRE-058", "WIRE-059", "WIRE-063", "LIM-005"],
        "A user sends 300 lookups and reads nothing; another user is served meanwhile, and each lookup is answered once.",
        |world| Box::pin(lookups_without_a_pause(world)),
    ),
    case(
        "limits/lookups-that-wait",
        &["LIM-004", "WIRE-058", "WIRE-063"],
        "200 lookups of a user wait for the directory node; another user's are answered, and at last each of the first one's once.",
        |world| Box::pin(lookups_that_wait(world)),
    ),
    case(
        "limits/check-outs-without-a-pause",
        &["LIM-004", "WIRE-058", "WIRE-059", "LOGIN-015"],
        "A server sends 200 check-outs; a user logs in meanwhile, each check-out is answered once, and the epochs given are all different.",
        |world| Box::pin(check_outs_without_a_pause(world)),
    ),
    case(
        "limits/a-server-that-does-not-read",
        &["LIM-006", "LIM-004"],
        "A server asks for long profiles without an end and reads none: its connection is ended, and others are served.",
        |world| Box::pin(a_server_that_does_not_read(world)),
    ),
    case(
        "limits/a-fault-of-one",
        &["WIRE-055", "LIM-004"],
        "Of three connections of one user and one of another, one breaks a rule and is closed; the others answer.",
        |world| Box::pin(a_fault_of_one(world)),
    ),
];

/// Takes answers until each of `count` lookups with the IDs from 1 has one.
async fn each_once(client: &mut super::stage::Client, count: u64) -> Done {
    let mut open: BTreeSet<u64> = (1..=count).collect();
    while !open.is_empty() {
        let is_code = |code| matches!(code, ErrorCode::Unavailable | ErrorCode::LimitReached);
        let id = want!(
            client.next().await?,
            FromServer::Refused(body) if is_code(body.code) => body.id;
            "unavailable or limit-reached"
        )?;
        if !open.remove(&id.0) {
            return Err(Failure::unexpected("the ID of an open request", id.0));
        }
    }
    client.probe().await
}

async fn lookups_without_a_pause(world: Arc<World>) -> Done {
    const COUNT: u64 = 300;
    let stage = Stage::shared(&world).await?;
    let (greedy, other) = (stage.account().await?, stage.account().await?);
    let (mut greedy, mut other_client) = (stage.logged_in(&greedy).await?, stage.logged_in(&other).await?);
    let nobody = stage.stranger()?.handle;
    for number in 1..=COUNT {
        greedy.send(&ToServer::Lookup(Lookup { id: RequestId(number), user: nobody.clone() })).await?;
    }
    expect_equal("the address", &Ok(other_client.address()), &other_client.lookup(&other.handle).await?)?;
    each_once(&mut greedy, COUNT).await
}

async fn lookups_that_wait(world: Arc<World>) -> Done {
    const COUNT: u64 = 200;
    let stage = Stage::shared(&world).await?;
    let (greedy, other) = (stage.account().await?, stage.account().await?);
    let (mut greedy, mut other_client) = (stage.logged_in(&greedy).await?, stage.logged_in(&other).await?);
    let nobody = stage.stranger()?.handle;
    let mut held = stage.node().hold(nobody.id);
    for number in 1..=COUNT {
        greedy.send(&ToServer::Lookup(Lookup { id: RequestId(number), user: nobody.clone() })).await?;
    }
    let first = held.next().await?;
    expect_equal("the address", &Ok(other_client.address()), &other_client.lookup(&other.handle).await?)?;
    first.carry_out();
    drop(held);
    each_once(&mut greedy, COUNT).await
}

async fn check_outs_without_a_pause(world: Arc<World>) -> Done {
    const COUNT: u64 = 200;
    let stage = Stage::shared(&world).await?;
    let (user, other) = (stage.account().await?, stage.account().await?);
    let mut peer = stage.played("other").await?.dial(&stage).await?;
    for number in 1..=COUNT {
        peer.send(&ToPeerServer::CheckOut(CheckOut { id: RequestId(number), user: user.handle.id })).await?;
    }
    stage.client(&other).await?.log_in().await?;
    let mut open: BTreeSet<u64> = (1..=COUNT).collect();
    let mut epochs = BTreeSet::new();
    while !open.is_empty() {
        let id = want!(
            peer.next().await?,
            FromPeerServer::CheckedOut(body) if epochs.insert(body.epoch) => body.id,
            FromPeerServer::Refused(body) if body.code == ErrorCode::LimitReached => body.id;
            "a new login epoch, or limit-reached"
        )?;
        if !open.remove(&id.0) {
            return Err(Failure::unexpected("the ID of an open request", id.0));
        }
    }
    peer.probe().await
}

async fn a_server_that_does_not_read(world: Arc<World>) -> Done {
    let stage = Stage::shared(&world).await?;
    let (user, other) = (stage.account().await?, stage.account().await?);
    let mut peer = stage.played("deaf").await?.dial(&stage).await?;
    let epoch = peer.check_out(user.handle.id).await?.epoch;
    // The longest profile whose check-out still fits a frame makes the fewest answers.
    let home = ["a"; 40].concat();
    let list: Vec<String> = (0..200).map(|number| format!("{number:032x}@{home}.{home}.example")).collect();
    let list: Vec<&str> = list.iter().map(String::as_str).collect();
    let stored = peer.store(user.handle.id, epoch, &profile(0, &list, &list, true)).await?;
    expect_equal("stored", &Ok(ProfileVersion(1)), &stored)?;
    // What neither end keeps, the network's buffers do, and those are bounded, too.
    let mut id = peer.id();
    while peer.send_unless_ended(&ToPeerServer::CheckOut(CheckOut { id, user: user.handle.id })).await? {
        id = peer.id();
    }
    stage.client(&other).await?.log_in().await.map(drop)
}

async fn a_fault_of_one(world: Arc<World>) -> Done {
    let stage = Stage::shared(&world).await?;
    let (user, other) = (stage.account().await?, stage.account().await?);
    let mut first = stage.logged_in(&user).await?;
    first.allows(&[&other.handle]).await?;
    let (faulty, mut third) = (stage.client(&user).await?, stage.client(&user).await?);
    let mut other_client = stage.logged_in(&other).await?;
    faulty.break_a_rule().await?;
    first.probe().await?;
    third.probe().await?;
    expect_equal("the address", &Ok(first.address()), &other_client.lookup(&user.handle).await?)
}
