//! What nobody decides: how long a message takes, whether a dial succeeds, how a user answers.
//!
//! Every draw is keyed by what it is for and by how many of its kind came before, so that a run with fewer decisions
//! differs only where it must.

use std::time::Duration;

use super::{profile::Profile, random::Random};
use crate::cast::{CLIENTS_MAX, Who};

/// What a shrunk run can do without.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Calm {
    /// All messages take the same time, and are never late.
    pub(crate) steady_links: bool,
    /// Users accept every invitation, at once.
    pub(crate) eager_users: bool,
    /// Dials succeed where there is a way.
    pub(crate) sure_dials: bool,
    /// Lost links are noticed at once.
    pub(crate) quick_detection: bool,
    /// All clocks are right.
    pub(crate) right_clocks: bool,
}

/// How a user answers an invitation.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Answer {
    Accept,
    Refuse,
    /// Not at all.
    None,
}

/// What a draw is for.
#[derive(Clone, Copy)]
#[repr(u8)]
enum Purpose {
    Latency,
    Dial,
    Answer,
    Detection,
    Lost,
    Entropy,
    Skew,
}

const PURPOSES: usize = 7;
const WIDTH: usize = CLIENTS_MAX as usize;

#[derive(Debug)]
pub(crate) struct Noise {
    seed: u64,
    profile: Profile,
    calm: Calm,
    drawn: Vec<u32>,
}

impl Noise {
    pub(crate) fn new(seed: u64, profile: Profile, calm: Calm) -> Self {
        Self { seed, profile, calm, drawn: vec![0; PURPOSES * WIDTH * WIDTH] }
    }

    pub(crate) fn profile(&self) -> &Profile {
        &self.profile
    }

    fn draw(&mut self, purpose: Purpose, who: Who, peer: Who) -> Random {
        let place = (purpose as usize * WIDTH + who.index()) * WIDTH + peer.index();
        let count = self.drawn.get_mut(place).map_or(0, |count| {
            *count = count.wrapping_add(1);
            *count
        });
        let key = [purpose as u64, u64::from(who.0), u64::from(peer.0), u64::from(count)];
        Random::keyed(self.seed, key)
    }

    /// How long a message takes.
    pub(crate) fn latency(&mut self, from: Who, to: Who) -> Duration {
        let (low, high) = self.profile.latency;
        if self.calm.steady_links {
            return high;
        }
        let (late, by) = self.profile.late;
        let mut random = self.draw(Purpose::Latency, from, to);
        let usual = random.time(low, high);
        if random.chance(late) { usual + random.time(Duration::ZERO, by) } else { usual }
    }

    /// Whether a dial succeeds where there is a way, and how long it takes.
    pub(crate) fn dial(&mut self, from: Who, to: Who) -> (bool, Duration) {
        let Profile { latency: (low, high), dials_fail, dials_slow, .. } = self.profile;
        if self.calm.sure_dials {
            return (true, high * 2);
        }
        let mut random = self.draw(Purpose::Dial, from, to);
        let fails = random.chance(dials_fail);
        let slow = random.chance(dials_slow);
        let longest = if slow { Duration::from_secs(20) } else { high * 3 };
        (!fails, random.time(low * 2, longest))
    }

    /// How long a dial takes to fail where there is no way: refused, or given up.
    pub(crate) fn vain_dial(&mut self, from: Who, to: Who) -> Duration {
        let mut random = self.draw(Purpose::Dial, from, to);
        let longest = if random.chance(500) { Duration::from_secs(10) } else { self.profile.latency.1 };
        random.time(Duration::ZERO, longest)
    }

    /// How a user answers an invitation, and when.
    pub(crate) fn answer(&mut self, who: Who) -> (Answer, Duration) {
        if self.calm.eager_users {
            return (Answer::Accept, Duration::ZERO);
        }
        let mut random = self.draw(Purpose::Answer, who, who);
        let answer = if random.chance(self.profile.refused) {
            Answer::Refuse
        } else if random.chance(self.profile.ignored) {
            Answer::None
        } else {
            Answer::Accept
        };
        (answer, random.time(Duration::ZERO, self.profile.thinking))
    }

    /// How long a client takes to notice that a link is lost.
    pub(crate) fn detection(&mut self, at: Who, peer: Who) -> Duration {
        if self.calm.quick_detection {
            return Duration::ZERO;
        }
        let mut random = self.draw(Purpose::Detection, at, peer);
        // A peer that dies resets its connections at once; one that is cut off is silent.
        let longest = if random.chance(500) { self.profile.latency.1 } else { self.profile.detection };
        random.time(Duration::ZERO, longest)
    }

    /// How many of so many messages on a broken link still arrive.
    pub(crate) fn survivors(&mut self, from: Who, to: Who, under_way: usize) -> usize {
        let count = self.draw(Purpose::Lost, from, to).below(under_way as u64 + 1);
        usize::try_from(count).unwrap_or(under_way)
    }

    /// 16 random bytes for one event.
    pub(crate) fn entropy(&mut self, who: Who) -> [u8; 16] {
        let mut random = self.draw(Purpose::Entropy, who, who);
        (u128::from(random.next()) << 64 | u128::from(random.next())).to_be_bytes()
    }

    /// How many seconds a client's clock is ahead; the same in the whole run.
    pub(crate) fn skew(&self, who: Who) -> i64 {
        if self.calm.right_clocks || self.profile.skew == 0 {
            return 0;
        }
        let most = self.profile.skew;
        let drawn = Random::keyed(self.seed, [Purpose::Skew as u64, u64::from(who.0)])
            .below(most.unsigned_abs() * 2 + 1);
        i64::try_from(drawn).unwrap_or(0) - most
    }
}
