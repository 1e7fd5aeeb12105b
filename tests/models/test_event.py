from __future__ import annotations

import typing

import pytest

from kernelkit.engine.apply import _HANDLERS
from kernelkit.models import event as ev
from kernelkit.models.error import Error, Frame
from kernelkit.models.run import RunStatus
from kernelkit.models.task import Owner, RetryPolicy, TaskSpec, TaskVersion
from kernelkit.models.value import Value

KINDS = typing.get_args(ev.AnyEvent)
SPEC = TaskSpec("resize", "resize", Owner("notebook", "a.ipynb"), "env1", "b1", "f1", concurrency_limit=2, tags=("x",))
FAILURE = Error("ValueError", "bröken\n'\"", frames=(Frame("cell", 3, "f", own=True),))


def test_every_event_class_is_one_of_the_events_and_can_be_applied() -> None:
    assert set(ev.Event.__subclasses__()) == set(KINDS) == set(_HANDLERS)


@pytest.mark.parametrize(
    "event",
    [
        ev.TaskDefined(1, TaskVersion("20270115.1", SPEC, 1)),
        ev.RunTriggered(1, "run_1", "resize", "q", "process", Value(ref="run_1:payload", size=5_000), tags=("ä",)),
        ev.RunDispatched(1, "run_1", "f1", "w1", 1, "20270115.1", "b1", "env1", 3, RetryPolicy(factor=1.8)),
        ev.AttemptFailed(1, "run_1", "f1", FAILURE, 1, retry_at=2, keeps_slot=True, crashed=True, peak_memory=7),
        ev.RunFinished(1, "run_1", RunStatus.COMPLETED, 1, Value(text='{"a":null}', size=10)),
        ev.WorkerRunning(1, "w1", 4711, 1_800_000_000.25, "boot"),
    ],
)
def test_an_event_survives_the_trip_through_text(event: ev.AnyEvent) -> None:
    assert ev.from_json(ev.to_json(event)) == event


def test_an_event_written_before_a_field_existed_can_still_be_read() -> None:
    text = '{"type":"RunTriggered","at":1,"run_id":"run_1","task_id":"resize","queue":"q","isolation":"shared"}'

    event = ev.from_json(text)

    assert isinstance(event, ev.RunTriggered)
    assert (event.payload.text, event.metadata, event.depth) == ("null", "{}", 0)
