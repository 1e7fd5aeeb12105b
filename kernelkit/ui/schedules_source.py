"""The live schedules panel: what fires when, and clicks that turn a schedule on or off or run its task now."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

import msgspec

from kernelkit.authoring.caller import Caller
from kernelkit.authoring.schedules import Schedules
from kernelkit.errors import KernelKitError
from kernelkit.ui import words
from kernelkit.ui.faces import Bundle
from kernelkit.ui.polled import Polled, named
from kernelkit.ui.schedules import SchedulesTable, schedules_html, schedules_table, schedules_text

EVERY_S = 2.0
_STATIC = frozenset({"when", "next", "next_full", "last", "last_full"})  # what only the faces without a clock say


class SchedulesSource(Polled):
    """A `Source` of `ui/live_view.py`."""

    def __init__(self, caller: Caller, *, task: str = "", note: str = "") -> None:
        super().__init__(caller)
        self._schedules = Schedules(caller)
        self._task = task
        self._note = note
        self._table: SchedulesTable | None = None

    def ask(self) -> None:
        found = self._schedules.list(task=self._task or None)
        self._table = schedules_table(
            [one.known for one in found], now=datetime.now(UTC), zone=words.local_zone(), note=self._note
        )

    def shown(self) -> dict[str, Any]:
        if self._table is None:
            return {}
        view: dict[str, Any] = msgspec.to_builtins(self._table)
        rows = [{name: value for name, value in row.items() if name not in _STATIC} for row in view["rows"]]
        return {**view, "rows": rows}

    def bundle(self) -> Bundle:
        assert self._table is not None, "it has been asked for"
        return {"text/plain": schedules_text(self._table), "text/html": schedules_html(self._table)}

    def act(self, content: dict[str, Any]) -> str:
        schedules = self._schedules
        match content.get("do"):
            case "on":
                schedules.activate(named(content, "id"))
                return ""
            case "off":
                schedules.deactivate(named(content, "id"))
                return ""
            case "run":
                run = schedules.run_now(named(content, "id"))
                return f"Triggered {run.id} of {run.task_id}"
            case other:
                raise KernelKitError(f"The schedules panel knows no {other!r}.")
