//! All cases, in one list.

use std::sync::Arc;

use crate::{
    case::{Body, Case, uid},
    live,
    target::fits,
    vector::{self, VectorFile},
};

/// Why there is no list: the files of vectors cannot be read.
#[derive(Debug, thiserror::Error)]
#[error("vectors/{file}: {source}; run antiphon-conformance vectors --write")]
pub(crate) struct RegistryError {
    file: &'static str,
    source: serde_json::Error,
}

/// Every case: the vectors first, then the live ones.
///
/// # Errors
/// A file of vectors that the suite was built with is broken.
pub(crate) fn all() -> Result<Vec<Case>, RegistryError> {
    let mut cases = Vec::new();
    for (file, text) in vector::FILES {
        let read: VectorFile = serde_json::from_str(text).map_err(|source| RegistryError { file, source })?;
        cases.extend(read.cases.into_iter().map(|case| Case {
            id: case.id.clone(),
            uid: case.uid.clone(),
            role: case.role,
            requirements: case.requirements.clone(),
            twin: case.twin.clone(),
            about: case.about.clone(),
            body: Body::Vector(Arc::new(case)),
        }));
    }
    cases.extend(live::all().map(|case| Case {
        id: case.id.to_owned(),
        uid: uid(case.id),
        role: case.role,
        requirements: case.requirements.iter().map(|id| (*id).to_owned()).collect(),
        twin: case.twin.map(str::to_owned),
        about: case.about.to_owned(),
        body: Body::Live(case.test),
    }));
    Ok(cases)
}

/// The cases that a selector means: an ID or a pattern with `*`, a `uid`, a requirement's ID, a role, or a kind.
/// A case that is slow has to be named.
pub(crate) fn selected(case: &Case, selectors: &[String]) -> bool {
    let named = |selector: &String| {
        let by_name = fits(selector, &case.id) && selector != "*";
        by_name || *selector == case.uid || case.requirements.contains(selector)
    };
    let meant = |selector: &String| {
        selector == "*" || selector == case.role.as_str() || selector == case.kind() || named(selector)
    };
    if case.is_slow() {
        selectors.iter().any(named)
    } else {
        selectors.is_empty() || selectors.iter().any(meant)
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;
    use crate::{requirement, vector::Expect};

    #[test]
    fn ids_and_uids_are_unique() {
        let cases = all().unwrap();
        let ids: BTreeSet<_> = cases.iter().map(|case| &case.id).collect();
        let uids: BTreeSet<_> = cases.iter().map(|case| &case.uid).collect();
        assert_eq!(ids.len(), cases.len());
        assert_eq!(uids.len(), cases.len());
    }

    #[test]
    fn an_id_is_an_area_and_a_slug() {
        for case in all().unwrap() {
            let (area, slug) = case.id.split_once('/').unwrap();
            let is_word = |b: u8| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'-' || b == b'.';
            assert!(
                !area.is_empty() && !slug.is_empty() && area.bytes().chain(slug.bytes()).all(is_word),
                "{}",
                case.id
            );
        }
    }

    #[test]
    fn every_requirement_that_a_case_names_exists() {
        for case in all().unwrap() {
            assert!(!case.requirements.is_empty(), "{}", case.id);
            for id in &case.requirements {
                assert!(requirement::find(id).is_some(), "{} names {id}", case.id);
            }
        }
    }

    #[test]
    fn every_twin_exists_and_every_rejected_vector_has_an_accepted_one() {
        let cases = all().unwrap();
        for case in &cases {
            if let Some(twin) = &case.twin {
                assert!(cases.iter().any(|other| other.id == *twin), "{}: no {twin}", case.id);
            }
            let Body::Vector(vector) = &case.body else { continue };
            if matches!(vector.expect, Expect::Reject { .. }) {
                let twin = cases.iter().find(|other| Some(&other.id) == case.twin.as_ref()).unwrap();
                let Body::Vector(twin) = &twin.body else { panic!("{}: the twin is live", case.id) };
                assert!(matches!(twin.expect, Expect::Accept { .. }), "{}: the twin is rejected", case.id);
                assert_ne!(twin.input, vector.input, "{}: the twin has the same input", case.id);
            }
        }
    }

    #[test]
    fn the_suite_is_as_big_as_it_says() {
        let cases = all().unwrap();
        assert!(cases.iter().filter(|case| case.is_live()).count() >= 100);
        assert!(cases.len() >= 500);
    }

    #[test]
    fn what_the_chapter_of_attacks_names_exists() {
        use antiphon_protocol::mutant::Mutant as WireMutant;
        use antiphon_spec::mutant::Mutant as MachineMutant;

        let cases = all().unwrap();
        let mutants: Vec<&str> = WireMutant::ALL
            .iter()
            .map(|mutant| mutant.name())
            .chain(MachineMutant::ALL.iter().map(|mutant| mutant.name()))
            .collect();
        let text = concat!(
            include_str!("../../spec/text/attacks.md"),
            include_str!("../../spec/text/certificate-attacks.md")
        );
        let shown = text
            .lines()
            .filter(|line| line.starts_with("| "))
            .filter_map(|line| line.trim_end_matches(" |").rsplit(" | ").next());
        let mut named = 0;
        for name in shown.flat_map(|cell| cell.split('`').skip(1).step_by(2)) {
            named += 1;
            assert!(
                mutants.contains(&name) || cases.iter().any(|case| case.id == name),
                "nothing is named {name}"
            );
        }
        assert!(named > 30, "only {named} names were found");
    }

    #[test]
    fn each_attack_with_a_certificate_is_refused_for_the_reason_of_its_row() {
        let cases = all().unwrap();
        let text = include_str!("../../spec/text/certificate-attacks.md");
        let mut attacks = 0;
        for row in text.lines().filter(|line| line.starts_with("| ") && line.contains('`')) {
            let columns: Vec<&str> = row.trim_matches(['|', ' ']).split(" | ").collect();
            let [attack, _, reason, shown] = columns.as_slice() else { panic!("not four columns: {row}") };
            attacks += 1;
            let Some(reason) = reason.strip_prefix('`').and_then(|reason| reason.strip_suffix('`')) else {
                continue;
            };
            for name in shown.split('`').skip(1).step_by(2) {
                let Some(case) = cases.iter().find(|case| case.id == name) else { continue };
                if let Body::Vector(vector) = &case.body {
                    let Expect::Reject { reasons, .. } = &vector.expect else { panic!("{name} is accepted") };
                    assert!(
                        reasons.iter().any(|allowed| allowed == reason),
                        "{attack}: {name} is for {reasons:?}"
                    );
                }
            }
        }
        assert!(attacks >= 40, "only {attacks} attacks");
    }
}
