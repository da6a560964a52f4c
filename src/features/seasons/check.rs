//! What has to hold of steps, claims and budgets. Claims are the source of budgets; steps are that of completions.

use waymark_verify::Check;

/// The checks of this feature's tables, for the verifier.
pub const CHECKS: &[Check] = &[
    Check::of_users(
        "seasons.steps",
        "SELECT p.user_id, 'steps of goal:' || g.key AS what, CAST(p.completed_steps AS bigint) AS stored,
             CAST(g.total_steps AS bigint) AS expected
         FROM goal_progress p JOIN goals g ON g.id = p.goal_id
         WHERE p.user_id = ANY($1) AND p.completed_steps > g.total_steps",
    )
    .mended_by(
        "UPDATE goal_progress SET completed_steps = (SELECT g.total_steps FROM goals g WHERE g.id = goal_id)
         WHERE user_id = ANY($1) AND completed_steps > (SELECT g.total_steps FROM goals g WHERE g.id = goal_id)",
    ),
    Check::of_users(
        "seasons.completions",
        "SELECT p.user_id, 'completion of goal:' || g.key AS what, p.completed_at AS stored,
             CASE WHEN p.completed_steps >= g.total_steps THEN p.updated_at END AS expected
         FROM goal_progress p JOIN goals g ON g.id = p.goal_id
         WHERE p.user_id = ANY($1) AND (p.completed_at IS NOT NULL) <> (p.completed_steps >= g.total_steps)",
    )
    .of_instants()
    .mended_by(
        "UPDATE goal_progress SET completed_at = CASE
             WHEN completed_steps >= (SELECT g.total_steps FROM goals g WHERE g.id = goal_id) THEN updated_at END
         WHERE user_id = ANY($1) AND (completed_at IS NOT NULL)
             <> (completed_steps >= (SELECT g.total_steps FROM goals g WHERE g.id = goal_id))",
    ),
    Check::of_users(
        "seasons.claims",
        // A lot whose claim gave way to an earlier one (two users became one) has nothing left.
        "SELECT c.user_id,
             'lot ' || c.lot_seq || ' of the claim of goal:' || COALESCE(g.key, CAST(c.goal_id AS text)) || ', in millionths' AS what,
             l.amount_micros AS stored, c.reward_micros AS expected
         FROM goal_claims c LEFT JOIN goals g ON g.id = c.goal_id
         LEFT JOIN credit_lots l
             ON l.user_id = c.user_id AND l.seq = c.lot_seq AND l.source = 'GOAL' AND l.goal_id = c.goal_id
         WHERE c.user_id = ANY($1) AND CASE
             -- One that was brought along granted nothing here.
             WHEN c.lot_seq = 0 THEN false
             WHEN c.reward_micros = 0 THEN true
             ELSE l.amount_micros IS NULL OR l.amount_micros <> c.reward_micros END
         UNION ALL
         SELECT l.user_id, 'the claim that opened lot ' || l.seq || ', in millionths', CAST(NULL AS bigint), l.amount_micros
         FROM credit_lots l LEFT JOIN goal_claims c ON c.user_id = l.user_id AND c.goal_id = l.goal_id
         WHERE l.user_id = ANY($1) AND l.source = 'GOAL'
             AND (c.lot_seq IS NULL OR (c.lot_seq <> l.seq AND l.remaining_micros > 0))",
    ),
    Check::of_nobody(
        "seasons.budgets",
        "SELECT 'claims of season:' || s.key
             || CASE WHEN b.week = 0 THEN '' ELSE ' for goals of week ' || b.week END || ', in millionths' AS what,
             b.spent_micros AS stored, COALESCE(c.spent, 0) AS expected
         FROM season_budgets b JOIN seasons s ON s.id = b.season_id LEFT JOIN (
             SELECT g.season_id, 0 AS week, CAST(sum(c.reward_micros) AS bigint) AS spent
             FROM goal_claims c JOIN goals g ON g.id = c.goal_id WHERE c.lot_seq > 0 GROUP BY g.season_id
             UNION ALL
             SELECT g.season_id, g.week, CAST(sum(c.reward_micros) AS bigint)
             FROM goal_claims c JOIN goals g ON g.id = c.goal_id WHERE g.week IS NOT NULL
                 AND c.lot_seq > 0 GROUP BY g.season_id, g.week
         ) c ON c.season_id = b.season_id AND c.week = b.week
         WHERE b.spent_micros <> COALESCE(c.spent, 0)",
    )
    .mended_by(
        // What was granted beyond the cap cannot be stored; the cap has to be raised first.
        "UPDATE season_budgets SET spent_micros = COALESCE((
             SELECT sum(c.reward_micros) FROM goal_claims c JOIN goals g ON g.id = c.goal_id
             WHERE g.season_id = season_budgets.season_id AND season_budgets.week IN (0, g.week)
                 AND c.lot_seq > 0), 0)
         WHERE COALESCE((
             SELECT sum(c.reward_micros) FROM goal_claims c JOIN goals g ON g.id = c.goal_id
             WHERE g.season_id = season_budgets.season_id AND season_budgets.week IN (0, g.week)
                 AND c.lot_seq > 0), 0) <= cap_micros",
    ),
];
