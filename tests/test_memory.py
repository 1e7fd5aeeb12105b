from __future__ import annotations

import sys
import threading

import duckdb
import pytest

from kernelkit import memory

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="only Linux says what is mapped")


def mapped_kib() -> int:
    """How much of large libraries' code is in memory."""
    places = [f"{begin:x}-{end:x} " for begin, end in memory._large_code()]
    assert places
    with open("/proc/self/smaps") as file:
        lines = iter(file)
        return sum(
            next(int(each.split()[1]) for each in lines if each.startswith("Rss:"))
            for line in lines
            if line.startswith(tuple(places))
        )


def test_code_that_nobody_runs_is_let_go_of_and_comes_back() -> None:
    connection = duckdb.connect()
    asked = "SELECT sum(range) FROM range(1000)"
    assert connection.execute(asked).fetchall() == [(499_500,)]

    before = mapped_kib()
    memory.give_back()
    assert mapped_kib() < before / 2, "of 30 MB and more"
    assert connection.execute(asked).fetchall() == [(499_500,)]


def test_it_may_be_running_meanwhile() -> None:
    found: list[list[tuple[int]]] = []

    def ask() -> None:
        connection = duckdb.connect()
        found.extend(connection.execute("SELECT sum(range) FROM range(10000)").fetchall() for _ in range(100))

    asking = threading.Thread(target=ask)
    asking.start()
    while asking.is_alive():
        memory.give_back()
    asking.join()
    assert found == [[(49_995_000,)]] * 100
