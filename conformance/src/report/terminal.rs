//! What a person reads: each failed case with everything that is needed to look into it, and the totals.

use std::{fmt::Write as _, time::Duration};

use super::totals;
use crate::{
    case::{Body, Failure},
    requirement::{self, Level},
    run::{Outcome, Verdict},
};

/// Most characters of one value that is shown.
const SHOWN_MAX: usize = 1_600;

/// A case that did not pass: the requirement, what was expected, what came, and how to run it again.
pub(crate) fn failed(outcome: &Outcome, target: &str) -> String {
    let Outcome { case, verdict, failure, .. } = outcome;
    let mut text = format!("{} {} [{}] {}\n", verdict.as_str(), case.id, case.role, case.about);
    for id in &case.requirements {
        if let Some(requirement) = requirement::find(id) {
            let _ = writeln!(text, "  {id} ({}): {}", requirement.chapter, requirement.sentence);
        }
    }
    match failure {
        Some(Failure::Unexpected { expected, got }) => {
            let _ = writeln!(text, "  expected: {}\n  got:      {}", cut(expected), cut(got));
        }
        Some(Failure::NotReady(what)) => {
            let _ = writeln!(text, "  a process did not get ready: {}", cut(what));
        }
        Some(Failure::Unsupported(reason)) => {
            let _ = writeln!(text, "  not supported: {}", cut(reason));
        }
        Some(Failure::Harness(what)) => {
            let _ = writeln!(text, "  the suite failed: {}", cut(what));
        }
        None => {}
    }
    if let Body::Vector(vector) = &case.body {
        let input = serde_json::Value::Object(vector.input.clone()).to_string();
        let _ = writeln!(text, "  input:    {} {}", vector.operation, cut(&input));
        if let Some(diagnostic) = &vector.diagnostic {
            let _ = writeln!(text, "  which is: {}", cut(diagnostic));
        }
    }
    let _ = writeln!(text, "  again:    antiphon-conformance run --target {target} {}", case.id);
    text
}

fn cut(text: &str) -> String {
    let mut short: String = text.chars().take(SHOWN_MAX).collect();
    if short.len() < text.len() {
        short.push_str(" ..");
    }
    short
}

/// The totals.
pub(crate) fn summary(name: &str, outcomes: &[Outcome], selected: usize, duration: Duration) -> String {
    let live = outcomes.iter().filter(|outcome| outcome.case.is_live()).count();
    let mut text = format!(
        "{name}: {} cases ({} vectors, {live} live) in {:.1} s\n",
        outcomes.len(),
        outcomes.len() - live,
        duration.as_secs_f64()
    );
    for level in Level::ALL {
        let (met, all) = totals(outcomes, level);
        let _ = writeln!(text, "  {level:<6} {met}/{all}");
    }
    for role in crate::case::Role::ALL {
        let of_role = || outcomes.iter().filter(|outcome| outcome.case.role == role);
        if of_role().next().is_some() {
            let passed = of_role().filter(|outcome| outcome.verdict == Verdict::Pass).count();
            let _ = writeln!(text, "  {role:<8} {passed}/{}", of_role().count());
        }
    }
    for verdict in Verdict::ALL {
        let count = outcomes.iter().filter(|outcome| outcome.verdict == verdict).count();
        if count > 0 {
            let _ = writeln!(text, "  {:<12} {count}", verdict.as_str());
        }
    }
    if outcomes.len() < selected {
        let _ = writeln!(text, "  {:<12} {}", "NOT RUN", selected - outcomes.len());
    }
    text
}
