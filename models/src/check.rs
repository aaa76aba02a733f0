//! Runs a model and says what became of every property.

use std::{
    collections::BTreeMap,
    fmt, fs,
    hash::Hash,
    time::{Duration, Instant},
};

use stateright::{
    Checker, Expectation, HasDiscoveries, Model, Path,
    report::{ReportData, ReportDiscovery, Reporter},
};

use crate::{
    attacker::properties::refused_with,
    catalogue::Entry,
    instant_model::{InstantModel, InstantState, InstantStep},
    kept_link::{KeptLinkModel, KeptLinkState, KeptLinkStep},
    locations::{LocationEntry, LocationModel, LocationState, LocationStep},
    presence::{PresenceEntry, PresenceModel, PresenceState, PresenceStep},
    privacy::{PrivacyEntry, PrivacyModel, PrivacyState, PrivacyStep},
    profiles::{ProfileEntry, ProfileModel, ProfileState, ProfileStep},
    session_model::{SessionModel, Step},
    tree::{TreeEntry, TreeModel, TreeState, TreeStep},
    world::World,
};

/// How a check is run.
#[derive(Clone, Copy, Debug)]
pub struct Options {
    /// How many threads search.
    pub threads: usize,
    /// The number of states after which the search is given up; none where the model is explored to its end.
    pub states_max: Option<usize>,
    /// How often the progress is written to standard error; never, if absent.
    pub progress: Option<Duration>,
}

/// What became of a property.
#[derive(Clone, Debug)]
pub enum Outcome {
    /// It holds in every state that was seen.
    Holds,
    /// The place is reached.
    Reached,
    /// No state that was seen is such a place.
    Unreached,
    /// It does not hold; the steps that lead there, each with what happens in it.
    Fails(Vec<Vec<String>>),
}

/// What a run found.
#[derive(Clone, Debug)]
pub struct Report {
    /// Of which model.
    pub model: &'static str,
    /// States that were generated, repeated ones too.
    pub states: usize,
    /// States that differ.
    pub unique: usize,
    /// Steps on the longest path that was followed.
    pub depth: usize,
    /// How long it took.
    pub duration: Duration,
    /// The most memory that the process had meanwhile, in MiB, where the system tells.
    pub memory: Option<u64>,
    /// Whether every reachable state was seen.
    pub complete: bool,
    /// The properties, in the model's order.
    pub outcomes: Vec<(&'static str, Outcome)>,
}

impl Report {
    /// Whether all properties hold and all places are reached, in all states.
    #[must_use]
    pub fn is_good(&self) -> bool {
        self.complete
            && self.outcomes.iter().all(|(_, outcome)| matches!(outcome, Outcome::Holds | Outcome::Reached))
    }

    /// The first place that is never reached although every state was seen.
    #[must_use]
    pub fn missed(&self) -> Option<&'static str> {
        let missed = |(_, outcome): &&(&'static str, Outcome)| matches!(outcome, Outcome::Unreached);
        self.outcomes.iter().filter(|_| self.complete).find(missed).map(|(name, _)| *name)
    }

    /// The first property that does not hold, with its counterexample.
    #[must_use]
    pub fn failure(&self) -> Option<(&'static str, &[Vec<String>])> {
        self.outcomes.iter().find_map(|(name, outcome)| match outcome {
            Outcome::Fails(steps) => Some((*name, steps.as_slice())),
            Outcome::Holds | Outcome::Reached | Outcome::Unreached => None,
        })
    }
}

impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let seconds = self.duration.as_secs_f64();
        #[expect(clippy::cast_precision_loss, reason = "a speed for people to read")]
        let speed = self.unique as f64 / seconds.max(0.001);
        writeln!(
            f,
            "{}: {} states, {} unique, depth {}, {seconds:.1} s, {} MiB, {speed:.0} unique states/s{}",
            self.model,
            self.states,
            self.unique,
            self.depth,
            self.memory.map_or_else(|| "?".to_owned(), |memory| memory.to_string()),
            if self.complete { "" } else { ", NOT explored to the end" }
        )?;
        for (name, outcome) in &self.outcomes {
            let verdict = match outcome {
                Outcome::Holds => "holds",
                Outcome::Reached => "reached",
                Outcome::Unreached => "NOT REACHED",
                Outcome::Fails(_) => "FAILS",
            };
            writeln!(f, "  {verdict:<11} {name}")?;
        }
        if let Some((name, steps)) = self.failure() {
            writeln!(f, "  counterexample to \"{name}\", {} steps:", steps.len())?;
            Steps(steps).fmt(f)?;
        }
        Ok(())
    }
}

/// A counterexample, a numbered paragraph a step.
#[derive(Clone, Copy, Debug)]
pub struct Steps<'a>(pub &'a [Vec<String>]);

impl fmt::Display for Steps<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (number, lines) in (1..).zip(self.0) {
            let mut lines = lines.iter();
            writeln!(f, "  {number:>4}. {}", lines.next().map_or("", String::as_str))?;
            for line in lines {
                writeln!(f, "          {line}")?;
            }
        }
        Ok(())
    }
}

/// Explores a model breadth-first until a property fails or there is nothing left. What fails comes with the
/// shortest counterexample.
#[must_use]
pub fn check(entry: &Entry, options: Options) -> Report {
    check_within(entry, options, None)
}

/// As [`check`], but looks only at paths of fewer steps than this.
#[must_use]
pub fn check_within(entry: &Entry, options: Options, shorter_than: Option<usize>) -> Report {
    check_model(entry.name, &|| SessionModel::new(entry.scenario), options, shorter_than)
}

/// As [`check`], the model of instant messages.
#[must_use]
pub fn check_instants(options: Options) -> Report {
    check_model(InstantModel::NAME, &InstantModel::new, options, None)
}

/// As [`check`], the model of links that go on.
#[must_use]
pub fn check_kept_link(options: Options) -> Report {
    check_model(KeptLinkModel::NAME, &KeptLinkModel::new, options, None)
}

/// As [`check`], a model of logins.
#[must_use]
pub fn check_profiles(entry: &ProfileEntry, options: Options) -> Report {
    check_model(entry.name, &|| ProfileModel::new(entry.bounds), options, None)
}

/// As [`check`], a model of the location service.
#[must_use]
pub fn check_locations(entry: &LocationEntry, options: Options) -> Report {
    check_model(entry.name, &|| LocationModel::new(entry.bounds), options, None)
}

/// As [`check`], a model of privacy.
#[must_use]
pub fn check_privacy(entry: &PrivacyEntry, options: Options) -> Report {
    check_model(entry.name, &|| PrivacyModel::new(entry.bounds), options, None)
}

/// As [`check`], a model of the tree.
#[must_use]
pub fn check_tree(entry: &TreeEntry, options: Options) -> Report {
    check_model(entry.name, &|| TreeModel::new(entry.bounds), options, None)
}

/// As [`check`], a model of presence.
#[must_use]
pub fn check_presence(entry: &PresenceEntry, options: Options) -> Report {
    check_model(entry.name, &|| PresenceModel::new(entry.bounds), options, None)
}

/// A model that can say in words what a step does.
trait Narrated:
    Model<
        State: Clone + PartialEq + Hash + fmt::Debug + Send + Sync + 'static,
        Action: Clone + PartialEq + fmt::Debug + Send + Sync + 'static,
    > + Send
    + Sync
    + 'static
{
    fn narrate(&self, state: &Self::State, step: &Self::Action) -> Vec<String>;

    /// What else was to be reached, and was or not.
    fn other_places(&self) -> Vec<(&'static str, Outcome)> {
        Vec::new()
    }
}

impl Narrated for SessionModel {
    fn narrate(&self, state: &World, step: &Step) -> Vec<String> {
        self.tell(state, step)
    }

    fn other_places(&self) -> Vec<(&'static str, Outcome)> {
        refusals(self).collect()
    }
}

impl Narrated for InstantModel {
    fn narrate(&self, state: &InstantState, step: &InstantStep) -> Vec<String> {
        self.tell(state, *step)
    }
}

impl Narrated for KeptLinkModel {
    fn narrate(&self, state: &KeptLinkState, step: &KeptLinkStep) -> Vec<String> {
        self.tell(state, *step)
    }
}

impl Narrated for ProfileModel {
    fn narrate(&self, state: &ProfileState, step: &ProfileStep) -> Vec<String> {
        self.tell(state, *step)
    }
}

impl Narrated for LocationModel {
    fn narrate(&self, state: &LocationState, step: &LocationStep) -> Vec<String> {
        self.tell(state, *step)
    }
}

impl Narrated for PrivacyModel {
    fn narrate(&self, state: &PrivacyState, step: &PrivacyStep) -> Vec<String> {
        self.tell(state, *step)
    }
}

impl Narrated for TreeModel {
    fn narrate(&self, state: &TreeState, step: &TreeStep) -> Vec<String> {
        self.tell(state, *step)
    }
}

impl Narrated for PresenceModel {
    fn narrate(&self, state: &PresenceState, step: &PresenceStep) -> Vec<String> {
        self.tell(state, *step)
    }
}

fn check_model<M: Narrated>(
    name: &'static str,
    model: &dyn Fn() -> M,
    options: Options,
    shorter_than: Option<usize>,
) -> Report {
    let mut report = search(name, model(), options, shorter_than);
    // A search by several threads, and one that notices a failure only after a batch of states, does not find the
    // shortest path first. So search again, by one thread and only among shorter paths, until there is none.
    while let Some(length) = report.failure().map(|(_, steps)| steps.len()) {
        let shorter = search(name, model(), Options { threads: 1, ..options }, Some(length));
        match shorter.failure() {
            Some((name, steps)) => {
                let found = Outcome::Fails(steps.to_vec());
                for (property, outcome) in &mut report.outcomes {
                    if *property == name {
                        *outcome = found.clone();
                    } else if matches!(outcome, Outcome::Fails(_)) {
                        *outcome = Outcome::Holds;
                    }
                }
            }
            None => break,
        }
    }
    report
}

fn search<M: Narrated>(
    name: &'static str,
    model: M,
    options: Options,
    shorter_than: Option<usize>,
) -> Report {
    let properties = model.properties();
    let memory = MemoryPeak::begin();
    let start = Instant::now();
    let mut builder = model.checker().threads(options.threads).finish_when(HasDiscoveries::AnyFailures);
    if let Some(length) = shorter_than {
        // The checker counts the states of a path and leaves out those at the target.
        builder = builder.target_max_depth(length + 1);
    }
    if let Some(states) = options.states_max {
        builder = builder.target_state_count(states);
    }
    let checker = builder.spawn_bfs();
    let checker = match options.progress {
        Some(every) => checker.join_and_report(&mut Progress { model: name, every, last: start }),
        None => checker.join(),
    };
    let duration = start.elapsed();
    let mut found = checker.discoveries();
    let mut outcomes: Vec<(&'static str, Outcome)> = properties
        .iter()
        .map(|property| {
            let outcome = match (&property.expectation, found.remove(property.name)) {
                (Expectation::Sometimes, Some(_)) => Outcome::Reached,
                (Expectation::Sometimes, None) => Outcome::Unreached,
                (Expectation::Always | Expectation::Eventually, None) => Outcome::Holds,
                (Expectation::Always | Expectation::Eventually, Some(path)) => {
                    Outcome::Fails(tell(checker.model(), path))
                }
            };
            (property.name, outcome)
        })
        .collect();
    outcomes.extend(checker.model().other_places());
    let failed = outcomes.iter().any(|(_, outcome)| matches!(outcome, Outcome::Fails(_)));
    let cut_short = options.states_max.is_some_and(|states| checker.state_count() >= states);
    Report {
        model: name,
        states: checker.state_count(),
        unique: checker.unique_state_count(),
        // The checker counts the states of the longest path.
        depth: checker.max_depth().saturating_sub(1),
        duration,
        memory: memory.end(),
        complete: !failed && !cut_short && shorter_than.is_none(),
        outcomes,
    }
}

/// The most memory that the process has had since it began to count.
struct MemoryPeak;

impl MemoryPeak {
    /// Has Linux forget the peak so far; where it does not, the peak is that of the whole process.
    fn begin() -> Self {
        let _ = fs::write("/proc/self/clear_refs", "5");
        Self
    }

    fn end(self) -> Option<u64> {
        let status = fs::read_to_string("/proc/self/status").ok()?;
        let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:"))?;
        let kibibytes: u64 = line.trim().strip_suffix("kB")?.trim().parse().ok()?;
        Some(kibibytes / 1024)
    }
}

/// Which of the refusals that some attack has to meet were met: a search notes them as it goes, for they tell no states apart.
fn refusals(model: &SessionModel) -> impl Iterator<Item = (&'static str, Outcome)> {
    let expected = model.scenario().attack.map_or(&[][..], |attack| attack.refusals);
    expected.iter().filter_map(|code| {
        let reached = model.has_refused_with(*code);
        Some((refused_with(*code)?, if reached { Outcome::Reached } else { Outcome::Unreached }))
    })
}

fn tell<M: Narrated>(model: &M, path: Path<M::State, M::Action>) -> Vec<Vec<String>> {
    path.into_vec().iter().filter_map(|(state, step)| Some(model.narrate(state, step.as_ref()?))).collect()
}

/// Writes to standard error how far a search is.
struct Progress {
    model: &'static str,
    every: Duration,
    last: Instant,
}

impl<M: Narrated> Reporter<M> for Progress {
    #[expect(clippy::print_stderr, reason = "this is the progress that the user of the binary asked for")]
    fn report_checking(&mut self, data: ReportData) {
        // A short search needs no progress.
        if !data.done && self.last.elapsed() >= self.every {
            self.last = Instant::now();
            eprintln!(
                "{}: {} states, {} unique, depth {}, {} s",
                self.model,
                data.total_states,
                data.unique_states,
                data.max_depth,
                data.duration.as_secs()
            );
        }
    }

    fn report_discoveries(&mut self, _: &M, _: BTreeMap<&'static str, ReportDiscovery<M>>) {}

    fn delay(&self) -> Duration {
        // The checker is joined only after the last delay, so a long one would hold up short searches.
        Duration::from_millis(200).min(self.every)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::catalogue;

    /// A change of the machine that changes what can happen changes these counts: look at what it is, and pin anew.
    #[test]
    fn the_small_models_hold_and_have_as_many_states_as_ever() {
        for &(name, unique) in COUNTS {
            let entry = catalogue::find(name).expect("a model of this name");
            let report = check(entry, Options { threads: 2, states_max: None, progress: None });
            assert!(report.is_good(), "{report}");
            assert_eq!(report.unique, unique, "{name}");
        }
    }

    const COUNTS: &[(&str, usize)] = &[
        ("session-begin", 1989),
        ("session-leaves", 1596),
        ("session-hand-overs", 6895),
        ("session-small", 29681),
        ("session-messages", 70554),
        ("session-messages-leave", 18158),
        ("session-timers", 4418),
        ("session-losses-two", 15238),
        ("attack-refused", 3366),
        ("attack-left", 3366),
        ("attack-removed", 3366),
        ("attack-member", 534),
        ("attack-guest", 3737),
        ("attack-holder", 11960),
        ("attack-inviter", 9033),
        ("attack-newcomer", 1838),
        ("attack-successor", 33826),
        ("attack-succession", 23843),
        ("attack-equivocating-coordinator", 23239),
    ];

    #[test]
    fn a_search_that_is_cut_short_claims_nothing() {
        let entry = catalogue::find("session-small").expect("a model of this name");
        let report = check(entry, Options { threads: 1, states_max: Some(100), progress: None });
        assert!(!report.complete && !report.is_good());
        assert_eq!(report.missed(), None);
    }
}
