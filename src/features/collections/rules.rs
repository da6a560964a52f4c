//! How far a collection has come, when it is open and shown, and whether its reward can be claimed.
//!
//! A collection is open from its start until its end; the instant of the end no longer belongs to it.

use async_graphql::Enum;
use waymark_kernel::clock::Timestamp;

/// When a collection is open, and whether it is shown outside that time.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Window {
    /// The first instant; `None` when it has always been open.
    pub starts_at: Option<Timestamp>,
    /// The first instant after it; `None` when it has no end.
    pub ends_at: Option<Timestamp>,
    /// Whether it is shown before its start.
    pub show_before: bool,
    /// Whether it is shown after its end.
    pub show_after: bool,
}

impl Window {
    fn is_before(&self, now: Timestamp) -> bool {
        self.starts_at.is_some_and(|starts| now < starts)
    }

    fn is_after(&self, now: Timestamp) -> bool {
        self.ends_at.is_some_and(|ends| ends <= now)
    }
}

/// Where a user's collection stands; the first that fits.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Enum)]
pub enum CollectionStatus {
    /// All cards were collected while the collection ran; stays so for good.
    Completed,
    /// It has not started.
    Upcoming,
    /// It has ended.
    Expired,
    /// It runs, and no card is collected.
    NotStarted,
    /// It runs, and some cards are collected.
    InProgress,
}

/// Where a collection stands at `now`; `collected` is the number of distinct cards owned.
#[must_use]
pub fn status(completed_at: Option<Timestamp>, window: &Window, collected: i64, now: Timestamp) -> CollectionStatus {
    if is_completed(completed_at, now) {
        CollectionStatus::Completed
    } else if window.is_before(now) {
        CollectionStatus::Upcoming
    } else if window.is_after(now) {
        CollectionStatus::Expired
    } else if collected <= 0 {
        CollectionStatus::NotStarted
    } else {
        CollectionStatus::InProgress
    }
}

/// Whether a completion has been reached by `now`: one stored by [`completion`] may lie ahead.
#[must_use]
pub fn is_completed(completed_at: Option<Timestamp>, now: Timestamp) -> bool {
    completed_at.is_some_and(|completed| completed <= now)
}

/// The completion to store after a change of the user's cards, the cards of the collection or its dates at `now`.
///
/// A completion once reached stays. All cards owned before the start complete the collection at its start, which then
/// lies ahead and holds as long as nothing changes; after the end, and without any cards, nothing is completed.
#[must_use]
pub fn completion(
    stored: Option<Timestamp>,
    window: &Window,
    collected: i64,
    size: i64,
    now: Timestamp,
) -> Option<Timestamp> {
    if is_completed(stored, now) {
        return stored;
    }
    let at = window.starts_at.map_or(now, |starts| starts.max(now));
    (size > 0 && collected >= size && !window.is_after(at)).then_some(at)
}

/// The completion to store after a change at `now` of the user's cards, which came at the instants `got`: one that was
/// reached stays, else the dates of all cards decide, as [`Completion::by_cards`] says.
#[must_use]
pub fn completion_by_cards(
    stored: Option<Timestamp>,
    window: &Window,
    got: impl Iterator<Item = Timestamp> + Clone,
    size: i64,
    now: Timestamp,
) -> Option<Timestamp> {
    let reached = stored.filter(|_| is_completed(stored, now));
    reached.or_else(|| Completion::default().by_cards(window, got, size, [None; 2]).at)
}

/// When a collection was completed, as far as that is known.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Completion {
    /// The instant; `None`: it was not.
    pub at: Option<Timestamp>,
    /// Whether the instant was told, and does not follow from the dates of the cards.
    pub told: bool,
}

impl Completion {
    /// With what is told of it: a date that was told goes before one that follows from the cards, and of two of one
    /// sort the earlier stays.
    #[must_use]
    pub fn merged(self, other: Self) -> Self {
        match (self.at, other.at) {
            (_, None) => self,
            (Some(_), Some(_)) if self.told != other.told => {
                if self.told {
                    self
                } else {
                    other
                }
            }
            (Some(own), Some(at)) if own <= at => self,
            _ => other,
        }
    }

    /// With the dates at which the user got the cards, of which there are `size`, and what is known of claims before
    /// and now: the last missing card completes the collection, if it came inside the dates. What was completed stays
    /// so, and what was claimed was completed by then.
    #[must_use]
    pub fn by_cards(
        self,
        window: &Window,
        got: impl Iterator<Item = Timestamp> + Clone,
        size: i64,
        [claimed_before, claimed_at]: [Option<Timestamp>; 2],
    ) -> Self {
        if self.told {
            return self;
        }
        let collected = i64::try_from(got.clone().count()).unwrap_or(i64::MAX);
        let by_cards = got.max().and_then(|last| completion(None, window, collected, size, last));
        // What stood in for a date that was not known gives way to one.
        let kept = self.at.filter(|at| claimed_before != Some(*at));
        let at = kept.into_iter().chain(by_cards).min().or(claimed_at);
        Self { at, told: false }
    }
}

/// `collected` of `size` distinct cards in percent, rounded down: 100 only for all of them, 0 when there are none.
#[must_use]
pub fn percent(collected: i64, size: i64) -> u8 {
    if size <= 0 {
        return 0;
    }
    let percent = i128::from(collected.clamp(0, size)) * 100 / i128::from(size);
    u8::try_from(percent).unwrap_or(100)
}

/// Milliseconds until the end, also before the start; 0 once it is reached, `None` when there is no end.
#[must_use]
pub fn time_left_millis(window: &Window, now: Timestamp) -> Option<i64> {
    window.ends_at.map(|ends| ends.millis_since(now).max(0))
}

/// Seconds until the end, rounded up, also before the start; 0 once it is reached, `None` when there is no end.
#[must_use]
pub fn time_left_seconds(window: &Window, now: Timestamp) -> Option<i64> {
    time_left_millis(window, now).map(|millis| millis / 1000 + i64::from(millis % 1000 > 0))
}

/// Whether lists and single reads show the collection at `now`.
#[must_use]
pub fn is_shown(window: &Window, now: Timestamp) -> bool {
    if window.is_before(now) {
        window.show_before
    } else if window.is_after(now) {
        window.show_after
    } else {
        true
    }
}

/// Why a reward cannot be claimed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Enum)]
pub enum RewardRefusal {
    // In the order in which the reasons are looked for.
    /// The user has claimed it already.
    AlreadyClaimed,
    /// Cards are missing.
    NotCompleted,
    /// The user is blocked from claiming.
    Blocked,
    /// None is left.
    OutOfStock,
}

/// What decides about the claim of a reward.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct RewardFacts {
    /// Whether the user has claimed it before.
    pub claimed: bool,
    /// Whether the user has completed the collection, see [`is_completed`].
    pub completed: bool,
    /// Whether the user is blocked from claiming.
    pub blocked: bool,
    /// How often it can be claimed by all users together; `None` when there is no limit.
    pub stock: Option<i64>,
    /// How often it has been claimed by all users together.
    pub claims: i64,
}

/// Whether a claim would be granted now.
///
/// # Errors
/// The first reason that stands against it.
pub fn can_claim(facts: &RewardFacts) -> Result<(), RewardRefusal> {
    if facts.claimed {
        Err(RewardRefusal::AlreadyClaimed)
    } else if !facts.completed {
        Err(RewardRefusal::NotCompleted)
    } else if facts.blocked {
        Err(RewardRefusal::Blocked)
    } else if facts.stock.is_some_and(|stock| stock <= facts.claims) {
        Err(RewardRefusal::OutOfStock)
    } else {
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn at(seconds: i64) -> Timestamp {
        Timestamp::from_millis(0).plus_seconds(seconds)
    }

    /// From second 10 until second 20.
    const WINDOW: Window = Window {
        starts_at: Some(Timestamp::from_millis(10_000)),
        ends_at: Some(Timestamp::from_millis(20_000)),
        show_before: true,
        show_after: true,
    };
    const OPEN: Window = Window { starts_at: None, ends_at: None, ..WINDOW };

    #[test]
    fn a_status_follows_the_dates_and_the_cards() {
        for (second, collected, expected) in [
            (9, 0, CollectionStatus::Upcoming),
            (9, 2, CollectionStatus::Upcoming),
            (10, 0, CollectionStatus::NotStarted),
            (10, 1, CollectionStatus::InProgress),
            (19, 1, CollectionStatus::InProgress),
            (20, 1, CollectionStatus::Expired),
            (20, 0, CollectionStatus::Expired),
        ] {
            assert_eq!(status(None, &WINDOW, collected, at(second)), expected, "{collected} at {second}");
        }
    }

    #[test]
    fn completed_comes_first_and_stays() {
        for second in [15, 20, 1_000_000] {
            assert_eq!(status(Some(at(15)), &WINDOW, 0, at(second)), CollectionStatus::Completed);
        }
        let moved = Window { starts_at: Some(at(100)), ends_at: None, ..WINDOW };
        assert_eq!(status(Some(at(15)), &moved, 3, at(50)), CollectionStatus::Completed);
    }

    #[test]
    fn an_open_ended_collection_never_expires_and_has_no_time_left() {
        assert_eq!(status(None, &OPEN, 0, Timestamp::MAX), CollectionStatus::NotStarted);
        assert_eq!(status(None, &OPEN, 1, Timestamp::MIN), CollectionStatus::InProgress);
        assert_eq!(time_left_seconds(&OPEN, at(0)), None);
    }

    #[test]
    fn all_cards_complete_it_only_inside_the_dates() {
        assert_eq!(completion(None, &WINDOW, 3, 3, at(10)), Some(at(10)));
        assert_eq!(completion(None, &WINDOW, 3, 3, at(15)), Some(at(15)));
        assert_eq!(completion(None, &WINDOW, 3, 3, at(20)), None);
        assert_eq!(completion(None, &WINDOW, 2, 3, at(15)), None);
        assert_eq!(completion(None, &OPEN, 3, 3, at(0)), Some(at(0)));
    }

    #[test]
    fn a_collection_without_cards_never_completes() {
        assert_eq!(completion(None, &OPEN, 0, 0, at(15)), None);
        assert_eq!(status(None, &OPEN, 0, at(15)), CollectionStatus::NotStarted);
    }

    #[test]
    fn cards_owned_before_the_start_complete_it_at_the_start() {
        let ahead = completion(None, &WINDOW, 3, 3, at(5));
        assert_eq!(ahead, Some(at(10)));
        assert_eq!(status(ahead, &WINDOW, 3, at(9)), CollectionStatus::Upcoming);
        assert_eq!(status(ahead, &WINDOW, 3, at(10)), CollectionStatus::Completed);
        assert_eq!(status(ahead, &WINDOW, 3, at(25)), CollectionStatus::Completed);
        assert_eq!(completion(ahead, &WINDOW, 2, 3, at(6)), None, "a card was taken away before the start");
    }

    #[test]
    fn a_completion_keeps_its_date() {
        assert_eq!(completion(Some(at(12)), &WINDOW, 3, 3, at(15)), Some(at(12)));
        assert_eq!(completion(Some(at(12)), &WINDOW, 0, 4, at(25)), Some(at(12)));
    }

    #[test]
    fn the_last_missing_card_completes_it_if_it_came_inside_the_dates() {
        let none = Completion::default();
        let by = |before: Completion, got: &[i64], claims: [Option<i64>; 2]| {
            let got = got.iter().map(|second| at(*second));
            before.by_cards(&WINDOW, got, 3, claims.map(|claim| claim.map(at))).at
        };
        let derived = |second| Completion { at: Some(at(second)), told: false };
        let told = |second| Completion { at: Some(at(second)), told: true };
        assert_eq!(by(none, &[12, 25, 11], [None, None]), None, "one came after the end");
        assert_eq!(by(none, &[12, 15, 11], [None, None]), Some(at(15)));
        assert_eq!(by(none, &[2, 5, 1], [None, None]), Some(at(10)), "at the start");
        assert_eq!(by(none, &[12, 15], [None, None]), None);
        assert_eq!(by(derived(18), &[12, 15, 11], [None, None]), Some(at(15)), "one turned out to be earlier");
        assert_eq!(by(derived(12), &[12], [None, None]), Some(at(12)), "it stays");
        assert_eq!(by(told(18), &[12, 15, 11], [None, None]), Some(at(18)));
        assert_eq!(by(none, &[12], [None, Some(17)]), Some(at(17)), "it was claimed");
        assert_eq!(by(derived(17), &[12, 15, 11], [Some(17), Some(17)]), Some(at(15)));
        for (one, two, merged) in
            [(derived(1), told(5), told(5)), (told(1), told(5), told(1)), (derived(1), none, derived(1))]
        {
            assert_eq!((one.merged(two), two.merged(one)), (merged, merged));
        }
    }

    #[test]
    fn a_change_of_the_cards_completes_by_all_their_dates() {
        let by = |stored: Option<i64>, got: &[i64], now: i64| {
            let got = got.iter().map(|second| at(*second));
            completion_by_cards(stored.map(at), &WINDOW, got, 3, at(now))
        };
        assert_eq!(by(None, &[12, 15, 11], 30), Some(at(15)), "put together after the end, all got before");
        assert_eq!(by(None, &[12, 25, 11], 30), None);
        assert_eq!(by(Some(18), &[12, 15, 11], 30), Some(at(18)), "what was reached stays");
        assert_eq!(by(Some(18), &[12], 30), Some(at(18)));
        assert_eq!(by(Some(10), &[2, 3], 5), None, "what lay ahead does not");
        assert_eq!(by(Some(10), &[2, 3, 5], 5), Some(at(10)));
    }

    #[test]
    fn percent_is_rounded_down_and_a_hundred_only_for_all() {
        for (collected, size, expected) in [(0, 0, 0), (3, 0, 0), (0, 3, 0), (1, 3, 33), (2, 3, 66), (3, 3, 100)] {
            assert_eq!(percent(collected, size), expected, "{collected} of {size}");
        }
        assert_eq!(percent(999, 1000), 99);
    }

    #[test]
    fn time_left_is_rounded_up_counts_before_the_start_and_ends_at_zero() {
        assert_eq!(time_left_seconds(&WINDOW, at(0)), Some(20));
        assert_eq!(time_left_seconds(&WINDOW, at(15)), Some(5));
        assert_eq!(time_left_seconds(&WINDOW, at(20).plus_millis(-1)), Some(1));
        assert_eq!(time_left_millis(&WINDOW, at(20).plus_millis(-1)), Some(1));
        assert_eq!(time_left_seconds(&WINDOW, at(20)), Some(0));
        assert_eq!(time_left_seconds(&WINDOW, at(99)), Some(0));
    }

    #[test]
    fn the_flags_decide_outside_the_dates_only() {
        for (show_before, show_after) in [(true, true), (true, false), (false, true), (false, false)] {
            let window = Window { show_before, show_after, ..WINDOW };
            assert_eq!(is_shown(&window, at(9)), show_before);
            assert!(is_shown(&window, at(10)) && is_shown(&window, at(19)));
            assert_eq!(is_shown(&window, at(20)), show_after);
        }
        let hidden = Window { show_before: false, show_after: false, ..OPEN };
        assert!(is_shown(&hidden, Timestamp::MIN) && is_shown(&hidden, Timestamp::MAX));
    }

    #[test]
    fn the_reasons_against_a_reward_are_looked_for_in_order() {
        let mut facts = RewardFacts { claimed: true, completed: false, blocked: true, stock: Some(2), claims: 2 };
        assert_eq!(can_claim(&facts), Err(RewardRefusal::AlreadyClaimed));
        facts.claimed = false;
        assert_eq!(can_claim(&facts), Err(RewardRefusal::NotCompleted));
        facts.completed = true;
        assert_eq!(can_claim(&facts), Err(RewardRefusal::Blocked));
        facts.blocked = false;
        assert_eq!(can_claim(&facts), Err(RewardRefusal::OutOfStock));
        facts.claims = 1;
        assert_eq!(can_claim(&facts), Ok(()));
        assert_eq!(can_claim(&RewardFacts { stock: None, claims: i64::MAX, ..facts }), Ok(()));
        assert_eq!(can_claim(&RewardFacts { stock: Some(0), claims: 0, ..facts }), Err(RewardRefusal::OutOfStock));
    }

    proptest! {
        #[test]
        fn no_numbers_make_percent_panic_or_leave_its_range(collected: i64, size: i64) {
            let percent = percent(collected, size);
            prop_assert!(percent <= 100);
            prop_assert_eq!(percent == 100, size > 0 && collected >= size);
        }

        #[test]
        fn time_is_left_exactly_until_the_end(ends: i64, now: i64) {
            let (ends, now) = (Timestamp::from_millis(ends), Timestamp::from_millis(now));
            let window = Window { starts_at: None, ends_at: Some(ends), ..WINDOW };
            prop_assert_eq!(time_left_seconds(&window, now) == Some(0), ends <= now);
            prop_assert_eq!(status(None, &window, 1, now) == CollectionStatus::Expired, ends <= now);
        }
    }
}
