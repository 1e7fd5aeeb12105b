"""What is decided of waits, where it takes a clock that jumps or a report that comes twice."""

from __future__ import annotations

import pytest

from kernelkit.models.wait import Wait
from kernelkit.wire import messages as m
from tests.engine.fixtures import Bench


@pytest.fixture
def bench() -> Bench:
    made = Bench()
    made.trigger("run_1")
    made.settle()
    return made


def test_a_wait_that_is_reported_again_after_its_keys_time_makes_no_second_token(bench: Bench) -> None:
    # The token of the dropped wait was made anew, as if it had never timed out.
    wait = m.OpenWait(
        "wait:a",
        Wait("duration", bench.clock.moment + 60_000_000),
        key="once",
        key_ttl=30.0,
        new_id="token_1",
    )
    bench.report("run_1", wait)
    bench.report("run_1", m.DropWait("wait:a"))
    bench.clock.moment += 31_000_000

    bench.report("run_1", wait)
    bench.settle()

    made = [row for batch in bench.writer.batches for row in batch.events if row.kind == "TokenMade"]
    assert len(made) == 1
    assert bench.core.state.runs["run_1"].waits["wait:a"].token == "token_1"
