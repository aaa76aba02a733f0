//! Identity (chapter *Identity*): texts and keys have one form, so what is read prints as it was written.
//!
//! The input is the bytes of a text or of a public key.

use std::{
    fmt::{Debug, Display},
    str::FromStr,
};

use antiphon_protocol::{
    cbor::{decode, encode},
    certificate::{from_pem, to_pem},
    key::{KeyPair, PublicKey},
};
use antiphon_spec::identity::{ContactAddress, ObjectHandle, ServerName, UserHandle};
use serde::{Serialize, de::DeserializeOwned};

/// The longest text of each kind: a handle is 32 digits, `@` and a name.
const HANDLE_LENGTH_MAX: usize = 33 + ServerName::LENGTH_MAX;

/// `[`, 39 characters of an IPv6 address, `%` and a scope, `]:` and a port.
const ADDRESS_LENGTH_MAX: usize = 59;

/// Reads the input as everything that it could be.
pub fn play(data: &[u8]) {
    if let Ok(key) = PublicKey::from_der(data) {
        assert_eq!(key.as_der(), data, "a key has one encoding");
    }
    let Ok(text) = std::str::from_utf8(data) else { return };
    // An object handle travels as bytes, not as this text.
    if let Some(handle) = read::<ObjectHandle>(text, 32) {
        assert_eq!(decode(&encode(&handle).unwrap_or_default()), Ok(handle));
    }
    travels(read::<ServerName>(text, ServerName::LENGTH_MAX), text);
    travels(read::<UserHandle>(text, HANDLE_LENGTH_MAX), text);
    travels(read::<ContactAddress>(text, ADDRESS_LENGTH_MAX), text);
    if let Ok(certificates) = from_pem(text) {
        assert_eq!(from_pem(&to_pem(&certificates)), Ok(certificates));
    }
    if let Ok(key) = KeyPair::from_pem(text) {
        let again =
            key.to_pem().and_then(|pem| KeyPair::from_pem(&pem)).expect("a key that was read can be written");
        assert_eq!(again.key_hash(), key.key_hash());
    }
}

/// What is read prints as it was written, in so many characters of ASCII at most.
fn read<T: FromStr + Display>(text: &str, length_max: usize) -> Option<T> {
    let value: T = text.parse().ok()?;
    assert_eq!(value.to_string(), text, "one value, one text");
    assert!(text.is_ascii() && text.len() <= length_max, "{text:?}");
    assert!(
        !text.contains(|c: char| c.is_ascii_uppercase() || c.is_ascii_whitespace() || c.is_ascii_control())
    );
    Some(value)
}

/// A value travels as its text, and nothing else is read as it.
fn travels<T: Serialize + DeserializeOwned + PartialEq + Debug>(value: Option<T>, text: &str) {
    let bytes = encode(text).unwrap_or_default();
    assert_eq!(decode::<T>(&bytes).ok(), value, "over a wire as in a file");
}
