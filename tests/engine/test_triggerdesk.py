from __future__ import annotations

from typing import cast

import pytest

from kernelkit.models import event as ev
from kernelkit.wire import messages as m
from kernelkit.wire.channel import Channel
from tests.engine.desk import Desk
from tests.engine.samples import item
from tests.engine.yard import succeeded


def triggers(desk: Desk) -> int:
    return sum(row.kind == ev.RunTriggered.__name__ for batch in desk.writer.batches for row in batch.events)


def test_a_trigger_that_is_sent_again_finds_its_run_wherever_that_is_by_now(desk: Desk) -> None:
    # A run that was live when its trigger came again, and in history by the time history had been read, was made twice.
    trigger = m.Trigger((item("run_1"),))
    desk.ask(trigger)

    desk.ask(trigger, again=True)
    desk.report("run_1", succeeded())
    desk.settle()
    desk.core.flush_history()
    desk.settle()
    desk.answer_reads()

    assert triggers(desk) == 1
    assert [type(answer.body).__name__ for answer in desk.client.of(m.Reply)] == ["Triggered", "Triggered"]


@pytest.mark.parametrize("flushed", [True, False])
def test_a_trigger_of_a_run_that_is_over_makes_it_only_once(desk: Desk, flushed: bool) -> None:
    trigger = m.Trigger((item("run_1"),))
    desk.ask(trigger)
    desk.report("run_1", succeeded())
    if flushed:
        desk.core.flush_history()
    desk.settle()

    desk.ask(trigger, again=True)
    desk.answer_reads()

    assert triggers(desk) == 1


def test_a_trigger_that_never_arrived_is_made_when_it_is_sent_again(desk: Desk) -> None:
    desk.ask(m.Trigger((item("run_1"),)), again=True)
    desk.answer_reads()

    assert triggers(desk) == 1


def test_a_trigger_from_surroundings_without_a_file_is_refused(desk: Desk) -> None:
    desk.ask(m.Trigger((item("run_1", bundle="resize-code", env_id="gone"),)))

    (refused,) = desk.client.of(m.Refused)
    assert "gone.json" in refused.error["message"]
    assert triggers(desk) == 0


def test_a_client_whose_process_an_attempt_started_triggers_children_of_its_run(desk: Desk) -> None:
    desk.trigger("run_parent")
    desk.settle()
    fence = desk.core.state.runs["run_parent"].fence
    desk.requests.greet(cast(Channel, desk.client), ("notebook:report.ipynb",), m.LiveAttempt("run_parent", fence, 1))

    desk.ask(m.Trigger((item("run_child"),)))

    assert desk.core.state.runs["run_child"].parent_id == "run_parent"
