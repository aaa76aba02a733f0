//! The end of an account (chapter *Registration*), which an operator asks for.

use std::sync::Arc;

use antiphon_spec::{error_code::ErrorCode, message::server_server::LoginEpoch};
use tokio::time::{Instant, sleep};

use super::stage::{Alone, Done, PeerLink, Stage, User, case, expect_equal, profile};
use crate::{
    case::Failure,
    live::{LiveCase, World},
    process::PATIENCE,
};

/// The cases of this file.
pub(super) const CASES: &[LiveCase] = &[
    case(
        "endings/worth-nothing",
        &["REG-020", "REG-019"],
        "An account ends: check-out, store and renew are answered as for a user ID that has none, and login and register with no-such-user.",
        |world| Box::pin(worth_nothing(world)),
    ),
    case(
        "endings/other-server-is-told",
        &["REG-021"],
        "The account of a user ends who is logged in at another server: it is told replace with the login epoch.",
        |world| Box::pin(other_server_is_told(world)),
    ),
    case(
        "endings/login-at-home-ends",
        &["REG-021", "LOGIN-025"],
        "The account of a user ends who is logged in at home: the client is told replaced with its login epoch, then goodbye.",
        |world| Box::pin(login_at_home_ends(world)),
    ),
    case(
        "endings/others-stay",
        &["REG-020"],
        "The account of a user ends: another user of the server logs in, registers the key again and stays logged in.",
        |world| Box::pin(others_stay(world)),
    ),
    case(
        "endings/known-after-a-restart",
        &["REG-023", "REG-019", "REG-020"],
        "An account ends and the server is killed: afterwards check-out and register are refused as before.",
        |world| Box::pin(known_after_a_restart(world)),
    ),
    case(
        "endings/asked-for-while-down",
        &["REG-020"],
        "An account is to end while the server is down: it has ended when the server runs again.",
        |world| Box::pin(asked_for_while_down(world)),
    ),
];

/// Waits until a home server gives the user no login epoch any more; it may take a while to hear of the end.
async fn ended(peer: &mut PeerLink, user: &User) -> Done {
    let until = Instant::now() + PATIENCE;
    loop {
        match peer.try_check_out(user.handle.id).await? {
            Err(code) => return expect_equal("the answer", &ErrorCode::NoSuchUser, &code),
            Ok(_) if Instant::now() > until => {
                return Err(Failure::unexpected("the end of the account", "a login epoch"));
            }
            Ok(_) => sleep(PATIENCE / 100).await,
        }
    }
}

async fn is_not_registered(stage: &Stage, user: &User) -> Done {
    let mut registrar = stage.registrar().await?;
    let request = stage.request(&mut registrar, &user.key)?;
    registrar.refused(request, ErrorCode::NoSuchUser).await
}

async fn worth_nothing(world: Arc<World>) -> Done {
    let stage = Stage::alone(&world, Alone::default()).await?;
    let (user, nobody) = (stage.account().await?, stage.stranger()?);
    let mut peer = stage.played("one").await?.dial(&stage).await?;
    stage.end_account(&user.handle).await?;
    is_not_registered(&stage, &user).await?;
    ended(&mut peer, &user).await?;
    let epoch = LoginEpoch(1);
    let expected = peer.renew(nobody.handle.id, epoch).await?;
    expect_equal("renew", &expected, &peer.renew(user.handle.id, epoch).await?)?;
    let changed = profile(0, &[], &[], false);
    let expected = peer.store(nobody.handle.id, epoch, &changed).await?;
    expect_equal("store", &expected, &peer.store(user.handle.id, epoch, &changed).await?)?;
    let mut client = stage.client(&user).await?;
    client.ask_login().await?;
    client.login_refused(ErrorCode::NoSuchUser).await
}

async fn other_server_is_told(world: Arc<World>) -> Done {
    let stage = Stage::alone(&world, Alone::default()).await?;
    let user = stage.account().await?;
    let mut one = stage.played("one").await?;
    let epoch = one.dial(&stage).await?.check_out(user.handle.id).await?.epoch;
    stage.end_account(&user.handle).await?;
    one.hears_of_the_end(&user.handle, epoch).await
}

async fn login_at_home_ends(world: Arc<World>) -> Done {
    let stage = Stage::alone(&world, Alone::default()).await?;
    let user = stage.account().await?;
    let mut client = stage.client(&user).await?;
    let epoch = client.log_in().await?.epoch;
    stage.end_account(&user.handle).await?;
    expect_equal("the epoch that is over", &epoch, &client.replaced().await?)
}

async fn others_stay(world: Arc<World>) -> Done {
    let stage = Stage::alone(&world, Alone::default()).await?;
    let (user, other) = (stage.account().await?, stage.account().await?);
    let mut client = stage.logged_in(&other).await?;
    stage.end_account(&user.handle).await?;
    ended(&mut stage.played("one").await?.dial(&stage).await?, &user).await?;
    expect_equal("the handle", &other.handle, &stage.register(&other.key).await?.handle)?;
    client.probe().await
}

async fn known_after_a_restart(world: Arc<World>) -> Done {
    let mut stage = Stage::alone(&world, Alone::default()).await?;
    let user = stage.account().await?;
    let one = stage.played("one").await?;
    stage.end_account(&user.handle).await?;
    ended(&mut one.dial(&stage).await?, &user).await?;
    stage.kill().await;
    stage.restart(Alone::default()).await?;
    let answer = one.dial(&stage).await?.try_check_out(user.handle.id).await?.map(|_| ());
    expect_equal("the check-out", &Err(ErrorCode::NoSuchUser), &answer)?;
    is_not_registered(&stage, &user).await
}

async fn asked_for_while_down(world: Arc<World>) -> Done {
    let mut stage = Stage::alone(&world, Alone::default()).await?;
    let user = stage.account().await?;
    let one = stage.played("one").await?;
    stage.kill().await;
    stage.end_account(&user.handle).await?;
    stage.restart(Alone::default()).await?;
    ended(&mut one.dial(&stage).await?, &user).await
}
