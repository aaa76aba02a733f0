//! A fixed hash: the same value gives the same bits in every run, so that a counterexample replays and a count of
//! states can be pinned.

use std::hash::{Hash, Hasher};

const FIRST: u64 = 0x9E37_79B9_7F4A_7C15;
const SECOND: u64 = 0xC2B2_AE3D_27D4_EB4F;

/// Folds a 128-bit product: every bit of both factors reaches the result.
fn fold(a: u64, b: u64) -> u64 {
    let product = u128::from(a) * u128::from(b);
    let low = product & u128::from(u64::MAX);
    let high = product >> 64;
    // Both halves are below 2^64 by construction.
    #[expect(clippy::cast_possible_truncation, reason = "the halves of a 128-bit number")]
    let folded = (low ^ high) as u64;
    folded
}

/// Two lanes of 64 bits over the bytes that a value's `Hash` gives. No cryptography: nobody attacks a model.
#[derive(Clone, Debug)]
struct Lanes {
    first: u64,
    second: u64,
}

impl Lanes {
    fn absorb(&mut self, word: u64) {
        self.first = fold(self.first ^ word, FIRST).wrapping_add(SECOND);
        self.second = fold(self.second ^ word.rotate_left(32), SECOND).wrapping_add(FIRST);
    }
}

impl Hasher for Lanes {
    fn finish(&self) -> u64 {
        fold(self.first ^ SECOND, self.second ^ FIRST)
    }

    fn write(&mut self, bytes: &[u8]) {
        for chunk in bytes.chunks(8) {
            let mut word = [0; 8];
            for (to, from) in word.iter_mut().zip(chunk) {
                *to = *from;
            }
            self.absorb(u64::from_le_bytes(word));
        }
        self.absorb(bytes.len() as u64 ^ FIRST);
    }

    fn write_u8(&mut self, value: u8) {
        self.absorb(u64::from(value));
    }

    fn write_u16(&mut self, value: u16) {
        self.absorb(u64::from(value));
    }

    fn write_u32(&mut self, value: u32) {
        self.absorb(u64::from(value));
    }

    fn write_u64(&mut self, value: u64) {
        self.absorb(value);
    }

    fn write_usize(&mut self, value: usize) {
        self.absorb(value as u64);
    }
}

/// 128 bits of a value.
pub(crate) fn digest<T: Hash + ?Sized>(value: &T) -> u128 {
    let mut lanes = Lanes { first: SECOND, second: FIRST };
    value.hash(&mut lanes);
    u128::from(lanes.finish()) << 64 | u128::from(lanes.first ^ lanes.second.rotate_left(17))
}

/// 32 bytes of a value, in a domain of its own.
pub(crate) fn digest_bytes<T: Hash + ?Sized>(domain: &str, value: &T) -> [u8; 32] {
    let low = digest(&(domain, value, 0_u8)).to_be_bytes();
    let high = digest(&(domain, value, 1_u8)).to_be_bytes();
    let mut bytes = [0; 32];
    for (to, from) in bytes.iter_mut().zip(low.iter().chain(&high)) {
        *to = *from;
    }
    bytes
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn is_the_same_in_every_run_and_tells_values_apart() {
        assert_eq!(digest("antiphon"), digest("antiphon"));
        assert_ne!(digest("antiphon"), digest("antiphom"));
        assert_ne!(digest(&[0_u8, 0][..]), digest(&[0_u8][..]));
        assert_ne!(digest_bytes("a", &1_u8), digest_bytes("b", &1_u8));
    }
}
