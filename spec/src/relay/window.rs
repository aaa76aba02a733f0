//! How much may be on its way through a link in one direction.

use crate::{
    limits::RELAY_WINDOW_BYTES,
    mutant::{Mutant, active},
};

/// The bytes that one side of a link may send before the other has taken some.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Window(usize);

impl Default for Window {
    fn default() -> Self {
        Self(RELAY_WINDOW_BYTES)
    }
}

impl Window {
    /// How many bytes may be sent.
    #[must_use]
    pub fn room(self) -> usize {
        self.0
    }

    /// Bytes are sent; `false` if they are more than may be.
    #[must_use]
    pub fn spend(&mut self, count: usize) -> bool {
        match self.0.checked_sub(count) {
            Some(rest) => self.0 = rest,
            None if active(Mutant::RelayWindowUnchecked) => self.0 = 0,
            None => return false,
        }
        true
    }

    /// Bytes were taken; `false` if they are more than were on their way.
    #[must_use]
    pub fn restore(&mut self, count: usize) -> bool {
        match self.0.checked_add(count).filter(|room| *room <= RELAY_WINDOW_BYTES) {
            Some(room) => self.0 = room,
            None if active(Mutant::RelayCreditUnchecked) => {}
            None => return false,
        }
        true
    }
}
