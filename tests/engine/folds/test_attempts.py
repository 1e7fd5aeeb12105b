from __future__ import annotations

from kernelkit.engine import commands as c
from kernelkit.models.run import RunStatus
from tests.engine.samples import Engine


def test_an_attempt_that_never_began_leaves_no_trace_in_the_run() -> None:
    engine = Engine(capacity=c.Capacity(attempts=1))
    engine.trigger("run_1")
    engine.capacity = c.Capacity(attempts=0)

    engine.take(c.AttemptNeverArrived("run_1", "f1"))

    run = engine.run("run_1")
    assert (run.status, run.attempt, run.fence, run.started_at, run.past) == (RunStatus.QUEUED, 0, "", 0, ())


def test_past_attempts_say_when_where_and_how_they_ended() -> None:
    engine = Engine()
    engine.trigger("run_1")
    engine.start("run_1")
    engine.pass_time(2)
    engine.fail("run_1")

    (past,) = engine.run("run_1").past

    assert (past.number, past.status, past.worker_id) == (1, "FAILED", "w1")
    assert past.finished_at - past.started_at >= 0
    assert past.error is not None and past.error.message == "broken"
