//! What a person reads: one run in words, and the sum of many.

use std::{fmt, time::Duration};

use super::{
    noise::Calm,
    oracle::Breach,
    profile::Profile,
    random::Random,
    reached::{Place, Tally},
    run::{Outcome, Plan, Run},
    shrink::shrink,
};
use crate::check::Steps;

/// What came of one run.
#[derive(Debug)]
pub struct Replay {
    seed: u64,
    profile: Profile,
    outcome: Outcome,
}

impl Replay {
    /// Plays the run of a seed; `with_trace` keeps what happens, in words.
    #[must_use]
    pub fn of(seed: u64, with_trace: bool) -> Self {
        Self::play(&Plan::drawn(seed), with_trace)
    }

    fn play(plan: &Plan, with_trace: bool) -> Self {
        let profile = Profile::draw(&mut Random::new(plan.seed));
        Self { seed: plan.seed, profile, outcome: Run::play(plan, with_trace) }
    }

    /// Whether no rule was broken.
    #[must_use]
    pub fn is_good(&self) -> bool {
        self.outcome.breach.is_none()
    }
}

impl fmt::Display for Replay {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { seed, profile, outcome } = self;
        writeln!(f, "seed {seed}: {profile}")?;
        Steps(&outcome.journal).fmt(f)?;
        let Outcome { steps, length, decisions, .. } = outcome;
        let (decisions, seconds) = (decisions.len(), length.as_secs());
        writeln!(f, "seed {seed}: {decisions} decisions, {steps} steps, {seconds} virtual seconds")?;
        match &outcome.breach {
            None => writeln!(f, "all properties hold"),
            Some(breach) => writeln!(f, "FAILS  {breach}"),
        }
    }
}

/// A run that breaks a rule, and the smallest one made from it.
#[derive(Debug)]
pub struct Failure {
    /// Its seed.
    pub seed: u64,
    /// How many steps it took.
    pub steps: u64,
    profile: Profile,
    decisions: usize,
    breach: Option<Breach>,
    calm: Calm,
    smallest: Outcome,
}

impl Failure {
    /// Shrinks the run of this seed.
    pub(crate) fn of(seed: u64) -> Self {
        let plan = Plan::drawn(seed);
        let outcome = Run::play(&plan, false);
        let smallest = shrink(&plan, &outcome);
        Self {
            seed,
            steps: outcome.steps,
            profile: Profile::draw(&mut Random::new(seed)),
            decisions: outcome.decisions.len(),
            breach: outcome.breach,
            calm: smallest.calm,
            smallest: Run::play(&smallest, true),
        }
    }

    /// The rule that is broken.
    #[must_use]
    pub fn property(&self) -> &'static str {
        self.breach.as_ref().map_or("none", |breach| breach.property.text())
    }

    /// How many decisions the smallest run takes, and how many steps.
    #[must_use]
    pub fn smallest(&self) -> (usize, u64) {
        (self.smallest.decisions.len(), self.smallest.steps)
    }
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { seed, steps, decisions, profile, .. } = self;
        writeln!(f, "FAILS  seed {seed}: {profile}")?;
        if let Some(breach) = &self.breach {
            writeln!(f, "  {breach}")?;
        }
        let (fewer, less) = self.smallest();
        writeln!(
            f,
            "  {decisions} decisions and {steps} steps; shrunk to {fewer} and {less}, {}",
            self.calm
        )?;
        for (at, decision) in &self.smallest.decisions {
            writeln!(f, "  {:>11}  {decision}", at.to_string())?;
        }
        writeln!(f, "  what happens then:")?;
        Steps(&self.smallest.journal).fmt(f)?;
        if let Some(breach) = &self.smallest.breach {
            writeln!(f, "  {breach}")?;
        }
        writeln!(f, "  the whole run: antiphon-models simulate --seed {seed} --trace")
    }
}

impl fmt::Display for Calm {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let on = |is_on: bool, text| if is_on { text } else { "" };
        let words = [
            on(self.steady_links, "steady links"),
            on(self.eager_users, "eager users"),
            on(self.sure_dials, "sure dials"),
            on(self.quick_detection, "quick detection"),
            on(self.right_clocks, "right clocks"),
        ];
        let words: Vec<&str> = words.into_iter().filter(|word| !word.is_empty()).collect();
        if words.is_empty() {
            f.write_str("as noisy as it was")
        } else {
            write!(f, "with {}", words.join(", "))
        }
    }
}

/// The sum of many runs.
#[derive(Debug, Default)]
pub struct Summary {
    /// How many.
    pub runs: u64,
    /// Steps of all.
    pub steps: u64,
    /// Virtual time of all.
    pub virtual_time: Duration,
    /// The longest time from the last decision of a run until it was at rest.
    pub settling_max: Duration,
    /// The most steps of one run.
    pub steps_max: u64,
    /// How long it took.
    pub duration: Duration,
    /// The runs that broke a rule, by seed; the search ends with the first.
    pub failed: Vec<u64>,
    pub(crate) tally: Tally,
}

impl Summary {
    pub(crate) fn add(&mut self, seed: u64, outcome: &Outcome) {
        self.runs += 1;
        self.steps += outcome.steps;
        self.virtual_time += outcome.length;
        self.settling_max = self.settling_max.max(outcome.settling);
        self.steps_max = self.steps_max.max(outcome.steps);
        self.tally.add(&outcome.reached);
        if outcome.breach.is_some() {
            self.failed.push(seed);
        }
    }

    pub(crate) fn merge(&mut self, other: Self) {
        self.runs += other.runs;
        self.steps += other.steps;
        self.virtual_time += other.virtual_time;
        self.settling_max = self.settling_max.max(other.settling_max);
        self.steps_max = self.steps_max.max(other.steps_max);
        self.tally.merge(&other.tally);
        self.failed.extend(other.failed);
        self.failed.sort_unstable();
    }

    /// What so many runs should have reached and did not.
    #[must_use]
    pub fn missed(&self) -> Vec<String> {
        self.tally.missed().map(|place: Place| place.to_string()).collect()
    }
}

impl fmt::Display for Summary {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { runs, steps, virtual_time, duration, .. } = self;
        let (days, seconds) = (virtual_time.as_secs(), duration.as_secs_f64());
        #[expect(clippy::cast_precision_loss, reason = "a speed for people to read")]
        let speed = *runs as f64 / seconds.max(0.001);
        writeln!(
            f,
            "{runs} runs, {steps} steps (at most {} in one), {days} virtual seconds, {seconds:.1} s ({speed:.0} runs/s), {} violations, \
             at rest within {} virtual seconds",
            self.steps_max,
            self.failed.len(),
            self.settling_max.as_secs()
        )?;
        writeln!(f, "  runs that reached")?;
        self.tally.fmt(f)
    }
}
