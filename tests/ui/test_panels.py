"""Batch, engine and task: the small faces."""

from __future__ import annotations

from typing import Annotated, Any

import msgspec
from pydantic import Field

from kernelkit.authoring.task import Task
from kernelkit.clock import from_datetime
from kernelkit.ui import batch, engine_panel, task_line, words
from kernelkit.wire.messages import EngineStatus, WorkerInfo
from tests.ui import samples
from tests.ui.samples import BERLIN, NOW


def test_a_batch_says_how_many_ended_how_and_which_failed() -> None:
    runs = [samples.completed()] * 6 + [samples.failed(), samples.executing(), samples.queued(), samples.queued()]
    view = batch.batch_view("batch_q81mz0", runs, now=samples.at("15:00:00"), zone=BERLIN)
    assert (
        batch.batch_text(view)
        == """\
▶ 3 tasks × 10  Executing  8:00:00                               batch_q81mz0
  ████████████████████████████░░░░░░░░░░░░  7/10  70%
  ✓6 completed  ✗1 failed  ▶1 executing  ○2 queued
  failed: #6"""
    )
    assert "7 of 10 ended" in batch.batch_html(view)


def test_of_many_failures_twenty_are_listed_and_the_rest_counted() -> None:
    view = batch.batch_view("batch_1", [samples.failed()] * 50, now=NOW, zone=BERLIN)
    assert view.is_final
    assert len(view.failed) == 20
    assert "30 more failed." in batch.batch_html(view)
    assert max(map(words.cells, batch.batch_text(view).split("\n"))) <= 80


STATUS = EngineStatus(
    pid=4711,
    version="0.1.0",
    home="/srv/shop/.kernelkit",
    started_at=from_datetime(samples.at("12:22:21")),
    runs={"QUEUED": 434, "WAITING": 38, "EXECUTING": 31, "COMPLETED": 4900, "FAILED": 100},
    executing=31,
    limit=40,
    workers=(WorkerInfo("w1", "shared", 12, "e", 22), WorkerInfo("w2", "process", 13, "e", 1)),
    clients=1,
)


def test_a_healthy_engine_takes_two_lines() -> None:
    view = engine_panel.engine_view(STATUS, now=NOW, zone=BERLIN)
    assert (
        engine_panel.engine_text(view)
        == """\
✓ Engine healthy  pid 4711 · up 2:11:00 · 0.1.0 · /srv/shop/.kernelkit
  executing 31 of 40 · queued 434 · waiting 38 · 5,000 ended · 2 workers · 1 cl…"""
    )
    assert "w2: process of its own, pid 13, 1 run" in engine_panel.engine_html(view)


def test_an_engine_that_cannot_commit_or_has_a_silent_worker_says_so_first() -> None:
    full = msgspec.structs.replace(STATUS, store_problem="The disk is full: 0 MB free.")
    assert "▲ Engine in trouble" in engine_panel.engine_text(engine_panel.engine_view(full, now=NOW, zone=BERLIN))
    silent = msgspec.structs.replace(STATUS, workers=(WorkerInfo("w1", "shared", 12, "e", 3, silent_s=7.4),))
    view = engine_panel.engine_view(silent, now=NOW, zone=BERLIN)
    assert view.problem == "worker w1 has been silent for 7 s"


def test_an_engine_that_is_away_says_how_to_start_it() -> None:
    told = engine_panel.engine_text(engine_panel.engine_away("/srv/shop/.kernelkit", was_stopped=True))
    assert "It was stopped on purpose. Nothing is lost" in told
    assert "kernelkit up" in told


def test_a_task_is_told_in_three_lines() -> None:
    def resize(url: str, width: int = 512) -> dict[str, Any]:
        return {"url": url, "width": width}

    told = task_line.task_text(task_line.task_view(Task(resize, {"queue": "images", "retries": 5})))
    first, signature, rules = told.split("\n")
    assert first.startswith("resize  not registered yet")
    assert "url" in signature
    assert rules == "  queue images · 5 attempts, 1 s to 60 s apart · a process of its own"


def test_a_task_with_limits_and_a_clock_says_so_in_its_rules() -> None:
    def nightly() -> None: ...

    options = {"cron": "0 7 * * *", "timezone": "Asia/Tokyo", "max_duration": "5m", "machine": "small-2x"}
    rules = task_line.task_view(Task(nightly, options)).rules
    assert rules[2:] == ("small-2x", "stops after 5 min 00 s", "At 07:00, Asia/Tokyo")


def test_what_a_task_says_of_itself_is_text() -> None:
    def resize(url: Annotated[str, Field(description="<script>\x1b[31m</td>", alias="<b>")]) -> None: ...

    view = task_line.task_view(Task(resize, {"description": "<img src=x onerror=alert(1)>\x1b[31m\u202e"}))
    markup = task_line.task_html(view)
    assert "<img" not in markup and "<script" not in markup and "<b>" not in markup
    assert "\x1b" not in markup + task_line.task_text(view) and "\u202e" not in markup
