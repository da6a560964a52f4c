//! Data to measure with: many users who are all alike, named by number so that a load generator can name them too.
//!
//! There are 1,000 games of 25 achievements, 200 resources, 10 collections of 30 cards, and one season that runs, with
//! 10 goals that are all current. Every user is enrolled, has steps of every goal, two lots of credits, 20 played games
//! with one or two unlocked achievements each, progress on 20 resources, and 30 cards. There are no histories.

use std::collections::BTreeMap;

use super::dice::{Dice, hex24, mixed, ulid as new_ulid};
use super::learning::progress;
use super::{at, days};
use waymark_kernel::clock::Timestamp;
use waymark_transfer::records::{
    Account, Achievement, AchievementKind, At, Card, Collection, CollectionProgress, CreditEntry, CreditLot, Enrolment,
    EntryKind, Game, Goal, GoalProgress, LotSource, OwnedCard, PauseMode, Record, Resource, ResourceProgress, Season,
    Unlock, User, Visibility,
};

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
    goals: Vec<Goal>,
}

/// The key of achievement `n` of a game.
fn achievement_key(game: u32, n: u32) -> String {
    format!("{game}-{n}")
}

/// The key of card `n` of all, counted from 1, with that of its collection.
fn card_keys(n: u32) -> (String, String) {
    let collection = collection_key((n - 1) / CARDS_PER_COLLECTION + 1);
    (format!("{collection}-{}", (n - 1) % CARDS_PER_COLLECTION + 1), collection)
}

impl Load {
    pub(super) fn new(day: Timestamp) -> Self {
        let goals = (1..=GOALS).zip(1..).map(|(n, position)| Goal {
            key: goal_key(n),
            season: FIRST_KEY.to_owned(),
            // Half of them are for the whole season, half for the week that runs.
            week: (n > GOALS / 2).then_some(4),
            position,
            title: format!("Goal {n}"),
            description: format!("Take {} steps.", 2 * n),
            thumbnail: None,
            reward_micros: i64::from(n) * 1_000_000,
            total_steps: 2 * position,
        });
        Self { day, goals: goals.collect() }
    }

    /// The records of the catalogue.
    pub(super) fn catalogue(&self) -> Vec<Record> {
        let created_at = at(days(self.day, -super::seasons::CREATED_DAYS_AGO));
        let mut records = vec![Record::Season(Season {
            key: FIRST_KEY.to_owned(),
            title: "Load".to_owned(),
            description: String::new(),
            starts_at: At(days(self.day, -24)),
            duration_seconds: 12 * 604_800,
            week_length_seconds: 604_800,
            ended_at: None,
            pause_mode: PauseMode::Freeze,
            weeks: Vec::new(),
            pauses: Vec::new(),
            budgets: Vec::new(),
            created_at,
            updated_at: created_at,
        })];
        records.extend(self.goals.iter().cloned().map(Record::Goal));
        records.extend((1..=RESOURCES).map(resource));
        records.extend((1..=GAMES).map(game));
        records.extend((1..=GAMES).flat_map(|game| (1..=ACHIEVEMENTS_PER_GAME).map(move |n| achievement(game, n))));
        records.extend((1..=COLLECTIONS).map(collection));
        records.extend((1..=COLLECTIONS * CARDS_PER_COLLECTION).map(card));
        records
    }

    /// Adds the records of user `number`.
    pub(super) fn user(&self, number: i64, records: &mut Vec<Record>) {
        let n = u32::try_from(number).unwrap_or_default();
        let mut dice = Dice::new("load", number);
        let user = ulid(n);
        records.push(Record::User(User {
            id: Some(user.clone()),
            external_id: Some(hex24(MADE_AT, mixed(u64::from(n)))),
            handle: Some(handle(n)),
            display_name: None,
            avatar_url: None,
            visibility: Some(Visibility::Public),
            self_made: false,
            accounts: vec![Account { provider: "ethereum".to_owned(), id: address(n), linked_at: at(MADE_AT) }],
            created_at: at(MADE_AT),
            updated_at: None,
            erased_at: None,
        }));
        self.take_part(&user, records, &mut dice);
        self.play(n, &user, records, &mut dice);
        self.learn(n, &user, records, &mut dice);
        self.collect(n, &user, records, &mut dice);
    }

    fn take_part(&self, user: &str, records: &mut Vec<Record>, dice: &mut Dice) {
        let (season, enrolled_at) = (FIRST_KEY.to_owned(), at(days(self.day, -23)));
        records.push(Record::Enrolment(Enrolment { user: user.to_owned(), season, at: enrolled_at }));
        for goal in &self.goals {
            let completed_steps = i32::try_from(dice.between(1, goal.total_steps.into())).unwrap_or(1);
            // The running week began three days ago.
            let made_at = at(days(self.day, -3).plus_millis(dice.below(3 * 86_400_000)));
            records.push(Record::GoalProgress(GoalProgress {
                user: user.to_owned(),
                goal: goal.key.clone(),
                completed_steps,
                completed_at: made_at.filter(|_| completed_steps == goal.total_steps),
                at: made_at,
            }));
        }
        for (number, expires_at) in [(1, Some(days(self.day, 60))), (2, None)] {
            let amount_micros = dice.between(1, 100) * 250_000;
            let granted_at = days(self.day, number - 10);
            records.push(Record::CreditLot(CreditLot {
                user: user.to_owned(),
                number: Some(number),
                reference: None,
                amount_micros,
                remaining_micros: None,
                granted_at: at(granted_at),
                expires_at: expires_at.map(At),
                source: LotSource::Grant,
                goal: None,
                reason: None,
            }));
            records.push(Record::CreditEntry(CreditEntry {
                user: user.to_owned(),
                number,
                lot: number,
                kind: EntryKind::Grant,
                amount_micros,
                reason: None,
                operation: dice.ulid(granted_at),
                at: At(granted_at),
            }));
        }
    }

    fn play(&self, n: u32, user: &str, records: &mut Vec<Record>, dice: &mut Dice) {
        let mut games: Vec<_> = games_of(n).collect();
        games.sort_unstable();
        for game in games {
            let count = 1 + dice.index(2);
            for place in dice.places(count, usize::try_from(ACHIEVEMENTS_PER_GAME).unwrap_or_default()) {
                let unlocked_at = days(self.day, -90).plus_millis(dice.below(90 * 86_400_000));
                records.push(Record::Unlock(Unlock {
                    user: user.to_owned(),
                    game: None,
                    achievement: achievement_key(game, u32::try_from(place).unwrap_or_default() + 1),
                    at: at(unlocked_at),
                    hardcore: dice.chance(50),
                    hardcore_at: None,
                }));
            }
        }
    }

    fn learn(&self, n: u32, user: &str, records: &mut Vec<Record>, dice: &mut Dice) {
        let mut resources: Vec<_> = resources_of(n).collect();
        resources.sort_unstable();
        for resource in resources {
            let now = days(self.day, -60).plus_millis(dice.below(60 * 86_400_000));
            let completed = dice.chance(50);
            let external_id = Some(dice.hex24(now));
            let percent = if completed { 100 } else { dice.between(1, 99) };
            records.push(Record::ResourceProgress(ResourceProgress {
                user: user.to_owned(),
                resource: resource_key(resource),
                external_id,
                completed,
                completed_at: at(now).filter(|_| completed),
                last_accessed_at: at(now),
                created_at: at(now),
                updated_at: at(now),
                ..progress(percent, dice.between(1, 600))
            }));
        }
    }

    fn collect(&self, n: u32, user: &str, records: &mut Vec<Record>, dice: &mut Dice) {
        let mut cards: Vec<_> = spread(n, 37, COLLECTIONS * CARDS_PER_COLLECTION, OWNED_CARDS).collect();
        cards.sort_unstable();
        let mut collected: BTreeMap<String, Timestamp> = BTreeMap::new();
        for number in cards {
            let (card, collection) = card_keys(number);
            let now = days(self.day, -30).plus_millis(dice.below(30 * 86_400_000));
            records.push(Record::OwnedCard(OwnedCard {
                user: user.to_owned(),
                collection: None,
                card,
                quantity: 1,
                first_acquired_at: at(now),
                updated_at: at(now),
            }));
            let last = collected.entry(collection).or_insert(now);
            *last = now.max(*last);
        }
        records.extend(collected.into_iter().map(|(collection, last)| {
            Record::CollectionProgress(CollectionProgress {
                user: user.to_owned(),
                collection,
                completed_at: None,
                completed_told: false,
                reward_claimed_at: None,
                updated_at: at(last),
            })
        }));
    }
}

fn resource(n: u32) -> Record {
    Record::Resource(Resource {
        key: resource_key(n),
        external_id: Some(resource_key(n)),
        title: format!("Resource {n}"),
        kind: "course".to_owned(),
        section: None,
        url: None,
        description: String::new(),
        estimated_minutes: Some(60),
        catalogued: true,
        created_at: at(MADE_AT),
        updated_at: at(MADE_AT),
    })
}

fn game(n: u32) -> Record {
    Record::Game(Game {
        key: game_key(n),
        number: Some(n.into()),
        title: format!("Game {n}"),
        platform: None,
        description: String::new(),
        image: None,
        created_at: at(MADE_AT),
        updated_at: at(MADE_AT),
    })
}

fn achievement(game: u32, n: u32) -> Record {
    Record::Achievement(Achievement {
        key: achievement_key(game, n),
        game: game_key(game),
        position: i32::try_from(n).unwrap_or_default(),
        title: format!("Achievement {n}"),
        description: String::new(),
        badge: None,
        points: [5, 10, 25][usize::try_from(n % 3).unwrap_or_default()],
        kind: if n % 5 == 0 { AchievementKind::Progression } else { AchievementKind::Standard },
        published: true,
        created_at: at(MADE_AT),
        updated_at: at(MADE_AT),
    })
}

fn collection(n: u32) -> Record {
    Record::Collection(Collection {
        key: collection_key(n),
        name: format!("Collection {n}"),
        description: String::new(),
        image: None,
        environment: "production".to_owned(),
        starts_at: None,
        ends_at: None,
        show_before: true,
        show_after: true,
        reward: None,
        created_at: at(MADE_AT),
        updated_at: at(MADE_AT),
    })
}

fn card(n: u32) -> Record {
    let (key, collection) = card_keys(n);
    let position = (n - 1) % CARDS_PER_COLLECTION + 1;
    Record::Card(Card {
        key,
        collection,
        position: i32::try_from(position).unwrap_or_default(),
        name: format!("Card {position}"),
        image: None,
        rarity: "common".to_owned(),
    })
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
            let mut records = Vec::new();
            load.user(n, &mut records);
            let count = |kind: fn(&Record) -> bool| records.iter().filter(|record| kind(record)).count();
            let unlocks = records.iter().filter_map(|record| match record {
                Record::Unlock(unlock) => unlock.achievement.split_once('-'),
                _ => None,
            });
            assert_eq!(unlocks.clone().map(|(game, _)| game).collect::<BTreeSet<_>>().len(), 20);
            assert!((20..=40).contains(&unlocks.count()));
            let resources = records.iter().filter_map(|record| match record {
                Record::ResourceProgress(progress) => Some(&progress.resource),
                _ => None,
            });
            assert_eq!(resources.collect::<BTreeSet<_>>().len(), 20);
            assert_eq!(count(|record| matches!(record, Record::OwnedCard(_))), 30);
            assert_eq!(count(|record| matches!(record, Record::GoalProgress(_))), 10);
            assert_eq!(count(|record| matches!(record, Record::CreditLot(_))), 2);
            assert_eq!(count(|record| matches!(record, Record::CreditEntry(_))), 2);
        }
    }
}
