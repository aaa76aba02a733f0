//! Random bytes for events, drawn many at a time: asking the library for 16 costs nearly as much as asking for a
//! hundred times as many, and every event of a session needs some.

use std::fmt;

use antiphon_protocol::tls::provider;

/// Bytes that are drawn at once: enough for 32 events.
const DRAWN_BYTES: usize = 512;

/// Bytes that nobody has had yet.
pub(super) struct Entropy {
    drawn: [u8; DRAWN_BYTES],
    used: usize,
}

impl Default for Entropy {
    fn default() -> Self {
        Self { drawn: [0; DRAWN_BYTES], used: DRAWN_BYTES }
    }
}

impl Entropy {
    /// 16 bytes; none if the system has no random numbers to give. What was given is kept nowhere.
    pub(super) fn draw(&mut self) -> Option<[u8; 16]> {
        if self.used >= DRAWN_BYTES {
            provider().secure_random.fill(&mut self.drawn).ok()?;
            self.used = 0;
        }
        let next = self.drawn.get_mut(self.used..)?.first_chunk_mut::<16>()?;
        self.used += next.len();
        Some(std::mem::take(next))
    }
}

/// The bytes are nobody's to read.
impl fmt::Debug for Entropy {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Entropy").field("used", &self.used).finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::{DRAWN_BYTES, Entropy};

    #[test]
    fn nothing_is_given_twice_or_kept() {
        let mut entropy = Entropy::default();
        let draws = 3 * DRAWN_BYTES / 16;
        let given: BTreeSet<[u8; 16]> = (0..draws).filter_map(|_| entropy.draw()).collect();
        assert_eq!(given.len(), draws);
        assert!(entropy.drawn.iter().all(|byte| *byte == 0), "all was given, so nothing is left");
    }
}
