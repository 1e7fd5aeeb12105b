"""Very many suspended runs, `kill -9` of everything, and another engine: all of them wait on, and each goes on once."""

from __future__ import annotations

from collections import Counter

import pytest

from tests.survival.conftest import MakeProject
from tests.survival.project import until

# Most wait for a token of their own, every tenth for time.
MANY = """
from datetime import UTC, datetime, timedelta

TIMED_S = 20

@kk.task(retry=None, tags=["many"])
async def waits(n: int) -> list:
    before = await kk.step("before", note, "began", n)
    if n % 10 == 0:
        await kk.wait.for_(TIMED_S)
        answer = None
    else:
        answer = await kk.wait.for_token(f"token-{n}").unwrap()
    await kk.step("after", note, "resumed", n)
    return [n, answer]

def total(**filters):
    return kk.runs.list(task="waits", limit=1, **filters).total

def wait_for(look):
    while not look():
        time.sleep(0.1)

def begin(count):
    for start in range(0, count, 1000):
        waits.batch_trigger([{"n": n} for n in range(start, min(count, start + 1000))])
    wait_for(lambda: total(status=["WAITING", "COMPLETED", "FAILED", "CRASHED"]) == count)
    say(total(status="WAITING") + total(status="COMPLETED"))

def look(count):
    "What the first answers of the engine say."
    statuses = {}
    for run in kk.runs.list(task="waits", limit=100).all():
        statuses.setdefault(run.status.value, []).append(len(run.attempts))
    say({status: len(found) for status, found in statuses.items()}, max(max(found) for found in statuses.values()))

def end(count):
    for n in range(count):
        if n % 10:
            kk.tokens.complete(f"token-{n}", -n)
    wait_for(lambda: total(status=["COMPLETED", "FAILED", "CRASHED"]) == count)
    runs = list(kk.runs.list(task="waits", limit=100).all())
    early = [run.id for run in runs if run.output[1] is None
             and run.finished_at - run.started_at < timedelta(seconds=TIMED_S)]
    say([run.status.value for run in runs].count("COMPLETED"), sorted(run.output for run in runs),
        sorted({len(run.attempts) for run in runs}), early)

if __name__ == "__main__":
    globals()[sys.argv[1]](int(sys.argv[2]))
"""


@pytest.mark.parametrize(
    "count",
    [
        pytest.param(200, marks=pytest.mark.timeout(300)),
        pytest.param(2_000, marks=[pytest.mark.slow, pytest.mark.timeout(1_500)]),
    ],
)
def test_suspended_runs_survive_the_end_of_everything(make_project: MakeProject, count: int) -> None:
    project = make_project()
    script = project.write(MANY)
    timed = count // 10
    assert project.run(script, "begin", count, within=600) == [[count]]
    bodies = len(project.noted("began"))

    project.kill(*[process.pid for process in project.processes()])
    assert project.processes() == []
    ((statuses, attempts),) = project.run(script, "look", count, within=300)

    assert statuses["WAITING"] >= count - timed, "those that wait for a token"
    assert sum(statuses.values()) == count and set(statuses) <= {"WAITING", "QUEUED", "EXECUTING", "COMPLETED"}
    assert (bodies, attempts) == (count, 1)

    ((completed, outputs, attempts_each, early),) = project.run(script, "end", count, within=900)

    assert completed == count
    assert outputs == [[n, None if n % 10 == 0 else -n] for n in range(count)]
    assert (attempts_each, early) == ([1], [])
    for what in ("began", "resumed"):
        told = Counter(line[1] for line in project.noted(what))
        assert (len(told), set(told.values())) == (count, {1}), f"a step was done twice, or not at all: {what}"
    until(lambda: project.engine_pid, "the engine that goes on")
