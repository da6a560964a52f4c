//! SQL of games, unlocks and summaries.

use super::catalogue::Achievement;
use super::entity::{achievement, award_ground, game, summary, unlock};
use super::rules::{self, AchievementFacts, AchievementKind, Award, Awards, Held, HeldAwards, Score, Summary};
use sea_orm::{
    ColumnTrait as _, ConnectionTrait, DbBackend, DbErr, EntityTrait as _, QueryFilter as _, QueryOrder as _,
};
use sha2::{Digest as _, Sha256};
use std::collections::{BTreeMap, BTreeSet, HashMap};
use waymark_db::bulk::Stores;
use waymark_db::page::{List, Slice};
use waymark_db::records::{As, Records};
use waymark_db::{Extent, PairSql, Param, Row, Sql, execute, fetch};
use waymark_kernel::clock::Timestamp;
use waymark_kernel::error::{Error, Result};

pub(super) async fn games(connection: &impl ConnectionTrait) -> Result<Vec<game::Model>> {
    Ok(game::Entity::find().order_by_asc(game::Column::Id).all(connection).await?)
}

pub(super) async fn all_achievements(connection: &impl ConnectionTrait) -> Result<Vec<Achievement>> {
    let rows = achievement::Entity::find()
        .order_by_asc(achievement::Column::GameId)
        .order_by_asc(achievement::Column::Position)
        .order_by_asc(achievement::Column::Id)
        .all(connection)
        .await?;
    Ok(rows
        .into_iter()
        .map(|row| Achievement {
            id: row.id,
            key: row.key,
            game_id: row.game_id,
            position: row.position,
            title: row.title,
            description: row.description,
            badge: row.badge,
            points: row.points,
            kind: row.kind,
            published: row.published,
        })
        .collect())
}

impl From<super::entity::AchievementKind> for AchievementKind {
    fn from(stored: super::entity::AchievementKind) -> Self {
        match stored {
            super::entity::AchievementKind::Standard => Self::Standard,
            super::entity::AchievementKind::Progression => Self::Progression,
            super::entity::AchievementKind::WinCondition => Self::WinCondition,
        }
    }
}

/// What a user has achieved in a game, as it is stored.
#[derive(Debug, Clone, Copy, Default)]
pub struct Achieved {
    /// The internal id of the game.
    pub game_id: i64,
    /// How many published achievements are unlocked, and their points.
    pub score: Score,
    /// When the first of them was unlocked; `None`: none is, or only the main part was read.
    pub first_unlocked_at: Option<Timestamp>,
    /// When the latest of them was unlocked; `None`: none is, or only the main part was read.
    pub last_unlocked_at: Option<Timestamp>,
    /// When which award was earned; empty where only the main part was read.
    pub awards: Awards,
}

/// What awards rest on, by user, game and award.
pub(super) type RestOn = HashMap<(i64, i64, Award), Vec<i64>>;

impl Achieved {
    /// What a player achieved in a game with these achievements, who has these awards.
    pub(super) fn of(game_id: i64, facts: &[AchievementFacts], held: &HeldAwards) -> Self {
        let Summary { score, first_unlocked_at, last_unlocked_at } = rules::summarise(facts);
        Self { game_id, score, first_unlocked_at, last_unlocked_at, awards: Awards::of(held) }
    }

    /// The awards with what they rest on, which is taken out of `on`.
    pub(super) fn held(&self, user: i64, on: &mut RestOn) -> HeldAwards {
        Award::ALL.map(|award| {
            let at = self.awards.get(award)?;
            Some(Held { at, on: on.remove(&(user, self.game_id, award)) })
        })
    }
}

const SUMMARY: &str = "t.user_id, t.game_id, t.num_achieved, t.score_achieved, t.num_achieved_hardcore, \
    t.score_achieved_hardcore, t.first_unlocked_at, t.last_unlocked_at, t.beaten_at, t.beaten_hardcore_at, \
    t.completed_at, t.mastered_at";

static SUMMARIES: PairSql = PairSql::new(SUMMARY, "game_summaries", "game_id");

static SCORES: PairSql = PairSql::new(
    "t.user_id, t.game_id, t.num_achieved, t.score_achieved, t.num_achieved_hardcore, t.score_achieved_hardcore",
    "game_summaries",
    "game_id",
);

/// The summaries of each user in these games; games never played have none. The main part of a summary has no dates.
pub(super) async fn summaries<'a>(
    connection: &impl ConnectionTrait,
    wanted: impl IntoIterator<Item = (i64, &'a [i64])>,
    extent: Extent,
) -> Result<Vec<(i64, Achieved)>> {
    match extent {
        Extent::Main => SCORES.fetch(connection, wanted, read_scores).await,
        Extent::All => SUMMARIES.fetch(connection, wanted, read_summary).await,
    }
}

fn read_scores(row: &mut Row) -> Result<(i64, Achieved), DbErr> {
    let (user, game_id) = (row.take()?, row.take()?);
    let score = Score {
        num_achieved: row.take()?,
        score_achieved: row.take()?,
        num_achieved_hardcore: row.take()?,
        score_achieved_hardcore: row.take()?,
    };
    Ok((user, Achieved { game_id, score, ..Achieved::default() }))
}

static ALL_SUMMARIES: Sql = Sql::new(
    "SELECT t.user_id, t.game_id, t.num_achieved, t.score_achieved, t.num_achieved_hardcore, \
     t.score_achieved_hardcore, t.first_unlocked_at, t.last_unlocked_at, t.beaten_at, t.beaten_hardcore_at, \
     t.completed_at, t.mastered_at FROM game_summaries t WHERE t.user_id = ANY($1)",
);

/// All summaries of these users.
pub(super) async fn all_summaries(connection: &impl ConnectionTrait, users: Vec<i64>) -> Result<Vec<(i64, Achieved)>> {
    fetch(connection, &ALL_SUMMARIES, [Param::Ints(users)], read_summary).await
}

fn read_summary(row: &mut Row) -> Result<(i64, Achieved), DbErr> {
    let (user, scores) = read_scores(row)?;
    let achieved = Achieved {
        first_unlocked_at: row.take()?,
        last_unlocked_at: row.take()?,
        awards: Awards {
            beaten: row.take()?,
            beaten_hardcore: row.take()?,
            completed: row.take()?,
            mastered: row.take()?,
        },
        ..scores
    };
    Ok((user, achieved))
}

/// Which of a user's games are listed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Listed {
    /// All games in which the user has unlocked an achievement.
    Played,
    /// Those of them that the user has beaten, in hardcore mode or not.
    Beaten,
    /// Those that the user has beaten in hardcore mode.
    BeatenHardcore,
    /// Those of which the user has unlocked all achievements, in hardcore mode or not.
    Completed,
    /// Those of which the user has unlocked all achievements in hardcore mode.
    Mastered,
}

impl Listed {
    const fn condition(self) -> &'static str {
        match self {
            Self::Played => "t.last_unlocked_at IS NOT NULL",
            Self::Beaten => "t.last_unlocked_at IS NOT NULL AND t.beaten_at IS NOT NULL",
            Self::BeatenHardcore => "t.last_unlocked_at IS NOT NULL AND t.beaten_hardcore_at IS NOT NULL",
            Self::Completed => "t.last_unlocked_at IS NOT NULL AND t.completed_at IS NOT NULL",
            Self::Mastered => "t.last_unlocked_at IS NOT NULL AND t.mastered_at IS NOT NULL",
        }
    }
}

/// How a user's games are sorted; each from the greatest down.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Sorted {
    /// By the date of the latest unlock.
    LastUnlocked,
    /// By the points of the unlocked achievements.
    Score,
}

fn played(listed: Listed, sorted: Sorted) -> List {
    List {
        columns: SUMMARY,
        table: "game_summaries t",
        condition: listed.condition(),
        sort: match sorted {
            Sorted::LastUnlocked => "last_unlocked_at",
            Sorted::Score => "score_achieved",
        },
        tie: "game_id",
        descending: true,
    }
}

/// One page of each user's games.
pub(super) async fn page(
    connection: &impl ConnectionTrait,
    users: Vec<i64>,
    listed: Listed,
    sorted: Sorted,
    slice: Slice,
) -> Result<Vec<(i64, Achieved)>> {
    played(listed, sorted).fetch(connection, users, None, slice, read_summary).await
}

/// How many games each user has in the list.
pub(super) async fn count(
    connection: &impl ConnectionTrait,
    users: Vec<i64>,
    listed: Listed,
) -> Result<Vec<(i64, i64)>> {
    played(listed, Sorted::LastUnlocked).count(connection, users, None).await
}

impl From<Award> for super::entity::Award {
    fn from(award: Award) -> Self {
        match award {
            Award::Beaten => Self::Beaten,
            Award::BeatenHardcore => Self::BeatenHardcore,
            Award::Completed => Self::Completed,
            Award::Mastered => Self::Mastered,
        }
    }
}

impl From<super::entity::Award> for Award {
    fn from(stored: super::entity::Award) -> Self {
        match stored {
            super::entity::Award::Beaten => Self::Beaten,
            super::entity::Award::BeatenHardcore => Self::BeatenHardcore,
            super::entity::Award::Completed => Self::Completed,
            super::entity::Award::Mastered => Self::Mastered,
        }
    }
}

/// What an award of a user rests on: the user, the game, the award, and the number of a set of achievements.
pub(super) type Ground = (i64, i64, Award, i64);

const GROUND: &str = "t.user_id, t.game_id, t.award, t.set_id";

static GROUNDS: PairSql = PairSql::new(GROUND, "award_grounds", "game_id");

/// What the awards of each user in these games rest on. Awards whose dates were told are left out.
pub(super) async fn grounds<'a>(
    connection: &impl ConnectionTrait,
    wanted: impl IntoIterator<Item = (i64, &'a [i64])>,
) -> Result<Vec<Ground>> {
    GROUNDS.fetch(connection, wanted, read_ground).await
}

static ALL_GROUNDS: Sql =
    Sql::new("SELECT t.user_id, t.game_id, t.award, t.set_id FROM award_grounds t WHERE t.user_id = ANY($1)");

/// What all awards of these users rest on.
pub(super) async fn all_grounds(connection: &impl ConnectionTrait, users: Vec<i64>) -> Result<Vec<Ground>> {
    fetch(connection, &ALL_GROUNDS, [Param::Ints(users)], read_ground).await
}

fn read_ground(row: &mut Row) -> Result<Ground, DbErr> {
    let (user, game) = (row.take()?, row.take()?);
    Ok((user, game, row.take_entity::<super::entity::Award>()?.into(), row.take()?))
}

static SETS: Sql = Sql::new("SELECT id, achievements FROM award_sets WHERE id = ANY($1)");

/// The sets of achievements with these numbers.
async fn sets(connection: &impl ConnectionTrait, ids: impl IntoIterator<Item = i64>) -> Result<HashMap<i64, Vec<i64>>> {
    let ids: BTreeSet<i64> = ids.into_iter().collect();
    if ids.is_empty() {
        return Ok(HashMap::new());
    }
    let params = [Param::Ints(ids.into_iter().collect())];
    let found: Vec<(i64, String)> = fetch(connection, &SETS, params, |row| Ok((row.take()?, row.take()?))).await?;
    let read = |(id, text): (i64, String)| Ok((id, serde_json::from_str(&text).map_err(Error::internal)?));
    found.into_iter().map(read).collect()
}

/// The achievements that awards rest on, by user, game and award.
pub(super) async fn with_sets(connection: &impl ConnectionTrait, grounds: Vec<Ground>) -> Result<RestOn> {
    let sets = sets(connection, grounds.iter().map(|ground| ground.3)).await?;
    let on = |(user, game, award, set)| Some(((user, game, award), sets.get(&set)?.clone()));
    Ok(grounds.into_iter().filter_map(on).collect())
}

static SETS_OF: Sql =
    Sql::new("SELECT id, game_id, digest FROM award_sets WHERE game_id = ANY($1) AND digest = ANY($2)");
// Whoever makes the same sets waits until this transaction has ended.
static MAKE_SETS: Sql = Sql::new(
    "INSERT INTO award_sets (game_id, digest, achievements) \
     SELECT k.game_id, k.digest, k.achievements \
     FROM unnest($1::bigint[], $2::text[], $3::text[]) AS k(game_id, digest, achievements) \
     ON CONFLICT (game_id, digest) DO UPDATE SET digest = excluded.digest RETURNING id, game_id, digest",
);
static MAKE_SETS_ON_SQLITE: Sql = Sql::new(
    "INSERT INTO award_sets (game_id, digest, achievements) \
     SELECT value ->> 0, value ->> 1, value ->> 2 FROM json_each($1) WHERE true \
     ON CONFLICT (game_id, digest) DO UPDATE SET digest = excluded.digest RETURNING id, game_id, digest",
);

/// The numbers of these sets of achievements of games, which are made where they are new.
pub(super) async fn numbers_of_sets(
    connection: &impl ConnectionTrait,
    wanted: BTreeSet<(i64, Vec<i64>)>,
) -> Result<HashMap<(i64, Vec<i64>), i64>> {
    let mut sets: BTreeMap<(i64, String), (String, Vec<i64>)> = BTreeMap::new();
    for (game, achievements) in wanted {
        let text = serde_json::to_string(&achievements).map_err(Error::internal)?;
        let digest = Sha256::digest(&text).iter().map(|byte| format!("{byte:02x}")).collect();
        sets.insert((game, digest), (text, achievements));
    }
    if sets.is_empty() {
        return Ok(HashMap::new());
    }
    let (games, digests): (BTreeSet<i64>, Vec<String>) = sets.keys().cloned().unzip();
    let params = [Param::Ints(games.into_iter().collect()), Param::Texts(digests)];
    let read = |row: &mut Row| Ok((row.take::<i64>()?, (row.take()?, row.take()?)));
    let found = fetch(connection, &SETS_OF, params, read).await?;
    let mut numbers = HashMap::with_capacity(sets.len());
    for (id, place) in found {
        if let Some((_, achievements)) = sets.remove(&place) {
            numbers.insert((place.0, achievements), id);
        }
    }
    if sets.is_empty() {
        return Ok(numbers);
    }
    let news = || sets.iter().map(|((game, digest), (text, _))| (*game, digest.clone(), text.clone()));
    let made = if connection.get_database_backend() == DbBackend::Postgres {
        let games = Param::Ints(news().map(|(game, ..)| game).collect());
        let digests = Param::Texts(news().map(|(_, digest, _)| digest).collect());
        let texts = Param::Texts(news().map(|(.., text)| text).collect());
        fetch(connection, &MAKE_SETS, [games, digests, texts], read).await?
    } else {
        let rows = serde_json::to_string(&news().collect::<Vec<_>>()).map_err(Error::internal)?;
        fetch(connection, &MAKE_SETS_ON_SQLITE, [Param::Text(rows)], read).await?
    };
    for (id, place) in made {
        if let Some((_, achievements)) = sets.remove(&place) {
            numbers.insert((place.0, achievements), id);
        }
    }
    Ok(numbers)
}

/// Stores what awards rest on, by user and game, where it is not as it was before.
pub(super) async fn store_grounds(
    connection: &impl ConnectionTrait,
    stores: &mut Stores,
    awards: Vec<((i64, i64), HeldAwards, HeldAwards)>,
) -> Result<()> {
    let (mut sets, mut news) = (BTreeSet::new(), Vec::new());
    for ((user, game), before, after) in awards {
        let mut gone = Vec::new();
        for ((award, before), after) in Award::ALL.into_iter().zip(before).zip(after) {
            let [before, after] = [before, after].map(|held| held.and_then(|held| held.on));
            match after {
                after if after == before => {}
                Some(set) => {
                    sets.insert((game, set.clone()));
                    news.push((user, award, (game, set)));
                }
                None => gone.push(award),
            }
        }
        if !gone.is_empty() {
            remove_grounds(connection, (user, game), &gone).await?;
        }
    }
    let numbers = numbers_of_sets(connection, sets).await?;
    let rows = news.into_iter().filter_map(|(user_id, award, set)| {
        let set_id = *numbers.get(&set)?;
        Some(award_ground::Model { user_id, game_id: set.0, award: award.into(), set_id })
    });
    stores.upsert(rows.collect(), &[award_ground::Column::SetId]);
    Ok(())
}

static REMOVE_GROUNDS: Sql =
    Sql::new("DELETE FROM award_grounds WHERE user_id = $1 AND game_id = $2 AND award = ANY($3)");

/// Removes what these awards of a user in a game rested on.
async fn remove_grounds(connection: &impl ConnectionTrait, (user, game): (i64, i64), awards: &[Award]) -> Result<()> {
    let names = awards.iter().map(|award| award.name().to_owned()).collect();
    execute(connection, &REMOVE_GROUNDS, [Param::Int(user), Param::Int(game), Param::Texts(names)]).await.map(drop)
}

static FORGET_GROUNDS: Sql = Sql::new("DELETE FROM award_grounds WHERE user_id = ANY($1)");

/// Removes what all awards of these users rested on.
pub(super) async fn forget_grounds(connection: &impl ConnectionTrait, users: Vec<i64>) -> Result<()> {
    execute(connection, &FORGET_GROUNDS, [Param::Ints(users)]).await.map(drop)
}

/// The awards that users have, with what they rest on, by user and game.
pub(super) async fn held_by(
    connection: &impl ConnectionTrait,
    users: Vec<i64>,
) -> Result<BTreeMap<(i64, i64), HeldAwards>> {
    let grounds = all_grounds(connection, users.clone()).await?;
    let mut on = with_sets(connection, grounds).await?;
    let summaries = all_summaries(connection, users).await?;
    Ok(summaries.into_iter().map(|(user, achieved)| ((user, achieved.game_id), achieved.held(user, &mut on))).collect())
}

/// When a user unlocked an achievement.
#[derive(Debug, Clone, Copy)]
pub struct Unlock {
    /// The internal id of the achievement.
    pub achievement_id: i64,
    /// When it was first unlocked, in hardcore mode or not.
    pub unlocked_at: Timestamp,
    /// When it was unlocked in hardcore mode; `None`: it was not.
    pub unlocked_hardcore_at: Option<Timestamp>,
}

impl From<Unlock> for rules::Unlock {
    fn from(stored: Unlock) -> Self {
        Self { unlocked_at: stored.unlocked_at, unlocked_hardcore_at: stored.unlocked_hardcore_at }
    }
}

static UNLOCKS: PairSql = PairSql::new(
    "t.user_id, t.game_id, t.achievement_id, t.unlocked_at, t.unlocked_hardcore_at",
    "achievement_unlocks",
    "game_id",
);

/// What each user unlocked in these games, with the user and the game.
pub(super) async fn unlocks<'a>(
    connection: &impl ConnectionTrait,
    wanted: impl IntoIterator<Item = (i64, &'a [i64])>,
) -> Result<Vec<(i64, i64, Unlock)>> {
    UNLOCKS.fetch(connection, wanted, read_unlock).await
}

fn read_unlock(row: &mut Row) -> Result<(i64, i64, Unlock), DbErr> {
    let (user, game) = (row.take()?, row.take()?);
    let unlock = Unlock { achievement_id: row.take()?, unlocked_at: row.take()?, unlocked_hardcore_at: row.take()? };
    Ok((user, game, unlock))
}

static ALL_UNLOCKS: Sql = Sql::new(
    "SELECT t.user_id, t.game_id, t.achievement_id, t.unlocked_at, t.unlocked_hardcore_at \
     FROM achievement_unlocks t WHERE t.user_id = ANY($1)",
);

/// All that these users unlocked, with the user and the game.
pub(super) async fn all_unlocks(connection: &impl ConnectionTrait, users: Vec<i64>) -> Result<Vec<(i64, i64, Unlock)>> {
    fetch(connection, &ALL_UNLOCKS, [Param::Ints(users)], read_unlock).await
}

/// Stores unlocks, each with its user and its game.
pub(super) fn store_unlocks(stores: &mut Stores, unlocks: impl IntoIterator<Item = (i64, i64, Unlock)>) {
    let rows = unlocks.into_iter().map(|(user_id, game_id, unlock)| unlock::Model {
        user_id,
        game_id,
        achievement_id: unlock.achievement_id,
        unlocked_at: unlock.unlocked_at,
        unlocked_hardcore_at: unlock.unlocked_hardcore_at,
    });
    stores.upsert(rows.collect(), &[unlock::Column::UnlockedAt, unlock::Column::UnlockedHardcoreAt]);
}

/// Stores summaries, each with its user.
pub(super) fn store_summaries(stores: &mut Stores, summaries: impl IntoIterator<Item = (i64, Achieved)>) {
    use summary::Column;
    let rows = summaries
        .into_iter()
        .map(|(user_id, achieved)| summary::Model {
            user_id,
            game_id: achieved.game_id,
            num_achieved: achieved.score.num_achieved,
            score_achieved: achieved.score.score_achieved,
            num_achieved_hardcore: achieved.score.num_achieved_hardcore,
            score_achieved_hardcore: achieved.score.score_achieved_hardcore,
            first_unlocked_at: achieved.first_unlocked_at,
            last_unlocked_at: achieved.last_unlocked_at,
            beaten_at: achieved.awards.beaten,
            beaten_hardcore_at: achieved.awards.beaten_hardcore,
            completed_at: achieved.awards.completed,
            mastered_at: achieved.awards.mastered,
        })
        .collect();
    let columns = [
        Column::NumAchieved,
        Column::ScoreAchieved,
        Column::NumAchievedHardcore,
        Column::ScoreAchievedHardcore,
        Column::FirstUnlockedAt,
        Column::LastUnlockedAt,
        Column::BeatenAt,
        Column::BeatenHardcoreAt,
        Column::CompletedAt,
        Column::MasteredAt,
    ];
    stores.upsert(rows, &columns);
}

static REMOVE_UNLOCKS: Sql =
    Sql::new("DELETE FROM achievement_unlocks WHERE user_id = $1 AND achievement_id = ANY($2)");

/// Removes a user's unlocks of these achievements.
pub(super) async fn remove_unlocks(
    connection: &impl ConnectionTrait,
    user: i64,
    achievements: Vec<i64>,
) -> Result<u64> {
    execute(connection, &REMOVE_UNLOCKS, [Param::Int(user), Param::Ints(achievements)]).await
}

/// All achievements of a game, published or not, in their order.
pub(super) async fn achievements(connection: &impl ConnectionTrait, game: i64) -> Result<Vec<achievement::Model>> {
    Ok(achievement::Entity::find()
        .filter(achievement::Column::GameId.eq(game))
        .order_by_asc(achievement::Column::Position)
        .order_by_asc(achievement::Column::Id)
        .all(connection)
        .await?)
}

// An unlock in hardcore mode is never earlier than the unlock itself.
static SUMMARISE: Sql = Sql::new(
    "UPDATE game_summaries SET (num_achieved, score_achieved, num_achieved_hardcore, score_achieved_hardcore, \
     first_unlocked_at, last_unlocked_at) = (\
     SELECT count(*), COALESCE(sum(a.points), 0), count(u.unlocked_hardcore_at), \
     COALESCE(sum(CASE WHEN u.unlocked_hardcore_at IS NOT NULL THEN a.points END), 0), min(u.unlocked_at), \
     max(COALESCE(u.unlocked_hardcore_at, u.unlocked_at)) \
     FROM achievement_unlocks u JOIN achievements a ON a.id = u.achievement_id \
     WHERE u.user_id = game_summaries.user_id AND u.game_id = game_summaries.game_id AND a.published) \
     WHERE game_id = $1",
);

/// Counts anew what every player of a game has achieved, awards left alone.
pub(super) async fn summarise_all(connection: &impl ConnectionTrait, game: i64) -> Result<u64> {
    execute(connection, &SUMMARISE, [Param::Int(game)]).await
}

static CONTENDERS: Sql = Sql::new(
    "SELECT user_id FROM game_summaries WHERE game_id = $1 AND user_id > $2 AND (\
     (completed_at IS NULL AND num_achieved >= $3) OR (mastered_at IS NULL AND num_achieved_hardcore >= $3) \
     OR (beaten_at IS NULL AND num_achieved >= $4) OR (beaten_hardcore_at IS NULL AND num_achieved_hardcore >= $4)) \
     ORDER BY user_id LIMIT 1000",
);

/// A thousand players of a game behind the user `after`, by their ids, who lack an award and have as many achievements
/// as it takes: `all` for one over all achievements, `some` for beating the game.
pub(super) async fn contenders(
    connection: &impl ConnectionTrait,
    game: i64,
    after: i64,
    [all, some]: [i64; 2],
) -> Result<Vec<i64>> {
    let params = [game, after, all, some].map(Param::Int);
    fetch(connection, &CONTENDERS, params, |row| row.take()).await
}

/// Everything that is stored about a user's games.
pub static RECORDS: [Records; 3] = [
    Records::new(
        "achievements",
        "SELECT g.key, a.key, t.unlocked_at, t.unlocked_hardcore_at FROM achievement_unlocks t JOIN \
         achievements a ON a.id = t.achievement_id JOIN games g ON g.id = t.game_id WHERE t.user_id = $1 \
         ORDER BY a.id",
        &[
            ("game", As::Text),
            ("achievement", As::Text),
            ("unlockedAt", As::Instant),
            ("unlockedHardcoreAt", As::Instant),
        ],
    ),
    Records::new(
        "awardGrounds",
        "SELECT g.key, t.award FROM award_grounds t JOIN games g ON g.id = t.game_id WHERE t.user_id = $1 \
         ORDER BY g.id, t.award",
        &[("game", As::Text), ("award", As::Text)],
    ),
    Records::new(
        "games",
        "SELECT g.key, CAST(t.num_achieved AS bigint), CAST(t.score_achieved AS bigint), \
         CAST(t.num_achieved_hardcore AS bigint), CAST(t.score_achieved_hardcore AS bigint), \
         t.first_unlocked_at, t.last_unlocked_at, t.beaten_at, t.beaten_hardcore_at, t.completed_at, \
         t.mastered_at FROM game_summaries t JOIN games g ON g.id = t.game_id WHERE t.user_id = $1 ORDER BY \
         g.id",
        &[
            ("game", As::Text),
            ("numAchieved", As::Number),
            ("scoreAchieved", As::Number),
            ("numAchievedHardcore", As::Number),
            ("scoreAchievedHardcore", As::Number),
            ("firstUnlockedAt", As::Instant),
            ("lastUnlockedAt", As::Instant),
            ("beatenAt", As::Instant),
            ("beatenHardcoreAt", As::Instant),
            ("completedAt", As::Instant),
            ("masteredAt", As::Instant),
        ],
    ),
];
