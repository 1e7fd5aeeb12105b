"""What a run has used: inside it, and on its snapshot for as long as it is kept."""

from __future__ import annotations

import asyncio
import time

import pytest

import kernelkit as kk
from kernelkit.testing import engine
from tests.behaviour.conftest import Stage


def test_34_2_compute_of_the_attempt_and_of_all_attempts(stage: Stage) -> None:
    @kk.task(retry=kk.Retry(max_attempts=2, min_timeout=0.3, randomize=False))
    async def twice() -> list[float]:
        await asyncio.sleep(0.1)
        if kk.ctx.attempt.number == 1:
            raise ValueError("once")
        used = kk.usage.current()
        return [used.attempt_compute_s, used.total_compute_s]

    run = twice.trigger()
    stage.finish()

    attempt_s, total_s = run.result(timeout=10).output
    kept = run.refresh()
    assert 0.1 <= attempt_s < total_s
    assert total_s >= 0.2
    assert kept.duration is not None
    assert [each.compute_s >= 0.1 for each in kept.attempts] == [True, True]
    assert kept.usage.attempt_compute_s == kept.attempts[1].compute_s >= attempt_s
    assert total_s <= kept.usage.total_compute_s <= kept.duration.total_seconds() - 0.3


def test_34_2_usage_is_kept_in_history_and_told_by_lists(stage: Stage) -> None:
    @kk.task(id="naps")
    def naps() -> None:
        time.sleep(0.05)

    run = naps.trigger()
    stage.finish()

    [listed] = kk.runs.list(task="naps")
    assert run.status == "COMPLETED"
    if not stage.is_virtual:  # a plain body takes no virtual time
        assert listed.usage.total_compute_s >= 0.05
        assert (listed.usage.peak_memory or 0) > 1_000_000
    assert kk.runs.retrieve(run.id).usage == listed.usage


def test_34_2_peak_memory_inside_a_process_of_its_own(stage: Stage) -> None:
    @kk.task
    def grows() -> list[int | None]:
        before = kk.usage.current().peak_memory
        kept = b"x" * 60_000_000
        return [before, kk.usage.current().peak_memory, len(kept)]

    run = grows.trigger()
    stage.finish()

    before, after, _ = run.result(timeout=10).output
    if stage.is_virtual:
        assert (before, after) == (None, None)
    else:
        assert before is not None and after is not None
        assert after - before > 30_000_000
        assert (run.refresh().usage.peak_memory or 0) >= after - 4_000_000  # the kernel counts in batches


def test_34_2_a_part_can_be_measured() -> None:
    @kk.task
    async def measures() -> list[float]:
        with kk.usage.measure() as first:
            await asyncio.sleep(3)
        with pytest.raises(KeyError), kk.usage.measure() as second:
            await asyncio.sleep(1)
            raise KeyError
        return [first.compute_s, second.compute_s]

    with engine() as eng:
        run = measures.trigger()
        eng.advance(seconds=10)

        assert run.result(timeout=5).output == [3, 1]
        assert run.refresh().usage.total_compute_s == 4


def test_34_2_a_canceled_run_has_used_what_it_used(stage: Stage) -> None:
    @kk.task
    async def endless() -> None:
        kk.metadata.set("began", True)
        await asyncio.sleep(0.1)
        kk.metadata.set("half", True)
        await asyncio.sleep(3_600)

    run = endless.trigger()
    if stage.is_virtual:
        stage.engine.advance(seconds=1)
    else:
        stage.until(lambda: run.metadata.get("half") is True)
    run.cancel()
    stage.until(lambda: run.refresh().finished_at is not None)

    assert run.refresh().usage.total_compute_s >= 0.1


def test_34_2_outside_a_run_there_is_nothing_to_tell() -> None:
    with pytest.raises(kk.NotInTaskError, match=r"kk\.usage\.current"):
        kk.usage.current()
