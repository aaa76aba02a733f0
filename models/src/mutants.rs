//! Shows that the properties can fail: every mutant of the session machine that a model must catch is caught.
//!
//! Mutants are in builds with the feature `mutants` only, and those have debug assertions.

use crate::{
    catalogue::{self, Entry},
    check::{Options, Report, check_within},
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

/// Looks for the shortest failure in the small models, and goes on to the larger ones, one by one, only where those
/// find none.
#[cfg_attr(not(feature = "mutants"), expect(dead_code, reason = "only mutants are searched like this"))]
fn hunt(threads: usize, model: Option<&Entry>) -> Option<Report> {
    let options = Options { threads, states_max: Some(STATES_MAX), progress: None };
    let run = |entry: &Entry, shorter_than: Option<usize>| {
        Some(check_within(entry, options, shorter_than)).filter(|report| caught_by(report).is_some())
    };
    if let Some(model) = model {
        return run(model, None);
    }
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

/// Runs the models against every mutant that a model must catch, and hands each fate to `tell` as soon as it is known.
/// With a name, only against this mutant; with a model, only this model.
///
/// Says how many were caught, and out of how many.
#[cfg(feature = "mutants")]
pub fn check_mutants(
    threads: usize,
    name: Option<&str>,
    model: Option<&Entry>,
    mut tell: impl FnMut(&Fate),
) -> (usize, usize) {
    use antiphon_spec::mutant::{Catcher, Mutant, select};

    use crate::{
        check::{check_instants, check_locations, check_profiles},
        locations::LOCATIONS,
        profiles::PROFILES,
    };

    let mut caught = 0;
    let mut all = 0;
    for mutant in Mutant::ALL {
        let is_the_models = matches!(mutant.caught_by(), Catcher::Model | Catcher::Both);
        if !name.map_or(is_the_models, |name| name == mutant.name()) {
            continue;
        }
        select(Some(*mutant));
        let options = Options { threads, states_max: Some(STATES_MAX), progress: None };
        let is_of_logins = ["LOGIN-", "PREF-"].iter().any(|chapter| mutant.breaks().starts_with(chapter));
        let caught_in = if is_of_logins {
            PROFILES.iter().find_map(|entry| {
                Some(check_profiles(entry, options)).filter(|report| caught_by(report).is_some())
            })
        } else if mutant.breaks().starts_with("LOC-") {
            LOCATIONS.iter().find_map(|entry| {
                Some(check_locations(entry, options)).filter(|report| caught_by(report).is_some())
            })
        } else if mutant.breaks().starts_with("INST-") {
            Some(check_instants(options)).filter(|report| caught_by(report).is_some())
        } else {
            hunt(threads, model)
        };
        let fate = Fate { mutant: mutant.name(), breaks: mutant.breaks(), caught: caught_in };
        select(None);
        all += 1;
        caught += usize::from(fate.caught.is_some());
        tell(&fate);
    }
    (caught, all)
}
