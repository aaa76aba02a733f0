//! Cases of a server's behaviour: the suite plays its users, the other servers and the directory node.

mod endings;
mod home;
mod issued;
mod leases;
mod limits;
mod location;
mod login;
mod logout;
mod lookup;
mod preferences;
mod rates;
mod registration;
mod relay;
mod replaced_certificate;
mod replacement;
mod resolve;
mod restart;
mod rotation;
mod silence;
pub(super) mod stage;

pub(super) use self::stage::{Asked, Done, Link, Listening, SharedStage, expect_equal, want};
use super::LiveCase;

/// The cases of this folder, chapter by chapter.
pub(super) fn cases() -> impl Iterator<Item = LiveCase> {
    [
        relay::CASES,
        registration::CASES,
        endings::CASES,
        issued::CASES,
        login::CASES,
        home::CASES,
        leases::CASES,
        replacement::CASES,
        logout::CASES,
        preferences::CASES,
        lookup::CASES,
        resolve::CASES,
        location::CASES,
        limits::CASES,
        rates::CASES,
        replaced_certificate::CASES,
        restart::CASES,
        rotation::CASES,
        silence::CASES,
    ]
    .into_iter()
    .flatten()
    .copied()
}
