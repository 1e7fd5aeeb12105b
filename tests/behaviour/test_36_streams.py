"""Streams that runs give away, by section 36.3 of the specification and what was decided about them."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from typing import Any

import pytest

import kernelkit as kk
from tests.behaviour.conftest import Stage
from tests.behaviour.waiting import lose_workers, result, waits

pytestmark = pytest.mark.timeout(120)

words = kk.streams.define("words", str)
numbers = kk.streams.define("numbers", int)

# ---- 36.3: what a run gives away -------------------------------------------------------------------------------------


@kk.task
async def speaks(text: str) -> int:
    for word in text.split():
        await words.append(word)
    return len(text.split())


@kk.task
def speaks_plainly(text: str) -> None:
    for word in text.split():
        words.append(word)


def test_36_3_what_a_run_appends_is_read_in_order_and_again(stage: Stage) -> None:
    run = speaks.trigger(text="to be or not to be")

    assert result(stage, run) == 6
    assert list(words.read(run)) == ["to", "be", "or", "not", "to", "be"]
    assert list(words.read(run.id, start=4)) == ["to", "be"]
    assert list(words.read(run, start=6)) == []
    (stream,) = kk.streams.list(run)
    assert (stream.name, stream.count, stream.is_input) == ("words", 6, False)


def test_36_3_a_plain_task_appends_without_await(stage: Stage) -> None:
    run = speaks_plainly.trigger(text="a b c")

    result(stage, run)

    assert list(words.read(run)) == ["a", "b", "c"]


@kk.task
async def speaks_and_waits() -> None:
    token = kk.tokens.create()
    kk.metadata.set("token", token.id)
    await words.append("one")
    await kk.wait.for_token(token)
    await words.append("two")


def go_on(run: kk.RunHandle[Any]) -> None:
    kk.tokens.complete(run.metadata["token"])


def test_36_3_a_stream_is_read_while_the_run_goes_on(stage: Stage) -> None:
    run = speaks_and_waits.trigger()
    waits(stage, run, "token")

    assert list(words.read(run, follow=False)) == ["one"]
    reading = words.read(run)
    assert next(reading) == "one"
    go_on(run)
    assert next(reading) == "two"
    assert reading.index == 2
    assert list(reading) == []
    result(stage, run)


def test_36_3_a_stream_is_read_with_async_for_outside_of_a_run(stage: Stage) -> None:
    run = speaks.trigger(text="x y")

    async def read() -> list[str]:
        return [word async for word in words.read(run)]

    assert asyncio.run(read()) == ["x", "y"]


def test_36_3_a_reader_that_hears_nothing_for_its_timeout_is_told_so(stage: Stage) -> None:
    @kk.task
    async def silent() -> None:
        await kk.wait.for_token("silence")

    run = silent.trigger()
    waits(stage, run, "token")

    with pytest.raises(TimeoutError, match=r"No value came in the stream 'words' of run_\w+ for 0.05 s"):
        next(words.read(run, timeout=0.05))
    kk.tokens.complete("silence")
    result(stage, run)
    assert list(words.read(run)) == []


class Model:
    """Gives words one by one, as a language model does."""

    async def stream(self, text: str) -> AsyncIterator[str]:
        for word in text.split():
            await asyncio.sleep(0)
            yield word


@kk.task
async def pipes(text: str) -> list[str]:
    passed = [word.upper() async for word in words.pipe(Model().stream(text))]
    return [" ".join(passed), " ".join(await words.pipe(Model().stream("at last")))]


@kk.task
def pipes_plainly() -> list[list[int]]:
    return [[n * n for n in numbers.pipe(range(3))], numbers.pipe(range(3, 5)).result()]


def test_36_3_a_source_is_piped_through_or_whole(stage: Stage) -> None:
    run, plain = pipes.trigger(text="a b"), pipes_plainly.trigger()

    assert result(stage, run) == ["A B", "at last"]
    assert result(stage, plain) == [[0, 1, 4], [3, 4]]
    assert list(words.read(run)) == ["a", "b", "at", "last"]
    assert list(numbers.read(plain)) == [0, 1, 2, 3, 4]


@kk.task
async def grandchild() -> None:
    await words.append("to the root", target="root")
    await words.append("to the parent", target="parent")
    await words.append("to myself")


@kk.task
async def child() -> str:
    run = grandchild.trigger()
    await run
    return run.id


@kk.task
async def family() -> list[str]:
    run = child.trigger()
    result = await run
    return [run.id, result.unwrap()]


def test_36_3_appends_go_to_the_run_its_parent_or_its_root(stage: Stage) -> None:
    run = family.trigger()

    parent, own = result(stage, run)

    assert [list(words.read(each)) for each in (run.id, parent, own)] == [
        ["to the root"],
        ["to the parent"],
        ["to myself"],
    ]


def test_36_3_a_run_without_parent_is_its_own(stage: Stage) -> None:
    run = grandchild.trigger()
    result(stage, run)

    assert list(words.read(run)) == ["to the root", "to the parent", "to myself"]


@kk.task
async def tells(other: str) -> None:
    await words.append("from another run", target=other)
    await words.pipe(["and", "more"], target=other)


def test_36_3_appends_go_to_any_run_also_from_outside(stage: Stage) -> None:
    run = speaks_and_waits.trigger()
    waits(stage, run, "token")

    result(stage, tells.trigger(other=run.id))
    words.append("from outside", target=run)
    assert words.pipe(["piped", "in"], target=run.id).result() == ["piped", "in"]

    assert list(words.read(run, follow=False, start=1)) == [
        "from another run",
        "and",
        "more",
        "from outside",
        "piped",
        "in",
    ]
    go_on(run)
    result(stage, run)


def test_36_3_nothing_is_appended_to_a_run_that_is_over(stage: Stage) -> None:
    over = speaks.trigger(text="x")
    result(stage, over)

    with pytest.raises(kk.RunOverError, match="is over, so nothing is added to its streams"):
        words.append("late", target=over)
    with pytest.raises(kk.UnknownRunError):
        words.append("where?", target="run_0000000000000000aa")
    with pytest.raises(kk.UnknownRunError):
        list(words.read("run_0000000000000000aa"))
    run = tells.options(max_attempts=1).trigger(other=over.id)
    if stage.is_virtual:
        stage.engine.drain()
    error = run.result(timeout=30).error
    assert error is not None and error.name == "RunOverError"
    assert "test_36_streams.py, line" in error.message
    assert list(words.read(over)) == ["x"]


def test_36_3_outside_of_a_run_somebody_has_to_be_named(stage: Stage) -> None:
    with pytest.raises(kk.NotInTaskError, match="Name one"):
        words.append("to whom?")
    with pytest.raises(kk.NotInTaskError, match="say whose stream"):
        words.read()


def test_36_3_values_are_checked_where_they_are_given(stage: Stage) -> None:
    run = speaks_and_waits.trigger()
    waits(stage, run, "token")

    with pytest.raises(kk.PayloadValidationError, match="'three' is no value for the stream 'numbers'"):
        numbers.append("three", target=run)
    with pytest.raises(kk.StreamFullError, match=r"at most 524,288 are taken"):
        words.append("x" * 600_000, target=run)
    with pytest.raises(kk.PayloadNotSerializableError):
        kk.streams.append(object(), target=run)
    for wrong in ("", "x" * 129, 7):
        with pytest.raises(kk.InvalidOptionError, match="name of a stream"):
            kk.streams.define(wrong)  # type: ignore[arg-type]  # what people type
    with pytest.raises(kk.InvalidOptionError, match="not an index"):
        words.read(run, start=-1)
    with pytest.raises(kk.InvalidOptionError, match="neither"):
        words.append("x", target="somebody")
    go_on(run)
    result(stage, run)
    assert list(words.read(run)) == ["one", "two"]


@kk.task(retry=kk.Retry(max_attempts=2, min_timeout=0.01, max_timeout=0.02))
async def speaks_twice() -> None:
    await words.append(f"attempt {kk.ctx.attempt.number}")
    if kk.ctx.attempt.number == 1:
        raise ConnectionError("try again")


def test_36_3_another_attempt_appends_behind_the_first(stage: Stage) -> None:
    run = speaks_twice.trigger()
    if stage.is_virtual:
        stage.finish()
    run.result(timeout=30).unwrap()

    assert list(words.read(run)) == ["attempt 1", "attempt 2"]


@kk.task
async def survivor() -> None:
    for word in ("before", "the", "crash"):
        await words.append(word)
    await kk.step("inside", _speak_in_a_step)
    await kk.wait.for_token("crashed")
    await words.append("after")


async def _speak_in_a_step() -> int:
    await words.append("in a step")
    return 1


@kk.task
def plain_survivor() -> None:
    for n in range(3):
        numbers.append(n)
    kk.wait.for_token("crashed").result()
    numbers.append(3)


def test_36_3_a_resumed_run_does_not_append_again(stage: Stage) -> None:
    run, plain = survivor.trigger(), plain_survivor.trigger()
    waits(stage, run, "token")
    waits(stage, plain, "token")

    lose_workers(stage)
    stage.until(lambda: run.refresh().attempts[-1].worker == "" and plain.refresh().attempts[-1].worker == "")
    kk.tokens.complete("crashed")

    result(stage, run)
    result(stage, plain)
    assert list(words.read(run)) == ["before", "the", "crash", "in a step", "after"]
    assert list(numbers.read(plain)) == [0, 1, 2, 3]
    assert len(run.refresh().attempts) == 1


@kk.task
async def listens_to(run_id: str) -> list[str]:
    return [word async for word in words.read(run_id)]


@kk.task
def listens_plainly_to(run_id: str) -> list[str]:
    return list(words.read(run_id))


def test_36_3_a_run_reads_the_stream_of_another_as_it_grows(stage: Stage) -> None:
    run = speaks_and_waits.trigger()
    waits(stage, run, "token")
    readers = [listens_to.trigger(run_id=run.id), listens_plainly_to.trigger(run_id=run.id)]
    stage.until(lambda: all(reader.status == "EXECUTING" for reader in readers))

    go_on(run)

    assert [result(stage, reader) for reader in readers] == [["one", "two"]] * 2


def test_36_3_many_values_at_once(stage: Stage) -> None:
    @kk.task
    def counts() -> None:
        numbers.pipe(range(20_000)).result()

    run = counts.trigger()
    result(stage, run)

    assert list(numbers.read(run)) == list(range(20_000))
    assert list(numbers.read(run, start=19_998)) == [19_998, 19_999]


# ---- reads inside a run ----------------------------------------------------------------------------------------------


@kk.task
def asks() -> list[str]:
    run = speaks.trigger(text="x")
    run.result()
    return [run.refresh().status, kk.runs.retrieve(run.id).task_id, kk.streams.list(run)[0].name]


@kk.task
async def asks_on_its_loop() -> None:
    run = speaks.trigger(text="x")
    await run
    kk.runs.retrieve(run.id)


def test_a_plain_task_asks_the_engine_and_an_async_one_is_told_how(stage: Stage) -> None:
    run, other = asks.trigger(), asks_on_its_loop.options(max_attempts=1).trigger()

    assert result(stage, run) == ["COMPLETED", "speaks", "words"]
    if stage.is_virtual:
        stage.engine.drain()
    error = other.result(timeout=30).error
    assert error is not None and "await asyncio.to_thread(" in error.message
