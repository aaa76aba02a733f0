//! A run as JUnit XML, with the requirements of each case as properties.

use std::{collections::BTreeMap, time::Duration};

use quick_junit::{NonSuccessKind, Property, Report, TestCase, TestCaseStatus, TestSuite};

use crate::{
    case::Failure,
    requirement,
    run::{Outcome, Verdict},
};

/// The run as a JUnit file.
///
/// # Errors
/// Never, for these texts.
pub(crate) fn junit(
    name: &str,
    outcomes: &[Outcome],
    duration: Duration,
) -> Result<String, quick_junit::SerializeError> {
    let mut report = Report::new(name);
    report.set_time(duration);
    let mut areas: BTreeMap<&str, Vec<&Outcome>> = BTreeMap::new();
    for outcome in outcomes {
        let area = outcome.case.id.split('/').next().unwrap_or_default();
        areas.entry(area).or_default().push(outcome);
    }
    for (area, outcomes) in areas {
        let mut suite = TestSuite::new(area);
        suite.add_test_cases(outcomes.into_iter().map(case));
        report.add_test_suite(suite);
    }
    report.to_string()
}

fn case(outcome: &Outcome) -> TestCase {
    let Outcome { case, verdict, failure, answered: _, duration } = outcome;
    let mut status = match verdict {
        Verdict::Pass | Verdict::PassLax => TestCaseStatus::success(),
        Verdict::Fail | Verdict::Xpass => TestCaseStatus::non_success(NonSuccessKind::Failure),
        Verdict::Error => TestCaseStatus::non_success(NonSuccessKind::Error),
        Verdict::Xfail | Verdict::Unsupported => TestCaseStatus::skipped(),
    };
    if *verdict != Verdict::Pass && *verdict != Verdict::PassLax {
        let message = match failure {
            Some(Failure::Unexpected { expected, got }) => format!("expected {expected}, got {got}"),
            Some(Failure::NotReady(what)) => format!("a process did not get ready: {what}"),
            Some(Failure::Unsupported(reason)) => format!("not supported: {reason}"),
            Some(Failure::Harness(what)) => format!("the suite failed: {what}"),
            None => "passed although a failure was expected".to_owned(),
        };
        status.set_message(message);
    }
    let mut test = TestCase::new(case.id.as_str(), status);
    test.set_classname(case.role.as_str()).set_time(*duration);
    test.add_property(Property::new("uid", case.uid.as_str()));
    for id in &case.requirements {
        let sentence = requirement::find(id).map_or("", |requirement| requirement.sentence);
        test.add_property(Property::new("requirement", format!("{id}: {sentence}")));
    }
    test
}
