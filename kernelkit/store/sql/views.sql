-- What people query with kk.sql, by name. Made as temporary views on a cursor of its own for each query, over history
-- and the tables named live…, which hold what the engine has in memory at that moment (the statements that begin so).
-- Columns are named as the fields of kernelkit.Run, Attempt and LogLine; moments are TIMESTAMP in UTC.

-- name: live
CREATE OR REPLACE TEMP TABLE live AS FROM history LIMIT 0;

-- name: live_queues
CREATE OR REPLACE TEMP TABLE live_queues (
    name VARCHAR,
    concurrency_limit BIGINT,
    executing BIGINT,
    queued BIGINT,
    delayed BIGINT
);

-- name: live_schedules
CREATE OR REPLACE TEMP TABLE live_schedules (
    id VARCHAR,
    task_id VARCHAR,
    cron VARCHAR,
    timezone VARCHAR,
    kind VARCHAR,
    active BOOLEAN,
    external_id VARCHAR,
    deduplication_key VARCHAR,
    catch_up VARCHAR,
    max_catch_up BIGINT,
    overlap VARCHAR,
    created_at BIGINT,
    next_run BIGINT,
    last_run BIGINT,
    last_run_id VARCHAR,
    last_status VARCHAR,
    fired BIGINT,
    missed_count BIGINT
);

-- A run that has ended while the live ones were gathered is in both: what was gathered counts.
-- name: every_run
CREATE OR REPLACE TEMP VIEW every_run AS
FROM history ANTI JOIN live USING (id)
UNION ALL
FROM live;

-- Every column of history but those that only the engine needs, so that a new field of a run is here as well.
-- name: runs
CREATE OR REPLACE TEMP VIEW runs AS
SELECT
    * EXCLUDE (payload_ref, output_ref, seq, sort_key, seed_metadata)
    REPLACE (
        CASE WHEN payload_ref IS NULL THEN payload ELSE (SELECT any_value(text) FROM vals WHERE ref = payload_ref) END
            AS payload,
        CASE WHEN output_ref IS NULL THEN output ELSE (SELECT any_value(text) FROM vals WHERE ref = output_ref) END
            AS output,
        make_timestamp(created_at) AS created_at,
        make_timestamp(queued_at) AS queued_at,
        make_timestamp(started_at) AS started_at,
        make_timestamp(finished_at) AS finished_at,
        make_timestamp(retry_at) AS retry_at,
        make_timestamp(delay_until) AS delay_until
    ),
    (finished_at - started_at) / 1e6 AS duration  -- seconds, since no percentile can be taken of an INTERVAL
FROM every_run;

-- name: attempts
CREATE OR REPLACE TEMP VIEW attempts AS
SELECT
    run_id,
    task_id,
    attempt.number AS number,
    attempt.status AS status,
    attempt.started_at::TIMESTAMP AS started_at,
    attempt.finished_at::TIMESTAMP AS finished_at,
    attempt.error AS error,
    coalesce(attempt.worker, '') AS worker,
    attempt.peak_memory AS peak_memory,
    coalesce(attempt.compute_s, 0) AS compute_s
FROM (
    SELECT
        id AS run_id,
        task_id,
        unnest(from_json(
            attempts,
            '[{"number": "INTEGER", "status": "VARCHAR", "started_at": "VARCHAR", "finished_at": "VARCHAR",
               "error": "JSON", "worker": "VARCHAR", "peak_memory": "BIGINT", "compute_s": "DOUBLE"}]'
        )) AS attempt
    FROM every_run
);

-- name: events
CREATE OR REPLACE TEMP VIEW events AS
SELECT seq, make_timestamp(ts) AS created_at, kind, nullif(run_id, '') AS run_id, body FROM log;

-- name: logs
CREATE OR REPLACE TEMP VIEW logs AS
SELECT run_id, attempt, n AS line, make_timestamp(ts) AS created_at, level, text FROM lines;

-- name: queues
CREATE OR REPLACE TEMP VIEW queues AS FROM live_queues;

-- name: schedules
CREATE OR REPLACE TEMP VIEW schedules AS
SELECT
    * REPLACE (
        make_timestamp(created_at) AS created_at,
        make_timestamp(next_run) AS next_run,
        make_timestamp(last_run) AS last_run
    )
FROM live_schedules;
