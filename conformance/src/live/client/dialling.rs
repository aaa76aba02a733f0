//! A client that dials: what it offers in TLS, which servers it refuses, and how it takes what comes before the
//! greeting.

use std::sync::Arc;

use antiphon_protocol::{
    certificate::{ExtendedKeyUsage, Name, Template},
    key::KeyPair,
    message::{AcceptorMessage as _, ChannelMessage as _},
    tls::{Credentials, Port},
};
use antiphon_spec::{
    error_code::ErrorCode,
    message::{
        client_client::ClientMessage,
        common::Greeting,
        registration::{FromRegistrar, ToRegistrar},
    },
};
use serde_json::json;

use super::{
    driver::Client,
    hello::Hello,
    line::Line,
    live_cases,
    realm::{ELSEWHERE, HOME, Realm, is_refused, key, serial, today, tomorrow, yesterday},
    scene::{Scene, session_of},
    server::Server,
};
use crate::{
    case::Failure,
    live::{LiveCase, World},
};

pub(super) const CASES: &[LiveCase] = live_cases! {
    "client-dial/registration-hello" ["WIRE-002", "WIRE-001", "WIRE-007", "WIRE-009", "WIRE-010"]
        "what a client offers in TLS when it registers" => registration_hello;
    "client-dial/server-hello" ["WIRE-002", "WIRE-001", "WIRE-007", "WIRE-009", "WIRE-010"]
        "what a client offers in TLS when it logs in, after an earlier connection" => server_hello;
    "client-dial/link-hello" ["WIRE-002", "WIRE-001", "WIRE-007", "WIRE-009", "WIRE-010"]
        "what a client offers in TLS when it dials another client" => link_hello;
    "client-dial/other-name" ["CERT-022"] twin "client-registration/registers"
        "the server has another name than the one that was dialled" => |world| refuses(world, "wrong-peer", |realm, key| {
            credentials(realm, &Template::server(&realm.elsewhere.name, today(), serial()?), key)
        });
    "client-dial/other-root" ["CERT-008", "CERT-025"] twin "client-registration/registers"
        "the server's certificate is under another root" => |world| refuses(world, "unknown-root", |_, key| {
            let other = Realm::new()?;
            credentials(&other, &Template::server(&other.home.name, today(), serial()?), key)
        });
    "client-dial/expired" ["CERT-009"] twin "client-registration/registers"
        "the server's certificate has expired" => |world| refuses(world, "expired", |realm, key| {
            credentials(realm, &Template::server(&realm.home.name, yesterday(), serial()?), key)
        });
    "client-dial/not-yet-valid" ["CERT-009"] twin "client-registration/registers"
        "the server's certificate is good from tomorrow" => |world| refuses(world, "not-yet-valid", |realm, key| {
            credentials(realm, &Template::server(&realm.home.name, tomorrow(), serial()?), key)
        });
    "client-dial/without-server-auth" ["CERT-013"] twin "client-registration/registers"
        "the server's certificate is for dialling alone" => |world| refuses(world, "wrong-purpose", |realm, key| {
            let mut template = Template::server(&realm.home.name, today(), serial()?);
            template.extended_key_usages = vec![ExtendedKeyUsage::ClientAuth];
            credentials(realm, &template, key)
        });
    "client-dial/two-names" ["CERT-015"] twin "client-registration/registers"
        "the server's certificate has two names, the right one first" => |world| refuses(world, "two-identities", |realm, key| {
            let mut template = Template::server(&realm.home.name, today(), serial()?);
            template.names.push(Name::Dns(ELSEWHERE.to_owned()));
            credentials(realm, &template, key)
        });
    "client-dial/name-in-common-name" ["CERT-014", "CERT-015"] twin "client-registration/registers"
        "the server's name is the common name, and there is no alternative name" => |world| refuses(world, "no-identity", |realm, key| {
            let mut template = Template::server(&realm.home.name, today(), serial()?);
            template.names.clear();
            template.common_name = Some(HOME.to_owned());
            credentials(realm, &template, key)
        });
    "client-dial/node-as-server" ["CERT-021"] twin "client-registration/registers"
        "a directory node of the server's name answers" => |world| refuses(world, "wrong-role", |realm, key| {
            credentials(realm, &Template::directory_node(&realm.home.name, today(), serial()?), key)
        });
    "client-dial/server-below-user-authority" ["CERT-019"] twin "client-registration/registers"
        "the server's user authority issued its TLS certificate" => |world| refuses(world, "wrong-purpose", |realm, key| {
            let mut template = Template::server(&realm.home.name, today(), serial()?);
            template.extended_key_usages = vec![ExtendedKeyUsage::ServerAuth, ExtendedKeyUsage::ClientAuth];
            let chain = realm.home.chain(&template, key.public_key())?;
            Credentials::unchecked(chain, key).map_err(Failure::harness)
        });
    "client-dial/authority-as-server" ["CERT-010"] twin "client-registration/registers"
        "the server shows a certificate of an authority" => |world| refuses(world, "is-authority", |realm, key| {
            let mut template = Template::server(&realm.home.name, today(), serial()?);
            template.authority = antiphon_protocol::certificate::AuthorityFlag::Yes(0);
            credentials(realm, &template, key)
        });
    "client-dial/unknown-critical-extension" ["CERT-008"] twin "client-registration/registers"
        "the server's certificate has a critical extension that nobody knows" => |world| refuses(world, "unknown-critical-extension", |realm, key| {
            let mut template = Template::server(&realm.home.name, today(), serial()?);
            template.unknown_critical_extension = true;
            credentials(realm, &template, key)
        });
    "client-dial/key-not-proved" ["CERT-032", "CERT-033"] twin "client-registration/registers"
        "somebody shows the server's certificate and signs with another key" => |world| refuses(world, "not-proved", |realm, key| {
            Credentials::unchecked(realm.home.credentials.chain().to_vec(), key).map_err(Failure::harness)
        });
    "client-dial/without-key-usage" ["CERT-030", "CERT-033"] twin "client-registration/registers"
        "the server's certificate has no key usage" => |world| refuses(world, "wrong-key-usage", |realm, key| {
            let mut template = Template::server(&realm.home.name, today(), serial()?);
            template.key_usages.clear();
            credentials(realm, &template, key)
        });
    "client-dial/for-code-too" ["CERT-031", "CERT-033"] twin "client-registration/registers"
        "the server's certificate is for signing code too" => |world| refuses(world, "wrong-purpose", |realm, key| {
            let mut template = Template::server(&realm.home.name, today(), serial()?);
            template.extended_key_usages.push(ExtendedKeyUsage::CodeSigning);
            credentials(realm, &template, key)
        });
    "client-dial/wildcard" ["CERT-016", "CERT-033"] twin "client-registration/registers"
        "the server's name has a wildcard" => |world| refuses(world, "invalid-identity", |realm, key| {
            let mut template = Template::server(&realm.home.name, today(), serial()?);
            template.names = vec![Name::Dns("*.example".to_owned())];
            credentials(realm, &template, key)
        });
    "client-dial/other-name-at-login" ["CERT-022"] twin "client-registration/registers"
        "another server answers at the address of the local server" => other_name_at_login;
    "client-dial/no-alpn" ["WIRE-004"] twin "client-registration/registers"
        "the server selects no protocol name" => no_alpn;
    "client-dial/silent-before-greeting" ["WIRE-038", "WIRE-039", "WIRE-053"] twin "client-registration/registers"
        "an error comes instead of a greeting: the client has said nothing before, and answers nothing" => error_first;
    "client-dial/no-greeting-first" ["WIRE-039"] twin "client-registration/registers"
        "a pong comes instead of a greeting" => |world| first_is(world, FromRegistrar::pong(1), ErrorCode::UnexpectedMessage);
    "client-dial/goodbye-first" ["WIRE-039"] twin "client-registration/registers"
        "a goodbye comes instead of a greeting" => |world| first_is(world, FromRegistrar::goodbye(), ErrorCode::UnexpectedMessage);
    "client-dial/other-version" ["WIRE-040"] twin "client-registration/registers"
        "the greeting has version 2" => |world| first_is(world, FromRegistrar::Greeting(Greeting { version: 2 }), ErrorCode::Malformed);
    "client-dial/version-0" ["WIRE-040"] twin "client-registration/registers"
        "the greeting has version 0" => |world| first_is(world, FromRegistrar::Greeting(Greeting { version: 0 }), ErrorCode::Malformed);
    "client-dial/second-greeting" ["WIRE-034"] twin "client-registration/registers"
        "a second greeting comes" => second_greeting;
    "client-dial/link-second-greeting" ["WIRE-041"] twin "inviter/invites"
        "the other client greets twice" => link_second_greeting;
    "client-dial/link-other-version" ["WIRE-040"] twin "inviter/invites"
        "the other client greets with version 2" => link_other_version;
    "client-dial/no-greeting-in-time" ["WIRE-042"] twin "client-registration/registers"
        "no greeting comes" => no_greeting;
};

fn credentials(realm: &Realm, template: &Template, key: &KeyPair) -> Result<Credentials, Failure> {
    let leaf = realm.sign(template, key.public_key())?;
    Credentials::unchecked(vec![leaf], key).map_err(Failure::harness)
}

async fn registering(world: &World) -> Result<(Arc<Realm>, Server, Client, u64), Failure> {
    let realm = Arc::new(Realm::new()?);
    let server = Server::new(&realm).await?;
    let mut client = Client::start(world, &realm, &server).await?;
    let id = client.command(json!({"command": "register"})).await?;
    Ok((realm, server, client, id))
}

async fn registration_hello(world: Arc<World>) -> Result<(), Failure> {
    let (_, server, _client, _) = registering(&world).await?;
    let mut stream = server.knocked(Port::Registration).await?;
    Hello::read(&mut stream).await?.check("antiphon-reg/1")
}

async fn server_hello(world: Arc<World>) -> Result<(), Failure> {
    let mut scene = Scene::new(&world).await?;
    scene.client.done(json!({"command": "logout"}), "logged-out").await?;
    let _id = scene.client.command(json!({"command": "login"})).await?;
    let mut stream = scene.server.knocked(Port::Authenticated).await?;
    Hello::read(&mut stream).await?.check("antiphon-c2s/1")
}

async fn link_hello(world: Arc<World>) -> Result<(), Failure> {
    let mut scene = Scene::new(&world).await?;
    let session = session_of(&scene.client.done(json!({"command": "create"}), "created").await?)?;
    scene.client.invite(session, &scene.a.handle).await?;
    let mut stream = scene.a.knocked().await?;
    Hello::read(&mut stream).await?.check("antiphon-c2c/1")
}

type Shown = fn(&Realm, &KeyPair) -> Result<Credentials, Failure>;

async fn refuses(world: Arc<World>, reason: &'static str, shown: Shown) -> Result<(), Failure> {
    let (realm, server, mut client, id) = registering(&world).await?;
    let acceptor = server.acceptor(Port::Registration, &shown(&realm, &key()?)?);
    is_refused(&acceptor, server.knocked(Port::Registration).await?, reason).await?;
    client.answered(id, "refused").await.map(drop)
}

async fn other_name_at_login(world: Arc<World>) -> Result<(), Failure> {
    let (realm, server, mut client, id) = registering(&world).await?;
    server.register().await?;
    client.answered(id, "registered").await?;
    let id = client.command(json!({"command": "login"})).await?;
    let acceptor = server.acceptor(Port::Authenticated, &realm.elsewhere.credentials);
    is_refused(&acceptor, server.knocked(Port::Authenticated).await?, "wrong-peer").await?;
    client.answered(id, "refused").await.map(drop)
}

async fn no_alpn(world: Arc<World>) -> Result<(), Failure> {
    let (realm, server, mut client, id) = registering(&world).await?;
    let (mut config, _outcome) = antiphon_protocol::tls::server_config(
        Port::Registration,
        &realm.home.credentials,
        &realm.trust,
        &super::realm::clock(),
    )
    .map_err(Failure::harness)?;
    config.alpn_protocols.clear();
    config.cert_resolver =
        Arc::new(rustls::sign::SingleCertAndKey::from(realm.home.credentials.certified_key().clone()));
    let stream = server.knocked(Port::Registration).await?;
    // The client may end the handshake at once, or when it is over.
    if let Ok(stream) = tokio_rustls::TlsAcceptor::from(Arc::new(config)).accept(stream).await {
        let mut line: Line<FromRegistrar, ToRegistrar> = Line::over(stream);
        // It may have gone before this is sent.
        let _ = line.send(&FromRegistrar::greeting()).await;
        line.gone().await?;
    }
    client.answered(id, "refused").await.map(drop)
}

async fn error_first(world: Arc<World>) -> Result<(), Failure> {
    let (_, server, mut client, id) = registering(&world).await?;
    let mut line = server.registrar_silently().await?;
    line.send(&FromRegistrar::error(ErrorCode::ShuttingDown)).await?;
    line.ends_silently().await?;
    client.answered(id, "refused").await.map(drop)
}

async fn first_is(world: Arc<World>, first: FromRegistrar, code: ErrorCode) -> Result<(), Failure> {
    let (_, server, mut client, id) = registering(&world).await?;
    let mut line = server.registrar_silently().await?;
    line.send(&first).await?;
    line.refused(code).await?;
    client.answered(id, "refused").await.map(drop)
}

async fn second_greeting(world: Arc<World>) -> Result<(), Failure> {
    let (_, server, mut client, id) = registering(&world).await?;
    let (mut line, _) = server.registrar().await?;
    line.send(&FromRegistrar::greeting()).await?;
    line.refused(ErrorCode::UnexpectedMessage).await?;
    client.answered(id, "refused").await.map(drop)
}

/// The client's user invites person a, whose client has not greeted.
async fn dials_a(world: &World) -> Result<(Scene, super::line::Link), Failure> {
    let mut scene = Scene::new(world).await?;
    let session = session_of(&scene.client.done(json!({"command": "create"}), "created").await?)?;
    scene.client.invite(session, &scene.a.handle).await?;
    let link = scene.a.accept_silently(&scene.me()).await?;
    Ok((scene, link))
}

async fn link_second_greeting(world: Arc<World>) -> Result<(), Failure> {
    let (mut scene, mut link) = dials_a(&world).await?;
    link.send(&ClientMessage::greeting()).await?;
    link.next().await?;
    link.send(&ClientMessage::greeting()).await?;
    link.refused(ErrorCode::UnexpectedMessage).await?;
    scene.client.tells("invitation-failed", json!({"handle": scene.a.handle})).await
}

async fn link_other_version(world: Arc<World>) -> Result<(), Failure> {
    let (mut scene, mut link) = dials_a(&world).await?;
    link.send(&ClientMessage::Greeting(Greeting { version: 2 })).await?;
    link.refused(ErrorCode::Malformed).await?;
    scene.client.tells("invitation-failed", json!({"handle": scene.a.handle})).await
}

async fn no_greeting(world: Arc<World>) -> Result<(), Failure> {
    let (_, server, mut client, id) = registering(&world).await?;
    server.registrar_silently().await?.gone().await?;
    client.answered(id, "refused").await.map(drop)
}
