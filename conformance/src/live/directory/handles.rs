//! Fresh object handles.

use std::collections::BTreeSet;

use antiphon_spec::identity::ObjectHandle;

use super::{
    case,
    stage::{Asker, Done, Lease, Stage},
};
use crate::{case::Failure, live::LiveCase};

/// How many handles are looked at. A bit that is drawn at random is the same in all with a probability of 2^-255.
const MANY: usize = 256;

/// Bits of a handle that have to be random (`LOC-002`).
const RANDOM_BITS_MIN: usize = 120;

/// The cases of this file.
pub(super) const CASES: &[LiveCase] = &[
    case(
        "directory/issues-fresh-handles",
        &["LOC-001", "IDENT-001"],
        None,
        "256 handles issued on two connections all differ, and none is the well-known one.",
        |world| Box::pin(async move { fresh(&Stage::shared(&world).await?).await }),
    ),
    case(
        "directory/issues-random-handles",
        &["LOC-002"],
        None,
        "At least 120 bits of the handles that are issued differ from handle to handle.",
        |world| Box::pin(async move { random(&Stage::shared(&world).await?).await }),
    ),
    case(
        "directory/issues-fresh-handles-after-a-crash",
        &["LOC-001"],
        None,
        "A node that was killed issues no handle again.",
        |world| Box::pin(async move { after_crash(Stage::alone(&world, Lease(300)).await?).await }),
    ),
];

async fn issue(server: &mut Asker, count: usize) -> Result<Vec<ObjectHandle>, Failure> {
    let mut handles = Vec::with_capacity(count);
    for _ in 0..count {
        handles.push(server.issue().await?);
    }
    Ok(handles)
}

fn all_differ(handles: &[ObjectHandle]) -> Done {
    let distinct: BTreeSet<_> = handles.iter().collect();
    if distinct.len() != handles.len() {
        return Err(Failure::unexpected(format!("{} different handles", handles.len()), distinct.len()));
    }
    if distinct.contains(&ObjectHandle(*b"antiphon-servers")) {
        return Err(Failure::unexpected("a handle that is nobody's", "the well-known one"));
    }
    Ok(())
}

async fn fresh(stage: &Stage) -> Done {
    let (mut one, mut other) = (stage.server().await?, stage.server().await?);
    let (first, second) = futures::join!(issue(&mut one, MANY / 2), issue(&mut other, MANY / 2));
    all_differ(&[first?, second?].concat())
}

async fn random(stage: &Stage) -> Done {
    let handles = issue(&mut stage.server().await?, MANY).await?;
    let numbers = || handles.iter().map(|handle| u128::from_be_bytes(handle.0));
    let ones = numbers().fold(0, |all, number| all | number);
    let zeros = numbers().fold(0, |all, number| all | !number);
    let varying = (ones & zeros).count_ones() as usize;
    if varying < RANDOM_BITS_MIN {
        return Err(Failure::unexpected(format!("{RANDOM_BITS_MIN} bits that differ"), varying));
    }
    Ok(())
}

async fn after_crash(mut stage: Stage) -> Done {
    let before = issue(&mut stage.server().await?, MANY / 4).await?;
    stage.kill_and_start_again().await?;
    let after = issue(&mut stage.server().await?, MANY / 4).await?;
    all_differ(&[before, after].concat())
}
