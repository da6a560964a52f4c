//! The server against a model: random sequences of writes, and after each of them every number that is shown is the one
//! that a few lines of plain arithmetic give, and `verify` finds nothing.
//!
//! An operation is an arm of [`Op`], a line in [`operations`], and an arm of [`Model::apply`]. It takes part once the schema has its
//! mutation. `PROPTEST_CASES` says how many sequences are tried.

use std::cell::Cell;
use std::collections::{BTreeMap, BTreeSet};
use std::rc::Rc;
use std::sync::atomic::{AtomicU32, Ordering};

use futures_util::future::join_all;
use proptest::collection::vec;
use proptest::prelude::*;
use proptest::strategy::Union;
use proptest::test_runner::{Config, RngAlgorithm, TestCaseError, TestRng, TestRunner};
use sea_orm::ActiveValue::{NotSet, Set};
use sea_orm::EntityTrait as _;
use serde_json::{Value, json};
use waymark::auth::Scope;
use waymark::clock::Timestamp;
use waymark::db::Db;
use waymark::features::games::entity::{AchievementKind, achievement, game};
use waymark::features::users::entity::{Visibility, user};

use crate::harness::{Actor, NOW, Stage, by_hand, count_anew, tests};

tests! {
    own: [
        every_number_is_the_one_of_the_model,
        writes_that_are_joined_come_to_what_one_after_the_other_comes_to,
    ],
}

const CASES: u32 = 20;
/// How many writes a sequence has at most.
const LONGEST: usize = 14;
/// How many users write at the same time, where several do.
const TOGETHER: usize = 8;

/// A write. Things are named by their place in the model's lists; one behind the last is unknown to the server.
#[derive(Debug, Clone)]
enum Op {
    Unlock {
        items: Vec<UnlockItem>,
        all_or_nothing: bool,
    },
    Relock {
        achievements: Vec<usize>,
        hardcore_only: bool,
    },
    Enrol,
    Steps {
        goal: usize,
        amount: Steps,
    },
    Correct {
        goal: usize,
        percent: i64,
    },
    Claim {
        goals: Vec<usize>,
    },
    Grant {
        micros: i64,
        expires_in_days: Option<i64>,
    },
    Spend {
        micros: i64,
    },
    Revoke {
        micros: i64,
    },
    Complete {
        resources: Vec<usize>,
        completed: bool,
    },
    Cards {
        direction: Direction,
        items: Vec<(usize, i64)>,
    },
    ClaimReward {
        collection: usize,
    },
    /// Steps, unlocks, completions and cards in one write.
    Record {
        goal: usize,
        add: i64,
        unlock: UnlockItem,
        resource: usize,
        card: (usize, i64),
    },
    /// The last write again, with its key.
    Again,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Direction {
    Grant,
    Remove,
}

#[derive(Debug, Clone)]
struct UnlockItem {
    achievement: usize,
    hardcore: bool,
    /// How many minutes ago; less than none is still to come.
    minutes_ago: i64,
}

#[derive(Debug, Clone, Copy)]
enum Steps {
    Add(i64),
    SetTo(i64),
}

/// All operations whose mutations there are.
fn operations() -> Union<BoxedStrategy<Op>> {
    let achievement = || 0..=ACHIEVEMENTS.len();
    let minutes_ago = prop_oneof![9 => 0..5_i64, 1 => Just(-1_i64), 1 => Just(400 * 24 * 60_i64)];
    let item = (achievement(), any::<bool>(), minutes_ago);
    let item = item.prop_map(|(achievement, hardcore, minutes_ago)| UnlockItem { achievement, hardcore, minutes_ago });
    let micros = || prop_oneof![Just(1_i64), 1..20_000_000_i64];
    let card = || (0..=CARDS.len(), 0..4_i64);
    let any_item = item.clone();
    let steps = prop_oneof![(1..4_i64).prop_map(Steps::Add), (0..6_i64).prop_map(Steps::SetTo)];
    let all: Vec<(&str, u32, BoxedStrategy<Op>)> = vec![
        (
            "unlockAchievements",
            6,
            (vec(item, 0..6), prop::bool::weighted(0.2))
                .prop_map(|(items, all_or_nothing)| Op::Unlock { items, all_or_nothing })
                .boxed(),
        ),
        (
            "relockAchievements",
            2,
            (vec(achievement(), 0..4), any::<bool>())
                .prop_map(|(achievements, hardcore_only)| Op::Relock { achievements, hardcore_only })
                .boxed(),
        ),
        ("enrollInSeason", 3, Just(Op::Enrol).boxed()),
        ("recordGoalSteps", 6, (any::<usize>(), steps).prop_map(|(goal, amount)| Op::Steps { goal, amount }).boxed()),
        (
            "correctGoalSteps",
            2,
            (any::<usize>(), 0..=100_i64).prop_map(|(goal, percent)| Op::Correct { goal, percent }).boxed(),
        ),
        ("claimGoals", 4, vec(any::<usize>(), 0..4).prop_map(|goals| Op::Claim { goals }).boxed()),
        (
            "grantCredits",
            3,
            (micros(), prop::option::of(1..4_i64))
                .prop_map(|(micros, expires_in_days)| Op::Grant { micros, expires_in_days })
                .boxed(),
        ),
        ("spendCredits", 3, micros().prop_map(|micros| Op::Spend { micros }).boxed()),
        ("revokeCredits", 1, micros().prop_map(|micros| Op::Revoke { micros }).boxed()),
        (
            "setResourcesCompletion",
            3,
            (vec(0..RESOURCES.len(), 0..4), any::<bool>())
                .prop_map(|(resources, completed)| Op::Complete { resources, completed })
                .boxed(),
        ),
        ("grantCards", 5, vec(card(), 0..5).prop_map(|items| Op::Cards { direction: Direction::Grant, items }).boxed()),
        (
            "removeCards",
            2,
            vec(card(), 0..4).prop_map(|items| Op::Cards { direction: Direction::Remove, items }).boxed(),
        ),
        (
            "claimCollectionReward",
            3,
            (0..=COLLECTIONS.len()).prop_map(|collection| Op::ClaimReward { collection }).boxed(),
        ),
        (
            "recordProgress",
            3,
            (any::<usize>(), 1..3_i64, any_item, 0..RESOURCES.len(), card())
                .prop_map(|(goal, add, unlock, resource, card)| Op::Record { goal, add, unlock, resource, card })
                .boxed(),
        ),
        ("unlockAchievements", 2, Just(Op::Again).boxed()),
    ];
    let sdl = waymark::schema::sdl();
    let known = all.into_iter().filter(|(mutation, ..)| sdl.contains(&format!("\t{mutation}(")));
    Union::new_weighted(known.map(|(_, weight, strategy)| (weight, strategy)).collect())
}

/// The achievements of the two games of these tests: key, game, kind, points, whether it is published.
const ACHIEVEMENTS: &[(&str, &str, AchievementKind, i32, bool)] = &[
    ("model-a1", "model-a", AchievementKind::Progression, 5, true),
    ("model-a2", "model-a", AchievementKind::WinCondition, 10, true),
    ("model-a3", "model-a", AchievementKind::WinCondition, 25, true),
    ("model-a4", "model-a", AchievementKind::Standard, 0, true),
    ("model-a5", "model-a", AchievementKind::Standard, 50, false),
    ("model-b1", "model-b", AchievementKind::Progression, 3, true),
    ("model-b2", "model-b", AchievementKind::Standard, 4, true),
];
const GAMES: [&str; 2] = ["model-a", "model-b"];

/// Resources that the catalogue knows, and one that it does not.
const RESOURCES: [&str; 3] = ["507f1f77bcf86cd799439011", "507f191e810c19729de860ea", "00000000000000000000abcd"];

/// The cards of the two collections of these tests: key and collection.
const CARDS: &[(&str, &str)] =
    &[("model-c1", "model-c"), ("model-c2", "model-c"), ("model-d1", "model-d"), ("model-d2", "model-d")];
/// Of the first there are so many rewards for all users of the test together.
const COLLECTIONS: [&str; 2] = ["model-c", "model-d"];

fn now() -> Timestamp {
    Timestamp::parse(NOW).unwrap()
}

/// Adds the two collections, the first with so many rewards.
async fn add_collections(admin: &Actor, stock: i64) {
    let upsert =
        "mutation($input: UpsertCollectionInput!) { upsertCollection(input: $input) { userErrors { message } } }";
    for (key, stock) in COLLECTIONS.into_iter().zip([Some(stock), None]) {
        let cards = CARDS.iter().filter(|card| card.1 == key).map(|card| json!({ "key": card.0, "name": card.0 }));
        let reward = json!({ "key": format!("{key}-reward"), "name": key, "stock": stock });
        let input = json!({ "key": key, "name": key, "cards": cards.collect::<Vec<_>>(), "reward": reward });
        let done = admin.data(upsert, json!({ "input": input })).await;
        assert_eq!(done["upsertCollection"]["userErrors"], json!([]));
    }
}

/// Adds the two games.
async fn add_games(db: &Db) {
    for (place, key) in GAMES.into_iter().enumerate() {
        let number = i64::try_from(place).unwrap() + 1_000_000;
        let of_game = || ACHIEVEMENTS.iter().filter(|one| one.1 == key);
        let row = game::ActiveModel {
            id: Set(number),
            key: Set(key.to_owned()),
            number: Set(None),
            title: Set(key.to_owned()),
            platform: Set(None),
            description: Set(String::new()),
            image: Set(None),
            num_possible: Set(i32::try_from(of_game().filter(|one| one.4).count()).unwrap()),
            possible_score: Set(of_game().filter(|one| one.4).map(|one| one.3).sum()),
            created_at: Set(now()),
            updated_at: Set(now()),
            retired_at: Set(None),
        };
        game::Entity::insert(row).exec_without_returning(db.writes()).await.unwrap();
        let rows = of_game().zip(1..).map(|((key, _, kind, points, published), position)| achievement::ActiveModel {
            id: NotSet,
            key: Set((*key).to_owned()),
            game_id: Set(number),
            position: Set(position),
            title: Set((*key).to_owned()),
            description: Set(String::new()),
            badge: Set(None),
            points: Set(*points),
            kind: Set(*kind),
            published: Set(*published),
            created_at: Set(now()),
            updated_at: Set(now()),
        });
        achievement::Entity::insert_many(rows).exec_without_returning(db.writes()).await.unwrap();
    }
}

/// Adds a user of whom nothing is known yet, and gives the handle.
async fn add_user(db: &Db) -> String {
    static NEXT: AtomicU32 = AtomicU32::new(0);
    let number = NEXT.fetch_add(1, Ordering::Relaxed);
    let handle = format!("model{number}");
    let row = user::ActiveModel {
        id: NotSet,
        ulid: Set(format!("01MDE{number:021}")),
        external_id: Set(format!("{:024x}", 0x00de_0000 + number)),
        handle: Set(handle.clone()),
        handle_lower: Set(handle.clone()),
        display_name: Set(None),
        avatar_url: Set(None),
        visibility: Set(Visibility::Members),
        created_at: Set(now()),
        self_made: Set(false),
        merged_into: Set(None),
        erased_at: Set(None),
    };
    user::Entity::insert(row).exec_without_returning(db.writes()).await.unwrap();
    count_anew(db).await;
    handle
}

/// A goal of the running season, as the catalogue has it.
#[derive(Debug, Clone)]
struct Goal {
    key: String,
    total: i64,
    reward_micros: i64,
    /// Whether its time is to come, running or over: `LOCKED`, `OPEN`, `MISSED`.
    time: String,
    /// When a lot of its reward expires; the same for all.
    claimed: bool,
    steps: i64,
}

/// Credits that were granted together.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Lot {
    remaining: i64,
    /// In milliseconds; claims of goals expire somewhere in between, all at the same time.
    expires_at: Option<i64>,
}

/// What is known of one user, by plain arithmetic.
#[derive(Debug, Clone, Default)]
struct Model {
    /// Soft and hard, in milliseconds, by place in [`ACHIEVEMENTS`].
    unlocks: BTreeMap<usize, (i64, Option<i64>)>,
    /// By game and name.
    /// When each was earned, and the achievements it rests on.
    awards: BTreeMap<(usize, &'static str), (i64, BTreeSet<usize>)>,
    enrolled: bool,
    goals: Vec<Goal>,
    /// When rewards that are claimed now expire.
    rewards_expire_at: Option<i64>,
    lots: Vec<Lot>,
    /// Whether it is complete, by place in [`RESOURCES`].
    resources: BTreeMap<usize, bool>,
    /// How many are owned, by place in [`CARDS`].
    cards: [i64; CARDS.len()],
    /// Whether it was ever completed, and whether its reward was claimed, by place in [`COLLECTIONS`].
    collections: [(bool, bool); COLLECTIONS.len()],
    /// How many rewards of the first collection are left for everybody.
    stock: Rc<Cell<i64>>,
    /// How many events the history has.
    events: i64,
}

/// A write as it is sent, and the statuses that it has to answer, where it answers any that the model foretells.
struct Sent {
    mutation: &'static str,
    selection: &'static str,
    input: Value,
    expected: Option<Vec<&'static str>>,
}

impl Model {
    /// Does what the server has to do.
    fn apply(&mut self, op: &Op) -> Sent {
        let results = "results { status }";
        match op {
            Op::Unlock { items, all_or_nothing } => {
                let before = (self.unlocks.clone(), self.awards.clone(), self.events);
                let mut statuses: Vec<_> = items.iter().map(|item| self.unlock(item)).collect();
                self.earn();
                if *all_or_nothing && statuses.contains(&"REFUSED") {
                    (self.unlocks, self.awards, self.events) = before;
                    statuses.iter_mut().filter(|one| **one == "APPLIED").for_each(|one| *one = "REFUSED");
                }
                let unlocks: Vec<Value> = items
                    .iter()
                    .map(|UnlockItem { achievement, hardcore, minutes_ago }| {
                        let at = now().plus_seconds(-60 * minutes_ago).to_string();
                        json!({ "achievementId": achievement_key(*achievement), "hardcore": hardcore, "unlockedAt": at })
                    })
                    .collect();
                let mode = if *all_or_nothing { "ALL_OR_NOTHING" } else { "PER_ITEM" };
                let input = json!({ "unlocks": unlocks, "mode": mode });
                Sent { mutation: "unlockAchievements", selection: results, input, expected: Some(statuses) }
            }
            Op::Relock { achievements, hardcore_only } => {
                let statuses = achievements.iter().map(|place| self.relock(*place, *hardcore_only)).collect();
                self.earn();
                let keys: Vec<_> = achievements.iter().map(|place| achievement_key(*place)).collect();
                let input = json!({ "achievementIds": keys, "hardcoreOnly": hardcore_only });
                Sent { mutation: "relockAchievements", selection: results, input, expected: Some(statuses) }
            }
            Op::Enrol => {
                let status = if self.enrolled { "UNCHANGED" } else { "APPLIED" };
                self.events += i64::from(!self.enrolled);
                self.enrolled = true;
                let expected = Some(vec![status]);
                Sent { mutation: "enrollInSeason", selection: "status", input: json!({}), expected }
            }
            Op::Steps { goal, amount } => {
                let place = goal % self.goals.len();
                let expected = Some(vec![self.make_steps(place, *amount)]);
                let mut item = json!({ "goalId": self.goals[place].key });
                match amount {
                    Steps::Add(steps) => item["add"] = json!(steps),
                    Steps::SetTo(steps) => item["setTo"] = json!(steps),
                }
                let input = json!({ "steps": [item] });
                Sent { mutation: "recordGoalSteps", selection: results, input, expected }
            }
            Op::Correct { goal, percent } => {
                let place = goal % self.goals.len();
                let goal = &mut self.goals[place];
                let steps = goal.total * percent / 100;
                let status = if steps == goal.steps { "UNCHANGED" } else { "APPLIED" };
                let completes = steps == goal.total && goal.steps < goal.total;
                self.events += i64::from(steps != goal.steps) + i64::from(completes);
                goal.steps = steps;
                let input = json!({ "goalId": goal.key, "completedSteps": steps });
                Sent { mutation: "correctGoalSteps", selection: "status", input, expected: Some(vec![status]) }
            }
            Op::Claim { goals } => {
                let places: Vec<_> = goals.iter().map(|goal| goal % self.goals.len()).collect();
                let statuses = places.iter().map(|place| self.claim(*place)).collect();
                let keys: Vec<_> = places.iter().map(|place| self.goals[*place].key.clone()).collect();
                let input = json!({ "goalIds": keys });
                Sent { mutation: "claimGoals", selection: results, input, expected: Some(statuses) }
            }
            Op::Grant { micros, expires_in_days } => {
                let expires_at = expires_in_days.map(|days| now().plus_seconds(days * 24 * 60 * 60));
                self.lots.push(Lot { remaining: *micros, expires_at: expires_at.map(Timestamp::millis) });
                self.events += 1;
                let input = json!({ "amount": amount(*micros), "expiresAt": expires_at.map(|at| at.to_string()) });
                Sent { mutation: "grantCredits", selection: "status", input, expected: Some(vec!["APPLIED"]) }
            }
            Op::Spend { micros } => {
                let enough = self.available() >= *micros;
                if enough {
                    self.take(*micros);
                    self.events += 1;
                }
                let expected = Some(vec![if enough { "APPLIED" } else { "REFUSED" }]);
                Sent {
                    mutation: "spendCredits",
                    selection: "status",
                    input: json!({ "amount": amount(*micros) }),
                    expected,
                }
            }
            Op::Revoke { micros } => {
                let taken = self.available().min(*micros);
                self.take(taken);
                self.events += i64::from(taken > 0);
                let input = json!({ "amount": amount(*micros) });
                Sent { mutation: "revokeCredits", selection: "status", input, expected: None }
            }
            Op::Complete { resources, completed } => {
                for place in resources {
                    let before = self.resources.insert(*place, *completed);
                    self.events += i64::from(before.unwrap_or(false) != *completed);
                }
                let keys: Vec<_> = resources.iter().map(|place| RESOURCES[*place]).collect();
                let input = json!({ "resourceIds": keys, "completed": completed });
                Sent { mutation: "setResourcesCompletion", selection: results, input, expected: None }
            }
            Op::Cards { direction, items } => {
                let statuses = self.change_cards(*direction, items);
                let cards: Vec<Value> = items
                    .iter()
                    .map(|(place, quantity)| json!({ "cardId": card_key(*place), "quantity": quantity }))
                    .collect();
                let mutation = if *direction == Direction::Grant { "grantCards" } else { "removeCards" };
                Sent { mutation, selection: results, input: json!({ "cards": cards }), expected: Some(statuses) }
            }
            Op::ClaimReward { collection } => {
                let expected = Some(vec![self.claim_reward(*collection)]);
                let key = COLLECTIONS.get(*collection).copied().unwrap_or("model-unknown");
                let input = json!({ "collectionId": key });
                Sent { mutation: "claimCollectionReward", selection: "status", input, expected }
            }
            Op::Record { goal, add, unlock, resource, card } => {
                let place = goal % self.goals.len();
                let steps = self.make_steps(place, Steps::Add(*add));
                let before = self.resources.insert(*resource, true).unwrap_or(false);
                self.events += i64::from(!before);
                let unlocked = self.unlock(unlock);
                self.earn();
                let granted = self.change_cards(Direction::Grant, &[*card])[0];
                let completed = if before { "UNCHANGED" } else { "APPLIED" };
                let at = now().plus_seconds(-60 * unlock.minutes_ago).to_string();
                let events = json!([
                    { "card": { "cardId": card_key(card.0), "quantity": card.1 } },
                    { "achievementUnlock": {
                        "achievementId": achievement_key(unlock.achievement), "hardcore": unlock.hardcore, "unlockedAt": at,
                    } },
                    { "resourceProgress": { "resourceId": RESOURCES[*resource], "completed": true } },
                    { "goalSteps": { "goalId": self.goals[place].key, "add": add } },
                ]);
                let expected = Some(vec![granted, unlocked, completed, steps]);
                Sent { mutation: "recordProgress", selection: results, input: json!({ "events": events }), expected }
            }
            Op::Again => unreachable!("the last write is sent again as it is"),
        }
    }

    fn unlock(&mut self, item: &UnlockItem) -> &'static str {
        let UnlockItem { achievement, hardcore, minutes_ago } = *item;
        if !ACHIEVEMENTS.get(achievement).is_some_and(|one| one.4) || !(0..=365 * 24 * 60).contains(&minutes_ago) {
            return "REFUSED";
        }
        let at = now().millis() - 60_000 * minutes_ago;
        match self.unlocks.get_mut(&achievement) {
            None => drop(self.unlocks.insert(achievement, (at, hardcore.then_some(at)))),
            Some((soft, hard @ None)) if hardcore => {
                *soft = at.min(*soft);
                *hard = Some(at);
            }
            Some(_) => return "UNCHANGED",
        }
        self.events += 1;
        "APPLIED"
    }

    fn relock(&mut self, achievement: usize, hardcore_only: bool) -> &'static str {
        if achievement >= ACHIEVEMENTS.len() {
            return "REFUSED";
        }
        let (soft, hard) = match self.unlocks.get_mut(&achievement) {
            Some((_, hard)) if hardcore_only => (false, hard.take().is_some()),
            Some((_, hard)) => (true, hard.is_some()),
            None => (false, false),
        };
        if soft {
            self.unlocks.remove(&achievement);
        }
        let lost = |award: &str| if ["MASTERED", "BEATEN_HARDCORE"].contains(&award) { hard } else { soft };
        self.awards.retain(|(_, award), (_, on)| !(lost(award) && on.contains(&achievement)));
        let changed = soft || hard;
        self.events += i64::from(changed);
        if changed { "APPLIED" } else { "UNCHANGED" }
    }

    /// The published achievements of a game by their places, each with when it was unlocked.
    fn of_game(&self, game: usize, hardcore: bool) -> Vec<(usize, AchievementKind, i32, Option<i64>)> {
        let published = ACHIEVEMENTS.iter().enumerate().filter(|(_, one)| one.1 == GAMES[game] && one.4);
        let at = |place| self.unlocks.get(&place).and_then(|(soft, hard)| if hardcore { *hard } else { Some(*soft) });
        published.map(|(place, one)| (place, one.2, one.3, at(place))).collect()
    }

    /// Gives the awards that are earned; one that is there keeps its date, and the achievements it rests on.
    fn earn(&mut self) {
        for game in 0..GAMES.len() {
            for (hardcore, beaten, complete) in [(false, "BEATEN", "COMPLETED"), (true, "BEATEN_HARDCORE", "MASTERED")]
            {
                let all = self.of_game(game, hardcore);
                let of = |kind| all.iter().filter(move |one| one.1 == kind);
                let won = of(AchievementKind::WinCondition).filter_map(|one| Some((one.3?, one.0))).min();
                let has_wins = of(AchievementKind::WinCondition).next().is_some();
                let progression = of(AchievementKind::Progression).map(|one| (one.3, one.0));
                // Both games have achievements of progression; only one of them has win conditions.
                let needed: Vec<(Option<i64>, usize)> = match won {
                    Some((at, place)) => progression.chain([(Some(at), place)]).collect(),
                    None if has_wins => vec![(None, 0)],
                    None => progression.collect(),
                };
                let everything = all.iter().map(|one| (one.3, one.0)).collect();
                for (award, needed) in [(beaten, needed), (complete, everything)] {
                    let dates = needed.iter().map(|(at, _)| *at).collect::<Option<Vec<_>>>();
                    let Some(at) = dates.and_then(|dates| dates.into_iter().max()) else { continue };
                    self.awards.entry((game, award)).or_insert_with(|| {
                        self.events += 1;
                        (at, needed.iter().map(|(_, place)| *place).collect())
                    });
                }
            }
        }
    }

    fn make_steps(&mut self, place: usize, amount: Steps) -> &'static str {
        let enrolled = self.enrolled;
        let goal = &mut self.goals[place];
        let wanted = match amount {
            Steps::Add(steps) => goal.steps + steps,
            // Fewer than are done say nothing new.
            Steps::SetTo(steps) => steps.max(goal.steps),
        };
        if !enrolled || goal.time != "OPEN" {
            return "REFUSED";
        }
        let steps = wanted.min(goal.total);
        if steps == goal.steps {
            return "UNCHANGED";
        }
        goal.steps = steps;
        self.events += 1 + i64::from(steps == goal.total);
        "APPLIED"
    }

    fn claim(&mut self, place: usize) -> &'static str {
        let goal = &mut self.goals[place];
        if goal.claimed {
            return "ALREADY_CLAIMED";
        }
        if !self.enrolled || goal.time == "LOCKED" || goal.steps < goal.total {
            return "REFUSED";
        }
        goal.claimed = true;
        if goal.reward_micros > 0 {
            self.lots.push(Lot { remaining: goal.reward_micros, expires_at: self.rewards_expire_at });
        }
        self.events += 1;
        "CLAIMED"
    }

    /// Whether every card of a collection is owned.
    fn has_all(&self, collection: usize) -> bool {
        self.distinct(collection) == CARDS.iter().filter(|card| card.1 == COLLECTIONS[collection]).count()
    }

    fn distinct(&self, collection: usize) -> usize {
        let owned =
            CARDS.iter().zip(self.cards).filter(|(card, count)| card.1 == COLLECTIONS[collection] && *count > 0);
        owned.count()
    }

    fn change_cards(&mut self, direction: Direction, items: &[(usize, i64)]) -> Vec<&'static str> {
        let mut touched = [false; COLLECTIONS.len()];
        let mut change = |&(place, quantity): &(usize, i64)| {
            let Some((_, collection)) = CARDS.get(place).filter(|_| quantity > 0) else { return "REFUSED" };
            let after = match direction {
                Direction::Grant => self.cards[place] + quantity,
                Direction::Remove => self.cards[place] - quantity,
            };
            if after < 0 {
                return "REFUSED";
            }
            self.cards[place] = after;
            touched[COLLECTIONS.iter().position(|one| one == collection).unwrap()] = true;
            "APPLIED"
        };
        let statuses = items.iter().map(&mut change).collect();
        // One event for each collection, and one more the first time that it is complete.
        for (collection, _) in touched.iter().enumerate().filter(|(_, touched)| **touched) {
            let completes = !self.collections[collection].0 && self.has_all(collection);
            self.events += 1 + i64::from(completes);
            self.collections[collection].0 |= completes;
        }
        statuses
    }

    fn claim_reward(&mut self, collection: usize) -> &'static str {
        let Some((completed, claimed)) = self.collections.get_mut(collection) else { return "REFUSED" };
        if *claimed {
            return "ALREADY_CLAIMED";
        }
        let limited = collection == 0;
        if !*completed || (limited && self.stock.get() == 0) {
            return "REFUSED";
        }
        if limited {
            self.stock.set(self.stock.get() - 1);
        }
        *claimed = true;
        self.events += 1;
        "CLAIMED"
    }

    fn available(&self) -> i64 {
        self.lots.iter().map(|lot| lot.remaining).sum()
    }

    /// Takes from what expires first; among equals from what was granted first.
    fn take(&mut self, mut micros: i64) {
        let mut order: Vec<&mut Lot> = self.lots.iter_mut().collect();
        order.sort_by_key(|lot| (lot.expires_at.is_none(), lot.expires_at));
        for lot in order {
            let taken = lot.remaining.min(micros);
            lot.remaining -= taken;
            micros -= taken;
        }
    }

    /// What the server has to show, in the form of [`SHOWN`].
    fn shown(&self) -> Value {
        let summaries = (0..GAMES.len()).map(|game| {
            let (soft, hard) = (self.of_game(game, false), self.of_game(game, true));
            let count = |all: &[(_, _, i32, Option<i64>)]| all.iter().filter(|one| one.3.is_some()).count();
            let points = |all: &[(_, _, i32, Option<i64>)]| -> i32 {
                all.iter().filter(|one| one.3.is_some()).map(|one| one.2).sum()
            };
            let dates = || soft.iter().chain(&hard).filter_map(|one| one.3);
            let awards: Vec<Value> = ["MASTERED", "COMPLETED", "BEATEN_HARDCORE", "BEATEN"]
                .into_iter()
                .filter_map(|award| {
                    let (at, _) = self.awards.get(&(game, award))?;
                    Some(json!({ "award": award, "earnedAt": instant(*at) }))
                })
                .collect();
            #[expect(clippy::cast_precision_loss, reason = "there are a handful")]
            let ratio = count(&soft) as f64 / soft.len() as f64;
            json!({
                "numPossible": soft.len(),
                "possibleScore": soft.iter().map(|one| one.2).sum::<i32>(),
                "numAchieved": count(&soft),
                "scoreAchieved": points(&soft),
                "numAchievedHardcore": count(&hard),
                "scoreAchievedHardcore": points(&hard),
                "firstUnlockedAt": dates().min().map(instant),
                "lastUnlockedAt": dates().max().map(instant),
                "ratio": ratio,
                "highestAward": awards.first(),
                "awards": awards,
            })
        });
        let goals = self.goals.iter().map(|goal| {
            let state = match &*goal.time {
                _ if goal.claimed => "CLAIMED",
                "LOCKED" => "LOCKED",
                _ if goal.steps == goal.total => "COMPLETE",
                time => time,
            };
            json!({
                "goal": { "key": goal.key },
                "completedSteps": goal.steps,
                "totalSteps": goal.total,
                "goalState": state,
                "isClaimed": goal.claimed,
            })
        });
        let resources = (0..RESOURCES.len()).map(|place| {
            let completed = self.resources.get(&place).copied();
            (RESOURCES[place], completed.unwrap_or(false))
        });
        let mut remaining: Vec<_> = self.lots.iter().map(|lot| lot.remaining).filter(|micros| *micros > 0).collect();
        remaining.sort_unstable();
        json!({
            "gameSummaries": summaries.collect::<Vec<_>>(),
            "goals": goals.collect::<Vec<_>>(),
            "available": self.available(),
            "remaining": remaining,
            "resources": resources.map(|(key, completed)| json!([key, completed])).collect::<Vec<_>>(),
            "collections": (0..COLLECTIONS.len()).map(|place| self.shown_collection(place)).collect::<Vec<_>>(),
            "events": self.events,
        })
    }
}

impl Model {
    fn shown_collection(&self, place: usize) -> Value {
        let (completed, claimed) = self.collections[place];
        let (count, size) = (self.distinct(place), CARDS.iter().filter(|card| card.1 == COLLECTIONS[place]).count());
        let of_collection = CARDS.iter().zip(self.cards).filter(|(card, _)| card.1 == COLLECTIONS[place]);
        json!({
            "collectedCount": count,
            "progressInPercentage": if count == size { 100 } else { 100 * count / size },
            "status": match (completed, count) {
                (true, _) => "COMPLETED",
                (false, 0) => "NOT_STARTED",
                (false, _) => "IN_PROGRESS",
            },
            "completed": completed,
            "cards": of_collection.map(|(_, count)| count).collect::<Vec<_>>(),
            "claimed": claimed,
        })
    }
}

fn card_key(place: usize) -> &'static str {
    CARDS.get(place).map_or("model-unknown", |one| one.0)
}

fn achievement_key(place: usize) -> &'static str {
    ACHIEVEMENTS.get(place).map_or("model-unknown", |one| one.0)
}

fn amount(micros: i64) -> Value {
    json!({ "micros": micros })
}

fn instant(millis: i64) -> String {
    Timestamp::from_millis(millis).to_string()
}

const SHOWN: &str = "query($handle: String!, $games: [ID!]!, $resources: [ID!]!) { user(by: {handle: $handle}) {
    gameSummaries(gameIds: $games) {
        numPossible possibleScore numAchieved scoreAchieved numAchievedHardcore scoreAchievedHardcore
        firstUnlockedAt lastUnlockedAt ratio highestAward { award earnedAt } awards { award earnedAt } }
    season { goals { goal { key } completedSteps totalSteps goalState isClaimed reward { micros } } }
    credits { available { micros } lots { remaining { micros } } }
    resourceProgress(resourceIds: $resources) { completed completedAt }
    c: collection(id: \"model-c\") { ...shown } d: collection(id: \"model-d\") { ...shown }
    history(first: 1) { nodes { number } } } }
    fragment shown on CollectionProgress {
        collectedCount progressInPercentage status completedAt cards { quantity } reward { isClaimed claimedAt } }";

const VERIFY: &str =
    "mutation($input: VerifyInput!) { verify(input: $input) { differences { check what stored expected } } }";

fn micros(value: &Value) -> i64 {
    value["micros"].as_i64().or_else(|| value["micros"].as_str()?.parse().ok()).unwrap()
}

/// What the server says of a user, as it is.
async fn ask(admin: &Actor, handle: &str) -> Value {
    let variables = json!({ "handle": handle, "games": GAMES, "resources": RESOURCES });
    admin.data(SHOWN, variables).await["user"].clone()
}

/// What the server shows, in the form of [`Model::shown`].
fn shown(user: &Value) -> Value {
    let list = |value: &Value| value.as_array().cloned().unwrap_or_default();
    let goals = list(&user["season"]["goals"]).into_iter().map(|mut goal| {
        goal.as_object_mut().unwrap().remove("reward");
        goal
    });
    let mut remaining: Vec<_> = list(&user["credits"]["lots"]).iter().map(|lot| micros(&lot["remaining"])).collect();
    remaining.retain(|micros| *micros > 0);
    remaining.sort_unstable();
    let resources = RESOURCES.iter().zip(list(&user["resourceProgress"])).map(|(key, one)| {
        let completed = one["completed"] == true;
        assert_eq!(completed, !one["completedAt"].is_null(), "a resource is complete from some instant on: {one}");
        json!([key, completed])
    });
    let collections = ["c", "d"].into_iter().map(|name| {
        let one = &user[name];
        assert_eq!(one["reward"]["isClaimed"] == true, !one["reward"]["claimedAt"].is_null(), "{one}");
        json!({
            "collectedCount": one["collectedCount"],
            "progressInPercentage": one["progressInPercentage"],
            "status": one["status"],
            "completed": !one["completedAt"].is_null(),
            "cards": list(&one["cards"]).iter().map(|card| card["quantity"].clone()).collect::<Vec<_>>(),
            "claimed": one["reward"]["isClaimed"],
        })
    });
    json!({
        "gameSummaries": user["gameSummaries"],
        "goals": goals.collect::<Vec<_>>(),
        "available": micros(&user["credits"]["available"]),
        "remaining": remaining,
        "resources": resources.collect::<Vec<_>>(),
        "collections": collections.collect::<Vec<_>>(),
        "events": user["history"]["nodes"][0]["number"].as_i64().unwrap_or(0),
    })
}

/// Adds a user, and gives the handle and what is known of them.
async fn newcomer(stage: &Stage, admin: &Actor, stock: &Rc<Cell<i64>>) -> (String, Model) {
    let handle = add_user(stage.db()).await;
    let user = ask(admin, &handle).await;
    let goals = user["season"]["goals"].as_array().unwrap().iter().map(|goal| Goal {
        key: goal["goal"]["key"].as_str().unwrap().to_owned(),
        total: goal["totalSteps"].as_i64().unwrap(),
        reward_micros: micros(&goal["reward"]),
        time: goal["goalState"].as_str().unwrap().to_owned(),
        claimed: false,
        steps: 0,
    });
    // Rewards expire when the season has long ended, and so behind whatever else expires here.
    let far = now().plus_seconds(60 * 24 * 60 * 60).millis();
    let model =
        Model { goals: goals.collect(), rewards_expire_at: Some(far), stock: Rc::clone(stock), ..Model::default() };
    (handle, model)
}

/// A write of this user as it is sent, with a key of its own.
fn request(sent: Sent, handle: &str, key: usize) -> (String, Value) {
    let Sent { mutation, selection, mut input, .. } = sent;
    // Each event of several names its user by itself.
    match input.get_mut("events").and_then(Value::as_array_mut) {
        Some(events) => events
            .iter_mut()
            .filter_map(|event| event.as_object_mut()?.values_mut().next())
            .for_each(|event| event["user"] = json!({ "handle": handle })),
        None => input["user"] = json!({ "handle": handle }),
    }
    input["idempotencyKey"] = json!(format!("{handle} {key}"));
    let type_name = format!("{}{}Input", mutation[..1].to_uppercase(), &mutation[1..]);
    let query = format!(
        "mutation($input: {type_name}!) {{ {mutation}(input: $input) {{ {selection} userErrors {{ code }} }} }}"
    );
    (query, json!({ "input": input }))
}

/// Carries out a sequence of writes for a new user and compares after each.
async fn check(stage: &Stage, admin: &Actor, stock: &Rc<Cell<i64>>, ops: &[Op]) -> Result<(), TestCaseError> {
    let (handle, mut model) = newcomer(stage, admin, stock).await;
    let mut last: Option<(String, Value, Value)> = None;
    for (place, op) in ops.iter().enumerate() {
        if let Op::Again = op {
            if let Some((query, variables, answer)) = &last {
                let again = statuses(&admin.data(query, variables.clone()).await);
                prop_assert_eq!(&again, answer, "the same key gets the same answer");
            }
        } else {
            let sent = model.apply(op);
            let expected = sent.expected.clone();
            let (query, variables) = request(sent, &handle, place);
            let answer = statuses(&admin.data(&query, variables.clone()).await);
            if let Some(expected) = expected {
                prop_assert_eq!(&answer, &json!(expected), "the statuses of {:?}", op);
            }
            last = Some((query, variables, answer));
        }
        prop_assert_eq!(shown(&ask(admin, &handle).await), model.shown(), "after {:?}", op);
    }
    no_differences(admin).await
}

async fn no_differences(admin: &Actor) -> Result<(), TestCaseError> {
    let everything = admin.data(VERIFY, json!({ "input": {} })).await;
    prop_assert_eq!(&everything["verify"]["differences"], &json!([]));
    Ok(())
}

/// Carries out a sequence of writes for a new user, two at a time, while others do the same. What comes of two is what
/// comes of one after the other, in one order or the other.
async fn check_pairs(stage: &Stage, admin: &Actor, stock: &Rc<Cell<i64>>, ops: &[Op]) -> Result<(), TestCaseError> {
    let (handle, mut model) = newcomer(stage, admin, stock).await;
    let ops: Vec<_> = ops.iter().filter(|op| !matches!(op, Op::Again)).collect();
    for (place, pair) in ops.chunks(2).enumerate() {
        let orders: &[&[usize]] = if pair.len() == 2 { &[&[0, 1], &[1, 0]] } else { &[&[0]] };
        let outcomes: Vec<_> = orders
            .iter()
            .map(|order| {
                let mut after = model.clone();
                let mut expected = vec![None; pair.len()];
                order.iter().for_each(|one| expected[*one] = after.apply(pair[*one]).expected.map(|all| json!(all)));
                (after, expected)
            })
            .collect();
        // What is sent does not depend on the order; a correction of steps names them.
        let sent = pair.iter().enumerate().map(|(one, op)| request(model.clone().apply(op), &handle, 2 * place + one));
        let answers =
            join_all(sent.map(|(query, variables)| async move { statuses(&admin.data(&query, variables).await) }));
        let answers = answers.await;
        let is = shown(&ask(admin, &handle).await);
        let fits = |after: &Model, expected: &[Option<Value>]| {
            let same = answers.iter().zip(expected).all(|(is, expected)| expected.as_ref().is_none_or(|one| one == is));
            same && after.shown() == is
        };
        let Some((after, _)) = outcomes.iter().find(|(after, expected)| fits(after, expected)) else {
            let expected: Vec<_> = outcomes.iter().map(|(after, expected)| (expected, after.shown())).collect();
            return Err(TestCaseError::fail(format!("{pair:?} answered {answers:?} {is}, not one of {expected:?}")));
        };
        model = after.clone();
    }
    Ok(())
}

/// The statuses in the answer of any mutation.
fn statuses(data: &Value) -> Value {
    let payload = data.as_object().and_then(|data| data.values().next()).unwrap();
    match payload["results"].as_array() {
        Some(results) => results.iter().map(|result| result["status"].clone()).collect(),
        None => json!([payload["status"]]),
    }
}

/// Adds what the model is about, with so many rewards of the first collection.
async fn set(stage: &Stage, stock: i64) -> (Actor, Rc<Cell<i64>>) {
    add_games(stage.db()).await;
    by_hand(stage.db(), "UPDATE games SET updated_at = updated_at").await;
    stage.app.refresh_catalogue().await.unwrap();
    let admin = stage.app(&[Scope::Admin]).await;
    add_collections(&admin, stock).await;
    (admin, Rc::new(Cell::new(stock)))
}

/// Tries random sequences, `cases` unless `PROPTEST_CASES` says otherwise.
fn try_all<S: Strategy>(cases: u32, sequences: &S, check: impl AsyncFn(S::Value) -> Result<(), TestCaseError>) {
    let cases = std::env::var("PROPTEST_CASES").ok().and_then(|text| text.parse().ok()).unwrap_or(cases);
    let config = Config { cases, failure_persistence: None, max_shrink_iters: 200, ..Config::default() };
    let mut runner = TestRunner::new_with_rng(config, TestRng::deterministic_rng(RngAlgorithm::ChaCha));
    let runtime = tokio::runtime::Handle::current();
    let outcome = runner.run(sequences, |one| tokio::task::block_in_place(|| runtime.block_on(check(one))));
    if let Err(error) = outcome {
        panic!("{error}");
    }
}

/// Does that with few of them, as work for other tests.
pub(crate) async fn try_some(stage: &Stage) {
    let (admin, stock) = set(stage, 3).await;
    try_all(CASES / 5, &vec(operations(), 1..LONGEST), async |ops| check(stage, &admin, &stock, &ops).await);
}

async fn every_number_is_the_one_of_the_model(stage: Stage) {
    let (admin, stock) = set(&stage, 3).await;
    try_all(CASES, &vec(operations(), 1..LONGEST), async |ops| check(&stage, &admin, &stock, &ops).await);
}

async fn writes_that_are_joined_come_to_what_one_after_the_other_comes_to(stage: Stage) {
    // Who gets the last reward is up to chance.
    let (admin, stock) = set(&stage, 1_000_000).await;
    let sequences = vec(vec(operations(), 1..LONGEST), TOGETHER);
    try_all(CASES / 5, &sequences, async |users| {
        let all = users.iter().map(|ops| check_pairs(&stage, &admin, &stock, ops));
        join_all(all).await.into_iter().collect::<Result<(), _>>()?;
        no_differences(&admin).await
    });
}
