"""What a client asks to be told of, and the pushes that tell it: these come unasked, with no request's id."""

from __future__ import annotations

from kernelkit.models.filter import RunFilter
from kernelkit.models.run import LogLine, Run
from kernelkit.models.stream import StreamTail
from kernelkit.models.wait import Token
from kernelkit.wire.messages.message import Message


class Follow(Message, frozen=True):
    """Not answered: each named run is pushed as `RunEnded` once it is final (at once if it is)."""

    run_ids: tuple[str, ...]


class RunEnded(Message, frozen=True):
    run: Run


class Watch(Message, frozen=True):
    """→ `Done`; from then on `RunChanged` is pushed: status changes at once, the rest at most 5 times a second."""

    run_id: str


class Unwatch(Message, frozen=True):
    """→ `Done`."""

    run_id: str


class RunChanged(Message, frozen=True):
    """A watched run as it is now, with its last log lines (at most 50), the ends of its output streams, and the first
    open token that it waits for."""

    run: Run
    logs: tuple[LogLine, ...] = ()
    streams: tuple[StreamTail, ...] = ()
    token: Token | None = None


class SubscribeRuns(Message, frozen=True):
    """→ `Done`; from then on each change of a run that matches is pushed as `SubscribedRun`, under the client's key."""

    key: str
    where: RunFilter


class UnsubscribeRuns(Message, frozen=True):
    """→ `Done`."""

    key: str


class SubscribedRun(Message, frozen=True):
    """A run of a subscription as it is now, without large values."""

    key: str
    run: Run
