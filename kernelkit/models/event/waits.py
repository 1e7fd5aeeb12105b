"""What attempts wait for, and what comes of it: waits, tokens and the values of streams."""

from __future__ import annotations

from kernelkit.models.event.event import Event
from kernelkit.models.value import Value
from kernelkit.models.wait import Token, Wait


class WaitOpened(Event, frozen=True):
    """The attempt waits for something; it goes on executing until `RunSuspended`."""

    run_id: str
    op: str
    wait: Wait


class WaitOver(Event, frozen=True):
    """What was waited for has come, or its time is over. A suspended run stands in its queue again."""

    run_id: str
    op: str
    value: Value | None = None
    timed_out: bool = False


class WaitDropped(Event, frozen=True):
    """The attempt no longer wants to know."""

    run_id: str
    op: str


class TokenMade(Event, frozen=True):
    token: Token


class TokenAliased(Event, frozen=True):
    """A token was asked for under a key that another has: both ids mean that one."""

    token_id: str
    same_as: str


class TokenCompleted(Event, frozen=True):
    token_id: str
    value: Value
    by: str = ""


class TokenTimedOut(Event, frozen=True):
    token_id: str


class StreamAppended(Event, frozen=True):
    """A stream of the run has `count` values more, the first of them at `first`; they lie beside the log.

    Of the attempt of the run `writer` that appended them, the first `upto` values under `op` are in. `asked` names the
    request of a client.
    """

    run_id: str
    stream: str
    first: int
    count: int
    size: int
    writer: str = ""
    op: str = ""
    upto: int = 0
    asked: str = ""
