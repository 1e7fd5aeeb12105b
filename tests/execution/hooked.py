"""Tasks with hooks in tests: bodies that end well or fail, and an attempt of them without an engine."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Any

import pytest

from kernelkit.authoring.hooks import Hook, Kind
from kernelkit.execution.ends import Outcome
from kernelkit.execution.runner import run_async_attempt, run_sync_attempt
from kernelkit.wire.messages import Failed
from tests.execution.attempts import Attempt, loaded

Hooks = list[tuple[Kind, Callable[..., Any]]]


def hooks_of(*given: tuple[Kind, Callable[..., Any]]) -> list[Hook]:
    return [Hook.of(kind, function, f"{kind} {place}") for place, (kind, function) in enumerate(given)]


def run(body: Any, *given: tuple[Kind, Callable[..., Any]], attempt: Attempt | None = None) -> Outcome:
    attempt = attempt or Attempt()
    task = loaded(body, *hooks_of(*given))
    if asyncio.iscoroutinefunction(body):
        return asyncio.run(run_async_attempt(task, attempt.scope))
    return run_sync_attempt(task, attempt.scope)


async def async_failing() -> None:
    raise ValueError("the body's")


def plain_failing() -> None:
    raise ValueError("the body's")


async def async_fine() -> int:
    return 1


def plain_fine() -> int:
    return 1


FINE = pytest.mark.parametrize("body", [async_fine, plain_fine], ids=["async", "plain"])
FAILING = pytest.mark.parametrize("body", [async_failing, plain_failing], ids=["async", "plain"])


def failure(outcome: Outcome) -> Failed:
    assert isinstance(outcome, Failed), outcome
    return outcome
