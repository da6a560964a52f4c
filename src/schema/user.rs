//! The `User` object: the map of the product. One short resolver per field, each a single call into its feature.

use std::sync::Arc;

use async_graphql::{Context, Enum, ID};

use super::bounds::DEFAULT_FIRST;
use super::kinds::{Overview, Progress};
use super::together::{self, SideBySide};
use waymark_auth::policy;
use waymark_auth::policy::{OwnUser, VisibleUser};
use waymark_auth::{Caller, Visibility};
use waymark_db::Extent;
use waymark_graphql_kit::context::{Nullable, elements_show, nullable, present};
use waymark_graphql_kit::list::List;
use waymark_graphql_kit::pagination::{Connection, PageArgs, Portion};
use waymark_graphql_kit::plan::{Ready, object};
use waymark_kernel::clock::Timestamp;
use waymark_kernel::error::Result;
use waymark_kinds::collections;
use waymark_kinds::collections::graphql::{CollectionProgress, CollectionStatus};
use waymark_kinds::credits::graphql::CreditAccount;
use waymark_kinds::games;
use waymark_kinds::games::graphql::{Award, GameSummary, GameSummaryOrder};
use waymark_kinds::games::service::Listed;
use waymark_kinds::history;
use waymark_kinds::history::graphql::ProgressEvent;
use waymark_kinds::learning;
use waymark_kinds::learning::graphql::{ResourceProgress, StudyPlanInstance, StudyPlanInstanceStatus};
use waymark_kinds::learning::service::Places;
use waymark_kinds::seasons;
use waymark_kinds::seasons::graphql::{GoalProgress, GoalState, SeasonProgress};
use waymark_kinds::users;
use waymark_kinds::users::graphql::Account;
use waymark_kinds::users::service::User as Stored;
use waymark_request::Ask as _;
use waymark_request::Request;
use waymark_vocabulary::HistoryKind;
use waymark_vocabulary::ids::Kind;

/// A user whom the caller may see.
#[derive(Debug, Clone)]
pub(crate) struct User {
    stored: Arc<Stored>,
    visible: VisibleUser,
    own: Result<OwnUser>,
}

impl User {
    /// Returns the user as the caller of the request may see them; `None` when the caller may not see the user at all.
    pub(super) fn show(request: &Request, stored: Arc<Stored>) -> Option<Self> {
        Self::show_to(&request.caller, stored)
    }

    /// Returns a user for whom the caller has just written, or whom the caller may read because the caller may read all
    /// users.
    pub(super) fn show_written(request: &Request, stored: Arc<Stored>) -> Result<Self> {
        Self::show(request, stored).ok_or_else(users::service::unknown)
    }

    fn show_to(caller: &Caller, stored: Arc<Stored>) -> Option<Self> {
        let visible = policy::see(caller, &stored.subject)?;
        let own = policy::see_everything(caller, &stored.subject);
        Some(Self { stored, visible, own })
    }

    /// Shows a user as one of two sides sees the user, if the caller may see that side.
    pub(super) fn show_as(request: &Request, stored: Arc<Stored>, side: Option<ProfileSide>) -> Result<Option<Self>> {
        let Some(shown) = Self::show(request, Arc::clone(&stored)) else { return Ok(None) };
        match side {
            None => Ok(Some(shown)),
            Some(ProfileSide::Themself) => {
                policy::dispose_of(&request.caller, &stored.subject)?;
                Ok(Some(shown))
            }
            Some(ProfileSide::Public) => Ok(Self::show_to(&Caller::Anonymous, stored)),
        }
    }

    pub(super) const fn visible(&self) -> &VisibleUser {
        &self.visible
    }

    pub(super) fn own(&self) -> Result<&OwnUser> {
        self.own.as_ref().map_err(Clone::clone)
    }
}

/// From whose view a user is shown.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Enum)]
pub enum ProfileSide {
    /// The view of a caller without a credential.
    Public,
    /// The view of the user.
    #[graphql(name = "SELF")]
    Themself,
}

/// A user whose progress is recorded. Fields that the caller may not see are null, with a FORBIDDEN error beside them;
/// the rest of the answer stands.
#[object]
impl User {
    /// The global id: `user:<ULID>`. It never changes.
    pub async fn id(&self) -> ID {
        Kind::User.id(&self.stored.subject.ulid)
    }

    /// The name the user goes by, 2 to 20 letters and digits. Users may change it.
    async fn handle(&self) -> &str {
        &self.stored.handle
    }

    /// The name to show to people; the handle where no other was given.
    async fn display_name(&self) -> &str {
        self.stored.display_name.as_deref().unwrap_or(&self.stored.handle)
    }

    /// Where a picture of the user is. Null when there is none.
    async fn avatar_url(&self) -> Option<&str> {
        self.stored.avatar_url.as_deref()
    }

    /// When the user was created.
    async fn created_at(&self) -> Timestamp {
        self.stored.created_at
    }

    /// Who may see that the user exists, with handle, avatar, games and collections.
    async fn profile_visibility(&self) -> Visibility {
        self.stored.subject.visibility
    }

    /// The accounts linked to the user, sorted by platform. Null for those who may not see them: only the user and apps
    /// may.
    async fn accounts(
        &self,
        context: &Context<'_>,
        #[graphql(desc = "How many accounts, 1 to 100; 20 when this is not given.")] first: Option<i32>,
        #[graphql(desc = "How many accounts are left out before.")] skip: Option<i32>,
    ) -> Nullable<List<Account>> {
        present(async {
            let (request, own) = (context.ask()?, self.own()?);
            let portion = Portion::check(first, skip, DEFAULT_FIRST, request)?;
            let accounts = users::service::accounts(request, own).await?;
            Ok(portion.of(accounts).map(Account::from).collect())
        })
        .await
    }

    /// The user in a season. Null when there is no such season, and for those who may not see it: only the user and
    /// apps may.
    async fn season(
        &self,
        context: &Context<'_>,
        #[graphql(desc = "The season's global id or its key; the current season when this is not given.")] id: Option<
            ID,
        >,
    ) -> Nullable<Ready<SeasonProgress>> {
        nullable(async {
            let (request, own) = (context.ask()?, self.own()?);
            let Some(timed) = seasons::service::season(request, id.as_deref().map(String::as_str))? else {
                return Ok(None);
            };
            seasons::service::participation(request, own, timed).await.map(SeasonProgress).map(Ready).map(Some)
        })
        .await
    }

    /// The user's goals in the current season: by default those of the whole season and of the current week. Null when
    /// there is no season at all, and for those who may not see them: only the user and apps may.
    async fn goals(
        &self,
        context: &Context<'_>,
        #[graphql(desc = "Only goals of this week; the first is 1.")] week: Option<i32>,
        #[graphql(desc = "Only goals in this state.")] state: Option<GoalState>,
        #[graphql(desc = "Whether to list the goals of all weeks.", default = false)] all: bool,
    ) -> Nullable<List<Ready<GoalProgress>>> {
        nullable(async {
            let (request, own) = (context.ask()?, self.own()?);
            let Some(timed) = seasons::service::season(request, None)? else { return Ok(None) };
            let participation = seasons::service::participation(request, own, timed).await?;
            Ok(Some(seasons::graphql::goals(&participation, week, state, all)))
        })
        .await
    }

    /// The user's credits. Null for those who may not see them: only the user and apps may.
    async fn credits(&self, context: &Context<'_>) -> Nullable<Ready<CreditAccount>> {
        present(async { CreditAccount::of(context.ask()?, self.own()?).await.map(Ready) }).await
    }

    /// The user's progress with these resources, in the order of the ids; null in place of a resource that neither the
    /// catalogue nor the user's progress knows. The whole is null for those who may not see it: only the user and apps
    /// may.
    #[together(together::resource_progress)]
    async fn resource_progress(
        &self,
        context: &Context<'_>,
        #[graphql(desc = "Global ids or keys of resources, at most 500; duplicates are fine.")] resource_ids: Vec<ID>,
    ) -> Nullable<List<Nullable<Ready<ResourceProgress>>>> {
        present(async {
            let (request, own) = (context.ask()?, self.own()?);
            request.check_ids("resources", resource_ids.len(), request.config.limits.max_resource_ids)?;
            let keys = Kind::Resource.keys(&resource_ids);
            let learned = learning::service::progress(request, &[own], keys.well_formed(), Extent::All).await?;
            let found = learned.into_iter().flatten().map(|learned| learned.map(ResourceProgress).map(Ready));
            Ok(keys.in_place(found).into())
        })
        .await
    }

    /// The resources the user has touched, the one touched last first. Null for those who may not see them: only the
    /// user and apps may.
    #[allow(clippy::too_many_arguments, reason = "the arguments of a connection")]
    async fn resources(
        &self,
        context: &Context<'_>,
        #[graphql(desc = "Only resources that are complete, or only those that are not.")] completed: Option<bool>,
        #[graphql(desc = "How many resources from the start, 1 to 100; 20 when neither this nor last is given.")] first: Option<i32>,
        #[graphql(desc = "Only resources behind this cursor.")] after: Option<String>,
        #[graphql(desc = "How many resources from the end, 1 to 100.")] last: Option<i32>,
        #[graphql(desc = "Only resources before this cursor.")] before: Option<String>,
    ) -> Nullable<Connection<Ready<ResourceProgress>>> {
        present(async {
            let (request, own) = (context.ask()?, self.own()?);
            let page = PageArgs { first, after, last, before }.check("touched", request)?;
            let count = context.look_ahead().field("totalCount").exists();
            let touched = learning::service::touched_page(request, own, completed, page, count).await?;
            Ok(touched.map(ResourceProgress).map(Ready))
        })
        .await
    }

    /// The study plans the user follows, in the order in which they were begun. Null for those who may not see them:
    /// only the user and apps may.
    async fn study_plan_instances(
        &self,
        context: &Context<'_>,
        #[graphql(desc = "Only instances that have come this far.")] status: Option<StudyPlanInstanceStatus>,
        #[graphql(desc = "How many instances, 1 to 100; 20 when this is not given.")] first: Option<i32>,
        #[graphql(desc = "How many instances are left out before.")] skip: Option<i32>,
    ) -> Nullable<List<StudyPlanInstance>> {
        present(async {
            let (request, own) = (context.ask()?, self.own()?);
            let portion = Portion::check(first, skip, DEFAULT_FIRST, request)?;
            let Some(status) = status else {
                let places = Places::first(portion.skip, portion.first);
                let instances = learning::service::instances(request, own, places).await?;
                return Ok(instances.into_iter().map(StudyPlanInstance).collect());
            };
            let all = learning::service::instances(request, own, Places::ALL).await?;
            let wanted = all.into_iter().filter(|one| status == one.status());
            Ok(portion.of(wanted).map(StudyPlanInstance).collect())
        })
        .await
    }

    /// What the user achieved in these games, in the order of the ids: zeros for a game never played, null in place of
    /// one that the catalogue does not know. The whole is null when it could not be loaded.
    #[together(together::game_summaries)]
    async fn game_summaries(
        &self,
        context: &Context<'_>,
        #[graphql(desc = "Global ids or keys of games, at most 200; duplicates are fine.")] game_ids: Vec<ID>,
    ) -> Nullable<List<Nullable<Ready<GameSummary>>>> {
        present(async {
            let request = context.ask()?;
            request.check_ids("games", game_ids.len(), request.config.limits.max_ids)?;
            let keys = Kind::Game.keys(&game_ids);
            let summaries =
                games::service::summaries(request, &[&self.visible], keys.well_formed(), Extent::All).await?;
            let found = summaries.into_iter().flatten().map(|summary| summary.map(GameSummary).map(Ready));
            Ok(keys.in_place(found).into())
        })
        .await
    }

    /// The games the user has played. Null when they could not be loaded.
    #[allow(clippy::too_many_arguments, reason = "the arguments of a connection")]
    async fn games(
        &self,
        context: &Context<'_>,
        #[graphql(desc = "Only games in which the user earned this award.")] award: Option<Award>,
        #[graphql(desc = "How the games are sorted.", default_with = "GameSummaryOrder::LastUnlocked")]
        order_by: GameSummaryOrder,
        #[graphql(desc = "How many games from the start, 1 to 100; 20 when neither this nor last is given.")]
        first: Option<i32>,
        #[graphql(desc = "Only games behind this cursor.")] after: Option<String>,
        #[graphql(desc = "How many games from the end, 1 to 100.")] last: Option<i32>,
        #[graphql(desc = "Only games before this cursor.")] before: Option<String>,
    ) -> Nullable<Connection<Ready<GameSummary>>> {
        present(async {
            let request = context.ask()?;
            let (sorted, list) = order_by.sorted();
            let page = PageArgs { first, after, last, before }.check(list, request)?;
            let listed = award.map_or(Listed::Played, Listed::from);
            let count = context.look_ahead().field("totalCount").exists();
            let played = games::service::played_page(request, &self.visible, listed, sorted, page, count).await?;
            Ok(played.map(GameSummary).map(Ready))
        })
        .await
    }

    /// How far the user is with the collections that are shown now, in the order in which they were added. Null when
    /// that could not be loaded.
    #[allow(clippy::too_many_arguments, reason = "the arguments of a connection")]
    async fn collections(
        &self,
        context: &Context<'_>,
        #[graphql(desc = "Only collections that stand like this.")] status: Option<CollectionStatus>,
        #[graphql(desc = "How many collections from the start, 1 to 100; 20 when neither this nor last is given.")]
        first: Option<i32>,
        #[graphql(desc = "Only collections behind this cursor.")] after: Option<String>,
        #[graphql(desc = "How many collections from the end, 1 to 100.")] last: Option<i32>,
        #[graphql(desc = "Only collections before this cursor.")] before: Option<String>,
    ) -> Nullable<Connection<Ready<CollectionProgress>>> {
        present(async {
            let request = context.ask()?;
            let page = PageArgs { first, after, last, before }.check("collecting", request)?;
            let all = collections::service::collections(request, &self.visible).await?;
            let wanted = all.into_iter().filter(|one| status.is_none_or(|status| status == one.status()));
            Ok(page.of_list(wanted, |one| (one.collection.row.id, 0)).map(CollectionProgress).map(Ready))
        })
        .await
    }

    /// How far the user is with a collection. Null when the catalogue has no such collection, and outside the dates in
    /// which it is shown.
    async fn collection(
        &self,
        context: &Context<'_>,
        #[graphql(desc = "The collection's global id or its key.")] id: ID,
    ) -> Nullable<CollectionProgress> {
        nullable(async {
            let key = Kind::Collection.key(&id)?;
            let found = collections::service::collection(context.ask()?, &self.visible, key).await?;
            Ok(found.map(CollectionProgress))
        })
        .await
    }

    /// Everything the caller may see of the user's progress, kind after kind: the goals of the current season, study
    /// plan instances, resources, games and collections. Null when it could not be loaded.
    async fn overview(
        &self,
        context: &Context<'_>,
        #[graphql(desc = "How many from the start, 1 to 100; 20 when neither this nor last is given.")] first: Option<
            i32,
        >,
        #[graphql(desc = "Only what comes behind this cursor.")] after: Option<String>,
        #[graphql(desc = "How many from the end, 1 to 100.")] last: Option<i32>,
        #[graphql(desc = "Only what comes before this cursor.")] before: Option<String>,
    ) -> Nullable<Connection<Progress>> {
        present(async {
            let request = context.ask()?;
            let page = PageArgs { first, after, last, before }.check("overview", request)?;
            let count = context.look_ahead().field("totalCount").exists();
            Overview { request, visible: &self.visible, own: self.own.as_ref().ok(), page, count }.page().await
        })
        .await
    }

    /// Everything that changed for the user, the newest first. Null for those who may not see it: only the user and
    /// apps may.
    #[allow(clippy::too_many_arguments, reason = "the arguments of a connection")]
    async fn history(
        &self,
        context: &Context<'_>,
        #[graphql(desc = "Only events of these kinds; all kinds when this is empty or not given.")] kinds: Option<
            Vec<HistoryKind>,
        >,
        #[graphql(desc = "How many events from the newest, 1 to 100; 20 when neither this nor last is given.")]
        first: Option<i32>,
        #[graphql(desc = "Only events behind this cursor.")] after: Option<String>,
        #[graphql(desc = "How many events from the oldest, 1 to 100.")] last: Option<i32>,
        #[graphql(desc = "Only events before this cursor.")] before: Option<String>,
    ) -> Nullable<Connection<ProgressEvent>> {
        present(async {
            let (request, own) = (context.ask()?, self.own()?);
            let page = PageArgs { first, after, last, before }.check(history::service::LIST, request)?;
            let kinds = kinds.unwrap_or_default().into();
            let count = context.look_ahead().field("totalCount").exists();
            let shown = (count, elements_show(context, "changes"));
            let events = history::service::events(request, own, kinds, page, shown).await?;
            Ok(events.map(|event| ProgressEvent::of(own.key(), event)))
        })
        .await
    }
}
