"""What stopping an attempt asks of hooks."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Any

import pytest

from kernelkit.authoring.hooks import Kind
from kernelkit.errors import (
    KernelKitError,
    RunCanceledError,
)
from kernelkit.execution.runner import run_async_attempt, stop_body
from kernelkit.wire.messages import Stopped
from tests.execution.attempts import Attempt, loaded
from tests.execution.hooked import (
    Hooks,
    hooks_of,
)


def stopped_while(kind: Kind | None, *given: tuple[Kind, Callable[..., Any]], canceled: bool = True) -> list[str]:
    """What happens when an attempt is stopped while its hook of that kind, or its body, runs."""
    seen: list[str] = []
    reached = asyncio.Event()

    async def hold() -> None:
        reached.set()
        try:
            await asyncio.sleep(30)
        finally:
            seen.append(f"{kind or 'body'} stopped")

    async def body() -> None:
        if kind is None:
            await hold()
        seen.append("body")

    async def on_cancel(run: Any) -> None:
        try:
            await run
        except RunCanceledError:
            seen.append("on_cancel")

    async def scene() -> None:
        hooks: Hooks = [("on_cancel", on_cancel), ("cleanup", lambda: seen.append("cleanup"))]
        hooks.append(("on_complete", lambda: seen.append("on_complete")))
        if kind is not None:
            hooks.append((kind, hold))
        attempt = Attempt()
        task = asyncio.create_task(run_async_attempt(loaded(body, *hooks_of(*hooks)), attempt.scope))
        await reached.wait()
        attempt.scope.canceled = canceled
        await stop_body(task, attempt.scope, "enough", signal_s=30.0)
        assert isinstance(await task, Stopped)

    asyncio.run(scene())
    return seen


def test_a_stopped_body_is_followed_by_on_cancel_and_cleanup_only() -> None:
    assert stopped_while(None) == ["body stopped", "on_cancel", "cleanup"]


@pytest.mark.parametrize("kind", ["init", "on_start", "on_start_attempt"])
def test_a_hook_before_the_body_is_stopped_like_the_body_which_is_not_called(kind: Kind) -> None:
    assert stopped_while(kind) == [f"{kind} stopped", "on_cancel", "cleanup"]


def test_on_cancel_is_for_canceled_runs_not_for_those_that_took_too_long() -> None:
    assert stopped_while(None, canceled=False) == ["body stopped", "cleanup"]


def test_a_plain_hook_that_would_block_the_bodys_loop_is_told_to_await() -> None:
    seen: list[str] = []

    async def body() -> None:
        await asyncio.sleep(30)

    def blocks(run: Any) -> None:
        try:
            run.result()
        except KernelKitError as error:
            seen.append(str(error))

    async def scene() -> None:
        attempt = Attempt()
        attempt.scope.takes_signal = True
        task = asyncio.create_task(run_async_attempt(loaded(body, *hooks_of(("on_cancel", blocks))), attempt.scope))
        await asyncio.sleep(0.01)
        attempt.scope.canceled = True
        attempt.scope.takes_signal = True
        await stop_body(task, attempt.scope, "enough", signal_s=0.05)
        await task

    asyncio.run(scene())

    assert seen == ["run.result() would block the loop that the task runs on. Use `await run`."]
