//! What everybody in a town said and was told, in one order, for the report of a failure.

use std::sync::{Arc, Mutex, PoisonError};

/// Longest line that a report shows.
const SHOWN_MAX: usize = 400;

/// Shared by all processes of a town.
#[derive(Clone, Debug, Default)]
pub(crate) struct Chronicle(Arc<Mutex<Vec<String>>>);

impl Chronicle {
    /// Writes down a line: who, in which direction, what.
    pub(crate) fn note(&self, who: &str, direction: &str, line: &str) {
        let mut shown: String = line.chars().take(SHOWN_MAX).collect();
        if shown.len() < line.len() {
            shown.push_str("...");
        }
        self.lines().push(format!("{who} {direction} {shown}"));
    }

    /// All of it.
    pub(crate) fn tell(&self) -> String {
        self.lines().join("\n")
    }

    fn lines(&self) -> std::sync::MutexGuard<'_, Vec<String>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
