"""The store against real deaths and a really full disk: child processes, and a small file system of their own."""

from __future__ import annotations

import os
import random
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

import pytest

from kernelkit.config import EngineSettings, Home
from kernelkit.errors import StoreError, StoreFullError
from kernelkit.store.rows import Batch, LogRow
from kernelkit.store.store import Store
from kernelkit.store.writer import Writer
from tests.store.samples import call_now, home_in, open_store

REPOSITORY = Path(__file__).parents[2]

# Puts groups of ten events until it is killed, and says which ones it was told are on disk.
CHILD = """
import os, sys, threading
from pathlib import Path
from kernelkit.store.rows import Batch, ValueRow
from kernelkit.store.writer import Writer
from tests.store.samples import call_now, ended, event, finished, open_store, run_id

store = open_store(Path(sys.argv[1]))
writer = Writer(store, call_now, 0)
room = threading.Semaphore(50)
seq = store.last_seq
while True:
    room.acquire()
    numbers = range(seq + 1, seq + 11)
    seq += 10
    def told(last=seq):
        os.write(1, b"%d\\n" % last)
        room.release()
    writer.put(
        Batch(
            events=[event(n, run_id(n)) for n in numbers],
            values=[ValueRow(str(n), "value") for n in numbers],
            history=[ended(finished(n), seq=n) for n in numbers],
        ),
        told,
    )
    if seq % 1000 == 0:
        writer.flush(10)
        store.checkpoint()
"""


def test_kill_9_in_the_middle_of_commits_loses_nothing_that_was_acknowledged(tmp_path: Path) -> None:
    chance = random.Random(7)
    told = 0
    for _ in range(4):
        with subprocess.Popen(
            [sys.executable, "-c", CHILD, str(tmp_path)], stdout=subprocess.PIPE, cwd=REPOSITORY
        ) as child:
            assert child.stdout is not None
            for _ in range(chance.randint(20, 400)):
                said = child.stdout.readline()
                assert said, "the child ended by itself"
            child.kill()
            rest = child.stdout.read().split()
            told = int(rest[-1]) if rest else int(said)

        store = open_store(tmp_path)
        numbers = [row.seq for row in store.recover().events]
        assert store.last_seq >= told
        assert numbers == list(range(1, store.last_seq + 1)), "a hole or a double"
        assert store.last_seq % 10 == 0, "a torn batch"
        assert sum(store.counts().values()) == store.last_seq
        assert len(store.values([str(n) for n in numbers])) == store.last_seq
        store.close()


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    """A file system of 24 MB in a file, mounted; needs root, so it skips at home without it."""
    image, folder = tmp_path / "disk.img", tmp_path / "small"
    folder.mkdir()
    with image.open("wb") as file:
        file.truncate(24 * 1024 * 1024)
    for command in (["mkfs.ext4", "-q", "-m", "0", str(image)], ["mount", "-o", "loop", str(image), str(folder)]):
        try:
            done = subprocess.run(command, capture_output=True, text=True, timeout=30, check=False)
            problem = done.stderr.strip() if done.returncode else ""
        except FileNotFoundError:
            problem = "not installed"
        if problem:
            message = f"no small disk to fill: {command[0]}: {problem}"
            if os.environ.get("CI"):
                pytest.fail(message)
            pytest.skip(message)
    yield folder
    subprocess.run(["umount", "--lazy", str(folder)], check=True, timeout=30)


def fill(folder: Path, leave: int) -> Path:
    """Write a file that leaves so many bytes free; with `leave` 0 not a single block."""
    ballast = folder / "ballast"
    disk = os.statvfs(folder)
    with ballast.open("wb", buffering=0) as file, suppress(OSError):
        file.write(b"x" * max(0, disk.f_bavail * disk.f_frsize - leave))
        while not leave:
            file.write(b"x" * 512)
    return ballast


def bulky(seq: int) -> Batch:
    return Batch(events=[LogRow(seq, seq, "bulk", "", f'"{random.Random(seq).randbytes(50_000).hex()}"')])


def test_a_full_disk_stores_nothing_more_and_goes_on_when_there_is_room(small_disk: Path) -> None:
    store = Store.open(Home(small_disk / "home"), EngineSettings())
    ballast = fill(small_disk, leave=3_000_000)
    full, clear = threading.Event(), threading.Event()
    told: list[int] = []
    writer = Writer(store, call_now, 0, on_problem=lambda text: (full if text else clear).set())

    for seq in range(1, 101):  # 10 MB
        writer.put(bulky(seq), lambda seq=seq: told.append(seq))  # type: ignore[misc]
    assert full.wait(20), "the disk never became full"
    problem = writer.problem
    on_disk = store.last_seq
    ballast.unlink()
    writer.nudge()

    assert "no space left" in problem.lower() and str(store._database.where) in problem
    assert on_disk < 100
    assert clear.wait(20) and writer.flush(20)
    assert told == list(range(1, 101))
    assert writer.stop()
    assert [row.seq for row in store.recover().events] == told
    store.close()
    again = Store.open(Home(small_disk / "home"), EngineSettings())
    assert again.last_seq == 100
    again.close()


def test_the_free_space_gate_closes_before_the_disk_is_full(small_disk: Path) -> None:
    store = Store.open(Home(small_disk / "home"), EngineSettings())
    full = threading.Event()
    writer = Writer(store, call_now, 5_000_000, on_problem=lambda text: full.set())
    ballast = fill(small_disk, leave=4_000_000)

    writer.put(bulky(1), None)
    assert full.wait(10)
    untouched = store.last_seq
    ballast.unlink()
    writer.nudge()

    assert untouched == 0
    assert writer.flush(10) and writer.stop()
    store.close()


def test_a_checkpoint_without_room_is_left_for_later(small_disk: Path) -> None:
    store = Store.open(Home(small_disk / "home"), EngineSettings())
    for seq in range(1, 51):
        store.append(bulky(seq))
    ballast = fill(small_disk, leave=1_000_000)

    without_room = store.checkpoint()
    ballast.unlink()

    assert not without_room
    assert not store.needs_reopen
    assert store.checkpoint()
    store.close()


def test_a_database_invalidated_by_a_full_disk_is_reopened_with_all_that_was_committed(
    small_disk: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    store = Store.open(Home(small_disk / "home"), EngineSettings())
    for seq in range(1, 51):
        store.append(bulky(seq))
    ballast = fill(small_disk, leave=500_000)
    monkeypatch.setattr(store, "_room_for_checkpoint", lambda: True)
    with pytest.raises(StoreFullError):
        store.checkpoint()  # DuckDB: "database has been invalidated"
    assert store.needs_reopen
    writer = Writer(store, call_now, 0)

    ballast.unlink()
    for seq in range(51, 61):
        writer.put(bulky(seq), None)

    assert writer.flush(20) and writer.stop()
    assert [row.seq for row in store.recover().events] == list(range(1, 61))
    assert not store.needs_reopen
    store.close()


def test_a_read_that_finds_the_database_invalid_reopens_it(small_disk: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    store = Store.open(Home(small_disk / "home"), EngineSettings())
    for seq in range(1, 51):
        store.append(bulky(seq))
    ballast = fill(small_disk, leave=500_000)
    monkeypatch.setattr(store, "_room_for_checkpoint", lambda: True)
    with pytest.raises(StoreError):
        store.checkpoint()
    ballast.unlink()

    assert store.counts() == {}
    assert store.last_seq == 50
    store.close()


def test_a_new_home_on_a_full_disk_is_refused_and_opens_when_there_is_room(small_disk: Path) -> None:
    home = Home(small_disk / "home")
    home.create()
    ballast = fill(small_disk, leave=0)

    with pytest.raises(StoreFullError):
        Store.open(home, EngineSettings())
    ballast.unlink()
    Store.open(home, EngineSettings()).close()


def test_two_homes_do_not_disturb_each_other(tmp_path: Path) -> None:
    first, second = open_store(tmp_path / "a"), open_store(tmp_path / "b")

    first.append(bulky(1))

    assert (first.last_seq, second.last_seq) == (1, 0)
    assert home_in(tmp_path / "a").database.exists()
    first.close()
    second.close()
