"""Where the screens hook in: what is shown of a task, a handle, a batch or a result in a notebook.

`authoring` draws nothing itself. Whoever draws (the `ui` rooms, once the extension is loaded) registers a face per
class here; without one, objects show their plain text.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, TypeVar

F = TypeVar("F")

Mimebundle = dict[str, Any]
"""MIME type → data, as IPython's display formatters know it."""

_bundles: dict[type, Callable[[Any], Mimebundle | None]] = {}
_shows: dict[type, Callable[[Any], None]] = {}


def register(
    kind: type,
    mimebundle: Callable[[Any], Mimebundle | None] | None = None,
    *,
    show: Callable[[Any], None] | None = None,
) -> None:
    """Draw objects of `kind` and its subclasses with `mimebundle`; registering again replaces.

    `show` takes the display over wholly, for faces that go on changing after the cell; without it IPython shows the
    bundle. Giving neither removes the face.
    """
    _put(_bundles, kind, mimebundle)
    _put(_shows, kind, show)


def _put(table: dict[type, F], kind: type, face: F | None) -> None:
    if face is None:
        table.pop(kind, None)
    else:
        table[kind] = face


def mimebundle(shown: object) -> Mimebundle | None:
    """What to show for `shown`, or None for its plain text."""
    for kind in type(shown).__mro__:
        if kind in _bundles:
            return _bundles[kind](shown)
    return None


class Shown:
    """Base of what displays itself at the end of a cell."""

    __slots__ = ()

    def _repr_mimebundle_(self, include: Any = None, exclude: Any = None, **_: Any) -> Mimebundle | None:
        return mimebundle(self)

    def _ipython_display_(self) -> None:
        for kind in type(self).__mro__:
            if kind in _shows:
                _shows[kind](self)
                return
        raise NotImplementedError  # IPython's way of saying: use the other formatters
