from __future__ import annotations

from collections import deque
from collections.abc import Callable
from pathlib import Path
from typing import Any, cast

import pytest

from kernelkit.config import Home
from kernelkit.engine import commands as c
from kernelkit.engine.logbook import Logbook
from kernelkit.engine.notices import Notices
from kernelkit.engine.requests import Requests
from kernelkit.models import event as ev
from kernelkit.models.task import Owner
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


def test_a_trigger_from_surroundings_without_a_file_is_refused(desk: Desk) -> None:
    desk.ask(m.Trigger((item("run_1", bundle="resize-code", env_id="gone"),)))

    (refused,) = desk.client.of(m.Refused)
    assert "gone.json" in refused.error["message"]
    assert triggers(desk) == 0


def test_what_was_read_off_the_state_waits_for_the_commit_it_saw(desk: Desk) -> None:
    # given a run whose end is taken but not on disk, and a follow and a list of tasks that come in between
    desk.trigger("run_1")
    desk.settle()
    desk.core.notices = Notices(desk.core, Logbook(), lambda seconds, call: None)
    desk.report("run_1", succeeded())
    desk.core.notices.follow(cast(Channel, desk.client), ("run_1",), lambda problem: None)
    desk.requests.take(cast(Channel, desk.client), m.Request(2, m.ListTasks()))
    desk.turn()

    # when nothing has been committed yet, then nothing has left
    assert desk.client.sent == []

    # when it is on disk, then both have
    desk.settle()
    assert [ended.run.status for ended in desk.client.of(m.RunEnded)] == ["COMPLETED"]
    assert len(desk.client.of(m.Reply)) == 1


@pytest.mark.parametrize(
    "body",
    [m.Retrieve("run_1"), m.ListRuns(), m.GetLogs("run_1"), m.Cancel("run_1"), m.ListTasks(), m.Watch("run_1")],
    ids=lambda body: type(body).__name__,
)
def test_a_store_that_cannot_commit_is_told_at_once_instead_of_waited_for(desk: Desk, body: m.RequestBody) -> None:
    desk.writer.problem = "No space left on device"

    desk.requests.take(cast(Channel, desk.client), m.Request(1, body))

    (refused,) = desk.client.of(m.Refused)
    assert refused.error["code"] == "store_full"
    assert "No space left on device" in refused.error["message"]


def test_a_list_of_runs_counts_nobody_ahead_and_one_run_does(desk: Desk) -> None:
    desk.core.take(c.DefineTask(spec(concurrency_limit=1, fingerprint="narrow")))
    for number in range(3):
        desk.trigger(f"run_{number}")
    desk.settle()

    desk.ask(m.ListRuns(status=("QUEUED",)))
    desk.answer_reads()
    desk.ask(m.Retrieve("run_2"))
    desk.answer_reads()

    (page,) = [reply.body for reply in desk.client.of(m.Reply) if isinstance(reply.body, m.RunPage)]
    assert {run.queued_reason for run in page.runs} == {"queue task/resize: 1 of 1 in use"}
    (one,) = [reply.body for reply in desk.client.of(m.Reply) if isinstance(reply.body, m.RunReply)]
    assert one.run.queued_reason == "queue task/resize: 1 of 1 in use, 1 run ahead"


MODULE, COPY = Owner("module", "/srv/tasks.py"), Owner("module", "/home/ada/tasks.py")


def define(desk: Desk, client: Wire, owner: Owner) -> list[str]:
    """Have `client` define `mail` as that owner; what it is told: the kind of answer, and the notice or error."""
    one = spec("mail", owner=owner)
    for path in (desk.home.bundles / one.bundle, desk.home.environments / f"{one.env_id}.json"):
        path.touch()
    desk.requests.take(cast(Channel, client), m.Request(1, m.DefineTask(one)))
    desk.settle()
    match client.sent[-1]:
        case m.Reply(body=m.Defined(notice=notice)):
            return ["Defined", notice]
        case m.Refused(error=error):
            return [error["code"], error["message"]]
    raise AssertionError(client.sent[-1])


def test_an_id_of_a_module_is_guarded_while_a_client_that_defined_it_is_connected(desk: Desk) -> None:
    # A client was connected as its notebook or script only, so ids of the modules it imports were anybody's.
    one, two, three = Wire(), Wire(), Wire()
    for client in (one, two, three):
        desk.requests.greet(cast(Channel, client), ["notebook a.ipynb"])

    assert define(desk, one, MODULE) == ["Defined", ""]
    assert define(desk, two, MODULE) == ["Defined", ""], "two processes may import one module"
    code, words = define(desk, three, COPY)
    assert code == "duplicate_task"
    assert str(MODULE) in words and str(COPY) in words

    desk.requests.forget(cast(Channel, one))
    assert define(desk, three, COPY)[0] == "duplicate_task", "the second client of the module is still there"
    desk.requests.forget(cast(Channel, two))
    assert define(desk, three, COPY) == ["Defined", f"The task 'mail' was taken over from {MODULE}."]


def test_a_client_that_connects_again_says_which_ids_are_its_own(desk: Desk) -> None:
    one, two = Wire(), Wire()
    define(desk, one, MODULE)
    desk.requests.forget(cast(Channel, one))

    again = Wire()
    desk.requests.greet(cast(Channel, again), ["notebook a.ipynb", str(MODULE)])

    assert define(desk, two, COPY)[0] == "duplicate_task"


def test_a_client_whose_process_an_attempt_started_triggers_children_of_its_run(desk: Desk) -> None:
    desk.trigger("run_parent")
    desk.settle()
    fence = desk.core.state.runs["run_parent"].fence
    desk.requests.greet(cast(Channel, desk.client), ("notebook:report.ipynb",), m.LiveAttempt("run_parent", fence, 1))

    desk.ask(m.Trigger((item("run_child"),)))

    assert desk.core.state.runs["run_child"].parent_id == "run_parent"
