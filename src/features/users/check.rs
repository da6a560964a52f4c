//! What has to hold of users: every row of a user has one. The engines see to it, unless somebody has told them not to.

use futures_util::future::BoxFuture;

use waymark_db::owner;
use waymark_kernel::error::Result;
use waymark_verify::{Check, Found, Look};

/// The checks of this feature's tables, for the verifier.
pub const CHECKS: &[Check] = &[Check::of_nobody_by_code("users.rows", find)];

fn find(look: Look<'_>) -> BoxFuture<'_, Result<Vec<Found>>> {
    Box::pin(async move {
        let rows = owner::of_nobody(look.transaction).await?;
        let found = rows.into_iter().map(|(table, user, count)| Found {
            user: None,
            what: format!("rows in {table} of user number {user}, who is not there"),
            stored: count.to_string(),
            expected: "0".to_owned(),
        });
        Ok(found.collect())
    })
}
