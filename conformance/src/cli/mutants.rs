//! `mutants`: the suite has to notice every wrong variant of an implementation, and say which requirement it breaks.

use std::{collections::BTreeMap, sync::Arc, time::Instant};

use clap::Args;
use futures::{StreamExt as _, TryStreamExt as _, stream};
use serde::Deserialize;

use super::{AS_EXPECTED, FAILED, Stopped, TargetArguments, build, print};
use crate::{
    case::Case,
    process::Variant,
    registry,
    run::{Outcome, Verdict, run},
    target::{Mutants, Target, Values},
};

/// Variants that are run at the same time: most of the time, live cases wait.
const MUTANTS_AT_A_TIME: usize = 12;

/// Arguments of `mutants`.
#[derive(Debug, Args)]
pub(super) struct MutantsArguments {
    #[command(flatten)]
    target: TargetArguments,
    /// Which: names with `*`; all without one.
    names: Vec<String>,
    /// Run every case against every variant, not only those of the requirement that it breaks.
    #[arg(long)]
    all_cases: bool,
}

/// A wrong variant.
#[derive(Clone, Debug, Deserialize)]
#[serde(rename_all = "kebab-case")]
struct Mutant {
    name: String,
    /// The requirement.
    breaks: String,
    /// `suite`, `model` or `both`.
    caught_by: String,
}

/// What became of a variant.
#[derive(Default)]
struct Fate {
    /// The cases that it is killed by.
    killers: Vec<String>,
    /// How many cases it was put to.
    asked: usize,
    /// In how many of these it said something, after it was ready.
    answered: usize,
}

impl MutantsArguments {
    pub(super) async fn run(self) -> Result<u8, Stopped> {
        let mut target = self.target.load()?;
        let mutants = target
            .mutants
            .clone()
            .ok_or_else(|| Stopped::Usage("the target file has no table [mutants]".to_owned()))?;
        if !self.target.no_build {
            build(&target, mutants.build.as_ref()).await?;
        }
        // A copy: whoever builds the target meanwhile does not change what is run here.
        let folder = tempfile::tempdir().map_err(Stopped::harness)?;
        let binary = folder.path().join("implementation");
        // Built before or now, it is the program with the mutants: any other one refuses to start as one of them, which
        // would pass for a kill.
        let built = target.fill(&mutants.binary, &Values::new())?;
        std::fs::copy(&built, &binary).map_err(|error| Stopped::Harness(format!("{built}: {error}")))?;
        target.variables.insert("binary".to_owned(), binary.display().to_string());
        let list = list(&target, &mutants).await?;
        let chosen: Vec<_> = list
            .into_iter()
            .filter(|mutant| mutant.caught_by != "model")
            .filter(|mutant| {
                self.names.is_empty() || self.names.iter().any(|name| crate::target::fits(name, &mutant.name))
            })
            .collect();
        if chosen.is_empty() {
            return Err(Stopped::Usage("no mutant is selected".to_owned()));
        }
        let cases: Vec<Case> = registry::all()
            .map_err(Stopped::harness)?
            .into_iter()
            .filter(|case| target.roles.contains(&case.role))
            .collect();
        let (target, start) = (Arc::new(target), Instant::now());
        let mut survivors = 0;
        let run_one = |mutant: Mutant| {
            let (this, target, mutants, cases) = (&self, &target, &mutants, &cases);
            async move {
                let fate = this.fate(target, mutants, &mutant, cases).await?;
                Ok::<_, Stopped>((mutant, fate))
            }
        };
        let count = chosen.len();
        let mut verdicts = stream::iter(chosen).map(run_one).buffer_unordered(MUTANTS_AT_A_TIME);
        while let Some((mutant, Fate { killers, asked, answered })) = verdicts.try_next().await? {
            // One that never runs would fail everything, and shows nothing.
            let verdict = match (killers.is_empty(), asked > 0 && answered == 0) {
                (false, _) => "killed",
                (true, false) => "SURVIVED",
                (true, true) => "INVALID",
            };
            survivors += usize::from(killers.is_empty());
            let shown: Vec<&str> = killers.iter().take(3).map(String::as_str).collect();
            print(&format!(
                "{verdict:<9} {:<32} breaks {:<10} {} case(s): {}\n",
                mutant.name,
                mutant.breaks,
                killers.len(),
                shown.join(", ")
            ));
        }
        print(&format!(
            "{} of {} mutants killed in {:.1} s\n",
            count - survivors,
            count,
            start.elapsed().as_secs_f64()
        ));
        Ok(if survivors == 0 { AS_EXPECTED } else { FAILED })
    }

    /// The cases that fail and name the broken requirement: by what the variant says, not because it is gone.
    ///
    /// Live cases wait for what a wrong variant does not say; they are run where no vector fails, unless all are wanted.
    /// Those that are slow are run where nothing else fails.
    async fn fate(
        &self,
        target: &Arc<Target>,
        mutants: &Mutants,
        mutant: &Mutant,
        cases: &[Case],
    ) -> Result<Fate, Stopped> {
        let variant = Variant { variable: mutants.variable.clone(), name: mutant.name.clone() };
        let options = self.target.options(Some(variant), String::new());
        let names_it = |case: &Case| case.requirements.contains(&mutant.breaks);
        let mut fate = Fate::default();
        for (live, slow) in [(false, false), (true, false), (true, true)] {
            let wanted = |case: &&Case| {
                // Slow cases are asked about what nothing else notices.
                let asked = names_it(case) || (self.all_cases && !slow);
                case.is_slow() == slow && case.is_live() == live && asked
            };
            let run_these: Vec<Case> = cases.iter().filter(wanted).cloned().collect();
            if run_these.is_empty() || !(fate.killers.is_empty() || (self.all_cases && !slow)) {
                continue;
            }
            let outcomes = run(target, run_these, &options, |_: &Outcome| {})
                .await
                .map_err(|failure| Stopped::Harness(format!("{}: {failure:?}", mutant.name)))?;
            fate.asked += outcomes.len();
            fate.answered += outcomes.iter().filter(|outcome| outcome.answered).count();
            let failed = outcomes.into_iter().filter(|outcome| {
                // What breaks a recommendation passes, but not unnoticed.
                let is_noticed = matches!(outcome.verdict, Verdict::Fail | Verdict::PassLax);
                is_noticed && outcome.answered && names_it(&outcome.case)
            });
            fate.killers.extend(failed.map(|outcome| outcome.case.id));
        }
        Ok(fate)
    }
}

async fn list(target: &Target, mutants: &Mutants) -> Result<Vec<Mutant>, Stopped> {
    let (program, arguments) = target.command(&mutants.list, &BTreeMap::new())?;
    let output =
        tokio::process::Command::new(&program).args(&arguments).output().await.map_err(Stopped::harness)?;
    if !output.status.success() {
        return Err(Stopped::Harness(format!(
            "{program} {}: {}",
            arguments.join(" "),
            String::from_utf8_lossy(&output.stderr)
        )));
    }
    let text = String::from_utf8_lossy(&output.stdout);
    text.lines()
        .map(|line| serde_json::from_str(line).map_err(|error| Stopped::Harness(format!("{line}: {error}"))))
        .collect()
}
