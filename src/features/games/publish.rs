//! Writing games and their achievements, and what that means for everybody who plays them.

use std::collections::{BTreeMap, HashMap, HashSet};

use serde::Serialize;
use serde_json::json;

use super::entity::{AchievementKind, achievement, game, summary};
use super::repo::{self, Achieved};
use super::rules::{self, AchievementFacts};
use waymark_auth::policy::Operator;
use waymark_db::Extent;
use waymark_db::edits::Edits;
use waymark_db::rows::{self, Spans};
use waymark_kernel::clock::Timestamp;
use waymark_kernel::error::Result;
use waymark_kernel::limits;
use waymark_vocabulary::ids::Kind;
use waymark_vocabulary::refusal::UserErrorCode;
use waymark_write::{
    Checks, HistoryKind, Notes, Origin, Patch, Retire, Taken, Telling, Unit, Upserted, Write, arranged,
};

/// The most achievements that a game may have.
pub const MOST_ACHIEVEMENTS: usize = 5000;

/// Adds a game or changes it, with its achievements. What is not given stays as it is.
#[derive(Debug, Serialize)]
pub struct UpsertGame {
    /// Proof that the caller is an operator.
    pub operator: Operator,
    /// The operator's key of the game.
    pub key: String,
    /// The number by which some dialects know the game; `None`: unchanged, `Some(None)`: no number.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub number: Option<Option<i64>>,
    /// The title for people, 1 to 200 characters; `None`: unchanged.
    pub title: Option<String>,
    /// What the game is played on; `None`: unchanged, `Some(None)`: nothing in particular.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub platform: Option<Option<String>>,
    /// The description for people, at most 5,000 characters; `None`: unchanged.
    pub description: Option<String>,
    /// The address of its picture; `None`: unchanged, `Some(None)`: no picture.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub image: Option<Option<String>>,
    /// Whether it is retired; `None`: unchanged.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub retired: Option<Retire>,
    /// Achievements to be added or changed, in their order; those that are not listed stay.
    pub achievements: Vec<GivenAchievement>,
}

/// An achievement to be added or changed.
#[derive(Debug, Serialize)]
pub struct GivenAchievement {
    /// The operator's key, unique among the achievements of all games.
    pub key: String,
    /// Its place among those of the game; `None`: as it is listed.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub position: Option<i32>,
    /// The title for people, 1 to 200 characters; `None`: unchanged.
    pub title: Option<String>,
    /// What has to be done, at most 5,000 characters; `None`: unchanged.
    pub description: Option<String>,
    /// The address of its picture; `None`: unchanged, `Some(None)`: no picture.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub badge: Option<Option<String>>,
    /// What it adds to the score, 0 to 1,000,000; `None`: unchanged, 0 for a new one.
    pub points: Option<i32>,
    /// A name of an [`AchievementKind`], as it is stored.
    pub kind: Option<AchievementKind>,
    /// Whether it can be unlocked and counts; `None`: unchanged, published for a new one.
    pub published: Option<bool>,
}

impl Write for UpsertGame {
    const NAME: &'static str = "upsertGame";
    const CATALOGUE: bool = true;

    type Outcome = Upserted;

    async fn perform(&self, unit: &mut Unit<'_>) -> Result<Upserted> {
        unit.lock_catalogue().await?;
        let achievements = self.achievements.iter().map(|one| (self.key.as_str(), one.key.as_str()));
        let mut shelf = Shelf::read(unit, [self.key.as_str()], self.number.flatten(), achievements).await?;
        let mut checks = Checks::default();
        let created = shelf.games.before(&self.key).is_none();
        shelf.put_game(&mut checks, self, Telling::NOW, unit.now);
        checks.distinct("achievements", self.achievements.iter().map(|one| one.key.as_str()));
        let positions = shelf.positions(&self.key, &self.achievements);
        for ((place, given), position) in self.achievements.iter().enumerate().zip(positions) {
            checks.enter("achievements", place);
            shelf.put_achievement(&mut checks, (&self.key, given), position, Telling::NOW, unit.now);
        }
        checks.leave();
        if let Some(message) = shelf.too_much(&self.key, Telling::NOW) {
            checks.invalid("achievements", message);
        }
        if checks.failed() {
            return Ok(Upserted::refused(checks.into_refusals()));
        }
        if shelf.notes.is_empty() {
            return Ok(Upserted::done(false));
        }
        if let Some(game) = shelf.games.get(&self.key).cloned() {
            shelf.games.put(game::Model { updated_at: unit.now, ..game });
        }
        shelf.store(unit).await?;
        Ok(Upserted::done(created))
    }
}

/// Takes what a file tells of games, without their achievements.
pub async fn take_games(unit: &mut Unit<'_>, told: &[(UpsertGame, Telling)]) -> Result<Vec<Taken>> {
    let keys = told.iter().map(|(game, _)| game.key.as_str());
    let numbers = told.iter().filter_map(|(game, _)| game.number.flatten());
    let mut shelf = Shelf::read(unit, keys, numbers, std::iter::empty()).await?;
    let mut taken = Vec::with_capacity(told.len());
    for (game, telling) in told {
        let mut checks = telling.check(Kind::Game, &game.key);
        let is_news = shelf.put_game(&mut checks, game, *telling, unit.now);
        taken.push(checks.taken(is_news));
    }
    shelf.store(unit).await?;
    Ok(taken)
}

/// Takes what a file tells of achievements, each with the key of its game.
pub async fn take_achievements(unit: &mut Unit<'_>, told: &[(&str, GivenAchievement, Telling)]) -> Result<Vec<Taken>> {
    let games = told.iter().map(|(game, ..)| *game);
    let achievements = told.iter().map(|(game, given, _)| (*game, given.key.as_str()));
    let mut shelf = Shelf::read(unit, games, None, achievements).await?;
    let mut taken = Vec::with_capacity(told.len());
    for (game, given, telling) in told {
        let mut checks = telling.check(Kind::Achievement, &given.key);
        if shelf.games.get(game).is_none() {
            checks.invalid("game", format!("there is no game {game:?}"));
        }
        let mut is_news = false;
        if !checks.failed() {
            let before = shelf.achievements.get(&given.key).cloned();
            let position = given.position.unwrap_or_default();
            is_news = shelf.put_achievement(&mut checks, (game, given), position, *telling, unit.now);
            if let Some(message) = shelf.too_much(game, *telling).filter(|_| is_news) {
                shelf.put_back(game, &given.key, before);
                checks.invalid("", message);
            }
        }
        taken.push(checks.taken(is_news));
    }
    shelf.store(unit).await?;
    unit.flush().await?;
    Ok(taken)
}

/// Games with their achievements as they are, and as they will be.
struct Shelf {
    games: Edits<game::Model>,
    achievements: Edits<achievement::Model>,
    /// The achievements of the games that get some or whose achievements change, by the games' ids.
    sets: HashMap<i64, Set>,
    /// The keys of the games that have these numbers.
    numbers: HashMap<i64, String>,
    /// Games, by their keys, whose players may have achieved something else by what is told, with the ids of the
    /// achievements that count otherwise than before.
    counted: BTreeMap<String, (Origin, Vec<i64>)>,
    notes: Notes,
}

/// The achievements of a game as they will be.
#[derive(Default)]
struct Set {
    /// By their keys, what each is worth as long as it is published; and its position.
    achievements: HashMap<String, (Option<i32>, i32)>,
    published: i32,
    points: i64,
}

impl Set {
    /// Puts an achievement in, or takes it out.
    fn put(&mut self, key: &str, row: Option<&achievement::Model>) {
        let worth = row.map(|row| (row.published.then_some(row.points), row.position));
        let before = match worth {
            Some(worth) => self.achievements.insert(key.to_owned(), worth),
            None => self.achievements.remove(key),
        };
        for (points, sign) in [(before, -1), (worth, 1)] {
            if let Some(points) = points.and_then(|(points, _)| points) {
                self.published += sign;
                self.points += i64::from(sign) * i64::from(points);
            }
        }
    }
}

impl Shelf {
    /// Reads games by their keys, and achievements by the keys of their games and their own.
    async fn read<'a>(
        unit: &Unit<'_>,
        games: impl IntoIterator<Item = &'a str>,
        numbers: impl IntoIterator<Item = i64>,
        achievements: impl Iterator<Item = (&'a str, &'a str)>,
    ) -> Result<Self> {
        let transaction = unit.transaction();
        let games = Edits::<game::Model>::read(transaction, games, |row| &row.key).await?;
        let (of, keys): (HashSet<&str>, Vec<&str>) = achievements.unzip();
        let achievements = Edits::<achievement::Model>::read(transaction, keys, |row| &row.key).await?;
        let of: Vec<i64> = of.into_iter().filter_map(|game| Some(games.get(game)?.id)).collect();
        let mut sets: HashMap<i64, Set> = HashMap::new();
        for row in rows::with_int::<achievement::Model>(transaction, "game_id", &of).await? {
            sets.entry(row.game_id).or_default().put(&row.key, Some(&row));
        }
        let numbers: Vec<i64> = numbers.into_iter().collect();
        let numbers = rows::with_int::<game::Model>(transaction, "number", &numbers).await?;
        let numbers = numbers.into_iter().filter_map(|row| Some((row.number?, row.key))).collect();
        Ok(Self { games, achievements, sets, numbers, counted: BTreeMap::new(), notes: Notes::default() })
    }

    /// The id of a game that is there, or will be.
    fn id(&self, game: &str) -> i64 {
        self.games.get(game).map_or_else(|| self.games.new_id(game), |row| row.id)
    }

    /// Puts what is given of a game in its place. Whether that is news.
    fn put_game(&mut self, checks: &mut Checks, given: &UpsertGame, telling: Telling, now: Timestamp) -> bool {
        let before = self.games.get(&given.key).cloned();
        let created = before.is_none();
        if created {
            checks.needed("title", given.title.as_ref());
        }
        checks.title("title", given.title.as_ref());
        checks.label("platform", given.platform.as_ref().and_then(Option::as_ref));
        checks.description("description", given.description.as_ref());
        checks.url("image", given.image.as_ref().and_then(Option::as_ref));
        if let Some(number) = given.number.flatten() {
            checks.range("number", Some(number), limits::GAME_NUMBER);
            if let Some(other) = self.numbers.get(&number).filter(|owner| **owner != given.key) {
                checks.refuse("number", UserErrorCode::KeyTaken, format!("the game {other:?} has the number {number}"));
            }
        }
        if checks.failed() {
            return false;
        }
        let mut row = before.unwrap_or_else(|| given.blank(self.games.new_id(&given.key), telling, now));
        let number = row.number;
        let mut patch = Patch::default();
        patch.set("number", &mut row.number, given.number.as_ref());
        patch.set("title", &mut row.title, given.title.as_deref().map(|title| telling.title(title)).as_ref());
        patch.set("platform", &mut row.platform, given.platform.as_ref());
        patch.set("description", &mut row.description, given.description.as_ref());
        patch.set("image", &mut row.image, given.image.as_ref());
        patch.retire(&mut row.retired_at, given.retired, now);
        if patch.is_empty() && !created {
            return false;
        }
        if row.number != number {
            number.map(|number| self.numbers.remove(&number));
            self.numbers.extend(row.number.map(|number| (number, row.key.clone())));
        }
        row.updated_at = telling.updated_at.unwrap_or(now);
        self.games.put(row);
        if telling.is_told() {
            self.notes.note(&given.key, created, patch);
        }
        true
    }

    /// The positions of achievements in the order in which they are listed.
    fn positions(&self, game: &str, given: &[GivenAchievement]) -> impl Iterator<Item = i32> + use<> {
        let there = self.sets.get(&self.id(game)).map(|set| &set.achievements);
        let position = |key: &String| Some(there?.get(key)?.1);
        let taken = given.iter().filter_map(|one| position(&one.key)).collect();
        let last = there.into_iter().flatten().map(|(_, (_, position))| *position).max().unwrap_or(0);
        arranged(taken, last, given.len())
    }

    /// Puts what is given of an achievement in its place. Whether that is news.
    fn put_achievement(
        &mut self,
        checks: &mut Checks,
        (game, given): (&str, &GivenAchievement),
        position: i32,
        telling: Telling,
        now: Timestamp,
    ) -> bool {
        let faults = checks.count();
        let game_id = self.id(game);
        let before = self.achievements.get(&given.key).cloned();
        if before.as_ref().is_some_and(|row| row.game_id != game_id) {
            let message = format!("the achievement {:?} belongs to another game", given.key);
            checks.refuse("key", UserErrorCode::KeyTaken, message);
        }
        let created = before.is_none();
        if before.as_ref().is_none_or(|row| row.game_id != game_id) {
            checks.needed("title", given.title.as_ref());
        }
        checks.title("title", given.title.as_ref());
        checks.description("description", given.description.as_ref());
        checks.url("badge", given.badge.as_ref().and_then(Option::as_ref));
        checks.range("points", given.points.map(i64::from), limits::POINTS);
        if checks.count() > faults {
            return false;
        }
        let id = self.achievements.new_id(&given.key);
        let mut row = before.clone().unwrap_or_else(|| given.blank((id, game_id), telling, now));
        let counted = (row.published, row.points, row.kind);
        let is_news = given.put(&mut row, position, telling) || created;
        if is_news {
            row.updated_at = telling.updated_at.unwrap_or(now);
            if telling.is_told() {
                self.notes.note_part(game, &given.key, created);
            }
            if !created && counted != (row.published, row.points, row.kind) {
                let (origin, changed) = self.counted.entry(game.to_owned()).or_insert((telling.origin, Vec::new()));
                changed.push(row.id);
                *origin = if telling.is_told() { telling.origin } else { *origin };
            }
            self.sets.entry(game_id).or_default().put(&given.key, Some(&row));
            self.achievements.put(row);
        }
        is_news
    }

    fn put_back(&mut self, game: &str, key: &str, before: Option<achievement::Model>) {
        let game = self.id(game);
        self.sets.entry(game).or_default().put(key, before.as_ref());
        self.achievements.put_back(key, before);
    }

    /// Why a game cannot have so many achievements, or be worth so much.
    fn too_much(&self, game: &str, telling: Telling) -> Option<String> {
        let set = self.sets.get(&self.id(game))?;
        if telling.is_told() && set.achievements.len() > MOST_ACHIEVEMENTS {
            return Some(format!("a game has at most {MOST_ACHIEVEMENTS} achievements"));
        }
        let most = limits::MOST_SCORE;
        (set.points > most).then(|| format!("the points of a game are at most {most} together"))
    }

    /// Stores what changed, and what follows from it for the players.
    async fn store(mut self, unit: &mut Unit<'_>) -> Result<()> {
        for row in self.games.all().cloned().collect::<Vec<_>>() {
            let Some(set) = self.sets.get(&row.id) else { continue };
            // What would not fit was refused before.
            let possible_score = i32::try_from(set.points).unwrap_or(i32::MAX);
            self.games.put(game::Model { num_possible: set.published, possible_score, ..row });
        }
        self.games.store(unit.transaction()).await?;
        self.achievements.store(unit.transaction()).await?;
        for (key, (origin, changed)) in &self.counted {
            count_anew(unit, (self.id(key), key), changed.clone(), *origin).await?;
        }
        self.notes.audit(unit, "UPSERT_GAME", Kind::Game, "achievements");
        Ok(())
    }
}

impl UpsertGame {
    fn blank(&self, id: i64, telling: Telling, now: Timestamp) -> game::Model {
        game::Model {
            id,
            key: self.key.clone(),
            number: None,
            title: String::new(),
            platform: None,
            description: String::new(),
            image: None,
            num_possible: 0,
            possible_score: 0,
            created_at: telling.created_at.unwrap_or(now),
            updated_at: now,
            retired_at: None,
        }
    }
}

impl GivenAchievement {
    fn blank(&self, (id, game_id): (i64, i64), telling: Telling, now: Timestamp) -> achievement::Model {
        achievement::Model {
            id,
            key: self.key.clone(),
            game_id,
            position: 0,
            title: String::new(),
            description: String::new(),
            badge: None,
            points: 0,
            kind: AchievementKind::Standard,
            published: true,
            created_at: telling.created_at.unwrap_or(now),
            updated_at: now,
        }
    }

    /// Puts what was given into `row`; whether that changes it.
    fn put(&self, row: &mut achievement::Model, position: i32, telling: Telling) -> bool {
        let before = row.clone();
        row.position = position;
        if let Some(title) = &self.title {
            row.title = telling.title(title);
        }
        if let Some(description) = &self.description {
            row.description.clone_from(description);
        }
        if let Some(badge) = &self.badge {
            row.badge.clone_from(badge);
        }
        row.points = self.points.unwrap_or(row.points);
        row.kind = self.kind.unwrap_or(row.kind);
        row.published = self.published.unwrap_or(row.published);
        *row != before
    }
}

/// Gives every player of a game the awards that its achievements, as they now are, have earned, and keeps those that
/// were earned before.
async fn award(
    unit: &mut Unit<'_>,
    (game, key): (i64, &str),
    achievements: &[achievement::Model],
    origin: Origin,
) -> Result<()> {
    let published: Vec<&achievement::Model> = achievements.iter().filter(|row| row.published).collect();
    let of_kind = |kind| published.iter().filter(|row| row.kind == kind).count();
    let beating = of_kind(AchievementKind::Progression) + of_kind(AchievementKind::WinCondition).min(1);
    // What takes no achievement is not an award.
    let least = |count: usize| i64::try_from(count).ok().filter(|count| *count > 0).unwrap_or(i64::MAX);
    let least = [least(published.len()), least(beating)];

    let games = [game];
    let mut spans = Spans::of::<summary::Model>(unit.transaction()).await?;
    while let Some(span) = spans.next() {
        let users = repo::contenders(unit.transaction(), game, span, least).await?;
        spans.pass(users.last());
        if users.is_empty() {
            continue;
        }
        let wanted = || users.iter().map(|user| (*user, games.as_slice()));
        let unlocks: HashMap<(i64, i64), repo::Unlock> = repo::unlocks(unit.transaction(), wanted())
            .await?
            .into_iter()
            .map(|(user, _, unlock)| ((user, unlock.achievement_id), unlock))
            .collect();
        let mut earned = Vec::new();
        for (user, stored) in repo::summaries(unit.transaction(), wanted(), Extent::All).await? {
            let facts = facts(&published, |id| unlocks.get(&(user, id)).copied());
            // What those that are there rest on does not change.
            let before = stored.held(user, &mut HashMap::new());
            let after = rules::with_earned(&before, &facts);
            if before != after {
                earned.push((user, Achieved::of(game, &facts, &after), before, after));
            }
        }
        earned.sort_unstable_by_key(|(user, ..)| *user);
        unit.lock_more(earned.iter().map(|(user, ..)| *user).collect()).await?;
        let (mut summaries, mut grounds) = (Vec::with_capacity(earned.len()), Vec::with_capacity(earned.len()));
        for (user, achieved, before, after) in earned {
            // Whoever has been merged or erased has no history to go on.
            if origin == Origin::Told && unit.user(user).is_ok() {
                for (award, at) in rules::new_awards(&before, &after) {
                    let changes = json!({ "award": award.as_str() });
                    unit.record_at(user, HistoryKind::AwardEarned, (Kind::Game, key), &changes, at)?;
                }
            }
            summaries.push((user, achieved));
            grounds.push(((user, game), before, after));
        }
        repo::store_grounds(unit.transaction(), unit.stores(), grounds).await?;
        repo::store_summaries(unit.stores(), summaries);
    }
    Ok(())
}

/// Counts anew what players have achieved in a game, by its id and key, by those of its achievements that have changed,
/// and gives them the awards that they have earned by that.
pub async fn count_anew(
    unit: &mut Unit<'_>,
    (game, key): (i64, &str),
    changed: Vec<i64>,
    origin: Origin,
) -> Result<()> {
    let achievements = repo::achievements(unit.transaction(), game).await?;
    let mut spans = Spans::of::<summary::Model>(unit.transaction()).await?;
    while let Some(span) = spans.next().filter(|_| !changed.is_empty()) {
        repo::summarise_all(unit.transaction(), game, span, changed.clone()).await?;
        spans.pass(None);
    }
    award(unit, (game, key), &achievements, origin).await
}

fn facts(published: &[&achievement::Model], unlock: impl Fn(i64) -> Option<repo::Unlock>) -> Vec<AchievementFacts> {
    let facts = published.iter().map(|row| {
        let unlock = unlock(row.id);
        AchievementFacts {
            id: row.id,
            kind: row.kind,
            points: row.points,
            published: true,
            unlocked_at: unlock.map(|unlock| unlock.unlocked_at),
            unlocked_hardcore_at: unlock.and_then(|unlock| unlock.unlocked_hardcore_at),
        }
    });
    facts.collect()
}
