"""Every error a person can meet, in one tree.

    KernelKitError
    ├─ EngineUnavailableError      no engine answers, and none could be started
    ├─ HomeLockedError             another process owns this home's database
    ├─ VersionMismatchError        client and engine speak different protocols
    ├─ StoreError                  the database file does not open
    │  └─ StoreFullError           no space left to commit
    ├─ UnknownTaskError            no such task; carries near matches
    ├─ UnknownRunError             no such run
    ├─ UnknownKeyError             no run holds this idempotency key
    ├─ UnknownArtifactError        the run has no such file
    ├─ NotebookError
    │  ├─ NotebookCellError        a cell raised; keeps the notebook's traceback
    │  ├─ NotebookKernelError      the kernel did not start, or died
    │  └─ NotebookTimeoutError     a cell took longer than it may
    ├─ UnknownTokenError           no such token
    ├─ QueueFullError              a queue has as many runs waiting as it may have
    ├─ DuplicateTaskError          the id belongs to another function or notebook
    ├─ TaskDefinitionError         a task that cannot be defined as it is written
    ├─ PayloadError
    │  ├─ PayloadValidationError   the payload does not fit the task's parameters
    │  ├─ PayloadTooLargeError     over 3,145,728 bytes of JSON
    │  └─ PayloadNotSerializableError
    ├─ OutputError
    │  ├─ OutputNotSerializableError
    │  └─ OutputTooLargeError
    ├─ TaskNotPicklableError       a captured global that cannot be shipped
    ├─ InvalidOptionError          an option's value is out of bounds
    │  └─ UnknownQueueError        no such queue; carries near matches
    ├─ InvalidDurationError
    ├─ InvalidCronError            a cron expression that cannot be read, or never comes
    ├─ UnknownScheduleError        no such schedule
    ├─ NotInTaskError              a call that needs a run around it
    ├─ StreamFullError             a stream has as much in it as it may
    ├─ SqlError                    a query of `kk.sql` that cannot be answered
    ├─ RunOverError                a change to a run that has ended
    ├─ RunCanceledError            what an on_cancel hook sees of a body that its cancel stopped
    ├─ SubtaskError                `Result.unwrap()` of a run that did not complete
    ├─ WaitTimeoutError            a token was not completed in time
    ├─ NeverAwaitedError           a call that waits was made, and its answer never asked for
    └─ ReplayDivergedError         a resumed body did something else than the first time

Errors raised *by* a task body to steer it (`AbortTaskRunError`, `CompleteTaskWithOutput`) and errors the engine gives
to an attempt (`WorkerLostError`, `OutOfMemoryError`, `TaskTimeoutError`) hang under `KernelKitError` as well.

Errors cross processes: `to_wire` and `from_wire` keep class, message and typed fields; pickling works as usual.
"""

from __future__ import annotations

from typing import Any, ClassVar


class KernelKitError(Exception):
    """Base of all KernelKit errors. `str(error)` says what happened and what to do next.

    Typed facts are keyword arguments and become attributes:

    >>> UnknownTaskError("No task 'resise'.", task_id="resise", near=["resize"]).near
    ['resize']
    """

    code: ClassVar[str] = "error"

    def __init__(self, message: str, **facts: Any) -> None:  # facts are JSON values, of any shape
        super().__init__(message)
        self.message = message
        self.facts = facts

    def __getattr__(self, name: str) -> Any:
        facts = self.__dict__.get("facts", {})
        if name in facts:
            return facts[name]
        raise AttributeError(name)

    def __reduce__(self) -> tuple[Any, ...]:
        return (_rebuild, (type(self).code, self.message, self.facts))


class EngineUnavailableError(KernelKitError):
    """No engine answers for this home, and none could be started."""

    code = "engine_unavailable"


class HomeLockedError(KernelKitError):
    """Another process already owns this home's database."""

    code = "home_locked"


class VersionMismatchError(KernelKitError):
    """Client and engine speak different protocol numbers."""

    code = "version_mismatch"


class StoreError(KernelKitError):
    """The database file does not open or was written by a newer KernelKit."""

    code = "store"


class StoreFullError(StoreError):
    """There is no space left to commit; nothing was stored."""

    code = "store_full"


class UnknownTaskError(KernelKitError):
    """No task of this id is defined in the project."""

    code = "unknown_task"


class UnknownRunError(KernelKitError):
    """No run of this id is kept."""

    code = "unknown_run"


class UnknownKeyError(KernelKitError):
    """No run of the task holds this idempotency key."""

    code = "unknown_key"


class UnknownTokenError(KernelKitError):
    """No token of this id is kept."""

    code = "unknown_token"


class DuplicateTaskError(KernelKitError):
    """The task id belongs to another function or another notebook."""

    code = "duplicate_task"


class TaskDefinitionError(KernelKitError):
    """A task that cannot be defined as it is written."""

    code = "task_definition"


class PayloadError(KernelKitError):
    """A payload that cannot be sent."""

    code = "payload"


class PayloadValidationError(PayloadError):
    """The payload does not fit the task's parameters; carries pydantic's own error list."""

    code = "payload_validation"


class PayloadTooLargeError(PayloadError):
    """The payload is over 3,145,728 bytes of UTF-8 JSON."""

    code = "payload_too_large"


class PayloadNotSerializableError(PayloadError):
    """The payload has a value that JSON cannot carry."""

    code = "payload_not_serializable"


class OutputError(KernelKitError):
    """A task's return value that cannot be kept."""

    code = "output"


class OutputNotSerializableError(OutputError):
    """The return value has something that JSON cannot carry."""

    code = "output_not_serializable"


class OutputTooLargeError(OutputError):
    """The return value is over 10,485,760 bytes of UTF-8 JSON."""

    code = "output_too_large"


class TaskNotPicklableError(KernelKitError):
    """A global that the task uses cannot be shipped to a worker; names it and its cell."""

    code = "task_not_picklable"


class InvalidOptionError(KernelKitError):
    """An option's value is unknown or out of bounds."""

    code = "invalid_option"


class InvalidDurationError(InvalidOptionError):
    """A duration that cannot be read."""

    code = "invalid_duration"


class SqlError(KernelKitError):
    """A query that cannot be answered as it is written, or took too long."""

    code = "sql"


class InvalidCronError(InvalidOptionError):
    """A cron expression that cannot be read, or means a date that never comes."""

    code = "invalid_cron"


class UnknownScheduleError(KernelKitError):
    """No schedule with this id is in the home."""

    code = "unknown_schedule"


class UnknownQueueError(InvalidOptionError):
    """No task of the project uses a queue of this name, and nobody has made one."""

    code = "unknown_queue"


class QueueFullError(KernelKitError):
    """As many runs wait in the queue as the setting `queue_size_limit` allows; nothing was stored."""

    code = "queue_full"


class NotInTaskError(KernelKitError):
    """A call that only means something inside a run."""

    code = "not_in_task"


class RunCanceledError(KernelKitError):
    """The body of a canceled run was stopped, so it has no output: what `await run` raises in an on_cancel hook."""

    code = "run_canceled"


class RunOverError(KernelKitError):
    """A change to a run that has ended, and so changes no more."""

    code = "run_over"


class StreamFullError(KernelKitError):
    """A stream, or a value of it, is larger than it may be."""

    code = "stream_full"


class UnknownArtifactError(KernelKitError):
    """A run has no file of that name."""

    code = "unknown_artifact"


class NotebookError(KernelKitError):
    """A notebook job that did not come to its end; `cell` is the number in brackets beside the cell, `line` its first
    line."""

    code = "notebook"


class NotebookCellError(NotebookError):
    """A cell raised; `ename` and `evalue` are what it raised, and the error's traceback is the notebook's own."""

    code = "notebook_cell"


class NotebookKernelError(NotebookError):
    """The notebook's kernel did not start, or died while a cell ran."""

    code = "notebook_kernel"


class NotebookTimeoutError(NotebookError):
    """A cell took longer than `cell_timeout` lets it."""

    code = "notebook_timeout"


class AbortTaskRunError(KernelKitError):
    """Raise it in a task's body to fail the run now, without further attempts.

    >>> raise AbortTaskRunError("the account is closed")
    Traceback (most recent call last):
    ...
    kernelkit.errors.AbortTaskRunError: the account is closed
    """

    code = "abort_task_run"


class CompleteTaskWithOutput(KernelKitError):
    """Raise it anywhere below a task's body to end the run with success and this output.

    An `except Exception:` on its way stops it, as it would any other exception.

    >>> CompleteTaskWithOutput({"rows": 0}).output
    {'rows': 0}
    """

    code = "complete_task_with_output"

    def __init__(self, output: Any = None) -> None:  # whatever the task may return
        super().__init__("The task ends here, with success. (Raised outside a task, this does nothing of the kind.)")
        self.output = output

    def __reduce__(self) -> tuple[Any, ...]:
        return (CompleteTaskWithOutput, (self.output,))


class TaskTimeoutError(KernelKitError):
    """The attempt ran longer than it may."""

    code = "task_timeout"


class WorkerLostError(KernelKitError):
    """The process that ran the attempt ended before the attempt did."""

    code = "worker_lost"


class OutOfMemoryError(KernelKitError):
    """The attempt needed more memory than it may use."""

    code = "out_of_memory"


class SubtaskError(KernelKitError):
    """`Result.unwrap()` of a run that did not complete; `run_id`, `task_id` and `error` say which and why."""

    code = "subtask"


class WaitTimeoutError(KernelKitError):
    """Nobody completed the token in time, neither in its own nor in that of this wait."""

    code = "wait_timeout"


class NeverAwaitedError(KernelKitError):
    """A task called something that waits, and never awaited what it got; nothing has happened then."""

    code = "never_awaited"


class ReplayDivergedError(KernelKitError):
    """A resumed task is called again and did not make the same durable calls as the first time."""

    code = "replay_diverged"


def _tree(cls: type[KernelKitError]) -> dict[str, type[KernelKitError]]:
    found = {cls.code: cls}
    for sub in cls.__subclasses__():
        found |= _tree(sub)
    return found


def _rebuild(code: str, message: str, facts: dict[str, Any]) -> KernelKitError:
    return _tree(KernelKitError).get(code, KernelKitError)(message, **facts)


def to_wire(error: KernelKitError) -> dict[str, Any]:
    """The error as JSON values, for `from_wire` in another process."""
    return {"code": error.code, "message": error.message, "facts": error.facts}


def from_wire(data: dict[str, Any]) -> KernelKitError:
    """The error that `to_wire` described; an unknown code becomes a plain `KernelKitError`."""
    return _rebuild(data["code"], data["message"], data.get("facts") or {})
