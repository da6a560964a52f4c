//! Data to measure with: many users who are all alike, named by number so that a load generator can name them too.
//!
//! There are 1,000 games of 25 achievements, 200 resources, 10 collections of 30 cards, and one season that runs, with
//! 10 goals that are all current. Every user is enrolled, has steps of every goal, two lots of credits, 20 played games
//! with one or two unlocked achievements each, progress on 20 resources, and 30 cards. There are no histories.

use std::collections::BTreeMap;

use super::days;
use super::dice::{Dice, hex24, mixed, ulid as new_ulid};
use super::games;
use super::rows::Rows;
use waymark_collections::entity::{card, collection, owned_card, progress as collection_progress};
use waymark_credits::entity::{EntryKind, LotSource, entry, lot};
use waymark_games::entity::{AchievementKind, achievement, game, unlock};
use waymark_games::rules::Unlock;
use waymark_kernel::clock::Timestamp;
use waymark_learning::entity::{progress as resource_progress, resource};
use waymark_seasons::entity::{PauseMode, enrolment, goal, goal_progress, season};
use waymark_users::entity::{Visibility, account, user};

/// How many games there are.
pub const GAMES: u32 = 1000;
/// How many achievements each game has.
pub const ACHIEVEMENTS_PER_GAME: u32 = 25;
/// How many resources there are.
pub const RESOURCES: u32 = 200;
/// How many collections there are.
pub const COLLECTIONS: u32 = 10;
/// How many cards each collection has.
pub const CARDS_PER_COLLECTION: u32 = 30;
/// How many goals the season has.
pub const GOALS: u32 = 10;
/// How many games each user has played, how many resources they have progress on.
pub const PER_USER: u32 = 20;

/// The key of the season, by which this data is recognized.
pub(super) const FIRST_KEY: &str = "load";

/// When all users were made: 2026-01-01T00:00:00Z.
const MADE_AT: Timestamp = Timestamp::from_millis(1_767_225_600_000);
const OWNED_CARDS: u32 = 30;

/// The handle of user `n`, counted from 1: `user000001`.
#[must_use]
pub fn handle(n: u32) -> String {
    format!("user{n:06}")
}

/// The ULID of user `n`, counted from 1.
#[must_use]
pub fn ulid(n: u32) -> String {
    new_ulid(MADE_AT, mixed(u64::from(n)), u64::from(n))
}

/// The Ethereum address that user `n` is known by, counted from 1.
#[must_use]
pub fn address(n: u32) -> String {
    format!("0x{:016x}{:016x}{n:08x}", mixed(u64::from(n)), mixed(!u64::from(n)))
}

/// The key of game `n`, 1 to [`GAMES`]: the number itself, which is also the game's number.
#[must_use]
pub fn game_key(n: u32) -> String {
    n.to_string()
}

/// The key of resource `n`, 1 to [`RESOURCES`]: 24 hexadecimal digits.
#[must_use]
pub fn resource_key(n: u32) -> String {
    format!("{n:024x}")
}

/// The key of collection `n`, 1 to [`COLLECTIONS`]: `collection-1`.
#[must_use]
pub fn collection_key(n: u32) -> String {
    format!("collection-{n}")
}

/// The key of goal `n`, 1 to [`GOALS`]: `load-1`.
#[must_use]
pub fn goal_key(n: u32) -> String {
    format!("{FIRST_KEY}-{n}")
}

/// The numbers of the [`PER_USER`] games that user `n` has played, spread evenly over all.
pub fn games_of(n: u32) -> impl Iterator<Item = u32> {
    spread(n, 7919, GAMES, PER_USER)
}

/// The numbers of the [`PER_USER`] resources that user `n` has progress on, spread evenly over all.
pub fn resources_of(n: u32) -> impl Iterator<Item = u32> {
    spread(n, 31, RESOURCES, PER_USER)
}

/// `count` distinct numbers from 1 to `of`, beginning anywhere and equally far apart.
fn spread(n: u32, step: u32, of: u32, count: u32) -> impl Iterator<Item = u32> {
    let first = u64::from(n) * u64::from(step);
    (0..count).map(move |place| {
        let number = (first + u64::from(place) * u64::from(of / count)) % u64::from(of) + 1;
        u32::try_from(number).unwrap_or(1)
    })
}

/// The data as seen from `day`.
#[derive(Debug)]
pub(super) struct Load {
    day: Timestamp,
    goals: Vec<goal::Model>,
    /// The achievements of each game.
    achievements: Vec<Vec<achievement::Model>>,
}

impl Load {
    pub(super) fn new(day: Timestamp) -> Self {
        let goals = (1..=GOALS).zip(1..).map(|(n, position)| goal::Model {
            id: n.into(),
            key: goal_key(n),
            season_id: 1,
            // Half of them are for the whole season, half for the week that runs.
            week: (n > GOALS / 2).then_some(4),
            position,
            title: format!("Goal {n}"),
            description: format!("Take {} steps.", 2 * n),
            thumbnail: None,
            reward_micros: i64::from(n) * 1_000_000,
            total_steps: 2 * position,
            retired_at: None,
        });
        let achievements = (1..=GAMES).map(|game| {
            let achievements = (1..=ACHIEVEMENTS_PER_GAME).zip(1..).map(|(n, position)| achievement::Model {
                id: i64::from((game - 1) * ACHIEVEMENTS_PER_GAME + n),
                key: format!("{game}-{n}"),
                game_id: game.into(),
                position,
                title: format!("Achievement {n}"),
                description: String::new(),
                badge: None,
                points: [5, 10, 25][usize::try_from(n % 3).unwrap_or_default()],
                kind: if n % 5 == 0 { AchievementKind::Progression } else { AchievementKind::Standard },
                published: true,
                created_at: MADE_AT,
                updated_at: MADE_AT,
            });
            achievements.collect()
        });
        Self { day, goals: goals.collect(), achievements: achievements.collect() }
    }

    /// The rows of the catalogue.
    pub(super) fn catalogue(&self) -> Rows {
        let mut rows = Rows::default();
        let created_at = days(self.day, -super::seasons::CREATED_DAYS_AGO);
        rows.seasons.push(season::Model {
            id: 1,
            key: FIRST_KEY.to_owned(),
            title: "Load".to_owned(),
            description: String::new(),
            starts_at: days(self.day, -24),
            duration_seconds: 12 * 604_800,
            week_length_seconds: 604_800,
            ended_at: None,
            pause_mode: PauseMode::Freeze,
            created_at,
            updated_at: created_at,
            retired_at: None,
        });
        rows.goals.extend(self.goals.iter().cloned());
        rows.resources.extend((1..=RESOURCES).map(|n| resource::Model {
            id: n.into(),
            key: resource_key(n),
            external_id: resource_key(n),
            title: format!("Resource {n}"),
            kind: "course".to_owned(),
            section: None,
            url: None,
            description: String::new(),
            estimated_minutes: Some(60),
            catalogued: true,
            created_at: MADE_AT,
            updated_at: MADE_AT,
            retired_at: None,
        }));
        for (n, achievements) in (1..=GAMES).zip(&self.achievements) {
            rows.games.push(game::Model {
                id: n.into(),
                key: game_key(n),
                number: Some(n.into()),
                title: format!("Game {n}"),
                platform: None,
                description: String::new(),
                image: None,
                num_possible: i32::try_from(achievements.len()).unwrap_or(i32::MAX),
                possible_score: achievements.iter().map(|achievement| achievement.points).sum(),
                created_at: MADE_AT,
                updated_at: MADE_AT,
                retired_at: None,
            });
            rows.achievements.extend(achievements.iter().cloned());
        }
        for n in 1..=COLLECTIONS {
            rows.collections.push(collection::Model {
                id: n.into(),
                key: collection_key(n),
                name: format!("Collection {n}"),
                description: String::new(),
                image: None,
                environment: "production".to_owned(),
                created_at: MADE_AT,
                starts_at: None,
                ends_at: None,
                show_before: true,
                show_after: true,
                updated_at: MADE_AT,
                retired_at: None,
            });
            rows.cards.extend((1..=CARDS_PER_COLLECTION).zip(1..).map(|(card, position)| card::Model {
                id: i64::from((n - 1) * CARDS_PER_COLLECTION + card),
                key: format!("{}-{card}", collection_key(n)),
                collection_id: n.into(),
                position,
                name: format!("Card {card}"),
                image: None,
                rarity: "common".to_owned(),
                retired_at: None,
            }));
        }
        rows
    }

    /// Adds the rows of user `number`.
    pub(super) fn user(&self, number: i64, rows: &mut Rows) {
        let n = u32::try_from(number).unwrap_or_default();
        let mut dice = Dice::new("load", number);
        let handle = handle(n);
        rows.users.push(user::Model {
            id: number,
            ulid: ulid(n),
            external_id: hex24(MADE_AT, mixed(u64::from(n))),
            handle_lower: handle.clone(),
            handle,
            display_name: None,
            avatar_url: None,
            visibility: Visibility::Public,
            created_at: MADE_AT,
            history_seq: 0,
            ledger_seq: 2,
            self_made: false,
            merged_into: None,
            erased_at: None,
        });
        rows.accounts.push(account::Model {
            user_id: number,
            provider: "ethereum".to_owned(),
            external_id: address(n),
            linked_at: MADE_AT,
        });
        self.take_part(number, rows, &mut dice);
        self.play(n, rows, &mut dice);
        self.learn(n, rows, &mut dice);
        self.collect(n, rows, &mut dice);
    }

    fn take_part(&self, user_id: i64, rows: &mut Rows, dice: &mut Dice) {
        let enrolled_at = days(self.day, -23);
        rows.enrolments.push(enrolment::Model { user_id, season_id: 1, enrolled_at });
        for goal in &self.goals {
            let completed_steps = i32::try_from(dice.between(1, goal.total_steps.into())).unwrap_or(1);
            // The running week began three days ago.
            let at = days(self.day, -3).plus_millis(dice.below(3 * 86_400_000));
            rows.goal_progress.push(goal_progress::Model {
                user_id,
                goal_id: goal.id,
                completed_steps,
                completed_at: (completed_steps == goal.total_steps).then_some(at),
                updated_at: at,
            });
        }
        for (seq, expires_at) in [(1, Some(days(self.day, 60))), (2, None)] {
            let amount_micros = dice.between(1, 100) * 250_000;
            let granted_at = days(self.day, seq - 10);
            rows.lots.push(lot::Model {
                user_id,
                seq,
                amount_micros,
                remaining_micros: amount_micros,
                granted_at,
                expires_at,
                source: LotSource::Grant,
                goal_id: None,
                reason: None,
            });
            rows.entries.push(entry::Model {
                user_id,
                seq,
                lot_seq: seq,
                kind: EntryKind::Grant,
                amount_micros,
                reason: None,
                operation: dice.ulid(granted_at),
                recorded_at: granted_at,
            });
        }
    }

    fn play(&self, n: u32, rows: &mut Rows, dice: &mut Dice) {
        let mut games: Vec<_> = games_of(n).collect();
        games.sort_unstable();
        for game in games {
            let Some(achievements) = self.achievements.get(usize::try_from(game - 1).unwrap_or_default()) else {
                continue;
            };
            let count = 1 + dice.index(2);
            let mut unlocks = BTreeMap::new();
            for place in dice.places(count, achievements.len()) {
                let unlocked_at = days(self.day, -90).plus_millis(dice.below(90 * 86_400_000));
                let unlock = Unlock { unlocked_at, unlocked_hardcore_at: dice.chance(50).then_some(unlocked_at) };
                let achievement_id = achievements[place].id;
                rows.unlocks.push(unlock::Model {
                    user_id: n.into(),
                    achievement_id,
                    game_id: game.into(),
                    unlocked_at,
                    unlocked_hardcore_at: unlock.unlocked_hardcore_at,
                });
                unlocks.insert(achievement_id, unlock);
            }
            rows.game_summaries.push(games::summary(n.into(), game.into(), achievements, &unlocks));
        }
    }

    fn learn(&self, n: u32, rows: &mut Rows, dice: &mut Dice) {
        let mut resources: Vec<_> = resources_of(n).collect();
        resources.sort_unstable();
        for resource in resources {
            let at = days(self.day, -60).plus_millis(dice.below(60 * 86_400_000));
            let completed = dice.chance(50);
            rows.resource_progress.push(resource_progress::Model {
                user_id: n.into(),
                resource_id: resource.into(),
                external_id: dice.hex24(at),
                completed,
                progress: if completed { 100 } else { i16::try_from(dice.between(1, 99)).unwrap_or_default() },
                time_spent_minutes: i32::try_from(dice.between(1, 600)).unwrap_or_default(),
                notes: String::new(),
                completed_at: completed.then_some(at),
                last_accessed_at: at,
                created_at: at,
                updated_at: at,
            });
        }
    }

    fn collect(&self, n: u32, rows: &mut Rows, dice: &mut Dice) {
        let user_id = i64::from(n);
        let mut cards: Vec<_> = spread(n, 37, COLLECTIONS * CARDS_PER_COLLECTION, OWNED_CARDS).collect();
        cards.sort_unstable();
        let mut collected: BTreeMap<i64, (i32, Timestamp)> = BTreeMap::new();
        for card in cards {
            let collection_id = i64::from((card - 1) / CARDS_PER_COLLECTION + 1);
            let at = days(self.day, -30).plus_millis(dice.below(30 * 86_400_000));
            rows.owned_cards.push(owned_card::Model {
                user_id,
                card_id: card.into(),
                collection_id,
                quantity: 1,
                first_acquired_at: at,
                updated_at: at,
            });
            let (count, last) = collected.entry(collection_id).or_insert((0, at));
            *count += 1;
            *last = at.max(*last);
        }
        rows.collection_progress.extend(collected.into_iter().map(|(collection_id, (collected_count, updated_at))| {
            collection_progress::Model {
                user_id,
                collection_id,
                collected_count,
                completed_at: None,
                reward_claimed_at: None,
                updated_at,
                completed_told: false,
            }
        }));
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    #[test]
    fn every_name_is_well_formed_and_follows_from_its_number() {
        assert_eq!(handle(1), "user000001");
        assert_eq!(handle(100_000), "user100000");
        assert_eq!(game_key(1000), "1000");
        assert_eq!(resource_key(200), "0000000000000000000000c8");
        assert_eq!(address(7).len(), 42);
        assert_eq!(ulid(1).len(), 26);
        let ulids: BTreeSet<_> = (1..=5000).map(ulid).collect();
        assert_eq!(ulids.len(), 5000);
    }

    #[test]
    fn a_user_has_as_many_rows_as_the_workload_asks_for() {
        let load = Load::new(Timestamp::parse("2026-06-01T00:00:00Z").unwrap());
        for n in [1, 2, 999, 100_000] {
            let mut rows = Rows::default();
            load.user(n, &mut rows);
            let games: BTreeSet<_> = rows.game_summaries.iter().map(|summary| summary.game_id).collect();
            let resources: BTreeSet<_> = rows.resource_progress.iter().map(|progress| progress.resource_id).collect();
            assert_eq!((games.len(), resources.len(), rows.owned_cards.len()), (20, 20, 30));
            assert!((20..=40).contains(&rows.unlocks.len()));
            let unlocked: i32 = rows.game_summaries.iter().map(|summary| summary.num_achieved).sum();
            assert_eq!(usize::try_from(unlocked).unwrap(), rows.unlocks.len());
            assert_eq!(rows.collection_progress.iter().map(|progress| progress.collected_count).sum::<i32>(), 30);
            assert_eq!((rows.goal_progress.len(), rows.lots.len(), rows.entries.len()), (10, 2, 2));
        }
    }
}
