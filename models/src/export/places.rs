//! The places in the source at which the session machine acts or refuses, found by reading it, and the few of them
//! that nothing from outside can reach.

use std::{collections::BTreeSet, path::Path};

use super::{ExportError, features::Feature};

/// A place.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Place {
    /// The file's name.
    pub file: String,
    /// The line, counted from 1.
    pub line: u32,
    /// In which function.
    pub function: String,
    /// The line without the space around it.
    pub source: String,
    /// The requirement that is cited before it in the same function, if any is.
    requirement: Option<String>,
}

/// A place that no trace can reach, named in a way that lines above it don't change, and why.
struct Unreached {
    file: &'static str,
    function: &'static str,
    source: &'static str,
    reason: &'static str,
}

/// What the machine acts by; all of these say where they were called.
const CALLS: [&str; 19] = [
    "work.push(",
    "work.tell(",
    "work.invitation(",
    "work.disconnect(",
    ".send(",
    ".send_to_coordinator(",
    ".broadcast(",
    ".fault(",
    ".fail(",
    ".give_up(",
    ".refuse(",
    ".reject(",
    ".cancel(",
    ".return_token(",
    ".unexpected_at_coordinator(",
    ".wait_for_removal(",
    "self.show(",
    "not_possible(",
    "tell_failed(",
];

const UNREACHED: &[Unreached] = &[
    Unreached {
        file: "chat.rs",
        function: "say_what_waited",
        source: "work.tell(Notice::MessageUnsent { local });",
        reason: "in the models everybody takes the same media types, so no newcomer takes less than what waits",
    },
    Unreached {
        file: "chat.rs",
        function: "fail_uncounted",
        source: "tell_failed(outgoing.local, to, work);",
        reason: "needs a member that is not counted by a successor which it follows, with a message under way",
    },
    Unreached {
        file: "coordinator.rs",
        function: "offer_part",
        source: "others.iter().for_each(|peer| work.disconnect(peer, None));",
        reason: "only a wrong variant acts here",
    },
    Unreached {
        file: "member.rs",
        function: "leave",
        source: "others.iter().for_each(|peer| work.disconnect(peer, None));",
        reason: "only a wrong variant acts here",
    },
    Unreached {
        file: "inviter.rs",
        function: "link_up",
        source: "work.disconnect(&peer.handle, None);",
        reason: "a dial that was given up comes up at the same instant; in the models giving up ends it",
    },
    Unreached {
        file: "machine.rs",
        function: "linger",
        source: "Event::LinkUp { peer } => work.disconnect(&peer.handle, None),",
        reason: "a dial that was given up comes up at the same instant; in the models giving up ends it",
    },
    Unreached {
        file: "newcomer.rs",
        function: "link_up",
        source: "work.disconnect(&peer.handle, None);",
        reason: "a link to somebody whom a newcomer never dials",
    },
    Unreached {
        file: "newcomer.rs",
        function: "follow_successor",
        source: "work.push(Action::Send { to, message: self.message(SessionBody::Commit(commit)) });",
        reason: "needs a newcomer that loses two coordinators one after the other, between which somebody shows it the first one's word",
    },
    Unreached {
        file: "newcomer.rs",
        function: "read",
        source: "work.disconnect(&from.handle, Some(ErrorCode::NoSuchSession));",
        reason: "needs two strangers on links of their own to one newcomer, the second of which shows no ticket",
    },
    Unreached {
        file: "newcomer.rs",
        function: "commit",
        source: "return self.fault(from, ErrorCode::CommitRefused, work);",
        reason: "the welcome was checked for all that makes the newcomer's own join impossible",
    },
    Unreached {
        file: "succession.rs",
        function: "shown",
        source: "work.push(Action::Late { from: from.handle.clone() });",
        reason: "needs a second word while the last messages before the first one are still under way",
    },
];

/// Reads the source of the session machine.
///
/// # Errors
/// It isn't there.
pub fn read_places() -> Result<Vec<Place>, ExportError> {
    let folder = Path::new(concat!(env!("CARGO_MANIFEST_DIR"), "/../spec/src/session"));
    let failed = |error| ExportError::File(folder.display().to_string(), error);
    let mut places = Vec::new();
    let mut files: Vec<_> = std::fs::read_dir(folder)
        .and_then(|entries| entries.map(|entry| Ok(entry?.path())).collect())
        .map_err(failed)?;
    files.sort();
    for path in files.iter().filter(|path| !path.ends_with("tests.rs")) {
        let name = path.file_name().map(|name| name.to_string_lossy().into_owned()).unwrap_or_default();
        let text = std::fs::read_to_string(path).map_err(failed)?;
        read_file(&name, &text, &mut places);
    }
    Ok(places)
}

fn read_file(file: &str, text: &str, places: &mut Vec<Place>) {
    let mut function = String::new();
    let mut requirement = None;
    // What is called in a function that says where it was called is at that place, not at one of its own.
    let mut is_transparent = false;
    let mut says_where = false;
    for (line, source) in (1..).zip(text.lines()) {
        let source = source.trim();
        if source == "#[cfg(test)]" {
            break;
        }
        if let Some(cited) = source.strip_prefix("//# ") {
            requirement = cited.split_once(':').map(|(id, _)| id.to_owned());
        }
        if source.starts_with("//") {
            continue;
        }
        says_where |= source == "#[track_caller]";
        if let Some((before, rest)) = source.split_once("fn ")
            && (before.is_empty() || before.ends_with(' '))
            && !before.contains("//")
        {
            function = rest.split(['(', '<']).next().unwrap_or_default().to_owned();
            is_transparent = std::mem::take(&mut says_where);
            if !requirement_is_above(text, line) {
                requirement = None;
            }
        } else if !is_transparent && CALLS.iter().any(|call| source.contains(call)) {
            let (file, function) = (file.to_owned(), function.clone());
            let requirement = requirement.clone();
            places.push(Place { file, line, function, source: source.to_owned(), requirement });
        }
    }
}

/// Whether a citation stands right above a function.
fn requirement_is_above(text: &str, line: u32) -> bool {
    let before = usize::try_from(line).unwrap_or(usize::MAX).saturating_sub(2);
    let mut above = text.lines().take(before + 1).collect::<Vec<_>>();
    while above.last().is_some_and(|line| line.trim().starts_with("#[")) {
        above.pop();
    }
    above.last().is_some_and(|line| line.trim().starts_with("//#"))
}

impl Place {
    /// Why no trace reaches it, if that is known.
    #[must_use]
    pub fn excuse(&self) -> Option<&'static str> {
        let fits = |unreached: &&Unreached| {
            unreached.file == self.file
                && unreached.function == self.function
                && unreached.source == self.source
        };
        UNREACHED.iter().find(fits).map(|unreached| unreached.reason)
    }
}

impl std::fmt::Display for Place {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}:{}, {}: {}", self.file, self.line, self.function, self.source)
    }
}

/// The requirements of a trace that alone shows these features.
pub(super) fn requirements(alone: &[&Feature], places: &[Place]) -> Vec<&'static str> {
    let mut found: Vec<&'static str> = Vec::new();
    let mut add = |id: &'static str| {
        if !found.contains(&id) {
            found.push(id);
        }
    };
    for place in places.iter().filter(|place| alone.iter().any(|feature| feature.is_at(place))) {
        let cited = place.requirement.as_deref().and_then(antiphon_spec::requirement::find);
        if let Some(requirement) = cited {
            add(requirement.id);
        }
    }
    // What comes at the wrong time or wrong is refused; and the tables say what is done with whatever comes.
    if alone.iter().any(|feature| matches!(feature, Feature::Refused(..))) || found.is_empty() {
        found.push("SESS-024");
        found.dedup();
    }
    let mut seen = BTreeSet::new();
    found.retain(|id| seen.insert(*id));
    found
}

/// What only one trace shows, in words.
pub(super) fn told(alone: &[&Feature], places: &[Place]) -> String {
    let mut parts: Vec<String> = Vec::new();
    for place in places.iter().filter(|place| alone.iter().any(|feature| feature.is_at(place))) {
        let part = format!("{} {}", place.file.trim_end_matches(".rs"), place.function);
        if !parts.contains(&part) {
            parts.push(part);
        }
    }
    parts.extend(alone.iter().filter_map(|feature| match feature {
        Feature::Refused(what, code) => Some(format!("{what} refused with {code}")),
        Feature::At(..) => None,
    }));
    let more = parts.len().saturating_sub(SHOWN_MAX);
    parts.truncate(SHOWN_MAX);
    if more > 0 {
        parts.push(format!("{more} more"));
    }
    format!("alone in reaching: {}", parts.join("; "))
}

/// So many things that a trace shows are named.
const SHOWN_MAX: usize = 6;
