"""Messages about streams. Appending is a client's request, and inside a run a report, under an `op`."""

from __future__ import annotations

from typing import Literal

from kernelkit.models.stream import StreamTail
from kernelkit.wire.messages.message import Message


class AppendStream(Message, frozen=True):
    """→ `Done`, or a report under `op`. `chunks` are JSON texts, `run_id` is whose stream; a report leaves it "" for
    the attempt's own run and its relatives.

    In a report `first` is how many values the attempt had appended under this op before these: sent or called again,
    they are appended once. A client's request acts once by its name, `asked`.
    """

    stream: str  # key
    chunks: tuple[str, ...]
    run_id: str = ""
    target: Literal["self", "parent", "root"] = "self"
    op: str = ""
    first: int = 0
    asked: str = ""


class ReadStream(Message, frozen=True):
    """→ `StreamChunks`: values from `start` on, at most some 1 MiB of them.

    Where there is none yet and the run is not over, it is answered when there is, or after `wait_s` seconds.
    """

    run_id: str
    stream: str  # key
    start: int = 0
    wait_s: float = 0.0


class StreamChunks(Message, frozen=True):
    """`total` is how many there are now; `is_over`: there will never be more."""

    chunks: tuple[str, ...]
    total: int
    is_over: bool


class ListStreams(Message, frozen=True):
    """→ `StreamList`: the streams of a run, each with its last values, `tail` bytes of them at most."""

    run_id: str
    tail: int = 0


class StreamList(Message, frozen=True):
    streams: tuple[StreamTail, ...]
