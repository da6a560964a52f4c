//! `Node`: everything with a global id can be fetched by it.

use async_graphql::{ID, Interface};

use super::user::User;
use waymark_collections as collections;
use waymark_collections::graphql::{Card, Collection, CollectionProgress};
use waymark_db::Extent;
use waymark_games as games;
use waymark_games::graphql::{Achievement, Game, GameSummary};
use waymark_kernel::error::{Error, Result};
use waymark_learning as learning;
use waymark_learning::graphql::{Resource, ResourceProgress, StudyPlan, StudyPlanInstance};
use waymark_request::Request;
use waymark_seasons as seasons;
use waymark_seasons::graphql::{Goal, GoalProgress, Season};
use waymark_users as users;
use waymark_vocabulary::ids;
use waymark_vocabulary::ids::Kind;

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
pub(super) async fn find(request: &Request, id: &str) -> Result<Option<Node>> {
    let (kind, key) = ids::parse(id)?;
    Ok(match kind {
        Kind::User => user(request, key).await?.map(Node::User),
        Kind::Season => seasons::service::season(request, Some(key))?.map(|one| Node::Season(Season(one))),
        Kind::Goal => catalogue::<seasons::Seasons>(request)?.goal(key).cloned().map(|one| Node::Goal(Goal(one))),
        Kind::Resource => {
            let found = catalogue::<learning::Learning>(request)?.resource(key).filter(|one| one.key == key);
            found.cloned().map(|one| Node::Resource(Resource(one)))
        }
        Kind::StudyPlan => {
            catalogue::<learning::Learning>(request)?.plan(key).cloned().map(|one| Node::StudyPlan(StudyPlan(one)))
        }
        Kind::Game => catalogue::<games::Games>(request)?.by_key(key).cloned().map(|one| Node::Game(Game(one))),
        Kind::Achievement => {
            catalogue::<games::Games>(request)?.achievement(key).cloned().map(|one| Node::Achievement(Achievement(one)))
        }
        Kind::Collection => {
            collections::service::shown_by_key(request, key)?.cloned().map(|one| Node::Collection(Collection(one)))
        }
        Kind::Card => collections::service::shown_card(request, key)?.cloned().map(|one| Node::Card(Card(one))),
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
        Kind::StudyPlanInstance => learning::service::instance(request, user.own()?, key)
            .await?
            .map(|followed| Node::StudyPlanInstance(StudyPlanInstance(followed))),
        Kind::GoalProgress => seasons::service::goal(request, user.own()?, key)
            .await?
            .map(|status| Node::GoalProgress(GoalProgress(status))),
        Kind::ResourceProgress => learning::service::progress(request, &[user.own()?], [key], Extent::All)
            .await?
            .pop()
            .and_then(|mut learned| learned.pop().flatten())
            .map(|learned| Node::ResourceProgress(ResourceProgress(learned))),
        Kind::GameSummary => games::service::summaries(request, &[user.visible()], [key], Extent::All)
            .await?
            .pop()
            .and_then(|mut summaries| summaries.pop().flatten())
            .map(|summary| Node::GameSummary(GameSummary(summary))),
        Kind::CollectionProgress => collections::service::collection(request, user.visible(), key)
            .await?
            .map(|collecting| Node::CollectionProgress(CollectionProgress(collecting))),
        _ => None,
    })
}
