from __future__ import annotations

from collections import deque
from collections.abc import Callable
from pathlib import Path
from typing import Any, cast

import pytest

from kernelkit.config import Home
from kernelkit.engine.logbook import Logbook
from kernelkit.engine.notices import Notices
from kernelkit.engine.requests import Requests
from kernelkit.models import event as ev
from kernelkit.wire import messages as m
from kernelkit.wire.channel import Channel
from tests.engine.fixtures import Bench
from tests.engine.samples import item, spec
from tests.engine.yard import Wire, succeeded


class Desk(Bench):
    """A bench that answers one client; reads of the store come back when the test says so."""

    def __init__(self, folder: Path) -> None:
        super().__init__()
        self.home = Home(folder / ".kernelkit").create()
        self.reads: deque[Callable[[], None]] = deque()
        self.requests = Requests(
            self.core,
            Notices(self.core, Logbook(), lambda seconds, call: None),
            self.home,
            pid=1,
            started_at=0,
            monotonic=lambda: 0.0,
            silent_for=lambda worker_id: 0.0,
            stop=lambda asked: None,
        )
        self.core.read = self._read
        self.client = Wire()

    def _read(self, fn: Callable[[], Any], then: Callable[[Any], None]) -> None:
        found = fn()
        self.reads.append(lambda: then(found))

    def ask(self, body: m.RequestBody, *, again: bool = False) -> None:
        self.requests.take(cast(Channel, self.client), m.Request(1, body, again))
        self.settle()

    def answer_reads(self) -> None:
        while self.reads:
            self.reads.popleft()()
            self.settle()


@pytest.fixture
def desk(tmp_path: Path) -> Desk:
    return Desk(tmp_path)


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


def test_a_definition_whose_files_are_missing_is_refused_with_their_names(desk: Desk) -> None:
    desk.ask(m.DefineTask(spec("mail")))

    (refused,) = desk.client.of(m.Refused)
    assert refused.error["code"] == "task_definition"
    assert "mail-code" in refused.error["message"]


def test_a_bug_in_one_request_is_told_to_its_client_and_harms_nobody(
    desk: Desk, caplog: pytest.LogCaptureFixture
) -> None:
    desk.ask(m.Trigger((item("run_1"),)))
    desk.core.view = None  # type: ignore[assignment,method-assign]  # the bug

    desk.ask(m.Trigger((item("run_2"),)), again=True)

    assert "could not carry this out" in desk.client.of(m.Refused)[-1].error["message"]
    assert "request failed" in caplog.text
