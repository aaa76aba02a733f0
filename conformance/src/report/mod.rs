//! Reports of a run: for people on the terminal, for programs as JSON and JUnit.

mod json;
mod junit;
mod terminal;

pub(crate) use json::json;
pub(crate) use junit::junit;
pub(crate) use terminal::{failed, summary};

use crate::{
    requirement::Level,
    run::{Outcome, Verdict},
};

/// How many cases of a level met it, of how many.
pub(crate) fn totals(outcomes: &[Outcome], level: Level) -> (usize, usize) {
    let of_level = || outcomes.iter().filter(|outcome| outcome.level() == level);
    let met = of_level().filter(|outcome| matches!(outcome.verdict, Verdict::Pass | Verdict::Xpass)).count();
    (met, of_level().count())
}
