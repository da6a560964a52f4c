//! What of the schema joins all kinds of progress: the roots, `Node`, `Progress` and the overview. A new kind adds its
//! file here, and its lines to the lists of this one.
//!
//! Mutations stand here and not in the features' folders, because each payload shows the user and what the write
//! changed for the user, and both join all features.

#![allow(clippy::duplicated_attributes, reason = "the fields of an interface repeat attributes by design")]

pub(crate) mod collections;
pub(crate) mod credits;
pub(crate) mod games;
pub(crate) mod learning;
pub(crate) mod seasons;

use async_graphql::{ID, Interface, MergedObject};

use crate::admin::AdminQuery;
use crate::mutation::{self, catalogue};
use crate::query::UserQuery;
use crate::user::User;
use waymark_auth::policy::{OwnUser, VisibleUser};
use waymark_db::Extent;
use waymark_graphql_kit::pagination::{Connection, Page, Section};
use waymark_kernel::clock::Timestamp;
use waymark_kernel::error::{Error, Result};
use waymark_kinds::collections::graphql::{Card, Collection, CollectionProgress, CollectionQuery};
use waymark_kinds::games::graphql::{Achievement, Game, GameQuery, GameSummary};
use waymark_kinds::learning::graphql::{LearningQuery, Resource, ResourceProgress, StudyPlan, StudyPlanInstance};
use waymark_kinds::seasons::graphql::{Goal, GoalProgress, Season, SeasonQuery};
use waymark_kinds::{self as features, users};
use waymark_request::Request;
use waymark_vocabulary::ids::{self, Kind};
use waymark_vocabulary::progress::{ProgressKind, ProgressState};

/// Everything that can be read.
#[derive(Debug, Default, MergedObject)]
pub struct Query(UserQuery, SeasonQuery, LearningQuery, GameQuery, CollectionQuery, AdminQuery);

/// Everything that can be changed.
#[derive(Debug, Default, MergedObject)]
pub struct Mutation(
    Catalogue,
    collections::CollectionMutation,
    credits::CreditMutation,
    games::GameMutation,
    mutation::keys::KeyMutation,
    learning::LearningMutation,
    mutation::record::RecordMutation,
    seasons::SeasonMutation,
    mutation::users::UserMutation,
    mutation::verify::VerifyMutation,
);

/// Mutations of the catalogue.
#[derive(Debug, Default, MergedObject)]
pub(crate) struct Catalogue(
    seasons::catalogue::CatalogueSeasonMutation,
    learning::catalogue::CatalogueLearningMutation,
    games::catalogue::CatalogueGameMutation,
    collections::catalogue::CatalogueCollectionMutation,
    catalogue::delete::CatalogueDeletionMutation,
);

/// An object with a global id.
#[derive(Debug, Interface)]
#[graphql(field(
    name = "id",
    ty = "ID",
    desc = "The global id: the type, a colon, and a key that is unique for the type."
))]
pub(crate) enum Node {
    /// A user.
    User(User),
    /// A season.
    Season(Season),
    /// A goal.
    Goal(Goal),
    /// A resource.
    Resource(Resource),
    /// A study plan.
    StudyPlan(StudyPlan),
    /// A study plan instance.
    StudyPlanInstance(StudyPlanInstance),
    /// A game.
    Game(Game),
    /// An achievement.
    Achievement(Achievement),
    /// A collection.
    Collection(Collection),
    /// A card.
    Card(Card),
    /// A user's progress with a goal.
    GoalProgress(GoalProgress),
    /// A user's progress with a resource.
    ResourceProgress(ResourceProgress),
    /// A user's progress with a game.
    GameSummary(GameSummary),
    /// A user's progress with a collection.
    CollectionProgress(CollectionProgress),
}

/// The object with this global id, if the caller may see it.
pub(crate) async fn find(request: &Request, id: &str) -> Result<Option<Node>> {
    let (kind, key) = ids::parse(id)?;
    Ok(match kind {
        Kind::User => user(request, key).await?.map(Node::User),
        Kind::Season => features::seasons::service::season(request, Some(key))?.map(|one| Node::Season(Season(one))),
        Kind::Goal => {
            catalogue::<features::seasons::Seasons>(request)?.goal(key).cloned().map(|one| Node::Goal(Goal(one)))
        }
        Kind::Resource => {
            let found = catalogue::<features::learning::Learning>(request)?.resource(key).filter(|one| one.key == key);
            found.cloned().map(|one| Node::Resource(Resource(one)))
        }
        Kind::StudyPlan => catalogue::<features::learning::Learning>(request)?
            .plan(key)
            .cloned()
            .map(|one| Node::StudyPlan(StudyPlan(one))),
        Kind::Game => {
            catalogue::<features::games::Games>(request)?.by_key(key).cloned().map(|one| Node::Game(Game(one)))
        }
        Kind::Achievement => catalogue::<features::games::Games>(request)?
            .achievement(key)
            .cloned()
            .map(|one| Node::Achievement(Achievement(one))),
        Kind::Collection => features::collections::service::shown_by_key(request, key)?
            .cloned()
            .map(|one| Node::Collection(Collection(one))),
        Kind::Card => {
            features::collections::service::shown_card(request, key)?.cloned().map(|one| Node::Card(Card(one)))
        }
        Kind::StudyPlanInstance
        | Kind::GoalProgress
        | Kind::ResourceProgress
        | Kind::GameSummary
        | Kind::CollectionProgress => {
            let (ulid, key) = key.split_once(':').ok_or_else(|| {
                Error::bad_input(format!(
                    "the id of a {} names a user and a key, \"{}:<ULID>:<key>\"",
                    kind.name(),
                    kind.name()
                ))
            })?;
            let Some(user) = user(request, ulid).await? else { return Ok(None) };
            progress(request, &user, kind, key).await?
        }
    })
}

fn catalogue<P: waymark_db::catalogue::Part>(request: &Request) -> Result<&P> {
    request.catalogue()
}

async fn user(request: &Request, ulid: &str) -> Result<Option<User>> {
    let found = users::service::user_by_ulid(request, ulid).await?;
    Ok(found.and_then(|stored| User::show(request, stored)))
}

/// What a user has to do with the thing of `key`.
async fn progress(request: &Request, user: &User, kind: Kind, key: &str) -> Result<Option<Node>> {
    Ok(match kind {
        Kind::StudyPlanInstance => features::learning::service::instance(request, user.own()?, key)
            .await?
            .map(|followed| Node::StudyPlanInstance(StudyPlanInstance(followed))),
        Kind::GoalProgress => features::seasons::service::goal(request, user.own()?, key)
            .await?
            .map(|status| Node::GoalProgress(GoalProgress(status))),
        Kind::ResourceProgress => features::learning::service::progress(request, &[user.own()?], [key], Extent::All)
            .await?
            .pop()
            .and_then(|mut learned| learned.pop().flatten())
            .map(|learned| Node::ResourceProgress(ResourceProgress(learned))),
        Kind::GameSummary => features::games::service::summaries(request, &[user.visible()], [key], Extent::All)
            .await?
            .pop()
            .and_then(|mut summaries| summaries.pop().flatten())
            .map(|summary| Node::GameSummary(GameSummary(summary))),
        Kind::CollectionProgress => features::collections::service::collection(request, user.visible(), key)
            .await?
            .map(|collecting| Node::CollectionProgress(CollectionProgress(collecting))),
        _ => None,
    })
}

/// How far a user is with something, for every kind of progress.
#[derive(Debug, Interface)]
#[graphql(
    field(name = "id", ty = "ID", desc = "The global id of this progress."),
    field(name = "kind", ty = "ProgressKind", desc = "What kind of thing the progress is made in."),
    field(name = "title", ty = "String", desc = "What the progress is made in, for people."),
    field(name = "done", ty = "i32", desc = "How much is done, in the unit of the kind; 0 or more."),
    field(name = "total", ty = "i32", desc = "How much there is to do, in the unit of the kind; 0 or more."),
    field(name = "ratio", ty = "f64", desc = "`done` out of `total`, from 0 to 1; 0 when there is nothing to do."),
    field(name = "state", ty = "ProgressState", desc = "How far it has come."),
    field(name = "completed_at", ty = "Option<Timestamp>", desc = "When it was completed. Null while it is not.")
)]
pub(crate) enum Progress {
    /// A goal.
    Goal(GoalProgress),
    /// A study plan instance.
    StudyPlan(StudyPlanInstance),
    /// A resource.
    Resource(ResourceProgress),
    /// A game.
    Game(GameSummary),
    /// A collection.
    Collection(CollectionProgress),
}

/// The lists that make up the overview, in their order.
const GOALS: Section = Section(0);
const INSTANCES: Section = Section(1);
const RESOURCES: Section = Section(2);
const GAMES: Section = Section(3);
const COLLECTIONS: Section = Section(4);

/// What the overview is asked for.
pub(crate) struct Overview<'a> {
    pub(crate) request: &'a Request,
    pub(crate) visible: &'a VisibleUser,
    /// Who may see everything of the user; `None`: the caller may not.
    pub(crate) own: Option<&'a OwnUser>,
    pub(crate) page: Page,
    /// Whether everything is counted, and not only what the page may show.
    pub(crate) count: bool,
}

/// What a kind has for the overview.
#[derive(Default)]
struct Found {
    /// At least what the page may show, each with its place.
    rows: Vec<((i64, i64), Progress)>,
    /// How many there are in all, where that is asked.
    total: i64,
}

impl Found {
    /// All of a list that is short.
    fn whole(section: Section, list: impl Iterator<Item = Progress>) -> Self {
        let rows: Vec<_> = list.enumerate().map(|(n, one)| (section.outer((-(n as i64), 0)), one)).collect();
        Self { total: rows.len() as i64, rows }
    }
}

impl Overview<'_> {
    /// Returns one page of everything the caller may see of a user's progress.
    pub(crate) async fn page(self) -> Result<Connection<Progress>> {
        let found = futures_util::try_join!(
            seasons::overview(&self),
            learning::overview(&self),
            games::overview(&self),
            collections::overview(&self),
        )?;
        let found = <[Found; 4]>::from(found);
        let total = self.count.then(|| found.iter().map(|one| one.total).sum());
        let mut rows: Vec<_> = found.into_iter().flat_map(|one| one.rows).collect();
        rows.sort_by_key(|(place, _)| *place);
        Ok(self.page.of_list(rows, |(place, _)| *place).with_total(total).map(|(_, progress)| progress))
    }
}
