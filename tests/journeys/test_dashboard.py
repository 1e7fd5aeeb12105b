"""The tutorial that shows every view, executed as it stands: what each says in a notebook without a browser."""

from __future__ import annotations

import os
from collections.abc import Iterator

import pytest

from tests.journeys.tutorial import Tutorial, executed

pytestmark = pytest.mark.timeout(300)


@pytest.fixture(scope="module")
def tutorial(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Tutorial]:
    with executed("dashboard.ipynb", tmp_path_factory.mktemp("dashboard"), os.environ) as done:
        yield done


def test_tasks_and_runs_show_themselves(tutorial: Tutorial) -> None:
    assert "(data: Literal['iris', 'wine', 'breast_cancer'], depth: int = 3)" in tutorial.output("train")
    assert "✓ train  Completed" in tutorial.output("first = %trigger")
    assert tutorial.output("best = await run") == "{'iris': 0.967, 'wine': 0.86, 'breast_cancer': 0.917}"


def test_tree_and_timelines_say_what_became_of_each(tutorial: Tutorial) -> None:
    tree = tutorial.output("run.tree()")
    assert "21 runs: ✓18 completed  ✗3 failed" in tree
    assert "train × 18" in tree and "#12  AbortTaskRunError: a tree needs a dept…" in tree
    assert "train × 18" in tutorial.output("run.timeline(tree=True)")
    early = tutorial.output("early = next(")
    assert "attempt 1 failed  FileNotFo" in early
    assert "↻ backoff" in early and "✓ attempt" in early


def test_tables_batches_and_logs_are_looked_through(tutorial: Tutorial) -> None:
    assert "1–3 of 3 with status failed, task train, newest first" in tutorial.output("%runs")
    assert "train × 12" in tutorial.output("batch = train") and "✓12 completed" in tutorial.output("_ = await batch")
    assert "info   loaded rows=150 fields=4" in tutorial.output("first.logs()")


def test_queues_tokens_schedules_and_the_engine_are_steered(tutorial: Tutorial) -> None:
    assert "training      paused  0 of 2  1" in tutorial.output("kk.queues.pause")
    assert tutorial.output('kk.queues.resume("training")') == "('queue training is paused', 0.86)"
    assert '{"approved": true}' in tutorial.output("token = ") and "COMPLETED" in tutorial.output("kk.tokens.complete")
    assert "on  compare  At 06:00" in tutorial.output("nightly = ")
    engine = tutorial.output("kk.schedules.deactivate")
    assert "✓ Engine healthy" in engine and "ended" in engine
