//! The checker: proves that bytes are exactly one item in deterministic form, without building anything.
//!
//! It is independent of the encoder, so an encoder that were itself wrong could not hide behind its own round trip.

use antiphon_spec::limits::CBOR_DEPTH_MAX;

use super::{DecodeError, DecodeErrorKind as Kind};

/// Checks that `bytes` are one deterministic CBOR item of integers, byte strings, texts, arrays, maps, false and true.
///
/// # Errors
/// They are not; the error says what is wrong first, and where.
pub fn check(bytes: &[u8]) -> Result<(), DecodeError> {
    let mut reader = Reader { bytes, position: 0 };
    reader.item(0)?;
    if reader.position == bytes.len() { Ok(()) } else { Err(reader.fault(Kind::TrailingBytes)) }
}

struct Reader<'a> {
    bytes: &'a [u8],
    position: usize,
}

/// The initial byte and the argument of an item (RFC 8949, section 3).
struct Head {
    major: u8,
    argument: u64,
}

impl<'a> Reader<'a> {
    fn fault(&self, kind: Kind) -> DecodeError {
        DecodeError { kind, offset: self.position }
    }

    fn take(&mut self, count: usize) -> Result<&'a [u8], DecodeError> {
        let end = self.position.checked_add(count);
        let taken = end.and_then(|end| self.bytes.get(self.position..end));
        let taken = taken.ok_or_else(|| self.fault(Kind::Truncated))?;
        self.position += count;
        Ok(taken)
    }

    fn head(&mut self) -> Result<Head, DecodeError> {
        let start = self.position;
        let at_start = |kind| DecodeError { kind, offset: start };
        let initial = self.take(1)?.iter().fold(0, |_, &byte| byte);
        let (major, information) = (initial >> 5, initial & 0x1f);
        let follow = match information {
            0..=23 => 0,
            24 => 1,
            25 => 2,
            26 => 4,
            27 => 8,
            31 if (2..=5).contains(&major) => return Err(at_start(Kind::Indefinite)),
            _ => return Err(at_start(Kind::Reserved)),
        };
        match (major, information) {
            (6, _) => return Err(at_start(Kind::Tag)),
            (7, 25..=27) => return Err(at_start(Kind::Float)),
            (7, 0..=19 | 22..=24) => return Err(at_start(Kind::Simple)),
            _ => {}
        }
        if follow == 0 {
            return Ok(Head { major, argument: u64::from(information) });
        }
        let argument = self.take(follow)?.iter().fold(0u64, |sum, &byte| sum << 8 | u64::from(byte));
        // The least argument that needs this many bytes.
        let least = match follow {
            1 => 24,
            2 => 1 << 8,
            4 => 1 << 16,
            _ => 1 << 32,
        };
        if argument < least {
            return Err(at_start(Kind::NotShortest));
        }
        Ok(Head { major, argument })
    }

    /// The bytes of a string, whose length is judged before they are touched.
    fn string(&mut self, length: u64) -> Result<&'a [u8], DecodeError> {
        let length = usize::try_from(length).map_err(|_| self.fault(Kind::Truncated))?;
        self.take(length)
    }

    /// `depth` arrays and maps are open around the item.
    fn item(&mut self, depth: usize) -> Result<(), DecodeError> {
        let start = self.position;
        let head = self.head()?;
        match head.major {
            0 | 1 | 7 => Ok(()),
            2 => self.string(head.argument).map(drop),
            3 => {
                let text_start = self.position;
                let text = self.string(head.argument)?;
                std::str::from_utf8(text).map(drop).map_err(|error| DecodeError {
                    kind: Kind::Utf8,
                    offset: text_start + error.valid_up_to(),
                })
            }
            _ if depth >= CBOR_DEPTH_MAX => Err(DecodeError { kind: Kind::TooDeep, offset: start }),
            4 => {
                self.items_fit(head.argument, 1)?;
                (0..head.argument).try_for_each(|_| self.item(depth + 1))
            }
            _ => {
                self.items_fit(head.argument, 2)?;
                self.entries(head.argument, depth + 1)
            }
        }
    }

    /// Each item takes a byte at least: a count beyond that is refused before the first is read.
    fn items_fit(&self, count: u64, items_each: u64) -> Result<(), DecodeError> {
        let left = self.bytes.len() - self.position;
        match count.checked_mul(items_each).map(usize::try_from) {
            Some(Ok(items)) if items <= left => Ok(()),
            _ => Err(self.fault(Kind::Truncated)),
        }
    }

    /// Keys ascend in the bytewise order of their encodings (RFC 8949, section 4.2.1).
    fn entries(&mut self, count: u64, depth: usize) -> Result<(), DecodeError> {
        let mut previous: &[u8] = &[];
        for _ in 0..count {
            let start = self.position;
            self.item(depth)?;
            let key = self.bytes.get(start..self.position).unwrap_or_default();
            // Most keys differ in their head already, that is in length, and need no comparison of strings.
            let order = previous.first().cmp(&key.first()).then_with(|| previous.cmp(key));
            let kind = match order {
                std::cmp::Ordering::Less => None,
                std::cmp::Ordering::Equal => Some(Kind::DuplicateKey),
                std::cmp::Ordering::Greater => Some(Kind::KeyOrder),
            };
            if let Some(kind) = kind {
                return Err(DecodeError { kind, offset: start });
            }
            previous = key;
            self.item(depth)?;
        }
        Ok(())
    }
}
