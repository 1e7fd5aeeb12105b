from __future__ import annotations

import subprocess
import sys

import pytest

from kernelkit.authoring.logger import logger
from kernelkit.authoring.scope import scope
from tests.execution.attempts import Attempt, start_of


def test_lines_have_a_level_and_their_fields() -> None:
    attempt = Attempt(start_of(log_level="debug"))
    token = scope.set(attempt.scope)

    logger.debug("a")
    logger.info("parsed", rows=10, name="x y")
    logger.log("b")
    logger.warn("c")
    logger.error("d")
    with pytest.raises(KeyError), logger.span("parse"):
        raise KeyError("x")

    assert attempt.lines[:5] == [
        ("debug", "a"),
        ("info", "parsed rows=10 name='x y'"),
        ("info", "b"),
        ("warn", "c"),
        ("error", "d"),
    ]
    assert attempt.lines[5] == ("info", "parse: began")
    assert attempt.lines[6][1].startswith("parse: ended by KeyError after ")
    scope.reset(token)


@pytest.mark.parametrize(
    ("lowest", "kept"),
    [("none", []), ("error", ["d"]), ("warn", ["c", "d"]), ("info", ["b", "c", "d"]), ("debug", ["a", "b", "c", "d"])],
)
def test_calls_below_the_level_of_the_task_are_left_out(lowest: str, kept: list[str]) -> None:
    attempt = Attempt(start_of(log_level=lowest))
    token = scope.set(attempt.scope)

    logger.debug("a")
    logger.info("b")
    logger.warn("c")
    logger.error("d")

    scope.reset(token)
    assert [text for _, text in attempt.lines] == kept


def test_outside_a_run_and_without_handlers_the_lines_are_on_stderr() -> None:
    script = "import kernelkit as kk; kk.logger.debug('d'); kk.logger.info('i', n=1); kk.logger.warn('w')"
    done = subprocess.run([sys.executable, "-c", script], check=True, capture_output=True, text=True)
    assert (done.stdout, done.stderr) == ("", "i n=1\nw\n")


def test_outside_a_run_the_logging_module_gets_the_lines(caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level("INFO", logger="kernelkit.task"):
        logger.info("parsed", rows=10)

    assert caplog.messages == ["parsed rows=10"]
