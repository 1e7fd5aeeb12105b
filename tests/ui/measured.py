"""Every kind of live view, large and as its source makes it: with these is counted what is sent and what is saved.

Each is what is shown first and then what two busy seconds make of it, paint by paint.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from datetime import datetime, timedelta
from typing import Annotated, Any, Literal

import msgspec
from msgspec.structs import replace
from pydantic import BaseModel, Field

import kernelkit as kk
from kernelkit.clock import from_datetime
from kernelkit.models.error import Error
from kernelkit.models.filter import RunFilter
from kernelkit.models.pulse import Beats
from kernelkit.models.queue import Concurrency, QueueInfo, QueueKey
from kernelkit.models.run import LogLine, Run, RunRef, RunStatus
from kernelkit.models.schedule import Schedule, Timing
from kernelkit.models.span import Span
from kernelkit.ui.batch import batch_view
from kernelkit.ui.batch_grid import batch_grid, cells
from kernelkit.ui.engine_panel import engine_view
from kernelkit.ui.engine_source import MAX_WORKERS
from kernelkit.ui.form import form_of
from kernelkit.ui.logs import line_view, log_view
from kernelkit.ui.queues import queues_table
from kernelkit.ui.queues_source import QueuesSource
from kernelkit.ui.schedules import schedules_table
from kernelkit.ui.schedules_source import SchedulesSource
from kernelkit.ui.table import runs_table
from kernelkit.ui.table_live import Asked, live_table
from kernelkit.ui.task_card import task_card
from kernelkit.ui.task_line import task_view
from kernelkit.ui.timeline import run_timeline, timeline_tree
from kernelkit.ui.token_card import asked_of, token_card
from kernelkit.ui.tree import MORE, group_key
from kernelkit.ui.tree_source import TreeSource
from kernelkit.ui.widget import live_view
from kernelkit.wire.messages import EngineStatus, WorkerInfo
from tests.ui import samples
from tests.ui.fakes import FakeCaller
from tests.ui.samples import BERLIN, NOW

View = dict[str, Any]
TOP = "run_06f0q7v8zk3m1n5p"
STEPS = 8


def later(step: int) -> datetime:
    return NOW + timedelta(seconds=step / 4)


def leaves(count: int) -> list[Run]:
    """Children of one task; a third has ended, some of them failed, the others execute or are queued."""
    return [leaf(n, ("COMPLETED", "EXECUTING", "QUEUED")[n % 3] if n % 50 else "FAILED") for n in range(count)]


def leaf(n: int, status: str) -> Run:
    begun = NOW - timedelta(seconds=300 - n / 50)
    return samples.run(
        id=f"run_06f0q7v8zk{n:06}",
        task_id="embed-documents",
        status=RunStatus(status),
        parent_id=TOP,
        root_id=TOP,
        created_at=begun,
        started_at=None if status == "QUEUED" else begun + timedelta(seconds=1),
        finished_at=begun + timedelta(seconds=21) if status in ("COMPLETED", "FAILED") else None,
        attempt_number=1,
        queued_reason="Queue embeddings: 40 of 40 running." if status == "QUEUED" else None,
        error=Error("ValueError", "the document is empty, or its encoding is not known")
        if status == "FAILED"
        else None,
    )


def top() -> Run:
    return replace(samples.executing(), id=TOP, task_id="nightly-report", created_at=NOW - timedelta(minutes=5))


def goes_on(runs: list[Run], step: int) -> list[Run]:
    """Ten more end, ten more begin."""
    for n in range(10 * step, 10 * step + 10):
        runs[3 * n + 1] = leaf(3 * n + 1, "COMPLETED")
        runs[3 * n + 2] = leaf(3 * n + 2, "EXECUTING")
    return runs


class Family:
    run_id = TOP
    caller = FakeCaller()


def tree() -> Iterator[View]:
    """10,000 runs, and the group they are in is open for 200 of them."""
    runs, group = leaves(10_000), group_key(TOP, "embed-documents")
    for step in range(STEPS):
        source = TreeSource(Family(), now=lambda step=step: later(step))  # type: ignore[arg-type, misc]  # all it needs
        source._runs = {run.id: run for run in [top(), *goes_on(runs, step)]}
        source._total = len(source._runs)
        source._opened, source._pages = {group, group + MORE}, {group: 4}
        yield source.view()


def timeline() -> Iterator[View]:
    runs = leaves(200)
    for index, run in enumerate(runs):  # else they are one row
        runs[index] = replace(run, task_id=f"embed-{index // 5}")
    for step in range(STEPS):
        for n in range(3 * step, 3 * step + 3):
            runs[3 * n + 1] = replace(leaf(3 * n + 1, "COMPLETED"), task_id=runs[3 * n + 1].task_id)
        shown = [top(), *runs]
        spans = {run.id: tuple(spans_of(run)) for run in shown}
        drawn = timeline_tree(shown, now=later(step), zone=BERLIN, max_rows=200)
        yield msgspec.to_builtins(run_timeline(drawn, shown, spans, now=later(step), zone=BERLIN, is_tree=True))


def spans_of(run: Run) -> Iterator[Span]:
    yield Span("queued", run.created_at, run.started_at)
    if run.started_at:
        middle = run.started_at + timedelta(seconds=7)
        outcome = None if run.finished_at is None else "COMPLETED"
        yield Span("executing", run.started_at, middle, attempt=1)
        yield Span("waiting", middle, middle + timedelta(seconds=2), attempt=1)
        yield Span("executing", middle + timedelta(seconds=2), run.finished_at, attempt=1, outcome=outcome)  # type: ignore[arg-type]  # its name


def table() -> Iterator[View]:
    """100 rows, of which new ones push the last out."""
    runs = leaves(200)
    counts = {"EXECUTING": 2, "QUEUED": 1402, "FAILED": 811, "COMPLETED": 101_912}
    last = [("COMPLETED", n % 9 + 0.5) for n in range(40)]
    for step in range(STEPS):
        goes_on(runs, step // 4)
        page = runs_table(runs[100 - 3 * step :][:100], total=100, has_more=True, now=later(step), zone=BERLIN)
        counts["EXECUTING"] += 1
        tasks = [f"embed-documents-{n}" for n in range(40)]
        asked = Asked(RunFilter())
        yield msgspec.to_builtins(
            live_table(page, asked=asked, counts=counts, last=last, tasks=tasks, now=later(step), zone=BERLIN)
        )


def batch() -> Iterator[View]:
    runs = leaves(1_000)
    for step in range(STEPS):
        items: list[Run | None] = list(goes_on(runs, step))
        shown = batch_view("batch_06f0q7v8zk3m1n5p", items, now=later(step), zone=BERLIN)
        grid = batch_grid(shown, items, chosen=3, now=later(step), zone=BERLIN)
        yield {**msgspec.to_builtins(grid), "cells": cells(items)}


def queues() -> Iterator[View]:
    """50 queues of 100 keys, in all of which something moves."""
    source = QueuesSource(FakeCaller())
    source._opened = "queue-7"
    for step in range(STEPS):
        found = [queue(n, step) for n in range(50)]
        source._table = queues_table(found, paused=False, now=later(step), zone=BERLIN)
        yield source.view()


def queue(n: int, step: int) -> QueueInfo:
    keys = tuple(QueueKey(f"customer-{key}", 3, 17 + step + key, later(-400 + step)) for key in range(100))
    return QueueInfo(
        name=f"queue-{n}", type="custom", running=40 + step, queued=1_402 + step, concurrency=Concurrency(3),
        rate_limit="100/m", keys=keys, key_count=100, oldest_queued_at=later(-400 + step),
    )  # fmt: skip


def schedules() -> Iterator[View]:
    source = SchedulesSource(FakeCaller())
    for step in range(STEPS):
        found = [schedule(n, step) for n in range(50)]
        source._table = schedules_table(found, now=later(step), zone=BERLIN)
        yield source.view()


def schedule(n: int, step: int) -> Schedule:
    slot = from_datetime(NOW) + 60_000_000
    return Schedule(
        f"sched_{n:016}", f"nightly-{n}", Timing("30 7 * * 1-5", "Europe/Berlin"), next_at=slot + 60_000_000 * step,
        last_slot=slot - 60_000_000, last_run_id="run_1", last_status="COMPLETED" if (n + step) % 9 else "", fired=30,
    )  # fmt: skip


def engine() -> Iterator[View]:
    for step in range(STEPS):
        workers = tuple(
            WorkerInfo(f"w{n}", "shared", 1000 + n, "", 20 + step, doing=("embed", "fetch"), memory=400_000_000 + step)
            for n in range(MAX_WORKERS)
        )
        status = EngineStatus(
            pid=4711, version="0.1.0", home="/srv/shop/.kernelkit", started_at=from_datetime(samples.at("12:22:21")),
            runs={"QUEUED": 434 + step, "WAITING": 38}, executing=31, limit=40, workers=workers, clients=1,
            pulse=Beats((14 + step,) * 60, (0.038 + step / 1000,) * 60, 14 + step, 0.038 + step / 1000, 0.12),
            memory_limit=8_000_000_000, engine_memory=96_000_000,
        )  # fmt: skip
        yield msgspec.to_builtins(engine_view(status, now=later(step), zone=BERLIN)) | {"logs": ""}


class Crop(BaseModel):
    top: int
    left: int = 0
    labels: list[str] = []


@kk.task(queue=kk.Queue("measured", concurrency_limit=4), max_duration="5m")
async def resize(
    url: Annotated[str, Field(pattern="^https?://", description="Where the image lies")],
    width: Annotated[int, Field(ge=16, le=4096)] = 512,
    kind: Literal["jpeg", "png", "webp"] = "webp",
    crop: Crop | None = None,
    tags: list[str] = [],  # noqa: B006  # a default as people write it
) -> str:
    """Make an image smaller."""
    return url


def task() -> Iterator[View]:
    form = form_of(resize.json_schema)
    for step in range(STEPS):
        shown = task_card(
            task_view(resize), form, name="resize", queue=resize.queue, attempts=3, runs=leaves(3),
            counts={"QUEUED": 3 + step}, more=None, now=later(step), zone=BERLIN,
        )  # fmt: skip
        yield {"total": 0, **msgspec.to_builtins(shown)}


def logs() -> Iterator[View]:
    """As many lines as are kept, of a run that writes 200 lines a second."""
    lines = [LogLine(later(n // 50), "info", f"embedded document {n} of 40,000 in 1.9 s") for n in range(2_500)]
    for step in range(STEPS):
        shown = [line_view(n, lines[n], BERLIN) for n in range(40 * step, 2_000 + 40 * step)]
        yield {
            **msgspec.to_builtins(log_view(top(), 2_000, now=later(step), zone=BERLIN)),
            "lines": msgspec.to_builtins(shown),
        }


def token() -> Iterator[View]:
    from tests.ui.test_token_card import OPEN

    for step in range(STEPS):
        waiting = [RunRef(f"run_{n}", "approve-invoice", RunStatus.WAITING) for n in range(3)]
        yield msgspec.to_builtins(token_card(OPEN, waiting, 3 + step, now=later(step), zone=BERLIN))


def card() -> Iterator[View]:
    """A run that counts, writes, and asks."""
    from tests.ui.test_token_card import OPEN

    for step in range(STEPS):
        metadata = {f"key-{n}": "x" * 200 for n in range(20)} | {"tokens": step}
        run = replace(samples.executing(), metadata_json=msgspec.json.encode(metadata).decode())
        rows = tuple(LogLine(later(step), "info", f"{step} " + "x" * 400) for _ in range(4))
        yield live_view(samples.card(run, rows, now=later(step)), asked_of(OPEN))


KINDS: dict[str, Callable[[], Iterator[View]]] = {
    "batch.js": batch, "card.js": card, "engine.js": engine, "logs.js": logs, "queues.js": queues,
    "schedules.js": schedules, "table.js": table, "task.js": task, "timeline.js": timeline, "token.js": token,
    "tree.js": tree,
}  # fmt: skip
"""By the module that draws it."""
