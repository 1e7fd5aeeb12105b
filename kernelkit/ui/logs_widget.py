"""The widget of a log viewer: besides the view it has the lines, of which only those that came are sent."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import msgspec
import traitlets

from kernelkit.ui.logs import LogLineView
from kernelkit.ui.view_widget import Heard, ViewWidget


class LogWidget(ViewWidget):
    """As `BatchWidget`: `lines` is sent once, then what `came`; a browser that comes later is given all of them.

    `came` says which lines stay (those from `first` on) and which are new, before or after them.
    """

    lines: traitlets.List[Any] = traitlets.List().tag(sync=True)
    came = traitlets.Dict().tag(sync=True)

    def __init__(self, module: str, view: dict[str, Any], heard: Heard) -> None:
        view = dict(view)
        self._lines: list[LogLineView] = view.pop("lines")
        super().__init__(module, view, heard, lines=msgspec.to_builtins(self._lines))

    def paint(self, view: Any) -> None:
        view = dict(view)
        now: list[LogLineView] = view.pop("lines")
        came, self._lines = _came(self._lines, now), now
        if came is not None:
            self.came = came
        super().paint(view)

    def get_state(self, key: Any = None, drop_defaults: bool = False) -> dict[str, Any]:
        state: dict[str, Any] = super().get_state(key, drop_defaults)
        if "lines" in state:
            state["lines"] = msgspec.to_builtins(self._lines)
        return state


def _came(before: Sequence[LogLineView], now: Sequence[LogLineView]) -> dict[str, Any] | None:
    """What is new, None where nothing is."""
    first = now[0].key if now else 0
    low, high = (before[0].key, before[-1].key) if before else (0, -1)
    earlier = [line for line in now if line.key < low] if before else []
    later = [line for line in now if line.key > high] if before else list(now)
    if not earlier and not later and bool(now) == bool(before) and first == low:
        return None
    last = now[-1].key if now else -1
    return {"first": first, "last": last, "before": msgspec.to_builtins(earlier), "after": msgspec.to_builtins(later)}
