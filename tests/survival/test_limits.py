"""Much output, large payloads, values that cannot travel, database files that are not to be had, and a full disk."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any

import duckdb
import psutil
import pytest

from tests.survival.conftest import MakeProject
from tests.survival.project import Project, until

MIB = 1024 * 1024

NOISY = """
LINE = "x" * 99

@kk.task
async def noisy() -> int:
    for n in range(500):
        for _ in range(1_000):
            print(LINE)
        await asyncio.sleep(0)
    print("the last words")
    return 1

@kk.task
def noisy_plain() -> int:
    for _ in range(500_000):
        print(LINE)
    print("the last words")
    return 1

@kk.task
async def brief(n: int) -> int:
    return n

run = globals()[sys.argv[1]].trigger()
slowest = 0.0
while not run.is_completed:
    before = time.perf_counter()
    brief.trigger(n=1).result(timeout=60)
    slowest = max(slowest, time.perf_counter() - before)
result = run.result(timeout=60)
note("ended")  # all lines in one answer, as below, are a burden of another kind
logs = run.logs(limit=1_000_000)
until = time.monotonic() + 20  # what came before the engine could cut it is cut within seconds
while sum(len(line.text) for line in logs.lines) > 13 * 1024 * 1024 and time.monotonic() < until:
    time.sleep(0.2)
    logs = run.logs(limit=1_000_000)
say(
    result.output, slowest, logs.dropped, sum(len(line.text) for line in logs.lines),
    max(len(line.text) for line in logs.lines), logs.lines[0].text, logs.lines[-1].text, run.status.value,
)
"""


@pytest.mark.parametrize("name", ["noisy", "noisy_plain"])
def test_a_task_that_prints_fifty_megabytes_ends_and_stalls_nobody(project: Project, name: str) -> None:
    client = project.client(NOISY, name)
    engine = psutil.Process(project.engine())
    most = 0

    def ended() -> bool:
        nonlocal most
        most = max(most, engine.memory_info().rss)
        return bool(project.noted("ended"))

    until(ended, "the end of the run", within=90)
    ((output, slowest, dropped, kept, longest, first, last, status),) = client.hear_all()

    assert (output, status) == (1, "COMPLETED")
    assert 9_000_000 <= kept <= 13 * MIB, "the first MB and the last nine"
    assert longest <= 64 * 1024
    assert dropped > 300_000
    assert (first, last) == ("x" * 99, "the last words")
    assert slowest < 5
    assert most < 400 * MIB, most


PAYLOADS = """
LIMIT = 3_145_728

@kk.task
async def size(text: str) -> int:
    return len(text)

around = len(json.dumps({"text": ""}, separators=(",", ":")))
say(size.trigger(text="x" * (LIMIT - around)).result(timeout=60).output, around)
try:
    size.trigger(text="x" * (LIMIT - around + 1))
except kk.PayloadTooLargeError as error:
    say(type(error).__name__, str(error))
batch = size.batch_trigger([{"text": "small"}, {"text": "x" * (LIMIT - around + 1)}])
(alone,) = batch.errors
say(alone.error.name, alone.error.message)
say([result.output for result in batch.result(timeout=60)])
say(len(list(kk.runs.list())))
"""


def test_a_payload_of_three_mebibytes_works_and_one_byte_more_is_refused_leaving_nothing(project: Project) -> None:
    (output, around), refused, refused_item, (outputs,), (runs,) = project.run(PAYLOADS)

    assert output == 3_145_728 - around
    for name, words in (refused, refused_item):
        assert name == "PayloadTooLargeError"
        assert "3,145,728" in words and "3,145,729" in words
    assert outputs == [5, None]
    assert runs == 3, "the item that is too large is a run that has failed, without its payload"
    project.down()
    with duckdb.connect(str(project.home.database), read_only=True) as connection:
        counts = connection.execute("SELECT count(*), count(DISTINCT run_id) FROM log WHERE kind = 'RunTriggered'")
        assert counts.fetchall() == [(2, 2)]
        assert connection.execute("SELECT count(*), max(strlen(text)) FROM vals").fetchall() == [(1, 3_145_728)]


def test_a_global_that_cannot_travel_is_named_when_the_task_is_triggered(project: Project) -> None:
    ((name, words), (runs,)) = project.run(
        """
import threading
my_lock = threading.Lock()

@kk.task
async def uses_a_lock() -> int:
    with my_lock:
        return 1

try:
    uses_a_lock.trigger()
except kk.TaskNotPicklableError as error:
    say(type(error).__name__, str(error))
say(len(list(kk.runs.list())))
"""
    )

    assert name == "TaskNotPicklableError"
    assert "my_lock" in words
    assert runs == 0


def test_an_output_that_is_not_json_fails_the_run_at_once_in_words(project: Project) -> None:
    said = project.run(
        """
@kk.task
async def shared():
    return object()

@kk.task
def alone():
    return {"how": lambda: 1}

for task in (shared, alone):
    result = task.trigger().result(timeout=30)
    run = kk.runs.retrieve(result.run.id if hasattr(result, "run") else result.id)
    say(run.status.value, run.error.name, run.error.message, len(run.attempts))
"""
    )

    for (status, name, words, attempts), kind in zip(said, ("object", "function"), strict=True):
        assert (status, name, attempts) == ("FAILED", "OutputNotSerializableError", 1)
        assert kind in words and "JSON" in words


# ---- the database file -----------------------------------------------------------------------------------------------

ONE_RUN = """
@kk.task
async def one() -> int:
    return 1

try:
    say(one.trigger().result(timeout=30).output)
except kk.KernelKitError as error:
    say(type(error).__name__, str(error))
"""

OWNER = """
import duckdb, sys
connection = duckdb.connect(sys.argv[1])
connection.execute("SELECT 1")
print("mine", flush=True)
sys.stdin.read()
"""


def test_a_database_that_another_process_has_open_is_explained_to_the_client_with_its_pid(project: Project) -> None:
    assert project.run(ONE_RUN) == [[1]]
    project.down()
    project.home.down_mark.unlink()
    with subprocess.Popen(
        [sys.executable, "-c", OWNER, str(project.home.database)], stdin=subprocess.PIPE, stdout=subprocess.PIPE
    ) as owner:
        assert owner.stdout is not None and owner.stdin is not None
        assert owner.stdout.readline() == b"mine\n"
        ((name, words),) = project.run(ONE_RUN)
        assert name in ("EngineUnavailableError", "HomeLockedError")
        assert str(owner.pid) in words and "engine.duckdb" in words, words
        owner.stdin.close()

    assert project.run(ONE_RUN) == [[1]], "all is well once the other has let go"


def test_a_truncated_database_is_explained_and_left_as_it_is(project: Project) -> None:
    assert project.run(ONE_RUN) == [[1]]
    project.down()
    project.home.down_mark.unlink()
    whole = project.home.database.read_bytes()
    project.home.database.write_bytes(whole[: len(whole) // 2])

    ((name, words),) = project.run(ONE_RUN)

    assert name in ("EngineUnavailableError", "StoreError")
    assert "engine.duckdb" in words and "kernelkit doctor --quarantine" in words, words
    assert project.home.database.read_bytes() == whole[: len(whole) // 2]
    project.home.database.write_bytes(whole)
    assert project.run(ONE_RUN) == [[1]], "nothing else was harmed"


# ---- a full disk -----------------------------------------------------------------------------------------------------


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    """A file system of 40 MB; needs root, so it skips at home without it."""
    folder = tmp_path / "small"
    folder.mkdir()
    done = subprocess.run(
        ["mount", "-t", "tmpfs", "-o", "size=40m", "tmpfs", str(folder)], capture_output=True, text=True, check=False
    )
    if done.returncode:
        message = f"no small disk to fill: {done.stderr.strip()}"
        if os.environ.get("CI"):
            pytest.fail(message)
        pytest.skip(message)
    yield folder
    subprocess.run(["umount", "--lazy", str(folder)], check=True, timeout=30)


FULL = """
GATE = os.path.join(os.path.dirname(NOTES), "gate")

@kk.task
async def gated(n: int) -> int:
    note("start", kk.ctx.run.id, fence(), os.getpid())
    while not os.path.exists(GATE):
        await asyncio.sleep(0.02)
    return 2 * n

@kk.task
async def double(n: int, text: str = "") -> int:
    return 2 * n

held = [gated.trigger(n=n) for n in range(10)]
say("held", [run.id for run in held])
heard()
try:
    say("stored", double.trigger(n=1).id)
except kk.StoreFullError as error:
    say("full", str(error))
try:
    say("stored", len(double.batch_trigger([{"n": n, "text": "y" * 10_000} for n in range(100)])))
except kk.StoreFullError as error:
    say("full", str(error))
say("listed", len(list(kk.runs.list())))
heard()
say("ends", [run.result(timeout=60).output for run in held])
say("again", double.trigger(n=21).result(timeout=60).output)
say("listed", len(list(kk.runs.list())))
"""


def fill(folder: Path) -> Path:
    ballast = folder / "ballast"
    with ballast.open("wb", buffering=0) as file, suppress(OSError):
        while True:
            file.write(b"x" * 4096)
    return ballast


def test_a_full_disk_refuses_in_words_stores_nothing_and_goes_on_by_itself(
    make_project: MakeProject, small_disk: Path, tmp_path: Path
) -> None:
    project = make_project(folder=small_disk / "project", min_free_bytes=8_000_000)
    project.notes_path = tmp_path / "notes.txt"
    client = project.client(FULL)
    assert client.hear()[0] == "held"
    until(lambda: len(project.noted("start")) == 10, "ten bodies")
    engine = project.engine()

    ballast = fill(small_disk)
    client.tell()
    for _ in range(2):
        kind, words = client.hear()
        assert kind == "full"
        assert "Nothing of this call was stored" in words and "Free some space" in words, words
    assert client.hear() == ["listed", 10]
    (tmp_path / "gate").touch()  # ten results while the disk is full: pending, not lost
    assert "disk" in until(lambda: project.status()["store_problem"], "the engine's word that it cannot commit")
    ballast.unlink()
    client.tell()

    assert client.hear(60) == ["ends", [2 * n for n in range(10)]]
    assert client.hear(60) == ["again", 42]
    assert client.hear_all() == [["listed", 11]]
    assert project.engine() == engine
    project.down()
    rows = finished(project)
    assert len(rows) == 11 and all(status == "COMPLETED" and attempts == 1 for status, attempts in rows)
    assert len(project.noted("start")) == 10


def finished(project: Project) -> list[tuple[Any, ...]]:
    with duckdb.connect(str(project.home.database), read_only=True) as connection:
        return connection.execute("SELECT status, json_array_length(attempts) FROM history").fetchall()
