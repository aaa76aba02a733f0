//! What is left after a restart, and what waits for whom.

use antiphon_spec::{error_code::ErrorCode, policy::Preferences};

use super::world::{Running, World, address, listing};
use crate::server::Server;

#[tokio::test]
async fn accounts_epochs_and_preferences_survive() {
    let world = World::new().await;
    let server = world.server("a.example").await;
    let user = world.register(&server).await;
    let (mut connected, _) = world.login(&user, &server, 5000).await;
    assert_eq!(connected.set(0, Preferences::default()).await, Ok(1));
    let server = server.restart().await;
    // The server said that it went down.
    let ended = connected.receive().await.unwrap_err();
    let text = format!("{ended:?}");
    assert!(matches!(ended, antiphon_protocol::connection::Ended::Error(ErrorCode::ShuttingDown)), "{text}");
    let again = world.register_key(&server, user.key.clone()).await.unwrap();
    assert_eq!(again.handle, user.handle);
    let (_connected, logged_in) = world.login(&user, &server, 5000).await;
    assert_eq!((logged_in.epoch.0, logged_in.profile.version.0), (2, 1));
}

#[tokio::test]
async fn records_survive_a_restart_of_the_directory_node() {
    let mut world = World::new().await;
    let (one, two) = (world.server("a.example").await, world.server("b.example").await);
    let (user, asker) = (world.register(&one).await, world.register(&two).await);
    let (mut connected, _) = world.login(&user, &one, 5001).await;
    connected.set(0, listing(&[&asker])).await.unwrap();
    let (mut asker, _) = world.login(&asker, &two, 5002).await;
    world.stop_node().await;
    world.start_node().await;
    assert_eq!(asker.lookup(&user.handle).await, Ok(address(5001)));
}

#[tokio::test]
async fn a_server_starts_before_the_directory_node() {
    let mut world = World::new().await;
    let config = world.server_config("a.example");
    world.stop_node().await;
    let server = Running::start(config).await;
    let key = antiphon_protocol::key::KeyPair::generate(Default::default()).unwrap();
    let refused = world.register_key(&server, key.clone()).await.map(|user| user.handle);
    assert_eq!(refused, Err(ErrorCode::LocationUnreachable));
    world.start_node().await;
    let user = world.register_key(&server, key).await.unwrap();
    let (connected, _) = world.login(&user, &server, 5000).await;
    connected.logout().await;
    server.server.shutdown().await;
}

#[tokio::test]
async fn a_server_does_not_start_under_anothers_name() {
    let world = World::new().await;
    let (one, two) = (world.server_config("a.example"), world.server_config("b.example"));
    let mut config = one.clone();
    (config.certificate, config.key) = (two.certificate.clone(), two.key.clone());
    let error = Server::start(config).await.unwrap_err();
    let told = crate::net::chain(&error);
    assert!(told.contains("b.example") && told.ends_with("is not a.example's"), "{told}");
    let mut config = one;
    (config.user_ca_certificate, config.user_ca_key) = (two.user_ca_certificate, two.user_ca_key);
    let error = Server::start(config).await.unwrap_err();
    let told = error.to_string();
    assert!(told.ends_with("is the user CA of b.example, not of a.example"), "{told}");
}
