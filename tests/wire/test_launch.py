"""Reaching an engine, against a stand-in that only locks, listens and greets."""

from __future__ import annotations

import asyncio
import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from kernelkit.config import Home
from kernelkit.errors import EngineUnavailableError, VersionMismatchError
from kernelkit.wire import discovery, launch
from kernelkit.wire import messages as m
from kernelkit.wire.liveness import is_alive

# named like the real one; its folder comes first in sys.path through PYTHONPATH
ENGINE = """
import asyncio, os, sys, time
from pathlib import Path
from kernelkit import errors
from kernelkit.config import Home
from kernelkit.wire import discovery, messages as m
from kernelkit.wire.channel import serve

home = Home(Path(sys.argv[sys.argv.index("--home") + 1]))
with (home.path / "spawned").open("a") as log:
    log.write(f"{os.getpid()}\\n")
mood = (home.path / "mood").read_text() if (home.path / "mood").exists() else ""
if mood == "broken":
    print("StoreError: the database file engine.duckdb does not open", file=sys.stderr)
    sys.exit(3)
time.sleep(0.3)
path = discovery.socket_path_of(home)
try:
    lock = discovery.lock_home(home, version="1", socket_path=path)
except errors.HomeLockedError as locked:
    sys.exit(0)
(home.path / "engine.pid").write_text(str(os.getpid()))
(home.path / "engine.env").write_text("\\n".join(os.environ))

def greet(channel, message):
    if mood == "mute":
        return
    if mood == "refusing":
        error = errors.VersionMismatchError("The engine is of another version; run `kernelkit restart`.")
        channel.send(m.Refused(0, errors.to_wire(error)))
    else:
        channel.send(m.Welcome(os.getpid(), 1, "1", str(home.path), 0))
        channel.send(m.Ping())

async def main():
    await serve(discovery.bind(path), greet, lambda channel: None)
    await asyncio.sleep(60)

asyncio.run(main())
"""


@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Home]:
    runtime = tmp_path / "run"
    runtime.mkdir(mode=0o700)
    modules = tmp_path / "modules"
    modules.mkdir()
    (modules / "stand_in_engine.py").write_text(ENGINE)
    monkeypatch.setenv("XDG_RUNTIME_DIR", str(runtime))
    monkeypatch.setenv("PYTHONPATH", str(modules))
    monkeypatch.setattr(launch, "ENGINE_MODULE", "stand_in_engine")
    home = Home(tmp_path / "project" / ".kernelkit")
    (tmp_path / "project").mkdir()
    yield home
    for pid in spawned(home):
        if "stand_in_engine" in command_line(pid):
            os.kill(pid, signal.SIGKILL)


def spawned(home: Home) -> list[int]:
    log = home.path / "spawned"
    return [int(line) for line in log.read_text().split()] if log.exists() else []


def command_line(pid: int) -> str:
    try:
        return Path(f"/proc/{pid}/cmdline").read_text()
    except OSError:
        return ""


def mood(home: Home, text: str) -> None:
    (home.create().path / "mood").write_text(text)


async def greeted(home: Home, **options: object) -> m.Welcome:
    hello = m.Hello(role="client", name="test", pid=os.getpid())
    channel, welcome = await launch.dial(
        home,
        hello,
        on_message=lambda _channel, _message: None,
        on_close=lambda _channel: None,
        **options,  # type: ignore[arg-type]  # passed on as they are
    )
    channel.close()
    await channel.closed.wait()
    return welcome


def test_an_engine_is_started_once_and_then_found(home: Home) -> None:
    assert launch.ping(home) is None

    first = asyncio.run(greeted(home))
    second = asyncio.run(greeted(home))
    ping = launch.ping(home)

    assert first == second == ping
    assert spawned(home) == [first.pid]


def test_sixteen_processes_at_once_get_one_engine(home: Home) -> None:
    client = (
        "import asyncio, os, sys; from pathlib import Path; from kernelkit.config import Home\n"
        "from kernelkit.wire import launch, messages as m\n"
        "launch.ENGINE_MODULE = 'stand_in_engine'\n"
        "hello = m.Hello(role='client', name='t', pid=os.getpid())\n"
        "home = Home(Path(sys.argv[1]))\n"
        "dialled = launch.dial(home, hello, on_message=lambda c, x: None, on_close=lambda c: None, timeout=30)\n"
        "print(asyncio.run(dialled)[1].pid)\n"
    )
    command = [sys.executable, "-c", client, str(home.path)]
    variables = launch.with_import_path(dict(os.environ))
    clients = [subprocess.Popen(command, env=variables, stdout=subprocess.PIPE, text=True) for _ in range(16)]

    answers = {client.communicate(timeout=50)[0].strip() for client in clients}

    assert answers == {str(spawned(home)[0])}
    assert len(spawned(home)) == 1


def test_messages_right_behind_the_welcome_are_not_lost(home: Home) -> None:
    async def story() -> m.AnyMessage:
        got: asyncio.Queue[m.AnyMessage] = asyncio.Queue()
        hello = m.Hello(role="client", name="test", pid=os.getpid())
        channel, _ = await launch.dial(
            home, hello, on_message=lambda _, message: got.put_nowait(message), on_close=lambda _: None
        )
        async with asyncio.timeout(5):
            first = await got.get()
        channel.close()
        await channel.closed.wait()
        return first

    assert asyncio.run(story()) == m.Ping()


def test_the_engine_is_detached_and_gets_nothing_of_jupyter(home: Home, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("JPY_PARENT_PID", "1")
    monkeypatch.setenv("MPLBACKEND", "module://matplotlib_inline.backend_inline")
    monkeypatch.setenv("MY_OWN", "1")
    (home.path.parent / "queue.py").write_text("raise RuntimeError('shadowed')")

    welcome = asyncio.run(greeted(home))

    names = (home.path / "engine.env").read_text().split()
    assert "MY_OWN" in names
    assert not {"JPY_PARENT_PID", "MPLBACKEND"} & set(names)
    assert os.getsid(welcome.pid) == welcome.pid
    assert Path(f"/proc/{welcome.pid}/cwd").resolve() == home.path.parent.resolve()


def test_after_kill_the_next_dial_starts_another(home: Home) -> None:
    first = asyncio.run(greeted(home))
    os.kill(first.pid, signal.SIGKILL)

    second = asyncio.run(greeted(home))

    assert second.pid != first.pid


def test_an_engine_that_fails_to_start_is_reported_at_once_with_its_words(home: Home) -> None:
    mood(home, "broken")

    with pytest.raises(EngineUnavailableError, match=r"engine\.duckdb does not open") as refused:
        asyncio.run(greeted(home, timeout=3600))

    assert refused.value.exit_code == 3
    assert len(spawned(home)) == 1


def test_an_engine_still_on_its_way_out_is_waited_for_and_followed_by_another(home: Home) -> None:
    async def story() -> m.Welcome:
        leaving = discovery.lock_home(home.create(), version="old")
        asyncio.get_running_loop().call_later(0.5, leaving.release)
        return await greeted(home)

    assert asyncio.run(story()).pid == spawned(home)[-1]


def test_an_engine_that_lost_the_race_to_one_that_is_gone_by_now_is_started_again(
    home: Home, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def story() -> m.Welcome:
        leaving = discovery.lock_home(home.create(), version="old")
        monkeypatch.setattr(launch, "is_locked", lambda _: False)  # as seen just before the old one took it

        async def leave_once_another_has_lost() -> None:
            while not spawned(home) or is_alive(spawned(home)[0]):  # noqa: ASYNC110  # another process tells no event
                await asyncio.sleep(0.02)
            leaving.release()

        leaves = asyncio.create_task(leave_once_another_has_lost())
        welcome = await greeted(home)
        await leaves
        return welcome

    assert asyncio.run(story()).pid == spawned(home)[-1]
    assert len(spawned(home)) > 1


def test_an_interpreter_that_is_not_there_is_named(home: Home) -> None:
    with pytest.raises(EngineUnavailableError, match="/no/python"):
        launch.start_engine(home, python="/no/python")


def test_without_start_a_missing_engine_is_explained(home: Home) -> None:
    with pytest.raises(EngineUnavailableError, match="kernelkit up"):
        asyncio.run(greeted(home, start=False))
    assert not home.path.exists()


def test_down_keeps_it_down_until_an_explicit_call(home: Home) -> None:
    discovery.mark_down(home.create())

    with pytest.raises(EngineUnavailableError, match="stopped by `kernelkit down`"):
        asyncio.run(greeted(home))
    assert spawned(home) == []

    asyncio.run(greeted(home, explicit=True))
    assert not discovery.is_marked_down(home)


def test_a_refusal_is_raised_as_the_engine_gave_it(home: Home) -> None:
    mood(home, "refusing")

    with pytest.raises(VersionMismatchError, match="kernelkit restart"):
        asyncio.run(greeted(home))
    with pytest.raises(VersionMismatchError):
        launch.ping(home)


def test_an_engine_that_listens_but_does_not_answer_is_named_with_its_pid(home: Home) -> None:
    mood(home, "mute")

    with pytest.raises(EngineUnavailableError, match=r"pid \d+\) does not answer"):
        asyncio.run(greeted(home, timeout=3))
    with pytest.raises(EngineUnavailableError, match="does not answer"):
        launch.ping(home, timeout=0.2)


def test_pythonpath_is_kept_behind_ours() -> None:
    parent = str(Path(launch.__file__).parent.parent.parent)

    assert launch.with_import_path({"PYTHONPATH": "/mine"})["PYTHONPATH"] == f"{parent}{os.pathsep}/mine"
