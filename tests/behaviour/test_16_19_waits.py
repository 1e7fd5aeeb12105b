"""Waiting runs, by the paragraphs of the specification's sections 16 to 19 and what was decided about them."""

from __future__ import annotations

import asyncio
import os
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

import kernelkit as kk
from kernelkit.testing import RealEngine, VirtualEngine, engine
from tests.behaviour.conftest import Stage

pytestmark = pytest.mark.timeout(120)


def waits(stage: Stage, run: kk.RunHandle[Any], kind: str) -> None:
    """Return once the run is suspended on such a wait."""

    def is_waiting() -> bool:
        now = run.refresh()
        assert not now.is_completed, (now.status, now.error)
        return now.status == "WAITING" and [each.type for each in now.waiting_for] == [kind]

    stage.until(is_waiting)


def result(stage: Stage, run: kk.RunHandle[Any]) -> Any:
    """The output of a run that nothing holds up any more."""
    if stage.is_virtual:
        stage.engine.drain()
    return run.result(timeout=30).unwrap()


def lose_workers(stage: Stage) -> None:
    """Every worker process ends as by `kill -9`."""
    if isinstance(stage.engine, VirtualEngine):
        stage.engine.lose_workers()
    else:
        assert isinstance(stage.engine, RealEngine)
        stage.engine.kill_workers()


# ---- §16, §13: children ----------------------------------------------------------------------------------------------


@kk.task
async def doubled(n: int) -> int:
    return 2 * n


@kk.task
def tripled(n: int) -> int:
    return 3 * n


@kk.task(retry=None)
async def broken_child() -> None:
    raise ValueError("the disk is full")


def test_16_1_a_parent_waits_for_its_child_and_gets_its_result(stage: Stage) -> None:
    @kk.task
    async def parent_of_one() -> list[Any]:
        first = await doubled.trigger_and_wait(n=1)
        handle = tripled.trigger(n=5)
        second = await handle
        return [first.ok, first.output, first.task_id, second.output, second.id == handle.id]

    run = parent_of_one.trigger()

    assert result(stage, run) == [True, 2, "doubled", 15, True]
    assert [attempt.status for attempt in run.refresh().attempts] == ["COMPLETED"]


def test_16_2_unwrap_chains_and_raises_what_the_child_failed_with(stage: Stage) -> None:
    @kk.task
    async def unwrapping() -> list[Any]:
        value = await doubled.trigger_and_wait(n=4).unwrap()
        failed = await broken_child.trigger_and_wait()
        try:
            await broken_child.trigger_and_wait().unwrap()
        except kk.SubtaskError as error:
            return [value, failed.ok, failed.error and failed.error.message, error.task_id]
        return []

    assert result(stage, unwrapping.trigger()) == [8, False, "the disk is full", "broken-child"]


def test_15_13_results_of_a_batch_come_in_the_order_of_its_items_and_one_failure_stops_none(stage: Stage) -> None:
    @kk.task
    async def parent_of_many() -> list[Any]:
        numbers = await doubled.batch_trigger_and_wait([{"n": n} for n in range(20)])
        mixed = await kk.batch.trigger_and_wait([(doubled, {"n": 50}), ("broken-child", None), (tripled, {"n": 2})])
        empty = await doubled.batch_trigger_and_wait([])
        byid = await kk.tasks.batch_trigger_and_wait("tripled", [{"n": 7}])
        return [[each.output for each in numbers], [each.ok for each in mixed], empty, byid[0].output]

    broken_child.register()
    expected = [[2 * n for n in range(20)], [True, False, True], [], 21]
    assert result(stage, parent_of_many.trigger()) == expected


def test_13_2_gather_over_handles_and_waits(stage: Stage) -> None:
    @kk.task
    async def gathering() -> list[Any]:
        handles = [doubled.trigger(n=n) for n in range(3)]
        both = await asyncio.gather(*handles, tripled.trigger_and_wait(n=9), kk.wait.for_(0))
        async with asyncio.TaskGroup() as group:
            first = group.create_task(_output(doubled.trigger(n=100)))
        return [*[each.output for each in both if each is not None], first.result()]

    assert result(stage, gathering.trigger()) == [0, 2, 4, 27, 200]


async def _output(handle: kk.RunHandle[int]) -> int:
    return (await handle).output


def test_16_1_plain_tasks_wait_by_result(stage: Stage) -> None:
    @kk.task
    def plain_parent() -> list[Any]:
        first = doubled.trigger_and_wait(n=1).unwrap().result()
        second = tripled.trigger(n=2).result().output
        many = doubled.batch_trigger_and_wait([{"n": n} for n in range(3)]).result()
        kk.wait.for_(0).result()
        return [first, second, [each.output for each in many]]

    assert result(stage, plain_parent.trigger()) == [2, 6, [0, 2, 4]]


def test_a_call_that_waits_and_is_never_awaited_fails_the_attempt_and_is_named(stage: Stage) -> None:
    @kk.task(retries=3)
    async def forgetful() -> str:
        doubled.trigger_and_wait(n=1)
        return "done"

    run = forgetful.trigger()
    if stage.is_virtual:
        stage.engine.drain()
    ended = run.result(timeout=30)

    assert ended.status == "FAILED" and ended.error is not None
    assert ended.error.name == "NeverAwaitedError"
    assert "doubled.trigger_and_wait(…)" in ended.error.message and ", line " in ended.error.message
    assert run.refresh().children == 0
    assert len(run.refresh().attempts) == 1


def test_a_pending_outside_of_a_run_triggers_and_follows(stage: Stage) -> None:
    pending = doubled.trigger_and_wait(n=21)
    run = doubled.trigger(n=1)
    if stage.is_virtual:
        assert run.result(timeout=30).output == 2
        return
    assert pending.unwrap().result(timeout=30) == 42


# ---- §17: time -------------------------------------------------------------------------------------------------------


def test_17_2_short_waits_are_slept_through_and_no_wait_takes_no_time(stage: Stage) -> None:
    @kk.task
    async def napping() -> str:
        await kk.wait.for_(0)
        await kk.wait.until(datetime(2020, 1, 1, tzinfo=UTC))
        await kk.wait.for_(seconds=0.05)
        return "awake"

    run = napping.trigger()
    stage.finish()

    assert run.result(timeout=30).output == "awake"


def test_17_2_a_moment_that_is_over_is_an_error_where_that_was_asked_for(stage: Stage) -> None:
    @kk.task(retry=None)
    async def too_late() -> None:
        await kk.wait.until(datetime(2020, 1, 1, tzinfo=UTC), raise_if_past=True)

    run = too_late.trigger()
    stage.finish()

    assert run.error is not None and "2020-01-01" in run.error.message and "is over" in run.error.message


def test_17_1_waits_outside_of_a_run_are_refused(stage: Stage) -> None:
    with pytest.raises(kk.NotInTaskError, match=r"kk.wait.for_\(…\) works only while a task is running"):
        kk.wait.for_(minutes=5)
    with pytest.raises(kk.NotInTaskError):
        kk.step("charge", print)


def test_17_3_a_long_wait_suspends_and_is_over_at_its_time() -> None:
    @kk.task
    async def sleepy() -> str:
        await kk.wait.for_(hours=24)
        return "rested"

    with engine(concurrency_limit=1) as eng:
        run, other = sleepy.trigger(), doubled.trigger(n=1)
        eng.drain()
        assert (run.status, other.status) == ("WAITING", "COMPLETED")
        assert str(run.refresh().waiting_for[0]).startswith("time, until ")
        eng.advance(hours=23)
        assert run.status == "WAITING"
        eng.advance(hours=2)
        assert run.output == "rested"
        assert run.refresh().usage.total_compute_s < 1


def test_17_4_waits_with_one_key_share_the_moment_of_the_first() -> None:
    @kk.task
    async def keyed(hours: int) -> float:
        await kk.wait.for_(hours=hours, idempotency_key="release")
        return datetime.now(UTC).timestamp()

    with engine() as eng:
        first = keyed.trigger(hours=2)
        eng.advance(hours=1)
        second = keyed.trigger(hours=100)
        eng.advance(minutes=90)
        third = keyed.trigger(hours=100)
        eng.drain()
        assert [run.status for run in (first, second, third)] == ["COMPLETED"] * 3
        assert not kk.tokens.list()


def test_suspended_time_is_no_part_of_max_duration() -> None:
    @kk.task(max_duration=60, retry=None)
    async def patient() -> str:
        await kk.wait.for_(hours=2)
        await asyncio.sleep(30)
        await kk.wait.for_(hours=2)
        await asyncio.sleep(45)
        return "never"

    with engine() as eng:
        run = patient.trigger()
        eng.advance(hours=3)
        assert run.status == "WAITING"
        eng.advance(hours=3)
        assert run.status == "TIMED_OUT"


def test_a_run_that_does_something_beside_its_wait_keeps_its_slot() -> None:
    @kk.task
    async def busy() -> str:
        await asyncio.gather(kk.wait.for_(hours=1), asyncio.sleep(600))
        return "both"

    with engine() as eng:
        run = busy.trigger()
        eng.advance(minutes=5)
        assert run.status == "EXECUTING"
        eng.advance(minutes=10)
        assert run.status == "WAITING"
        eng.advance(hours=1)
        assert run.output == "both"


# ---- §18: tokens -----------------------------------------------------------------------------------------------------


@kk.task
async def approved(token: str, within: str | None = None) -> list[Any]:
    answer = await kk.wait.for_token(token, timeout=within)
    return [answer.ok, answer.output, answer.error and answer.error.name]


def test_18_3_whoever_waits_for_a_token_goes_on_with_what_it_was_completed_with(stage: Stage) -> None:
    token = kk.tokens.create(timeout="1h", tags=["invoice"])
    runs = [approved.trigger(token=token.id) for _ in range(3)]
    for run in runs:
        waits(stage, run, "token")

    assert token.complete({"approved": True}).status == "COMPLETED"
    assert kk.tokens.complete(token.id, {"approved": False}).output == {"approved": True}

    assert [result(stage, run) for run in runs] == [[True, {"approved": True}, None]] * 3
    assert kk.tokens.retrieve(token.id).tags == ("invoice",)
    assert token in kk.tokens.list(tag="invoice", status="completed")


def test_18_8_a_token_completed_beforehand_holds_nobody_up(stage: Stage) -> None:
    kk.tokens.complete(f"early-{stage.is_virtual}", 17)

    assert result(stage, approved.trigger(token=f"early-{stage.is_virtual}")) == [True, 17, None]


def test_18_a_name_makes_a_token_at_its_first_use(stage: Stage) -> None:
    name = f"deploy-{stage.is_virtual}"
    run = approved.trigger(token=name)
    waits(stage, run, "token")
    assert kk.tokens.retrieve(name).name == name

    kk.tokens.complete(name)

    assert result(stage, run) == [True, None, None]


def test_18_9_a_key_gives_the_token_that_has_it(stage: Stage) -> None:
    first = kk.tokens.create(idempotency_key=f"k-{stage.is_virtual}")
    again = kk.tokens.create(idempotency_key=f"k-{stage.is_virtual}")

    assert (again.id, again.is_cached, first.is_cached) == (first.id, True, False)


def test_18_4_an_unknown_token_is_refused_with_words(stage: Stage) -> None:
    with pytest.raises(kk.UnknownTokenError, match="There is no token 'waitpoint_0000"):
        kk.tokens.complete("waitpoint_000000000000000000", 1)

    @kk.task(retry=None)
    async def hopeless() -> None:
        await kk.wait.for_token("waitpoint_000000000000000000")

    run = hopeless.trigger()
    if stage.is_virtual:
        stage.engine.drain()
    error = run.result(timeout=30).error
    assert error is not None and error.name == "UnknownTokenError"


def test_18_6_tokens_and_waits_for_them_time_out() -> None:
    with engine() as eng:
        token = kk.tokens.create(timeout="2h")
        run, brief = approved.trigger(token=token.id), approved.trigger(token=token.id, within="1h")
        eng.advance(minutes=90)
        assert (run.status, brief.output) == ("WAITING", [False, None, "WaitTimeoutError"])
        eng.advance(hours=1)
        assert run.output == [False, None, "WaitTimeoutError"]
        assert token.refresh().status == "TIMED_OUT"

        @kk.task(retry=None)
        async def strict() -> None:
            await kk.wait.for_token("nobody", timeout="1h").unwrap()

        failed = strict.trigger()
        eng.advance(hours=2)
        assert failed.error is not None and failed.error.name == "WaitTimeoutError"


def test_a_token_made_and_completed_inside_runs(stage: Stage) -> None:
    @kk.task
    async def completes(token: str) -> None:
        kk.tokens.complete(token, ["from", "inside"])

    @kk.task
    async def asks() -> Any:
        token = kk.tokens.create()
        completes.trigger(token=token.id)
        return await kk.wait.for_token(token).unwrap()

    completes.register()
    assert result(stage, asks.trigger()) == ["from", "inside"]


# ---- §19: slots ------------------------------------------------------------------------------------------------------


@kk.task
async def link(left: int, plain_each: int) -> int:
    if not left:
        return 0
    task = "plain-link" if left % plain_each == 0 else "link"
    return 1 + int(await kk.tasks.trigger_and_wait(task, {"left": left - 1, "plain_each": plain_each}).unwrap())


@kk.task
def plain_link(left: int, plain_each: int) -> int:
    if not left:
        return 0
    child = {"left": left - 1, "plain_each": plain_each}
    return 1 + int(kk.tasks.trigger_and_wait("link", child).unwrap().result())


def check_chain(stage: Stage, depth: int, plain_each: int) -> None:
    link.register()
    plain_link.register()
    run = link.trigger(left=depth, plain_each=plain_each)
    stage.finish()

    ended = run.result(timeout=90)
    assert (ended.output, ended.error) == (depth, None)
    below = kk.runs.list(root=run.id, limit=100)
    assert below.total == depth + 1, "as many runs as links, none of them twice"
    assert kk.runs.list(root=run.id, task="plain-link").total == depth // plain_each


def test_19_7_a_chain_of_200_waiting_runs_ends_on_one_slot() -> None:
    with engine(concurrency_limit=1) as eng:
        check_chain(Stage(eng), 200, 4)


def test_19_7_a_chain_of_waiting_runs_ends_on_one_slot_of_real_workers(tmp_path: Path) -> None:
    with engine(home=tmp_path, real_time=True, concurrency_limit=1) as eng:
        check_chain(Stage(eng), 20, 5)


def test_cancel_of_a_waiting_run_ends_it_and_its_children(stage: Stage) -> None:
    @kk.task
    async def never_ending() -> None:
        await kk.wait.for_token(f"never-{kk.ctx.run.id}")

    @kk.task(on_cancel=lambda: kk.metadata.set("called", True))
    async def canceled_parent() -> None:
        await never_ending.trigger_and_wait()

    never_ending.register()
    run = canceled_parent.trigger()
    waits(stage, run, "task")
    child = kk.runs.list(parent=run.id)[0]

    assert run.cancel().status == "CANCELED"

    assert kk.runs.retrieve(child.id).status == "CANCELED"
    assert "called" not in run.refresh().metadata  # a suspended run is not asked


# ---- §29.11: hooks ---------------------------------------------------------------------------------------------------


def test_29_11_hooks_around_waits_are_told_what_is_waited_for(stage: Stage) -> None:
    def note(kind: str) -> Any:
        async def hook(wait: Any) -> None:
            kk.metadata.append("order", f"{kind} {wait.type}")

        return hook

    @kk.task(on_wait=note("wait"), on_resume=note("resume"))
    async def hooked() -> None:
        await kk.wait.for_(0.01)
        await doubled.trigger_and_wait(n=1)
        await doubled.batch_trigger_and_wait([{"n": 1}, {"n": 2}])
        kk.tokens.complete(f"hooked-{kk.ctx.run.id}")
        await kk.wait.for_token(f"hooked-{kk.ctx.run.id}")

    run = hooked.trigger()
    stage.finish()
    run.result(timeout=30).unwrap()

    kinds = ("task", "batch", "token")
    assert run.refresh().metadata["order"] == [f"{when} {kind}" for kind in kinds for when in ("wait", "resume")]


def test_29_5_an_error_of_such_a_hook_is_raised_where_the_wait_stands(stage: Stage) -> None:
    def refuse() -> None:
        raise RuntimeError("not now")

    @kk.task(on_wait=refuse)
    def refused() -> str:
        try:
            doubled.trigger_and_wait(n=1).result()
        except RuntimeError as error:
            return str(error)
        return "no error"

    assert result(stage, refused.trigger()) == "not now"


def test_waits_in_hooks_and_steps_are_refused(stage: Stage) -> None:
    async def in_a_step() -> str:
        try:
            await doubled.trigger_and_wait(n=1)
        except kk.NotInTaskError as error:
            return str(error)
        return "no error"

    @kk.task
    async def stepping() -> str:
        return await kk.step("inner", in_a_step)

    assert "cannot wait inside kk.step('inner', …)" in result(stage, stepping.trigger())


# ---- checkpoints -----------------------------------------------------------------------------------------------------


def test_a_run_whose_worker_is_gone_goes_on_from_its_checkpoints_and_repeats_nothing(stage: Stage) -> None:
    @kk.task
    async def survivor() -> list[Any]:
        kk.metadata.increment("begun")
        kk.tags.add("begun")
        handle = doubled.trigger(n=1)
        first = await tripled.trigger_and_wait(n=1).unwrap()
        step = await kk.step("once", _stepped)
        many = await doubled.batch_trigger_and_wait([{"n": n} for n in range(3)])
        token = kk.tokens.create(tags=["survivor"])
        kk.metadata.set("token", token.id)
        answer = await kk.wait.for_token(token).unwrap()
        kk.metadata.increment("ended")
        return [first, step, [each.output for each in many], answer, (await handle).output]

    run = survivor.trigger()
    waits(stage, run, "token")

    lose_workers(stage)
    stage.until(lambda: run.refresh().attempts[-1].worker == "")
    kk.tokens.complete(run.metadata["token"], "yes")

    assert result(stage, run) == [3, 17, [0, 2, 4], "yes", 2]
    ended = run.refresh()
    assert ended.children == 5
    assert {key: ended.metadata.get(key) for key in ("begun", "stepped", "ended")} == dict.fromkeys(
        ("begun", "stepped", "ended"), 1
    )
    assert len(ended.attempts) == 1 and ended.tags.count("begun") == 1


def test_a_plain_run_whose_worker_is_gone_goes_on_from_its_checkpoints(stage: Stage) -> None:
    @kk.task
    def plain_survivor() -> list[Any]:
        first = tripled.trigger_and_wait(n=1).unwrap().result()
        token = kk.tokens.create()
        kk.metadata.set("token", token.id)
        answer = kk.wait.for_token(token).unwrap().result()
        return [first, answer, kk.step("last", lambda: "kept").result()]

    run = plain_survivor.trigger()
    waits(stage, run, "token")

    lose_workers(stage)
    stage.until(lambda: run.refresh().attempts[-1].worker == "")
    kk.tokens.complete(run.metadata["token"], "yes")

    assert result(stage, run) == [3, "yes", "kept"]
    assert (run.refresh().children, len(run.refresh().attempts)) == (1, 1)


def test_a_body_that_goes_another_way_when_it_is_resumed_fails_with_words(monkeypatch: pytest.MonkeyPatch) -> None:
    @kk.task(retry=None)
    async def moody() -> None:
        await doubled.trigger_and_wait(n=len(os.environ["MOOD"]))
        await kk.wait.for_token("moody")

    monkeypatch.setenv("MOOD", "one")
    with engine() as eng:
        assert isinstance(eng, VirtualEngine)
        run = moody.trigger()
        eng.drain()
        assert run.status == "WAITING"
        monkeypatch.setenv("MOOD", "another")
        eng.lose_workers()
        kk.tokens.complete("moody")
        eng.drain()
        assert run.error is not None and run.error.name == "ReplayDivergedError"
        assert "wait task doubled" in run.error.message


def test_results_of_steps_hold_for_all_attempts(stage: Stage) -> None:
    @kk.task(retry=kk.Retry(max_attempts=3, min_timeout=0.01, max_timeout=0.02))
    async def charging(order: int) -> list[Any]:
        receipt = await kk.step("charge", _charge, order)
        if kk.ctx.attempt.number < 3:
            raise ConnectionError("try again")
        return [receipt, kk.ctx.attempt.number]

    run = charging.trigger(order=7)
    stage.finish()

    assert run.result(timeout=30).unwrap() == ["receipt of 7", 3]
    assert run.refresh().metadata == {"charges": 1}


def _stepped() -> int:
    kk.metadata.increment("stepped")
    return 17


async def _charge(order: int) -> str:
    kk.metadata.increment("charges")
    return f"receipt of {order}"


def test_a_process_of_its_own_is_let_go_after_a_while_and_the_run_goes_on_elsewhere() -> None:
    @kk.task
    def held() -> str:
        kk.wait.for_(hours=1).result()
        return "rested"

    with engine(hold_for=60) as eng:
        run = held.trigger()
        eng.advance(seconds=30)
        assert run.refresh().attempts[-1].worker
        eng.advance(minutes=5)
        assert (run.status, run.refresh().attempts[-1].worker) == ("WAITING", "")
        eng.advance(hours=1)
        assert run.output == "rested"


def test_waits_refuse_what_they_cannot_read() -> None:
    @kk.task(retry=None)
    async def asking(how: str) -> str:
        try:
            match how:
                case "naive":
                    kk.wait.until(datetime(2030, 1, 1))
                case "both":
                    kk.wait.for_("5m", minutes=1)
                case "token":
                    kk.wait.for_token(17)  # type: ignore[call-overload]  # the mistake
                case "timeout":
                    kk.tokens.create(timeout=timedelta(0))
        except kk.KernelKitError as error:
            return str(error)
        return "no error"

    with engine() as eng:
        runs = {how: asking.trigger(how=how) for how in ("naive", "both", "token", "timeout")}
        eng.drain()
        told = {how: str(run.output) for how, run in runs.items()}

    assert "time zone" in told["naive"]
    assert "not both" in told["both"]
    assert "17 is neither a token" in told["token"]
    assert "no time to complete" in told["timeout"]


@dataclass
class Receipt:
    number: int
    at: datetime


def test_results_of_steps_are_what_their_function_says_it_returns(stage: Stage) -> None:
    def charge(number: int) -> Receipt:
        return Receipt(number, datetime(2030, 1, 1, tzinfo=UTC))

    @kk.task(retry=kk.Retry(max_attempts=2, min_timeout=0.01, max_timeout=0.01))
    async def charges(ctx: kk.Context) -> list[object]:
        receipt = await kk.step("charge", charge, ctx.attempt.number * 0 + 7)
        if ctx.attempt.number == 1:
            kk.metadata.set("first", [type(receipt).__name__, receipt.at.year])
            raise ValueError("again")
        return [type(receipt).__name__, receipt.number, receipt.at.year]

    @kk.task(retry=None)
    def charges_plain() -> list[object]:
        receipt = kk.step("charge", charge, 8).result()
        return [type(receipt).__name__, receipt.number, receipt.at.year]

    run, plain = charges.trigger(), charges_plain.trigger()
    stage.finish()

    assert run.result(timeout=30).output == ["Receipt", 7, 2030]
    assert run.refresh().metadata == {"first": ["Receipt", 2030]}
    assert plain.result(timeout=30).output == ["Receipt", 8, 2030]
