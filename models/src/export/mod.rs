//! Traces for the conformance suite, out of the models' own runs: together they reach every place where the session
//! machine acts or refuses.
//!
//! A *run* is a path of a bounded model ([`crate::catalogue`]), with or without an attacker, or a run of the simulation.
//! What one client is told in it, and does, is a trace. [`search()`] looks for the few traces that reach everything
//! (`places`) and writes down from which runs they are ([`Choice`]); [`make`] plays those runs again and gives each trace
//! real bytes (`real`). So the file of vectors can be checked without searching.

mod choice;
mod features;
mod lies;
mod places;
mod real;
mod search;
mod single;

use std::{collections::BTreeSet, fmt, path::PathBuf};

use antiphon_conformance::recorded::{self, Heading, RecordedError};

pub use self::{
    choice::{Choice, Source},
    places::{Place, read_places},
    search::{Effort, search},
};
use self::{features::Feature, real::Real};

/// Why there are no traces.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ExportError {
    /// A file cannot be read or written.
    #[error("{0}: {1}")]
    File(String, std::io::Error),
    /// A line of the list of runs says nothing that can be done.
    #[error("line {0} of the list of runs: {1}; run `cargo model-traces --write`")]
    Choice(usize, String),
    /// A symbolic term cannot be made real.
    #[error("a term of the model has no real counterpart: {0}")]
    Unreal(String),
    /// With real cryptography the machine does something else than in the model.
    #[error("{0}: at event {1} the machine does something else with real keys: {2}")]
    Differs(String, usize, String),
    /// It cannot be written down.
    #[error(transparent)]
    Recorded(#[from] RecordedError),
}

/// What came of the chosen runs.
#[derive(Debug)]
pub struct Export {
    /// The file of vectors.
    pub text: String,
    /// How many traces there are, and how many events in them.
    pub traces: usize,
    /// How many events they have.
    pub events: usize,
    /// What each trace reaches.
    reached: Vec<BTreeSet<Feature>>,
}

impl Export {
    /// The places that no trace reaches.
    #[must_use]
    pub fn missed<'p>(&self, places: &'p [Place]) -> Vec<&'p Place> {
        let reached = |place: &&Place| self.reached.iter().flatten().any(|feature| feature.is_at(place));
        places.iter().filter(|place| !reached(place)).collect()
    }

    /// The traces that reach nothing that no other one reaches, by their places in the file.
    #[must_use]
    pub fn idle(&self) -> Vec<usize> {
        let alone = |trace: usize, feature: &Feature| {
            let others = self.reached.iter().enumerate().filter(|(other, _)| *other != trace);
            !others.into_iter().any(|(_, reached)| reached.contains(feature))
        };
        let idle = |trace: &usize| {
            self.reached.get(*trace).is_some_and(|own| !own.iter().any(|feature| alone(*trace, feature)))
        };
        (0..self.reached.len()).filter(idle).collect()
    }
}

/// Keys of all who can be in a run, and the ones that an attacker has beside them.
fn keys_of(clients: u8) -> Vec<u8> {
    (0..clients).chain([crate::turn::OTHER_KEY_BYTE, crate::attacker::messages::NO_KEY_BYTE]).collect()
}

/// Plays the chosen runs, and makes the file of vectors.
///
/// # Errors
/// A run is not what it was when it was chosen, or a trace cannot be made real.
pub fn make(choices: &[Choice], places: &[Place]) -> Result<Export, ExportError> {
    let mut cases = Vec::new();
    let mut export = Export { text: String::new(), traces: choices.len(), events: 0, reached: Vec::new() };
    let lives = choices.iter().map(Choice::play).collect::<Result<Vec<_>, _>>()?;
    export.reached =
        lives.iter().map(|(life, _)| life.taken.iter().flat_map(features::of).collect()).collect();
    for (number, (choice, (life, recording))) in choices.iter().zip(&lives).enumerate() {
        let own = export.reached.get(number).into_iter().flatten();
        let alone = own.filter(|feature| {
            let others = export.reached.iter().enumerate().filter(|(other, _)| *other != number);
            !others.into_iter().any(|(_, reached)| reached.contains(feature))
        });
        let alone: Vec<&Feature> = alone.collect();
        let keys = keys_of(life.clients());
        let real = Real::new(recording, &keys)?;
        let heading = Heading {
            slug: format!("{}-{:02}", choice.slug(), number + 1),
            requirements: places::requirements(&alone, places),
            about: format!("{choice}, {}.", places::told(&alone, places)),
            client: (real.member(&life.me), life.who.0),
            keys: keys
                .into_iter()
                .filter(|key| *key < crate::cast::CLIENTS_MAX || life.has_other_keys())
                .collect(),
        };
        let steps = life.taken.iter().map(|taken| {
            let told = real.told(&taken.step.told)?;
            Ok(recorded::Step { told, ..taken.step.clone() })
        });
        let steps: Vec<recorded::Step> = steps.collect::<Result<_, ExportError>>()?;
        let (case, done) = recorded::play(&heading, &steps)?;
        for (event, (done, taken)) in done.iter().zip(&life.taken).enumerate() {
            let actions = taken.done.actions.iter().map(|action| real.action(action));
            let actions = actions.collect::<Result<Vec<_>, _>>()?;
            if done.actions != actions || done.refused != taken.done.refused {
                let what = format!("{:?} in place of {actions:?}", done.actions);
                return Err(ExportError::Differs(heading.slug, event, what));
            }
        }
        export.events += steps.len();
        cases.push(case);
    }
    export.text = recorded::render(cases)?;
    Ok(export)
}

impl fmt::Display for Export {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { text, traces, events, reached } = self;
        let shown: BTreeSet<&Feature> = reached.iter().flatten().collect();
        let places = shown.iter().filter(|feature| matches!(feature, Feature::At(..))).count();
        write!(
            f,
            "{traces} traces of {events} events, {} bytes, reach {places} places and {} refusals",
            text.len(),
            shown.len() - places
        )
    }
}

/// Where the vectors are.
#[must_use]
pub fn file_of_vectors() -> PathBuf {
    recorded::path()
}

/// What stands above the list of runs.
const LIST_HEADING: &str = "\
# The runs whose traces are conformance/vectors/model-traces.json, found by `cargo model-traces --write`.
# A line: the simulation and a seed, or a model and a path through it; then the client, its session, and how many events.
";

/// The list of runs, as it is written.
#[must_use]
pub fn render_choices(choices: &[Choice]) -> String {
    let lines = choices.iter().map(|choice| choice.line() + "\n");
    std::iter::once(LIST_HEADING.to_owned()).chain(lines).collect()
}

/// Reads a list of runs.
///
/// # Errors
/// A line says nothing that can be done.
pub fn read_choices(text: &str) -> Result<Vec<Choice>, ExportError> {
    let lines = (1..).zip(text.lines()).filter(|(_, line)| !line.starts_with('#'));
    lines.map(|(number, line)| line.parse().map_err(|error| ExportError::Choice(number, error))).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The pinned runs make the vectors that are there, and one run less or one event less does not.
    #[test]
    fn the_vectors_are_what_the_pinned_runs_give() {
        let there = std::fs::read_to_string(file_of_vectors()).expect("vectors");
        let list = include_str!("../../traces.txt");
        let places = read_places().expect("the source");
        let choices = read_choices(list).expect("runs");
        let export = make(&choices, &places).expect("traces");
        assert!(export.text == there, "run `cargo model-traces --write`");
        let missed = export.missed(&places);
        assert!(missed.iter().all(|place| place.excuse().is_some()), "{missed:?}");
        assert!(missed.len() < places.len() / 10, "{} of {}", missed.len(), places.len());

        let fewer = make(choices.get(1..).expect("more than one"), &places).expect("traces");
        assert!(fewer.text != there);
        let mut shorter = choices;
        let first = shorter.iter_mut().find(|choice| choice.then.is_empty()).expect("one without lies");
        first.events -= 1;
        assert!(make(&shorter, &places).expect("traces").text != there);
    }
}
