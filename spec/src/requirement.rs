//! The registry of requirements, read out of the normative text itself, so that no second list can differ from it.
//!
//! A requirement is a line of a chapter that begins with an ID (chapter *Introduction*, section *Conventions*). The tests
//! beside this file hold the text to the rules that it gives for itself.

use std::{collections::BTreeMap, fmt, sync::OnceLock};

/// How much a requirement demands: its key word of BCP 14, with or without `NOT`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Level {
    /// It may be done.
    May,
    /// It should be done.
    Should,
    /// It has to be done.
    Must,
}

impl Level {
    /// Every level, the most demanding first.
    pub const ALL: [Self; 3] = [Self::Must, Self::Should, Self::May];

    /// The key word.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Must => "MUST",
            Self::Should => "SHOULD",
            Self::May => "MAY",
        }
    }
}

impl fmt::Display for Level {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.as_str())
    }
}

/// One requirement.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Requirement {
    /// Its ID, such as `WIRE-012`.
    pub id: &'static str,
    /// How much it demands.
    pub level: Level,
    /// What it says.
    pub sentence: &'static str,
    /// The file of its chapter, in `text/`.
    pub chapter: &'static str,
    /// The heading of its section, as the chapter has it.
    pub section: &'static str,
    /// Whether its chapter is a draft.
    pub is_draft: bool,
}

impl Requirement {
    /// Where the book has it: the chapter's file and the anchor of the section.
    #[must_use]
    pub fn anchor(&self) -> String {
        format!("{}#{}", self.chapter, slug(self.section))
    }
}

/// A chapter that holds requirements.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Chapter {
    /// What its IDs begin with.
    pub prefix: &'static str,
    /// Its file, in `text/`.
    pub file: &'static str,
    /// What it says.
    pub text: &'static str,
    /// Whether it is being written: this version of the protocol does without it, and what it demands may still lack cases.
    pub is_draft: bool,
}

macro_rules! chapters {
    ($($prefix:literal in $file:literal,)* @draft $($draft_prefix:literal in $draft_file:literal,)*) => {
        &[
            $(chapters!(@chapter $prefix, $file, false),)*
            $(chapters!(@chapter $draft_prefix, $draft_file, true),)*
        ]
    };
    (@chapter $prefix:literal, $file:literal, $is_draft:literal) => {
        Chapter {
            prefix: $prefix,
            file: $file,
            text: include_str!(concat!("../text/", $file)),
            is_draft: $is_draft,
        }
    };
}

/// The chapters with requirements, in the order of the book; those that are drafts come last.
pub const CHAPTERS: &[Chapter] = chapters! {
    "IDENT" in "identity.md",
    "CERT" in "certificates.md",
    "WIRE" in "wire.md",
    "SIGN" in "signed.md",
    "REG" in "registration.md",
    "LOGIN" in "login.md",
    "PREF" in "preferences.md",
    "ADDR" in "lookup.md",
    "RELAY" in "relay.md",
    "LOC" in "location.md",
    "LINK" in "links.md",
    "SESS" in "sessions.md",
    "INST" in "instant.md",
    "LIM" in "limits.md",
    @draft
    "TREE" in "tree.md",
    "PRES" in "presence.md",
    "SUBS" in "subscriptions.md",
};

/// Every requirement, in the order of the text.
#[must_use]
pub fn all() -> &'static [Requirement] {
    static ALL: OnceLock<Vec<Requirement>> = OnceLock::new();
    ALL.get_or_init(|| CHAPTERS.iter().flat_map(requirements).collect())
}

/// The requirement of an ID.
#[must_use]
pub fn find(id: &str) -> Option<&'static Requirement> {
    static INDEX: OnceLock<BTreeMap<&'static str, &'static Requirement>> = OnceLock::new();
    INDEX
        .get_or_init(|| all().iter().map(|requirement| (requirement.id, requirement)).collect())
        .get(id)
        .copied()
}

fn requirements(chapter: &Chapter) -> Vec<Requirement> {
    let mut section = "";
    let mut found = Vec::new();
    for line in chapter.text.lines() {
        if let Some(heading) = line.strip_prefix("## ") {
            section = heading;
        } else if let Some((id, sentence)) = split_id(line)
            && let Some(level) = Level::ALL.into_iter().find(|level| sentence.contains(level.as_str()))
        {
            found.push(Requirement {
                id,
                level,
                sentence,
                chapter: chapter.file,
                section,
                is_draft: chapter.is_draft,
            });
        }
    }
    found
}

/// The ID that a line begins with, and the rest of the line.
fn split_id(line: &str) -> Option<(&str, &str)> {
    let (id, sentence) = line.split_once(": ")?;
    let (prefix, number) = id.split_once('-')?;
    let is_prefix = !prefix.is_empty() && prefix.bytes().all(|byte| byte.is_ascii_uppercase());
    let is_number = number.len() == 3 && number.bytes().all(|byte| byte.is_ascii_digit());
    (is_prefix && is_number).then_some((id, sentence))
}

/// The anchor that the book gives a heading.
fn slug(heading: &str) -> String {
    heading
        .chars()
        .filter_map(|c| match c {
            ' ' => Some('-'),
            _ if c.is_alphanumeric() || c == '-' || c == '_' => Some(c.to_ascii_lowercase()),
            _ => None,
        })
        .collect()
}

#[cfg(test)]
mod tests;
