from __future__ import annotations

import asyncio
import shutil
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from kernelkit.errors import StoreError, StoreFullError
from kernelkit.store.quarantine import wal_of
from kernelkit.store.rows import Batch, ValueRow
from kernelkit.store.store import Store
from kernelkit.store.writer import InlineWriter, Writer
from tests.store.samples import call_now, events, home_in, line, open_store, run_id


class Gated(Store):
    """A store whose commits can be held back, and made to fail."""

    def __init__(self) -> None:
        super().__init__(None)
        self.gate = threading.Event()
        self.gate.set()
        self.entered = threading.Event()
        self.errors: list[Exception] = []
        self.commit_first = False
        self.sizes: list[int] = []
        self.free: int | None = None
        self.checkpoints = threading.Semaphore(0)

    def append(self, batch: Batch) -> None:
        self.entered.set()
        assert self.gate.wait(10)
        error = self.errors.pop(0) if self.errors else None
        if error is None or self.commit_first:
            super().append(batch)
            self.sizes.append(len(batch.events))
        if error is not None:
            raise error

    def checkpoint(self) -> bool:
        done = super().checkpoint()
        self.checkpoints.release()
        return done

    def free_bytes(self) -> int | None:
        return self.free


@pytest.fixture
def store() -> Iterator[Gated]:
    opened = Gated()
    yield opened
    opened.close()


def test_what_gathers_during_a_commit_goes_into_the_next_in_order(store: Gated) -> None:
    posts: list[int] = []
    order: list[int] = []

    def post(work: object) -> None:
        posts.append(1)
        assert callable(work)
        work()

    writer = Writer(store, post, 0)
    store.gate.clear()
    writer.put(events(1), lambda: order.append(1))
    assert store.entered.wait(5)
    for number in range(2, 102):
        writer.put(events(number), lambda number=number: order.append(number))  # type: ignore[misc]
    store.gate.set()

    assert writer.flush(5)
    assert writer.stop()
    assert store.sizes == [1, 100]
    assert len(posts) == 2
    assert order == list(range(1, 102))
    assert [row.seq for row in store.recover().events] == order


def test_a_group_is_capped_but_never_splits_a_batch(store: Gated) -> None:
    writer = Writer(store, call_now, 0)
    store.gate.clear()
    writer.put(events(1), None)
    assert store.entered.wait(5)
    writer.put(events(*range(2, 1502)), None)
    writer.put(events(*range(1502, 3002)), None)
    writer.put(events(*range(3002, 8002)), None)
    writer.put(Batch(), None)
    store.gate.set()

    assert writer.flush(5)
    writer.stop()
    assert store.sizes == [1, 1500, 1500, 5000]


def test_callbacks_reach_the_owner_s_loop(store: Gated) -> None:
    async def main() -> int:
        loop = asyncio.get_running_loop()
        writer = Writer(store, loop.call_soon_threadsafe, 0)
        done = loop.create_future()
        writer.put(events(1), lambda: done.set_result(threading.get_ident()))
        thread: int = await asyncio.wait_for(done, 5)
        writer.stop()
        return thread

    assert asyncio.run(main()) == threading.get_ident()


def test_one_bad_callback_does_not_silence_the_others(store: Gated) -> None:
    heard = threading.Event()
    writer = Writer(store, call_now, 0)

    writer.put(events(1), lambda: [][0])
    writer.put(events(2), heard.set)

    assert heard.wait(5)
    assert writer.stop()


def test_an_empty_batch_is_a_barrier(store: Gated) -> None:
    heard: list[int] = []
    writer = Writer(store, call_now, 0)

    writer.put(events(1), lambda: heard.append(store.last_seq))
    writer.put(Batch(), lambda: heard.append(store.last_seq))

    assert writer.flush(5) and writer.stop()
    assert heard == [1, 1]


def test_a_full_disk_keeps_the_batch_and_tells_in_words_until_there_is_room(store: Gated) -> None:
    told: list[str] = []
    seen = threading.Event()

    def on_problem(text: str) -> None:
        told.append(text)
        seen.set()

    store.free = 1_000_000
    writer = Writer(store, call_now, 64_000_000, on_problem=on_problem)
    writer.put(events(1), None)
    assert seen.wait(5)
    problem = writer.problem
    flushed_while_full = writer.flush(0.01)
    store.free = 100_000_000
    writer.nudge()

    assert "disk" in problem and "1 MB are free" in problem and "Free some space" in problem
    assert not flushed_while_full
    assert writer.flush(5)
    assert writer.stop()
    assert told == [problem, ""]
    assert writer.problem == ""
    assert store.last_seq == 1


@pytest.mark.parametrize("batch", [events(1), Batch(values=[ValueRow("a", "1")]), Batch(lines=[line(1, 1)])])
def test_a_commit_that_was_made_though_it_failed_is_not_made_twice(store: Gated, batch: Batch) -> None:
    store.errors = [StoreFullError("no answer")]
    store.commit_first = True
    writer = Writer(store, call_now, 0)

    writer.put(batch, None)
    writer.nudge()

    assert writer.flush(5) and writer.stop()
    assert len(list(store.recover().events)) == len(batch.events)
    assert len(store.lines(run_id(1), 10).lines) == len(batch.lines)
    assert len(store._database.rows("values", refs=["a"])) == len(batch.values)


def test_an_error_nobody_foresaw_is_a_problem_and_not_the_end_of_the_writer(store: Gated) -> None:
    seen = threading.Event()
    store.errors = [ZeroDivisionError("surprise")]
    writer = Writer(store, call_now, 0, on_problem=lambda text: seen.set())

    writer.put(events(1), None)
    assert seen.wait(5)
    writer.nudge()

    assert writer.flush(5) and writer.stop()
    assert store.last_seq == 1


def test_a_home_that_was_deleted_is_a_problem_in_words(tmp_path: Path) -> None:
    store = open_store(tmp_path)
    seen = threading.Event()
    writer = Writer(store, call_now, 1, on_problem=lambda text: seen.set())
    shutil.rmtree(tmp_path / ".kernelkit")

    writer.put(events(1), None)

    assert seen.wait(5)
    assert "cannot be reached" in writer.problem
    assert not writer.stop()
    store.close()


def test_stop_does_not_wait_for_a_disk_that_stays_full(store: Gated) -> None:
    store.free = 0
    writer = Writer(store, call_now, 1)
    writer.put(events(1), None)

    assert writer.stop() is False
    with pytest.raises(StoreError, match="closing"):
        writer.put(events(2), None)


def test_stop_commits_what_is_pending(store: Gated) -> None:
    writer = Writer(store, call_now, 0)
    for number in range(1, 50):
        writer.put(events(number), None)

    assert writer.stop()
    assert store.last_seq == 49


def test_an_idle_writer_checkpoints_once(store: Gated, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("kernelkit.store.writer.IDLE_CHECKPOINT_S", 0.01)
    writer = Writer(store, call_now, 0)
    writer.put(events(1), None)

    assert store.checkpoints.acquire(timeout=5)
    assert not store.checkpoints.acquire(timeout=0.1)
    writer.stop()


def test_an_invalidated_database_is_opened_again_and_nothing_is_doubled(tmp_path: Path) -> None:
    store = open_store(tmp_path)
    writer = Writer(store, call_now, 0)
    writer.put(events(1), None)
    assert writer.flush(5)

    store._database.is_invalid = True  # as any statement leaves it after DuckDB's FatalException
    writer.put(events(2), None)
    assert writer.flush(5)
    writer.put(events(3), None)

    assert writer.flush(5) and writer.stop()
    assert [row.seq for row in store.recover().events] == [1, 2, 3]
    store.close()


def test_the_inline_writer_commits_before_it_returns(store: Gated) -> None:
    writer = InlineWriter(store)
    heard: list[int] = []

    writer.put(events(1), lambda: heard.append(store.last_seq))

    assert heard == [1]
    assert writer.flush(0) and writer.stop()


def test_a_long_log_is_folded_in_though_the_writer_is_never_idle(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("kernelkit.store.store.CHECKPOINT_BYTES", 20_000)
    store = open_store(tmp_path)
    writer = Writer(store, call_now, 0)
    sizes = []
    for number in range(1, 300):
        writer.put(events(number), None)
        assert writer.flush(5)
        sizes.append(wal_of(home_in(tmp_path).database).stat().st_size)

    assert max(sizes) < 100_000
    assert sizes[-1] < max(sizes)
    writer.stop()
    store.close()


# ---- committed where it is put -------------------------------------------------------------------------------------


def on_a_loop(store: Gated, posts: list[object]) -> Writer:
    """A writer whose loop is the list: what is posted is called when the test says so."""
    return Writer(store, posts.append, 0, here=True)


def test_a_small_batch_is_committed_where_it_is_put_while_nothing_else_is_under_way(store: Gated) -> None:
    posts: list[object] = []
    writer = on_a_loop(store, posts)
    heard: list[int] = []

    writer.put(events(1), lambda: heard.append(store.last_seq))
    writer.put(events(2), lambda: heard.append(store.last_seq))

    assert heard == [1, 2]
    assert posts == []
    assert writer.flush(0) and writer.stop()


def test_a_large_batch_goes_to_the_thread_and_nothing_passes_it(store: Gated) -> None:
    posts: list[object] = []
    writer = on_a_loop(store, posts)
    heard: list[str] = []

    writer.put(events(*range(1, 101)), lambda: heard.append("large"))
    assert writer.flush(10)
    writer.put(events(101), lambda: heard.append("small"))  # the loop has not heard of the large one yet
    assert writer.flush(10)
    before = list(heard)
    for work in posts:
        assert callable(work)
        work()
    writer.put(events(102), lambda: heard.append("here"))

    assert before == []
    assert heard == ["large", "small", "here"]
    assert writer.stop()


@pytest.mark.parametrize("on_disk", [False, True])
def test_a_commit_that_fails_where_it_was_put_is_made_once_by_the_thread(store: Gated, on_disk: bool) -> None:
    posts: list[object] = []
    store.errors = [StoreFullError("no answer")]
    store.commit_first = on_disk
    writer = on_a_loop(store, posts)
    store.gate.set()

    writer.put(events(1), None)
    writer.put(events(2), None)

    assert writer.flush(10)
    assert [row.seq for row in store.recover().events] == [1, 2]
    assert writer.stop()


def test_what_was_committed_where_it_was_put_is_checkpointed_when_it_is_quiet(
    store: Gated, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("kernelkit.store.writer.IDLE_CHECKPOINT_S", 0.01)
    writer = on_a_loop(store, [])
    writer.put(events(1), None)

    assert store.checkpoints.acquire(timeout=10)
    assert writer.stop()


def test_a_long_log_is_folded_in_by_the_thread(store: Gated, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("kernelkit.store.store.CHECKPOINT_EVERY", 64)
    writer = on_a_loop(store, [])
    for number in range(1, 65):
        writer.put(events(number), None)

    assert store.checkpoints.acquire(timeout=10)
    assert writer.stop()
