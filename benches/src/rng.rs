//! Random numbers that cost next to nothing: xorshift64*.

#[derive(Debug)]
pub(crate) struct Rng(u64);

impl Rng {
    pub(crate) fn new(seed: u64) -> Self {
        // Seeds that are close to each other must not give numbers that are.
        let mut rng = Self(seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1);
        for _ in 0..8 {
            rng.next();
        }
        rng
    }

    fn next(&mut self) -> u64 {
        self.0 ^= self.0 >> 12;
        self.0 ^= self.0 << 25;
        self.0 ^= self.0 >> 27;
        self.0.wrapping_mul(0x2545_f491_4f6c_dd1d)
    }

    /// A number from 1 to `most`.
    pub(crate) fn up_to(&mut self, most: u32) -> u32 {
        let number = ((self.next() >> 32) * u64::from(most)) >> 32;
        u32::try_from(number).unwrap_or_default() + 1
    }

    /// Puts `items` into a random order.
    pub(crate) fn shuffle<T>(&mut self, items: &mut [T]) {
        for last in (1..items.len()).rev() {
            let other = self.up_to(u32::try_from(last + 1).unwrap_or(u32::MAX)) - 1;
            items.swap(last, usize::try_from(other).unwrap_or_default());
        }
    }
}
