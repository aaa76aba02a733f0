//! The tree of servers under every interleaving: servers that start at once, ask whomever they like, die and lose links.

mod bounds;
mod words;
mod world;

use stateright::{Model, Property};

pub use self::{
    bounds::{Bounds, TREES, TreeEntry},
    world::{Breach, Seen, TreeState},
};

/// What happens next.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum TreeStep {
    /// A root asks a server of its choice, maybe itself.
    Probes(u8, u8),
    /// A server dials one that it was told of.
    Dials(u8, u8),
    /// What is first on its way to an end of a link arrives.
    Arrives(usize, usize),
    /// An end notices that its link is gone.
    Falls(usize, usize),
    /// A link is lost.
    Breaks(usize),
    /// A server dies, and starts again.
    Dies(u8),
}

/// Servers, within bounds.
#[derive(Clone, Copy, Debug)]
pub struct TreeModel {
    bounds: Bounds,
}

impl TreeModel {
    /// Within these bounds.
    #[must_use]
    pub const fn new(bounds: Bounds) -> Self {
        Self { bounds }
    }

    /// What a step does, in words.
    #[must_use]
    pub fn tell(&self, state: &TreeState, step: TreeStep) -> Vec<String> {
        let Some(next) = self.next_state(state, step) else { return Vec::new() };
        let mut lines = vec![words::step(state, step)];
        for (before, after) in state.servers.iter().zip(&next.servers) {
            if before.path() != after.path() {
                let path: Vec<String> = after.path().iter().map(words::named).collect();
                lines.push(format!("path: {}", path.join(" < ")));
            }
        }
        lines
    }
}

macro_rules! never {
    ($name:literal, $breach:ident) => {
        Property::always($name, |_: &Self, state: &TreeState| !state.breaches.contains(&Breach::$breach))
    };
}

macro_rules! seen {
    ($name:literal, $seen:ident) => {
        Property::sometimes($name, |_: &Self, state: &TreeState| state.seen.contains(&Seen::$seen))
    };
}

macro_rules! at_rest {
    ($name:literal, $holds:ident) => {
        Property::always($name, |_: &Self, state: &TreeState| !state.rests() || state.$holds())
    };
}

impl Model for TreeModel {
    type State = TreeState;
    type Action = TreeStep;

    fn init_states(&self) -> Vec<TreeState> {
        vec![TreeState::new(self.bounds)]
    }

    fn actions(&self, state: &TreeState, steps: &mut Vec<TreeStep>) {
        let numbers = || 0..self.bounds.servers;
        if state.left.probes > 0 {
            let roots = numbers().filter(|server| state.may_probe(*server));
            steps.extend(roots.flat_map(|from| numbers().map(move |to| TreeStep::Probes(from, to))));
        }
        steps.extend(state.seeks.iter().map(|(from, to)| TreeStep::Dials(*from, *to)));
        for (place, link) in state.links.iter().enumerate() {
            for end in [0, 1] {
                let is_open = link.is_open.get(end).copied().unwrap_or_default();
                if is_open && link.to.get(end).is_some_and(|to| !to.is_empty()) {
                    steps.push(TreeStep::Arrives(place, end));
                }
                if link.may_fall(end) {
                    steps.push(TreeStep::Falls(place, end));
                }
            }
            if state.left.losses > 0 && !link.is_broken && link.is_open == [true; 2] {
                steps.push(TreeStep::Breaks(place));
            }
        }
        if state.left.crashes > 0 {
            steps.extend(numbers().map(TreeStep::Dies));
        }
    }

    fn next_state(&self, state: &TreeState, step: TreeStep) -> Option<TreeState> {
        let mut next = state.clone();
        match step {
            TreeStep::Probes(from, to) => {
                next.left.probes -= 1;
                next.dials(from, to);
            }
            TreeStep::Dials(from, to) => next.dials(from, to),
            TreeStep::Arrives(place, end) => next.arrives(place, end)?,
            TreeStep::Falls(place, end) => next.falls(place, end)?,
            TreeStep::Breaks(place) => {
                next.left.losses -= 1;
                next.links.get_mut(place)?.is_broken = true;
            }
            TreeStep::Dies(server) => {
                next.left.crashes -= 1;
                next.dies(server)?;
            }
        }
        Some(next)
    }

    fn properties(&self) -> Vec<Property<Self>> {
        let mut properties = vec![
            never!("TREE-007: nobody has two links to one neighbour", TwoLinks),
            never!(
                "TREE-006, TREE-008, TREE-014, TREE-015: whoever goes by the neighbours knows them",
                NeighboursWrong
            ),
            never!("TREE-008, TREE-013: nobody follows a path on which it stands itself", OwnPath),
            at_rest!("TREE-003, TREE-004, TREE-013: at rest there is no circle", has_no_circle),
            at_rest!(
                "TREE-006, TREE-008, TREE-009, TREE-012, TREE-015: at rest parent and child agree, also on the path, and no other link is left",
                is_forest
            ),
            at_rest!(
                "TREE-002, TREE-005, TREE-010, TREE-011, TREE-014: at rest any root that asks any server of another island makes one of the two",
                grows_together
            ),
            Property::sometimes("all are one tree", |_: &Self, state: &TreeState| {
                state.rests() && state.roots() == 1
            }),
            seen!("a root is told of another island from below", Found),
        ];
        // Who asks below somebody that doesn't know yet that the root is gone goes below another one than it thinks.
        if self.bounds.losses + self.bounds.crashes == 0 {
            properties.push(at_rest!(
                "TREE-004, TREE-008: at rest every root is smaller than all that are below it",
                roots_are_smallest
            ));
        }
        if self.bounds.losses > 0 && self.bounds.start.is_empty() {
            properties.push(seen!("a child comes back before it was missed", ChildBack));
        }
        if self.bounds.losses > 0 && !self.bounds.start.is_empty() {
            properties.push(seen!("a circle is noticed", Circle));
        }
        properties
    }
}

#[cfg(test)]
mod tests {
    use antiphon_spec::requirement;
    use stateright::Model as _;

    use super::{TREES, TreeModel};
    use crate::check::{Options, check_tree};

    /// A change of the machine that changes what can happen changes these counts: look at what it is, and pin anew.
    const COUNTS: &[(&str, usize)] = &[("tree-crash", 250_302), ("tree-circle", 40_022)];

    #[test]
    fn the_small_models_hold_and_have_as_many_states_as_ever() {
        for (name, unique) in COUNTS {
            let entry = TREES.iter().find(|entry| entry.name == *name).expect("a model of this name");
            let report = check_tree(entry, Options { threads: 2, states_max: None, progress: None });
            assert!(report.is_good(), "{report}");
            assert_eq!(report.unique, *unique, "{name}");
        }
    }

    #[test]
    fn every_requirement_that_a_property_names_is_in_the_text() {
        for property in TREES.iter().flat_map(|entry| TreeModel::new(entry.bounds).properties()) {
            let rule = property.name.split_once(':').map_or("", |(rule, _)| rule);
            for id in rule.split(", ").filter(|id| !id.is_empty()) {
                assert!(requirement::find(id).is_some(), "{id} of \"{}\"", property.name);
            }
        }
    }
}
