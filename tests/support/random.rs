//! Choices that a seed repeats.

/// A sequence of numbers (SplitMix64, <https://prng.di.unimi.it/splitmix64.c>).
#[derive(Clone, Debug)]
pub struct Random(u64);

impl Random {
    /// The sequence of this seed.
    pub const fn new(seed: u64) -> Self {
        Self(seed)
    }

    /// The next number.
    pub const fn number(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut mixed = self.0;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^ (mixed >> 31)
    }

    /// A number below `end`.
    pub const fn below(&mut self, end: u64) -> u64 {
        self.number() % end
    }

    /// A number below `end`, which is at most 256.
    pub fn byte_below(&mut self, end: u64) -> u8 {
        u8::try_from(self.below(end)).expect("the end is at most 256")
    }

    /// A number below `end`, which is at most 65,536.
    pub fn short_below(&mut self, end: u64) -> u16 {
        u16::try_from(self.below(end)).expect("the end is at most 65,536")
    }

    /// Whether one of `times` chances came.
    pub const fn once_in(&mut self, times: u64) -> bool {
        self.below(times) == 0
    }
}
