//! What users do and what goes wrong: the decisions of a run, each with its time.
//!
//! A run records the decisions that it took. The same ones, taken from the record, make the same run; fewer of them
//! make a smaller one.

use std::fmt;

use super::clock::Instant;
use crate::cast::Who;

/// Something that nobody has to do.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Decision {
    /// A client creates a session.
    Create(Who),
    /// A user invites another.
    Invite { who: Who, whom: Who },
    /// A user leaves, or gives up joining.
    Leave(Who),
    /// A user says something so many times.
    Say { who: Who, count: u64 },
    /// A client dies.
    Crash(Who),
    /// A client that died runs again, and knows nothing.
    Restart(Who),
    /// The links between two clients break.
    Cut { between: Who, and: Who },
    /// Who is in the set does not reach who is not.
    Partition(Set),
    /// Everybody reaches everybody again, over new links.
    Heal,
    /// A client does nothing for so many seconds.
    Stall { who: Who, seconds: u64 },
}

/// A set of clients.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Set(pub(crate) u64);

impl Set {
    pub(crate) fn has(self, who: Who) -> bool {
        self.0 >> who.index() & 1 == 1
    }
}

impl fmt::Display for Decision {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Create(who) => write!(f, "{who} creates the session"),
            Self::Invite { who, whom } => write!(f, "{who} invites {whom}"),
            Self::Leave(who) => write!(f, "{who} leaves"),
            Self::Say { who, count: 1 } => write!(f, "{who} says something"),
            Self::Say { who, count } => write!(f, "{who} says something, {count} times"),
            Self::Crash(who) => write!(f, "{who} dies"),
            Self::Restart(who) => write!(f, "{who} runs again"),
            Self::Cut { between, and } => write!(f, "the links between {between} and {and} break"),
            Self::Partition(set) => {
                f.write_str("the network falls apart: on one side")?;
                Who::first(64).filter(|who| set.has(*who)).try_for_each(|who| write!(f, " {who}"))
            }
            Self::Heal => f.write_str("the network is whole again"),
            Self::Stall { who, seconds } => write!(f, "{who} stalls for {seconds} s"),
        }
    }
}

/// The decisions of a run, the earliest first.
pub(crate) type Record = Vec<(Instant, Decision)>;
