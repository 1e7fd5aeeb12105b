"""No engine and nobody to start one: keepers bring one up, and results wait in files for whoever comes."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import duckdb
import msgspec
import pytest

from kernelkit.models.value import Value
from kernelkit.wire import messages as m
from tests.survival.project import Project, until

GATED = """
GATE = os.path.join(os.path.dirname(NOTES), "gate")

@kk.task
async def gated(n: int) -> int:
    note("start", kk.ctx.run.id, fence(), os.getpid())
    while not os.path.exists(GATE):
        await asyncio.sleep(0.02)
    note("end", kk.ctx.run.id, fence(), os.getpid())
    return 2 * n

@kk.task
def gated_plain(n: int) -> int:
    note("start", kk.ctx.run.id, fence(), os.getpid())
    while not os.path.exists(GATE):
        time.sleep(0.02)
    note("end", kk.ctx.run.id, fence(), os.getpid())
    return 2 * n

if __name__ == "__main__":
    say(gated.trigger(n=20).id, gated_plain.trigger(n=21).id)
"""

LOOK = """
for run_id in sys.argv[1:]:
    result = kk.runs.retrieve(run_id)
    while not result.is_completed:
        time.sleep(0.02)
        result = kk.runs.retrieve(run_id)
    say(result.status.value, result.output, [[each.number, each.status] for each in result.attempts])
"""


def history(project: Project) -> dict[str, tuple[str, Any, int]]:
    """Status, output and number of attempts by run id, read from the file itself."""
    with duckdb.connect(str(project.home.database), read_only=True) as connection:
        rows = connection.execute("SELECT id, status, output, attempts FROM history").fetchall()
    return {
        run_id: (status, json.loads(output), len(json.loads(attempts))) for run_id, status, output, attempts in rows
    }


def started(project: Project) -> list[str]:
    """The ids of two gated runs, once both bodies run and their client has ended."""
    ((first, second),) = project.run(GATED)
    until(lambda: len(project.noted("start")) == 2, f"both bodies; {project.log}")
    return [first, second]


def test_a_keeper_with_live_work_brings_an_engine_up_when_no_client_is_there(project: Project) -> None:
    ids = started(project)
    workers = {worker.pid for worker in project.workers()}

    killed = project.kill_engine()
    (project.folder / "gate").touch()
    until(lambda: len(project.noted("end")) == 2, "the ends of both bodies, while no engine is there")
    assert project.engine_pid == 0
    engine = project.engine(other_than=killed)
    until(lambda: project.status()["executing"] == 0, "both ends delivered")
    assert {worker.pid for worker in project.workers()} == workers
    project.down()

    assert engine != killed
    assert history(project) == {ids[0]: ("COMPLETED", 40, 1), ids[1]: ("COMPLETED", 42, 1)}
    assert len(project.noted("start")) == 2


def test_down_leaves_attempts_to_their_keeper_and_the_next_engine_takes_them_up(project: Project) -> None:
    ids = started(project)
    assert project.cli("down", "--now").returncode == 0
    assert project.engine_pid == 0 and len(project.workers()) == 2
    (project.folder / "gate").touch()
    until(lambda: len(project.noted("end")) == 2, "the ends of both bodies")

    assert project.cli("up").returncode == 0

    assert project.run(LOOK, *ids) == [["COMPLETED", n, [[1, "COMPLETED"]]] for n in (40, 42)]
    assert len(project.noted("start")) == 2


def test_results_written_down_for_want_of_an_engine_are_taken_in_though_their_worker_is_gone(project: Project) -> None:
    ids = started(project)
    assert project.cli("down", "--now").returncode == 0
    project.kill(*[process.pid for process in project.processes()])
    with duckdb.connect(str(project.home.database), read_only=True) as connection:
        dispatched = connection.execute("SELECT run_id, body FROM log WHERE kind = 'RunDispatched'").fetchall()
    for run_id, body in dispatched:
        event = json.loads(body)
        done = m.Succeeded(Value(text="7", size=1), started_at=event["at"], finished_at=event["at"] + 5)
        reports = [
            m.Report(1, run_id, event["fence"], m.Started(event["at"])),
            m.Report(2, run_id, event["fence"], done),
        ]
        path = project.home.orphans / f"{event['worker_id']}.jsonl"
        path.write_bytes(b"".join(msgspec.json.encode(report) + b"\n" for report in reports))

    assert project.cli("up").returncode == 0

    assert project.run(LOOK, *ids) == [["COMPLETED", 7, [[1, "COMPLETED"]]]] * 2
    until(lambda: list(project.home.orphans.iterdir()) == [], "orphans that were taken in are gone")


CHATTY = """
GATE = os.path.join(os.path.dirname(NOTES), "gate")

@kk.task
async def chatty() -> None:
    for n in range(5):
        print("before", n)
    note("start")
    while not os.path.exists(GATE):
        await asyncio.sleep(0.02)
    for n in range(5):
        print("after", n)

run = chatty.trigger()
run.result(timeout=60)
until = time.monotonic() + 10
logs = run.logs()
while (not logs.lines or logs.lines[-1].text != "after 4") and time.monotonic() < until:
    time.sleep(0.02)  # lines for which there was no engine come a moment after the result
    logs = run.logs()
say([line.text for line in logs.lines], logs.dropped)
"""


def test_lines_of_a_run_stay_in_order_across_engines(project: Project) -> None:
    client = project.client(CHATTY)
    until(lambda: project.noted("start"), "the body")

    killed = project.kill_engine()
    project.engine(other_than=killed)
    (project.folder / "gate").touch()

    ((lines, dropped),) = client.hear_all()
    assert [line for line in lines if line.startswith("after")] == [f"after {n}" for n in range(5)]
    assert lines == sorted(lines, key=lambda line: line.startswith("after")), "what was printed first comes first"
    assert dropped <= 5, "what an engine had and had not stored when it was killed"


@pytest.mark.slow
@pytest.mark.timeout(240)
def test_a_worker_that_finds_no_engine_for_a_minute_writes_its_results_down(project: Project) -> None:
    ids = started(project)
    assert project.cli("down", "--now").returncode == 0
    (project.folder / "gate").touch()

    def written() -> list[Path]:
        return [path for path in project.home.orphans.iterdir() if b"Succeeded" in path.read_bytes()]

    until(lambda: len(written()) == 2, "two files of results", within=100)
    project.kill(*[process.pid for process in project.processes()])
    assert project.cli("up").returncode == 0

    assert project.run(LOOK, *ids) == [["COMPLETED", n, [[1, "COMPLETED"]]] for n in (40, 42)]
    assert len(project.noted("start")) == 2
