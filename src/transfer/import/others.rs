//! Histories, references of writes and the audit log, which are put back as they were.

use super::{Work, only};
use waymark_kernel::error::Result;
use waymark_write::entity::{audit_entry, event, write_ref};
use waymark_write::{restore_audit, restore_events, restore_references};

/// Takes the events of histories, which come in the order of their numbers.
pub(super) async fn take_events(work: &mut Work<'_>) -> Result<()> {
    let items = work.items(only!(Event));
    let rows = items.iter().map(|item| {
        let row = event::Model {
            user_id: item.user,
            seq: item.record.number,
            kind: item.record.kind.clone(),
            actor: item.record.actor.clone(),
            subject_type: item.record.subject.kind.clone(),
            subject_key: item.record.subject.key.clone(),
            changes: item.record.changes.to_string(),
            occurred_at: item.record.occurred_at.0,
            recorded_at: item.record.recorded_at.0,
        };
        (row, item.record.user.as_str())
    });
    let taken = restore_events(&mut work.unit, rows.collect()).await?;
    work.note(items.iter().map(|item| item.at).zip(taken));
    Ok(())
}

/// Takes the references of writes.
pub(super) async fn take_references(work: &mut Work<'_>) -> Result<()> {
    let items = work.items(only!(WriteRef));
    let rows = items.iter().map(|item| write_ref::Model {
        user_id: item.user,
        kind: item.record.kind.clone(),
        reference: item.record.reference.clone(),
        created_at: item.record.created_at.0,
        outcome: item.record.outcome.to_string(),
    });
    let taken = restore_references(&work.unit, rows.collect()).await?;
    work.note(items.iter().map(|item| item.at).zip(taken));
    Ok(())
}

/// Takes the audit log.
pub(super) async fn take_audit(work: &mut Work<'_>) -> Result<()> {
    let records = work.records(only!(Audit));
    let rows = records.iter().map(|(_, record, _)| audit_entry::Model {
        id: 0,
        actor: record.actor.clone(),
        action: record.action.clone(),
        subject_type: record.subject.kind.clone(),
        subject_key: record.subject.key.clone(),
        changes: record.changes.to_string(),
        recorded_at: record.recorded_at.0,
    });
    let taken = restore_audit(&work.unit, rows.collect()).await?;
    work.note(records.iter().map(|(at, ..)| *at).zip(taken));
    Ok(())
}
