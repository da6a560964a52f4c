//! What a player's unlocked achievements of one game come to: scores, awards, and what an unlock changes.

pub use super::entity::{AchievementKind, Award};
use waymark_kernel::clock::Timestamp;

/// One achievement of a game and when a player unlocked it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct AchievementFacts {
    /// Its id.
    pub id: i64,
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

impl Award {
    /// When an unlock was one in the mode that this award asks for.
    #[must_use]
    pub const fn counts(self, unlock: Unlock) -> Option<Timestamp> {
        if self.is_hardcore() { unlock.unlocked_hardcore_at } else { Some(unlock.unlocked_at) }
    }

    fn met_at(self, achievement: &AchievementFacts) -> Option<Timestamp> {
        if self.is_hardcore() { achievement.unlocked_hardcore_at } else { achievement.first_unlocked_at() }
    }

    /// Whether unlocks in hardcore mode alone count.
    #[must_use]
    pub const fn is_hardcore(self) -> bool {
        matches!(self, Self::BeatenHardcore | Self::Mastered)
    }

    const fn is_for_beating(self) -> bool {
        matches!(self, Self::Beaten | Self::BeatenHardcore)
    }
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
    /// When an award was earned.
    #[must_use]
    pub const fn get(&self, award: Award) -> Option<Timestamp> {
        match award {
            Award::Beaten => self.beaten,
            Award::BeatenHardcore => self.beaten_hardcore,
            Award::Completed => self.completed,
            Award::Mastered => self.mastered,
        }
    }

    /// The dates of these awards.
    #[must_use]
    pub fn of(held: &HeldAwards) -> Self {
        let date = |award: Award| held[award as usize].as_ref().map(|held| held.at);
        Self {
            beaten: date(Award::Beaten),
            beaten_hardcore: date(Award::BeatenHardcore),
            completed: date(Award::Completed),
            mastered: date(Award::Mastered),
        }
    }
}

/// An award that a player has.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Held {
    /// When it was earned.
    pub at: Timestamp,
    /// The achievements that it required then, by their ids in ascending order: it rests on these. `None`: its date was
    /// told and follows from nothing; then it rests on all unlocks in its mode that are not later.
    pub on: Option<Vec<i64>>,
}

impl Held {
    /// The award with what a file tells of it: a date that was told goes before one that follows from unlocks, and of
    /// two of one sort the earlier stays.
    #[must_use]
    pub fn merged(held: Option<Self>, told: Self) -> Self {
        match held {
            Some(held) if held.on.is_some() != told.on.is_some() => {
                if held.on.is_none() {
                    held
                } else {
                    told
                }
            }
            // Of two of one instant one stays too, whichever came first.
            Some(held) if (held.at, &held.on) <= (told.at, &told.on) => held,
            _ => told,
        }
    }

    /// Whether the award goes away when this unlock of an achievement is taken back.
    #[must_use]
    pub fn is_lost(&self, award: Award, achievement: i64, unlock: Unlock) -> bool {
        award.counts(unlock).is_some_and(|at| match &self.on {
            Some(on) => on.binary_search(&achievement).is_ok(),
            None => at <= self.at,
        })
    }

    /// Whether all that the award rests on is unlocked in its mode.
    pub fn is_sound(&self, award: Award, unlock: impl Fn(i64) -> Option<Unlock>) -> bool {
        let is_unlocked = |id: &i64| unlock(*id).and_then(|unlock| award.counts(unlock)).is_some();
        self.on.as_ref().is_none_or(|on| on.iter().all(is_unlocked))
    }

    /// The award when unlocks turned out to be earlier than was known. Its date follows theirs, unless it was told.
    #[must_use]
    pub fn redated(self, award: Award, facts: &[AchievementFacts], unlock: impl Fn(i64) -> Option<Unlock>) -> Self {
        let Some(on) = &self.on else { return self };
        // Any win condition does, so the first one counts; else a game that has changed since changes nothing.
        let wins = |id: &i64| {
            let is_win = |one: &AchievementFacts| one.id == *id && one.kind == AchievementKind::WinCondition;
            award.is_for_beating() && facts.iter().any(is_win)
        };
        let needed = |on: &[i64]| on.iter().filter(|id| !wins(id)).copied().collect::<Vec<i64>>();
        if let Some(today) = earned(award, facts)
            && today.on.as_ref().is_some_and(|today| needed(today) == needed(on))
        {
            return today;
        }
        let at = all_at(on.iter().map(|id| award.counts(unlock(*id)?)));
        Self { at: at.map_or(self.at, |at| at.min(self.at)), on: self.on }
    }
}

/// The awards that a player has in a game, in the order of [`Award::ALL`].
pub type HeldAwards = [Option<Held>; 4];

/// An award as these achievements earn it. Takes all published achievements of the game.
#[must_use]
pub fn earned(award: Award, achievements: &[AchievementFacts]) -> Option<Held> {
    let at = match award {
        Award::Beaten | Award::BeatenHardcore => beaten_at(achievements, |one| award.met_at(one)),
        Award::Completed | Award::Mastered => all_at(published(achievements).map(|one| award.met_at(one))),
    }?;
    let win = published(achievements)
        .filter(|one| one.kind == AchievementKind::WinCondition)
        .filter_map(|one| Some((award.met_at(one)?, one.id)))
        .min();
    let is_needed = |one: &&AchievementFacts| match one.kind {
        _ if !award.is_for_beating() => true,
        AchievementKind::Progression => true,
        AchievementKind::WinCondition => win.is_some_and(|(_, id)| id == one.id),
        AchievementKind::Standard => false,
    };
    let mut on: Vec<i64> = published(achievements).filter(is_needed).map(|one| one.id).collect();
    on.sort_unstable();
    Some(Held { at, on: Some(on) })
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

/// The awards that a player has, and those that these achievements earn beside them. One that is there stays as it is.
#[must_use]
pub fn with_earned(held: &HeldAwards, achievements: &[AchievementFacts]) -> HeldAwards {
    Award::ALL.map(|award| held[award as usize].clone().or_else(|| earned(award, achievements)))
}

/// The awards in `after` that were not in `before`, from the least to the highest.
pub fn new_awards(before: &HeldAwards, after: &HeldAwards) -> impl Iterator<Item = (Award, Timestamp)> {
    let pairs = Award::ALL.into_iter().zip(before).zip(after);
    pairs.filter_map(|((award, before), after)| Some((award, after.as_ref().filter(|_| before.is_none())?.at)))
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

/// The unlock with what is told of another one: in each mode the earlier of the two.
#[must_use]
pub fn earlier_unlock(stored: Option<Unlock>, told: Unlock) -> Unlock {
    let both = [stored, Some(told)].into_iter().flatten();
    let unlocked_hardcore_at = both.clone().filter_map(|unlock| unlock.unlocked_hardcore_at).min();
    let first = both.map(|unlock| unlock.unlocked_at).chain(unlocked_hardcore_at).min();
    Unlock { unlocked_at: first.unwrap_or(told.unlocked_at), unlocked_hardcore_at }
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
        AchievementFacts { id: 0, kind, points: 10, published: true, unlocked_at: None, unlocked_hardcore_at: None }
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

    /// These achievements with the ids 1, 2, …
    fn numbered(achievements: impl IntoIterator<Item = AchievementFacts>) -> Vec<AchievementFacts> {
        achievements.into_iter().zip(1..).map(|(one, id)| AchievementFacts { id, ..one }).collect()
    }

    fn held(seconds: i64, on: &[i64]) -> Held {
        Held { at: at(seconds), on: Some(on.to_vec()) }
    }

    fn told(seconds: i64) -> Held {
        Held { at: at(seconds), on: None }
    }

    /// The unlocks of these achievements, by id.
    fn unlocks(achievements: &[AchievementFacts]) -> impl Fn(i64) -> Option<Unlock> {
        |id| {
            let one = achievements.iter().find(|one| one.id == id)?;
            Some(Unlock { unlocked_at: one.unlocked_at?, unlocked_hardcore_at: one.unlocked_hardcore_at })
        }
    }

    #[test]
    fn an_award_rests_on_what_it_required() {
        let game = numbered([
            hardcore(Progression, 1),
            softcore(WinCondition, 9),
            hardcore(WinCondition, 7),
            softcore(Standard, 3),
            unpublished(softcore(Progression, 1)),
        ]);
        assert_eq!(earned(Award::Beaten, &game), Some(held(7, &[1, 3])));
        assert_eq!(earned(Award::BeatenHardcore, &game), Some(held(7, &[1, 3])));
        assert_eq!(earned(Award::Completed, &game), Some(held(9, &[1, 2, 3, 4])));
        assert_eq!(earned(Award::Mastered, &game), None);
    }

    #[test]
    fn relocking_takes_the_awards_that_rest_on_it() {
        let unlock = |soft, hard: Option<i64>| Unlock { unlocked_at: at(soft), unlocked_hardcore_at: hard.map(at) };
        for (award, what, relocked, lost) in [
            (Award::Completed, held(5, &[1, 2]), (2, unlock(1, None)), true),
            (Award::Completed, held(5, &[1, 2]), (3, unlock(1, None)), false),
            (Award::Mastered, held(5, &[1, 2]), (2, unlock(1, None)), false),
            (Award::Mastered, held(5, &[1, 2]), (2, unlock(1, Some(4))), true),
            (Award::Beaten, told(5), (9, unlock(5, None)), true),
            (Award::Beaten, told(5), (9, unlock(6, None)), false),
            (Award::BeatenHardcore, told(5), (9, unlock(1, Some(6))), false),
        ] {
            assert_eq!(what.is_lost(award, relocked.0, relocked.1), lost, "{award:?} {what:?} {relocked:?}");
        }
    }

    #[test]
    fn an_award_follows_earlier_unlocks_unless_its_date_was_told_or_the_game_has_changed() {
        let game = numbered([softcore(Standard, 3), softcore(Standard, 1)]);
        let redated = |held: Held, game: &[AchievementFacts]| held.redated(Award::Completed, game, unlocks(game));
        assert_eq!(redated(held(9, &[1, 2]), &game), held(3, &[1, 2]));
        assert_eq!(redated(told(9), &game), told(9));
        // The set grew: what was asked for then is what counts.
        let grown = numbered([softcore(Standard, 3), softcore(Standard, 1), softcore(Standard, 8)]);
        assert_eq!(redated(held(9, &[1, 2]), &grown), held(3, &[1, 2]));
        // It shrank: the last one that was asked for is still that of then.
        let shrunk = numbered([softcore(Standard, 3), unpublished(softcore(Standard, 7))]);
        assert_eq!(redated(held(9, &[1, 2]), &shrunk), held(7, &[1, 2]));
        // Another win condition was there before.
        let beaten = numbered([softcore(Progression, 1), softcore(WinCondition, 5), softcore(WinCondition, 4)]);
        assert_eq!(held(5, &[1, 2]).redated(Award::Beaten, &beaten, unlocks(&beaten)), held(4, &[1, 3]));
    }

    #[test]
    fn what_is_told_of_an_award_comes_before_what_follows_and_the_earlier_before_the_later() {
        for (one, two, merged) in [
            (held(1, &[1]), told(5), told(5)),
            (told(1), told(5), told(1)),
            (held(1, &[1]), held(5, &[2]), held(1, &[1])),
            (held(5, &[1]), held(5, &[2]), held(5, &[1])),
        ] {
            assert_eq!(Held::merged(Some(one.clone()), two.clone()), merged);
            assert_eq!(Held::merged(Some(two.clone()), one), merged);
            assert_eq!(Held::merged(None, two.clone()), two);
        }
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
                id: 0,
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
            for award in Award::ALL {
                prop_assert_eq!(earned(award, &game).map(|held| held.at), last.get(award));
            }
            prop_assert!(last.mastered.is_none() || last.completed.is_some());
            prop_assert!(last.beaten_hardcore.is_none() || last.beaten.is_some());
        }

        #[test]
        fn told_unlocks_come_to_the_same_in_any_order(
            events in prop::collection::vec((0_i64..20, prop::option::of(0_i64..20)), 1..8),
        ) {
            let told = |(soft, hard): &(i64, Option<i64>)| Unlock { unlocked_at: at(*soft), unlocked_hardcore_at: hard.map(at) };
            let all = |events: &mut dyn Iterator<Item = &(i64, Option<i64>)>| {
                events.fold(None, |stored, event| Some(earlier_unlock(stored, told(event))))
            };
            let merged = all(&mut events.iter()).unwrap();
            prop_assert_eq!(all(&mut events.iter().rev()).unwrap(), merged);
            prop_assert_eq!(all(&mut events.iter().chain(&events)).unwrap(), merged);
            prop_assert!(merged.unlocked_hardcore_at.is_none_or(|hardcore| merged.unlocked_at <= hardcore));
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
