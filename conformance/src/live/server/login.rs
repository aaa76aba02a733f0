//! Login at a local server, at home and elsewhere (chapter *Login and logout*, section *Login*).

use std::sync::Arc;

use antiphon_spec::{
    error_code::ErrorCode,
    message::{
        client_server::{FromServer, Login, Logout, Lookup, SetPreferences, ToServer},
        common::RequestId,
        location::{ContactRecord, ToDirectoryNode},
        server_server::LoginEpoch,
    },
};

use super::stage::{Alone, Client, Done, Stage, User, address, case, expect_equal, profile, want};
use crate::{
    case::Failure,
    live::{LiveCase, World},
};

/// The cases of this file.
pub(super) const CASES: &[LiveCase] = &[
    case(
        "login/at-home",
        &["LOGIN-004", "LOGIN-006", "LOGIN-007"],
        "A user logs in at home; the record has the login epoch, the server's name and its authenticated port, and the answer waits for it.",
        |world| Box::pin(at_home(world)),
    ),
    case(
        "login/elsewhere",
        &["LOGIN-005", "LOGIN-001", "LOGIN-007", "IDENT-004"],
        "A visitor logs in; the home server is found under its object handle, asked for the certificate's user, and its answer handed on.",
        |world| Box::pin(elsewhere(world)),
    ),
    case(
        "login/order",
        &["LOGIN-004"],
        "A visitor logs in: check-out, then the record, then the answer, and while the record is not answered the user is on the list.",
        |world| Box::pin(order(world)),
    ),
    case(
        "login/waits-for-the-home-server",
        &["LOGIN-004"],
        "While the home server has not answered the check-out, there is no record, the user is not on the list and login is not answered.",
        |world| Box::pin(waits_for_the_home_server(world)),
    ),
    case(
        "login/lookup-before-login",
        &["LOGIN-002", "WIRE-034", "WIRE-065"],
        "A lookup on a connection that is not logged in closes it with unexpected-message.",
        |world| {
            Box::pin(too_early(world, |id, user| ToServer::Lookup(Lookup { id, user: user.handle.clone() })))
        },
    ),
    case(
        "login/preferences-before-login",
        &["LOGIN-002", "WIRE-065"],
        "Preferences on a connection that is not logged in close it with unexpected-message, and change nothing.",
        |world| {
            Box::pin(too_early(world, |id, _| {
                let profile = profile(0, &[], &[], false);
                ToServer::SetPreferences(SetPreferences {
                    id,
                    version: profile.version,
                    messaging: profile.messaging,
                })
            }))
        },
    ),
    case(
        "login/logout-before-login",
        &["LOGIN-002", "WIRE-065"],
        "A logout on a connection that is not logged in closes it with unexpected-message.",
        |world| Box::pin(too_early(world, |id, _| ToServer::Logout(Logout { id }))),
    ),
    case(
        "login/twice-on-a-connection",
        &["LOGIN-003", "WIRE-065"],
        "A second login on a connection that is logged in closes it with unexpected-message.",
        |world| Box::pin(twice_on_a_connection(world)),
    ),
    case(
        "login/twice-before-the-answer",
        &["LOGIN-003", "WIRE-065"],
        "A second login before the first one is answered closes the connection with unexpected-message.",
        |world| Box::pin(twice_before_the_answer(world)),
    ),
    case(
        "login/lookup-before-the-answer",
        &["WIRE-065", "LOGIN-002"],
        "A lookup before the login is answered closes the connection with unexpected-message.",
        |world| Box::pin(lookup_before_the_answer(world)),
    ),
    case(
        "login/home-unknown",
        &["LOGIN-009", "WIRE-065"],
        "The location service knows no home server: refused with home-unreachable; once it does, login works on the same connection.",
        |world| Box::pin(home_unknown(world)),
    ),
    case(
        "login/home-down",
        &["LOGIN-009"],
        "Nobody listens where the home server's record points: refused with home-unreachable.",
        |world| Box::pin(home_down(world)),
    ),
    case(
        "login/home-silent",
        &["LOGIN-009", "WIRE-062"],
        "The home server never answers the check-out: refused with home-unreachable, and login may be asked for again.",
        |world| Box::pin(home_silent(world)),
    ),
    case(
        "login/home-is-another",
        &["LOGIN-009", "CERT-022"],
        "Who answers at the home server's address proves another name: refused with home-unreachable, and is asked nothing.",
        |world| Box::pin(home_is_another(world)),
    ),
    case(
        "login/home-record-of-another",
        &["LOGIN-005", "LOGIN-009", "CERT-022"],
        "Under the home server's handle stands a newer record of another server; that one is not asked to check out.",
        |world| Box::pin(home_record_of_another(world)),
    ),
    case(
        "login/no-such-user-at-home",
        &["LOGIN-011", "LOGIN-017"],
        "A certificate of the server's own user CA names a user ID without an account: refused with no-such-user.",
        |world| Box::pin(no_such_user_at_home(world)),
    ),
    case(
        "login/no-such-user-elsewhere",
        &["LOGIN-011"],
        "The home server refuses the check-out with no-such-user, and so does the local server the login; there is no record.",
        |world| Box::pin(no_such_user_elsewhere(world)),
    ),
    case(
        "login/no-record",
        &["LOGIN-010", "LOGIN-012"],
        "The directory node refuses the record: the login is refused with location-unreachable and the profile checked in.",
        |world| Box::pin(no_record(world)),
    ),
    case(
        "login/location-down",
        &["LOGIN-010"],
        "The directory node is down when a user logs in at home: refused with location-unreachable, and granted once it is up.",
        |world| Box::pin(location_down(world)),
    ),
    case(
        "login/again-after-no-record",
        &["WIRE-065", "LOGIN-013", "LOGIN-004", "LOGIN-015"],
        "After a login that was refused with location-unreachable, another one on the same connection succeeds, with a greater epoch.",
        |world| Box::pin(again_after_no_record(world)),
    ),
    case(
        "login/renews-the-record",
        &["LOGIN-014", "LOC-017"],
        "With a lease of one second the record is inserted again and again, always the same, until the logout.",
        |world| Box::pin(renews_the_record(world)),
    ),
    case(
        "login/keeps-the-address",
        &["LOGIN-008", "ADDR-008"],
        "A user logs in, out, and in with another address: each time the address of that login is told, IPv6 as well.",
        |world| Box::pin(keeps_the_address(world)),
    ),
    case(
        "login/epochs-increase",
        &["LOGIN-015", "LOGIN-007"],
        "Five logins of a user at home have strictly increasing epochs.",
        |world| Box::pin(epochs_increase(world)),
    ),
    case(
        "login/home-down-later",
        &["LOGIN-034"],
        "The home server of a visitor goes away: the visitor stays logged in, looks others up and is found.",
        |world| Box::pin(home_down_later(world)),
    ),
];

async fn at_home(world: Arc<World>) -> Done {
    let stage = Stage::shared(&world).await?;
    let user = stage.account().await?;
    let mut held = stage.node().hold(user.handle.id);
    let mut client = stage.client(&user).await?;
    client.ask_login().await?;
    let insert = held.next().await?;
    let record = want!(insert.request(), ToDirectoryNode::Insert(it) => it.record.clone(); "insert")?;
    client.probe().await?;
    insert.carry_out();
    let logged_in = client.logged_in().await?;
    let expected =
        ContactRecord { epoch: logged_in.epoch, server: stage.name().clone(), address: stage.address() };
    expect_equal("the record", &expected, &record)
}

async fn elsewhere(world: Arc<World>) -> Done {
    let stage = Stage::shared(&world).await?;
    let mut home = stage.played("home").await?;
    let user = stage.visitor(&home)?;
    let mut client = stage.client(&user).await?;
    client.ask_login().await?;
    let asked = home.check_out().await?;
    expect_equal("the user who is checked out", &user.handle.id, &asked.body().user)?;
    let given = profile(9, &["2@one.example", "7@one.example"], &["1@two.example"], false);
    asked.checked_out(41, given.clone());
    let logged_in = client.logged_in().await?;
    expect_equal("the login epoch", &LoginEpoch(41), &logged_in.epoch)?;
    expect_equal("the profile", &given, &logged_in.profile)?;
    let records = stage.node().records(user.handle.id);
    let record =
        ContactRecord { epoch: LoginEpoch(41), server: stage.name().clone(), address: stage.address() };
    expect_equal("the records", &vec![record], &records)
}

async fn order(world: Arc<World>) -> Done {
    let stage = Stage::shared(&world).await?;
    let mut home = stage.played("home").await?;
    let user = stage.visitor(&home)?;
    let mut held = stage.node().hold(user.handle.id);
    let mut client = stage.client(&user).await?;
    client.ask_login().await?;
    home.check_out().await?.checked_out(3, profile(0, &[], &[], true));
    let insert = held.next().await?;
    want!(insert.request(), ToDirectoryNode::Insert(_) => (); "insert")?;
    // The list comes before the record: who asks this server directly is told.
    let mut peer = home.dial(&stage).await?;
    let told = peer.resolve(&user.handle, &user.handle).await?;
    expect_equal("the address on the list", &Ok(client.address()), &told)?;
    client.probe().await?;
    insert.carry_out();
    client.logged_in().await.map(drop)
}

async fn waits_for_the_home_server(world: Arc<World>) -> Done {
    let stage = Stage::shared(&world).await?;
    let mut home = stage.played("home").await?;
    let user = stage.visitor(&home)?;
    let mut client = stage.client(&user).await?;
    client.ask_login().await?;
    let asked = home.check_out().await?;
    client.probe().await?;
    let mut peer = home.dial(&stage).await?;
    expect_equal("the list", &Err(ErrorCode::Unavailable), &peer.resolve(&user.handle, &user.handle).await?)?;
    expect_equal("what the directory node was asked", &Vec::new(), &stage.node().log(user.handle.id))?;
    asked.checked_out(1, profile(0, &[], &[], true));
    client.logged_in().await.map(drop)
}

/// What comes before the login closes the connection; others are served, and the user's account is as it was.
async fn too_early(world: Arc<World>, make: fn(RequestId, &User) -> ToServer) -> Done {
    let stage = Stage::shared(&world).await?;
    let user = stage.account().await?;
    let mut early = stage.client(&user).await?;
    let id = early.id();
    early.send(&make(id, &user)).await?;
    early.closed_with(ErrorCode::UnexpectedMessage).await?;
    let logged_in = stage.client(&user).await?.log_in().await?;
    expect_equal("the version of the profile", &0, &logged_in.profile.version.0)
}

async fn twice_on_a_connection(world: Arc<World>) -> Done {
    let stage = Stage::shared(&world).await?;
    let user = stage.account().await?;
    let mut client = stage.client(&user).await?;
    client.log_in().await?;
    client.ask_login().await?;
    client.closed_with(ErrorCode::UnexpectedMessage).await
}

async fn twice_before_the_answer(world: Arc<World>) -> Done {
    let stage = Stage::shared(&world).await?;
    let mut home = stage.played("home").await?;
    let user = stage.visitor(&home)?;
    let mut client = stage.client(&user).await?;
    client.ask_login().await?;
    let asked = home.check_out().await?;
    client.ask_login().await?;
    client.closed_with(ErrorCode::UnexpectedMessage).await?;
    asked.checked_out(1, profile(0, &[], &[], true));
    Ok(())
}

async fn lookup_before_the_answer(world: Arc<World>) -> Done {
    let stage = Stage::shared(&world).await?;
    let mut home = stage.played("home").await?;
    let user = stage.visitor(&home)?;
    let mut client = stage.client(&user).await?;
    client.ask_login().await?;
    let asked = home.check_out().await?;
    let id = client.id();
    client.send(&ToServer::Lookup(Lookup { id, user: user.handle.clone() })).await?;
    client.closed_with(ErrorCode::UnexpectedMessage).await?;
    asked.checked_out(1, profile(0, &[], &[], true));
    Ok(())
}

async fn refused_login(client: &mut Client, code: ErrorCode) -> Done {
    client.ask_login().await?;
    client.login_refused(code).await
}

async fn home_unknown(world: Arc<World>) -> Done {
    let stage = Stage::shared(&world).await?;
    let mut home = stage.played("home").await?;
    home.hide(&stage);
    let user = stage.visitor(&home)?;
    let mut client = stage.client(&user).await?;
    refused_login(&mut client, ErrorCode::HomeUnreachable).await?;
    expect_equal("what was asked under the user ID", &Vec::new(), &stage.node().log(user.handle.id))?;
    home.show(&stage);
    client.ask_login().await?;
    home.check_out().await?.checked_out(1, profile(0, &[], &[], true));
    client.logged_in().await.map(drop)
}

async fn home_down(world: Arc<World>) -> Done {
    let stage = Stage::shared(&world).await?;
    let home = stage.played("home").await?;
    let user = stage.visitor(&home)?;
    home.stop();
    let mut client = stage.client(&user).await?;
    refused_login(&mut client, ErrorCode::HomeUnreachable).await?;
    client.probe().await
}

async fn home_silent(world: Arc<World>) -> Done {
    let stage = Stage::shared(&world).await?;
    let mut home = stage.played("home").await?;
    let user = stage.visitor(&home)?;
    let mut client = stage.client(&user).await?;
    client.ask_login().await?;
    let _unanswered = home.check_out().await?;
    let id = client.last_id();
    client.is_refused_at_last(id, ErrorCode::HomeUnreachable).await?;
    client.ask_login().await?;
    home.log_in(2, profile(0, &[], &[], true)).await?;
    client.logged_in().await.map(drop)
}

async fn home_is_another(world: Arc<World>) -> Done {
    let stage = Stage::shared(&world).await?;
    let (home, other) = (stage.played("home").await?, stage.played("other").await?);
    let user = stage.visitor(&home)?;
    home.stop();
    // A record of the home server, at the other one's address.
    let record =
        ContactRecord { epoch: LoginEpoch(9), server: home.name().clone(), address: other.address() };
    stage.node().put(home.object_handle(), record);
    let mut client = stage.client(&user).await?;
    refused_login(&mut client, ErrorCode::HomeUnreachable).await?;
    expect_equal("what the other server was asked", &0, &other.asked())
}

async fn home_record_of_another(world: Arc<World>) -> Done {
    let stage = Stage::shared(&world).await?;
    let (home, other) = (stage.played("home").await?, stage.played("other").await?);
    let user = stage.visitor(&home)?;
    home.hide(&stage);
    let record =
        ContactRecord { epoch: LoginEpoch(99), server: other.name().clone(), address: other.address() };
    stage.node().put(home.object_handle(), record);
    let mut client = stage.client(&user).await?;
    refused_login(&mut client, ErrorCode::HomeUnreachable).await?;
    expect_equal("what the other server was asked", &0, &other.asked())
}

async fn no_such_user_at_home(world: Arc<World>) -> Done {
    let stage = Stage::shared(&world).await?;
    let user = stage.stranger()?;
    let mut client = stage.client(&user).await?;
    refused_login(&mut client, ErrorCode::NoSuchUser).await?;
    expect_equal("the records", &Vec::new(), &stage.node().records(user.handle.id))
}

async fn no_such_user_elsewhere(world: Arc<World>) -> Done {
    let stage = Stage::shared(&world).await?;
    let mut home = stage.played("home").await?;
    let user = stage.visitor(&home)?;
    let mut client = stage.client(&user).await?;
    client.ask_login().await?;
    home.check_out().await?.refuse(ErrorCode::NoSuchUser);
    client.login_refused(ErrorCode::NoSuchUser).await?;
    expect_equal("what was asked under the user ID", &Vec::new(), &stage.node().log(user.handle.id))
}

async fn no_record(world: Arc<World>) -> Done {
    let stage = Stage::shared(&world).await?;
    let mut home = stage.played("home").await?;
    let user = stage.visitor(&home)?;
    let refusing = stage.node().refuse(user.handle.id);
    let mut client = stage.client(&user).await?;
    client.ask_login().await?;
    home.check_out().await?.checked_out(6, profile(0, &[], &[], true));
    let undoing = home.answer_check_in();
    client.login_refused(ErrorCode::LocationUnreachable).await?;
    let home = undoing.checked_in(&user.handle, 6).await?;
    drop(refusing);
    let mut peer = home.dial(&stage).await?;
    expect_equal("the list", &Err(ErrorCode::Unavailable), &peer.resolve(&user.handle, &user.handle).await?)
}

async fn location_down(world: Arc<World>) -> Done {
    let stage = Stage::alone(&world, Alone::default()).await?;
    let user = stage.account().await?;
    stage.node().go_down();
    let mut client = stage.client(&user).await?;
    refused_login(&mut client, ErrorCode::LocationUnreachable).await?;
    stage.node().come_up();
    // How soon a server asks again is its own business; that it does is what counts.
    loop {
        client.ask_login().await?;
        if client.logged_in_or_refused(ErrorCode::LocationUnreachable).await? {
            return Ok(());
        }
    }
}

async fn again_after_no_record(world: Arc<World>) -> Done {
    let stage = Stage::shared(&world).await?;
    let user = stage.account().await?;
    let refusing = stage.node().refuse(user.handle.id);
    let mut client = stage.client(&user).await?;
    refused_login(&mut client, ErrorCode::LocationUnreachable).await?;
    drop(refusing);
    let logged_in = client.log_in().await?;
    for request in stage.node().log(user.handle.id) {
        // The record that stands now is the one insert that is not older than the login.
        if let ToDirectoryNode::Insert(insert) = request {
            let is_newest = insert.record.epoch == logged_in.epoch;
            expect_equal(
                "an older epoch, or this one",
                &true,
                &(is_newest || insert.record.epoch < logged_in.epoch),
            )?;
        }
    }
    let record =
        ContactRecord { epoch: logged_in.epoch, server: stage.name().clone(), address: stage.address() };
    expect_equal("the records", &vec![record], &stage.node().records(user.handle.id))
}

async fn renews_the_record(world: Arc<World>) -> Done {
    let stage = Stage::shared(&world).await?;
    let user = stage.account().await?;
    stage.node().lease(user.handle.id, 1);
    let mut held = stage.node().hold(user.handle.id);
    let mut client = stage.client(&user).await?;
    client.ask_login().await?;
    let mut records = Vec::new();
    for round in 0..3 {
        let insert = held.next().await?;
        records.push(want!(insert.request(), ToDirectoryNode::Insert(it) => it.record.clone(); "insert")?);
        insert.carry_out();
        if round == 0 {
            client.logged_in().await?;
        }
    }
    drop(held);
    let first = records.first().cloned();
    expect_equal("the same record each time", &true, &records.iter().all(|it| Some(it) == first.as_ref()))?;
    client.log_out().await?;
    expect_equal("the records", &Vec::new(), &stage.node().records(user.handle.id))
}

async fn keeps_the_address(world: Arc<World>) -> Done {
    let stage = Stage::shared(&world).await?;
    let (user, asker) = (stage.account().await?, stage.account().await?);
    let mut before = stage.logged_in(&user).await?;
    before.allows(&[&asker.handle]).await?;
    before.log_out().await?;
    let mut asker = stage.logged_in(&asker).await?;
    for text in ["192.0.2.77:4711", "[2001:db8::7]:65535", "192.0.2.77:1"] {
        let mut client = stage.client(&user).await?;
        let id = client.id();
        let told = address(text)?;
        client.send(&ToServer::Login(Login { id, address: told })).await?;
        want!(client.next().await?, FromServer::LoggedIn(_) => (); "logged-in")?;
        expect_equal("the address", &Ok(told), &asker.lookup(&user.handle).await?)?;
        client.log_out().await?;
    }
    Ok(())
}

async fn epochs_increase(world: Arc<World>) -> Done {
    let stage = Stage::shared(&world).await?;
    let user = stage.account().await?;
    let mut epochs = Vec::new();
    for _ in 0..5 {
        let mut client = stage.client(&user).await?;
        epochs.push(client.log_in().await?.epoch);
        client.log_out().await?;
    }
    if epochs.is_sorted_by(|a, b| a < b) {
        Ok(())
    } else {
        Err(Failure::unexpected("login epochs that increase", format!("{epochs:?}")))
    }
}

async fn home_down_later(world: Arc<World>) -> Done {
    let stage = Stage::shared(&world).await?;
    let mut home = stage.played("home").await?;
    let (visitor, other) = (stage.visitor(&home)?, stage.account().await?);
    let allowed = profile(0, &[], &[&other.handle.to_string()], true);
    let mut client = stage.logged_in_away(&mut home, &visitor, 1, allowed).await?;
    let mut other_client = stage.logged_in(&other).await?;
    other_client.allows(&[&visitor.handle]).await?;
    home.stop();
    expect_equal("the other's address", &Ok(other_client.address()), &client.lookup(&other.handle).await?)?;
    expect_equal(
        "the visitor's address",
        &Ok(client.address()),
        &other_client.lookup(&visitor.handle).await?,
    )?;
    client.probe().await
}
