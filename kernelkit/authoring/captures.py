"""What a task's function takes along from the notebook: the globals it reads, how big they are, which cannot be sent.

Names are found by reading byte code, through notebook helpers and the methods of notebook classes; a name that is never
read is never shipped. Pickle's own errors name only a type, so each found object is tried alone, and the report names
the variable and its cell. Functions and classes of importable modules travel by name and are not looked into.
"""

from __future__ import annotations

import builtins
import dis
import functools
import importlib.util
import sys
import types
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from decimal import Decimal
from enum import Enum
from pathlib import PurePath
from typing import Any, Literal

import msgspec

MAX_BUNDLE_BYTES = 256_000_000
WARN_BUNDLE_BYTES = 10_000_000
_READS = frozenset({"LOAD_GLOBAL", "LOAD_NAME", "LOAD_CLASSDEREF"})
_IMPLICIT = frozenset({"__name__", "__module__", "__qualname__", "__file__", "__annotations__", "__doc__"})


Hooks = Sequence[Callable[..., Any]]  # functions that travel with a task's own


class Capture(msgspec.Struct, frozen=True, omit_defaults=True):
    """One name the function reads. `state` says whether it can travel; `problem` and `fix` why not and what to do."""

    name: str
    type: str = ""
    size: int = 0
    state: Literal["ok", "missing", "unpicklable", "too large"] = "ok"
    problem: str = ""
    fix: str = ""
    cell: int | None = None
    via: str = ""  # the notebook helper or class through which it is reached

    def describe(self) -> str:
        """Name, type, size and cell, as in `frame (DataFrame, 50.0 MB, cell [2])`."""
        facts = [self.type] if self.type else []
        if self.size:
            facts.append(size_text(self.size))
        if self.cell:
            facts.append(f"cell [{self.cell}]")
        if self.via:
            facts.append(f"used by {self.via}")
        return f"{self.name} ({', '.join(facts)})" if facts else self.name


class CaptureReport(msgspec.Struct, frozen=True, omit_defaults=True):
    """Everything that goes along with a task's code; `total` is the bundle's size in bytes."""

    captures: tuple[Capture, ...] = ()
    total: int = 0

    @property
    def problems(self) -> tuple[Capture, ...]:
        """What keeps the task from being triggered."""
        return tuple(capture for capture in self.captures if capture.state != "ok")

    @property
    def is_large(self) -> bool:
        return self.total > WARN_BUNDLE_BYTES

    def lines(self) -> list[str]:
        """Sentences for the screen: one per problem, and one if much data is shipped. Empty when all is well."""
        found = [problem_text(capture) for capture in self.problems]
        if self.is_large:
            large = sorted((c for c in self.captures if c.size > 100_000), key=lambda c: -c.size)
            found.append(
                f"ships {size_text(self.total)} with every change: "
                + ", ".join(capture.describe() for capture in large)
                + ". A file's path as a parameter is quicker."
            )
        return found


def problem_text(capture: Capture) -> str:
    """A problem in words: the global, its cell, why it cannot travel and what to do."""
    place = f", assigned in cell [{capture.cell}]" if capture.cell else ""
    through = f" (through `{capture.via}`)" if capture.via else ""
    match capture.state:
        case "missing":
            return f"reads `{capture.name}`{through}, which is defined nowhere. {capture.fix}"
        case "too large":
            return f"takes `{capture.name}`{through} along ({capture.type}{place}), {capture.problem}. {capture.fix}"
        case _:
            return (
                f"uses `{capture.name}`{through} (a {capture.type}{place}), which cannot be sent to a worker: "
                f"{capture.problem}. {capture.fix}"
            )


def size_text(size: int) -> str:
    """Bytes in words: `512 B`, `1.2 kB`, `50.0 MB`."""
    if size < 1000:
        return f"{size} B"
    return f"{size / 1000:.1f} kB" if size < 1_000_000 else f"{size / 1_000_000:.1f} MB"


# ---- finding ---------------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Found:
    """A name read by the function or something below it. `missing` when it is bound nowhere."""

    name: str
    value: object
    via: str = ""
    missing: bool = False


@functools.lru_cache(maxsize=2048)
def global_names(code: types.CodeType) -> tuple[str, ...]:
    """The global names that `code` and the functions inside it read, in alphabetical order."""
    found: set[str] = set()
    instructions = list(dis.get_instructions(code))
    own = {i.argval for i in instructions if i.opname == "STORE_NAME"}
    stored = {i.argval for i in instructions if i.opname == "STORE_GLOBAL"}
    for instruction in instructions:
        if instruction.opname in _READS and instruction.argval not in own:
            found.add(instruction.argval)
    for constant in code.co_consts:
        if isinstance(constant, types.CodeType):
            found.update(global_names(constant))
    return tuple(sorted(found - stored - _IMPLICIT))


def captured_names(function: Callable[..., Any] | None, hooks: Hooks = ()) -> list[Found]:
    """Everything `function` reads from the notebook: globals, closures and defaults, through notebook helpers.

    Modules, and functions and classes that a worker imports by name, are left out. What only `hooks` read comes last.
    """
    return list(_walk_all(function, hooks))


def captured_code(function: Callable[..., Any] | None, hooks: Hooks = ()) -> list[types.CodeType]:
    """The code objects that are shipped by value: the function's own, its helpers', its classes' methods'."""
    seen: dict[int, object] = {}
    list(_walk_all(function, hooks, visited=seen))
    return [value.__code__ for value in seen.values() if isinstance(value, types.FunctionType)]


def travels_by_name(value: object) -> bool:
    """Whether a worker finds this function or class by importing its module."""
    module = getattr(value, "__module__", None)
    if module is None or module == "__main__" or "<locals>" in getattr(value, "__qualname__", ""):
        return False
    return _is_importable(module)


def _is_importable(module: str) -> bool:
    loaded = sys.modules.get(module)
    if loaded is not None:
        return getattr(loaded, "__spec__", None) is not None
    try:
        return importlib.util.find_spec(module) is not None
    except (ImportError, ValueError, AttributeError):  # a parent that is no package, or a module without a spec
        return False


def _walk_all(
    function: Callable[..., Any] | None, hooks: Hooks, visited: dict[int, object] | None = None
) -> Iterator[Found]:
    seen: set[int] = set()
    if function is not None:
        yield from _walk(function, "", seen, own_name=function.__name__, visited=visited)
    for hook in hooks:
        if not travels_by_name(hook):
            name = getattr(hook, "__name__", type(hook).__name__)
            yield from _walk(hook, f"the hook {name}", seen, own_name=name, visited=visited)


def _walk(
    function: Any, via: str, seen: set[int], *, own_name: str = "", visited: dict[int, object] | None = None
) -> Iterator[Found]:
    function = getattr(function, "__func__", function)
    if not isinstance(function, types.FunctionType):  # an lru_cache, say
        function = getattr(function, "__wrapped__", function)
    if not isinstance(function, types.FunctionType) or id(function) in seen:
        return
    seen.add(id(function))
    if visited is not None:
        visited[id(function)] = function
    for name in global_names(function.__code__):
        if name in function.__globals__:
            yield from _visit(name, function.__globals__[name], via, seen, visited)
        elif not hasattr(builtins, name) and name != own_name:
            yield Found(name, None, via, missing=True)
    for name, cell in zip(function.__code__.co_freevars, function.__closure__ or (), strict=False):
        try:
            value = cell.cell_contents
        except ValueError:  # not bound yet
            continue
        yield from _visit(name, value, via, seen, visited)
    for value in (*(function.__defaults__ or ()), *(function.__kwdefaults__ or {}).values()):
        if not _is_plain(value):
            yield from _visit(f"a default of {function.__name__}", value, via, seen, visited)
    for value in (function.__annotations__ or {}).values():
        if isinstance(value, type):
            yield from _visit(value.__name__, value, via, seen, visited)


def _visit(name: str, value: Any, via: str, seen: set[int], visited: dict[int, object] | None) -> Iterator[Found]:
    below = via or name
    if isinstance(value, types.ModuleType) or type(value).__module__.partition(".")[0] == "kernelkit":
        return
    if isinstance(value, functools._lru_cache_wrapper):
        value = value.__wrapped__
    if isinstance(value, types.FunctionType):
        if not travels_by_name(value):
            yield from _walk(value, below, seen, own_name=value.__name__, visited=visited)
        return
    if isinstance(value, type):
        if not travels_by_name(value):
            yield from _members(value, below, seen, visited)
        return
    if id(value) in seen and not _is_plain(value):
        return
    seen.add(id(value))
    if not travels_by_name(type(value)):
        yield from _members(type(value), type(value).__name__, seen, visited)
    yield Found(name, value, via)


def _members(cls: type, via: str, seen: set[int], visited: dict[int, object] | None) -> Iterator[Found]:
    if id(cls) in seen:
        return
    seen.add(id(cls))
    for name, member in list(vars(cls).items()):
        if not name.startswith("_") and not callable(member) and not hasattr(member, "__get__"):
            yield from _visit(f"{cls.__name__}.{name}", member, via, seen, visited)
        for part in (
            member,
            getattr(member, "fget", None),
            getattr(member, "fset", None),
            getattr(member, "func", None),
        ):
            part = getattr(part, "__func__", part)
            if isinstance(part, types.FunctionType) and not travels_by_name(part):
                yield from _walk(part, via, seen, own_name=cls.__name__, visited=visited)
    for base in cls.__bases__:
        if not travels_by_name(base):
            yield from _members(base, via, seen, visited)


# ---- has it changed? -------------------------------------------------------------------------------------------------

_PLAIN = (int, float, complex, str, bytes, bool, type(None), date, datetime, timedelta, Decimal, PurePath, range)
_MISSING = object()
_SMALL = 200  # items of a container that is compared by value


@dataclass(frozen=True)
class CaptureState:
    """A cheap picture of what a function captures. `settled` when equal keys prove that nothing changed."""

    key: tuple[object, ...]
    settled: bool

    def proves_unchanged(self, later: CaptureState) -> bool:
        """Whether the captures of `later` are surely those of this picture."""
        return self.settled and later.settled and self.key == later.key


def capture_state(function: Callable[..., Any], hooks: Hooks = ()) -> CaptureState:
    """A picture for `proves_unchanged`: plain values by value, notebook helpers by identity, others not settled."""
    key: list[object] = []
    settled = True
    seen: dict[int, object] = {}
    for found in _walk_all(function, hooks, visited=seen):
        if found.missing:
            key.append((found.name, _MISSING))
            continue
        snapshot = _snapshot(found.value)
        if snapshot is None:
            settled = False
        key.append((found.name, snapshot))
    key.extend(seen.values())
    key.extend(hooks)
    return CaptureState(tuple(key), settled)


def _is_plain(value: object) -> bool:
    return type(value) in _PLAIN or isinstance(value, (PurePath, Enum))


def _snapshot(value: object, depth: int = 0) -> tuple[object, ...] | None:
    """The value of plain data, types included (1 is not True); None for what may change unseen."""
    if _is_plain(value):
        return (type(value), value)
    if isinstance(value, (types.FunctionType, types.BuiltinFunctionType, type)):
        return (value,)
    if depth > 3 or type(value) not in (list, tuple, set, frozenset, dict):
        return None
    items: list[object]
    if isinstance(value, dict):
        items = [part for pair in value.items() for part in pair]
    else:
        items = list(value)  # type: ignore[call-overload]  # one of the four containers above
    if len(items) > _SMALL:
        return None
    parts = tuple(_snapshot(item, depth + 1) for item in items)
    return None if None in parts else (type(value), parts)
