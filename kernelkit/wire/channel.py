"""One connection: messages in, messages out, over a Unix stream socket.

    frame    4 bytes length of the rest | 1 byte flag | payload
    flag 0   payload is one message
    flag 1   payload is 4 bytes stream id and a part of a large message; flag 2 is its last part

Small sends of one loop tick leave in one write, or in a few: the first of `PROMPT` bytes, so that the peer begins, each
after it twice as large, as every write costs both ends a system call and a turn. A message over 1 MiB goes in parts,
between which others pass; but never those that would break an order somebody counts on (a report and the next, a batch
and its seal): see `_lane`. What a newcomer would get wrong: nothing here is thread-safe, everything happens on the loop
that made the channel.
"""

from __future__ import annotations

import asyncio
import logging
import os
import socket
import struct
from collections import deque
from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple, cast

import msgspec

from kernelkit.errors import PayloadTooLargeError
from kernelkit.wire import messages as m
from kernelkit.wire.codec import decode, encode

MAX_FRAME = 1024 * 1024
MAX_MESSAGE = 300 * 1024 * 1024
PART = 128 * 1024  # of a large message: what a small message may have to wait for
PROMPT = 4096  # bytes that do not wait for the end of the tick: the peer begins while the rest is being made
_RECEIVE = 64 * 1024  # first size of the receive buffer; it grows to hold one frame
_WHOLE, _MORE, _LAST = 0, 1, 2
_BARRIER = ""  # the lane of messages that pass nothing and are passed by nothing

_head = struct.Struct(">IB")
_part_head = struct.Struct(">IBI")
_length = struct.Struct(">I")
_credentials = struct.Struct("3i")

logger = logging.getLogger(__name__)

OnMessage = Callable[["Channel", m.AnyMessage], None]
OnClose = Callable[["Channel"], None]
OnChannel = Callable[["Channel"], None]


class PeerCredentials(NamedTuple):
    """Who is at the other end, as the kernel says; -1 where the platform does not tell."""

    pid: int
    uid: int


class Channel(asyncio.BufferedProtocol):
    """A framed connection. Made by `connect` and `serve`.

    `on_message` and `on_close` are called on the loop and may be replaced at any time. `on_close` comes exactly once;
    `reason` then says in words why, if it was not an ordinary end.
    """

    def __init__(self, on_message: OnMessage, on_close: OnClose, on_channel: OnChannel | None = None) -> None:
        self.on_message = on_message
        self.on_close = on_close
        self.peer = PeerCredentials(-1, -1)
        self.closed = asyncio.Event()
        self.reason = ""
        self._on_channel = on_channel
        self._loop = asyncio.get_running_loop()
        self._transport: asyncio.Transport
        self._closing = False
        # sending
        self._out: list[bytes] = []
        self._out_bytes = 0
        self._prompt = PROMPT
        self._flush_due = False
        self._paused = False
        self._lanes: dict[str, _Lane] = {}  # large messages under way, and what must not pass them
        self._turns: deque[str] = deque()  # lanes, in the order in which they may send a part
        self._behind: deque[tuple[str, bytes]] = deque()  # a barrier and everything sent after it
        self._stream = 0
        self._drained: list[asyncio.Future[None]] = []
        # receiving
        self._buffer = bytearray(_RECEIVE)
        self._view = memoryview(self._buffer)
        self._start = 0
        self._end = 0
        self._parts: dict[int, bytearray] = {}
        self._parts_bytes = 0

    # ---- sending -------------------------------------------------------------------------------------------------

    def send(self, message: m.AnyMessage) -> None:
        """Queue `message`; never blocks. After the channel has closed it is dropped (`on_close` tells).

        Raises `PayloadTooLargeError` for a message over 300 MiB.
        """
        if self._closing:
            return
        data = encode(message)
        size = len(data)
        if self._lanes or size >= MAX_FRAME:
            self._send_ordered(_lane(message), data)
            return
        self._out.append(_head.pack(size + 1, _WHOLE))
        self._out.append(data)
        self._out_bytes += size + 5
        if self._out_bytes >= self._prompt:
            self._write()
            self._prompt *= 2
        if not self._flush_due:
            self._flush_due = True
            self._loop.call_soon(self._flush)

    def _send_ordered(self, name: str, data: bytes) -> None:
        if len(data) > MAX_MESSAGE:
            raise PayloadTooLargeError(
                f"a message of {len(data):,} bytes is over the {MAX_MESSAGE:,} that one call may carry. "
                "Send it in several calls.",
                size_bytes=len(data),
            )
        if self._behind or not self._admit(name, data):
            self._behind.append((name, data))
        self._schedule()

    def _admit(self, name: str, data: bytes) -> bool:
        """Let a message into the order of its lane; False when it must wait for all lanes to empty."""
        if _BARRIER in self._lanes or (name == _BARRIER and self._lanes):
            return False
        if name in self._lanes:
            self._lanes[name].waiting.append(data)
        elif len(data) >= MAX_FRAME:
            self._stream = (self._stream + 1) & 0xFFFFFFFF
            self._lanes[name] = _Lane(self._stream, memoryview(data))
            self._turns.append(name)
        else:
            self._out.append(_head.pack(len(data) + 1, _WHOLE))
            self._out.append(data)
            self._out_bytes += len(data) + 5
        return True

    def _schedule(self) -> None:
        if not self._flush_due:
            self._flush_due = True
            self._loop.call_soon(self._flush)

    def _flush(self) -> None:
        """Small messages always go to the transport; one part of a large one goes along while the peer keeps up."""
        self._flush_due = False
        self._prompt = PROMPT
        if self._closing:
            return
        if not self._paused and self._turns:
            self._next_part()
        if self._out:
            self._write()
        if self._turns and not self._paused:
            self._schedule()
        self._wake_drained()

    def _write(self) -> None:
        data = b"".join(self._out)
        self._out.clear()
        self._out_bytes = 0
        self._transport.write(data)

    def _next_part(self) -> None:
        name = self._turns.popleft()
        lane = self._lanes[name]
        part = lane.rest[:PART]
        lane.rest = lane.rest[PART:]
        flag = _MORE if lane.rest else _LAST
        self._out.append(_part_head.pack(len(part) + 5, flag, lane.stream))
        self._out.append(cast(bytes, part))  # join takes any buffer
        self._out_bytes += len(part) + 9
        if lane.rest:
            self._turns.append(name)
            return
        del self._lanes[name]
        for data in lane.waiting:  # one that is large opens the lane again, and those after it wait there once more
            self._admit(name, data)
        while self._behind and self._admit(*self._behind[0]):
            self._behind.popleft()

    def _wake_drained(self) -> None:
        if self._drained and not self._lanes and not self._out and not self._paused:
            for waiter in self._drained:
                if not waiter.done():
                    waiter.set_result(None)
            self._drained.clear()

    @property
    def pending_bytes(self) -> int:
        """Bytes that were sent here and that the kernel has not taken yet."""
        held = sum(lane.pending for lane in self._lanes.values()) + sum(len(data) for _, data in self._behind)
        return self._out_bytes + held + (0 if self.closed.is_set() else self._transport.get_write_buffer_size())

    async def drain(self) -> None:
        """Wait until the peer has kept up: no large message is under way and the write buffer is low.

        Returns at once when the channel has closed.
        """
        if self._closing or not (self._lanes or self._paused or self._out):
            return
        waiter = self._loop.create_future()
        self._drained.append(waiter)
        self._schedule()
        await waiter

    def close(self) -> None:
        """End the connection after everything sent so far; what comes in from now on is not looked at."""
        if self._closing:
            return
        while self._turns:
            self._next_part()
        if self._out:
            self._transport.write(b"".join(self._out))
            self._out.clear()
            self._out_bytes = 0
        self._closing = True
        self._transport.close()

    def abort(self, reason: str) -> None:
        """End the connection now, dropping what is not sent; `reason` is logged and kept."""
        if self._closing and self.reason:
            return
        self.reason = reason
        self._closing = True
        logger.warning("channel closed: %s", reason, extra={"peer_pid": self.peer.pid})
        self._transport.abort()

    def pause_reading(self) -> None:
        """Take in nothing more, so that the peer's sends pile up at the peer, until `resume_reading`."""
        if not self._closing:
            self._transport.pause_reading()

    def resume_reading(self) -> None:
        if not self._closing:
            self._transport.resume_reading()

    # ---- asyncio's side: receiving -------------------------------------------------------------------------------

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast(asyncio.Transport, transport)
        self.peer = _peer(transport.get_extra_info("socket"))
        if self._on_channel is not None:
            self._on_channel(self)

    def connection_lost(self, exc: Exception | None) -> None:
        self._closing = True
        if exc is not None and not self.reason:
            self.reason = f"{type(exc).__name__}: {exc}"
        self._lanes.clear()
        self._turns.clear()
        self._behind.clear()
        self._parts.clear()
        self._out.clear()
        self._out_bytes = 0
        self._paused = False
        self._wake_drained()
        self.closed.set()
        self.on_close(self)

    def pause_writing(self) -> None:
        self._paused = True

    def resume_writing(self) -> None:
        self._paused = False
        if self._closing:
            return
        if self._turns:
            self._schedule()
        else:
            self._wake_drained()

    def get_buffer(self, sizehint: int) -> memoryview:
        if len(self._buffer) - self._end < _RECEIVE // 4:
            self._make_room()
        return self._view[self._end :]

    def _make_room(self) -> None:
        """Move the unfinished frame to the front, into a larger buffer when it fills this one."""
        rest = self._view[self._start : self._end]
        size = len(self._buffer)
        if len(rest) * 2 > size:
            size = min(size * 4, MAX_FRAME + 4 + _RECEIVE)
        elif len(rest) < _RECEIVE // 2:
            size = _RECEIVE
        fresh = bytearray(size)  # a new one: handlers may still hold views into the old
        fresh[: len(rest)] = rest
        self._buffer, self._view = fresh, memoryview(fresh)
        self._start, self._end = 0, len(rest)

    def buffer_updated(self, nbytes: int) -> None:
        end = self._end + nbytes
        start = self._start
        buffer, view = self._buffer, self._view
        while end - start >= 5 and not self._closing:
            (length,) = _length.unpack_from(buffer, start)
            if not 1 <= length <= MAX_FRAME + 4:
                self.abort(f"a frame of {length:,} bytes; at most {MAX_FRAME:,} are allowed")
                return
            after = start + 4 + length
            if after > end:
                break
            flag = buffer[start + 4]
            try:
                payload = view[start + 5 : after]
                message = decode(payload) if flag == _WHOLE else self._part(flag, payload)
            except (msgspec.DecodeError, UnicodeDecodeError, _MalformedError) as cause:
                self.abort(f"a malformed frame: {cause}")
                return
            start = after
            if message is not None:
                self.on_message(self, message)
        if start == end:
            self._start = self._end = 0
            if len(buffer) > _RECEIVE and not self._parts:
                self._buffer = bytearray(_RECEIVE)
                self._view = memoryview(self._buffer)
        else:
            self._start, self._end = start, end

    def _part(self, flag: int, payload: memoryview) -> m.AnyMessage | None:
        if flag not in (_MORE, _LAST) or len(payload) < 4:
            raise _MalformedError(f"flag {flag} with {len(payload)} bytes")
        (stream,) = _length.unpack_from(payload)
        self._parts_bytes += len(payload) - 4
        if self._parts_bytes > MAX_MESSAGE:
            raise _MalformedError(f"over {MAX_MESSAGE:,} bytes of unfinished messages")
        whole = self._parts.setdefault(stream, bytearray())
        whole += payload[4:]
        if flag == _MORE:
            return None
        del self._parts[stream]
        self._parts_bytes -= len(whole)
        return decode(memoryview(whole))


class _MalformedError(Exception):
    """Never leaves this room: the channel is closed with its text."""


class _Lane:
    __slots__ = ("rest", "stream", "waiting")

    def __init__(self, stream: int, rest: memoryview):
        self.stream = stream
        self.rest = rest
        self.waiting: deque[bytes] = deque()

    @property
    def pending(self) -> int:
        return len(self.rest) + sum(len(data) for data in self.waiting)


def _lane(message: m.AnyMessage) -> str:
    """Messages of one lane never pass one another; those of different lanes may, while a large one is under way.

    Reports are one lane because `Ack(seq)` covers all before it. What is not named here passes nothing: `Retire` before
    a large `StartAttempt` would lose the attempt.
    """
    match message:
        case m.Report():
            return "report"
        case m.StartAttempt(run_id=run_id) | m.StopAttempt(run_id=run_id) | m.WaitsOver(run_id=run_id):
            return run_id
        case m.RunEnded(run=run) | m.RunChanged(run=run) | m.SubscribedRun(run=run):
            return run.id
        case m.Request(body=m.BatchPart(batch_id=batch_id) | m.BatchSeal(batch_id=batch_id)) if batch_id:
            return batch_id
        case m.Request(
            body=m.Retrieve()
            | m.ListRuns()
            | m.SummarizeRuns()
            | m.GetLogs()
            | m.GetSpans()
            | m.ListTasks()
            | m.GetStatus()
            | m.Sql()
            | m.Export(),
            id=number,
        ):
            return f"read {number}"
        case m.Request():
            return "write"
        case m.Reply(id=number):
            return f"reply {number}"
        case m.Refused(id=number) if number:
            return f"reply {number}"
        case m.Ack() | m.Ping() | m.Pong() | m.WorkerLogs():
            return "passing"
        case _:
            return _BARRIER


def _peer(sock: socket.socket) -> PeerCredentials:
    option = getattr(socket, "SO_PEERCRED", None)
    if option is None:
        return PeerCredentials(-1, -1)
    pid, uid, _ = _credentials.unpack(sock.getsockopt(socket.SOL_SOCKET, option, _credentials.size))
    return PeerCredentials(pid, uid)


async def connect(path: str | os.PathLike[str], on_message: OnMessage, on_close: OnClose) -> Channel:
    """A channel to whoever listens at `path`; raises `OSError` when nobody does."""
    loop = asyncio.get_running_loop()
    _, channel = await loop.create_unix_connection(lambda: Channel(on_message, on_close), os.fspath(path))
    return channel


async def serve(
    where: str | os.PathLike[str] | socket.socket,
    on_message: OnMessage,
    on_close: OnClose,
    *,
    on_channel: OnChannel | None = None,
) -> asyncio.AbstractServer:
    """Take connections at a path or on a listening socket. `on_channel` sees each first and may close it.

    The server object ends listening with `close()`; channels that are open go on.
    """
    loop = asyncio.get_running_loop()

    def make() -> Channel:
        return Channel(on_message, on_close, on_channel)

    if isinstance(where, socket.socket):
        where.setblocking(False)
        return await loop.create_unix_server(make, sock=where, backlog=1024)
    return await loop.create_unix_server(make, os.fspath(Path(where)), backlog=1024)
