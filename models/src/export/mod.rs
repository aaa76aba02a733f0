//! Traces for the conformance suite, out of the models' own runs: together they reach every place where the session
//! machine acts or refuses, and every arm of its table of states.
//!
//! A *run* is a path of a bounded model ([`crate::catalogue`]), with or without an attacker, a run of the simulation, or a
//! scripted walk (`walks`).
//! What one client is told in it, and does, is a trace. [`search()`] looks for the few traces that reach everything
//! (`places`) and writes down from which runs they are ([`Choice`]); [`make`] plays those runs again and gives each trace
//! real bytes (`real`). So the file of vectors can be checked without searching.

mod arms;
mod choice;
mod features;
mod lies;
mod places;
mod real;
mod search;
mod single;
mod walks;

use std::{collections::BTreeSet, path::PathBuf};

use antiphon_conformance::recorded::{self, Heading, RecordedError};

pub(crate) use self::features::kind_of;
pub use self::features::{Arm, End};
use self::{
    arms::{Row, Table},
    choice::Life,
    features::Feature,
    real::Real,
};
pub use self::{
    choice::{Choice, Source},
    places::{Place, read_places},
    search::{Effort, search},
};

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
    /// The arms that some trace takes.
    table: Table,
}

impl Export {
    /// The places that no trace reaches.
    #[must_use]
    pub fn missed<'p>(&self, places: &'p [Place]) -> Vec<&'p Place> {
        let reached = |place: &&Place| self.reached.iter().flatten().any(|feature| feature.is_at(place));
        places.iter().filter(|place| !reached(place)).collect()
    }

    /// What is not reached though it could be: it has no reason in the text or in the source.
    #[must_use]
    pub fn gaps(&self, places: &[Place]) -> Vec<String> {
        let table = &self.table;
        let rows = arms::rows();
        let places = self.missed(places).into_iter().filter(|place| place.excuse().is_none());
        let pairs = table.missed().into_iter().map(|(stage, kind)| match stage {
            Some(stage) => format!("{stage}: {kind}"),
            None => format!("a client without a session: {kind}"),
        });
        let of_rows = table.missed_rows(&rows).into_iter().map(|(kind, end)| match end {
            End::Taken => format!("the table's `{kind}`, taken"),
            End::Late => format!("the table's `{kind}`, late"),
            End::Refused(code) => format!("the table's `{kind}`, closed with `{code}`"),
        });
        let wrong = table.surprises();
        let wrong = wrong.into_iter().map(|(stage, kind, reason)| {
            format!("{stage}: {kind} is reached, and was thought not to come, because {reason}")
        });
        places.map(ToString::to_string).chain(pairs).chain(of_rows).chain(wrong).collect()
    }

    /// What is reached and what is not, for the book.
    #[must_use]
    pub fn summary(&self, places: &[Place]) -> String {
        let table = &self.table;
        let missed = self.missed(places);
        let mut lines = vec![
            format!("{} traces of {} events, {} bytes", self.traces, self.events, self.text.len()),
            format!(
                "{} of {} places where the machine acts or refuses",
                places.len() - missed.len(),
                places.len()
            ),
            format!("{} arms, of {} pairs of a state and what comes", table.arms(), table.pairs()),
        ];
        for place in missed {
            let reason = place.excuse().unwrap_or("no reason is known");
            lines.push(format!("not reached: {}, {}: {}", place.file, place.function, reason));
        }
        for (stage, kind) in table.missed() {
            let stage =
                stage.map_or_else(|| "a client without a session".to_owned(), |stage| stage.to_string());
            lines.push(format!("not reached: {stage}: {kind}"));
        }
        lines.push(String::new());
        lines.extend(table.lines());
        lines.join("\n") + "\n"
    }

    /// What only this trace reaches.
    fn alone(&self, number: usize) -> impl Iterator<Item = &Feature> {
        self.reached.get(number).into_iter().flatten().filter(move |feature| {
            let others = self.reached.iter().enumerate().filter(|(other, _)| *other != number);
            !others.into_iter().any(|(_, reached)| reached.contains(feature))
        })
    }
}

/// What a trace is there for: the arms that it alone shows, and those in which it reaches places that no other one reaches;
/// and the requirements that are cited beside these.
struct Purpose {
    arms: Vec<Arm>,
    cited: Vec<&'static str>,
}

impl Purpose {
    fn of(life: &Life, alone: &BTreeSet<&Feature>, places: &[Place], rows: &[Row]) -> Self {
        let mut arms: Vec<Arm> = Vec::new();
        let mut cited: Vec<&'static str> = Vec::new();
        for taken in &life.taken {
            let new: Vec<Feature> =
                features::of(taken).into_iter().filter(|feature| alone.contains(feature)).collect();
            if !new.is_empty() {
                arms.extend(features::arms(taken));
            }
            let at = places.iter().filter(|place| new.iter().any(|feature| feature.is_at(place)));
            let found =
                at.filter_map(|place| antiphon_spec::requirement::find(place.requirement.as_deref()?));
            cited.extend(found.map(|requirement| requirement.id));
        }
        let mut seen = BTreeSet::new();
        arms.retain(|arm| seen.insert(*arm));
        cited.extend(arms.iter().filter_map(|arm| arms::requirement_of(arm, rows)));
        if cited.is_empty() {
            // What the trace shows on its way there.
            let on_the_way = life.taken.iter().rev().flat_map(features::arms);
            cited.extend(on_the_way.filter_map(|arm| arms::requirement_of(&arm, rows)).take(1));
        }
        if cited.is_empty() {
            cited.push("SESS-024");
        }
        let mut seen = BTreeSet::new();
        cited.retain(|id| seen.insert(*id));
        Self { arms, cited }
    }

    /// In words.
    fn words(&self) -> String {
        let mut parts: Vec<String> = self.arms.iter().map(ToString::to_string).collect();
        let more = parts.len().saturating_sub(SHOWN_MAX);
        parts.truncate(SHOWN_MAX);
        if more > 0 {
            parts.push(format!("and {more} more"));
        }
        parts.join("; ")
    }
}

/// So many things that a trace shows are named.
const SHOWN_MAX: usize = 6;

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
    let mut export = Export {
        text: String::new(),
        traces: choices.len(),
        events: 0,
        reached: Vec::new(),
        table: Table::default(),
    };
    let lives = choices.iter().map(Choice::play).collect::<Result<Vec<_>, _>>()?;
    export.reached =
        lives.iter().map(|(life, _)| life.taken.iter().flat_map(features::of).collect()).collect();
    export.table = Table::new(lives.iter().flat_map(|(life, _)| &life.taken).flat_map(features::arms));
    let rows = arms::rows();
    for (number, (choice, (life, recording))) in choices.iter().zip(&lives).enumerate() {
        let alone: BTreeSet<&Feature> = export.alone(number).collect();
        let purpose = Purpose::of(life, &alone, places, &rows);
        let keys = keys_of(life.clients());
        let real = Real::new(recording, &keys)?;
        let heading = Heading {
            slug: format!("{}-{:02}", choice.slug(), number + 1),
            about: format!("{choice}: {}.", purpose.words()),
            requirements: purpose.cited,
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

/// Where the vectors are.
#[must_use]
pub fn file_of_vectors() -> PathBuf {
    recorded::path()
}

/// Where the book tells what the traces reach.
#[must_use]
pub fn file_of_book() -> PathBuf {
    PathBuf::from(concat!(env!("CARGO_MANIFEST_DIR"), "/../spec/text/models.md"))
}

/// The line of the book behind which the summary stands.
const BOOK_HEADING: &str = "\nWhat `cargo model-traces --check` prints:\n\n```text\n";

/// The book with this summary in it; nothing where it has no place for one.
#[must_use]
pub fn with_summary(book: &str, summary: &str) -> Option<String> {
    let (before, after) = book.split_once(BOOK_HEADING)?;
    let (_, after) = after.split_once("```\n")?;
    Some(format!("{before}{BOOK_HEADING}{summary}```\n{after}"))
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

    /// The pinned runs make the vectors that are there, and reach what can be reached.
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
        assert_eq!(export.gaps(&places), Vec::<String>::new());

        let book = std::fs::read_to_string(file_of_book()).expect("the book");
        let said = with_summary(&book, &export.summary(&places)).expect("a place for the summary");
        assert!(said == book, "run `cargo model-traces --replay`");
    }

    /// One run less, or one event less, gives other vectors.
    #[test]
    fn fewer_runs_or_events_give_other_vectors() {
        let places = read_places().expect("the source");
        let mut choices = read_choices(include_str!("../../traces.txt")).expect("runs");
        choices.retain(|choice| choice.then.is_empty());
        choices.truncate(2);
        let all = make(&choices, &places).expect("traces").text;
        let fewer = make(choices.get(1..).expect("more than one"), &places).expect("traces");
        assert!(fewer.text != all);
        choices.first_mut().expect("a run").events -= 1;
        assert!(make(&choices, &places).expect("traces").text != all);
    }

    #[test]
    fn the_summary_takes_its_place_in_the_book() {
        let book = format!("# A{BOOK_HEADING}old\n```\n\n## B\n");
        assert_eq!(with_summary(&book, "new\n"), Some(book.replace("old", "new")));
        assert_eq!(with_summary("# A\n", "new\n"), None);
    }
}
