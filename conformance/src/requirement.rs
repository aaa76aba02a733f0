//! The requirements of the specification, as the suite needs them: ID, level, sentence.

use std::{collections::BTreeMap, fmt, sync::OnceLock};

/// How much a requirement demands.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) enum Level {
    /// It may be done.
    May,
    /// It should be done.
    Should,
    /// It has to be done.
    Must,
}

impl Level {
    pub(crate) const ALL: [Self; 3] = [Self::Must, Self::Should, Self::May];

    pub(crate) const fn as_str(self) -> &'static str {
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
#[derive(Clone, Copy, Debug)]
pub(crate) struct Requirement {
    pub(crate) id: &'static str,
    pub(crate) level: Level,
    pub(crate) sentence: &'static str,
    /// The chapter's file.
    pub(crate) chapter: &'static str,
}

const CHAPTERS: [(&str, &str); 11] = [
    ("identity.md", include_str!("../../spec/text/identity.md")),
    ("certificates.md", include_str!("../../spec/text/certificates.md")),
    ("wire.md", include_str!("../../spec/text/wire.md")),
    ("signed.md", include_str!("../../spec/text/signed.md")),
    ("registration.md", include_str!("../../spec/text/registration.md")),
    ("login.md", include_str!("../../spec/text/login.md")),
    ("preferences.md", include_str!("../../spec/text/preferences.md")),
    ("lookup.md", include_str!("../../spec/text/lookup.md")),
    ("location.md", include_str!("../../spec/text/location.md")),
    ("sessions.md", include_str!("../../spec/text/sessions.md")),
    ("limits.md", include_str!("../../spec/text/limits.md")),
];

/// Every requirement, in the order of the text.
pub(crate) fn all() -> &'static [Requirement] {
    static ALL: OnceLock<Vec<Requirement>> = OnceLock::new();
    ALL.get_or_init(|| {
        CHAPTERS
            .iter()
            .flat_map(|(chapter, text)| text.lines().filter_map(move |line| read(chapter, line)))
            .collect()
    })
}

fn read(chapter: &'static str, line: &'static str) -> Option<Requirement> {
    let (id, sentence) = line.split_once(": ")?;
    let (prefix, number) = id.split_once('-')?;
    let is_id = prefix.bytes().all(|b| b.is_ascii_uppercase())
        && number.len() == 3
        && number.bytes().all(|b| b.is_ascii_digit());
    let level = [Level::Must, Level::Should, Level::May]
        .into_iter()
        .find(|level| sentence.contains(level.as_str()))?;
    is_id.then_some(Requirement { id, level, sentence, chapter })
}

/// The requirement of an ID.
pub(crate) fn find(id: &str) -> Option<&'static Requirement> {
    static INDEX: OnceLock<BTreeMap<&'static str, &'static Requirement>> = OnceLock::new();
    INDEX
        .get_or_init(|| all().iter().map(|requirement| (requirement.id, requirement)).collect())
        .get(id)
        .copied()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_text_is_read() {
        assert!(all().len() > 300);
        assert_eq!(find("WIRE-012").map(|requirement| requirement.level), Some(Level::Must));
        assert_eq!(find("LOGIN-028").map(|requirement| requirement.level), Some(Level::Should));
    }
}
