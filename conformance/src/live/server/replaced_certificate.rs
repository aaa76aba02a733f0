//! A server's certificate that its operator replaces while it runs (chapter *Certificates*).

use std::sync::Arc;

use antiphon_spec::identity::KeyHash;
use tokio::time::{Instant, sleep};

use super::stage::{Alone, Done, Stage, User, case};
use crate::{
    case::Failure,
    live::{LiveCase, World},
    process::PATIENCE,
};

/// The cases of this file.
pub(super) const CASES: &[LiveCase] = &[
    case(
        "certificate-replaced/used",
        &["CERT-034"],
        "The server's certificate and key are replaced: soon both ports prove the new key, and a user logs in there.",
        |world| Box::pin(used(world)),
    ),
    case(
        "certificate-replaced/connections-stay",
        &["CERT-035"],
        "The server's certificate is replaced while a user is logged in: the connection still answers.",
        |world| Box::pin(connections_stay(world)),
    ),
    case(
        "certificate-replaced/again",
        &["CERT-034"],
        "The server's certificate is replaced twice: the last one is used.",
        |world| Box::pin(again(world)),
    ),
];

/// Waits until the server proves itself with this key; the text gives it less time than this.
async fn proves(stage: &Stage, user: &User, key: KeyHash) -> Done {
    let until = Instant::now() + PATIENCE;
    while !stage.proves(user, key).await? {
        if Instant::now() > until {
            return Err(Failure::unexpected("the new certificate", "the one before"));
        }
        sleep(PATIENCE / 100).await;
    }
    Ok(())
}

async fn used(world: Arc<World>) -> Done {
    let stage = Stage::alone(&world, Alone::default()).await?;
    let user = stage.account().await?;
    let key = stage.replace_certificate()?;
    proves(&stage, &user, key).await?;
    stage.logged_in(&user).await?.probe().await
}

async fn connections_stay(world: Arc<World>) -> Done {
    let stage = Stage::alone(&world, Alone::default()).await?;
    let (user, other) = (stage.account().await?, stage.account().await?);
    let mut client = stage.logged_in(&user).await?;
    let key = stage.replace_certificate()?;
    proves(&stage, &other, key).await?;
    client.probe().await
}

async fn again(world: Arc<World>) -> Done {
    let stage = Stage::alone(&world, Alone::default()).await?;
    let user = stage.account().await?;
    let first = stage.replace_certificate()?;
    proves(&stage, &user, first).await?;
    let second = stage.replace_certificate()?;
    proves(&stage, &user, second).await
}
