//! What a server still knows after it was killed and started again: all that it has answered for.

use std::sync::Arc;

use antiphon_spec::{error_code::ErrorCode, message::server_server::ProfileVersion};

use super::stage::{Alone, Done, Stage, case, expect_equal, profile};
use crate::{
    case::Failure,
    live::{LiveCase, World},
};

/// The cases of this file.
pub(super) const CASES: &[LiveCase] = &[
    case(
        "restart/accounts",
        &["REG-012", "REG-007", "REG-008"],
        "Two keys are registered and the server is killed at once: afterwards they have the handles they had, and a third key another.",
        |world| Box::pin(accounts(world)),
    ),
    case(
        "restart/login-epochs",
        &["LOGIN-015", "LOGIN-016"],
        "A user is checked out, and the server is killed at once; the next login epochs are greater, at home and elsewhere.",
        |world| Box::pin(login_epochs(world)),
    ),
    case(
        "restart/holder",
        &["LOGIN-035", "LOGIN-016", "LOGIN-018"],
        "After the restart the holder of a login still stores under its epoch, another server does not.",
        |world| Box::pin(holder(world)),
    ),
    case(
        "restart/replace",
        &["LOGIN-035", "LOGIN-021"],
        "After the restart another server checks out: the holder of the login before is sent replace.",
        |world| Box::pin(replace(world)),
    ),
    case(
        "restart/preferences",
        &["PREF-014", "PREF-007", "PREF-015"],
        "A user changes the preferences and a server stores another user's; the server is killed at once, and knows both afterwards.",
        |world| Box::pin(preferences(world)),
    ),
    case(
        "restart/log-in-again",
        &["LOGIN-004", "LOGIN-015"],
        "A user was logged in when the server was killed; the user logs in again, with a greater epoch, and is found.",
        |world| Box::pin(log_in_again(world)),
    ),
];

/// Kills the server and starts it again over what it has stored.
async fn crash(stage: &mut Stage) -> Done {
    stage.kill().await;
    stage.restart(Alone::default()).await
}

async fn accounts(world: Arc<World>) -> Done {
    let mut stage = Stage::alone(&world, Alone::default()).await?;
    let keys = [stage.key()?, stage.key()?, stage.key()?];
    let [one, two, three] = &keys;
    let before = (stage.register(one).await?.handle, stage.register(two).await?.handle);
    crash(&mut stage).await?;
    let after = (stage.register(one).await?.handle, stage.register(two).await?.handle);
    expect_equal("the handles", &before, &after)?;
    let third = stage.register(three).await?.handle;
    expect_equal("a handle of its own", &false, &(third == after.0 || third == after.1))
}

async fn login_epochs(world: Arc<World>) -> Done {
    let mut stage = Stage::alone(&world, Alone::default()).await?;
    let user = stage.account().await?;
    let played = stage.played("other").await?;
    let mut epochs = vec![stage.client(&user).await?.log_in().await?.epoch];
    for _ in 0..2 {
        epochs.push(played.dial(&stage).await?.check_out(user.handle.id).await?.epoch);
        crash(&mut stage).await?;
    }
    epochs.push(played.dial(&stage).await?.check_out(user.handle.id).await?.epoch);
    epochs.push(stage.client(&user).await?.log_in().await?.epoch);
    if epochs.is_sorted_by(|a, b| a < b) {
        Ok(())
    } else {
        Err(Failure::unexpected("login epochs that increase", format!("{epochs:?}")))
    }
}

async fn holder(world: Arc<World>) -> Done {
    let mut stage = Stage::alone(&world, Alone::default()).await?;
    let user = stage.account().await?.handle.id;
    let (one, two) = (stage.played("one").await?, stage.played("two").await?);
    let epoch = one.dial(&stage).await?.check_out(user).await?.epoch;
    crash(&mut stage).await?;
    let (mut one, mut two) = (one.dial(&stage).await?, two.dial(&stage).await?);
    let changed = profile(0, &[], &[], false);
    expect_equal("the other", &Err(ErrorCode::LoginReplaced), &two.store(user, epoch, &changed).await?)?;
    expect_equal("the holder", &Ok(ProfileVersion(1)), &one.store(user, epoch, &changed).await?)
}

async fn replace(world: Arc<World>) -> Done {
    let mut stage = Stage::alone(&world, Alone::default()).await?;
    let user = stage.account().await?;
    let (mut one, two) = (stage.played("one").await?, stage.played("two").await?);
    let epoch = one.dial(&stage).await?.check_out(user.handle.id).await?.epoch;
    crash(&mut stage).await?;
    two.dial(&stage).await?.check_out(user.handle.id).await?;
    one.hears_of_the_end(&user.handle, epoch).await
}

async fn preferences(world: Arc<World>) -> Done {
    let mut stage = Stage::alone(&world, Alone::default()).await?;
    let (here, there) = (stage.account().await?, stage.account().await?);
    let changed = |version| profile(version, &["1@one.example"], &["2@two.example"], false);
    let played = stage.played("other").await?;
    let mut peer = played.dial(&stage).await?;
    let epoch = peer.check_out(there.handle.id).await?.epoch;
    let mut client = stage.logged_in(&here).await?;
    expect_equal("set", &Ok(ProfileVersion(1)), &client.set(&changed(0)).await?)?;
    expect_equal("stored", &Ok(ProfileVersion(1)), &peer.store(there.handle.id, epoch, &changed(0)).await?)?;
    crash(&mut stage).await?;
    let mut peer = played.dial(&stage).await?;
    for user in [&here, &there] {
        expect_equal("the profile", &changed(1), &peer.check_out(user.handle.id).await?.profile)?;
    }
    Ok(())
}

async fn log_in_again(world: Arc<World>) -> Done {
    let mut stage = Stage::alone(&world, Alone::default()).await?;
    let (user, asker) = (stage.account().await?, stage.account().await?);
    let mut before = stage.client(&user).await?;
    let epoch = before.log_in().await?.epoch;
    before.allows(&[&asker.handle]).await?;
    crash(&mut stage).await?;
    let mut client = stage.client(&user).await?;
    let again = client.log_in().await?.epoch;
    expect_equal("a greater epoch", &true, &(again > epoch))?;
    let told = stage.logged_in(&asker).await?.lookup(&user.handle).await?;
    expect_equal("the address", &Ok(client.address()), &told)
}
