//! What has to hold of histories: the numbers of a user's events are 1, 2, 3, … up to the counter.

use waymark_verify::Check;

/// The checks of this feature's tables, for the verifier.
pub const CHECKS: &[Check] = &[
    Check::of_users(
        "history.gaps",
        "SELECT user_id, 'how many events there are up to the last one' AS what, count(*) AS stored,
             max(seq) AS expected
         FROM history_events WHERE user_id = ANY($1)
         GROUP BY user_id HAVING count(*) <> max(seq) OR min(seq) <> 1",
    ),
    Check::of_users(
        "history.counter",
        "SELECT c.user_id, 'the last number of the history' AS what, c.history_seq AS stored,
             COALESCE(h.last, 0) AS expected
         FROM user_counters c LEFT JOIN (
             SELECT user_id, max(seq) AS last FROM history_events WHERE user_id = ANY($1) GROUP BY user_id
         ) h ON h.user_id = c.user_id
         WHERE c.user_id = ANY($1) AND c.history_seq <> COALESCE(h.last, 0)",
    )
    .mended_by(
        "UPDATE user_counters SET history_seq = COALESCE((
             SELECT max(h.seq) FROM history_events h WHERE h.user_id = user_counters.user_id), 0)
         WHERE user_id = ANY($1) AND history_seq <> COALESCE((
             SELECT max(h.seq) FROM history_events h WHERE h.user_id = user_counters.user_id), 0)",
    ),
];
