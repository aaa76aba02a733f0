//! Diagnostic notation (RFC 8949, section 8): how reports show bytes to people.
//!
//! Total: what cannot be read as CBOR is shown as hexadecimal, and nesting is cut, so that a report never fails.

use std::fmt::Write as _;

/// Deepest nesting that is shown.
const DEPTH_SHOWN_MAX: usize = 32;

/// The bytes in diagnostic notation; any that are not CBOR follow in hexadecimal, marked as such.
#[must_use]
pub fn diagnostic(bytes: &[u8]) -> String {
    let mut writer = Writer { bytes, position: 0, text: String::new() };
    while writer.position < bytes.len() {
        let (start, length) = (writer.position, writer.text.len());
        if start > 0 {
            writer.text.push_str(" / trailing / ");
        }
        if writer.item(0).is_none() {
            writer.text.truncate(length);
            let rest = bytes.get(start..).unwrap_or_default();
            let _ = write!(writer.text, "{}/ not CBOR / {}", if start > 0 { " " } else { "" }, hex(rest));
            break;
        }
    }
    writer.text
}

fn hex(bytes: &[u8]) -> String {
    let mut text = String::with_capacity(bytes.len() * 2 + 3);
    text.push_str("h'");
    for byte in bytes {
        let _ = write!(text, "{byte:02x}");
    }
    text.push('\'');
    text
}

struct Writer<'a> {
    bytes: &'a [u8],
    position: usize,
    text: String,
}

impl<'a> Writer<'a> {
    fn take(&mut self, count: u64) -> Option<&'a [u8]> {
        let end = self.position.checked_add(usize::try_from(count).ok()?)?;
        let taken = self.bytes.get(self.position..end)?;
        self.position = end;
        Some(taken)
    }

    /// Writes one item; nothing if the bytes end or are not CBOR.
    fn item(&mut self, depth: usize) -> Option<()> {
        if depth > DEPTH_SHOWN_MAX {
            return None;
        }
        let initial = *self.take(1)?.first()?;
        let (major, information) = (initial >> 5, initial & 0x1f);
        let argument = match information {
            0..=23 => Some(u64::from(information)),
            24..=27 => {
                let argument = self.take(1 << (information - 24))?;
                Some(argument.iter().fold(0u64, |sum, &byte| sum << 8 | u64::from(byte)))
            }
            31 if (2..=5).contains(&major) => None,
            _ => return None,
        };
        match (major, argument) {
            (0, Some(number)) => write!(self.text, "{number}").ok(),
            (1, Some(number)) => write!(self.text, "{}", -1 - i128::from(number)).ok(),
            (2, Some(length)) => {
                let shown = hex(self.take(length)?);
                self.text.push_str(&shown);
                Some(())
            }
            (3, Some(length)) => self.string(length),
            (4, count) => self.series(count, depth, ['[', ']'], false),
            (5, count) => self.series(count, depth, ['{', '}'], true),
            (2 | 3, None) => self.series(None, depth, ['(', ')'], false),
            (6, Some(tag)) => {
                write!(self.text, "{tag}(").ok()?;
                self.item(depth + 1)?;
                self.text.push(')');
                Some(())
            }
            (7, Some(value)) => self.simple(information, value),
            _ => None,
        }
    }

    fn string(&mut self, length: u64) -> Option<()> {
        let text = std::str::from_utf8(self.take(length)?).ok()?;
        self.text.push('"');
        for character in text.chars() {
            match character {
                '"' | '\\' => self.text.extend(['\\', character]),
                // Control and formatting characters could disguise what a report shows.
                _ if character.is_control() || ('\u{200b}'..='\u{206f}').contains(&character) => {
                    write!(self.text, "\\u{{{:x}}}", u32::from(character)).ok()?;
                }
                _ => self.text.push(character),
            }
        }
        self.text.push('"');
        Some(())
    }

    /// The items between brackets; without a count, up to the break.
    fn series(&mut self, count: Option<u64>, depth: usize, brackets: [char; 2], pairs: bool) -> Option<()> {
        let [open, close] = brackets;
        self.text.push(open);
        if count.is_none() {
            self.text.push_str("_ ");
        }
        let mut written = 0;
        while count.is_none_or(|count| written < count) {
            if count.is_none() && self.bytes.get(self.position) == Some(&0xff) {
                self.position += 1;
                break;
            }
            if written > 0 {
                self.text.push_str(", ");
            }
            self.item(depth + 1)?;
            if pairs {
                self.text.push_str(": ");
                self.item(depth + 1)?;
            }
            written += 1;
        }
        self.text.push(close);
        Some(())
    }

    fn simple(&mut self, information: u8, value: u64) -> Option<()> {
        let bits = u32::try_from(value).ok();
        match (information, value) {
            (_, 20) => write!(self.text, "false"),
            (_, 21) => write!(self.text, "true"),
            (_, 22) => write!(self.text, "null"),
            (_, 23) => write!(self.text, "undefined"),
            (25, _) => write!(self.text, "/ half float / {}", hex(&u16::try_from(value).ok()?.to_be_bytes())),
            (26, _) => write!(self.text, "{:?}_2", f32::from_bits(bits?)),
            (27, _) => write!(self.text, "{:?}_3", f64::from_bits(value)),
            _ => write!(self.text, "simple({value})"),
        }
        .ok()
    }
}
