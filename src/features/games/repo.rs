//! SQL of games, unlocks and summaries.

use super::catalogue::Achievement;
use super::entity::{achievement, award_ground, award_set, game, summary, unlock};
use super::rules::{self, AchievementFacts, Award, Awards, Held, HeldAwards, Score, Summary};
use sea_orm::sea_query::{Expr, ExprTrait as _, OnConflict, Query, SelectStatement};
use sea_orm::{
    ColumnTrait, Condition, ConnectionTrait, EntityTrait as _, QueryFilter as _, QueryOrder as _, QuerySelect as _,
};
use sha2::{Digest as _, Sha256};
use std::collections::{BTreeMap, BTreeSet, HashMap, HashSet};
use waymark_db::bulk::Stores;
use waymark_db::page::{List, Slice};
use waymark_db::records::{As, Records};
use waymark_db::{ColumnIsAny as _, Extent, Param, Sql, execute, pairs, query, row, rows, select, values};
use waymark_kernel::clock::Timestamp;
use waymark_kernel::error::{Error, Result};

pub(super) async fn games(connection: &impl ConnectionTrait) -> Result<Vec<game::Model>> {
    Ok(game::Entity::find().order_by_asc(game::Column::Id).all(connection).await?)
}

row!(Achievement { id, key, game_id, position, title, description, badge, points, kind, published });

pub(super) async fn all_achievements(connection: &impl ConnectionTrait) -> Result<Vec<Achievement>> {
    use achievement::{Column, Entity};
    let all = Entity::find().order_by_asc(Column::GameId).order_by_asc(Column::Position).order_by_asc(Column::Id);
    select(connection, all).await
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

row!(Score { num_achieved, score_achieved, num_achieved_hardcore, score_achieved_hardcore });
row!(Awards {
    ;
    beaten: "beaten_at", beaten_hardcore: "beaten_hardcore_at", completed: "completed_at", mastered: "mastered_at"
});
row!(Achieved { game_id, score: (Score), awards: (Awards); first_unlocked_at, last_unlocked_at });

/// The summaries of each user in these games; games never played have none. The main part of a summary has no dates.
pub(super) async fn summaries<'a>(
    connection: &impl ConnectionTrait,
    wanted: impl IntoIterator<Item = (i64, &'a [i64])>,
    extent: Extent,
) -> Result<Vec<(i64, Achieved)>> {
    pairs(connection, summary::Column::GameId, wanted, extent).await
}

/// All summaries of these users.
pub(super) async fn all_summaries(connection: &impl ConnectionTrait, users: Vec<i64>) -> Result<Vec<(i64, Achieved)>> {
    select(connection, summary::Entity::find().filter(summary::Column::UserId.is_any(connection, users))).await
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
    played(listed, sorted).fetch(connection, users, None, slice, Extent::All).await
}

/// How many games each user has in the list.
pub(super) async fn count(
    connection: &impl ConnectionTrait,
    users: Vec<i64>,
    listed: Listed,
) -> Result<Vec<(i64, i64)>> {
    played(listed, Sorted::LastUnlocked).count(connection, users, None).await
}

/// What an award of a user rests on.
pub(super) type Ground = award_ground::Model;

/// What the awards of each user in these games rest on. Awards whose dates were told are left out.
pub(super) async fn grounds<'a>(
    connection: &impl ConnectionTrait,
    wanted: impl IntoIterator<Item = (i64, &'a [i64])>,
) -> Result<Vec<Ground>> {
    pairs(connection, award_ground::Column::GameId, wanted, Extent::All).await
}

row!(Ground { user_id, game_id, award, set_id });

/// What all awards of these users rest on.
pub(super) async fn all_grounds(connection: &impl ConnectionTrait, users: Vec<i64>) -> Result<Vec<Ground>> {
    use award_ground::{Column, Entity};
    Ok(Entity::find().filter(Column::UserId.is_any(connection, users)).all(connection).await?)
}

/// The sets of achievements with these numbers.
async fn sets(connection: &impl ConnectionTrait, ids: impl IntoIterator<Item = i64>) -> Result<HashMap<i64, Vec<i64>>> {
    use award_set::{Column, Entity};
    let ids: BTreeSet<i64> = ids.into_iter().collect();
    if ids.is_empty() {
        return Ok(HashMap::new());
    }
    let ids: Vec<i64> = ids.into_iter().collect();
    let found = Entity::find().filter(Column::Id.is_any(connection, ids)).all(connection).await?;
    found
        .into_iter()
        .map(|set| Ok((set.id, serde_json::from_str(&set.achievements).map_err(Error::internal)?)))
        .collect()
}

/// The achievements that awards rest on, by user, game and award.
pub(super) async fn with_sets(connection: &impl ConnectionTrait, grounds: Vec<Ground>) -> Result<RestOn> {
    let sets = sets(connection, grounds.iter().map(|ground| ground.set_id)).await?;
    let on = |row: Ground| Some(((row.user_id, row.game_id, row.award), sets.get(&row.set_id)?.clone()));
    Ok(grounds.into_iter().filter_map(on).collect())
}

/// How many sets are made by one statement; engines take some 30,000 parameters.
const MOST_SETS: usize = 1000;

/// The numbers of these sets of achievements of games, which are made where they are new.
pub(super) async fn numbers_of_sets(
    connection: &impl ConnectionTrait,
    wanted: BTreeSet<(i64, Vec<i64>)>,
) -> Result<HashMap<(i64, Vec<i64>), i64>> {
    use award_set::{Column, Entity};
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
    let found = Entity::find()
        .filter(Column::GameId.is_any(connection, games.into_iter().collect::<Vec<_>>()))
        .filter(Column::Digest.is_any(connection, digests));
    let mut found: Vec<SetOf> = select(connection, found).await?;
    let known: HashSet<_> = found.iter().map(|set| (set.game_id, set.digest.clone())).collect();
    let missing = sets.iter().filter(|(place, _)| !known.contains(*place));
    let new = missing.map(|((game, digest), (text, _))| [(*game).into(), digest.into(), text.into()]);
    let new: Vec<[Expr; 3]> = new.collect();
    for new in new.chunks(MOST_SETS) {
        // Another transaction that makes the same sets waits until this one has ended.
        let same = OnConflict::columns([Column::GameId, Column::Digest]).update_column(Column::Digest).to_owned();
        let mut insert = Query::insert();
        insert.into_table(Entity).columns([Column::GameId, Column::Digest, Column::Achievements]);
        for set in new {
            insert.values(set.clone()).map_err(Error::internal)?;
        }
        insert.on_conflict(same).returning(Query::returning().columns([Column::Id, Column::GameId, Column::Digest]));
        found.extend(query(connection, &insert).await?);
    }
    let number = |set: SetOf| {
        let (_, achievements) = sets.remove(&(set.game_id, set.digest))?;
        Some(((set.game_id, achievements), set.id))
    };
    Ok(found.into_iter().filter_map(number).collect())
}

row! {
    /// A set of achievements without the achievements.
    struct SetOf { id: i64, game_id: i64, digest: String }
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
        Some(award_ground::Model { user_id, game_id: set.0, award, set_id })
    });
    stores.upsert(rows.collect(), &[award_ground::Column::SetId]);
    Ok(())
}

/// Removes what these awards of a user in a game rested on.
async fn remove_grounds(connection: &impl ConnectionTrait, (user, game): (i64, i64), awards: &[Award]) -> Result<()> {
    use award_ground::{Column, Entity};
    let names: Vec<String> = awards.iter().map(|award| award.as_str().to_owned()).collect();
    Entity::delete_many()
        .filter(Column::UserId.eq(user))
        .filter(Column::GameId.eq(game))
        .filter(Column::Award.is_any(connection, names))
        .exec(connection)
        .await?;
    Ok(())
}

/// Removes what all awards of these users rested on.
pub(super) async fn forget_grounds(connection: &impl ConnectionTrait, users: Vec<i64>) -> Result<()> {
    use award_ground::{Column, Entity};
    Ok(Entity::delete_many().filter(Column::UserId.is_any(connection, users)).exec(connection).await.map(drop)?)
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

row!(Unlock { achievement_id, unlocked_at, unlocked_hardcore_at });

row! {
    /// An unlock with its user and its game.
    struct UnlockOf { user_id: i64, game_id: i64, unlock: Unlock = (Unlock) }
}

fn placed(unlocks: Vec<UnlockOf>) -> Vec<(i64, i64, Unlock)> {
    unlocks.into_iter().map(|UnlockOf { user_id, game_id, unlock }| (user_id, game_id, unlock)).collect()
}

/// What each user unlocked in these games, with the user and the game.
pub(super) async fn unlocks<'a>(
    connection: &impl ConnectionTrait,
    wanted: impl IntoIterator<Item = (i64, &'a [i64])>,
) -> Result<Vec<(i64, i64, Unlock)>> {
    pairs(connection, unlock::Column::GameId, wanted, Extent::All).await.map(placed)
}

/// All that these users unlocked, with the user and the game.
pub(super) async fn all_unlocks(connection: &impl ConnectionTrait, users: Vec<i64>) -> Result<Vec<(i64, i64, Unlock)>> {
    let all = unlock::Entity::find().filter(unlock::Column::UserId.is_any(connection, users));
    select(connection, all).await.map(placed)
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

/// Removes a user's unlocks of these achievements.
pub(super) async fn remove_unlocks(
    connection: &impl ConnectionTrait,
    user: i64,
    achievements: Vec<i64>,
) -> Result<u64> {
    let removed = unlock::Entity::delete_many()
        .filter(unlock::Column::UserId.eq(user))
        .filter(unlock::Column::AchievementId.is_any(connection, achievements));
    Ok(removed.exec(connection).await?.rows_affected)
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

/// The rows of a table, of which these are the columns of user and game, that go with those of the summaries.
fn with_summary<C: ColumnTrait>([user, game]: [C; 2]) -> SelectStatement {
    let own = |column: C| Expr::col((C::EntityName::default(), column));
    let mut rows = Query::select();
    rows.expr(Expr::val(1)).from(C::EntityName::default());
    rows.and_where(own(user).equals((summary::Entity, summary::Column::UserId)));
    rows.and_where(own(game).equals((summary::Entity, summary::Column::GameId)));
    rows
}

/// Whether somebody has unlocked an achievement of a game or holds an award of it.
pub(super) async fn is_played(connection: &impl ConnectionTrait, game: i64) -> Result<bool> {
    use summary::Column;
    let unlocks = with_summary([unlock::Column::UserId, unlock::Column::GameId]);
    let played = [Column::BeatenAt, Column::BeatenHardcoreAt, Column::CompletedAt, Column::MasteredAt]
        .into_iter()
        .fold(Expr::exists(unlocks), |played, award| played.or(award.is_not_null()));
    rows::any_of_users::<summary::Model>(connection, Column::GameId.eq(game).and(played)).await
}

/// Whether somebody has unlocked an achievement of a game, or holds an award that rests on one of these sets.
pub(super) async fn is_achieved(
    connection: &impl ConnectionTrait,
    (game, achievement): (i64, i64),
    sets: &[i64],
) -> Result<bool> {
    let mut unlocks = with_summary([unlock::Column::UserId, unlock::Column::GameId]);
    unlocks.and_where(unlock::Column::AchievementId.eq(achievement));
    let mut grounds = with_summary([award_ground::Column::UserId, award_ground::Column::GameId]);
    grounds.and_where(award_ground::Column::SetId.is_any(connection, sets.to_vec()));
    let achieved = Expr::exists(unlocks).or(Expr::exists(grounds));
    rows::any_of_users::<summary::Model>(connection, summary::Column::GameId.eq(game).and(achieved)).await
}

/// Whether an achievement is in a set.
pub(super) fn has(set: &award_set::Model, achievement: i64) -> bool {
    serde_json::from_str(&set.achievements).is_ok_and(|ids: Vec<i64>| ids.contains(&achievement))
}

/// The hand-written statements of this file.
pub static STATEMENTS: [&Sql; 1] = [&SUMMARISE];

// Sets several columns of a million rows by one sub-select, which the builder cannot write. An unlock in hardcore mode
// is never earlier than the unlock itself.
static SUMMARISE: Sql = Sql::new(
    "UPDATE game_summaries SET (num_achieved, score_achieved, num_achieved_hardcore, score_achieved_hardcore, \
     first_unlocked_at, last_unlocked_at) = (\
     SELECT count(*), COALESCE(sum(a.points), 0), count(u.unlocked_hardcore_at), \
     COALESCE(sum(CASE WHEN u.unlocked_hardcore_at IS NOT NULL THEN a.points END), 0), min(u.unlocked_at), \
     max(COALESCE(u.unlocked_hardcore_at, u.unlocked_at)) \
     FROM achievement_unlocks u JOIN achievements a ON a.id = u.achievement_id \
     WHERE u.user_id = game_summaries.user_id AND u.game_id = game_summaries.game_id AND a.published) \
     WHERE game_id = $1 AND user_id BETWEEN $2 AND $3 AND EXISTS (SELECT 1 FROM achievement_unlocks c \
     WHERE c.user_id = game_summaries.user_id AND c.achievement_id = ANY($4))",
);

/// Counts anew what those of these users have achieved in a game who have unlocked one of `changed`, awards left alone.
pub(super) async fn summarise_all(
    connection: &impl ConnectionTrait,
    game: i64,
    (first, last): (i64, i64),
    changed: Vec<i64>,
) -> Result<u64> {
    let params = [Param::Int(game), Param::Int(first), Param::Int(last), Param::Ints(changed)];
    execute(connection, &SUMMARISE, params).await
}

/// The first thousand players of a game, of the users with these ids, who lack an award and have as many achievements
/// as it takes: `all` for one over all achievements, `some` for beating the game.
pub(super) async fn contenders(
    connection: &impl ConnectionTrait,
    game: i64,
    (first, last): (i64, i64),
    [all, some]: [i64; 2],
) -> Result<Vec<i64>> {
    use summary::{Column, Entity};
    let lacks = |award: Column, achieved: Column, least: i64| award.is_null().and(achieved.gte(least));
    let lacking = Condition::any()
        .add(lacks(Column::CompletedAt, Column::NumAchieved, all))
        .add(lacks(Column::MasteredAt, Column::NumAchievedHardcore, all))
        .add(lacks(Column::BeatenAt, Column::NumAchieved, some))
        .add(lacks(Column::BeatenHardcoreAt, Column::NumAchievedHardcore, some));
    let players = Entity::find()
        .filter(Column::GameId.eq(game))
        .filter(Column::UserId.between(first, last))
        .filter(lacking)
        .order_by_asc(Column::UserId)
        .limit(1000);
    values(connection, players, Column::UserId).await
}

/// Everything that is stored about a user's games.
pub static RECORDS: [Records; 3] = [
    Records::new(
        "achievements",
        "achievement_unlocks t JOIN achievements a ON a.id = t.achievement_id JOIN games g ON g.id = \
         t.game_id WHERE t.user_id = $1 ORDER BY a.id",
        &[
            ("game", "g.key", As::Text),
            ("achievement", "a.key", As::Text),
            ("unlockedAt", "t.unlocked_at", As::Instant),
            ("unlockedHardcoreAt", "t.unlocked_hardcore_at", As::Instant),
        ],
    ),
    Records::new(
        "awardGrounds",
        "award_grounds t JOIN games g ON g.id = t.game_id WHERE t.user_id = $1 ORDER BY g.id, t.award",
        &[("game", "g.key", As::Text), ("award", "t.award", As::Text)],
    ),
    Records::new(
        "games",
        "game_summaries t JOIN games g ON g.id = t.game_id WHERE t.user_id = $1 ORDER BY g.id",
        &[
            ("game", "g.key", As::Text),
            ("numAchieved", "t.num_achieved", As::Number),
            ("scoreAchieved", "t.score_achieved", As::Number),
            ("numAchievedHardcore", "t.num_achieved_hardcore", As::Number),
            ("scoreAchievedHardcore", "t.score_achieved_hardcore", As::Number),
            ("firstUnlockedAt", "t.first_unlocked_at", As::Instant),
            ("lastUnlockedAt", "t.last_unlocked_at", As::Instant),
            ("beatenAt", "t.beaten_at", As::Instant),
            ("beatenHardcoreAt", "t.beaten_hardcore_at", As::Instant),
            ("completedAt", "t.completed_at", As::Instant),
            ("masteredAt", "t.mastered_at", As::Instant),
        ],
    ),
];
