//! What has to hold of progress on resources. Whether one is complete is the source; its date and marks follow.

use waymark_verify::Check;

/// The checks of this feature's tables, for the verifier.
pub const CHECKS: &[Check] = &[
    Check::of_users(
        "learning.owners",
        "SELECT i.user_id, 'the owner of instance ' || i.external_id AS what, o.user_id AS stored,
             i.user_id AS expected
         FROM study_plan_instances i LEFT JOIN instance_owners o ON o.external_id = i.external_id
         WHERE i.user_id = ANY($1) AND (o.user_id IS NULL OR o.user_id <> i.user_id)",
    )
    .mended_by(
        "INSERT INTO instance_owners (external_id, user_id)
         SELECT external_id, user_id FROM study_plan_instances WHERE user_id = ANY($1) ON CONFLICT DO NOTHING",
    ),
    Check::of_users(
        "learning.completions",
        "SELECT p.user_id, 'completion of resource:' || r.key AS what, p.completed_at AS stored,
             CASE WHEN p.completed THEN p.last_accessed_at END AS expected
         FROM resource_progress p JOIN resources r ON r.id = p.resource_id
         WHERE p.user_id = ANY($1) AND p.completed <> (p.completed_at IS NOT NULL)",
    )
    .of_instants()
    .mended_by(
        "UPDATE resource_progress SET completed_at = CASE WHEN completed THEN last_accessed_at END
         WHERE user_id = ANY($1) AND completed <> (completed_at IS NOT NULL)",
    ),
    Check::of_users(
        "learning.marks",
        "SELECT m.user_id, 'mark of resource:' || r.key || ' in instance ' || m.instance_seq AS what,
             m.marked_at AS stored,
             CAST(NULL AS bigint) AS expected
         FROM study_plan_instance_resources m JOIN resources r ON r.id = m.resource_id
         LEFT JOIN resource_progress p ON p.user_id = m.user_id AND p.resource_id = m.resource_id
         WHERE m.user_id = ANY($1) AND m.marked_at IS NOT NULL AND NOT COALESCE(p.completed, false)",
    )
    .of_instants()
    .mended_by(
        "UPDATE study_plan_instance_resources SET marked_at = NULL
         WHERE user_id = ANY($1) AND marked_at IS NOT NULL AND NOT COALESCE((
             SELECT p.completed FROM resource_progress p
             WHERE p.user_id = study_plan_instance_resources.user_id
                 AND p.resource_id = study_plan_instance_resources.resource_id), false)",
    ),
];
