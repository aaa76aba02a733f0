//! What happens in a round: all of it follows from the seed, as far as processes follow anything.

use std::{fmt, str::FromStr, time::Duration};

use antiphon_tests::Draws;

/// Longest time between what the fault waits for and the fault: the longest that a join takes on a busy machine, so
/// that every step of it is hit now and then.
const DELAY_MAX: Duration = Duration::from_millis(60);

/// Most messages that the fault waits for.
const MESSAGES_MAX: u64 = 60;

/// Who is killed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Victim {
    /// The member that orders changes.
    Coordinator,
    /// The member whose invitation holds the token, or is about to.
    Holder,
    /// Whoever is about to join.
    Newcomer,
    /// The server that some are logged in at.
    FirstServer,
    /// The server that the others are logged in at.
    SecondServer,
    /// Both.
    BothServers,
}

impl Victim {
    pub(crate) const ALL: [Self; 6] = [
        Self::Coordinator,
        Self::Holder,
        Self::Newcomer,
        Self::FirstServer,
        Self::SecondServer,
        Self::BothServers,
    ];

    const fn name(self) -> &'static str {
        match self {
            Self::Coordinator => "coordinator",
            Self::Holder => "holder",
            Self::Newcomer => "newcomer",
            Self::FirstServer => "first-server",
            Self::SecondServer => "second-server",
            Self::BothServers => "both-servers",
        }
    }

    /// The numbers of the servers that are killed.
    pub(crate) const fn servers(self) -> &'static [usize] {
        match self {
            Self::Coordinator | Self::Holder | Self::Newcomer => &[],
            Self::FirstServer => &[0],
            Self::SecondServer => &[1],
            Self::BothServers => &[0, 1],
        }
    }
}

impl fmt::Display for Victim {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.name())
    }
}

impl FromStr for Victim {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let all = || Self::ALL.map(Self::name).join(", ");
        let named = Self::ALL.into_iter().find(|victim| victim.name() == text);
        named.ok_or_else(|| format!("--victim {text}: one of {}", all()))
    }
}

/// What the fault waits for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Moment {
    /// The inviter was told to invite.
    Asked,
    /// The newcomer is invited.
    Invited,
    /// The newcomer has accepted: the token, the ticket, the links and the close of the epoch follow.
    Accepted,
    /// A member has begun the epoch with the newcomer, maybe before others.
    Joined,
    /// So many messages were delivered in all since the newcomer was invited.
    Talked(u64),
}

/// A round.
#[derive(Clone, Debug)]
pub(crate) struct Plan {
    pub(crate) seed: u64,
    pub(crate) victim: Victim,
    pub(crate) moment: Moment,
    pub(crate) delay: Duration,
    /// Whether a member asks to leave at the moment at which the newcomer accepts.
    pub(crate) leave: bool,
    /// Whether the coordinator invites, rather than another member.
    pub(crate) coordinator_invites: bool,
}

impl Plan {
    /// The plan of a seed; victims take turns unless there is one to be.
    pub(crate) fn draw(seed: u64, victim: Option<Victim>) -> Self {
        let mut draws = Draws(seed);
        let turn = usize::try_from(seed % u64::try_from(Victim::ALL.len()).unwrap()).unwrap();
        let victim = victim.unwrap_or(Victim::ALL[turn]);
        let moment = match (victim, draws.below(6)) {
            // Whether an inviter that is dead had come to invite anybody is not to be seen.
            (Victim::Coordinator | Victim::Holder | Victim::Newcomer, 0) | (_, 1) => Moment::Invited,
            (_, 0) => Moment::Asked,
            // Whose invitation is over holds nothing.
            (Victim::Newcomer | Victim::Holder, _) | (_, 2 | 3) => Moment::Accepted,
            (_, 4) => Moment::Joined,
            (_, _) => Moment::Talked(1 + draws.below(MESSAGES_MAX)),
        };
        let delay = Duration::from_micros(draws.below(u64::try_from(DELAY_MAX.as_micros()).unwrap()));
        let leave = draws.below(3) == 0;
        let coordinator_invites = victim != Victim::Holder && draws.below(3) == 0;
        Self { seed, victim, moment, delay, leave, coordinator_invites }
    }
}
