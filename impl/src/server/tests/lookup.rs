//! Address lookup: who is told, and that every no is the same.

use antiphon_spec::{
    error_code::ErrorCode,
    identity::UserHandle,
    policy::{HandleSet, Preferences, Verdict},
};

use super::world::{World, address, listing};

fn only(handle: &UserHandle) -> Preferences {
    let mut allow = HandleSet::default();
    assert!(allow.insert(handle.clone()));
    Preferences { deny: HandleSet::default(), allow, default: Verdict::Deny }
}

#[tokio::test]
async fn the_server_with_the_login_judges() {
    let world = World::new().await;
    let (one, two) = (world.server("a.example").await, world.server("b.example").await);
    let (user, friend, stranger) =
        (world.register(&one).await, world.register(&two).await, world.register(&one).await);
    let (mut logged_in, _) = world.login(&user, &one, 5001).await;
    let (mut friend_in, _) = world.login(&friend, &two, 5002).await;
    let (mut stranger_in, _) = world.login(&stranger, &one, 5003).await;
    // To be allowed by the default is not to be told the address; to oneself it always is.
    assert_eq!(stranger_in.lookup(&user.handle).await, Err(ErrorCode::Unavailable));
    assert_eq!(logged_in.lookup(&user.handle).await, Ok(address(5001)));
    logged_in.set(0, listing(&[&stranger])).await.unwrap();
    assert_eq!(stranger_in.lookup(&user.handle).await, Ok(address(5001)));

    logged_in.set(1, only(&friend.handle)).await.unwrap();
    assert_eq!(friend_in.lookup(&user.handle).await, Ok(address(5001)));
    assert_eq!(stranger_in.lookup(&user.handle).await, Err(ErrorCode::Unavailable));

    // From another server the same; and for those who are offline or were never there.
    stranger_in.logout().await;
    let (mut stranger_in, _) = world.login(&stranger, &two, 5003).await;
    assert_eq!(stranger_in.lookup(&user.handle).await, Err(ErrorCode::Unavailable));
    let nobody = "00112233445566778899aabbccddeeff@a.example".parse().unwrap();
    assert_eq!(stranger_in.lookup(&nobody).await, Err(ErrorCode::Unavailable));
    friend_in.logout().await;
    assert_eq!(logged_in.lookup(&friend.handle).await, Err(ErrorCode::Unavailable));
}

#[tokio::test]
async fn a_handle_is_compared_as_a_whole() {
    let world = World::new().await;
    let (one, two) = (world.server("a.example").await, world.server("b.example").await);
    let (user, asker) = (world.register(&one).await, world.register(&two).await);
    let (mut logged_in, _) = world.login(&user, &one, 5001).await;
    logged_in.set(0, listing(&[&asker])).await.unwrap();
    let (mut asker, _) = world.login(&asker, &two, 5002).await;
    let elsewhere = UserHandle { id: user.handle.id, home: two.config.name.clone() };
    assert_eq!(asker.lookup(&elsewhere).await, Err(ErrorCode::Unavailable));
    assert_eq!(asker.lookup(&user.handle).await, Ok(address(5001)));
}

#[tokio::test]
async fn without_the_location_service_nobody_is_found_elsewhere() {
    let mut world = World::new().await;
    let (one, two) = (world.server("a.example").await, world.server("b.example").await);
    let (here, there, asker) =
        (world.register(&one).await, world.register(&one).await, world.register(&one).await);
    let (mut here_in, _) = world.login(&here, &one, 5001).await;
    let (mut there_in, _) = world.login(&there, &two, 5002).await;
    here_in.set(0, listing(&[&asker])).await.unwrap();
    there_in.set(0, listing(&[&asker])).await.unwrap();
    let (mut asker, _) = world.login(&asker, &one, 5003).await;
    world.stop_node().await;
    assert_eq!(asker.lookup(&here.handle).await, Ok(address(5001)));
    assert_eq!(asker.lookup(&there.handle).await, Err(ErrorCode::Unavailable));
    world.start_node().await;
    assert_eq!(asker.lookup(&there.handle).await, Ok(address(5002)));
}
