//! Registration at a server (chapter *Registration*): a key, a proof, an account.

use std::{collections::BTreeSet, sync::Arc};

use antiphon_protocol::{
    key::{KeyAlgorithm, KeyPair},
    signed::{self, Envelope},
};
use antiphon_spec::{
    error_code::ErrorCode,
    message::{
        common::{Ping, Pong, RequestId},
        registration::{FromRegistrar, Possession, Register, ToRegistrar},
        server_server::ProfileVersion,
    },
    policy::Preferences,
    registration_code::RegistrationCode,
    signed::Signed,
};

use super::stage::{Alone, Done, Registration, Stage, case, expect_equal, want};
use crate::{
    case::Failure,
    live::{LiveCase, World},
};

/// The cases of this file.
pub(super) const CASES: &[LiveCase] = &[
    case(
        "registration/a-key-gets-an-account",
        &["REG-014", "REG-015", "CERT-005", "CERT-017", "CERT-018"],
        "A key is registered; the chain proves, up to the root, the handle of the answer for that key, with the server as home.",
        |world| Box::pin(a_key_gets_an_account(world)),
    ),
    case(
        "registration/user-id-is-issued",
        &["REG-009"],
        "The user ID of a new account is one that the directory node has issued.",
        |world| Box::pin(user_id_is_issued(world)),
    ),
    case(
        "registration/a-p256-key-gets-an-account",
        &["WIRE-010", "REG-015", "IDENT-010"],
        "A P-256 key is registered, and its certificate logs in.",
        |world| Box::pin(a_p256_key_gets_an_account(world)),
    ),
    case(
        "registration/the-same-key-again",
        &["REG-007", "REG-016"],
        "A key that is registered again gets the same handle and a certificate that is valid now.",
        |world| Box::pin(the_same_key_again(world)),
    ),
    case(
        "registration/the-same-key-at-once",
        &["REG-007", "WIRE-058"],
        "A key is registered on four connections at once; all get the same handle.",
        |world| Box::pin(the_same_key_at_once(world)),
    ),
    case(
        "registration/the-same-key-while-issuing",
        &["REG-007"],
        "A key is registered on two connections before the directory node issues a handle for either; both get the same one.",
        |world| Box::pin(the_same_key_while_issuing(world)),
    ),
    case(
        "registration/many-requests-of-one-connection",
        &["WIRE-058", "WIRE-059", "REG-007", "REG-008"],
        "Six requests for two keys go out before any is answered; each is answered once, with its ID and its key's handle.",
        |world| Box::pin(many_requests_of_one_connection(world)),
    ),
    case("registration/different-keys", &["REG-008"], "Eight keys get eight handles.", |world| {
        Box::pin(different_keys(world))
    }),
    case(
        "registration/a-new-account-allows-everybody",
        &["REG-013"],
        "The first login of an account shows a profile of version 0 with empty lists and the default allow.",
        |world| Box::pin(a_new_account_allows_everybody(world)),
    ),
    case(
        "registration/a-renewed-certificate-leaves-the-login",
        &["REG-016", "REG-007"],
        "A user who is logged in registers the key again, and both the login and the new certificate are good.",
        |world| Box::pin(a_renewed_certificate_leaves_the_login(world)),
    ),
    case(
        "registration/proof-for-another-server",
        &["REG-006"],
        "The proof names another server: refused with proof-refused, and the connection goes on.",
        |world| Box::pin(refused(world, |_, key| proof(key, key, "other.example"))),
    ),
    case(
        "registration/proof-names-another-key",
        &["REG-005"],
        "The proof is signed with the key of the request but its claims name another key.",
        |world| Box::pin(refused(world, |name, key| proof(&fresh()?, key, name))),
    ),
    case(
        "registration/proof-signed-with-another-key",
        &["REG-004", "SIGN-009", "SIGN-011"],
        "The proof names the key of the request but is signed with another one, under the kid of the first.",
        |world| Box::pin(refused(world, signed_with_another_key)),
    ),
    case(
        "registration/proof-all-of-another-key",
        &["REG-004"],
        "The proof is a good one of another key.",
        |world| {
            Box::pin(refused(world, |name, _| {
                let other = fresh()?;
                proof(&other, &other, name)
            }))
        },
    ),
    case(
        "registration/proof-in-another-context",
        &["REG-004", "SIGN-003", "SIGN-009"],
        "The proof is signed in the context of a grant.",
        |world| {
            Box::pin(refused(world, |name, key| {
                bent(key, name, |it| it.context = "antiphon-grant/1".to_owned())
            }))
        },
    ),
    case(
        "registration/proof-with-another-kid",
        &["REG-004", "SIGN-008"],
        "The kid of the proof is the hash of another key; the signature is good.",
        |world| Box::pin(refused(world, with_another_kid)),
    ),
    case(
        "registration/proof-with-another-alg",
        &["REG-004", "SIGN-007"],
        "The proof of an Ed25519 key says that it is ECDSA; the signature is good.",
        |world| Box::pin(refused(world, with_another_alg)),
    ),
    case(
        "registration/proof-with-other-claims",
        &["REG-004", "SIGN-010"],
        "What is signed in the context of a possession is a map without the server's name.",
        |world| Box::pin(refused(world, |name, key| bent(key, name, |it| it.payload = vec![0xa0]))),
    ),
    case(
        "registration/proof-with-bytes-behind",
        &["REG-004", "SIGN-005"],
        "A byte follows the signed object of the proof.",
        |world| {
            Box::pin(refused(world, |name, key| {
                let mut bytes = proof(key, key, name)?.as_bytes().to_vec();
                bytes.push(0);
                Ok(Signed::from_bytes(bytes))
            }))
        },
    ),
    case(
        "registration/key-in-another-form",
        &["REG-003", "IDENT-010"],
        "Keys with a byte behind, with a byte missing, of an RSA header, and nothing at all are refused with proof-refused.",
        |world| Box::pin(key_in_another_form(world)),
    ),
    case(
        "registration/key-that-is-excluded",
        &["REG-003", "IDENT-011"],
        "Ed25519 keys of small order, and a P-256 key off the curve, are refused with proof-refused.",
        |world| Box::pin(key_that_is_excluded(world)),
    ),
    case(
        "registration/closed",
        &["REG-011", "REG-012", "REG-007"],
        "A server that takes no new accounts refuses a new key with registration-closed and still answers an old one.",
        |world| Box::pin(closed(world)),
    ),
    case(
        "registration/by-code",
        &["REG-024", "REG-026", "REG-012"],
        "Without a code, with another code and with a code's beginning a new key is refused with code-refused; with the code it is registered, and later without.",
        |world| Box::pin(by_code(world)),
    ),
    case(
        "registration/code-used-up",
        &["REG-025", "REG-024", "REG-026"],
        "A code for two accounts makes two, be it on four connections at once, across a crash, or with keys that come again.",
        |world| Box::pin(code_used_up(world)),
    ),
    case(
        "registration/location-down",
        &["REG-010", "REG-007"],
        "While the directory node is down a new key is refused with location-unreachable, an old one answered; later the new one is served.",
        |world| Box::pin(location_down(world)),
    ),
    case(
        "registration/location-refuses",
        &["REG-010"],
        "The directory node refuses to issue a handle; the registration is refused with location-unreachable.",
        |world| Box::pin(location_refuses(world)),
    ),
    case(
        "registration/location-silent",
        &["REG-010", "WIRE-062"],
        "The directory node never answers issue; the registration is refused with location-unreachable.",
        |world| Box::pin(location_silent(world)),
    ),
];

fn fresh() -> Result<KeyPair, Failure> {
    KeyPair::generate(KeyAlgorithm::Ed25519).map_err(Failure::harness)
}

/// A possession of `claimed` at `server`, signed with `signer`'s key.
fn proof(claimed: &KeyPair, signer: &KeyPair, server: &str) -> Result<Signed<Possession>, Failure> {
    let server = server.parse().map_err(Failure::harness)?;
    let claims = Possession { key: claimed.public_key_der().to_vec(), server };
    signed::sign(signer, &claims).map_err(Failure::harness)
}

/// A proof of which one thing was changed before it was signed.
fn bent(
    key: &KeyPair,
    server: &str,
    bend: impl FnOnce(&mut Envelope),
) -> Result<Signed<Possession>, Failure> {
    let server = server.parse().map_err(Failure::harness)?;
    let claims = Possession { key: key.public_key_der().to_vec(), server };
    let mut envelope = Envelope::new(key.public_key(), &claims).map_err(Failure::harness)?;
    bend(&mut envelope);
    envelope.seal(key).map_err(Failure::harness)
}

fn with_another_alg(server: &str, key: &KeyPair) -> Result<Signed<Possession>, Failure> {
    bent(key, server, |it| it.protected.alg = Some(coset::Algorithm::Assigned(coset::iana::Algorithm::ES256)))
}

fn with_another_kid(server: &str, key: &KeyPair) -> Result<Signed<Possession>, Failure> {
    let other = fresh()?;
    bent(key, server, |it| it.protected.key_id = other.key_hash().0.to_vec())
}

fn signed_with_another_key(server: &str, key: &KeyPair) -> Result<Signed<Possession>, Failure> {
    let server = server.parse().map_err(Failure::harness)?;
    let claims = Possession { key: key.public_key_der().to_vec(), server };
    let envelope = Envelope::new(key.public_key(), &claims).map_err(Failure::harness)?;
    envelope.seal(&fresh()?).map_err(Failure::harness)
}

/// A bad proof for a fresh key is refused; on the same connection a good one is then answered.
async fn refused(
    world: Arc<World>,
    bad: impl Fn(&str, &KeyPair) -> Result<Signed<Possession>, Failure> + Send + 'static,
) -> Done {
    let stage = Stage::shared(&world).await?;
    let key = fresh()?;
    let bad = bad(stage.name().as_str(), &key)?;
    let mut registrar = stage.registrar().await?;
    let id = registrar.id();
    let asked =
        Register { id, key: key.public_key_der().to_vec(), code: RegistrationCode::default(), proof: bad };
    registrar.refused(ToRegistrar::Register(asked), ErrorCode::ProofRefused).await?;
    stage.register_on(&mut registrar, &key).await.map(drop)
}

async fn bad_keys(world: Arc<World>, keys: Vec<Vec<u8>>) -> Done {
    let stage = Stage::shared(&world).await?;
    let signer = fresh()?;
    let mut registrar = stage.registrar().await?;
    for key in keys {
        let claims = Possession { key: key.clone(), server: stage.name().clone() };
        let proof = signed::sign(&signer, &claims).map_err(Failure::harness)?;
        let asked = Register { id: registrar.id(), key, code: RegistrationCode::default(), proof };
        registrar.refused(ToRegistrar::Register(asked), ErrorCode::ProofRefused).await?;
    }
    stage.register_on(&mut registrar, &signer).await.map(drop)
}

async fn key_in_another_form(world: Arc<World>) -> Done {
    let ed25519 = fresh()?.public_key_der().to_vec();
    let p256 = KeyPair::generate(KeyAlgorithm::P256).map_err(Failure::harness)?.public_key_der().to_vec();
    let behind = |key: &[u8]| [key, &[0]].concat();
    let missing = |key: &[u8]| key.split_last().map_or_else(Vec::new, |(_, rest)| rest.to_vec());
    // The same point in the compressed form, with lengths that fit.
    let (head, point) = p256.split_at(p256.len().saturating_sub(65));
    let (x, last) = (point.get(1..33).unwrap_or_default(), point.last().copied().unwrap_or_default());
    let mut compressed = [head, &[2 + (last & 1)], x].concat();
    for (at, length) in [(1, 0x39), (24, 0x22)] {
        if let Some(byte) = compressed.get_mut(at) {
            *byte = length;
        }
    }
    // The identifier of RSA, before 32 bytes of nothing.
    let rsa = [
        &[0x30, 0x34, 0x30, 0x0d, 6, 9, 0x2a, 0x86, 0x48, 0x86, 0xf7, 0x0d, 1, 1, 1, 5, 0, 3, 0x21, 0][..],
        &[0; 32],
    ]
    .concat();
    // The raw key, which is no DER form at all.
    let raw = ed25519.get(12..).unwrap_or_default().to_vec();
    let keys = vec![
        behind(&ed25519),
        missing(&ed25519),
        behind(&p256),
        missing(&p256),
        compressed,
        rsa,
        raw,
        Vec::new(),
    ];
    bad_keys(world, keys).await
}

async fn key_that_is_excluded(world: Arc<World>) -> Done {
    let ed25519 =
        |point: [u8; 32]| [&[0x30, 0x2a, 0x30, 5, 6, 3, 0x2b, 0x65, 0x70, 3, 0x21, 0][..], &point].concat();
    let begins = |first: u8| {
        let mut point = [0; 32];
        if let Some(byte) = point.first_mut() {
            *byte = first;
        }
        point
    };
    // The identity, the point of order 4, and the one of order 2.
    let mut order_two = [0xff; 32];
    if let (Some(first), [.., last]) = (Some(0xec), &mut order_two) {
        *last = 0x7f;
        let [head, ..] = &mut order_two;
        *head = first;
    }
    let mut off_curve =
        KeyPair::generate(KeyAlgorithm::P256).map_err(Failure::harness)?.public_key_der().to_vec();
    if let Some(last) = off_curve.last_mut() {
        *last ^= 1;
    }
    bad_keys(world, vec![ed25519(begins(1)), ed25519(begins(0)), ed25519(order_two), off_curve]).await
}

async fn a_key_gets_an_account(world: Arc<World>) -> Done {
    let stage = Stage::shared(&world).await?;
    let key = fresh()?;
    let registered = stage.register(&key).await?;
    expect_equal("certificates in the chain", &2, &registered.chain.len())?;
    expect_equal("the home server", stage.name(), &registered.handle.home)?;
    // The chain is verified as a peer would; the handle and the key have to be those of the answer and the request.
    let proved = stage.verify(&registered.chain)?;
    expect_equal("the handle in the certificate", &registered.handle, &proved.handle)?;
    expect_equal("the key hash in the certificate", &key.key_hash(), &proved.key)
}

async fn user_id_is_issued(world: Arc<World>) -> Done {
    let stage = Stage::shared(&world).await?;
    for _ in 0..3 {
        let registered = stage.register(&fresh()?).await?;
        if !stage.node().has_issued(registered.handle.id) {
            let expected = "a user ID that the directory node issued";
            return Err(Failure::unexpected(expected, registered.handle));
        }
    }
    Ok(())
}

async fn a_p256_key_gets_an_account(world: Arc<World>) -> Done {
    let stage = Stage::shared(&world).await?;
    let key = KeyPair::generate(KeyAlgorithm::P256).map_err(Failure::harness)?;
    let user = stage.account_of(key).await?;
    let mut client = stage.client(&user).await?;
    client.log_in().await.map(drop)
}

async fn the_same_key_again(world: Arc<World>) -> Done {
    let stage = Stage::shared(&world).await?;
    let key = fresh()?;
    let first = stage.register(&key).await?;
    for _ in 0..2 {
        let again = stage.register(&key).await?;
        expect_equal("the handle", &first.handle, &again.handle)?;
        // Verification judges the validity as of now.
        expect_equal("the handle in the certificate", &first.handle, &stage.verify(&again.chain)?.handle)?;
    }
    Ok(())
}

async fn the_same_key_at_once(world: Arc<World>) -> Done {
    let stage = Stage::shared(&world).await?;
    let key = fresh()?;
    let one = || async {
        let mut registrar = stage.registrar().await?;
        stage.register_on(&mut registrar, &key).await
    };
    let (a, b, c, d) = tokio::try_join!(one(), one(), one(), one())?;
    for other in [b, c, d] {
        expect_equal("the handle", &a.handle, &other.handle)?;
    }
    Ok(())
}

async fn the_same_key_while_issuing(world: Arc<World>) -> Done {
    let stage = Stage::alone(&world, Alone::default()).await?;
    let key = fresh()?;
    let (mut one, mut two) = (stage.registrar().await?, stage.registrar().await?);
    let mut held = stage.node().hold_issues();
    let asked = stage.request(&mut one, &key)?;
    one.send(&asked).await?;
    let first = held.next().await?;
    let asked = stage.request(&mut two, &key)?;
    two.send(&asked).await?;
    // The second request is with the server, and the first one is not answered.
    two.probe().await?;
    one.probe().await?;
    first.carry_out();
    drop(held);
    let mut handles = Vec::new();
    for registrar in [&mut one, &mut two] {
        let answer = registrar.next().await?;
        handles.push(want!(answer, FromRegistrar::Registered(body) => body.handle; "registered")?);
    }
    let first = handles.first().cloned();
    expect_equal("the same handle twice", &true, &handles.iter().all(|handle| Some(handle) == first.as_ref()))
}

async fn many_requests_of_one_connection(world: Arc<World>) -> Done {
    let stage = Stage::shared(&world).await?;
    let keys = [fresh()?, fresh()?];
    let mut registrar = stage.registrar().await?;
    let mut open = std::collections::BTreeMap::new();
    for number in [90, 7, 51, 8, 0, u64::MAX] {
        let which = open.len() % 2;
        let Some(key) = keys.get(which) else { continue };
        let proof = proof(key, key, stage.name().as_str())?;
        let asked = Register {
            id: RequestId(number),
            key: key.public_key_der().to_vec(),
            code: RegistrationCode::default(),
            proof,
        };
        registrar.send(&ToRegistrar::Register(asked)).await?;
        open.insert(number, which);
    }
    let mut handles = [BTreeSet::new(), BTreeSet::new()];
    while !open.is_empty() {
        let registered = want!(registrar.next().await?, FromRegistrar::Registered(it) => it; "registered")?;
        let which = open.remove(&registered.id.0);
        let which = which.ok_or_else(|| Failure::unexpected("the ID of an open request", registered.id.0))?;
        if let Some(handles) = handles.get_mut(which) {
            handles.insert(registered.handle);
        }
    }
    // Nothing more comes for any of them: the next message is the answer to this.
    registrar.send(&ToRegistrar::Ping(Ping { number: 3 })).await?;
    want!(registrar.next().await?, FromRegistrar::Pong(Pong { number: 3 }) => (); "the pong")?;
    let [one, two] = &handles;
    expect_equal("handles of each key", &(1, 1), &(one.len(), two.len()))?;
    expect_equal("keys with the same handle", &false, &(one == two))
}

async fn different_keys(world: Arc<World>) -> Done {
    let stage = Stage::shared(&world).await?;
    let mut registrar = stage.registrar().await?;
    let mut handles = BTreeSet::new();
    for _ in 0..8 {
        handles.insert(stage.register_on(&mut registrar, &fresh()?).await?.handle);
    }
    expect_equal("handles", &8, &handles.len())
}

async fn a_new_account_allows_everybody(world: Arc<World>) -> Done {
    let stage = Stage::shared(&world).await?;
    let user = stage.account().await?;
    let logged_in = stage.client(&user).await?.log_in().await?;
    expect_equal("the version", &ProfileVersion(0), &logged_in.profile.version)?;
    expect_equal("the preferences", &Preferences::default(), &logged_in.profile.messaging)
}

async fn a_renewed_certificate_leaves_the_login(world: Arc<World>) -> Done {
    let stage = Stage::shared(&world).await?;
    let user = stage.account().await?;
    let mut client = stage.client(&user).await?;
    client.log_in().await?;
    let renewed = stage.account_of(user.key.clone()).await?;
    expect_equal("the handle", &user.handle, &renewed.handle)?;
    client.probe().await?;
    // The new certificate is good for another connection of the same user.
    let mut second = stage.client(&renewed).await?;
    second.log_in().await?;
    client.replaced().await.map(drop)
}

async fn closed(world: Arc<World>) -> Done {
    let mut stage = Stage::alone(&world, Alone::default()).await?;
    let key = fresh()?;
    let first = stage.register(&key).await?;
    stage.kill().await;
    stage.restart(Alone { registration: Registration::Closed, ..Alone::default() }).await?;
    expect_equal("the handle", &first.handle, &stage.register(&key).await?.handle)?;
    let new = fresh()?;
    let mut registrar = stage.registrar().await?;
    let asked = stage.request(&mut registrar, &new)?;
    registrar.refused(asked, ErrorCode::RegistrationClosed).await?;
    registrar.probe().await
}

/// A code that no operator would give out.
const CODE: &str = "0123456789abcdef-of-the-suite";

async fn by_code(world: Arc<World>) -> Done {
    let registration = Registration::ByCode(CODE, 8);
    let stage = Stage::alone(&world, Alone { registration, ..Alone::default() }).await?;
    let key = fresh()?;
    let mut registrar = stage.registrar().await?;
    for code in ["", "0123456789abcdef", "0123456789abcdef-of-the-suite-", "another-0123456789abcdef"] {
        let code = code.parse().map_err(Failure::harness)?;
        let asked = stage.request_with(&mut registrar, &key, code)?;
        registrar.refused(asked, ErrorCode::CodeRefused).await?;
    }
    let code: RegistrationCode = CODE.parse().map_err(Failure::harness)?;
    let asked = stage.request_with(&mut registrar, &key, code)?;
    let handle = want!(
        registrar.ask(asked).await?, FromRegistrar::Registered(body) => body.handle; "registered"
    )?;
    expect_equal("the handle", &handle, &stage.register_on(&mut registrar, &key).await?.handle)
}

async fn code_used_up(world: Arc<World>) -> Done {
    let alone = Alone { registration: Registration::ByCode(CODE, 2), ..Alone::default() };
    let mut stage = Stage::alone(&world, alone).await?;
    let code: RegistrationCode = CODE.parse().map_err(Failure::harness)?;
    let keys = [fresh()?, fresh()?, fresh()?, fresh()?];
    let mut links = Vec::new();
    for key in &keys {
        let mut registrar = stage.registrar().await?;
        let asked = stage.request_with(&mut registrar, key, code.clone())?;
        registrar.send(&asked).await?;
        links.push(registrar);
    }
    let mut made = Vec::new();
    for (key, registrar) in keys.iter().zip(&mut links) {
        let handle = want!(
            registrar.next().await?,
            FromRegistrar::Registered(body) => Some(body.handle),
            FromRegistrar::Refused(body) if body.code == ErrorCode::CodeRefused => None;
            "registered, or code-refused"
        )?;
        made.extend(handle.map(|handle| (key, handle)));
    }
    expect_equal("accounts made with the code", &2, &made.len())?;
    stage.kill().await;
    stage.restart(alone).await?;
    let mut registrar = stage.registrar().await?;
    for key in &keys {
        let asked = stage.request_with(&mut registrar, key, code.clone())?;
        match made.iter().find(|(other, _)| other.key_hash() == key.key_hash()) {
            Some((_, handle)) => {
                let again = want!(
                    registrar.ask(asked).await?, FromRegistrar::Registered(body) => body.handle; "registered"
                )?;
                expect_equal("the handle", handle, &again)?;
            }
            None => registrar.refused(asked, ErrorCode::CodeRefused).await?,
        }
    }
    Ok(())
}

async fn location_down(world: Arc<World>) -> Done {
    let stage = Stage::alone(&world, Alone::default()).await?;
    let (old, new) = (fresh()?, fresh()?);
    let first = stage.register(&old).await?;
    stage.node().go_down();
    let mut registrar = stage.registrar().await?;
    let asked = stage.request(&mut registrar, &new)?;
    registrar.refused(asked, ErrorCode::LocationUnreachable).await?;
    expect_equal("the handle", &first.handle, &stage.register_on(&mut registrar, &old).await?.handle)?;
    stage.node().come_up();
    // How soon a server asks again is its own business; that it does is what counts.
    loop {
        let asked = stage.request(&mut registrar, &new)?;
        let is_registered = want!(
            registrar.ask(asked).await?,
            FromRegistrar::Registered(_) => true,
            FromRegistrar::Refused(refused) if refused.code == ErrorCode::LocationUnreachable => false;
            "registered, or location-unreachable"
        )?;
        if is_registered {
            return Ok(());
        }
    }
}

async fn location_refuses(world: Arc<World>) -> Done {
    let stage = Stage::alone(&world, Alone::default()).await?;
    let key = fresh()?;
    let refusing = stage.node().refuse_issues();
    let mut registrar = stage.registrar().await?;
    let asked = stage.request(&mut registrar, &key)?;
    registrar.refused(asked, ErrorCode::LocationUnreachable).await?;
    drop(refusing);
    stage.register_on(&mut registrar, &key).await.map(drop)
}

async fn location_silent(world: Arc<World>) -> Done {
    let stage = Stage::alone(&world, Alone::default()).await?;
    let key = fresh()?;
    let held = stage.node().hold_issues();
    let mut registrar = stage.registrar().await?;
    let asked = stage.request(&mut registrar, &key)?;
    registrar.send(&asked).await?;
    let id = registrar.last_id();
    registrar.is_refused_at_last(id, ErrorCode::LocationUnreachable).await?;
    drop(held);
    stage.register_on(&mut registrar, &key).await.map(drop)
}
