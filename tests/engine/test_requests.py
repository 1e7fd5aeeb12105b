from __future__ import annotations

from typing import cast

import pytest

from kernelkit.engine import commands as c
from kernelkit.engine.logbook import Logbook
from kernelkit.engine.notices import Notices
from kernelkit.wire import messages as m
from kernelkit.wire.channel import Channel
from tests.engine.desk import Desk
from tests.engine.samples import item, spec
from tests.engine.yard import succeeded


def test_a_bug_in_one_request_is_told_to_its_client_and_harms_nobody(
    desk: Desk, caplog: pytest.LogCaptureFixture
) -> None:
    desk.ask(m.Trigger((item("run_1"),)))
    desk.core.view = None  # type: ignore[assignment,method-assign]  # the bug

    desk.ask(m.Trigger((item("run_2"),)), again=True)

    assert "could not carry this out" in desk.client.of(m.Refused)[-1].error["message"]
    assert "request failed" in caplog.text


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
