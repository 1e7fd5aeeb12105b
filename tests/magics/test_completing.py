"""What Tab offers in the magics."""

from __future__ import annotations

from typing import Any, Literal

import pytest
from IPython.core.completer import provisionalcompleter
from IPython.core.interactiveshell import InteractiveShell

import kernelkit as kk
from kernelkit.authoring.signature import Signature
from kernelkit.magics import completing
from kernelkit.magics.completing import Project, offers
from kernelkit.testing import VirtualEngine
from kernelkit.ui.form import Form, form_of


def resize(
    url: str, format: Literal["jpeg", "png"] = "png", upright: bool = False, width: int | None = None
) -> None: ...


class Known:
    def tasks(self) -> list[str]:
        return ["resize", "resize-all", "sync-crm"]

    def runs(self) -> list[str]:
        return ["run", "run_1m80", "run_1m81"]

    def queues(self) -> list[str]:
        return ["images", "task/resize"]

    def form(self, task: str) -> Form | None:
        return form_of(Signature.of(resize).json_schema()) if task == "resize" else None


@pytest.mark.parametrize(
    ("line", "typed", "first"),
    [
        ("%trigger ", "", ["resize", "resize-all", "sync-crm"]),
        ("%trigger re", "re", ["resize", "resize-all"]),
        ("run = %trigger sy", "sy", ["sync-crm"]),
        ("%trigger resize ", "", ["url=", "format=", "upright=", "width=", "--tags"]),
        ("%trigger resize url=a f", "f", ["format="]),
        ("%trigger resize format=", "format=", ["format=jpeg", "format=png"]),
        ("%trigger resize upright=t", "upright=t", ["upright=true"]),
        ("%trigger resize width=", "width=", ["width=none"]),
        ("%trigger resize --de", "--de", ["--delay"]),
        ("%trigger resize --queue im", "im", ["images"]),
        ("%trigger resize --machine large-1", "large-1", ["large-1x"]),
        ("%trigger resize --test u", "u", ["url=", "upright="]),
        ("%trigger unknown ", "", ["--tags"]),
        ("%runs --st", "--st", ["--status"]),
        ("%runs --status fa", "fa", ["failed"]),
        ("%runs --status=failed,cra", "cra", ["crashed"]),
        ("%runs --status failed --task res", "res", ["resize", "resize-all"]),
        ("%run_tree run_1m8", "run_1m8", ["run_1m80", "run_1m81"]),
        ("%timeline run_1m81 --t", "--t", ["--tree"]),
        ("%schedules sy", "sy", ["sync-crm"]),
        ("%engine st", "st", ["status", "start", "stop"]),
        ("%%task resize(url: str) --isol", "--isol", ["--isolation"]),
        ("%%task resize(url: str) --isolation ", "", ["shared", "process"]),
        ("%%task --timezone Europe/Ber", "Europe/Ber", ["Europe/Berlin"]),
        ("%%task --queue ", "", ["images", "task/resize"]),
    ],
)
def test_what_may_stand_at_the_cursor_is_offered(line: str, typed: str, first: list[str]) -> None:
    found = offers(line, Known())
    assert found is not None
    assert found[0] == typed
    assert found[1][: len(first)] == first


@pytest.mark.parametrize("line", ["", "%trigger", "%time re", "trigger re", "x = 3", "%run_tree"])
def test_other_lines_are_left_alone(line: str) -> None:
    assert offers(line, Known()) is None


def test_a_given_option_and_a_given_field_are_not_offered_again() -> None:
    found = offers("%trigger resize url=a --tags x ", Known())
    assert found is not None
    assert "url=" not in found[1]
    assert "--tags" not in found[1]


@kk.task
async def offered(n: int = 1) -> int:
    return n


def test_the_project_is_asked_for_tasks_runs_and_queues(kk_engine: VirtualEngine) -> None:
    handle = offered.trigger()
    project = Project({"offered": offered, "handle": handle, "_3": handle})
    assert "offered" in project.tasks()
    assert project.runs() == ["handle", handle.id]
    assert "task/offered" in project.queues()
    form = project.form("offered")
    assert form is not None
    assert [field.name for field in form.fields] == ["n"]


def test_a_shell_offers_them_until_it_is_unloaded(kk_engine: VirtualEngine) -> None:
    shell: Any = InteractiveShell()  # type: ignore[no-untyped-call]  # IPython has no types here

    def found() -> list[str]:
        with provisionalcompleter():
            return [one.text for one in shell.Completer.completions("%trigger off", 12)]

    offered.register()
    remove = completing.install(shell)
    assert found() == ["offered"]
    remove()
    remove()
    assert "offered" not in found()
