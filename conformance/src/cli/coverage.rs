//! `coverage`: which cases check which requirement.

use std::{collections::BTreeMap, path::PathBuf};

use clap::Args;
use serde::Deserialize;

use super::{AS_EXPECTED, FAILED, Stopped, complain, print};
use crate::{
    case::Case,
    registry,
    requirement::{self, Level},
};

/// Arguments of `coverage`.
#[derive(Debug, Args)]
pub(super) struct CoverageArguments {
    /// Requirements that no case can check, with the reasons.
    #[arg(long, value_name = "FILE", default_value = concat!(env!("CARGO_MANIFEST_DIR"), "/../spec/text/exceptions.toml"))]
    exceptions: PathBuf,
    /// Only the gaps.
    #[arg(long)]
    gaps: bool,
}

/// The file of exceptions.
#[derive(Debug, Default, Deserialize)]
struct Exceptions {
    #[serde(default, rename = "exception")]
    exceptions: Vec<Exception>,
}

/// A requirement that no case can check.
#[derive(Debug, Deserialize)]
struct Exception {
    id: String,
    reason: String,
}

impl CoverageArguments {
    pub(super) fn run(self) -> Result<u8, Stopped> {
        let text = std::fs::read_to_string(&self.exceptions).unwrap_or_default();
        let read: Exceptions = toml::from_str(&text)
            .map_err(|error| Stopped::Usage(format!("{}: {error}", self.exceptions.display())))?;
        let reasons: BTreeMap<_, _> = read
            .exceptions
            .iter()
            .map(|exception| (exception.id.as_str(), exception.reason.as_str()))
            .collect();
        let cases = registry::all().map_err(Stopped::harness)?;
        let mut code = AS_EXPECTED;
        let mut counts: BTreeMap<Level, (usize, usize, usize)> = BTreeMap::new();
        let mut drafted: BTreeMap<Level, usize> = BTreeMap::new();
        for requirement in requirement::all() {
            let of: Vec<&Case> =
                cases.iter().filter(|case| case.requirements.iter().any(|id| id == requirement.id)).collect();
            let reason = reasons.get(requirement.id);
            if requirement.is_draft && of.is_empty() && reason.is_none() {
                *drafted.entry(requirement.level).or_default() += 1;
                continue;
            }
            let count = counts.entry(requirement.level).or_default();
            match (of.is_empty(), reason) {
                (false, _) => count.0 += 1,
                (true, Some(_)) => count.1 += 1,
                (true, None) => count.2 += 1,
            }
            let is_gap = of.is_empty() && reason.is_none();
            if is_gap && requirement.level == Level::Must {
                code = FAILED;
            }
            if is_gap || !self.gaps {
                print(&line(requirement, &of, reason.copied()));
            }
            if !of.is_empty() && reason.is_some() {
                complain(&format!("{} has cases and does not need its exception", requirement.id));
                code = FAILED;
            }
        }
        for id in reasons.keys().filter(|id| requirement::find(id).is_none()) {
            complain(&format!("the exception for {id} is for no requirement"));
            code = FAILED;
        }
        for (level, (checked, excepted, gaps)) in counts.iter().rev() {
            print(&format!("{level:<6} {checked} checked, {excepted} excepted with a reason, {gaps} gaps\n"));
        }
        for (level, count) in drafted.iter().rev() {
            print(&format!("{level:<6} {count} of drafts without a case yet\n"));
        }
        Ok(code)
    }
}

fn line(requirement: &requirement::Requirement, cases: &[&Case], reason: Option<&str>) -> String {
    /// Most cases that are named.
    const NAMED_MAX: usize = 4;
    let named: Vec<&str> = cases.iter().take(NAMED_MAX).map(|case| case.id.as_str()).collect();
    let more = cases.len().saturating_sub(NAMED_MAX);
    let what = match (cases.is_empty(), reason) {
        (false, _) if more > 0 => format!("{} and {more} more", named.join(", ")),
        (false, _) => named.join(", "),
        (true, Some(reason)) => format!("no case: {reason}"),
        (true, None) => format!("GAP: {}", requirement.sentence),
    };
    format!("{:<10} {:<6} {what}\n", requirement.id, requirement.level)
}
