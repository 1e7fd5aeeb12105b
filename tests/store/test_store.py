from __future__ import annotations

from pathlib import Path

import duckdb
import msgspec
import pytest

from kernelkit.errors import StoreError
from kernelkit.store.rows import Batch, HistoryRow, LogRow, ValueRow
from kernelkit.store.store import Store
from kernelkit.wire.messages import ListRuns
from tests.store.samples import (
    ended,
    event,
    events,
    finished,
    history,
    home_in,
    open_store,
    run_id,
)


def test_a_new_store_recovers_to_nothing(store: Store) -> None:
    recovered = store.recover()

    assert (recovered.snapshot, recovered.seq, recovered.history_seq) == (None, 0, 0)
    assert list(recovered.events) == []
    assert store.last_seq == 0


def test_what_was_appended_is_there_after_reopening_the_file(tmp_path: Path) -> None:
    store = open_store(tmp_path)
    store.append(events(1, 2))
    store.append(events(3))
    assert len(store.commits) == 2 and min(store.commits) > 0
    store.close()

    again = open_store(tmp_path)

    assert again.last_seq == 3
    assert list(again.recover().events) == [event(1), event(2), event(3)]
    again.close()


def test_recovery_reads_only_the_events_after_the_newest_snapshot(store: Store) -> None:
    store.append(events(1, 2, 3, 4))
    store.write_snapshot(1, b"one")
    store.write_snapshot(2, b"two")
    store.write_snapshot(3, b"three\x00")

    recovered = store.recover()

    assert (recovered.snapshot, recovered.seq) == (b"three\x00", 3)
    assert [row.seq for row in recovered.events] == [4]


def test_a_snapshot_of_events_that_are_not_on_disk_is_refused(store: Store) -> None:
    store.append(events(1))

    with pytest.raises(ValueError, match="before the event is on disk"):
        store.write_snapshot(2, b"early")


def test_a_batch_with_one_bad_row_leaves_nothing_and_the_next_one_is_clean(store: Store) -> None:
    bad = Batch(
        events=[event(1)],
        values=[ValueRow("r1", "1"), ValueRow("r2", object())],  # type: ignore[arg-type]  # the point of the test
    )

    with pytest.raises((StoreError, TypeError, RuntimeError)):
        store.append(bad)
    store.append(Batch(events=[event(2)], values=[ValueRow("r3", "3")]))

    assert [row.seq for row in store.recover().events] == [2]
    assert store.values(["r1", "r2", "r3"]) == {"r3": "3"}
    assert store.last_seq == 2


def test_a_row_that_replaces_leaves_one_row(store: Store) -> None:
    store.append(history(1, 2))
    late = msgspec.structs.replace(finished(1), metadata_json='{"late":true}')

    store.append(Batch(history=[HistoryRow(late, None, None, 1, replaces=True)]))

    assert store.run(run_id(1)) == late
    assert store.runs(ListRuns())[1] == 2
    assert store.recover().history_seq == 2


def test_the_runs_view_speaks_of_moments_and_values(tmp_path: Path) -> None:
    store = open_store(tmp_path)
    run = finished(1, payload_json=None)
    store.append(Batch(values=[ValueRow("p", '"big"')], history=[ended(run, payload_ref="p")]))
    store.close()

    with duckdb.connect(str(home_in(tmp_path).database), read_only=True) as connection:
        found = connection.execute("SELECT task_id, payload, output, created_at, duration, tags FROM runs").fetchall()

    assert found[0][:4] == ("resize", '"big"', "42", run.created_at.replace(tzinfo=None))
    assert (found[0][4], found[0][5]) == (run.duration, ["photos"])


def test_recovery_beside_a_hundred_thousand_finished_runs_reads_only_what_the_snapshot_lacks(tmp_path: Path) -> None:
    store = open_store(tmp_path)
    for start in range(0, 100_000, 20_000):
        numbers = range(start + 1, start + 20_001)
        store.append(
            Batch(
                events=[LogRow(n, n, "run_finished", run_id(n), '{"output":"42"}') for n in numbers],
                history=[ended(finished(n), seq=n) for n in numbers],
            )
        )
    store.write_snapshot(99_990, b"state")
    store.close()

    again = open_store(tmp_path)
    recovered = again.recover()
    tail = [row.seq for row in recovered.events]
    page, total = again.runs(ListRuns(limit=50))

    assert tail == list(range(99_991, 100_001))
    assert (recovered.history_seq, total, page[0].id) == (100_000, 100_000, run_id(100_000))
    again.close()
