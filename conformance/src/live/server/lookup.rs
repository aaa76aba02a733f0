//! Address lookup for a client (chapter *Address lookup*, section *Asking*), and the one answer for every no.

use std::{sync::Arc, time::Instant};

use antiphon_spec::{
    error_code::ErrorCode,
    identity::UserHandle,
    message::{
        client_server::{Address, FromServer, Lookup, ToServer},
        common::RequestId,
        location::ContactRecord,
        server_server::LoginEpoch,
    },
};

use super::stage::{Client, Done, Played, Stage, a_beat_later, address, case, expect_equal, profile, want};
use crate::{
    case::Failure,
    live::{LiveCase, World},
};

/// The cases of this file.
pub(super) const CASES: &[LiveCase] = &[
    case(
        "lookup/own-list-first",
        &["ADDR-001", "ADDR-008"],
        "A newer record of another server stands under the ID of a user who is logged in here; the own list answers.",
        |world| Box::pin(own_list_first(world)),
    ),
    case(
        "lookup/server-of-the-greatest-epoch",
        &["ADDR-002", "ADDR-004"],
        "Three servers have records of a user; the one with the greatest epoch is asked, and its address handed on.",
        |world| Box::pin(server_of_the_greatest_epoch(world)),
    ),
    case(
        "lookup/names-the-asker",
        &["ADDR-003"],
        "Two users ask for a third one elsewhere; each resolve names the handle of the certificate, home server included.",
        |world| Box::pin(names_the_asker(world)),
    ),
    case(
        "lookup/one-answer-for-every-no",
        &["ADDR-009", "ADDR-011"],
        "Lookups of nobody, of somebody offline and of two who deny the asker are answered with equal frames but for the ID.",
        |world| Box::pin(one_answer_for_every_no(world)),
    ),
    case(
        "lookup/denied-elsewhere",
        &["ADDR-009", "ADDR-011"],
        "The other server refuses a resolve with unavailable, forbidden or no-such-user; the client is told unavailable each time.",
        |world| Box::pin(denied_elsewhere(world)),
    ),
    case(
        "lookup/refused-at-a-beat",
        &["ADDR-014", "ADDR-012"],
        "Lookups of nobody, of one who denies the asker here and of one who does elsewhere are refused no sooner than a beat after they were sent.",
        |world| Box::pin(refused_at_a_beat(world)),
    ),
    case(
        "lookup/location-refuses",
        &["ADDR-010", "ADDR-011"],
        "The directory node refuses the find: the lookup is refused with unavailable, in the same words as for nobody.",
        |world| Box::pin(location_refuses(world)),
    ),
    case(
        "lookup/location-down",
        &["ADDR-010", "ADDR-001"],
        "The directory node is down: who is on the own list is found, everybody else unavailable.",
        |world| Box::pin(location_down(world)),
    ),
    case(
        "lookup/server-down",
        &["ADDR-010", "ADDR-011"],
        "Nobody listens at the address of the record's server: refused with unavailable.",
        |world| Box::pin(server_down(world)),
    ),
    case(
        "lookup/server-is-another",
        &["ADDR-010", "CERT-022"],
        "Who answers at the address of the record's server proves another name; it is asked nothing, and the answer is unavailable.",
        |world| Box::pin(server_is_another(world)),
    ),
    case(
        "lookup/record-of-itself",
        &["ADDR-009", "ADDR-002"],
        "The only record names the server under test, where the user is not logged in: refused with unavailable.",
        |world| Box::pin(record_of_itself(world)),
    ),
    case(
        "lookup/connection-lost",
        &["ADDR-010", "WIRE-051"],
        "The other server cuts the connection on a resolve, and on the next one: the lookup is refused with unavailable.",
        |world| Box::pin(connection_lost(world)),
    ),
    case(
        "lookup/whole-handle",
        &["ADDR-007", "IDENT-008"],
        "A lookup with the user ID of somebody who is logged in here and the name of another home is refused with unavailable.",
        |world| Box::pin(whole_handle(world)),
    ),
    case(
        "lookup/address-of-the-newer-login",
        &["ADDR-008", "LOGIN-026"],
        "A user logs in twice; the address of the second login is told.",
        |world| Box::pin(address_of_the_newer_login(world)),
    ),
    case(
        "lookup/many-at-once",
        &["WIRE-057", "WIRE-058", "WIRE-059"],
        "Five lookups wait for another server, whose requests have five IDs; answered in the opposite order, each comes with its ID.",
        |world| Box::pin(many_at_once(world)),
    ),
    case(
        "lookup/answer-to-nothing",
        &["WIRE-061"],
        "The other server answers a resolve with an ID of no request: its connection is closed with unexpected-message.",
        |world| Box::pin(wrong_answer(world, true)),
    ),
    case(
        "lookup/answer-of-another-kind",
        &["WIRE-061"],
        "The other server answers a resolve with checked-in: its connection is closed with unexpected-message.",
        |world| Box::pin(wrong_answer(world, false)),
    ),
    case(
        "lookup/no-answer",
        &["WIRE-062", "ADDR-010"],
        "The other server never answers a resolve: the lookup is refused with unavailable, and its connection ended.",
        |world| Box::pin(no_answer(world)),
    ),
    case(
        "lookup/asked-anew-after-goodbye",
        &["WIRE-050", "ADDR-002"],
        "The other server says goodbye after an answer; the next lookup is asked on a new connection.",
        |world| Box::pin(asked_anew_after_goodbye(world)),
    ),
];

/// A client that is logged in, and a user who is logged in at a played server.
async fn two(stage: &Stage) -> Result<(Client, Played, UserHandle), Failure> {
    let asker = stage.account().await?;
    let client = stage.logged_in(&asker).await?;
    let other = stage.played("other").await?;
    let user = other.user()?;
    stage.node().put(user.id, other.record(1));
    Ok((client, other, user))
}

async fn own_list_first(world: Arc<World>) -> Done {
    let stage = Stage::shared(&world).await?;
    let other = stage.played("other").await?;
    let (asker, user) = (stage.account().await?, stage.account().await?);
    let mut client = stage.logged_in(&user).await?;
    client.allows(&[&asker.handle]).await?;
    let mut asker = stage.logged_in(&asker).await?;
    stage.node().put(user.handle.id, other.record(u64::MAX));
    expect_equal("the address", &Ok(client.address()), &asker.lookup(&user.handle).await?)?;
    expect_equal("what the other server was asked", &0, &other.asked())
}

async fn server_of_the_greatest_epoch(world: Arc<World>) -> Done {
    let stage = Stage::shared(&world).await?;
    let (mut client, other, user) = two(&stage).await?;
    let (mut newest, third) = (stage.played("newest").await?, stage.played("third").await?);
    stage.node().put(user.id, newest.record(7));
    stage.node().put(user.id, third.record(3));
    let id = client.ask_lookup(&user).await?;
    let asked = newest.resolve().await?;
    expect_equal("whose address", &user, &asked.body().user)?;
    let told = address("203.0.113.9:999")?;
    asked.resolved(told);
    let answer = want!(client.next().await?, FromServer::Address(it) => it; "address")?;
    expect_equal("the answer", &Address { id, address: told }, &answer)?;
    expect_equal("what the others were asked", &(0, 0), &(other.asked(), third.asked()))
}

async fn names_the_asker(world: Arc<World>) -> Done {
    let stage = Stage::shared(&world).await?;
    let (_, mut other, user) = two(&stage).await?;
    let mut home = stage.played("home").await?;
    let (one, two) = (stage.account().await?, stage.visitor(&home)?);
    let mut first = stage.logged_in(&one).await?;
    let mut second = stage.logged_in_away(&mut home, &two, 1, profile(0, &[], &[], true)).await?;
    for (client, asker) in [(&mut first, &one), (&mut second, &two)] {
        let id = client.ask_lookup(&user).await?;
        let asked = other.resolve().await?;
        expect_equal("the asker", &asker.handle, &asked.body().asker)?;
        asked.refuse(ErrorCode::Unavailable);
        client.is_refused(id, ErrorCode::Unavailable).await?;
    }
    Ok(())
}

/// The frame with which a lookup is answered; always under the same ID, so that frames can be compared.
async fn frame(client: &mut Client, user: &UserHandle) -> Result<String, Failure> {
    client.send(&ToServer::Lookup(Lookup { id: RequestId(7_777), user: user.clone() })).await?;
    client.next_frame().await.map(hex::encode)
}

async fn one_answer_for_every_no(world: Arc<World>) -> Done {
    let stage = Stage::shared(&world).await?;
    let asker = stage.account().await?;
    let mut client = stage.logged_in(&asker).await?;
    let nobody = stage.stranger()?;
    let offline = stage.account().await?;
    // One who denies this asker, and one who denies everybody.
    let (one, two) = (stage.account().await?, stage.account().await?);
    let (mut first, mut second) = (stage.logged_in(&one).await?, stage.logged_in(&two).await?);
    let set = first.set(&profile(0, &[&asker.handle.to_string()], &[], true)).await?;
    expect_equal("set", &true, &set.is_ok())?;
    expect_equal("set", &true, &second.set(&profile(0, &[], &[], false)).await?.is_ok())?;
    let elsewhere = stage.played("elsewhere").await?.user()?;
    let expected = frame(&mut client, &nobody.handle).await?;
    client.send(&ToServer::Lookup(Lookup { id: RequestId(7_777), user: nobody.handle.clone() })).await?;
    client.is_refused(RequestId(7_777), ErrorCode::Unavailable).await?;
    for user in [&offline.handle, &one.handle, &two.handle, &elsewhere] {
        expect_equal("the frame", &expected, &frame(&mut client, user).await?)?;
    }
    Ok(())
}

async fn denied_elsewhere(world: Arc<World>) -> Done {
    let stage = Stage::shared(&world).await?;
    let (mut client, mut other, user) = two(&stage).await?;
    let expected = frame(&mut client, &stage.stranger()?.handle).await?;
    for code in [ErrorCode::Unavailable, ErrorCode::Forbidden, ErrorCode::NoSuchUser, ErrorCode::Internal] {
        client.send(&ToServer::Lookup(Lookup { id: RequestId(7_777), user: user.clone() })).await?;
        other.resolve().await?.refuse(code);
        expect_equal("the frame", &expected, &hex::encode(client.next_frame().await?))?;
    }
    Ok(())
}

async fn refused_at_a_beat(world: Arc<World>) -> Done {
    let stage = Stage::shared(&world).await?;
    let (mut client, mut other, elsewhere) = two(&stage).await?;
    let denying = stage.account().await?;
    let mut there = stage.logged_in(&denying).await?;
    expect_equal("set", &true, &there.set(&profile(0, &[], &[], false)).await?.is_ok())?;
    for user in [&stage.stranger()?.handle, &denying.handle, &elsewhere] {
        let sent = Instant::now();
        let id = client.ask_lookup(user).await?;
        if *user == elsewhere {
            other.resolve().await?.refuse(ErrorCode::Unavailable);
        }
        client.is_refused(id, ErrorCode::Unavailable).await?;
        a_beat_later(sent)?;
    }
    Ok(())
}

async fn location_refuses(world: Arc<World>) -> Done {
    let stage = Stage::shared(&world).await?;
    let (mut client, _, user) = two(&stage).await?;
    let expected = frame(&mut client, &stage.stranger()?.handle).await?;
    let _refusing = stage.node().refuse(user.id);
    expect_equal("the frame", &expected, &frame(&mut client, &user).await?)
}

async fn location_down(world: Arc<World>) -> Done {
    let stage = Stage::alone(&world, super::stage::Alone::default()).await?;
    let (asker, user) = (stage.account().await?, stage.account().await?);
    let (mut client, mut there) = (stage.logged_in(&asker).await?, stage.logged_in(&user).await?);
    there.allows(&[&asker.handle]).await?;
    let expected = frame(&mut client, &stage.stranger()?.handle).await?;
    stage.node().go_down();
    expect_equal("the frame", &expected, &frame(&mut client, &stage.stranger()?.handle).await?)?;
    expect_equal("the address", &Ok(there.address()), &client.lookup(&user.handle).await?)
}

async fn server_down(world: Arc<World>) -> Done {
    let stage = Stage::shared(&world).await?;
    let (mut client, other, user) = two(&stage).await?;
    let expected = frame(&mut client, &stage.stranger()?.handle).await?;
    other.stop();
    expect_equal("the frame", &expected, &frame(&mut client, &user).await?)
}

async fn server_is_another(world: Arc<World>) -> Done {
    let stage = Stage::shared(&world).await?;
    let (mut client, other, user) = two(&stage).await?;
    let gone = stage.played("gone").await?;
    gone.hide(&stage);
    let record =
        ContactRecord { epoch: LoginEpoch(5), server: gone.name().clone(), address: other.address() };
    stage.node().put(user.id, record);
    gone.stop();
    expect_equal("the answer", &Err(ErrorCode::Unavailable), &client.lookup(&user).await?)?;
    expect_equal("what the other server was asked", &0, &other.asked())
}

async fn record_of_itself(world: Arc<World>) -> Done {
    let stage = Stage::shared(&world).await?;
    let (mut client, _, _) = two(&stage).await?;
    let user = stage.account().await?;
    let record =
        ContactRecord { epoch: LoginEpoch(1), server: stage.name().clone(), address: stage.address() };
    stage.node().put(user.handle.id, record);
    expect_equal("the answer", &Err(ErrorCode::Unavailable), &client.lookup(&user.handle).await?)
}

async fn connection_lost(world: Arc<World>) -> Done {
    let stage = Stage::shared(&world).await?;
    let (mut client, mut other, user) = two(&stage).await?;
    let id = client.ask_lookup(&user).await?;
    let cut = async {
        // A server may ask again, but not for ever.
        loop {
            other.resolve().await?.cut();
        }
    };
    tokio::select! {
        answered = client.is_refused(id, ErrorCode::Unavailable) => answered,
        failed = cut => { let failed: Result<std::convert::Infallible, Failure> = failed; failed.map(|_| ()) }
    }
}

async fn whole_handle(world: Arc<World>) -> Done {
    let stage = Stage::shared(&world).await?;
    let (asker, user) = (stage.account().await?, stage.account().await?);
    let (mut client, mut there) = (stage.logged_in(&asker).await?, stage.logged_in(&user).await?);
    there.allows(&[&asker.handle]).await?;
    let namesake =
        UserHandle { id: user.handle.id, home: "elsewhere.example".parse().map_err(Failure::harness)? };
    expect_equal("the answer", &Err(ErrorCode::Unavailable), &client.lookup(&namesake).await?)?;
    expect_equal("the address", &Ok(there.address()), &client.lookup(&user.handle).await?)
}

async fn address_of_the_newer_login(world: Arc<World>) -> Done {
    let stage = Stage::shared(&world).await?;
    let (asker, user) = (stage.account().await?, stage.account().await?);
    let (mut client, mut first) = (stage.logged_in(&asker).await?, stage.logged_in(&user).await?);
    first.allows(&[&asker.handle]).await?;
    expect_equal("the address", &Ok(first.address()), &client.lookup(&user.handle).await?)?;
    let second = stage.logged_in(&user).await?;
    expect_equal("the address then", &Ok(second.address()), &client.lookup(&user.handle).await?)
}

async fn many_at_once(world: Arc<World>) -> Done {
    let stage = Stage::shared(&world).await?;
    let (mut client, mut other, _) = two(&stage).await?;
    let mut open = Vec::new();
    for number in [12, 3, u64::MAX, 0, 4] {
        let user = other.user()?;
        stage.node().put(user.id, other.record(1));
        client.send(&ToServer::Lookup(Lookup { id: RequestId(number), user: user.clone() })).await?;
        open.push((number, user));
    }
    let mut asked = Vec::new();
    for _ in &open {
        asked.push(other.resolve().await?);
    }
    let mut ids: Vec<u64> = asked.iter().map(|asked| asked.body().id.0).collect();
    ids.sort_unstable();
    ids.dedup();
    expect_equal("IDs of open requests", &open.len(), &ids.len())?;
    // Each user has a port that tells the answers apart.
    let port = |user: &UserHandle| {
        let place = open.iter().position(|(_, it)| it == user).unwrap_or_default();
        address(&format!("192.0.2.8:{}", 100 + place))
    };
    for asked in asked.into_iter().rev() {
        let told = port(&asked.body().user)?;
        asked.resolved(told);
    }
    let mut left = open.clone();
    while !left.is_empty() {
        let answer = want!(client.next().await?, FromServer::Address(it) => it; "address")?;
        let place = left.iter().position(|(number, _)| *number == answer.id.0);
        let place = place.ok_or_else(|| Failure::unexpected("the ID of an open request", answer.id.0))?;
        let (_, user) = left.remove(place);
        expect_equal("the address", &port(&user)?, &answer.address)?;
    }
    client.probe().await
}

async fn wrong_answer(world: Arc<World>, right_kind: bool) -> Done {
    let stage = Stage::shared(&world).await?;
    let (mut client, mut other, user) = two(&stage).await?;
    let id = client.ask_lookup(&user).await?;
    let asked = other.resolve().await?;
    let watched = if right_kind { asked.answer_to_nothing() } else { asked.answer_of_another_kind() };
    watched.closed_with(ErrorCode::UnexpectedMessage).await?;
    // It may ask again, on a new connection, or give up.
    let refuse = async { other.resolve().await.map(|asked| asked.refuse(ErrorCode::Unavailable)) };
    let answered = client.is_refused(id, ErrorCode::Unavailable);
    tokio::pin!(answered);
    tokio::select! {
        biased;
        answered = &mut answered => answered,
        refused = refuse => {
            refused?;
            answered.await
        }
    }
}

async fn no_answer(world: Arc<World>) -> Done {
    let stage = Stage::shared(&world).await?;
    let (mut client, mut other, user) = two(&stage).await?;
    let id = client.ask_lookup(&user).await?;
    let asked = other.resolve().await?;
    client.is_refused_at_last(id, ErrorCode::Unavailable).await?;
    asked.ended().await
}

async fn asked_anew_after_goodbye(world: Arc<World>) -> Done {
    let stage = Stage::shared(&world).await?;
    let (mut client, mut other, user) = two(&stage).await?;
    let told = address("192.0.2.1:2")?;
    for round in 0..2 {
        let id = client.ask_lookup(&user).await?;
        let asked = other.resolve().await?;
        if round == 0 {
            asked.resolved_and_goodbye(told)
        } else {
            asked.resolved(told)
        }
        let answer = want!(client.next().await?, FromServer::Address(it) => it; "address")?;
        expect_equal("the answer", &Address { id, address: told }, &answer)?;
    }
    Ok(())
}
