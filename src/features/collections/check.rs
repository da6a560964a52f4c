//! What has to hold of collections. The cards that users own are the source of how far they came.

use waymark_verify::Check;

/// The checks of this feature's tables, for the verifier.
pub const CHECKS: &[Check] = &[
    Check::of_users(
        "collections.cards",
        "SELECT o.user_id, 'collection of card:' || k.key || ', by its number' AS what, o.collection_id AS stored,
             k.collection_id AS expected
         FROM owned_cards o JOIN cards k ON k.id = o.card_id
         WHERE o.user_id = ANY($1) AND o.collection_id <> k.collection_id",
    )
    .mended_by(
        "UPDATE owned_cards SET collection_id = (SELECT k.collection_id FROM cards k WHERE k.id = card_id)
         WHERE user_id = ANY($1)
             AND collection_id <> (SELECT k.collection_id FROM cards k WHERE k.id = card_id)",
    ),
    Check::of_users(
        "collections.collected",
        "SELECT n.user_id, 'distinct cards of collection:' || c.key AS what, CAST(sum(n.stored) AS bigint) AS stored,
             CAST(sum(n.owned) AS bigint) AS expected
         FROM (
             SELECT user_id, collection_id, collected_count AS stored, 0 AS owned
             FROM collection_progress WHERE user_id = ANY($1)
             UNION ALL SELECT user_id, collection_id, 0, 1 FROM owned_cards
             WHERE user_id = ANY($1) AND quantity > 0
                 AND card_id NOT IN (SELECT id FROM cards WHERE retired_at IS NOT NULL)
         ) n JOIN collections c ON c.id = n.collection_id
         GROUP BY n.user_id, c.key HAVING sum(n.stored) <> sum(n.owned)",
    )
    .mended_by(
        "INSERT INTO collection_progress
             (user_id, collection_id, collected_count, completed_at, reward_claimed_at, updated_at)
         SELECT o.user_id, o.collection_id, CAST(sum(CASE WHEN o.quantity > 0 THEN 1 ELSE 0 END) AS integer),
             CAST(NULL AS bigint), CAST(NULL AS bigint), max(o.updated_at)
         FROM (
             SELECT user_id, collection_id, quantity, updated_at FROM owned_cards
             WHERE user_id = ANY($1) AND card_id NOT IN (SELECT id FROM cards WHERE retired_at IS NOT NULL)
             UNION ALL
             SELECT user_id, collection_id, 0, updated_at FROM collection_progress WHERE user_id = ANY($1)
         ) o WHERE true GROUP BY o.user_id, o.collection_id
         ON CONFLICT (user_id, collection_id) DO UPDATE SET collected_count = excluded.collected_count
         WHERE collection_progress.collected_count <> excluded.collected_count",
    ),
    Check::of_users(
        "collections.completions",
        // All cards complete a collection at the instant at which the last of them came, if that lies inside its dates.
        "SELECT p.user_id, 'completion of collection:' || c.key AS what,
             p.completed_at AS stored, COALESCE(p.reward_claimed_at,
             CASE WHEN o.last_at < c.starts_at THEN c.starts_at ELSE o.last_at END) AS expected
         FROM collection_progress p JOIN collections c ON c.id = p.collection_id
         LEFT JOIN (
             SELECT user_id, collection_id, max(first_acquired_at) AS last_at FROM owned_cards
             WHERE user_id = ANY($1) AND quantity > 0
                 AND card_id NOT IN (SELECT id FROM cards WHERE retired_at IS NOT NULL)
             GROUP BY user_id, collection_id
         ) o ON o.user_id = p.user_id AND o.collection_id = p.collection_id
         WHERE p.user_id = ANY($1) AND p.completed_at IS NULL AND (p.reward_claimed_at IS NOT NULL OR (
             (c.ends_at IS NULL OR o.last_at < c.ends_at) AND p.collected_count > 0
             AND p.collected_count >= (
                 SELECT count(*) FROM cards k WHERE k.collection_id = c.id AND k.retired_at IS NULL)))",
    )
    .of_instants()
    .mended_by(
        "UPDATE collection_progress SET completed_at = COALESCE(reward_claimed_at, (
             SELECT CASE WHEN max(o.first_acquired_at) < c.starts_at THEN c.starts_at ELSE max(o.first_acquired_at) END
             FROM collections c JOIN owned_cards o ON o.collection_id = c.id AND o.quantity > 0
                 AND o.user_id = collection_progress.user_id
                 AND o.card_id NOT IN (SELECT id FROM cards WHERE retired_at IS NOT NULL)
             WHERE c.id = collection_progress.collection_id GROUP BY c.starts_at))
         WHERE user_id = ANY($1) AND completed_at IS NULL AND (reward_claimed_at IS NOT NULL OR (
             collected_count > 0
             AND collected_count >= (
                 SELECT count(*) FROM cards k
                 WHERE k.collection_id = collection_progress.collection_id AND k.retired_at IS NULL)
             AND EXISTS (
                 SELECT 1 FROM collections c WHERE c.id = collection_id AND (c.ends_at IS NULL OR c.ends_at > (
                     SELECT max(o.first_acquired_at) FROM owned_cards o WHERE o.collection_id = c.id
                         AND o.quantity > 0 AND o.user_id = collection_progress.user_id
                         AND o.card_id NOT IN (SELECT id FROM cards WHERE retired_at IS NOT NULL))))))",
    ),
    Check::of_nobody(
        "collections.rewards",
        "SELECT 'claims of the reward of collection:' || c.key AS what, r.claimed AS stored,
             COALESCE(p.claims, 0) AS expected
         FROM collection_rewards r JOIN collections c ON c.id = r.collection_id LEFT JOIN (
             SELECT collection_id, count(*) AS claims FROM collection_progress
             WHERE reward_claimed_at IS NOT NULL GROUP BY collection_id
         ) p ON p.collection_id = r.collection_id
         WHERE r.claimed <> COALESCE(p.claims, 0)",
    )
    .mended_by(
        // What was claimed beyond the stock cannot be stored; the stock has to be raised first.
        "UPDATE collection_rewards SET claimed = (
             SELECT count(*) FROM collection_progress p
             WHERE p.collection_id = collection_rewards.collection_id AND p.reward_claimed_at IS NOT NULL)
         WHERE stock IS NULL OR stock >= (
             SELECT count(*) FROM collection_progress p
             WHERE p.collection_id = collection_rewards.collection_id AND p.reward_claimed_at IS NOT NULL)",
    ),
];
