//! The numbers of the relayed links of one connection.
//!
//! The dialling end opens links under odd numbers and the accepting end under even ones, each in ascending order. So
//! both may open at once, and a message for a link that is over can be told from one for a link that never was.

use crate::{error_code::ErrorCode, message::relay::LinkNumber};

/// Which end of the connection this is, and how far the numbers of both have come.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Numbers {
    /// The least number that this end has not used.
    own: u64,
    /// The least number that the peer may use.
    peer: u64,
}

impl Numbers {
    /// At the end that dialled.
    #[must_use]
    pub const fn dialling() -> Self {
        Self { own: 1, peer: 0 }
    }

    /// At the end that accepted.
    #[must_use]
    pub const fn accepting() -> Self {
        Self { own: 0, peer: 1 }
    }

    /// The number of a link that this end opens.
    pub fn next_own(&mut self) -> LinkNumber {
        let number = self.own;
        self.own = self.own.saturating_add(2);
        LinkNumber(number)
    }

    /// The peer opens a link.
    ///
    /// # Errors
    /// The number is not one of the peer's, or not above those before: `unexpected-message`.
    pub fn open(&mut self, link: LinkNumber) -> Result<(), ErrorCode> {
        // The last number there is has none above it.
        let next = link.0.checked_add(2).filter(|_| link.0 % 2 == self.peer % 2 && link.0 >= self.peer);
        self.peer = next.ok_or(ErrorCode::UnexpectedMessage)?;
        Ok(())
    }

    /// Whether a link of this number has been opened, by either end: a message for it may be late.
    #[must_use]
    pub fn was_opened(&self, link: LinkNumber) -> bool {
        link.0 < if link.0 % 2 == self.own % 2 { self.own } else { self.peer }
    }
}
