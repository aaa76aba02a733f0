//! The places in the source at which the session machine acts or refuses, found by reading it, and the few of them
//! that nothing from outside can reach.

use std::path::Path;

use super::ExportError;

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
    pub(super) requirement: Option<String>,
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
        file: "newcomer.rs",
        function: "link_up",
        source: "work.disconnect(&peer.handle, None);",
        reason: "a link comes up only to whom the client has dialled, and a newcomer dials members alone",
    },
    Unreached {
        file: "newcomer.rs",
        function: "commit",
        source: "return self.fault(from, ErrorCode::CommitRefused, work);",
        reason: "the welcome was checked for all that makes the newcomer's own join impossible: its handle, its key, and the number of members",
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
    // Where only a wrong variant acts, nobody else can: the space before such a block, up to its end.
    let mut wrong: Option<usize> = None;
    for (line, raw) in (1..).zip(text.lines()) {
        let source = raw.trim();
        let indent = raw.len() - raw.trim_start().len();
        if source == "#[cfg(test)]" {
            break;
        }
        if let Some(before) = wrong {
            if indent <= before && source.starts_with('}') {
                wrong = None;
            }
            continue;
        }
        if source.starts_with("if active(Mutant::") && source.ends_with(") {") {
            wrong = Some(indent);
            continue;
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

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(text: &str, expected: &[(u32, &str, Option<&str>)]) {
        let mut places = Vec::new();
        read_file("some.rs", text, &mut places);
        let found = places.iter().map(|place| {
            assert_eq!(text.lines().nth(place.line as usize - 1).map(str::trim), Some(place.source.as_str()));
            (place.line, place.function.as_str(), place.requirement.as_deref())
        });
        assert_eq!(found.collect::<Vec<_>>(), expected, "{text}");
    }

    #[test]
    fn a_place_is_a_line_that_acts() {
        check("", &[]);
        check("fn quiet() {\n    let a = 1;\n}\n", &[]);
        check("fn f(work: &mut W) {\n    work.tell(a);\n}\n", &[(2, "f", None)]);
        check(
            "pub(super) fn f<T>(w: &mut T) {\n    work.push(a);\n    x.send(b);\n}\n",
            &[(2, "f", None), (3, "f", None)],
        );
        // What is said about it is no place, and after the tests' beginning there is none.
        check("fn f() {\n    // work.tell(a);\n}\n", &[]);
        check("fn f() {\n}\n#[cfg(test)]\nfn g() {\n    work.tell(a);\n}\n", &[]);
        // One that says where it was called acts at that place.
        check(
            "#[track_caller]\nfn f() {\n    work.tell(a);\n}\nfn g() {\n    self.fault(a);\n}\n",
            &[(6, "g", None)],
        );
    }

    #[test]
    fn a_wrong_variant_is_no_place() {
        check(
            "fn f() {\n    if active(Mutant::A) {\n        work.tell(a);\n    }\n    work.tell(b);\n}\n",
            &[(5, "f", None)],
        );
        check(
            "fn f() {\n    if active(Mutant::A) {\n        if b {\n            c();\n        }\n        work.tell(a);\n    } else {\n        work.tell(b);\n    }\n}\n",
            &[(8, "f", None)],
        );
        check("fn f() {\n    if !active(Mutant::A) {\n        work.tell(a);\n    }\n}\n", &[(3, "f", None)]);
    }

    #[test]
    fn a_place_has_what_is_cited_before_it_in_its_function() {
        let cited = "    //= spec/text/sessions.md#messages\n    //# SESS-170: A member MUST.\n";
        check(
            &format!(
                "fn f() {{\n    work.tell(a);\n{cited}    work.tell(b);\n}}\nfn g() {{\n    work.tell(c);\n}}\n"
            ),
            &[(2, "f", None), (5, "f", Some("SESS-170")), (8, "g", None)],
        );
        check(&format!("{cited}fn f() {{\n    work.tell(a);\n}}\n"), &[(4, "f", Some("SESS-170"))]);
        check(
            &format!("{cited}#[must_use]\nfn f() {{\n    work.tell(a);\n}}\n"),
            &[(5, "f", Some("SESS-170"))],
        );
    }

    #[test]
    fn the_machine_has_places_and_each_excuse_is_for_one_of_them() {
        let places = read_places().expect("the source");
        assert!(places.len() > 100, "{}", places.len());
        for unreached in UNREACHED {
            let fits = places.iter().filter(|place| place.excuse() == Some(unreached.reason)).count();
            assert!(fits <= 1, "{}: {}", unreached.file, unreached.source);
        }
    }
}
