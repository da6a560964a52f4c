//! Data to measure with: many users who are all alike, named by number so that a load generator can name them too.
//!
//! There are 1,000 games of 25 achievements, 200 resources, 10 collections of 30 cards, and one season that runs, with
//! 10 goals that are all current. Every user is enrolled, has steps of every goal, two lots of credits, 20 played games
//! with one or two unlocked achievements each, progress on 20 resources, and 30 cards. There are no histories.
//!
//! An import takes the catalogue. The users are rows: as records, merged into what is there, they would take three
//! times as long, and they are many.

use std::collections::BTreeMap;
use std::ops::RangeInclusive;

use super::dice::{Dice, hex24, mixed, ulid as new_ulid};
use super::{at, days};
use waymark_db::{Db, bulk, catalogue, rows};
use waymark_kernel::clock::Timestamp;
use waymark_kernel::error::{Error, Result};
use waymark_kinds::collections::Collections;
use waymark_kinds::collections::entity::{owned_card, progress as collection_progress};
use waymark_kinds::credits::entity::{entry, lot};
use waymark_kinds::games::Games;
use waymark_kinds::games::entity::{summary, unlock};
use waymark_kinds::games::rules::{self, AchievementFacts};
use waymark_kinds::learning::Learning;
use waymark_kinds::learning::entity::progress as resource_progress;
use waymark_kinds::seasons::Seasons;
use waymark_kinds::seasons::entity::{enrolment, goal_progress};
use waymark_kinds::users::entity::{account, user};
use waymark_transfer::records::{
    Achievement, AchievementKind, At, Card, Collection, EntryKind, Game, Goal, LotSource, PauseMode, Record, Resource,
    Season, Visibility,
};
use waymark_write::entity::counters;

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
    known: Option<Known>,
}

/// What rows of users point to, each list in the order of its numbers.
#[derive(Debug)]
struct Known {
    season: i64,
    goals: Vec<i64>,
    /// Of each game.
    achievements: Vec<Vec<AchievementFacts>>,
    games: Vec<i64>,
    resources: Vec<i64>,
    /// With the collection of each.
    cards: Vec<(i64, i64)>,
}

impl Known {
    /// Reads what the catalogue was stored as.
    async fn read(db: &Db) -> Result<Self> {
        let transaction = db.snapshot().await?;
        let snapshot = catalogue::read_in(&transaction, waymark_kinds::CATALOGUE).await?;
        transaction.commit().await?;
        let (seasons, learning) = (snapshot.part::<Seasons>()?, snapshot.part::<Learning>()?);
        let (games, collections) = (snapshot.part::<Games>()?, snapshot.part::<Collections>()?);
        let found = || {
            let own: Vec<_> = (1..=GAMES).map(|n| games.by_key(&game_key(n))).collect::<Option<_>>()?;
            Some(Self {
                season: seasons.all().iter().find(|season| season.key == FIRST_KEY)?.id,
                goals: (1..=GOALS).map(|n| Some(seasons.goal(&goal_key(n))?.id)).collect::<Option<_>>()?,
                achievements: own.iter().map(|game| game.facts(|_| None)).collect(),
                games: own.iter().map(|game| game.id).collect(),
                resources: (1..=RESOURCES)
                    .map(|n| Some(learning.resource(&resource_key(n))?.id))
                    .collect::<Option<_>>()?,
                cards: (1..=COLLECTIONS * CARDS_PER_COLLECTION)
                    .map(|n| collections.card(&card_keys(n).0).map(|card| (card.collection_id, card.id)))
                    .collect::<Option<_>>()?,
            })
        };
        found().ok_or_else(|| Error::bad_input("the database does not hold the catalogue of this data any more"))
    }
}

/// The rows of some users, table by table.
#[derive(Debug, Default)]
struct Rows {
    users: Vec<user::Model>,
    counters: Vec<counters::Model>,
    accounts: Vec<account::Model>,
    enrolments: Vec<enrolment::Model>,
    goal_progress: Vec<goal_progress::Model>,
    lots: Vec<lot::Model>,
    entries: Vec<entry::Model>,
    unlocks: Vec<unlock::Model>,
    summaries: Vec<summary::Model>,
    resource_progress: Vec<resource_progress::Model>,
    owned_cards: Vec<owned_card::Model>,
    collection_progress: Vec<collection_progress::Model>,
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
            retired_at: None,
        });
        Self { day, goals: goals.collect(), known: None }
    }

    /// The records of the catalogue.
    pub(super) fn catalogue(&self) -> Vec<Record> {
        let created_at = at(days(self.day, -super::seasons::CREATED_DAYS_AGO));
        let mut records = vec![Record::Season(Season {
            retired_at: None,
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

    /// Stores the users of these numbers, in one transaction.
    pub(super) async fn store(&mut self, db: &Db, numbers: RangeInclusive<i64>) -> Result<()> {
        let known = match self.known.take() {
            Some(known) => known,
            None => Known::read(db).await?,
        };
        let transaction = db.begin_long(None).await?;
        let ids = rows::new_ids::<user::Model>(&transaction, numbers.clone().count()).await?;
        let mut rows = Rows::default();
        for (number, id) in numbers.zip(ids) {
            self.user(&known, number, id, &mut rows);
        }
        self.known = Some(known);
        bulk::insert(&transaction, &rows.users).await?;
        bulk::insert(&transaction, &rows.counters).await?;
        bulk::insert(&transaction, &rows.accounts).await?;
        bulk::insert(&transaction, &rows.enrolments).await?;
        bulk::insert(&transaction, &rows.goal_progress).await?;
        bulk::insert(&transaction, &rows.lots).await?;
        bulk::insert(&transaction, &rows.entries).await?;
        bulk::insert(&transaction, &rows.unlocks).await?;
        bulk::insert(&transaction, &rows.summaries).await?;
        bulk::insert(&transaction, &rows.resource_progress).await?;
        bulk::insert(&transaction, &rows.owned_cards).await?;
        bulk::insert(&transaction, &rows.collection_progress).await?;
        transaction.commit().await
    }

    /// Adds the rows of user `number`, who gets this id.
    fn user(&self, known: &Known, number: i64, id: i64, rows: &mut Rows) {
        let n = u32::try_from(number).unwrap_or_default();
        let mut dice = Dice::new("load", number);
        let handle = handle(n);
        rows.users.push(user::Model {
            id,
            ulid: ulid(n),
            external_id: hex24(MADE_AT, mixed(u64::from(n))),
            handle_lower: handle.clone(),
            handle,
            display_name: None,
            avatar_url: None,
            visibility: Visibility::Public,
            created_at: MADE_AT,
            self_made: false,
            merged_into: None,
            erased_at: None,
        });
        rows.counters.push(counters::Model { user_id: id, history_seq: 0, ledger_seq: 2, gone: false });
        rows.accounts.push(account::Model {
            user_id: id,
            provider: "ethereum".to_owned(),
            external_id: address(n),
            linked_at: MADE_AT,
        });
        self.take_part(known, id, rows, &mut dice);
        self.play(known, (n, id), rows, &mut dice);
        self.learn(known, (n, id), rows, &mut dice);
        self.collect(known, (n, id), rows, &mut dice);
    }

    fn take_part(&self, known: &Known, user_id: i64, rows: &mut Rows, dice: &mut Dice) {
        let enrolled_at = days(self.day, -23);
        rows.enrolments.push(enrolment::Model { user_id, season_id: known.season, enrolled_at });
        for (goal, goal_id) in self.goals.iter().zip(&known.goals) {
            let completed_steps = i32::try_from(dice.between(1, goal.total_steps.into())).unwrap_or(1);
            // The running week began three days ago.
            let at = days(self.day, -3).plus_millis(dice.below(3 * 86_400_000));
            rows.goal_progress.push(goal_progress::Model {
                user_id,
                goal_id: *goal_id,
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

    fn play(&self, known: &Known, (n, user_id): (u32, i64), rows: &mut Rows, dice: &mut Dice) {
        let mut games: Vec<_> = games_of(n).collect();
        games.sort_unstable();
        for game in games.into_iter().map(place) {
            let (game_id, achievements) = (known.games[game], &known.achievements[game]);
            let count = 1 + dice.index(2);
            let mut unlocked = Vec::with_capacity(count);
            for place in dice.places(count, achievements.len()) {
                let unlocked_at = days(self.day, -90).plus_millis(dice.below(90 * 86_400_000));
                let unlocked_hardcore_at = dice.chance(50).then_some(unlocked_at);
                let achievement_id = achievements[place].id;
                rows.unlocks.push(unlock::Model {
                    user_id,
                    achievement_id,
                    game_id,
                    unlocked_at,
                    unlocked_hardcore_at,
                });
                let unlocked_at = Some(unlocked_at);
                unlocked.push(AchievementFacts { unlocked_at, unlocked_hardcore_at, ..achievements[place] });
            }
            let rules::Summary { score, first_unlocked_at, last_unlocked_at } = rules::summarise(&unlocked);
            rows.summaries.push(summary::Model {
                user_id,
                game_id,
                num_achieved: score.num_achieved,
                score_achieved: score.score_achieved,
                num_achieved_hardcore: score.num_achieved_hardcore,
                score_achieved_hardcore: score.score_achieved_hardcore,
                first_unlocked_at,
                last_unlocked_at,
                // An award would need five achievements.
                ..summary::Model::default()
            });
        }
    }

    fn learn(&self, known: &Known, (n, user_id): (u32, i64), rows: &mut Rows, dice: &mut Dice) {
        let mut resources: Vec<_> = resources_of(n).collect();
        resources.sort_unstable();
        for resource in resources.into_iter().map(place) {
            let at = days(self.day, -60).plus_millis(dice.below(60 * 86_400_000));
            let completed = dice.chance(50);
            rows.resource_progress.push(resource_progress::Model {
                user_id,
                resource_id: known.resources[resource],
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

    fn collect(&self, known: &Known, (n, user_id): (u32, i64), rows: &mut Rows, dice: &mut Dice) {
        let mut cards: Vec<_> = spread(n, 37, COLLECTIONS * CARDS_PER_COLLECTION, OWNED_CARDS).collect();
        cards.sort_unstable();
        let mut collected: BTreeMap<i64, (i32, Timestamp)> = BTreeMap::new();
        for (collection_id, card_id) in cards.into_iter().map(|card| known.cards[place(card)]) {
            let at = days(self.day, -30).plus_millis(dice.below(30 * 86_400_000));
            rows.owned_cards.push(owned_card::Model {
                user_id,
                card_id,
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

/// The place in a list of what has this number.
fn place(number: u32) -> usize {
    usize::try_from(number).unwrap_or(1) - 1
}

fn resource(n: u32) -> Record {
    Record::Resource(Resource {
        retired_at: None,
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
        retired_at: None,
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
        kind: if n.is_multiple_of(5) { AchievementKind::Progression } else { AchievementKind::Standard },
        published: true,
        created_at: at(MADE_AT),
        updated_at: at(MADE_AT),
    })
}

fn collection(n: u32) -> Record {
    Record::Collection(Collection {
        retired_at: None,
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
        retired_at: None,
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
        let kind = AchievementKind::Standard;
        let facts = |id| AchievementFacts {
            id,
            kind,
            points: 5,
            published: true,
            unlocked_at: None,
            unlocked_hardcore_at: None,
        };
        let known = Known {
            season: 1,
            goals: (1..=10).collect(),
            achievements: (0..1000).map(|game| (25 * game..25 * game + 25).map(facts).collect()).collect(),
            games: (1..=1000).collect(),
            resources: (1..=200).collect(),
            cards: (0..300).map(|card| (card / 30 + 1, card + 1)).collect(),
        };
        for n in [1, 2, 999, 100_000] {
            let mut rows = Rows::default();
            load.user(&known, n, n, &mut rows);
            let games: BTreeSet<_> = rows.summaries.iter().map(|summary| summary.game_id).collect();
            let resources: BTreeSet<_> = rows.resource_progress.iter().map(|progress| progress.resource_id).collect();
            assert_eq!((games.len(), resources.len(), rows.owned_cards.len()), (20, 20, 30));
            assert!((20..=40).contains(&rows.unlocks.len()));
            let unlocked: i32 = rows.summaries.iter().map(|summary| summary.num_achieved).sum();
            assert_eq!(usize::try_from(unlocked).unwrap(), rows.unlocks.len());
            assert_eq!(rows.collection_progress.iter().map(|progress| progress.collected_count).sum::<i32>(), 30);
            assert_eq!((rows.goal_progress.len(), rows.lots.len(), rows.entries.len()), (10, 2, 2));
        }
    }
}
