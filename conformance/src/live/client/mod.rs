//! Live cases with a client under test: the suite is its server, the directory of users, and every other client.
//!
//! Each case has a client process of its own and a world of its own, with its own root. What a client has to offer to
//! be driven stands in [`driver`].

#![allow(
    clippy::wildcard_enum_match_arm,
    reason = "whatever is not the one message that has to come is one and the same failure"
)]

mod chain;
pub(super) mod driver;
mod hello;
mod line;
mod realm;
mod scene;
mod server;

mod bridge;
mod certificates;
mod closing;
mod coordinator;
mod dialling;
mod instants;
mod invitee;
mod inviter;
mod kept;
mod links;
mod login;
mod member;
mod messages;
mod newcomer;
mod registration;
mod relay;

use super::LiveCase;

/// Lists cases: the ID, the requirements, the accepted twin, what happens, the test.
macro_rules! live_cases {
    ($($id:literal [$($requirement:literal),+] $(twin $twin:literal)? $about:literal => $test:expr;)+) => {
        &[$(crate::live::LiveCase {
            id: $id,
            role: crate::case::Role::Client,
            requirements: &[$($requirement),+],
            twin: live_cases!(@twin $($twin)?),
            about: $about,
            test: |world| Box::pin(($test)(world)),
        }),+]
    };
    (@twin) => { None };
    (@twin $twin:literal) => { Some($twin) };
}
use live_cases;

/// Those first that have cases which wait for a deadline of ten seconds; the others run meanwhile.
const ALL: &[&[LiveCase]] = &[
    links::CASES,
    kept::CASES,
    instants::CASES,
    relay::CASES,
    dialling::CASES,
    registration::CASES,
    login::CASES,
    invitee::CASES,
    newcomer::CASES,
    member::CASES,
    closing::CASES,
    messages::CASES,
    inviter::CASES,
    coordinator::CASES,
    certificates::CASES,
];

/// Every case for a client.
pub(super) fn cases() -> impl Iterator<Item = LiveCase> {
    ALL.iter().copied().flatten().copied()
}
