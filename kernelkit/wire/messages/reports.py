"""What a worker tells the engine of an attempt: its begin and end, and what its code asked for meanwhile.

These are bodies of a `Report`, kept by the worker until it is acknowledged; only `WorkerLogs` is sent as it is, once.
Tokens, streams and keys that the code makes or changes are reports too: their classes stand with their nouns, since
clients ask for the same.
"""

from __future__ import annotations

from typing import Literal

import msgspec

from kernelkit.models.error import Error
from kernelkit.models.run import LogLine
from kernelkit.models.value import Value
from kernelkit.models.wait import Wait
from kernelkit.wire.messages.message import Message
from kernelkit.wire.messages.triggering import TriggerItem


class Started(Message, frozen=True):
    at: int


class Succeeded(Message, frozen=True):
    output: Value  # as text
    started_at: int
    finished_at: int
    peak_memory: int | None = None
    compute: int = 0  # microseconds for which the attempt's code executed


class Failed(Message, frozen=True):
    """`retry` False: never again (AbortTaskRunError, payload or output errors). `out_of_memory`: see decision 16.

    `retry_at` is the moment that the task's catch_error hooks were shown or chose. `crashed`: one of them failed.
    """

    error: Error
    started_at: int
    finished_at: int
    retry: bool = True
    out_of_memory: bool = False
    peak_memory: int | None = None
    retry_at: int | None = None
    crashed: bool = False
    compute: int = 0


class Stopped(Message, frozen=True):
    """The body has ended after `StopAttempt`, however it did; its outcome no longer matters."""

    finished_at: int
    started_at: int = 0
    compute: int = 0


class ChildTrigger(Message, frozen=True):
    """A trigger from inside a run."""

    items: tuple[TriggerItem, ...]
    op: str
    batch_id: str = ""


class AddTags(Message, frozen=True):
    tags: tuple[str, ...]
    op: str


class MetadataOp(msgspec.Struct, frozen=True, omit_defaults=True, gc=False):
    kind: Literal["set", "delete", "append", "remove", "increment", "update"]
    key: str = ""
    value: str = "null"  # JSON text


class ChangeMetadata(Message, frozen=True):
    """`target` is whose metadata: a run without parent is its own parent and root."""

    ops: tuple[MetadataOp, ...]
    op: str
    target: Literal["self", "parent", "root"] = "self"


class OpenWait(Message, frozen=True):
    """The attempt waits. A token is an id or a name; `new_id` is for one that is made by this.

    A duration with `key` is shared with all waits of the same key: its moment is that of the first.
    """

    op: str
    wait: Wait
    new_id: str = ""
    key: str = ""
    key_ttl: float = 0.0


class DropWait(Message, frozen=True):
    """The attempt's code no longer waits: it was cancelled there."""

    op: str


class Suspend(Message, frozen=True):
    """All that the attempt's code does is wait for these. Nothing comes of it if one of them is over."""

    ops: tuple[str, ...]
    compute: int = 0
    calls: int = 0
    hold_for: float = 60.0


class KeepStep(Message, frozen=True):
    op: str
    value: Value


class WorkerLogs(Message, frozen=True):
    """Worker → engine: captured lines, best effort."""

    run_id: str
    attempt: int
    lines: tuple[LogLine, ...]
    dropped: int = 0
