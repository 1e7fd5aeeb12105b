"""A script and a real engine with its workers: the way a person meets them."""

from __future__ import annotations

import asyncio
import os
import signal
import subprocess
import sys
import textwrap
from collections.abc import Iterator
from pathlib import Path

import pytest

import kernelkit as kk
from kernelkit.config import Home
from kernelkit.wire.discovery import is_locked

GATE_S = 60


@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Home]:
    monkeypatch.setenv("XDG_RUNTIME_DIR", str(tmp_path))
    home = Home(tmp_path / ".kernelkit")
    yield home
    if is_locked(home):
        client = kk.Client(home)
        client.engine.stop(leave=False, timeout=30)
        client.close()


def script(home: Home, text: str) -> str:
    """Run a script in a process of its own; its output."""
    path = home.path.parent / "script.py"
    path.write_text(textwrap.dedent(text))
    ended = subprocess.run(
        [sys.executable, "-W", "ignore::DeprecationWarning", str(path)],
        capture_output=True,
        text=True,
        timeout=GATE_S,
        cwd=home.path.parent,
        env=os.environ | {"KERNELKIT_HOME": str(home.path)},
    )
    assert (ended.returncode, ended.stderr) == (0, ""), ended.stdout + ended.stderr
    return ended.stdout


def test_a_script_triggers_waits_and_ends_quietly(home: Home) -> None:
    printed = script(
        home,
        """
        import asyncio
        import os
        from dataclasses import dataclass

        import kernelkit as kk

        @dataclass
        class Thumb:
            url: str
            pid: int

        factor = 2

        @kk.task
        async def resize(url: str, width: int = 512) -> Thumb:
            return Thumb(f"{url}?{width * factor}", os.getpid())

        @kk.task(retry=None)
        def fail(text: str) -> None:
            raise ValueError(text)

        first = resize.trigger(url="a", width="3").result(timeout=30)
        assert first.output.url == "a?6" and first.output.pid != os.getpid(), first
        factor = 5
        assert resize.trigger(url="a").result(timeout=30).output.url == "a?2560"

        batch = resize.batch_trigger([{"url": str(n)} for n in range(20)])
        results = batch.result(timeout=30)
        assert [r.output.url for r in results] == [f"{n}?2560" for n in range(20)]
        assert batch.counts == {"COMPLETED": 20} and kk.batch.retrieve(batch.id).runs == batch.runs

        failed = fail.trigger(text="no luck").result(timeout=30)
        assert not failed.ok and str(failed.error) == "ValueError: no luck", failed
        assert len(kk.runs.retrieve(failed.id).attempts) == 1

        async def both():
            return await asyncio.gather(resize.trigger(url="x"), resize.trigger(url="y"))
        assert all(r.ok for r in asyncio.run(both()))

        assert kk.runs.list(task="resize", limit=5).total == 24
        assert [t.spec.id for t in kk.tasks.list()] == ["fail", "resize"]
        try:
            kk.tasks.trigger("resise", {})
        except kk.UnknownTaskError as error:
            assert error.near == ["resize"], error.near
        assert kk.tasks.trigger("resize", {"wide": 1}).result(timeout=30).error.name == "PayloadValidationError"

        child = os.fork()
        if child == 0:
            ok = resize.trigger(url="forked").result(timeout=30).ok
            os._exit(0 if ok else 1)
        assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0
        assert resize.trigger(url="after").result(timeout=30).ok
        print("done")
        """,
    )

    assert printed == "done\n"


def test_a_killed_engine_is_started_again_under_a_waiting_client(home: Home, tmp_path: Path) -> None:
    printed = script(
        home,
        """
        import os, signal, time
        import kernelkit as kk

        @kk.task
        def hold(path: str) -> str:
            open(path + ".began", "w").close()
            deadline = time.monotonic() + 30
            while not os.path.exists(path) and time.monotonic() < deadline:
                time.sleep(0.01)
            return "held"

        run = hold.trigger(path="gate")
        deadline = time.monotonic() + 30
        while not os.path.exists("gate.began") and time.monotonic() < deadline:
            time.sleep(0.01)
        os.kill(kk.engine.status().pid, signal.SIGKILL)
        more = hold.trigger(path="gate")
        open("gate", "w").close()
        print(run.result(timeout=40).output, more.result(timeout=40).output, len(run.refresh().attempts))
        """,
    )

    assert printed == "held held 1\n"


def test_async_code_awaits_the_verbs(home: Home) -> None:
    async def story() -> None:
        async with kk.AsyncClient(home) as client:
            with pytest.raises(kk.UnknownTaskError):
                await client.trigger("nothing", {"a": 1})
            with pytest.raises(kk.UnknownRunError):
                await client.retrieve("run_x")
            with pytest.raises(kk.UnknownKeyError):
                await client.reset_key("nothing", "order-1")
            assert (await client.list_runs(limit=1)).total == 0
            assert (await client.status()).pid != os.getpid()

    asyncio.run(story())


def test_an_engine_stops_and_starts_when_told(home: Home) -> None:
    client = kk.Client(home)
    assert client.engine.start().home == str(home.path)
    first = client.engine.status().pid

    client.engine.stop()

    assert not client.engine.is_running
    assert client.engine.was_stopped
    client.engine.stop()
    with pytest.raises(kk.EngineUnavailableError, match="kernelkit up"):
        client.tasks.list()
    second = client.engine.start().pid
    third = client.engine.restart().pid
    assert len({first, second, third}) == 3
    assert not client.engine.was_stopped
    os.kill(third, signal.SIGTERM)
    client.close()


def test_async_code_follows_a_run_and_sees_to_its_queue(home: Home) -> None:
    printed = script(
        home,
        """
        import asyncio
        import kernelkit as kk

        @kk.task(queue=kk.Queue("slow", concurrency_limit=1))
        async def work(steps: int) -> int:
            kk.metadata.set("steps", steps)
            return steps

        async def story():
            async with kk.AsyncClient() as client:
                work.register()
                await client.queues.pause("slow")
                handle = await client.trigger(work, {"steps": 3})
                assert (await client.runs.retrieve(handle.id)).status == "QUEUED"
                await client.queues.resume("slow")
                seen = [run.status async for run in client.subscribe(handle)]
                assert seen[-1] == "COMPLETED", seen
                assert (await client.runs.list(task="work")).total == 1
                assert [t.spec.id for t in await client.tasks.list()] == ["work"]
                token = await client.tokens.create(timeout="1h")
                assert (await client.tokens.complete(token, 5)).output == 5
                assert len(await client.engine.logs()) > 0
                print("done")

        asyncio.run(story())
        """,
    )

    assert printed == "done\n"
