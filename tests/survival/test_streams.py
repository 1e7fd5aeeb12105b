"""Streams come through `kill -9` of the engine: writer and reader go on, and no value is lost or there twice."""

from __future__ import annotations

from tests.survival.project import Project, until

PROGRAM = """
import threading

FOLDER = os.path.dirname(NOTES)
numbers = kk.streams.define("numbers", int)
orders = kk.streams.input("orders", str)

@kk.task
async def counts() -> list:
    for n in range(100):
        await numbers.append(n)
    note("half")
    while not os.path.exists(os.path.join(FOLDER, "gate")):
        await asyncio.sleep(0.02)
        await numbers.append(-1)
    for n in range(100, 200):
        await numbers.append(n)
    return [(await orders.wait().unwrap()), (await orders.wait().unwrap())]

if __name__ == "__main__":
    run = counts.trigger()
    orders.send(run, "early")
    read = []
    reader = threading.Thread(target=lambda: read.extend(numbers.read(run)))
    reader.start()
    while len(read) < 100:
        time.sleep(0.01)
    say("reading")
    heard()
    orders.send(run, "late")
    say("output", run.result(timeout=60).output)
    reader.join()
    say("read", [n for n in read if n >= 0], read.count(-1))
    say("again", list(numbers.read(run)) == read)
"""


def test_a_stream_is_written_and_read_on_over_the_end_of_the_engine(project: Project) -> None:
    client = project.client(PROGRAM)
    assert client.hear() == ["reading"]
    until(lambda: project.noted("half"), f"the first half; {project.log}")

    killed = project.kill_engine()  # while values are on their way, and the reader waits for them
    project.engine(other_than=killed)
    (project.folder / "gate").touch()
    client.tell()
    told = {word: rest for word, *rest in client.hear_all()}

    assert told["output"] == [["early", "late"]]
    numbers, between = told["read"]
    assert numbers == list(range(200))
    assert between >= 1
    assert told["again"] == [True]
