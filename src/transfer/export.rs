//! Exporting: everything as it was at one instant, page by page, in an order that follows from the data alone.
//!
//! The catalogue comes first, then users some hundred at a time with everything that is theirs, so that whoever reads
//! the file finds what a line refers to before it. Within a kind things keep the order in which they were added.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::io::Write;

use serde_json::Value;

use super::records::{
    Account, Achievement, ApiKey, At, Audit, Awards, Block, Budget, Card, Collection, CollectionProgress, CreditEntry,
    CreditLot, Enrolment, Event, Game, Goal, GoalClaim, GoalProgress, Ground, Header, InstanceResource, Merge,
    OwnedCard, Pause, Record, Resource, ResourceProgress, Reward, Season, StudyPlan, StudyPlanInstance, Subject,
    Unlock, User, VERSION, WeekTitle, WriteRef,
};
use super::sql;
use waymark_auth::entity::api_key;
use waymark_collections::entity::{card, collection, owned_card, progress as collection_progress, reward};
use waymark_credits::entity::{block, entry, lot};
use waymark_db::{Db, Transaction};
use waymark_games::entity::{Award, achievement, award_ground, award_set, game, summary, unlock};
use waymark_kernel::clock::Timestamp;
use waymark_kernel::error::{Error, Result};
use waymark_learning::entity::{
    instance, instance_resource, plan, plan_resource, progress as resource_progress, resource,
};
use waymark_seasons::entity::{budget, enrolment, goal, goal_claim, goal_progress, pause, season, week};
use waymark_users::accounts;
use waymark_users::entity::{account, user};
use waymark_users::told::profiles_updated;
use waymark_write::entity::{audit_entry, event};

/// How many rows are read at a time.
const PAGE: i64 = 5000;
/// How many users' rows are written together.
const USERS: i64 = 500;

/// What is exported.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub enum Scope {
    /// Everything.
    #[default]
    All,
    /// What operators defined.
    Catalogue,
    /// All users and what is theirs.
    Progress,
    /// The user with this handle and what is theirs.
    User(String),
}

/// What an export came to.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Exported {
    /// How many records were written, the header not counted.
    pub records: u64,
}

/// Writes what `scope` says of `db` to `out`, as it was at one instant; the keys of applications only `with_keys`, and
/// of one user only that user's.
/// `progress` is told how many records there are so far.
///
/// # Errors
/// When the database fails, when `out` cannot be written, and for a user who is not there.
pub async fn export(
    db: &Db,
    out: &mut (dyn Write + Send),
    scope: &Scope,
    with_keys: bool,
    progress: &(dyn Fn(Exported) + Sync),
) -> Result<Exported> {
    let transaction = db.long_snapshot().await?;
    let user = match scope {
        Scope::User(handle) => Some(
            accounts::find(&transaction, handle)
                .await?
                .map(|(id, _)| id.0)
                .ok_or_else(|| Error::bad_input(format!("there is no user with the handle {handle:?}")))?,
        ),
        _ => None,
    };
    let mut export =
        Export { transaction: &transaction, out, done: Exported::default(), progress, keys: Keys::default() };
    export.write(&Record::Waymark(Header { version: VERSION, history: true }))?;
    export.done.records = 0;
    export.catalogue(matches!(scope, Scope::All | Scope::Catalogue)).await?;
    let (users, keys) = match user {
        Some(id) => (format!("t.id = {id}"), format!("t.owner_id = {id}")),
        None => ("true".to_owned(), "true".to_owned()),
    };
    if *scope != Scope::Catalogue {
        export.users(&users).await?;
    }
    if matches!(scope, Scope::All | Scope::Progress) {
        export.merges().await?;
    }
    if *scope == Scope::All {
        export.audit().await?;
    }
    if with_keys {
        export.api_keys(&keys).await?;
    }
    export.out.flush().map_err(unwritten)?;
    let done = export.done;
    transaction.commit().await?;
    progress(done);
    Ok(done)
}

fn unwritten(error: std::io::Error) -> Error {
    Error::bad_input(format!("the export cannot be written: {error}"))
}

/// The keys of the catalogue by ids.
#[derive(Default)]
struct Keys {
    seasons: HashMap<i64, String>,
    goals: HashMap<i64, String>,
    plans: HashMap<i64, String>,
    games: HashMap<i64, String>,
    achievements: HashMap<i64, String>,
    collections: HashMap<i64, String>,
    cards: HashMap<i64, String>,
}

fn key(keys: &HashMap<i64, String>, id: i64) -> Result<String> {
    keys.get(&id).cloned().ok_or_else(|| Error::internal(format!("a row refers to {id}, which is not there")))
}

struct Export<'a> {
    transaction: &'a Transaction,
    out: &'a mut (dyn Write + Send),
    done: Exported,
    progress: &'a (dyn Fn(Exported) + Sync),
    keys: Keys,
}

/// All rows of a table with ids, page by page.
macro_rules! each {
    ($export:ident, $model:ty, $condition:expr, $row:ident => $record:expr) => {{
        let mut behind = 0;
        loop {
            let rows = sql::page::<$model>($export.transaction, behind, $condition, PAGE).await?;
            let Some(last) = rows.last() else { break };
            behind = last.id;
            for $row in rows {
                let record = $record;
                if let Some(record) = record {
                    $export.write(&record)?;
                }
            }
        }
    }};
}

/// All rows of a table of users, of some users, page by page.
macro_rules! each_of {
    ($export:ident, $block:ident, $model:ty, $column:ident, $row:ident => $record:expr) => {{
        let mut behind = (0, 0);
        loop {
            let rows =
                sql::page_of_users::<$model>($export.transaction, $block.range, stringify!($column), behind, PAGE)
                    .await?;
            let Some(last) = rows.last() else { break };
            behind = (last.user_id, last.$column);
            for $row in rows {
                let record = $record;
                if let Some(record) = record {
                    $export.write(&record)?;
                }
            }
        }
    }};
}

/// Some users whose rows are written together.
struct Users {
    range: (i64, i64),
    ulids: HashMap<i64, String>,
}

impl Users {
    fn ulid(&self, id: i64) -> Result<String> {
        key(&self.ulids, id)
    }
}

const fn at(instant: Timestamp) -> Option<At> {
    Some(At(instant))
}

fn json(text: &str) -> Value {
    // What was written by hand and is no JSON goes along as text.
    serde_json::from_str(text).unwrap_or_else(|_| text.into())
}

impl Export<'_> {
    fn write(&mut self, record: &Record) -> Result<()> {
        serde_json::to_writer(&mut *self.out, record).map_err(|error| unwritten(error.into()))?;
        self.out.write_all(b"\n").map_err(unwritten)?;
        self.done.records += 1;
        if self.done.records.is_multiple_of(1000) {
            (self.progress)(self.done);
        }
        Ok(())
    }

    /// Reads the keys of the catalogue, and writes it when that is `wanted`.
    async fn catalogue(&mut self, wanted: bool) -> Result<()> {
        self.seasons(wanted).await?;
        self.learning(wanted).await?;
        each!(self, game::Model, "true", row => {
            self.keys.games.insert(row.id, row.key.clone());
            wanted.then_some(Record::Game(Game {
                key: row.key,
                number: row.number,
                title: row.title,
                platform: row.platform,
                description: row.description,
                image: row.image,
                retired_at: row.retired_at.map(At),
                created_at: at(row.created_at),
                updated_at: at(row.updated_at),
            }))
        });
        each!(self, achievement::Model, "true", row => {
            self.keys.achievements.insert(row.id, row.key.clone());
            wanted.then_some(Record::Achievement(Achievement {
                game: key(&self.keys.games, row.game_id)?,
                key: row.key,
                position: row.position,
                title: row.title,
                description: row.description,
                badge: row.badge,
                points: row.points,
                kind: row.kind,
                published: row.published,
                created_at: at(row.created_at),
                updated_at: at(row.updated_at),
            }))
        });
        self.collections(wanted).await
    }

    async fn seasons(&mut self, wanted: bool) -> Result<()> {
        let mut weeks: HashMap<i64, Vec<WeekTitle>> = HashMap::new();
        for row in sql::all::<week::Model>(self.transaction, "t.season_id, t.number").await? {
            weeks.entry(row.season_id).or_default().push(WeekTitle { number: row.number, title: row.title });
        }
        let mut pauses: HashMap<i64, Vec<Pause>> = HashMap::new();
        for row in sql::all::<pause::Model>(self.transaction, "t.season_id, t.from_at").await? {
            let pause = Pause { from: At(row.from_at), until: row.until_at.map(At) };
            pauses.entry(row.season_id).or_default().push(pause);
        }
        let mut budgets: HashMap<i64, Vec<Budget>> = HashMap::new();
        for row in sql::all::<budget::Model>(self.transaction, "t.season_id, t.week").await? {
            let week = (row.week > 0).then_some(row.week);
            let budget = Budget { week, cap_micros: row.cap_micros, spent_micros: row.spent_micros };
            budgets.entry(row.season_id).or_default().push(budget);
        }
        each!(self, season::Model, "true", row => {
            self.keys.seasons.insert(row.id, row.key.clone());
            wanted.then_some(Record::Season(Season {
                key: row.key,
                title: row.title,
                description: row.description,
                starts_at: At(row.starts_at),
                duration_seconds: row.duration_seconds,
                week_length_seconds: row.week_length_seconds,
                ended_at: row.ended_at.map(At),
                pause_mode: row.pause_mode,
                weeks: weeks.remove(&row.id).unwrap_or_default(),
                pauses: pauses.remove(&row.id).unwrap_or_default(),
                budgets: budgets.remove(&row.id).unwrap_or_default(),
                retired_at: row.retired_at.map(At),
                created_at: at(row.created_at),
                updated_at: at(row.updated_at),
            }))
        });
        each!(self, goal::Model, "true", row => {
            self.keys.goals.insert(row.id, row.key.clone());
            wanted.then_some(Record::Goal(Goal {
                season: key(&self.keys.seasons, row.season_id)?,
                key: row.key,
                week: row.week,
                position: row.position,
                title: row.title,
                description: row.description,
                thumbnail: row.thumbnail,
                reward_micros: row.reward_micros,
                total_steps: row.total_steps,
                retired_at: row.retired_at.map(At),
            }))
        });
        Ok(())
    }

    async fn learning(&mut self, wanted: bool) -> Result<()> {
        if wanted {
            each!(self, resource::Model, "true", row => Some(Record::Resource(Resource {
                key: row.key,
                external_id: Some(row.external_id),
                title: row.title,
                kind: row.kind,
                section: row.section,
                url: row.url,
                description: row.description,
                estimated_minutes: row.estimated_minutes,
                catalogued: row.catalogued,
                retired_at: row.retired_at.map(At),
                created_at: at(row.created_at),
                updated_at: at(row.updated_at),
            })));
        }
        let mut contents: HashMap<i64, Vec<i64>> = HashMap::new();
        let mut named = BTreeSet::new();
        if wanted {
            for row in sql::all::<plan_resource::Model>(self.transaction, "t.plan_id, t.position").await? {
                contents.entry(row.plan_id).or_default().push(row.resource_id);
                named.insert(row.resource_id);
            }
        }
        let resources: HashMap<i64, String> = sql::resource_keys(self.transaction, named).await?.into_iter().collect();
        each!(self, plan::Model, "true", row => {
            self.keys.plans.insert(row.id, row.key.clone());
            let of_plan = contents.remove(&row.id).unwrap_or_default();
            let of_plan = of_plan.into_iter().map(|id| key(&resources, id)).collect::<Result<_>>()?;
            wanted.then_some(Record::StudyPlan(StudyPlan {
                key: row.key,
                title: row.title,
                description: row.description,
                resources: of_plan,
                retired_at: row.retired_at.map(At),
                created_at: at(row.created_at),
                updated_at: at(row.updated_at),
            }))
        });
        Ok(())
    }

    async fn collections(&mut self, wanted: bool) -> Result<()> {
        let rewards = sql::all::<reward::Model>(self.transaction, "t.collection_id").await?;
        let mut rewards: HashMap<i64, reward::Model> =
            rewards.into_iter().map(|row| (row.collection_id, row)).collect();
        each!(self, collection::Model, "true", row => {
            self.keys.collections.insert(row.id, row.key.clone());
            let reward = rewards.remove(&row.id).map(|reward| Reward {
                key: reward.key,
                name: reward.name,
                image: reward.image,
                description: reward.description,
                value: reward.value,
                view_type: reward.view_type,
                stock: reward.stock,
                claimed: reward.claimed,
            });
            wanted.then_some(Record::Collection(Collection {
                key: row.key,
                name: row.name,
                description: row.description,
                image: row.image,
                environment: row.environment,
                starts_at: row.starts_at.map(At),
                ends_at: row.ends_at.map(At),
                show_before: row.show_before,
                show_after: row.show_after,
                reward,
                retired_at: row.retired_at.map(At),
                created_at: at(row.created_at),
                updated_at: at(row.updated_at),
            }))
        });
        each!(self, card::Model, "true", row => {
            self.keys.cards.insert(row.id, row.key.clone());
            wanted.then_some(Record::Card(Card {
                collection: key(&self.keys.collections, row.collection_id)?,
                key: row.key,
                position: row.position,
                name: row.name,
                image: row.image,
                rarity: row.rarity,
                retired_at: row.retired_at.map(At),
            }))
        });
        Ok(())
    }

    /// Writes the users who meet a condition with everything that is theirs.
    async fn users(&mut self, condition: &str) -> Result<()> {
        let mut behind = 0;
        loop {
            let rows = sql::page::<user::Model>(self.transaction, behind, condition, USERS).await?;
            let (Some(first), Some(last)) = (rows.first(), rows.last()) else { return Ok(()) };
            behind = last.id;
            let users = Users {
                range: (first.id, last.id),
                ulids: rows.iter().map(|row| (row.id, row.ulid.clone())).collect(),
            };
            let ids: Vec<i64> = rows.iter().map(|row| row.id).collect();
            let mut accounts: HashMap<i64, Vec<Account>> = HashMap::new();
            for row in sql::with_int::<account::Model>(self.transaction, "user_id", &ids).await? {
                let account = Account { provider: row.provider, id: row.external_id, linked_at: at(row.linked_at) };
                accounts.entry(row.user_id).or_default().push(account);
            }
            let updated = profiles_updated(self.transaction, &ids).await?;
            for row in rows {
                let mut accounts = accounts.remove(&row.id).unwrap_or_default();
                accounts.sort_by(|one, two| (&one.provider, &one.id).cmp(&(&two.provider, &two.id)));
                self.write(&Record::User(User {
                    id: Some(row.ulid),
                    external_id: Some(row.external_id),
                    handle: Some(row.handle),
                    display_name: row.display_name,
                    avatar_url: row.avatar_url,
                    visibility: Some(row.visibility),
                    self_made: row.self_made,
                    accounts,
                    created_at: at(row.created_at),
                    updated_at: at(updated.get(&row.id).copied().unwrap_or(row.created_at)),
                    erased_at: row.erased_at.map(At),
                }))?;
            }
            self.seasons_of(&users).await?;
            self.credits_of(&users).await?;
            self.learning_of(&users).await?;
            self.games_of(&users).await?;
            self.collections_of(&users).await?;
            self.history_of(&users).await?;
        }
    }

    async fn seasons_of(&mut self, users: &Users) -> Result<()> {
        each_of!(self, users, enrolment::Model, season_id, row => Some(Record::Enrolment(Enrolment {
            user: users.ulid(row.user_id)?,
            season: key(&self.keys.seasons, row.season_id)?,
            at: at(row.enrolled_at),
        })));
        each_of!(self, users, goal_progress::Model, goal_id, row => Some(Record::GoalProgress(GoalProgress {
            user: users.ulid(row.user_id)?,
            goal: key(&self.keys.goals, row.goal_id)?,
            completed_steps: row.completed_steps,
            completed_at: row.completed_at.map(At),
            at: at(row.updated_at),
        })));
        Ok(())
    }

    async fn credits_of(&mut self, users: &Users) -> Result<()> {
        each_of!(self, users, lot::Model, seq, row => Some(Record::CreditLot(CreditLot {
            user: users.ulid(row.user_id)?,
            number: Some(row.seq),
            reference: None,
            amount_micros: row.amount_micros,
            remaining_micros: Some(row.remaining_micros),
            granted_at: at(row.granted_at),
            expires_at: row.expires_at.map(At),
            source: row.source,
            goal: row.goal_id.map(|id| key(&self.keys.goals, id)).transpose()?,
            reason: row.reason,
        })));
        each_of!(self, users, entry::Model, seq, row => Some(Record::CreditEntry(CreditEntry {
            user: users.ulid(row.user_id)?,
            number: row.seq,
            lot: row.lot_seq,
            kind: row.kind,
            amount_micros: row.amount_micros,
            reason: row.reason,
            operation: row.operation,
            at: At(row.recorded_at),
        })));
        each_of!(self, users, goal_claim::Model, goal_id, row => Some(Record::GoalClaim(GoalClaim {
            user: users.ulid(row.user_id)?,
            goal: key(&self.keys.goals, row.goal_id)?,
            lot: (row.lot_seq != 0).then_some(row.lot_seq),
            reward_micros: Some(row.reward_micros),
            at: at(row.claimed_at),
        })));
        each_of!(self, users, block::Model, seq, row => Some(Record::Block(Block {
            user: users.ulid(row.user_id)?,
            number: Some(row.seq),
            scope: row.scope,
            reason: row.reason,
            from: At(row.from_at),
            until: row.until_at.map(At),
            lifted_at: row.lifted_at.map(At),
        })));
        Ok(())
    }

    async fn learning_of(&mut self, users: &Users) -> Result<()> {
        let mut behind = (0, 0);
        loop {
            let rows = sql::page_of_users::<resource_progress::Model>(
                self.transaction,
                users.range,
                "resource_id",
                behind,
                PAGE,
            )
            .await?;
            let Some(last) = rows.last() else { break };
            behind = (last.user_id, last.resource_id);
            let ids = rows.iter().map(|row| row.resource_id).collect();
            let keys: HashMap<i64, String> = sql::resource_keys(self.transaction, ids).await?.into_iter().collect();
            for row in rows {
                self.write(&Record::ResourceProgress(ResourceProgress {
                    user: users.ulid(row.user_id)?,
                    resource: key(&keys, row.resource_id)?,
                    external_id: Some(row.external_id),
                    completed: row.completed,
                    progress: row.progress,
                    time_spent_minutes: row.time_spent_minutes,
                    notes: row.notes,
                    completed_at: row.completed_at.map(At),
                    last_accessed_at: at(row.last_accessed_at),
                    created_at: at(row.created_at),
                    updated_at: at(row.updated_at),
                }))?;
            }
        }
        let mut behind = (0, 0);
        loop {
            let rows =
                sql::page_of_users::<instance::Model>(self.transaction, users.range, "seq", behind, USERS).await?;
            let Some(last) = rows.last() else { return Ok(()) };
            behind = (last.user_id, last.seq);
            let pairs: BTreeSet<(i64, i64)> = rows.iter().map(|row| (row.user_id, row.seq)).collect();
            let mut contents: HashMap<(i64, i64), Vec<instance_resource::Model>> = HashMap::new();
            for row in sql::with_pairs::<instance_resource::Model>(self.transaction, "instance_seq", &pairs).await? {
                contents.entry((row.user_id, row.instance_seq)).or_default().push(row);
            }
            let ids = contents.values().flatten().map(|row| row.resource_id).collect();
            let keys: HashMap<i64, String> = sql::resource_keys(self.transaction, ids).await?.into_iter().collect();
            for row in rows {
                let mut resources = contents.remove(&(row.user_id, row.seq)).unwrap_or_default();
                resources.sort_by_key(|row| row.position);
                let resources = resources.into_iter().map(|row| {
                    let marked_at = row.marked_at.map(At);
                    Ok(InstanceResource { resource: key(&keys, row.resource_id)?, marked_at })
                });
                self.write(&Record::StudyPlanInstance(StudyPlanInstance {
                    user: users.ulid(row.user_id)?,
                    number: Some(row.seq),
                    external_id: Some(row.external_id),
                    plan: key(&self.keys.plans, row.plan_id)?,
                    title: Some(row.title),
                    resources: Some(resources.collect::<Result<_>>()?),
                    created_at: at(row.created_at),
                    updated_at: at(row.updated_at),
                }))?;
            }
        }
    }

    async fn games_of(&mut self, users: &Users) -> Result<()> {
        let mut grounds = self.grounds_of(users).await?;
        each_of!(self, users, summary::Model, game_id, row => {
            let awards = Awards {
                user: users.ulid(row.user_id)?,
                game: key(&self.keys.games, row.game_id)?,
                beaten_at: row.beaten_at.map(At),
                beaten_hardcore_at: row.beaten_hardcore_at.map(At),
                completed_at: row.completed_at.map(At),
                mastered_at: row.mastered_at.map(At),
                rests_on: grounds.remove(&(row.user_id, row.game_id)).unwrap_or_default(),
            };
            let dates = [awards.beaten_at, awards.beaten_hardcore_at, awards.completed_at, awards.mastered_at];
            dates.iter().any(Option::is_some).then_some(Record::Awards(awards))
        });
        each_of!(self, users, unlock::Model, achievement_id, row => {
            let hardcore = row.unlocked_hardcore_at == Some(row.unlocked_at);
            Some(Record::Unlock(Unlock {
                user: users.ulid(row.user_id)?,
                game: None,
                achievement: key(&self.keys.achievements, row.achievement_id)?,
                at: at(row.unlocked_at),
                hardcore,
                hardcore_at: if hardcore { None } else { row.unlocked_hardcore_at.map(At) },
            }))
        });
        Ok(())
    }

    /// What the awards of some users rest on, by user and game.
    async fn grounds_of(&self, users: &Users) -> Result<HashMap<(i64, i64), Vec<Ground>>> {
        let ids: Vec<i64> = users.ulids.keys().copied().collect();
        let rows = sql::with_int::<award_ground::Model>(self.transaction, "user_id", &ids).await?;
        let sets: BTreeSet<i64> = rows.iter().map(|row| row.set_id).collect();
        let sets: Vec<i64> = sets.into_iter().collect();
        let mut achievements = HashMap::new();
        for set in sql::with_int::<award_set::Model>(self.transaction, "id", &sets).await? {
            let ids: Vec<i64> = serde_json::from_str(&set.achievements).map_err(Error::internal)?;
            let keys = ids.into_iter().map(|id| key(&self.keys.achievements, id)).collect::<Result<Vec<_>>>()?;
            achievements.insert(set.id, keys);
        }
        let mut grounds: HashMap<(i64, i64), BTreeMap<i64, Vec<Award>>> = HashMap::new();
        for row in rows {
            grounds.entry((row.user_id, row.game_id)).or_default().entry(row.set_id).or_default().push(row.award);
        }
        let mut named = HashMap::with_capacity(grounds.len());
        for (place, sets) in grounds {
            let ground = |(set, mut awards): (i64, Vec<Award>)| {
                awards.sort_unstable_by_key(|award| *award as u8);
                Ground { awards, achievements: achievements.get(&set).cloned().unwrap_or_default() }
            };
            let mut sets: Vec<Ground> = sets.into_iter().map(ground).collect();
            sets.sort_unstable_by_key(|ground| ground.awards.first().map(|award| *award as u8));
            named.insert(place, sets);
        }
        Ok(named)
    }

    async fn collections_of(&mut self, users: &Users) -> Result<()> {
        each_of!(self, users, collection_progress::Model, collection_id, row => {
            Some(Record::CollectionProgress(CollectionProgress {
                user: users.ulid(row.user_id)?,
                collection: key(&self.keys.collections, row.collection_id)?,
                completed_at: row.completed_at.map(At),
                completed_told: row.completed_told,
                reward_claimed_at: row.reward_claimed_at.map(At),
                updated_at: at(row.updated_at),
            }))
        });
        each_of!(self, users, owned_card::Model, card_id, row => Some(Record::OwnedCard(OwnedCard {
            user: users.ulid(row.user_id)?,
            collection: None,
            card: key(&self.keys.cards, row.card_id)?,
            quantity: row.quantity,
            first_acquired_at: at(row.first_acquired_at),
            updated_at: at(row.updated_at),
        })));
        Ok(())
    }

    async fn history_of(&mut self, users: &Users) -> Result<()> {
        let mut behind = (0, String::new(), String::new());
        loop {
            let rows = sql::page_of_refs(self.transaction, users.range, behind, PAGE).await?;
            let Some((user, kind, reference, ..)) = rows.last() else { break };
            behind = (*user, kind.clone(), reference.clone());
            for (user, kind, reference, created_at, outcome) in rows {
                let (user, outcome, created_at) = (users.ulid(user)?, json(&outcome), At(created_at));
                self.write(&Record::WriteRef(WriteRef { user, kind, reference, outcome, created_at }))?;
            }
        }
        each_of!(self, users, event::Model, seq, row => Some(Record::Event(Event {
            user: users.ulid(row.user_id)?,
            number: row.seq,
            kind: row.kind,
            actor: row.actor,
            subject: Subject { kind: row.subject_type, key: row.subject_key },
            changes: json(&row.changes),
            occurred_at: At(row.occurred_at),
            recorded_at: At(row.recorded_at),
        })));
        Ok(())
    }

    async fn merges(&mut self) -> Result<()> {
        let mut behind = 0;
        loop {
            let merges = sql::merges(self.transaction, behind, PAGE).await?;
            let Some((last, ..)) = merges.last() else { return Ok(()) };
            behind = *last;
            for (_, user, into) in merges {
                self.write(&Record::Merge(Merge { user, into }))?;
            }
        }
    }

    async fn audit(&mut self) -> Result<()> {
        each!(self, audit_entry::Model, "true", row => Some(Record::Audit(Audit {
            actor: row.actor,
            action: row.action,
            subject: Subject { kind: row.subject_type, key: row.subject_key },
            changes: json(&row.changes),
            recorded_at: At(row.recorded_at),
        })));
        Ok(())
    }

    /// Writes the keys of applications that meet a condition.
    async fn api_keys(&mut self, condition: &str) -> Result<()> {
        let mut behind = 0;
        loop {
            let rows = sql::page::<api_key::Model>(self.transaction, behind, condition, PAGE).await?;
            let Some(last) = rows.last() else { return Ok(()) };
            behind = last.id;
            let owners: BTreeSet<i64> = rows.iter().filter_map(|row| row.owner_id).collect();
            let owners: Vec<i64> = owners.into_iter().collect();
            let owners = sql::with_int::<user::Model>(self.transaction, "id", &owners).await?;
            let owners: HashMap<i64, String> = owners.into_iter().map(|row| (row.id, row.ulid)).collect();
            for row in rows {
                self.write(&Record::ApiKey(ApiKey {
                    name: row.name,
                    prefix: row.prefix,
                    hash: row.hash,
                    scopes: row.scopes,
                    owner: row.owner_id.map(|id| key(&owners, id)).transpose()?,
                    created_at: At(row.created_at),
                    expires_at: row.expires_at.map(At),
                    revoked_at: row.revoked_at.map(At),
                }))?;
            }
        }
    }
}
