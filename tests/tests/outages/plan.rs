//! What happens in a round: all of it follows from the seed, as far as processes follow anything.

use std::{fmt, str::FromStr, time::Duration};

use antiphon_tests::Draws;

/// Most changes that the fault waits for.
const CHANGES_MAX: u64 = 60;

/// Longest time between the change that the fault waits for and the fault.
const DELAY_MAX: Duration = Duration::from_millis(30);

/// Longest time for which the victim is gone.
const GONE_MAX: Duration = Duration::from_millis(400);

/// Who is killed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Victim {
    /// The home server of some, at which others are logged in.
    FirstServer,
    /// The home server of the others.
    SecondServer,
    /// The directory node.
    Node,
    /// PostgreSQL, which has the databases of all.
    Database,
}

impl Victim {
    /// Everybody who may be killed in a town with PostgreSQL, or with files.
    pub(crate) const fn of(postgres: bool) -> &'static [Self] {
        if postgres {
            &[Self::FirstServer, Self::SecondServer, Self::Node, Self::Database]
        } else {
            &[Self::FirstServer, Self::SecondServer, Self::Node]
        }
    }

    const fn name(self) -> &'static str {
        match self {
            Self::FirstServer => "first-server",
            Self::SecondServer => "second-server",
            Self::Node => "node",
            Self::Database => "database",
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
        let all = Self::of(true);
        let named = all.iter().find(|victim| victim.name() == text);
        let names: Vec<&str> = all.iter().map(|victim| victim.name()).collect();
        named.copied().ok_or_else(|| format!("--victim {text}: one of {}", names.join(", ")))
    }
}

/// A round.
#[derive(Clone, Debug)]
pub(crate) struct Plan {
    pub(crate) victim: Victim,
    /// So many changes are acknowledged in all before the fault.
    pub(crate) changes: u64,
    pub(crate) delay: Duration,
    /// How long the victim is gone.
    pub(crate) gone: Duration,
    /// Which server is killed at the end, and stays dead.
    pub(crate) last: usize,
}

impl Plan {
    /// The plan of a seed; victims take turns unless there is one to be.
    pub(crate) fn draw(seed: u64, victim: Option<Victim>, victims: &[Victim]) -> Self {
        let mut draws = Draws(seed);
        let turn = usize::try_from(seed).unwrap() % victims.len();
        let victim = victim.unwrap_or(victims[turn]);
        let changes = 1 + draws.below(CHANGES_MAX);
        let mut micros =
            |most: Duration| Duration::from_micros(draws.below(u64::try_from(most.as_micros()).unwrap()));
        let (delay, gone) = (micros(DELAY_MAX), micros(GONE_MAX));
        let last = usize::try_from(draws.below(2)).unwrap();
        Self { victim, changes, delay, gone, last }
    }
}
