//! What a user's credits come to: balances, expiries, what a spend takes from which lot, blocks, and decimals.
//!
//! Amounts are whole millionths of a credit ("micros") all the way; a decimal is written only at the edge.

use std::collections::BTreeMap;

pub use super::entity::BlockScope;
use waymark_kernel::clock::Timestamp;
use waymark_kernel::limits;
use waymark_kernel::text::is_unprintable;

/// How long after the end of its season a reward expires unless settings say otherwise, in seconds: 30 days.
pub const EXPIRES_AFTER_SEASON_SECONDS: i64 = 30 * 24 * 60 * 60;

/// The most that a user may have at once, in micros: nine thousand thousand million credits, which sums of 64 bits
/// hold.
pub const MOST_MICROS: i64 = limits::MOST_MICROS;

/// How many blocks of a user may be in force.
pub const MOST_BLOCKS: usize = 20;

/// The longest reason of a change or a block, in characters.
pub const LONGEST_REASON: usize = 500;

/// Credits that were granted together and expire together.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Lot {
    /// What was granted, in micros; more than 0.
    pub amount_micros: i64,
    /// What is left of it, in micros; between 0 and the amount. Keeps what an expiry not yet booked will take.
    pub remaining_micros: i64,
    /// From when on it can be spent.
    pub granted_at: Timestamp,
    /// The first instant at which it can no longer be spent; `None` when it never expires.
    pub expires_at: Option<Timestamp>,
}

impl Lot {
    /// What can be spent of the lot at `now`, in micros.
    #[must_use]
    pub fn available_micros(&self, now: Timestamp) -> i64 {
        if self.granted_at <= now && !self.has_expired(now) { self.remaining_micros.max(0) } else { 0 }
    }

    /// Whether its expiry has been reached.
    #[must_use]
    pub fn has_expired(&self, now: Timestamp) -> bool {
        self.expires_at.is_some_and(|expires| expires <= now)
    }
}

/// Ascending by date, what never expires last.
fn expiry_order(expires_at: Option<Timestamp>) -> (bool, Option<Timestamp>) {
    (expires_at.is_none(), expires_at)
}

/// What can be spent at `now`, in micros. Nobody is let have more than [`MOST_MICROS`], so the sum is far from the end
/// of 64 bits; what older data may hold beyond stays at that end rather than turning negative.
#[must_use]
pub fn available(lots: &[Lot], now: Timestamp) -> i64 {
    lots.iter().fold(0, |sum, lot| sum.saturating_add(lot.available_micros(now)))
}

/// Whether `amount` micros more at `now` are no more than a user may have at once.
#[must_use]
pub fn has_room(lots: &[Lot], amount: i64, now: Timestamp) -> bool {
    available(lots, now).checked_add(amount).is_some_and(|sum| sum <= MOST_MICROS)
}

/// Whether `text` can stand as a reason: one line of printable characters, not too long.
#[must_use]
pub fn is_reason(text: &str) -> bool {
    !text.trim().is_empty() && text.chars().count() <= LONGEST_REASON && !text.chars().any(is_unprintable)
}

/// Seconds until the next expiry of something that can be spent now, rounded up, so at least 1; `None` when nothing
/// available will expire.
#[must_use]
pub fn expires_in(lots: &[Lot], now: Timestamp) -> Option<i64> {
    let millis = lots
        .iter()
        .filter(|lot| lot.available_micros(now) > 0)
        .filter_map(|lot| lot.expires_at)
        .min()?
        .millis_since(now);
    Some(millis / 1000 + i64::from(millis % 1000 > 0))
}

/// What is available at `now`, in micros, summed up by the date on which it expires: earliest first, what never
/// expires (`None`) last.
#[must_use]
pub fn expiry_schedule(lots: &[Lot], now: Timestamp) -> Vec<(Option<Timestamp>, i64)> {
    let mut dates = BTreeMap::<_, i64>::new();
    for lot in lots {
        let available = lot.available_micros(now);
        if available > 0 {
            let sum = dates.entry(expiry_order(lot.expires_at)).or_default();
            *sum = sum.saturating_add(available);
        }
    }
    dates.into_iter().map(|((_, expires_at), micros)| (expires_at, micros)).collect()
}

/// There is less than was to be spent.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Insufficient {
    /// What can be spent, in micros.
    pub available: i64,
}

/// What spending `amount` micros at `now` takes from which lot: indices into `lots` and micros, earliest expiry first,
/// among equals the earliest grant. Nothing for an amount of 0 or less.
///
/// # Errors
/// When less than `amount` is available; nothing is taken then.
pub fn spend_plan(lots: &[Lot], amount: i64, now: Timestamp) -> Result<Vec<(usize, i64)>, Insufficient> {
    match revoke_plan(lots, amount, now) {
        (plan, 0) => Ok(plan),
        _ => Err(Insufficient { available: available(lots, now) }),
    }
}

/// What revoking `amount` micros at `now` takes from which lot, in the order of [`spend_plan`], and the shortfall: what
/// is not there to be taken, in micros.
#[must_use]
pub fn revoke_plan(lots: &[Lot], amount: i64, now: Timestamp) -> (Vec<(usize, i64)>, i64) {
    let mut order: Vec<_> = lots.iter().enumerate().filter(|(_, lot)| lot.available_micros(now) > 0).collect();
    order.sort_by_key(|(index, lot)| (expiry_order(lot.expires_at), lot.granted_at, *index));

    let mut missing = amount.max(0);
    let mut plan = Vec::new();
    for (index, lot) in order {
        if missing == 0 {
            break;
        }
        let taken = lot.available_micros(now).min(missing);
        missing -= taken;
        plan.push((index, taken));
    }
    (plan, missing)
}

/// What a lot lost by expiring, as long as the ledger does not say so yet. Shown as the EXPIRE entry it will become.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Unswept {
    /// Index of the lot.
    pub lot: usize,
    /// When it expired; the date of the entry.
    pub expired_at: Timestamp,
    /// What expired, in micros; more than 0.
    pub micros: i64,
}

/// The expiries reached by `now` that are not booked yet, earliest first.
#[must_use]
pub fn unswept(lots: &[Lot], now: Timestamp) -> Vec<Unswept> {
    let mut found: Vec<_> = lots
        .iter()
        .enumerate()
        .filter(|(_, lot)| lot.remaining_micros > 0)
        .filter_map(|(index, lot)| {
            let expired_at = lot.expires_at.filter(|expires| *expires <= now)?;
            Some(Unswept { lot: index, expired_at, micros: lot.remaining_micros })
        })
        .collect();
    found.sort_by_key(|expired| (expired.expired_at, expired.lot));
    found
}

/// What a user may be blocked from.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum BlockedAction {
    /// Claiming rewards.
    Claim,
    /// Spending credits.
    Spend,
}

/// A dated block of a user. Neither takes credits away nor keeps the user from making progress.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Block {
    /// What it keeps the user from.
    pub scope: BlockScope,
    /// Its first instant.
    pub from: Timestamp,
    /// The first instant after it; `None` when it has no end.
    pub until: Option<Timestamp>,
    /// When an operator lifted it.
    pub lifted_at: Option<Timestamp>,
}

impl Block {
    /// Whether the block is in force at `now`.
    #[must_use]
    pub fn is_active(&self, now: Timestamp) -> bool {
        self.from <= now
            && self.until.is_none_or(|until| now < until)
            && self.lifted_at.is_none_or(|lifted| now < lifted)
    }
}

/// Whether any block in force at `now` keeps the user from `action`.
#[must_use]
pub fn is_blocked(blocks: &[Block], action: BlockedAction, now: Timestamp) -> bool {
    blocks.iter().any(|block| {
        let concerned = match block.scope {
            BlockScope::All => true,
            BlockScope::Claim => action == BlockedAction::Claim,
            BlockScope::Spend => action == BlockedAction::Spend,
        };
        concerned && block.is_active(now)
    })
}

const MICROS_PER_CREDIT: u64 = 1_000_000;

/// An amount in credits, exactly and without trailing zeros: 1,500,000 micros are `1.5`.
#[must_use]
pub fn micros_to_decimal(micros: i64) -> String {
    let sign = if micros < 0 { "-" } else { "" };
    let (whole, fraction) = (micros.unsigned_abs() / MICROS_PER_CREDIT, micros.unsigned_abs() % MICROS_PER_CREDIT);
    if fraction == 0 {
        return format!("{sign}{whole}");
    }
    let digits = format!("{fraction:06}");
    format!("{sign}{whole}.{}", digits.trim_end_matches('0'))
}

/// Reads an amount in credits: an optional `-`, digits, and optionally a point and one to six digits. `None` for
/// anything else and for what does not fit.
#[must_use]
pub fn decimal_to_micros(text: &str) -> Option<i64> {
    let (sign, digits) = text.strip_prefix('-').map_or((1, text), |digits| (-1, digits));
    let (whole, fraction) = digits.split_once('.').unwrap_or((digits, "0"));
    let all_digits = |part: &str| !part.is_empty() && part.bytes().all(|byte| byte.is_ascii_digit());
    if !all_digits(whole) || !all_digits(fraction) || fraction.len() > 6 {
        return None;
    }
    let micros = whole.parse::<i128>().ok()?.checked_mul(MICROS_PER_CREDIT.into())?;
    let rest = format!("{fraction:0<6}").parse::<i128>().ok()?;
    i64::try_from(micros.checked_add(rest)?.checked_mul(sign)?).ok()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn at(seconds: i64) -> Timestamp {
        Timestamp::from_millis(1_767_225_600_000).plus_seconds(seconds)
    }

    /// Granted at second 0.
    fn lot(remaining_micros: i64, expires: Option<i64>) -> Lot {
        Lot { amount_micros: 1000, remaining_micros, granted_at: at(0), expires_at: expires.map(at) }
    }

    #[test]
    fn a_lot_is_available_from_its_grant_until_its_expiry_exactly() {
        let lots = [lot(7, Some(10))];
        assert_eq!(available(&lots, at(0).plus_millis(-1)), 0);
        assert_eq!(available(&lots, at(0)), 7);
        assert_eq!(available(&lots, at(10).plus_millis(-1)), 7);
        assert_eq!(available(&lots, at(10)), 0);
    }

    #[test]
    fn the_balance_is_the_sum_of_what_remains() {
        assert_eq!(available(&[], at(0)), 0);
        assert_eq!(available(&[lot(7, None), lot(0, Some(10)), lot(5, Some(10)), lot(3, Some(1))], at(2)), 12);
    }

    #[test]
    fn expires_in_is_rounded_up_and_never_zero() {
        let lots = [lot(5, Some(10)), lot(5, Some(20)), lot(0, Some(5)), lot(5, None)];
        assert_eq!(expires_in(&lots, at(0)), Some(10));
        assert_eq!(expires_in(&lots, at(0).plus_millis(1)), Some(10));
        assert_eq!(expires_in(&lots, at(10).plus_millis(-1)), Some(1));
        assert_eq!(expires_in(&lots, at(10)), Some(10));
        assert_eq!(expires_in(&lots, at(20)), None);
        assert_eq!(expires_in(&[lot(5, None)], at(0)), None);
        assert_eq!(expires_in(&[], at(0)), None);
    }

    #[test]
    fn nobody_has_more_than_the_most() {
        assert!(has_room(&[], MOST_MICROS, at(0)) && !has_room(&[], MOST_MICROS + 1, at(0)));
        assert!(!has_room(&[], i64::MAX, at(0)) && !has_room(&[lot(i64::MAX, None)], i64::MAX, at(0)));
        let lots = [lot(7, Some(10))];
        assert!(!has_room(&lots, MOST_MICROS - 6, at(9)) && has_room(&lots, MOST_MICROS - 6, at(10)));
    }

    #[test]
    fn a_reason_is_a_line_of_text() {
        assert!(is_reason("x") && is_reason(&"é".repeat(LONGEST_REASON)));
        for text in ["", "  ", "a\nb", "a\0", &"x".repeat(LONGEST_REASON + 1)] {
            assert!(!is_reason(text), "{text:?}");
        }
    }

    #[test]
    fn the_schedule_sums_up_by_date_with_the_everlasting_last() {
        let lots = [lot(1, None), lot(2, Some(20)), lot(4, Some(10)), lot(8, Some(20)), lot(0, Some(5)), lot(16, None)];
        assert_eq!(expiry_schedule(&lots, at(0)), [(Some(at(10)), 4), (Some(at(20)), 10), (None, 17)]);
        assert_eq!(expiry_schedule(&lots, at(10)), [(Some(at(20)), 10), (None, 17)]);
    }

    #[test]
    fn spending_takes_the_earliest_expiry_first() {
        let lots = [lot(5, None), lot(5, Some(20)), lot(0, Some(9)), lot(5, Some(10)), lot(5, Some(1))];
        assert_eq!(spend_plan(&lots, 12, at(2)), Ok(vec![(3, 5), (1, 5), (0, 2)]));
        assert_eq!(spend_plan(&lots, 5, at(2)), Ok(vec![(3, 5)]));
        assert_eq!(spend_plan(&lots, 0, at(2)), Ok(vec![]));
    }

    #[test]
    fn among_equal_expiries_the_earlier_grant_goes_first() {
        let late = Lot { granted_at: at(1), ..lot(5, Some(20)) };
        assert_eq!(spend_plan(&[late, lot(5, Some(20))], 6, at(2)), Ok(vec![(1, 5), (0, 1)]));
    }

    #[test]
    fn spending_is_all_or_nothing_and_says_what_is_there() {
        let lots = [lot(5, None), lot(5, Some(1))];
        assert_eq!(spend_plan(&lots, 6, at(2)), Err(Insufficient { available: 5 }));
        assert_eq!(spend_plan(&[], 1, at(2)), Err(Insufficient { available: 0 }));
    }

    #[test]
    fn revoking_takes_what_is_there_and_reports_the_shortfall() {
        let lots = [lot(5, None), lot(5, Some(20))];
        assert_eq!(revoke_plan(&lots, 7, at(0)), (vec![(1, 5), (0, 2)], 0));
        assert_eq!(revoke_plan(&lots, 12, at(0)), (vec![(1, 5), (0, 5)], 2));
        assert_eq!(revoke_plan(&[], 12, at(0)), (vec![], 12));
    }

    #[test]
    fn an_expiry_not_yet_booked_is_dated_on_its_day() {
        let lots = [lot(5, Some(20)), lot(3, Some(10)), lot(0, Some(10)), lot(9, None), lot(4, Some(30))];
        let (first, second) =
            (Unswept { lot: 1, expired_at: at(10), micros: 3 }, Unswept { lot: 0, expired_at: at(20), micros: 5 });
        assert_eq!(unswept(&lots, at(10).plus_millis(-1)), []);
        assert_eq!(unswept(&lots, at(10)), [first]);
        assert_eq!(unswept(&lots, at(25)), [first, second]);
    }

    const BLOCK: Block = Block { scope: BlockScope::All, from: Timestamp::MIN, until: None, lifted_at: None };

    #[test]
    fn a_block_covers_its_scope() {
        for (scope, claim, spend) in
            [(BlockScope::Claim, true, false), (BlockScope::Spend, false, true), (BlockScope::All, true, true)]
        {
            let blocks = [Block { scope, ..BLOCK }];
            assert_eq!(is_blocked(&blocks, BlockedAction::Claim, at(0)), claim, "{scope:?}");
            assert_eq!(is_blocked(&blocks, BlockedAction::Spend, at(0)), spend, "{scope:?}");
        }
        assert!(!is_blocked(&[], BlockedAction::Claim, at(0)));
    }

    #[test]
    fn a_block_holds_from_its_first_instant_until_it_ends_or_is_lifted() {
        let dated = Block { from: at(10), until: Some(at(20)), ..BLOCK };
        let lifted = Block { lifted_at: Some(at(15)), ..dated };
        let blocked = |block, seconds| is_blocked(&[block], BlockedAction::Claim, at(seconds));
        assert_eq!([9, 10, 19, 20].map(|seconds| blocked(dated, seconds)), [false, true, true, false]);
        assert_eq!([9, 10, 14, 15].map(|seconds| blocked(lifted, seconds)), [false, true, true, false]);
        assert!(blocked(Block { until: None, ..dated }, 1_000_000));
    }

    #[test]
    fn decimals_are_exact_and_short() {
        for (micros, text) in [
            (0, "0"),
            (1, "0.000001"),
            (1_500_000, "1.5"),
            (-1_500_000, "-1.5"),
            (-1, "-0.000001"),
            (10_000_000, "10"),
            (123_456_789, "123.456789"),
            (i64::MAX, "9223372036854.775807"),
            (i64::MIN, "-9223372036854.775808"),
        ] {
            assert_eq!(micros_to_decimal(micros), text);
            assert_eq!(decimal_to_micros(text), Some(micros));
        }
        assert_eq!(decimal_to_micros("-0"), Some(0));
        assert_eq!(decimal_to_micros("007.50"), Some(7_500_000));
    }

    #[test]
    fn what_is_no_decimal_or_does_not_fit_is_refused() {
        for text in [
            "",
            "-",
            "--1",
            "+1",
            "1.",
            ".5",
            "1.0000000",
            "1e3",
            "1,5",
            " 1",
            "1 ",
            "0x1",
            "1.-5",
            "1.+5",
            "1.2.3",
            "NaN",
            "١",
            "9223372036854.775808",
            "-9223372036854.775809",
            "99999999999999999999999999999999999999999999999999",
            "170141183460469231731687303715884105727",
        ] {
            assert_eq!(decimal_to_micros(text), None, "{text}");
        }
    }

    fn any_lots() -> impl Strategy<Value = Vec<Lot>> {
        let lot = (0_i64..100, prop::option::of(-5_i64..20), -5_i64..5)
            .prop_map(|(remaining, expires, granted)| Lot { granted_at: at(granted), ..lot(remaining, expires) });
        prop::collection::vec(lot, 0..8)
    }

    fn after(lots: &[Lot], plan: &[(usize, i64)]) -> Vec<Lot> {
        let mut lots = lots.to_vec();
        for (index, taken) in plan {
            lots[*index].remaining_micros -= taken;
        }
        lots
    }

    proptest! {
        #[test]
        fn a_spend_lowers_the_balance_by_its_amount_and_no_lot_below_zero(
            lots in any_lots(), amount in 0_i64..400, now in -6_i64..21,
        ) {
            let before = available(&lots, at(now));
            match spend_plan(&lots, amount, at(now)) {
                Ok(plan) => {
                    let lots = after(&lots, &plan);
                    prop_assert_eq!(available(&lots, at(now)), before - amount);
                    prop_assert!(lots.iter().all(|lot| lot.remaining_micros >= 0));
                }
                Err(refused) => prop_assert!(refused.available == before && before < amount),
            }
        }

        #[test]
        fn booking_expiries_changes_no_balance(lots in any_lots(), sweep in -6_i64..21, later in 0_i64..21) {
            let now = at(sweep + later);
            let plan: Vec<_> = unswept(&lots, at(sweep)).iter().map(|found| (found.lot, found.micros)).collect();
            let swept = after(&lots, &plan);
            prop_assert_eq!(unswept(&swept, at(sweep)), []);
            prop_assert_eq!(available(&swept, now), available(&lots, now));
            prop_assert_eq!(expiry_schedule(&swept, now), expiry_schedule(&lots, now));
            prop_assert_eq!(expires_in(&swept, now), expires_in(&lots, now));
        }

        #[test]
        fn the_schedule_agrees_with_the_balance_and_the_next_expiry(lots in any_lots(), now in -6_i64..21) {
            let schedule = expiry_schedule(&lots, at(now));
            prop_assert_eq!(schedule.iter().map(|(_, micros)| micros).sum::<i64>(), available(&lots, at(now)));
            let next = schedule.first().and_then(|(expires, _)| *expires);
            prop_assert_eq!(expires_in(&lots, at(now)), next.map(|next| next.millis_since(at(now)) / 1000));
        }

        #[test]
        fn no_amounts_make_a_plan_panic(remaining: [i64; 4], amount: i64, now: i64) {
            let lots = remaining.map(|remaining| lot(remaining, None));
            let now = Timestamp::from_millis(now);
            let (plan, shortfall) = revoke_plan(&lots, amount, now);
            prop_assert!(shortfall >= 0 && plan.iter().all(|(_, taken)| *taken > 0));
            prop_assert!(available(&lots, now) >= 0);
            let _ = (spend_plan(&lots, amount, now), expiry_schedule(&lots, now), unswept(&lots, now));
        }

        #[test]
        fn every_amount_is_read_back(micros: i64) {
            prop_assert_eq!(decimal_to_micros(&micros_to_decimal(micros)), Some(micros));
        }

        #[test]
        fn no_text_makes_reading_panic(text in "[-+0-9.eE ]{0,50}|.{0,20}") {
            let _ = decimal_to_micros(&text);
        }
    }
}
