"""A body that blocks a shared worker's loop is named on its run while it does so."""

from __future__ import annotations

import time

import kernelkit as kk
from kernelkit.authoring import caller as callers
from kernelkit.testing import RealEngine
from tests.behaviour.conftest import until


def test_a_body_that_blocks_a_shared_loop_is_named_on_its_run(real: RealEngine) -> None:
    @kk.task
    async def blocks() -> int:
        time.sleep(4)  # noqa: ASYNC251  # what the test is about
        return 1

    with callers.use(real.caller):
        run = blocks.trigger()
        until(lambda: run.refresh().notice is not None)
        assert "blocks its loop" in (run.refresh().notice or "")
        assert run.result(timeout=20).output == 1
        assert run.refresh().notice is None
