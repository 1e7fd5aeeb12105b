"""`kk.metadata`: a run's own JSON object, changed while it runs and shown live.

Changes take effect on the local copy at once and leave in the background, at most ten times a second per run and
always before the attempt's end, so a loop may set a value per row. What a newcomer would get wrong: values are
taken as they are at the call (encoded there), so changing a list after `set` changes nothing.
"""

from __future__ import annotations

import threading
from abc import ABC, abstractmethod
from typing import TYPE_CHECKING, Any, Literal, Self

from kernelkit import jsonvalues
from kernelkit.authoring.scope import Scope, Site, call_site, current_scope
from kernelkit.errors import InvalidOptionError, KernelKitError
from kernelkit.models.value import MAX_METADATA_BYTES
from kernelkit.rules.limits import check_text
from kernelkit.rules.metadata import apply_op, check_object, encode_checked, parse_path
from kernelkit.wire.messages import ChangeMetadata, MetadataOp

if TYPE_CHECKING:
    from collections.abc import Mapping

FLUSH_EVERY_S = 0.1

Kind = Literal["set", "delete", "append", "remove", "increment", "update"]
Target = Literal["self", "parent", "root"]


class Outbox:
    """Changes of one run's metadata that have not left yet: gathered, merged, and sent ten times a second at most."""

    def __init__(self, scope: Scope, target: Target) -> None:
        self._scope = scope
        self._target = target
        self._lock = threading.RLock()  # an interrupt of a plain body may land inside
        self._timed = False  # a flush is due, or one has just been
        self._ops: list[MetadataOp] = []
        self._last: dict[str, int] = {}  # plain key → its last operation's place in _ops
        self._site: Site | None = None

    def change(self, kind: Kind, key: str, value: Any = None) -> None:  # value: anything the JSON codec takes
        """Queue one operation for the engine; raises what was refused before."""
        self._scope.check()
        if self._scope.is_repeated():
            return
        op = MetadataOp(kind=kind, key=key, value=_text(kind, key, value))
        with self._lock:
            wakes = self._add(op)
        if wakes:
            self._wake()

    def flush(self) -> None:
        """Hand everything gathered so far to the engine, in order."""
        with self._lock:
            if not self._ops:
                return
            ops, self._ops, self._last = tuple(self._ops), [], {}
            names = "\n".join(f"{op.kind} {op.key} {op.value}" for op in ops)
            name: str = "" if self._target == "self" else self._target
            if self._scope.start.replay is not None:  # what is gathered differs each time, so keys would say nothing
                name = f"{name}{self._scope.start.fence}"
            change = ChangeMetadata(ops=ops, op=self._scope.op("metadata", name, names), target=self._target)
            try:
                self._scope.post(change, self._site)
            except KernelKitError as refusal:  # where the engine answers at once; the next call raises it
                self._scope.refuse(0, refusal)

    def _due(self) -> None:
        with self._lock:
            if not self._ops or self._scope.line.later is None:
                self._timed = False
                return
            self.flush()
        self._scope.line.later(FLUSH_EVERY_S, self._due)

    def _add(self, op: MetadataOp) -> bool:
        """Queue `op`, merged into what it makes superfluous; whether `_wake` is to be called, outside the lock."""
        self._site = call_site()
        self._place(op)
        if self._timed or self._scope.line.later is None:
            return False
        self._timed = True
        return True

    def _wake(self) -> None:
        if self._scope.line.later is not None:
            self._scope.line.later(0.0, self._due)

    def _place(self, op: MetadataOp) -> None:
        """Operations on different plain keys commute; paths and `update` touch anything, so nothing is merged across
        them."""
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


class MetadataState(Outbox):
    """The metadata of one attempt's own run: the outbox with a local copy, and the outboxes of its parent and root."""

    def __init__(self, scope: Scope) -> None:
        super().__init__(scope, "self")
        replay = scope.start.replay  # then it begins as the attempt did, and what is done again is done here only
        before = scope.start.metadata if replay is None or not replay.calls else replay.metadata
        self.values: dict[str, Any] = jsonvalues.decode(before)
        self._size = len(scope.start.metadata.encode())  # never less than the true size
        self._relatives: dict[str | None, Outbox] = {}

    def change(self, kind: Kind, key: str, value: Any = None) -> None:  # value: anything the JSON codec takes
        """Do one operation here and queue it for the engine; raises when the object would become too large."""
        self._scope.check()
        text = _text(kind, key, value)
        if self._scope.is_repeated():
            self._repeat(kind, key, text)
            return
        with self._lock:
            changed = apply_op(self.values, kind, key, jsonvalues.decode(text))
            if changed is self.values or (kind != "set" and changed == self.values):
                return
            size = self._size + len(text.encode()) + 4 * len(key) + 8
            if size > MAX_METADATA_BYTES:
                size = len(encode_checked(changed).encode())
            self.values, self._size = changed, size
            wakes = self._add(MetadataOp(kind=kind, key=key, value=text))
        if wakes:
            self._wake()

    def _repeat(self, kind: Kind, key: str, text: str) -> None:
        """The engine has it; with the last of these, everything that others have changed meanwhile is seen as well."""
        start = self._scope.start
        with self._lock:
            if start.replay is not None and self._scope.calls >= start.replay.calls:
                self.values = jsonvalues.decode(start.metadata)
            else:
                self.values = apply_op(self.values, kind, key, jsonvalues.decode(text))

    def flush(self) -> None:
        super().flush()
        for relative in list(self._relatives.values()):
            relative.flush()

    def relative(self, target: Literal["parent", "root"]) -> Outbox:
        """The outbox of that run; a run that nobody triggered is its own parent and root."""
        start = self._scope.start
        run_id = start.parent_id if target == "parent" else start.root_id
        if start.parent_id is None or run_id == start.run_id:
            return self
        with self._lock:  # one outbox where both are the same run, so that the order of calls is kept
            return self._relatives.setdefault(run_id, Outbox(self._scope, target))


def _text(kind: Kind, key: str, value: Any) -> str:
    return "null" if kind == "delete" else jsonvalues.encode(value, what=f"the metadata value of {key!r}")


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


class Changes(ABC):
    """What can be done to a run's metadata; every change returns the object itself, so calls chain."""

    __slots__ = ()

    def set(self, key: str, value: Any) -> Self:  # any JSON value
        return self._change("set", key, value)

    def delete(self, key: str) -> Self:
        """Remove a top-level key, if it is there."""
        return self._change("delete", key)

    def append(self, key: str, value: Any) -> Self:  # any JSON value
        """Add to a list: one is made where nothing is, and a single value becomes the list's first."""
        return self._change("append", key, value)

    def remove(self, key: str, value: Any) -> Self:  # any JSON value
        """Drop every item of a list that equals `value`."""
        return self._change("remove", key, value)

    def increment(self, key: str, by: float = 1) -> Self:
        """Add to a number; anything that is no number counts as 0."""
        return self._change("increment", key, _step("increment", key, by))

    def decrement(self, key: str, by: float = 1) -> Self:
        return self._change("increment", key, -_step("decrement", key, by))

    def replace(self, metadata: Mapping[str, Any]) -> Self:  # any JSON object
        """Put `metadata` in place of the whole object."""
        return self._change("update", "", check_object(metadata))

    def _change(self, kind: Kind, key: str, value: Any = None) -> Self:  # any JSON value
        if not isinstance(key, str):
            raise InvalidOptionError(f"A metadata key is text, not {key!r}.", field="key")
        check_text(key, "A metadata key")
        if key.startswith("$."):
            parse_path(key)
        self._outbox(kind).change(kind, key, value)
        return self

    @abstractmethod
    def _outbox(self, verb: str) -> Outbox:
        """Where a change goes; `verb` is for the words of a refusal."""


class RelativeMetadata(Changes):
    """`kk.metadata.parent` and `kk.metadata.root`: changes for the run that triggered this one, or the first of all.

    They cannot be read here, only changed. When that run is over the change is refused (`RunOverError`): at this run's
    next call, else as its failure.

        kk.metadata.parent.increment("done").append("files", name)
    """

    __slots__ = ("_target",)

    def __init__(self, target: Literal["parent", "root"]) -> None:
        self._target: Literal["parent", "root"] = target

    def decrement(self, key: str, by: float = 1) -> Self:
        """Take from a number, whatever sign `by` has."""
        return self._change("increment", key, -abs(_step("decrement", key, by)))

    def _outbox(self, verb: str) -> Outbox:
        return state_of(current_scope(f"kk.metadata.{self._target}.{verb}(…)")).relative(self._target)

    def __repr__(self) -> str:
        return f"<kk.metadata.{self._target}>"


class Metadata(Changes):
    """The metadata of the run this code is in; every change returns the object itself, so calls chain.

    A key that begins with `$.` is a path (`"$.user.tags[0]"`); any other is one top-level name. Raises
    `NotInTaskError` outside a run, and `InvalidOptionError` over 262,144 bytes. `parent` and `root` change the metadata
    of the run that triggered this one, and of the first of all.

        kk.metadata.set("progress", 0).set("total", len(rows))
        kk.metadata.increment("progress")
        kk.metadata.parent.increment("done")
    """

    __slots__ = ()

    parent = RelativeMetadata("parent")
    root = RelativeMetadata("root")

    def get(self, key: str, default: Any = None) -> Any:  # any JSON value
        """The value of a top-level key, or `default`."""
        return self._state("get").values.get(key, default)

    def current(self) -> dict[str, Any]:  # any JSON object
        """A copy of the whole object as this attempt sees it."""
        copy: dict[str, Any] = jsonvalues.decode(jsonvalues.encode(self._state("current").values, what="the metadata"))
        return copy

    def flush(self) -> None:
        """Send what was gathered now, rather than within a tenth of a second. Does not wait for the engine."""
        self._state("flush").flush()

    def __repr__(self) -> str:
        return "<kk.metadata of the current run>"

    def _state(self, verb: str) -> MetadataState:
        return state_of(current_scope(f"kk.metadata.{verb}(…)"))

    def _outbox(self, verb: str) -> Outbox:
        return self._state(verb)


def _step(verb: str, key: str, by: float) -> float:
    by = jsonvalues.plain_number(by)
    if isinstance(by, bool) or not isinstance(by, int | float):
        raise InvalidOptionError(f"metadata.{verb}({key!r}, {by!r}): the step must be a number.", field="by")
    return by


metadata = Metadata()
