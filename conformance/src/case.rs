//! Cases: what each shows, whom it is for, and what it needs.

use std::{fmt, sync::Arc};

use futures::future::BoxFuture;
use serde::{Deserialize, Serialize};

use crate::{live::World, vector::VectorCase};

/// Which part of an implementation a case is about.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub(crate) enum Role {
    /// Whatever reads and writes messages.
    Codec,
    /// Whatever judges certificates and signed objects.
    Verifier,
    /// The machine of a session's member.
    Member,
    /// A server.
    Server,
    /// A client.
    Client,
    /// A directory node.
    DirectoryNode,
}

impl Role {
    pub(crate) const ALL: [Self; 6] =
        [Self::Codec, Self::Verifier, Self::Member, Self::Server, Self::Client, Self::DirectoryNode];

    pub(crate) const fn as_str(self) -> &'static str {
        match self {
            Self::Codec => "codec",
            Self::Verifier => "verifier",
            Self::Member => "member",
            Self::Server => "server",
            Self::Client => "client",
            Self::DirectoryNode => "directory-node",
        }
    }
}

impl fmt::Display for Role {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.as_str())
    }
}

/// What a live case runs.
pub(crate) type LiveTest = fn(Arc<World>) -> BoxFuture<'static, Result<(), Failure>>;

/// How a case is carried out.
#[derive(Clone)]
pub(crate) enum Body {
    /// Put to a shim.
    Vector(Arc<VectorCase>),
    /// Played over real connections.
    Live(LiveTest),
}

/// One case.
#[derive(Clone)]
pub(crate) struct Case {
    /// `area/slug`: for people; a case that is renamed keeps its `uid`.
    pub(crate) id: String,
    /// Eight characters that are never given to another case.
    pub(crate) uid: String,
    /// Whom the case is for.
    pub(crate) role: Role,
    /// What it shows, the one that it is mainly about first.
    pub(crate) requirements: Vec<String>,
    /// The accepting case from which a refused one differs in one thing.
    pub(crate) twin: Option<String>,
    /// What happens, in one sentence.
    pub(crate) about: String,
    /// How it is carried out.
    pub(crate) body: Body,
}

impl Case {
    pub(crate) const fn is_live(&self) -> bool {
        matches!(self.body, Body::Live(_))
    }

    /// Whether the case takes a minute and more: such ones are run when a selector names them.
    pub(crate) fn is_slow(&self) -> bool {
        self.id.starts_with("slow/")
    }

    pub(crate) const fn kind(&self) -> &'static str {
        if self.is_live() { "live" } else { "vector" }
    }
}

/// Cases that were renamed: the present ID, and the one from which the `uid` was made.
const RENAMED: &[(&str, &str)] = &[];

/// The `uid` of a case: made from the first ID that it had, and kept when it is renamed.
pub(crate) fn uid(id: &str) -> String {
    const DIGITS: &[u8; 32] = b"abcdefghijklmnopqrstuvwxyz234567";
    let first = RENAMED.iter().find(|(now, _)| *now == id).map_or(id, |(_, first)| first);
    let hash = aws_lc_rs::digest::digest(&aws_lc_rs::digest::SHA256, first.as_bytes());
    let number = hash.as_ref().iter().take(5).fold(0u64, |number, byte| number << 8 | u64::from(*byte));
    let digit = |place: u32| {
        let value = usize::try_from(number >> (5 * place) & 31).unwrap_or(0);
        DIGITS.get(value).copied().unwrap_or(b'a')
    };
    (0..8).rev().map(|place| char::from(digit(place))).collect()
}

/// Why a case did not pass.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Failure {
    /// The implementation did something else than what was expected.
    Unexpected {
        /// What was expected.
        expected: String,
        /// What came.
        got: String,
    },
    /// A process of the implementation was started and did not say that it is ready: this is all that it shows.
    NotReady(String),
    /// The implementation says that it cannot do this.
    Unsupported(String),
    /// The suite itself failed; it says nothing about the implementation.
    Harness(String),
}

impl Failure {
    pub(crate) fn unexpected(expected: impl Into<String>, got: impl fmt::Display) -> Self {
        Self::Unexpected { expected: expected.into(), got: got.to_string() }
    }

    pub(crate) fn harness(what: impl fmt::Display) -> Self {
        Self::Harness(what.to_string())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_uid_has_eight_characters_of_base32_and_is_stable() {
        assert_eq!(uid("encoding/greeting"), uid("encoding/greeting"));
        assert_eq!(uid("tls/version-1-2-refused").len(), 8);
        assert!(uid("x/y").bytes().all(|b| b.is_ascii_lowercase() || (b'2'..=b'7').contains(&b)));
    }
}
