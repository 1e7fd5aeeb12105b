"""`kill -9` of the engine while hundreds of bodies run: nothing acknowledged is lost, doubled or run again."""

from __future__ import annotations

import random
import time
from pathlib import Path

import pytest

from tests.survival.auditor import Told, audit
from tests.survival.conftest import MakeProject
from tests.survival.project import ClientProgram, Project, until, wait_until

LIVE = 500  # bodies that run at each kill
CLIENTS = 4
WINDOW = 500  # runs that one client has under way

# Triggers `total` runs and more until a file says that it is enough, some by the batch, some of a plain function; says
# what it was told and given.
LOAD = """
import random

STOP, AT_MOST = os.path.join(os.path.dirname(NOTES), "stop"), 30_000

@kk.task
async def double(n: int, seconds: float) -> int:
    run_id, mine = kk.ctx.run.id, fence()
    note("start", run_id, mine, os.getpid())
    await asyncio.sleep(seconds)
    note("end", run_id, mine, os.getpid())
    return 2 * n

@kk.task
def double_plain(n: int, seconds: float) -> int:
    run_id, mine = kk.ctx.run.id, fence()
    note("start", run_id, mine, os.getpid())
    time.sleep(seconds)
    note("end", run_id, mine, os.getpid())
    return 2 * n

async def follow(handle, live) -> None:
    result = await handle
    say("given", handle.id, result.output)
    live.release()

async def main(me: int, total: int, window: int, seed: int) -> None:
    chance, live, plain = random.Random(seed), asyncio.Semaphore(window), total // 50
    number = me * 1_000_000
    heard()
    async with asyncio.TaskGroup() as group:
        while number < me * 1_000_000 + (total if os.path.exists(STOP) else AT_MOST):
            size = chance.choice((1, 1, 1, 20, 100))
            mine = range(number, number + size)
            number += size
            for _ in mine:
                await live.acquire()
            if size > 1:
                handles = list(double.batch_trigger([{"n": n, "seconds": chance.random() ** 0.5} for n in mine]).runs)
            elif plain and chance.random() < 0.1:
                plain -= 1
                handles = [double_plain.trigger(n=mine[0], seconds=chance.random() ** 0.5)]
            else:
                handles = [double.trigger(n=mine[0], seconds=chance.random() ** 0.5)]
            for handle, n in zip(handles, mine):
                say("told", handle.id, n)
                group.create_task(follow(handle, live))

if __name__ == "__main__":
    asyncio.run(main(*map(int, sys.argv[1:])))
"""


def live_bodies(project: Project) -> int:
    notes = project.notes_path.read_bytes() if project.notes_path.exists() else b""
    return notes.count(b"start ") - notes.count(b"end ")


def kill_while_they_run(project: Project, chance: random.Random) -> int:
    """Kill the engine at a random moment at which enough bodies run; how many ran."""
    engine = project.engine()
    until(lambda: live_bodies(project) >= LIVE, f"{LIVE} live bodies; there are {live_bodies(project)}; {project.log}")
    moment = time.monotonic() + chance.random() * 0.15

    def enough() -> int:
        live = live_bodies(project)
        return live if live >= LIVE and time.monotonic() >= moment else 0

    live = until(enough, f"{LIVE} live bodies, at the moment")
    project.kill(engine)
    return live


def what_they_were_told(clients: list[ClientProgram]) -> list[Told]:
    told: dict[str, Told] = {}
    for client in clients:
        for what, run_id, number in client.hear_all(within=120):
            if what == "told":
                told[run_id] = Told(run_id, number)
            else:
                told[run_id].output = number
    return list(told.values())


def survive(project: Project, *, kills: int, runs: int, seed: int) -> None:
    chance = random.Random(seed)
    script = project.write(LOAD)
    clients = [project.client(script, me, runs // CLIENTS, WINDOW, seed + me) for me in range(CLIENTS)]
    for client in clients:
        client.tell()

    live = [kill_while_they_run(project, chance) for _ in range(kills)]
    (project.folder / "stop").touch()
    told = what_they_were_told(clients)
    engine = project.engine()
    pids = {int(pid) for _, _, _, pid in project.notes()}
    workers = {worker.pid for worker in project.workers()}
    project.down()

    report = audit(project.home.database, told, project.notes())
    assert report.wrong == []
    assert report.restarted == [], "bodies that ran at a kill are adopted, not started again"
    assert len(told) >= runs and all(one.output is not None for one in told)
    assert min(live) >= LIVE
    assert engine not in pids, "people's code never runs in the engine"
    assert pids <= workers, "the workers of the first engine are those of the last"


def test_three_killed_engines_lose_nothing(make_project: MakeProject) -> None:
    project = make_project(concurrency_limit=600)

    survive(project, kills=3, runs=2_000, seed=1)


@pytest.mark.slow
@pytest.mark.timeout(600)
@pytest.mark.parametrize("seed", [2, 3])
def test_twenty_killed_engines_lose_nothing(make_project: MakeProject, seed: int) -> None:
    project = make_project(concurrency_limit=600)

    survive(project, kills=20, runs=10_000, seed=seed)


def test_an_engine_killed_as_it_comes_up_loses_nothing(make_project: MakeProject, tmp_path: Path) -> None:
    project = make_project(concurrency_limit=600)
    script = project.write(LOAD)
    clients = [project.client(script, me, 300, WINDOW, me) for me in range(2)]
    for client in clients:
        client.tell()
    (project.folder / "stop").touch()
    chance = random.Random(4)
    until(lambda: live_bodies(project) > 100, "live bodies")

    for _ in range(4):  # the pid stands in the lock before the socket answers
        newest = until(lambda: next((process.pid for process in project.engines()), 0), "an engine process")
        wait_until(time.monotonic() + chance.random() * 0.6)
        project.kill(newest)

    told = what_they_were_told(clients)
    project.down()
    report = audit(project.home.database, told, project.notes())
    assert report.wrong == []
    assert report.restarted == []
    assert len(told) >= 600
