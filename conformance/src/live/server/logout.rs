//! Logout, asked for or not (chapter *Login and logout*, section *Logout*).

use std::sync::Arc;

use antiphon_spec::{
    error_code::ErrorCode,
    message::{
        client_server::{Lookup, ToServer},
        location::{ContactRecord, ToDirectoryNode},
        server_server::LoginEpoch,
    },
};

use super::stage::{Alone, Client, Done, Played, Stage, User, case, expect_equal, profile, want};
use crate::live::{LiveCase, World};

/// The cases of this file.
pub(super) const CASES: &[LiveCase] = &[
    case(
        "logout/deletes-the-record",
        &["LOGIN-030", "LOGIN-033"],
        "A visitor logs out: just the record that was inserted is deleted, and logged-out waits for that.",
        |world| Box::pin(deletes_the_record(world)),
    ),
    case(
        "logout/leaves-other-records",
        &["LOGIN-033"],
        "Records of two other servers under the user ID, one older and one newer, stay when the user logs out.",
        |world| Box::pin(leaves_other_records(world)),
    ),
    case(
        "logout/checks-in",
        &["LOGIN-030"],
        "A visitor logs out: the profile is checked in with the login's epoch, and logged-out waits for that; then goodbye.",
        |world| Box::pin(checks_in(world)),
    ),
    case(
        "logout/takes-the-user-off-the-list",
        &["LOGIN-030", "ADDR-009"],
        "After logged-out nobody is told the address any more, neither a client nor a server.",
        |world| Box::pin(takes_the_user_off_the_list(world)),
    ),
    case(
        "logout/request-behind",
        &["WIRE-065"],
        "A lookup behind a logout that is not answered closes the connection with unexpected-message; the logout is carried out.",
        |world| Box::pin(request_behind(world)),
    ),
    case(
        "logout/location-refuses",
        &["LOGIN-031"],
        "The directory node refuses to delete the record: the profile is checked in, and logged-out comes.",
        |world| Box::pin(location_refuses(world)),
    ),
    case(
        "logout/home-down",
        &["LOGIN-031"],
        "The home server is gone: the record is deleted, and logged-out comes.",
        |world| Box::pin(home_down(world)),
    ),
    case(
        "logout/everybody-down",
        &["LOGIN-031"],
        "The directory node and the home server are gone: logged-out comes all the same, then goodbye.",
        |world| Box::pin(everybody_down(world)),
    ),
    case(
        "logout/connection-lost",
        &["LOGIN-032", "WIRE-051"],
        "A client's connection ends without a word: the record is deleted and the profile checked in.",
        |world| Box::pin(gone(world, Client::cut)),
    ),
    case(
        "logout/goodbye",
        &["LOGIN-032", "WIRE-050"],
        "A client says goodbye without a logout: the record is deleted and the profile checked in.",
        |world| Box::pin(gone(world, Client::say_goodbye)),
    ),
    case(
        "logout/error",
        &["LOGIN-032", "WIRE-053"],
        "A client ends with an error: the record is deleted and the profile checked in.",
        |world| Box::pin(gone(world, Client::say_error)),
    ),
    case(
        "logout/fault",
        &["LOGIN-032", "WIRE-055"],
        "A client breaks a rule and is closed: the record is deleted and the profile checked in.",
        |world| Box::pin(gone(world, Client::break_a_rule)),
    ),
    case(
        "logout/log-in-again",
        &["LOGIN-030", "LOGIN-004"],
        "After a logout the user logs in again on a new connection, at once, and is found under the new address.",
        |world| Box::pin(log_in_again(world)),
    ),
];

/// A visitor who is logged in with epoch 4.
async fn visit(stage: &Stage) -> Result<(Played, User, Client), crate::case::Failure> {
    let mut home = stage.played("home").await?;
    let user = stage.visitor(&home)?;
    let client = stage.logged_in_away(&mut home, &user, 4, profile(0, &[], &[], true)).await?;
    Ok((home, user, client))
}

async fn deletes_the_record(world: Arc<World>) -> Done {
    let stage = Stage::shared(&world).await?;
    let (home, user, mut client) = visit(&stage).await?;
    let inserted = stage.node().records(user.handle.id);
    let mut held = stage.node().hold(user.handle.id);
    let undoing = home.answer_check_in();
    let id = client.ask_logout().await?;
    let delete = held.next().await?;
    let record = want!(delete.request(), ToDirectoryNode::Delete(it) => it.record.clone(); "delete")?;
    expect_equal("the record", &inserted, &vec![record])?;
    client.probe().await?;
    delete.carry_out();
    client.logged_out(id).await?;
    undoing.checked_in(&user.handle, 4).await.map(drop)
}

async fn leaves_other_records(world: Arc<World>) -> Done {
    let stage = Stage::shared(&world).await?;
    let (mut home, user, mut client) = visit(&stage).await?;
    let others: Vec<ContactRecord> = [("aa.example", 9), ("zz.example", 1)]
        .into_iter()
        .map(|(name, epoch)| {
            Ok(ContactRecord { epoch: LoginEpoch(epoch), server: name.parse()?, address: stage.address() })
        })
        .collect::<Result<_, antiphon_spec::identity::InvalidIdentifier>>()
        .map_err(crate::case::Failure::harness)?;
    for record in &others {
        stage.node().put(user.handle.id, record.clone());
    }
    let id = client.ask_logout().await?;
    home.check_in().await?.checked_in();
    client.logged_out(id).await?;
    expect_equal("the records that are left", &others, &stage.node().records(user.handle.id))
}

async fn checks_in(world: Arc<World>) -> Done {
    let stage = Stage::shared(&world).await?;
    let (mut home, user, mut client) = visit(&stage).await?;
    let id = client.ask_logout().await?;
    let asked = home.check_in().await?;
    expect_equal(
        "the login that ends",
        &(user.handle.id, LoginEpoch(4)),
        &(asked.body().user, asked.body().epoch),
    )?;
    client.probe().await?;
    asked.checked_in();
    client.logged_out(id).await?;
    expect_equal("the records", &Vec::new(), &stage.node().records(user.handle.id))
}

async fn takes_the_user_off_the_list(world: Arc<World>) -> Done {
    let stage = Stage::shared(&world).await?;
    let (user, asker) = (stage.account().await?, stage.account().await?);
    let mut asker_client = stage.logged_in(&asker).await?;
    let mut peer = stage.played("other").await?.dial(&stage).await?;
    let mut client = stage.logged_in(&user).await?;
    client.allows(&[&asker.handle]).await?;
    expect_equal("the address before", &Ok(client.address()), &asker_client.lookup(&user.handle).await?)?;
    client.log_out().await?;
    let unavailable = Err(ErrorCode::Unavailable);
    expect_equal("the answer to a client", &unavailable, &asker_client.lookup(&user.handle).await?)?;
    expect_equal("the answer to a server", &unavailable, &peer.resolve(&user.handle, &asker.handle).await?)
}

async fn request_behind(world: Arc<World>) -> Done {
    let stage = Stage::shared(&world).await?;
    let (home, user, mut client) = visit(&stage).await?;
    let mut held = stage.node().hold(user.handle.id);
    let undoing = home.answer_check_in();
    client.ask_logout().await?;
    let delete = held.next().await?;
    let id = client.id();
    client.send(&ToServer::Lookup(Lookup { id, user: user.handle.clone() })).await?;
    client.closed_with(ErrorCode::UnexpectedMessage).await?;
    delete.carry_out();
    undoing.checked_in(&user.handle, 4).await.map(drop)
}

async fn location_refuses(world: Arc<World>) -> Done {
    let stage = Stage::shared(&world).await?;
    let (home, user, mut client) = visit(&stage).await?;
    let _refusing = stage.node().refuse(user.handle.id);
    let undoing = home.answer_check_in();
    let id = client.ask_logout().await?;
    client.logged_out(id).await?;
    undoing.checked_in(&user.handle, 4).await.map(drop)
}

async fn home_down(world: Arc<World>) -> Done {
    let stage = Stage::shared(&world).await?;
    let (home, user, mut client) = visit(&stage).await?;
    home.stop();
    let id = client.ask_logout().await?;
    client.logged_out(id).await?;
    expect_equal("the records", &Vec::new(), &stage.node().records(user.handle.id))
}

async fn everybody_down(world: Arc<World>) -> Done {
    let stage = Stage::alone(&world, Alone::default()).await?;
    let (home, user, mut client) = visit(&stage).await?;
    home.stop();
    stage.node().go_down();
    let id = client.ask_logout().await?;
    client.logged_out(id).await?;
    // There is nobody to ask, and still the list is right.
    let mut again = stage.client(&user).await?;
    again.ask_login().await?;
    again.login_refused(ErrorCode::HomeUnreachable).await
}

/// The client goes in some way other than a logout; what a logout would undo is undone.
async fn gone<F>(world: Arc<World>, go: fn(Client) -> F) -> Done
where
    F: Future<Output = Done> + Send,
{
    let stage = Stage::shared(&world).await?;
    let (home, user, client) = visit(&stage).await?;
    let inserted = stage.node().records(user.handle.id);
    let mut held = stage.node().hold(user.handle.id);
    let undoing = home.answer_check_in();
    go(client).await?;
    let delete = held.next().await?;
    let record = want!(delete.request(), ToDirectoryNode::Delete(it) => it.record.clone(); "delete")?;
    expect_equal("the record", &inserted, &vec![record])?;
    delete.carry_out();
    let home = undoing.checked_in(&user.handle, 4).await?;
    let mut peer = home.dial(&stage).await?;
    // Nobody was promised when the user is off the list; that it comes to that is what counts.
    let told = loop {
        let told = peer.resolve(&user.handle, &user.handle).await?;
        if told.is_err() {
            break told;
        }
    };
    expect_equal("the list", &Err(ErrorCode::Unavailable), &told)
}

async fn log_in_again(world: Arc<World>) -> Done {
    let stage = Stage::shared(&world).await?;
    let user = stage.account().await?;
    let mut client = stage.logged_in(&user).await?;
    client.log_out().await?;
    let mut again = stage.logged_in(&user).await?;
    expect_equal("the address", &Ok(again.address()), &again.lookup(&user.handle).await?)
}
