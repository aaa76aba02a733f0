//! `list` and `explain`.

use clap::Args;
use serde_json::json;

use super::{AS_EXPECTED, Stopped, print};
use crate::{case::Body, registry, requirement, run::level};

/// Arguments of `list`.
#[derive(Debug, Args)]
pub(super) struct ListArguments {
    /// Which: IDs with `*`, uids, requirement IDs, roles, or `vector` and `live`.
    selectors: Vec<String>,
    /// As one JSON object a line.
    #[arg(long)]
    json: bool,
}

impl ListArguments {
    pub(super) fn run(self) -> Result<u8, Stopped> {
        let cases = registry::all().map_err(Stopped::harness)?;
        let chosen: Vec<_> = cases
            .iter()
            .filter(|case| self.selectors.is_empty() || registry::selected(case, &self.selectors))
            .collect();
        for case in &chosen {
            let level = level(case);
            if self.json {
                let line = json!({
                    "id": case.id, "uid": case.uid, "role": case.role, "kind": case.kind(), "level": level.as_str(),
                    "requirements": case.requirements, "twin": case.twin, "about": case.about,
                });
                print(&format!("{line}\n"));
            } else {
                print(&format!(
                    "{} {:<8} {:<6} {level:<6} {:<60} {}\n",
                    case.uid,
                    case.role,
                    case.kind(),
                    case.id,
                    case.requirements.join(" ")
                ));
            }
        }
        if !self.json {
            print(&format!("{} cases\n", chosen.len()));
        }
        Ok(AS_EXPECTED)
    }
}

/// Arguments of `explain`.
#[derive(Debug, Args)]
pub(super) struct ExplainArguments {
    /// The case's ID or uid.
    id: String,
}

impl ExplainArguments {
    pub(super) fn run(self) -> Result<u8, Stopped> {
        let cases = registry::all().map_err(Stopped::harness)?;
        let case = cases.into_iter().find(|case| case.id == self.id || case.uid == self.id);
        let case = case.ok_or_else(|| {
            Stopped::Usage(format!("there is no case {}; antiphon-conformance list shows all", self.id))
        })?;
        print(&format!(
            "{} ({}), {} case for the role {}\n  {}\n",
            case.id,
            case.uid,
            case.kind(),
            case.role,
            case.about
        ));
        for requirement in case.requirements.iter().filter_map(|id| requirement::find(id)) {
            print(&format!(
                "  {} (spec/text/{}): {}\n",
                requirement.id, requirement.chapter, requirement.sentence
            ));
        }
        if let Some(twin) = &case.twin {
            print(&format!("  accepted is: {twin}\n"));
        }
        if let Body::Vector(vector) = &case.body {
            let text = serde_json::to_string_pretty(&**vector).map_err(Stopped::harness)?;
            print(&format!("{text}\n"));
        }
        Ok(AS_EXPECTED)
    }
}
