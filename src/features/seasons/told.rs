//! What files tell of seasons and goals: facts with their dates, which come to the same in whatever order they are
//! taken.

use std::cmp::Reverse;
use std::collections::{BTreeMap, BTreeSet, HashMap};

use serde_json::json;

use super::entity::{enrolment, goal_claim, goal_progress};
use super::write::{Budgets, tell_claim};
use super::{Goal, Seasons};
use waymark_credits::told::{self as credits, Books, Place, Reward, ToldEntry, ToldLot, Unsettled};
use waymark_db::rows;
use waymark_kernel::clock::Timestamp;
use waymark_kernel::error::Result;
use waymark_vocabulary::ids::Kind;
use waymark_write::{HistoryKind, Origin, Taken, Unit};

/// That a locked user takes part in a season.
#[derive(Debug)]
pub struct ToldEnrolment<'a> {
    /// The internal id of the user.
    pub user: i64,
    /// The season's key.
    pub season: &'a str,
    /// Since when; `None`: the record does not say.
    pub at: Option<Timestamp>,
    /// Where the record comes from.
    pub origin: Origin,
}

/// How many steps of a goal a locked user has done.
#[derive(Debug)]
pub struct ToldSteps<'a> {
    /// The internal id of the user.
    pub user: i64,
    /// The goal's key.
    pub goal: &'a str,
    /// How many steps are done, 0 or more.
    pub completed_steps: i32,
    /// When the last step was done; `None`: the record does not say, or there are steps left.
    pub completed_at: Option<Timestamp>,
    /// When the steps changed last; `None`: the record does not say.
    pub at: Option<Timestamp>,
    /// Where the record comes from.
    pub origin: Origin,
}

/// That a locked user claimed the reward of a goal.
#[derive(Debug)]
pub struct ToldClaim<'a> {
    /// The internal id of the user.
    pub user: i64,
    /// The goal's key.
    pub goal: &'a str,
    /// The lot of the ledger here that holds the reward; `None`: it was granted elsewhere, or nothing.
    pub lot: Option<i64>,
    /// What was granted, in micros; `None`: what the goal is worth, or nothing where an export is silent.
    pub reward_micros: Option<i64>,
    /// When; `None`: the record does not say.
    pub at: Option<Timestamp>,
    /// Where the record comes from.
    pub origin: Origin,
}

/// What became of what was told of credits.
#[derive(Debug, Default)]
pub struct TakenCredits {
    /// Of each lot.
    pub lots: Vec<Taken>,
    /// Of each entry.
    pub entries: Vec<Taken>,
    /// Of each claim.
    pub claims: Vec<Taken>,
    /// The lots that do not follow from what has come so far, by their places in the list.
    pub unsettled: Vec<(usize, Place, Unsettled)>,
}

/// Takes what is told of enrolments and steps. Of enrolments and completions the earliest date stays, of steps the
/// most; what an export says of steps that are there counts if it is newer.
pub async fn take_told(
    unit: &mut Unit<'_>,
    enrolments: &[ToldEnrolment<'_>],
    steps: &[ToldSteps<'_>],
) -> Result<(Vec<Taken>, Vec<Taken>)> {
    Ok((take_enrolments(unit, enrolments).await?, take_steps(unit, steps).await?))
}

async fn take_enrolments(unit: &mut Unit<'_>, told: &[ToldEnrolment<'_>]) -> Result<Vec<Taken>> {
    let seasons = unit.catalogue::<Seasons>()?;
    let season = |key| seasons.by_key(key, unit.now).map(|(season, _)| season.id);
    let places: BTreeSet<(i64, i64)> = told.iter().filter_map(|told| Some((told.user, season(told.season)?))).collect();
    let stored = rows::with_pairs::<enrolment::Model>(unit.transaction(), "season_id", &places).await?;
    let mut stored: BTreeMap<(i64, i64), enrolment::Model> =
        stored.into_iter().map(|row| ((row.user_id, row.season_id), row)).collect();
    let mut changed = BTreeSet::new();
    let mut taken = Vec::with_capacity(told.len());
    for one in told {
        let Some((season, _)) = seasons.by_key(one.season, unit.now) else {
            taken.push(Err(format!("there is no season {:?}", one.season)));
            continue;
        };
        let place = (one.user, season.id);
        let enrolled_at = one.at.unwrap_or(unit.now);
        let before = stored.get(&place).map(|row| row.enrolled_at);
        if before.is_some_and(|before| before <= enrolled_at) {
            taken.push(Ok(false));
            continue;
        }
        if let Err(reason) = one.origin.check_retired(Kind::Season, one.season, season.retired_at, enrolled_at) {
            taken.push(Err(reason));
            continue;
        }
        if before.is_none() && one.origin == Origin::Told {
            unit.record_at(one.user, HistoryKind::Enrolled, (Kind::Season, one.season), &json!({}), enrolled_at)?;
        }
        stored.insert(place, enrolment::Model { user_id: one.user, season_id: season.id, enrolled_at });
        changed.insert(place);
        taken.push(Ok(true));
    }
    let rows = changed.iter().filter_map(|place| stored.remove(place)).collect();
    unit.stores().upsert(rows, &[enrolment::Column::EnrolledAt]);
    Ok(taken)
}

async fn take_steps(unit: &mut Unit<'_>, told: &[ToldSteps<'_>]) -> Result<Vec<Taken>> {
    let seasons = unit.catalogue::<Seasons>()?;
    let places = told.iter().filter_map(|told| Some((told.user, seasons.goal(told.goal)?.id))).collect();
    let stored = rows::with_pairs::<goal_progress::Model>(unit.transaction(), "goal_id", &places).await?;
    let mut stored: BTreeMap<(i64, i64), goal_progress::Model> =
        stored.into_iter().map(|row| ((row.user_id, row.goal_id), row)).collect();
    let mut changed = BTreeSet::new();
    let mut taken = Vec::with_capacity(told.len());
    for one in told {
        let Some(goal) = seasons.goal(one.goal) else {
            taken.push(Err(format!("there is no goal {:?}", one.goal)));
            continue;
        };
        // Exports may be older than a goal that has come to ask for fewer steps.
        let is_possible = (0..=goal.total_steps).contains(&one.completed_steps) || one.origin == Origin::Restored;
        if !is_possible {
            taken.push(Err(format!("the goal {:?} has {} steps", one.goal, goal.total_steps)));
            continue;
        }
        let place = (one.user, goal.id);
        let before = stored.get(&place);
        let after = merged(goal, before, one, unit.now);
        let is_nothing = before.is_none() && after.completed_steps == 0 && one.origin == Origin::Told;
        if is_nothing || before == Some(&after) {
            taken.push(Ok(false));
            continue;
        }
        if let Err(reason) = check_retired(&seasons, goal, one, unit.now) {
            taken.push(Err(reason));
            continue;
        }
        if one.origin == Origin::Told {
            tell(unit, goal, before, &after)?;
        }
        stored.insert(place, after);
        changed.insert(place);
        taken.push(Ok(true));
    }
    use goal_progress::Column;
    let rows = changed.iter().filter_map(|place| stored.remove(place)).collect();
    unit.stores().upsert(rows, &[Column::CompletedSteps, Column::CompletedAt, Column::UpdatedAt]);
    Ok(taken)
}

/// Refuses steps that were made when the goal or its season was retired.
fn check_retired(seasons: &Seasons, goal: &Goal, told: &ToldSteps<'_>, now: Timestamp) -> Result<(), String> {
    let at = told.at.or(told.completed_at).unwrap_or(now);
    told.origin.check_retired(Kind::Goal, &goal.key, goal.retired_at, at)?;
    let season = seasons.all().iter().find(|season| season.id == goal.season_id);
    season.map_or(Ok(()), |season| told.origin.check_retired(Kind::Season, &season.key, season.retired_at, at))
}

/// Returns what is stored of steps after something was told of them.
fn merged(
    goal: &Goal,
    before: Option<&goal_progress::Model>,
    told: &ToldSteps<'_>,
    now: Timestamp,
) -> goal_progress::Model {
    let completed_steps = told.completed_steps.clamp(0, goal.total_steps);
    let at = told.at.or(told.completed_at).unwrap_or(now);
    let completed_at = (completed_steps == goal.total_steps).then(|| told.completed_at.unwrap_or(at));
    let row =
        goal_progress::Model { user_id: told.user, goal_id: goal.id, completed_steps, completed_at, updated_at: at };
    let Some(before) = before else { return row };
    match told.origin {
        Origin::Restored if (at, completed_steps) > (before.updated_at, before.completed_steps) => row,
        Origin::Restored => before.clone(),
        Origin::Told if completed_steps < before.completed_steps => before.clone(),
        Origin::Told if completed_steps > before.completed_steps => row,
        Origin::Told => goal_progress::Model {
            completed_at: before.completed_at.into_iter().chain(completed_at).min(),
            updated_at: before.updated_at.min(at),
            ..row
        },
    }
}

/// Tells a history what changed.
fn tell(
    unit: &mut Unit<'_>,
    goal: &Goal,
    before: Option<&goal_progress::Model>,
    after: &goal_progress::Model,
) -> Result<()> {
    let subject = (Kind::Goal, goal.key.as_str());
    let (steps, completed_at) = before.map_or((0, None), |row| (row.completed_steps, row.completed_at));
    let total = goal.total_steps;
    if after.completed_steps > steps {
        let added = after.completed_steps - steps;
        let changes = json!({ "added": added, "completedSteps": after.completed_steps, "totalSteps": total });
        unit.record_at(after.user_id, HistoryKind::GoalSteps, subject, &changes, after.updated_at)?;
    }
    if let Some(at) = after.completed_at.filter(|at| completed_at != Some(*at)) {
        let changes = json!({ "totalSteps": total });
        unit.record_at(after.user_id, HistoryKind::GoalCompleted, subject, &changes, at)?;
    }
    Ok(())
}

/// Takes what is told of lots, each with the key of the goal that it is the reward of, of entries and of claims. A goal
/// is claimed once: of two claims the one stays that opened a lot here, then the earlier.
pub async fn take_credits(
    unit: &mut Unit<'_>,
    mut lots: Vec<(ToldLot<'_>, Option<&str>)>,
    entries: &[ToldEntry<'_>],
    claims: &[ToldClaim<'_>],
) -> Result<TakenCredits> {
    let seasons = unit.catalogue::<Seasons>()?;
    let goals = lots.iter().filter_map(|(lot, goal)| Some((lot.user, (*goal)?)));
    let goals = goals.chain(claims.iter().map(|claim| (claim.user, claim.goal)));
    let mut claimed = Claimed::read(unit, &seasons, goals, claims).await?;
    for (lot, goal) in &mut lots {
        let goal = goal.and_then(|key| seasons.goal(key)).map(|goal| goal.id);
        lot.reward = goal.map(|goal| Reward { goal, claimed: claimed.lot(lot.user, goal) });
    }
    let known = |goal: Option<&str>| match goal.filter(|key| seasons.goal(key).is_none()) {
        Some(key) => Err(format!("there is no goal {key:?}")),
        None => Ok(()),
    };
    let (lots, goals): (Vec<ToldLot<'_>>, Vec<Option<&str>>) = lots.into_iter().unzip();
    let named = claims.iter().filter_map(|claim| Some((claim.user, claim.lot?)));
    let mut books = Books::read(unit, &lots, entries, named).await?;
    let mut taken = TakenCredits::default();
    for (lot, goal) in lots.iter().zip(goals) {
        taken.lots.push(match known(goal) {
            Ok(()) => books.take_lot(unit, lot)?,
            Err(reason) => Err(reason),
        });
    }
    for entry in entries {
        taken.entries.push(books.take_entry(unit, entry)?);
    }
    for claim in claims {
        taken.claims.push(claimed.take(unit, &seasons, &mut books, claim)?);
    }
    for (place, lot) in lots.iter().enumerate().filter(|(place, _)| taken.lots[*place].is_ok()) {
        taken.unsettled.extend(books.unsettled(lot).map(|(lot, unsettled)| (place, lot, unsettled)));
    }
    books.store(unit);
    claimed.store(unit);
    Ok(taken)
}

/// What some locked users have claimed.
struct Claimed {
    /// By user and goal.
    claims: BTreeMap<(i64, i64), goal_claim::Model>,
    changed: BTreeSet<(i64, i64)>,
    /// Of those goals whose claims opened lots.
    budgets: Budgets,
}

/// The order of two claims of a goal: the first one stays.
fn order(claim: &goal_claim::Model) -> impl Ord + use<> {
    (claim.lot_seq == 0, claim.claimed_at, Reverse(claim.reward_micros))
}

impl Claimed {
    /// Reads the claims of goals, each with its user.
    async fn read<'a>(
        unit: &Unit<'_>,
        seasons: &Seasons,
        goals: impl Iterator<Item = (i64, &'a str)>,
        told: &[ToldClaim<'_>],
    ) -> Result<Self> {
        let places = goals.filter_map(|(user, key)| Some((user, seasons.goal(key)?.id))).collect();
        let claims = rows::with_pairs::<goal_claim::Model>(unit.transaction(), "goal_id", &places).await?;
        let claims = claims.into_iter().map(|row| ((row.user_id, row.goal_id), row)).collect();
        let paid = told.iter().filter(|claim| claim.lot.is_some());
        let paid = paid.filter_map(|claim| seasons.goal(claim.goal)).map(|goal| &**goal).collect();
        Ok(Self { claims, changed: BTreeSet::new(), budgets: Budgets::of(unit, paid).await? })
    }

    /// The lot that a claim opened.
    fn lot(&self, user: i64, goal: i64) -> Option<i64> {
        self.claims.get(&(user, goal)).map(|claim| claim.lot_seq).filter(|lot| *lot > 0)
    }

    fn take(
        &mut self,
        unit: &mut Unit<'_>,
        seasons: &Seasons,
        books: &mut Books,
        told: &ToldClaim<'_>,
    ) -> Result<Taken> {
        let Some(goal) = seasons.goal(told.goal) else { return Ok(Err(format!("there is no goal {:?}", told.goal))) };
        let is_told = told.origin == Origin::Told;
        let unsaid = if is_told { goal.reward_micros } else { 0 };
        let claim = goal_claim::Model {
            user_id: told.user,
            goal_id: goal.id,
            lot_seq: told.lot.unwrap_or(0),
            reward_micros: told.reward_micros.unwrap_or(unsaid),
            claimed_at: told.at.unwrap_or(unit.now),
        };
        let place = (told.user, goal.id);
        let before = self.claims.get(&place);
        if before.is_some_and(|before| before.lot_seq > 0 || order(before) <= order(&claim)) {
            return Ok(Ok(false));
        }
        if told.lot.is_some()
            && let Err(reason) = self.pay(books, goal, &claim, is_told)
        {
            return Ok(Err(reason));
        }
        if is_told && !self.claims.contains_key(&place) {
            tell_claim(unit, told.user, goal, (claim.reward_micros, claim.lot_seq), claim.claimed_at)?;
        }
        self.claims.insert(place, claim);
        self.changed.insert(place);
        Ok(Ok(true))
    }

    /// Makes a lot the reward of a claim, which its budgets pay. What was granted already as an export says raises
    /// their caps.
    fn pay(&mut self, books: &mut Books, goal: &Goal, claim: &goal_claim::Model, is_told: bool) -> Result<(), String> {
        let micros = claim.reward_micros;
        if micros == 0 {
            return Err("a claim that granted nothing has no lot".to_owned());
        }
        if is_told {
            self.budgets.check(goal, micros).map_err(|refusal| refusal.message)?;
        }
        books.reward((claim.user_id, claim.lot_seq), goal.id, micros)?;
        self.budgets.spend(goal, micros);
        Ok(())
    }

    fn store(mut self, unit: &mut Unit<'_>) {
        use goal_claim::Column;
        let rows = self.changed.iter().filter_map(|place| self.claims.remove(place)).collect();
        unit.stores().upsert(rows, &[Column::LotSeq, Column::RewardMicros, Column::ClaimedAt]);
        self.budgets.store(unit);
    }
}

/// Settles lots of locked users for which nothing comes any more. Returns what was wrong with which lot.
pub async fn settle(unit: &mut Unit<'_>, unsettled: &BTreeMap<Place, Unsettled>) -> Result<Vec<(Place, String)>> {
    let goals = unsettled.iter().filter_map(|((user, _), lot)| Some((*user, lot.goal?))).collect();
    let claims = rows::with_pairs::<goal_claim::Model>(unit.transaction(), "goal_id", &goals).await?;
    let claims: HashMap<(i64, i64), i64> =
        claims.into_iter().map(|row| ((row.user_id, row.goal_id), row.lot_seq)).collect();
    credits::settle(unit, unsettled, &claims).await
}
