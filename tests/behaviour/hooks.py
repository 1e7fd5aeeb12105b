"""What the tests of hooks share: hooks that note that they were called, bodies, and the order that should be."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

import kernelkit as kk
from kernelkit.authoring.hooks import Hooked
from tests.behaviour.conftest import Stage

TWICE = kk.Retry(max_attempts=2, min_timeout=0.05, max_timeout=0.1, randomize=False)


def note(what: str) -> None:
    """Write down that something happened, in the run's metadata."""
    kk.metadata.append("order", what)


def order(run: kk.RunHandle[Any]) -> list[str]:
    noted: list[str] = run.refresh().metadata.get("order", [])
    return noted


def errors_in_log(stage: Stage, run: kk.RunHandle[Any], count: int) -> list[str]:
    """First lines of what was written at the level error, once there are `count`."""

    def found() -> list[str]:
        return [line.text.splitlines()[0] for line in run.logs().lines if line.level == "error" and " " in line.text]

    stage.until(lambda: sum("failed" in text or "longer" in text for text in found()) >= count)
    return [text for text in found() if "failed" in text or "longer" in text]


def with_every_hook(task: Hooked, who: str) -> None:
    """Register one hook of each kind that ends well or badly, each noting its name; every second one is async."""

    @task.middleware(f"{who} around")
    async def around(next: Any) -> None:
        note(f"{who} middleware >")
        await next()
        note(f"{who} middleware <")

    @task.init(f"{who} init")
    def init() -> dict[str, str]:
        note(f"{who} init")
        return {who: "was here"}

    @task.on_start(f"{who} start")
    async def start() -> None:
        note(f"{who} on_start")

    @task.on_start_attempt(f"{who} attempt")
    def attempt(ctx: kk.Context) -> None:
        note(f"{who} on_start_attempt {ctx.attempt.number}")

    @task.on_success(f"{who} success")
    async def success(output: Any) -> None:
        note(f"{who} on_success {output}")

    @task.on_failure(f"{who} failure")
    def failure(error: BaseException) -> None:
        note(f"{who} on_failure {error}")

    @task.on_complete(f"{who} complete")
    async def complete(result: kk.Result[Any]) -> None:
        note(f"{who} on_complete {result.ok}")

    @task.catch_error(f"{who} catch")
    def catch(error: BaseException) -> None:
        note(f"{who} catch_error {error}")

    @task.cleanup(f"{who} cleanup")
    async def cleanup() -> None:
        note(f"{who} cleanup")


async def async_body(fails: int = 0) -> int:
    note("body")
    if kk.ctx.attempt.number <= fails:
        raise ValueError(f"number {kk.ctx.attempt.number}")
    return 7


def plain_body(fails: int = 0) -> int:
    note("body")
    if kk.ctx.attempt.number <= fails:
        raise ValueError(f"number {kk.ctx.attempt.number}")
    return asyncio.run(asyncio.sleep(0, 7))  # a plain task has its thread to itself, hooks or not


BODIES = pytest.mark.parametrize("body", [async_body, plain_body], ids=["async", "plain"])

BEGINNING = ["all middleware >", "own middleware >", "all init", "own init", "all on_start", "own on_start"]
FIRST = [*BEGINNING, "all on_start_attempt 1", "own on_start_attempt 1", "body"]
SECOND = [*BEGINNING[:4], "all on_start_attempt 2", "own on_start_attempt 2", "body"]
ENDING = ["all cleanup", "own cleanup", "own middleware <", "all middleware <"]
GOOD = ["all on_success 7", "own on_success 7", "all on_complete True", "own on_complete True"]
