"""The widget of a batch: besides the view it has a character an item, of which only those that changed are sent."""

from __future__ import annotations

from typing import Any

import traitlets

from kernelkit.ui.batch_grid import changes
from kernelkit.ui.view_widget import Heard, ViewWidget


class BatchWidget(ViewWidget):
    """What a newcomer would get wrong: `cells` is sent once. A browser that comes later, as after a reload, asks for
    the whole state and is given the cells of that moment (`get_state`)."""

    cells = traitlets.Unicode().tag(sync=True)
    changed = traitlets.Dict().tag(sync=True)

    def __init__(self, module: str, view: dict[str, Any], heard: Heard) -> None:
        view = dict(view)
        self._cells: str = view.pop("cells")
        super().__init__(module, view, heard, cells=self._cells)

    def paint(self, view: Any) -> None:
        view = dict(view)
        now: str = view.pop("cells")
        changed, self._cells = changes(self._cells, now), now
        if changed:
            self.changed = changed
        super().paint(view)

    def get_state(self, key: Any = None, drop_defaults: bool = False) -> dict[str, Any]:
        state: dict[str, Any] = super().get_state(key, drop_defaults)
        if "cells" in state:
            state["cells"] = self._cells
        return state
