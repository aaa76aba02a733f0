//! How often a peer may ask (chapter *Limits*, section *Rates*): tokens for each peer and class of requests.
//!
//! A bucket of tokens is kept as the time at which it is full again. One that is full says nothing, so that it need not be
//! kept: memory is taken by those alone who have just asked.

use std::{collections::BTreeMap, num::NonZeroU32, time::Duration};

use crate::message::{client_server::ToServer, server_server::ToPeerServer};

/// How often the buckets that are full again are looked for, at most.
const SWEEP_INTERVAL: Duration = Duration::from_secs(1);

/// What counts together.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Class {
    /// Logins begin and go on.
    Login,
    /// Somebody is looked for.
    Lookup,
    /// Preferences are changed.
    Change,
    /// Relayed links are asked for.
    Call,
    /// Keys are registered.
    Register,
    /// Messages of every kind. Who sends more is not refused, but read more slowly.
    Message,
    /// Connections are opened, before anything is known but the address.
    Connect,
}

impl Class {
    /// The class of what a client sends; none of what is no request, or undoes one.
    #[must_use]
    pub const fn of_client(message: &ToServer) -> Option<Self> {
        match message {
            ToServer::Login(_) => Some(Self::Login),
            ToServer::Lookup(_) => Some(Self::Lookup),
            ToServer::SetPreferences(_) => Some(Self::Change),
            ToServer::RelayOpen(_) => Some(Self::Call),
            ToServer::Logout(_)
            | ToServer::RelayExpect(_)
            | ToServer::RelayForget(_)
            | ToServer::RelayOpened(_)
            | ToServer::RelayData(_)
            | ToServer::RelayCredit(_)
            | ToServer::RelayClose(_)
            | ToServer::Ping(_)
            | ToServer::Pong(_)
            | ToServer::Goodbye(_)
            | ToServer::Error(_) => None,
        }
    }

    /// The class of what another server sends; none of what is no request, or ends a login.
    #[must_use]
    pub const fn of_server(message: &ToPeerServer) -> Option<Self> {
        match message {
            ToPeerServer::CheckOut(_) | ToPeerServer::Renew(_) => Some(Self::Login),
            ToPeerServer::Resolve(_) => Some(Self::Lookup),
            ToPeerServer::Store(_) => Some(Self::Change),
            ToPeerServer::RelayCall(_) => Some(Self::Call),
            ToPeerServer::CheckIn(_)
            | ToPeerServer::Replace(_)
            | ToPeerServer::RelayData(_)
            | ToPeerServer::RelayCredit(_)
            | ToPeerServer::RelayClose(_)
            | ToPeerServer::Ping(_)
            | ToPeerServer::Pong(_)
            | ToPeerServer::Goodbye(_)
            | ToPeerServer::Error(_) => None,
        }
    }
}

/// How often a peer may ask.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Rate {
    /// In the long run.
    pub per_second: NonZeroU32,
    /// At once, after a while without a request.
    pub burst: NonZeroU32,
}

impl Rate {
    /// How long a token takes to come back.
    fn interval(self) -> Duration {
        Duration::from_secs(1) / self.per_second.get()
    }
}

/// The buckets of all peers; a key is a peer and a class.
///
/// There is room for so many buckets that aren't full. Whoever asks beyond that shares one bucket with all others who do:
/// nobody is locked out, and nobody who has a bucket is slowed down.
#[derive(Clone, Debug)]
pub struct Buckets<K> {
    /// When each is full again.
    full_at: BTreeMap<K, Duration>,
    /// When that of all others is.
    others_full_at: Duration,
    swept_at: Duration,
    keys_max: usize,
}

impl<K: Ord> Buckets<K> {
    /// Room for so many.
    #[must_use]
    pub fn new(keys_max: usize) -> Self {
        Self { full_at: BTreeMap::new(), others_full_at: Duration::ZERO, swept_at: Duration::ZERO, keys_max }
    }

    /// Takes a token, if there is one; `now` counts from any one moment.
    #[must_use]
    pub fn take(&mut self, key: K, rate: Rate, now: Duration) -> bool {
        self.take_many(key, NonZeroU32::MIN, rate, now)
    }

    /// Takes so many tokens, if there are as many, or if the bucket is full and could never have more.
    #[must_use]
    pub fn take_many(&mut self, key: K, tokens: NonZeroU32, rate: Rate, now: Duration) -> bool {
        if self.full_at.len() >= self.keys_max && now >= self.swept_at + SWEEP_INTERVAL {
            self.swept_at = now;
            self.full_at.retain(|_, full_at| *full_at > now);
        }
        let has_room = self.full_at.len() < self.keys_max || self.full_at.contains_key(&key);
        let full_at = if has_room { self.full_at.entry(key).or_default() } else { &mut self.others_full_at };
        let after = now.max(*full_at) + rate.interval() * tokens.get();
        let is_granted = after - now <= rate.interval() * rate.burst.max(tokens).get();
        if is_granted {
            *full_at = after;
        }
        is_granted
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn rate(per_second: u32, burst: u32) -> Rate {
        let number = |number| NonZeroU32::new(number).unwrap();
        Rate { per_second: number(per_second), burst: number(burst) }
    }

    proptest! {
        /// In no span of time more is granted than the burst and what came back meanwhile, and whoever keeps to the rate is
        /// never refused.
        #[test]
        fn a_rate_is_kept_by_both_sides(
            per_second in 1_u32..50,
            burst in 1_u32..20,
            waits in proptest::collection::vec(0_u64..300, 1..200),
        ) {
            let rate = rate(per_second, burst);
            let (mut buckets, mut now, mut granted) = (Buckets::new(1), Duration::ZERO, Vec::new());
            for wait in waits {
                now += Duration::from_millis(wait);
                if buckets.take((), rate, now) {
                    granted.push(now);
                } else {
                    // A refusal has its reason: so many were granted within the time in which they come back.
                    let window = now.saturating_sub(rate.interval() * burst);
                    prop_assert!(granted.iter().filter(|at| **at >= window).count() >= usize::try_from(burst).unwrap());
                }
            }
            for (number, begin) in granted.iter().enumerate() {
                for (further, end) in granted.iter().enumerate().skip(number) {
                    let count = f64::from(u32::try_from(further - number + 1).unwrap());
                    let most = f64::from(burst) + (*end - *begin).as_secs_f64() * f64::from(per_second);
                    prop_assert!(count <= most + 1e-6, "{count} of {most}");
                }
            }
        }
    }

    #[test]
    fn many_tokens_are_taken_together() {
        let (rate, mut buckets) = (rate(10, 5), Buckets::new(1));
        let mut take = |tokens, millis| {
            buckets.take_many((), NonZeroU32::new(tokens).unwrap(), rate, Duration::from_millis(millis))
        };
        assert!(take(4, 0) && !take(2, 0) && take(1, 0));
        // More than the bucket holds are given when it is full, and paid for afterwards.
        assert!(!take(7, 400) && take(7, 500));
        assert!(!take(1, 700) && take(1, 800));
    }

    #[test]
    fn one_does_not_pay_for_another_and_full_buckets_take_no_room() {
        let (rate, mut buckets) = (rate(1, 2), Buckets::new(2));
        let begin = Duration::from_secs(10);
        let granted: Vec<bool> = ["a", "a", "a", "b", "c", "d", "e", "b"]
            .into_iter()
            .map(|key| buckets.take(key, rate, begin))
            .collect();
        // c, d and e share a bucket; b has its own.
        assert_eq!(granted, [true, true, false, true, true, true, false, true]);
        assert_eq!(buckets.full_at.len(), 2);
        // When those of a and b are full again, there is room for others.
        assert!(buckets.take("c", rate, begin + Duration::from_secs(2)));
        assert_eq!(buckets.full_at.len(), 1);
    }
}
