//! Peers that say nothing for as long as the text allows, and longer (chapter *Wire*, section *Signs of life*).
//!
//! These cases take more than a minute: a run leaves them out unless a selector names them.

use std::sync::Arc;

use antiphon_spec::error_code::ErrorCode;

use super::stage::{Done, Stage, case, expect_equal};
use crate::live::{LiveCase, World};

/// The cases of this file.
pub(super) const CASES: &[LiveCase] = &[
    case(
        "slow/silent-client-is-lost",
        &["WIRE-048", "WIRE-047", "LOGIN-032"],
        "A client that says nothing is sent a ping; when it does not answer, its connection ends and its user is nowhere.",
        |world| Box::pin(silent_client_is_lost(world)),
    ),
    case(
        "slow/client-that-answers-pings-stays",
        &["WIRE-047", "WIRE-048"],
        "A client that only answers pings is still logged in when a silent one would long be lost.",
        |world| Box::pin(client_that_answers_stays(world)),
    ),
];

async fn silent_client_is_lost(world: Arc<World>) -> Done {
    let stage = Stage::shared(&world).await?;
    let (user, asker) = (stage.account().await?, stage.account().await?);
    let mut client = stage.logged_in(&user).await?;
    client.pinged().await?;
    client.given_up().await?;
    let mut asker = stage.logged_in(&asker).await?;
    // Nobody was promised when the user is off the list; that it comes to that is what counts.
    let told = loop {
        let told = asker.lookup(&user.handle).await?;
        if told.is_err() {
            break told;
        }
    };
    expect_equal("the list", &Err(ErrorCode::Unavailable), &told)
}

async fn client_that_answers_stays(world: Arc<World>) -> Done {
    /// Three rounds of silence are longer than the time after which a silent peer is lost.
    const ROUNDS: usize = 3;
    let stage = Stage::shared(&world).await?;
    let user = stage.account().await?;
    let mut client = stage.logged_in(&user).await?;
    for _ in 0..ROUNDS {
        let number = client.pinged().await?;
        client.pong(number).await?;
    }
    expect_equal("the address", &Ok(client.address()), &client.lookup(&user.handle).await?)
}
