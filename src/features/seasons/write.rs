//! Taking part in seasons, recording steps of goals, and claiming their rewards.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use serde::{Deserialize, Serialize};
use serde_json::json;

use super::repo::{self, Budget, Fact, NewClaim, Steps};
pub use super::rules::ClaimStatus;
use super::rules::{
    self, ClaimFacts, ClaimRefusal, RecordedSteps, Schedule, SeasonClock, SeasonState, StepAmount, StepRefusal,
};
use super::{Goal, Season, Seasons};
use waymark_auth::policy::{ActingUser, Operator, RecordedUser};
use waymark_credits::write::{Ledger, micros_to_decimal};
use waymark_kernel::clock::Timestamp;
use waymark_kernel::error::{Error, Result};
use waymark_kernel::limits;
use waymark_vocabulary::ids::Kind;
use waymark_vocabulary::refusal::{BulkMode, ItemOutcome, Refusal, UserErrorCode, WriteStatus, not_applied};
use waymark_write::{HistoryKind, Reference, Unit, Write, in_one_list, only};

/// Lets a user take part in a season.
#[derive(Debug, Serialize)]
pub struct EnrollInSeason {
    /// Who enrols.
    pub user: ActingUser,
    /// The season's key; `None`: the current season.
    pub season: Option<String>,
}

/// What came of an enrolment.
#[derive(Debug, Serialize, Deserialize)]
pub struct Enrolled {
    /// Whether the user was enrolled now, was enrolled before, or was refused.
    pub status: WriteStatus,
    /// The season's key, when there is such a season.
    pub season: Option<String>,
    /// Why it was refused; `None`: it was not.
    pub refusal: Option<Refusal>,
}

impl Write for EnrollInSeason {
    const NAME: &'static str = "enrollInSeason";

    type Outcome = Enrolled;

    fn joins(&self) -> Option<i64> {
        Some(self.user.key())
    }

    async fn perform(&self, unit: &mut Unit<'_>) -> Result<Enrolled> {
        only(Self::perform_together(&[self], unit).await?)
    }

    async fn perform_together(writes: &[&Self], unit: &mut Unit<'_>) -> Result<Vec<Enrolled>> {
        let items: Vec<(i64, Option<String>)> =
            writes.iter().map(|write| (write.user.key(), write.season.clone())).collect();
        unit.lock(writes.iter().map(|write| write.user.key())).await?;
        let outcomes = enrol(unit, &items).await?;
        let seasons = unit.catalogue::<Seasons>()?;
        let enrolled = outcomes.into_iter().map(|ItemOutcome { id, status, error }| {
            let season = Kind::Season.key(&id).ok().filter(|key| seasons.by_key(key, unit.now).is_some());
            Enrolled { status, season: season.map(str::to_owned), refusal: error }
        });
        Ok(enrolled.collect())
    }
}

/// Lets locked users take part in seasons, in the order of `items`: each a user and the key of a season; `None`: the
/// current season.
pub async fn enrol(unit: &mut Unit<'_>, items: &[(i64, Option<String>)]) -> Result<Vec<ItemOutcome>> {
    let seasons = unit.catalogue::<Seasons>()?;
    let current = seasons.current(unit.now).map_or("", |(season, _)| season.key.as_str());
    let items = || items.iter().map(|(user, key)| (*user, key.as_deref().unwrap_or(current)));
    let mut wanted: BTreeMap<i64, BTreeSet<i64>> = BTreeMap::new();
    for (user, key) in items() {
        if let Some((season, _)) = seasons.by_key(key, unit.now) {
            wanted.entry(user).or_default().insert(season.id);
        }
    }
    let wanted: Vec<(i64, Vec<i64>)> =
        wanted.into_iter().map(|(user, seasons)| (user, seasons.into_iter().collect())).collect();
    let mut enrolled = BTreeSet::new();
    if !wanted.is_empty() {
        let wanted = wanted.iter().map(|(user, seasons)| (*user, seasons.as_slice()));
        enrolled.extend(repo::enrolments(unit.transaction(), wanted).await?);
    }
    let mut added = Vec::new();
    let mut results = Vec::new();
    for (user, key) in items() {
        let id = Kind::Season.id(key);
        let Some((season, schedule)) = seasons.by_key(key, unit.now) else {
            let message =
                if key.is_empty() { "there is no season".to_owned() } else { format!("there is no season {key:?}") };
            results.push(ItemOutcome::refused(id, Refusal::new(UserErrorCode::UnknownSeason, message)));
            continue;
        };
        if enrolled.contains(&(user, season.id)) {
            results.push(ItemOutcome::unchanged(id));
        } else if season.retired_at.is_some() {
            results.push(ItemOutcome::refused(id, Kind::Season.retired(key)));
        } else if schedule.clock(unit.now).state == SeasonState::Ended {
            let refusal = Refusal::new(UserErrorCode::SeasonEnded, "the season is over");
            results.push(ItemOutcome::refused(id, refusal));
        } else {
            enrolled.insert((user, season.id));
            added.push((user, season.id, unit.now));
            unit.record(user, HistoryKind::Enrolled, (Kind::Season, key), &json!({}))?;
            results.push(ItemOutcome::applied(id));
        }
    }
    repo::enrol(unit.transaction(), added).await?;
    Ok(results)
}

/// Records steps of goals of a user.
#[derive(Debug, Serialize)]
pub struct RecordGoalSteps {
    /// Whose steps are recorded.
    pub user: RecordedUser,
    /// The goals with their steps, in the order of the input.
    pub steps: Vec<NewSteps>,
    /// Whether the good items are done when others are refused.
    pub mode: BulkMode,
}

/// Steps of a goal that are to be recorded.
#[derive(Debug, Clone, Serialize)]
pub struct NewSteps {
    /// The goal's key.
    pub goal: String,
    /// How many more, or how many in all.
    pub amount: StepAmount,
    /// When they were done; `None`: now.
    pub occurred_at: Option<Timestamp>,
    /// The caller's name for these steps, so that they count only once; `None`: they count each time.
    pub reference: Option<String>,
    /// Why the item cannot be read; `None`: it was read.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub malformed: Option<Refusal>,
}

/// What became of recording steps; also what is kept under the reference.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct StepsOutcome {
    /// The outcome, under the global id of what the item names.
    pub item: ItemOutcome,
    /// How many steps are done by then; `None` when it was refused.
    pub recorded: Option<RecordedSteps>,
}

impl Write for RecordGoalSteps {
    const NAME: &'static str = "recordGoalSteps";

    type Outcome = Vec<StepsOutcome>;

    fn concerns(&self) -> Option<i64> {
        Some(self.user.key())
    }

    fn may_be_abandoned(&self) -> bool {
        self.mode == BulkMode::AllOrNothing
    }

    fn joins(&self) -> Option<i64> {
        (!self.may_be_abandoned()).then(|| self.user.key())
    }

    fn size(&self) -> usize {
        self.steps.len()
    }

    async fn perform(&self, unit: &mut Unit<'_>) -> Result<Vec<StepsOutcome>> {
        let mut results = only(Self::perform_together(&[self], unit).await?)?;
        if self.may_be_abandoned() && results.iter().any(|result| result.item.status == WriteStatus::Refused) {
            not_applied(results.iter_mut().map(|result| &mut result.item));
            for result in results.iter_mut().filter(|result| result.item.status == WriteStatus::Refused) {
                result.recorded = None;
            }
            unit.abandon();
        }
        Ok(results)
    }

    async fn perform_together(writes: &[&Self], unit: &mut Unit<'_>) -> Result<Vec<Vec<StepsOutcome>>> {
        unit.lock(writes.iter().map(|write| write.user.key())).await?;
        let of = |write: &&Self| (write.user.key(), write.steps.clone());
        let mut results = record_steps(unit, &in_one_list(writes.iter().map(of))).await?.into_iter();
        Ok(writes.iter().map(|write| results.by_ref().take(write.steps.len()).collect()).collect())
    }
}

/// Records steps of locked users, in the order of `items`, each with its user.
pub async fn record_steps(unit: &mut Unit<'_>, items: &[(i64, NewSteps)]) -> Result<Vec<StepsOutcome>> {
    let seasons = unit.catalogue::<Seasons>()?;
    let named = items.iter().map(|(user, item)| {
        item.reference.as_deref().map(|name| Reference::new(*user, "GOAL_STEPS", name)).transpose()
    });
    let references: Vec<Result<Option<Reference>, Refusal>> = named.collect();
    let asked: Vec<Reference> = references.iter().flatten().flatten().cloned().collect();
    let mut known = unit.referenced(&asked).await?;
    let concerned = items.iter().filter_map(|(user, item)| Some((*user, seasons.goal(&item.goal)?.season_id)));
    let mut players = Players::read(unit, concerned).await?;
    let clocks = Clocks::read(&seasons, items.iter().map(|(_, item)| item.goal.as_str()), unit.now);

    let mut results = Vec::with_capacity(items.len());
    for ((user, item), reference) in items.iter().zip(references) {
        let id = Kind::Goal.id(&item.goal);
        if let Some(refusal) = item.malformed.clone() {
            results.push(StepsOutcome { item: ItemOutcome::refused(id, refusal), recorded: None });
            continue;
        }
        let reference = match reference {
            Ok(reference) => reference,
            Err(refusal) => {
                results.push(StepsOutcome { item: ItemOutcome::refused(id, refusal), recorded: None });
                continue;
            }
        };
        if let Some(kept) = reference.as_ref().and_then(|reference| known.get(reference)) {
            let mut kept: StepsOutcome = serde_json::from_str(kept).map_err(Error::internal)?;
            kept.item.status = WriteStatus::Unchanged;
            results.push(kept);
            continue;
        }
        let outcome = match players.record(unit, &seasons, &clocks, *user, item)? {
            Ok((recorded, changed)) => {
                let item = if changed { ItemOutcome::applied(id) } else { ItemOutcome::unchanged(id) };
                StepsOutcome { item, recorded: Some(recorded) }
            }
            Err(refusal) => StepsOutcome { item: ItemOutcome::refused(id, refusal), recorded: None },
        };
        if let Some(reference) = reference.filter(|_| outcome.recorded.is_some()) {
            let text = serde_json::to_string(&outcome).map_err(Error::internal)?;
            known.insert(reference.clone(), text.clone());
            unit.keep(reference, text);
        }
        results.push(outcome);
    }
    players.store(unit);
    Ok(results)
}

/// Sets the steps of a goal to what they really are.
#[derive(Debug, Serialize)]
pub struct CorrectGoalSteps {
    /// Proof that the caller is an operator.
    pub operator: Operator,
    /// Whose steps are corrected.
    pub user: RecordedUser,
    /// The goal's key.
    pub goal: String,
    /// How many steps are done in truth, from 0 to the goal's total.
    pub completed_steps: i32,
}

/// What came of a correction.
#[derive(Debug, Serialize, Deserialize)]
pub struct Corrected {
    /// Whether the steps changed, were right before, or the correction was refused.
    pub status: WriteStatus,
    /// Why it was refused; `None`: it was not.
    pub refusal: Option<Refusal>,
}

impl Write for CorrectGoalSteps {
    const NAME: &'static str = "correctGoalSteps";

    type Outcome = Corrected;

    fn concerns(&self) -> Option<i64> {
        Some(self.user.key())
    }

    async fn perform(&self, unit: &mut Unit<'_>) -> Result<Corrected> {
        let user = self.user.key();
        unit.lock([user]).await?;
        let refused = |refusal| Ok(Corrected { status: WriteStatus::Refused, refusal: Some(refusal) });
        let seasons = unit.catalogue::<Seasons>()?;
        let Some(goal) = seasons.goal(&self.goal) else {
            return refused(unknown_goal(&self.goal).at(["goalId"]));
        };
        if !(0..=goal.total_steps).contains(&self.completed_steps) {
            let message = format!("the goal has {} steps, and {} were given", goal.total_steps, self.completed_steps);
            return refused(Refusal::new(UserErrorCode::InvalidInput, message).at(["completedSteps"]));
        }
        let mut players = Players::read(unit, std::iter::once((user, goal.season_id))).await?;
        let before = players.steps(user, goal.id);
        if before.completed_steps == self.completed_steps {
            return Ok(Corrected { status: WriteStatus::Unchanged, refusal: None });
        }
        let changes = json!({ "completedSteps": self.completed_steps, "totalSteps": goal.total_steps });
        unit.record(user, HistoryKind::GoalStepsCorrected, (Kind::Goal, &goal.key), &changes)?;
        players.set(unit, user, goal, self.completed_steps, unit.now)?;
        players.store(unit);
        Ok(Corrected { status: WriteStatus::Applied, refusal: None })
    }
}

/// Seasons with their clocks, by the seasons' ids.
struct Clocks<'a>(BTreeMap<i64, (&'a Season, Schedule<'a>, SeasonClock)>);

impl<'a> Clocks<'a> {
    /// The clocks of the seasons of these goals.
    fn read<'b>(seasons: &'a Seasons, goals: impl Iterator<Item = &'b str>, now: Timestamp) -> Self {
        let concerned: BTreeSet<i64> = goals.filter_map(|key| seasons.goal(key)).map(|goal| goal.season_id).collect();
        let scheduled = seasons.scheduled(now).filter(|(season, _)| concerned.contains(&season.id));
        let clock = |(season, schedule): (&'a Arc<Season>, Schedule<'a>)| {
            (season.id, (&**season, schedule, schedule.clock(now)))
        };
        Self(scheduled.map(clock).collect())
    }

    fn of(&self, goal: &Goal) -> Result<(&Schedule<'a>, &SeasonClock)> {
        let found = self.0.get(&goal.season_id).map(|(_, schedule, clock)| (schedule, clock));
        found.ok_or_else(|| Error::internal(format!("goal {} belongs to no season", goal.key)))
    }

    /// Why a goal that was retired, or whose season was, takes no steps.
    fn retired(&self, goal: &Goal) -> Option<Refusal> {
        if goal.retired_at.is_some() {
            return Some(Kind::Goal.retired(&goal.key));
        }
        let (season, ..) = self.0.get(&goal.season_id)?;
        season.retired_at.is_some().then(|| Kind::Season.retired(&season.key))
    }
}

/// How far locked users are in some seasons.
struct Players {
    /// Users with the seasons they take part in.
    enrolled: BTreeSet<(i64, i64)>,
    /// By user and goal, as they are stored.
    steps: BTreeMap<(i64, i64), Steps>,
    changed: BTreeSet<(i64, i64)>,
}

impl Players {
    /// Everything of these users in the season beside each of them.
    async fn read(unit: &Unit<'_>, wanted: impl Iterator<Item = (i64, i64)>) -> Result<Self> {
        let (users, seasons): (BTreeSet<i64>, BTreeSet<i64>) = wanted.unzip();
        let mut players = Self { enrolled: BTreeSet::new(), steps: BTreeMap::new(), changed: BTreeSet::new() };
        if users.is_empty() {
            return Ok(players);
        }
        let (users, seasons) = (users.into_iter().collect(), seasons.into_iter().collect());
        for ((user, season), fact) in repo::facts(unit.transaction(), users, seasons).await? {
            match fact {
                Fact::Enrolled(_) => drop(players.enrolled.insert((user, season))),
                Fact::Goal(steps) => drop(players.steps.insert((user, steps.goal_id), steps)),
            }
        }
        Ok(players)
    }

    fn steps(&self, user: i64, goal: i64) -> Steps {
        self.steps.get(&(user, goal)).copied().unwrap_or(Steps { goal_id: goal, ..Steps::default() })
    }

    /// Records steps. Gives what they came to, and whether that changed anything.
    fn record(
        &mut self,
        unit: &mut Unit<'_>,
        seasons: &Seasons,
        clocks: &Clocks<'_>,
        user: i64,
        item: &NewSteps,
    ) -> Result<Result<(RecordedSteps, bool), Refusal>> {
        let Some(goal) = seasons.goal(&item.goal) else { return Ok(Err(unknown_goal(&item.goal))) };
        let now = unit.now;
        let days = unit.config.limits.max_backdate_days;
        let earliest = now.plus_seconds(-i64::from(days) * 24 * 60 * 60).max(limits::EARLIEST);
        if let Some(at) = item.occurred_at.filter(|at| *at > now || *at < earliest) {
            let message = format!("steps were done between {days} days ago and now, and {at} does not lie there");
            return Ok(Err(Refusal::new(UserErrorCode::DateOutOfRange, message)));
        }
        if let Some(refusal) = clocks.retired(goal) {
            return Ok(Err(refusal));
        }
        let (schedule, clock) = clocks.of(goal)?;
        let enrolled = self.enrolled.contains(&(user, goal.season_id));
        let allowed = rules::may_record_steps(goal.week, enrolled, clock, item.occurred_at, schedule, now);
        if let Err(reason) = allowed {
            return Ok(Err(steps_refused(reason)));
        }
        // The goal may have come to ask for fewer steps than were made before.
        let done = self.steps(user, goal.id).completed_steps.min(goal.total_steps);
        let recorded = match rules::record_steps(goal.total_steps, done, item.amount) {
            Ok(recorded) => recorded,
            Err(rules::OutOfRange) => {
                let message = "add takes at least 1 step, setTo at least 0";
                return Ok(Err(Refusal::new(UserErrorCode::InvalidInput, message)));
            }
        };
        let added = recorded.completed_steps - done;
        if added == 0 {
            return Ok(Ok((recorded, false)));
        }
        let at = item.occurred_at.unwrap_or(now);
        let changes = json!({
            "added": added, "completedSteps": recorded.completed_steps, "totalSteps": goal.total_steps,
        });
        unit.record_at(user, HistoryKind::GoalSteps, (Kind::Goal, &goal.key), &changes, at)?;
        self.set(unit, user, goal, recorded.completed_steps, at)?;
        Ok(Ok((recorded, true)))
    }

    /// Sets the steps of a goal as of `at`, and tells when the last one was done by that.
    fn set(&mut self, unit: &mut Unit<'_>, user: i64, goal: &Goal, completed: i32, at: Timestamp) -> Result<()> {
        let before = self.steps(user, goal.id);
        let is_complete = completed >= goal.total_steps;
        let was_complete = before.completed_steps >= goal.total_steps;
        let completed_at = match (is_complete, was_complete) {
            (false, _) => None,
            (true, true) => before.completed_at.or(Some(at)),
            (true, false) => {
                let changes = json!({ "totalSteps": goal.total_steps });
                unit.record_at(user, HistoryKind::GoalCompleted, (Kind::Goal, &goal.key), &changes, at)?;
                Some(at)
            }
        };
        let place = (user, goal.id);
        self.steps.insert(place, Steps { completed_steps: completed, completed_at, ..before });
        self.changed.insert(place);
        Ok(())
    }

    /// Stores what changed.
    fn store(self, unit: &mut Unit<'_>) {
        let changed = self.changed.iter().filter_map(|place| Some((place.0, *self.steps.get(place)?)));
        let changed: Vec<_> = changed.map(|(user, steps)| (user, steps, unit.now)).collect();
        repo::store_steps(unit.stores(), changed);
    }
}

/// Claims the rewards of goals.
#[derive(Debug, Serialize)]
pub struct ClaimGoals {
    /// Who claims the rewards.
    pub user: ActingUser,
    /// The goals' keys.
    pub goals: Vec<String>,
}

/// What became of the claim of a goal.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Claim {
    /// The goal's key.
    pub goal: String,
    /// Whether the user got the reward now, had got it before, or was refused.
    pub status: ClaimStatus,
    /// What the user got, now or before.
    pub micros: Option<i64>,
    /// Why it was refused; `None`: it was not.
    pub refusal: Option<Refusal>,
}

impl Write for ClaimGoals {
    const NAME: &'static str = "claimGoals";

    type Outcome = Vec<Claim>;

    fn joins(&self) -> Option<i64> {
        Some(self.user.key())
    }

    fn size(&self) -> usize {
        self.goals.len()
    }

    async fn perform(&self, unit: &mut Unit<'_>) -> Result<Vec<Claim>> {
        only(Self::perform_together(&[self], unit).await?)
    }

    async fn perform_together(writes: &[&Self], unit: &mut Unit<'_>) -> Result<Vec<Vec<Claim>>> {
        let users: Vec<i64> = writes.iter().map(|write| write.user.key()).collect();
        unit.lock(users.clone()).await?;
        let seasons = unit.catalogue::<Seasons>()?;
        let mut goals: Vec<(i64, Arc<Goal>)> = Vec::new();
        for write in writes {
            let known = write.goals.iter().filter_map(|key| seasons.goal(key));
            goals.extend(known.map(|goal| (write.user.key(), Arc::clone(goal))));
        }
        let concerned: Vec<(i64, i64)> = goals.iter().map(|(user, goal)| (*user, goal.season_id)).collect();
        let players = Players::read(unit, concerned.into_iter()).await?;
        let ledger = Ledger::read(unit, users).await?;
        let clocks = Clocks::read(&seasons, goals.iter().map(|(_, goal)| goal.key.as_str()), unit.now);
        let mut claims = Claims { players, ledger, clocks, budgets: Budgets::default(), claimed: Vec::new() };
        claims.lock_budgets(unit, &goals).await?;
        let mut results = Vec::with_capacity(writes.len());
        for write in writes {
            let claimed = write.goals.iter().map(|key| {
                let outcome = match seasons.goal(key) {
                    Some(goal) => claims.claim(unit, write.user.key(), goal)?,
                    None => Err(unknown_goal(key)),
                };
                let (status, micros, refusal) = match outcome {
                    Ok((status, micros)) => (status, Some(micros), None),
                    Err(refusal) => (ClaimStatus::Refused, None, Some(refusal)),
                };
                Ok(Claim { goal: key.clone(), status, micros, refusal })
            });
            results.push(claimed.collect::<Result<_>>()?);
        }
        claims.store(unit);
        Ok(results)
    }
}

/// What locked users claim.
struct Claims<'a> {
    players: Players,
    ledger: Ledger,
    clocks: Clocks<'a>,
    budgets: Budgets,
    /// Each with its user.
    claimed: Vec<(i64, NewClaim)>,
}

impl Claims<'_> {
    /// Whether a claim would be granted, as long as the budget lasts.
    fn check(&self, unit: &Unit<'_>, user: i64, goal: &Goal) -> Result<Result<(), ClaimRefusal>> {
        let steps = self.players.steps(user, goal.id);
        let facts = ClaimFacts {
            week: goal.week,
            total_steps: goal.total_steps,
            completed_steps: steps.completed_steps,
            claimed: steps.claimed_at.is_some(),
            blocked: self.ledger.is_blocked_for_claiming(user, unit.now),
            enrolled: self.players.enrolled.contains(&(user, goal.season_id)),
        };
        Ok(rules::claimable(&facts, self.clocks.of(goal)?.1))
    }

    /// Locks the budgets out of which those of `goals` are paid that may be claimed: the last thing that a claim waits
    /// for.
    async fn lock_budgets(&mut self, unit: &Unit<'_>, goals: &[(i64, Arc<Goal>)]) -> Result<()> {
        let mut claimable = Vec::new();
        for (user, goal) in goals.iter().filter(|(_, goal)| goal.reward_micros > 0) {
            if self.check(unit, *user, goal)?.is_ok() {
                claimable.push(&**goal);
            }
        }
        self.budgets = Budgets::of(unit, claimable).await?;
        Ok(())
    }

    /// Claims a goal; what the user got for it, now or before.
    fn claim(&mut self, unit: &mut Unit<'_>, user: i64, goal: &Goal) -> Result<Result<(ClaimStatus, i64), Refusal>> {
        let mut steps = self.players.steps(user, goal.id);
        match self.check(unit, user, goal)? {
            Ok(()) => {}
            Err(ClaimRefusal::AlreadyClaimed) => {
                let micros = steps.claimed_micros.unwrap_or(goal.reward_micros);
                return Ok(Ok((ClaimStatus::AlreadyClaimed, micros)));
            }
            Err(reason) => return Ok(Err(claim_refused(reason, goal, steps.completed_steps))),
        }
        let micros = goal.reward_micros;
        let now = unit.now;
        let room = self.ledger.check_room(user, micros, now);
        if let Err(refusal) = self.budgets.check(goal, micros).and(room) {
            return Ok(Err(refusal));
        }
        self.budgets.spend(goal, micros);
        let mut lot_seq = 0;
        if micros > 0 {
            let season_end = self.clocks.of(goal)?.1.end_at;
            lot_seq = self.ledger.reward(unit, user, goal.id, micros, season_end)?;
        }
        tell_claim(unit, user, goal, (micros, lot_seq), now)?;
        let claim = NewClaim { goal_id: goal.id, lot_seq, reward_micros: micros, claimed_at: now };
        self.claimed.push((user, claim));
        (steps.claimed_at, steps.claimed_micros) = (Some(now), Some(micros));
        self.players.steps.insert((user, goal.id), steps);
        Ok(Ok((ClaimStatus::Claimed, micros)))
    }

    fn store(self, unit: &mut Unit<'_>) {
        self.ledger.store(unit);
        repo::store_claims(unit.stores(), self.claimed);
        self.budgets.store(unit);
    }
}

/// Tells a history that a goal was claimed, for so much in this lot; 0: in none.
pub(super) fn tell_claim(
    unit: &mut Unit<'_>,
    user: i64,
    goal: &Goal,
    (micros, lot): (i64, i64),
    at: Timestamp,
) -> Result<()> {
    let mut changes = json!({ "credits": micros_to_decimal(micros) });
    if lot > 0 {
        changes["lot"] = lot.into();
    }
    unit.record_at(user, HistoryKind::GoalClaimed, (Kind::Goal, &goal.key), &changes, at)
}

/// The budgets of seasons and weeks that claims are paid out of; where there is none, nothing is bounded.
#[derive(Default)]
pub(super) struct Budgets {
    /// By season and week.
    budgets: BTreeMap<(i64, i32), Budget>,
    changed: BTreeSet<(i64, i32)>,
}

impl Budgets {
    /// Locks the budgets that pay for these goals.
    pub(super) async fn of(unit: &Unit<'_>, goals: Vec<&Goal>) -> Result<Self> {
        let (mut seasons, mut weeks) = (BTreeSet::new(), BTreeSet::new());
        for goal in goals {
            seasons.insert(goal.season_id);
            weeks.extend(Self::weeks(goal).map(i64::from));
        }
        if seasons.is_empty() {
            return Ok(Self::default());
        }
        let (seasons, weeks) = (seasons.into_iter().collect(), weeks.into_iter().collect());
        let budgets = repo::lock_budgets(unit.transaction(), seasons, weeks).await?;
        let budgets = budgets.into_iter().map(|budget| ((budget.season_id, budget.week), budget));
        Ok(Self { budgets: budgets.collect(), changed: BTreeSet::new() })
    }

    /// The weeks whose budgets pay for a goal: 0, which is the whole season, and its own.
    fn weeks(goal: &Goal) -> impl Iterator<Item = i32> {
        std::iter::once(0).chain(goal.week)
    }

    pub(super) fn check(&self, goal: &Goal, micros: i64) -> Result<(), Refusal> {
        for week in Self::weeks(goal) {
            let Some(budget) = self.budgets.get(&(goal.season_id, week)) else { continue };
            let spent = budget.spent_micros.checked_add(micros);
            if spent.is_none_or(|spent| spent > budget.cap_micros) {
                let whose = if week == 0 { "the season".to_owned() } else { format!("week {week}") };
                let message = format!("what the budget of {whose} has left does not cover the reward");
                return Err(Refusal::new(UserErrorCode::BudgetExhausted, message));
            }
        }
        Ok(())
    }

    /// Pays so much for a goal. Whoever may be refused [asks](Self::check) before.
    pub(super) fn spend(&mut self, goal: &Goal, micros: i64) {
        for week in Self::weeks(goal) {
            let place = (goal.season_id, week);
            if let Some(budget) = self.budgets.get_mut(&place).filter(|_| micros > 0) {
                budget.spent_micros = budget.spent_micros.saturating_add(micros);
                budget.cap_micros = budget.cap_micros.max(budget.spent_micros);
                self.changed.insert(place);
            }
        }
    }

    pub(super) fn store(self, unit: &mut Unit<'_>) {
        repo::store_spent(unit.stores(), self.changed.iter().filter_map(|place| self.budgets.get(place).cloned()));
    }
}

fn unknown_goal(key: &str) -> Refusal {
    Kind::Goal.refuse(key, UserErrorCode::UnknownGoal, format!("there is no goal {key:?}"))
}

fn steps_refused(reason: StepRefusal) -> Refusal {
    let (code, message) = match reason {
        StepRefusal::NotEnrolled => (UserErrorCode::NotEnrolled, "the user does not take part in the season"),
        StepRefusal::SeasonNotStarted => (UserErrorCode::SeasonNotStarted, "the season has not begun"),
        StepRefusal::SeasonPaused => (UserErrorCode::SeasonPaused, "the season is paused"),
        StepRefusal::SeasonEnded => (UserErrorCode::SeasonEnded, "the season is over"),
        StepRefusal::WeekNotStarted => (UserErrorCode::WeekNotStarted, "the goal's week is still to come"),
        StepRefusal::WeekOver => (
            UserErrorCode::WeekOver,
            "the goal's week is over; steps done in it are taken for another 24 hours when occurredAt says so",
        ),
    };
    Refusal::new(code, message)
}

fn claim_refused(reason: ClaimRefusal, goal: &Goal, completed: i32) -> Refusal {
    let (code, message) = match reason {
        ClaimRefusal::AlreadyClaimed => (UserErrorCode::AlreadyClaimed, "the reward was claimed before"),
        ClaimRefusal::Blocked => (UserErrorCode::Blocked, "the user is blocked from claiming rewards"),
        ClaimRefusal::NotEnrolled => (UserErrorCode::NotEnrolled, "the user does not take part in the season"),
        ClaimRefusal::SeasonNotStarted => (UserErrorCode::SeasonNotStarted, "the season has not begun"),
        ClaimRefusal::SeasonPaused => (UserErrorCode::SeasonPaused, "the season is paused"),
        ClaimRefusal::SeasonEnded => (UserErrorCode::SeasonEnded, "the season is over"),
        ClaimRefusal::WeekNotStarted => (UserErrorCode::WeekNotStarted, "the goal's week is still to come"),
        ClaimRefusal::GoalIncomplete => {
            let message = format!("{completed} of {} steps are done", goal.total_steps);
            return Refusal::new(UserErrorCode::GoalIncomplete, message);
        }
    };
    Refusal::new(code, message)
}
