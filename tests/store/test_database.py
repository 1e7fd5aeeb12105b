from __future__ import annotations

import os
import threading
from pathlib import Path

import pytest

from kernelkit.errors import StoreError
from kernelkit.store.opening import RESTING_BYTES
from kernelkit.store.rows import Batch, ValueRow
from kernelkit.store.store import Store
from tests.store.samples import events, open_store


def test_a_closed_store_says_so() -> None:
    store = open_store()
    store.close()
    store.close()

    with pytest.raises(StoreError, match="is closed"):
        store.append(events(1))
    with pytest.raises(StoreError, match="is closed"):
        store.counts()


def test_a_store_at_rest_gives_its_memory_back_and_reads_on(tmp_path: Path) -> None:
    store = open_store(tmp_path)
    store.append(Batch(values=[ValueRow(f"v{n}", os.urandom(20_000).hex()) for n in range(1_000)]))
    store.checkpoint()
    assert len(store.values([f"v{n}" for n in range(1_000)])) == 1_000
    before = held(store)

    store.rest()

    assert before > 16_000_000
    assert held(store) <= RESTING_BYTES
    assert len(store.values([f"v{n}" for n in range(1_000)])) == 1_000
    store.close()


def test_a_store_does_not_rest_while_somebody_reads(tmp_path: Path) -> None:
    store = open_store(tmp_path)
    store.append(Batch(values=[ValueRow(f"v{n}", os.urandom(20_000).hex()) for n in range(1_000)]))
    store.checkpoint()
    store.values([f"v{n}" for n in range(1_000)])
    reading, over = threading.Event(), threading.Event()

    def read() -> None:
        with store._database._reading:
            reading.set()
            over.wait(10)

    reader = threading.Thread(target=read)
    reader.start()
    assert reading.wait(10)
    store.rest()
    over.set()
    reader.join()

    assert held(store) > 16_000_000
    store.close()


def held(store: Store) -> int:
    assert store._database.is_open
    (found,) = store._database.connection.execute("SELECT sum(memory_usage_bytes) FROM duckdb_memory()").fetchall()
    return int(found[0])
