"""A worker process played with: a story that is told to it by a test in the place of its engine."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable

import pytest

from kernelkit.config import Home
from kernelkit.wire import messages as m
from tests.execution.fake_engine import FakeEngine

Story = Callable[[FakeEngine], Awaitable[None]]
BOTH = pytest.mark.parametrize("kind", ["shared", "process"])


def play(home: Home, kind: str, story: Story) -> None:
    async def main() -> None:
        async with FakeEngine(home, kind) as engine:
            await story(engine)

    asyncio.run(main())


def output(end: m.ReportBody) -> str | None:
    assert isinstance(end, m.Succeeded), end
    return end.output.text


def failure(end: m.ReportBody) -> m.Failed:
    assert isinstance(end, m.Failed), end
    return end
