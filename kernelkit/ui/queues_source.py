"""The live queues panel: every second how the queues are, and clicks that pause, resume and limit them."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

import msgspec

from kernelkit.authoring.caller import Caller
from kernelkit.authoring.queues import Queues, QueueTable
from kernelkit.errors import KernelKitError
from kernelkit.ui import words
from kernelkit.ui.faces import Bundle
from kernelkit.ui.polled import Polled, named
from kernelkit.ui.queues import QueuesTable, queues_html, queues_table, queues_text

EVERY_S = 1.0


class QueuesSource(Polled):
    """A `Source` of `ui/live_view.py`."""

    def __init__(self, caller: Caller) -> None:
        super().__init__(caller)
        self._queues = Queues(caller)
        self._found: QueueTable | None = None
        self._table: QueuesTable | None = None
        self._opened = ""  # the queue whose keys are in sight

    def ask(self) -> None:
        found = self._queues.list()
        self._table = queues_table(found, paused=found.paused, now=datetime.now(UTC), zone=words.local_zone())

    def shown(self) -> dict[str, Any]:
        if self._table is None:
            return {}
        view: dict[str, Any] = msgspec.to_builtins(self._table)
        owner, rows = "", []
        for row in view["rows"]:
            row.pop("oldest_full", None)  # the static face's
            owner = owner if row.get("is_key") else row["id"]
            if owner == self._opened or not row.get("is_key"):
                rows.append(row)
        return {**view, "rows": rows}

    def asked(self, content: dict[str, Any]) -> None:
        match content:
            case {"do": "keys", "id": str(queue)}:
                self._opened = queue
                self.wake.set()
                self.urgent.set()
        super().asked(content)

    def bundle(self) -> Bundle:
        assert self._table is not None, "it has been asked for"
        return {"text/plain": queues_text(self._table), "text/html": queues_html(self._table)}

    def act(self, content: dict[str, Any]) -> str:
        queues = self._queues
        match content.get("do"):
            case "pause":
                queues.pause(named(content, "id"))
            case "resume":
                queues.resume(named(content, "id"))
            case "pause all":
                queues.pause_all()
            case "resume all":
                queues.resume_all()
            case "limit":
                queues.set_concurrency(named(content, "id"), content.get("limit"))  # type: ignore[arg-type]  # it checks
            case "reset":
                queues.reset_concurrency(named(content, "id"))
            case other:
                raise KernelKitError(f"The queues panel knows no {other!r}.")
        return ""
