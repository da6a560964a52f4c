//! Users with their accounts and mergers, and keys of applications, as facts that the feature takes.

use super::{Item, Person, Work, only};
use crate::records::{Account, User};
use waymark_auth::entity::api_key;
use waymark_kernel::error::Result;
use waymark_kinds::erase::forget;
use waymark_kinds::users::told::{ToldAccount, ToldUser, take_keys, take_merger, take_users};
use waymark_write::Origin;

/// Takes the records of users.
pub(super) async fn take(work: &mut Work<'_>) -> Result<()> {
    let records = work.records(only!(User));
    if records.is_empty() {
        return Ok(());
    }
    let users = records.iter().map(|(_, record, has_history)| told(record, *has_history)).collect();
    let taken = take_users(&mut work.unit, users, work.earlier.profiles).await?;
    work.note(records.iter().map(|(at, ..)| *at).zip(taken.taken));
    work.people.extend(taken.users.into_iter().map(|user| (user.id, Person::from(user))));
    for user in taken.erased {
        forget(&mut work.unit, user).await?;
        work.person(user)?.erased = true;
    }
    if work.earlier.profiles.is_some() {
        work.profiles.extend(taken.profiles);
    }
    Ok(())
}

fn told(record: &User, has_history: bool) -> ToldUser {
    let account = |account: &Account| ToldAccount {
        provider: account.provider.clone(),
        id: account.id.clone(),
        linked_at: account.linked_at.map(|at| at.0),
    };
    ToldUser {
        id: record.id.clone(),
        external_id: record.external_id.clone(),
        handle: record.handle.clone(),
        display_name: record.display_name.clone(),
        avatar_url: record.avatar_url.clone(),
        visibility: record.visibility,
        self_made: record.self_made,
        accounts: record.accounts.iter().map(account).collect(),
        created_at: record.created_at.map(|at| at.0),
        updated_at: record.updated_at.map(|at| at.0),
        erased_at: record.erased_at.map(|at| at.0),
        origin: if has_history { Origin::Restored } else { Origin::Told },
    }
}

/// Takes keys of applications. Those of somebody who was erased were taken away with the rest.
pub(super) async fn take_api_keys(work: &mut Work<'_>) -> Result<()> {
    let (mut places, mut keys) = (Vec::new(), Vec::new());
    for (at, record, _) in work.records(only!(ApiKey)) {
        let owner_id = match record.owner.as_ref().map(|owner| work.user(owner)).transpose() {
            Ok(owner) => owner,
            Err(reason) => {
                work.bad(at, reason);
                continue;
            }
        };
        if owner_id.is_some_and(|owner| work.is_erased_for(at, owner)) {
            continue;
        }
        places.push(at);
        keys.push(api_key::Model {
            id: 0,
            name: record.name.clone(),
            prefix: record.prefix.clone(),
            hash: record.hash.clone(),
            scopes: record.scopes.clone(),
            owner_id,
            created_at: record.created_at.0,
            expires_at: record.expires_at.map(|at| at.0),
            revoked_at: record.revoked_at.map(|at| at.0),
        });
    }
    let taken = take_keys(&work.unit, keys).await?;
    work.note(places.into_iter().zip(taken));
    Ok(())
}

/// Takes that users were merged.
pub(super) async fn take_mergers(work: &mut Work<'_>) -> Result<()> {
    for Item { at, user, record, origin, .. } in work.items(only!(Merge)) {
        let taken = match work.user(&record.into) {
            Err(reason) => Err(reason),
            Ok(into) if into != user && work.is_erased_for(at, into) => {
                Err(format!("the user {:?} was erased", record.into))
            }
            Ok(into) => take_merger(&mut work.unit, (user, &record.user), (into, &record.into), origin).await?,
        };
        work.person(user)?.merged |= taken == Ok(true);
        work.note([(at, taken)]);
    }
    Ok(())
}
