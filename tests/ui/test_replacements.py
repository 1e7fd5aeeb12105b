"""What replaces an output where nobody looks is said again as a cell ends."""

from __future__ import annotations

from typing import Any

import pytest
from IPython.core.events import EventManager, available_events

from kernelkit.ui import hosts, replacements
from kernelkit.ui.replacements import Replacements


class Shell:
    """As much of IPython as knows when a cell has been executed."""

    def __init__(self) -> None:
        self.events = EventManager(self, available_events)  # type: ignore[arg-type]  # it keeps it, no more

    def run_cell(self) -> None:
        self.events.trigger("post_run_cell", None)


@pytest.fixture
def said(monkeypatch: pytest.MonkeyPatch) -> list[tuple[str, str, bool]]:
    """What was published: the text, where, and whether in place of something."""
    said: list[tuple[str, str, bool]] = []

    def publish(bundle: dict[str, Any], display_id: str, *, update: bool) -> None:
        said.append((bundle["text/plain"], display_id, update))

    monkeypatch.setattr(replacements, "publish", publish)
    return said


def test_a_replacement_is_said_at_once_and_again_by_whoever_executes_the_cell(
    said: list[tuple[str, str, bool]],
) -> None:
    shell = Shell()
    late = Replacements([lambda patience_s: replace({"text/plain": "settled"})])
    replace = late.of("there", shell)
    late.of("elsewhere", shell)

    replace({"text/plain": "early"})
    assert said == [("early", "there", True)]
    shell.run_cell()
    assert said[1:] == [("settled", "there", True)] * 2, "the newest only, and once"


def test_where_a_person_looks_it_is_said_once(
    said: list[tuple[str, str, bool]], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(hosts, "is_looked_at", lambda shell: True)
    shell = Shell()
    Replacements([]).of("there", shell)({"text/plain": "early"})
    shell.run_cell()
    assert said == [("early", "there", True)]
