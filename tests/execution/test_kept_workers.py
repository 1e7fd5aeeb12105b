"""What a keeper does with its workers; see `keeper_stage.py`."""

from __future__ import annotations

import os
import signal

import pytest

from kernelkit.wire import messages as m
from kernelkit.wire.liveness import is_alive
from tests.execution.keeper_stage import Play, Stage, until


def test_a_worker_starts_in_its_environment_as_leader_of_its_group(on_stage: Play) -> None:
    async def story(play: Stage) -> None:
        spawned, (cwd, own, leads) = await play.spawn("w1")

        assert (cwd, own, leads) == (str(play.cwd), "yes", "True")
        assert is_alive(spawned.pid, spawned.started_at)

        play.channel.send(m.SpawnWorker("w1", "process"))  # said again, by an engine that lost the answer
        assert await play.next(m.WorkerSpawned) == spawned

    on_stage(story)


def test_an_end_is_told_with_code_last_words_and_peak_memory(on_stage: Play) -> None:
    async def story(play: Stage) -> None:
        play.channel.send(m.SpawnWorker("loud_big", "process"))
        exited = await play.next(m.WorkerExited)

        assert (exited.worker_id, exited.returncode, exited.killed) == ("loud_big", 7, False)
        assert exited.stderr_tail.endswith("the last words")
        assert 3000 < len(exited.stderr_tail) <= 4096
        assert (exited.peak_memory or 0) > 80_000_000

        play.channel.send(m.SpawnWorker("abort", "process"))
        assert (await play.next(m.WorkerExited)).returncode == -signal.SIGABRT

    on_stage(story)


def test_of_a_crash_in_c_code_its_beginning_is_told(on_stage: Play) -> None:
    async def story(play: Stage) -> None:
        play.channel.send(m.SpawnWorker("crash", "process"))
        exited = await play.next(m.WorkerExited)

        assert exited.returncode == -signal.SIGABRT
        lines = exited.stderr_tail.splitlines()
        assert lines[0] == "Fatal Python error: Aborted"
        assert next(line for line in lines[1:] if line).startswith("Current thread ")

    on_stage(story)


def test_a_worker_killed_from_outside_is_told_as_not_killed_by_us(on_stage: Play) -> None:
    async def story(play: Stage) -> None:
        spawned, _ = await play.spawn("w1")
        os.kill(spawned.pid, signal.SIGKILL)
        exited = await play.next(m.WorkerExited)

        assert (exited.returncode, exited.killed) == (-signal.SIGKILL, False)

    on_stage(story)


@pytest.mark.parametrize("ordered", [True, False])
def test_nothing_below_a_killed_worker_lives_on(on_stage: Play, ordered: bool) -> None:
    async def story(play: Stage) -> None:
        spawned, (_, _, _, *pids) = await play.spawn("family_daemon")
        other, (_, _, _, *others) = await play.spawn("daemon_2")
        assert len(pids) == 3 and all(is_alive(int(pid)) for pid in pids)

        if ordered:
            play.channel.send(m.KillWorker("family_daemon"))
        else:
            os.kill(spawned.pid, signal.SIGKILL)
        exited = await play.next(m.WorkerExited)

        assert exited.killed is ordered
        await until(lambda: not any(is_alive(int(pid)) for pid in pids))
        await until(lambda: not any(os.path.exists(f"/proc/{pid}") for pid in pids))  # reaped as well
        assert all(is_alive(pid) for pid in (other.pid, *map(int, others)))

        play.channel.send(m.KillWorker("family_daemon"))  # said again
        assert await play.next(m.WorkerExited) == exited
        play.channel.send(m.KillWorker("never_was"))
        assert (await play.next(m.WorkerExited)).worker_id == "never_was"

    on_stage(story)


def test_a_worker_that_ends_well_leaves_its_group_dead_and_what_it_detached_alone(on_stage: Play) -> None:
    async def story(play: Stage) -> None:
        _, (_, _, _, in_group, detached) = await play.spawn("family_leave")
        exited = await play.next(m.WorkerExited)

        assert exited.returncode == 0
        await until(lambda: not is_alive(int(in_group)))
        assert is_alive(int(detached))
        play.channel.send(m.KeeperShutdown())
        await until(lambda: play.process.poll() is not None)
        assert not is_alive(int(detached))

    on_stage(story)


def test_a_worker_that_cannot_start_is_explained(on_stage: Play) -> None:
    async def story(play: Stage) -> None:
        play.python.chmod(0o644)
        play.channel.send(m.SpawnWorker("w1", "process"))
        assert "may not be executed" in (await play.next(m.SpawnFailed)).reason

        play.python.unlink()
        play.channel.send(m.SpawnWorker("w1", "process"))
        assert f"the Python {play.python}" in (await play.next(m.SpawnFailed)).reason

        play.cwd.rmdir()
        play.channel.send(m.SpawnWorker("w1", "process"))
        assert f"the working directory {play.cwd}" in (await play.next(m.SpawnFailed)).reason

    on_stage(story)
