"""What stands around the rest of an attempt."""

from __future__ import annotations

import asyncio
import contextvars
from typing import Any

from kernelkit.wire.messages import Succeeded
from tests.execution.hooked import (
    async_fine,
    failure,
    run,
)


def test_context_variables_of_a_middleware_reach_the_body_of_either_kind() -> None:
    variable: contextvars.ContextVar[str] = contextvars.ContextVar("variable", default="unset")

    async def around(next: Any) -> None:
        variable.set("set")
        await next()

    async def async_body() -> str:
        return variable.get()

    def plain_body() -> str:
        return variable.get()

    for body in (async_body, plain_body):
        outcome = run(body, ("middleware", around))
        assert isinstance(outcome, Succeeded)
        assert outcome.output.text == '"set"'


def test_a_plain_middleware_cannot_wait_for_an_async_task_and_is_told_so() -> None:
    def around(next: Any) -> None:
        next()

    error = failure(run(async_fine, ("middleware", around))).error

    assert "Make it `async def`, or let it `return next()`" in error.message


def test_a_time_out_around_next_cleans_up() -> None:
    seen: list[str] = []

    async def slow() -> None:
        await asyncio.sleep(30)

    async def limited(next: Any) -> None:
        async with asyncio.timeout(0.02):
            await next()

    outcome = failure(run(slow, ("middleware", limited), ("cleanup", lambda: seen.append("cleanup"))))

    assert (outcome.error.name, seen) == ("TimeoutError", ["cleanup"])
