"""Ids (§46), versions (§38), and a batch sent again under its key (§15.6)."""

from __future__ import annotations

import re
from datetime import UTC, datetime

import kernelkit as kk
from kernelkit.testing import engine


@kk.task(retry=None)
async def numbered(n: int = 0) -> int:
    return n


def test_46_ids_say_what_they_name_and_sort_by_age() -> None:
    with engine():
        batch = numbered.options(delay="1h").batch_trigger([{"n": n} for n in range(3)])
        bulk = kk.runs.cancel_all(task="numbered")

        assert [run.id for run in batch.runs] == sorted(run.id for run in batch.runs)
        for given, prefix in ((batch.runs[0].id, "run"), (batch.id, "batch"), (bulk.id, "bulk")):
            assert re.fullmatch(rf"{prefix}_[0-9a-z]{{18}}", given)


def test_38_1_versions_count_within_a_day() -> None:
    def define(answer: int) -> kk.Task[[], int]:
        @kk.task(
            id="counted", max_duration=60 * answer
        )  # code and options make a version; what a closure holds does not
        async def counted() -> int:
            return answer

        return counted

    with engine(now=datetime(2030, 1, 1, tzinfo=UTC)) as eng:
        runs = [define(answer).trigger() for answer in (1, 2, 2)]
        eng.advance(minutes=1)

        assert [run.refresh().version for run in runs] == ["20300101.1", "20300101.2", "20300101.2"]


def test_15_6_a_batch_sent_again_under_its_key_makes_no_run_twice() -> None:
    with engine() as eng:
        once = numbered.options(idempotency_key="nightly")
        first = once.batch_trigger([{"n": 1}, {"n": 2}])
        again = once.batch_trigger([{"n": 1}, {"n": 2}, {"n": 3}])
        eng.drain()

        assert [run.id for run in again.runs][:2] == [run.id for run in first.runs]
        assert [run.is_cached for run in again.runs] == [True, True, False]
        assert (again.counts, kk.runs.list().total) == ({"COMPLETED": 3}, 3)
