//! Facts with their dates, as files tell them: what they come to does not depend on the order of lines, chunks and files, and
//! is the same as when they are written by mutations in the order of their dates.

use std::sync::atomic::{AtomicU32, Ordering};

use proptest::collection::vec;
use proptest::prelude::*;
use proptest::test_runner::{Config, RngAlgorithm, TestCaseError, TestRng, TestRunner};
use serde_json::{Value, json};
use waymark::auth::Scope;
use waymark::clock::{Ids, Timestamp};
use waymark::db::Db;
use waymark::transfer::{self, Imported, Source};

use crate::harness::{Actor, NOW, Stage, rounds, tests};

tests! {
    empty: [
        facts_come_to_the_same_in_any_order_and_by_mutations,
        steps_beyond_what_a_goal_has_come_to_ask_for_are_cut_and_nothing_is_lost_on_the_way,
        an_export_with_more_steps_of_a_longer_goal_is_taken,
        what_a_user_can_have_bounds_what_files_tell,
        a_collection_is_completed_by_all_its_cards_wherever_they_stand,
        cards_that_were_given_away_come_to_the_same_in_any_order,
        what_is_told_of_a_completion_comes_before_what_follows_from_the_cards,
        relocking_takes_the_awards_that_rest_on_it_also_when_the_game_has_grown,
        an_award_without_its_achievements_rests_on_what_was_unlocked_by_then,
        an_award_goes_with_the_achievements_it_rests_on_into_another_database,
        an_award_is_dated_by_the_unlock_that_earned_it_everywhere,
        what_was_reached_has_one_date_in_progress_and_history,
        every_key_that_an_import_takes_can_be_asked_for_and_written,
        imports_and_mutations_refuse_the_same_keys_titles_and_addresses,
        seasons_that_overlap_are_refused_by_imports_too,
        what_an_edit_of_the_catalogue_cannot_do_an_import_cannot_do_either,
        what_an_import_changes_about_goals_and_budgets_is_carried_over_to_everybody,
        a_claim_that_was_brought_along_is_worth_what_the_goal_is_worth_everywhere,
        claims_and_blocks_that_differ_come_to_the_same_in_any_order,
        an_erasure_that_comes_by_import_forgets_what_makes_writes_safe_to_repeat,
    ],
}

/// A file of records that is removed again.
struct File(std::path::PathBuf);

impl File {
    fn new(lines: &[String]) -> Self {
        static NEXT: AtomicU32 = AtomicU32::new(0);
        let name = format!("waymark-facts-{}-{}", std::process::id(), NEXT.fetch_add(1, Ordering::Relaxed));
        let path = std::env::temp_dir().join(name);
        std::fs::write(&path, lines.join("\n")).unwrap();
        Self(path)
    }
}

impl Drop for File {
    fn drop(&mut self) {
        let _ = std::fs::remove_file(&self.0);
    }
}

/// Imports files together; all their lines have to be good.
async fn import_files(stage: &Stage, files: &[Vec<String>]) -> Imported {
    import_into(stage.db(), files).await
}

async fn import_into(db: &Db, files: &[Vec<String>]) -> Imported {
    let files: Vec<File> = files.iter().map(|lines| File::new(lines)).collect();
    let sources = files.iter().map(|file| Source::File(file.0.clone())).collect();
    let mut complaints = Vec::new();
    let mut complain = |one: transfer::Complaint| complaints.push(one.to_string());
    let now = Timestamp::parse(NOW).unwrap();
    let done = transfer::import(db, &Ids::system(), now, sources, &mut complain, &|_| {}).await.unwrap();
    assert_eq!(complaints, [""; 0]);
    done
}

async fn import(stage: &Stage, records: &[Value]) -> Imported {
    let done = import_files(stage, &[records.iter().map(Value::to_string).collect()]).await;
    stage.app.refresh_catalogue().await.unwrap();
    done
}

/// What an export says of a user's progress: without events and what is made anew in every database.
async fn state(stage: &Stage, handle: &str) -> Vec<Value> {
    let mut out = Vec::new();
    let scope = transfer::Scope::User(handle.to_owned());
    transfer::export(stage.db(), &mut out, &scope, false, &|_| {}).await.unwrap();
    let lines = String::from_utf8(out).unwrap();
    let records: Vec<Value> = lines.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    // A claim that was made elsewhere opens no lot here: what is left of its reward comes as a lot of its own.
    let rewards: Vec<&Value> =
        records.iter().filter(|record| record["source"] == "GOAL").map(|lot| &lot["number"]).collect();
    let is_of_reward = |record: &Value| match record["type"].as_str() {
        Some("creditLot") => rewards.contains(&&record["number"]),
        Some("creditEntry") => rewards.contains(&&record["lot"]),
        kind => ["waymark", "user", "event", "writeRef"].contains(&kind.unwrap()),
    };
    let mut records: Vec<Value> = records
        .iter()
        .filter(|record| !is_of_reward(record))
        .map(|record| {
            let mut record = record.clone();
            for member in ["user", "externalId", "number", "lot", "operation"] {
                record.as_object_mut().unwrap().remove(member);
            }
            record
        })
        .collect();
    records.sort_by_key(Value::to_string);
    records
}

async fn assert_sound(admin: &Actor) {
    let verify = "mutation { verify(input: {}) { differences { check what stored expected } } }";
    assert_eq!(admin.data(verify, Value::Null).await["verify"]["differences"], json!([]));
}

/// A game with two steps on the way, two ends and something beside, one where all is beside, two collections, a season that
/// runs all the time, and two resources.
fn catalogue() -> Vec<Value> {
    let mut records = vec![
        json!({ "type": "season", "key": "summer", "title": "Summer", "startsAt": instant(0), "durationSeconds": 400 * 3600 }),
        json!({ "type": "goal", "key": "walk", "season": "summer", "title": "Walk", "totalSteps": 3, "rewardMicros": 0 }),
        json!({ "type": "goal", "key": "run", "season": "summer", "title": "Run", "totalSteps": 7, "rewardMicros": 0 }),
        json!({ "type": "goal", "key": "swim", "season": "summer", "title": "Swim", "totalSteps": 3, "rewardMicros": 5_000_000 }),
        json!({ "type": "resource", "key": "noted", "title": "Noted" }),
        json!({ "type": "resource", "key": "0123456789ABCDEF01234567", "title": "Plain" }),
        json!({ "type": "game", "key": "quest", "title": "Quest" }),
        json!({ "type": "game", "key": "plain", "title": "Plain" }),
        json!({ "type": "collection", "key": "winter", "name": "Winter", "startsAt": instant(40), "endsAt": instant(80) }),
        json!({ "type": "collection", "key": "always", "name": "Always" }),
    ];
    for (place, kind) in ["PROGRESSION", "PROGRESSION", "WIN_CONDITION", "WIN_CONDITION", "STANDARD"].iter().enumerate()
    {
        records.push(json!({ "type": "achievement", "key": format!("quest-{place}"), "game": "quest", "title": "A", "points": 5, "kind": kind }));
    }
    for place in 0..2 {
        records.push(json!({ "type": "achievement", "key": format!("plain-{place}"), "game": "plain", "title": "A", "points": 1 }));
        records.push(json!({ "type": "card", "key": format!("winter-{place}"), "collection": "winter", "name": "C" }));
        records.push(json!({ "type": "card", "key": format!("always-{place}"), "collection": "always", "name": "C" }));
    }
    records
}

const ACHIEVEMENTS: [&str; 7] = ["quest-0", "quest-1", "quest-2", "quest-3", "quest-4", "plain-0", "plain-1"];
const CARDS: [&str; 4] = ["winter-0", "winter-1", "always-0", "always-1"];
const GOALS: [&str; 3] = ["walk", "run", "swim"];
/// On the first everybody writes notes each time, on the second never.
const RESOURCES: [&str; 2] = ["noted", "0123456789abcdef01234567"];

/// The instant some hours after a hundred hours ago.
fn instant(hours: i64) -> String {
    Timestamp::parse(NOW).unwrap().plus_seconds((hours - 100) * 3600).to_string()
}

/// Something that happened, at an hour.
#[derive(Debug, Clone)]
enum Fact {
    Unlock {
        achievement: usize,
        hardcore: bool,
        hour: i64,
    },
    Card {
        card: usize,
        quantity: i64,
        hour: i64,
    },
    Enrolment,
    Steps {
        goal: usize,
        steps: i64,
        hour: i64,
    },
    Claim {
        goal: usize,
        hour: i64,
    },
    Grant {
        micros: i64,
        hour: i64,
    },
    /// Percent and minutes are those of the hour, so that they rise.
    Learning {
        resource: usize,
        completed: bool,
        hour: i64,
    },
}

fn facts() -> impl Strategy<Value = Vec<Fact>> {
    let unlock = (0..ACHIEVEMENTS.len(), any::<bool>(), 1..100_i64)
        .prop_map(|(achievement, hardcore, hour)| Fact::Unlock { achievement, hardcore, hour });
    let card =
        (0..CARDS.len(), 1..4_i64, 1..100_i64).prop_map(|(card, quantity, hour)| Fact::Card { card, quantity, hour });
    let steps =
        (0..GOALS.len(), 0..4_i64, 1..100_i64).prop_map(|(goal, steps, hour)| Fact::Steps { goal, steps, hour });
    let learning = (0..RESOURCES.len(), any::<bool>(), 1..100_i64)
        .prop_map(|(resource, completed, hour)| Fact::Learning { resource, completed, hour });
    let grant = (1..9_000_000_i64, 1..100_i64).prop_map(|(micros, hour)| Fact::Grant { micros, hour });
    let one = prop_oneof![3 => unlock, 1 => card, 2 => steps, 2 => learning, 2 => grant].prop_map(|fact| vec![fact]);
    let claimed = (prop_oneof![Just(0), Just(2)], 1..99_i64, 1..99_i64).prop_map(|(goal, hour, later)| {
        vec![Fact::Steps { goal, steps: 3, hour }, Fact::Claim { goal, hour: (hour + later).min(99) }]
    });
    vec(prop_oneof![4 => one, 1 => claimed], 1..30).prop_map(|facts| {
        // What somebody has of a card is one fact, and two facts of one instant have no order.
        let mut cards = std::collections::BTreeSet::new();
        let mut hours = std::collections::BTreeSet::new();
        let is_first = |fact: &Fact| match fact {
            Fact::Card { card, hour, .. } => cards.insert(*card) && hours.insert(*hour),
            other => hours.insert(other.hour()),
        };
        let facts: Vec<Fact> = facts.into_iter().flatten().filter(is_first).collect();
        // Who has not completed a goal yet cannot claim it.
        let done = |goal: usize, by: i64| {
            let is_last =
                |fact: &Fact| matches!(fact, Fact::Steps { goal: of, steps: 3, hour } if *of == goal && *hour < by);
            facts.iter().any(is_last)
        };
        let can_be = |fact: &&Fact| !matches!(fact, Fact::Claim { goal, hour } if !done(*goal, *hour));
        std::iter::once(Fact::Enrolment).chain(facts.iter().filter(can_be).cloned()).collect()
    })
}

impl Fact {
    const fn hour(&self) -> i64 {
        match self {
            Self::Enrolment => 0,
            Self::Unlock { hour, .. }
            | Self::Card { hour, .. }
            | Self::Steps { hour, .. }
            | Self::Claim { hour, .. }
            | Self::Grant { hour, .. }
            | Self::Learning { hour, .. } => *hour,
        }
    }

    fn record(&self, user: &str) -> String {
        let record = match self {
            Self::Unlock { achievement, hardcore, hour } => json!({
                "type": "unlock", "user": user, "achievement": ACHIEVEMENTS[*achievement], "at": instant(*hour), "hardcore": hardcore,
            }),
            Self::Card { card, quantity, hour } => json!({
                "type": "ownedCard", "user": user, "card": CARDS[*card], "quantity": quantity, "firstAcquiredAt": instant(*hour),
            }),
            Self::Enrolment => json!({ "type": "enrolment", "user": user, "season": "summer", "at": instant(0) }),
            Self::Steps { goal, steps, hour } => json!({
                "type": "goalProgress", "user": user, "goal": GOALS[*goal], "completedSteps": steps, "at": instant(*hour),
            }),
            Self::Claim { goal, hour } => {
                json!({ "type": "goalClaim", "user": user, "goal": GOALS[*goal], "at": instant(*hour) })
            }
            Self::Grant { micros, hour } => json!({
                "type": "creditLot", "user": user, "ref": hour.to_string(), "source": "GRANT", "amountMicros": micros,
                "grantedAt": instant(*hour), "expiresAt": self.expires_at(), "reason": format!("For {hour}"),
            }),
            Self::Learning { resource, completed, hour } => json!({
                "type": "resourceProgress", "user": user, "resource": RESOURCES[*resource], "completed": completed,
                "progress": hour, "timeSpentMinutes": hour, "notes": self.notes(), "lastAccessedAt": instant(*hour),
            }),
        };
        record.to_string()
    }

    fn notes(&self) -> String {
        match self {
            Self::Learning { resource: 0, hour, .. } => format!("{} done", 100 - hour),
            _ => String::new(),
        }
    }

    /// Some expire, and some of these have expired.
    fn expires_at(&self) -> Option<String> {
        (self.hour() % 2 == 0).then(|| instant(self.hour() + 30))
    }

    /// Writes the fact while it happens.
    async fn write(&self, stage: &Stage, user: &str) {
        let then = instant(self.hour());
        let app = stage.with(&[("WAYMARK_CLOCK", &*then)]).await.app(&[Scope::ProgressWrite]).await;
        let (mutation, kind, list) = match self {
            Self::Unlock { achievement, hardcore, .. } => {
                let item = json!({ "achievementId": ACHIEVEMENTS[*achievement], "hardcore": hardcore });
                ("unlockAchievements", "UnlockAchievementsInput", json!({ "unlocks": [item] }))
            }
            Self::Card { card, quantity, .. } => {
                let item = json!({ "cardId": CARDS[*card], "quantity": quantity });
                ("grantCards", "GrantCardsInput", json!({ "cards": [item] }))
            }
            Self::Enrolment => ("enrollInSeason", "EnrollInSeasonInput", json!({ "seasonId": "summer" })),
            Self::Steps { goal, steps, .. } => {
                let item = json!({ "goalId": GOALS[*goal], "setTo": steps });
                ("recordGoalSteps", "RecordGoalStepsInput", json!({ "steps": [item] }))
            }
            Self::Claim { goal, .. } => ("claimGoals", "ClaimGoalsInput", json!({ "goalIds": [GOALS[*goal]] })),
            Self::Grant { micros, hour } => {
                let input = json!({
                    "amount": { "micros": micros }, "ref": hour.to_string(), "expiresAt": self.expires_at(),
                    "reason": format!("For {hour}"),
                });
                ("grantCredits", "GrantCreditsInput", input)
            }
            Self::Learning { resource, completed, hour } => {
                let mut input =
                    json!({ "resourceId": RESOURCES[*resource], "progress": hour, "timeSpentMinutes": hour });
                // Nothing is taken back by facts.
                if *completed {
                    input["completed"] = true.into();
                }
                if *resource == 0 {
                    input["notes"] = self.notes().into();
                }
                ("updateResourceProgress", "UpdateResourceProgressInput", input)
            }
        };
        let mut input = list;
        input["user"] = json!({ "handle": user });
        let query = format!("mutation($input: {kind}!) {{ {mutation}(input: $input) {{ userErrors {{ code }} }} }}");
        let data = app.data(&query, json!({ "input": input })).await;
        assert_eq!(data[mutation]["userErrors"], json!([]));
    }
}

/// Writes facts for one user in their order and imports them for another in some order and some pieces.
async fn compare(stage: &Stage, facts: &[Fact], order: &[u32], cuts: [usize; 2]) -> Result<(), TestCaseError> {
    static NEXT: AtomicU32 = AtomicU32::new(0);
    let number = NEXT.fetch_add(1, Ordering::Relaxed);
    let [written, imported, again] = ["w", "i", "j"].map(|name| format!("{name}{number}"));
    let users = [&written, &imported, &again]
        .map(|handle| json!({ "type": "user", "handle": handle, "createdAt": instant(0) }));
    import(stage, &users).await;
    let mut in_order = facts.to_vec();
    in_order.sort_by_key(Fact::hour);
    for fact in &in_order {
        fact.write(stage, &written).await;
    }
    let lines = |user: &str, order: &[u32]| {
        let mut lines: Vec<(u32, String)> =
            facts.iter().enumerate().map(|(place, fact)| (order[place % order.len()], fact.record(user))).collect();
        lines.sort();
        lines.into_iter().map(|(_, line)| line).collect::<Vec<_>>()
    };
    // Each file in transactions of its own, and then all at once.
    let shuffled = lines(&imported, order);
    let (one, rest) = shuffled.split_at(cuts[0].min(shuffled.len()));
    let (two, three) = rest.split_at(cuts[1].min(rest.len()));
    for file in [two, three, one] {
        import_files(stage, &[file.to_vec()]).await;
    }
    let turned: Vec<u32> = order.iter().map(|place| u32::MAX - place).collect();
    let turned = lines(&again, &turned);
    let (first, second) = turned.split_at(cuts[1].min(turned.len()));
    import_files(stage, &[first.to_vec(), second.to_vec()]).await;
    let expected = state(stage, &written).await;
    prop_assert_eq!(&state(stage, &imported).await, &expected, "in pieces");
    prop_assert_eq!(&state(stage, &again).await, &expected, "at once");
    // Once more changes nothing.
    let more = import_files(stage, &[lines(&imported, order)]).await;
    prop_assert_eq!(more.new, 0);
    prop_assert_eq!(&state(stage, &imported).await, &expected, "again");
    Ok(())
}

async fn facts_come_to_the_same_in_any_order_and_by_mutations(stage: Stage) {
    import(&stage, &catalogue()).await;
    let config = Config { cases: rounds(6, 100), failure_persistence: None, max_shrink_iters: 60, ..Config::default() };
    let mut runner = TestRunner::new_with_rng(config, TestRng::deterministic_rng(RngAlgorithm::ChaCha));
    let runtime = tokio::runtime::Handle::current();
    let given = (facts(), vec(any::<u32>(), 31), [0..16_usize, 0..16_usize]);
    let outcome = runner.run(&given, |(facts, order, cuts)| {
        tokio::task::block_in_place(|| runtime.block_on(compare(&stage, &facts, &order, cuts)))
    });
    if let Err(error) = outcome {
        panic!("{error}");
    }
    assert_sound(&stage.app(&[Scope::Admin]).await).await;
}

async fn steps_beyond_what_a_goal_has_come_to_ask_for_are_cut_and_nothing_is_lost_on_the_way(stage: Stage) {
    import(&stage, &catalogue()).await;
    import(&stage, &[user("ann"), user("bob")]).await;
    let steps = |user: &str, steps: i64, hours: i64| json!({ "type": "goalProgress", "user": user, "goal": "run", "completedSteps": steps, "at": instant(hours) });
    import(&stage, &[steps("ann", 7, 20), steps("bob", 4, 30)]).await;
    let before = exported(stage.db(), "ann").await;
    let admin = stage.app(&[Scope::Admin, Scope::ProgressWrite]).await;
    let ask = async |total: i64| {
        let upsert = "mutation($input: UpsertSeasonInput!) { upsertSeason(input: $input) { userErrors { message } } }";
        let goals = json!([{ "key": "run", "totalSteps": total }]);
        let done = admin.data(upsert, json!({ "input": { "key": "summer", "goals": goals } })).await;
        assert_eq!(done["upsertSeason"]["userErrors"], json!([]));
    };
    ask(3).await;
    let run = async |user: &str| {
        let query = "query($user: String!) { user(by: { handle: $user }) { goals { goal { key } completedSteps completedAt } } }";
        let goals = admin.data(query, json!({ "user": user })).await["user"]["goals"].clone();
        let run = goals.as_array().unwrap().iter().find(|goal| goal["goal"]["key"] == "run").unwrap();
        json!([run["completedSteps"], run["completedAt"]])
    };
    let (ann, bob) = (json!([3, instant(20)]), json!([3, format!("{}.000Z", NOW.trim_end_matches('Z'))]));
    assert_eq!((run("ann").await, run("bob").await), (ann.clone(), bob.clone()));
    assert_sound(&admin).await;
    // All of it comes into an empty database.
    let file = File::new(&[]);
    let empty = Db::connect(&format!("sqlite://{}", file.0.display()), 2).await.unwrap();
    empty.migrate().await.unwrap();
    let all = exported(stage.db(), "").await;
    assert_eq!(all.iter().filter(|line| line.contains("goalProgress")).count(), 2);
    import_into(&empty, std::slice::from_ref(&all)).await;
    assert_eq!(exported(&empty, "").await, all);
    empty.close().await.unwrap();
    // What is there stays as it is, whatever an export from before says.
    import_files(&stage, &[before]).await;
    assert_eq!((run("ann").await, run("bob").await), (ann, bob));
    ask(5).await;
    assert_eq!(run("bob").await, json!([3, null]));
    assert_sound(&admin).await;
}

async fn an_export_with_more_steps_of_a_longer_goal_is_taken(stage: Stage) {
    import(&stage, &catalogue()).await;
    import(&stage, &[user("ann")]).await;
    let steps = |steps: i64, hours: i64| json!({ "type": "goalProgress", "user": "ann", "goal": "walk", "completedSteps": steps, "at": instant(hours) });
    import(&stage, &[steps(3, 20)]).await;
    // Elsewhere the goal has come to ask for more steps, and they were made.
    let longer = |line: &String| {
        let mut record: Value = serde_json::from_str(line).unwrap();
        if record["key"] == "walk" {
            record["totalSteps"] = 5.into();
        }
        if record["type"] == "goalProgress" {
            let later = json!({ "completedSteps": 5, "completedAt": instant(40), "at": instant(40) });
            record.as_object_mut().unwrap().extend(later.as_object().unwrap().clone());
        }
        record.to_string()
    };
    let newer: Vec<String> = exported(stage.db(), "").await.iter().map(longer).collect();
    import_files(&stage, std::slice::from_ref(&newer)).await;
    let stored = exported(stage.db(), "").await;
    let walked = stored.iter().map(|line| serde_json::from_str::<Value>(line).unwrap());
    let walked = walked.filter(|record| record["type"] == "goalProgress").collect::<Vec<_>>();
    assert_eq!((&walked[0]["completedSteps"], &walked[0]["completedAt"]), (&json!(5), &json!(instant(40))));
    assert_eq!(import_files(&stage, &[newer]).await.new, 0);
    stage.app.refresh_catalogue().await.unwrap();
    assert_sound(&stage.app(&[Scope::Admin]).await).await;
}

async fn what_a_user_can_have_bounds_what_files_tell(stage: Stage) {
    import(&stage, &catalogue()).await;
    import(
        &stage,
        &[user("ann"), json!({ "type": "studyPlan", "key": "plan", "title": "Plan", "resources": ["noted"] })],
    )
    .await;
    let instances: Vec<Value> = (1..=1_001)
        .map(|number| json!({ "type": "studyPlanInstance", "user": "ann", "plan": "plan", "number": number }))
        .collect();
    assert_eq!(complaints(&stage, &instances).await, ["a user has at most 1000 instances of study plans"]);
    let elsewhere = |number: i64| json!({ "type": "resourceProgress", "user": "ann", "resource": format!("{number:024x}"), "progress": 5 });
    let refused = "a user has progress with at most 5000 resources outside the catalogue";
    let many: Vec<Value> = (1..=5_001).map(elsewhere).collect();
    assert_eq!(complaints(&stage, &many).await, [refused]);
    // What is there may still be told of.
    assert_eq!(complaints(&stage, &[elsewhere(1), elsewhere(5_002)]).await, [refused]);
}

/// The lines of an export of one user, or of everything.
async fn exported(db: &Db, user: &str) -> Vec<String> {
    let scope = if user.is_empty() { transfer::Scope::All } else { transfer::Scope::User(user.to_owned()) };
    let mut out = Vec::new();
    transfer::export(db, &mut out, &scope, false, &|_| {}).await.unwrap();
    String::from_utf8(out).unwrap().lines().map(str::to_owned).collect()
}

const COLLECTION: &str = "query($user: String!, $collection: ID!) {
    user(by: { handle: $user }) { collection(id: $collection) { status completedAt collectedCount size } } }";

async fn collection(app: &Actor, user: &str, collection: &str) -> Value {
    let data = app.data(COLLECTION, json!({ "user": user, "collection": collection })).await;
    data["user"]["collection"].clone()
}

fn owned(user: &str, card: &str, hours: i64) -> Value {
    json!({ "type": "ownedCard", "user": user, "card": card, "firstAcquiredAt": instant(hours) })
}

fn user(handle: &str) -> Value {
    json!({ "type": "user", "handle": handle })
}

async fn a_collection_is_completed_by_all_its_cards_wherever_they_stand(stage: Stage) {
    import(&stage, &catalogue()).await;
    import(&stage, &[user("late"), user("early"), user("right"), user("claimed")]).await;
    // One card came after the end, in a chunk of its own, before or after the other.
    import(&stage, &[owned("late", "winter-0", 90)]).await;
    import(&stage, &[owned("late", "winter-1", 50)]).await;
    import(&stage, &[owned("early", "winter-0", 10), owned("early", "winter-1", 20)]).await;
    import(&stage, &[owned("right", "winter-0", 70)]).await;
    import(&stage, &[owned("right", "winter-1", 60)]).await;
    // Later it turns out that the last one came earlier.
    import(&stage, &[owned("right", "winter-0", 65), owned("right", "winter-0", 66)]).await;
    let admin = stage.app(&[Scope::Admin, Scope::ProgressWrite]).await;
    for (handle, status, completed_at) in [
        ("late", "EXPIRED", Value::Null),
        ("early", "COMPLETED", json!(instant(40))),
        ("right", "COMPLETED", json!(instant(65))),
    ] {
        let expected = json!({ "status": status, "completedAt": completed_at, "collectedCount": 2, "size": 2 });
        assert_eq!(collection(&admin, handle, "winter").await, expected, "{handle}");
    }
    let claim = "mutation($input: ClaimCollectionRewardInput!) { claimCollectionReward(input: $input) { status } }";
    let input = json!({ "input": { "user": { "handle": "late" }, "collectionId": "winter" } });
    assert_eq!(admin.data(claim, input).await["claimCollectionReward"]["status"], "REFUSED");
    assert_sound(&admin).await;
}

async fn cards_that_were_given_away_come_to_the_same_in_any_order(stage: Stage) {
    import(&stage, &catalogue()).await;
    let card = |user: &str, card: &str, quantity: i64, hours: i64| {
        json!({ "type": "ownedCard", "user": user, "card": card, "quantity": quantity, "firstAcquiredAt": instant(hours) })
            .to_string()
    };
    let orders = [[0, 1, 2], [0, 2, 1], [1, 0, 2], [1, 2, 0], [2, 0, 1], [2, 1, 0]];
    let mut states = Vec::new();
    for (number, order) in orders.iter().enumerate() {
        let handle = format!("swapper{number}");
        import(&stage, &[user(&handle)]).await;
        let told =
            [card(&handle, "always-0", 2, 20), card(&handle, "always-0", 0, 5), card(&handle, "always-1", 1, 10)];
        for place in order {
            import_files(&stage, &[vec![told[*place].clone()]]).await;
        }
        states.push(state(&stage, &handle).await);
    }
    let completed = states[0].iter().find(|record| record["type"] == "collectionProgress").unwrap();
    assert_eq!(completed["completedAt"], instant(10));
    assert!(states.iter().all(|state| *state == states[0]), "{states:#?}");
    assert_sound(&stage.app(&[Scope::Admin]).await).await;
}

async fn what_is_told_of_a_completion_comes_before_what_follows_from_the_cards(stage: Stage) {
    import(&stage, &catalogue()).await;
    import(&stage, &[user("one"), user("two")]).await;
    let facts = |user: &str| {
        let told =
            json!({ "type": "collectionProgress", "user": user, "collection": "winter", "completedAt": instant(75) });
        let later =
            json!({ "type": "collectionProgress", "user": user, "collection": "winter", "completedAt": instant(77) });
        [owned(user, "winter-0", 50), told, owned(user, "winter-1", 60), later]
    };
    for fact in facts("one") {
        import(&stage, &[fact]).await;
    }
    for fact in facts("two").into_iter().rev() {
        import(&stage, &[fact]).await;
    }
    let admin = stage.app(&[Scope::Admin]).await;
    for handle in ["one", "two"] {
        assert_eq!(collection(&admin, handle, "winter").await["completedAt"], instant(75), "{handle}");
    }
    assert_eq!(state(&stage, "one").await, state(&stage, "two").await);
    assert_sound(&admin).await;
}

const SUMMARY: &str = "query($user: String!, $game: ID!) { user(by: { handle: $user }) {
    gameSummaries(gameIds: [$game]) { numAchieved numPossible awards { award earnedAt } }
    history(kinds: [AWARD_EARNED], last: 9) { nodes { occurredAt changes } } } }";

async fn summary(app: &Actor, user: &str, game: &str) -> Value {
    app.data(SUMMARY, json!({ "user": user, "game": game })).await["user"].clone()
}

fn unlock(user: &str, achievement: &str, hours: i64, hardcore: bool) -> Value {
    json!({ "type": "unlock", "user": user, "achievement": achievement, "at": instant(hours), "hardcore": hardcore })
}

async fn relock(admin: &Actor, user: &str, achievements: &[&str]) -> Value {
    let query = "mutation($input: RelockAchievementsInput!) { relockAchievements(input: $input) {
        results { status } gameSummaries { numAchieved awards { award earnedAt } } } }";
    let input = json!({ "input": { "user": { "handle": user }, "achievementIds": achievements } });
    admin.data(query, input).await["relockAchievements"].clone()
}

async fn relocking_takes_the_awards_that_rest_on_it_also_when_the_game_has_grown(stage: Stage) {
    import(&stage, &catalogue()).await;
    import(&stage, &[user("mallory"), user("eve")]).await;
    for handle in ["mallory", "eve"] {
        import(&stage, &[unlock(handle, "plain-0", 10, true), unlock(handle, "plain-1", 20, true)]).await;
    }
    let more = |published: bool| {
        let (key, title) = ("plain-2", "More");
        json!({ "type": "achievement", "key": key, "game": "plain", "title": title, "points": 1, "published": published })
    };
    import(&stage, &[more(true)]).await;
    let admin = stage.app(&[Scope::Admin]).await;
    let relocked = relock(&admin, "mallory", &["plain-0", "plain-1"]).await;
    assert_eq!(relocked["gameSummaries"], json!([{ "numAchieved": 0, "awards": [] }]));
    // One that is beside what the award rests on takes nothing, and one that was withdrawn can be relocked.
    import(&stage, &[unlock("eve", "plain-2", 30, false)]).await;
    import(&stage, &[more(false)]).await;
    let relocked = relock(&admin, "eve", &["plain-2"]).await;
    assert_eq!(relocked["results"][0]["status"], "APPLIED");
    let kept =
        json!([{ "award": "MASTERED", "earnedAt": instant(20) }, { "award": "COMPLETED", "earnedAt": instant(20) }]);
    assert_eq!(relocked["gameSummaries"][0]["awards"], kept);
    // What remains earns what it is enough for: one end of two.
    import(
        &stage,
        &(0..4).map(|place| unlock("eve", &format!("quest-{place}"), 10 + place, false)).collect::<Vec<_>>(),
    )
    .await;
    let beaten = |hours: i64| json!([{ "award": "BEATEN", "earnedAt": instant(hours) }]);
    assert_eq!(summary(&admin, "eve", "quest").await["gameSummaries"][0]["awards"], beaten(12));
    assert_eq!(relock(&admin, "eve", &["quest-3"]).await["gameSummaries"][0]["awards"], beaten(12));
    import(&stage, &[unlock("eve", "quest-3", 13, false)]).await;
    assert_eq!(relock(&admin, "eve", &["quest-2"]).await["gameSummaries"][0]["awards"], beaten(13));
    assert_eq!(relock(&admin, "eve", &["quest-0"]).await["gameSummaries"][0]["awards"], json!([]));
    assert_sound(&admin).await;
}

async fn an_award_without_its_achievements_rests_on_what_was_unlocked_by_then(stage: Stage) {
    import(&stage, &catalogue()).await;
    import(&stage, &[user("ann")]).await;
    let told =
        json!({ "type": "awards", "user": "ann", "game": "quest", "beatenAt": instant(30), "masteredAt": instant(50) });
    let unlocks = [unlock("ann", "quest-4", 20, false), unlock("ann", "quest-0", 40, true)];
    import(&stage, &[unlocks[0].clone(), told.clone(), unlocks[1].clone()]).await;
    // A later date says nothing new.
    let later = json!({ "type": "awards", "user": "ann", "game": "quest", "beatenAt": instant(35) });
    assert_eq!(import(&stage, &[later, told]).await.new, 0);
    let admin = stage.app(&[Scope::Admin]).await;
    let mastered = json!({ "award": "MASTERED", "earnedAt": instant(50) });
    let beaten = json!({ "award": "BEATEN", "earnedAt": instant(30) });
    assert_eq!(summary(&admin, "ann", "quest").await["gameSummaries"][0]["awards"], json!([mastered, beaten]));
    assert_eq!(relock(&admin, "ann", &["quest-4"]).await["gameSummaries"][0]["awards"], json!([mastered]));
    assert_eq!(relock(&admin, "ann", &["quest-0"]).await["gameSummaries"][0]["awards"], json!([]));
    assert_sound(&admin).await;
}

async fn an_award_goes_with_the_achievements_it_rests_on_into_another_database(stage: Stage) {
    import(&stage, &catalogue()).await;
    import(&stage, &[user("ann")]).await;
    let mut records: Vec<Value> =
        (0..5).map(|place| unlock("ann", &format!("quest-{place}"), 10 + place, true)).collect();
    records.push(json!({ "type": "awards", "user": "ann", "game": "plain", "beatenAt": instant(5) }));
    import(&stage, &records).await;
    let exported = state(&stage, "ann").await;
    let awards: Vec<&Value> = exported.iter().filter(|record| record["type"] == "awards").collect();
    let quest = awards.iter().find(|record| record["game"] == "quest").unwrap();
    let all: Vec<String> = (0..5).map(|place| format!("quest-{place}")).collect();
    let rests_on = json!([
        { "awards": ["BEATEN", "BEATEN_HARDCORE"], "achievements": ["quest-0", "quest-1", "quest-2"] },
        { "awards": ["COMPLETED", "MASTERED"], "achievements": all },
    ]);
    assert_eq!(quest["restsOn"], rests_on);
    let plain = awards.iter().find(|record| record["game"] == "plain").unwrap();
    assert_eq!(plain["restsOn"], Value::Null, "its date was told");
}

async fn an_award_is_dated_by_the_unlock_that_earned_it_everywhere(stage: Stage) {
    import(&stage, &catalogue()).await;
    import(&stage, &[user("ann"), user("bob")]).await;
    let admin = stage.app(&[Scope::Admin, Scope::ProgressWrite]).await;
    let query =
        "mutation($input: UnlockAchievementsInput!) { unlockAchievements(input: $input) { userErrors { message } } }";
    let items = ["plain-0", "plain-1"].map(|key| json!({ "achievementId": key, "unlockedAt": instant(30) }));
    admin.data(query, json!({ "input": { "user": { "handle": "ann" }, "unlocks": items } })).await;
    // Withdrawing what is missing earns it too.
    import(&stage, &[unlock("bob", "plain-0", 25, false)]).await;
    let title = "Plain";
    let upsert = "mutation($input: UpsertGameInput!) { upsertGame(input: $input) { userErrors { message } } }";
    let achievements = json!([{ "key": "plain-1", "published": false }]);
    admin.data(upsert, json!({ "input": { "key": "plain", "title": title, "achievements": achievements } })).await;
    for (handle, hours) in [("ann", 30), ("bob", 25)] {
        let shown = summary(&admin, handle, "plain").await;
        assert_eq!(shown["gameSummaries"][0]["awards"], json!([{ "award": "COMPLETED", "earnedAt": instant(hours) }]));
        assert_eq!(shown["history"]["nodes"][0]["occurredAt"], instant(hours), "{handle}");
    }
    // Together they have it since the earlier of both.
    let merge = "mutation { mergeUsers(input: { from: { handle: \"bob\" }, into: { handle: \"ann\" } }) { userErrors { message } } }";
    admin.data(merge, Value::Null).await;
    let shown = summary(&admin, "ann", "plain").await;
    assert_eq!(shown["gameSummaries"][0]["awards"], json!([{ "award": "COMPLETED", "earnedAt": instant(25) }]));
    assert_sound(&admin).await;
}

async fn what_was_reached_has_one_date_in_progress_and_history(stage: Stage) {
    import(&stage, &catalogue()).await;
    let facts = [
        Fact::Enrolment,
        Fact::Unlock { achievement: 5, hardcore: false, hour: 12 },
        Fact::Unlock { achievement: 6, hardcore: false, hour: 15 },
        Fact::Card { card: 2, quantity: 1, hour: 20 },
        Fact::Card { card: 3, quantity: 1, hour: 25 },
        Fact::Learning { resource: 0, completed: true, hour: 35 },
        Fact::Steps { goal: 1, steps: 4, hour: 40 },
        Fact::Steps { goal: 1, steps: 7, hour: 45 },
    ];
    let query = "query($user: String!) { user(by: { handle: $user }) {
        goals { completedAt goal { key } } resourceProgress(resourceIds: [\"noted\"]) { completedAt }
        collection(id: \"always\") { completedAt } gameSummaries(gameIds: [\"plain\"]) { awards { earnedAt } }
        history(first: 50) { nodes { kind occurredAt } } } }";
    let admin = stage.app(&[Scope::Admin]).await;
    let born = |handle: &str| json!({ "type": "user", "handle": handle, "createdAt": instant(0) });
    import(&stage, &[born("written"), born("imported"), born("backwards")]).await;
    for fact in &facts {
        fact.write(&stage, "written").await;
        import_files(&stage, &[vec![fact.record("imported")]]).await;
    }
    for fact in facts.iter().rev() {
        import_files(&stage, &[vec![fact.record("backwards")]]).await;
    }
    for handle in ["written", "imported", "backwards"] {
        let shown = admin.data(query, json!({ "user": handle })).await["user"].clone();
        let run = shown["goals"].as_array().unwrap().iter().find(|goal| goal["goal"]["key"] == "run").unwrap();
        let reached = [
            ("GOAL_COMPLETED", &run["completedAt"], 45),
            ("RESOURCE_COMPLETED", &shown["resourceProgress"][0]["completedAt"], 35),
            ("COLLECTION_COMPLETED", &shown["collection"]["completedAt"], 25),
            ("AWARD_EARNED", &shown["gameSummaries"][0]["awards"][0]["earnedAt"], 15),
        ];
        for (kind, date, hour) in reached {
            assert_eq!(*date, instant(hour), "{handle}: {kind}");
            let events = shown["history"]["nodes"].as_array().unwrap();
            let dates: Vec<&Value> =
                events.iter().filter(|event| event["kind"] == kind).map(|event| &event["occurredAt"]).collect();
            assert_eq!(dates, [date], "{handle}: {kind}");
        }
    }
    assert_sound(&admin).await;
}

async fn every_key_that_an_import_takes_can_be_asked_for_and_written(stage: Stage) {
    let keys = [
        "Trophy 8",
        "TLAD: Easy Rider ",
        "hooks:basic-hooks:use-state",
        "http://adlnet.gov/expapi/x?y=1#z",
        "ex10-?",
        "game:1",
    ];
    let mut records = vec![json!({ "type": "game", "key": "12210", "title": "GTA" }), user("gordon")];
    records.extend(
        keys.map(|key| json!({ "type": "achievement", "key": key, "game": "12210", "title": "A", "points": 0 })),
    );
    import(&stage, &records).await;
    let app = stage.app(&[Scope::ProgressWrite]).await;
    let list = "{ game(id: \"12210\") { achievements(first: 9) { nodes { id key } } } }";
    let shown = app.data(list, Value::Null).await["game"]["achievements"]["nodes"].clone();
    assert_eq!(shown.as_array().unwrap().len(), keys.len());
    for one in shown.as_array().unwrap() {
        let node = app.data("query($id: ID!) { node(id: $id) { id } }", json!({ "id": one["id"] })).await;
        assert_eq!(node["node"]["id"], one["id"]);
        for (id, status) in [(&one["id"], "APPLIED"), (&one["key"], "UNCHANGED")] {
            let query = "mutation($input: UnlockAchievementsInput!) { unlockAchievements(input: $input) { results { id status } } }";
            let input = json!({ "input": { "user": { "handle": "gordon" }, "unlocks": [{ "achievementId": id }] } });
            let result = app.data(query, input).await["unlockAchievements"]["results"][0].clone();
            assert_eq!(result, json!({ "id": one["id"], "status": status }));
        }
    }
    let id = app
        .data("{ user(by: { handle: \"gordon\" }) { gameSummaries(gameIds: [\"12210\"]) { id } } }", Value::Null)
        .await;
    let id = id["user"]["gameSummaries"][0]["id"].clone();
    let node = app.data("query($id: ID!) { node(id: $id) { id } }", json!({ "id": id })).await;
    assert_eq!(node["node"]["id"], id);
}

/// Whether a game of this key, title and picture is taken by an import and by a mutation, and the title that it has then.
async fn taken(stage: &Stage, admin: &Actor, given: [&str; 3]) -> [Option<String>; 2] {
    let [key, title, image] = given;
    let file = File::new(&[json!({ "type": "game", "key": key, "title": title, "image": image }).to_string()]);
    let now = Timestamp::parse(NOW).unwrap();
    let sources = vec![Source::File(file.0.clone())];
    let done = transfer::import(stage.db(), &Ids::system(), now, sources, &mut |_| {}, &|_| {}).await.unwrap();
    stage.app.refresh_catalogue().await.unwrap();
    let query = "query($id: ID!) { game(id: $id) { title } }";
    let shown = admin.query(query, json!({ "id": key })).await.json["data"]["game"]["title"].clone();
    let imported = (done.bad == 0).then(|| shown.as_str().unwrap().to_owned());
    let upsert =
        "mutation($input: UpsertGameInput!) { upsertGame(input: $input) { game { title } userErrors { code } } }";
    // Something else first, so that there is something to do.
    let other = json!({ "input": { "key": key, "title": "Other" } });
    admin.query(upsert, other).await;
    let answer = admin.query(upsert, json!({ "input": { "key": key, "title": title, "image": image } })).await.json;
    let payload = &answer["data"]["upsertGame"];
    let is_done = payload["userErrors"] == json!([]);
    [imported, is_done.then(|| payload["game"]["title"].as_str().unwrap().to_owned())]
}

async fn imports_and_mutations_refuse_the_same_keys_titles_and_addresses(stage: Stage) {
    let admin = stage.app(&[Scope::Admin]).await;
    let (url, longest) = ("https://example.org/a.png", "x".repeat(500));
    let (long_key, too_long_key) = ("k".repeat(255), "k".repeat(256));
    for (given, title) in [
        (["a b", " Basic \t Thuganomics\n", url], Some("Basic Thuganomics")),
        ([&*long_key, &*longest, "http://example.org"], Some(&*longest)),
        (["card:5", "A", url], Some("A")),
        ([&*too_long_key, "A", url], None),
        (["game:game:5", "A", url], None),
        ([" ", "A", url], None),
        (["..", "A", url], None),
        (["k\tl", "A", url], None),
        (["k1", " \n", url], None),
        (["k2", &*"x".repeat(501), url], None),
        (["k3", "a\u{202e}b", url], None),
        (["k4", "A", "javascript:alert(1)"], None),
        (["k5", "A", "https://example.org/a b"], None),
    ] {
        let title = title.map(str::to_owned);
        assert_eq!(taken(&stage, &admin, given).await, [title.clone(), title], "{given:?}");
    }
}

async fn seasons_that_overlap_are_refused_by_imports_too(stage: Stage) {
    let season = |key: &str, hours: i64, lasts: i64| json!({ "type": "season", "key": key, "title": "S", "startsAt": instant(hours), "durationSeconds": lasts * 3600 });
    import(&stage, &[season("one", 90, 100), season("two", 190, 10)]).await;
    let complain = async |records: &[Value]| {
        let file = File::new(&records.iter().map(Value::to_string).collect::<Vec<_>>());
        let mut complaints = Vec::new();
        let mut note = |one: transfer::Complaint| complaints.push(one.reason);
        let sources = vec![Source::File(file.0.clone())];
        let now = Timestamp::parse(NOW).unwrap();
        transfer::import(stage.db(), &Ids::system(), now, sources, &mut note, &|_| {}).await.unwrap();
        complaints
    };
    // In the middle of one, longer than there is room, and two of one file.
    for records in [
        vec![season("three", 150, 10)],
        vec![season("one", 90, 101)],
        vec![season("four", 300, 10), season("five", 305, 10)],
    ] {
        let complaints = complain(&records).await;
        assert!(complaints.len() == 1 && complaints[0].contains("overlap"), "{complaints:?}");
    }
    assert_eq!(import(&stage, &[season("one", 90, 100), season("two", 190, 10), season("four", 300, 10)]).await.new, 0);
}

/// What an import says of these records.
async fn complaints(stage: &Stage, records: &[Value]) -> Vec<String> {
    let file = File::new(&records.iter().map(Value::to_string).collect::<Vec<_>>());
    let mut said = Vec::new();
    let mut note = |one: transfer::Complaint| said.push(one.reason);
    let (now, sources) = (Timestamp::parse(NOW).unwrap(), vec![Source::File(file.0.clone())]);
    transfer::import(stage.db(), &Ids::system(), now, sources, &mut note, &|_| {}).await.unwrap();
    stage.app.refresh_catalogue().await.unwrap();
    said
}

async fn what_an_edit_of_the_catalogue_cannot_do_an_import_cannot_do_either(stage: Stage) {
    import(&stage, &catalogue()).await;
    let season = |more: Value| {
        let mut season = json!({ "type": "season", "key": "summer", "title": "Summer", "startsAt": instant(0), "durationSeconds": 400 * 3600 });
        season.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
        season
    };
    let goal = |key: &str, week: i64| json!({ "type": "goal", "key": key, "season": "summer", "week": week, "title": "G", "totalSteps": 1, "rewardMicros": 1 });
    for (record, reason) in [
        (goal("late", 4), "the season has 3 weeks, and 4 is none of them"),
        (
            season(json!({ "weeks": [{ "number": 4, "title": "W" }] })),
            "weeks.0: the season has 3 weeks, and 4 is none of them",
        ),
        (
            season(json!({ "budgets": [{ "week": 4, "capMicros": 5 }] })),
            "budgets.0: the season has 3 weeks, and 4 is none of them",
        ),
        (
            json!({ "type": "studyPlan", "key": "p", "title": "P", "resources": ["aaaaaaaaaaaaaaaaaaaaaaaa"] }),
            "resourceIds.0: there is no resource \"aaaaaaaaaaaaaaaaaaaaaaaa\" in the catalogue",
        ),
    ] {
        assert_eq!(complaints(&stage, &[record]).await, [reason]);
    }
    import(&stage, &[goal("third", 3)]).await;
    let shorter = season(json!({ "durationSeconds": 300 * 3600 }));
    assert_eq!(
        complaints(&stage, &[shorter]).await,
        ["the goal \"third\" is of a week that the season would not have"]
    );
    let many: Vec<Value> = (0..997).map(|number| goal(&format!("goal-{number}"), 1)).collect();
    assert_eq!(complaints(&stage, &many).await, ["a season has at most 1000 goals"]);
    let cards =
        |more: usize| json!({ "type": "card", "key": format!("more-{more}"), "collection": "winter", "name": "C" });
    let many: Vec<Value> = (0..10_000).map(cards).collect();
    let before = stage.db().statements(waymark::db::Asker::Request);
    assert_eq!(complaints(&stage, &many).await, ["a collection has at most 10000 cards"; 2]);
    let statements = stage.db().statements(waymark::db::Asker::Request) - before;
    assert!(statements < 500, "not one for each card: {statements}");
}

async fn what_an_import_changes_about_goals_and_budgets_is_carried_over_to_everybody(stage: Stage) {
    import(&stage, &catalogue()).await;
    let admin = stage.app(&[Scope::Admin, Scope::ProgressWrite]).await;
    let goal = |key: &str, steps: i64, more: Value| {
        let mut goal = json!({ "type": "goal", "key": key, "season": "summer", "title": "Walk", "totalSteps": steps, "rewardMicros": 2_000_000 });
        goal.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
        goal
    };
    import(&stage, &[user("ann"), user("bob"), goal("walk", 3, json!({}))]).await;
    for user in ["ann", "bob"] {
        import(&stage, &[json!({ "type": "enrolment", "user": user, "season": "summer", "at": instant(1) })]).await;
    }
    let steps = |user: &str, steps: i64| json!({ "type": "goalProgress", "user": user, "goal": "walk", "completedSteps": steps, "at": instant(9) });
    import(&stage, &[steps("ann", 3), steps("bob", 2)]).await;
    let claim = "mutation($input: ClaimGoalsInput!) { claimGoals(input: $input) { results { status } } }";
    let input = json!({ "input": { "user": { "handle": "ann" }, "goalIds": ["walk"] } });
    assert_eq!(admin.data(claim, input).await["claimGoals"]["results"][0]["status"], "CLAIMED");

    // A budget that comes late begins with what was granted, whatever the file says of it.
    let season = |cap: i64| {
        let budgets = json!([{ "capMicros": cap, "spentMicros": 7 }]);
        json!({ "type": "season", "key": "summer", "title": "Summer", "startsAt": instant(0), "durationSeconds": 400 * 3600, "budgets": budgets })
    };
    assert_eq!(complaints(&stage, &[season(1_000_000)]).await, ["budgets.0: more than that has been granted already"]);
    import(&stage, &[season(5_000_000)]).await;
    assert_sound(&admin).await;
    assert_eq!(
        complaints(&stage, &[goal("walk", 3, json!({ "week": 1 }))]).await,
        ["the reward of \"walk\" has been claimed; it stays in its week"]
    );

    let states = async || {
        let query = "{ users(by: [{ handle: \"ann\" }, { handle: \"bob\" }]) { goals { goal { key } completedSteps completedAt } } }";
        let users = admin.data(query, Value::Null).await["users"].clone();
        let walk = |user: &Value| {
            let goals = user["goals"].as_array().unwrap().iter();
            let walk = goals.clone().find(|goal| goal["goal"]["key"] == "walk").unwrap();
            (walk["completedSteps"].as_i64().unwrap(), walk["completedAt"].is_string())
        };
        users.as_array().unwrap().iter().map(walk).collect::<Vec<_>>()
    };
    assert_eq!(states().await, [(3, true), (2, false)]);
    import(&stage, &[goal("walk", 4, json!({}))]).await;
    assert_eq!(states().await, [(3, false), (2, false)]);
    assert_sound(&admin).await;
    import(&stage, &[goal("walk", 2, json!({}))]).await;
    assert_eq!(states().await, [(2, true), (2, true)]);
    assert_sound(&admin).await;
}

async fn a_claim_that_was_brought_along_is_worth_what_the_goal_is_worth_everywhere(stage: Stage) {
    let records = [
        json!({ "type": "season", "key": "s", "title": "S", "startsAt": instant(0), "durationSeconds": 6_048_000, "budgets": [{ "capMicros": 1_000_000 }] }),
        json!({ "type": "goal", "key": "g", "season": "s", "title": "Hello", "rewardMicros": 5_000_000, "totalSteps": 1 }),
        user("lovelace"),
        json!({ "type": "enrolment", "user": "lovelace", "season": "s", "at": instant(1) }),
        json!({ "type": "goalProgress", "user": "lovelace", "goal": "g", "completedSteps": 1, "at": instant(2) }),
        json!({ "type": "goalClaim", "user": "lovelace", "goal": "g", "at": instant(4) }),
        json!({ "type": "goalClaim", "user": "lovelace", "goal": "g", "at": instant(3) }),
        json!({ "type": "creditLot", "user": "lovelace", "ref": "g", "amountMicros": 5_000_000, "grantedAt": instant(4) }),
    ];
    import(&stage, &records).await;
    assert_eq!(import(&stage, &records).await.new, 0);
    let app = stage.app(&[Scope::Admin, Scope::ProgressWrite]).await;
    let shown = app
        .data("{ user(by: { handle: \"lovelace\" }) { goals { isClaimed reward { credits } } } }", Value::Null)
        .await;
    assert_eq!(shown["user"]["goals"], json!([{ "isClaimed": true, "reward": { "credits": "5" } }]));
    let claim =
        "mutation($input: ClaimGoalsInput!) { claimGoals(input: $input) { results { status credits { credits } } } }";
    let input = json!({ "input": { "user": { "handle": "lovelace" }, "goalIds": ["g"] } });
    let again = app.data(claim, input).await["claimGoals"]["results"][0].clone();
    assert_eq!(again, json!({ "status": "ALREADY_CLAIMED", "credits": { "credits": "5" } }));
    let claims: Vec<Value> =
        state(&stage, "lovelace").await.into_iter().filter(|record| record["type"] == "goalClaim").collect();
    assert_eq!(claims, [json!({ "type": "goalClaim", "goal": "g", "rewardMicros": 5_000_000, "at": instant(3) })]);
    assert_sound(&app).await;
}

async fn claims_and_blocks_that_differ_come_to_the_same_in_any_order(stage: Stage) {
    import(&stage, &catalogue()).await;
    import(&stage, &[user("one"), user("two")]).await;
    let claim = |user: &str, hours: i64, micros: i64| json!({ "type": "goalClaim", "user": user, "goal": "swim", "at": instant(hours), "rewardMicros": micros });
    let block = |user: &str, until: i64, lifted: Option<i64>, reason: &str| json!({ "type": "block", "user": user, "scope": "ALL", "from": instant(1), "until": instant(until), "liftedAt": lifted.map(instant), "reason": reason });
    let records = |user: &str| {
        [
            claim(user, 20, 7),
            claim(user, 10, 3),
            claim(user, 10, 4),
            block(user, 200, None, "Spam"),
            block(user, 300, Some(40), "Noise"),
            block(user, 250, Some(30), "Spam"),
        ]
    };
    import(&stage, &records("one")).await;
    for record in records("two").into_iter().rev() {
        import(&stage, &[record]).await;
    }
    let one = state(&stage, "one").await;
    assert_eq!(state(&stage, "two").await, one);
    assert_eq!(one[0], json!({ "type": "goalClaim", "goal": "swim", "at": instant(10), "rewardMicros": 4 }), "{one:?}");
    let block = json!({ "type": "block", "scope": "ALL", "from": instant(1), "until": instant(200), "liftedAt": instant(30), "reason": "Noise" });
    assert_eq!(one[1], block);
    let many: Vec<Value> = (2..23)
        .map(|hours| json!({ "type": "block", "user": "one", "scope": "CLAIM", "from": instant(hours), "reason": "R" }))
        .collect();
    let refused = "20 blocks of the user are in force, and nobody has more";
    assert_eq!(complaints(&stage, &many).await, [refused]);
    assert_sound(&stage.app(&[Scope::Admin]).await).await;
}

async fn an_erasure_that_comes_by_import_forgets_what_makes_writes_safe_to_repeat(stage: Stage) {
    use sea_orm::{ConnectionTrait as _, Statement};
    let account = json!([{ "provider": "jwt", "id": "|lovelace" }]);
    import(&stage, &[json!({ "type": "user", "handle": "lovelace", "accounts": account })]).await;
    let record = "INSERT INTO idempotency_keys (principal, mutation, key, body_hash, outcome, created_at) \
        VALUES ('jwt:|lovelace', 'updateProfile', 'k', 'h', 'personal', 0)";
    stage.db().writes().execute_unprepared(record).await.unwrap();
    let mut out = Vec::new();
    let scope = transfer::Scope::User("lovelace".to_owned());
    transfer::export(stage.db(), &mut out, &scope, false, &|_| {}).await.unwrap();
    let text = String::from_utf8(out).unwrap();
    let user = text.lines().find(|line| line.contains(r#""type":"user""#)).unwrap();
    let mut user: Value = serde_json::from_str(user).unwrap();
    let tombstone = format!("~{}", user["id"].as_str().unwrap().to_lowercase());
    user["handle"] = json!(tombstone);
    user["erasedAt"] = json!(NOW);
    user.as_object_mut().unwrap().remove("accounts");
    let header = json!({ "type": "waymark", "version": 2, "history": true });
    import(&stage, &[header, user]).await;
    for table in ["idempotency_keys", "accounts"] {
        let count = format!("SELECT count(*) FROM {table}");
        let statement = Statement::from_string(stage.db().reads().get_database_backend(), count);
        let row = stage.db().reads().query_one_raw(statement).await.unwrap().unwrap();
        assert_eq!(row.try_get_by_index::<i64>(0).unwrap(), 0, "{table}");
    }
}
