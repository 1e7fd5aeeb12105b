"""The front end's parts as models: each is sent to the page once, whatever number of views it draws.

What a newcomer would get wrong: a part has no view and is never closed. A page that is loaded later is given all open
models by the kernel, and a notebook that is saved keeps those that its views name.
"""

from __future__ import annotations

import threading
from collections.abc import Sequence

import anywidget
import ipywidgets
import traitlets

from kernelkit.ui.assets import Part


class PartModel(anywidget.AnyWidget):
    """One part. It is code and styles and nothing else."""

    _esm = traitlets.Unicode().tag(sync=True)
    layout = traitlets.Any(None).tag(sync=True)  # none, as it is never laid out: one would be a model of its own


_lock = threading.Lock()
_models: dict[str, PartModel] = {}
_layouts: list[ipywidgets.Layout] = []


def models(parts: Sequence[Part]) -> list[PartModel]:
    """The models of these parts, sent now unless they have been; one that a person closed is sent again."""
    with _lock:
        for part in parts:
            known = _models.get(part.key)
            if known is None or known.comm is None:
                _models[part.key] = PartModel(_esm=part.esm)
        return [_models[part.key] for part in parts]


def layout() -> ipywidgets.Layout:
    """The layout of all our views, which says nothing; ipywidgets would make one for each."""
    with _lock:
        if not _layouts or _layouts[0].comm is None:
            _layouts[:] = [ipywidgets.Layout()]
        return _layouts[0]
