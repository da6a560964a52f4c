//! What operators define, as the inputs of the use cases that write it. A record says all there is to say of its thing:
//! what it leaves out is set to its default.

use super::{Work, only};
use crate::records::{self, At};
use waymark_auth::policy::Operator;
use waymark_collections::operate::{GivenCard, GivenReward, UpsertCollection, take_cards, take_collections};
use waymark_games::publish::{GivenAchievement, UpsertGame, take_achievements, take_games};
use waymark_kernel::error::Result;
use waymark_learning::operate::{ToldResource, UpsertResource, UpsertStudyPlan, take_plans, take_resources};
use waymark_seasons::entity::PauseMode as StoredPauseMode;
use waymark_seasons::operate::{GivenBudget, GivenGoal, ToldSeason, UpsertSeason, take_goals, take_seasons};
use waymark_seasons::rules::{Pause, PauseMode};
use waymark_write::{Origin, Retire, Telling};

/// Takes the records of one kind by what a feature does with them.
macro_rules! take {
    ($work:ident, $kind:ident, $take:ident, $told:expr) => {
        let records = $work.records(only!($kind));
        if !records.is_empty() {
            let told: Vec<_> = records.iter().map(|(_, record, has_history)| $told(*record, *has_history)).collect();
            let taken = $take(&mut $work.unit, &told).await?;
            $work.note(records.iter().map(|(at, ..)| *at).zip(taken));
        }
    };
}

/// Takes the records of the catalogue, first what others belong to.
pub(super) async fn take(work: &mut Work<'_>) -> Result<()> {
    take!(work, Season, take_seasons, season);
    take!(work, Goal, take_goals, goal);
    take!(work, Resource, take_resources, resource);
    take!(work, StudyPlan, take_plans, plan);
    take!(work, Game, take_games, game);
    take!(work, Achievement, take_achievements, achievement);
    take!(work, Collection, take_collections, collection);
    take!(work, Card, take_cards, card);
    Ok(())
}

const OPERATOR: Operator = Operator::at_the_command_line();

fn telling(has_history: bool, created_at: Option<At>, updated_at: Option<At>) -> Telling {
    let origin = if has_history { Origin::Restored } else { Origin::Told };
    Telling { origin, created_at: created_at.map(|at| at.0), updated_at: updated_at.map(|at| at.0) }
}

fn retired(retired_at: Option<At>) -> Option<Retire> {
    Some(Retire::since(retired_at.map(|at| at.0)))
}

fn season(record: &records::Season, has_history: bool) -> ToldSeason {
    let season = UpsertSeason {
        operator: OPERATOR,
        key: record.key.clone(),
        title: Some(record.title.clone()),
        description: Some(record.description.clone()),
        starts_at: Some(record.starts_at.0),
        duration_seconds: Some(record.duration_seconds),
        week_length_seconds: Some(record.week_length_seconds),
        pause_mode: Some(match record.pause_mode {
            StoredPauseMode::Freeze => PauseMode::Freeze,
            StoredPauseMode::RunOn => PauseMode::RunOn,
        }),
        retired: retired(record.retired_at),
        weeks: record.weeks.iter().map(|week| (week.number, Some(week.title.clone()))).collect(),
        budgets: record
            .budgets
            .iter()
            .map(|budget| GivenBudget { week: budget.week, cap_micros: Some(budget.cap_micros) })
            .collect(),
        goals: Vec::new(),
        remove_goals: Vec::new(),
        dry_run: false,
    };
    let pause = |pause: &records::Pause| Pause { from: pause.from.0, until: pause.until.map(|at| at.0) };
    ToldSeason {
        season,
        ended_at: record.ended_at.map(|at| at.0),
        pauses: record.pauses.iter().map(pause).collect(),
        spent_micros: record.budgets.iter().map(|budget| budget.spent_micros).collect(),
        telling: telling(has_history, record.created_at, record.updated_at),
    }
}

fn goal(record: &records::Goal, has_history: bool) -> (&str, GivenGoal, Telling) {
    let goal = GivenGoal {
        key: record.key.clone(),
        position: Some(record.position),
        week: Some(record.week),
        title: Some(record.title.clone()),
        description: Some(record.description.clone()),
        thumbnail: Some(record.thumbnail.clone()),
        reward_micros: Some(record.reward_micros),
        total_steps: Some(record.total_steps),
        retired: retired(record.retired_at),
    };
    (&record.season, goal, telling(has_history, None, None))
}

fn resource(record: &records::Resource, has_history: bool) -> ToldResource {
    let resource = UpsertResource {
        operator: OPERATOR,
        key: record.key.clone(),
        title: Some(record.title.clone()),
        kind: Some(record.kind.clone()),
        section: Some(record.section.clone()),
        url: Some(record.url.clone()),
        description: Some(record.description.clone()),
        estimated_minutes: Some(record.estimated_minutes),
        retired: retired(record.retired_at),
    };
    let telling = telling(has_history, record.created_at, record.updated_at);
    ToldResource { resource, external_id: record.external_id.clone(), catalogued: record.catalogued, telling }
}

fn plan(record: &records::StudyPlan, has_history: bool) -> (UpsertStudyPlan, Telling) {
    let plan = UpsertStudyPlan {
        operator: OPERATOR,
        key: record.key.clone(),
        title: Some(record.title.clone()),
        description: Some(record.description.clone()),
        resources: Some(record.resources.clone()),
        retired: retired(record.retired_at),
    };
    (plan, telling(has_history, record.created_at, record.updated_at))
}

fn game(record: &records::Game, has_history: bool) -> (UpsertGame, Telling) {
    let game = UpsertGame {
        operator: OPERATOR,
        key: record.key.clone(),
        number: Some(record.number),
        title: Some(record.title.clone()),
        platform: Some(record.platform.clone()),
        description: Some(record.description.clone()),
        image: Some(record.image.clone()),
        retired: retired(record.retired_at),
        achievements: Vec::new(),
    };
    (game, telling(has_history, record.created_at, record.updated_at))
}

fn achievement(record: &records::Achievement, has_history: bool) -> (&str, GivenAchievement, Telling) {
    let achievement = GivenAchievement {
        key: record.key.clone(),
        position: Some(record.position),
        title: Some(record.title.clone()),
        description: Some(record.description.clone()),
        badge: Some(record.badge.clone()),
        points: Some(record.points),
        kind: Some(record.kind),
        published: Some(record.published),
    };
    (&record.game, achievement, telling(has_history, record.created_at, record.updated_at))
}

fn collection(record: &records::Collection, has_history: bool) -> (UpsertCollection, i64, Telling) {
    let reward = record.reward.as_ref().map(|reward| GivenReward {
        key: reward.key.clone(),
        name: Some(reward.name.clone()),
        description: Some(reward.description.clone()),
        image: Some(reward.image.clone()),
        value: Some(reward.value.clone()),
        view_type: Some(reward.view_type.clone()),
        stock: Some(reward.stock),
    });
    let collection = UpsertCollection {
        operator: OPERATOR,
        key: record.key.clone(),
        name: Some(record.name.clone()),
        description: Some(record.description.clone()),
        image: Some(record.image.clone()),
        environment: Some(record.environment.clone()),
        starts_at: Some(record.starts_at.map(|at| at.0)),
        ends_at: Some(record.ends_at.map(|at| at.0)),
        show_before: Some(record.show_before),
        show_after: Some(record.show_after),
        retired: retired(record.retired_at),
        cards: Vec::new(),
        remove_cards: Vec::new(),
        reward: reward.map(Some),
    };
    let claimed = record.reward.as_ref().map_or(0, |reward| reward.claimed);
    (collection, claimed, telling(has_history, record.created_at, record.updated_at))
}

fn card(record: &records::Card, has_history: bool) -> (&str, GivenCard, Telling) {
    let card = GivenCard {
        key: record.key.clone(),
        position: Some(record.position),
        name: Some(record.name.clone()),
        image: Some(record.image.clone()),
        rarity: Some(record.rarity.clone()),
        retired: retired(record.retired_at),
    };
    (&record.collection, card, telling(has_history, None, None))
}
