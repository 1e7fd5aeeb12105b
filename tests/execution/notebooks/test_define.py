from __future__ import annotations

import json
from pathlib import Path

import pytest

import kernelkit as kk
from kernelkit.authoring.bundle import load_bundle, make_bundle, write_bundle
from kernelkit.authoring.parameters import read_parameters
from kernelkit.config import Home
from kernelkit.errors import InvalidOptionError, PayloadValidationError, TaskDefinitionError
from kernelkit.execution.notebooks.job import injected, read_notebook
from tests.execution.notebooks.making import make_notebook


def source_of(path: Path) -> object:
    """What decides whether a definition is another version."""
    return vars(kk.notebook(path).function)["__kernelkit_source__"]


PARAMETERS = ("region: str = 'EU'\ndays = 7", "parameters")


def test_a_notebook_is_a_task_with_its_parameters_as_fields(tmp_path: Path) -> None:
    report = kk.notebook(make_notebook(tmp_path / "daily_report.ipynb", PARAMETERS), retries=2, tags=["reports"])

    assert (report.id, report.signature.text) == ("daily-report", "(region: str = 'EU', days: int = 7)")
    assert (report.isolation, report.retry.max_attempts, report.tags) == ("process", 2, ("reports",))
    assert json.loads(report.json_schema)["properties"]["days"]["type"] == "integer"
    assert report.where.endswith("daily_report.ipynb")
    report.signature.check('{"days": "3"}')
    with pytest.raises(PayloadValidationError, match="regon: there is no such field; did you mean 'region'"):
        report.signature.check('{"regon": "US"}')


def test_a_worker_gets_the_notebook_as_it_was_when_its_job_was_defined(tmp_path: Path) -> None:
    home = Home(tmp_path / ".kernelkit").create()
    path = make_notebook(tmp_path / "daily.ipynb", PARAMETERS)
    report = kk.notebook(path)
    bundle = make_bundle(report.function, task_id=report.id).check()
    write_bundle(home, bundle)
    path.unlink()

    loaded = load_bundle(home, bundle.hash)

    assert loaded.signature.text == report.signature.text
    assert loaded.signature.is_async and loaded.signature.takes_signal
    assert loaded.signature.parse('{"region": "US"}')[1] == {"region": "US", "days": 7}


def test_outputs_do_not_make_a_version_and_code_does(tmp_path: Path) -> None:
    path = make_notebook(tmp_path / "daily.ipynb", "1 + 1")
    before = source_of(path)
    notebook = json.loads(path.read_text())
    output = {"output_type": "stream", "name": "stdout", "text": "2"}
    notebook["cells"][0] |= {"execution_count": 3, "outputs": [output]}
    path.write_text(json.dumps(notebook))

    assert source_of(path) == before
    make_notebook(path, "1 + 2")
    assert source_of(path) != before


def test_what_is_no_notebook_is_refused_with_words(tmp_path: Path) -> None:
    make_notebook(tmp_path / "daily.ipynb", "1")
    (tmp_path / "notes.ipynb").write_text("{}")
    (tmp_path / "binary.ipynb").write_bytes(b"\xff\xfe")

    with pytest.raises(TaskDefinitionError, match=r"no notebook .*dayly\.ipynb\. Did you mean daily\.ipynb\?"):
        kk.notebook(tmp_path / "dayly.ipynb")
    with pytest.raises(TaskDefinitionError, match="Nor is there a folder"):
        kk.notebook(tmp_path / "nowhere" / "daily.ipynb")
    for name in ("notes.ipynb", "binary.ipynb"):
        with pytest.raises(TaskDefinitionError, match=name):
            kk.notebook(tmp_path / name)
    with pytest.raises(TaskDefinitionError, match="cannot be read"):
        kk.notebook(tmp_path)


@pytest.mark.parametrize(
    ("option", "words"),
    [
        ({"source": "latest"}, "'snapshot' or 'live'"),
        ({"isolation": "shared"}, "a worker process of its own"),
        ({"output_limit": 0}, "output_limit=0"),
        ({"output_limit": "1MB"}, "output_limit='1MB'"),
        ({"cell_timeout": 0}, "cell_timeout=0"),
        ({"queu": "x"}, "Did you mean 'queue'"),
        ({"id": "no spaces"}, "is not a task id"),
    ],
)
def test_wrong_options_are_refused(tmp_path: Path, option: dict[str, object], words: str) -> None:
    path = make_notebook(tmp_path / "daily.ipynb", "1")

    with pytest.raises(InvalidOptionError, match=words):
        kk.notebook(path, **option)  # type: ignore[arg-type]  # wrong on purpose


def test_values_are_injected_behind_the_parameters_and_replace_older_ones(tmp_path: Path) -> None:
    path = make_notebook(tmp_path / "daily.ipynb", "import os", PARAMETERS, ("region = 'old'", "injected-parameters"))
    notebook = read_notebook(path)
    parameters = read_parameters(notebook["cells"], what="daily.ipynb")

    made = injected(notebook, parameters, {"region": "US"})
    plain = injected(notebook, parameters, {})

    assert [cell["source"] for cell in made["cells"]] == ["import os", PARAMETERS[0], "# Parameters\nregion = 'US'\n"]
    assert made["cells"][2]["metadata"]["tags"] == ["injected-parameters"]
    assert [cell["source"] for cell in plain["cells"]] == ["import os", PARAMETERS[0]]
    assert len(notebook["cells"]) == 3


def test_an_older_format_is_read_as_well(tmp_path: Path) -> None:
    cell = {"cell_type": "code", "collapsed": False, "input": "1 + 1", "language": "python"}
    sheet = {"cells": [cell | {"outputs": [], "metadata": {}}], "metadata": {}}
    path = tmp_path / "old.ipynb"
    path.write_text(json.dumps({"metadata": {"name": ""}, "nbformat": 3, "nbformat_minor": 0, "worksheets": [sheet]}))

    read = read_notebook(path)

    assert read["cells"][0]["source"] == "1 + 1"
    assert read_notebook(path) == read, "each reading makes the same version"


def test_cells_that_lack_their_id_are_named_the_same_each_time(tmp_path: Path) -> None:
    path = make_notebook(tmp_path / "daily.ipynb", "1", "2")
    notebook = json.loads(path.read_text())
    del notebook["cells"][1]["id"]
    path.write_text(json.dumps(notebook))

    assert read_notebook(path) == read_notebook(path)
