//! The four queries, and random requests for them.

use std::cell::Cell;
use std::fmt::Write as _;
use std::sync::{Mutex, PoisonError};

use waymark::demo::load;

use crate::rng::Rng;
use crate::spelling::Spelling;

/// What is asked for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Query {
    /// One user by id with the handle.
    One,
    /// The profile page: season, credits, goals, resources, games and collections of one user.
    Profile,
    /// 50 users, each with 10 games and 5 resources.
    Many,
    /// One user with 20 games.
    Games,
    /// One achievement of one user is unlocked.
    Unlock,
    /// The reward of one goal of one user is claimed.
    Claim,
    /// 100 achievements of one user are unlocked.
    UnlockMany,
    /// All goals of one user are completed, so that they can be claimed.
    Complete,
}

const ONE: &str = "query($id: ID!) { user(by: {id: $id}) { id handle } }";

const PROFILE: &str = "query($id: ID!, $games: [ID!]!, $resources: [ID!]!) { user(by: {id: $id}) { \
    season { state timeLeft hasStartedProgram currentWeek { number } } \
    credits { available { credits } expiresIn isBlockedForClaiming } \
    goals { title completedSteps totalSteps isClaimed } \
    resourceProgress(resourceIds: $resources) { completed progress completedAt resource { title } } \
    gameSummaries(gameIds: $games) { game { title } numAchieved numPossible scoreAchieved possibleScore \
    numAchievedHardcore scoreAchievedHardcore } \
    collections { nodes { collection { id } title size collectedCount progressInPercentage status } } } }";

const MANY: &str = "query($by: [UserBy!]!, $games: [ID!]!, $resources: [ID!]!) { users(by: $by) { handle \
    gameSummaries(gameIds: $games) { game { id } numAchieved numPossible scoreAchieved possibleScore \
    numAchievedHardcore scoreAchievedHardcore } \
    resourceProgress(resourceIds: $resources) { completed progress } } }";

const GAMES: &str = "query($id: ID!, $games: [ID!]!) { user(by: {id: $id}) { \
    gameSummaries(gameIds: $games) { game { title } numAchieved numPossible scoreAchieved possibleScore \
    numAchievedHardcore scoreAchievedHardcore } } }";

const UNLOCK: &str = "mutation($input: UnlockAchievementsInput!) { unlockAchievements(input: $input) { \
    results { status } userErrors { code } } }";

const CLAIM: &str = "mutation($input: ClaimGoalsInput!) { claimGoals(input: $input) { \
    results { status credits { micros } } userErrors { code } } }";

const COMPLETE: &str = "mutation($input: RecordGoalStepsInput!) { recordGoalSteps(input: $input) { \
    results { status } userErrors { code } } }";

// The same for PostGraphile. What the functions of `rivals/postgraphile.sql` give is flat, and gets Waymark's names.
const ONE_OF_TABLES: &str = "query($id: String!) { user: userByUlid(ulid: $id) { id: ulid handle } }";

const PROFILE_OF_TABLES: &str = "query($id: String!, $games: [String!]!, $resources: [String!]!) { \
    user: userByUlid(ulid: $id) { \
    season { state timeLeft hasStartedProgram currentWeek } \
    credits { available expiresIn isBlockedForClaiming } \
    goals: goalsList { title completedSteps totalSteps isClaimed } \
    resourceProgress: resourceProgressList(resourceIds: $resources) { completed progress completedAt resource: title } \
    gameSummaries: gameSummariesList(gameIds: $games) { game: title numAchieved numPossible scoreAchieved possibleScore \
    numAchievedHardcore scoreAchievedHardcore } \
    collections: collectionsList { collection: key title size collectedCount progressInPercentage status } } }";

const MANY_OF_TABLES: &str = "query($by: [String!]!, $games: [String!]!, $resources: [String!]!) { \
    users: usersByList(ulids: $by) { handle \
    gameSummaries: gameSummariesList(gameIds: $games) { game: key numAchieved numPossible scoreAchieved possibleScore \
    numAchievedHardcore scoreAchievedHardcore } \
    resourceProgress: resourceProgressList(resourceIds: $resources) { completed progress } } }";

const GAMES_OF_TABLES: &str = "query($id: String!, $games: [String!]!) { user: userByUlid(ulid: $id) { \
    gameSummaries: gameSummariesList(gameIds: $games) { game: title numAchieved numPossible scoreAchieved possibleScore \
    numAchievedHardcore scoreAchievedHardcore } } }";

/// Goals of the whole season, which can be claimed at any time.
pub(crate) const CLAIMABLE: u32 = load::GOALS / 2;

/// Users whose number leaves the same remainder played the same games and touched the same resources.
const COHORTS: u32 = 50;

impl Query {
    pub(crate) const ALL: [Self; 4] = [Self::One, Self::Profile, Self::Many, Self::Games];

    /// What changes something.
    pub(crate) const WRITES: [Self; 3] = [Self::Unlock, Self::Claim, Self::UnlockMany];

    pub(crate) const fn name(self) -> &'static str {
        match self {
            Self::One => "Q1",
            Self::Profile => "Q2",
            Self::Many => "Q3",
            Self::Games => "Q4",
            Self::Unlock => "unlock",
            Self::Claim => "claim",
            Self::UnlockMany => "unlocks",
            Self::Complete => "complete",
        }
    }

    /// The GraphQL document, which needs no escaping in JSON.
    pub(crate) const fn document(self) -> &'static str {
        match self {
            Self::One => ONE,
            Self::Profile => PROFILE,
            Self::Many => MANY,
            Self::Games => GAMES,
            Self::Unlock | Self::UnlockMany => UNLOCK,
            Self::Claim => CLAIM,
            Self::Complete => COMPLETE,
        }
    }

    /// The document that asks PostGraphile for the same; none for writes.
    pub(crate) const fn to_postgraphile(self) -> &'static str {
        match self {
            Self::One => ONE_OF_TABLES,
            Self::Profile => PROFILE_OF_TABLES,
            Self::Many => MANY_OF_TABLES,
            Self::Games => GAMES_OF_TABLES,
            Self::Unlock | Self::UnlockMany | Self::Claim | Self::Complete => "",
        }
    }

    /// The document as a client spells it.
    pub(crate) fn spelled(self, spelling: Spelling) -> &'static str {
        type Known = Mutex<Vec<((Query, Spelling), &'static str)>>;
        static KNOWN: Known = Mutex::new(Vec::new());
        if spelling == Spelling::Plain {
            return self.document();
        }
        let mut known = KNOWN.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some((_, text)) = known.iter().find(|(key, _)| *key == (self, spelling)) {
            return text;
        }
        // The documents are our own, and kept for the whole run.
        let text = spelling.of(&waymark::schema::sdl(), self.document()).unwrap_or_default().leak();
        known.push(((self, spelling), text));
        text
    }

    /// Writes random variables for the query as a JSON object.
    pub(crate) fn variables(self, people: &People, rng: &mut Rng, json: &mut String) {
        let user = rng.up_to(people.count());
        match self {
            Self::One => people.id(user, json),
            Self::Profile => {
                people.id(user, json);
                games(user, 10, rng, json);
                resources(user, 10, rng, json);
            }
            Self::Many => {
                json.push_str("{\"by\":[");
                let cohort = user % COHORTS;
                for place in 0..50 {
                    let other = rng.up_to(people.count() / COHORTS - 1) * COHORTS + cohort;
                    let comma = if place == 0 { "" } else { "," };
                    push(json, format_args!("{comma}{{\"id\":\"user:{}\"}}", people.ulid(other)));
                }
                json.push(']');
                games(user, 10, rng, json);
                resources(user, 5, rng, json);
            }
            Self::Games => {
                people.id(user, json);
                games(user, 20, rng, json);
            }
            Self::Unlock => unlocks(people, user, 1, rng, json),
            Self::UnlockMany => unlocks(people, user, 100, rng, json),
            Self::Claim => {
                let turn = people.turn();
                // Of one user after the other: whoever claims at the same time is somebody else.
                let user = turn % people.count() + 1;
                let goal = load::goal_key(turn / people.count() % CLAIMABLE + 1);
                input(people, user, json);
                push(json, format_args!(",\"goalIds\":[\"{goal}\"]}}"));
            }
            Self::Complete => {
                let user = people.turn() % people.count() + 1;
                input(people, user, json);
                json.push_str(",\"steps\":[");
                for goal in 1..=CLAIMABLE {
                    let comma = if goal == 1 { "" } else { "," };
                    let key = load::goal_key(goal);
                    push(json, format_args!("{comma}{{\"goalId\":\"{key}\",\"setTo\":{}}}", 2 * goal));
                }
                json.push_str("]}");
            }
        }
        json.push('}');
    }
}

/// The variables as PostGraphile takes them: keys instead of global ids, and users by them alone.
pub(crate) fn to_postgraphile(query: Query, variables: &str) -> String {
    let keys = variables.replace("game:", "").replace("resource:", "");
    match query {
        Query::Many => keys.replace("{\"id\":\"user:", "\"").replace("\"}", "\""),
        _ => keys.replace("user:", ""),
    }
}

fn input(people: &People, user: u32, json: &mut String) {
    push(json, format_args!("{{\"input\":{{\"user\":{{\"id\":\"user:{}\"}}", people.ulid(user)));
}

/// Achievements of any games, a few of which will have been unlocked before.
fn unlocks(people: &People, user: u32, count: u32, rng: &mut Rng, json: &mut String) {
    input(people, user, json);
    json.push_str(",\"unlocks\":[");
    for place in 0..count {
        let comma = if place == 0 { "" } else { "," };
        let (game, number) = (rng.up_to(load::GAMES), rng.up_to(load::ACHIEVEMENTS_PER_GAME));
        push(json, format_args!("{comma}{{\"achievementId\":\"{}-{number}\"}}", load::game_key(game)));
    }
    json.push_str("]}");
}

/// Games that a user played, in any order, and one that may be unknown to them.
fn games(user: u32, count: usize, rng: &mut Rng, json: &mut String) {
    let numbers = picked(load::games_of(user).collect(), count, load::GAMES, rng);
    list(json, "games", numbers.into_iter().map(|number| format!("game:{}", load::game_key(number))));
}

fn resources(user: u32, count: usize, rng: &mut Rng, json: &mut String) {
    let numbers = picked(load::resources_of(user).collect(), count, load::RESOURCES, rng);
    list(json, "resources", numbers.into_iter().map(|number| format!("resource:{}", load::resource_key(number))));
}

fn picked(mut numbers: Vec<u32>, count: usize, of: u32, rng: &mut Rng) -> Vec<u32> {
    rng.shuffle(&mut numbers);
    numbers.truncate(count - 1);
    numbers.push(rng.up_to(of));
    numbers
}

fn list(json: &mut String, name: &str, ids: impl Iterator<Item = String>) {
    push(json, format_args!(",\"{name}\":["));
    for (place, id) in ids.enumerate() {
        let comma = if place == 0 { "" } else { "," };
        push(json, format_args!("{comma}\"{id}\""));
    }
    json.push(']');
}

fn push(json: &mut String, text: std::fmt::Arguments<'_>) {
    // A String takes everything.
    let _ = json.write_fmt(text);
}

/// The ids of all users.
#[derive(Debug)]
pub(crate) struct People {
    ulids: Vec<String>,
    turns: Cell<u32>,
}

impl People {
    pub(crate) fn new(count: u32) -> Self {
        Self { ulids: (1..=count).map(load::ulid).collect(), turns: Cell::new(0) }
    }

    /// A number that is given out once, from 0.
    fn turn(&self) -> u32 {
        self.turns.replace(self.turns.get() + 1)
    }

    /// How many numbers were given out.
    pub(crate) fn turns(&self) -> u32 {
        self.turns.get()
    }

    /// Begins to give numbers out from 0 again.
    pub(crate) fn begin_again(&self) {
        self.turns.set(0);
    }

    pub(crate) fn count(&self) -> u32 {
        u32::try_from(self.ulids.len()).unwrap_or(u32::MAX)
    }

    pub(crate) fn ulid(&self, number: u32) -> &str {
        let place = usize::try_from(number).unwrap_or_default() - 1;
        &self.ulids[place.min(self.ulids.len() - 1)]
    }

    fn id(&self, number: u32, json: &mut String) {
        push(json, format_args!("{{\"id\":\"user:{}\"", self.ulid(number)));
    }
}
