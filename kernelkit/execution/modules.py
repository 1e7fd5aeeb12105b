"""Notices that a person edited a helper module, and makes the next attempt import it anew.

Modules travel by name, so a worker that lives on would keep what it once imported. Before an attempt the worker asks
`changed`; if so it forgets every module of the person's own (not only the changed ones: others hold names imported
from them) and its loaded bundles. Attempts that are running keep the modules they have; only new ones see the edit.
"""

from __future__ import annotations

import contextlib
import importlib
import importlib.util
import os
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from importlib.machinery import SourceFileLoader
from typing import Any

from kernelkit.execution.failure import is_own

MANY = 30  # own modules; with more of them the files are looked at ten times a second at most
LOOK_EVERY_S = 0.1

_Stamp = tuple[int, int]
_at_import: dict[str, _Stamp] = {}  # file → as it was when it was imported


def stamp_imports() -> None:
    """From now on remember what each file was like when it was imported.

    A body may import a module long before anyone looks, and the file may be edited in between.
    """
    original = SourceFileLoader.path_stats

    def path_stats(self: SourceFileLoader, path: str) -> Mapping[str, Any]:
        _at_import[path] = _stamp(path)
        return original(self, path)

    SourceFileLoader.path_stats = path_stats  # type: ignore[method-assign]  # the hook that reading a source passes


class ModuleWatch:
    """The files of loaded modules that are neither installed nor Python's nor KernelKit's."""

    def __init__(self, now: Callable[[], float] = time.monotonic, *, watched: Sequence[str] = ()) -> None:
        self._now = now
        self._watched = watched  # files that may be imported later, or come to be
        self._known = 0  # len(sys.modules) at the last listing
        self._files: dict[str, str] = {}  # module → file
        self._stamps: dict[str, _Stamp] = {}  # file → as it was when first seen
        self._looked_at = 0.0

    def changed(self) -> bool:
        """Whether any of the files is another than when its module was first seen here."""
        if len(sys.modules) != self._known:
            self._list()
        if len(self._files) > MANY:
            if self._now() - self._looked_at < LOOK_EVERY_S:
                return False
            self._looked_at = self._now()
        return any(_stamp(file) != stamp for file, stamp in self._stamps.items())

    def forget(self) -> None:
        """Drop the modules, so that whoever imports them gets them as they are now."""
        self._list()
        for name, file in self._files.items():
            sys.modules.pop(name, None)
            if _stamp(file) != self._stamps.get(file):
                # a cached .pyc is trusted when second and size are equal, which a quick edit may well keep
                with contextlib.suppress(OSError, NotImplementedError):
                    os.unlink(importlib.util.cache_from_source(file))
        importlib.invalidate_caches()
        self._files, self._stamps, self._known = {}, {}, 0

    def _list(self) -> None:
        self._known = len(sys.modules)
        for name, module in list(sys.modules.items()):
            if name in self._files or name == "__main__" or name.partition(".")[0] == "kernelkit":
                continue
            file = getattr(module, "__file__", None)
            if isinstance(file, str) and file.endswith(".py") and is_own(file):
                self._files[name] = file
                self._stamps.setdefault(file, _at_import.get(file) or _stamp(file))
        for file in self._watched:
            self._stamps.setdefault(file, _stamp(file))


def _stamp(file: str) -> _Stamp:
    try:
        found = os.stat(file)
    except OSError:
        return (0, 0)
    return (found.st_mtime_ns, found.st_size)
