"""Handles: waiting for runs, asking about them, and letting go."""

from __future__ import annotations

import asyncio
import pickle
import threading
from datetime import datetime
from typing import Any

import pytest

from kernelkit.authoring import display
from kernelkit.authoring.batchhandle import BatchHandle
from kernelkit.authoring.decorator import task
from kernelkit.authoring.handle import RunHandle
from kernelkit.authoring.result import Result
from kernelkit.authoring.runs import runs
from kernelkit.errors import SubtaskError, UnknownRunError
from kernelkit.models.error import Error
from kernelkit.models.run import RunStatus
from kernelkit.wire.messages import ListRuns, Retrieve
from tests.authoring.fake_caller import FakeCaller


@task
def moment(day: int) -> datetime:
    return datetime(2027, 1, day)


def test_a_result_revives_what_the_annotation_says(engine: FakeCaller) -> None:
    run = moment.trigger(day=2)
    engine.finish(run.id, '"2027-01-02T00:00:00"')

    result = run.result()

    assert result.ok
    assert result.output == result.unwrap() == run.output == datetime(2027, 1, 2)
    assert result.error is None


def test_waiting_ends_when_the_run_does(engine: FakeCaller) -> None:
    run = moment.trigger(day=2)
    later = threading.Timer(0.02, engine.finish, [run.id, '"2027-01-02T00:00:00"'])
    later.start()

    assert run.result(timeout=10).ok
    later.join()


def test_a_handle_can_be_awaited_by_many(engine: FakeCaller) -> None:
    run = moment.trigger(day=2)

    async def story() -> list[Result[datetime]]:
        async def wait() -> Result[datetime]:
            return await run

        first, impatient = asyncio.create_task(wait()), asyncio.create_task(wait())
        await asyncio.sleep(0)
        impatient.cancel()
        await asyncio.sleep(0)
        engine.finish(run.id, '"2027-01-02T00:00:00"')
        return [await first, await run]

    assert [result.ok for result in asyncio.run(story())] == [True, True]
    assert not engine.sent(Retrieve)


def test_a_timeout_leaves_the_run_alone(engine: FakeCaller) -> None:
    run = moment.trigger(day=2)

    with pytest.raises(TimeoutError, match="It goes on"):
        run.result(timeout="0s")

    assert run.status is RunStatus.QUEUED


def test_a_property_asks_until_the_run_is_final(engine: FakeCaller) -> None:
    run = moment.trigger(day=2)

    assert run.status == "QUEUED"
    assert run.output is None
    engine.finish(run.id, '"2027-01-02T00:00:00"')
    asked = len(engine.calls)
    assert (run.status, run.is_completed, run.error, run.tags) == ("COMPLETED", True, None, ())
    assert len(engine.calls) == asked + 1


def test_a_failed_run_says_so_when_unwrapped(engine: FakeCaller) -> None:
    run = moment.trigger(day=2)
    engine.finish(run.id, status=RunStatus.FAILED, error=Error("ValueError", "no such day"))

    result = run.result()

    assert not result.ok
    assert result.output is None
    assert str(result.error) == "ValueError: no such day"
    with pytest.raises(SubtaskError, match="ValueError: no such day") as caught:
        result.unwrap()
    assert caught.value.run_id == run.id
    assert caught.value.task_id == "moment"
    assert caught.value.error["name"] == "ValueError"


def test_cancelling_answers_with_the_run(engine: FakeCaller) -> None:
    run = moment.trigger(day=2)

    canceled = run.cancel(reason="enough")

    assert canceled.status is RunStatus.CANCELED
    assert str(run.result().error) == "CANCELED: enough"


def test_logs_and_metadata_are_asked_for(engine: FakeCaller) -> None:
    run = moment.options(metadata={"a": 1}).trigger(day=2)

    assert run.metadata == {"a": 1}
    assert [line.text for line in run.logs().lines] == ["hello"]


def test_a_shipped_handle_is_its_id(engine: FakeCaller) -> None:
    run = moment.trigger(day=2)

    again = pickle.loads(pickle.dumps(run))

    assert again == run
    assert again.status is RunStatus.QUEUED
    assert repr(again) == f"<RunHandle {run.id} of moment>"


def test_an_unknown_batch_or_run_is_said_to_be(engine: FakeCaller) -> None:
    with pytest.raises(UnknownRunError, match="no batch 'batch_x'"):
        BatchHandle[Any]("batch_x", [RunHandle("run_x", "moment")]).refresh()
    with pytest.raises(UnknownRunError):
        runs.retrieve("run_x")


def test_runs_are_listed_by_the_page(engine: FakeCaller) -> None:
    handle = moment.batch_trigger([{"day": 1}] * 5)

    page = runs.list(batch=handle.id, status="queued", limit=2)

    assert (len(page), page.has_more, page.total) == (2, True, 5)
    asked = engine.calls[-1]
    assert isinstance(asked, ListRuns)
    assert asked.status == ("QUEUED",)
    following = page.next()
    assert following is not None
    assert following[0].id < page[-1].id
    assert [run.id for run in page.all()] == [run.id for run in reversed(handle.runs)]
    assert page[0].id in repr(page)


def test_a_face_is_shown_where_one_is_registered(engine: FakeCaller, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(display, "_bundles", {})  # another test of this process may have installed the real faces
    monkeypatch.setattr(display, "_shows", {})
    run = moment.trigger(day=2)
    assert run._repr_mimebundle_() is None

    display.register(RunHandle, lambda shown: {"text/plain": shown.id})
    assert run._repr_mimebundle_() == {"text/plain": run.id}
    with pytest.raises(NotImplementedError):
        run._ipython_display_()

    seen: list[object] = []
    display.register(RunHandle, show=seen.append)
    run._ipython_display_()
    assert seen == [run]
