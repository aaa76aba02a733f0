//! The text keeps the rules that it gives for itself, and says what the code says.

use std::{
    collections::{BTreeMap, BTreeSet},
    fs,
    path::{Path, PathBuf},
    time::Duration,
};

use super::*;
use crate::{error_code::ErrorCode, limits, mutant};

const KEY_WORDS: [&str; 5] = ["MUST", "SHOULD", "MAY", "SHALL", "REQUIRED"];

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("..")
}

fn read(name: &str) -> String {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("text").join(name);
    fs::read_to_string(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
}

/// Every chapter of the book: the files that the summary links.
fn book() -> BTreeMap<String, String> {
    let summary = read("SUMMARY.md");
    links(&summary).map(|file| (file.to_owned(), read(file))).collect()
}

/// The targets of the links in a text.
fn links(text: &str) -> impl Iterator<Item = &str> {
    text.split("](").skip(1).filter_map(|rest| rest.split(')').next())
}

/// The lines outside fenced blocks.
fn prose(text: &str) -> impl Iterator<Item = &str> {
    let mut fenced = false;
    text.lines().filter(move |line| {
        let fence = line.starts_with("```");
        fenced ^= fence;
        !fenced && !fence
    })
}

/// A line without what stands in backticks.
fn without_code(line: &str) -> String {
    line.split('`').step_by(2).collect()
}

fn key_words(line: &str) -> Vec<String> {
    let plain = without_code(line);
    let words = plain.split(|c: char| !c.is_ascii_alphanumeric());
    words.filter(|word| KEY_WORDS.contains(word)).map(str::to_owned).collect()
}

/// The texts in backticks in the cells of a table's rows; a row is a line that begins with `| ` and a backtick.
fn rows(text: &str) -> impl Iterator<Item = Vec<&str>> {
    let lines = text.lines().filter(|line| line.starts_with("| `"));
    lines.map(|line| line.trim_matches('|').split('|').map(|cell| cell.trim().trim_matches('`')).collect())
}

/// IDs in a text, of a prefix that a chapter has.
fn references(text: &str) -> BTreeSet<String> {
    let mut found = BTreeSet::new();
    for chapter in CHAPTERS {
        for (at, _) in text.match_indices(&format!("{}-", chapter.prefix)) {
            let begins = !text[..at].ends_with(|c: char| c.is_ascii_alphanumeric() || c == '-');
            let number = &text[at + chapter.prefix.len() + 1..];
            let digits = number.bytes().take_while(u8::is_ascii_digit).count();
            let after = number[digits..].chars().next();
            if begins && digits == 3 && !after.is_some_and(|c| c.is_ascii_alphanumeric()) {
                found.insert(format!("{}-{}", chapter.prefix, &number[..3]));
            }
        }
    }
    found
}

#[test]
fn ids_are_unique_and_ascend_within_a_section() {
    let mut seen = BTreeSet::new();
    for requirement in all() {
        assert!(seen.insert(requirement.id), "{} stands twice", requirement.id);
    }
    for pair in all().windows(2) {
        let one_section = pair[0].chapter == pair[1].chapter && pair[0].section == pair[1].section;
        assert!(!one_section || pair[0].id < pair[1].id, "{} stands before {}", pair[0].id, pair[1].id);
    }
    assert!(seen.len() > 300, "only {} requirements were found", seen.len());
}

#[test]
fn every_prefix_belongs_to_its_chapter() {
    let introduction = read("introduction.md");
    for chapter in CHAPTERS {
        assert!(
            introduction.lines().any(|line| line.starts_with(&format!("| {} |", chapter.prefix))
                && line.contains(&format!("({})", chapter.file))),
            "{} isn't in the introduction's table",
            chapter.prefix
        );
    }
    for (file, text) in book() {
        let prefix = CHAPTERS.iter().find(|chapter| chapter.file == file).map(|chapter| chapter.prefix);
        for (id, _) in prose(&text).filter_map(split_id) {
            assert_eq!(id.split_once('-').map(|(own, _)| own), prefix, "{id} stands in {file}");
        }
    }
}

#[test]
fn a_draft_says_so() {
    for chapter in CHAPTERS {
        let says = chapter.text.lines().nth(2) == Some("This chapter is a draft.");
        assert_eq!(says, chapter.is_draft, "{}", chapter.file);
    }
}

#[test]
fn a_requirement_is_one_sentence_with_one_key_word() {
    for requirement in all() {
        assert_eq!(key_words(requirement.sentence), [requirement.level.as_str()], "{}", requirement.id);
        assert!(requirement.sentence.ends_with('.'), "{} doesn't end", requirement.id);
    }
    for chapter in CHAPTERS {
        let lines = chapter.text.lines().filter(|line| split_id(line).is_some()).count();
        assert_eq!(
            lines,
            all().iter().filter(|requirement| requirement.chapter == chapter.file).count(),
            "{}",
            chapter.file
        );
    }
}

#[test]
fn a_line_holds_one_sentence() {
    for (file, text) in book() {
        for line in prose(&text).filter(|line| !line.starts_with('|')) {
            let plain = without_code(line);
            let second = plain
                .match_indices(". ")
                .any(|(at, _)| plain[at + 2..].starts_with(|c: char| c.is_ascii_uppercase()));
            let is_item = plain.starts_with("- **");
            assert!(!second || is_item, "{file}: two sentences in one line: {line}");
        }
    }
}

#[test]
fn key_words_stand_in_requirements_only() {
    for (file, text) in book() {
        for line in prose(&text).filter(|line| split_id(line).is_none()) {
            assert!(key_words(line).is_empty(), "{file}: a key word outside a requirement: {line}");
        }
    }
}

#[test]
fn retired_ids_are_never_used_again() {
    let retired = read("retired.toml");
    assert!(retired.contains("retired = ["), "the list of retired IDs is gone");
    for id in references(&retired) {
        assert!(find(&id).is_none(), "{id} was retired and is used again");
    }
}

#[test]
fn exceptions_are_of_requirements_that_have_to_be_done() {
    let text = read("exceptions.toml");
    let ids: Vec<&str> =
        text.lines().filter_map(|line| line.strip_prefix("id = \"")?.strip_suffix('"')).collect();
    let reasons = text.lines().filter(|line| line.starts_with("reason = \"")).count();
    assert_eq!(ids.len(), reasons, "each exception has an id and a reason");
    assert_eq!(ids.len(), ids.iter().collect::<BTreeSet<_>>().len(), "an exception stands twice");
    for id in ids {
        let requirement = find(id).unwrap_or_else(|| panic!("{id} doesn't exist"));
        assert_eq!(requirement.level, Level::Must, "{id} needs no exception");
    }
}

/// Hands every file below a folder to `visit` whose name ends in one of the suffixes.
fn walk(folder: &Path, visit: &mut impl FnMut(&Path, &str)) {
    const SUFFIXES: [&str; 5] = [".rs", ".md", ".json", ".toml", ".cddl"];
    let entries = fs::read_dir(folder).unwrap_or_else(|error| panic!("{}: {error}", folder.display()));
    for path in entries.map(|entry| entry.unwrap().path()) {
        let name = path.file_name().unwrap().to_string_lossy();
        if path.is_dir() && name != "target" && !name.starts_with('.') {
            walk(&path, visit);
        } else if path.is_file() && SUFFIXES.iter().any(|suffix| name.ends_with(suffix)) {
            visit(&path, &fs::read_to_string(&path).unwrap());
        }
    }
}

#[test]
fn every_id_that_is_named_exists() {
    let mut named = 0;
    for folder in ["spec", "protocol", "impl", "models", "fuzz", "conformance", "tests"] {
        walk(&root().join(folder), &mut |path, text| {
            if path.ends_with("text/retired.toml") {
                return;
            }
            for id in references(text) {
                named += 1;
                assert!(find(&id).is_some(), "{} names {id}, which doesn't exist", path.display());
            }
        });
    }
    assert!(named > 500, "only {named} references were found");
}

#[test]
fn every_link_of_the_book_leads_somewhere() {
    let book = book();
    let anchors = |text: &str| -> BTreeSet<String> {
        prose(text)
            .filter(|line| line.starts_with('#'))
            .map(|line| slug(line.trim_start_matches('#').trim()))
            .collect()
    };
    for (file, text) in &book {
        for target in prose(text).flat_map(links).filter(|target| !target.starts_with("https://")) {
            let (to, anchor) =
                target.split_once('#').map_or((target, None), |(to, anchor)| (to, Some(anchor)));
            let to = if to.is_empty() { file } else { to };
            let linked = book.get(to).unwrap_or_else(|| panic!("{file} links {target}, which is no chapter"));
            assert!(
                anchor.is_none_or(|anchor| anchors(linked).contains(anchor)),
                "{file} links {target}: no such section"
            );
        }
    }
}

#[test]
fn every_link_to_a_requirement_leads_to_its_section() {
    for (file, text) in book() {
        for link in text.split('[').skip(1) {
            let Some((id, rest)) = link.split_once("](") else { continue };
            let Some(requirement) = find(id) else { continue };
            let target = rest.split(')').next().unwrap();
            let full = if target.starts_with('#') { format!("{file}{target}") } else { target.to_owned() };
            assert_eq!(full, requirement.anchor(), "{file} links {id}");
        }
    }
}

#[test]
fn every_chapter_is_in_the_summary() {
    let book = book();
    walk(&Path::new(env!("CARGO_MANIFEST_DIR")).join("text"), &mut |path, _| {
        let name = path.file_name().unwrap().to_string_lossy();
        assert!(
            !name.ends_with(".md") || name == "SUMMARY.md" || book.contains_key(&*name),
            "{name} isn't in the summary"
        );
    });
}

#[test]
fn the_table_of_error_codes_is_the_list_of_the_code() {
    let text = read("errors.md");
    let table: Vec<Vec<&str>> = rows(&text).collect();
    assert_eq!(
        table.iter().map(|row| row[0]).collect::<Vec<_>>(),
        ErrorCode::ALL.iter().map(|code| code.as_str()).collect::<Vec<_>>()
    );
    for row in table {
        let ids = references(row.last().unwrap());
        assert!(!ids.is_empty(), "`{}` names no requirement", row[0]);
        for id in ids {
            let sentence = find(&id).unwrap().sentence;
            assert!(sentence.contains(&format!("`{}`", row[0])), "{id} doesn't speak of `{}`", row[0]);
        }
    }
}

#[test]
fn every_error_code_of_a_requirement_is_in_the_table() {
    let text = read("errors.md");
    for requirement in all() {
        for code in ErrorCode::ALL.iter().filter(|code| requirement.sentence.contains(&format!("`{code}`"))) {
            let row = text.lines().find(|line| line.starts_with(&format!("| `{code}` |"))).unwrap();
            assert!(row.contains(requirement.id), "the row of `{code}` lacks {}", requirement.id);
        }
    }
}

#[test]
fn the_table_of_limits_is_the_list_of_the_code() {
    macro_rules! values {
        ($($size:ident)*; $($time:ident)*) => {
            [$((stringify!($size), (limits::$size as u64, ""))),*].into_iter().chain([$((stringify!($time), as_told(limits::$time))),*])
        };
    }
    fn as_told(time: Duration) -> (u64, &'static str) {
        match (time.as_secs(), u64::from(time.subsec_millis())) {
            (seconds, 0) => (seconds, "seconds"),
            (seconds, rest) => (seconds * 1000 + rest, "milliseconds"),
        }
    }
    let code: BTreeMap<&str, (u64, &str)> = values! {
        SESSION_MEMBERS_MAX CONTENT_BYTES_MAX MEDIA_TYPE_BYTES_MAX MEDIA_TYPES_MAX MEDIA_TYPES_BYTES_MAX UNACKNOWLEDGED_MAX OUTBOX_MAX HELD_PER_PEER_MAX
        REQUESTS_PER_MEMBER_MAX INVITATIONS_MAX HELD_TICKETS_MAX FRAME_BYTES_MAX_REGISTRATION
        FRAME_BYTES_MAX_CLIENT_SERVER FRAME_BYTES_MAX_SERVER FRAME_BYTES_MAX_CLIENT_CLIENT CBOR_DEPTH_MAX
        PREFERENCE_LIST_MAX REGISTRATION_CODE_BYTES_MAX CONTACT_RECORDS_MAX LOCATION_HOPS_MAX LOCATION_CHILDREN_ASKED_MAX LOCATION_REQUESTS_MAX LINK_HAVE_INTERVAL LINK_KEPT_MAX INSTANT_DIALS_MAX INSTANTS_PER_SENDER_MAX INSTANTS_REMEMBERED_MAX
        TREE_PATH_MAX TREE_CHILDREN_MAX PRESENCE_HOPS_MAX RELAY_TAGS_MAX RELAY_LINKS_MAX RELAY_WINDOW_BYTES RELAY_DATA_BYTES_MAX;
        INVITATION_LIFETIME WELCOME_DEADLINE GRANT_LEASE JOIN_DEADLINE CLOSE_DEADLINE FLUSH_DEADLINE ACKNOWLEDGEMENT_DEADLINE LOST_MEMBER_DEADLINE LOST_MEMBER_DEADLINE_OF_LESSER LINGER
        INSTANT_DEADLINE INSTANT_MEMORY CLOCK_SKEW LOGIN_LEASE LOCATION_LEASE GREETING_DEADLINE KEEP_ALIVE_INTERVAL REQUEST_DEADLINE USER_CERTIFICATE_LIFETIME
        RELAY_OPEN_DEADLINE REFUSAL_BEAT LINK_PATIENCE_MAX LINK_RETRY_INTERVAL
    }
    .collect();
    let text = read("limits.md");
    // The tables of rates and of settings, further below, are not of the protocol.
    let (text, _) = text.split_once("\n## Rules").unwrap();
    let unit = |unit| if ["seconds", "milliseconds"].contains(&unit) { unit } else { "" };
    let table: BTreeMap<&str, (u64, &str)> =
        rows(text).map(|row| (row[0], (row[1].parse().unwrap(), unit(row[2])))).collect();
    assert_eq!(table, code);
    let source = include_str!("../limits.rs");
    let declared: BTreeSet<&str> =
        source.lines().filter_map(|line| line.strip_prefix("pub const ")?.split(':').next()).collect();
    assert_eq!(declared, code.keys().copied().collect());
}

#[test]
fn the_grammar_has_the_error_codes_of_the_code() {
    let grammar = include_str!("../../cddl/antiphon.cddl");
    let rule = grammar.split_once("\nerror-code = ").unwrap().1;
    let codes: Vec<&str> = rule.split('"').skip(1).step_by(2).collect();
    assert_eq!(codes, ErrorCode::ALL.iter().map(|code| code.as_str()).collect::<Vec<_>>());
}

#[test]
fn the_mutants_of_the_models_are_in_the_library_of_counterexamples() {
    let text = read("counterexamples.md");
    for mutant in mutant::Mutant::ALL {
        let is_the_models = matches!(mutant.caught_by(), mutant::Catcher::Model | mutant::Catcher::Both);
        let row = text.lines().find(|line| line.starts_with(&format!("| `{}` |", mutant.name())));
        assert_eq!(row.is_some(), is_the_models, "{}", mutant.name());
        assert!(
            row.is_none_or(|row| row.contains(mutant.breaks())),
            "{} breaks {}",
            mutant.name(),
            mutant.breaks()
        );
    }
}
