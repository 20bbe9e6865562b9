//! Random numbers that are the same on every machine and in every version.

/// xoshiro256++ (Blackman and Vigna), seeded through SplitMix64.
///
/// For data, not for secrets.
#[derive(Clone, Debug)]
pub struct Random([u64; 4]);

impl Random {
    /// The generator of this seed.
    pub fn new(seed: u64) -> Self {
        let mut state = seed;
        Self(std::array::from_fn(|_| split_mix(&mut state)))
    }

    /// The generator of the `number`th thing of a kind: things can be made in any order, or again.
    pub fn of(seed: u64, kind: u64, number: u64) -> Self {
        let mut state = seed ^ kind.wrapping_mul(0xd6e8_feb8_6659_fd93);
        let of_kind = split_mix(&mut state);
        Self::new(of_kind ^ number.wrapping_mul(0x9e37_79b9_7f4a_7c15))
    }

    /// The next number.
    pub fn next_u64(&mut self) -> u64 {
        let s = &mut self.0;
        let result = s[0].wrapping_add(s[3]).rotate_left(23).wrapping_add(s[0]);
        let shifted = s[1] << 17;
        s[2] ^= s[0];
        s[3] ^= s[1];
        s[1] ^= s[2];
        s[0] ^= s[3];
        s[2] ^= shifted;
        s[3] = s[3].rotate_left(45);
        result
    }

    /// A number below `bound`; 0 where that is 0.
    pub fn below(&mut self, bound: u64) -> u64 {
        ((u128::from(self.next_u64()) * u128::from(bound)) >> 64) as u64
    }

    /// A number from 0 up to and without 1.
    pub fn fraction(&mut self) -> f64 {
        (self.next_u64() >> 11) as f64 / (1_u64 << 53) as f64
    }

    /// A number below `bound`, of which low ones are far more frequent: a tenth of them gets about half of all draws.
    pub fn skewed(&mut self, bound: u64) -> u64 {
        let fraction = self.fraction();
        ((fraction * fraction * fraction * bound as f64) as u64).min(bound.saturating_sub(1))
    }

    /// True `percent` times out of a hundred.
    pub fn chance(&mut self, percent: u64) -> bool {
        self.below(100) < percent
    }

    /// One of the items.
    pub fn pick<T: Copy>(&mut self, items: &[T]) -> T {
        items[self.below(items.len() as u64) as usize]
    }

    /// Appends so many random bytes.
    pub fn fill(&mut self, out: &mut Vec<u8>, length: usize) {
        let end = out.len() + length;
        out.reserve(length + 8);
        while out.len() < end {
            out.extend_from_slice(&self.next_u64().to_le_bytes());
        }
        out.truncate(end);
    }
}

fn split_mix(state: &mut u64) -> u64 {
    *state = state.wrapping_add(0x9e37_79b9_7f4a_7c15);
    let mut mixed = *state;
    mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    mixed ^ (mixed >> 31)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_are_those_of_the_published_generator() {
        // SplitMix64 of 1234567, from its reference.
        let mut state = 1_234_567;
        let split: Vec<u64> = (0..3).map(|_| split_mix(&mut state)).collect();
        assert_eq!(split, [6_457_827_717_110_365_317, 3_203_168_211_198_807_973, 9_817_491_932_198_370_423]);

        // xoshiro256++ of the state 1, 2, 3, 4, from its reference.
        let mut random = Random([1, 2, 3, 4]);
        let numbers: Vec<u64> = (0..3).map(|_| random.next_u64()).collect();
        assert_eq!(numbers, [41_943_041, 58_720_359, 3_588_806_011_781_223]);
    }

    #[test]
    fn bounds_hold_and_skew_prefers_the_low() {
        let mut random = Random::new(7);
        assert!((0..1_000).all(|_| random.below(3) < 3 && random.skewed(10) < 10));
        assert_eq!((random.below(0), random.skewed(0)), (0, 0));
        let low = (0..10_000).filter(|_| random.skewed(1_000) < 100).count();
        assert!((4_000..5_500).contains(&low), "{low}");
    }
}
