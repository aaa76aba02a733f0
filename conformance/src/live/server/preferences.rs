//! Changing messaging preferences at a local server (chapter *Messaging preferences*).

use std::sync::Arc;

use antiphon_spec::{
    error_code::ErrorCode,
    identity::UserHandle,
    message::{
        client_server::{FromServer, PreferencesSet},
        server_server::ProfileVersion,
    },
};

use super::stage::{Client, Done, Played, Stage, User, case, expect_equal, profile, want};
use crate::{
    case::Failure,
    live::{LiveCase, World},
};

/// The cases of this file.
pub(super) const CASES: &[LiveCase] = &[
    case(
        "preferences/write-through",
        &["PREF-007"],
        "A visitor changes the preferences: the home server is asked to store just them under the login epoch, and preferences-set waits for it.",
        |world| Box::pin(write_through(world)),
    ),
    case(
        "preferences/at-home",
        &["PREF-009", "PREF-015", "PREF-007"],
        "A user changes the preferences at home twice, gets the versions 1 and 2, and the next login shows the last ones.",
        |world| Box::pin(at_home(world)),
    ),
    case(
        "preferences/version-conflict-at-home",
        &["PREF-008", "PREF-011"],
        "A change that names another version is refused with version-conflict; the preferences stay, and the login too.",
        |world| Box::pin(version_conflict_at_home(world)),
    ),
    case(
        "preferences/refused-by-the-home-server",
        &["PREF-011", "PREF-013"],
        "The home server refuses to store, with each of two codes; the client is refused with that code and the old preferences judge.",
        |world| Box::pin(refused_by_the_home_server(world)),
    ),
    case(
        "preferences/login-replaced",
        &["PREF-011"],
        "The home server refuses to store with login-replaced, and so does the local server the change.",
        |world| Box::pin(login_replaced(world)),
    ),
    case(
        "preferences/home-down",
        &["PREF-012"],
        "The home server is gone: refused with home-unreachable, and the old preferences judge.",
        |world| Box::pin(home_down(world)),
    ),
    case(
        "preferences/judge-when-set",
        &["PREF-013", "ADDR-005"],
        "The lookup that comes right after preferences-set is judged by the new preferences, and so is the one after the next change.",
        |world| Box::pin(judge_when_set(world)),
    ),
    case(
        "preferences/judge-not-before-set",
        &["PREF-007", "PREF-012"],
        "While the home server has not answered the store, the old preferences judge.",
        |world| Box::pin(judge_not_before_set(world)),
    ),
    case(
        "preferences/lists-at-the-bound",
        &["LIM-001", "PREF-005"],
        "Lists of 200 handles each are taken, and are in the profile of the next login.",
        |world| Box::pin(lists_at_the_bound(world)),
    ),
    case(
        "preferences/deny-list-too-long",
        &["PREF-005", "WIRE-035", "LIM-001"],
        "A deny list of 201 handles closes the connection with malformed, and changes nothing.",
        |world| Box::pin(malformed(world, |_| (many(201), Vec::new()))),
    ),
    case(
        "preferences/allow-list-too-long",
        &["PREF-005", "WIRE-035", "LIM-001"],
        "An allow list of 201 handles closes the connection with malformed, and changes nothing.",
        |world| Box::pin(malformed(world, |_| (Vec::new(), many(201)))),
    ),
    case(
        "preferences/list-not-ascending",
        &["PREF-006", "IDENT-009"],
        "A list in which the lower handle comes second closes the connection with malformed, and changes nothing.",
        |world| {
            Box::pin(malformed(world, |user| {
                (vec![format!("{}@b.example", user.id), format!("{}@a.example", user.id)], Vec::new())
            }))
        },
    ),
    case(
        "preferences/list-with-a-repetition",
        &["PREF-006"],
        "A list in which a handle stands twice closes the connection with malformed, and changes nothing.",
        |world| Box::pin(malformed(world, |user| (Vec::new(), vec![user.to_string(), user.to_string()]))),
    ),
    case(
        "preferences/list-ordered-by-id-first",
        &["PREF-006", "IDENT-009"],
        "A list is taken in which the user IDs ascend and the names of their homes do not.",
        |world| Box::pin(list_ordered_by_id_first(world)),
    ),
];

/// So many handles, ascending.
fn many(count: usize) -> Vec<String> {
    (0..count).map(|number| format!("{number:032x}@many.example")).collect()
}

/// A visitor who is logged in with epoch 6 and version 3, and lets everybody know.
async fn visit(stage: &Stage) -> Result<(Played, User, Client), Failure> {
    let mut home = stage.played("home").await?;
    let user = stage.visitor(&home)?;
    let client = stage.logged_in_away(&mut home, &user, 6, profile(3, &[], &[], true)).await?;
    Ok((home, user, client))
}

async fn write_through(world: Arc<World>) -> Done {
    let stage = Stage::shared(&world).await?;
    let (mut home, user, mut client) = visit(&stage).await?;
    let changed = profile(3, &["1@one.example", "2@two.example"], &["3@three.example"], false);
    let id = client.ask_set(&changed).await?;
    let store = home.store().await?;
    let asked = store.body();
    expect_equal("whose", &(user.handle.id, 6), &(asked.user, asked.epoch.0))?;
    expect_equal("the version", &ProfileVersion(3), &asked.version)?;
    expect_equal("the preferences", &changed.messaging, &asked.messaging)?;
    client.probe().await?;
    store.stored(4);
    let set = want!(client.next().await?, FromServer::PreferencesSet(it) => it; "preferences-set")?;
    expect_equal("the answer", &PreferencesSet { id, version: ProfileVersion(4) }, &set)
}

async fn at_home(world: Arc<World>) -> Done {
    let stage = Stage::shared(&world).await?;
    let user = stage.account().await?;
    let mut client = stage.logged_in(&user).await?;
    expect_equal(
        "set",
        &Ok(ProfileVersion(1)),
        &client.set(&profile(0, &["1@one.example"], &[], true)).await?,
    )?;
    let last = |version| profile(version, &["1@one.example", "2@one.example"], &["0@x"], false);
    expect_equal("set", &Ok(ProfileVersion(2)), &client.set(&last(1)).await?)?;
    client.log_out().await?;
    let logged_in = stage.client(&user).await?.log_in().await?;
    expect_equal("the profile", &last(2), &logged_in.profile)
}

async fn version_conflict_at_home(world: Arc<World>) -> Done {
    let stage = Stage::shared(&world).await?;
    let (user, asker) = (stage.account().await?, stage.account().await?);
    let mut client = stage.logged_in(&user).await?;
    client.allows(&[&asker.handle]).await?;
    for version in [0, 2, u64::MAX] {
        let set = client.set(&profile(version, &[], &[], false)).await?;
        expect_equal("the answer", &Err(ErrorCode::VersionConflict), &set)?;
    }
    let mut asker = stage.logged_in(&asker).await?;
    expect_equal("the address", &Ok(client.address()), &asker.lookup(&user.handle).await?)?;
    expect_equal("set", &Ok(ProfileVersion(2)), &client.set(&profile(1, &[], &[], true)).await?)
}

async fn refused_by_the_home_server(world: Arc<World>) -> Done {
    let stage = Stage::shared(&world).await?;
    let (mut home, user, mut client) = visit(&stage).await?;
    let mut peer = home.dial(&stage).await?;
    for code in [ErrorCode::VersionConflict, ErrorCode::Internal] {
        let id = client.ask_set(&profile(3, &[], &[], false)).await?;
        home.store().await?.refuse(code);
        client.is_refused(id, code).await?;
        let told = peer.resolve(&user.handle, &user.handle).await?;
        expect_equal("the address", &Ok(client.address()), &told)?;
    }
    Ok(())
}

async fn login_replaced(world: Arc<World>) -> Done {
    let stage = Stage::shared(&world).await?;
    let (mut home, _, mut client) = visit(&stage).await?;
    let id = client.ask_set(&profile(3, &[], &[], false)).await?;
    home.store().await?.refuse(ErrorCode::LoginReplaced);
    client.is_refused(id, ErrorCode::LoginReplaced).await
}

async fn home_down(world: Arc<World>) -> Done {
    let stage = Stage::shared(&world).await?;
    let (home, user, mut client) = visit(&stage).await?;
    let mut peer = home.dial(&stage).await?;
    home.stop();
    let set = client.set(&profile(3, &[], &[], false)).await?;
    expect_equal("the answer", &Err(ErrorCode::HomeUnreachable), &set)?;
    expect_equal("the address", &Ok(client.address()), &peer.resolve(&user.handle, &user.handle).await?)?;
    client.probe().await
}

async fn judge_when_set(world: Arc<World>) -> Done {
    let stage = Stage::shared(&world).await?;
    let (user, asker) = (stage.account().await?, stage.account().await?);
    let (mut client, mut asker_client) = (stage.logged_in(&user).await?, stage.logged_in(&asker).await?);
    let mut peer = stage.played("other").await?.dial(&stage).await?;
    let asker_text = asker.handle.to_string();
    let (told, unavailable) = (Ok(client.address()), Err(ErrorCode::Unavailable));
    let rounds = [
        (profile(0, &[&asker_text], &[], true), &unavailable),
        (profile(1, &[], &[&asker_text], false), &told),
        (profile(2, &[], &[], false), &unavailable),
        (profile(3, &[], &[&asker_text], true), &told),
    ];
    for (preferences, expected) in rounds {
        let set = client.set(&preferences).await?;
        expect_equal("set", &Ok(ProfileVersion(preferences.version.0 + 1)), &set)?;
        expect_equal("the answer to a client", expected, &asker_client.lookup(&user.handle).await?)?;
        expect_equal("the answer to a server", expected, &peer.resolve(&user.handle, &asker.handle).await?)?;
    }
    Ok(())
}

async fn judge_not_before_set(world: Arc<World>) -> Done {
    let stage = Stage::shared(&world).await?;
    let (mut home, user, mut client) = visit(&stage).await?;
    let mut peer = home.dial(&stage).await?;
    let asker = home.user()?;
    let id = client.ask_set(&profile(3, &[], &[&asker.to_string()], false)).await?;
    let store = home.store().await?;
    expect_equal("the answer", &Err(ErrorCode::Unavailable), &peer.resolve(&user.handle, &asker).await?)?;
    store.stored(4);
    let set = want!(client.next().await?, FromServer::PreferencesSet(it) => it; "preferences-set")?;
    expect_equal("the ID", &id, &set.id)?;
    expect_equal("the address then", &Ok(client.address()), &peer.resolve(&user.handle, &asker).await?)
}

async fn lists_at_the_bound(world: Arc<World>) -> Done {
    let stage = Stage::shared(&world).await?;
    let user = stage.account().await?;
    let mut client = stage.logged_in(&user).await?;
    let handles = many(200);
    let handles: Vec<&str> = handles.iter().map(String::as_str).collect();
    let preferences = |version| profile(version, &handles, &handles, true);
    expect_equal("set", &Ok(ProfileVersion(1)), &client.set(&preferences(0)).await?)?;
    client.log_out().await?;
    expect_equal("the profile", &preferences(1), &stage.client(&user).await?.log_in().await?.profile)
}

/// Preferences with bad lists close the connection, and the next login shows the old ones.
async fn malformed(world: Arc<World>, lists: fn(&UserHandle) -> (Vec<String>, Vec<String>)) -> Done {
    let stage = Stage::shared(&world).await?;
    let user = stage.account().await?;
    let mut client = stage.logged_in(&user).await?;
    let (deny, allow) = lists(&user.handle);
    client.send_lists(&deny, &allow).await?;
    client.closed_with(ErrorCode::Malformed).await?;
    let logged_in = stage.client(&user).await?.log_in().await?;
    expect_equal("the profile", &profile(0, &[], &[], true), &logged_in.profile)
}

async fn list_ordered_by_id_first(world: Arc<World>) -> Done {
    let stage = Stage::shared(&world).await?;
    let user = stage.account().await?;
    let mut client = stage.logged_in(&user).await?;
    let list = [format!("{:032x}@zz.example", 1), format!("{:032x}@aa.example", 2)];
    client.send_lists(&list, &[]).await?;
    let set = want!(client.next().await?, FromServer::PreferencesSet(it) => it; "preferences-set")?;
    expect_equal("the version", &ProfileVersion(1), &set.version)
}
