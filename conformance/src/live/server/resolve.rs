//! Address lookup for another server (chapter *Address lookup*, section *Resolving*), and how preferences judge.

use std::sync::Arc;

use antiphon_spec::{
    error_code::ErrorCode,
    identity::UserHandle,
    message::{
        common::RequestId,
        server_server::{LoginEpoch, Resolve, ToPeerServer},
    },
};

use super::stage::{Client, Done, PeerLink, Played, Stage, User, case, expect_equal, profile};
use crate::{
    case::Failure,
    live::{LiveCase, World},
};

/// The cases of this file.
pub(super) const CASES: &[LiveCase] = &[
    case(
        "resolve/tells-the-address",
        &["ADDR-008", "ADDR-004"],
        "A server asks for a user who is logged in; it is told the address that the client gave.",
        |world| Box::pin(tells_the_address(world)),
    ),
    case(
        "resolve/own-list-alone",
        &["ADDR-006"],
        "A server asks for somebody who is logged in elsewhere; refused with unavailable, and nobody else is asked.",
        |world| Box::pin(own_list_alone(world)),
    ),
    case(
        "resolve/whole-handle",
        &["ADDR-007", "IDENT-008"],
        "A server asks with the user ID of somebody who is logged in and another home; refused with unavailable.",
        |world| Box::pin(whole_handle(world)),
    ),
    case(
        "resolve/one-answer-for-every-no",
        &["ADDR-009", "ADDR-011"],
        "Resolves for nobody, for somebody offline and for one who denies are answered with equal frames.",
        |world| Box::pin(one_answer_for_every_no(world)),
    ),
    case(
        "resolve/deny-before-allow",
        &["PREF-001", "ADDR-005"],
        "Who stands on both lists is denied, whatever the default.",
        |world| Box::pin(judged(world, &[(true, true, true, false), (true, true, false, false)])),
    ),
    case(
        "resolve/deny-list",
        &["PREF-001", "ADDR-005"],
        "Who stands on the deny list is denied, whatever the default.",
        |world| Box::pin(judged(world, &[(true, false, true, false), (true, false, false, false)])),
    ),
    case(
        "resolve/allow-list",
        &["PREF-001", "ADDR-005"],
        "Who stands on the allow list is told, whatever the default.",
        |world| Box::pin(judged(world, &[(false, true, true, true), (false, true, false, true)])),
    ),
    case(
        "resolve/default",
        &["ADDR-005", "PREF-001"],
        "Who stands on no list is not told, whatever the default.",
        |world| Box::pin(judged(world, &[(false, false, true, false), (false, false, false, false)])),
    ),
    case(
        "resolve/lists-hold-whole-handles",
        &["PREF-002", "IDENT-008"],
        "A namesake of the asker with another home stands on the lists, and they judge the asker as if it did not.",
        |world| Box::pin(lists_hold_whole_handles(world)),
    ),
    case(
        "resolve/denied-on-a-full-list",
        &["PREF-001", "LIM-001"],
        "The asker is the last of 200 on the deny list and is denied; its neighbour is told.",
        |world| Box::pin(denied_on_a_full_list(world)),
    ),
    case(
        "resolve/visitor-before-the-check-out",
        &["ADDR-006", "ADDR-009"],
        "While a visitor's check-out is not answered, a resolve for the visitor is refused with unavailable.",
        |world| Box::pin(visitor_before_the_check_out(world)),
    ),
];

/// A visitor who is logged in, with these preferences; the played home server asks.
async fn visit(
    stage: &Stage,
    user: User,
    home: &mut Played,
    profile_: antiphon_spec::message::server_server::Profile,
) -> Result<(Client, PeerLink), Failure> {
    let client = stage.logged_in_away(home, &user, 1, profile_).await?;
    Ok((client, home.dial(stage).await?))
}

async fn tells_the_address(world: Arc<World>) -> Done {
    let stage = Stage::shared(&world).await?;
    let user = stage.account().await?;
    let mut client = stage.logged_in(&user).await?;
    let other = stage.played("other").await?;
    let mut peer = other.dial(&stage).await?;
    let asker = other.user()?;
    client.allows(&[&asker]).await?;
    expect_equal("the address", &Ok(client.address()), &peer.resolve(&user.handle, &asker).await?)?;
    expect_equal("the user's own", &Ok(client.address()), &peer.resolve(&user.handle, &user.handle).await?)
}

async fn own_list_alone(world: Arc<World>) -> Done {
    let stage = Stage::shared(&world).await?;
    let (other, third) = (stage.played("other").await?, stage.played("third").await?);
    let user = third.user()?;
    stage.node().put(user.id, third.record(4));
    let mut peer = other.dial(&stage).await?;
    let told = peer.resolve(&user, &other.user()?).await?;
    expect_equal("the answer", &Err(ErrorCode::Unavailable), &told)?;
    expect_equal("what the directory node was asked", &Vec::new(), &stage.node().log(user.id))?;
    expect_equal("what the third server was asked", &0, &third.asked())
}

async fn whole_handle(world: Arc<World>) -> Done {
    let stage = Stage::shared(&world).await?;
    let user = stage.account().await?;
    let mut client = stage.logged_in(&user).await?;
    let other = stage.played("other").await?;
    let mut peer = other.dial(&stage).await?;
    let namesake = UserHandle { id: user.handle.id, home: other.name().clone() };
    let asker = other.user()?;
    client.allows(&[&asker]).await?;
    expect_equal("the answer", &Err(ErrorCode::Unavailable), &peer.resolve(&namesake, &asker).await?)?;
    expect_equal("the address", &Ok(client.address()), &peer.resolve(&user.handle, &asker).await?)
}

async fn one_answer_for_every_no(world: Arc<World>) -> Done {
    let stage = Stage::shared(&world).await?;
    let (offline, denies) = (stage.account().await?, stage.account().await?);
    let mut client = stage.logged_in(&denies).await?;
    expect_equal("set", &true, &client.set(&profile(0, &[], &[], false)).await?.is_ok())?;
    let other = stage.played("other").await?;
    let mut peer = other.dial(&stage).await?;
    let asker = other.user()?;
    let mut frames = Vec::new();
    for user in [stage.stranger()?.handle, offline.handle, denies.handle, other.user()?] {
        let asked = Resolve { id: RequestId(5), user, asker: asker.clone() };
        peer.send(&ToPeerServer::Resolve(asked)).await?;
        frames.push(hex::encode(peer.next_frame().await?));
    }
    let first = frames.first().cloned().unwrap_or_default();
    expect_equal("frames", &vec![first; frames.len()], &frames)?;
    let told = peer.resolve(&stage.stranger()?.handle, &asker).await?;
    expect_equal("the answer", &Err(ErrorCode::Unavailable), &told)
}

/// Rows of the table: on the deny list, on the allow list, the default, the verdict.
async fn judged(world: Arc<World>, rows: &'static [(bool, bool, bool, bool)]) -> Done {
    let stage = Stage::shared(&world).await?;
    for (is_denied, is_allowed, default, verdict) in rows {
        let mut home = stage.played("home").await?;
        let (user, asker) = (stage.visitor(&home)?, home.user()?);
        let asker_text = asker.to_string();
        let list =
            |is_on| if is_on { vec!["0@zero.example", asker_text.as_str()] } else { vec!["0@zero.example"] };
        let preferences = profile(0, &list(*is_denied), &list(*is_allowed), *default);
        let handle = user.handle.clone();
        let (client, mut peer) = visit(&stage, user, &mut home, preferences).await?;
        let expected = if *verdict { Ok(client.address()) } else { Err(ErrorCode::Unavailable) };
        expect_equal("the answer", &expected, &peer.resolve(&handle, &asker).await?)?;
    }
    Ok(())
}

async fn lists_hold_whole_handles(world: Arc<World>) -> Done {
    let stage = Stage::shared(&world).await?;
    for is_denied in [true, false] {
        let mut home = stage.played("home").await?;
        let (user, asker) = (stage.visitor(&home)?, home.user()?);
        let namesake = format!("{}@namesake.example", asker.id);
        let (list, own) = ([namesake.as_str()], asker.to_string());
        let preferences =
            if is_denied { profile(0, &list, &[&own], true) } else { profile(0, &[], &list, false) };
        let handle = user.handle.clone();
        let (client, mut peer) = visit(&stage, user, &mut home, preferences).await?;
        let expected = if is_denied { Ok(client.address()) } else { Err(ErrorCode::Unavailable) };
        expect_equal("the answer", &expected, &peer.resolve(&handle, &asker).await?)?;
    }
    Ok(())
}

async fn denied_on_a_full_list(world: Arc<World>) -> Done {
    let stage = Stage::shared(&world).await?;
    let mut home = stage.played("home").await?;
    let user = stage.visitor(&home)?;
    let handle = |number: u32| format!("{number:032x}@{}", home.name());
    let list: Vec<String> = (1..=200).map(handle).collect();
    let [last, neighbour] = [200, 201].map(|number| handle(number).parse::<UserHandle>());
    let list: Vec<&str> = list.iter().map(String::as_str).collect();
    let allowed = [handle(200), handle(201)];
    let allowed: Vec<&str> = allowed.iter().map(String::as_str).collect();
    let preferences = profile(0, &list, &allowed, true);
    let asked = user.handle.clone();
    let (client, mut peer) = visit(&stage, user, &mut home, preferences).await?;
    let last = last.map_err(Failure::harness)?;
    expect_equal(
        "the answer to the last",
        &Err(ErrorCode::Unavailable),
        &peer.resolve(&asked, &last).await?,
    )?;
    let neighbour = neighbour.map_err(Failure::harness)?;
    expect_equal(
        "the answer to its neighbour",
        &Ok(client.address()),
        &peer.resolve(&asked, &neighbour).await?,
    )
}

async fn visitor_before_the_check_out(world: Arc<World>) -> Done {
    let stage = Stage::shared(&world).await?;
    let mut home = stage.played("home").await?;
    let user = stage.visitor(&home)?;
    let mut client = stage.client(&user).await?;
    client.ask_login().await?;
    let asked = home.check_out().await?;
    let mut peer = home.dial(&stage).await?;
    expect_equal("the list", &Err(ErrorCode::Unavailable), &peer.resolve(&user.handle, &user.handle).await?)?;
    asked.checked_out(1, profile(0, &[], &[], true));
    expect_equal("the epoch", &LoginEpoch(1), &client.logged_in().await?.epoch)?;
    expect_equal("the list then", &Ok(client.address()), &peer.resolve(&user.handle, &user.handle).await?)
}
