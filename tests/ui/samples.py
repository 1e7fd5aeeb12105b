"""Runs as the samples of the design show them: Saturday 21 November 2026, about half past two in Berlin."""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta
from typing import Any
from zoneinfo import ZoneInfo

from kernelkit.authoring.track import PROGRESS_KEY
from kernelkit.clock import from_datetime
from kernelkit.models.error import Error, Frame
from kernelkit.models.run import Attempt, LogLine, Run, RunStatus
from kernelkit.ui.view import RunCard, run_card

BERLIN = ZoneInfo("Europe/Berlin")


def at(clock: str, day: int = 21) -> datetime:
    hour, minute, second = map(int, clock.split(":"))
    return datetime(2026, 11, day, hour, minute, second, tzinfo=BERLIN).astimezone(UTC)


NOW = at("14:33:21")


def card(run: Run, logs: tuple[LogLine, ...] = (), now: datetime = NOW) -> RunCard:
    return run_card(run, logs, now=now, zone=BERLIN)


def run(**fields: Any) -> Run:
    given: dict[str, Any] = {
        "id": "run_5yq0c9te",
        "task_id": "embed-documents",
        "status": RunStatus.QUEUED,
        "created_at": at("14:31:07"),
        "queue": "embeddings",
        "max_attempts": 3,
    }
    return Run(**given | fields)


def progress(
    description: str, done: int, total: int | None, *, seconds: float = 134, ended: bool = False
) -> dict[str, Any]:
    counted_at = from_datetime(NOW)
    started = counted_at - int(seconds * 1_000_000)
    return {
        "description": description,
        "done": done,
        "total": total,
        "started_at": started,
        "at": counted_at,
        "ended": ended,
    }


def executing() -> Run:
    bars = [progress("Embedding", 1204, 4800), progress("Uploading", 18, 75, seconds=0)]
    return run(
        status=RunStatus.EXECUTING,
        started_at=at("14:31:07"),
        attempt_number=1,
        worker="w2",
        attempts=(Attempt(1, "EXECUTING", at("14:31:07"), worker="w2"),),
        metadata_json=json.dumps({PROGRESS_KEY: bars, "model": "bge-small", "tokens": 2_911_004, "cost_eur": 0.29}),
        tags=("handbook",),
    )


LOGS = (
    LogLine(at("14:33:14"), "warn", "handbook/ch07.md: 9,412 tokens, truncated to 8,192"),
    LogLine(at("14:33:21"), "info", "embedded batch 39 (32 documents, 1.9 s)"),
)


def queued() -> Run:
    return run(
        id="run_8fk2m3qz",
        task_id="resize-image",
        queue="images",
        created_at=at("14:33:09"),
        queued_reason="waits for a slot in queue images: 4 of 4 running, 17 runs ahead",
    )


def retrying() -> Run:
    error = Error("ReadTimeout", "api.prices.example did not answer in 10 s")
    return run(
        id="run_m4hh70sd",
        task_id="fetch-prices",
        queue="task/fetch-prices",
        status=RunStatus.QUEUED,
        max_attempts=5,
        attempt_number=2,
        started_at=at("14:32:40"),
        retry_at=NOW + timedelta(seconds=8.2),
        attempts=(
            Attempt(1, "FAILED", at("14:32:40"), at("14:32:50"), error, "w1"),
            Attempt(2, "FAILED", at("14:33:02"), at("14:33:12"), error, "w1"),
        ),
    )


def completed() -> Run:
    output = {"documents": 4800, "vectors": 4797, "skipped": ["ch07.md", "ch19.md", "toc.md"], "seconds": 531.2}
    return run(
        status=RunStatus.COMPLETED,
        started_at=at("14:31:07"),
        finished_at=at("14:39:58"),
        attempt_number=1,
        version="20261121.3",
        tags=("handbook",),
        payload_json='{"corpus":"handbook","model":"bge-small"}',
        output_json=json.dumps(output, separators=(",", ":")),
        metadata_json=json.dumps({PROGRESS_KEY: [progress("Embedding", 4800, 4800, ended=True)]}),
        attempts=(Attempt(1, "COMPLETED", at("14:31:07"), at("14:39:58"), worker="w2"),),
    )


def failed() -> Run:
    error = Error(
        "ValueError",
        "no rows for 2026-11-20 in warehouse.sales (expected at least 1)",
        traceback="Traceback (most recent call last):\n  …\nValueError: no rows",
        frames=(
            Frame("/usr/lib/python3.11/asyncio/tasks.py", 12, "step", "raise"),
            Frame(
                "<cell [12]>",
                7,
                "nightly_report",
                "check(rows, at_least=1)",
                True,
                "rows = await load_sales(day)",
                "return rows",
            ),
            Frame(
                "<cell [9]>",
                3,
                "check",
                '    raise ValueError(f"no rows for {day} in {table} (expected at least {at_least})")',
                True,
            ),
        ),
    )
    attempts = tuple(Attempt(n, "FAILED", at("07:00:00"), at("07:00:20"), error, "w1") for n in (1, 2, 3))
    return run(
        id="run_ab40qv77",
        task_id="nightly-report",
        queue="reports",
        status=RunStatus.FAILED,
        created_at=at("07:00:00"),
        started_at=at("07:00:00"),
        finished_at=at("07:01:07"),
        attempt_number=3,
        attempts=attempts,
        error=error,
    )


def canceled() -> Run:
    return run(
        id="run_1ztw09aa",
        task_id="train-classifier",
        queue="gpu",
        max_attempts=1,
        status=RunStatus.CANCELED,
        started_at=at("14:51:41"),
        finished_at=at("15:04:11"),
        attempt_number=1,
        canceled_reason="Canceled by user",
    )


def expired() -> Run:
    return run(
        id="run_8fk2m3qz",
        task_id="resize-image",
        queue="images",
        status=RunStatus.EXPIRED,
        created_at=at("12:20:00"),
        finished_at=at("13:20:00"),
    )
