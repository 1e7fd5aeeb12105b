"""What a run writes into the metadata of the run that triggered it, and of the first of all."""

from __future__ import annotations

import asyncio

import kernelkit as kk
from tests.behaviour.conftest import Stage


def test_10_7_children_write_into_their_parent_and_root(stage: Stage) -> None:
    @kk.task
    def twig(name: str) -> None:
        kk.metadata.set("own", name)
        kk.metadata.parent.append("twigs", name)
        kk.metadata.root.increment("count")

    @kk.task
    async def bough(names: list[str], signal: kk.CancelSignal) -> None:
        kk.metadata.root.set("$.seen.bough", True)
        twig.batch_trigger([{"name": name} for name in names])
        await signal.wait()

    @kk.task
    async def oak(signal: kk.CancelSignal) -> None:
        kk.metadata.set("count", 1)
        bough.trigger(names=["a", "b"])
        await signal.wait()

    # when
    run = oak.trigger()
    stage.until(lambda: run.metadata.get("count") == 3)

    # then
    boughs = list(kk.runs.list(task="bough"))
    assert run.metadata == {"count": 3, "seen": {"bough": True}}
    assert sorted(boughs[0].metadata["twigs"]) == ["a", "b"]
    assert {each.metadata["own"] for each in kk.runs.list(task="twig")} == {"a", "b"}
    run.cancel()
    stage.finish()


def test_10_7_a_run_nobody_triggered_writes_into_itself(stage: Stage) -> None:
    @kk.task
    async def alone() -> int:
        kk.metadata.parent.increment("n").increment("n")
        kk.metadata.root.increment("n")
        return int(kk.metadata.get("n"))

    run = alone.trigger()
    stage.finish()

    assert run.result(timeout=5).output == 3
    assert run.metadata == {"n": 3}


def test_10_8_a_parent_that_is_over_refuses_in_words(stage: Stage) -> None:
    @kk.task(retries=1)
    async def late() -> None:
        await asyncio.sleep(0.3)
        kk.metadata.parent.increment("done")

    @kk.task
    async def gone() -> None:
        late.trigger()

    parent = gone.trigger()
    stage.finish()

    [child] = kk.runs.list(task="late")
    assert parent.metadata == {}
    assert child.status == "FAILED"
    assert child.error is not None
    assert child.error.name == "RunOverError"
    assert f"The parent run {parent.id} is over" in child.error.message
