"""What an attempt appends to streams, on its way to the engine: gathered, and sent twenty times a second at most.

Values are numbered for each stream, from 0 in every attempt and in their order. So the engine tells what it has from
what is new, and a body that is called again leaves out what it had appended. What a newcomer would get wrong: awaiting
an append does not wait for the disk, only for room.
"""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Generator
from dataclasses import dataclass, field
from typing import Literal

from msgspec.structs import replace

from kernelkit.authoring.scope import Scope, Site, call_site, unrepeated
from kernelkit.errors import KernelKitError
from kernelkit.wire.messages import AppendStream

FLUSH_EVERY_S = 0.05
FULL_BYTES = 256 * 1024  # gathered: sent at once
FULL_CHUNKS = 1_000
ROOM_BYTES = 4 * 1024 * 1024  # sent and not yet on disk: whoever appends more waits

Target = Literal["self", "parent", "root"]


@dataclass
class _Part:
    body: AppendStream
    site: Site | None
    chunks: list[str] = field(default_factory=list)
    size: int = 0


class Appended:
    """A value that is on its way to its stream. `await` it where values come fast: it returns once there is room."""

    __slots__ = ("_outbox",)

    def __init__(self, outbox: Outbox | None = None) -> None:
        self._outbox = outbox

    def __await__(self) -> Generator[object, None, None]:
        return self._room().__await__()

    async def _room(self) -> None:
        await asyncio.sleep(0)  # others of the loop have their turn, the line to the engine among them
        if self._outbox is not None:
            await self._outbox.room()

    def __repr__(self) -> str:
        return "<Appended>"


class Outbox:
    """Of one attempt, for all streams."""

    def __init__(self, scope: Scope) -> None:
        self._scope = scope
        self._lock = threading.RLock()  # an interrupt of a plain body may land inside
        self._parts: dict[str, _Part] = {}
        self._counts: dict[str, int] = {}
        self._timed = False  # a flush is due, or one has just been
        self._size = 0  # gathered
        self._open = 0  # bytes that were sent and are not on disk
        self._settled = threading.Condition()
        self._waiting: list[tuple[asyncio.AbstractEventLoop, asyncio.Future[None]]] = []

    def append(self, stream: str, text: str, run_id: str, target: Target) -> Appended:
        """Add a value; raises what was refused before."""
        self._scope.check()
        op = f"stream:{run_id or target}:{stream}"
        if inside := unrepeated.get():
            op = f"{op}@{inside}"
        with self._lock:
            number = self._counts.get(op, 0)
            self._counts[op] = number + 1
            replay = self._scope.start.replay
            if replay is not None and number < replay.sent.get(op, 0):
                return Appended(self)
            part = self._parts.get(op)
            if part is None:
                body = AppendStream(stream, (), run_id, target, op, number)
                part = self._parts[op] = _Part(body, call_site())
            part.chunks.append(text)
            part.size += len(text)
            self._size += len(text)
            is_full = self._size >= FULL_BYTES or len(part.chunks) >= FULL_CHUNKS
            wakes = not is_full and not self._timed and self._scope.line.later is not None
            self._timed = self._timed or wakes
        if is_full:
            self.flush()
        elif wakes and self._scope.line.later is not None:
            self._scope.line.later(0.0, self._due)
        if self._open > ROOM_BYTES and not _has_loop():
            with self._settled:
                self._settled.wait_for(lambda: self._open <= ROOM_BYTES or self._scope.stopping, timeout=60)
        return Appended(self)

    def flush(self) -> None:
        """Send everything gathered so far, in order."""
        with self._lock:
            parts, self._parts, self._size = self._parts, {}, 0
            for part in parts.values():
                self._send(part)

    async def room(self) -> None:
        """Return once not too much is on its way."""
        while self._open > ROOM_BYTES:
            loop = asyncio.get_running_loop()
            waiter: asyncio.Future[None] = loop.create_future()
            with self._settled:
                self._waiting.append((loop, waiter))
            await waiter

    def _send(self, part: _Part) -> None:
        size = part.size

        def told(error: KernelKitError | None) -> None:
            if error is not None and self._scope.refusal is None:
                self._scope.refusal = (error, part.site)
            with self._settled:
                self._open -= size
                self._settled.notify_all()
                waiting, self._waiting = self._waiting, []
            for loop, waiter in waiting:
                if not loop.is_closed():
                    loop.call_soon_threadsafe(_wake, waiter)

        self._open += size
        try:
            later = self._scope.post(replace(part.body, chunks=tuple(part.chunks)), part.site, told)
        except KernelKitError as refusal:  # where the engine answers at once; the next call raises it
            told(refusal)
        else:
            if later is None:
                told(None)

    def _due(self) -> None:
        with self._lock:
            if not self._parts or self._scope.line.later is None:
                self._timed = False
                return
            self.flush()
        self._scope.line.later(FLUSH_EVERY_S, self._due)


def outbox_of(scope: Scope) -> Outbox:
    """The attempt's outbox, made at its first use."""
    if scope.outbox is None:
        scope.outbox = Outbox(scope)
    return scope.outbox


def _wake(waiter: asyncio.Future[None]) -> None:
    if not waiter.done():
        waiter.set_result(None)


def _has_loop() -> bool:
    try:
        asyncio.get_running_loop()
    except RuntimeError:
        return False
    return True
