"""Queues while the project works: looked at, paused, given another limit, a rate, and shared between keys."""

from __future__ import annotations

import asyncio
from datetime import UTC, datetime
from pathlib import Path

import pytest

import kernelkit as kk
from kernelkit.authoring import caller as callers
from kernelkit.testing import engine
from kernelkit.wire.messages import EngineStatus, GetStatus, QueueHeld
from tests.behaviour.conftest import Stage

START = datetime(2030, 1, 1, tzinfo=UTC)


def test_20_12_a_paused_queue_starts_nothing_and_says_so(stage: Stage) -> None:
    @kk.task(queue=kk.Queue("pausable", concurrency_limit=2))
    async def patient() -> int:
        return 1

    patient.register()
    assert kk.queues.pause("pausable").paused
    run = patient.trigger()

    assert run.status == "QUEUED"
    assert run.refresh().queued_reason == "queue pausable is paused"
    assert run.refresh().is_queue_paused
    found = kk.queues.retrieve("pausable")
    assert found.queued == 1
    assert found.oldest_queued_at == found.keys[0].oldest_queued_at == run.refresh().queued_at
    status = callers.current().call(GetStatus(history=False))
    assert isinstance(status, EngineStatus)
    assert QueueHeld("pausable", 1, "queue pausable is paused") in status.held
    assert status.runs["QUEUED"] >= 1
    kk.queues.resume("pausable")
    stage.until(lambda: run.status == "COMPLETED")
    assert run.result(timeout=20).output == 1
    assert kk.queues.retrieve("pausable").oldest_queued_at is None
    status = callers.current().call(GetStatus(history=False))
    assert isinstance(status, EngineStatus)
    assert sum(status.pulse.ended) >= 1
    assert status.pulse.wait >= 0


def test_20_13_an_override_survives_a_redefinition_until_it_is_reset(stage: Stage) -> None:
    @kk.task(id="overridden", concurrency_limit=5)
    async def first() -> None: ...

    first.register()
    kk.queues.set_concurrency(first, 2)

    @kk.task(id="overridden", concurrency_limit=7, replace=True)
    async def second() -> None: ...

    second.register()
    limits = kk.queues.retrieve("task/overridden").concurrency
    assert (limits.current, limits.base, limits.override) == (2, 7, 2)
    assert kk.queues.reset_concurrency("task/overridden").concurrency_limit == 7
    with pytest.raises(kk.InvalidOptionError, match="not overridden"):
        kk.queues.reset_concurrency("task/overridden")


def test_20_10_an_unknown_queue_is_refused_with_its_neighbour(stage: Stage) -> None:
    @kk.task(id="nearby", queue=kk.Queue("letters", concurrency_limit=1))
    async def nearby() -> None: ...

    nearby.register()
    with pytest.raises(kk.UnknownQueueError, match="Did you mean 'letters'"):
        kk.queues.pause("leters")
    with pytest.raises(kk.InvalidOptionError, match="is not a queue"):
        kk.Queue("a\x1fb")


def test_20_a_rate_is_kept_to_in_virtual_time() -> None:
    @kk.task(id="rated", queue=kk.Queue("rated", rate_limit="2/m"))
    async def rated() -> None: ...

    with engine() as eng:
        runs = [rated.trigger() for _ in range(4)]
        eng.drain()
        assert [run.status for run in runs].count(kk.RunStatus.COMPLETED) == 2
        assert "rate limit 2/m, next start at" in (runs[2].refresh().queued_reason or "")
        eng.advance(seconds=30)
        assert [run.status for run in runs].count(kk.RunStatus.COMPLETED) == 3
        eng.advance(seconds=30)
        assert [run.status for run in runs].count(kk.RunStatus.COMPLETED) == 4


def test_20_9_a_full_queue_refuses_and_stores_nothing() -> None:
    @kk.task(id="capped", concurrency_limit=1)
    async def capped() -> None:
        await asyncio.sleep(60)

    with engine(queue_size_limit=2) as eng:
        for _ in range(3):
            capped.trigger()
        with pytest.raises(kk.QueueFullError, match="is full: 2 runs wait"):
            capped.trigger()
        assert len(kk.runs.list(task="capped")) == 3
        eng.drain()


def test_20_6_no_key_starves_beside_a_flood_of_another() -> None:
    @kk.task(id="tenants-fair")
    async def work() -> None:
        await asyncio.sleep(1)

    with engine(concurrency_limit=1) as eng:
        for _ in range(10):
            work.options(concurrency_key="flood", priority=1000).trigger()
        late = work.options(concurrency_key="late").trigger()
        eng.advance(seconds=2.5)
        assert late.status in ("EXECUTING", "COMPLETED")


def test_20_14_the_project_is_paused_as_a_whole() -> None:
    @kk.task(id="whole")
    async def whole() -> None: ...

    with engine() as eng:
        assert kk.queues.pause_all().paused
        run = whole.trigger()
        eng.drain()
        assert run.refresh().queued_reason == "the project is paused"
        kk.queues.resume_all()
        eng.drain()
        assert run.status == "COMPLETED"


def test_20_a_rate_is_kept_to_by_real_processes(tmp_path: Path) -> None:
    @kk.task(queue=kk.Queue("rated", rate_limit="5/s"))
    async def rated(n: int) -> int:
        return n

    with engine(home=tmp_path, real_time=True, workers=1):
        batch = rated.batch_trigger([{"n": n} for n in range(15)])
        assert [each.output for each in batch.result(timeout=60)] == list(range(15))
        starts = sorted(run.refresh().started_at or START for run in batch.runs)

    # as the engine's own clock tells it: a bucket of five, and five a second into it
    for first, early in enumerate(starts):
        for last in range(first, len(starts)):
            assert last - first + 1 <= 5 + 5 * (starts[last] - early).total_seconds() + 0.001
    assert starts[-1] > starts[0]


def test_20_6_no_key_starves_on_the_real_engine(tmp_path: Path) -> None:
    @kk.task(queue=kk.Queue("fair", concurrency_limit=1))
    async def served(n: int) -> int:
        await asyncio.sleep(0.01)
        return n

    with engine(home=tmp_path, real_time=True, workers=1, concurrency_limit=1):
        served.register()
        kk.queues.pause("fair")
        flood = served.options(concurrency_key="flood").batch_trigger([{"n": n} for n in range(40)])
        few = [served.options(concurrency_key=key).batch_trigger([{"n": n} for n in range(3)]) for key in "abc"]
        kk.queues.resume("fair")
        for batch in (flood, *few):
            assert all(each.ok for each in batch.result(timeout=60))
        runs = sorted(kk.runs.list(task="served", limit=100), key=lambda run: run.started_at or START)

    assert len(runs) == 49
    order = [run.concurrency_key for run in runs]
    turns = [order[place : place + 4] for place in range(0, 12, 4)]
    assert [sorted(str(key) for key in turn) for turn in turns] == [["a", "b", "c", "flood"]] * 3
