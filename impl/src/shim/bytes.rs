//! Bytes as the lines write them: lower-case hexadecimal digits, and nothing else.

use std::fmt;

use antiphon_protocol::cbor;
use serde::{Deserialize, Deserializer, Serialize, de};
use serde_json::Value;

use super::BadQuestion;

/// Bytes that came as digits.
#[derive(Clone, PartialEq, Eq)]
pub(super) struct Hex(pub(super) Vec<u8>);

impl fmt::Debug for Hex {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Hex({} bytes)", self.0.len())
    }
}

impl Hex {
    /// The bytes, if there are just so many.
    pub(super) fn array<const N: usize>(&self) -> Result<[u8; N], BadQuestion> {
        let bytes = self.0.as_slice().try_into();
        bytes.map_err(|_| BadQuestion(format!("{N} bytes have to stand where there are {}", self.0.len())))
    }
}

impl<'de> Deserialize<'de> for Hex {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = String::deserialize(deserializer)?;
        parse(&text)
            .map(Self)
            .ok_or_else(|| de::Error::custom("bytes are written in lower-case hexadecimal digits"))
    }
}

fn parse(text: &str) -> Option<Vec<u8>> {
    let digit = |digit: u8| match digit {
        b'0'..=b'9' => Some(digit - b'0'),
        b'a'..=b'f' => Some(digit - b'a' + 10),
        _ => None,
    };
    let (pairs, rest) = text.as_bytes().as_chunks::<2>();
    let bytes = pairs.iter().map(|&[high, low]| Some(digit(high)? << 4 | digit(low)?)).collect();
    if rest.is_empty() { bytes } else { None }
}

/// Digits for bytes.
pub(super) fn digits(bytes: &[u8]) -> Value {
    let digit = |value: u8| char::from_digit(u32::from(value), 16).unwrap_or('?');
    bytes.iter().flat_map(|byte| [digit(byte >> 4), digit(byte & 15)]).collect::<String>().into()
}

/// Digits for the encoding of a value.
pub(super) fn encoded<T: Serialize>(value: &T) -> Result<Value, BadQuestion> {
    Ok(digits(&cbor::encode(value).map_err(BadQuestion::new)?))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn digits_and_back() {
        assert_eq!(parse("00ff1a"), Some(vec![0, 255, 26]));
        assert_eq!(digits(&[0, 255, 26]), "00ff1a");
        for wrong in ["0", "0g", "FF", "0x", "00 "] {
            assert_eq!(parse(wrong), None, "{wrong}");
        }
    }
}
