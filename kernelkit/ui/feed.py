"""One run that is followed, the cards that show it, and what the engine can still be asked of it.

However many cards show a run, it is watched once. A feed decides nothing and has no lock: `live.py` fills it, under its
own. What a newcomer would get wrong: what is pushed is cut, without large values and without the last lines of a run
that ended quickly; so the end is asked for once more.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Sequence
from concurrent.futures import Future
from dataclasses import dataclass, field
from typing import Protocol

from kernelkit.authoring.caller import Caller
from kernelkit.errors import KernelKitError
from kernelkit.models.run import LogLine, Run
from kernelkit.models.stream import StreamTail
from kernelkit.models.wait import Token
from kernelkit.ui import silence
from kernelkit.ui.card_acts import Inside
from kernelkit.ui.faces import Bundle
from kernelkit.ui.refusals import FieldError
from kernelkit.ui.silence import Silence
from kernelkit.ui.token_card import Asked
from kernelkit.ui.view import RunCard
from kernelkit.wire.messages import GetLogs, ListStreams, LogsReply, Retrieve, RunReply, StreamList

FETCHED_BYTES = 1_000_000
STREAM_BYTES = 2_000  # of JSON, at the end of each stream

logger = logging.getLogger(__name__)


class Widget(Protocol):
    """What a live card needs of its widget (`ui/widget.py`)."""

    def paint(self, card: RunCard, asked: Asked | None = None) -> None: ...
    def heartbeat(self, *, silent_since: float | None) -> None: ...
    def answered(self, to: int, *, ok: bool, text: str, errors: Sequence[FieldError] = ()) -> None: ...
    def tell(self, inside: Inside) -> None: ...
    def hand(self, name: str, data: bytes) -> None: ...
    def close(self) -> None: ...


@dataclass(eq=False)
class LiveCard:
    """One display of a run. `publish` replaces what stands there."""

    run: Run
    publish: Callable[[Bundle], None]
    cell: str = ""
    execution: str = ""
    widget: Widget | None = None
    painted_at: float = 0.0
    painted: str = ""  # the status last painted
    is_due: bool = True


@dataclass(eq=False)
class Feed:
    """One watched run and the cards that show it."""

    caller: Caller
    run: Run
    logs: tuple[LogLine, ...] = ()
    streams: tuple[StreamTail, ...] = ()
    token: Token | None = None  # open, and waited for
    cards: list[LiveCard] = field(default_factory=list)
    unwatch: Callable[[], None] | None = None
    end: Future[Run] | None = None
    is_open: bool = False
    is_opening: bool = False
    is_over: bool = False  # nobody shows it any more
    retry_at: float = 0.0
    silence: Silence = field(default_factory=Silence)
    ended: Run | None = None

    def should_open(self) -> bool:
        return not (self.is_open or self.is_opening) and time.monotonic() >= self.retry_at

    def put_off(self) -> None:
        """There is no engine: look for one in a while."""
        self.retry_at = time.monotonic() + silence.AFTER_S

    def stop_watching(self) -> None:
        end, self.end = self.end, None
        unwatch, self.unwatch = self.unwatch, None
        if end is not None and not end.done():
            end.cancel()
        if unwatch is None:
            return
        try:
            unwatch()
        except KernelKitError as error:  # the engine is gone, and its watches with it
            logger.debug("cannot end a watch", extra={"run_id": self.run.id, "reason": str(error)})

    # ---- asked of the engine ---------------------------------------------------------------------------------------

    def asked(self) -> Run:
        """The run as the engine has it; as it was told last where there is no answer."""
        try:
            reply = self.caller.call(Retrieve(self.run.id))
        except KernelKitError:
            return self.run
        return reply.run if isinstance(reply, RunReply) else self.run

    def whole(self, run: Run) -> Run:
        """The run with payload and output, which a push leaves out where they are large."""
        lacks = (run.output_json is None and run.output_size > 0) or run.payload_json is None
        if not lacks or run.output_size + run.payload_size > FETCHED_BYTES:
            return run
        return self.asked()

    def last_logs(self, run: Run) -> tuple[LogLine, ...]:
        """A failed run's last lines are part of its story; a short one may have ended before any were pushed."""
        if run.error is None:
            return self.logs
        try:
            reply = self.caller.call(GetLogs(run.id, limit=4))
        except KernelKitError:
            return self.logs
        return reply.logs.lines if isinstance(reply, LogsReply) else self.logs


def last_streams(caller: Caller, run_id: str, known: tuple[StreamTail, ...] = ()) -> tuple[StreamTail, ...]:
    """The very ends of a run's streams, for what came last may not have been pushed; `known` without an engine."""
    try:
        reply = caller.call(ListStreams(run_id, tail=STREAM_BYTES))
    except KernelKitError:
        return known
    return reply.streams if isinstance(reply, StreamList) else known
