//! Shows that the simulation can fail: wrong variants of the session machine that it catches within some thousand runs.

use std::fmt;

use antiphon_spec::mutant::Mutant;

use super::{
    report::{Failure, Summary},
    search::{Search, simulate},
};

/// So many runs are played with each mutant at most.
const RUNS_MAX: u64 = 40_000;

/// Wrong variants that show without an attacker, in what honest clients do to each other.
const VISIBLE: &[Mutant] = &[
    Mutant::LeaveWithoutToken,
    Mutant::HandOverUnanswered,
    Mutant::EarlyMessageDropped,
    Mutant::RequestNotResent,
    Mutant::HandOverUnordered,
    Mutant::TokenNotReturned,
    Mutant::GrantedTwice,
    Mutant::CommitWithoutClosed,
    Mutant::FlushSkipped,
    Mutant::SaidAfterClosed,
    Mutant::CompleteEarly,
    Mutant::MemberInvitedAgain,
    Mutant::RequestsKept,
    Mutant::MessageEpochUnchecked,
    Mutant::FailureForgotten,
    Mutant::ChainUnchecked,
    Mutant::TicketEpochUnchecked,
    Mutant::CommitNotShown,
    Mutant::TakenOverUnfollowed,
    Mutant::NewcomerUnheard,
    Mutant::SuccessorLeaves,
    Mutant::SuccessorPassedOver,
];

/// What became of a mutant.
#[derive(Debug)]
pub struct Fate {
    mutant: Mutant,
    summary: Summary,
    caught: Option<Failure>,
}

impl fmt::Display for Fate {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (name, breaks) = (self.mutant.name(), self.mutant.breaks());
        match &self.caught {
            None => write!(f, "{name} (breaks {breaks}): NOT CAUGHT in {} runs", self.summary.runs),
            Some(failure) => {
                let (decisions, steps) = failure.smallest();
                write!(
                    f,
                    "{name} (breaks {breaks}): caught by seed {} in {} steps, shrunk to {decisions} decisions and \
                     {steps} steps: \"{}\"",
                    failure.seed,
                    failure.steps,
                    failure.property()
                )
            }
        }
    }
}

/// Simulates every mutant that shows, and hands each fate to `tell` as soon as it is known.
///
/// Says how many were caught, and out of how many.
#[cfg(feature = "mutants")]
pub fn simulate_mutants(threads: usize, first_seed: u64, mut tell: impl FnMut(&Fate)) -> (usize, usize) {
    let mut caught = 0;
    for &mutant in VISIBLE {
        antiphon_spec::mutant::select(Some(mutant));
        let (summary, failure) = simulate(&Search { first_seed, runs: RUNS_MAX, threads, progress: None });
        antiphon_spec::mutant::select(None);
        caught += usize::from(failure.is_some());
        tell(&Fate { mutant, summary, caught: failure });
    }
    (caught, VISIBLE.len())
}
