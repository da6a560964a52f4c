-- What PostGraphile serves: a view, and a function for each part of a screen, as its pages recommend where a screen is no
-- table. The functions are what the floor asks; see ../src/floor/statements.rs.
DROP SCHEMA IF EXISTS postgraphile CASCADE;
CREATE SCHEMA postgraphile;

CREATE VIEW postgraphile.users AS
    SELECT id, ulid, handle FROM public.users WHERE erased_at IS NULL AND merged_into IS NULL;
COMMENT ON VIEW postgraphile.users IS E'@primaryKey id\n@unique ulid';

CREATE TYPE postgraphile.season AS (state text, time_left int, has_started_program boolean, current_week int);
CREATE TYPE postgraphile.credits AS (available text, expires_in int, is_blocked_for_claiming boolean);
CREATE TYPE postgraphile.goal AS (title text, completed_steps int, total_steps int, is_claimed boolean);
CREATE TYPE postgraphile.resource_progress AS (completed boolean, progress smallint, completed_at text, title text);
CREATE TYPE postgraphile.game_summary AS (
    key text, title text, num_achieved int, num_possible int, score_achieved int, possible_score int,
    num_achieved_hardcore int, score_achieved_hardcore int
);
CREATE TYPE postgraphile.collection AS (
    key text, title text, size int, collected_count int, progress_in_percentage int, status text
);

CREATE FUNCTION postgraphile.now_in_millis() RETURNS bigint LANGUAGE sql STABLE
    RETURN (extract(epoch FROM now()) * 1000)::bigint;
COMMENT ON FUNCTION postgraphile.now_in_millis IS '@behavior -*';

-- The users in the order of their ids.
CREATE FUNCTION postgraphile.users_by(ulids text[]) RETURNS SETOF postgraphile.users LANGUAGE sql STABLE ROWS 50 AS $$
    SELECT u.* FROM unnest(ulids) WITH ORDINALITY AS asked (ulid, place)
    JOIN postgraphile.users u ON u.ulid = asked.ulid ORDER BY asked.place
$$;

-- The season that runs.
CREATE FUNCTION postgraphile.season_now()
    RETURNS TABLE (id bigint, state text, time_left int, week int) LANGUAGE sql STABLE ROWS 1 AS $$
    SELECT t.id, CASE WHEN t.ended THEN 'ENDED' WHEN t.stands THEN 'PAUSED' ELSE 'ACTIVE' END,
        CASE WHEN t.ended THEN 0 ELSE ceil((t.duration - t.ran) / 1000.0)::int END,
        CASE WHEN NOT t.ended THEN (t.ran / t.week + 1)::int END
    FROM (
        SELECT s.id, s.duration, s.week, r.ran, p.stands,
            r.ran = s.duration OR coalesce(s.ended_at <= postgraphile.now_in_millis(), false) AS ended
        FROM (
            SELECT id, starts_at, ended_at, pause_mode, duration_seconds * 1000 AS duration,
                week_length_seconds * 1000 AS week
            FROM seasons WHERE starts_at <= postgraphile.now_in_millis() ORDER BY starts_at DESC LIMIT 1
        ) s
        CROSS JOIN LATERAL (
            SELECT coalesce(sum(least(coalesce(until_at, postgraphile.now_in_millis()), postgraphile.now_in_millis()) - from_at)
                FILTER (WHERE s.pause_mode = 'FREEZE'), 0)::bigint AS stood,
            coalesce(bool_or(coalesce(postgraphile.now_in_millis() < until_at, true)), false) AS stands
            FROM season_pauses WHERE season_id = s.id AND from_at <= postgraphile.now_in_millis()
        ) p
        CROSS JOIN LATERAL (
            SELECT least(greatest(postgraphile.now_in_millis() - s.starts_at - p.stood, 0), s.duration) AS ran
        ) r
    ) t
$$;
COMMENT ON FUNCTION postgraphile.season_now IS '@behavior -*';

-- PostgreSQL takes functions that give rows into the statement around them. Others it would plan for each request, were they
-- not PL/pgSQL, which keeps its plans.
CREATE FUNCTION postgraphile.users_season(u postgraphile.users) RETURNS postgraphile.season LANGUAGE plpgsql STABLE AS $$
BEGIN
    RETURN (
        SELECT (
            s.state, s.time_left, EXISTS (SELECT FROM season_enrolments e WHERE e.user_id = u.id AND e.season_id = s.id), s.week
        )::postgraphile.season
        FROM postgraphile.season_now() s
    );
END $$;

CREATE FUNCTION postgraphile.users_credits(u postgraphile.users) RETURNS postgraphile.credits LANGUAGE plpgsql STABLE AS $$
DECLARE
    now bigint := postgraphile.now_in_millis();
BEGIN
    RETURN (
        SELECT (
            coalesce(trim_scale(sum(l.remaining_micros) / 1000000), 0)::text,
            ceil((min(l.expires_at) - now) / 1000.0),
            EXISTS (
                SELECT FROM user_blocks b WHERE b.user_id = u.id AND b.scope <> 'SPEND' AND b.from_at <= now
                AND coalesce(now < b.until_at, true) AND coalesce(now < b.lifted_at, true)
            )
        )::postgraphile.credits
        FROM credit_lots l
        WHERE l.user_id = u.id AND l.remaining_micros > 0 AND l.granted_at <= now AND coalesce(now < l.expires_at, true)
    );
END $$;

CREATE FUNCTION postgraphile.users_goals(u postgraphile.users) RETURNS SETOF postgraphile.goal LANGUAGE sql STABLE ROWS 10 AS $$
    SELECT g.title, coalesce(p.completed_steps, 0), g.total_steps, c.user_id IS NOT NULL
    FROM postgraphile.season_now() s
    JOIN goals g ON g.season_id = s.id AND (g.week IS NULL OR g.week = s.week)
    LEFT JOIN goal_progress p ON p.goal_id = g.id AND p.user_id = u.id
    LEFT JOIN goal_claims c ON c.goal_id = g.id AND c.user_id = u.id
    ORDER BY g.position
$$;

CREATE FUNCTION postgraphile.users_resource_progress(u postgraphile.users, resource_ids text[])
    RETURNS SETOF postgraphile.resource_progress LANGUAGE sql STABLE ROWS 10 AS $$
    SELECT coalesce(p.completed, false), coalesce(p.progress, 0::smallint),
        to_char(to_timestamp(p.completed_at / 1000.0) AT TIME ZONE 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS.MS"Z"'), r.title
    FROM unnest(resource_ids) WITH ORDINALITY AS asked (key, place)
    JOIN resources r ON r.key = asked.key
    LEFT JOIN public.resource_progress p ON p.resource_id = r.id AND p.user_id = u.id
    ORDER BY asked.place
$$;

CREATE FUNCTION postgraphile.users_game_summaries(u postgraphile.users, game_ids text[])
    RETURNS SETOF postgraphile.game_summary LANGUAGE sql STABLE ROWS 10 AS $$
    SELECT g.key, g.title, coalesce(s.num_achieved, 0), g.num_possible, coalesce(s.score_achieved, 0), g.possible_score,
        coalesce(s.num_achieved_hardcore, 0), coalesce(s.score_achieved_hardcore, 0)
    FROM unnest(game_ids) WITH ORDINALITY AS asked (key, place)
    JOIN games g ON g.key = asked.key
    LEFT JOIN game_summaries s ON s.game_id = g.id AND s.user_id = u.id
    ORDER BY asked.place
$$;

CREATE FUNCTION postgraphile.users_collections(u postgraphile.users)
    RETURNS SETOF postgraphile.collection LANGUAGE sql STABLE ROWS 20 AS $$
    SELECT c.key, c.name, k.size, n.collected, CASE WHEN k.size = 0 THEN 0 ELSE n.collected * 100 / k.size END,
        CASE WHEN p.completed_at <= postgraphile.now_in_millis() THEN 'COMPLETED' WHEN postgraphile.now_in_millis() < c.starts_at THEN 'UPCOMING'
            WHEN c.ends_at <= postgraphile.now_in_millis() THEN 'EXPIRED' WHEN n.collected = 0 THEN 'NOT_STARTED' ELSE 'IN_PROGRESS' END
    FROM collections c
    CROSS JOIN LATERAL (SELECT count(*)::int AS size FROM cards WHERE collection_id = c.id) k
    LEFT JOIN collection_progress p ON p.collection_id = c.id AND p.user_id = u.id
    CROSS JOIN LATERAL (SELECT least(coalesce(p.collected_count, 0), k.size) AS collected) n
    WHERE (c.show_before OR coalesce(c.starts_at <= postgraphile.now_in_millis(), true))
    AND (c.show_after OR coalesce(postgraphile.now_in_millis() < c.ends_at, true))
    ORDER BY c.id LIMIT 20
$$;
