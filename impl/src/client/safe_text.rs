//! Text that may be written to a terminal.
//!
//! Whatever a peer can choose may hold escape sequences that move the cursor, write to the clipboard or turn the
//! reading direction. [`SafeText`] is the only thing that the client writes to a terminal, and its one constructor
//! makes such characters visible instead of passing them on.

use std::fmt;

/// A text without control characters, of one line.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
pub struct SafeText(String);

impl SafeText {
    /// Takes whatever text and makes it safe: line ends become `⏎`, tabs become spaces, and every other control
    /// character, direction mark or invisible character becomes `�`.
    #[must_use]
    pub fn new(untrusted: &str) -> Self {
        let mut safe = String::with_capacity(untrusted.len());
        let mut characters = untrusted.chars().peekable();
        while let Some(character) = characters.next() {
            match character {
                '\r' if characters.peek() == Some(&'\n') => {}
                '\n' => safe.push('⏎'),
                '\t' => safe.push(' '),
                _ if is_dangerous(character) => safe.push(char::REPLACEMENT_CHARACTER),
                _ => safe.push(character),
            }
        }
        Self(safe)
    }

    /// The text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for SafeText {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(&self.0)
    }
}

/// Whether a character can do anything to a terminal other than stand there.
fn is_dangerous(character: char) -> bool {
    character.is_control()
        || matches!(
            character,
            // Soft hyphen, Arabic letter mark, Mongolian vowel separator.
            '\u{ad}' | '\u{61c}' | '\u{180e}'
            // Zero-width space and direction marks; the joiners beside them belong to scripts and stay.
            | '\u{200b}' | '\u{200e}' | '\u{200f}'
            // Line and paragraph separators, embeddings and overrides.
            | '\u{2028}'..='\u{202e}'
            // Invisible operators and isolates.
            | '\u{2060}'..='\u{206f}'
            // Byte order mark, interlinear annotations.
            | '\u{feff}' | '\u{fff9}'..='\u{fffb}'
            // Tags.
            | '\u{e0000}'..='\u{e007f}'
        )
}

#[cfg(test)]
mod tests {
    use super::SafeText;

    #[track_caller]
    fn check(untrusted: &str, expected: &str) {
        assert_eq!(SafeText::new(untrusted).as_str(), expected);
    }

    #[test]
    fn plain_text_of_any_script_stays() {
        check("Grüße, 世界, שלום, 👋", "Grüße, 世界, שלום, 👋");
        check("", "");
    }

    #[test]
    fn escape_sequences_lose_their_escape() {
        check("\u{1b}[2J", "\u{fffd}[2J");
        check("\u{1b}]52;c;aGk=\u{7}", "\u{fffd}]52;c;aGk=\u{fffd}");
        check("\u{9b}31m", "\u{fffd}31m");
        check("a\u{8}b\u{7f}c\0", "a\u{fffd}b\u{fffd}c\u{fffd}");
    }

    #[test]
    fn direction_and_invisible_characters_show() {
        check("abc\u{202e}def\u{2066}", "abc\u{fffd}def\u{fffd}");
        check("a\u{200b}b\u{feff}c\u{e0041}", "a\u{fffd}b\u{fffd}c\u{fffd}");
    }

    #[test]
    fn a_text_stays_on_its_line() {
        check("one\ntwo\r\nthree\rfour\tfive", "one⏎two⏎three\u{fffd}four five");
        check("\u{2028}\u{85}", "\u{fffd}\u{fffd}");
    }

    #[test]
    fn nothing_dangerous_is_left_of_any_character() {
        for character in '\0'..=char::MAX {
            let safe = SafeText::new(character.encode_utf8(&mut [0; 4]));
            assert!(!safe.as_str().chars().any(super::is_dangerous), "{:x}", u32::from(character));
        }
    }
}
