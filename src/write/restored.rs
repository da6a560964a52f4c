//! What exports bring along of what was written: events of histories, references, entries of the audit log. Each is put
//! back as it was, and what is there is never changed.

use std::collections::{BTreeSet, HashMap};

use sea_orm::{EntityTrait as _, QueryFilter as _};

use super::entity::{audit_entry, event, write_ref};
use super::{Event, HistoryKind, Taken, Unit};
use waymark_db::{ColumnIsAny as _, bulk, rows};
use waymark_kernel::error::Result;

/// Puts events back into histories of locked users, in the order of their numbers, each with what its file calls the
/// user.
pub async fn restore_events(unit: &mut Unit<'_>, events: Vec<(event::Model, &str)>) -> Result<Vec<Taken>> {
    let known: BTreeSet<(i64, i64)> = events
        .iter()
        .map(|(row, _)| row)
        .filter(|row| unit.last_history_number(row.user_id).is_ok_and(|last| row.seq <= last))
        .map(|row| (row.user_id, row.seq))
        .collect();
    let stored = rows::with_pairs::<event::Model>(unit.transaction(), "seq", &known).await?;
    let mut stored: HashMap<(i64, i64), event::Model> =
        stored.into_iter().map(|row| ((row.user_id, row.seq), row)).collect();
    let mut taken = Vec::with_capacity(events.len());
    for (row, user) in events {
        let place = (row.user_id, row.seq);
        let next = unit.last_history_number(row.user_id)? + 1;
        taken.push(match stored.get(&place) {
            _ if HistoryKind::parse(&row.kind).is_none() => Err(format!("there is no kind of event {:?}", row.kind)),
            Some(there) if *there == row => Ok(false),
            Some(_) => Err(format!("event {} of the user {user:?} is there already and is another", row.seq)),
            None if row.seq != next => Err(format!("the next event of the user {user:?} has the number {next}")),
            None => {
                unit.restore_event(row.user_id, Event::of(row.clone()))?;
                stored.insert(place, row);
                Ok(true)
            }
        });
    }
    Ok(taken)
}

/// Keeps the references of what users' writes did elsewhere.
pub async fn restore_references(unit: &Unit<'_>, references: Vec<write_ref::Model>) -> Result<Vec<Taken>> {
    let users: BTreeSet<i64> = references.iter().map(|row| row.user_id).collect();
    let names: BTreeSet<String> = references.iter().map(|row| row.reference.clone()).collect();
    let mut there = BTreeSet::new();
    if !references.is_empty() {
        use write_ref::{Column, Entity};
        let (users, names): (Vec<i64>, Vec<String>) = (users.into_iter().collect(), names.into_iter().collect());
        let found = Entity::find()
            .filter(Column::UserId.is_any(unit.transaction(), users))
            .filter(Column::Reference.is_any(unit.transaction(), names));
        let found = found.all(unit.transaction()).await?;
        there.extend(found.into_iter().map(|row| (row.user_id, row.kind, row.reference)));
    }
    let (mut new, mut taken) = (Vec::new(), Vec::with_capacity(references.len()));
    for row in references {
        let is_new = there.insert((row.user_id, row.kind.clone(), row.reference.clone()));
        taken.push(Ok(is_new));
        new.extend(Some(row).filter(|_| is_new));
    }
    rows::store(unit.transaction(), &new).await?;
    Ok(taken)
}

/// Appends entries to the audit log that are not there. They have no name of their own; those that are equal are told
/// apart by how many there are.
pub async fn restore_audit(unit: &Unit<'_>, entries: Vec<audit_entry::Model>) -> Result<Vec<Taken>> {
    let times: BTreeSet<i64> = entries.iter().map(|row| row.recorded_at.millis()).collect();
    let times: Vec<i64> = times.into_iter().collect();
    let mut there: HashMap<[String; 6], usize> = HashMap::new();
    for row in rows::with_int::<audit_entry::Model>(unit.transaction(), "recorded_at", &times).await? {
        *there.entry(parts(&row)).or_default() += 1;
    }
    let (mut new, mut taken) = (Vec::new(), Vec::with_capacity(entries.len()));
    for row in entries {
        let left = there.get_mut(&parts(&row)).filter(|left| **left > 0);
        taken.push(Ok(left.is_none()));
        match left {
            Some(left) => *left -= 1,
            None => new.push(row),
        }
    }
    bulk::add(unit.transaction(), &new).await?;
    Ok(taken)
}

fn parts(row: &audit_entry::Model) -> [String; 6] {
    let row = row.clone();
    [row.actor, row.action, row.subject_type, row.subject_key, row.changes, row.recorded_at.to_string()]
}
