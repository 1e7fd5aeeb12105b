"""Replays (§27): a new run with what an earlier one was triggered with."""

from __future__ import annotations

from pathlib import Path

import pytest

import kernelkit as kk
from kernelkit.testing import engine
from tests.behaviour.conftest import Stage


def test_27_1_a_replay_copies_what_the_run_was_triggered_with(stage: Stage) -> None:
    @kk.task(tags=["own"])
    async def charge(amount: int) -> int:
        kk.metadata.set("progress", 100)
        kk.tags.add("charged")
        return amount

    run = charge.options(
        tags=["user_1"],
        metadata={"seed": 1},
        concurrency_key="ann",
        queue=kk.Queue("replayed", concurrency_limit=3),
        test=True,
        priority=7,
        max_attempts=1,
        max_duration="1m",
        ttl="1h",
    ).trigger(amount=5)
    stage.finish()
    assert run.refresh().metadata == {"seed": 1, "progress": 100}

    again = run.replay()
    made = again.refresh()
    stage.finish()

    assert (made.payload, made.queue, made.concurrency_key, made.is_test) == ({"amount": 5}, "replayed", "ann", True)
    assert sorted(made.tags) == ["charged", "user_1"]
    assert made.is_replay
    assert (made.priority, made.ttl, made.max_duration, made.max_attempts) == (0, None, None, 3)
    assert again.id != run.id
    assert again.result(timeout=30).output == 5
    ended = again.refresh()
    assert ended.metadata == {"seed": 1, "progress": 100}, "it began with the first metadata"
    assert ended.seed_json == '{"seed":1}'


def test_27_1_payload_and_options_may_be_others(stage: Stage) -> None:
    @kk.task
    async def greet(name: str) -> str:
        return f"hello {name}"

    run = greet.options(tags=["old"], metadata={"a": 1}).trigger(name="ann")
    again = run.replay({"name": "bob"}, tags=[], metadata={"b": 2}, delay="1h", test=True)
    made = again.refresh()

    assert (made.payload, made.tags, made.metadata, made.is_test) == ({"name": "bob"}, (), {"b": 2}, True)
    assert made.status == "DELAYED"
    again.reschedule(delay=0)
    stage.finish()
    assert again.result(timeout=30).output == "hello bob"


def test_27_1_what_is_wrong_with_a_replay_is_said_at_the_call(stage: Stage) -> None:
    @kk.task
    async def typed(n: int) -> int:
        return n

    run = typed.trigger(n=1)
    with pytest.raises(kk.PayloadValidationError, match="typed"):
        run.replay({"n": "one"})
    with pytest.raises(kk.InvalidOptionError, match="'tag' is not an option"):
        run.replay(tag="x")
    with pytest.raises(kk.UnknownRunError, match="No run 'run_nope'"):
        kk.runs.replay("run_nope")
    with pytest.raises(kk.InvalidOptionError, match="There is no queue 'nowhere'"):
        run.replay(queue="nowhere")
    stage.finish()
    assert kk.runs.list(task="typed").total == 1


def test_27_1_none_is_a_payload_too(stage: Stage) -> None:
    @kk.task
    async def anything(payload: object = None) -> object:
        return payload

    run = anything.trigger([1, 2])
    stage.finish()
    same, none = run.replay(), kk.runs.replay(run.id, None)
    stage.finish()

    assert (same.result(timeout=30).output, none.result(timeout=30).output) == ([1, 2], None)


def test_27_1_any_status_may_be_replayed_and_large_payloads_too(stage: Stage) -> None:
    @kk.task(retries=1)
    async def measured(text: str) -> int:
        if text == "bad":
            raise ValueError("bad text")
        return len(text)

    delayed = measured.options(delay="1h").trigger(text="x" * 100_000)
    failed = measured.trigger(text="bad")
    stage.finish() if not stage.is_virtual else stage.engine.drain()
    first, second = delayed.replay(), failed.replay({"text": "good"})
    canceled = delayed.cancel()
    third = kk.runs.replay(canceled.id)

    assert first.status == "QUEUED" or first.result(timeout=30).ok
    stage.finish()
    assert [each.result(timeout=30).output for each in (first, second, third)] == [100_000, 4, 100_000]


def test_27_1_a_replay_runs_the_latest_code(stage: Stage) -> None:
    def define(answer: int) -> kk.Task[[], int]:
        @kk.task(id="newest", queue="newest-queue" if answer == 2 else None)
        async def newest() -> int:
            return answer

        newest.register()
        return newest

    run = define(1).trigger()
    stage.finish()
    assert run.result(timeout=30).output == 1

    define(2)
    again = run.replay()
    stage.finish()

    assert again.result(timeout=30).output == 2
    assert again.refresh().queue == "newest-queue", "the queue it had is no more"


def test_27_1_runs_that_are_only_in_history_are_replayed(tmp_path: Path) -> None:
    @kk.task
    async def old(text: str) -> int:
        return len(text)

    with engine(home=tmp_path) as eng:
        run = old.options(metadata={"a": 1}, tags=["t"]).trigger(text="x" * 5_000)
        eng.drain()
    with engine(home=tmp_path) as eng:
        again = kk.runs.replay(run.id)
        eng.drain()

        made = again.refresh()
        assert (made.output, made.metadata, made.tags, made.is_replay) == (5_000, {"a": 1}, ("t",), True)
        with pytest.raises(kk.UnknownTaskError):
            kk.tasks.trigger("never-defined", None)
