"""Pickles by value what lives in a notebook, measures it, and says in words why something will not be pickled.

cloudpickle does the work; here its errors, which name only types, become `Capture`s that name the global, its cell and
what to do. What a newcomer would get wrong: an `lru_cache` pickles without complaint as `__main__.name`, which no
worker has, so those are shipped with the function they hold.
"""

from __future__ import annotations

import functools
import io
import types
import typing
from collections import ChainMap
from collections.abc import Callable
from typing import Any

import cloudpickle

from kernelkit.authoring import captures, notebook
from kernelkit.authoring.captures import MAX_BUNDLE_BYTES, Capture, Found
from kernelkit.errors import KernelKitError


class TooLarge(Exception):
    pass


class Capped(io.BytesIO):
    """Raises `TooLarge` as soon as it is over its limit, so that nothing larger is ever copied."""

    def __init__(self, limit: int) -> None:
        super().__init__()
        self._left = limit

    def write(self, data: Any) -> int:  # bytes, or pickle's own buffers
        self._left -= memoryview(data).nbytes
        if self._left < 0:
            raise TooLarge
        return super().write(data)


class _Counting(io.RawIOBase):
    """Counts what it is given and keeps nothing."""

    def __init__(self, limit: int) -> None:
        self.size = 0
        self._limit = limit

    def write(self, data: Any) -> int:  # bytes, or pickle's own buffers
        size = memoryview(data).nbytes
        self.size += size
        if self.size > self._limit:
            raise TooLarge
        return size


class CellPickler(cloudpickle.Pickler):  # type: ignore[misc]  # cloudpickle has no types
    """Renames cells' files for tracebacks, and ships what pickle would only name inside the notebook."""


def _reduce_code(code: types.CodeType) -> Any:
    shown = notebook.shown_file(code.co_filename)
    if shown != code.co_filename:
        code = code.replace(co_filename=shown)
    return cloudpickle.Pickler.dispatch_table[types.CodeType](code)


def _reduce_cached(cached: Any) -> Any:  # functools.lru_cache(f): pickle names it `__main__.f`, which no worker has
    if captures.travels_by_name(cached):
        return cached.__reduce__()
    limits = cached.cache_parameters()
    return _rebuild_cached, (cached.__wrapped__, limits["maxsize"], limits["typed"])


def _rebuild_cached(function: Callable[..., Any], maxsize: int | None, typed: bool) -> Any:
    return functools.lru_cache(maxsize, typed)(function)


def _reduce_newtype(new: Any) -> Any:
    return new.__reduce__() if captures.travels_by_name(new) else (typing.NewType, (new.__name__, new.__supertype__))


CellPickler.dispatch_table = ChainMap(
    {types.CodeType: _reduce_code, functools._lru_cache_wrapper: _reduce_cached, typing.NewType: _reduce_newtype},
    cloudpickle.Pickler.dispatch_table,
)


# ---- saying what is in it --------------------------------------------------------------------------------------------


def missing(found: Found) -> Capture:
    return Capture(
        found.name,
        state="missing",
        fix=f"Run the cell that defines `{found.name}`, or define it in the task; then trigger again.",
        via=found.via,
    )


def sized(found: list[Found]) -> list[Capture]:
    return [_measured(one) for one in found if not one.missing]


def _measured(found: Found) -> Capture:
    kind = type(found.value)
    named = (
        kind.__qualname__ if kind.__module__ in ("builtins", "__main__") else f"{kind.__module__}.{kind.__qualname__}"
    )
    target = _Counting(MAX_BUNDLE_BYTES)
    try:
        CellPickler(target, protocol=5).dump(found.value)
    except TooLarge:
        return Capture(
            found.name,
            named,
            state="too large",
            problem=f"which is over {captures.size_text(MAX_BUNDLE_BYTES)}",
            fix="Write it to a file and give the task its path as a parameter.",
            cell=_cell(found.name),
            via=found.via,
        )
    except Exception as cause:  # as in make_bundle
        return Capture(
            found.name,
            named,
            state="unpicklable",
            problem=_reason(cause),
            fix=_fix(kind, found.name),
            cell=_cell(found.name),
            via=found.via,
        )
    large = target.size > captures.WARN_BUNDLE_BYTES // 100
    return Capture(found.name, named, size=target.size, cell=_cell(found.name) if large else None, via=found.via)


def _cell(name: str) -> int | None:
    return notebook.cell_assigning(name.partition(".")[0])


def _reason(cause: Exception) -> str:
    text = str(cause).rstrip(".") or type(cause).__name__
    return text if isinstance(cause, (TypeError, KernelKitError)) else f"{type(cause).__name__}: {text}"


def _fix(kind: type, name: str) -> str:
    home = kind.__module__.partition(".")[0]
    word = kind.__qualname__.lower()
    if name == "get_ipython" or home in ("IPython", "ipykernel"):
        return "Workers have no notebook around them: do this part in a cell of its own, outside the task."
    if home in ("ipywidgets", "anywidget"):
        return "Workers cannot reach widgets: report progress with kk.metadata.set(…) or kk.track(…)."
    if home in ("_io", "socket", "sqlite3", "duckdb", "_duckdb") or "connection" in word or "client" in word:
        return "Open it inside the task's body."
    if "generator" in word:
        return f"Make it a list (`{name} = list({name})`), or create it inside the task's body."
    if home in ("_thread", "threading", "asyncio", "_asyncio", "multiprocessing"):
        return "Create it inside the task's body; it cannot be shared with the notebook."
    return "Create it inside the task's body, or pass what the task needs of it as a parameter."


def whole_problem(function: Callable[..., Any], cause: Exception) -> Capture:
    if isinstance(cause, TooLarge):
        return Capture(
            function.__name__,
            "function",
            state="too large",
            problem=f"and with its globals it is over {captures.size_text(MAX_BUNDLE_BYTES)}",
            fix="Write the largest of them to files and give the task their paths as parameters.",
        )
    return Capture(
        function.__name__,
        "function",
        state="unpicklable",
        problem=_reason(cause),
        fix="Create what it needs inside the task's body, or move the function to a module file.",
    )
