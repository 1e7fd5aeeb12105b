"""The tutorial on retries and hooks, executed as it stands."""

from __future__ import annotations

import os
from collections.abc import Iterator

import pytest

from tests.journeys.tutorial import Tutorial, executed

pytestmark = pytest.mark.timeout(240)


@pytest.fixture(scope="module")
def tutorial(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Tutorial]:
    with executed("retries_and_hooks.ipynb", tmp_path_factory.mktemp("retries"), os.environ) as done:
        yield done


def test_a_busy_server_costs_attempts_and_the_errors_are_kept(tutorial: Tutorial) -> None:
    assert tutorial.output("@kk.task(retry=kk.Retry(max_attempts=4").strip() == "'178,13,class_0,class_1,class_2'"
    attempts = tutorial.output("[(attempt.number")
    assert attempts.count("'FAILED', 'HTTP Error 503: Service Unavailable'") == 2
    assert "(3, 'COMPLETED', None)" in attempts


def test_fetch_tries_again_within_one_attempt(tutorial: Tutorial) -> None:
    said = tutorial.output("@kk.task\nasync def rows_of").splitlines()
    assert said[0] == "569 rows in 1 attempt"
    assert len(said) == 3 and all("503" in line for line in said[1:])


def test_hooks_open_the_database_decide_and_tell(tutorial: Tutorial) -> None:
    assert tutorial.output("batch = load") == "[(True, 178), (True, 150), (False, 'FileNotFoundError')]"
    said = tutorial.output("print(pathlib.Path")
    assert said.startswith("gone.csv: FileNotFoundError('gone.csv')\n")
    assert said.endswith("[('iris.csv', 150), ('wine_data.csv', 178)]")


def test_hooks_for_all_tasks_and_of_a_cancel(tutorial: Tutorial) -> None:
    audited = tutorial.output("@kk.tasks.on_complete")
    assert "'shaky: fine after 1'" in audited and "'shaky: not fine after 1'" in audited
    canceled = tutorial.output("import asyncio\n\n@kk.task\nasync def long_import")
    assert "CANCELED" in canceled and canceled.endswith("True)")
    assert "long-import" in tutorial.output("server.shutdown()")
