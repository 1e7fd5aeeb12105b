"""`run.logs()`: what a run wrote, which displays itself."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import overload

from kernelkit.authoring import display
from kernelkit.authoring.caller import Caller
from kernelkit.errors import InvalidOptionError
from kernelkit.models.run import LogLine
from kernelkit.rules.limits import check_text
from kernelkit.wire.messages import GetLogs, LogsReply

LEVELS = ("debug", "info", "warn", "error", "stdout", "stderr")


class RunLogs(display.Shown, Sequence[LogLine]):
    """The last captured lines of a run, oldest first: `len`, indexes and `for` are about these.

    At the end of a cell it is a log viewer, which goes on reading while the run does.

    logs = run.logs(level=["warn", "error"])
    logs.lines[-1].text
    """

    __slots__ = ("asked", "caller", "dropped", "has_more", "lines")

    def __init__(self, caller: Caller, asked: GetLogs) -> None:
        """Use `RunHandle.logs`."""
        reply = caller.call(asked)
        assert isinstance(reply, LogsReply)
        self.caller = caller
        self.asked = asked
        self.lines: tuple[LogLine, ...] = reply.logs.lines
        self.dropped: int = reply.logs.dropped
        """How many lines in the middle of the run's log were not kept."""
        self.has_more: bool = reply.has_more
        """Whether earlier lines match as well."""

    @property
    def run_id(self) -> str:
        return self.asked.run_id

    @overload
    def __getitem__(self, index: int) -> LogLine: ...
    @overload
    def __getitem__(self, index: slice) -> tuple[LogLine, ...]: ...
    def __getitem__(self, index: int | slice) -> LogLine | tuple[LogLine, ...]:
        return self.lines[index]

    def __len__(self) -> int:
        return len(self.lines)

    def __repr__(self) -> str:
        return f"<RunLogs of {self.run_id}: {len(self.lines):,} line{'' if len(self.lines) == 1 else 's'}>"


def logs_request(run_id: str, limit: int, level: str | Iterable[str], search: str | None) -> GetLogs:
    """The request for a run's lines; raises `InvalidOptionError` for what cannot be meant."""
    if isinstance(limit, bool) or not isinstance(limit, int) or limit < 1:
        raise InvalidOptionError(f"limit={limit!r} is no number of lines.", field="limit")
    levels = (level,) if isinstance(level, str) else tuple(level)
    for one in levels:
        if one not in LEVELS:
            raise InvalidOptionError(f"level={one!r} is no level. They are {', '.join(LEVELS)}.", field="level")
    if search is not None and not isinstance(search, str):
        raise InvalidOptionError(f"search={search!r} is no text.", field="search")
    return GetLogs(run_id, limit=limit, level=levels, search=check_text(search or "", "search"))
