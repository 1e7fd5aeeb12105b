"""Errors (§30): what of an exception is kept, whatever it is, and which of them are tried again."""

from __future__ import annotations

import asyncio
import sys
from typing import Any

import pytest

import kernelkit as kk
from kernelkit.testing import engine


class Mute(Exception):
    def __str__(self) -> str:
        raise RuntimeError("no words")


def raises(kind: str) -> None:
    match kind:
        case "nul":
            raise ValueError("a\0b")
        case "long":
            raise ValueError("x" * 5_000)
        case "many lines":
            raise ValueError("line\n" * 100_000)
        case "surrogate":
            raise ValueError("\ud800 bad")
        case "mute":
            raise Mute
        case "empty":
            raise ValueError
        case "exit":
            sys.exit(3)
        case "interrupt":
            raise KeyboardInterrupt
        case "group":
            raise ExceptionGroup("many", [ValueError(n) for n in range(1_000)])
        case "cancels itself":
            raise asyncio.CancelledError
        case "deep":
            raises_deep(10**6)
        case "chain":
            try:
                raises("empty")
            except ValueError as cause:
                raise KeyError("later") from cause


def raises_deep(n: int) -> None:
    raises_deep(n - 1)


@pytest.mark.parametrize(
    ("kind", "name", "message"),
    [
        ("nul", "ValueError", "ab"),
        ("long", "ValueError", "x" * 999 + "…"),
        ("many lines", "ValueError", "line\n" * 199 + "line…"),
        ("surrogate", "ValueError", "? bad"),
        ("mute", "Mute", "<its message cannot be shown: RuntimeError>"),
        ("empty", "ValueError", ""),
        ("exit", "SystemExit", "the task called sys.exit(3)"),
        ("interrupt", "KeyboardInterrupt", "the task was interrupted (KeyboardInterrupt)"),
        ("group", "ExceptionGroup", "many (1000 sub-exceptions)"),
        ("cancels itself", "CancelledError", None),
        ("deep", "RecursionError", "maximum recursion depth exceeded"),
        ("chain", "KeyError", "'later'"),
    ],
)
@pytest.mark.parametrize("plain", [False, True])
def test_30_2_whatever_is_raised_is_kept_within_bounds(plain: bool, kind: str, name: str, message: str | None) -> None:
    @kk.task(id="awaiting", retry=None)
    async def awaiting(kind: str) -> None:
        raises(kind)

    @kk.task(id="plain", retry=None)
    def blocking(kind: str) -> None:
        raises(kind)

    with engine() as eng:
        run = (blocking if plain else awaiting).trigger(kind=kind)
        eng.drain()
        error = run.result().error

    assert run.status == "FAILED"
    assert error is not None
    assert error.name == name
    assert message is None or error.message == message
    assert len(error.message) <= 1_000
    lines = error.traceback.splitlines()
    assert len(error.frames) <= 50
    assert len(lines) <= 501
    assert all(len(line) <= 1_024 for line in lines)
    assert not set("\0\ud800") & set(error.message + error.traceback)


def test_30_2_the_cause_of_an_error_stands_in_its_traceback() -> None:
    @kk.task(retry=None)
    async def chained() -> None:
        raises("chain")

    with engine() as eng:
        run = chained.trigger()
        eng.drain()
        error = run.result().error

    assert error is not None
    assert "The above exception was the direct cause" in error.traceback
    assert error.traceback.index("ValueError") < error.traceback.index("KeyError: 'later'")


@pytest.mark.parametrize(
    ("raised", "status", "attempts", "hooks"),
    [
        (ValueError("any"), "FAILED", 3, ["failure", "complete"]),
        (kk.AbortTaskRunError("no"), "FAILED", 1, ["failure", "complete"]),
        (kk.CompleteTaskWithOutput([1]), "COMPLETED", 1, ["success", "complete"]),
        (kk.SubtaskError("child"), "FAILED", 3, ["failure", "complete"]),
        (kk.OutOfMemoryError("big"), "CRASHED", 1, []),
        (SystemExit(1), "FAILED", 3, ["failure", "complete"]),
        (KeyboardInterrupt(), "FAILED", 3, ["failure", "complete"]),
        (GeneratorExit(), "FAILED", 3, ["failure", "complete"]),
    ],
)
@pytest.mark.parametrize("plain", [False, True])
def test_30_3_which_errors_are_tried_again_and_which_hooks_hear_of_them(
    plain: bool, raised: BaseException, status: str, attempts: int, hooks: list[str]
) -> None:
    options: dict[str, Any] = {
        "retry": kk.Retry(max_attempts=3, min_timeout=1),
        "on_success": lambda: kk.metadata.append("hooks", "success"),
        "on_failure": lambda: kk.metadata.append("hooks", "failure"),
        "on_complete": lambda: kk.metadata.append("hooks", "complete"),
    }

    @kk.task(**options)
    async def awaiting() -> None:
        raise raised

    @kk.task(**options)
    def blocking() -> None:
        raise raised

    with engine() as eng:
        run = (blocking if plain else awaiting).trigger()
        eng.advance(hours=1)
        view = run.refresh()

    assert (view.status, len(view.attempts)) == (status, attempts)
    assert run.result().output == ([1] if status == "COMPLETED" else None)
    if view.error is not None:
        assert view.error.name == type(raised).__name__
    assert view.metadata.get("hooks", []) == hooks
