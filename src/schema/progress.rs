//! `Progress`: what all kinds of progress have in common, and the list of all of it.

#![allow(clippy::duplicated_attributes, reason = "the fields of an interface repeat attributes by design")]

use async_graphql::{ID, Interface};

use waymark_auth::policy::{OwnUser, VisibleUser};
use waymark_collections as collections;
use waymark_collections::graphql::CollectionProgress;
use waymark_games as games;
use waymark_games::graphql::GameSummary;
use waymark_games::service::{Listed, Sorted};
use waymark_graphql_kit::pagination::{Connection, Page, Section, only_if};
use waymark_kernel::clock::Timestamp;
use waymark_kernel::error::Result;
use waymark_learning as learning;
use waymark_learning::graphql::{ResourceProgress, StudyPlanInstance};
use waymark_learning::service::Places;
use waymark_request::Request;
use waymark_seasons as seasons;
use waymark_seasons::graphql::GoalProgress;
use waymark_seasons::service::GoalStatus;
use waymark_vocabulary::progress::{ProgressKind, ProgressState};

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

/// One page of everything the caller may see of a user's progress: the goals of the current season, study plan
/// instances, resources, games and collections, in this order.
///
/// Goals and collections come from lists that are short. Of instances, resources and games, only as many are loaded as
/// the page may need, from where its cursors stand.
pub(super) async fn overview(
    request: &Request,
    visible: &VisibleUser,
    own: Option<&OwnUser>,
    page: Page,
    count: bool,
) -> Result<Connection<Progress>> {
    let goals = async {
        match (own, seasons::service::season(request, None)?) {
            (Some(own), Some(timed)) => {
                let goals = seasons::service::participation(request, own, timed).await?.goals;
                Ok(goals.into_iter().filter(GoalStatus::is_listed).collect())
            }
            _ => Ok(Vec::new()),
        }
    };
    let slice = page.slice_of(INSTANCES);
    let instances = async {
        match (own, slice) {
            (Some(own), Some(slice)) => learning::service::instances(request, own, Places::of(slice)).await,
            _ => Ok(Vec::new()),
        }
    };
    // Instances that are shown say how many there are; where all could stand and none is, there are none.
    let uncounted_instances = count && slice.is_none_or(|slice| slice.after.is_some() || slice.before.is_some());
    let instance_count = only_if(uncounted_instances, async {
        match own {
            Some(own) => learning::service::instance_count(request, own).await,
            None => Ok(0),
        }
    });
    let resources = async {
        match (own, page.slice_of(RESOURCES)) {
            (Some(own), Some(slice)) => learning::service::touched(request, own, None, slice).await,
            _ => Ok(Vec::new()),
        }
    };
    let games = async {
        match page.slice_of(GAMES) {
            Some(slice) => games::service::played(request, visible, Listed::Played, Sorted::LastUnlocked, slice).await,
            None => Ok(Vec::new()),
        }
    };
    let uncounted = only_if(count, async {
        let resources = async {
            match own {
                Some(own) => learning::service::touched_count(request, own, None).await,
                None => Ok(0),
            }
        };
        let games = games::service::played_count(request, visible, Listed::Played);
        futures_util::try_join!(resources, games).map(|(resources, games)| resources + games)
    });
    let (goals, instances, instance_count, resources, games, collections, uncounted) = futures_util::try_join!(
        goals,
        instances,
        instance_count,
        resources,
        games,
        collections::service::collections(request, visible),
        uncounted,
    )?;
    let many = instance_count.or_else(|| instances.first().map(|followed| followed.instance.many)).unwrap_or(0);
    let total = uncounted.map(|count| count + many + (goals.len() + collections.len()) as i64);
    let numbered = |section: Section, place: usize| section.outer((-(place as i64), 0));
    let mut rows: Vec<((i64, i64), Progress)> = Vec::new();
    rows.extend(
        goals.into_iter().enumerate().map(|(n, goal)| (numbered(GOALS, n), Progress::Goal(GoalProgress(goal)))),
    );
    rows.extend(instances.into_iter().map(|followed| {
        let place = INSTANCES.outer((1 - followed.instance.place, 0));
        (place, Progress::StudyPlan(StudyPlanInstance(followed)))
    }));
    rows.extend(
        resources
            .into_iter()
            .map(|learned| (RESOURCES.outer(learned.place()), Progress::Resource(ResourceProgress(learned)))),
    );
    rows.extend(games.into_iter().map(|summary| {
        (GAMES.outer(summary.achieved.place(Sorted::LastUnlocked)), Progress::Game(GameSummary(summary)))
    }));
    rows.extend(
        collections
            .into_iter()
            .enumerate()
            .map(|(n, collecting)| (numbered(COLLECTIONS, n), Progress::Collection(CollectionProgress(collecting)))),
    );
    rows.sort_by_key(|(place, _)| *place);
    Ok(page.of_list(rows, |(place, _)| *place).with_total(total).map(|(_, progress)| progress))
}
