//! Certificates on links: whom a client takes for a user when it is dialled, and when it dials.

use std::{sync::Arc, time::Duration};

use antiphon_protocol::{
    certificate::{AuthorityFlag, Demand, End, ExtendedKeyUsage, Name, Template},
    channel::Channel,
    connection::{DialError, Dialler, Ended},
    key::{KeyAlgorithm, KeyPair},
    tls::{Credentials, client_config},
};
use antiphon_spec::{error_code::ErrorCode, identity::Identity, message::client_client::ClientMessage};
use rustls::{
    ClientConfig,
    client::{ClientSessionMemoryCache, ClientSessionStore, Resumption},
    pki_types::{CertificateDer, IpAddr, Ipv4Addr, ServerName},
};
use serde_json::json;
use tokio::net::TcpStream;

use super::{
    line::Link,
    live_cases,
    realm::{ELSEWHERE, Person, Realm, clock, greeting, key, serial, today, tomorrow, yesterday},
    scene::{A, Scene, session_of},
};
use crate::{
    case::Failure,
    live::{LiveCase, World, reason},
};

type Chain = fn(&Realm, &KeyPair) -> Result<Vec<CertificateDer<'static>>, Failure>;

pub(super) const CASES: &[LiveCase] = live_cases! {
    "link-certificate/p-256" ["WIRE-010", "CERT-020"]
        "a user with a key on P-256 dials" => p256;
    "link-certificate/none" ["CERT-024", "WIRE-006", "WIRE-037"] twin "link/greeted"
        "a dialler shows no certificate" => none;
    "link-certificate/other-root" ["CERT-008", "CERT-025", "CERT-026"] twin "link/greeted"
        "a user under another root dials" => |world| refused(world, "unknown-root", |realm, key| {
            Realm::new()?.home.user_chain(&realm.home.handle(A), key.public_key())
        });
    "link-certificate/expired" ["CERT-009", "CERT-025", "CERT-026"] twin "link/greeted"
        "a user dials whose certificate has expired" => |world| refused(world, "expired", |realm, key| {
            realm.home.chain(&Template::user(&realm.home.handle(A), yesterday(), serial()?), key.public_key())
        });
    "link-certificate/not-yet-valid" ["CERT-009"] twin "link/greeted"
        "a user dials whose certificate is good from tomorrow" => |world| refused(world, "not-yet-valid", |realm, key| {
            realm.home.chain(&Template::user(&realm.home.handle(A), tomorrow(), serial()?), key.public_key())
        });
    "link-certificate/authority-as-user" ["CERT-010"] twin "link/greeted"
        "a user dials whose certificate is an authority's" => |world| spoiled(world, "is-authority", |template| template.authority = AuthorityFlag::Yes(0));
    "link-certificate/without-client-auth" ["CERT-012"] twin "link/greeted"
        "a user dials whose certificate is for accepting alone" => |world| spoiled(world, "wrong-purpose", |template| {
            template.extended_key_usages = vec![ExtendedKeyUsage::ServerAuth];
        });
    "link-certificate/without-name" ["CERT-015", "CERT-014"] twin "link/greeted"
        "a user dials whose handle is the common name" => |world| spoiled(world, "no-identity", |template| {
            template.common_name = template.names.first().map(|name| match name {
                Name::Uri(text) | Name::Dns(text) | Name::Email(text) => text.clone(),
            });
            template.names.clear();
        });
    "link-certificate/two-names" ["CERT-015"] twin "link/greeted"
        "a user dials whose certificate has two names" => |world| spoiled(world, "two-identities", |template| {
            template.names.extend(template.names.clone());
        });
    "link-certificate/upper-case-handle" ["CERT-016"] twin "link/greeted"
        "a user dials whose handle is not in its one form" => |world| spoiled(world, "invalid-identity", |template| {
            template.names = vec![Name::Uri(format!("antiphon:user:{}@home.example", "AB".repeat(16)))];
        });
    "link-certificate/unknown-critical-extension" ["CERT-008"] twin "link/greeted"
        "a user dials whose certificate has a critical extension that nobody knows" => |world| spoiled(world, "unknown-critical-extension", |template| {
            template.unknown_critical_extension = true;
        });
    "link-certificate/issued-elsewhere" ["CERT-018"] twin "link/greeted"
        "a user dials whose certificate another server has issued" => |world| refused(world, "home-did-not-issue", |realm, key| {
            realm.elsewhere.user_chain(&realm.home.handle(A), key.public_key())
        });
    "link-certificate/issued-by-root" ["CERT-017"] twin "link/greeted"
        "a user dials whose certificate the root has issued" => |world| refused(world, "home-did-not-issue", |realm, key| {
            Ok(vec![realm.sign(&Template::user(&realm.home.handle(A), today(), serial()?), key.public_key())?])
        });
    "link-certificate/issued-by-user" ["CERT-011"] twin "link/greeted"
        "a user dials whose certificate another user has issued" => |world| refused(world, "issuer-not-authority", |realm, key| {
            let other = super::realm::key()?;
            let middle = realm.home.user_chain(&realm.home.handle(0x33), other.public_key())?;
            let issuer = middle.first().ok_or_else(|| Failure::harness("no chain"))?;
            let template = Template::user(&realm.home.handle(A), today(), serial()?);
            let leaf = template.signed_by(key.public_key(), issuer, &other).map_err(Failure::harness)?;
            Ok([vec![leaf], middle].concat())
        });
    "link-certificate/server-as-user" ["CERT-021"] twin "link/greeted"
        "a server dials" => |world| refused(world, "wrong-role", |realm, key| {
            Ok(vec![realm.sign(&Template::server(&realm.elsewhere.name, today(), serial()?), key.public_key())?])
        });
    "link-certificate/node-as-user" ["CERT-021"] twin "link/greeted"
        "a directory node dials" => |world| refused(world, "wrong-role", |realm, key| {
            Ok(vec![realm.sign(&Template::directory_node(&realm.elsewhere.name, today(), serial()?), key.public_key())?])
        });
    "link/no-session-ticket" ["WIRE-008", "WIRE-007"] twin "link/greeted"
        "a dialler that would resume gets no ticket" => no_ticket;
    "link-certificate/no-alpn" ["WIRE-003"] twin "link/greeted"
        "a dialler offers no protocol name" => |world| alpn(world, vec![]);
    "link-certificate/alpn-of-other-channel" ["WIRE-003"] twin "link/greeted"
        "a dialler offers the client-to-server channel" => |world| alpn(world, vec![Channel::ClientServer.alpn().to_vec()]);
    "link-certificate/invitee-other-root" ["CERT-008", "CERT-023"] twin "inviter/invites"
        "the invitee's client shows a certificate under another root" => |world| dialled(world, "unknown-root", |realm, key| {
            Realm::new()?.home.user_chain(&realm.home.handle(A), key.public_key())
        });
    "link-certificate/invitee-expired" ["CERT-009"] twin "inviter/invites"
        "the invitee's client shows a certificate that has expired" => |world| dialled(world, "expired", |realm, key| {
            realm.home.chain(&Template::user(&realm.home.handle(A), yesterday(), serial()?), key.public_key())
        });
    "link-certificate/invitee-issued-elsewhere" ["CERT-018"] twin "inviter/invites"
        "the invitee's client shows a certificate that another server has issued" => |world| dialled(world, "home-did-not-issue", |realm, key| {
            realm.elsewhere.user_chain(&realm.home.handle(A), key.public_key())
        });
    "link-certificate/invitee-same-id-elsewhere" ["CERT-023", "IDENT-008"] twin "inviter/invites"
        "the invitee's address leads to the same user ID of another home" => |world| dialled(world, "wrong-peer", |realm, key| {
            realm.elsewhere.user_chain(&realm.elsewhere.handle(A), key.public_key())
        });
    "link-certificate/invitee-without-client-auth" ["CERT-012"] twin "inviter/invites"
        "the invitee's client shows a certificate for accepting alone" => |world| dialled(world, "wrong-purpose", |realm, key| {
            let mut template = Template::user(&realm.home.handle(A), today(), serial()?);
            template.extended_key_usages = vec![ExtendedKeyUsage::ServerAuth];
            realm.home.chain(&template, key.public_key())
        });
    "link-certificate/invitee-is-server" ["CERT-021", "CERT-023"] twin "inviter/invites"
        "a server answers at the invitee's address" => |world| dialled(world, "wrong-role", |realm, key| {
            let template = Template::server(&ELSEWHERE.parse().map_err(Failure::harness)?, today(), serial()?);
            Ok(vec![realm.sign(&template, key.public_key())?])
        });
    "link-certificate/31-days" ["CERT-029", "CERT-033"] twin "link/greeted"
        "a user dials whose certificate is good for 31 days" => |world| spoiled(world, "lifetime-too-long", |template| {
            template.validity.not_after = template.validity.not_before.after(Duration::from_secs(31 * 86_400));
        });
    "link-certificate/without-key-usage" ["CERT-030", "CERT-033"] twin "link/greeted"
        "a user dials whose certificate has no key usage" => |world| spoiled(world, "wrong-key-usage", |template| template.key_usages.clear());
    "link-certificate/for-servers-too" ["CERT-031", "CERT-033"] twin "link/greeted"
        "a user dials whose certificate has the extended key usages of a server" => |world| spoiled(world, "wrong-purpose", |template| {
            template.extended_key_usages.insert(0, ExtendedKeyUsage::ServerAuth);
        });
    "link-certificate/trailing-dot" ["CERT-016", "CERT-033"] twin "link/greeted"
        "a user dials whose home is written with a dot at its end" => |world| spoiled(world, "invalid-identity", |template| {
            template.names = vec![Name::Uri(format!("antiphon:user:{}@home.example.", "ab".repeat(16)))];
        });
    "link-certificate/four-certificates" ["CERT-028", "CERT-033"] twin "link/greeted"
        "a user dials and shows two certificates more than the path has" => |world| refused(world, "too-many", |realm, key| {
            let mut chain = realm.home.user_chain(&realm.home.handle(A), key.public_key())?;
            let server = realm.sign(&Template::server(&realm.elsewhere.name, today(), serial()?), key.public_key())?;
            chain.extend([server.clone(), server]);
            Ok(chain)
        });
    "link-certificate/key-not-proved" ["CERT-032", "CERT-033"] twin "link/greeted"
        "somebody dials with a user's certificate and signs with another key" => key_not_proved;
    "link-certificate/invitee-31-days" ["CERT-029"] twin "inviter/invites"
        "the invitee's client shows a certificate that is good for 31 days" => |world| dialled(world, "lifetime-too-long", |realm, key| {
            let mut template = Template::user(&realm.home.handle(A), today(), serial()?);
            template.validity.not_after = template.validity.not_before.after(Duration::from_secs(31 * 86_400));
            realm.home.chain(&template, key.public_key())
        });
    "link-certificate/invitee-key-not-proved" ["CERT-032", "CERT-033"] twin "inviter/invites"
        "somebody at the invitee's address shows the invitee's certificate and signs with another key" => invitee_key_not_proved;
};

/// The certificate of person a, with a key that isn't the one in it.
fn stolen(scene: &Scene) -> Result<Credentials, Failure> {
    Credentials::unchecked(scene.a.credentials.chain().to_vec(), &key()?).map_err(Failure::harness)
}

async fn key_not_proved(world: Arc<World>) -> Result<(), Failure> {
    let scene = Scene::new(&world).await?;
    let stolen = stolen(&scene)?;
    is_not_greeted(&scene, "not-proved", Some(stolen)).await
}

async fn invitee_key_not_proved(world: Arc<World>) -> Result<(), Failure> {
    let scene = Scene::new(&world).await?;
    let stolen = stolen(&scene)?;
    is_not_dialled(scene, "not-proved", stolen).await
}

async fn p256(world: Arc<World>) -> Result<(), Failure> {
    let scene = Scene::new(&world).await?;
    let key = KeyPair::generate(KeyAlgorithm::P256).map_err(Failure::harness)?;
    let chain = scene.realm.home.user_chain(&scene.a.handle, key.public_key())?;
    let credentials = Credentials::new(chain, &key).map_err(Failure::harness)?;
    let dialler = Dialler::new(Some(credentials), Arc::clone(&scene.realm.trust), clock());
    let dialled =
        dialler.dial::<ClientMessage>(scene.client.address, &Identity::User(scene.me()), None).await;
    let (peer, connection) = dialled.map_err(|error| Failure::unexpected("a greeting", error))?;
    Link::new(connection, Some(&peer)).alive().await
}

/// Somebody dials with these credentials and is not greeted; others are, all the same.
async fn is_not_greeted(
    scene: &Scene,
    reason: &str,
    credentials: Option<Credentials>,
) -> Result<(), Failure> {
    let dialler = Dialler::new(credentials, Arc::clone(&scene.realm.trust), clock());
    let whom = Identity::User(scene.me());
    match dialler.dial::<ClientMessage>(scene.client.address, &whom, None).await {
        Err(DialError::Alert(alert)) => reason::fits(reason, alert)?,
        Err(DialError::Ended(Ended::Error(ErrorCode::CertificateRefused))) => {}
        // A reset may overtake the alert.
        Err(DialError::Ended(Ended::Lost(_)) | DialError::Handshake(_)) => {}
        Err(error) => return Err(Failure::unexpected("an alert, or certificate-refused", error)),
        Ok(_) => return Err(Failure::unexpected("an alert, or certificate-refused", "a greeting")),
    }
    scene.dial(&scene.b).await?.alive().await
}

async fn none(world: Arc<World>) -> Result<(), Failure> {
    is_not_greeted(&Scene::new(&world).await?, "missing", None).await
}

async fn refused(world: Arc<World>, reason: &'static str, chain: Chain) -> Result<(), Failure> {
    let scene = Scene::new(&world).await?;
    let key = key()?;
    let credentials = Credentials::unchecked(chain(&scene.realm, &key)?, &key).map_err(Failure::harness)?;
    is_not_greeted(&scene, reason, Some(credentials)).await
}

/// As [`refused`], for a user's certificate in which something is changed.
async fn spoiled(world: Arc<World>, reason: &'static str, spoil: fn(&mut Template)) -> Result<(), Failure> {
    let scene = Scene::new(&world).await?;
    let key = key()?;
    let mut template = Template::user(&scene.a.handle, today(), serial()?);
    spoil(&mut template);
    let chain = scene.realm.home.chain(&template, key.public_key())?;
    let credentials = Credentials::unchecked(chain, &key).map_err(Failure::harness)?;
    is_not_greeted(&scene, reason, Some(credentials)).await
}

/// What person a offers in TLS when it dials a client, and whom it dials.
fn offer(scene: &Scene) -> Result<(ClientConfig, ServerName<'static>), Failure> {
    let demand = Demand::new(Channel::ClientClient, End::Accepting);
    let (trust, clock) = (&scene.realm.trust, clock());
    let config = client_config(Channel::ClientClient, Some(&scene.a.credentials), trust, &clock, demand);
    let (config, _outcome) = config.map_err(Failure::harness)?;
    let address = Ipv4Addr::try_from("127.0.0.1").map_err(Failure::harness)?;
    Ok((config, ServerName::IpAddress(IpAddr::V4(address))))
}

async fn no_ticket(world: Arc<World>) -> Result<(), Failure> {
    let scene = Scene::new(&world).await?;
    let (mut config, name) = offer(&scene)?;
    let store = Arc::new(ClientSessionMemoryCache::new(8));
    config.resumption = Resumption::store(Arc::clone(&store) as Arc<dyn ClientSessionStore>);
    let stream = TcpStream::connect(scene.client.address.0).await.map_err(Failure::harness)?;
    let stream = tokio_rustls::TlsConnector::from(Arc::new(config)).connect(name.clone(), stream).await;
    let mut link = Link::over(stream.map_err(|error| Failure::unexpected("a TLS handshake", error))?);
    if link.read().await? != Some(greeting()) {
        return Err(Failure::unexpected("a greeting", "something else"));
    }
    // Tickets come right after the handshake, and so before the pong.
    link.alive().await?;
    match store.take_tls13_ticket(&name) {
        None => Ok(()),
        Some(_) => Err(Failure::unexpected("no NewSessionTicket", "one")),
    }
}

async fn alpn(world: Arc<World>, names: Vec<Vec<u8>>) -> Result<(), Failure> {
    let scene = Scene::new(&world).await?;
    let (mut config, name) = offer(&scene)?;
    config.alpn_protocols = names;
    let stream = TcpStream::connect(scene.client.address.0).await.map_err(Failure::harness)?;
    // The client ends the handshake, or the connection after it without a greeting.
    if let Ok(stream) = tokio_rustls::TlsConnector::from(Arc::new(config)).connect(name, stream).await {
        Link::over(stream).ends_silently().await?;
    }
    scene.dial(&scene.b).await?.alive().await
}

/// The client invites person a, whose client shows this chain.
async fn dialled(world: Arc<World>, reason: &'static str, chain: Chain) -> Result<(), Failure> {
    let scene = Scene::new(&world).await?;
    let key = key()?;
    let credentials = Credentials::unchecked(chain(&scene.realm, &key)?, &key).map_err(Failure::harness)?;
    is_not_dialled(scene, reason, credentials).await
}

/// The client invites person a, whose client shows this.
async fn is_not_dialled(mut scene: Scene, reason: &str, credentials: Credentials) -> Result<(), Failure> {
    let session = session_of(&scene.client.done(json!({"command": "create"}), "created").await?)?;
    scene.client.invite(session, &scene.a.handle).await?;
    let a: Person = scene.a.showing(credentials);
    a.is_refused(reason).await?;
    scene.client.tells("invitation-failed", json!({"handle": a.handle})).await
}
