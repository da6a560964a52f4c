//! Histories, the audit log, references of writes, keys of applications, and merged users. What is there is never changed.

use std::collections::{BTreeSet, HashMap};

use super::{Work, only};
use crate::sql;
use waymark_auth::entity::api_key;
use waymark_db::bulk;
use waymark_kernel::error::Result;
use waymark_write::entity::{audit_entry, event, write_ref};
use waymark_write::{Event, HistoryKind};

/// Takes the events of histories, which come in the order of their numbers.
pub(super) async fn take_events(work: &mut Work<'_>) -> Result<()> {
    let items = work.items(only!(Event));
    let known: BTreeSet<(i64, i64)> = items
        .iter()
        .filter(|item| work.unit.last_history_number(item.user).is_ok_and(|last| item.record.number <= last))
        .map(|item| (item.user, item.record.number))
        .collect();
    let stored = sql::with_pairs::<event::Model>(work.transaction, "seq", &known).await?;
    let mut stored: HashMap<(i64, i64), event::Model> =
        stored.into_iter().map(|row| ((row.user_id, row.seq), row)).collect();
    for item in items {
        let record = item.record;
        if HistoryKind::parse(&record.kind).is_none() {
            work.bad(item.at, format!("there is no kind of event {:?}", record.kind));
            continue;
        }
        let row = event::Model {
            user_id: item.user,
            seq: record.number,
            kind: record.kind.clone(),
            actor: record.actor.clone(),
            subject_type: record.subject.kind.clone(),
            subject_key: record.subject.key.clone(),
            changes: record.changes.to_string(),
            occurred_at: record.occurred_at.0,
            recorded_at: record.recorded_at.0,
        };
        match stored.get(&(item.user, record.number)) {
            Some(there) if *there == row => {}
            Some(_) => {
                work.bad(item.at, format!("event {} of {:?} is there already and is another", row.seq, record.user));
            }
            None => {
                let next = work.unit.last_history_number(item.user)? + 1;
                if row.seq != next {
                    work.bad(item.at, format!("the next event of {:?} has the number {next}", record.user));
                    continue;
                }
                work.unit.restore_event(item.user, Event::of(row.clone()))?;
                stored.insert((item.user, row.seq), row);
                work.landed(item.at);
            }
        }
    }
    Ok(())
}

/// Takes what is left when everything else is done.
pub(super) async fn take(work: &mut Work<'_>) -> Result<()> {
    take_refs(work).await?;
    take_audit(work).await?;
    take_keys(work).await?;
    take_merges(work).await
}

async fn take_refs(work: &mut Work<'_>) -> Result<()> {
    let items = work.items(only!(WriteRef));
    let users: BTreeSet<i64> = items.iter().map(|item| item.user).collect();
    let names: BTreeSet<String> = items.iter().map(|item| item.record.reference.clone()).collect();
    let mut stored: BTreeSet<(i64, String, String)> =
        sql::find_refs(work.transaction, users, names).await?.into_iter().collect();
    let mut rows = Vec::new();
    for item in items {
        let record = item.record;
        if stored.insert((item.user, record.kind.clone(), record.reference.clone())) {
            work.landed(item.at);
            rows.push(write_ref::Model {
                user_id: item.user,
                kind: record.kind.clone(),
                reference: record.reference.clone(),
                created_at: record.created_at.0,
                outcome: record.outcome.to_string(),
            });
        }
    }
    sql::store(work.transaction, &rows).await
}

async fn take_audit(work: &mut Work<'_>) -> Result<()> {
    let records = work.records(only!(Audit));
    if records.is_empty() {
        return Ok(());
    }
    let times: BTreeSet<i64> = records.iter().map(|(_, record, _)| record.recorded_at.0.millis()).collect();
    let times: Vec<i64> = times.into_iter().collect();
    // Entries have no name of their own; those that are equal are told apart by how many there are.
    let mut there: HashMap<[String; 6], usize> = HashMap::new();
    for row in sql::with_int::<audit_entry::Model>(work.transaction, "recorded_at", &times).await? {
        *there.entry(parts(&row)).or_default() += 1;
    }
    let mut new = Vec::new();
    for (at, record, _) in records {
        let row = audit_entry::Model {
            id: 0,
            actor: record.actor.clone(),
            action: record.action.clone(),
            subject_type: record.subject.kind.clone(),
            subject_key: record.subject.key.clone(),
            changes: record.changes.to_string(),
            recorded_at: record.recorded_at.0,
        };
        match there.get_mut(&parts(&row)) {
            Some(left) if *left > 0 => *left -= 1,
            _ => {
                new.push(row);
                work.landed(at);
            }
        }
    }
    bulk::add(work.transaction, &new).await
}

fn parts(row: &audit_entry::Model) -> [String; 6] {
    let row = row.clone();
    [row.actor, row.action, row.subject_type, row.subject_key, row.changes, row.recorded_at.to_string()]
}

async fn take_keys(work: &mut Work<'_>) -> Result<()> {
    let records = work.records(only!(ApiKey));
    if records.is_empty() {
        return Ok(());
    }
    let hashes = records.iter().map(|(_, record, _)| record.hash.clone()).collect();
    let stored = sql::with_text::<api_key::Model>(work.transaction, "hash", hashes).await?;
    let mut stored: HashMap<String, api_key::Model> = stored.into_iter().map(|row| (row.hash.clone(), row)).collect();
    let mut new = Vec::new();
    let mut changed = Vec::new();
    for (at, record, _) in records {
        let owner_id = match record.owner.as_ref().map(|owner| work.user(owner)).transpose() {
            Ok(owner) => owner,
            Err(reason) => {
                work.bad(at, reason);
                continue;
            }
        };
        // The keys of somebody who was erased were taken away with the rest.
        let owner = owner_id.and_then(|owner| work.people.get(&owner));
        if owner.is_some_and(|owner| owner.erased && !work.knows_of_erasure(at, owner)) {
            continue;
        }
        let well_formed = record.hash.len() == 64 && record.hash.bytes().all(|byte| byte.is_ascii_hexdigit());
        let scopes = record.scopes.split(' ').all(|scope| scope.parse::<waymark_auth::Scope>().is_ok());
        if !well_formed || !scopes {
            work.bad(at, "a key has a hash of 64 hexadecimal digits and known scopes");
            continue;
        }
        match stored.get_mut(&record.hash) {
            // A key that was revoked stays so.
            Some(row) if row.revoked_at.is_some() || record.revoked_at.is_none() => {}
            Some(row) => {
                row.revoked_at = record.revoked_at.map(|at| at.0);
                changed.push(row.clone());
                work.landed(at);
            }
            None => {
                let row = api_key::Model {
                    id: 0,
                    name: record.name.clone(),
                    prefix: record.prefix.clone(),
                    hash: record.hash.clone(),
                    scopes: record.scopes.clone(),
                    owner_id,
                    created_at: record.created_at.0,
                    expires_at: record.expires_at.map(|at| at.0),
                    revoked_at: record.revoked_at.map(|at| at.0),
                };
                stored.insert(record.hash.clone(), row.clone());
                new.push(row);
                work.landed(at);
            }
        }
    }
    let ids = sql::new_ids::<api_key::Model>(work.transaction, new.len()).await?;
    for (row, id) in new.iter_mut().zip(ids) {
        row.id = id;
    }
    new.extend(changed.into_iter().filter(|row| row.id != 0));
    sql::store(work.transaction, &new).await
}

async fn take_merges(work: &mut Work<'_>) -> Result<()> {
    for item in work.items(only!(Merge)) {
        let into = match work.user(&item.record.into) {
            Ok(into) => into,
            Err(reason) => {
                work.bad(item.at, reason);
                continue;
            }
        };
        let survivor = work.people.get(&into);
        if !item.has_history {
            // What was theirs would be nobody's.
            work.bad(item.at, "only an export says that users were merged; the mutation mergeUsers merges them");
        } else if into == item.user {
            work.bad(item.at, "a user cannot be merged into itself");
        } else if survivor.is_some_and(|survivor| survivor.erased && !work.knows_of_erasure(item.at, survivor)) {
            work.bad(item.at, format!("the user {:?} was erased", item.record.into));
        } else if sql::leads_to(work.transaction, into, item.user).await? {
            work.bad(item.at, format!("the user {:?} was merged into this one", item.record.into));
        } else if !work.person(item.user)?.merged {
            sql::merge(work.transaction, item.user, into).await?;
            work.person(item.user)?.merged = true;
            work.landed(item.at);
        }
    }
    Ok(())
}
