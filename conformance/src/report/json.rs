//! A run as JSON.

use std::time::Duration;

use serde_json::{Value, json};

use super::totals;
use crate::{
    case::Failure,
    requirement::Level,
    run::{Outcome, Verdict},
};

/// The run as one JSON object.
pub(crate) fn json(name: &str, outcomes: &[Outcome], selected: usize, duration: Duration) -> Value {
    let levels: serde_json::Map<String, Value> = Level::ALL
        .into_iter()
        .map(|level| {
            let (met, all) = totals(outcomes, level);
            (level.as_str().to_owned(), json!({"met": met, "cases": all}))
        })
        .collect();
    let verdicts: serde_json::Map<String, Value> = Verdict::ALL
        .into_iter()
        .map(|verdict| {
            (
                verdict.as_str().to_owned(),
                outcomes.iter().filter(|outcome| outcome.verdict == verdict).count().into(),
            )
        })
        .collect();
    json!({
        "schema": "antiphon-results-1",
        "suite": env!("CARGO_PKG_VERSION"),
        "target": name,
        "milliseconds": milliseconds(duration),
        "levels": levels,
        "verdicts": verdicts,
        "not-run": selected.saturating_sub(outcomes.len()),
        "cases": outcomes.iter().map(case).collect::<Vec<_>>(),
    })
}

fn milliseconds(duration: Duration) -> u64 {
    u64::try_from(duration.as_millis()).unwrap_or(u64::MAX)
}

fn case(outcome: &Outcome) -> Value {
    let Outcome { case, verdict, failure, answered: _, duration } = outcome;
    let failure = failure.as_ref().map(|failure| match failure {
        Failure::Unexpected { expected, got } => json!({"expected": expected, "got": got}),
        Failure::NotReady(what) => json!({"not-ready": what}),
        Failure::Unsupported(reason) => json!({"unsupported": reason}),
        Failure::Harness(what) => json!({"harness": what}),
    });
    json!({
        "id": case.id,
        "uid": case.uid,
        "role": case.role,
        "kind": case.kind(),
        "level": outcome.level().as_str(),
        "requirements": case.requirements,
        "verdict": verdict.as_str(),
        "milliseconds": milliseconds(*duration),
        "failure": failure,
    })
}
