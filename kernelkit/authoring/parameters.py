"""The parameters of a notebook: its cell tagged `parameters`, read without running it.

Each name that the cell assigns is a parameter; an annotation is its type, else the default's own type is, and what
stands there is its default. What a newcomer would get wrong: a default that is no plain value (`date.today()`) is not
computed here. Such a parameter may be left out, and then the notebook computes it itself.

The given values go into a cell of their own behind that one, tagged `injected-parameters`, as papermill does it.
"""

from __future__ import annotations

import ast
import builtins
import collections
import collections.abc
import datetime
import decimal
import inspect
import math
import pathlib
import types
import typing
import uuid
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from kernelkit.errors import TaskDefinitionError

TAG = "parameters"
INJECTED_TAG = "injected-parameters"
RESERVED = ("ctx", "signal", "init")  # parameters of that name mean something else to a task

_MODULES: dict[str, types.ModuleType] = {
    module.__name__: module for module in (collections, collections.abc, datetime, decimal, pathlib, typing, uuid)
}
_BUILTINS = {
    name: getattr(builtins, name)
    for name in ("bool", "bytes", "dict", "float", "frozenset", "int", "list", "object", "set", "str", "tuple")
}


class Computed:
    """Stands for a default that only the notebook can compute; shown as it is written there."""

    def __init__(self, source: str) -> None:
        self.source = source

    def __repr__(self) -> str:
        return self.source


@dataclass(frozen=True)
class Parameter:
    """One parameter. `default` is a plain value, a `Computed`, or `inspect.Parameter.empty` where there is none."""

    name: str
    hint: Any
    default: Any

    def as_argument(self) -> inspect.Parameter:
        empty = inspect.Parameter.empty
        note = empty if self.hint is Any else self.hint
        return inspect.Parameter(self.name, inspect.Parameter.KEYWORD_ONLY, default=self.default, annotation=note)


@dataclass(frozen=True)
class Parameters:
    """All parameters of a notebook, and the names it knows types by."""

    each: tuple[Parameter, ...]
    names: Mapping[str, Any]

    def __iter__(self) -> Iterator[Parameter]:
        return iter(self.each)

    def code(self, values: Mapping[str, Any]) -> str:
        """The cell that assigns `values`.

        >>> Parameters((), {}).code({"region": "EU", "limit": float("inf")})
        "# Parameters\\nregion = 'EU'\\nlimit = float('inf')\\n"
        """
        return "# Parameters\n" + "".join(f"{name} = {self._written(value)}\n" for name, value in values.items())

    def _written(self, value: Any) -> str:
        match value:
            case float() if not math.isfinite(value):
                return f"float({str(value)!r})"
            case dict():
                return "{" + ", ".join(f"{self._written(k)}: {self._written(v)}" for k, v in value.items()) + "}"
            case list():
                return "[" + ", ".join(map(self._written, value)) + "]"
            case tuple():
                return "(" + "".join(self._written(item) + ", " for item in value).rstrip(" ") + ")"
            case set() | frozenset():
                inside = ", ".join(sorted(map(self._written, value)))
                return f"{type(value).__name__}([{inside}])"
            case datetime.datetime() | datetime.date() | datetime.time():
                return f"{self._spelled(type(value))}.fromisoformat({value.isoformat()!r})"
            case datetime.timedelta():
                parts = f"days={value.days}, seconds={value.seconds}, microseconds={value.microseconds}"
                return f"{self._spelled(datetime.timedelta)}({parts})"
            case decimal.Decimal() | uuid.UUID():
                return f"{self._spelled(type(value))}({str(value)!r})"
            case pathlib.PurePath():
                return f"{self._spelled(pathlib.Path)}({str(value)!r})"
            case _:
                return repr(value)

    def _spelled(self, kind: type[Any]) -> str:
        """How the notebook calls a type at this place."""
        for name, known in self.names.items():
            if known is kind:
                return name
            if isinstance(known, types.ModuleType) and getattr(known, kind.__name__, None) is kind:
                return f"{name}.{kind.__name__}"
        return f"__import__({kind.__module__!r}).{kind.__name__}"


def tagged(cells: Sequence[Mapping[str, Any]], tag: str) -> int | None:
    """The place of the first cell with that tag."""
    for place, cell in enumerate(cells):
        if tag in cell.get("metadata", {}).get("tags", ()):
            return place
    return None


def read_parameters(cells: Sequence[Mapping[str, Any]], *, what: str) -> Parameters:
    """The parameters of a notebook with these cells; raises `TaskDefinitionError`, which calls it `what`."""
    place = tagged(cells, TAG)
    if place is None:
        return Parameters((), {})
    names: dict[str, Any] = {}
    for cell in cells[: place + 1]:
        if cell.get("cell_type") == "code":
            names |= _imported(_parsed(_text(cell)))
    source = _text(cells[place])
    tree = _parsed(source)
    if tree is None:
        raise TaskDefinitionError(
            f"The cell tagged {TAG!r} of {what} cannot be read as Python: {_why(source)}. "
            "It holds plain assignments such as `region: str = 'EU'`."
        )
    found: dict[str, Parameter] = {}
    for statement in tree.body:
        for parameter in _assigned(statement, names):
            if parameter.name in RESERVED:
                raise TaskDefinitionError(
                    f"The parameter {parameter.name!r} of {what} has a name that a task's own machinery uses "
                    f"({', '.join(RESERVED)}). Call it something else.",
                    parameter=parameter.name,
                )
            if not parameter.name.startswith("_"):
                found[parameter.name] = parameter
    return Parameters(tuple(found.values()), names)


def _text(cell: Mapping[str, Any]) -> str:
    source = cell.get("source", "")
    return source if isinstance(source, str) else "".join(source)


def _parsed(source: str) -> ast.Module | None:
    for text in (source, _without_magics(source)):
        for with_comments in (True, False):  # a comment that looks like a type, and is none, is an error with them
            try:
                return ast.parse(text, type_comments=with_comments)
            except (SyntaxError, ValueError):
                continue
    return None


def _without_magics(source: str) -> str:
    lines = source.splitlines()
    return "\n".join("" if line.lstrip().startswith(("%", "!", "?")) else line for line in lines)


def _why(source: str) -> str:
    try:
        ast.parse(_without_magics(source))
    except SyntaxError as problem:
        return f"line {problem.lineno}: {problem.msg}"
    except ValueError as problem:
        return str(problem)
    return "it does not parse"


def _imported(tree: ast.Module | None) -> dict[str, Any]:
    """Names under which the notebook knows modules that types come from, and types of those."""
    found: dict[str, Any] = {}
    for node in ast.walk(tree) if tree is not None else ():
        match node:
            case ast.Import(names=aliases):
                for alias in aliases:
                    module = _MODULES.get(alias.name if alias.asname else alias.name.partition(".")[0])
                    if module is not None:
                        found[alias.asname or alias.name.partition(".")[0]] = module
            case ast.ImportFrom(module=str(module_name), names=aliases, level=0) if module_name in _MODULES:
                for alias in aliases:
                    if hasattr(_MODULES[module_name], alias.name):
                        found[alias.asname or alias.name] = getattr(_MODULES[module_name], alias.name)
    return found


def _assigned(statement: ast.stmt, names: Mapping[str, Any]) -> Iterator[Parameter]:
    match statement:
        case ast.AnnAssign(target=ast.Name(id=name), annotation=note, value=value):
            default = inspect.Parameter.empty if value is None else _value(value)
            yield Parameter(name, _hint(note, names), default)
        case ast.Assign(targets=targets, value=value, type_comment=comment):
            for target in targets:
                yield from _bound(target, value, comment, names)


def _bound(target: ast.expr, value: ast.expr, comment: str | None, names: Mapping[str, Any]) -> Iterator[Parameter]:
    match target, value:
        case ast.Name(id=name), _:
            default = _value(value)
            hint = Any if comment is None else _hint_of_text(comment, names)
            yield Parameter(name, _kind_of(default) if hint is Any else hint, default)
        case ((ast.Tuple(elts=parts) | ast.List(elts=parts)), (ast.Tuple(elts=items) | ast.List(elts=items))) if len(
            parts
        ) == len(items):
            for part, item in zip(parts, items, strict=True):
                yield from _bound(part, item, None, names)


def _value(node: ast.expr) -> Any:
    try:
        return ast.literal_eval(node)
    except (ValueError, TypeError, SyntaxError, MemoryError, RecursionError):
        return Computed(ast.unparse(node))


def _kind_of(default: Any) -> Any:
    kinds = (bool, int, float, str, list, dict, tuple, set)
    return type(default) if type(default) in kinds else Any


# ---- types -----------------------------------------------------------------------------------------------------------


class _UnknownTypeError(Exception):
    pass


def _hint_of_text(text: str, names: Mapping[str, Any]) -> Any:
    try:
        return _hint(ast.parse(text.strip(), mode="eval").body, names)
    except (SyntaxError, ValueError):
        return Any


def _hint(node: ast.expr, names: Mapping[str, Any]) -> Any:
    """The type that an annotation names; `Any` where it cannot be known without running the notebook."""
    try:
        found = _resolved(node, names)
    except (_UnknownTypeError, TypeError, ValueError):
        return Any
    return Any if isinstance(found, types.ModuleType | types.FunctionType | types.BuiltinFunctionType) else found


def _resolved(node: ast.expr, names: Mapping[str, Any]) -> Any:
    match node:
        case ast.Constant(value=None):
            return None
        case ast.Constant(value=str(text)):
            try:
                return _resolved(ast.parse(text, mode="eval").body, names)
            except SyntaxError:
                raise _UnknownTypeError from None
        case ast.Name(id=name) if name in names:
            return names[name]
        case ast.Name(id=name) if name in _BUILTINS:
            return _BUILTINS[name]
        case ast.Attribute(value=owner, attr=name):
            module = _resolved(owner, names)
            if isinstance(module, types.ModuleType | type) and hasattr(module, name):
                return getattr(module, name)
            raise _UnknownTypeError
        case ast.BinOp(left=left, op=ast.BitOr(), right=right):
            return _resolved(left, names) | _resolved(right, names)
        case ast.Subscript(value=owner, slice=inside):
            base = _resolved(owner, names)
            parts = inside.elts if isinstance(inside, ast.Tuple) else [inside]
            if base is typing.Literal:
                return typing.Literal[tuple(ast.literal_eval(part) for part in parts)]
            given = tuple(... if _is_ellipsis(part) else _resolved(part, names) for part in parts)
            return base[given[0] if len(given) == 1 else given]
        case _:
            raise _UnknownTypeError


def _is_ellipsis(node: ast.expr) -> bool:
    return isinstance(node, ast.Constant) and node.value is ...
