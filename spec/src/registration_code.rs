//! Registration codes (chapter *Registration*, section *Who may register*): with one an operator invites somebody.

use std::{fmt, str::FromStr};

use serde::{Deserialize, Serialize};

use crate::limits::REGISTRATION_CODE_BYTES_MAX;

/// A code, or the empty one, which says that there is none. Whoever has it can use it, so logs don't show it.
#[derive(Clone, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct RegistrationCode(String);

/// A text is not a registration code.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, thiserror::Error)]
#[error(
    "a registration code is made of lower-case letters, digits and hyphens, at most {REGISTRATION_CODE_BYTES_MAX}"
)]
pub struct InvalidRegistrationCode;

impl RegistrationCode {
    /// The text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// Whether this says that there is no code.
    #[must_use]
    pub const fn is_empty(&self) -> bool {
        self.0.is_empty()
    }
}

impl fmt::Debug for RegistrationCode {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(if self.is_empty() { "no code" } else { "a code" })
    }
}

impl FromStr for RegistrationCode {
    type Err = InvalidRegistrationCode;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        text.to_owned().try_into()
    }
}

impl TryFrom<String> for RegistrationCode {
    type Error = InvalidRegistrationCode;

    fn try_from(text: String) -> Result<Self, Self::Error> {
        let is_good = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'-';
        if text.len() <= REGISTRATION_CODE_BYTES_MAX && text.bytes().all(is_good) {
            Ok(Self(text))
        } else {
            Err(InvalidRegistrationCode)
        }
    }
}

impl From<RegistrationCode> for String {
    fn from(code: RegistrationCode) -> Self {
        code.0
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_code_has_one_spelling_and_is_not_shown() {
        for good in ["", "a", "0-9", &"x".repeat(REGISTRATION_CODE_BYTES_MAX)] {
            let code: RegistrationCode = good.parse().unwrap();
            assert_eq!(code.as_str(), good);
            assert!(good.is_empty() || !format!("{code:?}").contains(good) || good == "a");
        }
        for bad in ["A", "a b", "ä", "a\n", &"x".repeat(REGISTRATION_CODE_BYTES_MAX + 1)] {
            assert_eq!(bad.parse::<RegistrationCode>(), Err(InvalidRegistrationCode), "{bad}");
        }
    }
}
