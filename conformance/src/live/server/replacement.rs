//! A newer login takes the place of the older one (chapter *Login and logout*, section *Replacement*).

use std::{pin::pin, sync::Arc};

use antiphon_spec::{
    error_code::ErrorCode,
    identity::UserHandle,
    message::{
        client_server::FromServer,
        location::{ContactRecord, ToDirectoryNode},
        server_server::LoginEpoch,
    },
};
use futures::future::Either;

use super::stage::{Done, Stage, case, expect_equal, profile, want};
use crate::live::{LiveCase, World};

/// The cases of this file.
pub(super) const CASES: &[LiveCase] = &[
    case(
        "replacement/second-login-at-home",
        &["LOGIN-026", "LOGIN-025", "LOGIN-007"],
        "A user logs in on a second connection; the first is told replaced with its epoch, then goodbye.",
        |world| Box::pin(second_login_at_home(world)),
    ),
    case(
        "replacement/second-login-of-a-visitor",
        &["LOGIN-026", "LOGIN-025", "LOGIN-033", "LOGIN-027"],
        "A visitor logs in on a second connection; the first is told replaced, and of the records the newer one is left.",
        |world| Box::pin(second_login_of_a_visitor(world)),
    ),
    case(
        "replacement/login-elsewhere",
        &["LOGIN-025", "LOGIN-021"],
        "Another server checks out a user who is logged in at home; the client is told replaced with its epoch, then goodbye.",
        |world| Box::pin(login_elsewhere(world)),
    ),
    case(
        "replacement/from-home",
        &["LOGIN-023", "LOGIN-025", "LOGIN-027"],
        "The home server sends replace with the login's epoch; the client is told, the list has the user no more, and no newer record is deleted.",
        |world| Box::pin(from_home(world)),
    ),
    case(
        "replacement/from-home-with-a-later-epoch",
        &["LOGIN-023"],
        "The home server sends replace with an epoch above the login's; the login ends.",
        |world| Box::pin(from_home_with_a_later_epoch(world)),
    ),
    case(
        "replacement/stale",
        &["LOGIN-023", "LOGIN-024"],
        "The home server sends replace with an epoch below the login's; it is answered and the login stands.",
        |world| Box::pin(stale(world)),
    ),
    case(
        "replacement/from-another-server",
        &["LOGIN-022"],
        "A server that is not the user's home sends replace: refused with forbidden, and the login stands.",
        |world| Box::pin(from_another_server(world)),
    ),
    case(
        "replacement/for-a-user-of-the-server",
        &["LOGIN-022"],
        "Another server sends replace for a user of the server under test: refused with forbidden, and the login stands.",
        |world| Box::pin(for_a_user_of_the_server(world)),
    ),
    case(
        "replacement/of-a-namesake",
        &["LOGIN-022", "IDENT-008"],
        "A server sends replace for its own user with the user ID of another server's; it is answered, and the other login stands.",
        |world| Box::pin(of_a_namesake(world)),
    ),
    case(
        "replacement/nobody-logged-in",
        &["LOGIN-024"],
        "A home server sends replace for a user who was never logged in, twice: answered with replace-done.",
        |world| Box::pin(nobody_logged_in(world)),
    ),
    case(
        "replacement/during-the-login",
        &["LOGIN-042", "LOGIN-023", "LOGIN-012"],
        "Replace comes with the epoch of the check-out, while its record is not answered: the login is refused with login-replaced.",
        |world| Box::pin(during_the_login(world)),
    ),
    case(
        "replacement/second-login-before-the-first-is-answered",
        &["LOGIN-026", "WIRE-058"],
        "A visitor asks to log in on two connections before the home server answers; in the end the second login stands alone.",
        |world| Box::pin(second_login_before_the_first_is_answered(world)),
    ),
    case(
        "replacement/during-a-change",
        &["LOGIN-023", "LOGIN-025"],
        "Replace comes while the home server has not answered a store: the client is told replaced, then goodbye.",
        |world| Box::pin(during_a_change(world)),
    ),
    case(
        "replacement/log-in-again",
        &["LOGIN-023"],
        "A user who was replaced from home logs in again, on a new connection, and the older replace has no power over it.",
        |world| Box::pin(log_in_again(world)),
    ),
];

async fn second_login_at_home(world: Arc<World>) -> Done {
    let stage = Stage::shared(&world).await?;
    let user = stage.account().await?;
    let (mut first, mut second) = (stage.client(&user).await?, stage.client(&user).await?);
    let older = first.log_in().await?.epoch;
    let newer = second.log_in().await?.epoch;
    expect_equal("the epoch that is over", &older, &first.replaced().await?)?;
    expect_equal("a greater epoch", &true, &(newer > older))?;
    expect_equal("the address", &Ok(second.address()), &second.lookup(&user.handle).await?)
}

async fn second_login_of_a_visitor(world: Arc<World>) -> Done {
    let stage = Stage::shared(&world).await?;
    let mut home = stage.played("home").await?;
    let user = stage.visitor(&home)?;
    let mut first = stage.logged_in_away(&mut home, &user, 4, profile(0, &[], &[], true)).await?;
    let mut second = stage.client(&user).await?;
    second.ask_login().await?;
    // Whether the older login is checked in, and when its client is told, is the server's own business.
    let (over, ()) = tokio::try_join!(first.replaced(), home.log_in(5, profile(0, &[], &[], true)))?;
    expect_equal("the epoch that is over", &LoginEpoch(4), &over)?;
    expect_equal("the newer epoch", &LoginEpoch(5), &second.logged_in().await?.epoch)?;
    let record =
        ContactRecord { epoch: LoginEpoch(5), server: stage.name().clone(), address: stage.address() };
    expect_equal("the records", &vec![record], &stage.node().records(user.handle.id))?;
    expect_equal("the address", &Ok(second.address()), &second.lookup(&user.handle).await?)
}

async fn login_elsewhere(world: Arc<World>) -> Done {
    let stage = Stage::shared(&world).await?;
    let (user, asker) = (stage.account().await?, stage.account().await?);
    let mut client = stage.client(&user).await?;
    let epoch = client.log_in().await?.epoch;
    let mut peer = stage.played("other").await?.dial(&stage).await?;
    peer.check_out(user.handle.id).await?;
    expect_equal("the epoch that is over", &epoch, &client.replaced().await?)?;
    let seen = stage.logged_in(&asker).await?.lookup(&user.handle).await?;
    expect_equal("the address", &Err(ErrorCode::Unavailable), &seen)
}

async fn from_home(world: Arc<World>) -> Done {
    let stage = Stage::shared(&world).await?;
    let mut home = stage.played("home").await?;
    let user = stage.visitor(&home)?;
    let mut client = stage.logged_in_away(&mut home, &user, 8, profile(0, &[], &[], true)).await?;
    // The newer login's record, of the server where it is.
    let newer = ContactRecord { epoch: LoginEpoch(9), server: home.name().clone(), address: home.address() };
    stage.node().put(user.handle.id, newer.clone());
    let mut peer = home.dial(&stage).await?;
    peer.replace(&user.handle, 8).await?;
    expect_equal("the epoch that is over", &LoginEpoch(8), &client.replaced().await?)?;
    expect_equal("the list", &Err(ErrorCode::Unavailable), &peer.resolve(&user.handle, &user.handle).await?)?;
    // Whatever was to be deleted is deleted before the user is logged in again. That may be the older record only.
    let _again = stage.logged_in_away(&mut home, &user, 10, profile(0, &[], &[], true)).await?;
    let own = |epoch| ContactRecord {
        epoch: LoginEpoch(epoch),
        server: stage.name().clone(),
        address: stage.address(),
    };
    for request in stage.node().log(user.handle.id) {
        if let ToDirectoryNode::Delete(delete) = request {
            expect_equal("a record that is deleted", &own(8), &delete.record)?;
        }
    }
    expect_equal("the records", &vec![own(10), newer], &stage.node().records(user.handle.id))
}

async fn from_home_with_a_later_epoch(world: Arc<World>) -> Done {
    let stage = Stage::shared(&world).await?;
    let mut home = stage.played("home").await?;
    let user = stage.visitor(&home)?;
    let mut client = stage.logged_in_away(&mut home, &user, 8, profile(0, &[], &[], true)).await?;
    home.dial(&stage).await?.replace(&user.handle, 12).await?;
    expect_equal("the epoch that is over", &LoginEpoch(8), &client.replaced().await?)
}

async fn stale(world: Arc<World>) -> Done {
    let stage = Stage::shared(&world).await?;
    let mut home = stage.played("home").await?;
    let user = stage.visitor(&home)?;
    let mut client = stage.logged_in_away(&mut home, &user, 8, profile(0, &[], &[], true)).await?;
    let mut peer = home.dial(&stage).await?;
    peer.replace(&user.handle, 7).await?;
    client.probe().await?;
    expect_equal("the list", &Ok(client.address()), &peer.resolve(&user.handle, &user.handle).await?)
}

async fn from_another_server(world: Arc<World>) -> Done {
    let stage = Stage::shared(&world).await?;
    let mut home = stage.played("home").await?;
    let user = stage.visitor(&home)?;
    let mut client = stage.logged_in_away(&mut home, &user, 8, profile(0, &[], &[], true)).await?;
    let mut peer = stage.played("other").await?.dial(&stage).await?;
    expect_equal("the answer", &Err(ErrorCode::Forbidden), &peer.try_replace(&user.handle, 8).await?)?;
    client.probe().await?;
    expect_equal("the list", &Ok(client.address()), &peer.resolve(&user.handle, &user.handle).await?)
}

async fn for_a_user_of_the_server(world: Arc<World>) -> Done {
    let stage = Stage::shared(&world).await?;
    let user = stage.account().await?;
    let mut client = stage.client(&user).await?;
    let epoch = client.log_in().await?.epoch;
    let mut peer = stage.played("other").await?.dial(&stage).await?;
    expect_equal("the answer", &Err(ErrorCode::Forbidden), &peer.try_replace(&user.handle, epoch.0).await?)?;
    client.probe().await?;
    expect_equal("the list", &Ok(client.address()), &peer.resolve(&user.handle, &user.handle).await?)
}

async fn of_a_namesake(world: Arc<World>) -> Done {
    let stage = Stage::shared(&world).await?;
    let user = stage.account().await?;
    let mut client = stage.client(&user).await?;
    let epoch = client.log_in().await?.epoch;
    let other = stage.played("other").await?;
    let mut peer = other.dial(&stage).await?;
    let namesake = UserHandle { id: user.handle.id, home: other.name().clone() };
    peer.replace(&namesake, epoch.0).await?;
    client.probe().await?;
    expect_equal("the list", &Ok(client.address()), &peer.resolve(&user.handle, &user.handle).await?)
}

async fn nobody_logged_in(world: Arc<World>) -> Done {
    let stage = Stage::shared(&world).await?;
    let home = stage.played("home").await?;
    let user = stage.visitor(&home)?;
    let mut peer = home.dial(&stage).await?;
    peer.replace(&user.handle, 3).await?;
    peer.replace(&user.handle, 3).await
}

async fn during_the_login(world: Arc<World>) -> Done {
    let stage = Stage::shared(&world).await?;
    let mut home = stage.played("home").await?;
    let user = stage.visitor(&home)?;
    let mut held = stage.node().hold(user.handle.id);
    let mut client = stage.client(&user).await?;
    client.ask_login().await?;
    home.check_out().await?.checked_out(5, profile(0, &[], &[], true));
    let insert = held.next().await?;
    let mut peer = home.dial(&stage).await?;
    peer.replace(&user.handle, 5).await?;
    insert.carry_out();
    drop(held);
    client.login_refused(ErrorCode::LoginReplaced).await?;
    expect_equal("the list", &Err(ErrorCode::Unavailable), &peer.resolve(&user.handle, &user.handle).await?)
}

async fn log_in_again(world: Arc<World>) -> Done {
    let stage = Stage::shared(&world).await?;
    let mut home = stage.played("home").await?;
    let user = stage.visitor(&home)?;
    let mut first = stage.logged_in_away(&mut home, &user, 2, profile(0, &[], &[], true)).await?;
    let mut peer = home.dial(&stage).await?;
    peer.replace(&user.handle, 2).await?;
    first.replaced().await?;
    let mut second = stage.logged_in_away(&mut home, &user, 3, profile(0, &[], &[], true)).await?;
    peer.replace(&user.handle, 2).await?;
    second.probe().await?;
    expect_equal("the list", &Ok(second.address()), &peer.resolve(&user.handle, &user.handle).await?)
}

async fn second_login_before_the_first_is_answered(world: Arc<World>) -> Done {
    let stage = Stage::shared(&world).await?;
    let mut home = stage.played("home").await?;
    let user = stage.visitor(&home)?;
    let (mut first, mut second) = (stage.client(&user).await?, stage.client(&user).await?);
    first.ask_login().await?;
    let asked = home.check_out().await?;
    second.ask_login().await?;
    second.probe().await?;
    asked.checked_out(1, profile(0, &[], &[], true));
    {
        // One check-out may serve both, or each has its own.
        let later = async { home.log_in(2, profile(0, &[], &[], true)).await };
        let both = async {
            let is_logged_in = want!(
                first.next().await?, FromServer::Refused(_) => false, FromServer::LoggedIn(_) => true; "refused or logged-in"
            )?;
            if is_logged_in {
                first.replaced().await?;
            }
            second.logged_in().await.map(drop)
        };
        let both = pin!(both);
        match futures::future::select(both, pin!(later)).await {
            Either::Left((both, _)) => both?,
            Either::Right((later, both)) => {
                later?;
                both.await?;
            }
        }
    }
    expect_equal("the address", &Ok(second.address()), &second.lookup(&user.handle).await?)?;
    expect_equal("the records", &1, &stage.node().records(user.handle.id).len())
}

async fn during_a_change(world: Arc<World>) -> Done {
    let stage = Stage::shared(&world).await?;
    let mut home = stage.played("home").await?;
    let user = stage.visitor(&home)?;
    let mut client = stage.logged_in_away(&mut home, &user, 3, profile(0, &[], &[], true)).await?;
    let id = client.ask_set(&profile(0, &[], &[], false)).await?;
    let store = home.store().await?;
    home.dial(&stage).await?.replace(&user.handle, 3).await?;
    store.refuse(ErrorCode::LoginReplaced);
    // The change may be refused before.
    let message = client.next().await?;
    let is_refused = want!(
        message, FromServer::Refused(body) if body.id == id => None, FromServer::Replaced(body) => Some(body.epoch);
        "replaced, or refused and replaced"
    )?;
    match is_refused {
        None => expect_equal("the epoch that is over", &LoginEpoch(3), &client.replaced().await?),
        Some(epoch) => expect_equal("the epoch that is over", &LoginEpoch(3), &epoch),
    }
}
