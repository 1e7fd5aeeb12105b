"""The tutorial on waits and approvals, executed as it stands while a colleague answers from a terminal."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.journeys.tutorial import Tutorial, executed

pytestmark = pytest.mark.timeout(240)


@pytest.fixture(scope="module")
def tutorial(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Tutorial]:
    folder = tmp_path_factory.mktemp("approvals")
    is_over = threading.Event()
    colleague = threading.Thread(target=answer, args=(folder, is_over))
    colleague.start()
    path = os.pathsep.join((str(Path(sys.executable).parent), os.environ["PATH"]))
    try:
        with executed("waits_and_approvals.ipynb", folder, {**os.environ, "PATH": path}) as done:
            yield done
    finally:
        is_over.set()
        colleague.join()


def answer(folder: Path, is_over: threading.Event) -> None:
    """Approve whatever is asked about wine, as soon as somebody waits for it."""
    home = folder / ".kernelkit"
    words = [sys.executable, "-m", "kernelkit", "tokens"]
    while not is_over.wait(0.5):
        if not (home / "engine.lock").exists():
            continue
        command = [*words, "list", "--status", "WAITING", "--tag", "wine", "--json", "--home", str(home)]
        listed = subprocess.run(command, capture_output=True, text=True, check=False, timeout=60)
        if listed.returncode or not (found := json.loads(listed.stdout)):
            continue
        tokens = found["tokens"] if isinstance(found, dict) else found
        for token in tokens:
            complete = [*words, "complete", token["id"], "approved=true", "note=fine", "--home", str(home)]
            subprocess.run(complete, check=True, capture_output=True, timeout=60)
            return


def test_a_person_is_asked_and_the_answer_decides(tutorial: Tutorial) -> None:
    assert tutorial.output("result = await run") == "{'kept': 175, 'file': 'wine.csv'}"
    assert len((tutorial.folder / "approvals-files" / "wine.csv").read_text().splitlines()) == 176
    assert tutorial.output("now = run.refresh()").strip() == (
        "COMPLETED with 1 attempt; it waited longer than six seconds: True"
    )


def test_nobody_answers_and_answers_that_come_first(tutorial: Tutorial) -> None:
    assert "nobody: Nobody completed the token" in tutorial.output("@kk.task\nasync def impatient")
    released = tutorial.output("@kk.task\nasync def release")
    assert released.endswith("{'approved': True, 'by': 'ops'}")


def test_tokens_are_kept_with_their_answers(tutorial: Tutorial) -> None:
    assert "completed" in tutorial.output('kk.tokens.list(tag="wine")')
    assert tutorial.output("(token,) = ") == (
        "('COMPLETED', {'approved': True, 'note': 'fine'}, 'answered by a terminal')"
    )
