//! Random numbers that depend only on the seed, as libFuzzer requires of a mutator.

/// A `SplitMix64` generator.
#[derive(Debug)]
pub struct Dice(u64);

impl Dice {
    /// The sequence of numbers depends only on the seed.
    #[must_use]
    pub fn new(seed: u32) -> Self {
        Self(seed.into())
    }

    /// A number below `sides`; 0 if `sides` is 0.
    pub fn below(&mut self, sides: usize) -> usize {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut mixed = self.0;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^= mixed >> 31;
        let sides = sides.max(1) as u64;
        usize::try_from(mixed % sides).unwrap_or_default()
    }

    /// True with the probability 1 / `n`.
    pub fn once_in(&mut self, n: usize) -> bool {
        self.below(n) == 0
    }

    /// A random element; none if the slice is empty.
    pub fn one_of<'a, T>(&mut self, choices: &'a [T]) -> Option<&'a T> {
        choices.get(self.below(choices.len()))
    }
}
