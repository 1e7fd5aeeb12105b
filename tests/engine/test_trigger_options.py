"""What a trigger may ask for: a queue, a key, a priority, a delay, a time to live, a longest duration."""

from __future__ import annotations

import pytest

from kernelkit.engine import commands as c
from kernelkit.engine.decide import next_due
from kernelkit.errors import InvalidOptionError
from kernelkit.models import event as ev
from kernelkit.models.run import RunStatus
from kernelkit.wire import messages as m
from tests.engine.samples import SECOND, T0, Engine, item, spec

ONE = c.Capacity(attempts=1)

# ---- queues ----------------------------------------------------------------------------------------------------------


def test_a_trigger_makes_a_queue_with_its_limit_and_changes_it() -> None:
    engine = Engine()

    assert engine.trigger(item("run_1", queue="images", queue_limit=1))[0] == "QueueLimited"
    assert "RunDispatched" not in engine.trigger(item("run_2", queue="images"))
    assert engine.trigger(item("run_3", queue="images", queue_limit=2)) == [
        "QueueLimited",
        "RunTriggered",
        "RunDispatched",
    ]
    assert engine.state.holders == {"run_1", "run_2"}


def test_a_queue_that_nobody_made_is_refused_with_one_that_is_like_it() -> None:
    engine = Engine(spec(queue="images"))

    with pytest.raises(InvalidOptionError, match=r"no queue 'image' .*Did you mean 'images'.*kk\.Queue"):
        engine.trigger(item("run_1", queue="image"))


def test_items_of_one_batch_may_name_the_queue_that_another_of_them_makes() -> None:
    # Found while the simulation learned of queues: such a batch was refused, in whichever order its items were.
    engine = Engine()

    engine.trigger(item("run_1", queue="images"), item("run_2", queue="images", queue_limit=1))

    assert (engine.state.limit_of("images"), engine.state.holders) == (1, {"run_1"})


def test_each_key_has_a_copy_of_the_queue_with_the_whole_limit() -> None:
    engine = Engine(spec(concurrency_limit=1))

    engine.trigger(*(item(f"run_{key}{n}", concurrency_key=key) for key in ("", "ann", "bob") for n in (1, 2)))

    assert engine.state.holders == {"run_1", "run_ann1", "run_bob1"}


def test_priority_is_seconds_by_which_a_run_goes_ahead() -> None:
    engine = Engine(capacity=ONE)
    engine.trigger("run_0", "run_early")
    engine.pass_time(10)
    engine.trigger(item("run_less", priority=9.0), item("run_more", priority=11.0))

    order: list[str] = []
    for _ in range(3):
        engine.succeed(next(iter(engine.state.holders)))
        order += engine.state.holders

    assert order == ["run_more", "run_early", "run_less"]


def test_who_comes_after_the_clock_was_set_back_overtakes_nobody() -> None:
    engine = Engine(capacity=ONE)
    engine.trigger("run_0", "run_first")
    engine.pass_time(-3_600)
    engine.trigger("run_second")

    engine.succeed("run_0")

    assert engine.state.holders == {"run_first"}


# ---- delays ----------------------------------------------------------------------------------------------------------


def test_a_delayed_run_enters_its_queue_at_its_moment_behind_those_that_wait_there() -> None:
    engine = Engine(capacity=ONE)
    engine.trigger(item("run_late", delay_s=5.0))
    engine.trigger("run_0", "run_1")

    assert engine.run("run_late").status is RunStatus.DELAYED
    assert engine.pass_time(4.9) == []
    assert engine.pass_time(0.1) == ["DelayOver"]

    engine.succeed("run_0")
    assert engine.state.holders == {"run_1"}


def test_a_rescheduled_run_waits_for_its_new_moment_only() -> None:
    engine = Engine()
    engine.trigger(item("run_1", delay_s=5.0))

    engine.take(c.RescheduleRun("run_1", delay_until=T0 + 60 * SECOND))
    assert (engine.pass_time(59), next_due(engine.state)) == ([], T0 + 60 * SECOND)
    engine.take(c.RescheduleRun("run_1", delay_s=0.5))

    assert engine.pass_time(0.5) == ["DelayOver", "WorkerPlanned", "RunDispatched"]


@pytest.mark.parametrize("run_id", ["run_1", "run_unknown"])
def test_only_a_delayed_run_is_rescheduled(run_id: str) -> None:
    engine = Engine()
    engine.trigger("run_1")

    with pytest.raises(InvalidOptionError, match=rf"not delayed: {run_id} is"):
        engine.take(c.RescheduleRun(run_id, delay_s=5.0))


# ---- time to live ----------------------------------------------------------------------------------------------------


def test_a_run_expires_in_its_queue_and_its_delay_does_not_count() -> None:
    engine = Engine(capacity=ONE)
    engine.trigger("run_0", item("run_1", delay_s=10.0, ttl=3.0))

    assert engine.pass_time(10) == ["DelayOver"]
    assert engine.pass_time(2.9) == []
    assert engine.pass_time(0.1) == ["RunFinished"]

    ended = engine.last(ev.RunFinished)
    assert ended.status is RunStatus.EXPIRED
    assert ended.error.message == "Run expired because the TTL (3 s) was reached"


def test_a_run_that_was_dispatched_once_never_expires() -> None:
    engine = Engine()
    engine.trigger(item("run_1", ttl=3.0))
    engine.capacity = c.Capacity(0)
    engine.take(c.AttemptNeverArrived("run_1", engine.run("run_1").fence))

    assert (next_due(engine.state), engine.pass_time(60)) == (None, [])
    assert engine.run("run_1").status is RunStatus.QUEUED


def test_a_triggers_own_times_go_before_those_of_the_task() -> None:
    engine = Engine(spec(ttl=5.0, max_duration=7.0), capacity=c.Capacity(0))
    engine.trigger("run_1", item("run_2", ttl=0.0, max_duration=0.0), item("run_3", ttl=1.0, max_duration=2.0))

    times = [(engine.run(run_id).ttl, engine.run(run_id).max_duration) for run_id in ("run_1", "run_2", "run_3")]

    assert times == [(5.0, 7.0), (0.0, 0.0), (1.0, 2.0)]


# ---- longest duration ------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("end", ["succeed", "fail"])
def test_an_attempt_that_took_too_long_keeps_its_slot_until_it_ends_and_is_not_retried(end: str) -> None:
    engine = Engine(capacity=ONE)
    engine.trigger(item("run_1", max_duration=10.0), "run_2")
    engine.pass_time(60)  # its worker starts slowly: that does not count
    engine.start("run_1")

    assert engine.pass_time(9.9) == []
    assert engine.pass_time(0.1) == ["RunTimedOut"]
    assert engine.state.holders == {"run_1"}
    assert engine.run("run_1").stop_reason == "Run exceeded max_duration of 10 seconds"

    assert getattr(engine, end)("run_1") == ["AttemptStopped", "RunDispatched"]
    assert list(engine.state.runs) == ["run_2"]


def test_every_attempt_has_the_whole_duration() -> None:
    engine = Engine()
    engine.trigger(item("run_1", max_duration=10.0))
    engine.start("run_1")
    engine.pass_time(9)
    engine.fail("run_1")
    assert engine.pass_time(2) == ["RetryDue", "RunDispatched"]
    engine.start("run_1")

    assert engine.pass_time(9.9) == []
    assert engine.pass_time(0.1) == ["RunTimedOut"]


def test_what_a_body_still_triggers_after_its_time_is_canceled_and_says_why() -> None:
    # Its reason was that the parent had been canceled, which nobody had done.
    engine = Engine()
    engine.trigger(item("run_1", max_duration=1.0))
    engine.start("run_1")
    engine.pass_time(1)

    events = engine.report("run_1", m.ChildTrigger((item("run_2"),), op="a"))

    assert events == ["RunTriggered", "RunCanceled", "OpDone"]
    assert engine.last(ev.RunCanceled).reason == "Parent run_1 took longer than it may"


# ---- timers ----------------------------------------------------------------------------------------------------------


def test_timers_of_runs_that_are_over_do_not_pile_up() -> None:
    # Each run left its timers behind until their moment came: an hour of short runs that may take an hour.
    engine = Engine()

    for n in range(2_000):
        engine.trigger(item(f"run_{n}", ttl=3_600.0, max_duration=3_600.0))
        engine.start(f"run_{n}")
        engine.succeed(f"run_{n}")

    assert not engine.state.runs
    assert len(engine.state.due) <= 1_003


def test_a_tick_among_many_timers_finds_those_that_are_due_in_their_order() -> None:
    # It used to sort all of them each time.
    engine = Engine(capacity=c.Capacity(0))
    for n in range(1_000):
        engine.trigger(item(f"run_{n:03}", delay_s=float(n * 7 % 1_000 + 1)))

    assert engine.pass_time(3) == ["DelayOver"] * 3

    due = [event.run_id for event in engine.log if isinstance(event, ev.DelayOver)]
    assert [int(run_id[4:]) * 7 % 1_000 for run_id in due] == [0, 1, 2]
