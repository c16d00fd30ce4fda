//! Deterministic random numbers for randomised tests.

/// Random number generator SplitMix64. Equal seeds give equal numbers.
#[derive(Clone, Debug)]
pub struct Dice(u64);

impl Dice {
    #[must_use]
    pub fn new(seed: u64) -> Self {
        Self(seed)
    }

    /// Draws a random number below `sides`.
    pub fn roll(&mut self, sides: usize) -> usize {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut rolled = self.0;
        rolled = (rolled ^ (rolled >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        rolled = (rolled ^ (rolled >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        let sides = u64::try_from(sides).expect("it fits");
        usize::try_from((rolled ^ (rolled >> 31)) % sides).expect("it is less than sides")
    }

    pub fn pick<T: Copy>(&mut self, of: &[T]) -> T {
        of[self.roll(of.len())]
    }
}

/// Number of random cases, depending on `NATTER_TEST_SIZE`, which `scripts/test` sets: `gate` in
/// the gate, `full` in a larger run.
#[must_use]
pub fn by_size(gate: u64, full: u64) -> u64 {
    match std::env::var("NATTER_TEST_SIZE").as_deref() {
        Ok("full" | "long") => full,
        _ => gate,
    }
}
