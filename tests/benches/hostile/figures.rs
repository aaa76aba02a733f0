//! Latencies, and what is told of them.

use std::{ops::AddAssign, time::Duration};

/// How long honest users waited.
#[derive(Debug, Default)]
pub(crate) struct Latencies {
    pub(crate) lookups: Vec<Duration>,
    pub(crate) logins: Vec<Duration>,
}

impl AddAssign for Latencies {
    fn add_assign(&mut self, mut other: Self) {
        self.lookups.append(&mut other.lookups);
        self.logins.append(&mut other.logins);
    }
}

/// The median, and the 99th percentile.
pub(crate) fn percentiles(latencies: &mut [Duration]) -> (Duration, Duration) {
    latencies.sort_unstable();
    let at = |part: usize| latencies[(latencies.len() * part / 100).min(latencies.len() - 1)];
    (at(50), at(99))
}

pub(crate) fn millis(latency: Duration) -> String {
    format!("{:.2}", latency.as_secs_f64() * 1e3)
}
