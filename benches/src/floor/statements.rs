//! The SQL of the floor.

use tokio_postgres::{Client, Error, Statement};

macro_rules! statements {
    ($($(#[$meta:meta])* $name:ident: $sql:expr;)+) => {
        /// What is prepared on a connection.
        pub(super) struct Statements { $($(#[$meta])* pub(super) $name: Statement,)+ }

        impl Statements {
            pub(super) async fn prepare(client: &Client) -> Result<Self, Error> {
                Ok(Self { $($name: client.prepare($sql).await?,)+ })
            }
        }
    };
}

statements! {
    one: "SELECT ulid, handle FROM users WHERE ulid = $1 AND erased_at IS NULL AND merged_into IS NULL";
    /// The user in the season that runs at `$2`.
    season: "SELECT s.starts_at, s.duration_seconds, s.week_length_seconds, s.ended_at, p.stood, p.stands, \
        EXISTS (SELECT FROM season_enrolments e WHERE e.user_id = u.id AND e.season_id = s.id) \
        FROM users u \
        JOIN seasons s ON s.starts_at <= $2 \
        CROSS JOIN LATERAL ( \
            SELECT coalesce(sum(least(coalesce(until_at, $2), $2) - from_at) \
                FILTER (WHERE s.pause_mode = 'FREEZE'), 0)::bigint AS stood, \
            coalesce(bool_or(coalesce($2 < until_at, true)), false) AS stands \
            FROM season_pauses WHERE season_id = s.id AND from_at <= $2 \
        ) p \
        WHERE u.ulid = $1 AND u.erased_at IS NULL AND u.merged_into IS NULL ORDER BY s.starts_at DESC LIMIT 1";
    goals: "SELECT g.week, g.title, coalesce(p.completed_steps, 0), g.total_steps, c.user_id IS NOT NULL \
        FROM goals g \
        LEFT JOIN goal_progress p ON p.goal_id = g.id AND p.user_id = (SELECT id FROM users WHERE ulid = $1) \
        LEFT JOIN goal_claims c ON c.goal_id = g.id AND c.user_id = (SELECT id FROM users WHERE ulid = $1) \
        WHERE g.season_id = (SELECT id FROM seasons WHERE starts_at <= $2 ORDER BY starts_at DESC LIMIT 1) \
        ORDER BY g.position";
    lots: "SELECT remaining_micros, expires_at FROM credit_lots \
        WHERE user_id = (SELECT id FROM users WHERE ulid = $1) AND remaining_micros > 0 AND granted_at <= $2";
    blocked: "SELECT EXISTS (SELECT FROM user_blocks \
        WHERE user_id = (SELECT id FROM users WHERE ulid = $1) AND scope <> 'SPEND' AND from_at <= $2 \
        AND coalesce($2 < until_at, true) AND coalesce($2 < lifted_at, true))";
    resources: "SELECT r.key, r.title, coalesce(p.completed, false), coalesce(p.progress, 0::smallint), p.completed_at \
        FROM resources r \
        LEFT JOIN resource_progress p ON p.resource_id = r.id AND p.user_id = (SELECT id FROM users WHERE ulid = $1) \
        WHERE r.key = ANY($2)";
    /// One row without a game for a user whom none was found for, and none for an unknown user.
    games: "SELECT g.key, g.title, coalesce(s.num_achieved, 0), g.num_possible, coalesce(s.score_achieved, 0), \
        g.possible_score, coalesce(s.num_achieved_hardcore, 0), coalesce(s.score_achieved_hardcore, 0) \
        FROM users u \
        LEFT JOIN games g ON g.key = ANY($2) \
        LEFT JOIN game_summaries s ON s.user_id = u.id AND s.game_id = g.id \
        WHERE u.ulid = $1 AND u.erased_at IS NULL AND u.merged_into IS NULL";
    collections: "SELECT c.key, c.name, (SELECT count(*) FROM cards k WHERE k.collection_id = c.id)::int, \
        coalesce(p.collected_count, 0), p.completed_at, c.starts_at, c.ends_at \
        FROM collections c \
        LEFT JOIN collection_progress p \
            ON p.collection_id = c.id AND p.user_id = (SELECT id FROM users WHERE ulid = $1) \
        WHERE (c.show_before OR coalesce(c.starts_at <= $2, true)) AND (c.show_after OR coalesce($2 < c.ends_at, true)) \
        ORDER BY c.id LIMIT 20";
    many: "SELECT id, ulid, handle FROM users WHERE ulid = ANY($1) AND erased_at IS NULL AND merged_into IS NULL";
    many_games: "SELECT id, key, num_possible, possible_score FROM games WHERE key = ANY($1)";
    many_summaries: "SELECT user_id, game_id, num_achieved, score_achieved, num_achieved_hardcore, \
        score_achieved_hardcore FROM game_summaries \
        WHERE user_id = ANY(ARRAY(SELECT id FROM users WHERE ulid = ANY($1))) \
        AND game_id = ANY(ARRAY(SELECT id FROM games WHERE key = ANY($2)))";
    many_resources: "SELECT id, key FROM resources WHERE key = ANY($1)";
    many_progress: "SELECT user_id, resource_id, completed, progress FROM resource_progress \
        WHERE user_id = ANY(ARRAY(SELECT id FROM users WHERE ulid = ANY($1))) \
        AND resource_id = ANY(ARRAY(SELECT id FROM resources WHERE key = ANY($2)))";
}
