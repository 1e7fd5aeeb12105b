"""Results (§16): how a run ended, told without raising."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

import kernelkit as kk
from kernelkit.testing import RealEngine, VirtualEngine, engine

Make = Callable[[VirtualEngine | RealEngine], kk.RunHandle[Any]]


@kk.task(retry=None)
async def ends(kind: str = "") -> Any:
    if kind == "raises":
        raise KeyError("gone")
    if kind == "aborts":
        raise kk.AbortTaskRunError("no more of this")
    if kind == "memory":
        raise MemoryError
    if kind == "bad output":
        return object()
    return {"kind": kind}


def triggered(**options: Any) -> Make:
    kind = options.pop("kind", "")

    def make(eng: VirtualEngine | RealEngine) -> kk.RunHandle[Any]:
        run = ends.options(**options).trigger(kind=kind)
        eng.advance(minutes=2)
        return run

    return make


def canceled(reason: str | None) -> Make:
    def make(eng: VirtualEngine | RealEngine) -> kk.RunHandle[Any]:
        run = ends.options(delay="1h").trigger()
        run.cancel(reason) if reason else run.cancel()
        return run

    return make


STOPPED = kk.Queue("stopped", concurrency_limit=0)
CASES = [
    (triggered(kind="x"), "COMPLETED", None, None, ""),
    (triggered(kind="raises"), "FAILED", "KeyError", "'gone'", ""),
    (triggered(kind="aborts"), "FAILED", "AbortTaskRunError", "no more of this", "abort_task_run"),
    (triggered(kind="bad output"), "FAILED", "OutputNotSerializableError", None, "output_not_serializable"),
    (triggered(kind="memory"), "CRASHED", "MemoryError", None, None),
    (triggered(queue=STOPPED, ttl="1m"), "EXPIRED", "Expired", "Run expired because the TTL (60 s) was reached", None),
    (canceled(None), "CANCELED", "CANCELED", "Canceled by user", "canceled"),
    (canceled("not today"), "CANCELED", "CANCELED", "not today", "canceled"),
]


@pytest.mark.parametrize(("make", "status", "name", "message", "code"), CASES)
def test_16_1_a_result_tells_how_the_run_ended_and_does_not_raise(
    make: Make,
    status: str,
    name: str | None,
    message: str | None,
    code: str | None,
) -> None:
    with engine() as eng:
        run = make(eng)
        result = run.result()

        assert (result.id, result.task_id, result.status) == (run.id, "ends", status)
        assert result.ok is (name is None)
        assert result.output == ({"kind": "x"} if result.ok else None)
        assert bool(result.error) is not result.ok
        if result.error is not None:
            assert result.error.name == name
            assert message is None or result.error.message == message
            assert code is None or result.error.code == code


@pytest.mark.parametrize(("make", "status", "name", "message", "code"), CASES)
def test_16_2_unwrap_gives_the_output_or_raises_what_happened(
    make: Make,
    status: str,
    name: str | None,
    message: str | None,
    code: str | None,
) -> None:
    with engine() as eng:
        result = make(eng).result()

        if name is None:
            assert result.unwrap() == result.output
            return
        with pytest.raises(kk.SubtaskError, match=f"Run {result.id} of ends ended as {status}: {name}") as caught:
            result.unwrap()
    facts = caught.value.facts
    assert (facts["run_id"], facts["task_id"]) == (result.id, "ends")
    assert (facts["error"]["name"], code is None or facts["error"]["code"] == code) == (name, True)


def test_16_3_an_error_is_kept_with_name_message_and_traceback_of_the_readers_own_lines() -> None:
    with engine() as eng:
        run = ends.trigger(kind="raises")
        eng.drain()
        error = run.result().error

    assert error is not None
    assert str(error) == "KeyError: 'gone'"
    assert error.traceback.splitlines()[-1] == "KeyError: 'gone'"
    assert [(frame.function, frame.source.strip(), frame.own) for frame in error.frames] == [
        ("ends", 'raise KeyError("gone")', True)
    ]
