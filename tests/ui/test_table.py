from __future__ import annotations

import msgspec

from kernelkit.ui import table, words
from kernelkit.ui.table import runs_table, table_html, table_text
from tests.ui import samples
from tests.ui.samples import BERLIN, NOW

RUNS = [samples.executing(), samples.retrying(), samples.queued(), samples.failed(), samples.canceled()]


def page(**more: object) -> table.RunsTable:
    return runs_table(RUNS, **{"total": 5, "has_more": False, "now": NOW, "zone": BERLIN} | more)  # type: ignore[arg-type]


def test_a_page_prints_with_figures_to_the_right_and_names_the_total() -> None:
    assert (
        table_text(page())
        == """\
TASK              STATUS       CREATED   DURATION  ATT  RUN
embed-documents   ▶ Executing  14:31:07     02:14    1  run_5yq0c9te
fetch-prices      ↻ Retrying   14:31:07     00:41    2  run_m4hh70sd
resize-image      ○ Queued     14:33:09         –    0  run_8fk2m3qz
nightly-report    ✗ Failed     07:00:00     01:07    3  run_ab40qv77
train-classifier  – Canceled   14:31:07     12:30    1  run_1ztw09aa
1–5 of 5, newest first"""
    )


def test_long_names_and_real_ids_stay_in_eighty_columns() -> None:
    runs = [msgspec.structs.replace(run, id="run_01k2n5qzx4c7r8d2m1", task_id="a-long-name-" * 9) for run in RUNS]
    shown = table_text(runs_table(runs, total=100_000, has_more=True, now=NOW, zone=BERLIN, filters="status failed"))
    assert max(map(words.cells, shown.split("\n"))) <= 80
    assert "run_01k2n5qzx4c7r8d2m1" in shown
    assert shown.endswith(
        '1–5 of 100,000 or more with status failed, newest first\nmore: kk.runs.list(after="run_01k2n5qzx4c7r8d2m1")'
    )


def test_the_static_table_has_full_dates_and_says_as_of_when() -> None:
    face = table_html(page(total=104, has_more=True))
    assert "Runs 1–5 of 104, newest first, as of Sat 21 Nov 2026, 14:33:21 (Europe/Berlin)." in face
    assert "Sat 21 Nov 2026, 07:00:00" in face
    assert "↻&nbsp;Retrying (2 attempts)" in face


def test_an_empty_page_is_a_sentence() -> None:
    nothing = runs_table([], total=0, has_more=False, now=NOW, zone=BERLIN)
    assert table_text(nothing) == "No runs so far. `task.trigger(…)` makes one."
    filtered = runs_table([], total=0, has_more=False, now=NOW, zone=BERLIN, filters="status failed")
    assert table_html(filtered) == "<p>No run with status failed.</p>"
