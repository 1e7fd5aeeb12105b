-- Every statement of the store but the migrations, by name. Filters (filter_*) are joined with AND by `history.py`.

-- name: tables
SELECT count(*), count(*) FILTER (table_name = 'meta')
FROM duckdb_tables()
WHERE database_name = current_database();

-- name: blocks
SELECT block_size, used_blocks FROM pragma_database_size();

-- name: schema_version
SELECT value FROM meta WHERE key = 'schema';

-- name: forget_schema_version
DELETE FROM meta WHERE key = 'schema';

-- name: set_schema_version
INSERT INTO meta VALUES ('schema', $version);

-- name: last_seq
SELECT greatest(
    (SELECT coalesce(max(seq), 0) FROM log),
    (SELECT coalesce(max(seq), 0) FROM snapshot)
);

-- name: history_seq
SELECT coalesce(max(seq), 0) FROM history;

-- name: newest_snapshot
SELECT seq, body FROM snapshot ORDER BY seq DESC LIMIT 1;

-- name: log_after
SELECT seq, ts, kind, run_id, body FROM log WHERE seq > $seq ORDER BY seq;

-- The newest events of some runs, oldest first. Among four million events this takes 6 ms.
-- name: events_of
SELECT body
FROM log
WHERE run_id IN (SELECT unnest($ids::VARCHAR[])) AND kind IN (SELECT unnest($kinds::VARCHAR[]))
QUALIFY row_number() OVER (PARTITION BY run_id ORDER BY seq DESC) <= $most
ORDER BY seq;

-- name: add_snapshot
INSERT INTO snapshot VALUES ($seq, $body);

-- name: keep_two_snapshots
DELETE FROM snapshot WHERE seq NOT IN (SELECT seq FROM snapshot ORDER BY seq DESC LIMIT 2);

-- name: forget_snapshot
DELETE FROM snapshot WHERE seq = $seq;

-- name: values
SELECT ref, text FROM vals WHERE ref IN (SELECT unnest($refs::VARCHAR[]));

-- name: has_event
SELECT count(*) FROM log WHERE seq = $seq;

-- name: has_history
SELECT count(*) FROM history WHERE id = $id AND seq = $seq;

-- name: has_value
SELECT count(*) FROM vals WHERE ref = $ref;

-- name: has_line
SELECT count(*) FROM lines WHERE run_id = $run_id AND n = $n;

-- name: forget_history
DELETE FROM history WHERE id IN (SELECT unnest($ids::VARCHAR[]));

-- name: run
SELECT * FROM history WHERE sort_key = $sort_key AND id = $id;

-- name: runs
SELECT * FROM history WHERE sort_key BETWEEN $lowest AND $highest AND id IN (SELECT unnest($ids::VARCHAR[]));

-- name: batch
SELECT id, created_at, run_ids, errors FROM batches WHERE sort_key = $sort_key AND id = $id;

-- name: refs
SELECT id, task_id, status
FROM history
WHERE sort_key IN (SELECT unnest($sort_keys::BIGINT[])) AND id IN (SELECT unnest($ids::VARCHAR[]));

-- A child is never older than its parent.
-- name: children_of
SELECT id, task_id, status
FROM history
WHERE sort_key >= $sort_key AND parent_id = $id
ORDER BY sort_key, id
LIMIT $limit;

-- name: page
SELECT * FROM history WHERE {filters} ORDER BY sort_key DESC, id DESC LIMIT $limit;

-- name: page_upward
SELECT * FROM history WHERE {filters} ORDER BY sort_key, id LIMIT $limit;

-- name: has_any
SELECT count(*) FROM (SELECT 1 FROM history WHERE {filters} LIMIT 1);

-- name: page_ids
SELECT id FROM history WHERE {filters} ORDER BY sort_key DESC, id DESC LIMIT $limit;

-- A LIMIT inside would save little where few match, and cost fifty times as much where no filter is given.
-- name: page_total
SELECT least(count(*), 100000) FROM history WHERE {filters};

-- name: filter_none
true

-- name: filter_status
list_contains($status::VARCHAR[], status)

-- name: filter_task
list_contains($task::VARCHAR[], task_id)

-- One for each tag, joined with OR: six times as fast as list_has_any.
-- name: filter_tag
list_contains(tags, $tag)

-- name: filter_batch
list_contains($batch::VARCHAR[], batch_id)

-- name: filter_parent
list_contains($parent::VARCHAR[], parent_id)

-- name: filter_root
list_contains($root::VARCHAR[], coalesce(root_id, id))

-- name: filter_queue
list_contains($queue::VARCHAR[], queue)

-- name: filter_schedule
list_contains($schedule::VARCHAR[], schedule_id)

-- name: filter_machine
list_contains($machine::VARCHAR[], machine)

-- name: filter_version
list_contains($version::VARCHAR[], version)

-- name: filter_is_test
is_test = $is_test

-- name: filter_created_from
created_at >= $created_from

-- name: filter_created_to
created_at < $created_to

-- As `Run.searched`.
-- name: filter_search
(
    contains(lower(id), $search)
    OR contains(lower(task_id), $search)
    OR contains(lower(payload), $search)
    OR contains(lower(array_to_string(tags, chr(10))), $search)
    OR contains(lower(error ->> 'name'), $search)
    OR contains(lower(error ->> 'message'), $search)
)

-- name: filter_older
sort_key <= $edge_key AND (sort_key < $edge_key OR id < $edge)

-- name: filter_newer
sort_key >= $edge_key AND (sort_key > $edge_key OR id > $edge)

-- name: filter_newer_or_same
sort_key >= $edge_key AND (sort_key > $edge_key OR id >= $edge)

-- name: filter_older_or_same
sort_key <= $edge_key AND (sort_key < $edge_key OR id <= $edge)

-- name: filter_exclude
id NOT IN (SELECT unnest($exclude::VARCHAR[]))

-- name: those_in_history
SELECT id FROM history WHERE sort_key >= $lowest AND id IN (SELECT unnest($ids::VARCHAR[]));

-- name: those_ended_since
SELECT id FROM history WHERE seq > $seq;

-- name: counts
SELECT status, count(*) FROM history GROUP BY status;

-- name: counts_of
SELECT status, count(*) FROM history WHERE {filters} GROUP BY status;

-- name: last_ended
SELECT status, finished_at - started_at FROM history WHERE {filters} ORDER BY seq DESC LIMIT $limit;

-- name: lines
SELECT n, ts, level, text, attempt
FROM lines
WHERE sort_key = $sort_key AND run_id = $run_id AND {filters}
ORDER BY n DESC
LIMIT $limit;

-- name: lines_upward
SELECT n, ts, level, text, attempt
FROM lines
WHERE sort_key = $sort_key AND run_id = $run_id AND {filters}
ORDER BY n
LIMIT $limit;

-- name: filter_line_level
list_contains($level::VARCHAR[], level)

-- name: filter_line_search
contains(lower(text), $search)

-- name: filter_line_before
n < $before

-- name: filter_line_after
n > $after

-- name: lines_dropped
SELECT greatest(coalesce(max(n) - min(n) + 1 - count(*), 0), 0)
FROM lines
WHERE sort_key = $sort_key AND run_id = $run_id;

-- name: line_counts
SELECT run_id, max(n)
FROM lines
WHERE sort_key IN (SELECT unnest($sort_keys::BIGINT[])) AND run_id IN (SELECT unnest($run_ids::VARCHAR[]))
GROUP BY run_id;

-- name: stream_parts
SELECT first, body
FROM parts
WHERE sort_key = $sort_key AND run_id = $run_id AND stream = $stream AND first + length > $start
ORDER BY first
LIMIT $limit;

-- name: stream_end
SELECT body
FROM parts
WHERE sort_key = $sort_key AND run_id = $run_id AND stream = $stream
ORDER BY first DESC
LIMIT $limit;

-- name: streams
SELECT stream, sum(length), sum(strlen(body) - length - 1)
FROM parts
WHERE sort_key = $sort_key AND run_id = $run_id
GROUP BY stream
ORDER BY stream;

-- Retention. A run goes only when a snapshot covers all its events, else recovery would meet half a run.
-- name: covered_seq
SELECT coalesce(min(seq), 0) FROM snapshot;

-- name: runs_to_remove
SELECT id, payload_ref, output_ref
FROM history
WHERE seq <= $covered
    AND (
        coalesce(finished_at, created_at) < $before
        OR id <= (SELECT id FROM history ORDER BY id DESC LIMIT 1 OFFSET $keep)
    )
    AND id NOT IN (SELECT run_id FROM log WHERE seq > $covered)
ORDER BY id
LIMIT $limit;

-- What is written to a file: ids are chosen first, then their rows copied.
-- name: chosen
CREATE OR REPLACE TEMP TABLE chosen (id VARCHAR);

-- name: choose_ids
INSERT INTO chosen SELECT unnest($ids::VARCHAR[]);

-- name: choose_runs
INSERT INTO chosen SELECT id FROM every_run WHERE {filters};

-- name: chosen_runs
SELECT runs.* FROM runs SEMI JOIN chosen USING (id) ORDER BY id

-- name: archives
SELECT name FROM archives;

-- name: note_archive
INSERT INTO archives VALUES ($name, $runs, $now);

-- name: remove_runs
DELETE FROM history WHERE id IN (SELECT unnest($ids::VARCHAR[]));

-- name: remove_events
DELETE FROM log WHERE run_id IN (SELECT unnest($ids::VARCHAR[]));

-- name: remove_values
DELETE FROM vals WHERE ref IN (SELECT unnest($refs::VARCHAR[]));

-- Results of steps, and whatever else is named after a run.
-- name: remove_values_of_runs
DELETE FROM vals WHERE split_part(ref, ':', 1) IN (SELECT unnest($ids::VARCHAR[]));

-- What tokens were completed with; such names sort by time.
-- name: remove_token_values
DELETE FROM vals
WHERE ref >= 'value_' AND ref < $before AND ref NOT IN (SELECT unnest($held::VARCHAR[]));

-- name: remove_lines
DELETE FROM lines WHERE run_id IN (SELECT unnest($ids::VARCHAR[]));

-- name: remove_parts
DELETE FROM parts WHERE run_id IN (SELECT unnest($ids::VARCHAR[]));

-- Streams of finished runs go by age.
-- name: parts_to_remove_by_age
SELECT DISTINCT parts.run_id
FROM parts
JOIN history ON history.id = parts.run_id
WHERE coalesce(history.finished_at, history.created_at) < $before;

-- A batch goes when the last of its runs has gone; the log has events of every run that is kept.
-- name: batches_to_remove
SELECT id
FROM batches
WHERE seq <= $covered AND id NOT IN (
    SELECT id
    FROM (SELECT id, unnest(run_ids) AS run_id FROM batches WHERE seq <= $covered)
    WHERE run_id IN (SELECT run_id FROM log)
);

-- name: remove_batches
DELETE FROM batches WHERE id IN (SELECT unnest($ids::VARCHAR[]));

-- Logs of finished runs go by age.
-- name: lines_to_remove_by_age
SELECT DISTINCT lines.run_id
FROM lines
JOIN history ON history.id = lines.run_id
WHERE coalesce(history.finished_at, history.created_at) < $before;

-- … and, oldest finished run first, until all logs of the home fit; those of live runs count but stay.
-- name: lines_to_remove_by_size
WITH sizes AS (
    SELECT lines.run_id, sum(strlen(lines.text)) AS bytes, any_value(history.id) IS NULL AS live
    FROM lines
    LEFT JOIN history ON history.id = lines.run_id
    GROUP BY lines.run_id
),

kept AS (
    SELECT run_id, live, sum(bytes) OVER (ORDER BY live DESC, run_id DESC) AS so_far FROM sizes
)

SELECT run_id FROM kept WHERE so_far > $keep_bytes AND NOT live;

-- Of each run's lines the first megabyte and the last nine are kept.
-- name: trim_long_logs
DELETE FROM lines
WHERE rowid IN (
    WITH long AS (
        SELECT run_id FROM lines GROUP BY run_id HAVING sum(strlen(text)) > $head_bytes + $tail_bytes
    ),

    placed AS (
        SELECT
            rowid AS place,
            sum(strlen(text)) OVER (PARTITION BY run_id ORDER BY n) AS head,
            sum(strlen(text)) OVER (PARTITION BY run_id ORDER BY n DESC) AS tail
        FROM lines
        WHERE run_id IN (SELECT run_id FROM long)
    )

    SELECT place FROM placed WHERE head > $head_bytes AND tail > $tail_bytes
);
