//! Who asks too often: the buckets of [`antiphon_spec::rate`] at the process's clock.

use std::{
    net::IpAddr,
    num::NonZeroU32,
    sync::{Arc, Mutex, PoisonError},
    time::{Duration, Instant},
};

use antiphon_spec::{
    identity::Identity,
    rate::{Buckets, Class},
};

use crate::{
    config::{Limits, Rate, Rates as Settings},
    monitoring::metrics,
    mutant::{Mutant, active},
};

/// Most peers and classes that are counted apart at once; about 10 MiB of them.
const KEYS_MAX: usize = 65_536;

/// Whom requests are counted for.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Asker {
    /// Whoever a certificate names.
    Peer(Identity),
    /// Whoever registers, before there is a certificate.
    Address(IpAddr),
}

/// How often everybody has asked of late.
#[derive(Debug)]
pub(crate) struct Rates {
    buckets: Mutex<Buckets<(Asker, Class)>>,
    begin: Instant,
    limits: Limits,
}

impl Rates {
    pub(crate) fn new(limits: &Limits) -> Self {
        Self { buckets: Mutex::new(Buckets::new(KEYS_MAX)), begin: Instant::now(), limits: limits.clone() }
    }

    /// Whether one more request of this class is within the rate; if it is, it is counted.
    pub(crate) fn allow(&self, asker: &Asker, class: Class) -> bool {
        let (asker, rate) = self.of(asker, class);
        if class == Class::Connect && active(Mutant::ConnectionsUncounted) {
            return true;
        }
        if class == Class::Connect {
            return self.take((asker, class), NonZeroU32::MIN, rate);
        }
        if active(Mutant::RatesIgnored) || (active(Mutant::CallsUncounted) && class == Class::Call) {
            return true;
        }
        let everybody = Asker::Address(IpAddr::from([0, 0, 0, 0]));
        let asker = if active(Mutant::RatesShared) { everybody } else { asker };
        self.take((asker, class), NonZeroU32::MIN, rate)
    }

    /// For whom it is counted, and how often it may be.
    fn of(&self, asker: &Asker, class: Class) -> (Asker, Rate) {
        let Limits { user_rates, server_rates, registration_rate, connection_rate, .. } = &self.limits;
        let of = |Settings { logins, lookups, changes, calls, messages }: &Settings| match class {
            Class::Login => *logins,
            Class::Lookup => *lookups,
            Class::Change => *changes,
            Class::Call => *calls,
            Class::Register => *registration_rate,
            Class::Message => *messages,
            Class::Connect => *connection_rate,
        };
        match asker {
            Asker::Peer(Identity::User(_)) => (asker.clone(), of(user_rates)),
            Asker::Peer(Identity::Server(_) | Identity::DirectoryNode(_)) => {
                (asker.clone(), of(server_rates))
            }
            Asker::Address(address) => (Asker::Address(network(*address)), of(user_rates)),
        }
    }

    fn take(&self, key: (Asker, Class), tokens: NonZeroU32, rate: Rate) -> bool {
        let mut buckets = self.buckets.lock().unwrap_or_else(PoisonError::into_inner);
        buckets.take_many(key, tokens, rate.into(), self.begin.elapsed())
    }
}

/// How fast the messages of one peer are read, on all its connections together (`LIM-015`).
#[derive(Clone, Debug)]
pub(crate) struct Pace {
    rates: Arc<Rates>,
    asker: Asker,
    rate: Rate,
}

/// A message counts once, and once more for each so many bytes.
const TOKEN_BYTES: usize = 1_024;

/// Behind a message that counts as often, others have a turn.
const LONG_TOKENS: u32 = 4;

/// How long a connection that is read too fast rests: long enough for some messages to come back.
const REST: Duration = Duration::from_millis(10);

impl Pace {
    pub(crate) fn new(rates: &Arc<Rates>, asker: &Asker) -> Self {
        let (asker, rate) = rates.of(asker, Class::Message);
        Self { rates: Arc::clone(rates), asker, rate }
    }

    /// Waits until a message of so many bytes may have been read.
    pub(super) async fn keep(&self, bytes: usize) {
        let tokens = NonZeroU32::MIN.saturating_add(u32::try_from(bytes / TOKEN_BYTES).unwrap_or(u32::MAX));
        if active(Mutant::PaceIgnored) {
            return;
        }
        if tokens.get() >= LONG_TOKENS {
            // It takes a while to decode: a row of such messages isn't everybody's.
            tokio::task::yield_now().await;
        }
        let mut is_late = false;
        while !self.rates.take((self.asker.clone(), Class::Message), tokens, self.rate) {
            if !std::mem::replace(&mut is_late, true) {
                metrics::delayed_read();
            }
            tokio::time::sleep(REST).await;
        }
    }
}

/// The addresses that count as one: of IPv6, all that a site gives to one machine.
pub(crate) fn network(address: IpAddr) -> IpAddr {
    match address.to_canonical() {
        IpAddr::V4(address) => IpAddr::V4(address),
        IpAddr::V6(address) => {
            let [a, b, c, d, ..] = address.segments();
            IpAddr::from([a, b, c, d, 0, 0, 0, 0])
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_of_one_network_are_one() {
        for (address, expected) in [
            ("192.0.2.7", "192.0.2.7"),
            ("::ffff:192.0.2.7", "192.0.2.7"),
            ("2001:db8:1:2:3:4:5:6", "2001:db8:1:2::"),
        ] {
            assert_eq!(network(address.parse().unwrap()), expected.parse::<IpAddr>().unwrap());
        }
    }
}
