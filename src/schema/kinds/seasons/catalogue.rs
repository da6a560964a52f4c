//! Writing seasons, and pausing, resuming and ending them.

use async_graphql::{Context, ID, InputObject, MaybeUndefined, Object, SimpleObject};

use crate::mutation::catalogue::{Edited, given, keys};
use crate::mutation::pipeline::{ByOperator, Done};
use waymark_auth::policy::Operator;
use waymark_graphql_kit::context::{Nullable, nullable};
use waymark_graphql_kit::list::List;
use waymark_kernel::clock::Timestamp;
use waymark_kernel::error::Result;
use waymark_kinds::credits::graphql::Credits;
use waymark_kinds::seasons::graphql::{PauseMode, Season, SeasonState};
use waymark_kinds::seasons::operate::{
    Effect, EndSeason, GivenBudget, GivenGoal, MOST_GOALS, MOST_WEEKS, Moved, PauseSeason, ResumeSeason, SeasonEdited,
    UpsertSeason,
};
use waymark_kinds::seasons::service;
use waymark_request::{Ask as _, Request};
use waymark_vocabulary::ids::Kind;
use waymark_write::{Retire, Write};

input! {
    /// Input of `upsertSeason`. A field that is not given stays as it is; of a new season only the title, the start and
    /// the duration have to be given.
    UpsertSeasonInput;

    /// The season's key or its global id: 1 to 255 characters without control characters.
    key: ID,
    /// The title, 1 to 500 characters.
    title: Option<String>,
    /// A description, at most 10,000 characters.
    description: Option<String>,
    /// When it begins. The start of a season that is over cannot be changed.
    start_date: Option<Timestamp>,
    /// How long it is without pauses, in seconds, up to ten years.
    duration: Option<i32>,
    /// How long a week of it is, in seconds; 604,800 for a new one unless given.
    week_length: Option<i32>,
    /// What a pause does to its clock; FREEZE for a new one unless given.
    pause_mode: Option<PauseMode>,
    /// Whether it is retired: no longer listed, never the current season, and without new progress; other seasons may
    /// take its time. What users have achieved stays, and false brings it back where no other season has its time.
    retired: Option<bool>,
    /// Weeks whose titles change, at most 1,000; the others keep theirs.
    #[graphql(default)]
    weeks: Vec<SeasonWeekInput>,
    /// Budgets that change, at most 1,000; the others stay.
    #[graphql(default)]
    budgets: Vec<SeasonBudgetInput>,
    /// Goals to be added or changed, in their order; those that are not listed stay as and where they are. A season has
    /// at most 1,000.
    #[graphql(default)]
    goals: Vec<GoalInput>,
    /// Global ids or keys of goals to be removed; only goals with which no user has progress can be removed.
    #[graphql(default)]
    remove_goals: Vec<ID>,
    /// Whether the edit is only tried: nothing changes, and the answer says what would change.
    #[graphql(default)]
    dry_run: bool,
}

/// The title of a week.
#[derive(Debug, InputObject)]
pub(crate) struct SeasonWeekInput {
    /// Which week; the first is 1.
    number: i32,
    /// The title, 1 to 500 characters; without one the week loses the title it had.
    title: Option<String>,
}

/// How many credits the goals of a season or of one of its weeks may grant to all users together.
#[derive(Debug, InputObject)]
pub(crate) struct SeasonBudgetInput {
    /// Which week, the first being 1; without one the whole season.
    week: Option<i32>,
    /// The most that may be granted, not less than has been granted; without it the bound is removed.
    cap: Option<Credits>,
}

/// A goal to add or to change. A field that is not given stays as it is; of a new goal only the title and the steps
/// have to be given.
#[derive(Debug, InputObject)]
pub(crate) struct GoalInput {
    /// The goal's key or its global id, unique among the goals of all seasons.
    key: ID,
    /// The week in which steps count, the first being 1; null for the whole season.
    week: MaybeUndefined<i32>,
    /// The title, 1 to 500 characters.
    title: Option<String>,
    /// What has to be done, at most 10,000 characters.
    description: Option<String>,
    /// Where a picture is, an http or https address of at most 2,000 characters; null for none.
    thumbnail: MaybeUndefined<String>,
    /// What a user gets for completing it; nothing for a new one unless given. Who has claimed it keeps what was
    /// granted.
    reward: Option<Credits>,
    /// How many steps complete it, 1 to 1,000,000. Steps that were made stay, and users who have made enough complete
    /// it.
    total_steps: Option<i32>,
    /// Whether it is retired: no longer listed, and without new steps. Who has completed it can still claim it, and
    /// false brings it back.
    retired: Option<bool>,
}

input! {
    /// Input of `pauseSeason`.
    PauseSeasonInput;

    /// The season's global id or its key.
    id: ID,
    /// When the season goes on by itself; by default when it is resumed.
    until: Option<Timestamp>,
    /// Whether the edit is only tried: nothing changes, and the answer says what would change.
    #[graphql(default)]
    dry_run: bool,
}

input! {
    /// Input of `resumeSeason`.
    ResumeSeasonInput;

    /// The season's global id or its key.
    id: ID,
    /// Whether the edit is only tried: nothing changes, and the answer says what would change.
    #[graphql(default)]
    dry_run: bool,
}

input! {
    /// Input of `endSeason`.
    EndSeasonInput;

    /// The season's global id or its key.
    id: ID,
    /// Whether the edit is only tried: nothing changes, and the answer says what would change.
    #[graphql(default)]
    dry_run: bool,
}

/// Payload of `upsertSeason`, `pauseSeason`, `resumeSeason` and `endSeason`.
#[derive(Debug, SimpleObject)]
pub(crate) struct SeasonPayload {
    /// The season as it now is. Null when there is none, because adding it was refused or only tried.
    season: Option<Season>,
    /// What the edit affects, or would affect in a dry run. Null when it was refused.
    affected: Option<SeasonImpact>,
    #[graphql(flatten)]
    edited: Edited,
}

/// What an edit of a season affects, and how many users.
#[derive(Debug)]
pub(crate) struct SeasonImpact {
    key: String,
    operator: Operator,
    effect: Effect,
}

/// What an edit of a season affects, and how many users.
#[Object]
impl SeasonImpact {
    /// Where the season stood before the edit. Null when the season is new.
    async fn state_before(&self) -> Option<SeasonState> {
        self.effect.before.map(|before| before.state)
    }

    /// Where the season stands after the edit.
    async fn state_after(&self) -> SeasonState {
        self.effect.after.state
    }

    /// When the season began before the edit. Null when the season is new.
    async fn start_date_before(&self) -> Option<Timestamp> {
        self.effect.before.map(|before| before.starts_at)
    }

    /// When the season begins after the edit.
    async fn start_date_after(&self) -> Timestamp {
        self.effect.after.starts_at
    }

    /// When the season ended before the edit, with all pauses that were known. Null when the season is new.
    async fn end_date_before(&self) -> Option<Timestamp> {
        self.effect.before.map(|before| before.ends_at)
    }

    /// When the season ends after the edit, with all pauses that are known. A pause without an end counts as if it
    /// ended now, and moves the end for as long as it lasts.
    async fn end_date_after(&self) -> Timestamp {
        self.effect.after.ends_at
    }

    /// How many goals could be worked on before the edit: those of the whole season and of the current week.
    async fn open_goals(&self) -> i32 {
        count(i64::try_from(self.effect.open_goals).unwrap_or(i64::MAX))
    }

    /// How many users take part in the season. Null when they could not be counted.
    async fn enrolled_users(&self, context: &Context<'_>) -> Nullable<i32> {
        nullable(async { Ok(Some(count(self.concerned(context.ask()?).await?.enrolled))) }).await
    }

    /// How many goals users are working on, each counted once per user: steps are made, and steps are missing. Null
    /// when they could not be counted.
    async fn goals_under_way(&self, context: &Context<'_>) -> Nullable<i32> {
        nullable(async { Ok(Some(count(self.concerned(context.ask()?).await?.under_way))) }).await
    }

    /// How many goals users have completed and not claimed, each counted once per user; ending the season takes these
    /// rewards away. Null when they could not be counted.
    async fn unclaimed_goals(&self, context: &Context<'_>) -> Nullable<i32> {
        nullable(async { Ok(Some(count(self.concerned(context.ask()?).await?.unclaimed))) }).await
    }

    /// Other seasons whose start moves, because this one ends at another time.
    async fn moved_seasons(&self) -> List<MovedSeason> {
        self.effect.moved.iter().map(MovedSeason::from).collect()
    }
}

impl SeasonImpact {
    async fn concerned(&self, request: &Request) -> Result<service::Concerned> {
        service::concerned(request, self.operator, &self.key).await
    }
}

/// Cut off where a GraphQL integer ends.
fn count(number: i64) -> i32 {
    i32::try_from(number).unwrap_or(i32::MAX)
}

/// A season whose start moves because another one was edited.
#[derive(Debug, SimpleObject)]
pub(crate) struct MovedSeason {
    /// The global id of the season.
    id: ID,
    /// When it began before the edit.
    start_date_before: Timestamp,
    /// When it begins after the edit.
    start_date_after: Timestamp,
}

impl From<&Moved> for MovedSeason {
    fn from(moved: &Moved) -> Self {
        let Moved { key, before, after } = moved;
        Self { id: Kind::Season.id(key), start_date_before: *before, start_date_after: *after }
    }
}

mutations! {
    /// Mutations of seasons in the catalogue.
    CatalogueSeasonMutation;

    /// Adds a season or changes it, with its goals, the titles of its weeks and its budgets. Seasons do not overlap.
    /// For API keys with the scope admin. Null with an error when the whole was refused.
    upsert_season: by_operator(UpsertSeasonInput, "The season to add or to change.") -> SeasonPayload;

    /// Pauses a season that is running: no steps are recorded and nothing can be claimed. Under FREEZE its end moves,
    /// and with it the start of the next season where that would come too early. For API keys with the scope admin.
    /// Null with an error when the whole was refused.
    pause_season: by_operator(PauseSeasonInput, "The season that is paused.") -> SeasonPayload;

    /// Lets a season that is paused go on. For API keys with the scope admin. Null with an error when the whole was
    /// refused.
    resume_season: by_operator(ResumeSeasonInput, "The season that goes on.") -> SeasonPayload;

    /// Ends a season now, for good. For API keys with the scope admin. Null with an error when the whole was refused.
    end_season: by_operator(EndSeasonInput, "The season that is ended.") -> SeasonPayload;
}

by_operator! {
    UpsertSeasonInput => UpsertSeason, String => SeasonPayload {
        lists: |input| [
            ("goals", input.goals.len(), MOST_GOALS),
            ("removeGoals", input.remove_goals.len(), MOST_GOALS),
            ("weeks", input.weeks.len(), MOST_WEEKS),
            ("budgets", input.budgets.len(), MOST_WEEKS),
        ],
        write: |input, operator| {
            let key = Kind::Season.key(&input.key)?.to_owned();
            let write = UpsertSeason {
                operator,
                key: key.clone(),
                title: input.title,
                description: input.description,
                starts_at: input.start_date,
                duration_seconds: input.duration.map(i64::from),
                week_length_seconds: input.week_length.map(i64::from),
                pause_mode: input.pause_mode,
                retired: input.retired.map(Retire::now),
                weeks: input.weeks.into_iter().map(|week| (week.number, week.title)).collect(),
                budgets: input.budgets.into_iter().map(SeasonBudgetInput::read).collect(),
                remove_goals: keys(Kind::Goal, &input.remove_goals)?,
                goals: input.goals.into_iter().map(GoalInput::read).collect::<Result<_>>()?,
                dry_run: input.dry_run,
            };
            (write, key)
        },
        payload: |request, done| SeasonPayload::of(request, done)?,
    }
    PauseSeasonInput => PauseSeason, String => SeasonPayload {
        write: |input, operator| {
            let key = Kind::Season.key(&input.id)?.to_owned();
            (PauseSeason { operator, key: key.clone(), until: input.until, dry_run: input.dry_run }, key)
        },
        payload: |request, done| SeasonPayload::of(request, done)?,
    }
    ResumeSeasonInput => ResumeSeason, String => SeasonPayload {
        write: |input, operator| {
            let key = Kind::Season.key(&input.id)?.to_owned();
            (ResumeSeason { operator, key: key.clone(), dry_run: input.dry_run }, key)
        },
        payload: |request, done| SeasonPayload::of(request, done)?,
    }
    EndSeasonInput => EndSeason, String => SeasonPayload {
        write: |input, operator| {
            let key = Kind::Season.key(&input.id)?.to_owned();
            (EndSeason { operator, key: key.clone(), dry_run: input.dry_run }, key)
        },
        payload: |request, done| SeasonPayload::of(request, done)?,
    }
}

impl SeasonPayload {
    fn of<M>(request: &Request, done: Done<M>) -> Result<Self>
    where
        M: ByOperator<Kept = String>,
        M::Write: Write<Outcome = SeasonEdited>,
    {
        let Done { operator, kept: key, written } = done;
        let SeasonEdited { created, refusals, effect } = written.outcome;
        let season = service::season(request, Some(&key))?.map(Season);
        let affected = effect.map(|effect| SeasonImpact { key, operator, effect });
        Ok(Self { season, affected, edited: Edited { created, user_errors: refusals.into() } })
    }
}

impl SeasonBudgetInput {
    fn read(self) -> GivenBudget {
        GivenBudget { week: self.week, cap_micros: self.cap.map(|Credits(micros)| micros) }
    }
}

impl GoalInput {
    fn read(self) -> Result<GivenGoal> {
        Ok(GivenGoal {
            position: None,
            key: Kind::Goal.key(&self.key)?.to_owned(),
            week: given(self.week),
            title: self.title,
            description: self.description,
            thumbnail: given(self.thumbnail),
            reward_micros: self.reward.map(|Credits(micros)| micros),
            total_steps: self.total_steps,
            retired: self.retired.map(Retire::now),
        })
    }
}
