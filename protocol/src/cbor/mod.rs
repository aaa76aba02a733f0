//! CBOR in its one deterministic form (RFC 8949, section 4.2.1; chapter *Wire*).
//!
//! Decoding takes three steps, each of which refuses what the others cannot see: [`check()`] proves
//! the canonical form of the bytes before anything is built from them; typed decoding knows which fields there are;
//! encoding again and comparing shows that the types read everything that was there.

mod check;
mod diagnostic;

use std::fmt;

use antiphon_spec::error_code::ErrorCode;
use serde::{Serialize, de::DeserializeOwned};

pub use check::check;
pub use diagnostic::diagnostic;

use crate::mutant::{Mutant, active};

/// Most characters of a decoder's explanation that an error keeps: it may quote the peer.
const EXPLANATION_LENGTH_MAX: usize = 160;

/// What is wrong with the bytes.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum DecodeErrorKind {
    /// The bytes end inside the item, or a length is greater than what follows.
    #[error("the item is longer than the bytes that are there")]
    Truncated,
    /// Something follows the item.
    #[error("bytes follow the item")]
    TrailingBytes,
    /// A head that RFC 8949 reserves, or a break outside an indefinite item.
    #[error("a reserved or misplaced head")]
    Reserved,
    /// A tag.
    #[error("a tag, which no message has")]
    Tag,
    /// A floating-point number.
    #[error("a floating-point number, which no message has")]
    Float,
    /// A simple value other than false and true.
    #[error("a simple value other than false and true")]
    Simple,
    /// A text that is not UTF-8.
    #[error("a text that is not UTF-8")]
    Utf8,
    /// More nested arrays and maps than allowed.
    #[error("arrays and maps are nested too deep")]
    TooDeep,
    /// A number or length in more bytes than it needs.
    #[error("a number or a length in more bytes than it needs")]
    NotShortest,
    /// An item of indefinite length.
    #[error("an item of indefinite length")]
    Indefinite,
    /// A key that sorts before the one that it follows.
    #[error("the keys of a map are not in order")]
    KeyOrder,
    /// A key that stands twice.
    #[error("a key stands twice in a map")]
    DuplicateKey,
    /// A deterministic item, but not of the expected type.
    #[error("not of the expected type: {0}")]
    Type(String),
    /// Another encoding of a value than the one that has to be used.
    #[error("another encoding of the value than the deterministic one")]
    NotReproduced,
}

impl DecodeErrorKind {
    /// Whether the bytes are well-formed but not in the deterministic form.
    #[must_use]
    pub fn is_form_only(&self) -> bool {
        match self {
            Self::NotShortest | Self::Indefinite | Self::KeyOrder | Self::DuplicateKey => true,
            Self::Truncated
            | Self::TrailingBytes
            | Self::Reserved
            | Self::Tag
            | Self::Float
            | Self::Simple
            | Self::Utf8
            | Self::TooDeep
            | Self::Type(_)
            // The form was checked before: a value of another kind was taken, such as bytes for the text of a key.
            | Self::NotReproduced => false,
        }
    }
}

/// Why bytes are not the deterministic encoding of a value of the expected type.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DecodeError {
    /// What is wrong.
    pub kind: DecodeErrorKind,
    /// Where: the number of bytes before the fault.
    pub offset: usize,
}

impl fmt::Display for DecodeError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} at byte {}", self.kind, self.offset)
    }
}

impl std::error::Error for DecodeError {}

impl DecodeError {
    /// What to tell the peer.
    #[must_use]
    pub fn code(&self) -> ErrorCode {
        if self.kind.is_form_only() { ErrorCode::NotDeterministic } else { ErrorCode::Malformed }
    }

    fn of_type(error: ciborium::de::Error<std::io::Error>, length: usize) -> Self {
        let (offset, explanation) = match error {
            ciborium::de::Error::Semantic(offset, explanation) => (offset, explanation),
            ciborium::de::Error::Syntax(offset) => (Some(offset), "an item of another kind".to_owned()),
            ciborium::de::Error::Io(_) => (None, "more items than there are".to_owned()),
            ciborium::de::Error::RecursionLimitExceeded => (None, "too deep".to_owned()),
        };
        let explanation: String =
            explanation.chars().flat_map(char::escape_debug).take(EXPLANATION_LENGTH_MAX).collect();
        Self { kind: DecodeErrorKind::Type(explanation), offset: offset.unwrap_or(0).min(length) }
    }
}

/// Why a value cannot be encoded: its type has no CBOR form of this protocol.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the value cannot be encoded: {0}")]
pub struct EncodeError(String);

/// The deterministic encoding of a value whose type declares its fields in canonical order, as all messages do.
///
/// # Errors
/// The type's own serialisation fails; none of the protocol's types does.
pub fn encode<T: Serialize + ?Sized>(value: &T) -> Result<Vec<u8>, EncodeError> {
    let mut bytes = Vec::with_capacity(128);
    ciborium::into_writer(value, &mut bytes).map_err(|error| EncodeError(error.to_string()))?;
    Ok(bytes)
}

/// Reads the one deterministic encoding of a value.
///
/// # Errors
/// The bytes are anything else (WIRE-017 to WIRE-033); see [`DecodeErrorKind`].
pub fn decode<T: Serialize + DeserializeOwned>(bytes: &[u8]) -> Result<T, DecodeError> {
    match check(bytes) {
        Ok(()) => {}
        Err(error) if error.kind.is_form_only() && active(Mutant::NonCanonicalAccepted) => {}
        Err(error)
            if error.kind == DecodeErrorKind::TrailingBytes && active(Mutant::TrailingBytesAccepted) =>
        {
            return decode(bytes.get(..error.offset).unwrap_or_default());
        }
        Err(error) => return Err(error),
    }
    let value: T = match ciborium::from_reader(bytes) {
        Ok(value) => value,
        Err(_) if active(Mutant::UnknownFieldsAccepted) => return decode_known_fields(bytes),
        Err(error) => return Err(DecodeError::of_type(error, bytes.len())),
    };
    let again =
        encode(&value).map_err(|_| DecodeError { kind: DecodeErrorKind::NotReproduced, offset: 0 })?;
    if again != bytes && !active(Mutant::NonCanonicalAccepted) {
        let offset = again.iter().zip(bytes).take_while(|(ours, theirs)| ours == theirs).count();
        return Err(DecodeError { kind: DecodeErrorKind::NotReproduced, offset });
    }
    Ok(value)
}

/// The mutant that ignores unknown fields: takes them out until the rest decodes.
fn decode_known_fields<T: DeserializeOwned>(bytes: &[u8]) -> Result<T, DecodeError> {
    let fault = |error| DecodeError::of_type(error, bytes.len());
    let mut value: ciborium::Value = ciborium::from_reader(bytes).map_err(fault)?;
    for _ in 0..16 {
        let message = match value.deserialized::<T>() {
            Ok(value) => return Ok(value),
            Err(error) => error.to_string(),
        };
        let Some((_, rest)) = message.split_once("unknown field `") else { break };
        let Some((field, _)) = rest.split_once('`') else { break };
        remove_field(&mut value, field);
    }
    ciborium::from_reader(bytes).map_err(fault)
}

fn remove_field(value: &mut ciborium::Value, field: &str) {
    if let Some(entries) = value.as_map_mut() {
        entries.retain(|(key, _)| key.as_text() != Some(field));
        for (_, inner) in entries {
            remove_field(inner, field);
        }
    } else if let Some(items) = value.as_array_mut() {
        for inner in items {
            remove_field(inner, field);
        }
    }
}

#[cfg(test)]
mod tests;
