"""Runs one attempt in the calling thread, hooks and all, so that breakpoints hold and errors come up as they are.

The payload goes through JSON as on its way to a worker, hooks come in their order (those of `init.py` too), and
`kk.metadata`, `kk.tags` and the logger work; but nothing is stored, tried again or limited. What a newcomer would get
wrong: a notebook's cell runs inside an event loop, and asyncio refuses a second one below it, so the first is put
aside while ours runs. A debugger could not follow the body to another thread.
"""

from __future__ import annotations

import asyncio
import sys
from asyncio import events
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any

from kernelkit.authoring import caller as callers
from kernelkit.authoring.bundle import LoadedTask, load_bundle
from kernelkit.authoring.line import Line
from kernelkit.authoring.run_options import RunOptions
from kernelkit.authoring.scope import Scope
from kernelkit.authoring.signature import Signature
from kernelkit.authoring.task import Task
from kernelkit.clock import WallClock
from kernelkit.errors import KernelKitError
from kernelkit.execution.project import Project
from kernelkit.execution.runner import run_async_attempt, run_sync_attempt
from kernelkit.ids import make_id
from kernelkit.wire.messages import Failed, StartAttempt


def run_here(task: Task[..., Any], args: tuple[Any, ...], kwargs: Mapping[str, Any], options: RunOptions) -> Any:
    """What the body returns. Raises what it or a hook raised, or `PayloadValidationError` before anything began."""
    signature = _Returning(task.function)
    loaded = LoadedTask(task.id, task.function, signature, {}, Project(_home(), load_bundle).with_init(task.hooks))
    scope = Scope(_start(task, args, dict(kwargs), options), Line(lambda scope, body: None, _say))
    with _no_loop():
        if signature.is_async:
            with asyncio.Runner(loop_factory=asyncio.new_event_loop) as runner:
                outcome = runner.run(run_async_attempt(loaded, scope))
        else:
            outcome = run_sync_attempt(loaded, scope)
    if isinstance(outcome, Failed):
        raise scope.raised or KernelKitError(str(outcome.error))
    return signature.returned


class _Returning(Signature):
    """Keeps what the body returned, as it was before it became JSON."""

    returned: Any = None

    def encode_output(self, value: Any, /) -> str:
        self.returned = value
        return super().encode_output(value)


def _start(task: Task[..., Any], args: tuple[Any, ...], kwargs: dict[str, Any], options: RunOptions) -> StartAttempt:
    order = task.order(task.signature.bind(args, kwargs), options)
    run_id = make_id("run")
    return StartAttempt(
        run_id=run_id,
        task_id=task.id,
        fence="here",
        attempt=1,
        max_attempts=1,
        bundle="",
        payload=order.payload,
        version=task.version or "",
        queue=options.queue or task.queue,
        created_at=WallClock().now(),
        tags=options.tags or task.tags,
        metadata=options.metadata,
        root_id=run_id,
        priority=options.priority,
        is_test=options.is_test,
    )


def _home() -> Any:
    return callers.current().home


def _say(scope: Scope, level: str, text: str) -> None:
    sys.stderr.write(f"{level} {text}\n")


@contextmanager
def _no_loop() -> Iterator[None]:
    """Put the loop that runs this thread aside, if there is one, as if it had none."""
    running = events._get_running_loop()
    events._set_running_loop(None)
    try:
        yield
    finally:
        events._set_running_loop(running)
