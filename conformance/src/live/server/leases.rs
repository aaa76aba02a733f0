//! Login epochs are lent for a time (chapter *Login and logout*, section *Leases*): by a home server, and to a local one.

use std::sync::Arc;

use antiphon_spec::{
    error_code::ErrorCode,
    message::{
        client_server::FromServer,
        server_server::{LoginEpoch, ProfileVersion},
    },
    time::Timestamp,
};

use super::stage::{Alone, Client, Done, PeerLink, Played, Stage, User, case, expect_equal, profile, want};
use crate::{
    case::Failure,
    live::{LiveCase, World},
};

/// The cases of this file.
pub(super) const CASES: &[LiveCase] = &[
    case(
        "leases/told",
        &["LOGIN-036", "LOGIN-038"],
        "A check-out and each renewal by its holder are answered with a lease of 1 to 300 seconds; after them the holder stores.",
        |world| Box::pin(told(world)),
    ),
    case(
        "leases/ends",
        &["LOGIN-021", "LOGIN-036"],
        "Nobody renews a lease of four seconds: the next check-out is answered, and the server that held it is sent no replace.",
        |world| Box::pin(ends(world)),
    ),
    case(
        "leases/renewals-keep",
        &["LOGIN-038", "LOGIN-021"],
        "A lease of four seconds is renewed until the first one would long be over: its holder is sent replace at the next check-out.",
        |world| Box::pin(renewals_keep(world)),
    ),
    case(
        "leases/renewed-after-the-end",
        &["LOGIN-038", "LOGIN-036"],
        "A holder that was cut off for longer than its lease renews it, and is sent replace at the next check-out like any other.",
        |world| Box::pin(renewed_after_the_end(world)),
    ),
    case(
        "leases/renewed-after-a-restart",
        &["LOGIN-038", "LOGIN-035"],
        "A server checks out and the home server is killed: afterwards the holder renews, and another server doesn't.",
        |world| Box::pin(renewed_after_a_restart(world)),
    ),
    case(
        "leases/renew-without-a-right",
        &["LOGIN-039"],
        "A renewal of an older epoch, a later one, by another server, after the check-in, and for nobody: refused with login-replaced.",
        |world| Box::pin(renew_without_a_right(world)),
    ),
    case(
        "leases/renews",
        &["LOGIN-037"],
        "With a lease of one second the home server is sent renew with the login epoch again and again, until the logout.",
        |world| Box::pin(renews(world)),
    ),
    case(
        "leases/renewal-refused",
        &["LOGIN-040", "LOGIN-025"],
        "The home server refuses a renewal with login-replaced: the client is told replaced with its epoch, then goodbye.",
        |world| Box::pin(renewal_refused(world)),
    ),
    case(
        "leases/store-refused",
        &["LOGIN-040", "PREF-011"],
        "The home server refuses a store with login-replaced: so is the change, and then the client is told replaced.",
        |world| Box::pin(store_refused(world)),
    ),
    case(
        "leases/renewal-unanswered",
        &["LOGIN-041", "LOGIN-034"],
        "The home server cuts the connections on which renew comes, and refuses it with internal: it comes again, and the login stands.",
        |world| Box::pin(renewal_unanswered(world)),
    ),
    case(
        "leases/store-again",
        &["PREF-016"],
        "A store is sent twice: stored with the same version both times; with other preferences it is refused with version-conflict.",
        |world| Box::pin(store_again(world)),
    ),
    case(
        "leases/asks-to-store-again",
        &["PREF-017", "PREF-007"],
        "The home server cuts the connection on which store came: the same store comes again, and its answer is the change's.",
        |world| Box::pin(asks_to_store_again(world)),
    ),
];

/// A lease that a case can wait out, in seconds, and that lasts from one request to the next on a busy machine.
const LEASE: u64 = 4;

/// A lease that the text allows.
fn expect_lease(lease: u64) -> Done {
    if (1..=300).contains(&lease) {
        Ok(())
    } else {
        Err(Failure::unexpected("a lease of 1 to 300 seconds", lease))
    }
}

/// A visitor who logs in with epoch 6, lent for a second.
async fn visit(stage: &Stage) -> Result<(Played, User, Client), Failure> {
    let mut home = stage.played("home").await?;
    let user = stage.visitor(&home)?;
    let mut client = stage.client(&user).await?;
    client.ask_login().await?;
    home.check_out().await?.checked_out_for(1, 6, profile(3, &[], &[], true));
    client.logged_in().await?;
    Ok((home, user, client))
}

async fn told(world: Arc<World>) -> Done {
    let stage = Stage::shared(&world).await?;
    let user = stage.account().await?.handle.id;
    let mut peer = stage.played("one").await?.dial(&stage).await?;
    let checked_out = peer.check_out(user).await?;
    expect_lease(checked_out.lease)?;
    for _ in 0..2 {
        let renewed = peer.renew(user, checked_out.epoch).await?;
        expect_lease(renewed.map_err(|code| Failure::unexpected("renewed", code))?)?;
    }
    let stored = peer.store(user, checked_out.epoch, &profile(0, &[], &[], false)).await?;
    expect_equal("stored", &Ok(ProfileVersion(1)), &stored)
}

/// Waits until a time is past, while the server goes on answering.
async fn until_past(stage: &Stage, peer: &mut PeerLink, end: Timestamp) -> Done {
    while stage.now() <= end {
        peer.probe().await?;
    }
    Ok(())
}

async fn ends(world: Arc<World>) -> Done {
    let stage = Stage::alone(&world, Alone { login_lease: Some(LEASE), ..Alone::default() }).await?;
    let (user, other) = (stage.account().await?.handle.id, stage.account().await?.handle.id);
    let (dead, mut alive) = (stage.played("dead").await?, stage.played("alive").await?);
    let (mut one, mut two) = (dead.dial(&stage).await?, stage.played("two").await?.dial(&stage).await?);
    let lease = one.check_out(user).await?.lease;
    expect_equal("the lease", &LEASE, &lease)?;
    until_past(&stage, &mut one, Timestamp(stage.now().0 + lease)).await?;
    two.check_out(user).await?;
    // Notices go out in the order of the check-outs: with this one the other would have come.
    alive.dial(&stage).await?.check_out(other).await?;
    two.check_out(other).await?;
    alive.replace().await?.done();
    expect_equal("what came after the end of the lease", &0, &dead.asked())
}

async fn renewals_keep(world: Arc<World>) -> Done {
    let stage = Stage::alone(&world, Alone { login_lease: Some(LEASE), ..Alone::default() }).await?;
    let user = stage.account().await?.handle.id;
    let mut holder = stage.played("holder").await?;
    let (mut one, mut two) = (holder.dial(&stage).await?, stage.played("two").await?.dial(&stage).await?);
    let epoch = one.check_out(user).await?.epoch;
    let end = Timestamp(stage.now().0 + LEASE + 1);
    while stage.now() <= end {
        expect_equal("a lease", &Ok(LEASE), &one.renew(user, epoch).await?)?;
    }
    two.check_out(user).await?;
    let replace = holder.replace().await?;
    expect_equal("the epoch that is over", &epoch, &replace.body().epoch)?;
    replace.done();
    Ok(())
}

async fn renewed_after_the_end(world: Arc<World>) -> Done {
    let stage = Stage::alone(&world, Alone { login_lease: Some(LEASE), ..Alone::default() }).await?;
    let user = stage.account().await?.handle.id;
    let mut holder = stage.played("holder").await?;
    let (mut one, mut two) = (holder.dial(&stage).await?, stage.played("two").await?.dial(&stage).await?);
    let epoch = one.check_out(user).await?.epoch;
    until_past(&stage, &mut two, Timestamp(stage.now().0 + LEASE)).await?;
    expect_equal("a lease", &Ok(LEASE), &one.renew(user, epoch).await?)?;
    two.check_out(user).await?;
    let replace = holder.replace().await?;
    expect_equal("the epoch that is over", &epoch, &replace.body().epoch)?;
    replace.done();
    Ok(())
}

async fn renewed_after_a_restart(world: Arc<World>) -> Done {
    let mut stage = Stage::alone(&world, Alone::default()).await?;
    let user = stage.account().await?.handle.id;
    let (one, two) = (stage.played("one").await?, stage.played("two").await?);
    let epoch = one.dial(&stage).await?.check_out(user).await?.epoch;
    stage.kill().await;
    stage.restart(Alone::default()).await?;
    let other = two.dial(&stage).await?.renew(user, epoch).await?;
    expect_equal("the other", &Err(ErrorCode::LoginReplaced), &other)?;
    let renewed = one.dial(&stage).await?.renew(user, epoch).await?;
    expect_lease(renewed.map_err(|code| Failure::unexpected("renewed", code))?)
}

async fn renew_without_a_right(world: Arc<World>) -> Done {
    let stage = Stage::shared(&world).await?;
    let (user, nobody) = (stage.account().await?.handle.id, stage.stranger()?.handle.id);
    let (one, two) = (stage.played("one").await?, stage.played("two").await?);
    let (mut one, mut two) = (one.dial(&stage).await?, two.dial(&stage).await?);
    let older = one.check_out(user).await?.epoch;
    let last = one.check_out(user).await?.epoch;
    let refused = Err(ErrorCode::LoginReplaced);
    expect_equal("an older epoch", &refused, &one.renew(user, older).await?)?;
    expect_equal("a later epoch", &refused, &one.renew(user, LoginEpoch(last.0 + 1)).await?)?;
    expect_equal("another server", &refused, &two.renew(user, last).await?)?;
    expect_equal("nobody's", &refused, &one.renew(nobody, LoginEpoch(1)).await?)?;
    expect_equal("the last one by its holder", &true, &one.renew(user, last).await?.is_ok())?;
    one.check_in(user, last).await?;
    expect_equal("a login that is over", &refused, &one.renew(user, last).await?)
}

async fn renews(world: Arc<World>) -> Done {
    let stage = Stage::shared(&world).await?;
    let (mut home, user, mut client) = visit(&stage).await?;
    for _ in 0..3 {
        let renew = home.renew().await?;
        let asked = (renew.body().user, renew.body().epoch);
        expect_equal("whose login is renewed", &(user.handle.id, LoginEpoch(6)), &asked)?;
        renew.renewed_for(1);
    }
    // From now on there is nothing to renew for a while.
    home.renew().await?.renewed_for(300);
    let undoing = home.answer_check_in();
    client.log_out().await?;
    undoing.checked_in(&user.handle, 6).await.map(drop)
}

async fn renewal_refused(world: Arc<World>) -> Done {
    let stage = Stage::shared(&world).await?;
    let (mut home, user, mut client) = visit(&stage).await?;
    home.renew().await?.refuse(ErrorCode::LoginReplaced);
    expect_equal("the epoch that is over", &LoginEpoch(6), &client.replaced().await?)?;
    let mut peer = home.dial(&stage).await?;
    let seen = peer.resolve(&user.handle, &user.handle).await?;
    expect_equal("the list", &Err(ErrorCode::Unavailable), &seen)
}

async fn store_refused(world: Arc<World>) -> Done {
    let stage = Stage::shared(&world).await?;
    let mut home = stage.played("home").await?;
    let user = stage.visitor(&home)?;
    let mut client = stage.logged_in_away(&mut home, &user, 7, profile(3, &[], &[], true)).await?;
    let id = client.ask_set(&profile(3, &[], &[], false)).await?;
    home.store().await?.refuse(ErrorCode::LoginReplaced);
    client.is_refused(id, ErrorCode::LoginReplaced).await?;
    expect_equal("the epoch that is over", &LoginEpoch(7), &client.replaced().await?)
}

async fn renewal_unanswered(world: Arc<World>) -> Done {
    let stage = Stage::shared(&world).await?;
    let (mut home, user, mut client) = visit(&stage).await?;
    // Whether what was cut is asked for again at once or after a while, it comes again.
    for _ in 0..3 {
        home.renew().await?.cut();
    }
    home.renew().await?.refuse(ErrorCode::Internal);
    home.renew().await?.renewed_for(300);
    client.probe().await?;
    let told = home.dial(&stage).await?.resolve(&user.handle, &user.handle).await?;
    expect_equal("the address", &Ok(client.address()), &told)
}

async fn store_again(world: Arc<World>) -> Done {
    let stage = Stage::shared(&world).await?;
    let user = stage.account().await?.handle.id;
    let mut peer = stage.played("one").await?.dial(&stage).await?;
    let epoch = peer.check_out(user).await?.epoch;
    let changed = profile(0, &["4@one.example"], &[], true);
    for time in ["the first time", "the second time"] {
        expect_equal(time, &Ok(ProfileVersion(1)), &peer.store(user, epoch, &changed).await?)?;
    }
    let other = peer.store(user, epoch, &profile(0, &[], &[], false)).await?;
    expect_equal("another change", &Err(ErrorCode::VersionConflict), &other)?;
    let seen = peer.check_out(user).await?.profile;
    expect_equal("the profile", &profile(1, &["4@one.example"], &[], true), &seen)
}

async fn asks_to_store_again(world: Arc<World>) -> Done {
    let stage = Stage::shared(&world).await?;
    let mut home = stage.played("home").await?;
    let user = stage.visitor(&home)?;
    let mut client = stage.logged_in_away(&mut home, &user, 6, profile(3, &[], &[], true)).await?;
    client.ask_set(&profile(3, &["1@one.example"], &[], false)).await?;
    let first = home.store().await?;
    let asked = (first.body().epoch, first.body().version, first.body().messaging.clone());
    first.cut();
    let again = home.store().await?;
    let body = again.body();
    expect_equal("the store", &asked, &(body.epoch, body.version, body.messaging.clone()))?;
    again.stored(4);
    let set = want!(client.next().await?, FromServer::PreferencesSet(it) => it; "preferences-set")?;
    expect_equal("the version", &ProfileVersion(4), &set.version)
}
