"""`kk.metadata`: a run's own JSON object, changed while it runs and shown live.

Changes take effect on the local copy at once and leave in the background, at most ten times a second per run and
always before the attempt's end, so a loop may set a value per row. What a newcomer would get wrong: values are
taken as they are at the call (encoded there), so changing a list after `set` changes nothing.
"""

from __future__ import annotations

import threading
from typing import TYPE_CHECKING, Any, Literal

from kernelkit import jsonvalues
from kernelkit.authoring.context import Scope, Site, call_site, current_scope
from kernelkit.errors import InvalidOptionError
from kernelkit.models.value import MAX_METADATA_BYTES
from kernelkit.rules.metadata import apply_op, encode_checked, parse_path
from kernelkit.wire.messages import ChangeMetadata, MetadataOp

if TYPE_CHECKING:
    from collections.abc import Mapping

FLUSH_EVERY_S = 0.1

Kind = Literal["set", "delete", "append", "remove", "increment", "update"]


class MetadataState:
    """The metadata of one attempt: the local copy, and the operations that have not left yet."""

    def __init__(self, scope: Scope) -> None:
        self._scope = scope
        self._lock = threading.RLock()  # an interrupt of a plain body may land inside
        self._timed = False  # a flush is due, or one has just been
        self._ops: list[MetadataOp] = []
        self._last: dict[str, int] = {}  # plain key → its last operation's place in _ops
        self._site: Site | None = None
        self.values: dict[str, Any] = jsonvalues.decode(scope.start.metadata)
        self._size = len(scope.start.metadata.encode())  # never less than the true size

    def change(self, kind: Kind, key: str, value: Any = None) -> None:  # value: anything the JSON codec takes
        """Do one operation here and queue it for the engine; raises when the object would become too large."""
        self._scope.check()
        text = "null" if kind == "delete" else jsonvalues.encode(value, what=f"the metadata value of {key!r}")
        with self._lock:
            changed = apply_op(self.values, kind, key, jsonvalues.decode(text))
            if changed is self.values or (kind != "set" and changed == self.values):
                return
            size = self._size + len(text.encode()) + 4 * len(key) + 8
            if size > MAX_METADATA_BYTES:
                size = len(encode_checked(changed).encode())
            self.values, self._size = changed, size
            self._site = call_site()
            self._add(MetadataOp(kind=kind, key=key, value=text))
            if self._timed or self._scope.later is None:
                return
            self._timed = True
        self._scope.later(0.0, self._due)

    def flush(self) -> None:
        """Hand everything gathered so far to the engine, in order."""
        with self._lock:
            if not self._ops:
                return
            ops, self._ops, self._last = tuple(self._ops), [], {}
            names = "\n".join(f"{op.kind} {op.key} {op.value}" for op in ops)
            self._scope.post(ChangeMetadata(ops=ops, op=self._scope.op("metadata", "", names)), self._site)

    def _due(self) -> None:
        with self._lock:
            if not self._ops or self._scope.later is None:
                self._timed = False
                return
            self.flush()
        self._scope.later(FLUSH_EVERY_S, self._due)

    def _add(self, op: MetadataOp) -> None:
        """Queue `op`, merged into what it makes superfluous. Operations on different plain keys commute; paths and
        `update` touch anything, so nothing is merged across them."""
        if op.kind == "update":
            self._ops, self._last = [op], {}
            return
        if op.key.startswith("$.") and op.kind != "delete":
            self._last = {}
            self._ops.append(op)
            return
        place = self._last.get(op.key)
        if place is not None:
            merged = _merge(self._ops[place], op)
            if merged is not None:
                self._ops[place] = merged
                return
        self._last[op.key] = len(self._ops)
        self._ops.append(op)


def _merge(first: MetadataOp, second: MetadataOp) -> MetadataOp | None:
    """One operation that does what the two do one after the other, or None."""
    if second.kind in ("set", "delete"):
        return second
    if second.kind == "increment" and first.kind in ("set", "increment"):
        value = apply_op({"": jsonvalues.decode(first.value)}, "increment", "", jsonvalues.decode(second.value))[""]
        return MetadataOp(kind=first.kind, key=first.key, value=jsonvalues.encode(value, what="the sum"))
    return None


def state_of(scope: Scope) -> MetadataState:
    """The scope's metadata, decoded at its first use."""
    if scope.metadata_state is None:
        scope.metadata_state = MetadataState(scope)
    return scope.metadata_state


class Metadata:
    """The metadata of the run this code is in; every change returns the object itself, so calls chain.

    A key that begins with `$.` is a path (`"$.user.tags[0]"`); any other is one top-level name. Raises
    `NotInTaskError` outside a run, and `InvalidOptionError` over 262,144 bytes.

        kk.metadata.set("progress", 0).set("total", len(rows))
        kk.metadata.increment("progress")
    """

    __slots__ = ()

    def get(self, key: str, default: Any = None) -> Any:  # any JSON value
        """The value of a top-level key, or `default`."""
        return self._state("get").values.get(key, default)

    def current(self) -> dict[str, Any]:  # any JSON object
        """A copy of the whole object as this attempt sees it."""
        copy: dict[str, Any] = jsonvalues.decode(jsonvalues.encode(self._state("current").values, what="the metadata"))
        return copy

    def set(self, key: str, value: Any) -> Metadata:  # any JSON value
        return self._change("set", key, value)

    def delete(self, key: str) -> Metadata:
        """Remove a top-level key, if it is there."""
        return self._change("delete", key)

    def append(self, key: str, value: Any) -> Metadata:  # any JSON value
        """Add to a list: one is made where nothing is, and a single value becomes the list's first."""
        return self._change("append", key, value)

    def remove(self, key: str, value: Any) -> Metadata:  # any JSON value
        """Drop every item of a list that equals `value`."""
        return self._change("remove", key, value)

    def increment(self, key: str, by: float = 1) -> Metadata:
        """Add to a number; anything that is no number counts as 0."""
        if isinstance(by, bool) or not isinstance(by, int | float):
            raise InvalidOptionError(f"metadata.increment({key!r}, {by!r}): the step must be a number.", field="by")
        return self._change("increment", key, by)

    def decrement(self, key: str, by: float = 1) -> Metadata:
        return self.increment(key, -by)

    def replace(self, metadata: Mapping[str, Any]) -> Metadata:  # any JSON object
        """Put `metadata` in place of the whole object."""
        return self._change("update", "", dict(metadata))

    def flush(self) -> None:
        """Send what was gathered now, rather than within a tenth of a second. Does not wait for the engine."""
        self._state("flush").flush()

    def __repr__(self) -> str:
        return "<kk.metadata of the current run>"

    def _state(self, verb: str) -> MetadataState:
        return state_of(current_scope(f"kk.metadata.{verb}(…)"))

    def _change(self, kind: Kind, key: str, value: Any = None) -> Metadata:  # any JSON value
        if not isinstance(key, str):
            raise InvalidOptionError(f"A metadata key is text, not {key!r}.", field="key")
        if key.startswith("$."):
            parse_path(key)
        self._state(kind).change(kind, key, value)
        return self


metadata = Metadata()
