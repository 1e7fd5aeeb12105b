"""What a suspended attempt holds in its worker: counted object by object, so the same on every machine."""

from __future__ import annotations

import asyncio
import gc
import tracemalloc
from collections.abc import Callable
from concurrent.futures import Future
from typing import Any, cast

import pytest
from msgspec.structs import replace

import kernelkit as kk
from kernelkit.authoring.scope import Scope
from kernelkit.execution.asyncio_records import follow_tasks
from kernelkit.execution.link import Link
from kernelkit.execution.shared import SharedWorker
from kernelkit.wire import codec
from kernelkit.wire import messages as m
from tests.execution.attempts import loaded, start_of

ATTEMPTS = 100
BYTES_EACH = 5 * 1024  # on Python 3.11 it is 3.6 to 3.9 kB; a bare suspended coroutine in a task is 1.5


class _Line:
    """Stands for the line to an engine that takes everything."""

    pending_bytes = 0

    def __init__(self) -> None:
        self.open: list[tuple[int, Scope]] = []
        self.suspended = 0
        self.all_suspended = asyncio.Event()

    def report(self, start: m.StartAttempt, body: m.ReportBody, scope: Scope | None = None) -> int:
        if isinstance(body, m.Suspend):
            self.suspended += 1
            if self.suspended % ATTEMPTS == 0:
                self.all_suspended.set()
        if scope is not None:
            self.open.append((len(self.open) + 1, scope))
        return len(self.open)

    def take_all(self) -> None:
        taken, self.open = self.open, []
        for number, scope in taken:
            scope.settle(number)

    def ask(self, body: m.RequestBody) -> Future[m.ReplyBody]:
        raise AssertionError("nothing is asked here")

    def logs(self, batch: m.WorkerLogs) -> bool:
        return True

    def later(self, seconds: float, then: Callable[[], None]) -> None:
        asyncio.get_running_loop().call_later(seconds, then)


class _Bundles:
    def __init__(self, function: Callable[..., Any]) -> None:
        self._loaded = loaded(function)

    def find(self, bundle: str, *, look: bool = True) -> Any:  # a task of the tests, which stands for a LoadedTask
        return self._loaded


async def for_an_hour() -> None:
    await kk.wait.for_(hours=1)


async def for_a_token() -> Any:
    return await kk.wait.for_token("approval", timeout="1h").unwrap()


async def with_a_large_payload(text: str) -> None:
    size = len(text)
    del text
    await kk.wait.for_(hours=size)


@pytest.mark.parametrize(
    ("function", "payload"), [(for_an_hour, {}), (for_a_token, {}), (with_a_large_payload, {"text": "x" * 20_000})]
)
def test_a_suspended_attempt_costs_little_more_than_its_coroutines(
    function: Callable[..., Any], payload: dict[str, Any]
) -> None:
    async def main() -> float:
        follow_tasks(asyncio.get_running_loop())
        line = _Line()
        worker = SharedWorker(cast(Any, _Bundles(function)))
        worker.attach(cast(Link, line))

        async def suspend(first: int) -> None:
            for number in range(first, first + ATTEMPTS):
                start = replace(start_of(payload), run_id=f"run_{number:021}", fence=f"{number:016}")
                message = codec.decode(codec.encode(start))
                assert isinstance(message, m.StartAttempt)
                worker.start(message)
            del message, start
            line.all_suspended.clear()
            await line.all_suspended.wait()
            line.take_all()
            gc.collect()

        await suspend(0)  # whatever is made once
        tracemalloc.start()
        try:
            before, _ = tracemalloc.get_traced_memory()
            await suspend(ATTEMPTS)
            after, _ = tracemalloc.get_traced_memory()
        finally:
            tracemalloc.stop()
        return (after - before) / ATTEMPTS

    each = asyncio.run(main())

    assert each < BYTES_EACH, f"{each:.0f} bytes for each attempt"
