//! The shim: the reference system's codecs, verifiers and session machine behind JSON lines, for the conformance suite.
//!
//! Every operation hands its input to the code that servers and clients run, and writes down what comes out; nothing is
//! decided here. The protocol of the lines is told in the conformance suite (`conformance/src/shim.rs`): a question has
//! an `op` and the fields of that operation, an answer has a `verdict`, or the field `unsupported`. A line that is no
//! such question is answered with the field `error`, which says why.

mod bytes;
mod certificates;
mod codec;
mod keys;
mod notation;
mod signed;
mod trace;
mod values;

use std::io::{self, BufRead, Read as _, Write};

use antiphon_spec::error_code::ErrorCode;
use serde::de::DeserializeOwned;
use serde_json::{Map, Value, json};

use self::keys::{ProvedKeys, ProvedKeysError};

/// The version of the lines.
const PROTOCOL: u64 = 1;

/// Longest question: a trace of hundreds of events fits, and nobody can fill the memory.
const LINE_BYTES_MAX: usize = 8 * 1024 * 1024;

/// What carries an operation out.
type Operation = fn(&mut Shim, Value) -> Result<Answer, BadQuestion>;

/// Every operation.
const OPERATIONS: [(&str, Operation); 17] = [
    ("decode", codec::decode),
    ("frames", codec::frames),
    ("key-hash", values::key_hash),
    ("server-handle", values::server_handle),
    ("well-known-handle", values::well_known_handle),
    ("session-id", values::session_id),
    ("epoch-hash", values::epoch_hash),
    ("first-epoch", values::first_epoch),
    ("next-epoch", values::next_epoch),
    ("judge", values::judge),
    ("identify", certificates::identify),
    ("verify-possession", signed::verify_possession),
    ("verify-grant", signed::verify_grant),
    ("verify-ticket", signed::verify_ticket),
    ("verify-commitment", signed::verify_commitment),
    ("judge-ticket", signed::judge_ticket),
    ("trace", trace::trace),
];

/// The line is no question.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
struct BadQuestion(String);

impl BadQuestion {
    fn new(what: impl std::fmt::Display) -> Self {
        Self(what.to_string())
    }
}

/// The answer to a question.
#[derive(Clone, Debug, PartialEq)]
enum Answer {
    /// Taken; these fields say what came out.
    Accept(Map<String, Value>),
    /// Refused, with this code, and for certificates with this reason.
    Reject(&'static str, Option<&'static str>),
}

impl Answer {
    fn accept<const N: usize>(fields: [(&str, Value); N]) -> Self {
        Self::Accept(fields.into_iter().map(|(name, value)| (name.to_owned(), value)).collect())
    }

    fn reject(code: ErrorCode) -> Self {
        Self::Reject(code.as_str(), None)
    }

    fn into_json(self) -> Value {
        match self {
            Self::Accept(mut fields) => {
                fields.insert("verdict".to_owned(), "accept".into());
                Value::Object(fields)
            }
            Self::Reject(code, None) => json!({"verdict": "reject", "error": code}),
            Self::Reject(code, Some(reason)) => json!({"verdict": "reject", "error": code, "reason": reason}),
        }
    }
}

/// The shim's state: the keys that were proved to it. No answer depends on an earlier question.
#[derive(Debug)]
pub(crate) struct Shim {
    keys: ProvedKeys,
}

impl Shim {
    /// A shim that was asked nothing yet.
    ///
    /// # Errors
    /// The cryptographic library fails.
    pub(crate) fn new() -> Result<Self, ProvedKeysError> {
        Ok(Self { keys: ProvedKeys::new()? })
    }

    /// Answers every line until there are no more.
    ///
    /// # Errors
    /// The input or the output fails.
    pub(crate) fn serve(&mut self, mut input: impl BufRead, mut output: impl Write) -> io::Result<()> {
        while let Some(line) = read_line(&mut input)? {
            let answer = match line {
                Line::Whole(line) => self.answer(&line),
                Line::TooLong => json!({"error": format!("a line has at most {LINE_BYTES_MAX} bytes")}),
            };
            writeln!(output, "{answer}")?;
            output.flush()?;
        }
        Ok(())
    }

    fn answer(&mut self, line: &[u8]) -> Value {
        let question: Value = match serde_json::from_slice(line) {
            Ok(question) => question,
            Err(error) => return json!({"error": format!("not a line of JSON: {error}")}),
        };
        let Some(name) = question.get("op").and_then(Value::as_str) else {
            return json!({"error": "no object with a text \"op\""});
        };
        if name == "hello" {
            return hello(&question);
        }
        let Some((_, operation)) = OPERATIONS.iter().find(|(known, _)| *known == name) else {
            let shown: String = name.chars().take(64).collect();
            return json!({"unsupported": format!("there is no operation {shown:?}")});
        };
        match operation(self, question) {
            Ok(answer) => answer.into_json(),
            Err(error) => json!({"error": error.to_string()}),
        }
    }
}

fn hello(question: &Value) -> Value {
    if question.get("protocol").and_then(Value::as_u64) != Some(PROTOCOL) {
        return json!({"error": format!("this shim speaks protocol {PROTOCOL}")});
    }
    let operations: Vec<&str> = OPERATIONS.iter().map(|(name, _)| *name).collect();
    json!({"name": concat!("antiphon ", env!("CARGO_PKG_VERSION")), "operations": operations})
}

/// Reads the fields of an operation.
fn read<T: DeserializeOwned>(question: Value) -> Result<T, BadQuestion> {
    serde_json::from_value(question).map_err(BadQuestion::new)
}

enum Line {
    Whole(Vec<u8>),
    TooLong,
}

/// The next line; of one that is too long only so much is kept as shows that it is.
fn read_line(input: &mut impl BufRead) -> io::Result<Option<Line>> {
    let mut line = Vec::new();
    let limit = u64::try_from(LINE_BYTES_MAX).unwrap_or(u64::MAX).saturating_add(1);
    input.by_ref().take(limit).read_until(b'\n', &mut line)?;
    if line.is_empty() {
        return Ok(None);
    }
    if line.last() == Some(&b'\n') || line.len() <= LINE_BYTES_MAX {
        return Ok(Some(Line::Whole(line)));
    }
    input.skip_until(b'\n')?;
    Ok(Some(Line::TooLong))
}

#[cfg(test)]
mod tests;
