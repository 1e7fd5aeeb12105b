"""`kill -9` of worker, engine and both around every kind of wait: nothing is done twice, and results keep their order.

The bodies' own file is the witness: each of its lines is an effect that really happened, whatever the engine believes.
Every body stops at a gate, a file that the test makes, so that a kill hits the moment it is meant for.
"""

from __future__ import annotations

from collections import Counter
from typing import Any

import pytest

from tests.survival.conftest import MakeProject
from tests.survival.project import ClientProgram, Project, until

pytestmark = pytest.mark.timeout(180)

# Answers each line it hears: `trigger|status|complete|block|ended`.
WAITS = """
HERE = os.path.dirname(NOTES)
retry = kk.Retry(max_attempts=3, min_timeout=0.05, max_timeout=0.05)
narrow = kk.Queue("narrow", concurrency_limit=1)

def shut(gate):
    return not os.path.exists(os.path.join(HERE, gate))

async def stop_at(gate, moment):
    if gate == moment:
        note("at", gate, os.getpid())
        while shut(gate):
            await asyncio.sleep(0.02)

def effect(name):
    note("effect", name)
    return name

@kk.task(retry=retry)
async def child(n: int) -> int:
    note("child", kk.ctx.run.id, n)
    await kk.step("child", effect, f"child-{n}-of-{kk.ctx.run.parent_id}")
    note("born", n)
    while shut("children"):
        await asyncio.sleep(0.02)
    return 10 * n

def children(key):
    keyed = [kk.Item({"n": n}, idempotency_key=kk.idempotency_keys.create(f"child-{n}")) for n in (1, 2, 3)]
    return keyed if key else [{"n": n} for n in (1, 2, 3)]

@kk.task(queue=narrow, retry=retry)
async def waiter(kind: str, moment: str, key: bool) -> list:
    note("body", os.getpid())
    if len([line for line in open(NOTES) if line.startswith("body ")]) > 1:
        await stop_at("again", moment)
    first = await kk.step("first", effect, "first")
    await stop_at("before", moment)
    if kind == "time":
        found = await kk.wait.for_(4 if moment in ("suspended", "between", "again") else 0.3)
    elif kind == "token":
        found = await kk.wait.for_token("answer").unwrap()
    elif kind == "child":
        one = child.options(idempotency_key=kk.idempotency_keys.create("child")) if key else child
        found = await one.trigger_and_wait(n=1).unwrap()
    else:
        found = [each.unwrap() for each in await child.batch_trigger_and_wait(children(key))]
    note("resumed")
    await stop_at("during", moment)
    return [first, found, await kk.step("second", effect, "second")]

@kk.task(retry=retry)
def plain_waiter(kind: str, moment: str, key: bool) -> list:
    note("body", os.getpid())
    first = kk.step("first", effect, "first").result()
    pending = kk.wait.for_token("answer") if kind == "token" else child.trigger_and_wait(n=1)
    found = pending.unwrap().result()
    note("resumed")
    return [first, found, kk.step("second", effect, "second").result()]

@kk.task(queue=narrow, retry=retry)
async def blocker() -> None:
    note("blocker")
    while shut("blocker"):
        await asyncio.sleep(0.02)

if __name__ == "__main__":
    child.register()
    while words := heard().split():
        match words:
            case ["trigger", task, kind, moment]:
                run = globals()[task].trigger(kind=kind, moment=moment, key=moment in ("during", "again"))
                say(run.id)
            case ["status"]:
                say(run.status)
            case ["complete"]:
                open(os.path.join(HERE, "children"), "w").close()
                say(str(kk.tokens.complete("answer", "yes").status))
            case ["block"]:
                say(blocker.trigger().id)
            case ["ended"]:
                result = run.result(timeout=60)
                seen = run.refresh()
                say(seen.status.value, result.output, str(result.error), [each.status for each in seen.attempts],
                    [[each.id, each.output] for each in kk.runs.list(parent=run.id, limit=100)])
"""

EXPECTED = {"time": None, "token": "yes", "child": 10, "batch": [10, 20, 30]}
CHILDREN = {"time": 0, "token": 0, "child": 1, "batch": 3}
KINDS = tuple(EXPECTED)
MOMENTS = ("before", "suspended", "between", "during", "again")
KILLED = ("worker", "engine", "both")

OFTEN = {  # of the matrix, what every run of the tests has: each kind, moment and victim at least once
    ("token", "suspended", "both"),
    ("batch", "between", "both"),
    ("child", "during", "worker"),
    ("batch", "before", "engine"),
    ("child", "again", "both"),
    ("time", "suspended", "worker"),
}


def ask(client: ClientProgram, words: str) -> Any:
    client.tell(words)
    (answer,) = client.hear()
    return answer


def kill(project: Project, killed: str) -> None:
    workers = [] if killed == "engine" else [worker.pid for worker in project.workers()]
    project.kill(*workers, *([] if killed == "worker" else [project.engine()]))


def waits(project: Project, client: ClientProgram, kind: str) -> None:
    """The run is suspended, and its children, if it has any, stand at their gate."""
    until(lambda: len(project.noted("born")) >= CHILDREN[kind], f"the children; {project.log}")
    until(lambda: ask(client, "status") == "WAITING" or project.noted("resumed"), f"a suspended run; {project.log}")


def reach(project: Project, client: ClientProgram, kind: str, moment: str) -> None:
    """Bring the run to the moment."""
    if moment == "before":
        until(lambda: project.noted("at"), f"the gate; {project.log}")
        return
    waits(project, client, kind)
    if moment == "between":
        ask(client, "block")
        until(lambda: project.noted("blocker"), f"another run in the slot; {project.log}")
        ask(client, "complete")
        until(lambda: ask(client, "status") != "WAITING", f"a wait that is over; {project.log}")
    elif moment == "during":
        ask(client, "complete")
        until(lambda: project.noted("at"), f"the gate; {project.log}")
    elif moment == "again":
        project.kill(*[worker.pid for worker in project.workers()])
        ask(client, "complete")
        until(lambda: project.noted("at"), f"the gate; {project.log}")


def finish(project: Project, client: ClientProgram, kind: str, moment: str) -> list[str]:
    """Open all gates and check what became of the run; the statuses of its attempts."""
    for gate in ("before", "during", "again", "blocker"):
        (project.folder / gate).touch()
    ask(client, "complete")
    client.tell("ended")
    status, output, error, attempts, children = client.hear(within=90)
    assert (status, output) == ("COMPLETED", ["first", EXPECTED[kind], "second"]), (error, attempts, project.log)
    assert len(children) == CHILDREN[kind], "a child was triggered twice, or not at all"
    assert sorted(each for _, each in children) == [10 * n for n in range(1, CHILDREN[kind] + 1)]
    assert {run_id for _, run_id, _ in project.noted("child")} == {run_id for run_id, _ in children}
    effects = Counter(name for _, name in project.noted("effect"))
    assert set(effects.values()) == {1}, f"the effect of a step was doubled: {effects}"
    assert len(effects) == 2 + CHILDREN[kind]
    return list(attempts)


@pytest.mark.parametrize(
    ("kind", "moment", "killed"),
    [
        pytest.param(*case, marks=[] if case in OFTEN else pytest.mark.slow)
        for case in [(kind, moment, killed) for kind in KINDS for moment in MOMENTS for killed in KILLED]
    ],
)
def test_a_kill_around_a_wait_doubles_nothing(make_project: MakeProject, kind: str, moment: str, killed: str) -> None:
    project = make_project(suspend_after=0)
    client = project.client(WAITS)
    ask(client, f"trigger waiter {kind} {moment}")
    reach(project, client, kind, moment)

    kill(project, killed)

    attempts = finish(project, client, kind, moment)
    bodies = len(project.noted("body"))
    if killed == "engine" and moment != "again":
        assert bodies == 1, "the body lives, and goes on where it stood"
    if moment in ("suspended", "between"):
        assert attempts == ["COMPLETED"], "a run that only waited has lost nothing"
        assert kind == "time" or killed == "engine" or bodies == 2
    elif moment != "again":
        assert attempts == (["COMPLETED"] if killed == "engine" else ["CRASHED", "COMPLETED"])


@pytest.mark.parametrize(
    ("kind", "killed"),
    [pytest.param("token", "both"), *[pytest.param("child", each, marks=pytest.mark.slow) for each in KILLED]],
)
def test_a_plain_task_that_is_suspended_survives_a_kill(make_project: MakeProject, kind: str, killed: str) -> None:
    project = make_project(suspend_after=0)
    client = project.client(WAITS)
    ask(client, f"trigger plain_waiter {kind} suspended")
    waits(project, client, kind)

    kill(project, killed)

    assert finish(project, client, kind, "suspended") == ["COMPLETED"]
    assert len(project.noted("body")) == (1 if killed == "engine" else 2)
