"""The live engine panel: every second how the engine is, or that it is away, and clicks that start or restart it."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

import msgspec

from kernelkit.client.engine import EngineControl
from kernelkit.errors import EngineUnavailableError, KernelKitError
from kernelkit.ui import words
from kernelkit.ui.engine_panel import EngineView, engine_away, engine_html, engine_text, engine_view
from kernelkit.ui.faces import Bundle
from kernelkit.ui.polled import Polled

EVERY_S = 1.0
MAX_WORKERS = 20
LOG_LINES = 20
_LOG_BYTES = 6_000


class EngineSource(Polled):
    """A `Source` of `ui/live_view.py`."""

    is_connected = True  # the panel itself says that the engine is away

    def __init__(self, control: EngineControl) -> None:
        super().__init__(None)
        self._control = control
        self._engine: EngineView | None = None
        self._now = datetime.now(UTC)
        self._last_word: datetime | None = None
        self._logs = ""

    def ask(self) -> None:
        self._now = datetime.now(UTC)
        try:
            status = self._control.status(history=False) if self._control.is_running else None
        except EngineUnavailableError:  # it is just starting, or ending
            status = None
        if status is None:
            self._engine = engine_away(str(self._control.home.path), was_stopped=self._control.was_stopped)
            return
        self._last_word = self._now
        self._engine = engine_view(status, now=self._now, zone=words.local_zone())

    def shown(self) -> dict[str, Any]:
        if self._engine is None:
            return {}
        zone, engine = words.local_zone(), self._engine
        kept = msgspec.structs.replace(
            engine, workers=engine.workers[:MAX_WORKERS], more_workers=max(0, len(engine.workers) - MAX_WORKERS)
        )
        view: dict[str, Any] = msgspec.to_builtins(kept)
        if engine.is_away and self._last_word is not None:
            view["last_word"] = words.moment(self._last_word, self._now, zone)
        view["about"] = " · ".join(part for part in engine.about.split(" · ") if not part.startswith("up "))
        moment = {"as_of": self._now.isoformat(), "as_of_text": words.full_moment(self._now, zone)}
        return {**view, **moment, "logs": self._logs}

    def bundle(self) -> Bundle:
        assert self._engine is not None, "it has been asked for"
        return {"text/plain": engine_text(self._engine), "text/html": engine_html(self._engine)}

    def act(self, content: dict[str, Any]) -> str:
        match content.get("do"):
            case "start":
                self._control.start()
                return "The engine has started."
            case "restart":
                self._control.restart()
                return "The engine was restarted; what was executing goes on."
            case "logs":
                told = words.clean_block("\n".join(str(self._control.logs(LOG_LINES)).splitlines()))
                self._logs = told[-_LOG_BYTES:]
                return ""
            case "no logs":
                self._logs = ""
                return ""
            case other:
                raise KernelKitError(f"The engine panel knows no {other!r}.")
