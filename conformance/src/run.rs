//! Running cases: vectors through shims, live cases against shared servers, many at a time.

use std::{
    path::Path,
    sync::{Arc, Mutex, PoisonError},
    time::{Duration, Instant},
};

use futures::{StreamExt as _, stream};

use crate::{
    case::{Body, Case, Failure, LiveTest},
    live::World,
    process::Variant,
    requirement::{self, Level},
    shim::Shim,
    target::{Expectation, Target, fits},
    vector::VectorCase,
};

/// How long a live case may take as a whole. Only a failing case ever does.
const LIVE_DEADLINE: Duration = Duration::from_secs(45);

/// The same for a slow case, which waits for what the text gives a minute and more.
const SLOW_DEADLINE: Duration = Duration::from_secs(180);

/// Shims that answer vectors at the same time.
const SHIMS: usize = 2;

/// How often in a row a shim may fail to answer before the rest of its vectors is not put to it any more.
const UNANSWERED_MAX: usize = 3;

/// What became of a case.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Verdict {
    /// As the text demands.
    Pass,
    /// Not as the text recommends.
    PassLax,
    /// Not as the text demands.
    Fail,
    /// Not as the text demands, and known.
    Xfail,
    /// As the text demands, though a failure was expected.
    Xpass,
    /// The implementation says that it cannot.
    Unsupported,
    /// The suite failed.
    Error,
}

impl Verdict {
    pub(crate) const ALL: [Self; 7] =
        [Self::Pass, Self::PassLax, Self::Fail, Self::Xfail, Self::Xpass, Self::Unsupported, Self::Error];

    pub(crate) const fn as_str(self) -> &'static str {
        match self {
            Self::Pass => "PASS",
            Self::PassLax => "PASS-LAX",
            Self::Fail => "FAIL",
            Self::Xfail => "XFAIL",
            Self::Xpass => "XPASS",
            Self::Unsupported => "UNSUPPORTED",
            Self::Error => "ERROR",
        }
    }
}

/// A case and what became of it.
#[derive(Clone)]
pub(crate) struct Outcome {
    pub(crate) case: Case,
    pub(crate) verdict: Verdict,
    pub(crate) failure: Option<Failure>,
    /// Whether the implementation said something that was judged, rather than nothing in time, or nothing any more, or
    /// was not there at all.
    pub(crate) answered: bool,
    pub(crate) duration: Duration,
}

impl Outcome {
    /// The level of the requirement that the case is mainly about.
    pub(crate) fn level(&self) -> Level {
        level(&self.case)
    }
}

/// The level of the requirement that a case is mainly about.
pub(crate) fn level(case: &Case) -> Level {
    case.requirements
        .first()
        .and_then(|id| requirement::find(id))
        .map_or(Level::Must, |requirement| requirement.level)
}

/// How to run.
#[derive(Clone, Debug)]
pub(crate) struct Options {
    /// Live cases at a time.
    pub(crate) jobs: usize,
    /// The wrong variant that is to be run.
    pub(crate) variant: Option<Variant>,
    /// Today, as `YYYY-MM-DD`: expectations end.
    pub(crate) today: String,
    /// How long a shim may take for an answer.
    pub(crate) patience: Duration,
}

/// What came of carrying a case out.
struct Played {
    result: Result<(), Failure>,
    answered: bool,
    duration: Duration,
}

impl Played {
    /// The case was judged, or there was nothing to be judged.
    fn new(asked: Result<Result<(), Failure>, Failure>, start: Instant) -> Self {
        let answered =
            matches!(asked, Ok(Ok(()) | Err(Failure::Unexpected { .. } | Failure::Unsupported(_))));
        Self { result: asked.unwrap_or_else(Err), answered, duration: start.elapsed() }
    }
}

/// Runs cases, in the order in which they are given; reports each as it ends.
///
/// # Errors
/// The suite cannot set up what it needs.
pub(crate) async fn run(
    target: &Arc<Target>,
    cases: Vec<Case>,
    options: &Options,
    report: impl Fn(&Outcome) + Send + Sync,
) -> Result<Vec<Outcome>, Failure> {
    let folder = tempfile::tempdir().map_err(Failure::harness)?;
    let outcomes = Mutex::new(Vec::new());
    let done = |number: usize, case: Case, played: Played| {
        let outcome = judge(target, options, case, played);
        report(&outcome);
        outcomes.lock().unwrap_or_else(PoisonError::into_inner).push((number, outcome));
    };
    let mut vectors: Vec<Vec<(usize, Case, Arc<VectorCase>)>> = (0..SHIMS).map(|_| Vec::new()).collect();
    let mut live: Vec<(usize, Case, LiveTest)> = Vec::new();
    for (number, case) in cases.into_iter().enumerate() {
        match case.body.clone() {
            Body::Vector(vector) => {
                if let Some(share) = vectors.get_mut(number % SHIMS) {
                    share.push((number, case, vector));
                }
            }
            Body::Live(test) => live.push((number, case, test)),
        }
    }
    let all_vectors =
        stream::iter(vectors.into_iter().enumerate()).for_each_concurrent(SHIMS, |(share, cases)| {
            let log = folder.path().join(format!("shim-{share}.log"));
            let done = &done;
            async move { ask_all(target, &log, options, cases, done).await }
        });
    let all_live = async {
        if live.is_empty() {
            return Ok(());
        }
        let world = World::new(Arc::clone(target), options.variant.clone(), folder.path().join("world"))?;
        stream::iter(live)
            .for_each_concurrent(options.jobs, |(number, case, test)| {
                let (world, done) = (Arc::clone(&world), &done);
                async move {
                    let start = Instant::now();
                    let deadline = if case.is_slow() { SLOW_DEADLINE } else { LIVE_DEADLINE };
                    let asked = play(test, world, deadline).await;
                    done(number, case, Played::new(asked, start));
                }
            })
            .await;
        Ok(())
    };
    let ((), lived) = tokio::join!(all_vectors, all_live);
    lived?;
    let mut outcomes = outcomes.into_inner().unwrap_or_else(PoisonError::into_inner);
    outcomes.sort_by_key(|(number, _)| *number);
    Ok(outcomes.into_iter().map(|(_, outcome)| outcome).collect())
}

/// A live case in a task of its own: whatever goes wrong there is its own result.
async fn play(test: LiveTest, world: Arc<World>, deadline: Duration) -> Result<Result<(), Failure>, Failure> {
    let task = tokio::spawn(tokio::time::timeout(deadline, test(world)));
    match task.await {
        Ok(Ok(result)) => Ok(result),
        Ok(Err(_)) => Err(Failure::unexpected("an end", format!("none within {} s", deadline.as_secs()))),
        Err(error) => Err(Failure::harness(error)),
    }
}

/// Puts vectors to a shim, to a new one whenever the last one fails; not for ever.
async fn ask_all(
    target: &Target,
    log: &Path,
    options: &Options,
    cases: Vec<(usize, Case, Arc<VectorCase>)>,
    done: &(impl Fn(usize, Case, Played) + Sync),
) {
    let (mut shim, mut unanswered) = (None, 0);
    for (number, case, vector) in cases {
        if unanswered >= UNANSWERED_MAX {
            return;
        }
        let start = Instant::now();
        let asked = ask(&mut shim, target, log, options, &vector).await;
        if asked.is_ok() {
            unanswered = 0;
        } else {
            unanswered += 1;
            shim = None;
        }
        done(number, case, Played::new(asked, start));
    }
}

async fn ask(
    shim: &mut Option<Shim>,
    target: &Target,
    log: &Path,
    options: &Options,
    vector: &VectorCase,
) -> Result<Result<(), Failure>, Failure> {
    if let Some(shim) = shim {
        return shim.ask(vector).await;
    }
    shim.insert(Shim::start(target, log, options).await?).ask(vector).await
}

fn judge(target: &Target, options: &Options, case: Case, played: Played) -> Outcome {
    let Played { result, answered, duration } = played;
    let expected = target.expectations.iter().any(|expectation| applies(expectation, &case, &options.today));
    let verdict = match &result {
        Ok(()) if expected => Verdict::Xpass,
        Ok(()) => Verdict::Pass,
        Err(Failure::Harness(_)) => Verdict::Error,
        Err(Failure::Unsupported(_)) => Verdict::Unsupported,
        Err(Failure::Unexpected { .. } | Failure::NotReady(_)) if expected => Verdict::Xfail,
        Err(Failure::Unexpected { .. } | Failure::NotReady(_)) if level(&case) != Level::Must => {
            Verdict::PassLax
        }
        Err(Failure::Unexpected { .. } | Failure::NotReady(_)) => Verdict::Fail,
    };
    Outcome { case, verdict, failure: result.err(), answered, duration }
}

/// Whether a failure of the case is expected still.
fn applies(expectation: &Expectation, case: &Case, today: &str) -> bool {
    fits(&expectation.cases, &case.id) && today <= expectation.until.as_str()
}

/// Expectations that say nothing any more: their time is over, or no case is theirs.
pub(crate) fn stale<'a>(target: &'a Target, cases: &[Case], today: &str) -> Vec<&'a Expectation> {
    let is_stale = |expectation: &&Expectation| {
        today > expectation.until.as_str() || !cases.iter().any(|case| fits(&expectation.cases, &case.id))
    };
    target.expectations.iter().filter(is_stale).collect()
}
