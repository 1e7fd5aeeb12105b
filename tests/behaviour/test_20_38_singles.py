"""Paragraphs of §20 to §38 that one test each is enough for."""

from __future__ import annotations

import asyncio
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

import kernelkit as kk
from kernelkit.authoring import caller as callers
from kernelkit.ids import make_id
from kernelkit.models.run import FINAL
from kernelkit.models.value import Value
from kernelkit.testing import VirtualEngine, engine
from kernelkit.wire.messages import Trigger, TriggerItem
from tests.behaviour.conftest import Stage

START = datetime(2030, 1, 1, tzinfo=UTC)
STOPPED = kk.Queue("stopped-for-good", concurrency_limit=0)


@pytest.mark.parametrize("name", ["a b", "", "ä", "x" * 129, "a.b", "a\n"])
def test_20_2_a_queue_has_a_name_of_letters_digits_and_few_marks(name: str) -> None:
    with pytest.raises(kk.InvalidOptionError, match="not a queue"):
        kk.Queue(name)
    assert kk.Queue("Aa0_-/" + "x" * 122).name.startswith("Aa0_-/")


@pytest.mark.parametrize("limit", [-1, 100_001, 1.5, "3", True])
def test_20_3_a_limit_is_a_whole_number_and_zero_stops_the_queue(limit: Any, kk_engine: VirtualEngine) -> None:
    with pytest.raises(kk.InvalidOptionError, match="concurrency_limit"):
        kk.Queue("limited", concurrency_limit=limit)

    @kk.task(queue=STOPPED)
    async def never() -> None: ...

    run = never.trigger()
    kk_engine.advance(days=1)
    assert (run.status, kk.queues.retrieve(STOPPED).concurrency_limit) == ("QUEUED", 0)
    assert "0" in (run.refresh().queued_reason or "")


def test_20_4_the_project_has_a_limit_over_all_queues() -> None:
    @kk.task
    async def works() -> None:
        await asyncio.sleep(10)

    with engine(concurrency_limit=3) as eng:
        runs = [works.options(queue=kk.Queue(f"q{number}", concurrency_limit=9)).trigger() for number in range(7)]
        eng.drain()
        assert [str(run.status) for run in runs].count("EXECUTING") == 3
        assert "3 of 3" in (runs[-1].refresh().queued_reason or "")
        eng.advance(seconds=31)

        ended = sorted(run.refresh().finished_at or START for run in runs)
        assert [round((at - ended[0]).total_seconds()) for at in ended] == [0, 0, 0, 10, 10, 10, 20]


def test_20_5_only_what_executes_counts() -> None:
    @kk.task(queue=kk.Queue("counted", concurrency_limit=2))
    async def works(waits: bool = False) -> None:
        if waits:
            await kk.wait.for_(days=1)
        await asyncio.sleep(60)

    with engine() as eng:
        waiting = works.trigger(waits=True)
        eng.advance(seconds=1)
        executing = [works.trigger(), works.trigger()]
        queued, delayed = works.trigger(), works.options(delay="1h").trigger()
        eng.drain()
        queue = kk.queues.retrieve("counted")

        assert (waiting.status, queued.status, delayed.status) == ("WAITING", "QUEUED", "DELAYED")
        assert [run.status for run in executing] == ["EXECUTING"] * 2
        assert (queue.running, queue.queued) == (2, 1)


def test_20_7_a_trigger_names_a_queue_that_there_is_or_makes_one(stage: Stage) -> None:
    @kk.task
    async def goes() -> str:
        return str(kk.ctx.queue.name)

    with pytest.raises(kk.UnknownQueueError, match="no queue 'nowhere'"):
        goes.options(queue="nowhere").trigger()
    run = goes.options(queue=kk.Queue("made-by-it", concurrency_limit=1)).trigger()
    stage.finish()

    assert run.result(timeout=20).output == "made-by-it"
    assert kk.queues.retrieve("made-by-it").concurrency_limit == 1
    assert goes.options(queue="made-by-it").trigger().result(timeout=20).output == "made-by-it"


def test_20_8_children_have_the_queue_of_their_own_task(stage: Stage) -> None:
    @kk.task
    async def child_of_queue() -> None: ...

    @kk.task(queue=kk.Queue("of-the-parent"))
    async def parent_of_queue() -> str:
        return child_of_queue.trigger().id

    run = parent_of_queue.options(concurrency_key="k", priority=5).trigger()
    stage.finish()
    child = kk.runs.retrieve(run.result(timeout=20).output)

    assert (child.queue, child.concurrency_key, child.priority) == ("task/child-of-queue", None, 0)


def test_20_11_a_queue_tells_what_it_is_and_does() -> None:
    @kk.task(queue=kk.Queue("told", concurrency_limit=2, rate_limit="100/m"))
    async def works() -> None:
        await asyncio.sleep(60)

    with engine() as eng:
        for key in ("a", "a", "a", "b"):
            works.options(concurrency_key=key).trigger()
        eng.drain()
        kk.queues.set_concurrency("told", 1)
        queue = kk.queues.retrieve("told")

        assert (queue.name, queue.type, queue.running, queue.queued, queue.paused) == ("told", "custom", 3, 1, False)
        assert (queue.concurrency.current, queue.concurrency.base, queue.concurrency.override) == (1, 2, 1)
        assert queue.concurrency.overridden_at == eng.now
        assert (queue.rate_limit, queue.concurrency_limit) == ("100/m", 1)
        assert {each.key: (each.running, each.queued) for each in queue.keys} == {"a": (2, 1), "b": (1, 0)}
        assert kk.queues.retrieve(works).name == "told"


def test_21_10_a_request_that_is_sent_again_makes_no_second_run(stage: Stage) -> None:
    @kk.task
    async def once_only() -> None: ...

    once_only.register()
    asked = Trigger((TriggerItem(make_id("run"), "once-only", Value(text="null", size=4)),))

    replies = [callers.current().call(asked) for _ in range(3)]
    stage.finish()

    assert replies[0] == replies[1] == replies[2]
    assert kk.runs.list(task="once-only").total == 1


def test_22_8_parents_that_wait_share_a_debounced_run() -> None:
    @kk.task
    async def shared(n: int) -> int:
        return n

    @kk.task
    async def asks(n: int) -> list[Any]:
        often = shared.options(debounce=kk.Debounce("one", delay="30s", mode="trailing"))
        result = await often.trigger_and_wait(n=n)
        return [result.id, result.output]

    with engine() as eng:
        parents = []
        for number in range(3):
            parents.append(asks.trigger(n=number))
            eng.advance(seconds=10)
        assert [run.status for run in parents] == ["WAITING"] * 3
        eng.advance(minutes=1)

        told = [run.result(timeout=5).output for run in parents]
        assert told == [told[0]] * 3
        assert told[0][1] == 2
        assert kk.runs.list(task="shared").total == 1


def test_23_5_completed_means_ended_however_it_did(kk_engine: VirtualEngine) -> None:
    @kk.task(retry=None, queue=STOPPED)
    async def stands() -> None: ...

    run = stands.options(ttl="1m").trigger()
    assert not run.refresh().is_completed
    kk_engine.advance(minutes=2)

    assert (run.refresh().status, run.refresh().is_completed) == ("EXPIRED", True)
    assert set(FINAL) == {
        "COMPLETED",
        "FAILED",
        "CANCELED",
        "CRASHED",
        "SYSTEM_FAILURE",
        "EXPIRED",
        "TIMED_OUT",
    }


def test_24_2_the_time_of_all_attempts_adds_up() -> None:
    @kk.task(retry=kk.Retry(max_attempts=3, min_timeout=60, max_timeout=60, randomize=False))
    async def works(ctx: kk.Context) -> None:
        await asyncio.sleep(7)
        if ctx.attempt.number < 3:
            raise ValueError("again")

    with engine() as eng:
        run = works.trigger()
        eng.advance(hours=1)
        usage = run.refresh().usage

    assert (usage.attempt_compute_s, usage.total_compute_s) == (7.0, 21.0)


def test_29_4_hooks_are_told_what_kind_of_wait_it_is(kk_engine: VirtualEngine) -> None:
    @kk.task
    async def leaf() -> None:
        await kk.wait.for_(seconds=60)

    @kk.task
    async def waits() -> dict[str, Any]:
        await kk.wait.for_(seconds=60)
        await kk.wait.for_token("of-29-4", timeout="1m")
        await leaf.trigger_and_wait()
        await leaf.batch_trigger_and_wait([None, None])
        return dict(kk.metadata.current())

    @waits.on_wait
    def note(wait: Any) -> None:
        kk.metadata.append("kinds", wait.type)
        facts = {"duration": wait.date, "token": wait.token, "task": wait.run_id, "batch": wait.batch_id}
        kk.metadata.append("known", facts[wait.type] is not None)

    run = waits.trigger()
    kk_engine.advance(hours=1)

    assert run.result(timeout=5).output == {"kinds": ["duration", "token", "task", "batch"], "known": [True] * 4}


def test_29_13_the_attempt_is_numbered_in_both_places(stage: Stage) -> None:
    @kk.task(retry=kk.Retry(max_attempts=2, min_timeout=0.01, max_timeout=0.01))
    async def numbered(ctx: kk.Context) -> list[int]:
        if ctx.attempt.number == 1:
            raise ValueError("again")
        return [ctx.attempt.number, ctx.run.attempt.number]

    run = numbered.trigger()
    stage.finish()

    assert run.result(timeout=20).output == [2, 2]


@kk.task
async def of_schedule(payload: kk.ScheduledPayload) -> None: ...


def test_32_5_one_deduplication_key_is_one_schedule(kk_engine: VirtualEngine) -> None:
    first = kk.schedules.create(task=of_schedule, cron="0 8 * * *", deduplication_key="u1", external_id="u")
    second = kk.schedules.create(task=of_schedule, cron="0 9 * * *", deduplication_key="u1", timezone="Asia/Tokyo")
    other = kk.schedules.create(task=of_schedule, cron="0 8 * * *", deduplication_key="u2")

    assert (first.id, second.id == first.id, other.id == first.id) == (first.id, True, False)
    told = {each.id: (each.cron, each.timezone) for each in kk.schedules.list()}
    assert told == {first.id: ("0 9 * * *", "Asia/Tokyo"), other.id: ("0 8 * * *", "UTC")}


def test_32_6_an_update_changes_what_it_names_and_never_the_key(kk_engine: VirtualEngine) -> None:
    made = kk.schedules.create(
        task=of_schedule, cron="0 8 * * *", timezone="Asia/Tokyo", external_id="u", deduplication_key="u1"
    )

    changed = kk.schedules.update(made.id, cron="30 9 * * *")

    assert (changed.cron, changed.timezone, changed.external_id) == ("30 9 * * *", "Asia/Tokyo", "u")
    assert changed.deduplication_key == "u1"
    with pytest.raises(kk.InvalidOptionError, match="deduplication_key"):
        kk.schedules.update(made.id, deduplication_key="u2")


def test_32_12_a_schedule_tells_what_it_is() -> None:
    with engine(now=START) as eng:
        made = kk.schedules.create(task=of_schedule, cron="0 8 * * *", deduplication_key="u1", external_id="u")
        eng.advance(days=1, hours=12)
        told = kk.schedules.retrieve(made.id)

    assert (told.type, told.task_id, told.active, told.cron) == ("IMPERATIVE", "of-schedule", True, "0 8 * * *")
    assert (told.description, told.fired) == ("At 08:00", 2)
    assert told.next_run == START + timedelta(days=2, hours=8)
    assert told.last_run == START + timedelta(days=1, hours=8)


def test_34_3_locals_belong_to_one_run(stage: Stage) -> None:
    @kk.task
    async def keeps(n: int) -> list[Any]:
        mine, same = kk.locals.create("of-34-3"), kk.locals.create("of-34-3")
        before = kk.locals.get(mine)
        kk.locals.set(mine, n)
        await asyncio.sleep(0.01)
        return [before, kk.locals.get(same), kk.locals.get_or_raise(mine)]

    batch = keeps.batch_trigger([{"n": number} for number in range(5)])
    stage.finish()

    assert [each.output for each in batch.result(timeout=20)] == [[None, n, n] for n in range(5)]


def test_35_3_a_listed_run_tells_what_a_table_needs(stage: Stage) -> None:
    @kk.task(tags=["b", "a"])
    async def listed(x: int) -> int:
        kk.metadata.set("x", x)
        return x

    run = listed.options(test=True, ttl="1h", idempotency_key="k-35-3").trigger(x=1)
    stage.finish()
    run.result(timeout=20)
    (found,) = kk.runs.list(task="listed")

    assert (found.id, found.status, found.task_id, found.version) == (run.id, "COMPLETED", "listed", listed.version)
    assert (found.tags, found.is_test, found.ttl, found.idempotency_key) == (("a", "b"), True, 3600.0, "k-35-3")
    assert (found.metadata, found.output, found.payload) == ({"x": 1}, 1, {"x": 1})
    assert found.created_at <= (found.queued_at or START) <= (found.started_at or START) <= (found.finished_at or START)
    assert found.duration is not None and found.usage.total_compute_s >= 0


def test_35_5_the_verbs_work_by_id(stage: Stage) -> None:
    @kk.task
    async def verbs(x: int = 1) -> int:
        return x

    delayed = verbs.options(delay="2d").trigger()
    moved = kk.runs.reschedule(delayed.id, delay="3d")
    assert moved.delay_until is not None
    assert kk.runs.cancel(delayed.id, "enough").canceled_reason == "enough"
    again = kk.runs.replay(delayed.id, {"x": 5})
    stage.finish()

    assert again.result(timeout=20).output == 5
    assert (kk.runs.retrieve(delayed.id).status, again.refresh().is_replay) == ("CANCELED", True)
    with kk.runs.subscribe(again.id) as subscription:
        assert [each.status for each in subscription] == ["COMPLETED"]


def test_35_6_following_ends_for_every_kind_of_end() -> None:
    @kk.task(retry=None, queue=STOPPED)
    async def stands() -> None: ...

    @kk.task(retry=None, max_duration=5)
    async def long() -> None:
        await asyncio.sleep(600)

    with engine() as eng:
        expires, times_out = stands.options(ttl="1m").trigger(), long.trigger()
        eng.advance(minutes=2)

        assert [expires.result(timeout=5).ok, times_out.result(timeout=5).ok] == [False, False]
        assert (expires.status, times_out.status) == ("EXPIRED", "TIMED_OUT")
        assert "TTL" in str(expires.result(timeout=5).error)
        assert "max_duration" in str(times_out.result(timeout=5).error)


def test_38_3_children_run_the_latest_code_of_their_own_task() -> None:
    with engine() as eng:

        @kk.task(id="changing")
        async def old() -> str:
            return "old"

        @kk.task
        async def parent() -> list[str]:
            await kk.wait.for_(hours=1)
            return [
                (await kk.tasks.trigger_and_wait("changing").unwrap()),
                (await old.trigger_and_wait().unwrap()),
            ]

        old.register()
        run = parent.trigger()
        eng.advance(minutes=1)

        @kk.task(id="changing", replace=True)
        async def new() -> str:
            return "new"

        new.register()
        eng.advance(hours=2)

        # inside a run a Task object stands for its id, as it was shipped
        assert run.result(timeout=5).output == ["new", "new"]
