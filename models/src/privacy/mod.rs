//! Privacy by two worlds: in one of them a user who hides from the asker logs in, moves and logs out, in the other one
//! there is no such user. The asker asks the same in both, and has to see the same, at the same time.
//!
//! This is non-interference, as Goguen and Meseguer put it: what the asker may not know does not bear on what it sees.
//! The steps of the two worlds go by turns in every order; a search takes less than a beat in either.

mod bounds;
mod world;

use antiphon_spec::identity::{ObjectHandle, UserHandle};
use stateright::{Model, Property};

use self::world::{Asked, Cast, SERVERS, World};
pub use self::{
    bounds::{Bounds, Hiding, PRIVACY, PrivacyEntry, find},
    world::Question,
};

/// Two worlds, within bounds.
#[derive(Clone, Debug)]
pub struct PrivacyModel {
    bounds: Bounds,
    cast: Option<Cast>,
}

/// The world with the user, and the one without.
const WITH: usize = 0;
const WITHOUT: usize = 1;

/// Both worlds.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct PrivacyState {
    worlds: [World; 2],
    left: Bounds,
}

/// What happens next.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum PrivacyStep {
    /// The user logs in at this server.
    LogIn(u8),
    /// The user logs out there.
    LogOut(u8),
    /// The server of an older login hears that it is over.
    Replaced,
    /// The location service does what this server asks.
    Located(u8),
    /// The asker asks, in both worlds.
    Ask(Question),
    /// A search goes on, in this world.
    GoesOn(usize, usize),
    /// Whom a search waits for does not answer, in this world.
    Fails(usize, usize),
}

impl PrivacyModel {
    /// Within these bounds.
    #[must_use]
    pub fn new(bounds: Bounds) -> Self {
        Self { bounds, cast: cast(bounds.hiding) }
    }

    /// What a step does, in words.
    #[must_use]
    pub fn tell(&self, state: &PrivacyState, step: PrivacyStep) -> Vec<String> {
        let place =
            |server: u8| if server == world::HERE { "the asker's server" } else { "the other server" };
        let in_world = |world| if world == WITH { "with the user" } else { "without the user" };
        let asked = |world: usize, number: usize| state.worlds.get(world).and_then(|it| it.asked.get(number));
        let whom = |world, number| asked(world, number).and_then(Asked::awaits).unwrap_or("nobody");
        let mut lines = vec![match step {
            PrivacyStep::LogIn(server) => format!("the user asks to log in at {}", place(server)),
            PrivacyStep::LogOut(server) => format!("the user logs out at {}", place(server)),
            PrivacyStep::Replaced => "the server of the older login hears that it is over".to_owned(),
            PrivacyStep::Located(server) => {
                format!("the location service does what {} asks", place(server))
            }
            PrivacyStep::Ask(Question::Lookup) => "the asker looks the user up".to_owned(),
            PrivacyStep::Ask(Question::Call) => "the asker calls the user".to_owned(),
            PrivacyStep::GoesOn(world, number) => {
                format!("{}: {} is asked", in_world(world), whom(world, number))
            }
            PrivacyStep::Fails(world, number) => {
                format!("{}: {} does not answer", in_world(world), whom(world, number))
            }
        }];
        if let (PrivacyStep::GoesOn(world, number) | PrivacyStep::Fails(world, number), Some(next)) =
            (step, self.next_state(state, step))
        {
            let seen = next.worlds.get(world).and_then(|it| it.asked.get(number)?.seen.clone());
            lines.extend(
                seen.map(|seen| {
                    format!("the asker sees {:?} after {} ms", seen.answer, seen.after.as_millis())
                }),
            );
        }
        lines
    }
}

fn cast(hiding: Hiding) -> Option<Cast> {
    let home = "home.example".parse().ok()?;
    let user = UserHandle { id: ObjectHandle([1; 16]), home };
    let asker = UserHandle { id: ObjectHandle([2; 16]), home: user.home.clone() };
    Some(Cast {
        servers: vec!["a.example".parse().ok()?, "b.example".parse().ok()?],
        address: "192.0.2.1:4000".parse().ok()?,
        preferences: hiding.preferences(&asker),
        user,
        asker,
    })
}

impl PrivacyState {
    /// What was asked, in both worlds.
    fn pairs(&self) -> impl Iterator<Item = (&Asked, &Asked)> {
        let [with, without] = &self.worlds;
        with.asked.iter().zip(&without.asked)
    }

    /// Whether no search is under way.
    fn is_answered(&self) -> bool {
        self.pairs().all(|(with, without)| with.seen.is_some() && without.seen.is_some())
    }
}

impl Model for PrivacyModel {
    type State = PrivacyState;
    type Action = PrivacyStep;

    fn init_states(&self) -> Vec<PrivacyState> {
        vec![PrivacyState { worlds: Default::default(), left: self.bounds }]
    }

    fn actions(&self, state: &PrivacyState, steps: &mut Vec<PrivacyStep>) {
        let [with, _] = &state.worlds;
        for server in 0..SERVERS {
            let free = with
                .logins
                .get(usize::from(server))
                .is_some_and(antiphon_spec::account::login::Login::is_over);
            if state.left.logins > 0 && with.replaced.is_none() && free {
                steps.push(PrivacyStep::LogIn(server));
            }
            if state.left.logouts > 0 && with.is_logged_in(server) {
                steps.push(PrivacyStep::LogOut(server));
            }
            if with.to_location.get(usize::from(server)).is_some_and(Option::is_some) {
                steps.push(PrivacyStep::Located(server));
            }
        }
        if with.replaced.is_some() {
            steps.push(PrivacyStep::Replaced);
        }
        if state.left.questions > 0 {
            steps.push(PrivacyStep::Ask(Question::Lookup));
            if self.bounds.hiding.hides_from_calls() {
                steps.push(PrivacyStep::Ask(Question::Call));
            }
        }
        for (world, it) in state.worlds.iter().enumerate() {
            for (number, asked) in it.asked.iter().enumerate() {
                if asked.awaits().is_some() {
                    steps.push(PrivacyStep::GoesOn(world, number));
                }
                if state.left.failures > 0 && asked.may_fail() {
                    steps.push(PrivacyStep::Fails(world, number));
                }
            }
        }
    }

    fn next_state(&self, state: &PrivacyState, step: PrivacyStep) -> Option<PrivacyState> {
        let cast = self.cast.as_ref()?;
        let mut next = state.clone();
        match step {
            PrivacyStep::LogIn(server) => {
                next.left.logins = next.left.logins.checked_sub(1)?;
                next.worlds[WITH].log_in(cast, server)?;
            }
            PrivacyStep::LogOut(server) => {
                next.left.logouts = next.left.logouts.checked_sub(1)?;
                next.worlds[WITH].log_out(server)?;
            }
            PrivacyStep::Replaced => next.worlds[WITH].replace()?,
            PrivacyStep::Located(server) => next.worlds[WITH].locate(server)?,
            PrivacyStep::Ask(question) => {
                next.left.questions = next.left.questions.checked_sub(1)?;
                next.worlds[WITH].ask(cast, question)?;
                next.worlds[WITHOUT].ask(cast, question)?;
            }
            PrivacyStep::GoesOn(world, number) => {
                next.worlds.get_mut(world)?.go_on(cast, number, false)?;
            }
            PrivacyStep::Fails(world, number) => {
                next.left.failures = next.left.failures.checked_sub(1)?;
                next.worlds.get_mut(world)?.go_on(cast, number, true)?;
            }
        }
        Some(next)
    }

    fn properties(&self) -> Vec<Property<Self>> {
        vec![
            Property::always(
                "ADDR-005, ADDR-009, ADDR-010, ADDR-011, RELAY-011, RELAY-014: the asker sees the same in both worlds",
                |_: &Self, state: &PrivacyState| {
                    state.pairs().all(|pair| match (&pair.0.seen, &pair.1.seen) {
                        (Some(with), Some(without)) => with.answer == without.answer,
                        (Some(_) | None, _) => true,
                    })
                },
            ),
            Property::always(
                "ADDR-012, ADDR-014, RELAY-015, RELAY-036: the asker sees it at the same time",
                |_: &Self, state: &PrivacyState| {
                    state.pairs().all(|pair| match (&pair.0.seen, &pair.1.seen) {
                        (Some(with), Some(without)) => with.after == without.after,
                        (Some(_) | None, _) => true,
                    })
                },
            ),
            Property::always(
                "WIRE-058, RELAY-014: a search that is not answered goes on",
                |model: &Self, state: &PrivacyState| {
                    let Some(cast) = &model.cast else { return false };
                    state.worlds.iter().all(|world| {
                        let mut numbered = world.asked.iter().enumerate();
                        numbered.all(|(number, asked)| {
                            asked.seen.is_some() || world.clone().go_on(cast, number, false).is_some()
                        })
                    })
                },
            ),
            Property::sometimes(
                "the asker asks while the user is logged in at its own server",
                |_: &Self, state: &PrivacyState| {
                    state.is_answered() && state.left.questions == 0 && state.worlds[WITH].is_logged_in(0)
                },
            ),
            Property::sometimes(
                "the other server is asked about the user",
                |_: &Self, state: &PrivacyState| {
                    state.pairs().any(|(with, _)| with.awaits() == Some("the other server"))
                },
            ),
            Property::sometimes(
                "a search comes to nothing in the one world only, and all is answered",
                |model: &Self, state: &PrivacyState| {
                    state.left.questions == 0
                        && state.is_answered()
                        && state.left.failures < model.bounds.failures
                },
            ),
        ]
    }
}

#[cfg(test)]
mod tests {
    use antiphon_spec::requirement::find;
    use stateright::Model as _;

    use super::{PRIVACY, PrivacyModel};
    use crate::check::{Options, check_privacy};

    /// A change of a machine that changes what can happen changes these counts: look at what it is, and pin anew.
    const COUNTS: &[(&str, usize)] = &[
        ("privacy-default", 2_923),
        ("privacy-deny-list", 2_923),
        ("privacy-address", 1_495),
        ("privacy-two", 94_579),
    ];

    #[test]
    fn the_small_models_hold_and_have_as_many_states_as_ever() {
        for (name, unique) in COUNTS {
            let entry = super::find(name).expect("a model of this name");
            let report = check_privacy(entry, Options { threads: 2, states_max: None, progress: None });
            assert!(report.is_good(), "{report}");
            assert_eq!(report.unique, *unique, "{name}");
        }
    }

    #[test]
    fn every_requirement_that_a_property_names_is_in_the_text() {
        for property in PRIVACY.iter().flat_map(|entry| PrivacyModel::new(entry.bounds).properties()) {
            let rule = property.name.split_once(':').map_or("", |(rule, _)| rule);
            for id in rule.split(", ").filter(|id| !id.is_empty()) {
                assert!(find(id).is_some(), "{id} of \"{}\"", property.name);
            }
        }
    }
}
