//! What kind of run a seed makes: how many play, how fast the network is, and how often what happens.
//!
//! Each run has some kinds of faults and lacks others (swarm testing): a fault that ends every session early would
//! otherwise hide what only a long session shows.

use std::{fmt, time::Duration};

use super::random::Random;
use crate::cast::CLIENTS_MAX;

/// The kind of a run.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Kind {
    /// Nothing goes wrong, and little happens.
    Quiet,
    /// Nothing goes wrong, and people come and go all the time.
    Churn,
    /// Clients die, and come back as strangers.
    Crashes,
    /// The network falls apart in two and is healed.
    Partitions,
    /// Single links break, so that two do not reach each other whom everybody else reaches.
    Losses,
    /// Clients stall, dials fail, messages are late.
    Slow,
    /// Coordinators die while epochs close.
    Strikes,
    /// Sessions as large as they may be.
    Big,
    /// Any of the above.
    Mixed,
}

impl Kind {
    const ALL: [Self; 9] = [
        Self::Quiet,
        Self::Churn,
        Self::Crashes,
        Self::Partitions,
        Self::Losses,
        Self::Slow,
        Self::Strikes,
        Self::Big,
        Self::Mixed,
    ];
}

impl fmt::Display for Kind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Quiet => "quiet",
            Self::Churn => "churn",
            Self::Crashes => "crashes",
            Self::Partitions => "partitions",
            Self::Losses => "losses",
            Self::Slow => "slow",
            Self::Strikes => "strikes",
            Self::Big => "big",
            Self::Mixed => "mixed",
        })
    }
}

/// What may go wrong in a run; the less it is, the more has to hold.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Faults {
    /// Nothing.
    None,
    /// Clients die, and dials fail. Who lives is in time, and its links to others who live hold.
    Deaths,
    /// Anything.
    Any,
}

/// How often a decision is taken, each against the others.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Weights {
    pub(crate) invite: u64,
    /// Two members invite the same person at the same time.
    pub(crate) cross: u64,
    pub(crate) leave: u64,
    pub(crate) say: u64,
    pub(crate) crash: u64,
    pub(crate) restart: u64,
    pub(crate) cut: u64,
    pub(crate) partition: u64,
    pub(crate) heal: u64,
    pub(crate) stall: u64,
    /// One after the other leaves, whoever coordinates.
    pub(crate) exodus: u64,
    /// The coordinator dies while an epoch closes.
    pub(crate) strike: u64,
}

/// The network and the users of a run.
#[derive(Clone, Debug)]
pub(crate) struct Profile {
    pub(crate) kind: Kind,
    /// How many play.
    pub(crate) clients: u8,
    /// How many the creator invites at once.
    pub(crate) invited_at_once: u8,
    /// How long decisions are taken.
    pub(crate) duration: Duration,
    /// The longest time between two decisions.
    pub(crate) pace: Duration,
    pub(crate) weights: Weights,
    /// The shortest and the longest time that a message takes.
    pub(crate) latency: (Duration, Duration),
    /// How many messages in a thousand are late, and by how much at most.
    pub(crate) late: (u64, Duration),
    /// How many dials in a thousand fail.
    pub(crate) dials_fail: u64,
    /// How many dials in a thousand are slow.
    pub(crate) dials_slow: u64,
    /// How many invitations in a thousand are refused, and how many are never answered.
    pub(crate) refused: u64,
    pub(crate) ignored: u64,
    /// How long a user thinks at most.
    pub(crate) thinking: Duration,
    /// The longest time until a lost link is noticed at one of its ends.
    pub(crate) detection: Duration,
    /// How many seconds a clock is wrong at most.
    pub(crate) skew: i64,
    /// How many messages a user says at once at most.
    pub(crate) burst: u64,
}

impl Profile {
    pub(crate) fn draw(random: &mut Random) -> Self {
        let kind = random.pick(&Kind::ALL).unwrap_or(Kind::Quiet);
        let clients = match kind {
            Kind::Big if random.chance(300) => u64::from(CLIENTS_MAX),
            Kind::Big => random.between(10, 24),
            Kind::Quiet
            | Kind::Churn
            | Kind::Crashes
            | Kind::Partitions
            | Kind::Losses
            | Kind::Slow
            | Kind::Strikes
            | Kind::Mixed => random.between(2, 8),
        };
        let slowest = Duration::from_millis(random.pick(&[2, 20, 100, 400]).unwrap_or(20));
        let mut profile = Self {
            kind,
            clients: u8::try_from(clients).unwrap_or(CLIENTS_MAX),
            invited_at_once: 0,
            duration: Duration::from_secs(random.between(20, 180)),
            pace: Duration::from_millis(random.between(500, 10_000)),
            weights: Weights {
                invite: random.between(2, 10),
                cross: random.below(3),
                leave: random.below(4),
                say: random.below(10),
                ..Weights::default()
            },
            latency: (slowest / 20, slowest),
            late: (0, Duration::ZERO),
            dials_fail: 0,
            dials_slow: 0,
            refused: random.below(200),
            ignored: random.below(100),
            thinking: Duration::from_millis(random.between(1, 10_000)),
            detection: Duration::ZERO,
            skew: 0,
            burst: random.between(1, 5),
        };
        let at_once = random.between(u64::from(profile.clients) / 2, u64::from(profile.clients) - 1);
        profile.invited_at_once = u8::try_from(at_once).unwrap_or(1);
        profile.add_faults(random);
        if clients <= 8 && random.chance(80) {
            // Enough at once to fill every queue, and time to empty them again.
            profile.burst = 400;
            profile.weights.say = 10;
            profile.pace = profile.pace.max(Duration::from_secs(5));
        }
        profile
    }

    fn add_faults(&mut self, random: &mut Random) {
        let some = |random: &mut Random| Duration::from_millis(random.between(10, 20_000));
        let network = |profile: &mut Self, random: &mut Random| {
            profile.detection = some(random);
            profile.dials_fail = random.below(150);
            profile.dials_slow = random.below(150);
            profile.late = (random.below(30), Duration::from_millis(random.between(100, 8000)));
            profile.skew = 20;
        };
        let weights = &mut self.weights;
        match self.kind {
            Kind::Quiet => {}
            Kind::Churn | Kind::Big => {
                weights.leave = random.between(3, 10);
                weights.cross = random.between(1, 5);
                weights.exodus = random.below(3);
                self.pace = Duration::from_millis(random.between(50, 3000));
                if self.clients == CLIENTS_MAX {
                    // Whoever is invited comes, and there are more than there is room for.
                    (self.refused, self.ignored) = (0, 0);
                    weights.leave = random.below(2);
                    weights.invite = 10;
                    self.duration = Duration::from_secs(120);
                }
                // A big session with crashes now and then: everything that scales with members meets faults too.
                if self.kind == Kind::Big && random.chance(500) {
                    weights.crash = 1;
                    weights.restart = 2;
                    network(self, random);
                }
            }
            Kind::Crashes => {
                weights.crash = random.between(1, 4);
                weights.restart = random.between(1, 6);
                self.detection = some(random);
                self.dials_fail = random.below(150);
            }
            Kind::Partitions => {
                weights.partition = random.between(1, 4);
                weights.heal = random.between(1, 4);
                network(self, random);
            }
            Kind::Losses => {
                weights.cut = random.between(1, 5);
                network(self, random);
            }
            Kind::Slow => {
                weights.stall = random.between(1, 6);
                network(self, random);
                self.dials_fail = random.below(400);
            }
            Kind::Strikes => {
                weights.strike = random.between(3, 10);
                weights.restart = random.between(5, 10);
                weights.leave = 1;
                self.latency.0 = self.latency.1 / 50;
                self.thinking = self.latency.1;
                self.detection = self.latency.1 * u32::try_from(random.between(1, 20)).unwrap_or(1);
                self.refused = 0;
            }
            Kind::Mixed => {
                let mut maybe = |most: u64| if random.chance(500) { random.between(1, most) } else { 0 };
                weights.crash = maybe(2);
                weights.restart = maybe(4);
                weights.cut = maybe(3);
                weights.partition = maybe(2);
                weights.heal = maybe(4);
                weights.stall = maybe(3);
                weights.exodus = maybe(2);
                weights.strike = maybe(3);
                network(self, random);
            }
        }
    }

    /// What may go wrong without anybody's will.
    pub(crate) fn faults(&self) -> Faults {
        let weights = &self.weights;
        let network = weights.cut + weights.partition + weights.stall + self.dials_slow + self.late.0;
        if network > 0 {
            Faults::Any
        } else if weights.crash + weights.strike + self.dials_fail > 0 {
            Faults::Deaths
        } else {
            Faults::None
        }
    }

    /// Whether anything may go wrong without anybody's will.
    pub(crate) fn has_faults(&self) -> bool {
        self.faults() != Faults::None
    }
}

impl fmt::Display for Profile {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "{} run, {} clients, {} s of decisions, messages take up to {} ms",
            self.kind,
            self.clients,
            self.duration.as_secs(),
            self.latency.1.as_millis()
        )
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn seeds_draw_every_kind_within_bounds() {
        let profiles: Vec<Profile> = (0..500).map(|seed| Profile::draw(&mut Random::new(seed))).collect();
        for kind in Kind::ALL {
            assert!(profiles.iter().any(|profile| profile.kind == kind), "{kind}");
        }
        for profile in profiles {
            assert!((2..=CLIENTS_MAX).contains(&profile.clients), "{profile}");
            assert!((1..profile.clients).contains(&profile.invited_at_once), "{profile}");
            let calm = matches!(profile.kind, Kind::Quiet | Kind::Churn);
            assert!(profile.kind == Kind::Big || calm != profile.has_faults(), "{profile}");
        }
    }
}
