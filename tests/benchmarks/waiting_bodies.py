"""Tasks that wait, for the benchmarks. Imported by clients and workers alike."""

from __future__ import annotations

import asyncio
import os
import time

import kernelkit as kk


@kk.task
async def child(n: int) -> list[int]:
    """Nothing, and proof of where it was done."""
    return [n, os.getpid()]


@kk.task
async def parent(children: int) -> tuple[float, list[list[int]]]:
    """How long its children took, from the call until it goes on with their results."""
    payloads = [{"n": n} for n in range(children)]
    began = time.perf_counter()
    results = await child.batch_trigger_and_wait(payloads)
    return time.perf_counter() - began, [result.unwrap() for result in results]


@kk.task
async def sleeper() -> int:
    """Waits for longer than the benchmark lasts."""
    await kk.wait.for_(hours=1)
    return os.getpid()


@kk.task
async def lasting(seconds: float) -> int:
    """Keeps a worker alive meanwhile."""
    await asyncio.sleep(seconds)
    return os.getpid()
