//! Presence under every interleaving: one feed in a small tree of servers, whose publisher logs in, moves and logs out,
//! with people who watch here and there, and links and servers that are lost and come again.

mod bounds;
mod words;
mod world;

use antiphon_spec::presence::Event;
use stateright::{Model, Property};

use self::world::{Link, Server, Watch, version};
pub use self::{
    bounds::{Bounds, PRESENCE, PresenceEntry},
    world::{Breach, PresenceState, Seen},
};

/// What happens next.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum PresenceStep {
    /// The publisher logs in at a server.
    Login(u8),
    /// It discloses something new there.
    Change(u8),
    /// Its login there is over.
    Logout(u8),
    /// Somebody watches at a server.
    Watch(u8),
    /// They cease to.
    Unwatch(u8),
    /// What is first on its way to an end of a link arrives.
    Arrives(usize, usize),
    /// A link is lost.
    Breaks(usize),
    /// An end notices it.
    Falls(usize, usize),
    /// There is a new one in its place.
    Joins(usize),
    /// An end is told so.
    Rises(usize, usize),
    /// A server dies, and starts again.
    Dies(u8),
}

/// One feed in a tree of servers, within bounds.
#[derive(Clone, Copy, Debug)]
pub struct PresenceModel {
    bounds: Bounds,
}

impl PresenceModel {
    /// Within these bounds.
    #[must_use]
    pub const fn new(bounds: Bounds) -> Self {
        Self { bounds }
    }

    /// What a step does, in words.
    #[must_use]
    pub fn tell(&self, state: &PresenceState, step: PresenceStep) -> Vec<String> {
        let Some(next) = self.next_state(state, step) else { return Vec::new() };
        let mut lines = vec![words::step(state, step)];
        for (at, (before, after)) in state.servers.iter().zip(&next.servers).enumerate() {
            let shown = |server: &Server| server.watch.and_then(|watch| watch.shown);
            match shown(after) {
                same if same == shown(before) => {}
                Some(version) => lines.push(format!("server {at} shows {}", words::named(version))),
                None => lines.push(format!("server {at} shows nothing")),
            }
        }
        lines
    }

    fn take(&self, next: &mut PresenceState, step: PresenceStep) -> Option<()> {
        match step {
            PresenceStep::Login(at) => {
                next.left.logins -= 1;
                next.epoch += 1;
                next.publish(at, version(next.epoch, 0));
            }
            PresenceStep::Change(at) => {
                next.left.changes -= 1;
                let mut version = next.servers.get(usize::from(at))?.published?;
                version.sequence += 1;
                next.publish(at, version);
            }
            PresenceStep::Logout(at) => {
                next.left.logouts -= 1;
                next.servers.get_mut(usize::from(at))?.published = None;
                next.step(at, Event::Withdraw);
            }
            PresenceStep::Watch(at) => {
                next.left.watches -= 1;
                next.servers.get_mut(usize::from(at))?.watch = Some(Watch::default());
                next.step(at, Event::Watch);
            }
            PresenceStep::Unwatch(at) => {
                next.left.unwatches -= 1;
                next.servers.get_mut(usize::from(at))?.watch = None;
                next.step(at, Event::Unwatch);
            }
            PresenceStep::Arrives(place, end) => next.arrives(place, end)?,
            PresenceStep::Breaks(place) => {
                next.left.losses -= 1;
                next.links.get_mut(place)?.is_alive = false;
            }
            PresenceStep::Falls(place, end) => next.falls(place, end)?,
            PresenceStep::Joins(place) => {
                let link = next.links.get_mut(place)?;
                *link = Link { is_alive: true, number: link.number + 1, ..Link::default() };
            }
            PresenceStep::Rises(place, end) => next.rises(place, end)?,
            PresenceStep::Dies(at) => {
                next.left.crashes -= 1;
                next.dies(at);
            }
        }
        Some(())
    }
}

macro_rules! never {
    ($name:literal, $breach:ident) => {
        Property::always($name, |_: &Self, state: &PresenceState| !state.breaches.contains(&Breach::$breach))
    };
}

macro_rules! seen {
    ($name:literal, $seen:ident) => {
        Property::sometimes($name, |_: &Self, state: &PresenceState| state.seen.contains(&Seen::$seen))
    };
}

macro_rules! at_rest {
    ($name:literal, $holds:ident) => {
        Property::always($name, |_: &Self, state: &PresenceState| !state.rests() || state.$holds())
    };
}

impl Model for PresenceModel {
    type State = PresenceState;
    type Action = PresenceStep;

    fn init_states(&self) -> Vec<PresenceState> {
        let link = Link { is_alive: true, is_up: [true; 2], ..Link::default() };
        vec![PresenceState {
            servers: (0..self.bounds.servers).map(|_| Server::default()).collect(),
            links: self.bounds.links.iter().map(|_| link.clone()).collect(),
            epoch: 0,
            left: self.bounds,
            breaches: std::collections::BTreeSet::new(),
            seen: std::collections::BTreeSet::new(),
        }]
    }

    fn actions(&self, state: &PresenceState, steps: &mut Vec<PresenceStep>) {
        let left = &state.left;
        for (at, server) in (0..).zip(&state.servers) {
            if left.logins > 0 && self.bounds.published_at.contains(&at) {
                steps.push(PresenceStep::Login(at));
            }
            if server.published.is_some() {
                steps.extend((left.changes > 0).then_some(PresenceStep::Change(at)));
                steps.extend((left.logouts > 0).then_some(PresenceStep::Logout(at)));
            }
            match server.watch {
                None if left.watches > 0 && self.bounds.watched_at.contains(&at) => {
                    steps.push(PresenceStep::Watch(at));
                }
                Some(_) if left.unwatches > 0 => steps.push(PresenceStep::Unwatch(at)),
                None | Some(_) => {}
            }
            steps.extend((left.crashes > 0).then_some(PresenceStep::Dies(at)));
        }
        for (place, link) in state.links.iter().enumerate() {
            for end in [0, 1] {
                let is_up = link.is_up.get(end).copied().unwrap_or_default();
                if is_up && link.to.get(end).is_some_and(|queue| !queue.is_empty()) {
                    steps.push(PresenceStep::Arrives(place, end));
                }
                match (link.is_alive, is_up) {
                    (true, false) => steps.push(PresenceStep::Rises(place, end)),
                    (false, true) => steps.push(PresenceStep::Falls(place, end)),
                    (true, true) | (false, false) => {}
                }
            }
            if link.is_alive && left.losses > 0 {
                steps.push(PresenceStep::Breaks(place));
            }
            if !link.is_alive && link.is_up == [false; 2] {
                steps.push(PresenceStep::Joins(place));
            }
        }
    }

    fn next_state(&self, state: &PresenceState, step: PresenceStep) -> Option<PresenceState> {
        let mut next = state.clone();
        self.take(&mut next, step)?;
        Some(next)
    }

    fn properties(&self) -> Vec<Property<Self>> {
        let mut properties = vec![
            never!("PRES-021: nobody is shown an older version after a newer one", OlderShown),
            never!("PRES-018: who is pruned is told no publication", PrunedTold),
            never!("PRES-015: nobody asks for a publication that nobody wants", UnwantedAsked),
            at_rest!(
                "PRES-002, PRES-010, PRES-015, PRES-016, PRES-017, PRES-020, PRES-022, PRES-023: at rest whoever watches is shown what is published last, and nothing where nothing is",
                is_shown_right
            ),
            at_rest!(
                "PRES-004, PRES-007, PRES-008, PRES-019: at rest all know of a feed that is published, and nobody of one that is not",
                is_known_right
            ),
            at_rest!(
                "PRES-013, PRES-014: at rest a publication is held on the way to those who watch, and nowhere else",
                is_held_right
            ),
            Property::sometimes("somebody is shown the last login", |model: &Self, state: &PresenceState| {
                let last = |watch: &Watch| {
                    watch.shown.is_some_and(|shown| shown.epoch.0 == u64::from(model.bounds.logins))
                };
                state.servers.iter().any(|server| server.watch.as_ref().is_some_and(last))
            }),
            seen!("a publication is shown that had to be asked for", Unpruned),
        ];
        if self.bounds.logins > 1 && self.bounds.logouts > 0 {
            properties.push(seen!("a prune comes late", LatePrune));
        }
        // What stays with one publisher at one server is gone only when it is over.
        if self.bounds.published_at.len() > 1 || self.bounds.losses + self.bounds.crashes > 0 {
            properties.push(seen!("somebody is shown a version again that was gone", Again));
        }
        properties
    }
}

#[cfg(test)]
mod tests {
    use antiphon_spec::requirement;
    use stateright::Model as _;

    use super::{PRESENCE, PresenceModel};
    use crate::check::{Options, check_presence};

    /// A change of the machine that changes what can happen changes these counts: look at what it is, and pin anew.
    const COUNTS: &[(&str, usize)] =
        &[("presence-line", 41_128), ("presence-losses", 94_027), ("presence-crash", 54_646)];

    #[test]
    fn the_small_models_hold_and_have_as_many_states_as_ever() {
        for (name, unique) in COUNTS {
            let entry = PRESENCE.iter().find(|entry| entry.name == *name).expect("a model of this name");
            let report = check_presence(entry, Options { threads: 2, states_max: None, progress: None });
            assert!(report.is_good(), "{report}");
            assert_eq!(report.unique, *unique, "{name}");
        }
    }

    #[test]
    fn every_requirement_that_a_property_names_is_in_the_text() {
        for property in PRESENCE.iter().flat_map(|entry| PresenceModel::new(entry.bounds).properties()) {
            let rule = property.name.split_once(':').map_or("", |(rule, _)| rule);
            for id in rule.split(", ").filter(|id| !id.is_empty()) {
                assert!(requirement::find(id).is_some(), "{id} of \"{}\"", property.name);
            }
        }
    }
}
