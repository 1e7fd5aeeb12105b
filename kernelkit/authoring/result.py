"""How a run ended: `Result`, which never raises by itself."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Generic, TypeVar, cast

from kernelkit.authoring import display
from kernelkit.errors import SubtaskError
from kernelkit.models.error import Error
from kernelkit.models.run import Run, RunStatus

T = TypeVar("T")

_UNREAD: Any = object()


class Result(display.Shown, Generic[T]):
    """The end of a run: `ok`, then `output` or `error`.

    result = await run
    if result.ok:
        print(result.output)
    thumb = result.unwrap()      # the output, or raises kk.SubtaskError
    """

    __slots__ = ("_output", "_revive", "run")

    def __init__(self, run: Run, revive: Callable[[str], Any] | None = None) -> None:
        self.run = run
        """The run as it was when it ended."""
        self._revive = revive
        self._output: Any = _UNREAD

    @property
    def id(self) -> str:
        return self.run.id

    @property
    def task_id(self) -> str:
        return self.run.task_id

    @property
    def status(self) -> RunStatus:
        return self.run.status

    @property
    def ok(self) -> bool:
        """True when the task returned a value."""
        return self.run.status is RunStatus.COMPLETED

    @property
    def output(self) -> T:
        """What the task returned, as its return annotation says; None when it did not end well."""
        if self._output is _UNREAD:
            text = self.run.output_json
            if self._revive is not None and text is not None and self.ok:
                self._output = self._revive(text)
            else:
                self._output = self.run.output
        return cast(T, self._output)

    @property
    def error(self) -> Error | None:
        """What went wrong, or None."""
        if self.ok:
            return None
        return self.run.error or Error(name=str(self.status), message=self.run.canceled_reason or "")

    def unwrap(self) -> T:
        """The output; raises `SubtaskError`, which carries `run_id`, `task_id` and `error`, when there is none."""
        error = self.error
        if error is None:
            return self.output
        raise SubtaskError(
            f"Run {self.id} of {self.task_id} ended as {self.status}: {error}\n"
            f"kk.runs.retrieve({self.id!r}) shows its attempts and where it went wrong.",
            run_id=self.id,
            task_id=self.task_id,
            error={"name": error.name, "message": error.message, "code": error.code, "traceback": error.traceback},
        )

    def __repr__(self) -> str:
        shown = f"output={_short(self.output)}" if self.ok else f"error={_short(str(self.error), quote=False)}"
        return f"<Result {self.status} of {self.id}: {shown}>"


def _short(value: object, *, quote: bool = True) -> str:
    text = repr(value) if quote else str(value)
    text = text.partition("\n")[0]
    return text if len(text) <= 120 else text[:119] + "…"
