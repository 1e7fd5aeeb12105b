"""The run tree's view and its two faces without a widget."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

from kernelkit.models.error import Error
from kernelkit.models.run import Attempt, Run, RunStatus
from kernelkit.models.wait import Waiting
from kernelkit.ui.tree import MORE, Tree, run_tree
from kernelkit.ui.tree_faces import tree_html, tree_text
from tests.ui import samples

TOP = "run_ab40qv77"


def node(run_id: str, task: str, status: str, *, parent: str | None = TOP, **more: Any) -> Run:
    given: dict[str, Any] = {
        "id": run_id,
        "task_id": task,
        "status": RunStatus(status),
        "parent_id": parent,
        "root_id": TOP if parent else None,
        "created_at": samples.at("14:30:00"),
        "started_at": samples.at("14:30:00") if status not in ("QUEUED", "DELAYED") else None,
        "finished_at": samples.at("14:30:38") if status in ("COMPLETED", "FAILED", "CANCELED") else None,
        "attempts": (Attempt(1, "EXECUTING"),),
        "queue": "q",
        "max_attempts": 3,
    }
    return Run(**given | more)


def report() -> list[Run]:
    """As the design shows it: 200 documents, of which three failed, and some other children."""
    runs = [node(TOP, "nightly-report", "EXECUTING", parent=None), node("run_a", "load-sales", "COMPLETED")]
    statuses = ["COMPLETED"] * 140 + ["EXECUTING"] * 8 + ["QUEUED"] * 49
    for number in range(200):
        if number in (17, 63, 118):
            error = Error("ValueError", "empty document")
            runs.append(node(f"run_b{number:03}", "embed-documents", "FAILED", error=error))
        else:
            runs.append(node(f"run_b{number:03}", "embed-documents", statuses.pop(0)))
    runs.append(node("run_c", "summarize-region", "WAITING", waiting_for=(Waiting("task", run_id="run_d"),)))
    runs.append(
        node(
            "run_d",
            "ask-approval",
            "WAITING",
            parent="run_c",
            waiting_for=(Waiting("token", token_id="waitpoint_k2vd"),),
        )
    )
    runs.append(node("run_e", "send-mail", "QUEUED", queued_reason="Queue mail: 1 of 1 running."))
    return runs


def tree(runs: list[Run], **more: Any) -> Tree:
    return run_tree(runs, now=samples.NOW, zone=samples.BERLIN, **more)


def names(shown: Tree) -> list[str]:
    return [f"{'  ' * len(row.last)}{row.name}" for row in shown.rows]


def test_many_children_of_one_task_are_one_closed_row_with_counts() -> None:
    shown = tree(report())

    assert names(shown) == [
        "nightly-report",
        "  load-sales",
        "  embed-documents × 200",
        "  summarize-region",
        "    ask-approval",
        "  send-mail",
    ]
    group = shown.rows[2]
    assert (group.status, group.twist) == ("EXECUTING", "closed")
    assert dict(group.counts) == {"COMPLETED": 140, "FAILED": 3, "EXECUTING": 8, "QUEUED": 49}
    assert (shown.total, shown.ended) == (205, 70)
    assert [row.last for row in shown.rows] == [(), (False,), (False,), (False,), (False, True), (True,)]


def test_an_open_group_shows_its_failures_first_and_its_runs_by_pages_behind_them() -> None:
    group = f"{TOP} embed-documents"

    opened = tree(report(), opened={group})
    assert names(opened)[3:7] == ["    #17", "    #63", "    #118", "    197 more"]
    assert opened.rows[3].note == "ValueError: empty document"
    assert opened.rows[6].twist == "closed"

    listed = tree(report(), opened={group, group + MORE})
    assert names(listed)[3:5] == ["    #0", "    #1"]
    assert names(listed)[53] == "    150 more"
    assert len(tree(report(), opened={group, group + MORE}, pages={group: 4}).rows) == 206


def test_rows_can_be_closed_and_deep_ones_begin_closed() -> None:
    chain = [node(TOP, "top", "EXECUTING", parent=None)]
    for number in range(6):
        chain.append(node(f"run_{number}", f"level-{number}", "EXECUTING", parent=chain[-1].id))

    assert len(tree(chain).rows) == 4
    assert tree(chain).rows[-1].twist == "closed"
    assert len(tree(chain, opened={"run_2", "run_3"}).rows) == 6
    assert names(tree(chain, closed={"run_0"})) == ["top", "  level-0"]


def test_a_tree_of_ten_thousand_runs_has_few_rows_and_says_what_it_leaves_out() -> None:
    runs = [node(TOP, "top", "EXECUTING", parent=None)]
    runs += [node(f"run_{n:05}", f"task-{n % 600}", "COMPLETED") for n in range(10_000)]

    shown = tree(runs, max_rows=300, total=12_345)

    assert (len(shown.rows), shown.hidden, shown.unread) == (300, 301, 12_345 - 10_001)
    assert shown.counts == (("COMPLETED", 10_000), ("EXECUTING", 1))


def test_bars_stand_where_their_runs_stood_in_time() -> None:
    begun = samples.at("14:30:00")
    runs = [
        node(TOP, "top", "COMPLETED", parent=None, finished_at=begun + timedelta(seconds=100)),
        node(
            "run_a",
            "a",
            "COMPLETED",
            created_at=begun + timedelta(seconds=25),
            finished_at=begun + timedelta(seconds=75),
        ),
    ]
    assert [(row.begin, row.end) for row in tree(runs).rows] == [(0.0, 100.0), (25.0, 75.0)]
    assert tree(runs).length == 100.0


def test_the_text_face_lists_failures_of_closed_groups_within_its_width() -> None:
    text = tree_text(tree(report(), failures=True))

    assert max(map(len, text.splitlines())) <= 80
    assert text.splitlines()[0] == "205 runs: ✓141 completed  ✗3 failed  ▶9 executing  ‖2 waiting  ○50 queued"
    assert "├─ ▶ embed-documents × 200" in text
    assert "│  ├─ ✗ #17  ValueError: empty document" in text
    assert "│  └─ … 197 more" in text
    assert "│  └─ ‖ ask-approval  token waitpoint_k2vd" in text
    assert text.splitlines()[-1].startswith("└─ ○ send-mail  queue mail: 1 of 1 running")
    assert tree_text(tree(report(), failures=True), ascii=True).isascii()


def test_a_run_without_children_says_where_they_would_be() -> None:
    alone = tree([node(TOP, "alone", "EXECUTING", parent=None)])
    assert "No child runs so far." in tree_text(alone)
    assert "No child runs so far." in tree_html(alone)
    assert tree_text(alone).startswith("1 run: ")


def test_the_static_face_is_a_bare_table_and_hostile_names_stay_text() -> None:
    runs = report()
    runs.append(node("run_x", "<script>alert(1)</script>", "FAILED", error=Error("<b>", "\x1b[31m</td>")))
    markup = tree_html(tree(runs, failures=True))

    assert "Run tree of nightly-report: 206 runs." in markup
    assert "140 completed, 3 failed, 8 executing, 49 queued" in markup
    assert "<script" not in markup and "\x1b" not in markup and "<b>" not in markup
    assert "kk.runs.tree(&quot;run_ab40qv77&quot;)" in markup
