//! The profile page.

use std::collections::HashMap;

use serde::{Deserialize, Serialize};
use tokio_postgres::Row;
use waymark::clock::{Clock, Timestamp};

use super::games::{Summary, summaries};
use super::{Connection, OneUser, Parameters, key, keys};
use crate::Result;

#[derive(Deserialize)]
pub(super) struct Variables {
    id: String,
    games: Vec<String>,
    resources: Vec<String>,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct User {
    season: Season,
    credits: Credits,
    goals: Vec<Goal>,
    resource_progress: Vec<Option<Progress>>,
    game_summaries: Vec<Option<Summary>>,
    collections: Collections,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Season {
    state: &'static str,
    time_left: i64,
    has_started_program: bool,
    current_week: Option<Week>,
}

#[derive(Clone, Copy, Serialize)]
struct Week {
    number: i32,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Credits {
    available: Amount,
    expires_in: Option<i64>,
    is_blocked_for_claiming: bool,
}

#[derive(Serialize)]
struct Amount {
    credits: String,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Goal {
    title: String,
    completed_steps: i32,
    total_steps: i32,
    is_claimed: bool,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Progress {
    completed: bool,
    progress: i16,
    completed_at: Option<String>,
    resource: Resource,
}

#[derive(Serialize)]
struct Resource {
    title: String,
}

#[derive(Serialize)]
struct Collections {
    nodes: Vec<Collection>,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Collection {
    collection: Id,
    title: String,
    size: i32,
    collected_count: i32,
    progress_in_percentage: i32,
    status: &'static str,
}

#[derive(Serialize)]
struct Id {
    id: String,
}

/// Q2.
pub(super) async fn profile(connection: &Connection, variables: Variables) -> Result<OneUser<User>> {
    let Connection { client, statements } = connection;
    let ulid = key(&variables.id);
    let game_keys = keys(&variables.games);
    let resource_keys = keys(&variables.resources);
    let now = Clock::System.now().millis();
    let [at_now, of_resources, of_games]: [Parameters<'_, 2>; 3] =
        [[&ulid, &now], [&ulid, &resource_keys], [&ulid, &game_keys]];
    let (user, goals, lots, blocked, resources, games, collections) = tokio::try_join!(
        client.query_opt(&statements.season, &at_now),
        client.query(&statements.goals, &at_now),
        client.query(&statements.lots, &at_now),
        client.query_one(&statements.blocked, &at_now),
        client.query(&statements.resources, &of_resources),
        client.query(&statements.games, &of_games),
        client.query(&statements.collections, &at_now),
    )?;
    let Some(user) = user else { return Ok(OneUser { user: None }) };
    let season = season(&user, now);
    Ok(OneUser {
        user: Some(User {
            credits: credits(&lots, blocked.get(0), now),
            goals: current_goals(&goals, season.current_week),
            season,
            resource_progress: progress(&resources, &variables.resources),
            game_summaries: summaries(&games, &variables.games),
            collections: Collections { nodes: collections.iter().map(|row| collection(row, now)).collect() },
        }),
    })
}

fn season(row: &Row, now: i64) -> Season {
    let (starts_at, duration, week): (i64, i64, i64) = (row.get(0), row.get(1), row.get(2));
    let ended_at: Option<i64> = row.get(3);
    let (stood, stands): (i64, bool) = (row.get(4), row.get(5));
    let ran = (now - starts_at - stood).clamp(0, duration * 1000);
    let left = seconds(duration * 1000 - ran);
    let ended = left == 0 || ended_at.is_some_and(|ended| ended <= now);
    let number = i32::try_from(ran / (week * 1000) + 1).unwrap_or(i32::MAX);
    Season {
        state: if ended {
            "ENDED"
        } else if stands {
            "PAUSED"
        } else {
            "ACTIVE"
        },
        time_left: if ended { 0 } else { left },
        has_started_program: row.get(6),
        current_week: (!ended).then_some(Week { number }),
    }
}

fn credits(lots: &[Row], is_blocked_for_claiming: bool, now: i64) -> Credits {
    let lots = lots.iter().map(|row| (row.get::<_, i64>(0), row.get::<_, Option<i64>>(1)));
    let spendable: Vec<_> = lots.filter(|(_, expires)| expires.is_none_or(|expires| now < expires)).collect();
    let next_expiry = spendable.iter().filter_map(|(_, expires)| *expires).min();
    Credits {
        available: Amount { credits: decimal(spendable.iter().map(|(micros, _)| micros).sum()) },
        expires_in: next_expiry.map(|expires| seconds(expires - now)),
        is_blocked_for_claiming,
    }
}

/// Millionths as a decimal number without trailing zeros.
fn decimal(micros: i64) -> String {
    let (whole, fraction) = (micros / 1_000_000, micros % 1_000_000);
    if fraction == 0 {
        return whole.to_string();
    }
    format!("{whole}.{fraction:06}").trim_end_matches('0').to_owned()
}

fn current_goals(rows: &[Row], week: Option<Week>) -> Vec<Goal> {
    let current = rows.iter().filter(|row| {
        let of: Option<i32> = row.get(0);
        of.is_none_or(|of| week.is_some_and(|week| week.number == of))
    });
    current
        .map(|row| Goal {
            title: row.get(1),
            completed_steps: row.get(2),
            total_steps: row.get(3),
            is_claimed: row.get(4),
        })
        .collect()
}

fn progress(rows: &[Row], ids: &[String]) -> Vec<Option<Progress>> {
    let rows: HashMap<&str, &Row> = rows.iter().map(|row| (row.get(0), row)).collect();
    let progress = |row: &&Row| Progress {
        completed: row.get(2),
        progress: row.get(3),
        completed_at: row.get::<_, Option<i64>>(4).map(|at| Timestamp::from_millis(at).to_string()),
        resource: Resource { title: row.get(1) },
    };
    ids.iter().map(|id| rows.get(key(id)).map(progress)).collect()
}

fn collection(row: &Row, now: i64) -> Collection {
    let (size, collected): (i32, i32) = (row.get(2), row.get(3));
    let collected = collected.clamp(0, size);
    let (completed, starts, ends): (Option<i64>, Option<i64>, Option<i64>) = (row.get(4), row.get(5), row.get(6));
    let status = if completed.is_some_and(|completed| completed <= now) {
        "COMPLETED"
    } else if starts.is_some_and(|starts| now < starts) {
        "UPCOMING"
    } else if ends.is_some_and(|ends| ends <= now) {
        "EXPIRED"
    } else if collected == 0 {
        "NOT_STARTED"
    } else {
        "IN_PROGRESS"
    };
    Collection {
        collection: Id { id: format!("collection:{}", row.get::<_, &str>(0)) },
        title: row.get(1),
        size,
        collected_count: collected,
        progress_in_percentage: if size == 0 { 0 } else { collected * 100 / size },
        status,
    }
}

/// Whole seconds, rounded up.
fn seconds(millis: i64) -> i64 {
    millis / 1000 + i64::from(millis % 1000 > 0)
}
