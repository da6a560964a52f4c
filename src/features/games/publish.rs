//! Writing games and their achievements, and what that means for everybody who plays them.

use std::collections::{HashMap, HashSet};

use serde::Serialize;
use serde_json::json;

use super::entity::{AchievementKind, achievement, game};
use super::repo::{self, Achieved};
use super::rules::{self, AchievementFacts};
use waymark_auth::policy::Operator;
use waymark_db::Extent;
use waymark_kernel::clock::Timestamp;
use waymark_kernel::error::Result;
use waymark_kernel::limits;
use waymark_kernel::text::tidied;
use waymark_vocabulary::ids::Kind;
use waymark_vocabulary::refusal::UserErrorCode;
use waymark_write::{Checks, HistoryKind, Origin, Patch, Unit, Upserted, Write, arranged};

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
    /// Achievements to be added or changed, in their order; those that are not listed stay.
    pub achievements: Vec<GivenAchievement>,
}

/// An achievement to be added or changed.
#[derive(Debug, Serialize)]
pub struct GivenAchievement {
    /// The operator's key, unique among the achievements of all games.
    pub key: String,
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
        let stored = repo::game(unit.transaction(), &self.key).await?;
        let created = stored.is_none();
        let mut game = stored.unwrap_or_else(|| self.blank(unit.now));
        let before = if created { Vec::new() } else { repo::achievements(unit.transaction(), game.id).await? };

        let mut checks = Checks::default();
        self.check(&mut checks, unit, &game).await?;
        let mut patch = Patch::default();
        self.put(&mut patch, &mut game);
        let edit = Edit::of(before, &self.achievements, unit.now);
        edit.count(&mut checks, &mut game);
        if checks.failed() {
            return Ok(Upserted::refused(checks.into_refusals()));
        }
        edit.note(&mut patch);
        if patch.is_empty() && !created {
            return Ok(Upserted::done(false));
        }

        game.updated_at = unit.now;
        let key = game.key.clone();
        game.id = repo::store_game(unit.transaction(), game.clone()).await?;
        let counts_anew = edit.counts_anew;
        edit.store(unit, game.id).await?;
        if counts_anew {
            count_anew(unit, game.id, &key, Origin::Told).await?;
        }
        unit.audit("UPSERT_GAME", (Kind::Game.name(), &key), &patch.into_changes(created));
        Ok(Upserted::done(created))
    }
}

impl UpsertGame {
    fn blank(&self, now: Timestamp) -> game::Model {
        game::Model {
            id: 0,
            key: self.key.clone(),
            number: None,
            title: String::new(),
            platform: None,
            description: String::new(),
            image: None,
            num_possible: 0,
            possible_score: 0,
            created_at: now,
            updated_at: now,
        }
    }

    async fn check(&self, checks: &mut Checks, unit: &Unit<'_>, game: &game::Model) -> Result<()> {
        if game.id == 0 {
            checks.needed("title", self.title.as_ref());
        }
        checks.title("title", self.title.as_ref());
        checks.label("platform", self.platform.as_ref().and_then(Option::as_ref));
        checks.description("description", self.description.as_ref());
        checks.url("image", self.image.as_ref().and_then(Option::as_ref));
        if let Some(number) = self.number.flatten() {
            checks.range("number", Some(number), limits::GAME_NUMBER);
            let owner = repo::numbered(unit.transaction(), number).await?;
            if let Some(other) = owner.filter(|owner| *owner != self.key) {
                checks.refuse("number", UserErrorCode::KeyTaken, format!("the game {other:?} has the number {number}"));
            }
        }

        checks.distinct("achievements", self.achievements.iter().map(|one| one.key.as_str()));
        let keys = self.achievements.iter().map(|one| one.key.clone()).collect();
        let elsewhere = repo::achievements_elsewhere(unit.transaction(), keys, game.id).await?;
        for (place, given) in self.achievements.iter().enumerate() {
            checks.enter("achievements", place);
            if elsewhere.contains(&given.key) {
                let message = format!("the achievement {:?} belongs to another game", given.key);
                checks.refuse("key", UserErrorCode::KeyTaken, message);
            }
            checks.title("title", given.title.as_ref());
            checks.description("description", given.description.as_ref());
            checks.url("badge", given.badge.as_ref().and_then(Option::as_ref));
            checks.range("points", given.points.map(i64::from), limits::POINTS);
        }
        checks.leave();
        Ok(())
    }

    fn put(&self, patch: &mut Patch, game: &mut game::Model) {
        patch.set("number", &mut game.number, self.number.as_ref());
        patch.set_title("title", &mut game.title, self.title.as_ref());
        patch.set("platform", &mut game.platform, self.platform.as_ref());
        patch.set("description", &mut game.description, self.description.as_ref());
        patch.set("image", &mut game.image, self.image.as_ref());
    }
}

/// The achievements of a game as they will be.
struct Edit {
    /// All of them; those with the id 0 are new.
    after: Vec<achievement::Model>,
    /// The keys of those that are new, and of those that change.
    added: HashSet<String>,
    changed: HashSet<String>,
    /// Places in the input of new ones without a title.
    untitled: Vec<usize>,
    /// Whether what players have achieved may come to something else.
    counts_anew: bool,
}

impl Edit {
    /// Lays what was given over what is there.
    fn of(before: Vec<achievement::Model>, given: &[GivenAchievement], now: Timestamp) -> Self {
        let places: HashMap<String, usize> =
            before.iter().enumerate().map(|(place, row)| (row.key.clone(), place)).collect();
        let taken = given.iter().filter_map(|one| Some(before.get(*places.get(&one.key)?)?.position)).collect();
        let last = before.iter().map(|row| row.position).max().unwrap_or(0);
        let mut edit = Self {
            after: before,
            added: HashSet::new(),
            changed: HashSet::new(),
            untitled: Vec::new(),
            counts_anew: false,
        };
        let positions = arranged(taken, last, given.len());
        for ((number, one), position) in given.iter().enumerate().zip(positions) {
            match places.get(&one.key).and_then(|place| edit.after.get_mut(*place)) {
                Some(row) => {
                    let counted = (row.published, row.points, row.kind);
                    if one.put(row, position) {
                        row.updated_at = now;
                        edit.changed.insert(one.key.clone());
                        edit.counts_anew |= counted != (row.published, row.points, row.kind);
                    }
                }
                None => {
                    if one.title.is_none() {
                        edit.untitled.push(number);
                    }
                    let mut row = one.blank(now);
                    one.put(&mut row, position);
                    edit.added.insert(one.key.clone());
                    edit.after.push(row);
                }
            }
        }
        edit
    }

    /// Counts what can be achieved.
    fn count(&self, checks: &mut Checks, game: &mut game::Model) {
        for place in &self.untitled {
            checks.enter("achievements", *place);
            checks.needed("title", None::<&String>);
        }
        checks.leave();
        if self.after.len() > MOST_ACHIEVEMENTS {
            checks.invalid("achievements", format!("a game has at most {MOST_ACHIEVEMENTS} achievements"));
        }
        let published = || self.after.iter().filter(|row| row.published);
        let score: i64 = published().map(|row| i64::from(row.points)).sum();
        match i32::try_from(score) {
            Ok(score) if i64::from(score) <= limits::MOST_SCORE => game.possible_score = score,
            _ => {
                let most = limits::MOST_SCORE;
                checks.invalid("achievements", format!("the points of a game are at most {most} together"));
            }
        }
        game.num_possible = i32::try_from(published().count()).unwrap_or(i32::MAX);
    }

    fn note(&self, patch: &mut Patch) {
        let of = |keys: &HashSet<String>| {
            self.after.iter().map(|row| row.key.as_str()).filter(|key| keys.contains(*key)).collect()
        };
        patch.note_parts("achievements", [of(&self.added), of(&self.changed), Vec::new()]);
    }

    /// Stores what changed.
    async fn store(self, unit: &Unit<'_>, game: i64) -> Result<()> {
        let Self { mut after, added, changed, .. } = self;
        after.iter_mut().for_each(|row| row.game_id = game);
        let news = after.iter().filter(|row| added.contains(&row.key) || changed.contains(&row.key));
        repo::store_achievements(unit.transaction(), news.cloned().collect()).await
    }
}

impl GivenAchievement {
    fn blank(&self, now: Timestamp) -> achievement::Model {
        achievement::Model {
            id: 0,
            key: self.key.clone(),
            game_id: 0,
            position: 0,
            title: String::new(),
            description: String::new(),
            badge: None,
            points: 0,
            kind: AchievementKind::Standard,
            published: true,
            created_at: now,
            updated_at: now,
        }
    }

    /// Puts what was given into `row`; whether that changes it.
    fn put(&self, row: &mut achievement::Model, position: i32) -> bool {
        let before = row.clone();
        row.position = position;
        if let Some(title) = &self.title {
            row.title = tidied(title);
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
    let mut after = 0;
    loop {
        let users = repo::contenders(unit.transaction(), game, after, least).await?;
        let Some(last) = users.last() else { return Ok(()) };
        after = *last;
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
}

/// Counts anew what players have achieved in a game whose achievements have changed, and gives them the awards that they have
/// earned by that.
pub async fn count_anew(unit: &mut Unit<'_>, game: i64, key: &str, origin: Origin) -> Result<()> {
    let achievements = repo::achievements(unit.transaction(), game).await?;
    repo::summarise_all(unit.transaction(), game).await?;
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
