"""What all widgets of ours have in common: a view, a heartbeat, and words back.

The view is sent whole once, then what is new in it (`ui/difference.py`); a page that comes later is given the whole of
that moment (`get_state`), and one that has missed something asks for it.

Imported only when a live picture is shown in a kernel, because ipywidgets and anywidget take a while.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import anywidget
import ipywidgets
import traitlets

from kernelkit.ui import assets, hosts
from kernelkit.ui.difference import difference
from kernelkit.ui.faces import Bundle
from kernelkit.ui.parts import PartModel, layout, models

MIME = "application/vnd.jupyter.widget-view+json"

Heard = Callable[[dict[str, Any]], None]


class ViewWidget(anywidget.AnyWidget):
    """One live picture. Painted from a thread of ours; traits may be set on any.

    `heard` is given each message of the browser's; it may come on any thread, also while a cell computes.
    """

    _esm = traitlets.Unicode().tag(sync=True)
    parts = traitlets.List(traitlets.Instance(PartModel)).tag(sync=True, **ipywidgets.widget_serialization)
    view = traitlets.Dict().tag(sync=True)  # as it was last sent whole; how it is now is in `get_state`
    news = traitlets.Dict().tag(sync=True)
    link = traitlets.Dict().tag(sync=True)  # how the kernel stands to the engine
    beat = traitlets.Int(0).tag(sync=True)  # a silent picture tells the reader that the kernel is gone

    def __init__(self, module: str, view: dict[str, Any], heard: Heard, **more: Any) -> None:
        self._heard_by = heard
        self._shown: dict[str, Any] = {**view, "n": 0}
        # What is stored of a notebook that runs by itself is what was sent: then every view is sent whole.
        self._sends_news = hosts.is_looked_at(hosts.shell())
        part = assets.part(module)
        super().__init__(
            _esm=assets.view(part),
            parts=models((*part.needs, *part.later, part)),
            view=self._shown,
            link={"state": "live"},
            layout=layout(),
            **more,
        )
        if self.comm is not None:
            hosts.answer_while_busy(self.comm)
        self.on_msg(self._heard)

    def _heard(self, _widget: object, content: object, _buffers: object) -> None:
        if not isinstance(content, dict):
            return
        if content.get("do") == "whole":
            self.send_state("view")
        else:
            self._heard_by(content)

    def paint(self, view: Any) -> None:
        """Show `view`: JSON values here, what a subclass makes them from there."""
        with self.hold_sync():
            self._show(view)
            self.link = {"state": "live"}

    def _show(self, view: dict[str, Any]) -> None:
        known = self._shown
        number: int = known["n"]
        found = difference({name: value for name, value in known.items() if name != "n"}, view)
        if not found:
            return
        self._shown = {**view, "n": number + 1}
        if self._sends_news:
            self.news = {**found, "of": number, "n": number + 1}
        else:
            self.view = self._shown

    def get_state(self, key: Any = None, drop_defaults: bool = False) -> dict[str, Any]:
        state: dict[str, Any] = super().get_state(key, drop_defaults)
        if "view" in state:
            state["view"] = self._shown
        return state

    def heartbeat(self, *, silent_since: float | None) -> None:
        with self.hold_sync():
            self.beat += 1
            self.link = {"state": "live"} if silent_since is None else {"state": "silent", "since": silent_since * 1000}

    def with_faces(self, bundle: Bundle) -> Bundle:
        """All three faces, for the first display."""
        return {**bundle, MIME: {"version_major": 2, "version_minor": 0, "model_id": self.model_id}}
