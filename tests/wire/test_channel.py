"""The framed connection: order, coalescing, parts of large messages, malformed input."""

from __future__ import annotations

import asyncio
import os
import struct
from collections.abc import Callable, Coroutine
from pathlib import Path
from typing import Any

import pytest

from kernelkit.errors import PayloadTooLargeError
from kernelkit.models.value import Value
from kernelkit.wire import messages as m
from kernelkit.wire.channel import MAX_FRAME, MAX_MESSAGE, Channel, connect, serve


class Pair:
    """Two ends of one connection, and everything that reached each."""

    def __init__(self) -> None:
        self.at_server: list[m.AnyMessage] = []
        self.at_client: list[m.AnyMessage] = []
        self.ended: list[Channel] = []
        self.arrived = asyncio.Event()
        self.client: Channel
        self.server: Channel

    async def open(self, path: Path) -> None:
        opened: asyncio.Future[Channel] = asyncio.get_running_loop().create_future()
        self.listener = await serve(path, self._server_got, self.ended.append, on_channel=opened.set_result)
        self.client = await connect(path, self._client_got, self.ended.append)
        self.server = await opened

    def _server_got(self, _: Channel, message: m.AnyMessage) -> None:
        self.at_server.append(message)
        self.arrived.set()

    def _client_got(self, _: Channel, message: m.AnyMessage) -> None:
        self.at_client.append(message)
        self.arrived.set()

    async def until(self, happened: Callable[[], bool]) -> None:
        async with asyncio.timeout(20):
            while not happened():
                self.arrived.clear()
                await self.arrived.wait()


def with_pair(path: Path, story: Callable[[Pair], Coroutine[Any, Any, None]]) -> None:
    async def run() -> None:
        pair = Pair()
        await pair.open(path / "s")
        try:
            await story(pair)
        finally:
            pair.client.close()
            pair.server.close()
            pair.listener.close()
            await pair.client.closed.wait()
            await pair.server.closed.wait()

    asyncio.run(run())


def succeeded(seq: int, size: int = 10) -> m.Report:
    return m.Report(seq, "run_1", "f", m.Succeeded(Value(text="x" * size, size=size), 1, 2))


def test_messages_arrive_in_order_both_ways(tmp_path: Path) -> None:
    async def story(pair: Pair) -> None:
        for seq in range(1, 5001):
            pair.client.send(succeeded(seq))
            pair.server.send(m.Ack(seq))
        await pair.until(lambda: len(pair.at_server) == len(pair.at_client) == 5000)

        assert pair.at_server == [succeeded(seq) for seq in range(1, 5001)]
        assert pair.at_client == [m.Ack(seq) for seq in range(1, 5001)]

    with_pair(tmp_path, story)


def test_sends_of_one_tick_leave_in_one_write(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    async def story(pair: Pair) -> None:
        writes: list[int] = []
        write = pair.client._transport.write

        def counted(data: bytes) -> None:
            writes.append(len(data))
            write(data)

        monkeypatch.setattr(pair.client._transport, "write", counted)

        for seq in range(100):
            pair.client.send(m.Ack(seq))
        await pair.until(lambda: len(pair.at_server) == 100)

        assert len(writes) == 1

    with_pair(tmp_path, story)


@pytest.mark.parametrize("size", [MAX_FRAME - 200, MAX_FRAME - 70, MAX_FRAME, MAX_FRAME + 1, 3_145_728, 10_485_760])
def test_a_message_of_any_size_comes_through(tmp_path: Path, size: int) -> None:
    async def story(pair: Pair) -> None:
        pair.client.send(succeeded(1, size))
        pair.client.send(m.Ping())
        await pair.until(lambda: len(pair.at_server) == 2)

        assert succeeded(1, size) in pair.at_server

    with_pair(tmp_path, story)


def test_small_messages_pass_a_large_one(tmp_path: Path) -> None:
    async def story(pair: Pair) -> None:
        pair.client.send(succeeded(1, 30_000_000))
        for _ in range(10):
            pair.client.send(m.Pong())
        await pair.until(lambda: len(pair.at_server) == 11)

        assert pair.at_server[:10] == [m.Pong()] * 10
        assert isinstance(pair.at_server[10], m.Report)

    with_pair(tmp_path, story)


def test_large_messages_of_different_runs_share_the_way(tmp_path: Path) -> None:
    def start(run_id: str, size: int) -> m.StartAttempt:
        payload = Value(text="x" * size, size=size)
        return m.StartAttempt(run_id, "t", "f", 1, 1, "b", payload, "v", "q", 0)

    async def story(pair: Pair) -> None:
        pair.server.send(start("run_big", 40_000_000))
        pair.server.send(start("run_mid", 2_000_000))
        await pair.until(lambda: len(pair.at_client) == 2)

        assert [message.run_id for message in pair.at_client if isinstance(message, m.StartAttempt)] == [
            "run_mid",
            "run_big",
        ]

    with_pair(tmp_path, story)


def test_reports_never_pass_one_another(tmp_path: Path) -> None:
    async def story(pair: Pair) -> None:
        sizes = [10, 2_000_000, 10, 10, 3_000_000, 1_200_000, 10]
        for seq, size in enumerate(sizes, 1):
            pair.client.send(succeeded(seq, size))
        await pair.until(lambda: len(pair.at_server) == len(sizes))

        assert [message.seq for message in pair.at_server if isinstance(message, m.Report)] == [1, 2, 3, 4, 5, 6, 7]

    with_pair(tmp_path, story)


def test_retire_does_not_pass_a_large_start(tmp_path: Path) -> None:
    payload = Value(text="x" * 3_000_000, size=3_000_000)
    start = m.StartAttempt("run_1", "t", "f", 1, 1, "b", payload, "v", "q", 0)
    stop = m.StopAttempt("run_1", "f", "because")

    async def story(pair: Pair) -> None:
        sent: list[m.AnyMessage] = [start, stop, m.Retire(), m.Ack(1), start]
        for message in sent:
            pair.server.send(message)
        await pair.until(lambda: len(pair.at_client) == len(sent))

        assert pair.at_client == sent

    with_pair(tmp_path, story)


def test_a_seal_comes_after_its_parts(tmp_path: Path) -> None:
    async def story(pair: Pair) -> None:
        item = m.TriggerItem("run_1", "t", Value(text="x" * 2_000_000, size=2_000_000))
        pair.client.send(m.Request(0, m.BatchPart("batch_1", 0, (item,))))
        pair.client.send(m.Request(0, m.BatchPart("batch_1", 1, (item,))))
        pair.client.send(m.Request(1, m.BatchSeal("batch_1", 2)))
        await pair.until(lambda: len(pair.at_server) == 3)

        bodies = [message.body for message in pair.at_server if isinstance(message, m.Request)]
        assert [type(body) for body in bodies] == [m.BatchPart, m.BatchPart, m.BatchSeal]

    with_pair(tmp_path, story)


def test_a_peer_that_does_not_read_holds_large_messages_back_and_drain_waits(tmp_path: Path) -> None:
    async def story(pair: Pair) -> None:
        pair.server.pause_reading()
        pair.client.send(succeeded(1, 20_000_000))
        drained = asyncio.create_task(pair.client.drain())
        for _ in range(1000):
            await asyncio.sleep(0)
        assert pair.client._paused

        assert pair.client.pending_bytes > 18_000_000
        assert pair.client._transport.get_write_buffer_size() < 1_000_000
        assert not drained.done()

        pair.server.resume_reading()
        await drained
        await pair.until(lambda: len(pair.at_server) == 1)
        assert pair.client.pending_bytes == 0

    with_pair(tmp_path, story)


def test_closing_delivers_what_was_sent(tmp_path: Path) -> None:
    async def story(pair: Pair) -> None:
        pair.client.send(succeeded(1, 5_000_000))
        pair.client.send(m.Ack(7))
        pair.client.close()
        pair.client.send(m.Ack(8))  # dropped
        await pair.server.closed.wait()

        assert len(pair.at_server) == 2
        assert set(pair.ended) == {pair.client, pair.server}
        assert pair.client.pending_bytes == 0
        await pair.client.drain()

    with_pair(tmp_path, story)


@pytest.mark.parametrize(
    "garbage",
    [
        struct.pack(">IB", MAX_FRAME + 100, 0) + b"xxxx",
        struct.pack(">IB", 0, 0),
        struct.pack(">IB", 5, 0) + b"\xc1\xc1\xc1\xc1",
        struct.pack(">IB", 5, 9) + b"\x00\x00\x00\x00",
        struct.pack(">IB", 3, 1) + b"\x00\x00",
        b"GET / HTTP/1.1\r\n\r\n",
    ],
)
def test_garbage_closes_the_channel_with_a_reason(tmp_path: Path, garbage: bytes) -> None:
    async def story(pair: Pair) -> None:
        pair.client.send(m.Ping())
        await pair.until(lambda: len(pair.at_server) == 1)
        pair.client._transport.write(garbage)
        await pair.server.closed.wait()

        assert "frame" in pair.server.reason
        assert pair.at_server == [m.Ping()]
        assert pair.ended.count(pair.server) == 1

    with_pair(tmp_path, story)


def test_a_handler_that_closes_sees_no_further_messages(tmp_path: Path) -> None:
    async def story(pair: Pair) -> None:
        seen: list[m.AnyMessage] = []

        def close_at_once(channel: Channel, message: m.AnyMessage) -> None:
            seen.append(message)
            channel.close()

        pair.server.on_message = close_at_once
        pair.client.send(m.Ack(1))
        pair.client.send(m.Ack(2))
        await pair.server.closed.wait()

        assert seen == [m.Ack(1)]

    with_pair(tmp_path, story)


def test_the_peer_is_known_by_pid_and_user(tmp_path: Path) -> None:
    async def story(pair: Pair) -> None:
        assert pair.server.peer == (os.getpid(), os.getuid())

    with_pair(tmp_path, story)


def test_a_message_over_the_limit_is_refused_at_send(tmp_path: Path) -> None:
    async def story(pair: Pair) -> None:
        with pytest.raises(PayloadTooLargeError):
            pair.client.send(succeeded(1, MAX_MESSAGE + 1))
        pair.client.send(m.Ack(1))
        await pair.until(lambda: pair.at_server == [m.Ack(1)])

    with_pair(tmp_path, story)
