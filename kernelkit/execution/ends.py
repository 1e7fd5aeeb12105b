"""How an attempt ends, as the report that says so."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Any

from msgspec.structs import replace

from kernelkit.authoring.scope import Scope
from kernelkit.errors import AbortTaskRunError, KernelKitError, OutOfMemoryError, OutputTooLargeError
from kernelkit.execution.failure import describe
from kernelkit.execution.hardexit import HardExit
from kernelkit.models.error import Error
from kernelkit.models.value import MAX_OUTPUT_BYTES, Value
from kernelkit.wire.messages import Failed, Stopped, Succeeded

Outcome = Succeeded | Failed | Stopped


def encoded(encode: Callable[[Any], str], value: Any, task_id: str) -> Value | Exception:  # value: what a body returned
    """The output as it is kept, or why it cannot be kept; such an error is never tried again."""
    try:
        text = encode(value)
        size = len(text.encode())
        if size > MAX_OUTPUT_BYTES:
            raise OutputTooLargeError(
                f"The output of {task_id} is {size:,} bytes of JSON; at most {MAX_OUTPUT_BYTES:,} are kept. "
                "Write the data to a file and return its path.",
                size=size,
            )
    except Exception as error:  # serializers of a person's own types may raise anything
        return error
    return Value(text=text, size=size)


def succeeded(scope: Scope, output: Value) -> Succeeded | Stopped:
    flush(scope)
    if scope.stopping:
        return stopped(scope)
    return Succeeded(output=output, started_at=scope.started_at, finished_at=scope.now())


def ended_badly(scope: Scope, error: BaseException, *, retry: bool = True) -> Failed | Stopped:
    flush(scope)
    if scope.stopping:
        return stopped(scope)
    return failed(scope, error, retry=retry and not isinstance(error, AbortTaskRunError))


def failed(scope: Scope, error: BaseException, *, retry: bool = True, message: str | None = None) -> Failed:
    scope.raised = error
    return Failed(
        error=as_error(error, message),
        started_at=scope.started_at,
        finished_at=scope.now(),
        retry=retry,
        out_of_memory=is_out_of_memory(error),
    )


def after_the_rest(scope: Scope, outcome: Outcome) -> Outcome:
    """The outcome as it is once everything given to `kk.wait_until_done` has ended too."""
    flush(scope)
    if scope.stopping or isinstance(outcome, Stopped):
        return stopped(scope)
    return replace(outcome, finished_at=scope.now())


def measured(scope: Scope, outcome: Outcome) -> Outcome:
    """The outcome with how long the attempt's code executed."""
    return replace(outcome, compute=scope.compute(outcome.finished_at))


def stopped(scope: Scope) -> Stopped:
    return Stopped(finished_at=scope.now(), started_at=scope.started_at)


def flush(scope: Scope) -> None:
    """Send what metadata and streams have gathered."""
    if scope.outbox is not None:
        scope.outbox.flush()
    if scope.metadata_state is not None:
        scope.metadata_state.flush()


def refusal_of(scope: Scope) -> tuple[KernelKitError, str] | None:
    """The first call of the attempt that the engine refused, if nobody has been told, and the refusal in words."""
    try:
        scope.check()
    except KernelKitError as error:
        notes = " ".join(getattr(error, "__notes__", ()))
        return error, f"{error} {notes}".rstrip()
    return None


def with_refusals(scope: Scope, outcome: Outcome) -> Outcome:
    """Success becomes failure when a call of the body turned out to be refused."""
    if scope.refusal is None or not isinstance(outcome, Succeeded):
        return stopped(scope) if scope.stopping else outcome
    refusal = refusal_of(scope)
    return outcome if refusal is None else failed(scope, refusal[0], message=refusal[1])


def is_out_of_memory(error: BaseException) -> bool:
    """Whether a body's error says that memory did not suffice; DuckDB has a class of its own for it."""
    kind = type(error)
    return isinstance(error, MemoryError | OutOfMemoryError) or (
        kind.__name__ == "OutOfMemoryException" and kind.__module__.lstrip("_").startswith("duckdb")
    )


def as_error(error: BaseException, message: str | None = None) -> Error:
    return describe(error, message=_in_words(error) if message is None else message)


def _in_words(error: BaseException) -> str | None:
    """What to say of exceptions whose own text explains nothing; None = their own text."""
    match error:
        case HardExit():
            return (
                f"the task called os._exit({error.code!r}). Other runs share its process, so only this run was ended; "
                'with isolation="process" it has a process of its own'
            )
        case SystemExit():
            return f"the task called sys.exit({'' if error.code is None else repr(error.code)})"
        case KeyboardInterrupt():
            return "the task was interrupted (KeyboardInterrupt)"
        case asyncio.CancelledError():
            return (
                "the task cancelled itself: an asyncio.CancelledError left its body, and nobody asked the run to stop"
            )
        case MemoryError() if not str(error):
            return "the task asked for more memory than it can get"
        case _:
            return None
