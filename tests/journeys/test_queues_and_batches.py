"""The tutorial on queues and batches, executed as it stands."""

from __future__ import annotations

import os
from collections.abc import Iterator

import pytest

from tests.journeys.tutorial import Tutorial, executed

pytestmark = pytest.mark.timeout(300)


@pytest.fixture(scope="module")
def tutorial(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Tutorial]:
    with executed("queues_and_batches.ipynb", tmp_path_factory.mktemp("queues"), os.environ) as done:
        yield done


def test_a_batch_gives_its_results_in_order(tutorial: Tutorial) -> None:
    scores = tutorial.output("results = await wines")
    assert scores.startswith("[(1, 0.9") and "(25, 0.9" in scores


def test_mixed_items_end_each_by_itself(tutorial: Tutorial) -> None:
    ended = tutorial.output("@kk.task\nasync def describe")
    assert "{'rows': 150, 'fields': 4}" in ended
    assert "'AttributeError']" in ended
    assert tutorial.output("again = kk.batch").startswith("('COMPLETED', {'COMPLETED': 6, 'FAILED': 1}, [0.9")


def test_keys_pauses_limits_and_rates_hold(tutorial: Tutorial) -> None:
    assert tutorial.output("import asyncio") == "(True, 'ada 4')"
    paused = tutorial.output("kk.queues.pause(letter)")
    assert paused.startswith("QUEUED · queue task/letter is paused\ncy 1\n") and paused.endswith("(3, 1)")
    assert tutorial.output('@kk.task(queue=kk.Queue("polite"') == "([0, 1, 2, 3, 4, 5], True)"
    assert "polite" in tutorial.output("%queues")
