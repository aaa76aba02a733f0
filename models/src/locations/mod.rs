//! The location service under every interleaving: a tree of nodes, servers whose records come, move and go, and searches
//! meanwhile; requests are given up and carried out later, and nodes die at any instant.
//!
//! Without such a thing nothing is ever refused for want of a node, and the pointers are right whenever nothing is on its
//! way; after it, they are right again when the leases are over.

mod bounds;
mod steps;
mod words;
mod world;

use antiphon_spec::{
    identity::{ContactAddress, ObjectHandle, ServerName},
    location::{Contacts, Kept},
    message::{location::PointerNumber, server_server::LoginEpoch},
    time::Timestamp,
};
use stateright::{Model, Property};

pub use self::{
    bounds::{Bounds, LOCATIONS, LocationEntry, Object, find},
    steps::LocationStep,
    world::{Breach, LocationState, Seen},
};
use self::{
    steps::Log,
    world::{Node, Phase, Server},
};

/// One handle in a tree of nodes, within bounds.
#[derive(Clone, Debug)]
pub struct LocationModel {
    bounds: Bounds,
}

/// The name of a node.
fn node_name(number: u8) -> ServerName {
    named(&format!("node-{number}"))
}

/// The name of a server.
fn server_name(number: u8) -> ServerName {
    named(&format!("server-{number}"))
}

fn named(name: &str) -> ServerName {
    #[expect(clippy::expect_used, reason = "the names of the models are names")]
    name.parse().expect("a server name")
}

/// The address of everybody: nobody dials here.
fn address() -> ContactAddress {
    ContactAddress(std::net::SocketAddr::from(([192, 0, 2, 1], 1)))
}

impl LocationModel {
    /// Within these bounds.
    #[must_use]
    pub const fn new(bounds: Bounds) -> Self {
        Self { bounds }
    }

    fn handle(&self) -> ObjectHandle {
        match self.bounds.object {
            Object::Servers => ObjectHandle::SERVERS,
            Object::User | Object::Claimed => ObjectHandle([1; 16]),
        }
    }

    /// What a step does, in words.
    #[must_use]
    pub fn tell(&self, state: &LocationState, step: LocationStep) -> Vec<String> {
        let mut log = Log::default();
        let mut next = state.clone();
        log.say(words::step(state, step));
        let _ = self.take(&mut next, step, &mut log);
        log.into_lines()
    }
}

macro_rules! never {
    ($name:literal, $breach:ident) => {
        Property::always($name, |_: &Self, state: &LocationState| !state.breaches.contains(&Breach::$breach))
    };
}

macro_rules! seen {
    ($name:literal, $seen:ident) => {
        Property::sometimes($name, |_: &Self, state: &LocationState| state.seen.contains(&Seen::$seen))
    };
}

impl Model for LocationModel {
    type State = LocationState;
    type Action = LocationStep;

    fn init_states(&self) -> Vec<LocationState> {
        let node = || Node {
            contacts: Contacts::new(self.handle(), Kept::default()),
            durable: Kept::default(),
            number: PointerNumber(1),
        };
        vec![LocationState {
            nodes: self.bounds.parents.iter().map(|_| node()).collect(),
            servers: self.bounds.servers.iter().map(|_| Server::default()).collect(),
            searching: std::collections::BTreeMap::new(),
            calls: Vec::new(),
            last: LoginEpoch(0),
            deleted: std::collections::BTreeSet::new(),
            inserted: std::collections::BTreeMap::new(),
            now: Timestamp(0),
            calm: 0,
            is_troubled: false,
            excused_until: Timestamp(0),
            left: self.bounds,
            breaches: std::collections::BTreeSet::new(),
            seen: std::collections::BTreeSet::new(),
        }]
    }

    fn actions(&self, state: &LocationState, steps: &mut Vec<LocationStep>) {
        self.possible(state, steps);
    }

    fn next_state(&self, state: &LocationState, step: LocationStep) -> Option<LocationState> {
        let mut next = state.clone();
        self.take(&mut next, step, &mut Log::default())?;
        Some(next)
    }

    fn properties(&self) -> Vec<Property<Self>> {
        let mut properties = vec![
            never!(
                "LOC-014, LOC-023, LOC-034, LOC-035, LOC-036: what stands from the beginning of a search to its end is found",
                NotFound
            ),
            never!(
                "LOC-011, LOC-019, LOC-020, LOC-030, LOC-033: nothing is found that is older than what stood when the search began",
                OlderFound
            ),
            never!("LOC-007, LOC-025: no record is found after its lease", EndedFound),
            never!("LOC-034: a search doesn't leave the node that has the record", FarAsked),
            never!("LOC-013: what is answered is durable", NotDurable),
            never!("LOC-021, LOC-024: one server at most is the first", TwoFirst),
            never!(
                "LOC-031, LOC-039: nothing is refused for want of a node that can be reached",
                Unreachable
            ),
            never!("LOC-009: a record goes by its own server's word alone", DeletedByOther),
            Property::always(
                "WIRE-058: at rest everybody has an answer",
                |_: &Self, state: &LocationState| {
                    let waits = |server: &Server| matches!(server.phase, Phase::Inserting | Phase::Deleting);
                    !state.calls.is_empty()
                        || (state.searching.is_empty()
                            && !state.servers.iter().any(waits)
                            && state.nodes.iter().all(|node| node.contacts.is_idle()))
                },
            ),
            Property::always(
                "LOC-023, LOC-026, LOC-027, LOC-028: at rest without losses no pointer is missing, and none dangles",
                |_: &Self, state: &LocationState| state.is_troubled || !state.is_quiet() || state.is_exact(),
            ),
            Property::always(
                "LOC-008, LOC-026, LOC-031: a lease after the last trouble no pointer is missing, and none dangles",
                |_: &Self, state: &LocationState| state.calm < 3 || !state.is_quiet() || state.is_exact(),
            ),
        ];
        if self.bounds.object != Object::Servers && self.bounds.inserts > 1 {
            properties.push(seen!("an insertion is refused for what there is", Refused));
        }
        if self.bounds.searches > 0 {
            properties.push(seen!("something is found at another leaf", FarAway));
        }
        if self.bounds.deletes > 0 {
            properties.push(Property::sometimes(
                "at rest there was something, and nothing is left of it anywhere",
                |_: &Self, state: &LocationState| {
                    let is_empty = |node: &Node| node.contacts.kept().is_empty();
                    !state.deleted.is_empty() && state.is_quiet() && state.nodes.iter().all(is_empty)
                },
            ));
        }
        if self.bounds.searches > 0 && self.bounds.object == Object::User && self.bounds.inserts > 1 {
            properties.push(seen!("a search looks again, for what it looked for has moved", LookedAgain));
        }
        properties
    }
}

#[cfg(test)]
mod tests {
    use antiphon_spec::requirement;
    use stateright::Model as _;

    use super::{LOCATIONS, LocationModel};
    use crate::check::{Options, check_locations};

    /// A change of the machine that changes what can happen changes these counts: look at what it is, and pin anew.
    const COUNTS: &[(&str, usize)] =
        &[("location-leases", 25_802), ("location-crash", 33_002), ("location-moves", 40_812)];

    #[test]
    fn the_small_models_hold_and_have_as_many_states_as_ever() {
        for (name, unique) in COUNTS {
            let entry = super::find(name).expect("a model of this name");
            let report = check_locations(entry, Options { threads: 2, states_max: None, progress: None });
            assert!(report.is_good(), "{report}");
            assert_eq!(report.unique, *unique, "{name}");
        }
    }

    #[test]
    fn every_requirement_that_a_property_names_is_in_the_text() {
        for property in LOCATIONS.iter().flat_map(|entry| LocationModel::new(entry.bounds).properties()) {
            let rule = property.name.split_once(':').map_or("", |(rule, _)| rule);
            for id in rule.split(", ").filter(|id| !id.is_empty()) {
                assert!(requirement::find(id).is_some(), "{id} of \"{}\"", property.name);
            }
        }
    }
}
