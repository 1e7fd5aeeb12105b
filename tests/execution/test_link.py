from __future__ import annotations

import asyncio
import os
from collections.abc import Callable

import msgspec
import pytest

from kernelkit.authoring.line import Line
from kernelkit.authoring.scope import Scope
from kernelkit.config import Home
from kernelkit.execution.link import Link
from kernelkit.models.value import NULL
from kernelkit.wire import messages as m
from kernelkit.wire.channel import Channel, serve
from kernelkit.wire.discovery import bind, mark_down, socket_path_of
from tests.execution.attempts import start_of


def link_of(
    home: Home,
    started: list[m.StartAttempt],
    *,
    orphan_after_s: float = 60.0,
    retire_after_s: float = 60.0,
    retire: Callable[[], None] = lambda: None,
) -> Link:
    return Link(
        home,
        m.Hello(role="worker", name="w1", pid=os.getpid()),
        on_start=started.append,
        on_stop=lambda order: None,
        on_retire=retire,
        orphan_after_s=orphan_after_s,
        retire_after_s=retire_after_s,
    )


async def end(line: asyncio.Task[None], server: asyncio.AbstractServer) -> None:
    """Hang up at this end, and wait until the other has noticed."""
    server.close()
    line.cancel()
    await asyncio.wait([line])
    await asyncio.sleep(0.05)


DONE = m.Succeeded(output=NULL, started_at=1, finished_at=2)


def test_results_that_find_no_engine_are_written_down_and_still_delivered_later(home: Home) -> None:
    async def main() -> None:
        link = link_of(home, [], orphan_after_s=0.0)
        scope = Scope(start_of(), Line(lambda scope, body: link.report(scope.start, body, scope), lambda *_: None))
        scope.post(m.AddTags(tags=("one",), op="o"), None)
        link.report(scope.start, DONE)
        line = asyncio.create_task(link.run())
        async with asyncio.timeout(5):
            await link.cleared()

        path = home.orphans / "w1.jsonl"
        written = [msgspec.json.decode(each, type=m.Report) for each in path.read_bytes().splitlines()]
        assert [report.seq for report in written] == [1, 2]
        assert path.stat().st_mode & 0o777 == 0o600
        assert not scope.has_open_reports

        taken: list[m.AnyMessage] = []
        done = asyncio.Event()

        def take(channel: Channel, message: m.AnyMessage) -> None:
            taken.append(message)
            if isinstance(message, m.Hello):
                channel.send(m.Welcome(1, m.PROTOCOL, "", str(home.path), 0))
            elif isinstance(message, m.Report) and message.seq == 2:
                channel.send(m.Ack(2))
                done.set()

        server = await serve(bind(socket_path_of(home)), take, lambda channel: None)
        async with asyncio.timeout(5):
            await done.wait()
            while path.exists():  # noqa: ASYNC110  # the link tells nobody when it tidies up
                await asyncio.sleep(0.01)
        assert isinstance(taken[0], m.Hello)
        assert [attempt.run_id for attempt in taken[0].live] == ["run_1"]
        await end(line, server)

    asyncio.run(main())


def test_a_start_that_comes_twice_is_taken_once(home: Home) -> None:
    async def main() -> None:
        started: list[m.StartAttempt] = []
        link = link_of(home, started)

        def take(channel: Channel, message: m.AnyMessage) -> None:
            if isinstance(message, m.Hello):
                channel.send(m.Welcome(1, m.PROTOCOL, "", str(home.path), 0))
                channel.send(start_of())
                channel.send(start_of())
                channel.send(m.Ping())
            elif isinstance(message, m.Pong):
                done.set()

        done = asyncio.Event()
        server = await serve(bind(socket_path_of(home)), take, lambda channel: None)
        line = asyncio.create_task(link.run())
        async with asyncio.timeout(5):
            await done.wait()
        assert len(started) == 1
        await end(line, server)

    asyncio.run(main())


@pytest.mark.parametrize("marked", [False, True])
def test_a_worker_that_has_nothing_to_do_and_no_engine_retires_and_dials_no_more(home: Home, marked: bool) -> None:
    async def main() -> None:
        retired = asyncio.Event()
        if marked:
            mark_down(home)
        link = link_of(home, [], retire_after_s=60.0 if marked else 0.0, retire=retired.set)
        line = asyncio.create_task(link.run())
        async with asyncio.timeout(5):
            await retired.wait()

        hellos: list[m.AnyMessage] = []
        server = await serve(
            bind(socket_path_of(home)), lambda channel, message: hellos.append(message), lambda _: None
        )
        await asyncio.sleep(1.0)  # twice the longest pause between two dials

        assert hellos == []
        assert not line.done()
        await end(line, server)

    asyncio.run(main())


def test_a_worker_with_a_living_attempt_waits_for_an_engine_until_its_result_is_safe(home: Home) -> None:
    async def main() -> None:
        retired = asyncio.Event()
        began = asyncio.Event()
        link = link_of(home, [], orphan_after_s=0.6, retire_after_s=0.0, retire=retired.set)

        def take(channel: Channel, message: m.AnyMessage) -> None:
            if isinstance(message, m.Hello):
                channel.send(m.Welcome(1, m.PROTOCOL, "", str(home.path), 0))
                channel.send(start_of())
                channel.send(m.Ping())
            elif isinstance(message, m.Pong):
                channel.abort("the engine died")
                began.set()

        server = await serve(bind(socket_path_of(home)), take, lambda channel: None)
        line = asyncio.create_task(link.run())
        async with asyncio.timeout(5):
            await began.wait()
        server.close()
        socket_path_of(home).unlink()
        await asyncio.sleep(1.0)  # several dials, and longer than results wait for an engine
        assert not retired.is_set()

        link.report(start_of(), DONE)
        async with asyncio.timeout(5):
            await retired.wait()
        assert (home.orphans / "w1.jsonl").exists()
        await end(line, server)

    asyncio.run(main())
