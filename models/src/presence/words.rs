//! Steps of the models of presence in words, for counterexamples.

use antiphon_spec::presence::{Said, Version};

use super::{PresenceState, PresenceStep, world::Words};

pub(super) fn step(state: &PresenceState, step: PresenceStep) -> String {
    let end = |place: usize, end: usize| {
        state.server_at(place, end).map_or_else(|| "?".to_owned(), |server| server.to_string())
    };
    match step {
        PresenceStep::Login(server) => format!("the publisher logs in at server {server}"),
        PresenceStep::Change(server) => format!("the publisher discloses something new at server {server}"),
        PresenceStep::Logout(server) => format!("the publisher's login at server {server} is over"),
        PresenceStep::Watch(server) => format!("somebody watches at server {server}"),
        PresenceStep::Unwatch(server) => format!("nobody watches at server {server} any more"),
        PresenceStep::Arrives(place, to) => {
            let what = state.links.get(place).and_then(|link| link.to.get(to)?.front());
            let what = what.map_or_else(|| "nothing".to_owned(), said);
            format!("server {} <- server {}: {what}", end(place, to), end(place, 1 - to))
        }
        PresenceStep::Breaks(place) => {
            format!("the link of servers {} and {} is lost", end(place, 0), end(place, 1))
        }
        PresenceStep::Falls(place, at) => {
            format!(
                "server {} notices that its link to server {} is gone",
                end(place, at),
                end(place, 1 - at)
            )
        }
        PresenceStep::Joins(place) => {
            format!("servers {} and {} have a new link", end(place, 0), end(place, 1))
        }
        PresenceStep::Rises(place, at) => {
            format!("server {} has server {} for a neighbour", end(place, at), end(place, 1 - at))
        }
        PresenceStep::Dies(server) => format!("server {server} dies and starts again"),
    }
}

fn said(words: &Words) -> String {
    match words {
        Said::Publish { announcement, version, .. } => {
            format!("publish {} ({announcement})", named(*version))
        }
        Said::Offer { announcement, version, .. } => format!("offer {} ({announcement})", named(*version)),
        Said::Withdraw { announcement } => format!("withdraw ({announcement})"),
        Said::Prune { announcement } => format!("prune ({announcement})"),
        Said::Unprune { announcement } => format!("unprune ({announcement})"),
    }
}

/// A version in words.
pub(super) fn named(version: Version) -> String {
    format!("{}.{}", version.epoch.0, version.sequence)
}
