-- The first schema. Moments are UTC microseconds since 1970 in BIGINT; JSON travels as text.
-- No primary keys: the engine is the only writer and hands out every id itself, and an index would quadruple the file
-- and slow every start. Instead, `sort_key` holds the first eight characters of a run id (behind "run_") as a number
-- that sorts as ids do: DuckDB skips row groups by the smallest and largest number in them, while of texts it only
-- compares eight bytes, half of which every id shares. A page or a run is then 2–5 ms among a million, not 200.

CREATE TABLE meta (
    key VARCHAR,
    value VARCHAR
);

-- The truth: every event, in the order in which it was decided.
CREATE TABLE log (
    seq BIGINT,
    ts BIGINT,
    kind VARCHAR,
    run_id VARCHAR,                 -- '' for events that belong to no run
    body VARCHAR
);

-- Payloads and outputs over 1 KiB, which the engine's state holds only as a reference. A ref belongs to one run.
CREATE TABLE vals (
    ref VARCHAR,
    text VARCHAR
);

-- Captured output of runs, best effort. n counts all lines of a run, so a gap is a number of dropped lines.
CREATE TABLE lines (
    run_id VARCHAR,
    attempt INTEGER,
    ts BIGINT,
    level VARCHAR,
    text VARCHAR,
    n BIGINT,
    sort_key BIGINT
);

-- Streams of runs: a row for each append, whose values are the ones from index `first` on.
CREATE TABLE parts (
    run_id VARCHAR,
    stream VARCHAR,                 -- out/NAME or in/NAME
    first BIGINT,
    length INTEGER,
    ts BIGINT,
    body VARCHAR,                   -- JSON list of the values
    sort_key BIGINT
);

CREATE TABLE snapshot (
    seq BIGINT,                     -- the last event folded into it
    body BLOB
);

-- Batches, one row each; what became of their runs is told by those.
CREATE TABLE batches (
    id VARCHAR,
    created_at BIGINT,
    run_ids VARCHAR[],              -- in the order of the items, '' where no run was made
    errors VARCHAR,                 -- JSON list of models.batch.BatchError
    seq BIGINT,
    sort_key BIGINT
);

-- Files of removed runs, each noted in the transaction that removed them.
CREATE TABLE archives (
    name VARCHAR,
    runs BIGINT,
    written_at BIGINT
);

-- Finished runs, one row each, in the order of the columns of `store/history.py`.
CREATE TABLE history (
    id VARCHAR,
    task_id VARCHAR,
    status VARCHAR,
    payload VARCHAR,                -- NULL when it is in vals under payload_ref
    payload_ref VARCHAR,
    payload_size BIGINT,
    output VARCHAR,
    output_ref VARCHAR,
    output_size BIGINT,
    error VARCHAR,                  -- JSON of models.error.Error
    tags VARCHAR[],
    metadata VARCHAR,
    seed_metadata VARCHAR,          -- what the run was triggered with, NULL where metadata never changed
    attempts VARCHAR,               -- JSON list of models.run.Attempt
    attempt_number INTEGER,
    max_attempts INTEGER,
    created_at BIGINT,
    queued_at BIGINT,
    started_at BIGINT,
    finished_at BIGINT,
    retry_at BIGINT,
    queue VARCHAR,
    version VARCHAR,
    parent_id VARCHAR,
    root_id VARCHAR,
    depth INTEGER,
    batch_id VARCHAR,
    schedule_id VARCHAR,
    idempotency_key VARCHAR,        -- as its author wrote it
    queued_reason VARCHAR,
    canceled_reason VARCHAR,
    children INTEGER,
    worker VARCHAR,
    peak_memory BIGINT,
    concurrency_key VARCHAR,
    priority DOUBLE,
    delay_until BIGINT,
    ttl DOUBLE,
    max_duration DOUBLE,
    machine VARCHAR,
    notice VARCHAR,
    is_test BOOLEAN,
    is_replay BOOLEAN,
    idempotency_key_scope VARCHAR,
    debounce_key VARCHAR,
    seq BIGINT,                     -- of the event that ended the run
    sort_key BIGINT
);

-- For whoever opens the file without an engine; what kk.sql shows beside live runs is in views.sql.
CREATE VIEW runs AS
SELECT
    id,
    task_id,
    status,
    coalesce(payload, (SELECT any_value(text) FROM vals WHERE vals.ref = history.payload_ref)) AS payload,
    payload_size,
    coalesce(output, (SELECT any_value(text) FROM vals WHERE vals.ref = history.output_ref)) AS output,
    output_size,
    error,
    tags,
    metadata,
    attempts,
    attempt_number,
    max_attempts,
    make_timestamp(created_at) AS created_at,
    make_timestamp(queued_at) AS queued_at,
    make_timestamp(started_at) AS started_at,
    make_timestamp(finished_at) AS finished_at,
    make_timestamp(finished_at) - make_timestamp(started_at) AS duration,
    queue,
    version,
    parent_id,
    root_id,
    depth,
    batch_id,
    schedule_id,
    idempotency_key,
    canceled_reason,
    children,
    worker,
    peak_memory,
    concurrency_key,
    priority,
    make_timestamp(delay_until) AS delay_until,
    ttl,
    max_duration,
    machine,
    notice,
    is_test,
    is_replay,
    idempotency_key_scope,
    debounce_key
FROM history;
