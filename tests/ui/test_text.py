"""The text faces as the design's samples print them."""

from __future__ import annotations

from datetime import datetime
from io import BytesIO, TextIOWrapper

import msgspec
import pytest

from kernelkit.models.run import LogLine, Run
from kernelkit.ui import text, words
from kernelkit.ui.text import run_text
from tests.ui import samples
from tests.ui.samples import card

LATER = samples.at("15:10:00")

SAMPLES: list[tuple[Run, tuple[LogLine, ...], datetime, str]] = [
    (
        samples.executing(),
        samples.LOGS,
        samples.NOW,
        """\
▶ embed-documents  Executing  02:14                              run_5yq0c9te
  attempt 1 of 3 · queue embeddings · since 14:31:07 on worker w2
  Embedding   ██████████░░░░░░░░░░░░░░░░░░░░░░░░░░░░░░  1,204/4,800  25%   06:40
  Uploading   █████████▌░░░░░░░░░░░░░░░░░░░░░░░░░░░░░░     18/75     24%       –
  14:33:14 warn   handbook/ch07.md: 9,412 tokens, truncated to 8,192
  14:33:21 info   embedded batch 39 (32 documents, 1.9 s)
  model=bge-small  tokens=2,911,004  cost_eur=0.29""",
    ),
    (
        samples.queued(),
        (),
        samples.NOW,
        """\
○ resize-image  Queued  00:12                                    run_8fk2m3qz
  waits for a slot in queue images: 4 of 4 running, 17 runs ahead""",
    ),
    (
        samples.retrying(),
        (),
        samples.NOW,
        """\
↻ fetch-prices  Retrying  00:41                                  run_m4hh70sd
  attempt 3 of 5 in 0:09 (slot given back). Attempt 2 failed: ReadTimeout:
  api.prices.example did not answer in 10 s""",
    ),
    (
        samples.completed(),
        (),
        LATER,
        """\
✓ embed-documents  Completed  08:51                              run_5yq0c9te
  output  {"documents": 4800, "vectors": 4797, "skipped": ["ch07.md", "ch19.md"…""",
    ),
    (
        samples.failed(),
        (),
        LATER,
        """\
✗ nightly-report  Failed after 3 attempts  01:07                 run_ab40qv77
  ValueError: no rows for 2026-11-20 in warehouse.sales (expected at least 1)
    cell [12] nightly_report, line 7   check(rows, at_least=1)
    cell [9] check, line 3             raise ValueError(f"no rows for {day} in …
  attempts 1 and 2 failed with the same error""",
    ),
    (
        samples.canceled(),
        (),
        LATER,
        """\
– train-classifier  Canceled  12:30                              run_1ztw09aa
  canceled by user at 15:04:11""",
    ),
]


@pytest.mark.parametrize(("run", "logs", "now", "printed"), SAMPLES, ids=lambda value: getattr(value, "status", ""))
def test_the_sample_prints_as_designed(run: Run, logs: tuple[LogLine, ...], now: datetime, printed: str) -> None:
    assert run_text(card(run, logs, now)) == printed


@pytest.mark.parametrize("width", [60, 72, 80])
@pytest.mark.parametrize("run", [sample[0] for sample in SAMPLES], ids=lambda run: run.status)
def test_no_line_is_wider_than_the_terminal_whatever_the_names(run: Run, width: int) -> None:
    long = msgspec.structs.replace(run, task_id="名前" * 40, id="run_01k2n5qzx4c7r8d2m1", queue="q" * 120)
    logs = (LogLine(samples.NOW, "info", "日本語" * 100),)
    lines = run_text(card(long, logs), width=width).split("\n")
    assert max(map(words.cells, lines)) <= width
    assert "run_01k2n5qzx4c7r8d2m1" in lines[0]


@pytest.mark.parametrize("run", [sample[0] for sample in SAMPLES], ids=lambda run: run.status)
def test_without_our_signs_in_the_encoding_everything_is_ascii(run: Run) -> None:
    shown = run_text(card(msgspec.structs.replace(run, task_id="tâche"), samples.LOGS), ascii=True)
    assert shown.isascii()
    assert shown.startswith(words.STATUSES[words.shown_status(run)].ascii + " t")


def test_the_encoding_of_the_stream_decides() -> None:
    assert text.wants_ascii(TextIOWrapper(BytesIO(), encoding="latin-1"))
    assert not text.wants_ascii(TextIOWrapper(BytesIO(), encoding="utf-8"))


def test_a_log_line_cannot_steer_the_terminal() -> None:
    logs = (LogLine(samples.NOW, "stdout", "\x1b[2J\x1b]0;owned\x07gone\u202e"),)
    assert "\x1b" not in run_text(card(samples.executing(), logs))
    assert "gone" in run_text(card(samples.executing(), logs))
