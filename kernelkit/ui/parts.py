"""The front end's parts as models: each is sent to the page once, whatever number of views it draws.

What a newcomer would get wrong: a part has no view and is never closed. A page that is loaded later is given all open
models by the kernel, and a notebook that is saved keeps those that its views name.
"""

from __future__ import annotations

import threading
from collections.abc import Sequence

import anywidget
import traitlets

from kernelkit.ui.assets import Part


class PartModel(anywidget.AnyWidget):
    """One part. It is code and styles and nothing else."""

    _esm = traitlets.Unicode().tag(sync=True)


_lock = threading.Lock()
_models: dict[str, PartModel] = {}


def models(parts: Sequence[Part]) -> list[PartModel]:
    """The models of these parts, sent now unless they have been; one that a person closed is sent again."""
    with _lock:
        for part in parts:
            known = _models.get(part.key)
            if known is None or known.comm is None:
                _models[part.key] = PartModel(_esm=part.esm)
        return [_models[part.key] for part in parts]
