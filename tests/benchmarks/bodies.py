"""The tasks that benchmarks run, and the payload they carry. Imported by clients and workers alike."""

from __future__ import annotations

import os
from typing import Any

import kernelkit as kk

PAYLOAD: dict[str, Any] = {"user": "ada", "tags": ["a", "b"], "opts": {"x": 1.5, "deep": True}, "n": 0}


def payload(n: int) -> dict[str, Any]:
    """About 80 bytes of JSON, another for each `n`."""
    return {**PAYLOAD, "n": n}


@kk.task
async def noop(user: str, tags: list[str], opts: dict[str, Any], n: int) -> list[int]:
    """Nothing, and proof of where it was done."""
    return [n, os.getpid()]
