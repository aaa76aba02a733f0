//! A home server, as other servers see it (chapters *Login and logout* and *Messaging preferences*): check-out, store,
//! check-in, and who is told of a replacement.

use std::sync::Arc;

use antiphon_spec::{
    error_code::ErrorCode,
    identity::ObjectHandle,
    message::{
        client_server::FromServer,
        server_server::{FromPeerServer, LoginEpoch, ProfileVersion},
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
        "home/check-out",
        &["LOGIN-015", "REG-013"],
        "Check-outs by two servers and a login at home in turn: each login epoch is greater than all before.",
        |world| Box::pin(check_out(world)),
    ),
    case(
        "home/two-logins-at-once",
        &["LOGIN-015", "LOGIN-021", "LOGIN-025"],
        "A server checks out while the user logs in at home; the login of the lower epoch is told that it is over.",
        |world| Box::pin(two_logins_at_once(world)),
    ),
    case(
        "home/check-out-of-nobody",
        &["LOGIN-017"],
        "A check-out for a user ID without an account is refused with no-such-user, and the connection goes on.",
        |world| Box::pin(check_out_of_nobody(world)),
    ),
    case(
        "home/holder-is-the-peer",
        &["LOGIN-018", "PREF-010"],
        "A server checks out; another one's store under that epoch is refused with login-replaced, its own is carried out.",
        |world| Box::pin(holder_is_the_peer(world)),
    ),
    case(
        "home/store-under-an-older-epoch",
        &["PREF-010"],
        "A server checks out twice; a store under the first epoch is refused with login-replaced, one under the second carried out.",
        |world| Box::pin(store_under_an_older_epoch(world)),
    ),
    case(
        "home/store-under-a-later-epoch",
        &["PREF-010"],
        "A store under an epoch that was never given is refused with login-replaced.",
        |world| Box::pin(store_under_a_later_epoch(world)),
    ),
    case(
        "home/store-after-a-login-at-home",
        &["PREF-010", "LOGIN-018"],
        "A server checks out, then the user logs in at home; the server's store is refused with login-replaced.",
        |world| Box::pin(store_after_a_login_at_home(world)),
    ),
    case(
        "home/store-after-check-in",
        &["PREF-010", "LOGIN-019"],
        "A server that has checked the profile in stores nothing more: refused with login-replaced.",
        |world| Box::pin(store_after_check_in(world)),
    ),
    case(
        "home/version-conflict",
        &["PREF-008"],
        "Stores that name a version before or after the profile's are refused with version-conflict, and change nothing.",
        |world| Box::pin(version_conflict(world)),
    ),
    case("home/versions-follow", &["PREF-009"], "Three stores give the versions 1, 2 and 3.", |world| {
        Box::pin(versions_follow(world))
    }),
    case(
        "home/next-check-out",
        &["PREF-015"],
        "What one server stored is what the next one checks out, and what a login at home shows.",
        |world| Box::pin(next_check_out(world)),
    ),
    case(
        "home/store-of-too-many",
        &["PREF-005", "LIM-001", "WIRE-035"],
        "A store with a list of 200 handles is carried out; one with 201 closes the connection with malformed and changes nothing.",
        |world| Box::pin(store_of_too_many(world)),
    ),
    case(
        "home/longest-profile",
        &["WIRE-014", "LIM-001"],
        "Two lists of 200 of the longest handles that there are are stored, and checked out in a frame that is within its cap.",
        |world| Box::pin(longest_profile(world)),
    ),
    case(
        "home/check-in-twice",
        &["LOGIN-019"],
        "A check-in is answered with checked-in the first time, the second time, for an epoch never given and for nobody.",
        |world| Box::pin(check_in_twice(world)),
    ),
    case(
        "home/check-in-of-an-older-epoch",
        &["LOGIN-020"],
        "A check-in of the epoch before the last is answered, and the last one stands: its holder still stores.",
        |world| Box::pin(check_in_of_an_older_epoch(world)),
    ),
    case(
        "home/check-in-by-another",
        &["LOGIN-020"],
        "Another server's check-in of the last epoch is answered, and the epoch stands: its holder still stores.",
        |world| Box::pin(check_in_by_another(world)),
    ),
    case(
        "home/check-in-of-a-login-at-home",
        &["LOGIN-020", "LOGIN-018"],
        "Another server's check-in of a login at home leaves it: the user changes the preferences.",
        |world| Box::pin(check_in_of_a_login_at_home(world)),
    ),
    case(
        "home/replace-to-the-older-holder",
        &["LOGIN-021"],
        "One server checks out, then another; the first is sent replace with the whole handle and its epoch.",
        |world| Box::pin(replace_to_the_older_holder(world)),
    ),
    case(
        "home/replace-with-the-greatest-epoch",
        &["LOGIN-021"],
        "One server checks out twice and is told nothing; when another does, the first is sent replace with its second epoch.",
        |world| Box::pin(replace_with_the_greatest_epoch(world)),
    ),
    case(
        "home/replace-for-a-login-at-home",
        &["LOGIN-021"],
        "A user whose login another server holds logs in at home; that server is sent replace.",
        |world| Box::pin(replace_for_a_login_at_home(world)),
    ),
    case(
        "home/no-replace-after-check-in",
        &["LOGIN-021"],
        "A server that checked out and in holds nothing: when another one checks out, only a later holder is sent replace.",
        |world| Box::pin(no_replace_after_check_in(world)),
    ),
    case(
        "home/replace-again",
        &["LOGIN-028"],
        "The older holder cuts the connection on which replace came, twice; replace comes again.",
        |world| Box::pin(replace_again(world)),
    ),
];

async fn check_out(world: Arc<World>) -> Done {
    let stage = Stage::shared(&world).await?;
    let user = stage.account().await?;
    let (one, two) = (stage.played("one").await?, stage.played("two").await?);
    let (mut one, mut two) = (one.dial(&stage).await?, two.dial(&stage).await?);
    let first = one.check_out(user.handle.id).await?;
    expect_equal("the profile", &profile(0, &[], &[], true), &first.profile)?;
    let mut epochs = vec![first.epoch];
    epochs.push(two.check_out(user.handle.id).await?.epoch);
    epochs.push(two.check_out(user.handle.id).await?.epoch);
    epochs.push(stage.client(&user).await?.log_in().await?.epoch);
    epochs.push(one.check_out(user.handle.id).await?.epoch);
    if epochs.is_sorted_by(|a, b| a < b) {
        Ok(())
    } else {
        Err(Failure::unexpected("login epochs that increase", format!("{epochs:?}")))
    }
}

async fn two_logins_at_once(world: Arc<World>) -> Done {
    let stage = Stage::shared(&world).await?;
    let user = stage.account().await?;
    let mut played = stage.played("one").await?;
    let (mut client, mut peer) = (stage.client(&user).await?, played.dial(&stage).await?);
    client.ask_login().await?;
    let there = peer.check_out(user.handle.id).await?.epoch;
    // Replaced by the check-out, the login may never have been granted.
    let here = want!(
        client.next().await?,
        FromServer::LoggedIn(body) => Some(body.epoch),
        FromServer::Refused(body) if body.code == ErrorCode::LoginReplaced => None;
        "logged-in, or refused with login-replaced"
    )?;
    match here {
        None => Ok(()),
        Some(here) if here < there => {
            expect_equal("the epoch that is over", &here, &client.replaced().await?)
        }
        Some(_) => {
            let replace = played.replace().await?;
            expect_equal("the epoch that is over", &there, &replace.body().epoch)?;
            replace.done();
            client.probe().await
        }
    }
}

async fn check_out_of_nobody(world: Arc<World>) -> Done {
    let stage = Stage::shared(&world).await?;
    let user = stage.account().await?;
    let mut peer = stage.played("one").await?.dial(&stage).await?;
    let nobody = stage.stranger()?.handle.id;
    expect_equal(
        "the answer",
        &Err(ErrorCode::NoSuchUser),
        &peer.try_check_out(nobody).await?.map(|it| it.epoch),
    )?;
    peer.check_out(user.handle.id).await.map(drop)
}

async fn holder_is_the_peer(world: Arc<World>) -> Done {
    let stage = Stage::shared(&world).await?;
    let user = stage.account().await?;
    let (one, two) = (stage.played("one").await?, stage.played("two").await?);
    let (mut one, mut two) = (one.dial(&stage).await?, two.dial(&stage).await?);
    let epoch = one.check_out(user.handle.id).await?.epoch;
    let changed = profile(0, &["1@bad.example"], &[], true);
    let refused = two.store(user.handle.id, epoch, &changed).await?;
    expect_equal("the answer to the other", &Err(ErrorCode::LoginReplaced), &refused)?;
    let stored = one.store(user.handle.id, epoch, &profile(0, &[], &[], false)).await?;
    expect_equal("the answer to the holder", &Ok(ProfileVersion(1)), &stored)?;
    let seen = two.check_out(user.handle.id).await?.profile;
    expect_equal("the profile", &profile(1, &[], &[], false), &seen)
}

async fn store_under_an_older_epoch(world: Arc<World>) -> Done {
    let stage = Stage::shared(&world).await?;
    let user = stage.account().await?;
    let mut peer = stage.played("one").await?.dial(&stage).await?;
    let older = peer.check_out(user.handle.id).await?.epoch;
    let newer = peer.check_out(user.handle.id).await?.epoch;
    let changed = profile(0, &[], &[], false);
    expect_equal(
        "the older",
        &Err(ErrorCode::LoginReplaced),
        &peer.store(user.handle.id, older, &changed).await?,
    )?;
    expect_equal("the newer", &Ok(ProfileVersion(1)), &peer.store(user.handle.id, newer, &changed).await?)
}

async fn store_under_a_later_epoch(world: Arc<World>) -> Done {
    let stage = Stage::shared(&world).await?;
    let user = stage.account().await?;
    let mut peer = stage.played("one").await?.dial(&stage).await?;
    let epoch = peer.check_out(user.handle.id).await?.epoch;
    let changed = profile(0, &[], &[], false);
    let later = LoginEpoch(epoch.0 + 1);
    expect_equal(
        "the later",
        &Err(ErrorCode::LoginReplaced),
        &peer.store(user.handle.id, later, &changed).await?,
    )?;
    expect_equal("the last", &Ok(ProfileVersion(1)), &peer.store(user.handle.id, epoch, &changed).await?)
}

async fn store_after_a_login_at_home(world: Arc<World>) -> Done {
    let stage = Stage::shared(&world).await?;
    let user = stage.account().await?;
    let mut peer = stage.played("one").await?.dial(&stage).await?;
    let epoch = peer.check_out(user.handle.id).await?.epoch;
    let mut client = stage.client(&user).await?;
    let newer = client.log_in().await?.epoch;
    let changed = profile(0, &[], &[], false);
    for epoch in [epoch, newer] {
        let stored = peer.store(user.handle.id, epoch, &changed).await?;
        expect_equal("the answer", &Err(ErrorCode::LoginReplaced), &stored)?;
    }
    expect_equal("the user's own change", &Ok(ProfileVersion(1)), &client.set(&changed).await?)
}

async fn store_after_check_in(world: Arc<World>) -> Done {
    let stage = Stage::shared(&world).await?;
    let user = stage.account().await?;
    let mut peer = stage.played("one").await?.dial(&stage).await?;
    let epoch = peer.check_out(user.handle.id).await?.epoch;
    peer.check_in(user.handle.id, epoch).await?;
    let stored = peer.store(user.handle.id, epoch, &profile(0, &[], &[], false)).await?;
    expect_equal("the answer", &Err(ErrorCode::LoginReplaced), &stored)?;
    let seen = peer.check_out(user.handle.id).await?.profile;
    expect_equal("the profile", &profile(0, &[], &[], true), &seen)
}

async fn version_conflict(world: Arc<World>) -> Done {
    let stage = Stage::shared(&world).await?;
    let user = stage.account().await?;
    let mut peer = stage.played("one").await?.dial(&stage).await?;
    let epoch = peer.check_out(user.handle.id).await?.epoch;
    let good = profile(0, &["4@one.example"], &[], true);
    expect_equal("the first", &Ok(ProfileVersion(1)), &peer.store(user.handle.id, epoch, &good).await?)?;
    for version in [0, 2, u64::MAX] {
        let stored = peer.store(user.handle.id, epoch, &profile(version, &[], &[], false)).await?;
        expect_equal("the answer", &Err(ErrorCode::VersionConflict), &stored)?;
    }
    let seen = peer.check_out(user.handle.id).await?.profile;
    expect_equal("the profile", &profile(1, &["4@one.example"], &[], true), &seen)
}

async fn versions_follow(world: Arc<World>) -> Done {
    let stage = Stage::shared(&world).await?;
    let user = stage.account().await?;
    let mut peer = stage.played("one").await?.dial(&stage).await?;
    let epoch = peer.check_out(user.handle.id).await?.epoch;
    for version in 0..3 {
        let stored = peer.store(user.handle.id, epoch, &profile(version, &[], &[], version == 1)).await?;
        expect_equal("the version", &Ok(ProfileVersion(version + 1)), &stored)?;
    }
    Ok(())
}

async fn next_check_out(world: Arc<World>) -> Done {
    let stage = Stage::shared(&world).await?;
    let user = stage.account().await?;
    let (one, two) = (stage.played("one").await?, stage.played("two").await?);
    let (mut one, mut two) = (one.dial(&stage).await?, two.dial(&stage).await?);
    let epoch = one.check_out(user.handle.id).await?.epoch;
    let changed = |version| profile(version, &["1@one.example", "1@two.example", "a@a"], &["b@b"], false);
    expect_equal("stored", &Ok(ProfileVersion(1)), &one.store(user.handle.id, epoch, &changed(0)).await?)?;
    expect_equal("the other's profile", &changed(1), &two.check_out(user.handle.id).await?.profile)?;
    let logged_in = stage.client(&user).await?.log_in().await?;
    expect_equal("the profile at home", &changed(1), &logged_in.profile)
}

async fn store_of_too_many(world: Arc<World>) -> Done {
    let stage = Stage::shared(&world).await?;
    let user = stage.account().await?;
    let played = stage.played("one").await?;
    let mut peer = played.dial(&stage).await?;
    let epoch = peer.check_out(user.handle.id).await?.epoch;
    let handles: Vec<String> = (0..201).map(|number| format!("{number:032x}@many.example")).collect();
    let (good, _) = handles.split_at(200);
    peer.send_list(user.handle.id, epoch, ProfileVersion(0), good).await?;
    want!(peer.next().await?, FromPeerServer::Stored(_) => (); "stored")?;
    peer.send_list(user.handle.id, epoch, ProfileVersion(1), &handles).await?;
    peer.closed_with(ErrorCode::Malformed).await?;
    let seen = played.dial(&stage).await?.check_out(user.handle.id).await?.profile;
    expect_equal("handles on the list", &200, &seen.messaging.deny.iter().count())
}

async fn longest_profile(world: Arc<World>) -> Done {
    let stage = Stage::shared(&world).await?;
    let user = stage.account().await?.handle.id;
    let mut peer = stage.played("one").await?.dial(&stage).await?;
    let epoch = peer.check_out(user).await?.epoch;
    // A server's name of 100 characters.
    let home = format!("{}.{}.example", ["a"; 63].concat(), ["b"; 28].concat());
    let list: Vec<String> = (0..200).map(|number| format!("{number:032x}@{home}")).collect();
    let list: Vec<&str> = list.iter().map(String::as_str).collect();
    let longest = |version| profile(version, &list, &list, true);
    expect_equal("handles in a list", &200, &longest(0).messaging.deny.iter().count())?;
    expect_equal("stored", &Ok(ProfileVersion(1)), &peer.store(user, epoch, &longest(0)).await?)?;
    expect_equal("the profile", &longest(1), &peer.check_out(user).await?.profile)
}

async fn check_in_twice(world: Arc<World>) -> Done {
    let stage = Stage::shared(&world).await?;
    let user = stage.account().await?.handle.id;
    let mut peer = stage.played("one").await?.dial(&stage).await?;
    let epoch = peer.check_out(user).await?.epoch;
    let nobody: ObjectHandle = stage.stranger()?.handle.id;
    for (user, epoch) in [(user, epoch), (user, epoch), (user, LoginEpoch(77)), (nobody, LoginEpoch(1))] {
        peer.check_in(user, epoch).await?;
    }
    Ok(())
}

async fn check_in_of_an_older_epoch(world: Arc<World>) -> Done {
    let stage = Stage::shared(&world).await?;
    let user = stage.account().await?.handle.id;
    let mut peer = stage.played("one").await?.dial(&stage).await?;
    let older = peer.check_out(user).await?.epoch;
    let newer = peer.check_out(user).await?.epoch;
    peer.check_in(user, older).await?;
    expect_equal(
        "the newer",
        &Ok(ProfileVersion(1)),
        &peer.store(user, newer, &profile(0, &[], &[], false)).await?,
    )
}

async fn check_in_by_another(world: Arc<World>) -> Done {
    let stage = Stage::shared(&world).await?;
    let user = stage.account().await?.handle.id;
    let (one, two) = (stage.played("one").await?, stage.played("two").await?);
    let (mut one, mut two) = (one.dial(&stage).await?, two.dial(&stage).await?);
    let epoch = one.check_out(user).await?.epoch;
    two.check_in(user, epoch).await?;
    expect_equal(
        "the holder",
        &Ok(ProfileVersion(1)),
        &one.store(user, epoch, &profile(0, &[], &[], false)).await?,
    )
}

async fn check_in_of_a_login_at_home(world: Arc<World>) -> Done {
    let stage = Stage::shared(&world).await?;
    let user = stage.account().await?;
    let mut client = stage.client(&user).await?;
    let epoch = client.log_in().await?.epoch;
    let mut peer = stage.played("one").await?.dial(&stage).await?;
    peer.check_in(user.handle.id, epoch).await?;
    expect_equal("the change", &Ok(ProfileVersion(1)), &client.set(&profile(0, &[], &[], false)).await?)
}

async fn replace_to_the_older_holder(world: Arc<World>) -> Done {
    let stage = Stage::shared(&world).await?;
    let user = stage.account().await?;
    let (mut one, two) = (stage.played("one").await?, stage.played("two").await?);
    let epoch = one.dial(&stage).await?.check_out(user.handle.id).await?.epoch;
    two.dial(&stage).await?.check_out(user.handle.id).await?;
    one.hears_of_the_end(&user.handle, epoch).await
}

async fn replace_with_the_greatest_epoch(world: Arc<World>) -> Done {
    let stage = Stage::shared(&world).await?;
    let user = stage.account().await?;
    let (mut one, two) = (stage.played("one").await?, stage.played("two").await?);
    let mut dialled = one.dial(&stage).await?;
    dialled.check_out(user.handle.id).await?;
    let epoch = dialled.check_out(user.handle.id).await?.epoch;
    two.dial(&stage).await?.check_out(user.handle.id).await?;
    one.hears_of_the_end(&user.handle, epoch).await
}

async fn replace_for_a_login_at_home(world: Arc<World>) -> Done {
    let stage = Stage::shared(&world).await?;
    let user = stage.account().await?;
    let mut one = stage.played("one").await?;
    let epoch = one.dial(&stage).await?.check_out(user.handle.id).await?.epoch;
    stage.client(&user).await?.log_in().await?;
    one.hears_of_the_end(&user.handle, epoch).await
}

async fn no_replace_after_check_in(world: Arc<World>) -> Done {
    let stage = Stage::shared(&world).await?;
    let user = stage.account().await?.handle.id;
    let (mut one, two) = (stage.played("one").await?, stage.played("two").await?);
    let (mut at_one, mut at_two) = (one.dial(&stage).await?, two.dial(&stage).await?);
    let first = at_one.check_out(user).await?.epoch;
    at_one.check_in(user, first).await?;
    at_two.check_out(user).await?;
    // The first replace that the server gets is the one that comes of this.
    let third = at_one.check_out(user).await?.epoch;
    at_two.check_out(user).await?;
    let replace = one.replace().await?;
    expect_equal("the login that is over", &third, &replace.body().epoch)?;
    replace.done();
    Ok(())
}

async fn replace_again(world: Arc<World>) -> Done {
    let stage = Stage::shared(&world).await?;
    let user = stage.account().await?;
    let (mut one, two) = (stage.played("one").await?, stage.played("two").await?);
    let epoch = one.dial(&stage).await?.check_out(user.handle.id).await?.epoch;
    two.dial(&stage).await?.check_out(user.handle.id).await?;
    for _ in 0..2 {
        one.replace().await?.cut();
    }
    one.hears_of_the_end(&user.handle, epoch).await
}
