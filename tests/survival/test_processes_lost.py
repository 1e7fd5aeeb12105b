"""Workers, keepers, and all processes at once killed from outside, and bodies that end their own process."""

from __future__ import annotations

from functools import partial

import pytest

from tests.survival.project import Project, until

# A run is triggered for each line the client hears, and its end is told.
ENDS = """
retry = kk.Retry(max_attempts=2, min_timeout=0.1, max_timeout=0.1)

def begun(what):
    note(what, kk.ctx.run.id, kk.ctx.attempt.number, os.getpid())

@kk.task(retry=retry)
async def lasting(seconds: float = 60) -> int:
    begun("lasting")
    if kk.ctx.attempt.number == 1:
        await asyncio.sleep(seconds)
    return os.getpid()

@kk.task(retry=retry)
def lasting_plain(seconds: float = 60) -> int:
    begun("lasting_plain")
    if kk.ctx.attempt.number == 1:
        time.sleep(seconds)
    return os.getpid()

@kk.task(retry=retry)
def segfault() -> int:
    begun("segfault")
    if kk.ctx.attempt.number == 1:
        ctypes.string_at(0)
    return os.getpid()

@kk.task(retry=retry)
async def segfault_beside_others() -> int:
    begun("segfault_beside_others")
    if kk.ctx.attempt.number == 1:
        ctypes.string_at(0)
    return os.getpid()

@kk.task(retry=retry)
def hard_exit() -> int:
    begun("hard_exit")
    if kk.ctx.attempt.number == 1:
        os._exit(7)
    return os.getpid()

@kk.task(retry=retry)
def soft_exit() -> int:
    begun("soft_exit")
    if kk.ctx.attempt.number == 1:
        sys.exit("no more")
    return os.getpid()

@kk.task(retry=retry)
async def soft_exit_beside_others() -> int:
    begun("soft_exit_beside_others")
    if kk.ctx.attempt.number == 1:
        sys.exit(3)
    return os.getpid()

@kk.task(retry=None)
async def lasting_once() -> int:
    begun("lasting_once")
    await asyncio.sleep(60)

@kk.task(retry=retry)
def family() -> int:
    import subprocess
    sleeper = [sys.executable, "-c", "import time; time.sleep(300)"]
    begun("family")
    if kk.ctx.attempt.number == 1:
        subprocess.Popen(sleeper)
        subprocess.Popen(sleeper, start_new_session=True)
        note("children")
        time.sleep(60)
    return os.getpid()

def main(*names):
    runs = {}
    for number, name in enumerate(names):
        runs[number, name] = globals()[name].trigger()
    for (_, name), handle in runs.items():
        say(name, handle.id)
    heard()
    for (_, name), handle in runs.items():
        result = handle.result(timeout=60)
        run = handle.refresh()
        say(name, run.status.value, [
            [attempt.number, attempt.status, attempt.error.name if attempt.error else "",
             attempt.error.message if attempt.error else ""] for attempt in run.attempts
        ], result.output if result.ok else None)

if __name__ == "__main__":
    main(*sys.argv[1:])
"""

# In one shared worker a body blocks the loop, so what is sent there later does not begin; or its import lasts.
UNBEGUN = """
import slow

def begun(what):
    note(what, kk.ctx.run.id, kk.ctx.attempt.number, os.getpid())

@kk.task(retry=kk.Retry(max_attempts=2, min_timeout=0.1, max_timeout=0.1))
async def blocking() -> int:
    begun("blocking")
    if kk.ctx.attempt.number == 1:
        time.sleep(60)
    return os.getpid()

@kk.task(retry=None)
async def behind() -> int:
    begun("behind")
    return os.getpid()

@kk.task(retry=None)
def importing() -> int:
    begun("importing")
    return slow.answer

@kk.task(retry=None)
async def importing_shared() -> int:
    begun("importing_shared")
    return slow.answer

def main(*names):
    runs = []
    for name in names:
        runs.append(globals()[name].trigger())
        say(name, runs[-1].id)
        heard()
    for handle in runs:
        handle.result(timeout=60)
        run = handle.refresh()
        say(run.status.value, [[attempt.number, attempt.status] for attempt in run.attempts])

if __name__ == "__main__":
    main(*sys.argv[1:])
"""
SLOW = """
import os, sys, time
answer = 42
if "kernelkit.execution.worker" in " ".join(sys.orig_argv):
    note("slow", os.getpid())
    with open(NOTES) as file:
        times = file.read().count("slow")
    if times < ENDS_AT:
        time.sleep(60)
"""

Ended = tuple[str, str, list[tuple[int, str, str, str]], int | None]


def begun(project: Project, *names: str) -> dict[str, int]:
    """The pids in which the first attempts of these tasks run, once all of them do."""

    def look() -> dict[str, int]:
        found = {line[0]: int(line[3]) for line in project.notes() if line[0] in names and line[2] == "1"}
        return found if len(found) == len(set(names)) else {}

    return until(look, f"bodies of {names}; {project.log}")


def attempts_on(project: Project, pid: int) -> int:
    """How many attempts the engine has with that worker."""
    return sum(worker["attempts"] for worker in project.status()["workers"] if worker["pid"] == pid)


def imported(project: Project, times: int) -> bool:
    return len(project.noted("slow")) == times


def test_a_killed_shared_worker_fails_all_its_attempts_which_are_tried_again(project: Project) -> None:
    client = project.client(project.write(ENDS), "lasting", "lasting", "lasting_plain", "lasting_once")
    pids = begun(project, "lasting", "lasting_plain", "lasting_once")
    until(lambda: len(project.noted("lasting")) == 2, "both neighbours")
    assert pids["lasting"] == pids["lasting_once"] != pids["lasting_plain"]
    engine = project.engine()

    project.kill(pids["lasting"])
    until(lambda: len(project.noted("lasting")) == 4, "second attempts of both")
    project.kill(pids["lasting_plain"])
    client.tell()

    said = client.hear_all()[4:]
    for name, status, attempts, output in said:
        number, how, error, words = attempts[0]
        assert (number, how, error) == (1, "CRASHED", "WorkerLostError")
        assert "killed from outside (signal 9)" in words
        if name == "lasting_once":
            assert (status, len(attempts)) == ("CRASHED", 1)
        else:
            assert (status, attempts[1][:2]) == ("COMPLETED", [2, "COMPLETED"])
            assert output not in pids.values()
    assert project.engine() == engine


@pytest.mark.parametrize(
    ("name", "error", "words"),
    [
        ("segfault", "WorkerLostError", "segmentation fault (signal 11)"),
        ("segfault_beside_others", "WorkerLostError", "segmentation fault (signal 11)"),
        ("hard_exit", "WorkerLostError", "exited with code 7"),
        pytest.param("soft_exit", "SystemExit", "no more", marks=pytest.mark.slow),
        ("soft_exit_beside_others", "SystemExit", "3"),
    ],
)
def test_a_body_that_ends_its_process_fails_its_attempt_only(
    project: Project, name: str, error: str, words: str
) -> None:
    script = project.write(ENDS)
    beside = project.client(script, "lasting")
    lasting = begun(project, "lasting")["lasting"]
    client = project.client(script, name)
    until(lambda: len(project.noted(name)) == 2, f"the second attempt; {project.log}")
    engine = project.engine()
    if name != "segfault_beside_others":
        assert len(project.noted("lasting")) == 1, "the neighbour goes on"
        project.kill(lasting)
    client.tell()
    beside.tell()

    (_, status, attempts, _), (_, status_beside, attempts_beside, _) = client.hear_all()[1], beside.hear_all()[1]

    assert (status, status_beside) == ("COMPLETED", "COMPLETED")
    assert attempts[0][2] == error and words in attempts[0][3], attempts
    assert attempts_beside[0][2] == "WorkerLostError"
    assert len(attempts) == len(attempts_beside) == 2
    assert project.engine() == engine


def test_a_killed_keeper_takes_its_workers_and_all_below_them_along(project: Project) -> None:
    client = project.client(project.write(ENDS), "lasting", "family")
    begun(project, "lasting", "family")
    until(lambda: project.noted("children"), "children of a body")
    (keeper,) = project.keepers()
    before = {process.pid for process in project.processes()}

    project.kill(keeper.pid)
    client.tell()
    said = client.hear_all()[2:]

    for _, status, attempts, _ in said:
        assert status == "COMPLETED"
        assert attempts[0][1:3] == ["CRASHED", "WorkerLostError"]
        assert len(attempts) == 2
    engine = project.engine()
    after = {process.pid for process in project.processes()}
    assert after & before == {engine}, "what the first keeper held has ended, the engine goes on"
    project.down()


def test_everything_killed_at_once_is_brought_to_an_end_by_the_next_client(project: Project) -> None:
    client = project.client(project.write(ENDS), "lasting", "lasting_plain", "lasting")
    ids = [client.hear()[1] for _ in range(3)]
    begun(project, "lasting", "lasting_plain")
    client.end()

    project.kill(*[process.pid for process in project.processes()])
    assert project.processes() == []
    said = project.run(
        """
        for run_id in sys.argv[1:]:
            run = kk.runs.retrieve(run_id)
            while not run.is_completed:
                time.sleep(0.02)
                run = kk.runs.retrieve(run_id)
            say(run.status.value, [[each.status, each.error.name if each.error else ""] for each in run.attempts])
        """.replace("\n        ", "\n"),
        *ids,
    )

    assert said == [["COMPLETED", [["CRASHED", "WorkerLostError"], ["COMPLETED", ""]]]] * 3


def test_what_a_lost_worker_had_started_ends_though_no_keeper_saw_it_go(project: Project) -> None:
    client = project.client(project.write(ENDS), "family")
    begun(project, "family")
    until(lambda: project.noted("children"), "children of a body")
    known = [*project.engines(), *project.keepers(), *project.workers()]
    children = {process.pid for process in project.processes()} - {process.pid for process in known}
    assert len(children) == 2

    project.kill(*[process.pid for process in known])
    assert children <= {process.pid for process in project.processes()}
    client.tell()

    ((_, status, attempts, _),) = client.hear_all()[1:]
    assert (status, len(attempts)) == ("COMPLETED", 2)
    until(lambda: not children & {process.pid for process in project.processes()}, "the end of the children")


def test_what_a_killed_worker_had_not_begun_is_done_elsewhere_and_not_counted(project: Project) -> None:
    project.write(SLOW.replace("ENDS_AT", "0"), "slow.py")
    client = project.client(project.write(UNBEGUN), "blocking", "behind", "behind")
    client.hear()
    pid = begun(project, "blocking")["blocking"]
    for _ in range(2):  # these have one attempt each, and are sent to the worker that will not begin them
        client.tell()
        client.hear()
    until(lambda: attempts_on(project, pid) == 3, "all three with that worker")

    project.kill(pid)
    client.tell()

    blocking, *behind = client.hear_all()
    assert blocking == ["COMPLETED", [[1, "CRASHED"], [2, "COMPLETED"]]]
    assert behind == [["COMPLETED", [[1, "COMPLETED"]]]] * 2


@pytest.mark.parametrize(
    ("name", "kills", "expected"),
    [
        ("importing", 2, ["COMPLETED", [[1, "COMPLETED"]]]),
        pytest.param("importing_shared", 2, ["COMPLETED", [[1, "COMPLETED"]]], marks=pytest.mark.slow),
        pytest.param("importing", 3, ["CRASHED", [[1, "CRASHED"]]], marks=pytest.mark.slow),
    ],
)
def test_an_import_that_is_killed_is_tried_three_times(
    project: Project, name: str, kills: int, expected: list[object]
) -> None:
    project.write(SLOW.replace("ENDS_AT", str(kills + 1)), "slow.py")
    client = project.client(project.write(UNBEGUN), name)
    client.hear()
    client.tell()

    for number in range(1, kills + 1):
        until(partial(imported, project, number), f"import {number}")
        project.kill(int(project.noted("slow")[-1][1]))

    assert client.hear_all() == [expected]
