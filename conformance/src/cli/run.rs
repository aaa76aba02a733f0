//! `run`.

use std::{
    path::PathBuf,
    sync::Arc,
    time::{Instant, SystemTime},
};

use clap::Args;

use super::{AS_EXPECTED, FAILED, HARNESS, NOT_RUN, STALE, Stopped, TargetArguments, build, complain, print};
use crate::{
    registry, report,
    run::{Outcome, Verdict, run, stale},
};

/// Arguments of `run`.
#[derive(Debug, Args)]
pub(super) struct RunArguments {
    #[command(flatten)]
    target: TargetArguments,
    /// Which: IDs with `*`, uids, requirement IDs, roles, or `vector` and `live`; all but `slow/*` without one.
    selectors: Vec<String>,
    /// Write the results here as JSON.
    #[arg(long, value_name = "FILE")]
    json: Option<PathBuf>,
    /// Write the results here as JUnit XML.
    #[arg(long, value_name = "FILE")]
    junit: Option<PathBuf>,
    /// Name each case as it ends.
    #[arg(long)]
    verbose: bool,
}

impl RunArguments {
    pub(super) async fn run(self) -> Result<u8, Stopped> {
        let target = self.target.load()?;
        let all = registry::all().map_err(Stopped::harness)?;
        let cases: Vec<_> = all
            .iter()
            .filter(|case| target.roles.contains(&case.role))
            .filter(|case| registry::selected(case, &self.selectors))
            .cloned()
            .collect();
        if cases.is_empty() {
            return Err(Stopped::Usage(
                "no case is selected; antiphon-conformance list shows all".to_owned(),
            ));
        }
        let selected = cases.len();
        if !self.target.no_build {
            build(&target, target.build.as_ref()).await?;
        }
        let (name, today) = (target.name.clone(), today());
        let file = self.target.target.display().to_string();
        let options = self.target.options(None, today.clone());
        let start = Instant::now();
        let show = |outcome: &Outcome| {
            if !matches!(outcome.verdict, Verdict::Pass | Verdict::Xfail) {
                print(&report::failed(outcome, &file));
            } else if self.verbose {
                print(&format!(
                    "{} {} {} ms\n",
                    outcome.verdict.as_str(),
                    outcome.case.id,
                    outcome.duration.as_millis()
                ));
            }
        };
        let target = Arc::new(target);
        let outcomes = run(&target, cases, &options, show)
            .await
            .map_err(|failure| Stopped::Harness(format!("{failure:?}")))?;
        let duration = start.elapsed();
        print(&report::summary(&name, &outcomes, selected, duration));
        if let Some(path) = &self.json {
            let text = format!("{:#}\n", report::json(&name, &outcomes, selected, duration));
            std::fs::write(path, text)
                .map_err(|error| Stopped::Usage(format!("{}: {error}", path.display())))?;
        }
        if let Some(path) = &self.junit {
            let text = report::junit(&name, &outcomes, duration).map_err(Stopped::harness)?;
            std::fs::write(path, text)
                .map_err(|error| Stopped::Usage(format!("{}: {error}", path.display())))?;
        }
        let stale = stale(&target, &all, &today);
        for expectation in &stale {
            complain(&format!(
                "the expectation of {} ({}) is stale: remove it from the target file",
                expectation.cases, expectation.reason
            ));
        }
        Ok(code(&outcomes, selected, !stale.is_empty()))
    }
}

/// The exit code of a run.
fn code(outcomes: &[Outcome], selected: usize, stale: bool) -> u8 {
    let any = |verdict| outcomes.iter().any(|outcome| outcome.verdict == verdict);
    if any(Verdict::Error) {
        HARNESS
    } else if any(Verdict::Fail) {
        FAILED
    } else if any(Verdict::Xpass) || stale {
        STALE
    } else if any(Verdict::Unsupported) || outcomes.len() < selected {
        NOT_RUN
    } else {
        AS_EXPECTED
    }
}

/// Today in UTC, as `YYYY-MM-DD`.
fn today() -> String {
    let seconds = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).map_or(0, |since| since.as_secs());
    civil(seconds / 86_400)
}

/// The date of a day since 1970-01-01, in the Gregorian calendar.
fn civil(day: u64) -> String {
    // Years begin in March here, so that a leap day is the last of its year.
    let day = day + 719_468;
    let (era, day) = (day / 146_097, day % 146_097);
    let year = (day - day / 1_460 + day / 36_524 - day / 146_096) / 365;
    let day = day - (365 * year + year / 4 - year / 100);
    let month = (5 * day + 2) / 153;
    let date = day - (153 * month + 2) / 5 + 1;
    let (month, next) = if month < 10 { (month + 3, 0) } else { (month - 9, 1) };
    format!("{:04}-{month:02}-{date:02}", era * 400 + year + next)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn dates() {
        assert_eq!(civil(0), "1970-01-01");
        assert_eq!(civil(19_782), "2024-02-29");
        assert_eq!(civil(19_783), "2024-03-01");
        assert_eq!(civil(20_088), "2024-12-31");
    }
}
