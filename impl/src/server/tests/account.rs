//! Registration.

use antiphon_protocol::key::{KeyAlgorithm, KeyPair};
use antiphon_spec::{
    error_code::ErrorCode,
    message::registration::{FromRegistrar, Possession},
};

use super::world::{Running, World};
use crate::config::RegistrationPolicy;

#[tokio::test]
async fn a_key_has_one_account() {
    let world = World::new().await;
    let server = world.server("a.example").await;
    let first = world.register(&server).await;
    let again = world.register_key(&server, first.key.clone()).await.unwrap();
    let other = world.register(&server).await;
    assert_eq!(first.handle, again.handle);
    assert_ne!(first.handle, other.handle);
    assert_eq!(first.handle.home, server.config.name);
    // Two certificates, and not the same one again.
    assert_eq!(again.credentials.chain().len(), 2);
    assert_ne!(first.credentials.chain()[0], again.credentials.chain()[0]);
}

#[tokio::test]
async fn registrations_at_once_make_one_account() {
    let world = World::new().await;
    let server = world.server("a.example").await;
    let key = KeyPair::generate(KeyAlgorithm::P256).unwrap();
    let register = || world.register_key(&server, key.clone());
    let (a, b, c) = tokio::join!(register(), register(), register());
    let (a, b, c) = (a.unwrap().handle, b.unwrap().handle, c.unwrap().handle);
    assert!(a == b && b == c);
}

#[tokio::test]
async fn possession_is_proved_for_this_key_and_this_server() {
    let world = World::new().await;
    let server = world.server("a.example").await;
    let key = KeyPair::generate(KeyAlgorithm::default()).unwrap();
    let other = KeyPair::generate(KeyAlgorithm::default()).unwrap();
    let name = server.config.name.clone();
    for proof in [
        Possession { key: other.public_key_der().to_vec(), server: name },
        Possession { key: key.public_key_der().to_vec(), server: "b.example".parse().unwrap() },
    ] {
        let answer = world.ask_registrar(&server, &key, proof).await;
        let FromRegistrar::Refused(refused) = answer else { panic!("{answer:?}") };
        assert_eq!(refused.code, ErrorCode::ProofRefused);
    }
}

#[tokio::test]
async fn a_closed_server_still_knows_its_users() {
    let world = World::new().await;
    let server = world.server("a.example").await;
    let user = world.register(&server).await;
    let Running { mut config, server } = server;
    server.shutdown().await;
    config.registration = RegistrationPolicy::Closed;
    let server = Running::start(config).await;
    assert_eq!(world.register_key(&server, user.key).await.unwrap().handle, user.handle);
    let fresh = KeyPair::generate(KeyAlgorithm::default()).unwrap();
    let refused = world.register_key(&server, fresh).await.map(|user| user.handle);
    assert_eq!(refused, Err(ErrorCode::RegistrationClosed));
}
