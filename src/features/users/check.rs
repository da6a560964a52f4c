//! What has to hold of users: every row of a user has one, who may be gone, and so do the counters say.

use futures_util::future::BoxFuture;

use waymark_db::owner;
use waymark_kernel::error::Result;
use waymark_verify::{Check, Found, Look};

/// The checks of this feature's tables, for the verifier.
pub const CHECKS: &[Check] = &[
    Check::of_users(
        "users.counters",
        "SELECT u.id AS user_id, 'whether the user is gone, as the counters say' AS what,
             CASE WHEN c.gone THEN 1 WHEN NOT c.gone THEN 0 END AS stored,
             CASE WHEN u.merged_into IS NULL AND u.erased_at IS NULL THEN 0 ELSE 1 END AS expected
         FROM users u LEFT JOIN user_counters c ON c.user_id = u.id
         WHERE u.id = ANY($1)
             AND (c.user_id IS NULL OR c.gone <> (u.merged_into IS NOT NULL OR u.erased_at IS NOT NULL))",
    )
    .mended_by(
        "UPDATE user_counters SET gone = TRUE WHERE user_id = ANY($1) AND NOT gone AND EXISTS (
             SELECT 1 FROM users u WHERE u.id = user_counters.user_id
                 AND (u.merged_into IS NOT NULL OR u.erased_at IS NOT NULL))",
    ),
    Check::of_nobody_by_code("users.rows", find),
];

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
