"""`kernelkit quickstart`."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from kernelkit.cli import quickstart
from kernelkit.cli.main import main


def run(*words: str) -> Result:
    return CliRunner().invoke(main, ["quickstart", *words])


def test_the_notebook_lies_where_it_was_asked_for_and_can_be_read(tmp_path: Path) -> None:
    done = run(str(tmp_path / "made" / "for it"), "--json")

    told = json.loads(done.output)
    assert (done.exit_code, told["missing"]) == (0, [])
    assert Path(told["path"]) == tmp_path / "made" / "for it" / "quickstart.ipynb"
    notebook = json.loads(Path(told["path"]).read_text())
    assert ["%load_ext kernelkit"] in [cell["source"] for cell in notebook["cells"]]
    assert told["command"] == ["jupyter", "lab", told["path"]]


def test_a_notebook_that_was_worked_on_is_not_written_over(tmp_path: Path) -> None:
    mine = tmp_path / "quickstart.ipynb"
    mine.write_text("mine")

    refused = run(str(tmp_path))

    assert (refused.exit_code, mine.read_text()) == (1, "mine")
    assert "--force" in refused.output
    assert run(str(tmp_path), "--force").exit_code == 0
    assert mine.read_text() != "mine"


def test_what_is_missing_is_said_with_how_to_get_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(quickstart, "NEEDS", {"sklearn": "scikit-learn", "no_such_module": "no-such-package"})

    assert "pip install no-such-package" in run(str(tmp_path)).output


def test_a_folder_that_cannot_be_written_is_told_in_a_sentence(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")

    refused = run(str(tmp_path / "file" / "below"))

    assert refused.exit_code == 1
    assert "cannot be written" in refused.output and "Traceback" not in refused.output
