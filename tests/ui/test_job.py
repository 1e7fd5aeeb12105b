"""The part of a run card that a notebook job has, in its three faces."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import msgspec
import pytest

from kernelkit.authoring.artifacts import write_artifact
from kernelkit.authoring.track import JOB_KEY
from kernelkit.clock import from_datetime
from kernelkit.config import Home
from kernelkit.models.run import Attempt, Run, RunStatus
from kernelkit.ui import clicks
from kernelkit.ui.feed import LiveCard
from kernelkit.ui.html import run_html
from kernelkit.ui.job import JobView
from kernelkit.ui.live import LiveCards
from kernelkit.ui.text import run_text
from kernelkit.ui.widget import MESSAGE_BYTES, live_view
from tests.ui import samples
from tests.ui.fakes import FakeCaller, FakeWidget, until
from tests.ui.hostile import HOSTILE
from tests.ui.samples import card

SOURCE = '# 3.2 Sales by region\nframe = load(region).groupby("month").sum()'


def job(status: RunStatus = RunStatus.EXECUTING, more: dict[str, Any] | None = None, **changed: Any) -> Run:
    at = {"file": "daily.ipynb", "kernel": "python3", "cell": 10, "cells": 18, "done": 9, "source": SOURCE}
    at |= {"since": from_datetime(samples.at("14:32:50"))}
    metadata = {
        JOB_KEY: at | changed,
        "kk.progress": [samples.progress("Cells", 9, 18)],
        "cell": "10 of 18: # 3.2 Sales by region",
        "output": "412 rows",
        "parameters": {"region": "EU", "day": "2026-11-21", "days": 7},
    }
    return samples.run(
        task_id="daily-report",
        status=status,
        started_at=samples.at("14:31:33"),
        finished_at=None if status is RunStatus.EXECUTING else samples.at("14:33:20"),
        attempt_number=1,
        attempts=(Attempt(1, "EXECUTING", samples.at("14:31:33"), worker="w2"),),
        metadata_json=json.dumps(metadata | (more or {})),
    )


def part(run: Run) -> JobView:
    found = card(run).job
    assert found is not None
    return found


def test_the_text_face_says_where_the_job_is_and_says_it_once() -> None:
    said = run_text(card(job())).splitlines()

    assert said[2] == "  9 of 18 cells · executing cell 10 for 00:31  ████████████████▌░░░░░░░░░░░░░░░░"
    assert said[3:7] == [
        "    # 3.2 Sales by region",
        '    frame = load(region).groupby("month").sum()',
        "  shown   412 rows",
        "  given   region=EU  day=2026-11-21  days=7",
    ]
    assert len(said) == 7, "neither the bar of cells nor the metadata that it is made of stand there again"


def test_the_static_face_is_true_tomorrow() -> None:
    face = run_html(card(job()))

    assert "daily.ipynb, kernel python3" in face
    assert "9 of 18 cells ended, executing cell 10" in face and "00:31" not in face
    assert "<pre># 3.2 Sales by region\nframe = load(region).groupby(&quot;month&quot;).sum()</pre>" in face
    assert "region = <code>EU</code>" in face


@pytest.mark.parametrize(
    ("status", "at", "told"),
    [
        (RunStatus.FAILED, "FAILED", "failed in cell 10"),
        (RunStatus.TIMED_OUT, "TIMED_OUT", "timed out in cell 10"),
        (RunStatus.CRASHED, "CRASHED", "failed in cell 10"),
        (RunStatus.CANCELED, "CANCELED", "canceled in cell 10"),
        (RunStatus.QUEUED, "FAILED", "stopped in cell 10"),  # between two attempts
    ],
)
def test_the_cell_in_which_it_ended_early_is_named(status: RunStatus, at: str, told: str) -> None:
    shown = part(job(status))

    assert (shown.cell, shown.at, shown.told, shown.since) == (10, at, told, None)
    assert told in run_text(card(job(status)))


def test_a_job_that_has_ended_well_has_no_current_cell() -> None:
    run = job(RunStatus.COMPLETED, cell=18, done=18)

    assert (part(run).cell, part(run).source, part(run).told) == (0, "", "")
    assert "18 of 18 cells ended" in run_html(card(run))


def test_before_its_first_cell_the_kernel_starts() -> None:
    assert part(job(cell=0, done=0, source="")).told == "starting its kernel"


@pytest.mark.parametrize(
    "wrong", [{"cell": 19}, {"done": -1}, {"cells": "18"}, {"cells": True}, {"cell": None}, {"cells": 10**12}]
)
def test_what_does_not_fit_is_an_ordinary_run_with_its_metadata(wrong: dict[str, Any]) -> None:
    shown = card(job(**wrong))

    assert shown.job is None
    assert [pair.key for pair in shown.metadata] == [JOB_KEY, "cell", "output", "parameters"]


@pytest.mark.parametrize("text", HOSTILE[::4])
def test_hostile_words_stay_words_and_the_message_small(text: str) -> None:
    given = {f"{text[:40]}{number}": text for number in range(40)}
    run = job(more={"output": text, "parameters": given}, file=text, kernel=text, source=text)

    face, shown = run_html(card(run)), card(run)

    assert "<script" not in face and "<img" not in face
    assert shown.job is not None and shown.job.more_parameters == len(given) - len(shown.job.parameters)
    assert len(msgspec.json.encode(live_view(shown))) <= MESSAGE_BYTES
    assert all(len(line) < 200 for line in run_text(shown).splitlines())


def test_its_notebook_so_far_is_named_and_handed_out_by_name_alone(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    cards, caller, widget, run = LiveCards(), FakeCaller(), FakeWidget(), job()
    caller.home = Home(tmp_path / ".kernelkit").create()
    write_artifact(caller.home.artifacts / run.id, "daily.ipynb", b"so far")
    card_of_it = LiveCard(run, lambda _: None, widget=widget)

    clicks.fetch(card_of_it, caller, 1, "daily.ipynb")
    until(lambda: bool(widget.answers))
    clicks.fetch(card_of_it, caller, 2, "../../engine.log")
    until(lambda: len(widget.answers) == 2)
    monkeypatch.setattr(clicks, "DOWNLOADED_BYTES", 5)
    clicks.fetch(card_of_it, caller, 3, "daily.ipynb")
    until(lambda: len(widget.answers) == 3)

    assert [file.name for file in cards.view(run, caller=caller).files] == ["daily.ipynb"]
    assert widget.handed == [("daily.ipynb", b"so far")]
    assert [(to, ok) for to, ok, _ in widget.answers] == [(1, True), (2, False), (3, False)]
    assert "It lies at" in widget.answers[2][2]
