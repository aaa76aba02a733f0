//! Login, logout and replacement, at home and elsewhere.

use antiphon_protocol::connection::Ended;
use antiphon_spec::{
    error_code::ErrorCode,
    identity::{ContactAddress, Identity},
    message::{
        client_server::{FromServer, Login, Lookup, ToServer},
        common::{Refused, RequestId},
        location::{Find, Found, FromDirectoryNode, ToDirectoryNode},
        server_server::{
            CheckIn, CheckOut, FromPeerServer, LoginEpoch, ProfileVersion, Replace, ReplaceDone, Store,
            Stored, ToPeerServer,
        },
    },
    policy::Preferences,
};

use super::world::{World, address, listing};

#[tokio::test]
async fn login_epochs_grow_wherever_the_user_logs_in() {
    let world = World::new().await;
    let (home, away) = (world.server("a.example").await, world.server("b.example").await);
    let user = world.register(&home).await;
    let mut epochs = Vec::new();
    for server in [&home, &away, &home] {
        let (connected, logged_in) = world.login(&user, server, 5000).await;
        epochs.push(logged_in.epoch.0);
        connected.logout().await;
    }
    assert_eq!(epochs, [1, 2, 3]);
}

#[tokio::test]
async fn a_newer_login_replaces_the_older_one() {
    let world = World::new().await;
    let (home, away) = (world.server("a.example").await, world.server("b.example").await);
    let user = world.register(&home).await;
    let (first, _) = world.login(&user, &home, 5001).await;
    let (second, _) = world.login(&user, &away, 5002).await;
    assert_eq!(first.replaced().await, 1);
    let (third, _) = world.login(&user, &away, 5003).await;
    assert_eq!(second.replaced().await, 2);
    let (mut fourth, logged_in) = world.login(&user, &home, 5004).await;
    assert_eq!(third.replaced().await, 3);
    assert_eq!(logged_in.epoch, LoginEpoch(4));

    // The newest is the one that is found, by users of both servers.
    for (version, server) in [&home, &away].into_iter().enumerate() {
        let asker = world.register(server).await;
        fourth.set(u64::try_from(version).unwrap(), listing(&[&asker])).await.unwrap();
        let (mut asker, _) = world.login(&asker, server, 5005).await;
        assert_eq!(asker.lookup(&user.handle).await, Ok(address(5004)));
    }
    fourth.logout().await;
}

#[tokio::test]
async fn a_logout_leaves_no_record() {
    let world = World::new().await;
    let (home, asker) = (world.server("a.example").await, world.server_config("c.example"));
    let user = world.register(&home).await;
    let dialler = world.dialler(Some(&world.server_credentials(&asker)));
    let whom = Identity::DirectoryNode("node".parse().unwrap());
    let (_, mut node) = dialler.dial::<ToDirectoryNode>(world.node_address(), &whom, None).await.unwrap();
    let mut records = async || {
        let find = Find { id: RequestId(1), hops: 0, handle: user.handle.id };
        node.send(&ToDirectoryNode::Find(find)).await.unwrap();
        let answer = node.receive().await.unwrap();
        let FromDirectoryNode::Found(Found { records, .. }) = answer else { panic!("{answer:?}") };
        records
    };
    let (connected, logged_in) = world.login(&user, &home, 5000).await;
    let [record] = &*records().await else { panic!("one record") };
    assert_eq!((record.epoch, &record.server), (logged_in.epoch, &home.config.name));
    assert_eq!(record.address.0, home.server.address());
    connected.logout().await;
    assert_eq!(records().await, []);
}

#[tokio::test]
async fn a_lost_connection_is_a_logout() {
    let world = World::new().await;
    let (home, away) = (world.server("a.example").await, world.server("b.example").await);
    let (user, asker) = (world.register(&home).await, world.register(&home).await);
    let (mut connected, _) = world.login(&user, &away, 5001).await;
    connected.set(0, listing(&[&asker])).await.unwrap();
    let (mut asker, _) = world.login(&asker, &home, 5000).await;
    assert_eq!(asker.lookup(&user.handle).await, Ok(address(5001)));
    drop(connected);
    // How long the server takes to notice is its own business; that it does is what counts.
    while asker.lookup(&user.handle).await.is_ok() {
        tokio::task::yield_now().await;
    }
    assert_eq!(asker.lookup(&user.handle).await, Err(ErrorCode::Unavailable));
}

#[tokio::test]
async fn what_may_not_come_now_closes_the_connection() {
    let world = World::new().await;
    let server = world.server("a.example").await;
    let user = world.register(&server).await;
    let mut early = world.connect(&user, &server).await;
    let lookup = Lookup { id: early.id(), user: user.handle.clone() };
    early.connection.send(&ToServer::Lookup(lookup)).await.unwrap();
    let ended = early.receive().await.unwrap_err();
    assert!(matches!(ended, Ended::Error(ErrorCode::UnexpectedMessage)), "{ended:?}");

    let (mut twice, _) = world.login(&user, &server, 5000).await;
    let login = Login { id: twice.id(), address: address(5000) };
    twice.connection.send(&ToServer::Login(login)).await.unwrap();
    let ended = twice.receive().await.unwrap_err();
    assert!(matches!(ended, Ended::Error(ErrorCode::UnexpectedMessage)), "{ended:?}");
}

#[tokio::test]
async fn a_refused_login_may_be_tried_again() {
    let mut world = World::new().await;
    let home = world.server("a.example").await;
    let user = world.register(&home).await;
    let mut connected = world.connect(&user, &home).await;
    world.stop_node().await;
    let refused = connected.login(5000).await;
    let FromServer::Refused(refused) = refused else { panic!("{refused:?}") };
    assert_eq!(refused.code, ErrorCode::LocationUnreachable);
    world.start_node().await;
    let answer = connected.login(5000).await;
    assert!(matches!(answer, FromServer::LoggedIn(_)), "{answer:?}");
    connected.logout().await;
}

#[tokio::test]
async fn a_home_that_is_down_is_said_to_be_unreachable() {
    let world = World::new().await;
    let (home, away) = (world.server("a.example").await, world.server("b.example").await);
    let user = world.register(&home).await;
    home.server.shutdown().await;
    let mut connected = world.connect(&user, &away).await;
    let refused = connected.login(5000).await;
    let FromServer::Refused(refused) = refused else { panic!("{refused:?}") };
    assert_eq!(refused.code, ErrorCode::HomeUnreachable);
}

#[tokio::test]
async fn a_server_has_no_power_over_others_users() {
    let world = World::new().await;
    let (home, other) = (world.server("a.example").await, world.server_config("c.example"));
    let user = world.register(&home).await;
    let (connected, logged_in) = world.login(&user, &home, 5000).await;

    // A server that the root vouches for, and that is neither the home nor the holder.
    let dialler = world.dialler(Some(&world.server_credentials(&other)));
    let whom = Identity::Server(home.config.name.clone());
    let at = ContactAddress(home.server.address());
    let (_, mut peer) = dialler.dial::<ToPeerServer>(at, &whom, None).await.unwrap();
    let id = RequestId;
    let (handle, epoch) = (user.handle.clone(), logged_in.epoch);
    let replace = Replace { id: id(1), user: handle, epoch };
    peer.send(&ToPeerServer::Replace(replace)).await.unwrap();
    let answer = peer.receive().await.unwrap();
    let FromPeerServer::Refused(refused) = answer else { panic!("{answer:?}") };
    assert_eq!(refused.code, ErrorCode::Forbidden);

    // It holds nothing, so it may store nothing.
    let store = |number, epoch| {
        let (user, version, messaging) = (user.handle.id, ProfileVersion(0), Preferences::default());
        ToPeerServer::Store(Store { id: id(number), user, epoch, version, messaging })
    };
    peer.send(&store(5, epoch)).await.unwrap();
    let answer = peer.receive().await.unwrap();
    let refused = FromPeerServer::Refused(Refused { id: id(5), code: ErrorCode::LoginReplaced });
    assert_eq!(answer, refused);

    // Its check-in is answered and has no effect.
    let check_in = CheckIn { id: id(2), user: user.handle.id, epoch };
    peer.send(&ToPeerServer::CheckIn(check_in)).await.unwrap();
    let answer = peer.receive().await.unwrap();
    assert!(matches!(answer, FromPeerServer::CheckedIn(_)), "{answer:?}");

    // Its check-out, as of a login there, does take the login over: the user is told.
    let check_out = CheckOut { id: id(3), user: user.handle.id };
    peer.send(&ToPeerServer::CheckOut(check_out)).await.unwrap();
    let answer = peer.receive().await.unwrap();
    let FromPeerServer::CheckedOut(checked_out) = answer else { panic!("{answer:?}") };
    assert!(checked_out.epoch > epoch);
    assert_eq!(connected.replaced().await, epoch.0);

    // Now it may, under its own login epoch and not under the one before.
    peer.send(&store(6, epoch)).await.unwrap();
    let refused = FromPeerServer::Refused(Refused { id: id(6), code: ErrorCode::LoginReplaced });
    assert_eq!(peer.receive().await.unwrap(), refused);
    peer.send(&store(7, checked_out.epoch)).await.unwrap();
    let stored = Stored { id: id(7), version: ProfileVersion(1) };
    assert_eq!(peer.receive().await.unwrap(), FromPeerServer::Stored(stored));

    // A notice for nobody who is here is answered all the same.
    let stranger = format!("{}@c.example", user.handle.id).parse().unwrap();
    let replace = Replace { id: id(4), user: stranger, epoch };
    peer.send(&ToPeerServer::Replace(replace)).await.unwrap();
    let answer = peer.receive().await.unwrap();
    assert_eq!(answer, FromPeerServer::ReplaceDone(ReplaceDone { id: id(4) }));
}
