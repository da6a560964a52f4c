//! What has to hold of lots and their ledger. The entries are the source; what is left of a lot follows from them.

use waymark_verify::Check;

/// The checks of this feature's tables, for the verifier.
pub const CHECKS: &[Check] = &[
    Check::of_users(
        "credits.granted",
        "SELECT l.user_id, 'what entries granted of lot ' || l.seq || ', in millionths' AS what, e.granted AS stored,
             l.amount_micros AS expected
         FROM credit_lots l LEFT JOIN (
             SELECT user_id, lot_seq, CAST(sum(amount_micros) AS bigint) AS granted, count(*) AS entries
             FROM credit_entries WHERE user_id = ANY($1) AND kind = 'GRANT' GROUP BY user_id, lot_seq
         ) e ON e.user_id = l.user_id AND e.lot_seq = l.seq
         WHERE l.user_id = ANY($1) AND (e.entries IS NULL OR e.entries <> 1 OR e.granted <> l.amount_micros)",
    ),
    Check::of_users(
        "credits.entries",
        "SELECT e.user_id, 'entry ' || e.seq || ' of lot ' || e.lot_seq || ', which is not there, in millionths' AS what,
             e.amount_micros AS stored, CAST(NULL AS bigint) AS expected
         FROM credit_entries e LEFT JOIN credit_lots l ON l.user_id = e.user_id AND l.seq = e.lot_seq
         WHERE e.user_id = ANY($1) AND l.user_id IS NULL",
    ),
    Check::of_users(
        "credits.remaining",
        "SELECT l.user_id, 'what is left of lot ' || l.seq || ', in millionths' AS what, l.remaining_micros AS stored,
             l.amount_micros - COALESCE(e.taken, 0) AS expected
         FROM credit_lots l LEFT JOIN (
             SELECT user_id, lot_seq, CAST(sum(amount_micros) AS bigint) AS taken
             FROM credit_entries WHERE user_id = ANY($1) AND kind <> 'GRANT' GROUP BY user_id, lot_seq
         ) e ON e.user_id = l.user_id AND e.lot_seq = l.seq
         WHERE l.user_id = ANY($1) AND l.remaining_micros <> l.amount_micros - COALESCE(e.taken, 0)",
    )
    .mended_by(
        // A ledger that takes more than there was, or less than nothing, is wrong itself.
        "UPDATE credit_lots SET remaining_micros = amount_micros - COALESCE((
             SELECT sum(e.amount_micros) FROM credit_entries e
             WHERE e.user_id = credit_lots.user_id AND e.lot_seq = credit_lots.seq AND e.kind <> 'GRANT'), 0)
         WHERE user_id = ANY($1) AND COALESCE((
             SELECT sum(e.amount_micros) FROM credit_entries e
             WHERE e.user_id = credit_lots.user_id AND e.lot_seq = credit_lots.seq AND e.kind <> 'GRANT'), 0)
             BETWEEN 0 AND amount_micros",
    ),
    Check::of_users(
        "credits.numbers",
        "SELECT c.user_id, 'the last number of the ledger' AS what, c.ledger_seq AS stored,
             CAST(max(n.seq) AS bigint) AS expected
         FROM user_counters c JOIN (
             SELECT user_id, seq FROM credit_lots WHERE user_id = ANY($1)
             UNION ALL SELECT user_id, seq FROM credit_entries WHERE user_id = ANY($1)
         ) n ON n.user_id = c.user_id GROUP BY c.user_id, c.ledger_seq HAVING max(n.seq) > c.ledger_seq",
    )
    .mended_by(
        "UPDATE user_counters SET ledger_seq = (
             SELECT max(n.seq) FROM (
                 SELECT user_id, seq FROM credit_lots WHERE user_id = ANY($1)
                 UNION ALL SELECT user_id, seq FROM credit_entries WHERE user_id = ANY($1)
             ) n WHERE n.user_id = user_counters.user_id)
         WHERE user_id = ANY($1) AND ledger_seq < (
             SELECT max(n.seq) FROM (
                 SELECT user_id, seq FROM credit_lots WHERE user_id = ANY($1)
                 UNION ALL SELECT user_id, seq FROM credit_entries WHERE user_id = ANY($1)
             ) n WHERE n.user_id = user_counters.user_id)",
    ),
];
