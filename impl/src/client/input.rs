//! Lines from a person or a program, each of bounded length.

use std::io::{BufRead, Read as _};

use tokio::sync::mpsc;

/// Longest line, in bytes without its end: the longest text of a message, each of its bytes escaped, fits.
pub const LINE_BYTES_MAX: usize = 128 * 1024;

/// Most lines that wait to be read.
const LINES_MAX: usize = 16;

/// One line.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Line {
    /// Its text, without the line's end.
    Text(String),
    /// A line that is passed over.
    Unreadable(UnreadableLine),
}

/// Why a line is passed over.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum UnreadableLine {
    /// The line is too long.
    #[error("a line has at most {LINE_BYTES_MAX} bytes")]
    TooLong,
    /// The line is not text.
    #[error("a line is UTF-8")]
    NotText,
}

/// The lines of the standard input. A thread of its own reads them: a read there cannot be given up.
#[must_use]
pub fn standard_input() -> mpsc::Receiver<Line> {
    let (sender, lines) = mpsc::channel(LINES_MAX);
    std::thread::spawn(move || {
        let mut input = std::io::stdin().lock();
        while let Ok(Some(line)) = read_line(&mut input) {
            if sender.blocking_send(line).is_err() {
                return;
            }
        }
    });
    lines
}

/// The next line; nothing at the end of the input. No more than a line's greatest length is ever kept.
fn read_line(input: &mut impl BufRead) -> std::io::Result<Option<Line>> {
    let mut bytes = Vec::new();
    let limit = u64::try_from(LINE_BYTES_MAX + 1).unwrap_or(u64::MAX);
    if input.by_ref().take(limit).read_until(b'\n', &mut bytes)? == 0 {
        return Ok(None);
    }
    let ended = bytes.last() == Some(&b'\n');
    if !ended && bytes.len() > LINE_BYTES_MAX {
        input.skip_until(b'\n')?;
        return Ok(Some(Line::Unreadable(UnreadableLine::TooLong)));
    }
    if ended {
        bytes.pop();
        if bytes.last() == Some(&b'\r') {
            bytes.pop();
        }
    }
    let unreadable = |_| Line::Unreadable(UnreadableLine::NotText);
    Ok(Some(String::from_utf8(bytes).map_or_else(unreadable, Line::Text)))
}

#[cfg(test)]
mod tests {
    use super::{LINE_BYTES_MAX, Line, UnreadableLine, read_line};

    fn all(mut input: &[u8]) -> Vec<Line> {
        std::iter::from_fn(|| read_line(&mut input).unwrap()).collect()
    }

    fn text(text: &str) -> Line {
        Line::Text(text.to_owned())
    }

    #[test]
    fn lines_end_with_a_line_feed_or_the_input() {
        assert_eq!(all(b"one\ntwo\r\n\nlast"), [text("one"), text("two"), text(""), text("last")]);
        assert_eq!(all(b""), []);
    }

    #[test]
    fn a_line_that_is_too_long_or_no_text_is_passed_over() {
        let mut input = vec![b'x'; LINE_BYTES_MAX];
        input.extend_from_slice(b"\n");
        input.extend_from_slice(&vec![b'y'; LINE_BYTES_MAX + 1]);
        input.extend_from_slice(b"\n\xff\nnext\n");
        let longest = text(&"x".repeat(LINE_BYTES_MAX));
        let too_long = Line::Unreadable(UnreadableLine::TooLong);
        let not_text = Line::Unreadable(UnreadableLine::NotText);
        assert_eq!(all(&input), [longest, too_long, not_text, text("next")]);
    }
}
