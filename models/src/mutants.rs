//! Shows that the properties can fail: every mutant of the session machine that a model must catch is caught.
//!
//! Mutants are in builds with the feature `mutants` only, and those have debug assertions.

#[cfg(any(feature = "mutants", test))]
use crate::families;
#[cfg(feature = "mutants")]
use crate::families::Family;
use crate::{
    catalogue::{self, Entry},
    check::{Options, Report, check_within},
    families::Listed,
};

/// How many states of a model are searched for a mutant's failure: a mutant may make a model endless.
const STATES_MAX: usize = 3_000_000;

/// Only paths of fewer steps are searched at first: most mutants that an attacker can make use of show there.
const FEW: usize = 4;

/// What became of a mutant.
#[derive(Clone, Debug)]
pub struct Fate {
    /// Its name.
    pub mutant: &'static str,
    /// The requirement that it breaks.
    pub breaks: &'static str,
    /// The run that caught it, if one did.
    pub caught: Option<Report>,
}

impl Fate {
    /// How it differs from what the library of counterexamples says about the mutant; nothing where it doesn't.
    #[must_use]
    pub fn difference(&self, library: &[Row]) -> Option<String> {
        let found = self.caught.as_ref()?;
        let steps = found.failure().map_or(0, |(_, steps)| steps.len());
        let Some(row) = library.iter().find(|row| row.mutant == self.mutant) else {
            return Some(format!("the library has no row for {}: `{}`, {steps}", self.mutant, found.model));
        };
        let same = row.model == found.model && row.steps == steps;
        (!same).then(|| {
            format!("the library says `{}`, {}; found was `{}`, {steps}", row.model, row.steps, found.model)
        })
    }
}

/// A row of the library's table: where a mutant is found, and after how many steps.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Row {
    /// The mutant.
    pub mutant: String,
    /// The model.
    pub model: String,
    /// The steps of the shortest way.
    pub steps: usize,
}

/// Reads the table of the library of counterexamples (`spec/text/counterexamples.md`).
#[must_use]
pub fn read_library(text: &str) -> Vec<Row> {
    text.lines().filter_map(read_row).collect()
}

fn read_row(line: &str) -> Option<Row> {
    let cells: Vec<&str> = line.split('|').map(str::trim).collect();
    let [_, mutant, .., model, steps, _] = cells[..] else { return None };
    let code = |cell: &str| Some(cell.strip_prefix('`')?.strip_suffix('`')?.to_owned());
    Some(Row { mutant: code(mutant)?, model: code(model)?, steps: steps.parse().ok()? })
}

/// Looks for the shortest failure in the small models, and goes on to the larger ones, one by one, only where those
/// find none.
#[cfg_attr(not(feature = "mutants"), expect(dead_code, reason = "only mutants are searched like this"))]
fn hunt(threads: usize) -> Option<Report> {
    let options = Options { threads, states_max: Some(STATES_MAX), progress: None };
    let run = |entry: &Entry, shorter_than: Option<usize>| {
        Some(check_within(entry, options, shorter_than)).filter(|report| caught_by(report).is_some())
    };
    // A failure before the first step is one of the set-up: the shortest, and the one that tells least.
    let length = |report: &Report| match report.failure() {
        Some((_, steps)) if !steps.is_empty() => steps.len(),
        Some(_) | None => usize::MAX,
    };
    let is_attacked = |entry: &Entry| entry.scenario.attack.is_some();
    // The shortest of the shortest failures in these models; whoever comes later has to be shorter.
    let shortest = |wanted: &dyn Fn(&Entry) -> bool, within: Option<usize>| {
        catalogue::ALL.iter().filter(|entry| entry.quick && wanted(entry)).fold(None, |best, entry| {
            let within = best.as_ref().map(length).filter(|steps| *steps < usize::MAX).or(within);
            [best, run(entry, within)].into_iter().flatten().min_by_key(length)
        })
    };
    // A few steps of all, then honest models to their end, then those with an attacker, until one catches it.
    shortest(&|_| true, Some(FEW))
        .filter(|report| length(report) < usize::MAX)
        .or_else(|| shortest(&|entry| !is_attacked(entry), None))
        .or_else(|| {
            catalogue::ALL
                .iter()
                .filter(|entry| entry.quick && is_attacked(entry))
                .find_map(|entry| run(entry, None))
        })
        .or_else(|| catalogue::ALL.iter().filter(|entry| !entry.quick).find_map(|entry| run(entry, None)))
}

/// The property that a run shows to be broken: one that fails, or a place that the whole model never reaches.
#[must_use]
pub fn caught_by(report: &Report) -> Option<&'static str> {
    report.failure().map(|(name, _)| name).or_else(|| report.missed())
}

/// In which models a mutant is looked for.
#[derive(Clone, Copy, Debug)]
pub enum Hunt<'a> {
    /// In all that may show it, for the shortest way.
    Everywhere,
    /// In this one alone.
    In(&'a Listed),
    /// In the one that the library names.
    AsBooked(&'a [Row]),
}

/// Runs the models against every mutant that a model must catch, and hands each fate to `tell` as soon as it is known.
/// With a name, only against this mutant.
///
/// Says how many were caught, and out of how many.
#[cfg(feature = "mutants")]
pub fn check_mutants(
    threads: usize,
    name: Option<&str>,
    hunted: Hunt<'_>,
    mut tell: impl FnMut(&Fate),
) -> (usize, usize) {
    use antiphon_spec::mutant::{Catcher, Mutant, select};

    let mut caught = 0;
    let mut all = 0;
    for mutant in Mutant::ALL {
        let is_the_models = matches!(mutant.caught_by(), Catcher::Model | Catcher::Both);
        if !name.map_or(is_the_models, |name| name == mutant.name()) {
            continue;
        }
        select(Some(*mutant));
        let options = Options { threads, states_max: Some(STATES_MAX), progress: None };
        let family = Family::of_requirement(mutant.breaks());
        let is_caught = |report: &Report| caught_by(report).is_some();
        let caught_in = match hunted {
            Hunt::In(model) => Some(model.check(options)).filter(is_caught),
            Hunt::AsBooked(library) => {
                let row = library.iter().find(|row| row.mutant == mutant.name());
                let model = row.and_then(|row| families::find(&row.model));
                model.map(|model| model.check(options)).filter(is_caught)
            }
            Hunt::Everywhere if family == Family::Sessions => hunt(threads),
            Hunt::Everywhere => families::all()
                .filter(|listed| listed.family == family)
                .find_map(|listed| Some(listed.check(options)).filter(is_caught)),
        };
        let fate = Fate { mutant: mutant.name(), breaks: mutant.breaks(), caught: caught_in };
        select(None);
        all += 1;
        caught += usize::from(fate.caught.is_some());
        tell(&fate);
    }
    (caught, all)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn report(model: &'static str, steps: usize) -> Report {
        Report {
            model,
            states: 0,
            unique: 0,
            depth: 0,
            duration: std::time::Duration::ZERO,
            memory: None,
            complete: false,
            outcomes: vec![("a property", crate::check::Outcome::Fails(vec![Vec::new(); steps]))],
        }
    }

    #[test]
    fn the_library_is_held_against_what_is_found() {
        let library = read_library(
            "| mutant | fault | found in | steps |\n| --- | --- | --- | --- |\n\
            | `a` | none | a rule | `session-small` | 13 |\n| `b` | none | `session-join` | some |\n",
        );
        let row = Row { mutant: "a".to_owned(), model: "session-small".to_owned(), steps: 13 };
        assert_eq!(library, [row]);
        for (mutant, model, steps, differs) in [
            ("a", "session-small", 13, false),
            ("a", "session-small", 12, true),
            ("a", "session-join", 13, true),
            ("b", "session-small", 13, true),
        ] {
            let fate = Fate { mutant, breaks: "SESS-024", caught: Some(report(model, steps)) };
            assert_eq!(fate.difference(&library).is_some(), differs, "{fate:?}");
        }
        let survivor = Fate { mutant: "a", breaks: "SESS-024", caught: None };
        assert_eq!(survivor.difference(&library), None);
    }

    #[test]
    fn each_row_of_the_library_names_a_model_that_there_is() {
        let library = read_library(include_str!("../../spec/text/counterexamples.md"));
        assert!(library.len() > 25, "{}", library.len());
        for row in library {
            let is_there = families::find(&row.model).is_some();
            assert!(is_there, "{}: {}", row.mutant, row.model);
        }
    }
}
