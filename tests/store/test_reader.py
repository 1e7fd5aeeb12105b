from __future__ import annotations

import gc
import queue
import threading
import weakref
from collections.abc import Callable
from functools import partial
from pathlib import Path

import pytest

from kernelkit.store.reader import Reader
from kernelkit.store.rows import Batch
from kernelkit.store.writer import Writer
from tests.store.samples import call_now, ended, event, finished, open_store, run_id


def test_reads_run_one_after_another_on_one_other_thread() -> None:
    reader = Reader()

    threads = {reader.submit(threading.get_ident).result() for _ in range(20)}

    assert len(threads) == 1
    assert threads != {threading.get_ident()}
    reader.stop()


def test_an_error_of_a_read_is_in_its_future_and_the_next_read_goes_on() -> None:
    reader = Reader()

    with pytest.raises(ZeroDivisionError):
        reader.submit(lambda: 1 / 0).result()

    assert reader.submit(lambda: 1).result() == 1
    reader.stop()


def test_reads_beside_a_busy_writer_see_whole_commits(tmp_path: Path) -> None:
    store = open_store(tmp_path)
    writer = Writer(store, call_now, 0)
    reader = Reader()
    seen: list[int] = []

    for start in range(0, 2_000, 10):
        numbers = range(start + 1, start + 11)
        writer.put(
            Batch(events=[event(n, run_id(n)) for n in numbers], history=[ended(finished(n), seq=n) for n in numbers]),
            None,
        )
        if start % 100 == 0:
            seen.append(sum(reader.submit(store.counts).result().values()))

    assert writer.flush(30)
    assert seen == sorted(seen) and all(count % 10 == 0 for count in seen)
    assert reader.submit(store.counts).result() == {"COMPLETED": 2_000}
    reader.stop()
    writer.stop()
    store.close()


def test_what_a_read_was_about_is_let_go_without_the_collector() -> None:
    class Large:
        """A snapshot on its way to disk, or a page that was read."""

    reader, loop = Reader(), queue.SimpleQueue[Callable[[], None]]()
    about = Large()
    kept, seen = weakref.ref(about), list[bool]()

    gc.disable()
    try:
        reader.call(partial(identity, about), loop.put, lambda read: seen.append(read.result() is not None))
        del about
        loop.get(timeout=10)()
        reader.stop()

        assert (seen, kept()) == ([True], None)
    finally:
        gc.enable()


def identity(given: object) -> object:
    return given
