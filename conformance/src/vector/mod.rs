//! Vectors: cases as files that any program can read, and the generator that makes the files.
//!
//! `vectors/*.json` are what counts; `vectors/schema.json` says what they look like. The generator is deterministic: the
//! files are never edited by hand, and a test fails when they differ from what it makes.

mod certificates;
mod encoding;
mod identity;
mod messages;
mod node;
mod p256;
mod samples;
mod sessions;
mod signed;
pub(crate) mod traces;

use antiphon_protocol::cbor::diagnostic;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use crate::{
    case::{Role, uid},
    recorded,
};

/// The format of the files.
pub(crate) const SCHEMA: &str = "antiphon-vectors-1";

/// A file of vectors.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct VectorFile {
    /// [`SCHEMA`].
    pub(crate) schema: String,
    /// The first part of the IDs.
    pub(crate) area: String,
    /// What the file is about.
    pub(crate) about: String,
    /// The cases.
    pub(crate) cases: Vec<VectorCase>,
}

/// One vector.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct VectorCase {
    /// `area/slug`.
    pub(crate) id: String,
    /// Eight characters that stay when the ID changes.
    pub(crate) uid: String,
    /// Whom it is for.
    pub(crate) role: Role,
    /// The level of the requirement that the case is mainly about.
    pub(crate) level: String,
    /// What it shows.
    pub(crate) requirements: Vec<String>,
    /// What happens.
    pub(crate) about: String,
    /// The accepted case from which this refused one differs.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub(crate) twin: Option<String>,
    /// What the shim is asked.
    pub(crate) operation: String,
    /// With these fields.
    pub(crate) input: Map<String, Value>,
    /// The bytes of the input for people, in diagnostic notation.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub(crate) diagnostic: Option<String>,
    /// What has to come back.
    pub(crate) expect: Expect,
}

/// What has to come back.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(tag = "verdict", rename_all = "kebab-case", deny_unknown_fields)]
pub(crate) enum Expect {
    /// Taken, with this in the answer.
    Accept {
        /// Each of these fields of the answer has just this value.
        output: Map<String, Value>,
    },
    /// Refused.
    Reject {
        /// Where: `decode`, `schema`, `auth`, `state` or `policy`.
        phase: Phase,
        /// With one of these codes.
        errors: Vec<String>,
        /// For one of these reasons, where they are told apart.
        #[serde(skip_serializing_if = "Vec::is_empty", default)]
        reasons: Vec<String>,
    },
}

/// Which step of the receiver refuses.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub(crate) enum Phase {
    /// The bytes are not deterministic CBOR, or no frame.
    Decode,
    /// They are not a message of this direction.
    Schema,
    /// A certificate or a signature proves nothing.
    Auth,
    /// Not now.
    State,
    /// Not this one.
    Policy,
}

/// Why vectors cannot be made: the generator is wrong.
#[derive(Debug, thiserror::Error)]
#[error("the vectors cannot be made: {0}")]
pub(crate) struct GeneratorError(pub(crate) String);

impl GeneratorError {
    pub(crate) fn new(error: impl std::fmt::Display) -> Self {
        Self(error.to_string())
    }
}

/// What the generator works with.
pub(crate) type Made<T> = Result<T, GeneratorError>;

/// A case under construction.
pub(crate) struct Draft(VectorCase);

impl Draft {
    /// A case of an operation.
    pub(crate) fn new(
        id: impl Into<String>,
        role: Role,
        operation: &str,
        requirements: &[&str],
        about: impl Into<String>,
    ) -> Self {
        let id = id.into();
        let level = requirements
            .first()
            .and_then(|id| crate::requirement::find(id))
            .map_or("?", |requirement| requirement.level.as_str());
        Self(VectorCase {
            uid: uid(&id),
            id,
            role,
            level: level.to_owned(),
            requirements: requirements.iter().map(|id| (*id).to_owned()).collect(),
            about: about.into(),
            twin: None,
            operation: operation.to_owned(),
            input: Map::new(),
            diagnostic: None,
            expect: Expect::Accept { output: Map::new() },
        })
    }

    /// A field of the input.
    pub(crate) fn input(mut self, name: &str, value: impl Into<Value>) -> Self {
        self.0.input.insert(name.to_owned(), value.into());
        self
    }

    /// Bytes of the input that are CBOR, shown for people too.
    pub(crate) fn bytes(mut self, name: &str, bytes: &[u8]) -> Self {
        self.0.diagnostic = Some(shorten(diagnostic(bytes)));
        self.input(name, hex::encode(bytes))
    }

    /// Taken, and a field of the answer.
    pub(crate) fn output(mut self, name: &str, value: impl Into<Value>) -> Self {
        if let Expect::Accept { output } = &mut self.0.expect {
            output.insert(name.to_owned(), value.into());
        }
        self
    }

    /// Refused with one of these codes, where the twin is accepted.
    pub(crate) fn reject(mut self, phase: Phase, errors: &[&str], twin: impl Into<String>) -> Self {
        let errors = errors.iter().map(|code| (*code).to_owned()).collect();
        self.0.expect = Expect::Reject { phase, errors, reasons: Vec::new() };
        self.0.twin = Some(twin.into());
        self
    }

    /// Refused for one of these reasons.
    pub(crate) fn reasons(mut self, allowed: &[&str]) -> Self {
        if let Expect::Reject { reasons, .. } = &mut self.0.expect {
            *reasons = allowed.iter().map(|reason| (*reason).to_owned()).collect();
        }
        self
    }

    pub(crate) fn done(self) -> VectorCase {
        self.0
    }
}

/// Notation is for people; thousands of characters help nobody.
fn shorten(text: String) -> String {
    const SHOWN_MAX: usize = 1_200;
    if text.chars().count() <= SHOWN_MAX {
        return text;
    }
    let mut short: String = text.chars().take(SHOWN_MAX).collect();
    short.push_str(" ..");
    short
}

/// The files' names and what the suite was built with.
pub(crate) const FILES: [(&str, &str); 8] = [
    ("encoding.json", include_str!("../../vectors/encoding.json")),
    ("messages.json", include_str!("../../vectors/messages.json")),
    ("identity.json", include_str!("../../vectors/identity.json")),
    ("certificates.json", include_str!("../../vectors/certificates.json")),
    ("signed.json", include_str!("../../vectors/signed.json")),
    ("sessions.json", include_str!("../../vectors/sessions.json")),
    ("traces.json", include_str!("../../vectors/traces.json")),
    (recorded::FILE, include_str!("../../vectors/model-traces.json")),
];

/// Makes all files anew that are made here; the last of [`FILES`] comes from the models ([`recorded`]).
///
/// # Errors
/// The generator is wrong.
pub(crate) fn generate() -> Made<Vec<(&'static str, VectorFile)>> {
    Ok(vec![
        (
            "encoding.json",
            file(
                "encoding",
                "Frames and the one encoding: what every channel has in common.",
                encoding::cases()?,
            ),
        ),
        (
            "messages.json",
            file(
                "messages",
                "Every message of every channel, and each with one thing wrong.",
                messages::cases()?,
            ),
        ),
        (
            "identity.json",
            file(
                "identity",
                "Handles, names, keys, addresses and the values derived from them.",
                identity::cases()?,
            ),
        ),
        (
            "certificates.json",
            file("certificates", "Chains of certificates, and whom they prove.", certificates::cases()?),
        ),
        ("signed.json", file("signed", "Signed objects: possessions, grants and tickets.", signed::cases()?)),
        ("sessions.json", file("sessions", "Epochs, and the judgement of tickets.", sessions::cases()?)),
        (
            "traces.json",
            file("traces", "What one client does in a session, event by event.", traces::cases()?),
        ),
    ])
}

pub(crate) fn file(area: &str, about: &str, cases: Vec<VectorCase>) -> VectorFile {
    VectorFile { schema: SCHEMA.to_owned(), area: area.to_owned(), about: about.to_owned(), cases }
}

/// A file as it is written.
///
/// # Errors
/// Never, for these types.
pub(crate) fn render(file: &VectorFile) -> Made<String> {
    let mut text = serde_json::to_string_pretty(file).map_err(GeneratorError::new)?;
    text.push('\n');
    Ok(text)
}
