//! Changing preferences, at home and elsewhere.

use antiphon_spec::{
    error_code::ErrorCode,
    policy::{Preferences, Verdict},
};

use super::world::World;

fn closed() -> Preferences {
    Preferences { default: Verdict::Deny, ..Preferences::default() }
}

#[tokio::test]
async fn a_change_is_written_through_to_the_home_server() {
    let world = World::new().await;
    let (home, away) = (world.server("a.example").await, world.server("b.example").await);
    let user = world.register(&home).await;
    let (mut connected, logged_in) = world.login(&user, &away, 5000).await;
    assert_eq!(logged_in.profile.messaging, Preferences::default());
    assert_eq!(connected.set(0, closed()).await, Ok(1));
    assert_eq!(connected.set(0, Preferences::default()).await, Err(ErrorCode::VersionConflict));
    connected.logout().await;
    let (_connected, logged_in) = world.login(&user, &home, 5000).await;
    assert_eq!((logged_in.profile.version.0, logged_in.profile.messaging), (1, closed()));
}

#[tokio::test]
async fn nothing_changes_while_the_home_server_is_down() {
    let world = World::new().await;
    let (home, away) = (world.server("a.example").await, world.server("b.example").await);
    let user = world.register(&home).await;
    let (mut connected, _) = world.login(&user, &away, 5000).await;
    let config = home.config.clone();
    home.server.shutdown().await;
    assert_eq!(connected.set(0, closed()).await, Err(ErrorCode::HomeUnreachable));
    // Those who are logged in stay so (LOGIN-034).
    assert!(connected.lookup(&user.handle).await.is_ok());
    let home = super::world::Running::start(config).await;
    while connected.set(0, closed()).await != Ok(1) {
        // The home server may not be known to the location service again yet.
        tokio::task::yield_now().await;
    }
    home.server.shutdown().await;
}
