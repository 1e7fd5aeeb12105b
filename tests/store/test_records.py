from __future__ import annotations

from collections.abc import Collection
from pathlib import Path
from typing import Any

import msgspec
import pytest

from kernelkit.clock import from_datetime
from kernelkit.models.error import Error
from kernelkit.models.filter import RunFilter
from kernelkit.models.run import RunStatus
from kernelkit.rules.matching import matches
from kernelkit.store.rows import Batch, LineRow, Seen, ValueRow
from kernelkit.store.store import Store
from kernelkit.wire.messages import GetLogs, ListRuns
from tests.store.samples import FAILURE, ended, finished, history, line, open_store, run_id


def test_a_finished_run_comes_back_as_it_was(store: Store) -> None:
    run = finished(
        7,
        status=RunStatus.FAILED,
        error=FAILURE,
        tags=("a", "it's"),
        metadata_json='{"x":1}',
        output_json=None,
        parent_id=run_id(1),
        root_id=run_id(1),
        depth=2,
        batch_id="batch_1",
        peak_memory=5_000_000_000,
        worker="w1",
        children=3,
    )

    store.append(Batch(history=[ended(run)]))

    assert store.run(run.id) == run
    assert store.run("run_unknown") is None


def test_large_values_are_joined_to_a_single_run_and_left_out_of_lists(store: Store) -> None:
    run = finished(1, payload_json=None, payload_size=2000, output_json=None, output_size=3000)
    store.append(
        Batch(
            values=[ValueRow("p", '"payload"'), ValueRow("o", '"output"')],
            history=[ended(run, payload_ref="p", output_ref="o")],
        )
    )

    single = store.run(run.id)
    listed = store.runs(ListRuns())[0][0]

    assert single is not None
    assert (single.payload, single.output) == ("payload", "output")
    assert (listed.payload_json, listed.payload_size, listed.output_json) == (None, 2000, None)


def test_pages_follow_each_other_from_the_newest_to_the_oldest(store: Store) -> None:
    store.append(history(*range(1, 8)))

    first, total = store.runs(ListRuns(limit=3))
    second, _ = store.runs(ListRuns(limit=3, after=first[-1].id))
    third, total_then = store.runs(ListRuns(limit=3, after=second[-1].id))

    assert [run.id for run in first + second + third] == [run_id(n) for n in (7, 6, 5, 4, 3, 2, 1)]
    assert total == total_then == 7


def test_filters_of_a_list_hold_together(store: Store) -> None:
    store.append(
        Batch(
            history=[
                ended(finished(1, tags=("a",))),
                ended(finished(2, tags=("b", "c"), status=RunStatus.FAILED)),
                ended(finished(3, tags=("c",), task_id="other", queue="slow", batch_id="batch_1")),
                ended(finished(4, tags=(), parent_id=run_id(1), root_id=run_id(1))),
            ]
        )
    )

    def found(asked: ListRuns, seen: set[str] | None = None) -> list[int]:
        runs, total = store.runs(asked, Seen(ended=seen or ()))
        assert total == len(runs)
        return [int(run.id.removeprefix("run_")) for run in runs]

    assert found(ListRuns(tag=("a", "c"))) == [3, 2, 1]
    assert found(ListRuns(tag=("c",), status=("FAILED", "CRASHED"))) == [2]
    assert found(ListRuns(task=("other",))) == [3]
    assert found(ListRuns(queue=("slow",))) == [3]
    assert found(ListRuns(batch=("batch_1",))) == [3]
    assert found(ListRuns(parent=(run_id(1),))) == [4]
    assert found(ListRuns(root=(run_id(1), run_id(3)))) == [4, 3, 1]
    assert found(ListRuns(), {run_id(4), run_id(1)}) == [3, 2]
    assert found(ListRuns(tag=("nobody's",))) == []


def test_what_is_committed_while_a_list_is_read_is_not_in_it(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    store.append(history(1))
    look = store._those_in_history

    def look_and_commit(run_ids: Collection[str]) -> list[str]:
        found = look(run_ids)
        store.append(history(2))
        return found

    monkeypatch.setattr(store, "_those_in_history", look_and_commit)
    runs, total = store.runs(ListRuns(), Seen(ended=[run_id(2)]))

    assert ([run.id for run in runs], total) == ([run_id(1)], 1)
    monkeypatch.undo()
    assert store.runs(ListRuns())[1] == 2


def test_history_is_counted_by_status(store: Store) -> None:
    store.append(history(1, 2))
    store.append(Batch(history=[ended(finished(3, status=RunStatus.CRASHED))]))

    assert store.counts() == {"COMPLETED": 2, "CRASHED": 1}


def test_the_last_lines_of_a_run_come_oldest_first_with_the_number_of_dropped_ones(store: Store) -> None:
    store.append(Batch(lines=[line(1, 1, "first"), line(1, 2, "second"), line(1, 10, "last"), line(2, 1, "else")]))

    logs = store.lines(run_id(1), 2)

    assert [(entry.text, entry.level, entry.attempt) for entry in logs.lines] == [
        ("second", "stdout", 1),
        ("last", "stdout", 1),
    ]
    assert logs.dropped == 7
    assert store.line_counts([run_id(1), run_id(2), run_id(3)]) == {run_id(1): 10, run_id(2): 1}
    assert store.lines(run_id(3), 10).lines == ()


def test_lines_are_read_by_page_by_level_and_by_text(store: Store) -> None:
    texts = [("info", "began"), ("stdout", "row 1"), ("warn", "Row 2 is odd"), ("stdout", "row 3"), ("error", "stop")]
    store.append(Batch(lines=[LineRow(run_id(1), 1, n, level, text, n) for n, (level, text) in enumerate(texts)]))

    def page(**more: Any) -> tuple[list[str], int, int, bool]:
        reply = store.lines_page(GetLogs(run_id(1), **more))
        return [one.text for one in reply.logs.lines], reply.first, reply.last, reply.has_more

    assert page(limit=2) == (["row 3", "stop"], 3, 4, True)
    assert page(limit=2, before=3) == (["row 1", "Row 2 is odd"], 1, 2, True)
    assert page(limit=2, before=1) == (["began"], 0, 0, False)
    assert page(limit=2, after=2) == (["row 3", "stop"], 3, 4, False)
    assert page(limit=1, after=0) == (["row 1"], 1, 1, True)
    assert page(after=4) == ([], 0, -1, False)
    assert page(search="ROW") == (["row 1", "Row 2 is odd", "row 3"], 1, 3, False)
    assert page(level=("warn", "error"), search="o") == (["Row 2 is odd", "stop"], 2, 4, False)


def test_runs_are_counted_by_status_and_those_that_ended_last_are_named_with_their_seconds(store: Store) -> None:
    store.append(history(1, 2, 3))
    never = finished(4, status=RunStatus.EXPIRED, started_at=None, task_id="mail")
    store.append(Batch(history=[ended(finished(5, status=RunStatus.CRASHED), seq=50), ended(never, seq=51)]))

    assert store.counts_of(RunFilter()) == {"COMPLETED": 3, "CRASHED": 1, "EXPIRED": 1}
    assert store.counts_of(RunFilter(task=("resize",)), Seen(ended=[run_id(2)])) == {"COMPLETED": 2, "CRASHED": 1}
    assert store.last_ended(RunFilter(), 3) == [("EXPIRED", None), ("CRASHED", 1.0), ("COMPLETED", 1.0)]


def test_a_filter_means_the_same_runs_in_memory_and_on_disk(tmp_path: Path) -> None:
    runs = [
        finished(
            number,
            status=RunStatus.FAILED if number % 3 == 0 else RunStatus.COMPLETED,
            task_id=("resize", "mail")[number % 2],
            tags=(("a",), ("a", "b"), ("c",))[number % 3],
            queue=("slow", "fast")[number // 2 % 2],
            batch_id=("batch_1", None)[number % 2],
            schedule_id=("sched_1", None, "sched_2")[number % 3],
            machine=("micro", None)[number // 3 % 2],
            version=("20270101.1", "20270101.2")[number // 4 % 2],
            parent_id=run_id(1) if number > 8 else None,
            root_id=run_id(2) if number > 8 else None,
            is_test=number % 5 == 0,
            payload_json='{"invoice":"INV-2290"}' if number % 4 == 1 else '{"n":1}',
            error=Error("KeyError", f"no row {number}, Äpfel") if number % 3 == 0 else None,
        )
        for number in range(1, 13)
    ]
    values: dict[str, Any] = {
        "status": ("FAILED",),
        "task": ("mail", "other"),
        "tag": ("b", "c"),
        "all_tags": ("a", "b"),
        "queue": ("slow",),
        "batch": ("batch_1",),
        "schedule": ("sched_1", "sched_2"),
        "machine": ("micro",),
        "version": ("20270101.2",),
        "parent": (run_id(1),),
        "root": (run_id(2),),
        "is_test": True,
        "created_from": from_datetime(runs[5].created_at),
        "created_to": from_datetime(runs[5].created_at),
    }
    asked = [RunFilter(**{name: value}) for name, value in values.items()]
    asked.append(RunFilter(is_test=False, status=("COMPLETED",), tag=("b",), all_tags=("a",)))
    asked += [
        RunFilter(search=text) for text in (run_id(4)[8:].upper(), "resi", "inv-2290", "keyerr", "ROW 12", "äPFEL")
    ]
    asked.append(RunFilter(search="mail", tag=("a",)))
    store = open_store(tmp_path)
    store.append(Batch(history=[ended(run) for run in runs]))

    for each in asked:
        in_memory = [run.id for run in runs if matches(run, from_datetime(run.created_at), each)]
        assert 0 < len(in_memory) < len(runs), each
        assert store.run_ids(each, limit=50)[::-1] == in_memory, each
        listed, total = store.runs(ListRuns(**msgspec.structs.asdict(each)))
        assert ([run.id for run in listed][::-1], total) == (in_memory, len(in_memory)), each


def test_pages_go_both_ways(tmp_path: Path) -> None:
    store = open_store(tmp_path)
    store.append(history(*range(1, 8)))

    older, _ = store.runs(ListRuns(limit=3, after=run_id(5)))
    newer, total = store.runs(ListRuns(limit=2, before=run_id(3)))

    assert [run.id for run in older] == [run_id(4), run_id(3), run_id(2)]
    assert [run.id for run in newer] == [run_id(4), run_id(5)]  # the nearest ones, oldest first
    assert total == 7
    assert store.has_runs_behind(ListRuns(after=run_id(7)))
    assert not store.has_runs_behind(ListRuns(after=run_id(8)))
    assert not store.has_runs_behind(ListRuns(before=run_id(0)))
    assert store.run_ids(RunFilter(), limit=2, after=run_id(3)) == [run_id(2), run_id(1)]
