//! What a session waits for, in a word: for tools that tell its states apart, and with the feature `sites` alone.

use std::fmt;

use super::{
    epoch::Epoch,
    machine::{Session, State},
};
use crate::identity::UserHandle;

/// What a session waits for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Stage {
    /// For the user's answer to the invitation.
    Invited,
    /// For the inviter's welcome.
    AwaitingWelcome,
    /// For the members' admissions.
    Joining,
    /// For the commit that ends the join.
    Completed,
    /// For anything: a member that does not coordinate.
    Member,
    /// For the commit that ends the epoch, or for the last chat messages in it.
    Closing,
    /// For a successor of the lost coordinator.
    Orphaned,
    /// For a request: a coordinator that has the token.
    TokenHome,
    /// For the answer to the offer of the coordinator's part.
    Offering,
    /// For the newcomer and those who admit it.
    TokenOut,
    /// For members to close the epoch.
    Collecting,
    /// For the epoch that is committed to begin.
    Committed,
    /// For others to close their links.
    Leaving,
    /// For nothing.
    Ended,
}

impl fmt::Display for Stage {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Invited => "an invitee",
            Self::AwaitingWelcome => "an invitee that has accepted",
            Self::Joining => "a newcomer",
            Self::Completed => "a newcomer that has completed",
            Self::Member => "a member",
            Self::Closing => "a member whose epoch closes",
            Self::Orphaned => "an orphaned member",
            Self::TokenHome => "a coordinator with the token",
            Self::Offering => "a coordinator that offers its part",
            Self::TokenOut => "a coordinator whose token is out",
            Self::Collecting => "a coordinator whose epoch closes",
            Self::Committed => "a coordinator that has committed",
            Self::Leaving => "a member that has left",
            Self::Ended => "a client whose session is over",
        })
    }
}

impl Session {
    /// The epoch that this client is in, or joins.
    #[must_use]
    pub fn epoch_at_hand(&self) -> Option<&Epoch> {
        match &self.state {
            State::Member(member) => Some(&member.epoch),
            State::Joining(joining) => Some(joining.epoch()),
            State::Invited(_) | State::AwaitingWelcome(_) | State::Leaving(_) | State::Ended(_) => None,
        }
    }

    /// Whether this peer is a member in that epoch, or the newcomer that this client has admitted.
    #[must_use]
    pub fn hears(&self, peer: &UserHandle) -> bool {
        let is_member = self.epoch_at_hand().is_some_and(|epoch| epoch.member(peer).is_some());
        is_member || self.membership().is_some_and(|member| member.has_admitted(peer))
    }

    /// What the session waits for.
    #[must_use]
    pub fn stage(&self) -> Stage {
        match &self.state {
            State::Invited(_) => Stage::Invited,
            State::AwaitingWelcome(_) => Stage::AwaitingWelcome,
            State::Joining(joining) if joining.is_completed() => Stage::Completed,
            State::Joining(_) => Stage::Joining,
            State::Member(member) => match &member.coordinator {
                Some(coordinator) => coordinator.stage(),
                None if member.has_lost_coordinator() => Stage::Orphaned,
                None if member.closing.is_some() => Stage::Closing,
                None => Stage::Member,
            },
            State::Leaving(_) => Stage::Leaving,
            State::Ended(_) => Stage::Ended,
        }
    }
}
