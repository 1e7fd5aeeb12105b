"""Subscriptions go on over `kill -9` of the engine: what ended meanwhile is told, and nothing twice."""

from __future__ import annotations

from tests.survival.project import Project, until

PROGRAM = """
import threading

GATE = os.path.join(os.path.dirname(NOTES), "gate")

@kk.task
async def gated(n: int) -> int:
    note("start", n)
    while n < 3 and not os.path.exists(GATE):
        await asyncio.sleep(0.02)
    return 2 * n

def follow(name, subscription, count):
    ended = []
    for run in subscription:
        if run.is_completed:
            ended.append([run.id, run.status.value, run.output])
        if len(ended) == count:
            break
    say(name, ended)

if __name__ == "__main__":
    batch = gated.options(tags=["red"]).batch_trigger([{"n": n} for n in range(3)])
    say(*[run.id for run in batch.runs])
    threads = [
        threading.Thread(target=follow, args=(name, subscription, count))
        for name, subscription, count in (
            ("run", kk.runs.subscribe(batch.runs[0]), 1),
            ("tag", kk.runs.subscribe(tag="red"), 4),
            ("batch", kk.runs.subscribe(batch=batch), 3),
        )
    ]
    for thread in threads:
        thread.start()
    say("following")
    heard()
    gated.options(tags=["red"]).trigger(n=7)
    for thread in threads:
        thread.join()
"""


def test_final_states_of_the_time_without_an_engine_are_told_once(project: Project) -> None:
    client = project.client(PROGRAM)
    ids = client.hear()
    assert client.hear() == ["following"]
    until(lambda: len(project.noted("start")) == 3, f"all bodies; {project.log}")

    killed = project.kill_engine()
    (project.folder / "gate").touch()  # the bodies end now, while no engine is there, or a new one just comes
    project.engine(other_than=killed)
    client.tell()
    told = dict(client.hear_all())

    expected = [[run_id, "COMPLETED", 2 * n] for n, run_id in enumerate(ids)]
    assert told["run"] == expected[:1]
    assert sorted(told["batch"]) == expected
    assert sorted(told["tag"])[:3] == expected
    assert [output for *_, output in told["tag"]].count(14) == 1
