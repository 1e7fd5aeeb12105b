"""What each metadata operation does to a run's metadata. Pure; the worker's local copy and the engine both use it.

A newcomer would get wrong: a key that begins with `$.` is a path into the object (`$.user.tags[0]`), any other key is
one literal top-level name, dots and all; and an operation that does not apply (`remove` from something that is no
list, a path through a number) changes nothing rather than failing.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from typing import Any, Protocol

from kernelkit import jsonvalues
from kernelkit.errors import InvalidOptionError
from kernelkit.models.value import MAX_METADATA_BYTES

JsonObject = dict[str, Any]  # any JSON values
Path = tuple[str | int, ...]

_STEP = re.compile(r"""\.?([^.\[\]"']+)|\[(\d+)\]|\[(?:"([^"]*)"|'([^']*)')\]""")


class Op(Protocol):
    """One change; `value` is JSON text. `wire.messages.MetadataOp` is one."""

    @property
    def kind(self) -> str: ...
    @property
    def key(self) -> str: ...
    @property
    def value(self) -> str: ...


def apply_ops(current: JsonObject, ops: Iterable[Op]) -> JsonObject:
    """`current` after all `ops`, in order; `current` itself stays as it is.

    >>> from kernelkit.wire.messages import MetadataOp
    >>> apply_ops({"n": 1}, [MetadataOp(kind="increment", key="n", value="2"), MetadataOp(kind="append", key="l")])
    {'n': 3, 'l': [None]}
    """
    for op in ops:
        current = apply_op(current, op.kind, op.key, jsonvalues.decode(op.value))
    return current


def apply_op(current: JsonObject, kind: str, key: str, value: Any = None) -> JsonObject:  # value: any JSON value
    """`current` after one operation: a new object, or the same one where nothing changed.

    >>> apply_op({"tags": "a"}, "append", "tags", "b")
    {'tags': ['a', 'b']}
    >>> apply_op({}, "set", "$.user.name", "Ada")
    {'user': {'name': 'Ada'}}
    """
    if kind == "update":
        return dict(value) if isinstance(value, dict) else current
    if kind == "delete":
        return {name: item for name, item in current.items() if name != key} if key in current else current
    path = parse_path(key) if key.startswith("$.") else (key,)
    if not path:
        return current
    changed = _at(current, path, kind, value)
    return current if changed is _UNAPPLIED else changed


def parse_path(key: str) -> Path:
    """The steps of a `$.` path; raises `InvalidOptionError` for one that cannot be read.

    >>> parse_path('$.jobs[0]["the name"].n')
    ('jobs', 0, 'the name', 'n')
    """
    steps: list[str | int] = []
    position = 1
    while position < len(key):
        found = _STEP.match(key, position)
        if not found:
            raise InvalidOptionError(
                f"The metadata key {key!r} is not a path. Write for instance $.user.tags[0], "
                "or a key without '$.' in front.",
                field="metadata",
            )
        name, index, double, single = found.groups()
        steps.append(int(index) if index is not None else next(s for s in (name, double, single) if s is not None))
        position = found.end()
    return tuple(steps)


def check_object(given: object) -> JsonObject:
    """`given` as a dict; raises `InvalidOptionError` for what is no dict with texts as keys."""
    if isinstance(given, Mapping) and all(isinstance(key, str) for key in given):
        return dict(given)
    shown = repr(given)
    shown = f"metadata={shown}" if len(shown) < 100 else "metadata"
    raise InvalidOptionError(f"{shown} is not a dict with texts as keys.", field="metadata")


def encode_checked(metadata: JsonObject) -> str:
    """JSON text of `metadata`; raises `InvalidOptionError` over 262,144 bytes."""
    text = jsonvalues.encode(metadata, what="the metadata")
    size = len(text.encode())
    if size > MAX_METADATA_BYTES:
        raise too_large(size)
    return text


def too_large(size: int) -> InvalidOptionError:
    """The error for metadata of `size` bytes."""
    return InvalidOptionError(
        f"The run's metadata would be {size:,} bytes of JSON; at most {MAX_METADATA_BYTES:,} are kept. "
        "Store large data in a file, or return it as the output, and keep its path here.",
        field="metadata",
        size=size,
    )


class _Unapplied:
    pass


_UNAPPLIED: Any = _Unapplied()  # a mark that is no JSON value
_MISSING: Any = _Unapplied()


def _at(node: Any, path: Path, kind: str, value: Any) -> Any:  # JSON values, and the two marks
    """`node` with the operation done at `path` below it; copies only what lies on the way."""
    if not path:
        return _change(node, kind, value)
    step, rest = path[0], path[1:]
    if node is _MISSING:
        if kind == "remove":
            return _UNAPPLIED
        node = {} if isinstance(step, str) else []
    if isinstance(step, str):
        if not isinstance(node, dict):
            return _UNAPPLIED
        below = _at(node.get(step, _MISSING), rest, kind, value)
        return _UNAPPLIED if below is _UNAPPLIED else {**node, step: below}
    if not isinstance(node, list) or step > len(node):
        return _UNAPPLIED
    below = _at(node[step] if step < len(node) else _MISSING, rest, kind, value)
    return _UNAPPLIED if below is _UNAPPLIED else [*node[:step], below, *node[step + 1 :]]


def _change(old: Any, kind: str, value: Any) -> Any:  # JSON values, and the two marks
    if kind == "set":
        return value
    if kind == "append":
        if old is _MISSING:
            return [value]
        return [*old, value] if isinstance(old, list) else [old, value]
    if kind == "remove":
        if not isinstance(old, list):
            return _UNAPPLIED
        return [item for item in old if item != value or isinstance(item, bool) != isinstance(value, bool)]
    if kind == "increment":
        if not _is_number(value):
            return _UNAPPLIED
        return old + value if _is_number(old) else value
    return _UNAPPLIED


def _is_number(value: Any) -> bool:  # any JSON value
    return isinstance(value, int | float) and not isinstance(value, bool)
