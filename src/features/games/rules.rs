//! What a player's unlocked achievements of one game come to: scores, awards, and what an unlock changes.

use crate::clock::Timestamp;

/// What an achievement means for beating its game.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
pub enum AchievementKind {
    /// Nothing.
    #[default]
    Standard,
    /// All of these are needed.
    Progression,
    /// One of these is needed, where there are any.
    WinCondition,
}

/// One achievement of a game and when a player unlocked it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct AchievementFacts {
    /// What it means for beating the game.
    pub kind: AchievementKind,
    /// What it is worth; 0 or more.
    pub points: i32,
    /// Whether it counts at all.
    pub published: bool,
    /// When the player unlocked it in either mode.
    pub unlocked_at: Option<Timestamp>,
    /// When the player unlocked it in hardcore mode; implies that it is unlocked.
    pub unlocked_hardcore_at: Option<Timestamp>,
}

impl AchievementFacts {
    /// When it was unlocked in either mode: hardcore implies unlocked.
    #[must_use]
    pub fn first_unlocked_at(&self) -> Option<Timestamp> {
        self.unlocked_at.into_iter().chain(self.unlocked_hardcore_at).min()
    }

    fn last_unlocked_at(&self) -> Option<Timestamp> {
        self.unlocked_at.max(self.unlocked_hardcore_at)
    }
}

/// What can be achieved in a game: its published achievements and their points.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Possible {
    /// How many achievements are published.
    pub num_possible: i32,
    /// The sum of their points.
    pub possible_score: i32,
}

/// What a player has achieved in a game, each published achievement counted once.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Score {
    /// How many are unlocked, in hardcore mode or not.
    pub num_achieved: i32,
    /// The points of those.
    pub score_achieved: i32,
    /// How many are unlocked in hardcore mode.
    pub num_achieved_hardcore: i32,
    /// The points of those.
    pub score_achieved_hardcore: i32,
}

/// A player's score in a game and the dates of the first and the last unlock that count towards it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Summary {
    /// What is achieved.
    pub score: Score,
    /// When the first published achievement was unlocked; `None` when none is.
    pub first_unlocked_at: Option<Timestamp>,
    /// When one was last unlocked, or unlocked again in hardcore mode; `None` when none is.
    pub last_unlocked_at: Option<Timestamp>,
}

fn published(achievements: &[AchievementFacts]) -> impl Iterator<Item = &AchievementFacts> + Clone {
    achievements.iter().filter(|achievement| achievement.published)
}

fn count_and_points<'a>(achievements: impl Iterator<Item = &'a AchievementFacts>) -> (i32, i32) {
    achievements.fold((0_i32, 0_i32), |(count, points), achievement| {
        (count.saturating_add(1), points.saturating_add(achievement.points.max(0)))
    })
}

/// What can be achieved in a game with these achievements.
#[must_use]
pub fn possible(achievements: &[AchievementFacts]) -> Possible {
    let (num_possible, possible_score) = count_and_points(published(achievements));
    Possible { num_possible, possible_score }
}

/// What the player has achieved. Achievements that are not unlocked may be left out.
#[must_use]
pub fn summarise(achievements: &[AchievementFacts]) -> Summary {
    let unlocked = published(achievements).filter(|achievement| achievement.first_unlocked_at().is_some());
    let hardcore = published(achievements).filter(|achievement| achievement.unlocked_hardcore_at.is_some());
    let (num_achieved, score_achieved) = count_and_points(unlocked.clone());
    let (num_achieved_hardcore, score_achieved_hardcore) = count_and_points(hardcore);
    Summary {
        score: Score { num_achieved, score_achieved, num_achieved_hardcore, score_achieved_hardcore },
        first_unlocked_at: unlocked.clone().filter_map(AchievementFacts::first_unlocked_at).min(),
        last_unlocked_at: unlocked.filter_map(AchievementFacts::last_unlocked_at).max(),
    }
}

/// What a player can earn in a game, from the least to the highest.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Award {
    /// All progression achievements and, where there are any, one win condition.
    Beaten,
    /// The same, all in hardcore mode.
    BeatenHardcore,
    /// All achievements.
    Completed,
    /// All achievements in hardcore mode.
    Mastered,
}

/// When a player earned which award of a game.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Awards {
    /// When [`Award::Beaten`] was earned.
    pub beaten: Option<Timestamp>,
    /// When [`Award::BeatenHardcore`] was earned.
    pub beaten_hardcore: Option<Timestamp>,
    /// When [`Award::Completed`] was earned.
    pub completed: Option<Timestamp>,
    /// When [`Award::Mastered`] was earned.
    pub mastered: Option<Timestamp>,
}

impl Awards {
    /// These awards as stored, and those of `earned` that are new. An award once earned stays with its date, also when
    /// the game grows.
    #[must_use]
    pub fn with(self, earned: Self) -> Self {
        Self {
            beaten: self.beaten.or(earned.beaten),
            beaten_hardcore: self.beaten_hardcore.or(earned.beaten_hardcore),
            completed: self.completed.or(earned.completed),
            mastered: self.mastered.or(earned.mastered),
        }
    }

    /// Each award with the earliest of its dates in both.
    #[must_use]
    pub fn earliest(self, other: Self) -> Self {
        let min = |one: Option<Timestamp>, two: Option<Timestamp>| one.into_iter().chain(two).min();
        Self {
            beaten: min(self.beaten, other.beaten),
            beaten_hardcore: min(self.beaten_hardcore, other.beaten_hardcore),
            completed: min(self.completed, other.completed),
            mastered: min(self.mastered, other.mastered),
        }
    }

    /// These awards as stored, without those that were earned `before` unlocks were taken back and are not earned
    /// `after` it. One that was kept from before the game grew is not touched.
    #[must_use]
    pub fn without_lost(self, before: &Self, after: &Self) -> Self {
        let keep = |stored: Option<Timestamp>, before: Option<Timestamp>, after: Option<Timestamp>| {
            if before.is_some() && after.is_none() { None } else { stored }
        };
        Self {
            beaten: keep(self.beaten, before.beaten, after.beaten),
            beaten_hardcore: keep(self.beaten_hardcore, before.beaten_hardcore, after.beaten_hardcore),
            completed: keep(self.completed, before.completed, after.completed),
            mastered: keep(self.mastered, before.mastered, after.mastered),
        }
    }
}

/// The awards that these achievements earn, each dated when its last condition was met. Takes all published
/// achievements of the game. No award without at least one achievement that it asks for.
#[must_use]
pub fn awards(achievements: &[AchievementFacts]) -> Awards {
    let softcore = AchievementFacts::first_unlocked_at;
    let hardcore = |achievement: &AchievementFacts| achievement.unlocked_hardcore_at;
    Awards {
        beaten: beaten_at(achievements, softcore),
        beaten_hardcore: beaten_at(achievements, hardcore),
        completed: all_at(published(achievements).map(softcore)),
        mastered: all_at(published(achievements).map(hardcore)),
    }
}

/// The awards in `after` that were not in `before`, from the least to the highest, by their names in the history.
#[must_use]
pub fn new_awards(before: &Awards, after: &Awards) -> Vec<(&'static str, Timestamp)> {
    let awards = [
        ("BEATEN", before.beaten, after.beaten),
        ("BEATEN_HARDCORE", before.beaten_hardcore, after.beaten_hardcore),
        ("COMPLETED", before.completed, after.completed),
        ("MASTERED", before.mastered, after.mastered),
    ];
    awards.into_iter().filter_map(|(name, before, after)| Some((name, after.filter(|_| before.is_none())?))).collect()
}

fn beaten_at(
    achievements: &[AchievementFacts],
    unlocked_at: impl Fn(&AchievementFacts) -> Option<Timestamp>,
) -> Option<Timestamp> {
    let of_kind = |kind| published(achievements).filter(move |achievement| achievement.kind == kind).map(&unlocked_at);
    let has = |kind| of_kind(kind).next().is_some();

    let progression = all_at(of_kind(AchievementKind::Progression));
    let win = of_kind(AchievementKind::WinCondition).flatten().min();
    match (has(AchievementKind::Progression), has(AchievementKind::WinCondition)) {
        (true, true) => Some(progression?.max(win?)),
        (true, false) => progression,
        (false, _) => win,
    }
}

/// The last of all instants; `None` when one is missing or there are none.
fn all_at(instants: impl Iterator<Item = Option<Timestamp>>) -> Option<Timestamp> {
    instants.collect::<Option<Vec<_>>>()?.into_iter().max()
}

/// The highest award earned and when.
#[must_use]
pub fn highest(awards: &Awards) -> Option<(Award, Timestamp)> {
    [
        (Award::Mastered, awards.mastered),
        (Award::Completed, awards.completed),
        (Award::BeatenHardcore, awards.beaten_hardcore),
        (Award::Beaten, awards.beaten),
    ]
    .into_iter()
    .find_map(|(award, earned_at)| Some((award, earned_at?)))
}

/// When a player unlocked one achievement.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Unlock {
    /// When it was unlocked in either mode.
    pub unlocked_at: Timestamp,
    /// When it was unlocked in hardcore mode; not before `unlocked_at`.
    pub unlocked_hardcore_at: Option<Timestamp>,
}

/// The unlock after another one at `at`. Only the first, and the first in hardcore mode, change anything.
#[must_use]
pub fn merge_unlock(stored: Option<Unlock>, hardcore: bool, at: Timestamp) -> Unlock {
    match stored {
        None => Unlock { unlocked_at: at, unlocked_hardcore_at: hardcore.then_some(at) },
        Some(Unlock { unlocked_at, unlocked_hardcore_at: None }) if hardcore => {
            Unlock { unlocked_at: unlocked_at.min(at), unlocked_hardcore_at: Some(at) }
        }
        Some(stored) => stored,
    }
}

#[cfg(test)]
mod tests {
    use AchievementKind::{Progression, Standard, WinCondition};
    use proptest::prelude::*;

    use super::*;

    fn at(seconds: i64) -> Timestamp {
        Timestamp::from_millis(0).plus_seconds(seconds)
    }

    /// Worth ten points, published, not unlocked.
    fn locked(kind: AchievementKind) -> AchievementFacts {
        AchievementFacts { kind, points: 10, published: true, unlocked_at: None, unlocked_hardcore_at: None }
    }

    fn softcore(kind: AchievementKind, seconds: i64) -> AchievementFacts {
        AchievementFacts { unlocked_at: Some(at(seconds)), ..locked(kind) }
    }

    fn hardcore(kind: AchievementKind, seconds: i64) -> AchievementFacts {
        AchievementFacts { unlocked_hardcore_at: Some(at(seconds)), ..softcore(kind, seconds) }
    }

    fn unpublished(achievement: AchievementFacts) -> AchievementFacts {
        AchievementFacts { published: false, ..achievement }
    }

    #[test]
    fn all_unlocked_count_and_hardcore_counts_in_both() {
        let game = [softcore(Standard, 5), hardcore(Standard, 3), locked(Standard)];
        let summary = summarise(&game);
        assert_eq!(
            summary.score,
            Score { num_achieved: 2, score_achieved: 20, num_achieved_hardcore: 1, score_achieved_hardcore: 10 }
        );
        assert_eq!((summary.first_unlocked_at, summary.last_unlocked_at), (Some(at(3)), Some(at(5))));
        assert_eq!(possible(&game), Possible { num_possible: 3, possible_score: 30 });
    }

    #[test]
    fn a_game_never_played_has_its_possible_numbers_and_four_zeros() {
        let game = [locked(Standard), locked(Progression)];
        assert_eq!(possible(&game), Possible { num_possible: 2, possible_score: 20 });
        assert_eq!(summarise(&game), Summary::default());
        assert_eq!((possible(&[]), summarise(&[])), (Possible::default(), Summary::default()));
    }

    #[test]
    fn an_unpublished_achievement_is_neither_possible_nor_achieved() {
        let game = [unpublished(hardcore(Standard, 1)), softcore(Standard, 2)];
        assert_eq!(possible(&game), Possible { num_possible: 1, possible_score: 10 });
        let summary = summarise(&game);
        assert_eq!((summary.score.num_achieved, summary.score.num_achieved_hardcore), (1, 0));
        assert_eq!(summary.first_unlocked_at, Some(at(2)));
    }

    #[test]
    fn unlocking_again_in_hardcore_mode_is_the_last_unlock() {
        let upgraded = AchievementFacts { unlocked_hardcore_at: Some(at(9)), ..softcore(Standard, 1) };
        let summary = summarise(&[upgraded, softcore(Standard, 5)]);
        assert_eq!((summary.first_unlocked_at, summary.last_unlocked_at), (Some(at(1)), Some(at(9))));
    }

    #[test]
    fn hardcore_alone_is_unlocked_too() {
        let only_hardcore = AchievementFacts { unlocked_at: None, ..hardcore(Standard, 4) };
        let summary = summarise(&[only_hardcore]);
        assert_eq!((summary.score.num_achieved, summary.first_unlocked_at), (1, Some(at(4))));
    }

    #[test]
    fn beaten_takes_all_progression_and_one_win_condition() {
        let beaten = |game: &[AchievementFacts]| awards(game).beaten;
        assert_eq!(beaten(&[softcore(Progression, 1), softcore(Progression, 3), locked(Standard)]), Some(at(3)));
        assert_eq!(beaten(&[softcore(Progression, 1), locked(Progression)]), None);
        assert_eq!(beaten(&[softcore(Progression, 1), locked(WinCondition)]), None);
        assert_eq!(beaten(&[locked(Progression), softcore(WinCondition, 1)]), None);
        let wins = [softcore(WinCondition, 9), softcore(WinCondition, 7), locked(WinCondition)];
        assert_eq!(beaten(&wins), Some(at(7)));
        assert_eq!(beaten(&[&wins[..], &[softcore(Progression, 8)]].concat()), Some(at(8)));
        assert_eq!(beaten(&[&wins[..], &[softcore(Progression, 2)]].concat()), Some(at(7)));
    }

    #[test]
    fn beaten_in_hardcore_mode_takes_all_of_it_in_hardcore_mode() {
        let game = [hardcore(Progression, 1), softcore(WinCondition, 2), hardcore(WinCondition, 5)];
        assert_eq!((awards(&game).beaten, awards(&game).beaten_hardcore), (Some(at(2)), Some(at(5))));
        let game = [softcore(Progression, 1), hardcore(WinCondition, 2)];
        assert_eq!((awards(&game).beaten, awards(&game).beaten_hardcore), (Some(at(2)), None));
    }

    #[test]
    fn completed_takes_all_and_mastered_all_in_hardcore_mode() {
        let game = [softcore(Standard, 4), hardcore(Standard, 2)];
        assert_eq!(awards(&game), Awards { completed: Some(at(4)), ..Awards::default() });
        let game = [hardcore(Standard, 4), hardcore(Standard, 2), unpublished(locked(Standard))];
        assert_eq!(awards(&game), Awards { completed: Some(at(4)), mastered: Some(at(4)), ..Awards::default() });
        assert_eq!(awards(&[softcore(Standard, 4), locked(Standard)]), Awards::default());
    }

    #[test]
    fn there_is_no_award_without_an_achievement_for_it() {
        assert_eq!(awards(&[]), Awards::default());
        assert_eq!(awards(&[unpublished(hardcore(Progression, 1))]), Awards::default());
        let game = [hardcore(Standard, 1)];
        assert_eq!((awards(&game).beaten, awards(&game).beaten_hardcore), (None, None));
    }

    #[test]
    fn the_highest_award_is_shown() {
        let all =
            Awards { beaten: Some(at(1)), beaten_hardcore: Some(at(2)), completed: Some(at(3)), mastered: Some(at(4)) };
        assert_eq!(highest(&all), Some((Award::Mastered, at(4))));
        let all = Awards { mastered: None, ..all };
        assert_eq!(highest(&all), Some((Award::Completed, at(3))));
        let all = Awards { completed: None, ..all };
        assert_eq!(highest(&all), Some((Award::BeatenHardcore, at(2))));
        let all = Awards { beaten_hardcore: None, ..all };
        assert_eq!(highest(&all), Some((Award::Beaten, at(1))));
        assert_eq!(highest(&Awards::default()), None);
        assert!(Award::Mastered > Award::Completed && Award::Completed > Award::BeatenHardcore);
        assert!(Award::BeatenHardcore > Award::Beaten);
    }

    #[test]
    fn an_award_is_kept_when_the_game_grows() {
        let stored = awards(&[hardcore(Standard, 1)]);
        let grown = awards(&[hardcore(Standard, 1), locked(Standard)]);
        assert_eq!(stored.with(grown), stored);
        let later = awards(&[hardcore(Standard, 1), hardcore(Progression, 9)]);
        let kept = stored.with(later);
        assert_eq!((kept.mastered, kept.beaten), (Some(at(1)), Some(at(9))));
    }

    #[test]
    fn an_unlock_changes_something_only_the_first_time() {
        let unlock = |unlocked, hardcore: Option<i64>| Unlock {
            unlocked_at: at(unlocked),
            unlocked_hardcore_at: hardcore.map(at),
        };
        for (stored, hardcore, expected) in [
            (None, false, unlock(5, None)),
            (None, true, unlock(5, Some(5))),
            (Some(unlock(3, None)), false, unlock(3, None)),
            (Some(unlock(7, None)), false, unlock(7, None)),
            (Some(unlock(3, None)), true, unlock(3, Some(5))),
            (Some(unlock(7, None)), true, unlock(5, Some(5))),
            (Some(unlock(3, Some(4))), true, unlock(3, Some(4))),
            (Some(unlock(7, Some(8))), true, unlock(7, Some(8))),
            (Some(unlock(3, Some(4))), false, unlock(3, Some(4))),
        ] {
            assert_eq!(merge_unlock(stored, hardcore, at(5)), expected, "{stored:?} {hardcore}");
        }
    }

    fn any_achievement() -> impl Strategy<Value = AchievementFacts> {
        let kind = prop_oneof![Just(Standard), Just(Progression), Just(WinCondition)];
        let unlock = prop::option::weighted(0.8, (0_i64..50, prop::option::weighted(0.7, 0_i64..50)));
        (kind, any::<i32>(), prop::bool::weighted(0.9), unlock).prop_map(|(kind, points, published, unlock)| {
            AchievementFacts {
                kind,
                points,
                published,
                unlocked_at: unlock.map(|(soft, _)| at(soft)),
                unlocked_hardcore_at: unlock.and_then(|(soft, extra)| extra.map(|extra| at(soft + extra))),
            }
        })
    }

    proptest! {
        #[test]
        fn achieved_never_exceeds_possible_nor_hardcore_all(game in prop::collection::vec(any_achievement(), 0..6)) {
            let (possible, score) = (possible(&game), summarise(&game).score);
            prop_assert!(0 <= score.num_achieved_hardcore && score.num_achieved_hardcore <= score.num_achieved);
            prop_assert!(score.num_achieved <= possible.num_possible);
            prop_assert!(0 <= score.score_achieved_hardcore && score.score_achieved_hardcore <= score.score_achieved);
            prop_assert!(score.score_achieved <= possible.possible_score);
        }

        #[test]
        fn awards_are_dated_by_the_unlock_that_earned_them(game in prop::collection::vec(any_achievement(), 0..6)) {
            // Replays the game second by second: an award must be absent before its date and there from then on.
            let seen_at = |second: i64| {
                let known = |instant: Option<Timestamp>| instant.filter(|instant| *instant <= at(second));
                let game: Vec<_> = game.iter().map(|achievement| AchievementFacts {
                    unlocked_at: known(achievement.unlocked_at),
                    unlocked_hardcore_at: known(achievement.unlocked_hardcore_at),
                    ..*achievement
                }).collect();
                awards(&game)
            };
            let last = awards(&game);
            for second in -1..101 {
                let seen = seen_at(second);
                let expected = |earned: Option<Timestamp>| earned.filter(|earned| *earned <= at(second));
                prop_assert_eq!(seen, Awards {
                    beaten: expected(last.beaten),
                    beaten_hardcore: expected(last.beaten_hardcore),
                    completed: expected(last.completed),
                    mastered: expected(last.mastered),
                });
            }
            prop_assert!(last.mastered.is_none() || last.completed.is_some());
            prop_assert!(last.beaten_hardcore.is_none() || last.beaten.is_some());
        }

        #[test]
        fn unlocks_keep_their_order_and_repeat_without_effect(
            events in prop::collection::vec((any::<bool>(), 0_i64..20), 1..8),
        ) {
            let mut stored = None;
            for (hardcore, seconds) in events {
                let unlock = merge_unlock(stored, hardcore, at(seconds));
                prop_assert!(unlock.unlocked_hardcore_at.is_none_or(|hardcore| unlock.unlocked_at <= hardcore));
                prop_assert_eq!(merge_unlock(Some(unlock), hardcore, at(seconds)), unlock);
                stored = Some(unlock);
            }
        }
    }
}
