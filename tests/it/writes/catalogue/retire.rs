//! Renaming, retiring and deleting things of the catalogue, of all types alike.

use sea_orm::ConnectionTrait as _;
use serde_json::{Value, json};
use waymark::auth::Scope;
use waymark::db::{Db, Kind};

use super::{audit_log, execute, number, perform, refusals};
use crate::harness::{Actor, Stage, by_hand, tests};

tests! {
    empty: [
        everything_is_renamed_under_its_key,
        what_is_retired_is_hidden_and_takes_no_new_progress,
        retiring_changes_what_counts_and_nothing_that_was_achieved,
        a_retired_season_is_in_no_others_way,
        what_a_season_pushed_back_stays_there_when_it_is_retired,
        a_card_of_a_collection_that_is_over_is_retired_or_deleted,
        what_nobody_has_progress_with_is_deleted,
        what_somebody_has_progress_with_stays,
        a_goal_that_paid_somebody_stays_however_it_is_removed,
        what_is_in_use_is_refused_while_others_write,
        only_users_with_what_changed_are_counted_anew_however_many_there_are,
        a_retired_collection_is_listed_for_those_who_have_something_of_it,
    ],
}

/// A type of thing in the catalogue, of which there is one.
struct Thing {
    /// Its global id.
    id: &'static str,
    /// What it is in GraphQL, and how its title is called there.
    shown: (&'static str, &'static str),
    /// The list in which it stands, and the places of that list in the answer.
    list: (&'static str, &'static str),
    /// The mutation that writes it, and the input around its own fields, if it is written with what it belongs to.
    upsert: (&'static str, Option<(&'static str, &'static str)>),
    /// A write of progress with it: the mutation and its input.
    progress: (&'static str, Value),
}

impl Thing {
    fn key(&self) -> &str {
        self.id.split_once(':').unwrap().1
    }

    /// The input of the mutation that sets this field of it.
    fn input(&self, field: &str, value: &Value) -> Value {
        let own = json!({ "key": self.key(), field: value });
        match self.upsert.1 {
            Some((parent, list)) => json!({ "key": parent, list: [own] }),
            None => own,
        }
    }

    async fn set(&self, admin: &Actor, field: &str, value: Value) {
        let payload = perform(admin, self.upsert.0, "__typename", &self.input(field, &value)).await;
        assert_eq!(payload["userErrors"], json!([]), "{} {field}: {payload}", self.id);
    }

    /// Retires it, or takes that back.
    async fn retire(&self, admin: &Actor, retired: bool) {
        match self.shown.0 {
            // One that is not published is retired.
            "Achievement" => self.set(admin, "published", json!(!retired)).await,
            _ => self.set(admin, "retired", json!(retired)).await,
        }
    }

    async fn is_listed(&self, actor: &Actor) -> bool {
        let data = actor.data(self.list.0, Value::Null).await;
        let list = data.pointer(self.list.1).unwrap().as_array().unwrap();
        list.iter().any(|one| one["key"] == self.key())
    }

    /// What the server says of it.
    async fn node(&self, actor: &Actor) -> Value {
        let (kind, title) = self.shown;
        let retired = if kind == "Achievement" { "" } else { "retiredAt" };
        let query = format!("query($id: ID!) {{ node(id: $id) {{ ... on {kind} {{ {title} {retired} }} }} }}");
        actor.data(&query, json!({ "id": self.id })).await["node"].clone()
    }

    /// Writes ann's progress with it, and gives the codes of what was refused.
    async fn progress(&self, app: &Actor) -> Vec<String> {
        write(app, self.progress.0, &self.progress.1).await
    }
}

/// Carries a write for ann out, and gives the codes of what was refused.
async fn write(app: &Actor, mutation: &str, input: &Value) -> Vec<String> {
    let name = format!("{}{}Input", mutation[..1].to_uppercase(), &mutation[1..]);
    let document = format!("mutation($input: {name}!) {{ {mutation}(input: $input) {{ userErrors {{ code }} }} }}");
    let mut input = input.clone();
    input["user"] = json!({ "handle": "ann" });
    let payload = app.data(&document, json!({ "input": input })).await[mutation].clone();
    let errors = payload["userErrors"].as_array().unwrap().iter();
    errors.map(|error| error["code"].as_str().unwrap().to_owned()).collect()
}

/// One of each type, those that belong to others first.
fn things() -> [Thing; 8] {
    let cards = json!({ "cards": [{ "cardId": "k", "quantity": 1 }] });
    let unlocks = |key: &str| json!({ "unlocks": [{ "achievementId": key }] });
    [
        Thing {
            id: "card:k",
            shown: ("Card", "name"),
            list: ("{ collection(id: \"c\") { cards { key } } }", "/collection/cards"),
            upsert: ("upsertCollection", Some(("c", "cards"))),
            progress: ("grantCards", cards.clone()),
        },
        Thing {
            id: "collection:c",
            shown: ("Collection", "name"),
            list: ("{ collections { nodes { key } } }", "/collections/nodes"),
            upsert: ("upsertCollection", None),
            progress: ("grantCards", cards),
        },
        Thing {
            id: "achievement:a",
            shown: ("Achievement", "title"),
            list: ("{ game(id: \"g\") { achievements { nodes { key } } } }", "/game/achievements/nodes"),
            upsert: ("upsertGame", Some(("g", "achievements"))),
            progress: ("unlockAchievements", unlocks("a")),
        },
        Thing {
            id: "game:g",
            shown: ("Game", "title"),
            list: ("{ games(search: \"g\") { nodes { key } } }", "/games/nodes"),
            upsert: ("upsertGame", None),
            progress: ("unlockAchievements", unlocks("b")),
        },
        Thing {
            id: "goal:step",
            shown: ("Goal", "title"),
            list: ("{ season(id: \"s\") { goals { key } } }", "/season/goals"),
            upsert: ("upsertSeason", Some(("s", "goals"))),
            progress: ("recordGoalSteps", json!({ "steps": [{ "goalId": "step", "add": 1 }] })),
        },
        Thing {
            id: "season:s",
            shown: ("Season", "title"),
            list: ("{ seasons { nodes { key } } }", "/seasons/nodes"),
            upsert: ("upsertSeason", None),
            progress: ("enrollInSeason", json!({ "seasonId": "s" })),
        },
        Thing {
            id: "study_plan:p",
            shown: ("StudyPlan", "title"),
            list: ("{ studyPlans { nodes { key } } }", "/studyPlans/nodes"),
            upsert: ("upsertStudyPlan", None),
            progress: ("createStudyPlanInstance", json!({ "studyPlanId": "p" })),
        },
        Thing {
            id: "resource:r",
            shown: ("Resource", "title"),
            list: ("{ resources(search: \"g\") { nodes { key } } }", "/resources/nodes"),
            upsert: ("upsertResource", None),
            progress: ("setResourcesCompletion", json!({ "resourceIds": ["r"], "completed": true })),
        },
    ]
}

/// Writes the catalogue of [`things`], and adds ann, who takes part in the season.
async fn fill(admin: &Actor) {
    define(admin).await;
    let user = "mutation { upsertUser(input: {handle: \"ann\"}) { userErrors { code } } }";
    assert_eq!(admin.data(user, Value::Null).await["upsertUser"]["userErrors"], json!([]));
    assert_eq!(write(admin, "enrollInSeason", &json!({})).await, [""; 0]);
}

/// Writes the catalogue of [`things`].
async fn define(admin: &Actor) {
    let season = json!({
        "key": "s", "title": "Long", "startDate": "2026-06-01T00:00:00Z", "duration": 5_184_000,
        "goals": [{ "key": "step", "title": "Go", "totalSteps": 3, "reward": "1" }],
    });
    let game = json!({ "key": "g", "title": "Long", "achievements": [
        { "key": "a", "title": "Go", "points": 5 }, { "key": "b", "title": "Go", "points": 7 },
    ] });
    let cards = json!([{ "key": "k", "name": "Go" }, { "key": "l", "name": "Go" }]);
    for (mutation, input) in [
        ("upsertSeason", season),
        ("upsertGame", game),
        ("upsertCollection", json!({ "key": "c", "name": "Long", "cards": cards })),
        ("upsertResource", json!({ "key": "r", "title": "Long" })),
        ("upsertResource", json!({ "key": "q", "title": "Long" })),
        ("upsertStudyPlan", json!({ "key": "p", "title": "Long", "resourceIds": ["r", "q"] })),
    ] {
        let payload = perform(admin, mutation, "__typename", &input).await;
        assert_eq!(payload["userErrors"], json!([]), "{mutation}");
    }
}

async fn is_sound(admin: &Actor) {
    let verify = "mutation { verify(input: {}) { differences { check what stored expected } } }";
    assert_eq!(admin.data(verify, Value::Null).await["verify"]["differences"], json!([]));
}

/// What ann sees of herself.
async fn ann(app: &Actor, asked: &str) -> Value {
    app.data(&format!("{{ user(by: {{handle: \"ann\"}}) {{ {asked} }} }}"), Value::Null).await["user"].clone()
}

async fn delete(admin: &Actor, id: &str, dry_run: bool) -> Value {
    let document = "mutation($input: DeleteCatalogueItemInput!) { deleteCatalogueItem(input: $input) { deletedId
        userErrors { code path message } } }";
    let input = json!({ "input": { "id": id, "dryRun": dry_run } });
    admin.data(document, input).await["deleteCatalogueItem"].clone()
}

async fn everything_is_renamed_under_its_key(stage: Stage) {
    let admin = stage.app(&[Scope::Admin]).await;
    fill(&admin).await;
    for thing in things() {
        let (_, title) = thing.shown;
        thing.set(&admin, title, json!("Another game")).await;
        assert_eq!(thing.node(&stage.anonymous()).await[title], "Another game", "{}", thing.id);
    }
}

async fn what_is_retired_is_hidden_and_takes_no_new_progress(stage: Stage) {
    let admin = stage.app(&[Scope::Admin]).await;
    let others = [stage.anonymous(), stage.app(&[Scope::ProgressWrite]).await];
    fill(&admin).await;
    for thing in things() {
        let is_achievement = thing.shown.0 == "Achievement";
        if thing.shown.0 == "Season" {
            let leave = "DELETE FROM season_enrolments";
            execute(&stage, leave).await;
        }
        for _ in 0..2 {
            thing.retire(&admin, true).await;
        }
        for other in &others {
            assert!(!thing.is_listed(other).await, "{}", thing.id);
        }
        // Operators find it.
        assert_eq!(thing.is_listed(&admin).await, !is_achievement, "{}", thing.id);
        let node = thing.node(&stage.anonymous()).await;
        let retired = if is_achievement { Value::Null } else { json!("2026-06-17T12:00:00.000Z") };
        assert_eq!(node["retiredAt"], retired, "{}", thing.id);
        let code = if is_achievement { "UNKNOWN_ACHIEVEMENT" } else { "RETIRED" };
        assert_eq!(thing.progress(&others[1]).await, [code], "{}", thing.id);

        thing.retire(&admin, false).await;
        assert!(thing.is_listed(&stage.anonymous()).await, "{}", thing.id);
        assert_eq!(thing.node(&stage.anonymous()).await["retiredAt"], Value::Null, "{}", thing.id);
        assert_eq!(thing.progress(&others[1]).await, [""; 0], "{}", thing.id);
    }
    is_sound(&admin).await;
    // What was done before is no new progress.
    for thing in things() {
        if ["Season", "Resource", "Game"].contains(&thing.shown.0) {
            thing.retire(&admin, true).await;
            assert_eq!(thing.progress(&others[1]).await, [""; 0], "{}", thing.id);
        }
    }
    let current = stage.anonymous().data("{ currentSeason { key } }", Value::Null).await;
    assert_eq!(current["currentSeason"], Value::Null);
    // Each change is told once: retired, brought back, and three are retired again.
    let log = audit_log(&stage).await;
    let told = log.iter().filter(|(.., changes)| changes.get("retiredAt").is_some()).count();
    assert_eq!(told, 2 * 5 + 3);
}

async fn retiring_changes_what_counts_and_nothing_that_was_achieved(stage: Stage) {
    let admin = stage.app(&[Scope::Admin]).await;
    fill(&admin).await;
    let things = things();
    let thing = |id: &str| things.iter().find(|thing| thing.id == id).unwrap();
    for id in ["card:k", "achievement:a", "study_plan:p", "resource:r", "goal:step"] {
        assert_eq!(thing(id).progress(&admin).await, [""; 0], "{id}");
    }
    let collection =
        "collections { nodes { size collectedCount progressInPercentage status cards { card { key } quantity } } }";
    let of_collection = async || ann(&admin, collection).await["collections"]["nodes"][0].clone();
    let k = json!([{ "card": { "key": "k" }, "quantity": 1 }]);
    let both = json!([k[0], { "card": { "key": "l" }, "quantity": 0 }]);

    // Of a card that is owned the collection no longer counts; the owner sees it.
    thing("card:k").retire(&admin, true).await;
    let expected =
        json!({ "size": 1, "collectedCount": 0, "progressInPercentage": 0, "status": "NOT_STARTED", "cards": both });
    assert_eq!(of_collection().await, expected);
    is_sound(&admin).await;
    thing("card:k").retire(&admin, false).await;
    let expected =
        json!({ "size": 2, "collectedCount": 1, "progressInPercentage": 50, "status": "IN_PROGRESS", "cards": both });
    assert_eq!(of_collection().await, expected);
    // Who owns all others has completed it, for good.
    perform(
        &admin,
        "upsertCollection",
        "__typename",
        &json!({ "key": "c", "cards": [{ "key": "l", "retired": true }] }),
    )
    .await;
    let expected =
        json!({ "size": 1, "collectedCount": 1, "progressInPercentage": 100, "status": "COMPLETED", "cards": k });
    assert_eq!(of_collection().await, expected);
    is_sound(&admin).await;
    perform(
        &admin,
        "upsertCollection",
        "__typename",
        &json!({ "key": "c", "cards": [{ "key": "l", "retired": false }] }),
    )
    .await;
    let expected =
        json!({ "size": 2, "collectedCount": 1, "progressInPercentage": 50, "status": "COMPLETED", "cards": both });
    assert_eq!(of_collection().await, expected);
    is_sound(&admin).await;

    // A collection stays with those who have cards of it, and a game with its players.
    thing("collection:c").retire(&admin, true).await;
    assert_eq!(of_collection().await, expected);
    thing("game:g").retire(&admin, true).await;
    let games = ann(&admin, "games { nodes { numAchieved numPossible game { key } } }").await;
    assert_eq!(games["games"]["nodes"], json!([{ "numAchieved": 1, "numPossible": 2, "game": { "key": "g" } }]));

    // A resource counts in no instance, and the progress with it stays.
    let instances = "studyPlanInstances { completedCount percent resources { resource { key } } } resources { nodes { resourceKey completed } }";
    let of_learning = async || ann(&admin, instances).await;
    thing("resource:r").retire(&admin, true).await;
    let expected = json!({
        "studyPlanInstances": [{ "completedCount": 0, "percent": 0, "resources": [{ "resource": { "key": "q" } }] }],
        "resources": { "nodes": [{ "resourceKey": "r", "completed": true }] },
    });
    assert_eq!(of_learning().await, expected);
    write(&admin, "createStudyPlanInstance", &json!({ "studyPlanId": "p" })).await;
    thing("study_plan:p").retire(&admin, true).await;
    thing("resource:r").retire(&admin, false).await;
    let instances = of_learning().await["studyPlanInstances"].clone();
    assert_eq!(instances[0]["completedCount"], 1);
    // One that was made meanwhile is without it.
    assert_eq!(instances[1]["resources"], json!([{ "resource": { "key": "q" } }]));

    // A goal stays with those who have made steps of it, takes no more of them, and is claimed when it was completed.
    let goals = "goals { goal { key } goalState completedSteps }";
    thing("goal:step").retire(&admin, true).await;
    let expected = json!([{ "goal": { "key": "step" }, "goalState": "MISSED", "completedSteps": 1 }]);
    assert_eq!(ann(&admin, goals).await["goals"], expected);
    thing("goal:step").retire(&admin, false).await;
    let all = json!({ "steps": [{ "goalId": "step", "setTo": 3 }] });
    assert_eq!(write(&admin, "recordGoalSteps", &all).await, [""; 0]);
    thing("goal:step").retire(&admin, true).await;
    assert_eq!(write(&admin, "claimGoals", &json!({ "goalIds": ["step"] })).await, [""; 0]);
    assert_eq!(ann(&admin, "credits { available { credits } }").await["credits"]["available"]["credits"], "1");
    is_sound(&admin).await;
}

async fn a_retired_season_is_in_no_others_way(stage: Stage) {
    let admin = stage.app(&[Scope::Admin]).await;
    fill(&admin).await;
    let other = json!({ "key": "t", "title": "T", "startDate": "2026-06-10T00:00:00Z", "duration": 864_000 });
    let upsert = async |input: &Value| refusals(&perform(&admin, "upsertSeason", "__typename", input).await);
    assert_eq!(upsert(&other).await, ["SEASON_OVERLAP startDate"]);
    assert_eq!(upsert(&json!({ "key": "s", "retired": true })).await, [""; 0]);
    assert_eq!(upsert(&other).await, [""; 0]);
    let current = stage.anonymous().data("{ currentSeason { key state } }", Value::Null).await;
    assert_eq!(current["currentSeason"], json!({ "key": "t", "state": "ACTIVE" }));
    assert_eq!(upsert(&json!({ "key": "s", "retired": false })).await, ["SEASON_OVERLAP retired"]);
    // One that is over is retired and brought back.
    let over = json!({ "key": "o", "title": "O", "startDate": "2026-01-01T00:00:00Z", "duration": 864_000 });
    assert_eq!(upsert(&over).await, [""; 0]);
    for retired in [true, false] {
        assert_eq!(upsert(&json!({ "key": "o", "retired": retired })).await, [""; 0]);
    }
}

async fn what_a_season_pushed_back_stays_there_when_it_is_retired(stage: Stage) {
    let admin = stage.app(&[Scope::Admin]).await;
    let a = json!({
        "type": "season", "key": "a", "title": "A", "startsAt": "2026-01-01T00:00:00Z", "durationSeconds": 864_000,
    });
    let mut b = a.clone();
    (b["key"], b["startsAt"]) = (json!("b"), json!("2026-01-11T00:00:00Z"));
    crate::transfer::import(stage.db(), &format!("{a}\n{b}\n")).await;
    // As if it had been paused at the time.
    by_hand(
        stage.db(),
        "INSERT INTO season_pauses (season_id, from_at, until_at) \
         SELECT id, 1767312000000, 1767571200000 FROM seasons WHERE key = 'a'",
    )
    .await;
    stage.app.refresh_catalogue().await.unwrap();
    let start = async || {
        let season = stage.anonymous().data(r#"{ season(id: "b") { startDate endDate } }"#, Value::Null).await;
        season["season"].clone()
    };
    let pushed = start().await;
    assert!(pushed["startDate"].as_str().unwrap().starts_with("2026-01-14"), "{pushed}");
    for (key, retired) in [("a", true), ("b", true), ("b", false), ("a", false)] {
        let input = json!({ "key": key, "retired": retired });
        assert_eq!(refusals(&perform(&admin, "upsertSeason", "__typename", &input).await), [""; 0], "{input}");
        assert_eq!(start().await, pushed, "{input}");
    }
    assert_eq!(refusals(&delete(&admin, "season:a", false).await), ["IN_USE id"]);
    assert_eq!(start().await, pushed);
}

async fn a_card_of_a_collection_that_is_over_is_retired_or_deleted(stage: Stage) {
    let admin = stage.app(&[Scope::Admin]).await;
    fill(&admin).await;
    let past = json!({ "key": "past", "name": "Past", "cards": [
        { "key": "one", "name": "One" }, { "key": "two", "name": "Two" }, { "key": "three", "name": "Three" },
    ] });
    perform(&admin, "upsertCollection", "__typename", &past).await;
    let one = json!({ "cards": [{ "cardId": "one", "quantity": 1 }] });
    assert_eq!(write(&admin, "grantCards", &one).await, [""; 0]);
    let later = stage.with(&[("WAYMARK_CLOCK", "2026-06-19T00:00:00Z")]).await.app(&[Scope::Admin]).await;
    let over = json!({ "key": "past", "endDate": "2026-06-18T00:00:00Z" });
    assert_eq!(refusals(&perform(&later, "upsertCollection", "__typename", &over).await), [""; 0]);
    assert_eq!(delete(&later, "card:three", false).await["userErrors"], json!([]));
    is_sound(&later).await;
    let retired = json!({ "key": "past", "cards": [{ "key": "two", "retired": true }] });
    assert_eq!(refusals(&perform(&later, "upsertCollection", "__typename", &retired).await), [""; 0]);
    is_sound(&later).await;
    // All that is left was got inside the dates.
    let query = "collection(id: \"past\") { status completedAt } history(first: 1) { nodes { kind occurredAt } }";
    let at = "2026-06-17T12:00:00.000Z";
    let expected = json!({
        "collection": { "status": "COMPLETED", "completedAt": at },
        "history": { "nodes": [{ "kind": "COLLECTION_COMPLETED", "occurredAt": at }] },
    });
    assert_eq!(ann(&later, query).await, expected);
}

async fn what_nobody_has_progress_with_is_deleted(stage: Stage) {
    let admin = stage.app(&[Scope::Admin]).await;
    fill(&admin).await;
    execute(&stage, "DELETE FROM season_enrolments").await;
    let before = audit_log(&stage).await.len();
    let in_plan = delete(&admin, "resource:r", false).await;
    assert_eq!((refusals(&in_plan), &in_plan["deletedId"]), (vec!["IN_USE id".to_owned()], &Value::Null));
    for thing in things() {
        for dry_run in [true, false] {
            let deleted = delete(&admin, thing.id, dry_run).await;
            assert_eq!(deleted, json!({ "deletedId": thing.id, "userErrors": [] }));
            assert_eq!(thing.node(&admin).await.is_null(), !dry_run, "{}", thing.id);
        }
        let kind = thing.id.split(':').next().unwrap().to_uppercase();
        assert_eq!(refusals(&delete(&admin, thing.id, false).await), [format!("UNKNOWN_{kind} id")]);
    }
    let log = audit_log(&stage).await.split_off(before);
    let told: Vec<String> = log.iter().map(|(action, subject, _)| format!("{action} {subject}")).collect();
    let kind = |id: &str| id.split(':').next().unwrap().to_uppercase();
    let expected: Vec<String> =
        things().iter().map(|thing| format!("DELETE_{} {}", kind(thing.id), thing.id)).collect();
    assert_eq!(told, expected);
    for table in ["goals", "achievements", "cards", "study_plan_resources", "season_weeks", "collection_rewards"] {
        assert_eq!(number(&stage, &format!("SELECT count(*) FROM {table}")).await, 0, "{table}");
    }
    // What was deleted is there again by its next write.
    define(&admin).await;
    assert!(!things()[3].node(&admin).await.is_null());
    is_sound(&admin).await;
    let user = delete(&admin, "user:01J00000000000000000000000", false).await;
    assert_eq!(refusals(&user), ["INVALID_INPUT id"]);
    let answer = stage.app(&[Scope::ProgressWrite]).await;
    let document = "mutation { deleteCatalogueItem(input: {id: \"game:g\"}) { deletedId } }";
    assert_eq!(answer.query(document, Value::Null).await.codes(), ["FORBIDDEN"]);
    assert_eq!(admin.query(&document.replace("game:g", "g"), Value::Null).await.codes(), ["BAD_USER_INPUT"]);
}

async fn what_somebody_has_progress_with_stays(stage: Stage) {
    let admin = stage.app(&[Scope::Admin]).await;
    fill(&admin).await;
    for thing in things() {
        assert_eq!(thing.progress(&admin).await, [""; 0], "{}", thing.id);
    }
    for thing in things() {
        for dry_run in [true, false] {
            let refused = delete(&admin, thing.id, dry_run).await;
            assert_eq!(
                (refusals(&refused), &refused["deletedId"]),
                (vec!["IN_USE id".to_owned()], &Value::Null),
                "{}",
                thing.id
            );
        }
        assert!(!thing.node(&admin).await.is_null(), "{}", thing.id);
    }
    // What was taken back altogether is no progress.
    let take_back = [
        ("relockAchievements", json!({ "achievementIds": ["a", "b"] })),
        ("removeCards", json!({ "cards": [{ "cardId": "k", "quantity": 2 }] })),
    ];
    for (mutation, input) in &take_back {
        assert_eq!(write(&admin, mutation, input).await, [""; 0], "{mutation}");
    }
    for id in ["card:k", "achievement:a"] {
        assert_eq!(delete(&admin, id, false).await["userErrors"], json!([]), "{id}");
        is_sound(&admin).await;
    }
    let game = stage.anonymous().data("{ game(id: \"g\") { numPossible possibleScore } }", Value::Null).await;
    assert_eq!(game["game"], json!({ "numPossible": 1, "possibleScore": 7 }));
    for id in ["collection:c", "game:g"] {
        assert_eq!(delete(&admin, id, false).await["userErrors"], json!([]), "{id}");
        is_sound(&admin).await;
    }
    assert_eq!(number(&stage, "SELECT count(*) FROM game_summaries").await, 0);
    assert_eq!(number(&stage, "SELECT count(*) FROM collection_progress").await, 0);
}

/// The lists of inputs that remove what belongs to something, with one of [`things`] that is removed so.
fn removals() -> [(&'static str, Value); 2] {
    [
        ("upsertSeason", json!({ "key": "s", "removeGoals": ["step"] })),
        ("upsertCollection", json!({ "key": "c", "removeCards": ["k"] })),
    ]
}

async fn a_goal_that_paid_somebody_stays_however_it_is_removed(stage: Stage) {
    let admin = stage.app(&[Scope::Admin]).await;
    fill(&admin).await;
    let lot = "INSERT INTO credit_lots \
        (user_id, seq, amount_micros, remaining_micros, granted_at, source, goal_id) \
        SELECT u.id, 1, 5, 5, 0, 'GOAL', g.id FROM users u, goals g WHERE u.handle = 'ann' AND g.key = 'step'";
    execute(&stage, lot).await;
    let (mutation, input) = &removals()[0];
    assert_eq!(refusals(&perform(&admin, mutation, "__typename", input).await), ["IN_USE removeGoals.0"]);
    assert_eq!(refusals(&delete(&admin, "goal:step", false).await), ["IN_USE id"]);
    execute(&stage, "DELETE FROM credit_lots").await;
    assert_eq!(refusals(&perform(&admin, mutation, "__typename", input).await), [""; 0]);
}

async fn what_is_in_use_is_refused_while_others_write(stage: Stage) {
    let admin = stage.app(&[Scope::Admin]).await;
    fill(&admin).await;
    for thing in things() {
        assert_eq!(thing.progress(&admin).await, [""; 0], "{}", thing.id);
    }
    let neighbour = Db::connect(&stage.url, 1).await.unwrap();
    let held = match neighbour.kind() {
        // As a write of somebody's progress that lasts.
        Kind::Postgres => {
            let held = neighbour.begin().await.unwrap();
            held.execute_unprepared("SELECT pg_advisory_xact_lock_shared(8319)").await.unwrap();
            Some(held)
        }
        Kind::Sqlite => None,
    };
    for thing in things() {
        assert_eq!(refusals(&delete(&admin, thing.id, false).await), ["IN_USE id"], "{}", thing.id);
    }
    for (mutation, input) in removals() {
        // All that is wrong is told.
        let mut input = input;
        input["title"] = json!("");
        if mutation == "upsertCollection" {
            input["name"] = input["title"].take();
            input.as_object_mut().unwrap().remove("title");
        }
        let refused = refusals(&perform(&admin, mutation, "__typename", &input).await);
        assert!(refused.len() == 2 && refused.iter().any(|one| one.starts_with("IN_USE remove")), "{refused:?}");
    }
    if let Some(held) = held {
        held.rollback().await.unwrap();
    }
}

async fn only_users_with_what_changed_are_counted_anew_however_many_there_are(stage: Stage) {
    let admin = stage.app(&[Scope::Admin]).await;
    fill(&admin).await;
    let upsert = async |handle: &str| {
        let user = format!("mutation {{ upsertUser(input: {{handle: \"{handle}\"}}) {{ userErrors {{ code }} }} }}");
        assert_eq!(admin.data(&user, Value::Null).await["upsertUser"]["userErrors"], json!([]));
    };
    upsert("bob").await;
    // Many have come between them.
    let far = match stage.db().kind() {
        Kind::Postgres => "SELECT setval(pg_get_serial_sequence('users', 'id'), 25000)",
        Kind::Sqlite => "UPDATE sqlite_sequence SET seq = 25000 WHERE name = 'users'",
    };
    execute(&stage, far).await;
    upsert("zoe").await;
    assert!(number(&stage, "SELECT id FROM users WHERE handle = 'zoe'").await > 25_000);
    for (handle, achievement, card) in [("ann", "a", "k"), ("bob", "b", "l"), ("zoe", "a", "k")] {
        for (mutation, mut input) in [
            ("unlockAchievements", json!({ "unlocks": [{ "achievementId": achievement }] })),
            ("grantCards", json!({ "cards": [{ "cardId": card, "quantity": 1 }] })),
            ("recordGoalSteps", json!({ "steps": [{ "goalId": "step", "add": 2 }] })),
        ] {
            input["user"] = json!({ "handle": handle });
            let enrol = json!({ "user": input["user"] });
            perform_for(&admin, "enrollInSeason", &enrol).await;
            perform_for(&admin, mutation, &input).await;
        }
    }
    // Numbers that would be mended if bob were counted anew.
    execute(&stage, &format!("UPDATE game_summaries SET score_achieved = 999 WHERE user_id = {BOB}")).await;
    execute(&stage, &format!("UPDATE collection_progress SET collected_count = 0 WHERE user_id = {BOB}")).await;
    let of = async |sql: &str| {
        let one = async |handle: &str| {
            number(&stage, &format!("{sql} WHERE user_id = (SELECT id FROM users WHERE handle = '{handle}')")).await
        };
        [one("ann").await, one("bob").await, one("zoe").await]
    };
    let more = json!({ "key": "g", "achievements": [{ "key": "a", "points": 50 }] });
    assert_eq!(refusals(&perform(&admin, "upsertGame", "__typename", &more).await), [""; 0]);
    assert_eq!(of("SELECT CAST(score_achieved AS bigint) FROM game_summaries").await, [50, 999, 50]);
    let retired = json!({ "key": "c", "cards": [{ "key": "k", "retired": true }] });
    assert_eq!(refusals(&perform(&admin, "upsertCollection", "__typename", &retired).await), [""; 0]);
    assert_eq!(of("SELECT CAST(collected_count AS bigint) FROM collection_progress").await, [0, 0, 0]);
    execute(&stage, &format!("UPDATE game_summaries SET score_achieved = 7 WHERE user_id = {BOB}")).await;
    execute(&stage, &format!("UPDATE collection_progress SET collected_count = 1 WHERE user_id = {BOB}")).await;
    // Who owns all that counts has completed it; so has who did all steps that are wanted now.
    let gone = json!({ "key": "c", "cards": [{ "key": "l", "retired": true }, { "key": "k", "retired": false }] });
    assert_eq!(refusals(&perform(&admin, "upsertCollection", "__typename", &gone).await), [""; 0]);
    assert_eq!(
        of("SELECT CAST(completed_at IS NOT NULL AS integer) * CAST(1 AS bigint) FROM collection_progress").await,
        [1, 0, 1]
    );
    let fewer = json!({ "key": "s", "goals": [{ "key": "step", "totalSteps": 2 }] });
    assert_eq!(refusals(&perform(&admin, "upsertSeason", "__typename", &fewer).await), [""; 0]);
    assert_eq!(
        of("SELECT CAST(completed_at IS NOT NULL AS integer) * CAST(1 AS bigint) FROM goal_progress").await,
        [1, 1, 1]
    );
    is_sound(&admin).await;
    // Who is found last keeps it too.
    execute(&stage, "DELETE FROM achievement_unlocks WHERE user_id < 25000").await;
    execute(&stage, "DELETE FROM owned_cards WHERE user_id < 25000").await;
    for id in ["achievement:a", "card:k", "goal:step"] {
        assert_eq!(refusals(&delete(&admin, id, false).await), ["IN_USE id"], "{id}");
    }
}

/// Bob's internal id in SQL.
const BOB: &str = "(SELECT id FROM users WHERE handle = 'bob')";

/// Carries a write out that must not be refused, for whom its input names.
async fn perform_for(app: &Actor, mutation: &str, input: &Value) {
    let name = format!("{}{}Input", mutation[..1].to_uppercase(), &mutation[1..]);
    let document = format!("mutation($input: {name}!) {{ {mutation}(input: $input) {{ userErrors {{ code }} }} }}");
    let payload = app.data(&document, json!({ "input": input })).await[mutation].clone();
    assert_eq!(payload["userErrors"], json!([]), "{mutation}: {payload}");
}

async fn a_retired_collection_is_listed_for_those_who_have_something_of_it(stage: Stage) {
    let admin = stage.app(&[Scope::Admin]).await;
    fill(&admin).await;
    let is_listed = async || {
        let user =
            ann(&admin, "collections { totalCount nodes { collection { key } } } overview { nodes { title } }").await;
        let listed = user["collections"]["totalCount"] == 1;
        assert_eq!(user["collections"]["nodes"].as_array().unwrap().len(), usize::from(listed));
        let overview = user["overview"]["nodes"].as_array().unwrap();
        assert_eq!(overview.iter().any(|node| node["title"] == "Long"), listed, "{overview:?}");
        listed
    };
    for thing in ["season:s", "study_plan:p", "game:g", "resource:r", "resource:q"] {
        delete_for_sure(&stage, &admin, thing).await;
    }
    let cards = |quantity: u32| json!({ "cards": [{ "cardId": "k", "quantity": quantity }] });
    let retire = async |retired: bool| {
        let input = json!({ "key": "c", "retired": retired, "cards": [{ "key": "k", "retired": retired }] });
        perform(&admin, "upsertCollection", "__typename", &input).await;
    };
    assert!(is_listed().await);
    retire(true).await;
    assert!(!is_listed().await, "of it there is nothing");
    retire(false).await;
    assert_eq!(write(&admin, "grantCards", &cards(2)).await, [""; 0]);
    retire(true).await;
    assert!(is_listed().await, "a card that does not count is something");
    assert_eq!(write(&admin, "removeCards", &cards(2)).await, [""; 0]);
    assert!(!is_listed().await, "only zeros are left");
    retire(false).await;
    assert!(is_listed().await);
    assert_eq!(write(&admin, "grantCards", &cards(1)).await, [""; 0]);
    perform(&admin, "upsertCollection", "__typename", &json!({ "key": "c", "removeCards": ["l"] })).await;
    assert_eq!(write(&admin, "removeCards", &cards(1)).await, [""; 0]);
    retire(true).await;
    assert!(is_listed().await, "it was completed");
    is_sound(&admin).await;
}

/// Deletes a thing with which ann alone has progress.
async fn delete_for_sure(stage: &Stage, admin: &Actor, id: &str) {
    execute(stage, "DELETE FROM season_enrolments").await;
    assert_eq!(refusals(&delete(admin, id, false).await), [""; 0], "{id}");
}
