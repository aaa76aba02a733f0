//! The replacement of a user's key (chapter *Registration*).

use std::sync::Arc;

use antiphon_protocol::{key::KeyPair, signed};
use antiphon_spec::{
    error_code::ErrorCode,
    message::{
        common::RequestId,
        registration::{FromRegistrar, Registered, Rotate, Succession, ToRegistrar},
    },
    signed::Signed,
};

use super::stage::{Alone, Done, Stage, User, case, expect_equal, want};
use crate::{
    case::Failure,
    live::{LiveCase, World, pki},
};

/// The cases of this file.
pub(super) const CASES: &[LiveCase] = &[
    case(
        "rotation/same-handle",
        &["REG-029"],
        "A user replaces the key: the handle stays, the certificate is for the successor, which logs in and is registered again.",
        |world| Box::pin(same_handle(world)),
    ),
    case(
        "rotation/without-consent",
        &["REG-028"],
        "A rotate whose consent the successor, or somebody else, has signed is refused with proof-refused, and the old key stays.",
        |world| Box::pin(without_consent(world)),
    ),
    case(
        "rotation/without-proof",
        &["REG-028"],
        "A rotate whose proof the old key, or somebody else, has signed is refused with proof-refused.",
        |world| Box::pin(without_proof(world)),
    ),
    case(
        "rotation/of-other-claims",
        &["REG-028"],
        "A rotate whose succession is for another server, another old key or another successor is refused with proof-refused.",
        |world| Box::pin(of_other_claims(world)),
    ),
    case(
        "rotation/of-a-key-in-another-form",
        &["REG-028"],
        "A rotate whose successor is a key with a byte behind it is refused with proof-refused.",
        |world| Box::pin(of_another_form(world)),
    ),
    case(
        "rotation/of-nobody",
        &["REG-030"],
        "A rotate for a key without an account, and for one whose account has ended, is refused with no-such-user.",
        |world| Box::pin(of_nobody(world)),
    ),
    case(
        "rotation/to-a-taken-key",
        &["REG-031"],
        "A rotate to a key of another account, or to one that was replaced, is refused with proof-refused.",
        |world| Box::pin(to_a_taken_key(world)),
    ),
    case(
        "rotation/asked-again",
        &["REG-032"],
        "A rotate is asked for three times, on two connections: each answer is for the same handle.",
        |world| Box::pin(asked_again(world)),
    ),
    case(
        "rotation/old-key",
        &["REG-033"],
        "The old key is registered, and rotated to a third one: both are refused with proof-refused.",
        |world| Box::pin(old_key(world)),
    ),
    case(
        "rotation/old-certificate",
        &["REG-034"],
        "The home server refuses the old key's certificate with certificate-refused, and a login on an older connection too.",
        |world| Box::pin(old_certificate(world)),
    ),
    case(
        "rotation/login-at-home-ends",
        &["REG-035"],
        "A user who is logged in at home replaces the key: the client is told replaced with its login epoch, then goodbye.",
        |world| Box::pin(login_at_home_ends(world)),
    ),
    case(
        "rotation/login-elsewhere-ends",
        &["REG-035"],
        "A user who is logged in elsewhere replaces the key: the server is told replace, and its login epoch is renewed no more.",
        |world| Box::pin(login_elsewhere_ends(world)),
    ),
    case(
        "rotation/durable",
        &["REG-036", "REG-033"],
        "A key is replaced and the server is killed: afterwards the successor has the account, and the old key is refused.",
        |world| Box::pin(durable(world)),
    ),
];

/// What both keys sign.
fn succession(stage: &Stage, key: &KeyPair, successor: &KeyPair) -> Succession {
    Succession {
        key: key.public_key_der().to_vec(),
        server: stage.name().clone(),
        successor: successor.public_key_der().to_vec(),
    }
}

fn sign(signer: &KeyPair, claims: &Succession) -> Result<Signed<Succession>, Failure> {
    signed::sign(signer, claims).map_err(Failure::harness)
}

/// A good request.
fn rotate(stage: &Stage, key: &KeyPair, successor: &KeyPair) -> Result<Rotate, Failure> {
    let claims = succession(stage, key, successor);
    Ok(Rotate {
        id: RequestId(1),
        proof: sign(successor, &claims)?,
        consent: sign(key, &claims)?,
        key: claims.key,
        successor: claims.successor,
    })
}

/// Asks on a connection of its own.
async fn ask(stage: &Stage, mut request: Rotate) -> Result<FromRegistrar, Failure> {
    let mut registrar = stage.registrar().await?;
    request.id = registrar.id();
    registrar.ask(ToRegistrar::Rotate(request)).await
}

async fn rotated(stage: &Stage, key: &KeyPair, successor: &KeyPair) -> Result<Registered, Failure> {
    let answer = ask(stage, rotate(stage, key, successor)?).await?;
    want!(answer, FromRegistrar::Rotated(body) => body; "rotated")
}

async fn refused(stage: &Stage, request: Rotate, code: ErrorCode) -> Done {
    let answer = ask(stage, request).await?;
    let refused = want!(answer, FromRegistrar::Refused(body) => body; "refused")?;
    expect_equal("the code", &code, &refused.code)
}

async fn same_handle(world: Arc<World>) -> Done {
    let stage = Stage::shared(&world).await?;
    let (user, successor) = (stage.account().await?, pki::key()?);
    let answer = rotated(&stage, &user.key, &successor).await?;
    expect_equal("the handle", &user.handle, &answer.handle)?;
    let proved = stage.verify(&answer.chain)?;
    expect_equal("who is proved", &(&user.handle, successor.key_hash()), &(&proved.handle, proved.key))?;
    expect_equal("the handle", &user.handle, &stage.register(&successor).await?.handle)?;
    stage.logged_in(&User::of(successor, &answer)?).await?.probe().await
}

/// The request is refused, and nothing has changed.
async fn changes_nothing(stage: &Stage, user: &User, requests: Vec<Rotate>) -> Done {
    for request in requests {
        refused(stage, request, ErrorCode::ProofRefused).await?;
    }
    expect_equal("the handle", &user.handle, &stage.register(&user.key).await?.handle)?;
    stage.logged_in(user).await?.probe().await
}

async fn without_consent(world: Arc<World>) -> Done {
    let stage = Stage::shared(&world).await?;
    let (user, successor, other) = (stage.account().await?, pki::key()?, pki::key()?);
    let claims = succession(&stage, &user.key, &successor);
    let good = rotate(&stage, &user.key, &successor)?;
    let by_successor = Rotate { consent: good.proof.clone(), ..good.clone() };
    let by_other = Rotate { consent: sign(&other, &claims)?, ..good };
    changes_nothing(&stage, &user, vec![by_successor, by_other]).await
}

async fn without_proof(world: Arc<World>) -> Done {
    let stage = Stage::shared(&world).await?;
    let (user, successor, other) = (stage.account().await?, pki::key()?, pki::key()?);
    let claims = succession(&stage, &user.key, &successor);
    let good = rotate(&stage, &user.key, &successor)?;
    let by_old = Rotate { proof: good.consent.clone(), ..good.clone() };
    let by_other = Rotate { proof: sign(&other, &claims)?, ..good };
    changes_nothing(&stage, &user, vec![by_old, by_other]).await
}

async fn of_other_claims(world: Arc<World>) -> Done {
    let stage = Stage::shared(&world).await?;
    let (user, successor, other) = (stage.account().await?, pki::key()?, pki::key()?);
    let good = rotate(&stage, &user.key, &successor)?;
    let claims = succession(&stage, &user.key, &successor);
    let elsewhere = "another.example".parse().map_err(Failure::harness)?;
    let others = [
        Succession { server: elsewhere, ..claims.clone() },
        Succession { key: other.public_key_der().to_vec(), ..claims.clone() },
        Succession { successor: other.public_key_der().to_vec(), ..claims },
    ];
    let mut requests = Vec::new();
    for claims in others {
        requests.push(Rotate { consent: sign(&user.key, &claims)?, ..good.clone() });
        requests.push(Rotate { proof: sign(&successor, &claims)?, ..good.clone() });
    }
    changes_nothing(&stage, &user, requests).await
}

async fn of_another_form(world: Arc<World>) -> Done {
    let stage = Stage::shared(&world).await?;
    let (user, successor) = (stage.account().await?, pki::key()?);
    let mut claims = succession(&stage, &user.key, &successor);
    claims.successor.push(0);
    let request = Rotate {
        successor: claims.successor.clone(),
        proof: sign(&successor, &claims)?,
        consent: sign(&user.key, &claims)?,
        ..rotate(&stage, &user.key, &successor)?
    };
    changes_nothing(&stage, &user, vec![request]).await
}

async fn of_nobody(world: Arc<World>) -> Done {
    let stage = Stage::alone(&world, Alone::default()).await?;
    let request = rotate(&stage, &pki::key()?, &pki::key()?)?;
    refused(&stage, request, ErrorCode::NoSuchUser).await?;
    let user = stage.account().await?;
    stage.end_account(&user.handle).await?;
    let request = rotate(&stage, &user.key, &pki::key()?)?;
    refused(&stage, request, ErrorCode::NoSuchUser).await
}

async fn to_a_taken_key(world: Arc<World>) -> Done {
    let stage = Stage::shared(&world).await?;
    let (user, other, successor) = (stage.account().await?, stage.account().await?, pki::key()?);
    rotated(&stage, &other.key, &successor).await?;
    let taken = rotate(&stage, &user.key, &successor)?;
    let replaced = rotate(&stage, &user.key, &other.key)?;
    changes_nothing(&stage, &user, vec![taken, replaced]).await
}

async fn asked_again(world: Arc<World>) -> Done {
    let stage = Stage::shared(&world).await?;
    let (user, successor) = (stage.account().await?, pki::key()?);
    expect_equal("the handle", &user.handle, &rotated(&stage, &user.key, &successor).await?.handle)?;
    let mut registrar = stage.registrar().await?;
    for _ in 0..2 {
        let request = Rotate { id: registrar.id(), ..rotate(&stage, &user.key, &successor)? };
        let answer = registrar.ask(ToRegistrar::Rotate(request)).await?;
        let body = want!(answer, FromRegistrar::Rotated(body) => body; "rotated")?;
        expect_equal("the handle", &user.handle, &body.handle)?;
    }
    Ok(())
}

async fn old_key(world: Arc<World>) -> Done {
    let stage = Stage::shared(&world).await?;
    let (user, successor) = (stage.account().await?, pki::key()?);
    rotated(&stage, &user.key, &successor).await?;
    let mut registrar = stage.registrar().await?;
    let request = stage.request(&mut registrar, &user.key)?;
    registrar.refused(request, ErrorCode::ProofRefused).await?;
    let request = rotate(&stage, &user.key, &pki::key()?)?;
    refused(&stage, request, ErrorCode::ProofRefused).await?;
    expect_equal("the handle", &user.handle, &stage.register(&successor).await?.handle)
}

async fn old_certificate(world: Arc<World>) -> Done {
    let stage = Stage::shared(&world).await?;
    let (user, successor) = (stage.account().await?, pki::key()?);
    let mut older = stage.client(&user).await?;
    let answer = rotated(&stage, &user.key, &successor).await?;
    older.ask_login().await?;
    older.closed_with(ErrorCode::CertificateRefused).await?;
    stage.refuses_certificate(&user).await?;
    stage.logged_in(&User::of(successor, &answer)?).await?.probe().await
}

async fn login_at_home_ends(world: Arc<World>) -> Done {
    let stage = Stage::shared(&world).await?;
    let user = stage.account().await?;
    let mut client = stage.client(&user).await?;
    let epoch = client.log_in().await?.epoch;
    rotated(&stage, &user.key, &pki::key()?).await?;
    expect_equal("the epoch that is over", &epoch, &client.replaced().await?)
}

async fn login_elsewhere_ends(world: Arc<World>) -> Done {
    let stage = Stage::shared(&world).await?;
    let user = stage.account().await?;
    let mut one = stage.played("one").await?;
    let mut peer = one.dial(&stage).await?;
    let epoch = peer.check_out(user.handle.id).await?.epoch;
    rotated(&stage, &user.key, &pki::key()?).await?;
    one.hears_of_the_end(&user.handle, epoch).await?;
    let answer = peer.renew(user.handle.id, epoch).await?.map(|_| ());
    expect_equal("the renewal", &Err(ErrorCode::LoginReplaced), &answer)
}

async fn durable(world: Arc<World>) -> Done {
    let mut stage = Stage::alone(&world, Alone::default()).await?;
    let (user, successor) = (stage.account().await?, pki::key()?);
    rotated(&stage, &user.key, &successor).await?;
    stage.kill().await;
    stage.restart(Alone::default()).await?;
    expect_equal("the handle", &user.handle, &stage.register(&successor).await?.handle)?;
    let mut registrar = stage.registrar().await?;
    let request = stage.request(&mut registrar, &user.key)?;
    registrar.refused(request, ErrorCode::ProofRefused).await
}
