"""Versions (§38, decisions 27 and 58): of each task, by the day."""

from __future__ import annotations

from datetime import UTC, datetime

import kernelkit as kk
from kernelkit.testing import engine


def test_38_1_versions_are_counted_by_the_day() -> None:
    with engine(now=datetime(2030, 5, 1, 12, tzinfo=UTC)) as eng:
        numbers = []
        for retries, days in ((1, 0), (2, 0), (2, 0), (3, 1)):
            eng.advance(days=days)

            @kk.task(id="counted", retries=retries)
            async def counted() -> None: ...

            counted.register()
            numbers.append(counted.version)

        assert numbers == ["20300501.1", "20300501.2", "20300501.2", "20300502.1"]


def test_38_2_by_id_a_delayed_run_takes_the_code_there_is_at_its_start() -> None:
    with engine() as eng:

        @kk.task(id="chosen")
        async def old() -> str:
            return "old"

        pinned = old.options(delay="1h").trigger()
        by_id = kk.tasks.trigger("chosen", None, delay="1h")

        @kk.task(id="chosen", replace=True)
        async def new() -> str:
            return "new"

        new.register()
        again = pinned.replay()
        eng.advance(hours=3)

        outputs = [run.result(timeout=5).output for run in (pinned, by_id, again)]
        assert outputs == ["old", "new", "new"]
        assert [run.refresh().version for run in (pinned, by_id)] == [old.version, new.version]
