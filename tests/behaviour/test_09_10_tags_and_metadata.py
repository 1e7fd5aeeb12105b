"""What a body writes about its run while it runs."""

from __future__ import annotations

import pytest

import kernelkit as kk
from tests.behaviour.conftest import Stage


def test_09_1_tags_of_a_trigger_come_back_sorted(stage: Stage) -> None:
    @kk.task
    async def tagged() -> None: ...

    run = tagged.options(tags=["b", "a"]).trigger()
    stage.finish()

    assert run.refresh().tags == ("a", "b")


def test_09_1_an_eleventh_tag_is_refused_and_nothing_is_stored(stage: Stage) -> None:
    @kk.task
    async def overtagged() -> None: ...

    with pytest.raises(kk.InvalidOptionError, match="at most 10 tags"):
        overtagged.options(tags=[str(n) for n in range(11)]).trigger()
    assert len(kk.runs.list(task="overtagged")) == 0


def test_09_2_a_body_adds_tags_and_one_too_many_fails_it(stage: Stage) -> None:
    @kk.task(retries=1)
    async def adds(count: int) -> None:
        for number in range(count):
            kk.tags.add(f"t{number}")

    fine, over = adds.trigger(count=10), adds.trigger(count=11)
    stage.finish()

    assert len(fine.refresh().tags) == 10
    failed = over.result(timeout=10)
    assert failed.error is not None
    assert failed.error.name == "InvalidOptionError"


def test_10_metadata_starts_from_the_seed_and_every_update_arrives(stage: Stage) -> None:
    @kk.task
    async def counts(n: int) -> None:
        for number in range(n):
            kk.metadata.set("last", number).increment("total").append("seen", number)
        kk.metadata.delete("gone")

    run = counts.options(metadata={"gone": 1, "kept": "x"}).trigger(n=5)
    stage.finish()

    assert run.metadata == {"kept": "x", "last": 4, "total": 5, "seen": [0, 1, 2, 3, 4]}


def test_10_4_a_retried_attempt_goes_on_from_the_metadata_it_finds(stage: Stage) -> None:
    @kk.task(retry=kk.Retry(max_attempts=2, min_timeout=0.05, randomize=False))
    def twice() -> int:
        kk.metadata.increment("tries")
        if kk.ctx.attempt.number == 1:
            raise ValueError("once")
        return 1

    run = twice.trigger()
    stage.finish()

    assert run.metadata["tries"] == 2


def test_10_3_outside_a_run_metadata_and_tags_are_refused() -> None:
    with pytest.raises(kk.NotInTaskError):
        kk.metadata.set("x", 1)
    with pytest.raises(kk.NotInTaskError):
        kk.tags.add("x")
