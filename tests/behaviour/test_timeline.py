"""`run.timeline()`: every moment is in the log, for runs that go on and runs that are over alike."""

from __future__ import annotations

from itertools import pairwise

import pytest

import kernelkit as kk
from kernelkit.errors import UnknownRunError
from kernelkit.models.span import Span
from tests.behaviour.conftest import Stage


def kinds(spans: tuple[Span, ...]) -> list[str]:
    """What a run did, without what took no time at all on the virtual engine, and perhaps none on a real one."""
    return [span.outcome or span.kind for span in spans if span.kind not in ("queued", "starting")]


def gapless(spans: tuple[Span, ...]) -> bool:
    return all(before.finished_at == after.started_at for before, after in pairwise(spans))


def test_a_failed_attempt_a_backoff_and_a_wait_are_told_with_their_causes(stage: Stage) -> None:
    @kk.task(id="spans-retried", retry=kk.Retry(max_attempts=2, min_timeout=0.05, randomize=False))
    async def retried(ctx: kk.Context) -> None:
        if ctx.attempt.number == 1:
            raise ValueError("no answer")
        await kk.wait.for_token("spans-approve")

    run = retried.trigger()
    if stage.is_virtual:
        stage.engine.advance(seconds=1)
    stage.until(lambda: run.status == "WAITING")
    kk.tokens.complete("spans-approve", None)
    stage.finish()
    spans = run.timeline().spans

    told = kinds(spans)
    assert (told[0], told[1], told[-2], told[-1]) == ("FAILED", "backoff", "waiting", "COMPLETED")
    failed = next(span for span in spans if span.outcome == "FAILED")
    assert failed.attempt == 1 and failed.error is not None and failed.error.message == "no answer"
    assert failed.error.traceback == ""
    wait = next(span for span in spans if span.kind == "waiting")
    assert [one.shown for one in wait.waiting_for] == ["spans-approve"]
    assert gapless(spans)
    assert spans[-1].finished_at == run.refresh().finished_at


def test_what_goes_on_has_no_end(stage: Stage) -> None:
    @kk.task(id="spans-open")
    async def approved(token: str) -> None:
        await kk.wait.for_token(token)

    run = approved.trigger(token="spans-open")
    stage.until(lambda: run.status == "WAITING")
    last = run.timeline().spans[-1]

    assert (last.kind, last.finished_at, last.waiting_for[0].shown) == ("waiting", None, "spans-open")
    run.cancel()
    stage.until(lambda: run.timeline().spans[-1].finished_at is not None)


def test_a_tree_tells_of_all_its_runs_and_an_unknown_run_is_said_to_be(stage: Stage) -> None:
    @kk.task(id="spans-leaf")
    async def leaf(n: int) -> int:
        return n

    @kk.task(id="spans-top")
    async def top() -> None:
        leaf.batch_trigger([{"n": n} for n in range(3)])

    run = top.trigger()
    stage.finish()
    shown = run.timeline(tree=True)
    runs, total = shown.read()

    assert total == 4
    assert set(shown.spans_of([one.id for one in runs])) == {one.id for one in runs}
    assert kk.runs.timeline(run.id).spans == run.timeline().spans
    assert kk.runs.timeline("run_nobody").spans_of(["run_nobody"]) == {}
    with pytest.raises(UnknownRunError):
        _ = kk.runs.timeline("run_nobody").spans
