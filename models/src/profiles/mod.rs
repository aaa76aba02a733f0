//! Logins and profiles under every interleaving: a user with several clients logs in at several servers, while requests,
//! answers and notices are lost and servers die at any instant.
//!
//! Two halves of a lease without any such thing are enough for everybody to agree again; without a loss or a death, all
//! agree whenever nothing is on its way.

mod bounds;
mod steps;
mod words;
mod world;

use antiphon_spec::identity::{ObjectHandle, ServerName, UserHandle};
use stateright::{Model, Property};

pub use self::{
    bounds::{Bounds, PROFILES, ProfileEntry, find},
    steps::{Fate, ProfileStep},
    world::{Breach, ProfileState},
};
use self::{steps::Log, world::Phase};

/// Logins of a user, within bounds.
#[derive(Clone, Debug)]
pub struct ProfileModel {
    bounds: Bounds,
    /// The servers, the home server first.
    names: Vec<ServerName>,
}

impl ProfileModel {
    /// Within these bounds.
    #[must_use]
    pub fn new(bounds: Bounds) -> Self {
        let names = ["home.example", "b.example", "c.example", "d.example"];
        Self { bounds, names: names.iter().filter_map(|name| name.parse().ok()).collect() }
    }

    /// The name of a server where the user may log in.
    fn place(&self, server: u8) -> Option<ServerName> {
        self.names.get(usize::from(server) + usize::from(!self.bounds.at_home)).cloned()
    }

    /// The number of a server of this name.
    fn number(&self, name: &ServerName) -> Option<u8> {
        (0..)
            .zip(&self.names)
            .find(|(_, known)| *known == name)
            .and_then(|(at, _): (u8, _)| at.checked_sub(u8::from(!self.bounds.at_home)))
    }

    fn is_home(&self, server: u8) -> bool {
        self.bounds.at_home && server == 0
    }

    /// Somebody whom the preferences of this number allow, and no others do.
    fn friend(&self, number: u8) -> Option<UserHandle> {
        Some(UserHandle { id: ObjectHandle([number; 16]), home: self.names.first()?.clone() })
    }

    /// What a step does, in words.
    #[must_use]
    pub fn tell(&self, state: &ProfileState, step: ProfileStep) -> Vec<String> {
        let mut log = Log::default();
        let mut next = state.clone();
        log.say(words::step(self, state, step));
        let _ = self.take(&mut next, step, &mut log);
        log.into_lines()
    }
}

macro_rules! never {
    ($name:literal, $breach:ident) => {
        Property::always($name, |_: &Self, state: &ProfileState| !state.breaches.contains(&Breach::$breach))
    };
}

impl Model for ProfileModel {
    type State = ProfileState;
    type Action = ProfileStep;

    fn init_states(&self) -> Vec<ProfileState> {
        vec![ProfileState::new(self.bounds)]
    }

    fn actions(&self, state: &ProfileState, steps: &mut Vec<ProfileStep>) {
        self.possible(state, steps);
    }

    fn next_state(&self, state: &ProfileState, step: ProfileStep) -> Option<ProfileState> {
        let mut next = state.clone();
        self.take(&mut next, step, &mut Log::default())?;
        Some(next)
    }

    fn properties(&self) -> Vec<Property<Self>> {
        vec![
            never!("LOGIN-015, LOGIN-016: each login epoch is given once, and they ascend", EpochRepeated),
            Property::always(
                "PREF-007, PREF-014: no acknowledged change is lost",
                |_: &Self, state: &ProfileState| {
                    let present = state.home.profile.version.0;
                    let last = state.acknowledged.last_key_value();
                    !state.breaches.contains(&Breach::UpdateLost)
                        && last.is_none_or(|(version, change)| {
                            *version < present
                                || (*version == present
                                    && steps::change_of(&state.home.profile.messaging) == *change)
                        })
                },
            ),
            never!("PREF-008: a change is made to the version that it names", VersionUnseen),
            never!(
                "PREF-010, LOGIN-018: only the holder of the last login epoch changes the profile",
                HolderUnchecked
            ),
            never!("PREF-009, PREF-015: no version is lower than one told before", VersionBack),
            never!("PREF-016: nobody's change is refused for its own effect", OwnChangeRefused),
            never!("LOGIN-023, LOGIN-034, LOGIN-041: only a newer login ends a login from outside", CutOff),
            never!("LOGIN-004, LOGIN-006: who is logged in has a record", Unreachable),
            never!(
                "WIRE-058, LOGIN-025: each request has one answer, and nothing follows the end",
                OutOfTurn
            ),
            never!("PREF-013: what was acknowledged judges", Misjudged),
            Property::always(
                "LOGIN-025, LOGIN-040, LOGIN-043: whoever was told to be logged in is, with the profile that was told",
                |_: &Self, state: &ProfileState| state.is_told(),
            ),
            Property::always(
                "LOGIN-009, LOGIN-031: at rest every client has its answers",
                |_: &Self, state: &ProfileState| {
                    !state.is_quiet()
                        || state.clients.iter().all(|client| match client.phase {
                            Phase::LoggingIn | Phase::LoggingOut => false,
                            Phase::LoggedIn(_) => client.change.is_none(),
                            Phase::Over => true,
                        })
                },
            ),
            Property::always(
                "LOGIN-012, LOGIN-021, LOGIN-023, LOGIN-026, LOGIN-030, LOGIN-042: at rest without losses all agree on the one login",
                |model: &Self, state: &ProfileState| {
                    state.is_troubled || !state.is_quiet() || state.is_agreed(|server| model.place(server))
                },
            ),
            Property::always(
                "LOGIN-028, LOGIN-036, LOGIN-037, LOGIN-040: a lease after the last trouble all agree on the one login",
                |model: &Self, state: &ProfileState| {
                    state.calm < 2
                        || !state.home_is_up
                        || !state.is_quiet()
                        || state.is_agreed(|server| model.place(server))
                },
            ),
            Property::sometimes(
                "the user is logged in, and a login before that is over",
                |_: &Self, state: &ProfileState| {
                    let logged_in = |client: &world::Client| matches!(client.phase, Phase::LoggedIn(_));
                    state.is_quiet()
                        && state.clients.len() >= 2
                        && state.clients.iter().filter(|client| logged_in(client)).count() == 1
                },
            ),
            Property::sometimes(
                "an older login stands beside the newer one",
                |_: &Self, state: &ProfileState| state.online().len() >= 2,
            ),
        ]
    }
}

#[cfg(test)]
mod tests {
    use antiphon_spec::requirement::find;
    use stateright::Model as _;

    use super::{PROFILES, ProfileModel};
    use crate::check::{Options, check_profiles};

    /// A change of a machine that changes what can happen changes these counts: look at what it is, and pin anew.
    const COUNTS: &[(&str, usize)] = &[("logins", 115_899), ("logins-leases", 23_168)];

    #[test]
    fn the_small_models_hold_and_have_as_many_states_as_ever() {
        for (name, unique) in COUNTS {
            let entry = super::find(name).expect("a model of this name");
            let report = check_profiles(entry, Options { threads: 2, states_max: None, progress: None });
            assert!(report.is_good(), "{report}");
            assert_eq!(report.unique, *unique, "{name}");
        }
    }

    #[test]
    fn every_requirement_that_a_property_names_is_in_the_text() {
        for property in PROFILES.iter().flat_map(|entry| ProfileModel::new(entry.bounds).properties()) {
            let rule = property.name.split_once(':').map_or("", |(rule, _)| rule);
            for id in rule.split(", ").filter(|id| !id.is_empty()) {
                assert!(find(id).is_some(), "{id} of \"{}\"", property.name);
            }
        }
    }
}
