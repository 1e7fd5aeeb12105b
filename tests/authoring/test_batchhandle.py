"""Handles of batches: waiting for all of their runs, and asking how many have ended."""

from __future__ import annotations

import asyncio
import pickle
from datetime import datetime

import pytest

from kernelkit.authoring.decorator import task
from kernelkit.authoring.result import Result
from kernelkit.models.error import Error
from kernelkit.models.run import RunStatus
from tests.authoring.fake_caller import FakeCaller


@task
def moment(day: int) -> datetime:
    return datetime(2027, 1, day)


def test_a_batch_gives_results_in_order(engine: FakeCaller) -> None:
    handle = moment.batch_trigger([{"day": day} for day in (1, 2, 3)])
    assert handle.status == "PENDING"
    engine.finish(handle.runs[2].id, '"2027-01-03T00:00:00"')
    assert handle.counts == {"QUEUED": 2, "COMPLETED": 1}
    assert handle.status == "PROCESSING"

    async def story() -> list[Result[datetime]]:
        waiting = asyncio.ensure_future(handle._wait())
        await asyncio.sleep(0)
        engine.finish(handle.runs[1].id, status=RunStatus.FAILED, error=Error("ValueError", "no"))
        engine.finish(handle.runs[0].id, '"2027-01-01T00:00:00"')
        return await waiting

    first, second, third = asyncio.run(story())
    assert (first.output.day, second.ok, third.output.day) == (1, False, 3)
    asked = len(engine.calls)
    assert [result.ok for result in handle.result(timeout=0)] == [True, False, True]
    assert (handle.status, handle.counts) == ("COMPLETED", {"COMPLETED": 2, "FAILED": 1})
    assert len(engine.calls) == asked


def test_a_batch_that_times_out_goes_on(engine: FakeCaller) -> None:
    handle = moment.batch_trigger([{"day": 1}, {"day": 2}])

    with pytest.raises(TimeoutError, match=handle.id):
        handle.result(timeout=0)

    handle.cancel()
    assert handle.status == "COMPLETED"
    assert pickle.loads(pickle.dumps(handle)).runs == handle.runs
