//! Many runs, on several threads, until one breaks a rule.

use std::{
    sync::{
        Mutex, PoisonError,
        atomic::{AtomicBool, AtomicU64, Ordering},
    },
    thread,
    time::{Duration, Instant},
};

use super::{
    report::{Failure, Summary},
    run::{Plan, Run},
};

/// Which runs, and how.
#[derive(Clone, Copy, Debug)]
pub struct Search {
    /// The seed of the first run; the others follow.
    pub first_seed: u64,
    /// How many runs.
    pub runs: u64,
    /// How many threads.
    pub threads: usize,
    /// How often the progress is written to standard error; never, if absent.
    pub progress: Option<Duration>,
}

/// Plays runs until one breaks a rule or there is none left. Says what all came to, and shrinks the run with the
/// lowest seed that failed.
#[must_use]
pub fn simulate(search: &Search) -> (Summary, Option<Failure>) {
    let start = Instant::now();
    let next = AtomicU64::new(0);
    let done = AtomicU64::new(0);
    let failed = AtomicBool::new(false);
    let total = Mutex::new(Summary::default());
    let reported = Mutex::new(start);
    let work = || {
        let mut summary = Summary::default();
        while !failed.load(Ordering::Relaxed) {
            let index = next.fetch_add(1, Ordering::Relaxed);
            if index >= search.runs {
                break;
            }
            let seed = search.first_seed.wrapping_add(index);
            let outcome = Run::play(&Plan::drawn(seed), false);
            summary.add(seed, &outcome);
            if outcome.breach.is_some() {
                failed.store(true, Ordering::Relaxed);
            }
            let done = done.fetch_add(1, Ordering::Relaxed) + 1;
            if let Some(every) = search.progress {
                tell_progress(&reported, every, start, done, search.runs);
            }
        }
        total.lock().unwrap_or_else(PoisonError::into_inner).merge(summary);
    };
    thread::scope(|scope| {
        for _ in 0..search.threads.max(1) {
            scope.spawn(work);
        }
    });
    let mut summary = total.into_inner().unwrap_or_else(PoisonError::into_inner);
    summary.duration = start.elapsed();
    let failure = summary.failed.first().map(|seed| Failure::of(*seed));
    (summary, failure)
}

#[expect(clippy::print_stderr, reason = "this is the progress that the user of the binary asked for")]
fn tell_progress(reported: &Mutex<Instant>, every: Duration, start: Instant, done: u64, of: u64) {
    // Somebody else is telling it if the lock is taken.
    if let Ok(mut last) = reported.try_lock()
        && last.elapsed() >= every
    {
        *last = Instant::now();
        eprintln!("simulate: {done} of {of} runs, {} s", start.elapsed().as_secs());
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn search(runs: u64, threads: usize) -> Summary {
        let (summary, failure) = simulate(&Search { first_seed: 0, runs, threads, progress: None });
        if let Some(failure) = failure {
            panic!("{failure}");
        }
        summary
    }

    #[test]
    fn all_rules_hold_and_every_place_is_reached() {
        let summary = search(250, 2);
        assert_eq!((summary.runs, summary.missed()), (250, Vec::new()));
    }

    #[test]
    fn a_seed_is_a_run_and_so_is_the_record_of_its_decisions() {
        for seed in 0..20 {
            let drawn = Run::play(&Plan::drawn(seed), true);
            let again = Run::play(&Plan::drawn(seed), true);
            assert_eq!(drawn.journal, again.journal, "seed {seed}");
            let plan = Plan { decisions: Some(drawn.decisions.clone()), ..Plan::drawn(seed) };
            let recorded = Run::play(&plan, true);
            assert_eq!(drawn.journal, recorded.journal, "seed {seed}, from its record");
            assert_eq!((drawn.decisions, drawn.reached), (recorded.decisions, recorded.reached));
        }
    }

    #[test]
    fn threads_do_not_change_what_is_found() {
        let (one, two) = (search(30, 1), search(30, 2));
        assert_eq!((one.steps, one.virtual_time, one.tally), (two.steps, two.virtual_time, two.tally));
    }
}
