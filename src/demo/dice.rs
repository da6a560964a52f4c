//! Chance that is the same in every run, on every machine and with every version of every library.

use waymark_kernel::clock::Timestamp;

/// Decides which demo data there is; another seed would make other data.
const SEED: u64 = 0x7761_796d_6172_6b21;

/// A reproducible sequence of numbers (SplitMix64). Each user has one per kind of data, so that a user's data depends
/// neither on how many users there are nor on what else is generated for them.
#[derive(Debug, Clone)]
pub(super) struct Dice(u64);

impl Dice {
    /// The sequence for `kind` of data of user `number`.
    pub(super) fn new(kind: &str, number: i64) -> Self {
        let start = kind.bytes().fold(SEED, |hash, byte| (hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3));
        Self(mixed(start ^ mixed(number.cast_unsigned())))
    }

    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        mixed(self.0)
    }

    /// A number from 0 up to but not including `end`; 0 when there is none.
    pub(super) fn below(&mut self, end: i64) -> i64 {
        let drawn = self.next() >> 1;
        u64::try_from(end.max(1)).map_or(0, |end| (drawn % end).cast_signed())
    }

    /// A number from `least` to `most`, both included; `least` when there is none.
    pub(super) fn between(&mut self, least: i64, most: i64) -> i64 {
        least + self.below(most - least + 1)
    }

    /// True in `percent` of 100 cases.
    pub(super) fn chance(&mut self, percent: i64) -> bool {
        self.below(100) < percent
    }

    /// One of `items`.
    pub(super) fn pick<T: Copy, const N: usize>(&mut self, items: &[T; N]) -> T {
        const { assert!(N > 0) };
        items[self.index(N)]
    }

    /// A place in a list of `len` items; 0 when it is empty.
    pub(super) fn index(&mut self, len: usize) -> usize {
        usize::try_from(self.below(i64::try_from(len).unwrap_or(i64::MAX))).unwrap_or_default()
    }

    /// `count` distinct places in a list of `len` items, all of them when there are no more, in ascending order.
    pub(super) fn places(&mut self, count: usize, len: usize) -> Vec<usize> {
        let mut places: Vec<_> = (0..len).collect();
        for place in 0..count.min(len) {
            let other = place + self.index(len - place);
            places.swap(place, other);
        }
        places.truncate(count);
        places.sort_unstable();
        places
    }

    /// `count` numbers from `from` up to but not including `until`, in ascending order.
    pub(super) fn ascending(&mut self, count: usize, from: i64, until: i64) -> Vec<i64> {
        let mut numbers: Vec<_> = (0..count).map(|_| from + self.below(until - from)).collect();
        numbers.sort_unstable();
        numbers
    }

    /// `count` instants from `from` up to but not including `until`, in ascending order.
    pub(super) fn instants(&mut self, count: usize, from: Timestamp, until: Timestamp) -> Vec<Timestamp> {
        self.ascending(count, from.millis(), until.millis()).into_iter().map(Timestamp::from_millis).collect()
    }

    /// A ULID for something made at `at`.
    pub(super) fn ulid(&mut self, at: Timestamp) -> String {
        ulid(at, self.next(), self.next())
    }

    /// A 24-digit hexadecimal id for something made at `at`.
    pub(super) fn hex24(&mut self, at: Timestamp) -> String {
        hex24(at, self.next())
    }

    /// An Ethereum address, in lower case.
    pub(super) fn address(&mut self) -> String {
        format!("0x{:08x}{:016x}{:016x}", self.next() >> 32, self.next(), self.next())
    }
}

/// A ULID made of an instant and 80 of these bits.
pub(super) fn ulid(at: Timestamp, high: u64, low: u64) -> String {
    let random = u128::from(high) << 64 | u128::from(low);
    ulid::Ulid::from_parts(u64::try_from(at.millis()).unwrap_or_default(), random).to_string()
}

/// 24 hexadecimal digits made of the seconds of an instant and these bits.
pub(super) fn hex24(at: Timestamp, bits: u64) -> String {
    let seconds = u32::try_from(at.millis().max(0) / 1000).unwrap_or(u32::MAX);
    format!("{seconds:08x}{bits:016x}")
}

/// Scatters the bits of `number`; different numbers stay different.
pub(super) fn mixed(number: u64) -> u64 {
    let number = (number ^ number >> 30).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    let number = (number ^ number >> 27).wrapping_mul(0x94d0_49bb_1331_11eb);
    number ^ number >> 31
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_same_user_and_kind_give_the_same_numbers() {
        let numbers = |kind, user| {
            let mut dice = Dice::new(kind, user);
            [dice.below(1000), dice.below(1000), dice.below(1000)]
        };
        assert_eq!(numbers("games", 7), numbers("games", 7));
        assert_ne!(numbers("games", 7), numbers("games", 8));
        assert_ne!(numbers("games", 7), numbers("cards", 7));
    }

    #[test]
    fn numbers_stay_in_their_range_and_reach_its_ends() {
        let mut dice = Dice::new("range", 1);
        let drawn: Vec<_> = (0..500).map(|_| dice.between(3, 6)).collect();
        assert_eq!(drawn.iter().min(), Some(&3));
        assert_eq!(drawn.iter().max(), Some(&6));
        assert_eq!(dice.below(0), 0);
        assert_eq!(dice.between(5, 4), 5);
    }

    #[test]
    fn places_are_distinct_and_ascending() {
        let mut dice = Dice::new("places", 1);
        for count in 0..=12 {
            let places = dice.places(count, 10);
            assert_eq!(places.len(), count.min(10));
            assert!(places.windows(2).all(|pair| pair[0] < pair[1]) && places.iter().all(|place| *place < 10));
        }
    }

    #[test]
    fn instants_come_in_order_within_their_range() {
        let (from, until) = (Timestamp::from_millis(1000), Timestamp::from_millis(2000));
        let instants = Dice::new("instants", 1).instants(50, from, until);
        assert!(instants.is_sorted() && instants.iter().all(|at| (from..until).contains(at)));
    }
}
