//! Progress on resources and instances of study plans. Nothing is taken back: what is complete stays so, with its date.

use std::collections::{BTreeMap, BTreeSet, HashMap};

use serde_json::json;

use super::catalogue::{is_hex24, unknown};
use super::{Work, only};
use crate::records::{InstanceResource, Record};
use crate::sql;
use waymark_kernel::error::Result;
use waymark_kernel::limits;
use waymark_learning::entity::{instance, instance_resource, plan_resource, progress, resource};
use waymark_learning::rules::{MAX_NOTES_CHARACTERS, StoredCompletion, transition};
use waymark_vocabulary::ids::Kind;
use waymark_write::HistoryKind;

/// Finds the resources that progress names. One that nobody described gets a row, as it does when progress on it is
/// written otherwise.
pub(super) async fn find_resources(work: &mut Work<'_>) -> Result<()> {
    let mut keys = BTreeSet::new();
    for (_, record) in work.lines {
        match record {
            Record::ResourceProgress(progress) => drop(keys.insert(progress.resource.clone())),
            Record::StudyPlanInstance(instance) => {
                keys.extend(instance.resources.iter().flatten().map(|one| one.resource.clone()));
            }
            _ => {}
        }
    }
    let found = sql::with_text::<resource::Model>(work.transaction, "key", keys.iter().cloned().collect()).await?;
    work.resources.extend(found.into_iter().map(|row| (row.key, row.id)));
    let missing: Vec<String> =
        keys.into_iter().filter(|key| is_hex24(key) && !work.resources.contains_key(key)).collect();
    let ids = sql::new_ids::<resource::Model>(work.transaction, missing.len()).await?;
    let rows: Vec<resource::Model> = missing
        .into_iter()
        .zip(ids)
        .map(|(key, id)| resource::Model {
            id,
            external_id: key.to_ascii_lowercase(),
            title: key.clone(),
            key,
            kind: "course".to_owned(),
            section: None,
            url: None,
            description: String::new(),
            estimated_minutes: None,
            catalogued: false,
            created_at: work.now,
            updated_at: work.now,
        })
        .collect();
    sql::store(work.transaction, &rows).await?;
    work.resources.extend(rows.into_iter().map(|row| (row.key, row.id)));
    Ok(())
}

/// Takes progress and instances.
pub(super) async fn take(work: &mut Work<'_>) -> Result<()> {
    take_progress(work).await?;
    take_instances(work).await
}

async fn take_progress(work: &mut Work<'_>) -> Result<()> {
    let items = work.items(only!(ResourceProgress));
    let pairs: BTreeSet<(i64, i64)> =
        items.iter().filter_map(|item| Some((item.user, *work.resources.get(&item.record.resource)?))).collect();
    let stored = sql::with_pairs::<progress::Model>(work.transaction, "resource_id", &pairs).await?;
    let mut stored: HashMap<(i64, i64), progress::Model> =
        stored.into_iter().map(|row| ((row.user_id, row.resource_id), row)).collect();
    let mut changed = BTreeSet::new();
    for item in items {
        let record = item.record;
        let Some(resource_id) = work.resources.get(&record.resource).copied() else {
            work.bad(item.at, unknown("resource", &record.resource));
            continue;
        };
        if record.notes.chars().nth(MAX_NOTES_CHARACTERS).is_some()
            || record.external_id.as_ref().is_some_and(|id| !is_hex24(id))
        {
            let reason = format!(
                "notes have at most {MAX_NOTES_CHARACTERS} characters, and an externalId has 24 hexadecimal digits"
            );
            work.bad(item.at, reason);
            continue;
        }
        let place = (item.user, resource_id);
        let before = stored.get(&place);
        // An older export does not know that a completion was taken back.
        if item.has_history && before.is_some_and(|row| record.updated_at.is_none_or(|at| at.0 <= row.updated_at)) {
            continue;
        }
        let said = record.last_accessed_at.or(record.updated_at).or(record.completed_at).map(|at| at.0);
        let at = said.unwrap_or(work.now);
        let done = before.map(|row| StoredCompletion { completed: row.completed, completed_at: row.completed_at });
        let when = record.completed_at.map_or(at, |at| at.0);
        let done = transition(done, record.completed.then_some(true), when);
        let newer = said.is_some_and(|said| before.is_none_or(|row| said > row.last_accessed_at));
        // What was erased does not come back.
        let erased = work.people.get(&item.user).is_some_and(|person| person.erased) && before.is_some();
        let notes = match before {
            Some(row) if erased || record.notes.is_empty() || !(newer || row.notes.is_empty()) => row.notes.clone(),
            _ => record.notes.clone(),
        };
        let mut row = progress::Model {
            user_id: item.user,
            resource_id,
            external_id: match before {
                Some(row) => row.external_id.clone(),
                None => record.external_id.as_ref().map_or_else(|| work.ids.hex24(at), |id| id.to_ascii_lowercase()),
            },
            completed: done.completed,
            progress: before.map_or(0, |row| row.progress).max(record.progress),
            time_spent_minutes: before.map_or(0, |row| row.time_spent_minutes).max(record.time_spent_minutes),
            notes,
            completed_at: done.completed_at,
            last_accessed_at: before.map_or(at, |row| if newer { at } else { row.last_accessed_at }),
            created_at: before.map_or_else(|| record.created_at.map_or(at, |at| at.0), |row| row.created_at),
            updated_at: before.map_or_else(|| record.updated_at.map_or(at, |at| at.0), |row| row.updated_at),
        };
        if before == Some(&row) {
            continue;
        }
        if let Some(before) = before {
            row.updated_at = record.updated_at.map_or(work.now, |at| at.0).max(before.updated_at);
        }
        let mut changes = json!({});
        if row.progress != before.map_or(0, |row| row.progress) {
            changes["progress"] = row.progress.into();
        }
        if row.time_spent_minutes != before.map_or(0, |row| row.time_spent_minutes) {
            changes["timeSpentMinutes"] = row.time_spent_minutes.into();
        }
        if row.notes != before.map_or("", |row| &row.notes) {
            changes["notes"] = true.into();
        }
        let (of, subject) = ((item.user, item.has_history), (Kind::Resource, record.resource.as_str()));
        let completed = row.completed && !before.is_some_and(|row| row.completed);
        stored.insert(place, row);
        changed.insert(place);
        if completed {
            work.tell(of, HistoryKind::ResourceCompleted, subject, &json!({}), when)?;
        }
        if changes.as_object().is_some_and(|changes| !changes.is_empty()) {
            work.tell(of, HistoryKind::ResourceProgress, subject, &changes, at)?;
        }
        work.landed(item.at);
    }
    let rows: Vec<progress::Model> = changed.iter().filter_map(|place| stored.get(place).cloned()).collect();
    sql::store(work.transaction, &rows).await
}

async fn take_instances(work: &mut Work<'_>) -> Result<()> {
    let items = work.items(only!(StudyPlanInstance));
    if items.is_empty() {
        return Ok(());
    }
    let users: BTreeSet<i64> = items.iter().map(|item| item.user).collect();
    let users: Vec<i64> = users.into_iter().collect();
    let mut instances: BTreeMap<(i64, i64), instance::Model> = BTreeMap::new();
    for row in sql::with_int::<instance::Model>(work.transaction, "user_id", &users).await? {
        instances.insert((row.user_id, row.seq), row);
    }
    let mut resources: BTreeMap<(i64, i64, i64), instance_resource::Model> = BTreeMap::new();
    for row in sql::with_int::<instance_resource::Model>(work.transaction, "user_id", &users).await? {
        resources.insert((row.user_id, row.instance_seq, row.resource_id), row);
    }
    let plans: BTreeSet<i64> =
        items.iter().filter_map(|item| Some(work.known.plans.get(&item.record.plan)?.id)).collect();
    let plans: Vec<i64> = plans.into_iter().collect();
    let mut contents: HashMap<i64, Vec<(i32, i64)>> = HashMap::new();
    for row in sql::with_int::<plan_resource::Model>(work.transaction, "plan_id", &plans).await? {
        contents.entry(row.plan_id).or_default().push((row.position, row.resource_id));
    }
    contents.values_mut().for_each(|list| list.sort_unstable());

    let (mut changed, mut changed_resources) = (BTreeSet::new(), BTreeSet::new());
    for item in items {
        let record = item.record;
        let Some((plan_id, title)) = work.known.plans.get(&record.plan).map(|plan| (plan.id, plan.title.clone()))
        else {
            work.bad(item.at, unknown("study plan", &record.plan));
            continue;
        };
        let wanted = match wanted(work, record.resources.as_deref(), contents.get(&plan_id)) {
            Ok(wanted) => wanted,
            Err(reason) => {
                work.bad(item.at, reason);
                continue;
            }
        };
        let own = || instances.range((item.user, 0)..=(item.user, i64::MAX)).map(|(_, row)| row);
        let number = record.number.or_else(|| own().find(|row| row.plan_id == plan_id).map(|row| row.seq));
        let Some(number) = number.or_else(|| limits::next_number(own().next_back().map_or(0, |row| row.seq))) else {
            work.bad(item.at, "the instances of this user have their last number already");
            continue;
        };
        let place = (item.user, number);
        let created_at = record.created_at.map_or(work.now, |at| at.0);
        if let Some(row) = instances.get(&place) {
            if row.plan_id != plan_id
                || record.external_id.as_ref().is_some_and(|id| !id.eq_ignore_ascii_case(&row.external_id))
            {
                work.bad(item.at, format!("instance {number} of {:?} is there already and is another", record.user));
                continue;
            }
            let mut marked = false;
            for (resource_id, marked_at) in wanted {
                let stored = resources.get_mut(&(item.user, number, resource_id));
                if let Some(row) = stored.filter(|row| row.marked_at.is_none() && marked_at.is_some()) {
                    row.marked_at = marked_at;
                    changed_resources.insert((item.user, number, resource_id));
                    marked = true;
                }
            }
            if marked {
                if let Some(row) = instances.get_mut(&place) {
                    row.updated_at = record.updated_at.map_or(work.now, |at| at.0).max(row.updated_at);
                }
                changed.insert(place);
                work.landed(item.at);
            }
            continue;
        }
        if record.external_id.as_ref().is_some_and(|id| !is_hex24(id)) {
            work.bad(item.at, "an externalId has 24 hexadecimal digits");
            continue;
        }
        let row = instance::Model {
            user_id: item.user,
            seq: number,
            external_id: record
                .external_id
                .as_ref()
                .map_or_else(|| work.ids.hex24(created_at), |id| id.to_ascii_lowercase()),
            plan_id,
            title: record.title.clone().unwrap_or(title),
            created_at,
            updated_at: record.updated_at.map_or(created_at, |at| at.0),
        };
        instances.insert(place, row);
        changed.insert(place);
        let count = wanted.len();
        for ((resource_id, marked_at), position) in wanted.into_iter().zip(1..) {
            let row =
                instance_resource::Model { user_id: item.user, instance_seq: number, position, resource_id, marked_at };
            resources.insert((item.user, number, resource_id), row);
            changed_resources.insert((item.user, number, resource_id));
        }
        let (of, subject) = ((item.user, item.has_history), (Kind::StudyPlan, record.plan.as_str()));
        let changes = json!({ "instance": number, "resources": count });
        work.tell(of, HistoryKind::InstanceCreated, subject, &changes, created_at)?;
        work.landed(item.at);
    }
    let rows: Vec<instance::Model> = changed.iter().filter_map(|place| instances.get(place).cloned()).collect();
    sql::store(work.transaction, &rows).await?;
    let rows: Vec<instance_resource::Model> =
        changed_resources.iter().filter_map(|place| resources.get(place).cloned()).collect();
    sql::store(work.transaction, &rows).await
}

/// The resources of an instance with their marks: those of the record, else those of the plan.
fn wanted(
    work: &Work<'_>,
    said: Option<&[InstanceResource]>,
    of_plan: Option<&Vec<(i32, i64)>>,
) -> Result<Vec<(i64, Option<waymark_kernel::clock::Timestamp>)>, String> {
    let Some(said) = said else {
        return Ok(of_plan.into_iter().flatten().map(|(_, resource)| (*resource, None)).collect());
    };
    let distinct: BTreeSet<&String> = said.iter().map(|one| &one.resource).collect();
    if distinct.len() < said.len() {
        return Err("an instance has each resource once".to_owned());
    }
    said.iter()
        .map(|one| {
            let id = work.resources.get(&one.resource).ok_or_else(|| unknown("resource", &one.resource))?;
            Ok((*id, one.marked_at.map(|at| at.0)))
        })
        .collect()
}
