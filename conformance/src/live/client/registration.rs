//! A client that registers: what it sends, which server it talks to, which answers it believes.

use std::sync::Arc;

use antiphon_protocol::{
    certificate::{Name, Template, Validity},
    key::PublicKey,
    signed::verify,
};
use antiphon_spec::{
    error_code::ErrorCode,
    message::{
        common::{Refused, RequestId},
        registration::{FromRegistrar, Register, Registered},
    },
    time::Timestamp,
};
use rustls::pki_types::CertificateDer;
use serde_json::json;

use super::{
    driver::Client,
    live_cases,
    realm::{HOME, Realm, key, now, serial, today, tomorrow, yesterday},
    server::{ME, Server, wire_chain},
};
use crate::{
    case::Failure,
    live::{LiveCase, World},
};

pub(super) const CASES: &[LiveCase] = live_cases! {
    "client-registration/registers" ["REG-002", "REG-001", "REG-017"]
        "a client sends its key and a proof of its possession, and takes a good answer" => registers;
    "client-registration/code" ["REG-027"]
        "a client is given a registration code: its request holds the code, and the next one, without, none" => code;
    "client-registration/registers-again" ["REG-001", "REG-018"]
        "a client registers twice, with the same key" => registers_again;
    "client-registration/key-survives" ["REG-001", "REG-002"]
        "the answer is lost, and the client that is started again asks with the same key" => key_survives;
    "client-registration/renews" ["REG-018"]
        "a client whose certificate is old registers its key again by itself" => renews;
    "client-registration/refused" ["REG-011"]
        "the server takes no new accounts" => refused;
    "client-registration/other-root" ["REG-017", "CERT-008"] twin "client-registration/registers"
        "a chain under another root" => |world| disbelieves(world, |realm, key| {
            let other = Realm::new()?;
            other.home.user_chain(&realm.home.handle(ME), key)
        });
    "client-registration/other-key" ["REG-017"] twin "client-registration/registers"
        "a certificate for another key" => |world| disbelieves(world, |realm, _| {
            realm.home.user_chain(&realm.home.handle(ME), key()?.public_key())
        });
    "client-registration/other-handle" ["REG-017"] twin "client-registration/registers"
        "a certificate for another handle than the answer's" => |world| disbelieves(world, |realm, key| {
            realm.home.user_chain(&realm.home.handle(0x51), key)
        });
    "client-registration/expired" ["REG-017", "CERT-009"] twin "client-registration/registers"
        "a certificate that has expired" => |world| disbelieves(world, |realm, key| {
            realm.home.chain(&Template::user(&realm.home.handle(ME), yesterday(), serial()?), key)
        });
    "client-registration/not-yet-valid" ["REG-017", "CERT-009"] twin "client-registration/registers"
        "a certificate that is good from tomorrow" => |world| disbelieves(world, |realm, key| {
            realm.home.chain(&Template::user(&realm.home.handle(ME), tomorrow(), serial()?), key)
        });
    "client-registration/issued-elsewhere" ["REG-017", "CERT-018"] twin "client-registration/registers"
        "another server's authority issued the certificate" => |world| disbelieves(world, |realm, key| {
            realm.elsewhere.user_chain(&realm.home.handle(ME), key)
        });
    "client-registration/issued-by-root" ["REG-017", "CERT-017"] twin "client-registration/registers"
        "the root issued the certificate" => |world| disbelieves(world, |realm, key| {
            let leaf = realm.sign(&Template::user(&realm.home.handle(ME), today(), serial()?), key)?;
            Ok(vec![leaf, realm.home.issuer.certificate().clone()])
        });
    "client-registration/two-names" ["REG-017", "CERT-015"] twin "client-registration/registers"
        "a certificate with two names" => |world| disbelieves(world, |realm, key| {
            let mut template = Template::user(&realm.home.handle(ME), today(), serial()?);
            template.names.push(Name::Dns(HOME.to_owned()));
            realm.home.chain(&template, key)
        });
    "client-registration/without-issuer" ["REG-017", "REG-014"] twin "client-registration/registers"
        "a chain of the user's certificate alone" => |world| disbelieves(world, |realm, key| {
            Ok(realm.home.user_chain(&realm.home.handle(ME), key)?.into_iter().take(1).collect())
        });
    "client-registration/server-as-user" ["REG-017", "CERT-021"] twin "client-registration/registers"
        "a server's certificate for the client's key" => |world| disbelieves(world, |realm, key| {
            let leaf = realm.sign(&Template::server(&realm.home.name, today(), serial()?), key)?;
            Ok(vec![leaf, realm.home.issuer.certificate().clone()])
        });
    "client-registration/other-home" ["REG-017"] twin "client-registration/registers"
        "a good account at another server than the one that was asked" => other_home;
    "client-registration/answer-to-another" ["WIRE-061"] twin "client-registration/registers"
        "the answer has another ID than the request" => other_id;
    "client-registration/proof-is-fresh" ["REG-002"]
        "two clients have different keys" => keys_differ;
};

async fn begin(world: &World) -> Result<(Arc<Realm>, Server, Client, u64), Failure> {
    let realm = Arc::new(Realm::new()?);
    let server = Server::new(&realm).await?;
    let mut client = Client::start(world, &realm, &server).await?;
    let id = client.command(json!({"command": "register"})).await?;
    Ok((realm, server, client, id))
}

fn check(register: &Register) -> Result<PublicKey, Failure> {
    let key = PublicKey::from_der(&register.key);
    let key = key.map_err(|error| Failure::unexpected("a key in its DER form", error))?;
    let claims = verify(&register.proof, &key);
    let claims =
        claims.map_err(|_| Failure::unexpected("a possession signed with the key", "another object"))?;
    if claims.key == register.key && claims.server.as_str() == HOME {
        Ok(key)
    } else {
        Err(Failure::unexpected("the key, and the server that is asked", format!("{claims:?}")))
    }
}

async fn registers(world: Arc<World>) -> Result<(), Failure> {
    let (realm, server, mut client, id) = begin(&world).await?;
    let (mut line, register) = server.registrar().await?;
    check(&register)?;
    line.send(&FromRegistrar::Registered(server.registered(&register)?)).await?;
    let answer = client.answered(id, "registered").await?;
    line.left().await?;
    let handle = json!(realm.home.handle(ME));
    if answer.get("handle") == Some(&handle) {
        Ok(())
    } else {
        Err(Failure::unexpected(handle.to_string(), answer))
    }
}

async fn code(world: Arc<World>) -> Result<(), Failure> {
    const CODE: &str = "0123456789abcdef-of-the-suite";
    let realm = Arc::new(Realm::new()?);
    let server = Server::new(&realm).await?;
    let mut client = Client::start(&world, &realm, &server).await?;
    for (command, code) in
        [(json!({"command": "register", "code": CODE}), CODE), (json!({"command": "register"}), "")]
    {
        let id = client.command(command).await?;
        let (mut line, register) = server.registrar().await?;
        if register.code.as_str() != code {
            return Err(Failure::unexpected(format!("the code {code:?}"), register.code.as_str()));
        }
        line.send(&FromRegistrar::Registered(server.registered(&register)?)).await?;
        client.answered(id, "registered").await?;
        line.left().await?;
    }
    Ok(())
}

async fn registers_again(world: Arc<World>) -> Result<(), Failure> {
    let (_, server, mut client, id) = begin(&world).await?;
    let mut keys = Vec::new();
    for id in [Some(id), None] {
        let id = match id {
            Some(id) => id,
            None => client.command(json!({"command": "register"})).await?,
        };
        let (mut line, register) = server.registrar().await?;
        keys.push(check(&register)?);
        line.send(&FromRegistrar::Registered(server.registered(&register)?)).await?;
        client.answered(id, "registered").await?;
    }
    same(&keys)
}

fn same(keys: &[PublicKey]) -> Result<(), Failure> {
    if keys.windows(2).all(|pair| pair.first() == pair.last()) {
        Ok(())
    } else {
        Err(Failure::unexpected("one key", format!("{keys:?}")))
    }
}

async fn key_survives(world: Arc<World>) -> Result<(), Failure> {
    let (realm, server, client, _) = begin(&world).await?;
    let (line, register) = server.registrar().await?;
    let first = check(&register)?;
    drop(line);
    let mut client = client.start_again(&world, &realm, &server).await?;
    client.command(json!({"command": "register"})).await?;
    let (_line, register) = server.registrar().await?;
    same(&[first, check(&register)?])
}

async fn renews(world: Arc<World>) -> Result<(), Failure> {
    let (realm, server, mut client, id) = begin(&world).await?;
    let (mut line, register) = server.registrar().await?;
    let first = check(&register)?;
    const DAY: u64 = 24 * 3600;
    let validity =
        Validity { not_before: Timestamp(now().0 - 20 * DAY), not_after: Timestamp(now().0 + 5 * DAY) };
    let handle = realm.home.handle(ME);
    let chain = realm.home.issuer.issue(&handle, &first, validity, serial()?).map_err(Failure::harness)?;
    let registered = Registered { id: register.id, chain: wire_chain(&chain), handle: handle.clone() };
    line.send(&FromRegistrar::Registered(registered)).await?;
    client.answered(id, "registered").await?;
    let client = client.start_again(&world, &realm, &server).await?;
    if client.known_as != Some(handle) {
        return Err(Failure::unexpected(
            "ready, with the handle of the account",
            format!("{:?}", client.known_as),
        ));
    }
    let (_line, register) = server.registrar().await?;
    same(&[first, check(&register)?])
}

async fn refused(world: Arc<World>) -> Result<(), Failure> {
    let (_, server, mut client, id) = begin(&world).await?;
    let (mut line, register) = server.registrar().await?;
    let refused = Refused { id: register.id, code: ErrorCode::RegistrationClosed };
    line.send(&FromRegistrar::Refused(refused)).await?;
    client.answered(id, "refused").await?;
    is_nobody(&mut client).await
}

/// The client has no account: it cannot log in.
async fn is_nobody(client: &mut Client) -> Result<(), Failure> {
    client.done(json!({"command": "login"}), "refused").await.map(drop)
}

type Chain = fn(&Realm, &PublicKey) -> Result<Vec<CertificateDer<'static>>, Failure>;

async fn disbelieves(world: Arc<World>, chain: Chain) -> Result<(), Failure> {
    let (realm, server, mut client, id) = begin(&world).await?;
    let (mut line, register) = server.registrar().await?;
    let chain = chain(&realm, &check(&register)?)?;
    let registered = Registered { id: register.id, chain: wire_chain(&chain), handle: realm.home.handle(ME) };
    line.send(&FromRegistrar::Registered(registered)).await?;
    client.answered(id, "refused").await?;
    is_nobody(&mut client).await
}

async fn other_home(world: Arc<World>) -> Result<(), Failure> {
    let (realm, server, mut client, id) = begin(&world).await?;
    let (mut line, register) = server.registrar().await?;
    let handle = realm.elsewhere.handle(ME);
    let chain = realm.elsewhere.user_chain(&handle, &check(&register)?)?;
    line.send(&FromRegistrar::Registered(Registered { id: register.id, chain: wire_chain(&chain), handle }))
        .await?;
    client.answered(id, "refused").await?;
    is_nobody(&mut client).await
}

async fn other_id(world: Arc<World>) -> Result<(), Failure> {
    let (_, server, mut client, id) = begin(&world).await?;
    let (mut line, register) = server.registrar().await?;
    let registered = Registered { id: RequestId(register.id.0 + 1), ..server.registered(&register)? };
    line.send(&FromRegistrar::Registered(registered)).await?;
    line.refused(ErrorCode::UnexpectedMessage).await?;
    client.answered(id, "refused").await?;
    is_nobody(&mut client).await
}

async fn keys_differ(world: Arc<World>) -> Result<(), Failure> {
    let (_, server, _client, _) = begin(&world).await?;
    let (_line, one) = server.registrar().await?;
    let (_, server, _client, _) = begin(&world).await?;
    let (_line, two) = server.registrar().await?;
    if one.key == two.key { Err(Failure::unexpected("another key", hex::encode(two.key))) } else { Ok(()) }
}
