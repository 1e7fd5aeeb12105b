from __future__ import annotations

import threading
from pathlib import Path

from kernelkit.config import EngineSettings
from kernelkit.ids import make_id
from kernelkit.store.rows import Batch, ValueRow
from kernelkit.store.store import Store
from kernelkit.wire.messages import ListRuns
from tests.store.samples import (
    DAY,
    NOW,
    START,
    ended,
    event,
    events,
    finished,
    history,
    line,
    open_store,
    run_id,
)


def test_retention_removes_old_runs_with_everything_of_theirs_and_nothing_else(store: Store) -> None:
    store.append(
        Batch(
            events=[event(1, run_id(1)), event(2, run_id(2)), event(3, run_id(3)), event(4)],
            values=[ValueRow("old", "1"), ValueRow("new", "2")],
            lines=[line(1, 1), line(2, 1), line(3, 1)],
            history=[
                ended(finished(1, payload_json=None), payload_ref="old", seq=1),
                ended(finished(2, finished_at=START.replace(month=2), payload_json=None), payload_ref="new", seq=2),
            ],
        )
    )
    store.write_snapshot(4, b"state")

    removed = store.retain(NOW + 31 * DAY, EngineSettings())

    assert removed == {"runs": 1, "events": 1, "values": 1, "lines": 1, "parts": 0}
    assert [run.id for run in store.runs(ListRuns())[0]] == [run_id(2)]
    assert store.values(["old", "new"]) == {"new": "2"}
    assert store.lines(run_id(3), 10).lines, "a run that is not in history keeps its lines"


def test_retention_removes_values_of_steps_with_their_run_and_old_ones_of_tokens_but_those_that_are_held(
    store: Store,
) -> None:
    # Nobody removed them: they were neither payload nor output.
    old, older, young = (make_id("value", now_ms=(NOW - age * DAY) // 1_000, entropy=age) for age in (31, 40, 29))
    step, other = f"{run_id(1)}:step:charge:1", f"{run_id(2)}:step:charge:1"
    store.append(Batch(values=[ValueRow(ref, "1") for ref in (step, other, old, older, young)]))
    store.append(history(1))
    store.append(events(4))
    store.write_snapshot(4, b"state")

    removed = store.retain(NOW, EngineSettings(keep_runs=0), held=[older])

    assert (removed["runs"], removed["values"]) == (1, 2)
    assert set(store.values([step, other, old, older, young])) == {other, older, young}


def test_retention_keeps_the_newest_so_many_runs(store: Store) -> None:
    store.append(history(*range(1, 11)))
    store.append(events(20))
    store.write_snapshot(20, b"state")

    removed = store.retain(NOW, EngineSettings(keep_runs=3))

    assert removed["runs"] == 7
    assert [run.id for run in store.runs(ListRuns())[0]] == [run_id(10), run_id(9), run_id(8)]


def test_retention_waits_for_a_snapshot_of_the_runs_it_removes(store: Store) -> None:
    store.append(Batch(events=[event(1, run_id(1)), event(2, run_id(2)), event(3, run_id(1))]))
    store.append(history(1, 2))

    without = store.retain(NOW, EngineSettings(keep_runs=0))
    store.write_snapshot(2, b"state")
    with_one = store.retain(NOW, EngineSettings(keep_runs=0))

    assert without["runs"] == 0
    assert with_one["runs"] == 1, "run 1 has a later event, which a recovery would read"
    assert store.run(run_id(1)) is not None


def test_retention_checkpoints_and_commits_go_on_beside_each_other(tmp_path: Path) -> None:
    store = open_store(tmp_path)
    store.append(history(*range(1, 3_001)))
    store.append(events(5_000))
    store.write_snapshot(5_000, b"state")
    done = threading.Event()

    def commit() -> None:
        for seq in range(5_001, 10_000):
            store.append(events(seq))
            store.checkpoint()
            if done.is_set():
                return

    thread = threading.Thread(target=commit)
    thread.start()
    removed = [store.retain(NOW, EngineSettings(keep_runs=keep))["runs"] for keep in (2_000, 1_000, 10)]
    done.set()
    thread.join(30)

    assert removed == [1_000, 1_000, 990]
    assert sum(store.counts().values()) == 10
    numbers = [row.seq for row in store.recover().events]
    assert numbers == list(range(5_001, store.last_seq + 1))
    store.close()


def test_logs_go_by_age_of_their_run_and_by_size_from_the_oldest_run(store: Store) -> None:
    store.append(history(1, 2, 3))
    store.append(Batch(lines=[line(n, 1, "x" * 1000) for n in (1, 2, 3, 4)]))

    removed = store.retain(NOW + DAY, EngineSettings(keep_logs_bytes=2500))
    kept = [n for n in (1, 2, 3, 4) if store.lines(run_id(n), 5).lines]
    old = store.retain(NOW + 8 * DAY, EngineSettings())
    at_last = [n for n in (1, 2, 3, 4) if store.lines(run_id(n), 5).lines]

    assert (removed["lines"], kept) == (2, [3, 4])
    assert (old["lines"], at_last) == (1, [4]), "run 4 is not finished"


def test_of_a_long_log_the_first_megabyte_and_the_last_nine_stay(store: Store) -> None:
    store.append(Batch(lines=[line(1, n, f"{n:05}" + "x" * 99_995) for n in range(1, 121)]))  # 12 MB

    removed = store.retain(NOW, EngineSettings())
    logs = store.lines(run_id(1), 1000)
    numbers = [int(entry.text[:5]) for entry in logs.lines]

    assert removed["lines"] == logs.dropped == 20
    assert numbers == [*range(1, 11), *range(31, 121)]
