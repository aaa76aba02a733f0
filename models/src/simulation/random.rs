//! Random numbers from a seed: SplitMix64 (Steele, Lea and Flood, 2014), the same in every build and on every machine.

use std::time::Duration;

const STEP: u64 = 0x9E37_79B9_7F4A_7C15;

/// A sequence of random numbers.
#[derive(Clone, Debug)]
pub(crate) struct Random(u64);

/// The finishing steps of SplitMix64: every bit of the word reaches every bit of the result.
fn mix(word: u64) -> u64 {
    let word = (word ^ (word >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
    let word = (word ^ (word >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
    word ^ (word >> 31)
}

impl Random {
    pub(crate) fn new(seed: u64) -> Self {
        Self(seed)
    }

    /// A sequence of its own for each key: what is drawn for one thing does not change what is drawn for another.
    pub(crate) fn keyed(seed: u64, key: impl IntoIterator<Item = u64>) -> Self {
        Self(
            key.into_iter()
                .fold(mix(seed.wrapping_add(STEP)), |state, word| mix(state ^ mix(word.wrapping_add(STEP)))),
        )
    }

    pub(crate) fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(STEP);
        mix(self.0)
    }

    /// A number below `bound`; 0 where that is 0. The tiny bias of a remainder does not matter here.
    pub(crate) fn below(&mut self, bound: u64) -> u64 {
        self.next() % bound.max(1)
    }

    /// A number between both, which are possible too.
    pub(crate) fn between(&mut self, low: u64, high: u64) -> u64 {
        low + self.below(high.saturating_sub(low) + 1)
    }

    /// Whether something happens that happens so often in a thousand.
    pub(crate) fn chance(&mut self, per_mille: u64) -> bool {
        self.below(1000) < per_mille
    }

    /// A time between both.
    pub(crate) fn time(&mut self, low: Duration, high: Duration) -> Duration {
        let micros = |time: Duration| u64::try_from(time.as_micros()).unwrap_or(u64::MAX);
        Duration::from_micros(self.between(micros(low), micros(high)))
    }

    /// One of several, if there is any.
    pub(crate) fn pick<T: Clone>(&mut self, among: &[T]) -> Option<T> {
        let index = self.below(among.len() as u64);
        among.get(usize::try_from(index).ok()?).cloned()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn is_the_published_sequence() {
        let mut random = Random::new(1_234_567);
        let first: Vec<u64> = (0..3).map(|_| random.next()).collect();
        assert_eq!(first, [6_457_827_717_110_365_317, 3_203_168_211_198_807_973, 9_817_491_932_198_370_423]);
    }

    #[test]
    fn keys_are_sequences_of_their_own() {
        assert_eq!(Random::keyed(1, [2, 3]).next(), Random::keyed(1, [2, 3]).next());
        assert_ne!(Random::keyed(1, [2, 3]).next(), Random::keyed(1, [3, 2]).next());
        assert_ne!(Random::keyed(1, [2, 3]).next(), Random::keyed(2, [2, 3]).next());
    }

    #[test]
    fn stays_within_bounds() {
        let mut random = Random::new(1);
        assert!((0..1000).all(|_| (3..=5).contains(&random.between(3, 5))));
        assert_eq!(random.below(0), 0);
        assert_eq!(random.pick::<u8>(&[]), None);
        assert!(!(0..1000).any(|_| random.chance(0)) && (0..1000).all(|_| random.chance(1000)));
    }
}
