"""Rows for the store's tests: short to write, complete enough to be real."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import msgspec

from kernelkit.config import EngineSettings, Home
from kernelkit.models.error import Error
from kernelkit.models.run import Attempt, Run, RunStatus
from kernelkit.store.rows import Batch, HistoryRow, LineRow, LogRow
from kernelkit.store.store import Store

START = datetime(2027, 1, 1, tzinfo=UTC)
NOW = int(START.timestamp()) * 1_000_000
DAY = 86_400 * 1_000_000


def home_in(folder: Path) -> Home:
    return Home(folder / ".kernelkit")


def open_store(folder: Path | None = None) -> Store:
    return Store.open(None if folder is None else home_in(folder), EngineSettings())


def event(seq: int, run_id: str = "") -> LogRow:
    return LogRow(seq, 1_000 * seq, "something_happened", run_id, f'{{"n":{seq}}}')


def events(*numbers: int) -> Batch:
    return Batch(events=[event(number) for number in numbers])


def run_id(number: int) -> str:
    return f"run_{number:018}"


def finished(number: int, **changes: Any) -> Run:  # any field of a run
    """Run `number`, created that many seconds after the start and completed one second later."""
    created = START + timedelta(seconds=number)
    run = Run(
        id=run_id(number),
        task_id="resize",
        status=RunStatus.COMPLETED,
        payload_json='{"n":1}',
        payload_size=7,
        output_json="42",
        output_size=2,
        tags=("photos",),
        attempts=(Attempt(number=1, status="COMPLETED", started_at=created, finished_at=created),),
        attempt_number=1,
        created_at=created,
        started_at=created,
        finished_at=created + timedelta(seconds=1),
        queue="task/resize",
        version="20270101.1",
    )
    return msgspec.structs.replace(run, **changes)


FAILURE = Error(name="ValueError", message="broken", traceback="Traceback …")


def ended(run: Run, *, seq: int = 1, payload_ref: str | None = None, output_ref: str | None = None) -> HistoryRow:
    return HistoryRow(run, payload_ref, output_ref, seq)


def history(*numbers: int) -> Batch:
    return Batch(history=[ended(finished(number), seq=number) for number in numbers])


def line(number: int, n: int, text: str = "hello") -> LineRow:
    return LineRow(run_id(number), 1, 1_000 * n, "stdout", text, n)


def call_now(work: Callable[[], None]) -> None:
    """A `post` for tests that need no loop: runs in the writer's thread."""
    work()
