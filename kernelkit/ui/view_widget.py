"""What all widgets of ours have in common: a view that is sent whole, a heartbeat, and words back.

Imported only when a live picture is shown in a kernel, because ipywidgets and anywidget take a while.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import anywidget
import ipywidgets
import traitlets

from kernelkit.ui import assets, hosts
from kernelkit.ui.live import Bundle
from kernelkit.ui.parts import PartModel, models

MIME = "application/vnd.jupyter.widget-view+json"

Heard = Callable[[dict[str, Any]], None]


class ViewWidget(anywidget.AnyWidget):
    """One live picture. Painted from a thread of ours; traits may be set on any.

    `heard` is given each message of the browser's; it may come on any thread, also while a cell computes.
    """

    _esm = traitlets.Unicode().tag(sync=True)
    parts = traitlets.List(traitlets.Instance(PartModel)).tag(sync=True, **ipywidgets.widget_serialization)
    view = traitlets.Dict().tag(sync=True)
    link = traitlets.Dict().tag(sync=True)  # how the kernel stands to the engine
    beat = traitlets.Int(0).tag(sync=True)  # a silent picture tells the reader that the kernel is gone

    def __init__(self, module: str, styles: tuple[str, ...], view: dict[str, Any], heard: Heard, **more: Any) -> None:
        self._heard_by = heard
        part = assets.part(module, *styles)
        super().__init__(
            _esm=assets.view(part),
            parts=models((*part.needs, part)),
            view=view,
            link={"state": "live"},
            **more,
        )
        if self.comm is not None:
            hosts.answer_while_busy(self.comm)
        self.on_msg(self._heard)

    def _heard(self, _widget: object, content: object, _buffers: object) -> None:
        if isinstance(content, dict):
            self._heard_by(content)

    def paint(self, view: Any) -> None:
        """Show `view`: JSON values here, what a subclass makes them from there."""
        with self.hold_sync():
            self.view = view
            self.link = {"state": "live"}

    def heartbeat(self, *, silent_since: float | None) -> None:
        with self.hold_sync():
            self.beat += 1
            self.link = {"state": "live"} if silent_since is None else {"state": "silent", "since": silent_since * 1000}

    def close(self) -> None:
        """Take the model away, and its layout, which ipywidgets would keep for good."""
        layout = self.layout
        super().close()
        if layout is not None:
            layout.close()

    def with_faces(self, bundle: Bundle) -> Bundle:
        """All three faces, for the first display."""
        return {**bundle, MIME: {"version_major": 2, "version_minor": 0, "model_id": self.model_id}}
