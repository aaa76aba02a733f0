//! Media types (RFC 6838): which kinds of content a member takes (chapter *Sessions*, section *Media types*).
//!
//! Everybody takes `text/plain`, so no list names it. A message's type may have parameters; whether it is taken depends on
//! the type and subtype alone.

use std::{fmt, str::FromStr, sync::Arc};

use serde::{Deserialize, Serialize};

use crate::limits::{MEDIA_TYPE_BYTES_MAX, MEDIA_TYPES_BYTES_MAX, MEDIA_TYPES_MAX};

/// What everybody takes.
pub const TEXT_PLAIN: &str = "text/plain";

/// Type and subtype, without parameters, in their one spelling: lower case.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct MediaType(Arc<str>);

/// A text is not a media type in its one spelling.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, thiserror::Error)]
#[error("a media type is TYPE/SUBTYPE in lower case, of at most {MEDIA_TYPE_BYTES_MAX} characters")]
pub struct InvalidMediaType;

/// The longest type, and the longest subtype (RFC 6838, section 4.2).
const NAME_BYTES_MAX: usize = 127;

impl MediaType {
    /// The text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// The type and subtype of a message's media type, in lower case.
    ///
    /// # Errors
    /// The text before the first semicolon is no type and subtype.
    pub fn essence(of: &str) -> Result<Self, InvalidMediaType> {
        let essence = of.split(';').next().unwrap_or_default();
        essence.trim_matches([' ', '\t']).to_ascii_lowercase().parse()
    }
}

impl FromStr for MediaType {
    type Err = InvalidMediaType;

    fn from_str(text: &str) -> Result<Self, InvalidMediaType> {
        let (kind, subtype) = text.split_once('/').ok_or(InvalidMediaType)?;
        let is_good = is_restricted_name(kind) && is_restricted_name(subtype);
        if is_good { Ok(Self(text.into())) } else { Err(InvalidMediaType) }
    }
}

/// RFC 6838, section 4.2, without capital letters.
fn is_restricted_name(name: &str) -> bool {
    let alphanumeric = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit();
    name.len() <= NAME_BYTES_MAX
        && name.bytes().next().is_some_and(alphanumeric)
        && name.bytes().all(|byte| alphanumeric(byte) || b"!#$&-^_.+".contains(&byte))
}

impl fmt::Display for MediaType {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl TryFrom<String> for MediaType {
    type Error = InvalidMediaType;

    fn try_from(text: String) -> Result<Self, InvalidMediaType> {
        text.parse()
    }
}

impl From<MediaType> for String {
    fn from(media_type: MediaType) -> Self {
        media_type.0.as_ref().to_owned()
    }
}

/// The media types, besides `text/plain`, that a member takes: strictly ascending, and few enough for a frame.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "Vec<MediaType>", into = "Vec<MediaType>")]
pub struct MediaTypes(Arc<[MediaType]>);

/// Why a list of media types is none that a member may give.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, thiserror::Error)]
pub enum InvalidMediaTypes {
    /// Too many, or too long altogether.
    #[error(
        "a list holds at most {MEDIA_TYPES_MAX} media types, of {MEDIA_TYPES_BYTES_MAX} bytes altogether"
    )]
    TooLong,
    /// Not strictly ascending.
    #[error("the media types of a list ascend and do not repeat")]
    Order,
    /// `text/plain` is among them.
    #[error("{TEXT_PLAIN} is always taken, and not listed")]
    Plain,
}

impl TryFrom<Vec<MediaType>> for MediaTypes {
    type Error = InvalidMediaTypes;

    fn try_from(types: Vec<MediaType>) -> Result<Self, InvalidMediaTypes> {
        let bytes: usize = types.iter().map(|listed| listed.as_str().len()).sum();
        if types.len() > MEDIA_TYPES_MAX || bytes > MEDIA_TYPES_BYTES_MAX {
            return Err(InvalidMediaTypes::TooLong);
        }
        if !types.is_sorted_by(|a, b| a < b) {
            return Err(InvalidMediaTypes::Order);
        }
        if types.iter().any(|listed| listed.as_str() == TEXT_PLAIN) {
            return Err(InvalidMediaTypes::Plain);
        }
        Ok(Self(types.into()))
    }
}

impl From<MediaTypes> for Vec<MediaType> {
    fn from(types: MediaTypes) -> Self {
        types.0.to_vec()
    }
}

impl Default for MediaTypes {
    /// `text/plain` alone.
    fn default() -> Self {
        Self(Arc::new([]))
    }
}

impl MediaTypes {
    /// Whether one that gives this list takes content of this type.
    #[must_use]
    pub fn take(&self, essence: &MediaType) -> bool {
        essence.as_str() == TEXT_PLAIN || self.0.contains(essence)
    }

    /// Whether nothing but `text/plain` is taken.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }
}

/// The type and subtype of content that everybody who takes them may be sent.
///
/// # Errors
/// The media type has no type and subtype, or plain text is not UTF-8.
pub fn judge_content(media_type: &str, content: &[u8]) -> Result<MediaType, InvalidMediaType> {
    let essence = MediaType::essence(media_type)?;
    if essence.as_str() == TEXT_PLAIN && std::str::from_utf8(content).is_err() {
        return Err(InvalidMediaType);
    }
    Ok(essence)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(text: &str, expected: Option<&str>) {
        let essence = MediaType::essence(text).ok();
        assert_eq!(essence.as_ref().map(MediaType::as_str), expected, "{text:?}");
    }

    #[test]
    fn the_essence_is_what_stands_before_the_parameters() {
        check("text/plain", Some("text/plain"));
        check("Text/PLAIN ; charset=utf-8", Some("text/plain"));
        check("multipart/mixed; boundary=\"a;b\"", Some("multipart/mixed"));
        check("image/svg+xml", Some("image/svg+xml"));
        for wrong in ["", "text", "/plain", "text/", "a/b/c", "te xt/plain", "+a/b", "a/b ,", "a/\u{fc}"] {
            check(wrong, None);
        }
        check(&format!("a/{}", "b".repeat(127)), Some(&format!("a/{}", "b".repeat(127))));
        check(&format!("a/{}", "b".repeat(128)), None);
    }

    fn list(types: &[&str]) -> Result<MediaTypes, InvalidMediaTypes> {
        let types: Vec<MediaType> = types.iter().map(|text| text.parse().unwrap()).collect();
        types.try_into()
    }

    #[test]
    fn a_list_is_short_and_ascends_without_plain_text() {
        assert!(list(&["image/png", "multipart/mixed"]).is_ok());
        assert_eq!(list(&["image/png", "image/png"]), Err(InvalidMediaTypes::Order));
        assert_eq!(list(&["multipart/mixed", "image/png"]), Err(InvalidMediaTypes::Order));
        assert_eq!(list(&["text/plain"]), Err(InvalidMediaTypes::Plain));
        let names: Vec<String> = (0..17).map(|number| format!("a/{number:02}")).collect();
        let names: Vec<&str> = names.iter().map(String::as_str).collect();
        assert!(list(&names[..16]).is_ok());
        assert_eq!(list(&names), Err(InvalidMediaTypes::TooLong));
        let long: Vec<String> = (0..4).map(|number| format!("{number}/{}", "b".repeat(94))).collect();
        let long: Vec<&str> = long.iter().map(String::as_str).collect();
        assert!(list(&long).is_ok(), "384 bytes");
        assert_eq!(list(&[&long[..], &["z/z"]].concat()), Err(InvalidMediaTypes::TooLong));
    }

    #[test]
    fn plain_text_is_taken_by_everybody_and_is_utf_8() {
        let plain = judge_content("text/plain; charset=utf-8", "\u{fc}".as_bytes()).unwrap();
        assert!(MediaTypes::default().take(&plain));
        assert_eq!(judge_content("text/plain", b"\xff"), Err(InvalidMediaType));
        let image = judge_content("image/png", b"\xff").unwrap();
        assert!(!MediaTypes::default().take(&image));
        assert!(list(&["image/png"]).unwrap().take(&image));
    }
}
