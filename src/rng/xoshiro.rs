//! The generator's arithmetic. `rand` has the same, but does not show its state, which a saved training run needs.

use std::convert::Infallible;

use rand::TryRng;

/// xoshiro256++ (Blackman and Vigna 2021, "Scrambled Linear Pseudorandom Number Generators").
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Xoshiro(pub(super) [u64; 4]);

impl Xoshiro {
    /// The state that SplitMix64 makes of a seed (Steele, Lea and Flood 2014, "Fast Splittable Pseudorandom Number
    /// Generators"), as its authors recommend.
    pub(super) fn seed(seed: u64) -> Self {
        let mut state = seed;
        Xoshiro([(); 4].map(|()| {
            state = state.wrapping_add(0x9e37_79b9_7f4a_7c15);
            let z = (state ^ (state >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
            let z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
            z ^ (z >> 31)
        }))
    }

    fn next(&mut self) -> u64 {
        let [a, b, c, d] = self.0;
        let number = a.wrapping_add(d).rotate_left(23).wrapping_add(a);
        let (c, d) = (c ^ a, d ^ b);
        self.0 = [a ^ d, b ^ c, c ^ (b << 17), d.rotate_left(45)];
        number
    }
}

impl TryRng for Xoshiro {
    type Error = Infallible;

    fn try_next_u32(&mut self) -> Result<u32, Infallible> {
        // The upper half: the lowest bits are the least random.
        Ok((self.next() >> 32) as u32)
    }

    fn try_next_u64(&mut self) -> Result<u64, Infallible> {
        Ok(self.next())
    }

    fn try_fill_bytes(&mut self, bytes: &mut [u8]) -> Result<(), Infallible> {
        for chunk in bytes.chunks_mut(8) {
            chunk.copy_from_slice(&self.next().to_le_bytes()[..chunk.len()]);
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use rand::rngs::Xoshiro256PlusPlus;
    use rand::{Rng as _, SeedableRng};

    #[test]
    fn numbers_are_those_of_rand() {
        for seed in [0, 1, 7, u64::MAX] {
            let (mut own, mut other) = (Xoshiro::seed(seed), Xoshiro256PlusPlus::seed_from_u64(seed));
            for _ in 0..100 {
                assert_eq!(own.next_u64(), other.next_u64());
                assert_eq!(own.next_u32(), other.next_u32());
            }
            let (mut a, mut b) = ([0; 21], [0; 21]);
            own.fill_bytes(&mut a);
            other.fill_bytes(&mut b);
            assert_eq!(a, b);
        }
    }
}
