"""What is set for queues, what may be asked of them, and how they look from outside."""

from __future__ import annotations

from typing import Any

import pytest

from kernelkit.clock import to_datetime
from kernelkit.engine import commands as c
from kernelkit.engine.queues import KEYS_SHOWN, QueueRecord, names, queue_info, queue_infos
from kernelkit.errors import InvalidOptionError, QueueFullError, UnknownQueueError, UnknownTaskError
from kernelkit.models import event as ev
from kernelkit.models.queue import RateLimit
from tests.engine.samples import SECOND, T0, Engine, item, spec


def limit(engine: Engine, queue: str) -> int | None:
    return queue_info(engine.state, queue, engine.now).concurrency_limit


# ---- limits ----------------------------------------------------------------------------------------------------------


def test_a_definition_sets_the_limit_of_its_queue_and_a_later_one_takes_it_back() -> None:
    engine = Engine(spec(concurrency_limit=3))
    assert limit(engine, "task/resize") == 3

    engine.take(c.DefineTask(spec(fingerprint="2")))

    assert limit(engine, "task/resize") is None


def test_a_shared_queue_keeps_the_limit_that_one_of_its_tasks_has_set() -> None:
    engine = Engine(spec("a", queue="images", concurrency_limit=2), spec("b", queue="images"))

    assert limit(engine, "images") == 2


def test_a_trigger_may_make_a_queue_or_change_it() -> None:
    engine = Engine()
    engine.trigger(item("run_1", queue="paid", queue_limit=2))
    assert (limit(engine, "paid"), engine.run("run_1").queue) == (2, "paid")

    assert "QueueLimited" in engine.trigger(item("run_2", queue="paid", queue_limit=5))
    assert "QueueLimited" not in engine.trigger(item("run_3", queue="paid", queue_limit=5))
    assert "QueueLimited" not in engine.trigger(item("run_4", queue="paid"))

    assert limit(engine, "paid") == 5


def test_a_refused_trigger_makes_no_queue() -> None:
    engine = Engine()

    with pytest.raises(UnknownTaskError):
        engine.trigger(item("run_1", "nothing", queue="paid", queue_limit=2))

    assert names(engine.state) == {"task/resize"}


def test_an_override_holds_over_every_definition_until_it_is_reset() -> None:
    engine = Engine(spec(concurrency_limit=3))
    engine.pass_time(5)
    engine.take(c.OverrideQueue("task/resize", 1, most=100))
    assert engine.events(c.OverrideQueue("task/resize", 1, most=100)) == []

    engine.take(c.DefineTask(spec(concurrency_limit=7, fingerprint="2")))
    told = queue_info(engine.state, "task/resize", engine.now).concurrency
    assert (told.current, told.base, told.override) == (1, 7, 1)
    assert told.overridden_at == to_datetime(T0 + 5 * SECOND)

    engine.take(c.OverrideQueue("task/resize", None, most=100))
    assert limit(engine, "task/resize") == 7


@pytest.mark.parametrize(
    ("command", "words"),
    [
        (c.OverrideQueue("task/resize", None, most=100), "not overridden"),
        (c.OverrideQueue("task/resize", -1, most=100), "whole number from 0"),
        (c.OverrideQueue("task/resize", 100_001, most=10**9), "whole number from 0"),
        (c.OverrideQueue("task/resize", 11, most=10), "over that of the whole project, which is 10"),
    ],
)
def test_a_limit_that_will_not_do_is_refused(command: c.OverrideQueue, words: str) -> None:
    engine = Engine()

    with pytest.raises(InvalidOptionError, match=words):
        engine.take(command)


@pytest.mark.parametrize(
    ("command", "near"),
    [
        (c.OverrideQueue("imges", 1, most=100), ["images"]),
        (c.PauseQueue("resize", True), ["task/resize"]),
        (c.PauseQueue("nothing like it", True), []),
    ],
)
def test_an_unknown_queue_is_refused_with_its_neighbour(command: c.Command, near: list[str]) -> None:
    engine = Engine(spec(), spec("other", queue="images"))

    with pytest.raises(UnknownQueueError) as refused:
        engine.take(command)

    assert refused.value.near == near


# ---- pauses ----------------------------------------------------------------------------------------------------------


def test_a_pause_is_an_event_once_and_so_is_its_end() -> None:
    engine = Engine()

    assert engine.events(c.PauseQueue("task/resize", False)) == []
    assert engine.events(c.PauseQueue("task/resize", True)) == ["QueuePaused"]
    assert engine.events(c.PauseQueue("task/resize", True)) == []
    assert queue_info(engine.state, "task/resize", engine.now).paused
    assert engine.events(c.PauseQueue("task/resize", False)) == ["QueueResumed"]


def test_the_project_is_paused_apart_from_its_queues() -> None:
    engine = Engine()
    engine.take(c.PauseQueue("", True))
    assert engine.events(c.PauseQueue("", True)) == []
    engine.trigger("run_1")
    assert not queue_info(engine.state, "task/resize", engine.now).paused
    assert engine.run("run_1").status == "QUEUED"

    engine.take(c.PauseQueue("", False))

    assert engine.run("run_1").status == "DEQUEUED"


# ---- size ------------------------------------------------------------------------------------------------------------


def test_a_queue_takes_no_more_than_may_wait_in_it_counting_those_of_the_same_call() -> None:
    engine = Engine(capacity=c.Capacity(attempts=0, queue_size=3))
    engine.trigger("run_1", "run_2")

    with pytest.raises(QueueFullError, match="is full: 3 runs wait") as refused:
        engine.take(c.TriggerRuns((item("run_3"), item("run_4"))))

    assert (refused.value.queued, refused.value.limit) == (3, 3)
    assert sorted(engine.state.runs) == ["run_1", "run_2"]
    engine.trigger("run_3")


def test_delayed_runs_take_no_room_in_a_queue() -> None:
    engine = Engine(capacity=c.Capacity(attempts=0, queue_size=1))
    engine.trigger(item("run_1", delay_s=60), item("run_2", delay_s=60))
    engine.trigger("run_3")

    with pytest.raises(QueueFullError):
        engine.take(c.TriggerRuns((item("run_4"),)))


# ---- rates -----------------------------------------------------------------------------------------------------------


def bucket(count: int = 2, per: Any = "m") -> QueueRecord:
    record = QueueRecord()
    record.set_rate(RateLimit(count, per), T0)
    return record


def test_a_bucket_is_full_at_first_and_fills_evenly() -> None:
    record = bucket()
    for _ in range(2):
        assert record.has_token(T0)
        record.take_token(T0)

    assert not record.has_token(T0 + 30 * SECOND - 1)
    assert record.next_token() == T0 + 30 * SECOND
    assert record.has_token(T0 + 30 * SECOND)


def test_a_bucket_holds_no_more_than_its_count() -> None:
    record = bucket()
    later = T0 + 86_400 * SECOND

    for _ in range(2):
        record.take_token(later)

    assert not record.has_token(later)


def test_another_rate_carries_over_what_was_used() -> None:
    record = bucket(10)
    for _ in range(8):
        record.take_token(T0)

    record.set_rate(RateLimit(20, "m"), T0)
    held = 0
    while record.has_token(T0):
        record.take_token(T0)
        held += 1

    assert held == 12


def test_without_a_rate_there_is_always_a_token() -> None:
    record = bucket(1)
    record.take_token(T0)

    record.set_rate(None, T0)

    assert record.has_token(T0)
    assert record.next_token() == 0


def test_a_throttled_queue_tells_when_it_goes_on() -> None:
    engine = Engine(spec(rate_limit=RateLimit(1, "m")))
    engine.trigger("run_1", "run_2")

    told = queue_info(engine.state, "task/resize", engine.now)

    assert (told.rate_limit, told.running, told.queued) == ("1/m", 1, 1)
    assert told.next_start_at == to_datetime(T0 + 60 * SECOND)
    engine.pass_time(60)
    engine.pass_time(60)
    assert queue_info(engine.state, "task/resize", engine.now).next_start_at is None


# ---- as seen from outside --------------------------------------------------------------------------------------------


def test_queues_are_listed_by_name_whoever_made_them() -> None:
    engine = Engine(spec("a"), spec("b", queue="images"))
    engine.trigger(item("run_1", "a", queue="paid", queue_limit=1))

    told = {each.name: each.type for each in queue_infos(engine.state, engine.now)}

    assert told == {"images": "custom", "paid": "custom", "task/a": "task"}
    assert list(told) == sorted(told)


def test_a_queue_shows_its_copies_with_the_most_queued_first() -> None:
    engine = Engine(spec(concurrency_limit=1))
    engine.trigger(*[item(f"a{n}", concurrency_key="a") for n in range(2)])
    engine.pass_time(1)
    engine.trigger(*[item(f"b{n}", concurrency_key="b") for n in range(4)], item("plain"))

    told = queue_info(engine.state, "task/resize", engine.now)

    assert [(each.key, each.running, each.queued) for each in told.keys] == [("b", 1, 3), ("a", 1, 1), ("", 1, 0)]
    assert (told.running, told.queued, told.key_count) == (3, 4, 3)
    assert told.oldest_queued_at == to_datetime(T0)
    assert [each.oldest_queued_at for each in told.keys] == [to_datetime(T0 + SECOND), to_datetime(T0), None]


def test_of_very_many_copies_a_hundred_are_shown_and_all_are_counted() -> None:
    engine = Engine(spec(concurrency_limit=0))
    engine.trigger(*[item(f"run_{n}", concurrency_key=f"k{n}") for n in range(150)])

    told = queue_info(engine.state, "task/resize", engine.now)

    assert (len(told.keys), told.key_count, told.queued) == (KEYS_SHOWN, 150, 150)


def test_settings_of_queues_come_back_with_the_log() -> None:
    engine = Engine(spec(concurrency_limit=3, rate_limit=RateLimit(5, "s")))
    engine.take(c.PauseQueue("task/resize", True))
    engine.take(c.OverrideQueue("task/resize", 2, most=10))

    again = type(engine.state).load(engine.state.dump())

    before, after = (queue_info(state, "task/resize", T0) for state in (engine.state, again))
    assert before == after
    assert [type(event) for event in engine.log if isinstance(event, ev.QueuePaused)] == [ev.QueuePaused]
