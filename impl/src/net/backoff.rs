//! How long to wait before the next attempt: full jitter, so that those who failed together do not try together.

use std::time::Duration;

/// Grows with each failure, up to a cap; the jitter is applied after the cap.
#[derive(Clone, Debug)]
pub struct Backoff {
    base: Duration,
    cap: Duration,
    failures: u32,
}

impl Backoff {
    /// The first wait is at most `base`, each further one at most twice as long, none longer than `cap`.
    #[must_use]
    pub fn new(base: Duration, cap: Duration) -> Self {
        Self { base, cap, failures: 0 }
    }

    /// Counts a failure and says how long to wait; `entropy` is 8 fresh random bytes.
    pub fn after_failure(&mut self, entropy: [u8; 8]) -> Duration {
        let ceiling =
            self.base.saturating_mul(1_u32.checked_shl(self.failures).unwrap_or(u32::MAX)).min(self.cap);
        self.failures = (self.failures + 1).min(31);
        let nanoseconds = u64::try_from(ceiling.as_nanos()).unwrap_or(u64::MAX - 1);
        Duration::from_nanos(u64::from_be_bytes(entropy) % (nanoseconds + 1))
    }

    /// Forgets the failures.
    pub fn succeeded(&mut self) {
        self.failures = 0;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn waits_grow_up_to_the_cap_and_start_again() {
        let (base, cap) = (Duration::from_millis(100), Duration::from_secs(1));
        let mut backoff = Backoff::new(base, cap);
        // The greatest draw that is below every ceiling's modulus shows the ceiling itself.
        let ceiling = |backoff: &mut Backoff| {
            let (mut low, mut probe) = (Duration::ZERO, backoff.clone());
            for draw in [100_u64, 200, 400, 800, 1_000].map(|milliseconds| milliseconds * 1_000_000) {
                let mut attempt = probe.clone();
                low = low.max(attempt.after_failure(draw.to_be_bytes()));
            }
            probe.after_failure([0; 8]);
            *backoff = probe;
            low
        };
        let milliseconds = [100, 200, 400, 800, 1_000, 1_000];
        for expected in milliseconds.map(Duration::from_millis) {
            assert_eq!(ceiling(&mut backoff), expected);
        }
        for _ in 0..100 {
            assert!(backoff.after_failure([0xff; 8]) <= cap);
        }
        backoff.succeeded();
        assert_eq!(ceiling(&mut backoff), base);
    }

    #[test]
    fn the_wait_may_be_nothing() {
        let mut backoff = Backoff::new(Duration::from_secs(1), Duration::from_secs(9));
        assert_eq!(backoff.after_failure([0; 8]), Duration::ZERO);
    }
}
